"""What kind of value an expression gives, as far as it tells by itself, and comparisons that are therefore never true."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from types import MappingProxyType

from rollout_status_lib import Json
from rollout_status_lib.declarations import Parameter
from rollout_status_lib.errors import UnreadableError
from rollout_status_lib.expressions import Expression
from rollout_status_lib.functions import Functions
from rollout_status_lib.interpreter import format_path, get_names, walk_nodes
from rollout_status_lib.slips import QUOTED
from rollout_status_lib.values import parse_duration

NO_PARAMS: Mapping[str, Parameter] = MappingProxyType({})
WORDS_OF_TYPES = {
    "array": "list",
    "object": "object",
    "string": "text",
    "number": "number",
    "boolean": "boolean",
    "null": "null",
    "expref": "expref",
}
ARTICLES = {
    "list": "a list",
    "object": "an object",
    "text": "a text",
    "number": "a number",
    "boolean": "true or false",
    "expref": "an & and an expression",
}

JSON_TYPES = {str: "text", int: "number", float: "number", bool: "boolean", list: "list", dict: "object", type(None): ""}
NODE_TYPES = {
    "projection": "list",
    "filter_projection": "list",
    "value_projection": "list",
    "flatten": "list",
    "multi_select_list": "list",
    "multi_select_dict": "object",
    "comparator": "boolean",
    "not_expression": "boolean",
}
FUNCTION_TYPES = {
    "boolean": ("exceeds", "reached", "contains", "starts_with", "ends_with", "mentions", "among"),
    "number": ("age", "subtract", "length", "sum", "avg", "abs", "ceil", "floor", "to_number"),
    "text": ("span", "join", "to_string", "type"),
    "list": ("entries", "split", "keys", "values", "map", "sort", "sort_by", "to_array"),
    "object": ("condition",),
}
TYPES_OF_FUNCTIONS = {name: kind for kind, names in FUNCTION_TYPES.items() for name in names}
TEMPLATE = re.compile(r"\{\s*([A-Za-z_][\w.\"()' ,-]*)\s*\}")  # {pod.metadata.name}: in a text of an expression it stands for itself


PARAMETER_TYPES = {"duration": "number", "integer": "number", "boolean": "boolean", "text": "text"}  # all others are lists


def infer(node: Json, let: Mapping[str, Expression], params: Mapping[str, Parameter] = NO_PARAMS) -> str:
    """text, number, boolean, list or object; empty if it may be any, or null."""
    kind, names = node["type"], get_names(node)
    if len(names) == 2 and names[0] == "params" and names[1] in params and params[names[1]].default is not None:
        return PARAMETER_TYPES.get(params[names[1]].type, "list")
    if kind == "literal":
        return JSON_TYPES[type(node["value"])]
    if kind == "function_expression":
        return TYPES_OF_FUNCTIONS.get(node["value"], "")
    if kind == "field" and node["value"] in let:
        return infer(let[node["value"]].tree, {name: each for name, each in let.items() if name != node["value"]}, params)
    if kind == "subexpression":
        return NODE_TYPES.get(node["children"][-1]["type"], "")
    return NODE_TYPES.get(kind, "")


def get_last_name(node: Json) -> str:
    """The field at the end of a path, which may begin with a function; empty if there is none."""
    last = node["children"][-1] if node["type"] == "subexpression" else node
    return str(last["value"]) if last["type"] == "field" else ""


def check_types(operator: str, sides: list[Json], let: Mapping[str, Expression]) -> Iterator[str]:
    """What is wrong with a comparison of two kinds of values, and what to write instead."""
    for side, other in (sides, sides[::-1]):
        its_type, other_type = infer(side, let), infer(other, let)
        if side["type"] != "literal" or its_type == other_type or side["value"] in ("null", None):
            continue
        value = f"'{side['value']}'" if its_type == "text" else f"`{json.dumps(side['value'])}`"
        if other_type == "list":
            yield f"a list never equals {value}: write contains(LIST, {value}), or condition(OBJECT, TYPE).status, or (LIST)[0]"
        elif other_type == "boolean" and its_type == "text":
            yield f"what is true or false never equals {value}: leave the comparison out, or write ! before it"
        elif other_type and its_type:
            yield f"{ARTICLES[other_type]} never equals {value}, {ARTICLES[its_type]}"
        elif its_type == "boolean" and get_last_name(other) == "status" and operator in ("eq", "ne"):
            yield f"the status of a condition is a text: write '{str(side['value']).capitalize()}'"
        elif get_last_name(other) == "status" and its_type == "text" and side["value"] in ("true", "false"):
            yield f"the status of a condition is written with a capital: write '{side['value'].capitalize()}'"


ABSURD = {"or_expression": ("ne", "always true: write &&"), "and_expression": ("eq", "never true: write ||")}


def check_logic(node: Json) -> Iterator[str]:
    """Finds `a != 'x' || a != 'y'`, which is always true, and `a == 'x' && a == 'y'`, which never is."""
    operator, remedy = ABSURD.get(node["type"], ("", ""))
    seen: dict[str, Json] = {}
    for each in flatten_operands(node, node["type"]) if operator else ():
        sides = each["children"] if each["type"] == "comparator" and each["value"] == operator else []
        for side, other in (sides, sides[::-1]) if sides else ():
            spelt = json.dumps(other, sort_keys=True)
            if side["type"] == "literal" and other["type"] != "literal" and seen.setdefault(spelt, side["value"]) != side["value"]:
                yield f"{write(other) or 'what is compared'} is one thing at a time, so this is {remedy}"
                return


def flatten_operands(node: Json, kind: str) -> Iterator[Json]:
    """The operands of a chain of && or ||."""
    for child in node["children"]:
        yield from flatten_operands(child, kind) if child["type"] == kind else [child]


def gives_entry(node: Json) -> bool:
    """True if a node gives one entry of a list, by its place: `a[0]`, `a | [0]`."""
    last = node["children"][-1] if node["type"] in ("subexpression", "index_expression", "pipe") else node
    return last["type"] == "index" or (last is not node and gives_entry(last))


def name_signature(name: str) -> tuple[str, list[str]]:
    """A function as it is called, `named(entries, name)`, and the names of its arguments."""
    function = Functions.FUNCTION_TABLE[name]["function"]
    parameters = [each.strip("*_") for each in list(inspect.signature(inspect.unwrap(function)).parameters)[1:]]
    return f"{name}({', '.join(parameters)})", parameters


def check_arguments(name: str, types: list[str], texts: list[str]) -> Iterator[str]:
    """What is wrong with the types of a function's arguments (empty: any). `texts` are the arguments as they were written."""
    signature, names = name_signature(name)
    taken = [[WORDS_OF_TYPES[each.partition("-")[0]] for each in each["types"]] for each in Functions.FUNCTION_TABLE[name]["signature"]]
    for place, (its_type, allowed) in enumerate(zip(types, taken, strict=False)):
        if its_type and allowed and its_type not in allowed:
            wanted = " or ".join(ARTICLES[each] for each in allowed if each != "null")
            remedy = f", not {texts[place] or ARTICLES[its_type]}"
            if its_type == "text" and allowed == ["list"] and texts[place] and not types[place - 1]:
                remedy = f": write [{texts[place]}]"
            elif all(texts) and are_swapped(types, taken):
                remedy = f": write {name}({', '.join(texts[::-1])})"
            elif its_type == "list" and "text" in allowed:
                remedy = f", not {ARTICLES['list']}; whether it is one of several, tells among(x, ['a*', 'b*'])"
            yield f"{signature} takes {wanted} as {names[place]}{remedy}"
            return


