"""Writes docs/rule-reference.md from rules/rules.schema.json: each key of a rule file, with its type and what it means."""

import json
import re
from typing import Any

from conftest import ROOT

PAGE = ROOT / "docs" / "rule-reference.md"
SCHEMA: dict[str, Any] = json.loads((ROOT / "rules" / "rules.schema.json").read_text())
HEAD = """# The reference of rule files

<!-- make docs writes this page from rules/rules.schema.json: tests/reference.py -->

Each key of a rule file. How to write one, and what expressions see, is in [writing-rules.md](writing-rules.md).
`JMESPath` begins the description of a text that is an expression; an expression is never in braces, but in messages, hints and codes.

## In an editor

[rules/rules.schema.json](../rules/rules.schema.json) completes and checks the keys while you write; `rollout-status lint FILE` finds more.

- VS Code, with its YAML extension: the line `# yaml-language-server: $schema=PATH/rules/rules.schema.json` at the top of the file.
- IntelliJ: the line `# $schema: PATH/rules/rules.schema.json` at the top of the file, or Settings, Languages & Frameworks, Schemas and DTDs, JSON Schema Mappings.

PATH is a checkout, or what `python3 -c 'import rollout_status_lib; print(rollout_status_lib.find_data())'` prints.
"""
TAIL = """
## recording.yaml

What `--record` writes beside the snapshots, `001.json` and so on, which are what `kubectl get -o json` prints.

| key | type | meaning |
|---|---|---|
| `polls` | list | each `{at: TIMESTAMP, objects: FILE}`, or `error` instead of `objects`: the call that failed, or several; `used` has what was asked for beside them (required) |
| `until` | text | the moment at which the recording ends, if that is later than its last poll |
| `logs` | mapping | the ends of logs that were read |
| `applied` | text | a file with what came through the pipe |
| `skipped` | list | what could not be read |
| `words` | mapping | which word of the command line means which kind |
| `exact` | boolean | the recording has all that the run has seen |
| `revisions` | text | a file with the revisions that were read once the rollout had failed |

## case.yaml

A folder with a recording and this file is a case of `rollout-status test`.

| key | type | meaning |
|---|---|---|
| `about` | text | what the case shows |
| `args` | list | the arguments of the run, as somebody in the folder writes them (required) |
| `stdin` | text | a file beside it, which the run reads |
| `not_before` | text | the moment before which there must be no verdict |
| `expect` | mapping | what must come out; `--update` writes all of it |

| key of `expect` | type | meaning |
|---|---|---|
| `exit` | number | the exit code |
| `rules` | list | the rules that held; without `result`, those that must be among them |
| `result` | mapping | the whole document, without `elapsedSeconds` and `polls` |
| `code` | text | the code of the error; `success` if there is none |
| `message` | text, or `{contains: TEXTS}` | the message of the error, or texts in it |
"""


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


def make_table(part: dict[str, Any], name: str) -> str:
    """A table of the keys of a part, and below it the tables of what is in them."""
    lines, below = [f"\n## {name}\n", "| key | type | meaning |", "|---|---|---|"], []
    for key, value in part["properties"].items():
        needed = " (required)" if key in part.get("required", ()) else ""
        meaning = value.get("description") or SCHEMA["definitions"].get(str(value.get("$ref")).rpartition("/")[2], {}).get(
            "description", ""
        )
        lines.append(f"| `{key}` | {name_type(value)} | {re.sub(r'[|]', '/', meaning)}{needed} |")
        inner = value.get("items", value)
        if "properties" in inner:
            below.append(make_table(inner, f"{name}: `{key}`"))
    return "\n".join(lines) + "\n" + "".join(below)


def make_page() -> str:
    names = {"rule": "A rule", "kind": "A kind", "param": "A parameter", "code": "A code", "step": "A step"}
    tables = [make_table(SCHEMA["definitions"][key], name) for key, name in names.items()]
    return "".join([HEAD, make_table(SCHEMA, "A file"), *tables, TAIL])


if __name__ == "__main__":
    PAGE.write_text(make_page())
