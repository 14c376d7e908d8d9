"""What may be printed: no passwords, nothing that a terminal or a CI would obey, and commands as people paste them."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterable

from rollout_status_lib import Json

LONGEST_LINE = 2_000  # characters
PASSWORD = re.compile(r"(\b[a-z][a-z0-9+.-]*://)[^/\s:@\"']*:[^/\s@\"']+@", re.IGNORECASE)
ESCAPE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])")  # ECMA-48: colours, titles, movements


def redact(log: str, patterns: Iterable[re.Pattern[str]]) -> str:
    """A log in which all that matches a pattern, and each password in a URL, is replaced by "redacted"."""
    return functools.reduce(lambda text, each: each.sub("redacted", text), patterns, hide_passwords(log))


def hide_passwords(text: str) -> str:
    """The text without the users and passwords in its URLs."""
    return PASSWORD.sub(r"\1redacted@", text) if "://" in text else text


def to_line(text: str) -> str:
    """The text as one line that is safe to print: no passwords, nothing that a terminal or a CI's log would obey.

    A CI obeys `##[...]` and `##vso[...]` anywhere in a line, and `::...::` at its start, even after spaces. A space breaks them up.
    """
    line = "".join(character if character.isprintable() else " " for character in hide_passwords(text[: 2 * LONGEST_LINE]))
    line = re.sub(r"^( *):(?=:)", r"\1: ", re.sub("#(?=#)", "# ", line))
    return line if len(line) <= LONGEST_LINE else f"{line[:LONGEST_LINE]}..."


def to_json(result: Json) -> str:
    """The result as JSON, without passwords, and without `##`, which a CI's log would obey."""

    def clean(value: Json) -> Json:
        if isinstance(value, dict):
            return {key: clean(entry) for key, entry in value.items()}
        return list(map(clean, value)) if isinstance(value, list) else hide_passwords(value) if isinstance(value, str) else value

    return json.dumps(clean(result), indent=2).replace("##", "#\\u0023")


def add_kubectl_flags(command: str, flags: str) -> str:
    """A kubectl command to paste, with the flags that kubectl was run with. They follow the verb: before it, a plugin allows none."""
    return re.sub(r"(^|&& )kubectl(?: [a-z]\S*)*", lambda match: f"{match[0]} {flags}", command) if flags else command


def clean_line(text: Json) -> str:
    """The text as one line that is safe to print, without terminal escapes; a very long one is cut."""
    return to_line(ESCAPE.sub("", str(text)))


def clean_log(text: str) -> str:
    """The log, with each line safe to print."""
    return "\n".join(clean_line(line.expandtabs()) for line in ESCAPE.sub("", text).splitlines())
