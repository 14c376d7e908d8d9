"""What people write in expressions out of habit, and what to write instead."""

from __future__ import annotations

import re
from typing import Any

LONGEST = 2_000  # characters of an expression in which slips are looked for: to find some takes the square of the time
# A quoted text in an expression
QUOTED = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|`(?:[^`\\]|\\.)*`""", re.DOTALL)

# What people write outside of quotes in an expression that cannot be parsed, and what to write instead. `_` stands for a quoted text
SLIPS = (
    (r"[\u2018\u2019\u201c\u201d]", "these quotes are for print: write a text in straight ones, 'text'"),
    (r"['\"`]", "a quote is opened and not closed; one inside a text is written \\' there"),
    (r"#", "the rest of a block belongs to it: put the comment outside"),
    (r"\band\b|(?<!&)&(?!&)(?=\s)", "write && for `and`"),
    (r"\bor\b", "write || for `or`"),
    (r"\bnot\b", "write ! for `not`"),
    (r"\bin\b", "write contains(['a', 'b'], x) for `x in`"),
    (r"\bis\b", "write == null or != null for `is`"),
    (r"=~|\b(matches|like)\b", "there are no regular expressions: use contains(), starts_with(), ends_with() or among()"),
    (r"(?<![=!<>])=(?!=)|===", "write == for `equals`"),
    (r"<>", "write != for `differs`"),
    (r"\?\.", "write . for `?.`: what is below null is null"),
    (r"\?\?", "write not_null(a, b) for `a ?? b`"),
    (r"(?<![\w\])_}])\d+(\.\d+)?(ms|[smhd])\b", "a time is a number of seconds, in backticks: `300` for 5m"),
    (r"\bparams\.\w+-\w", "a parameter is written with _ here: params.my_name"),
    (r"\?(?!\s*[^\[]*\]).*:", "write condition && this || that for `condition ? this : that`"),
    (r"\.\d", "an entry of a list stands in brackets: list[0]"),
    (r"\[\s*[\w.]+\s*([=!]=|[<>])", "a filter begins with a question mark: list[?name == 'x']"),
    (r"[=<>]\s*-?\d", "a number stands in backticks: `3`"),
    (r"\w\[\s*(_|[A-Za-z]\w*)\s*\]", 'a field stands after a dot, in double quotes if need be: labels.app, labels."my-label"'),
    (r"\[\s*-?\d+\s*,", "a list of numbers stands in backticks as a whole: `[1, 2]`"),
    (r"(?<![\w\])_])\s*-?\b\d+\b(?!\s*[\]:])", "a number stands in backticks: `3`"),
    (r"[\w)\]]\s*\+\s*[\w(]|[\w)\]]\s+[*/%]\s+[\w(]", "there is no arithmetic but subtract(a, b)"),
    (r"^\s*[.$]|\$", "begin with self, or with the name of a kind"),
    (r"\w[-/]\w", 'a name with - / or . in it stands in double quotes: labels."my-label"'),
    (r"\w\.\w+\(", "a function stands before what it is about: starts_with(name, 'a')"),
    (r"^\s*\{|\{\{", "an expression stands without braces; they are for messages"),
)


def find_slip(text: str) -> str:
    """What seems to be wrong with an expression that cannot be parsed; empty if nothing stands out."""
    if len(text) > LONGEST:
        return ""
    bare = QUOTED.sub("_", text)
    for opened, closed in ("()", "[]"):
        if bare.count(opened) != bare.count(closed):
            missing = closed if bare.count(opened) > bare.count(closed) else opened
            return f"a {missing} is missing: there are {bare.count(opened)} {opened} and {bare.count(closed)} {closed}"
    return next((remedy for pattern, remedy in SLIPS if re.search(pattern, bare)), "")


def describe_place(error: Any) -> str:
    """Where an expression stopped making sense, by an error of jmespath's parser; its own words name tokens that nobody has seen."""
    token, position = getattr(error, "token_value", None), getattr(error, "lex_position", 0)
    if not token or getattr(error, "token_type", "") == "eof":
        return "it ends too early: write what follows its last sign"
    return f"{token} cannot stand at its character {position + 1}: an operator, like && or ==, is missing before it, or an operand"
