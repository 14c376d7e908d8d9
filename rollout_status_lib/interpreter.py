"""Makes a Python function of each node of a JMESPath expression."""

from __future__ import annotations

import json
import math
import operator
from collections.abc import Callable, Collection, Iterator, Mapping
from types import MappingProxyType
from typing import Any

import jmespath.exceptions
import jmespath.functions
import jmespath.parser

from rollout_status_lib import Json
from rollout_status_lib.errors import suggest
from rollout_status_lib.functions import Functions, OrderError, is_true


class Grammar(jmespath.parser.Parser):
    """JMESPath's parser, corrected: `!` applies to the whole path after it. jmespath 1.1.0 reads `!a.b` as `(!a).b`, which is null."""

    BINDING_POWER = {**jmespath.parser.Parser.BINDING_POWER, "not": 8}  # noqa: RUF012, below `[]`, above `==`
    _CACHE: dict[str, Any] = {}  # noqa: RUF012, the parser's own one has trees in which `!` binds otherwise


class RootError(jmespath.exceptions.JMESPathError):
    """An expression reads a root that is none, or not yet."""


class Roots:
    """The value that an expression is evaluated for, if the names at its root are looked up by a method. Otherwise it is plain JSON."""

    __slots__ = ()

    def at(self, name: str, path: tuple[str, ...]) -> Json:
        """The value at a path below a root. An unknown root is an error, never null."""
        raise NotImplementedError


Evaluate = Callable[[Json, Functions], Json]  # the function that a node becomes: from a value to what the node gives for it


def compile_node(node: Json) -> Evaluate:
    """The function for a node of JMESPath's tree.

    It gives what JMESPath's own visitor gives, in a third of the time, with one exception: to order what has no order is an
    error. JMESPath gives null for it, and a rule would silently not match.
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
    """The names in a path like `a.b.c`; none if the node is anything else."""
    if node["type"] == "field":
        return (node["value"],)
    paths = [get_names(child) for child in node["children"]] if node["type"] == "subexpression" else []
    return tuple(name for path in paths for name in path) if all(paths) else ()


def get_first_name(node: Json) -> str:
    """The name that a path begins with: `a` of `a[0].b` and of `a[*].b`; empty if the node is anything else."""
    while node["children"] and node["type"] not in ("function_expression", "multi_select_list", "multi_select_dict"):
        node = node["children"][0]
    return str(node["value"]) if node["type"] == "field" else ""


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
        if get_names(node["children"][1]) == ("null",):  # the most frequent comparison
            return lambda value, functions: (left(value, functions) is None) is wanted
        return lambda value, functions: is_equal(left(value, functions), right(value, functions)) is wanted

    def run(value: Json, functions: Functions) -> bool:
        sides = left(value, functions), right(value, functions)
        if {type(side) for side in sides} <= {int, float} or all(isinstance(side, str) for side in sides):
            return bool(ORDERS[order](*sides))
        values = [(format_path(child), json.dumps(side)) for child, side in zip(node["children"], sides, strict=True)]
        texts = [value if path == value else f"{path} = {value}" for path, value in values]
        raise OrderError(f"two numbers or two texts can be ordered, not {' and '.join(texts)}")

    return run


def is_equal(left: Json, right: Json) -> bool:
    """True if JMESPath takes the values for equal. Unlike in Python, true and 1 are not."""
    return isinstance(left, bool) is isinstance(right, bool) and bool(left == right)


def compile_and(_: Json, left: Evaluate, right: Evaluate) -> Evaluate:
    return lambda value, functions: right(value, functions) if is_true(first := left(value, functions)) else first


def compile_or(_: Json, left: Evaluate, right: Evaluate) -> Evaluate:
    return lambda value, functions: first if is_true(first := left(value, functions)) else right(value, functions)


def compile_projection(_: Json, base: Evaluate, each: Evaluate, condition: Evaluate | None = None) -> Evaluate:
    def run(value: Json, functions: Functions) -> Json:
        entries = base(value, functions)
        if not isinstance(entries, list):
            return None
        matching = (entry for entry in entries if condition is None or is_true(condition(entry, functions)))
        return [result for entry in matching if (result := each(entry, functions)) is not None]

    return run


def compile_value_projection(_: Json, base: Evaluate, each: Evaluate) -> Evaluate:
    def list_values(value: Json, functions: Functions) -> Json:
        owner = base(value, functions)
        return list(owner.values()) if isinstance(owner, dict) else None

    return compile_projection(_, list_values, each)


def compile_flatten(_: Json, base: Evaluate) -> Evaluate:
    def run(value: Json, functions: Functions) -> Json:
        entries = base(value, functions)
        if not isinstance(entries, list):
            return None
        return [part for entry in entries for part in (entry if isinstance(entry, list) else [entry])]

    return run


def compile_function(node: Json, *arguments: Evaluate) -> Evaluate:
    name, table = node["value"], Functions.FUNCTION_TABLE
    if name not in table:
        raise jmespath.exceptions.UnknownFunctionError(f"no function {name}(){suggest(name, table)}")
    function = table[name]
    types = [get_type_names(each["types"]) for each in function["signature"]]
    is_simple = len(types) == len(arguments) and None not in types

    def run(value: Json, functions: Functions) -> Json:
        values = [argument(value, functions) for argument in arguments]
        if is_simple:
            for each, allowed in zip(values, types, strict=True):
                if allowed and type(each).__name__ not in allowed:
                    break
            else:
                return function["function"](functions, *values)
        return functions.call_function(name, values)  # JMESPath's own check is slow, but says what is wrong

    return run


def get_type_names(types: Collection[str]) -> Collection[str] | None:
    """The names of the Python types for JMESPath's types; empty for any type, None for types that say what is in a list."""
    return None if any("-" in each for each in types) else {name for each in types for name in jmespath.functions.REVERSE_TYPES_MAP[each]}


