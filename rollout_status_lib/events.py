"""The events about a subject, without those that are history: something later contradicts them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from rollout_status_lib import Json
from rollout_status_lib.errors import UnreadableError
from rollout_status_lib.expressions import Expression
from rollout_status_lib.functions import Functions, is_true
from rollout_status_lib.objects import get_field, get_last_seen, get_namespace, group_events
from rollout_status_lib.rules import Rules
from rollout_status_lib.source import Snapshot
from rollout_status_lib.subjects import Subject
from rollout_status_lib.values import parse_timestamp


class Events:
    """The events of one snapshot, read when a rule asks for them first."""

    def __init__(self, rules: Rules, snapshot: Snapshot, functions: Functions) -> None:
        self.rules, self.snapshot, self.functions = rules, snapshot, functions
        self.by_object: dict[str, dict[str, list[Json]] | None] = {}  # namespace -> uid of an object -> the events about it
        self.found: dict[str, tuple[list[Json], list[Json]] | None] = {}  # key of a subject -> all events about it, and those present

    def read(self, subject: Subject, since: float) -> list[Json] | None:
        """The events about a subject that were seen since a moment, newest first, without those that are history.

        For a part they are its own, and those about the object as a whole. None when they cannot be read.
        """
        found = self.find(subject)
        return found and [event for event in found[1] if get_last_seen(event) >= since]

    def read_all(self, subject: Subject) -> list[Json] | None:
        """The same, with those that are history, and since ever."""
        found = self.find(subject)
        return found and found[0]

    def find(self, subject: Subject) -> tuple[list[Json], list[Json]] | None:
        """The events about a subject, newest first: all of them, and those that are no history. None when they cannot be read."""
        if subject.key not in self.found:
            self.found[subject.key] = self.select(subject)
        return self.found[subject.key]

    def select(self, subject: Subject) -> tuple[list[Json], list[Json]] | None:
        namespace = get_namespace(subject.holder)
        if namespace not in self.by_object:
            events = self.snapshot.events(namespace)
            self.by_object[namespace] = None if events is None else group_events(events)
        by_object = self.by_object[namespace]
        if by_object is None:
            return None
        parts = {name: each.value for each in (subject, *subject.children) for name in each.part.values()}
        history = History(self.rules, subject.kind.part_of or subject.kind.name, self.functions)
        told = by_object.get(str(get_field(subject.holder, "metadata", "uid")), [])
        own = [event for event in told if not subject.part or event["part"] in (None, *subject.part.values())]
        own.sort(key=get_last_seen, reverse=True)
        present = set(map(id, history.drop_past(told, subject.holder, parts)))
        return own, [event for event in own if id(event) in present]


@dataclass(frozen=True, slots=True)
class Proof:
    """What shows that a step, and so every step before it, was done at a moment."""

    step: int  # its place in the order
    at: float
    part: str | None  # the part (a container) that has taken it; None: the whole object

    def contradicts(self, event: Json, step: int) -> bool:
        """True if an event, by which a step fails, is history because of this. Events tell whole seconds: in the same second, a later
        step has come after it, and the same step may have come before it.
        """
        moment = get_last_seen(event)
        is_later = self.at > moment or (self.at == moment and self.step > step)
        return self.step >= step and is_later and (event["part"] is None or self.part in (None, event["part"]))


class History:
    """The steps that an object of a kind takes, and what its events and the object itself say about them."""

    def __init__(self, rules: Rules, kind: str, functions: Functions) -> None:
        self.parts = {each.name for each in rules.kinds.values() if each.part_of == kind}
        self.steps = [step for step in rules.steps.values() if step.of in (kind, *self.parts)]
        self.functions = functions

    def drop_past(self, events: Sequence[Json], value: Json, parts: Mapping[str, Json]) -> list[Json]:
        """The events about an object without those that are history; `parts` are the parts of it whose own words count, by their names."""
        failures = [(event, self.find_failed_step(event)) for event in events]
        if all(step is None for _, step in failures):
            return list(events)
        proofs = [*self.find_told(events), *self.find_shown(value, parts)]
        return [event for event, step in failures if step is None or not any(proof.contradicts(event, step) for proof in proofs)]

    def find_failed_step(self, event: Json) -> int | None:
        """The place of the first step that fails, according to an event; None if the event speaks of no failure."""
        return next((place for place, step in enumerate(self.steps) if self.says(step.fails, event)), None)

    def find_told(self, events: Iterable[Json]) -> Iterator[Proof]:
        """What events prove. If a step begins or fails, the one before it is done."""
        for event in events:
            for place, step in enumerate(self.steps):
                if self.says(step.passes, event):
                    yield self.prove(place, get_last_seen(event), event["part"])
                elif place and (self.says(step.begins, event) or place == self.find_failed_step(event)):
                    yield self.prove(place - 1, get_last_seen(event), event["part"])

    def prove(self, place: int, at: float, part: str | None) -> Proof:
        return Proof(place, at, part if self.steps[place].of in self.parts else None)

    def find_shown(self, value: Json, parts: Mapping[str, Json]) -> Iterator[Proof]:
        """What the object and its parts show by themselves."""
        for place, step in enumerate(self.steps):
            owners: Iterable[tuple[str | None, Json]] = parts.items() if step.of in self.parts else [(None, value)]
            for part, owner in owners:
                for moment in find_moments(step.seen and step.seen.evaluate(owner, self.functions)):
                    yield Proof(place, moment, part)

    def says(self, expression: Expression | None, event: Json) -> bool:
        return expression is not None and is_true(expression.evaluate(event, self.functions))


def find_moments(value: Json) -> Iterator[float]:
    """The timestamps in a text or in nested lists; what is none is left out."""
    for each in value if isinstance(value, list) else ():
        yield from find_moments(each)
    if isinstance(value, str):
        with suppress(UnreadableError):
            yield parse_timestamp(value)
