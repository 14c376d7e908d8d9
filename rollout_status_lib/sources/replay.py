"""Polls of a recording, or of a file that `kubectl get -o json` printed."""

from __future__ import annotations

from collections.abc import Collection, Generator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from rollout_status_lib import Json
from rollout_status_lib.declarations import Kind
from rollout_status_lib.errors import RolloutError, UnreadableError, describe_error
from rollout_status_lib.objects import find_newest_time, get_field, get_namespace, parse_objects
from rollout_status_lib.rulefile import Document, FieldPath
from rollout_status_lib.selection import Selection
from rollout_status_lib.source import Answer, Hooks, Lists, LogPlace, Poll, Snapshot, list_places
from rollout_status_lib.untrusted import check_values, is_name, read_text
from rollout_status_lib.values import format_timestamp, parse_timestamp


def read_document(path: Path) -> Document:
    """A file of a recording that is YAML; RolloutError `usage` when it is none, or no file at all."""
    try:
        read_text(path)
    except UnicodeDecodeError:
        pass  # of which the document tells the line
    except UnreadableError as error:
        raise RolloutError("usage", f"{path}:1: cannot be read: {error}") from None
    return Document(path, "usage")


def is_moment(moment: float) -> bool:
    """True if it can be written as a timestamp: some that can be read are before the year 1, or after 9999."""
    try:
        return bool(format_timestamp(moment))
    except (OverflowError, ValueError):
        return False


