"""What may be printed: no secrets, and nothing that a terminal or a CI would obey."""

from __future__ import annotations

import json
import re

from rollout_status_lib import Json
from rollout_status_lib.secrets import hide

LONGEST_LINE = 2_000  # characters
ESCAPE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])")  # ECMA-48: colours, titles, movements


def to_line(text: str) -> str:
    """The text as one line that is safe to print: no secrets, nothing that a terminal or a CI's log would obey.

    A CI obeys `##[...]` and `##vso[...]` anywhere in a line, and `::...::` at its start, even after spaces. A space breaks them up.
    """
    return escape_line(hide(text))


def escape_line(text: str) -> str:
    """The same of a text without secrets, like the name of an object."""
    line = "".join(character if character.isprintable() else " " for character in text[: 2 * LONGEST_LINE])
    line = re.sub(r"^( *):(?=:)", r"\1: ", re.sub("#(?=#)", "# ", line))
    return line if len(line) <= LONGEST_LINE else f"{line[:LONGEST_LINE]}..."


def to_json(result: Json) -> str:
    """The result as JSON, without `##`, which a CI's log would obey."""
    return json.dumps(result, indent=2).replace("##", "#\\u0023")


def clean_line(text: Json) -> str:
    """The text as one line that is safe to print, without terminal escapes; a very long one is cut."""
    return to_line(ESCAPE.sub("", str(text)))


def clean_name(text: Json) -> str:
    """The name of an object, or a kind, in the same way: it is no secret."""
    return escape_line(ESCAPE.sub("", str(text)))


def clean_log(text: str) -> str:
    """The log, with each line safe to print."""
    return "\n".join(clean_line(line.expandtabs()) for line in ESCAPE.sub("", text).splitlines())
