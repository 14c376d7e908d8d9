"""When each object reached which stage: the lanes that a page draws."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import NamedTuple

from rollout_status_lib import Json
from rollout_status_lib.clean import clean_line
from rollout_status_lib.declarations import Kind, Stage
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
from rollout_status_lib.rules import Rules
from rollout_status_lib.serving import find_images
from rollout_status_lib.source import Poll, Snapshot
from rollout_status_lib.story import STATUS, Key, Sighting, make_key
from rollout_status_lib.subjects import Subject
from rollout_status_lib.values import format_timestamp, parse_timestamp

MOST_MARKS = 100  # of a lane; those in its middle are dropped first


class Mark(NamedTuple):
    """The moment at which an object reached a stage, or a workload a status. Marks sort by time, then as the rule file lists the stages."""

    at: float  # seconds since 1970
    order: int
    name: str
    means: str  # one of STAGE_MEANS
    text: str


@dataclass(slots=True)
class Lane:
    """The life of an object."""

    name: str
    owner: Key
    kind: Kind
    born: float  # seconds since 1970
    old: bool = False  # True if it is of another revision
    gone: bool = False
    recorded: dict[tuple[str, float, str], Mark] = field(default_factory=dict)
    momentless: frozenset[tuple[int, str]] = frozenset()  # the stages of the last poll that have no time of their own
    version: Json = None  # what changes with the object and its events

    def add(self, mark: Mark) -> None:
        """Adds a mark, unless it is there already."""
        if mark.at >= self.born - 1:  # an earlier moment is a zero that somebody wrote
            self.recorded.setdefault((mark.name, mark.at, mark.text), mark)
        if len(self.recorded) > MOST_MARKS:
            middle = self.marks[MOST_MARKS // 2]
            del self.recorded[middle.name, middle.at, middle.text]

    @property
    def marks(self) -> list[Mark]:
        """All marks in order."""
        return sorted(self.recorded.values())

    @property
    def state(self) -> Mark:
        """The last mark that is more than a note."""
        return next((mark for mark in reversed(self.marks) if mark.means != "note"), Mark(self.born, 0, "seen", "wait", ""))

    @property
    def rank(self) -> int:
        """0 if it fails, 1 if it has failed before, 2 if it is not ready yet, 3 if it is ready, 4 if it is over."""
        means = self.state.means
        if means == "end" or (self.old and means != "bad"):
            return 4
        return 0 if means == "bad" else 1 if any(mark.means == "bad" for mark in self.marks) else 3 if means == "good" else 2


class Timeline:
    """Collects from the polls what each object and each workload was, and when. A mishap becomes a problem and never hides the verdict."""

    def __init__(self, rules: Rules | None = None, *, live: bool = False) -> None:
        self.rules, self.live = rules, live  # live: reading events takes a call, so they are read once, at the end
        self.images: dict[Key, list[str]] = {}  # what each workload is to run
        self.context = ""  # the kubeconfig's; empty if it is not known
        self.lanes: dict[str, Lane] = {}  # by the identity of the object
        self.history: dict[Key, list[Mark]] = {}  # the statuses of each workload, in order
        self.outages: list[tuple[float, float]] = []  # from when to when the cluster could not be asked
        self.failing = False
        self.first: float | None = None  # the moments of the first and of the last poll
        self.last: float | None = None
        self.problems: list[str] = []

    def add(self, poll: Poll, judgement: Judgement | None) -> None:
        """Adds what a poll has changed."""
        self.first = poll.at if self.first is None else self.first
        self.last = poll.at
        if self.failing:
            self.outages[-1] = (self.outages[-1][0], poll.at)
        elif not poll.snapshot:
            self.outages.append((poll.at, poll.at))
        self.failing = not poll.snapshot
        if poll.snapshot and judgement and judgement.at == poll.at:
            try:
                self.add_statuses(judgement)
                if not poll.again:
                    self.update_lanes(poll.snapshot, judgement)
            except MISHAPS as error:
                self.problems = [f"the timeline is not complete: {error}"]

    def add_statuses(self, judgement: Judgement) -> None:
        """Adds the status and the sentence of each workload that has another one now."""
        for workload in judgement.workloads:
            key = make_key(make_reference(workload.value))
            marks = self.history.setdefault(key, [])
            sentence = clean_line(workload.summary)
            if not marks or (marks[-1].name, marks[-1].text) != (workload.status, sentence):
                marks.append(Mark(judgement.at, len(marks), workload.status, STATUS[workload.status].means, sentence))
                del marks[MOST_MARKS // 2 : len(marks) - MOST_MARKS // 2]
                images = find_images(workload, self.rules, Functions(judgement.at)) if self.rules else ()
                self.images[key] = list(dict.fromkeys(map(clean_line, images)))

    def update_lanes(self, snapshot: Snapshot, judgement: Judgement) -> None:
        """Adds the stages that objects have reached, and the end of those that are gone."""
        functions = Functions(snapshot.at)
        present = {get_identity(each) for each in snapshot.objects}
        staged = {key: each for key, each in index_staged(judgement, self.find_kind).items() if key in present}
        events = {} if self.live else collect_events(snapshot, {get_namespace(each.value) for each in staged.values()})
        for key, each in staged.items():
            if key not in self.lanes:
                self.lanes[key] = Lane(clean_line(get_name(each.value)), each.owner, each.kind, get_creation_moment(each.value))
            update_lane(self.lanes[key], each.value, events.get(key, []), functions)
            self.lanes[key].old, self.lanes[key].gone = each.old, False
        for lane in (lane for key, lane in self.lanes.items() if key not in present and not lane.gone):
            lane.gone = True
            lane.add(Mark(snapshot.at, len(lane.kind.stages), "gone", "end", ""))

    def find_kind(self, value: Json) -> Kind | None:
        """The kind of an object; None if it is not known."""
        return self.rules.find_kind(value) if self.rules else None

    def read_events(self, snapshot: Snapshot) -> None:
        """Adds the stages that only events show. A live run calls it once, at its end."""
        functions = Functions(snapshot.at)
        try:
            for key, events in collect_events(snapshot, {lane.owner[1] for lane in self.lanes.values()}).items():
                for mark, has_moment in find_marks(self.lanes[key].kind, {"events": events}, functions) if key in self.lanes else ():
                    if has_moment:
                        self.lanes[key].add(mark)
        except MISHAPS as error:
            self.problems = [f"the timeline is not complete: {error}"]

    def list_sightings(self) -> dict[Key, Sighting]:
        """Each workload that a poll had, as it was last."""
        latest = {key: marks[-1] for key, marks in self.history.items()}
        return {key: Sighting(mark.name, mark.text, mark.at - (self.first or 0.0)) for key, mark in latest.items()}

    def group_lanes(self) -> dict[Key, list[Lane]]:
        """The lanes of each workload, failing ones first."""
        groups: dict[Key, list[Lane]] = {}
        for lane in sorted(self.lanes.values(), key=lambda lane: (lane.rank, lane.old, lane.born, lane.name)):
            groups.setdefault(lane.owner, []).append(lane)
        return groups


class Staged(NamedTuple):
    """An object whose kind has stages."""

    kind: Kind
    value: Json
    old: bool  # True if it is of another revision
    owner: Key


def index_staged(judgement: Judgement, find_kind: Callable[[Json], Kind | None]) -> dict[str, Staged]:
    """The objects with stages below all workloads, by their identities."""
    found: dict[str, Staged] = {}
    for workload in judgement.workloads:
        owner = make_key(make_reference(workload.value))
        for each in find_staged(workload.subject, owner, find_kind):
            found.setdefault(get_identity(each.value), each)
    return found


def find_staged(subject: Subject, owner: Key, find_kind: Callable[[Json], Kind | None]) -> Iterator[Staged]:
    """The objects with stages at and below a subject, those of other revisions too."""
    if subject.kind.stages:
        yield Staged(subject.kind, subject.value, subject.blocked is not None, owner)
    for child in subject.children:
        yield from find_staged(child, owner, find_kind)
    for value in subject.old:
        kind = find_kind(value)
        if kind and kind.stages:
            yield Staged(kind, value, True, owner)


def collect_events(snapshot: Snapshot, namespaces: Iterable[str]) -> dict[str, list[Json]]:
    """The events of some namespaces, by the uid of the object that they are about."""
    found: dict[str, list[Json]] = {}
    for event in (event for namespace in sorted(namespaces) for event in snapshot.events(namespace) or ()):
        found.setdefault(str(get_field(event, "involvedObject", "uid")), []).append(summarize_event(event))
    return found


def update_lane(lane: Lane, value: Json, events: list[Json], functions: Functions) -> None:
    """Adds the stages of an object, unless neither it nor its events have changed. A stage without a time is added when it begins."""
    resource_version = get_field(value, "metadata", "resourceVersion")
    version = (resource_version, sum(event["count"] for event in events))
    if resource_version is not None and lane.version == version:
        return
    momentless = set()
    for mark, has_moment in find_marks(lane.kind, {**value, "events": events}, functions):
        if not has_moment:
            momentless.add((mark.order, mark.text))
        if has_moment or (mark.order, mark.text) not in lane.momentless:
            lane.add(mark)
    lane.momentless, lane.version = frozenset(momentless), version


def find_marks(kind: Kind, value: Json, functions: Functions) -> Iterator[tuple[Mark, bool]]:
    """The stages that an object has reached. The second is True if the stage has a time of its own; else it has that of the poll."""
    for order, stage in enumerate(kind.stages):
        entries = stage.each.evaluate(value, functions) if stage.each else [value]
        for entry in entries if isinstance(entries, list) else []:
            text = describe_stage(stage, entry, functions)
            for moment in list_moments(stage, entry, functions):
                with suppress(UnreadableError):
                    yield Mark(parse_timestamp(str(moment)), order, stage.name, stage.means, text), stage.at is not None


def list_moments(stage: Stage, entry: Json, functions: Functions) -> list[Json]:
    """When the stage was reached: timestamps, as the object has them."""
    found = stage.at.evaluate(entry, functions) if stage.at else format_timestamp(functions.now)
    return found if isinstance(found, list) else [found]


def describe_stage(stage: Stage, entry: Json, functions: Functions) -> str:
    return clean_line(stage.message.fill(lambda part: part.evaluate(entry, functions))) if stage.message else ""
