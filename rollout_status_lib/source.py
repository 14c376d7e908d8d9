"""What a source of polls is: a protocol, a snapshot, a poll."""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from rollout_status_lib import Json
from rollout_status_lib.declarations import Kind


@dataclass(frozen=True, slots=True)
class Answer:
    """What was read of a kind, among others: all objects of it that there are (`whole`), or only those that happen to be known."""

    objects: Sequence[Json]
    whole: bool


class Lists:
    """What waiting subjects use, of one snapshot: a list for each kind and namespace, read when a subject asks for it first.

    Objects that are in no namespace, and those of which only the names are read, are asked for by their names. `read` is called with
    a kind, a namespace and names; it returns None when they cannot be read.
    """

    def __init__(self, read: Callable[[Kind, str, Collection[str]], Answer | None]) -> None:
        self.read = read
        self.answers: dict[tuple[str, str], Answer | None] = {}  # resource and namespace -> what was read
        self.taken: dict[str, Json] = {}  # identity -> object that a subject uses
        self.asked: dict[str, list[str]] = {}  # resource -> the places (list_places) of which all is known

    def look(self, kind: Kind, namespace: str, names: Collection[str] = ()) -> Answer | None:
        """The objects of a kind in a namespace; of a kind that is asked for by names, those that were asked for until now."""
        space, key = "" if kind.cluster else namespace, (kind.resource, "" if kind.cluster else namespace)
        before, known = self.answers.get(key), self.asked.get(kind.resource, ())
        fresh = [name for name in names if not {*list_places(kind, space, [name])} <= {*known}] if kind.is_named else []
        if key not in self.answers or (before and before.whole and fresh):
            answer = self.read(kind, space, fresh)
            self.answers[key] = answer and Answer([*(before.objects if before else ()), *answer.objects], answer.whole)
            if answer and answer.whole:
                self.asked.setdefault(kind.resource, []).extend(list_places(kind, space, fresh))
        return self.answers[key]


def list_places(kind: Kind, namespace: str, names: Collection[str]) -> list[str]:
    """What is known of a kind once these objects were asked for: a namespace; the names of objects; or namespace/name of each."""
    if not kind.is_named:
        return [namespace]
    return [name if kind.cluster else f"{namespace}/{name}" for name in names]


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """What was seen of the cluster at one moment."""

    at: float  # seconds since 1970
    objects: tuple[Json, ...]  # as `kubectl get -o json` shows them
    chosen: frozenset[str] | None  # identities of the workloads that the selector matches; None: it was not applied, all count
    events: Callable[[str], list[Json] | None]  # namespace -> its events; None: they cannot be read
    used: Lists = field(default_factory=lambda: Lists(lambda *_: None))


@dataclass(frozen=True, slots=True, eq=False)
class Poll:
    """A snapshot, or the kubectl calls that failed instead: {verb, resource, namespace, exit, stderr, optional} each."""

    at: float
    snapshot: Snapshot | None
    calls: tuple[Json, ...] = ()
    again: bool = False  # the poll before, judged again because time has passed


@dataclass(frozen=True, slots=True, eq=False)
class Hooks:
    """What a source asks of the run that reads its polls."""

    prepare: Sequence[Callable[..., object]]  # each to be called once, before the first poll is judged; while kubectl runs, if it does
    subjects: Callable[[], Collection[str]]  # identities of what was judged last
    is_due: Callable[[Snapshot], bool]  # True if there would be a verdict now, when nothing has changed but the time


class LogPlace(NamedTuple):
    """Whose log it is: a container's, of its last run or of the one before it."""

    namespace: str
    pod: str
    container: str
    previous: bool

    @property
    def name(self) -> str:
        """Its name in a recording."""
        return f"{self.pod}/{self.container}{'/previous' if self.previous else ''}"


class Source(Protocol):
    """Where polls come from: a cluster (sources/live.py) or a recording (sources/replay.py)."""

    flags: str  # of kubectl, for commands that people paste
    notes: list[str]
    warnings: list[str]  # what kubectl says beside its answers

    @property
    def logs(self) -> Mapping[str, str]:
        """The logs that were read, by their names in a recording."""

    @property
    def applied(self) -> Sequence[Json]:
        """What the recorded run was told by manifests; nothing for a cluster."""

    @property
    def skipped(self) -> Sequence[str] | None:
        """The kinds of the objects that the recorded run left out of its manifests. None for a cluster, or if kinds were asked for."""

    @property
    def words(self) -> Mapping[str, Json]:
        """The words of the recorded run's command line, and the kinds that they meant to that cluster; none for a cluster."""

    def polls(self, hooks: Hooks) -> Generator[Poll]:
        """The polls, in the order of their time; they end when there is no time left."""

    def drop(self, call: Json) -> bool:
        """Asks no more for the resource of a failed call in its namespace; False when nothing is left to ask for."""

    def kept(self, kind: Kind, namespace: str) -> Sequence[Json]:
        """The objects of a kind that is not listed with the others; none, and a note, when they cannot be read."""

    def fetch_logs(self, places: Sequence[LogPlace]) -> None:
        """Reads the ends of logs, side by side, once the verdict is known: that and all that is read after it has the time of one call."""

    def log(self, place: LogPlace) -> str:
        """The end of a container's log; UnreadableError when it cannot be read."""

    def namespace(self) -> str:
        """The namespace that is meant when none is named."""

    def context(self) -> str:
        """The kubeconfig's context, for people; empty if it is not known."""

    def namespaces(self) -> Sequence[str]:
        """The names of all namespaces; none if that is not known."""


LOG_LINES, LOG_BYTES = 20, 100_000
