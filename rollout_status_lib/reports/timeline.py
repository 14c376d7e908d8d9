"""When each object was what: the lanes that a report draws."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import NamedTuple

from rollout_status_lib import Json
from rollout_status_lib.clean import clean_line
from rollout_status_lib.declarations import Kind
from rollout_status_lib.errors import MISHAPS, UnreadableError
from rollout_status_lib.findings import Judgement
from rollout_status_lib.functions import Functions
from rollout_status_lib.objects import (
    get_creation_moment,
    get_field,
    get_identity,
    get_name,
    get_namespace,
    make_reference,
    summarize_event,
)
from rollout_status_lib.source import Poll, Snapshot
from rollout_status_lib.subjects import Subject
from rollout_status_lib.values import format_timestamp, parse_timestamp

Key = tuple[str, ...]  # of a workload: kind, namespace, name
LONGEST_LANE = 100  # marks; of a longer one those in its middle are dropped


class Status(NamedTuple):
    """What a status of the result is in a report."""

    rank: int
    means: str
    sign: str


STATUS = {
    "failed": Status(0, "bad", "✖"),
    "gone": Status(1, "bad", "✖"),
    "waiting": Status(2, "wait", "…"),
    "ready": Status(3, "good", "✔"),
    "ignored": Status(4, "end", "-"),
}


class Mark(NamedTuple):
    """A stage that a lane reached; in order of time, and at the same moment in that of the rule file."""

    at: float
    order: int
    name: str
    means: str  # one of STAGE_MEANS
    text: str


@dataclass
class Lane:
    """The life of an object."""

    name: str
    owner: Key
    kind: Kind
    born: float
    old: bool = False  # of another revision
    gone: bool = False
    marks: dict[tuple[str, float, str], Mark] = field(default_factory=dict)
    seen: frozenset[tuple[int, str]] = frozenset()  # stages without a time of their own, in the last poll
    version: Json = None

    def add(self, mark: Mark) -> None:
        if mark.at >= self.born - 1:  # a moment before its creation is a zero that somebody wrote
            self.marks.setdefault((mark.name, mark.at, mark.text), mark)
        if len(self.marks) > LONGEST_LANE:
            middle = sorted(self.marks.values())[LONGEST_LANE // 2]
            del self.marks[middle.name, middle.at, middle.text]

    @property
    def steps(self) -> list[Mark]:
        return sorted(self.marks.values())

    @property
    def state(self) -> Mark:
        """The last of its stages that is more than a note."""
        return next((mark for mark in reversed(self.steps) if mark.means != "note"), Mark(self.born, 0, "seen", "wait", ""))

    @property
    def rank(self) -> int:
        """Failing ones first, then those that have failed, those that are not done, the good ones, and those that are over."""
        means = self.state.means
        if means == "end" or (self.old and means != "bad"):
            return 4
        return 0 if means == "bad" else 1 if any(mark.means == "bad" for mark in self.steps) else 3 if means == "good" else 2


class Timeline:
    """What each object and each workload was, and when. What goes wrong with it becomes a problem and never hides the verdict."""

    def __init__(self, find_kind: Callable[[Json], Kind | None] = lambda _: None, *, live: bool = False) -> None:
        self.find_kind, self.live = find_kind, live  # live: events cost a call, so they are read at the end
        self.lanes: dict[str, Lane] = {}
        self.history: dict[Key, list[Mark]] = {}  # of each workload what it was, in its own words
        self.outages: list[tuple[float, float]] = []
        self.failing = False
        self.first = self.last = -1.0
        self.problems: list[str] = []

    def add(self, poll: Poll, judgement: Judgement | None) -> None:
        """Notes what has changed with a poll."""
        self.first = poll.at if self.first < 0 else self.first
        self.last = poll.at
        if self.failing:
            self.outages[-1] = (self.outages[-1][0], poll.at)
        elif not poll.snapshot:
            self.outages.append((poll.at, poll.at))
        self.failing = not poll.snapshot
        if poll.snapshot and judgement and judgement.at == poll.at:
            try:
                self.note(judgement)
                if not poll.again:
                    self.look(poll.snapshot, judgement)
            except MISHAPS as error:
                self.problems = [f"the timeline is not complete: {error}"]

    def note(self, judgement: Judgement) -> None:
        for workload in judgement.workloads:
            steps = self.history.setdefault(tuple(make_reference(workload.value).values()), [])
            text = clean_line(workload.sentence)
            if not steps or (steps[-1].name, steps[-1].text) != (workload.status, text):
                steps.append(Mark(judgement.at, len(steps), workload.status, STATUS[workload.status].means, text))
                del steps[LONGEST_LANE // 2 : len(steps) - LONGEST_LANE // 2]

    def look(self, snapshot: Snapshot, judgement: Judgement) -> None:
        """Brings the lanes up to date."""
        functions = Functions(snapshot.at)
        there = {get_identity(each) for each in snapshot.objects}
        found: dict[str, tuple[Kind, Json, bool, Key]] = {}
        for workload in judgement.workloads:
            owner = tuple(make_reference(workload.value).values())
            for kind, value, old in find_staged(workload.subject, self.find_kind):
                found.setdefault(get_identity(value), (kind, value, old, owner))
        events = {} if self.live else self.events(snapshot, {get_namespace(value) for _, value, _, _ in found.values()})
        for key, (kind, value, old, owner) in found.items():
            if key in there:
                lane = self.lanes.get(key) or self.lanes.setdefault(
                    key, Lane(clean_line(get_name(value)), owner, kind, get_creation_moment(value))
                )
                self.update(lane, value, events.get(key, []), functions)
                lane.old, lane.gone = old, False
        for lane in (lane for key, lane in self.lanes.items() if key not in there and not lane.gone):
            lane.gone = True
            lane.add(Mark(snapshot.at, len(lane.kind.stages), "gone", "end", ""))

    def update(self, lane: Lane, value: Json, events: list[Json], functions: Functions) -> None:
        version = get_field(value, "metadata", "resourceVersion")
        told = (version, sum(event["count"] for event in events))
        if version is None or lane.version != told:
            present = set()
            for mark, has_moment in find_marks(lane.kind, {**value, "events": events}, functions):
                present |= set() if has_moment else {(mark.order, mark.text)}
                if has_moment or (mark.order, mark.text) not in lane.seen:
                    lane.add(mark)
            lane.seen, lane.version = frozenset(present), told

    def events(self, snapshot: Snapshot, namespaces: Iterable[str]) -> dict[str, list[Json]]:
        """The events about each object."""
        found: dict[str, list[Json]] = {}
        for event in (event for namespace in sorted(namespaces) for event in snapshot.events(namespace) or ()):
            found.setdefault(str(get_field(event, "involvedObject", "uid")), []).append(summarize_event(event))
        return found

    def read_events(self, snapshot: Snapshot) -> None:
        """Adds the stages that only events tell, of which those of a live run are read once, at its end."""
        functions = Functions(snapshot.at)
        try:
            for key, events in self.events(snapshot, {lane.owner[1] for lane in self.lanes.values()}).items():
                for mark, has_moment in find_marks(self.lanes[key].kind, {"events": events}, functions) if key in self.lanes else ():
                    if has_moment:
                        self.lanes[key].add(mark)
        except MISHAPS as error:
            self.problems = [f"the timeline is not complete: {error}"]


def find_staged(subject: Subject, find_kind: Callable[[Json], Kind | None]) -> Iterator[tuple[Kind, Json, bool]]:
    """The objects at and below a subject whose kinds have stages, and whether they are of another revision."""
    if subject.kind.stages:
        yield subject.kind, subject.value, subject.blocked is not None
    for child in subject.children:
        yield from find_staged(child, find_kind)
    for value in subject.old:
        kind = find_kind(value)
        if kind and kind.stages:
            yield kind, value, True


def find_marks(kind: Kind, value: Json, functions: Functions) -> Iterator[tuple[Mark, bool]]:
    """The stages that an object shows, each with whether it says when; else it is the moment of the functions."""
    for order, stage in enumerate(kind.stages):
        entries = stage.each.evaluate(value, functions) if stage.each else [value]
        for entry in entries if isinstance(entries, list) else []:
            text = clean_line(stage.message.fill(lambda part, entry=entry: part.evaluate(entry, functions))) if stage.message else ""  # type: ignore[misc]
            found = stage.at.evaluate(entry, functions) if stage.at else format_timestamp(functions.now)
            for moment in found if isinstance(found, list) else [found]:
                with suppress(UnreadableError):
                    yield Mark(parse_timestamp(str(moment)), order, stage.name, stage.means, text), stage.at is not None
