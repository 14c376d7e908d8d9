"""A Python function for each node of a JMESPath expression."""

from __future__ import annotations

import json
import operator
from collections.abc import Callable, Collection, Iterator
from typing import Any

import jmespath.exceptions
import jmespath.functions
import jmespath.parser

from rollout_status_lib import Json
from rollout_status_lib.errors import suggest
from rollout_status_lib.functions import Functions, OrderError, is_true


class Grammar(jmespath.parser.Parser):
    """JMESPath, where `!` binds the whole path that follows it: jmespath 1.1.0 reads `!a.b` as `(!a).b`, which is null."""

    BINDING_POWER = {**jmespath.parser.Parser.BINDING_POWER, "not": 8}  # noqa: RUF012, below `[]`, above `==`
    _CACHE: dict[str, Any] = {}  # noqa: RUF012, not the one of the parser that binds otherwise


class Roots:
    """What an expression is evaluated for, where the names at its root are looked up instead of being keys."""

    __slots__ = ()

    def at(self, name: str, path: tuple[str, ...]) -> Json:
        """The value at a path below a name; an unknown name is an error, never null."""
        raise NotImplementedError


Evaluate = Callable[[Json, Functions], Json]  # of a node: what it gives for a value


def compile_node(node: Json) -> Evaluate:
    """What a node of JMESPath's tree means. JMESPath's own visitor gives the same, in three times the time; but ordering
    what cannot be ordered is an error here: null would silently be no match.
    """
    children = [compile_node(child) if isinstance(child, dict) else child for child in node["children"]]
    return COMPILERS[node["type"]](node, *children)


def compile_sequence(node: Json, *steps: Evaluate) -> Evaluate:
    if path := get_names(node):
        return compile_path(path)

    def run(value: Json, functions: Functions) -> Json:
        for step in steps:
            value = step(value, functions)
        return value

    return run


def get_names(node: Json) -> tuple[str, ...]:
    """The names of which a node consists, as in `a.b.c`; none when it is more than names."""
    if node["type"] == "field":
        return (node["value"],)
    paths = [get_names(child) for child in node["children"]] if node["type"] == "subexpression" else []
    return tuple(name for path in paths for name in path) if all(paths) else ()


def compile_path(path: tuple[str, ...]) -> Evaluate:
    first, rest = path[0], path[1:]

    def run(value: Json, _: Functions) -> Json:
        if isinstance(value, Roots):
            return value.at(first, rest)
        for name in path:
            if not isinstance(value, dict):
                return None
            value = value.get(name)
        return value

    return run


def compile_index(node: Json) -> Evaluate:
    at = node["value"]
    return lambda value, _: value[at] if isinstance(value, list) and -len(value) <= at < len(value) else None


def compile_comparator(node: Json, left: Evaluate, right: Evaluate) -> Evaluate:
    order = node["value"]
    if order in ("eq", "ne"):
        wanted = order == "eq"
        if get_names(node["children"][1]) == ("null",):  # the most frequent of all
            return lambda value, functions: (left(value, functions) is None) is wanted
        return lambda value, functions: is_equal(left(value, functions), right(value, functions)) is wanted

    def run(value: Json, functions: Functions) -> bool:
        sides = left(value, functions), right(value, functions)
        if {type(side) for side in sides} <= {int, float} or all(isinstance(side, str) for side in sides):
            return bool(ORDERS[order](*sides))
        told = [(format_path(child), json.dumps(side)) for child, side in zip(node["children"], sides, strict=True)]
        paths = [value if path == value else f"{path} = {value}" for path, value in told]
        raise OrderError(f"two numbers or two texts can be ordered, not {' and '.join(paths)}")

    return run


def is_equal(left: Json, right: Json) -> bool:
    """JMESPath's equality: true and 1 are not the same."""
    return isinstance(left, bool) is isinstance(right, bool) and bool(left == right)


def compile_projection(_: Json, base: Evaluate, each: Evaluate, condition: Evaluate | None = None) -> Evaluate:
    def run(value: Json, functions: Functions) -> Json:
        entries = base(value, functions)
        if not isinstance(entries, list):
            return None
        chosen = (entry for entry in entries if condition is None or is_true(condition(entry, functions)))
        return [found for entry in chosen if (found := each(entry, functions)) is not None]

    return run


def compile_value_projection(_: Json, base: Evaluate, each: Evaluate) -> Evaluate:
    return compile_projection(
        _, lambda value, functions: list(found.values()) if isinstance(found := base(value, functions), dict) else None, each
    )


def compile_flatten(_: Json, base: Evaluate) -> Evaluate:
    def run(value: Json, functions: Functions) -> Json:
        entries = base(value, functions)
        if not isinstance(entries, list):
            return None
        return [part for entry in entries for part in (entry if isinstance(entry, list) else [entry])]

    return run


