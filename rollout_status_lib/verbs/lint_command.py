"""Checks the commands of rules, hints and rollbacks: their values are quoted by themselves, each as one word."""

from __future__ import annotations

from collections.abc import Iterator

from rollout_status_lib import Json
from rollout_status_lib.expressions import Expression, Template


def check_command(template: Template | None, where: str) -> Iterator[str]:
    """Finds quotes around a value, and words that `join` makes one of."""
    quote = before = ""
    for part in template.parts if template else ():
        if isinstance(part, Expression):
            if quote:
                yield f"{where}: {{{part.text}}} is quoted by itself: leave out the {quote} around it"
            elif any(joins_words(node) for node in find_results(part.tree)):
                yield f"{where}: join makes one word, which is quoted as a whole: write a list of words, like {{x && ['-n', x]}}"
            before = "}"
            continue
        for character in part:
            if character == "#" and not quote and before in ("", " "):
                return  # a comment: quotes are apostrophes there
            quote = "" if character == quote else character if character in "'\"" and not quote else quote
            before = character


def find_results(node: Json) -> Iterator[Json]:
    """The parts of an expression that can be its value."""
    children = {"or_expression": node["children"], "and_expression": node["children"][1:], "multi_select_list": node["children"]}
    if node["type"] not in children:
        yield node
    for child in children.get(node["type"], ()):
        yield from find_results(child)


def joins_words(node: Json) -> bool:
    """True if it is a call of `join` whose texts have a space."""
    texts = [each["value"] for child in node["children"] for each in [child, *child["children"]] if each["type"] == "literal"]
    return node["type"] == "function_expression" and node["value"] == "join" and any(" " in str(text) for text in texts)
