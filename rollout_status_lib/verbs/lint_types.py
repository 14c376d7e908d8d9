"""What kind of value an expression gives, as far as it tells by itself, and comparisons that are therefore never true."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping

from rollout_status_lib import Json
from rollout_status_lib.expressions import Expression
from rollout_status_lib.interpreter import format_path, walk_nodes
from rollout_status_lib.slips import QUOTED

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


def infer(node: Json, let: Mapping[str, Expression]) -> str:
    """text, number, boolean, list or object; empty if it may be any, or null."""
    kind = node["type"]
    if kind == "literal":
        return JSON_TYPES[type(node["value"])]
    if kind == "function_expression":
        return TYPES_OF_FUNCTIONS.get(node["value"], "")
    if kind == "field" and node["value"] in let:
        return infer(let[node["value"]].tree, {name: each for name, each in let.items() if name != node["value"]})
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
            yield f"a {other_type} never equals {value}, a {its_type}"
        elif its_type == "boolean" and get_last_name(other) == "status" and operator in ("eq", "ne"):
            yield f"the status of a condition is a text: write '{str(side['value']).capitalize()}'"
        elif get_last_name(other) == "status" and its_type == "text" and side["value"] in ("true", "false"):
            yield f"the status of a condition is written with a capital: write '{side['value'].capitalize()}'"


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
                yield f"{quoted} is no JSON: write '{quoted[1:-1]}' for a text"


def check_truth(node: Json, let: Mapping[str, Expression]) -> Iterator[str]:
    """Finds a condition that is always true, whatever is there."""
    its_type = infer(node, let)
    path = format_path(node)
    if its_type == "number":
        yield f"{path} is a number, which is true, 0 as well: compare it, as in {path} > `0`"
    elif node["type"] == "literal" and its_type == "text" and node["value"]:
        yield f"'{node['value']}' is a text, which is always true"
