"""The functions of expressions: JMESPath's and ours."""

from __future__ import annotations

import functools
from typing import Any

import jmespath.exceptions
import jmespath.functions

from rollout_status_lib import Json
from rollout_status_lib.errors import UnreadableError
from rollout_status_lib.objects import get_field
from rollout_status_lib.values import parse_timestamp


def is_true(value: Json) -> bool:
    """What JMESPath takes for true: all but null, false and what is empty; 0 is true."""
    return value is not None and value is not False and (bool(value) or isinstance(value, (int, float)))


TEXT: Any = {"types": ["string", "null"]}


NUMBER: Any = {"types": ["number", "null"]}


ANY: Any = {"types": []}


WORDS: Any = {"types": ["array-string"]}


WORD: Any = {"types": ["string"]}


LISTS: Any = {"types": ["array", "string", "null"]}


LIST: Any = {"types": ["array"]}


SIZED: Any = {"types": ["array", "object", "string", "null"]}


@functools.lru_cache(256)
def sort_words(words: tuple[str, ...]) -> tuple[frozenset[str], tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """All words without their `*`, in small letters; then those that have it at the end, at the beginning, and at both."""
    found: dict[tuple[bool, bool], list[str]] = {}
    for word in words:
        found.setdefault((word.startswith("*"), word.endswith("*")), []).append(word.strip("*"))
    starts, ends, middles = (tuple(found.get(stars, ())) for stars in ((False, True), (True, False), (True, True)))
    return frozenset(word.strip("*").lower() for word in words), starts, ends, middles


signature = jmespath.functions.signature


class Functions(jmespath.functions.Functions):
    """JMESPath's functions and ours, at one moment. All of these take null; what each then gives is in its docstring."""

    def __init__(self, now: float) -> None:
        self.now = now
        self.used_clock = False

    @signature(TEXT)
    def _func_age(self, moment: str | None) -> float | None:
        """The seconds since a timestamp; null for null."""
        self.used_clock = self.used_clock or moment is not None
        try:
            return None if moment is None else round(self.now - parse_timestamp(moment), 3)
        except UnreadableError as error:
            raise jmespath.exceptions.JMESPathError(str(error)) from None

    @signature(NUMBER, NUMBER)
    def _func_exceeds(self, value: float | None, limit: float | None) -> bool:
        """Value > limit; false when either is null or the limit is negative, which stands for none."""
        return value is not None and limit is not None and limit >= 0 and value > limit

    @signature(NUMBER, NUMBER)
    def _func_reached(self, value: float | None, limit: float | None) -> bool:
        """Value >= limit; false when either is null or the limit is negative, which stands for none."""
        return value is not None and limit is not None and 0 <= limit <= value

    @signature(ANY, WORD)
    def _func_condition(self, owner: Json, name: str) -> Json:
        """The condition of that type in status.conditions; null when there is none."""
        conditions = get_field(owner, "status", "conditions")
        known = [each for each in conditions if get_field(each, "type") == name] if isinstance(conditions, list) else []
        return known[0] if known else None

    @signature(LISTS, TEXT)
    def _func_named(self, entries: Json, name: str | None) -> Json:
        """The entry of a list whose `name` it is; null when there is none, and for null."""
        known = entries if isinstance(entries, list) and name is not None else []
        return next((each for each in known if get_field(each, "name") == name), None)

    @signature(NUMBER, NUMBER)
    def _func_subtract(self, left: float | None, right: float | None) -> float | None:
        """Left - right; null when either is null."""
        return None if left is None or right is None else left - right

    @signature(TEXT, WORDS)
    def _func_mentions(self, text: str | None, words: list[str]) -> bool:
        """Whether the text has one of the words in it, in any case; false for null."""
        return text is not None and any(word.lower() in text.lower() for word in words)

    @signature(ANY, LIST)
    def _func_among(self, texts: Json, words: list[Json]) -> bool:
        """Whether the text, or one of the texts of a list, is one of the words, in any case; false for what is no text.

        A `*` at the beginning or the end of a word stands for any text; what is beside it must be written so: `Installed` is no `*Stalled`.
        """
        whole, starts, ends, middles = sort_words(tuple(word for word in words if isinstance(word, str)))
        given = [each for each in (texts if isinstance(texts, list) else [texts]) if isinstance(each, str)]
        return any(
            each.lower() in whole or each.startswith(starts) or each.endswith(ends) or any(middle in each for middle in middles)
            for each in given
        )

    @signature(ANY)
    def _func_entries(self, owner: Json) -> list[Json]:
        """The members of an object, each as {name, value}; none for what is no object."""
        return [{"name": name, "value": value} for name, value in owner.items()] if isinstance(owner, dict) else []

    @signature(LISTS, ANY)
    def _func_contains(self, subject: Json, search: Json) -> bool:
        """Whether the array or the string has it; false for null."""
        return search in subject if isinstance(subject, list) or (isinstance(search, str) and subject) else False

    @signature(SIZED)
    def _func_length(self, value: Json) -> int:
        """How many; 0 for null."""
        return 0 if value is None else len(value)

    @signature(TEXT, WORD)
    def _func_starts_with(self, text: str | None, start: str) -> bool:
        """Whether the text begins so; false for null."""
        return text is not None and text.startswith(start)

    @signature(TEXT, WORD)
    def _func_ends_with(self, text: str | None, end: str) -> bool:
        """Whether the text ends so; false for null."""
        return text is not None and text.endswith(end)


class OrderError(jmespath.exceptions.JMESPathError):
    """What cannot be ordered was to be."""
