"""The tree of subjects: each workload with what it owns in its current revision."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from rollout_status_lib import Json
from rollout_status_lib.declarations import Current, Kind
from rollout_status_lib.errors import EvaluationError
from rollout_status_lib.expressions import Expression, Template
from rollout_status_lib.functions import Functions
from rollout_status_lib.objects import drop_field, fill_zero, get_controller, get_creation_time, get_field, get_identity, get_name
from rollout_status_lib.rules import Rules
from rollout_status_lib.source import Snapshot

Lineage = tuple[tuple[str, Json], ...]  # name of the kind and object, from the workload down to the subject itself


@dataclass(frozen=True, slots=True, eq=False)
class Subject:
    """What a rule speaks about: an object of a declared kind, or a part of one (a container), and what it owns."""

    kind: Kind
    value: Json
    key: str  # the same in the next snapshot, and different from that of every other subject
    lineage: Lineage
    owned: tuple[Json, ...]  # what it owns directly, of the current revision
    old: tuple[Json, ...]  # everything below it that belongs to other revisions
    children: tuple[Subject, ...]
    blocked: Template | None  # the end of messages about it, if it is judged only because it blocks an update
    exists: bool = True  # False for what is only referred to
    doubts: tuple[EvaluationError, ...] = ()  # what a team wrote about its kind and has no value for it

    @staticmethod
    def of(kind: Kind, value: Json, key: str = "") -> Subject:
        """An object by itself: nothing owns it, and it owns nothing. `key` is its identity if it has none else."""
        return Subject(kind, value, key or get_identity(value), ((kind.name, value),), (), (), (), None)

    @property
    def workload(self) -> Json:
        return self.lineage[0][1]

    @property
    def holder(self) -> Json:
        """The object itself; for a part, the object that it is a part of."""
        return self.lineage[-2][1] if self.kind.part_of else self.value

    @property
    def part(self) -> dict[str, str]:
        """For a part its kind and name, like {"container": "main"}; empty for an object."""
        return {self.kind.name: str(get_field(self.value, "name"))} if self.kind.part_of else {}


def has_owners(lineage: Lineage, owners: Lineage) -> bool:
    """True if a subject with this lineage has these very owners: the same objects, not equal ones."""
    return len(lineage) == len(owners) + 1 and all(one is other for (_, one), (_, other) in zip(lineage, owners, strict=False))


class Tree:
    """Builds the subjects of a snapshot: each workload with what it owns, of its current revision and of others."""

    def __init__(self, rules: Rules, snapshot: Snapshot, functions: Functions, before: Mapping[str, tuple[Json, Subject]]) -> None:
        self.rules, self.kinds, self.functions = rules, rules.kinds, functions
        self.before = before  # key -> object and subject of the snapshot before: what has not changed is not built anew
        self.grown: dict[str, tuple[Json, Subject]] = {}
        self.part_kinds: dict[str, list[Kind]] = {}  # name of a kind -> the kinds of its parts
        for each in rules.kinds.values():
            self.part_kinds.setdefault(each.part_of, []).append(each)
        self.owned: dict[str, list[tuple[Kind, Json]]] = {}
        for resource in sorted(snapshot.objects, key=lambda resource: (get_creation_time(resource), get_name(resource))):
            kind, controller = rules.find_kind(resource), get_controller(resource)
            if kind and controller:
                self.owned.setdefault(str(get_field(controller, "uid")), []).append((kind, resource))

    def grow(self, kind: Kind, resource: Json, above: Lineage = (), blocked: Template | None = None) -> Subject:
        """The subject of an object, with everything below it.

        An object that owns itself is not below itself; only a recording that was written by hand has one.
        """
        key = get_identity(resource)
        same, before = self.before.get(key, (None, None))
        if before and same is resource and not kind.owns and before.blocked is blocked and has_owners(before.lineage, above):
            self.grown[key] = (resource, before)
            return before
        value = before.value if before and same is resource else functools.reduce(fill_zero, kind.zero, resource)
        lineage = (*above, (kind.name, value))
        doubts: list[EvaluationError] = []
        current, others = self.revisions(kind, value, doubts) if kind.owns else ([], [])
        owners = {get_identity(owner) for _, owner in lineage} if kind.owns else set()
        children = [self.grow(child, entry, lineage, blocked) for child, entry in current if get_identity(entry) not in owners]
        old = [entry for _, other in others for entry in self.all_below(other, owners)]
        owned = tuple(child.value for child in children)
        if kind.blocked_by:
            seen = {"self": value, "old": [entry for _, entry in others]}
            in_the_way = self.read(kind.blocked_by, seen, doubts) or []
            children += [self.grow(child, entry, lineage, kind.blocked) for child, entry in others if entry in in_the_way]
        below = (*self.parts(kind, value, lineage, blocked, doubts), *children)
        subject = Subject(kind, value, key, lineage, owned, tuple(old), below, blocked, doubts=tuple(doubts))
        self.grown[key] = (resource, subject)
        return subject

    def read(self, expression: Expression, value: Json, doubts: list[EvaluationError]) -> Json:
        """What a kind's expression gives for an object; null, and one more of its doubts, if a team wrote one that has no value."""
        try:
            return expression.evaluate(value, self.functions)
        except EvaluationError as error:
            self.rules.doubt(error, self.functions)
            doubts.append(error)
            return None

    def revisions(self, kind: Kind, value: Json, doubts: list[EvaluationError]) -> tuple[list[tuple[Kind, Json]], list[tuple[Kind, Json]]]:
        """What an object owns directly, each with its kind: first of its current revision, then of other revisions."""
        children = [(child, entry) for child, entry in self.owned.get(get_identity(value), ()) if child.name in kind.owns]
        parent = {**value, "owned": [entry for _, entry in children]}
        for way in kind.current:
            wanted = drop_field(self.read(way.of_parent, parent, doubts), way.without)
            if wanted not in (None, {}):
                same = [(child, entry) for child, entry in children if child.name == way.child and self.is_same(way, entry, wanted, doubts)]
                current = same[:1] if self.kinds[way.child].owns else same  # of equal controllers the oldest counts, as for the API server
                return current, [each for each in children if all(each[1] is not chosen for _, chosen in current)]
        return ([], children) if kind.current else (children, [])

    def is_same(self, way: Current, child: Json, wanted: Json, doubts: list[EvaluationError]) -> bool:
        return bool(drop_field(self.read(way.of_child, child, doubts), way.without) == wanted)

    def all_below(self, value: Json, seen: set[str]) -> Iterator[Json]:
        """The object and everything below it, of any revision."""
        if get_identity(value) not in seen:
            yield value
            for _, entry in self.owned.get(get_identity(value), ()):
                yield from self.all_below(entry, {*seen, get_identity(value)})

    def parts(
        self, kind: Kind, value: Json, lineage: Lineage, blocked: Template | None, doubts: list[EvaluationError]
    ) -> Iterator[Subject]:
        """The parts of an object. A part is its spec and its status in one; where both have a field, the spec's counts."""
        for part_kind in self.part_kinds.get(kind.name, ()):
            for part in part_kind.parts:
                statuses = self.members(part.status, value, doubts)
                for spec in self.members(part.spec, value, doubts):
                    status = next((each for each in statuses if each.get("name") == spec.get("name")), {})
                    added = {name: self.read(expression, spec, doubts) for name, expression in part.add.items()}
                    whole = {**status, **spec, **added}
                    key = f"{get_identity(value)}/{whole.get('name')}"
                    yield Subject(part_kind, whole, key, (*lineage, (part_kind.name, whole)), (), (), (), blocked)

    def members(self, path: Expression, value: Json, doubts: list[EvaluationError]) -> list[dict[str, Json]]:
        """The objects in the list at a path. What is no object becomes an empty one, so that it is missed and waited for."""
        found = self.read(path, value, doubts)
        members = [] if found is None else found if isinstance(found, list) else [found]
        return [each if isinstance(each, dict) else {} for each in members]


def walk_subjects(subject: Subject) -> Iterator[Subject]:
    """A subject and everything below it."""
    yield subject
    for child in subject.children:
        yield from walk_subjects(child)