def are_swapped(types: list[str], taken: list[list[str]]) -> bool:
    """True if two arguments would be right the other way round."""
    pairs = list(zip(types[::-1], taken, strict=False))
    return len(types) == len(taken) == 2 and all(not its_type or not allowed or its_type in allowed for its_type, allowed in pairs)


def check_literals(expression: Expression) -> Iterator[str]:
    """Finds texts that were meant as something else: a template, or a text in backticks."""
    for node in walk_nodes(expression.tree):
        text = node["value"] if node["type"] == "literal" and isinstance(node["value"], str) else ""
        found = TEMPLATE.search(text)
        if found:
            yield f"'{node['value']}' is a text as it stands: write {found[1].strip()} without quotes and braces, or use join()"
    for quoted in QUOTED.findall(expression.text):
        if quoted.startswith("`"):
            try:
                json.loads(quoted[1:-1].replace("\\`", "`"))
            except ValueError:
                yield f"{quoted} is no JSON: write {to_seconds(quoted[1:-1])}"


def to_seconds(text: str) -> str:
    """What to write for a duration that stands in backticks, or for any other text there."""
    with suppress(UnreadableError):
        return f"`{parse_duration(text):g}` for {text}, in seconds"
    return f"'{text}' for a text"


def check_truth(node: Json, let: Mapping[str, Expression]) -> Iterator[str]:
    """Finds a condition that is always true, whatever is there."""
    its_type = infer(node, let)
    path = format_path(node)
    if its_type == "number":
        yield f"{path} is a number, which is true, 0 as well: compare it, as in {path} > `0`"
    elif node["type"] == "literal" and its_type == "text" and node["value"]:
        yield f"'{node['value']}' is a text, which is always true"


def write(node: Json) -> str:
    """A node as an expression has it, if it is a path, a literal or a function of such; else nothing."""
    kind, children = node["type"], node["children"]
    if kind == "literal":
        return f"'{node['value']}'" if isinstance(node["value"], str) else f"`{json.dumps(node['value'])}`"
    if kind == "field":
        return str(node["value"]) if re.fullmatch(r"[A-Za-z_]\w*", node["value"]) else json.dumps(node["value"])
    if kind == "index":
        return f"[{node['value']}]"
    parts = [write(child) if isinstance(child, dict) else "" for child in children]
    if kind == "function_expression":
        return f"{node['value']}({', '.join(parts)})" if all(parts) else ""
    if kind == "multi_select_list":
        return f"[{', '.join(parts)}]" if all(parts) else ""
    is_path = kind in ("subexpression", "index_expression") and all(parts)
    return ".".join(parts).replace(".[", "[") if is_path else ""
