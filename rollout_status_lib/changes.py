"""What differs between two revisions of a workload, and the command that goes back."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from rollout_status_lib import Json
from rollout_status_lib.commands import add_kubectl_flags
from rollout_status_lib.declarations import Kind, Revisions
from rollout_status_lib.findings import Workload
from rollout_status_lib.functions import Functions, is_true
from rollout_status_lib.interpreter import get_names
from rollout_status_lib.objects import drop_field, get_controller, get_field, get_identity, get_namespace
from rollout_status_lib.rules import Rules
from rollout_status_lib.source import Snapshot, Source
from rollout_status_lib.values import format_value


@dataclass(frozen=True, slots=True, eq=False)
class Change:
    """The step from an earlier revision of a workload to its current one: the earlier one's number, and both templates."""

    number: int
    before: Json
    after: Json

    @staticmethod
    def of(workload: Workload, revisions: Revisions, kept: Iterable[Json], functions: Functions) -> Change | None:
        """The step from the newest revision with another template; a revision that still serves is preferred. None without one.

        `kept` are the objects in which the workload keeps its revisions.
        """
        after = drop_field(revisions.current.evaluate(workload.value, functions), revisions.without)
        others = []
        for each in kept:
            number = revisions.number.evaluate(each, functions)
            before = drop_field(revisions.template.evaluate(each, functions), revisions.without)
            if type(number) is int and isinstance(before, dict) and isinstance(after, dict) and before != after:
                serves = revisions.serves is not None and is_true(revisions.serves.evaluate(each, functions))
                others.append((serves, number, before))
        if not others:
            return None
        _, number, before = max(others, key=lambda each: each[:2])
        return Change(number, before, after)


def describe_changes(change: Change, kinds: Mapping[str, Kind], makes: str, functions: Functions) -> Iterator[str]:
    """A line for each difference, like `image app:v1 -> app:v2` or `env DB_URL added`. With several parts, the line names its part."""
    sides = (change.before, change.after)
    parts = [(kind, part) for kind in kinds.values() if kind.part_of == makes for part in kind.parts]
    found = [
        {name: (kind, each) for kind, part in parts for name, each in index_by_name(part.spec.evaluate(side, functions)).items()}
        for side in sides
    ]
    names = found[0] | found[1]
    for name, (kind, _) in names.items():
        if any(name not in side for side in found):
            yield f"{kind.name} {name} {'added' if name in found[1] else 'removed'}"
        else:
            lines = describe_differences(
                "", [side[name][1] for side in found], get_shown(kind, [side[name][1] for side in found], functions)
            )
            yield from (f"{name}: {line}" if len(names) > 1 else line for line in lines)
    paths = [get_names(part.spec.tree) for _, part in parts]
    rest = [functools.reduce(drop_field, paths, side) for side in sides]
    shown = get_shown(kinds[makes], rest, functions)
    for key in rest[0] | rest[1]:  # its metadata and its spec
        yield from describe_differences("", [side.get(key, {}) for side in rest], [get_field(side, key) for side in shown])


def get_shown(kind: Kind, sides: Iterable[Json], functions: Functions) -> list[Json]:
    """What a report may show of each of the values; secrets are not in it."""
    return [kind.shown.evaluate(side, functions) if kind.shown else None for side in sides]


def index_by_name(entries: Json) -> dict[str, Json]:
    """The entries of a list by their names; empty if an entry has no name, or two have the same."""
    names = [get_field(each, "name") for each in entries] if isinstance(entries, list) else []
    is_named = all(isinstance(name, str) for name in names) and len(set(names)) == len(names)
    return dict(zip(names, entries, strict=True)) if is_named and names else {}


def describe_differences(path: str, sides: Sequence[Json], shown: Sequence[Json]) -> Iterator[str]:
    """A line for each field in which two values differ; None stands for a missing one. Old and new value are in it if `shown` has them."""
    before, after = sides
    if before == after:
        return
    named = [index_by_name(side) for side in sides]
    is_shown_whole = None in sides and shown != [None, None]
    if all(isinstance(each, dict) for each in (*sides, *shown) if each is not None) and not is_shown_whole:
        for key in {key: None for each in (*shown, *sides) for key in each or ()}:
            below = [get_field(each, key) for each in sides], [get_field(each, key) for each in shown]
            yield from describe_differences(f"{path}.{key}" if path else key, *below)
    elif shown == [None, None] and all(name or side is None for name, side in zip(named, sides, strict=True)):
        for name in named[0] | named[1]:
            if named[0].get(name) != named[1].get(name):
                yield f"{path} {name} {describe_change([side.get(name) for side in named])}"
    else:
        values = [format_value(drop_field(each, ())) for each in shown if each is not None]
        both = f" {' -> '.join(values)}" if len(set(values)) > 1 else ""
        yield f"{path}{both or f' {describe_change(sides)}'}{f': {values[0]}' if len(values) == 1 else ''}"


def describe_change(sides: Sequence[Json]) -> str:
    return "added" if sides[0] is None else "removed" if sides[1] is None else "changed"


@functools.lru_cache(maxsize=1)
def index_listed(snapshot: Snapshot) -> dict[str, list[Json]]:
    """The objects of a snapshot by the uid of what controls them; it is made once for all workloads that failed."""
    return index_by_controller(snapshot.objects)


@functools.lru_cache(maxsize=1000)
def index_kept(read: Callable[[Kind, str], Iterable[Json]], kind: Kind, namespace: str) -> dict[str, list[Json]]:
    """The same for the objects of a kind that is not listed with the others: they are read once for each namespace."""
    return index_by_controller(read(kind, namespace))


def index_by_controller(objects: Iterable[Json]) -> dict[str, list[Json]]:
    index: dict[str, list[Json]] = {}
    for each in objects:
        index.setdefault(str(get_field(get_controller(each), "uid")), []).append(each)
    return index


def find_changes(workload: Workload, rules: Rules, snapshot: Snapshot, source: Source) -> tuple[dict[str, Json], list[Json]]:
    """The fields `changes` (since an earlier revision) and `rollback` (the command that goes back to it) of a workload's entry.

    Either is left out if there is nothing to say. The second value are the revisions that had to be read for it.
    """
    revisions, subject, functions = workload.kind.revisions, workload.subject, Functions(snapshot.at)
    if not revisions:
        return {}, []
    kind = rules.kinds[revisions.kept_in]
    more = {} if kind.listed else index_kept(source.kept, kind, get_namespace(subject.value))
    owned = [each for index in (index_listed(snapshot), more) for each in index.get(get_identity(subject.value), ())]
    kept = [each for each in owned if rules.find_kind(each) is kind]
    change = Change.of(workload, revisions, kept, functions)
    if not change:
        return {}, []
    found: dict[str, Json] = {}
    if lines := list(describe_changes(change, rules.kinds, revisions.makes, functions)):
        found["changes"] = lines
    scope = {"self": subject.value, "owned": list(subject.owned), "old": list(subject.old), "revision": change.number}
    is_possible = revisions.can_roll_back is None or is_true(revisions.can_roll_back.evaluate(scope, functions))
    if revisions.rollback and is_possible:
        found["rollback"] = add_kubectl_flags(revisions.rollback.fill(lambda each: each.evaluate(scope, functions)), source.flags)
    return found, [] if kind.listed else kept
