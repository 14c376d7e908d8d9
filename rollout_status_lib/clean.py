"""What may be printed: no passwords, nothing that a terminal or a CI would obey, and commands as people paste them."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterable

from rollout_status_lib import Json


def redact(log: str, patterns: Iterable[re.Pattern[str]]) -> str:
    """A log without what matches, and without passwords in URLs."""
    return functools.reduce(lambda text, each: each.sub("redacted", text), patterns, hide_passwords(log))


LONGEST_LINE = 2_000  # characters
PASSWORD = re.compile(r"(\b[a-z][a-z0-9+.-]*://)[^/\s:@\"']*:[^/\s@\"']+@", re.IGNORECASE)


def hide_passwords(text: str) -> str:
    """A text without the user and the password of its URLs."""
    return PASSWORD.sub(r"\1redacted@", text) if "://" in text else text


def to_line(text: str) -> str:
    """A text in one line, without a password, or anything that a terminal or a CI's log would obey: `##[...]` and `##vso[...]`
    anywhere in a line, `::...::` at its begin, also behind spaces.
    """
    line = "".join(letter if letter.isprintable() else " " for letter in hide_passwords(text[: 2 * LONGEST_LINE]))
    line = re.sub(r"^( *):(?=:)", r"\1: ", re.sub("#(?=#)", "# ", line))
    return line if len(line) <= LONGEST_LINE else f"{line[:LONGEST_LINE]}..."


def to_json(result: Json) -> str:
    """The document as text, in which a CI's log finds no command of its own and nobody a password."""

    def clean(value: Json) -> Json:
        if isinstance(value, dict):
            return {key: clean(entry) for key, entry in value.items()}
        return list(map(clean, value)) if isinstance(value, list) else hide_passwords(value) if isinstance(value, str) else value

    return json.dumps(clean(result), indent=2).replace("##", "#\\u0023")


def add_kubectl_flags(command: str, flags: str) -> str:
    """A command to paste, with the flags with which kubectl was run: behind its verb, since a plugin takes none before its name."""
    return re.sub(r"(^|&& )kubectl(?: [a-z]\S*)*", lambda found: f"{found[0]} {flags}", command) if flags else command


ESCAPE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])")


def clean_line(text: Json) -> str:
    """A text in one line without escapes, control characters, marks of direction and passwords; a very long one is cut."""
    return to_line(ESCAPE.sub("", str(text)))


def clean_log(text: str) -> str:
    """A log, of which each line is clean."""
    return "\n".join(clean_line(line.expandtabs()) for line in ESCAPE.sub("", text).splitlines())
