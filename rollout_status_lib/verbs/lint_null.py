"""Finds what has no value where a field is missing: null in an ordering, or for a function that takes none."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager

from rollout_status_lib import Json
from rollout_status_lib.declarations import Rule
from rollout_status_lib.expressions import Expression, shorten
from rollout_status_lib.functions import Functions
from rollout_status_lib.interpreter import get_names, walk_nodes
from rollout_status_lib.rules import Rules
from rollout_status_lib.verbs.lint_types import write

Facts = frozenset[str]  # the spellings of what is known not to be null

ALWAYS = tuple(f"metadata.{name}" for name in ("name", "uid", "generation", "creationTimestamp", "resourceVersion"))
NEVER_NULL = tuple(f"events.{name}" for name in ("count", "type", "reason", "message", "firstSeen", "lastSeen"))
ORDERS = ("lt", "lte", "gt", "gte")
# Functions that are true only if their first argument is not null, and those that never give null
TELLING = ("exceeds", "reached", "contains", "starts_with", "ends_with", "mentions", "among")
LISTING = ("entries", "split", "keys", "map", "sort", "sort_by", "to_array", "values")
GIVING = (*TELLING, *LISTING, "join", "length", "sum", "to_string", "type")
EMPTY = {"array": "`[]`", "object": "`{}`", "string": "''", "number": "`0`", "boolean": "`false`"}
NOTHING: Facts = frozenset()


def find_nulls(rules: Rules, rule: Rule, always: Mapping[str, Collection[str]]) -> list[str]:
    """A line for each place in a team's rule that has no value if a field is missing. What a condition makes sure of does not count.

    `always` has the paths that each object of a kind has.
    """
    walker = NullWalker(rules, rule, always)
    held = walker.find_held() | walker.find_filtered(rule.each)
    given = walker.tell(rule.when, held, True)
    known = given | walker.tell(rule.given, given, True)
    judged = known | walker.tell(rule.unless, known, False)
    templates = [part for template in (rule.code, rule.message, rule.hint) for part in (template.parts if template else ())]
    for expression, facts in (
        (rule.each, held),
        (rule.when, held),
        (rule.given, given),
        (rule.unless, known),
        *((each, judged) for each in (rule.fail_when, rule.fail_after, rule.since, *templates)),
    ):
        if isinstance(expression, Expression):
            walker.walk_expression(expression, facts)
    return list(dict.fromkeys(walker.problems))


class NullWalker:
    """Walks the expressions of one rule with what is known at each place."""

    def __init__(self, rules: Rules, rule: Rule, always: Mapping[str, Collection[str]]) -> None:
        self.rules, self.rule, self.always = rules, rule, always
        self.lets: Mapping[str, Expression] = rule.let  # without those that are being read
        self.problems: list[str] = []
        self.expression = rule.when  # that is walked
        self.seen: set[tuple[str, Facts]] = set()  # lets that were walked, and what was known then
        self.learnt: dict[tuple[int, Facts, int], tuple[Facts, Facts]] = {}  # node, what was known, lets -> what it tells
        self.held = {
            name for each in rules.rules.values() if each.verdict == "hold" for name in each.subjects
        }  # kinds that wait for a status

    def find_held(self) -> Facts:
        """What is known since the rules that hold its subject do not: this one would not be asked."""
        if self.rule.verdict in ("hold", "ignore"):
            return NOTHING
        facts: set[str] = set()
        for other in self.rules.rules.values():
            if (
                other.verdict == "hold"
                and set(self.rule.subjects) <= set(other.subjects)
                and not (other.given or other.unless or other.each)
            ):
                facts |= NullWalker(self.rules, other, self.always).tell(other.when, NOTHING, False)
        return frozenset(facts)

    def find_filtered(self, each: Expression | None) -> Facts:
        """What is known of `each`, by the filter of its list."""
        filters = [node for node in (walk_nodes(each.tree) if each else ()) if node["type"] == "filter_projection"]
        before, self.lets = self.lets, {}
        known = self.learn(filters[0]["children"][2], NOTHING)[0] if filters else NOTHING
        self.lets = before
        return frozenset(f"each.{name}" for name in known)

    # --------------------------------------------------------------------------------------------------- what is known

    def tell(self, expression: Expression | None, facts: Facts, wanted: bool) -> Facts:
        """What is known when an expression is true, or, if that is not `wanted`, when it is not."""
        return self.learn(expression.tree, facts)[not wanted] if expression else NOTHING

    def learn(self, node: Json, facts: Facts) -> tuple[Facts, Facts]:
        """What is known when a node is true, and when it is not."""
        key = (id(node), facts, len(self.lets))
        if key not in self.learnt:
            self.learnt[key] = self.learn_anew(node, facts)
        return self.learnt[key]

    def learn_anew(self, node: Json, facts: Facts) -> tuple[Facts, Facts]:
        kind, children = node["type"], node["children"]
        if kind == "not_expression":
            return self.learn(children[0], facts)[::-1]
        if kind in ("and_expression", "or_expression"):
            is_true, is_false = self.learn(children[0], facts)
            if kind == "and_expression":
                also, not_so = self.learn(children[1], facts | is_true)
                return is_true | also, is_false & (is_true | not_so)
            also, not_so = self.learn(children[1], facts | is_false)
            return is_true & (is_false | also), is_false | not_so
        if kind == "comparator":
            return self.learn_comparison(node, facts)
        if kind == "function_expression":
            return self.name(children[0]) if node["value"] in TELLING and children else NOTHING, NOTHING
        if kind == "field" and node["value"] in self.lets:
            with self.reading(node["value"]) as tree:
                is_true, is_false = self.learn(tree, facts)
            return is_true | self.name(node), is_false
        return self.name(node), NOTHING

    def learn_comparison(self, node: Json, facts: Facts) -> tuple[Facts, Facts]:
        left, right = node["children"]
        if node["value"] in ORDERS:  # made at all, neither side was null
            both = self.name(left) | self.name(right)
            is_sized = node["value"] in ("gt", "gte") and left.get("value") == "length" and left["children"]
            return both | (self.name(left["children"][0]) if is_sized else NOTHING), both
        is_equal = differs = NOTHING
        for side, other in ((left, right), (right, left)):
            if (other["type"] == "literal" and other["value"] is None) or get_names(other) == ("null",):
                differs |= self.name(side)
            elif not self.may_be_null(other, facts):
                is_equal |= self.name(side)
        return (is_equal, differs) if node["value"] == "eq" else (differs, is_equal)

    @contextmanager
    def reading(self, name: str) -> Iterator[Json]:
        """The tree of a `let`. It is out of the way meanwhile: one that names itself means the root of that name."""
        before, self.lets = self.lets, {other: each for other, each in self.lets.items() if other != name}
        try:
            yield before[name].tree
        finally:
            self.lets = before

    def name(self, node: Json) -> Facts:
        """The spelling of a node, and of all above it that cannot be null if it is not."""
        spelt = self.spell(node)
        names = spelt.split(".") if get_names(node) else []
        return frozenset([spelt, *(".".join(names[:end]) for end in range(1, len(names)))])

    def spell(self, node: Json) -> str:
        """What stands for a node in the facts: for a path its names, from a root on."""
        names = get_names(node)
        if not names:
            return json.dumps(node, sort_keys=True)
        first, rest = names[0], names[1:]
        if first in self.lets:
            with self.reading(first) as tree:
                return ".".join([self.spell(tree), *rest])
        return ".".join([self.rule.subjects[0] if first == "self" and len(self.rule.subjects) == 1 else first, *rest])

    def may_be_null(self, node: Json, facts: Facts) -> bool:
        kind, children, spelt = node["type"], node["children"], self.spell(node)
        if spelt in facts:
            return False
        if kind == "literal":
            return node["value"] is None
        if kind == "or_expression":
            return self.may_be_null(children[1], facts | self.learn(children[0], facts)[1])
        if kind == "and_expression":
            return self.may_be_null(children[0], facts) or self.may_be_null(children[1], facts | self.learn(children[0], facts)[0])
        if kind == "function_expression":
            name = node["value"]
            if name in ("age", "subtract", "abs", "ceil", "floor"):
                return any(self.may_be_null(child, facts) for child in children)
            if name == "not_null":
                return all(self.may_be_null(child, facts) for child in children)
            if name in ("min", "max", "avg"):
                return not (children[0]["type"] == "multi_select_list" and children[0]["children"])
            return name not in GIVING
        if kind in ("comparator", "not_expression", "multi_select_list", "multi_select_dict"):
            return False
        if "projection" in kind or kind == "flatten":
            return self.may_be_null(children[0], facts)
        if kind == "field" and node["value"] in self.lets:
            with self.reading(node["value"]) as tree:
                return self.may_be_null(tree, facts)
        return not get_names(node) or not self.is_always(spelt, facts)

    def is_always(self, path: str, facts: Facts) -> bool:
        """True if a path is never null: of a parameter, a time, an object that is there, or a counter whose 0 is filled in."""
        root, _, rest = path.partition(".")
        if root in ("params", "time", "call") or path in NEVER_NULL:
            return True
        kinds = self.rule.subjects if root == "self" else [root]
        children = {way.child for name in self.rule.subjects if name in self.rules.kinds for way in self.rules.kinds[name].current}
        is_there = root not in children or root in facts  # a controller of the current revision may not be there yet
        return is_there and all(self.is_always_of(kind, rest, path.rpartition(".")[0] in facts) for kind in kinds)

    def is_always_of(self, name: str, path: str, is_owner_there: bool) -> bool:
        """True if objects of a kind always have a path, or a 0 is filled in for it, which needs what it is a field of to be there."""
        kind = self.rules.kinds.get(name)
        if kind and tuple(path.split(".")) in kind.zero and (name in self.held or is_owner_there):
            return True
        return kind is not None and (not path or path in ALWAYS or path in self.always.get(name, ()))

    # ----------------------------------------------------------------------------------------------------------- walking

    def walk_expression(self, expression: Expression, facts: Facts) -> None:
        before, self.expression = self.expression, expression
        self.walk(expression.tree, facts)
        self.expression = before

    def walk(self, node: Json, facts: Facts) -> None:
        kind, children = node["type"], node["children"]
        if kind in ("and_expression", "or_expression"):
            self.walk(children[0], facts)
            self.walk(children[1], facts | self.learn(children[0], facts)[kind == "or_expression"])
            return
        if kind == "field" and node["value"] in self.lets:
            self.walk_let(node["value"], facts)
            return
        if kind == "comparator" and node["value"] in ORDERS:
            self.check_order(node, facts)
        if kind == "function_expression":
            self.check_arguments(node, facts)
        is_chain = "projection" in kind or kind in ("subexpression", "index_expression", "pipe", "flatten")
        for index, child in enumerate(children):
            if isinstance(child, dict):
                if child["type"] == "expref" or (is_chain and index):
                    self.walk_entries(child, children[0])
                else:
                    self.walk(child, facts)

    def walk_let(self, name: str, facts: Facts) -> None:
        if (name, facts) not in self.seen:
            self.seen.add((name, facts))
            expression = self.lets[name]
            with self.reading(name):
                self.walk_expression(expression, facts)

    def walk_entries(self, node: Json, owner: Json) -> None:
        """Walks what is about the entries of a list: names are theirs."""
        before, self.lets = self.lets, {}
        self.walk(node, frozenset(name.partition(".")[2] for name in NEVER_NULL) if self.spell(owner) == "events" else NOTHING)
        self.lets = before

    def report(self, problem: str) -> None:
        if self.expression.where.startswith(self.rule.teams):
            self.problems.append(f"{self.expression.where}: {problem} (in: {shorten(self.expression.text)})")

    def check_order(self, node: Json, facts: Facts) -> None:
        sides = node["children"]
        for side, other in (sides, sides[::-1]):
            if self.may_be_null(side, facts):
                path, texts = write(side), [write(each) for each in (sides if node["value"] in ("gt", "gte") else sides[::-1])]
                is_wait = self.rule.verdict in ("wait", "hold") and self.expression in (self.rule.when, *self.rule.let.values())
                if other["type"] == "literal" and isinstance(other["value"], str):
                    remedy = f"{path or '...'} != null && before it"
                elif is_wait or not all(texts):
                    remedy = f"not_null({path or '...'}, `0`)"
                else:
                    remedy = f"{'exceeds' if node['value'] in ('gt', 'lt') else 'reached'}({', '.join(texts)}), which is false then"
                self.report(f"{path or 'what is compared'} may be null, which has no order: write {remedy}")

    def check_arguments(self, node: Json, facts: Facts) -> None:
        """Reports an argument that may be null, of a function that takes none."""
        for argument, parameter in zip(node["children"], Functions.FUNCTION_TABLE[node["value"]]["signature"], strict=False):
            types: Collection[str] = [each.partition("-")[0] for each in parameter["types"]]
            if types and not {"null", "expref"} & set(types) and argument["type"] != "expref" and self.may_be_null(argument, facts):
                path = write(argument)
                self.report(
                    f"{path or 'its argument'} may be null, which {node['value']}() does not take: "
                    f"write not_null({path or '...'}, {EMPTY[next(iter(types))]})"
                )
