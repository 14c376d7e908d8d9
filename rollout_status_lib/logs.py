"""The logs of containers that have crashed: read once for each run that has ended."""

from __future__ import annotations

import json
from collections.abc import Sequence

from rollout_status_lib import Json
from rollout_status_lib.errors import UnreadableError
from rollout_status_lib.findings import Finding
from rollout_status_lib.functions import is_true
from rollout_status_lib.objects import get_field, get_name, get_namespace
from rollout_status_lib.secrets import hide
from rollout_status_lib.source import LOG_BYTES, LOG_LINES, LogPlace, Source

TAIL = 5  # lines of a log that people see without asking for more
MOST = 50  # logs that the result of a rollout with many failures has
AT_ONCE = 5  # logs that are read in one poll while the run goes on: each is a call of kubectl


class Logs:
    """Reads the ends of logs from a source."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.known: dict[tuple[str, str], str] = {}  # key of a container, and its run that has ended -> the end of that run's log
        self.moment, self.left = 0.0, 0  # the last poll in which some were read while the run goes on, and how many more may be
        self.left_out: set[tuple[str, str]] = set()  # those beyond MOST
        self.unreadable: dict[tuple[str, str], UnreadableError] = {}  # those that could not be read once the verdict was there
        self.missing: set[tuple[str, str]] = set()  # those that could not be read while the run goes on

    def prefetch(self, findings: Sequence[Finding]) -> None:
        """Reads the logs of what has failed side by side, MOST of them, once the verdict is there; a note says how many are left out."""
        wanted = {self.name_run(each): self.find_place(each) for each in findings if each.rule.logs and each.subject.part}
        unknown = [name for name in wanted if name not in self.known]
        self.source.fetch_logs([wanted[name] for name in unknown[:MOST]])
        for name in unknown[:MOST]:
            try:
                self.keep(name, wanted[name])
            except UnreadableError as error:
                self.unreadable[name] = error
        self.left_out = set(unknown[MOST:])
        if self.left_out:
            self.source.notes.append(f"the logs of {len(self.left_out)} more failed containers were not read, only those of {MOST}")

    def read(self, finding: Finding) -> str | None:
        """The end of the log of the run that has failed; None if its rule wants none, or, with a note, if it cannot be read."""
        if not (finding.rule.logs and finding.subject.part) or self.name_run(finding) in self.left_out:
            return None
        try:
            return self.fetch(finding)
        except UnreadableError as error:
            pod, container = get_name(finding.subject.holder), get_field(finding.subject.value, "name")
            self.source.notes.append(f"the log of {pod}/{container} could not be read: {error}")
            return None

    def tail(self, finding: Finding) -> tuple[str, ...]:
        """The last lines of the same log, if a run has ended; nothing if it cannot be read: the result says why, should it want it."""
        if (
            not (finding.rule.logs and finding.subject.part)
            or self.find_ended(finding) is None
            or self.name_run(finding) in self.missing | self.left_out
        ):
            return ()
        if self.name_run(finding) not in self.known:
            now = finding.scope.functions.now
            self.moment, self.left = now, (self.left if now == self.moment else AT_ONCE) - 1
            if self.left < 0:
                return ()
        try:
            return tuple(self.fetch(finding).rstrip("\n").split("\n")[-TAIL:])
        except UnreadableError:
            self.missing.add(self.name_run(finding))
            return ()

    def fetch(self, finding: Finding) -> str:
        """At most LOG_LINES and LOG_BYTES; UnreadableError if they cannot be read."""
        name = self.name_run(finding)
        if name in self.unreadable:
            raise self.unreadable[name]
        if name not in self.known:
            self.keep(name, self.find_place(finding))
        return self.known[name]

    def keep(self, name: tuple[str, str], place: LogPlace) -> None:
        log = hide(self.source.log(place))  # before a secret is cut through
        self.known[name] = "".join(log.splitlines(keepends=True)[-LOG_LINES:]).encode()[-LOG_BYTES:].decode("utf-8", "ignore")

    def name_run(self, finding: Finding) -> tuple[str, str]:
        return finding.subject.key, json.dumps(self.find_ended(finding), sort_keys=True, default=str)

    def find_ended(self, finding: Finding) -> Json:
        """What tells the run of a container that has ended last from the others; null if none has."""
        return finding.read(finding.subject.kind.ended, self.source.notes)

    def find_place(self, finding: Finding) -> LogPlace:
        """Whose log tells more of a finding about a container."""
        subject = finding.subject
        previous = is_true(finding.read(subject.kind.previous_log, self.source.notes))
        return LogPlace(get_namespace(subject.holder), get_name(subject.holder), str(get_field(subject.value, "name")), previous)
