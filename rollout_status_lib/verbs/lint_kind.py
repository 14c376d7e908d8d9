"""Checks the expressions of a kind: they begin at the object itself, where rules begin at a root."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from rollout_status_lib.declarations import ROLLBACK_ROOTS, Kind, Rule
from rollout_status_lib.expressions import Expression, Template, shorten
from rollout_status_lib.rules import Rules
from rollout_status_lib.verbs.fields import ALWAYS
from rollout_status_lib.verbs.lint_expression import Fields, Walker
from rollout_status_lib.verbs.lint_null import NOTHING, NullWalker
from rollout_status_lib.verbs.lint_types import check_literals

ROOTS = ("self", "workload", "params", "time")  # what people write there as in rules
OF_OBJECT = ("runs", "progress", "counts", "deadline", "finishes", "desired", "shown")  # expressions of the object alone


def lint_kind(rules: Rules, fields_of_kinds: Mapping[str, Fields], kind: Kind) -> Iterator[str]:
    """What is wrong with the expressions of a kind that a team wrote, each as a line with its place and a remedy."""
    places = rules.files.team_places
    null = Expression.parse("null", kind.name)
    for expression, is_of_object in list_expressions(kind):
        if not expression.where.startswith(places):
            continue
        own: Fields = fields_of_kinds.get(kind.name)
        rule = Rule(kind.name, expression.where, (kind.name,), null, teams=places)
        problems = [describe(expression, problem) for problem in [*check_literals(expression), *find_roots(expression, kind, own)]]
        if not problems and is_of_object and own:
            walker = Walker(rules, fields_of_kinds, rule)
            walker.path.append(expression)
            walker.walk(expression.tree, own)
            problems += walker.problems
        if not problems:
            nulls = NullWalker(rules, rule, fields_of_kinds[ALWAYS])
            nulls.walk_expression(expression, NOTHING)
            problems += nulls.problems
        yield from problems


def describe(expression: Expression, problem: str) -> str:
    return f"{expression.where}: {problem} (in: {shorten(expression.text)})"


def find_roots(expression: Expression, kind: Kind, own: Fields) -> Iterator[str]:
    """Finds a name that is a root in rules, and null here."""
    for root in sorted(expression.roots & {kind.name, *ROOTS} - set(own or ())):
        if root in (kind.name, "self"):
            yield f"{root} is null in a kind, whose expressions begin at the object: write status for {root}.status, and @ for {root}"
        else:
            yield f"{root} is null in a kind, whose expressions see nothing but the object: that belongs into a rule"


def list_expressions(kind: Kind) -> Iterator[tuple[Expression, bool]]:
    """All expressions of a kind but those that have roots, each with whether it begins at the object and reads only that."""
    for field in fields(kind):
        if field.name != "blocked_by":
            for expression in walk_values(getattr(kind, field.name)):
                yield expression, field.name in OF_OBJECT and not kind.part_of


def walk_values(value: Any) -> Iterator[Expression]:
    """The expressions in a value of a kind, also those of its parts; not those about a way back, which have roots."""
    if isinstance(value, Expression):
        yield value
    elif isinstance(value, Template):
        yield from (part for part in value.parts if isinstance(part, Expression) and not part.roots & {*ROLLBACK_ROOTS})
    elif isinstance(value, Mapping):
        yield from (each for entry in value.values() for each in walk_values(entry))
    elif isinstance(value, tuple):
        yield from (each for entry in value for each in walk_values(entry))
    elif is_dataclass(value):
        for field in fields(value):
            if field.name != "can_roll_back":
                yield from walk_values(getattr(value, field.name))
