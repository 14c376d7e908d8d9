"""Fills the tables of docs/rule-reference.md: the keys of rule files, from rules/rules.schema.json, and the functions, from functions.py."""

import inspect
import json
import re
from collections.abc import Iterator
from typing import Any

from conftest import ROOT

from rollout_status_lib.functions import Functions

PAGE = ROOT / "docs" / "rule-reference.md"
SCHEMA: dict[str, Any] = json.loads((ROOT / "rules" / "rules.schema.json").read_text())
PARTS = {"file": SCHEMA, **SCHEMA["definitions"]}
MARKED = re.compile(r"(<!-- table: (\S+) -->\n).*?(<!-- end of table -->)", re.DOTALL)


def name_type(part: dict[str, Any]) -> str:
    """The type of a value, in a word or two; a choice with all its values."""
    part = SCHEMA["definitions"][part["$ref"].rpartition("/")[2]] if "$ref" in part else part
    if "enum" in part or "const" in part:
        return ", ".join(f"`{value}`" for value in part.get("enum", [part.get("const")]))
    if "anyOf" in part:
        return " or ".join(dict.fromkeys(name_type(each) for each in part["anyOf"]))
    types = [part["type"]] if isinstance(part["type"], str) else part["type"]
    words = {"string": "text", "array": "list", "object": "mapping", "integer": "number"}
    return " or ".join(words.get(each, each) for each in types if not (each == "number" and "string" in types and len(types) == 2))


def get_part(name: str) -> dict[str, Any]:
    """What the schema says of a part of a rule file, like `kind`, or of what is in one, like `kind.uses`."""
    first, _, rest = name.partition(".")
    part = PARTS[first]
    for key in rest.split(".") if rest else ():
        part = part["properties"][key]
        part = part.get("items", part)
    return part


def make_table(name: str) -> str:
    """A table of the keys of a part; that of what is in one has a heading."""
    if name == "functions":
        return make_functions()
    part = get_part(name)
    lines = ["| key | type | meaning |", "|---|---|---|"]
    if "." in name:
        lines = [f"\n### A kind: `{name.partition('.')[2]}`\n", *lines]
    for key, value in part["properties"].items():
        needed = " (required)" if key in part.get("required", ()) else ""
        meaning = value.get("description") or SCHEMA["definitions"].get(str(value.get("$ref")).rpartition("/")[2], {}).get(
            "description", ""
        )
        lines.append(f"| `{key}` | {name_type(value)} | {re.sub(r'[|]', '/', meaning)}{needed} |")
    return "\n".join(lines) + "\n"


def make_functions() -> str:
    """A table of the functions that are ours."""
    lines = ["| function | gives |", "|---|---|"]
    for name, function in vars(Functions).items():
        if name.startswith("_func_"):
            parameters = ", ".join(list(inspect.signature(inspect.unwrap(function)).parameters)[1:])
            meaning = " ".join((inspect.getdoc(function) or "").split())
            lines.append(f"| `{name.removeprefix('_func_')}({parameters})` | {meaning} |")
    return "\n".join(lines) + "\n"


def list_tables(page: str) -> Iterator[str]:
    """The names of the tables in the page."""
    yield from (found[2] for found in MARKED.finditer(page))


def make_page() -> str:
    """The page, with its tables as they should be."""
    return MARKED.sub(lambda found: f"{found[1]}{make_table(found[2])}{found[3]}", PAGE.read_text())


if __name__ == "__main__":
    PAGE.write_text(make_page())
