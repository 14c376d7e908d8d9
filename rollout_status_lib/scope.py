"""What the expressions of a rule see of a subject."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from rollout_status_lib import Json
from rollout_status_lib.declarations import Rule, describe_cycle
from rollout_status_lib.errors import suggest
from rollout_status_lib.expressions import Expression, Template
from rollout_status_lib.functions import Functions, is_true
from rollout_status_lib.interpreter import RootError, Roots
from rollout_status_lib.objects import get_field
from rollout_status_lib.subjects import Lineage


class Reads:
    """Which values expressions have read outside of a subject itself: as long as they are the same, so is the judgement."""

    ROOTS = ("workload", "params", "applied", "first", "time")
    __slots__ = ("names", "values")

    def __init__(self, owners: Lineage) -> None:
        self.names = {*Reads.ROOTS, *(name for name, _ in owners)}
        self.values: dict[tuple[str, ...], Json] = {}  # path -> value

    def are_same(self, roots: Mapping[str, Json]) -> bool:
        """True if each of these values is the same now."""
        return all(get_field(roots, *path) == value for path, value in self.values.items())


class View:
    """What all rules about a subject share: the roots that they see, and the values of their `let` that were worked out already."""

    __slots__ = ("lets", "reads", "roots")

    def __init__(self, roots: dict[str, Json], reads: Reads | None = None) -> None:
        self.roots, self.reads = roots, reads
        self.lets: dict[Expression, Json] = {}  # only of those that give the same for all rules


class Scope(Roots):
    """What the expressions of one rule see of a subject: the names at their root."""

    __slots__ = ("events_of", "functions", "lets", "roots", "rule", "seen_events", "used_of", "view")

    def __init__(self, view: View, rule: Rule, functions: Functions) -> None:
        self.view, self.roots, self.rule, self.lets, self.functions = view, view.roots, rule, rule.let, functions
        self.events_of: Callable[[str], Json] | None = None  # set once the rule's state is present: only then are events worth a call
        self.used_of: Callable[[], Json] | None = None  # as well: what the subject uses
        self.seen_events: Json = None

    def at(self, name: str, path: tuple[str, ...]) -> Json:
        """The value at a path below a name; an unknown name is an error, never null."""
        reads = None
        if name in self.lets:
            value = self.let(name)
        elif name in self.roots:
            value, reads = self.roots[name], self.view.reads
        else:
            value = self.other(name)
        for key in path:
            if not isinstance(value, dict):
                value = None
                break
            value = value.get(key)
        if reads and name in reads.names:
            reads.values[(name, *path)] = value
        return value

    def let(self, name: str) -> Json:
        expression = self.lets[name]
        if name in self.rule.common:
            if expression not in self.view.lets:
                self.view.lets[expression] = self.evaluate(expression)
            return self.view.lets[expression]
        # out of the way while it is evaluated: a `let` that names itself means the root of that name
        self.lets = {other: each for other, each in self.lets.items() if other != name}
        value = self.evaluate(expression)
        self.roots = {**self.roots, name: value}
        return value

    def other(self, name: str) -> Json:
        if name not in ("events", "history", "used"):
            cycle = describe_cycle(name, self.rule.let) if name in self.rule.let else ""
            raise RootError(f"no root {name}{cycle or suggest(name, [*self.roots, *self.lets])}")
        if self.events_of is None:
            raise RootError(f"`when` cannot use {name}: it decides whether they are fetched")
        found = self.events_of(name) if name != "used" else self.used_of and self.used_of()
        self.seen_events = found if name == "events" else self.seen_events
        self.roots = {**self.roots, name: found}
        return found

    def evaluate(self, expression: Expression) -> Json:
        return expression.evaluate(self, self.functions)

    def holds(self, expression: Expression | None) -> bool:
        """True if there is an expression, and it is true."""
        return expression is not None and is_true(self.evaluate(expression))

    def fill(self, template: Template | None) -> str:
        return template.fill(self.evaluate) if template else ""