def compile_function(node: Json, *arguments: Evaluate) -> Evaluate:
    name, known = node["value"], Functions.FUNCTION_TABLE
    if name not in known:
        raise jmespath.exceptions.UnknownFunctionError(f"no function {name}(){suggest(name, known)}")
    spec = known[name]
    kinds = [get_type_names(each["types"]) for each in spec["signature"]]
    plain = len(kinds) == len(arguments) and None not in kinds  # JMESPath's own check is slow, and tells what is wrong

    def run(value: Json, functions: Functions) -> Json:
        given = [argument(value, functions) for argument in arguments]
        if plain:
            for each, known in zip(given, kinds, strict=True):
                if known and type(each).__name__ not in known:
                    break
            else:
                return spec["function"](functions, *given)
        return functions.call_function(name, given)

    return run


def get_type_names(types: Collection[str]) -> Collection[str] | None:
    """The names of the types of Python that JMESPath's types are; None for those that say what is in a list."""
    return None if any("-" in each for each in types) else {name for each in types for name in jmespath.functions.REVERSE_TYPES_MAP[each]}


class Reference:
    """An `&expression`, as functions like sort_by take it."""

    def __init__(self, expression: Evaluate, functions: Functions) -> None:
        self.expression, self.functions = expression, functions

    def visit(self, expression: Evaluate, value: Json) -> Json:
        return expression(value, self.functions)


Reference.__name__ = "_Expression"  # JMESPath tells types by their names


ORDERS = {"lt": operator.lt, "lte": operator.le, "gt": operator.gt, "gte": operator.ge}


COMPILERS: dict[str, Callable[..., Evaluate]] = {
    "field": lambda node: compile_path((node["value"],)),
    "subexpression": compile_sequence,
    "index_expression": compile_sequence,
    "pipe": compile_sequence,
    "index": compile_index,
    "slice": lambda _, *ends: lambda value, _: value[slice(*ends)] if isinstance(value, list) else None,
    "comparator": compile_comparator,
    "and_expression": lambda _, left, right: lambda value, known: right(value, known) if is_true(found := left(value, known)) else found,
    "or_expression": lambda _, left, right: lambda value, known: found if is_true(found := left(value, known)) else right(value, known),
    "not_expression": lambda _, child: lambda value, known: not is_true(child(value, known)),
    "current": lambda _: lambda value, _: value,
    "identity": lambda _: lambda value, _: value,
    "literal": lambda node: lambda value, _: node["value"],
    "projection": compile_projection,
    "filter_projection": compile_projection,
    "value_projection": compile_value_projection,
    "flatten": compile_flatten,
    "function_expression": compile_function,
    "expref": lambda _, child: lambda value, known: Reference(child, known),
    "multi_select_list": lambda _, *parts: lambda value, known: None if value is None else [part(value, known) for part in parts],
    "multi_select_dict": lambda _, *pairs: lambda value, known: None if value is None else dict(pair(value, known) for pair in pairs),
    "key_val_pair": lambda node, child: lambda value, known: (node["value"], child(value, known)),
}


def format_path(node: Json) -> str:
    """The path that a part of an expression reads, for an error's sentence."""
    children = [format_path(child) for child in node["children"] if isinstance(child, dict)]
    if node["type"] in ("subexpression", "index_expression"):
        return ".".join(children)
    if node["type"] == "function_expression":
        return f"{node['value']}({', '.join(children)})"
    return json.dumps(node["value"]) if node["type"] == "literal" else str(node.get("value", node["type"]))


def walk_nodes(node: Json) -> Iterator[Json]:
    """The node of a parsed expression and all below it."""
    yield node
    for child in node["children"]:
        if isinstance(child, dict):
            yield from walk_nodes(child)


def find_roots(node: Json) -> set[str]:
    """The names that a parsed expression reads of what it is evaluated for; not those that it reads of an entry of a list."""
    if node["type"] == "field":
        return {node["value"]}
    children = [child for child in node["children"] if isinstance(child, dict) and child["type"] != "expref"]
    is_led = node["type"] in ("subexpression", "index_expression", "pipe", "flatten") or "projection" in node["type"]
    return set().union(*map(find_roots, children[:1] if is_led else children))


def split_conjuncts(node: Json) -> Iterator[Json]:
    """The parts of a condition that must all be true."""
    if node["type"] != "and_expression":
        yield node
        return
    for child in node["children"]:
        yield from split_conjuncts(child)


def find_paths(node: Json) -> Iterator[Json]:
    """The paths, from a root down, that a parsed expression reads; not those inside a filter, which begin elsewhere."""
    if node["type"] in ("field", "subexpression"):
        yield node
        return
    children = node["children"][:1] if "projection" in node["type"] or node["type"] in ("pipe", "flatten") else node["children"]
    for child in children:
        if isinstance(child, dict) and child["type"] != "expref":
            yield from find_paths(child)