class Reference:
    """The value of an `&expression`: what functions like sort_by take."""

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
    "and_expression": compile_and,
    "or_expression": compile_or,
    "not_expression": lambda _, child: lambda value, functions: not is_true(child(value, functions)),
    "current": lambda _: lambda value, _: value,
    "identity": lambda _: lambda value, _: value,
    "literal": lambda node: lambda value, _: node["value"],
    "projection": compile_projection,
    "filter_projection": compile_projection,
    "value_projection": compile_value_projection,
    "flatten": compile_flatten,
    "function_expression": compile_function,
    "expref": lambda _, child: lambda value, functions: Reference(child, functions),
    "multi_select_list": lambda _, *parts: lambda value, functions: None if value is None else [part(value, functions) for part in parts],
    "multi_select_dict": lambda _, *pairs: (
        lambda value, functions: None if value is None else dict(pair(value, functions) for pair in pairs)
    ),
    "key_val_pair": lambda node, child: lambda value, functions: (node["value"], child(value, functions)),
}


def format_path(node: Json) -> str:
    """A node as messages name it: the path that it reads, or the call of a function."""
    children = [format_path(child) for child in node["children"] if isinstance(child, dict)]
    if node["type"] in ("subexpression", "index_expression"):
        return ".".join(children)
    if node["type"] == "function_expression":
        return f"{node['value']}({', '.join(children)})"
    return json.dumps(node["value"]) if node["type"] == "literal" else str(node.get("value", node["type"]))


def walk_nodes(node: Json) -> Iterator[Json]:
    """A node and all below it."""
    yield node
    for child in node["children"]:
        if isinstance(child, dict):
            yield from walk_nodes(child)


def reads_whole(node: Json) -> bool:
    """True if an expression reads `@` at its root, or a list or the fields of it: where there are names, that is no value."""
    if node["type"] in ("current", "identity"):
        return True
    children = [child for child in node["children"] if isinstance(child, dict) and child["type"] != "expref"]
    only_first = node["type"] in ("subexpression", "index_expression", "pipe", "flatten") or "projection" in node["type"]
    return any(map(reads_whole, children[:1] if only_first else children))


def measure_growth(node: Json, lets: Mapping[str, int] = MappingProxyType({})) -> int:
    """How many times the value that it is evaluated for can be in what it gives. `lets` has that of names: `[a, b] | [@, @]` doubles it."""
    kind, children = node["type"], [child for child in node["children"] if isinstance(child, dict)]
    if kind == "field":
        return lets.get(node["value"], 1)
    sizes = [measure_growth(child, lets) for child in children]
    if kind in ("and_expression", "or_expression"):
        return max(sizes)
    if kind in ("multi_select_list", "multi_select_dict") or (kind == "function_expression" and node["value"] != "map"):
        return sum(sizes)
    return 0 if kind == "literal" else 1 if kind in ("comparator", "not_expression") else math.prod(max(1, size) for size in sizes)


def find_roots(node: Json) -> set[str]:
    """The names that an expression reads at its root. Names after a projection or inside & belong to entries, and do not count."""
    if node["type"] == "field":
        return {node["value"]}
    children = [child for child in node["children"] if isinstance(child, dict) and child["type"] != "expref"]
    only_first = node["type"] in ("subexpression", "index_expression", "pipe", "flatten") or "projection" in node["type"]
    return set().union(*map(find_roots, children[:1] if only_first else children))


def split_conjuncts(node: Json) -> Iterator[Json]:
    """The operands of `a && b && c`: the parts of a condition that must all be true."""
    if node["type"] != "and_expression":
        yield node
        return
    for child in node["children"]:
        yield from split_conjuncts(child)


def find_paths(node: Json) -> Iterator[Json]:
    """The nodes of the paths that an expression reads from a root on; not of those inside a filter, which begin at an entry."""
    if node["type"] in ("field", "subexpression"):
        yield node
        return
    children = node["children"][:1] if "projection" in node["type"] or node["type"] in ("pipe", "flatten") else node["children"]
    for child in children:
        if isinstance(child, dict) and child["type"] != "expref":
            yield from find_paths(child)
