"""Commands for people to paste into a shell: each value of the cluster in them is quoted as one word."""

from __future__ import annotations

import functools
import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass

from rollout_status_lib import Json
from rollout_status_lib.expressions import Expression, Template
from rollout_status_lib.functions import is_true
from rollout_status_lib.interpreter import compile_node, find_roots
from rollout_status_lib.values import format_value

NOTHING = "\0"  # stands for a word that is missing, until the command is whole
FLAG = r"(?:(?<!\S)--?[A-Za-z][\w-]*[ =])?"
MISSING = re.compile(rf"(?<!\S){FLAG}{NOTHING}(?: |$)|{FLAG}{NOTHING}")
PLACES = re.compile(r"""'[^']*'|"[^"]*"|(?P<verbs>(?:^|(?<=&& ))kubectl(?: [a-z][^\s'"]*(?!\S))*)""")  # not within quotes

Fill = Callable[[Expression], Json]


@dataclass(frozen=True, slots=True, eq=False)
class Command(Template):
    """A template whose text is a shell command, with or without prose around it.

    Texts that the rule itself has, between braces too, stand as they are. Any other value is one word, quoted unless it is plain;
    those of a list are several words. A word that is missing is left out, with the flag before it.
    """

    def fill(self, value: Fill) -> str:
        """The command, with the value of each expression, as the function `value` gives it."""
        text = "".join(part if isinstance(part, str) else fill_words(part, value) or NOTHING for part in self.parts)
        return MISSING.sub("", text).rstrip(" ") if NOTHING in text else text


def fill_words(expression: Expression, value: Fill) -> str:
    """The words that an expression gives; empty if it gives none."""
    kind = expression.tree["type"]
    if kind == "literal" and isinstance(expression.tree["value"], str):
        return str(expression.tree["value"])
    if kind == "or_expression":
        first, second = get_parts(expression)
        return fill_words(first if is_true(value(first)) else second, value)
    if kind == "and_expression":
        first, second = get_parts(expression)
        return fill_words(second, value) if is_true(value(first)) else ""
    if kind == "multi_select_list":
        return " ".join(fill_words(part, value) or NOTHING for part in get_parts(expression))
    found = value(expression)
    return " ".join(map(quote_word, found)) if isinstance(found, list) else quote_word(found)


@functools.lru_cache(4096)
def get_parts(expression: Expression) -> tuple[Expression, ...]:
    """The operands of an expression, or the entries of its list, each as an expression."""
    text, where = expression.text, expression.where
    return tuple(Expression(text, where, node, compile_node(node), frozenset(find_roots(node))) for node in expression.tree["children"])


def quote_word(value: Json) -> str:
    """A value as one word of a command, on one line; empty if there is none. A text that a command would take for a flag is none."""
    text = "".join(character if character.isprintable() else " " for character in format_value(value))
    return "" if not text or (isinstance(value, str) and text.startswith("-")) else shlex.quote(text)


def add_kubectl_flags(command: str, flags: str) -> str:
    """A kubectl command to paste, with the flags that kubectl was run with. They follow the verb: before it, a plugin allows none."""
    return PLACES.sub(lambda match: f"{match[0]} {flags}" if match["verbs"] else match[0], command) if flags else command