class Replay:
    """A Source that reads a recording, or a file that `kubectl get ... -o json` printed. Its clock jumps: a replay waits for nothing.

    A recording that --record wrote is `exact`: it is judged at the very moments at which the recorded run judged. It has
    what was `applied`, and the kinds that the `words` of that run's command line meant to its cluster.
    """

    flags = ""  # no kubectl is asked
    STEP = 1.0  # seconds after which a snapshot is judged again until the next one is due
    LONGEST = 86_400.0  # seconds

    def __init__(self, path: Path, now: float | None, selection: Selection) -> None:
        self.selection = selection
        self.notes: list[str] = []
        self.warnings: list[str] = []  # kubectl's, of which there are none here
        self.logs: Mapping[str, Json] = {}
        self.applied: tuple[Json, ...] = ()
        self.skipped: tuple[str, ...] | None = None
        self.revisions: tuple[Json, ...] = ()  # read by the recorded run once the rollout had failed
        self.words: Mapping[str, Json] = {}
        self.exact = False
        self.is_folder = path.is_dir()
        if self.is_folder and now is not None:
            raise RolloutError("usage", "--now needs a single file: a recording has its own times")
        if self.is_folder:
            self.load(read_document(path / "recording.yaml"))
        else:
            objects = self.objects(path)
            self.until = find_newest_time(objects) if now is None else now
            if not is_moment(self.until):
                raise RolloutError("usage", f"{path}: its newest time is out of range: set another one with --now")
            self.recorded = [Poll(self.until, self.snapshot(self.until, objects, {}))]

    def load(self, document: Document) -> None:
        """Reads a recording's polls and logs, and when it ends."""
        document.get_mapping((), ("polls", "until", "logs", "applied", "skipped", "words", "exact", "revisions"), ("polls",))
        self.logs, self.words = document.get_mapping(("logs",)), document.get_mapping(("words",))
        for word, key in self.words.items():
            if not (isinstance(key, list) and len(key) == 2 and all(isinstance(text, str) for text in key)):
                document.refuse(("words", word), "a word has a kind and an API group: [widget, example.com]")
        self.exact = document.get(("exact",), False) is True
        if document.get(("applied",)):
            self.applied = self.objects(self.file(document, ("applied",)))
        self.skipped = document.get_texts(("skipped",)) if document.get(("skipped",)) is not None else None
        if document.get(("revisions",)):
            self.revisions = self.objects(self.file(document, ("revisions",)))
        self.recorded = [self.load_poll(document, at) for at in document.list_entries(("polls",))]
        moments = [poll.at for poll in self.recorded]
        if not moments or moments != sorted(moments):
            document.refuse(("polls",), "there must be polls, in the order of their time: - {at: TIME, objects: 001.json}")
        self.until = max(moments[-1], self.moment(document, ("until",))) if document.get(("until",)) else moments[-1]
        if self.until - moments[0] > self.LONGEST:
            document.refuse(("until",), "a recording of more than a day cannot be replayed")

    def load_poll(self, document: Document, at: FieldPath) -> Poll:
        entry = document.get_mapping(at, ("at", "objects", "error", "used"), ("at",))
        if ("objects" in entry) == ("error" in entry):
            document.refuse(at, "write one of objects and error")
        moment = self.moment(document, (*at, "at"))
        if "objects" in entry:
            asked = {name: document.get_texts((*at, "used", name)) for name in document.get_mapping((*at, "used"))}
            return Poll(moment, self.snapshot(moment, self.objects(self.file(document, (*at, "objects"))), asked))
        several = isinstance(entry["error"], list)
        return Poll(
            moment,
            None,
            tuple(self.load_call(document, each) for each in (document.list_entries((*at, "error")) if several else [(*at, "error")])),
        )

    def file(self, document: Document, at: FieldPath) -> Path:
        name = document.get(at)
        if not is_name(name):
            document.refuse(at, f"{at[-1]} must be the name of a file beside it")
        return document.path.parent / str(name)

    def load_call(self, document: Document, at: FieldPath) -> Json:
        """A call that failed. Fields that a person leaves out are those of a list call."""
        call = {"verb": "list", "resource": "objects", "namespace": None, "optional": False, "applied": False, "configured": True}
        call |= document.get_mapping(at, (*call, "exit", "stderr"), ("exit", "stderr"))
        if not (isinstance(call["exit"], int) and isinstance(call["stderr"], str)):
            document.refuse(at, "exit must be a number and stderr a text")
        return call

    def moment(self, document: Document, at: FieldPath) -> float:
        try:
            moment = parse_timestamp(str(document.get(at)))
        except UnreadableError as error:
            document.refuse(at, str(error))
        return (
            moment if is_moment(moment) else document.refuse(at, f"invalid time {document.get(at)!r}: it is outside of the years 1 to 9999")
        )

    def objects(self, path: Path) -> tuple[Json, ...]:
        """The objects in a file that are in the requested namespaces, or in none."""
        try:
            objects = parse_objects(read_text(path, may_be_link=not self.is_folder), "it")
            check_values(objects)
        except (OSError, ValueError) as error:
            raise RolloutError(
                "usage", f"{path}: {describe_error(error)}", hint="kubectl get deployments,replicasets,pods,events -o json > 001.json"
            ) from None
        wanted = self.selection.namespaces
        return tuple(each for each in objects if not wanted or get_field(each, "metadata", "namespace") in (None, "", *wanted))

    def snapshot(self, at: float, objects: tuple[Json, ...], asked: Mapping[str, Sequence[str]]) -> Snapshot:
        """A snapshot of these objects. What was `asked` for because subjects use it is whole; of other kinds the objects may lack some."""

        def look(kind: Kind, namespace: str, names: Collection[str]) -> Answer:
            return Answer(objects, {*list_places(kind, namespace, names)} <= {*asked.get(kind.resource, ())})

        events = [each for each in objects if each["kind"] == "Event"]
        return Snapshot(at, objects, None, lambda namespace: [event for event in events if get_namespace(event) == namespace], Lists(look))

    def polls(self, hooks: Hooks) -> Generator[Poll]:
        """Each poll, repeated every second until the next one is due; the last one until the recording ends."""
        for step in hooks.prepare:
            step()
        start, ticks = self.recorded[0].at, 0
        for poll, due in zip(self.recorded, [*(poll.at for poll in self.recorded[1:]), None], strict=True):
            yield poll
            if self.exact and due is not None:
                continue
            while (moment := start + ticks * self.STEP) < (self.until if due is None else due):
                if moment > poll.at:
                    yield self.later(poll, moment)
                ticks += 1
        if self.until > self.recorded[-1].at:
            yield self.later(self.recorded[-1], self.until)

    def later(self, poll: Poll, at: float) -> Poll:
        return replace(poll, at=at, again=True, snapshot=poll.snapshot and replace(poll.snapshot, at=at))

    def drop(self, call: Json) -> bool:
        """A replay asks for nothing; what was chosen of the resource is taken back. False if nothing is left to judge."""
        return self.selection.drop(call["resource"], call["namespace"] or "")

    def kept(self, _: Kind, namespace: str) -> Sequence[Json]:
        """The revisions that the recorded run read at its end."""
        return [each for each in self.revisions if get_namespace(each) == namespace]

    def fetch_logs(self, places: Sequence[LogPlace]) -> None:
        """They are there, or not."""

    def log(self, place: LogPlace) -> str:
        """A container's log; UnreadableError if the recording has none."""
        if place.name not in self.logs:
            raise UnreadableError(f"the recording has no log {place.name} of namespace {place.namespace}")
        return str(self.logs[place.name])

    def namespace(self) -> str:
        """The namespace that is meant when none is named."""
        return "default"

    def context(self) -> str:
        """A recording does not tell."""
        return ""

    def namespaces(self) -> Sequence[str]:
        """A recording does not tell."""
        return ()
