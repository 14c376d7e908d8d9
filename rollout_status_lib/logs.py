"""The logs of containers that have crashed: read once for each run that has ended."""

from __future__ import annotations

import json

from rollout_status_lib import Json
from rollout_status_lib.errors import UnreadableError
from rollout_status_lib.findings import Finding
from rollout_status_lib.functions import is_true
from rollout_status_lib.objects import get_field, get_name, get_namespace
from rollout_status_lib.secrets import hide
from rollout_status_lib.source import LOG_BYTES, LOG_LINES, Source

TAIL = 5  # lines of a log that people see without asking for more
AT_ONCE = 5  # logs that are read in one poll while the run goes on: each is a call of kubectl


class Logs:
    """Reads the ends of logs from a source."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.known: dict[tuple[str, str], str] = {}  # key of a container, and its run that has ended -> the end of that run's log
        self.moment, self.left = 0.0, 0  # the last poll in which some were read while the run goes on, and how many more may be
        self.missing: set[tuple[str, str]] = set()  # those that could not be read while the run goes on

    def read(self, finding: Finding) -> str | None:
        """The end of the log of the run that has failed; None if its rule wants none, or, with a note, if it cannot be read."""
        if not (finding.rule.logs and finding.subject.part):
            return None
        try:
            return self.fetch(finding)
        except UnreadableError as error:
            pod, container = get_name(finding.subject.holder), get_field(finding.subject.value, "name")
            self.source.notes.append(f"the log of {pod}/{container} could not be read: {error}")
            return None

    def tail(self, finding: Finding) -> tuple[str, ...]:
        """The last lines of the same log, if a run has ended; nothing if it cannot be read: the result says why, should it want it."""
        if not (finding.rule.logs and finding.subject.part) or find_ended(finding) is None or self.name_run(finding) in self.missing:
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
        if name not in self.known:
            subject, path = finding.subject, finding.subject.kind.previous_log
            previous = path is not None and is_true(path.evaluate(subject.value, finding.scope.functions))
            pod, container = get_name(subject.holder), str(get_field(subject.value, "name"))
            log = hide(self.source.log(get_namespace(subject.holder), pod, container, previous=previous))  # before a secret is cut through
            self.known[name] = "".join(log.splitlines(keepends=True)[-LOG_LINES:]).encode()[-LOG_BYTES:].decode("utf-8", "ignore")
        return self.known[name]

    def name_run(self, finding: Finding) -> tuple[str, str]:
        return finding.subject.key, json.dumps(find_ended(finding), sort_keys=True, default=str)


def find_ended(finding: Finding) -> Json:
    """What tells the run of a container that has ended last from the others; null if none has."""
    ended = finding.subject.kind.ended
    return ended.evaluate(finding.subject.value, finding.scope.functions) if ended else None
