"""The functions of expressions: JMESPath's and ours."""

from __future__ import annotations

import functools
import math
from contextlib import suppress
from typing import Any

import jmespath.exceptions
import jmespath.functions

from rollout_status_lib import Json
from rollout_status_lib.errors import UnreadableError
from rollout_status_lib.objects import get_field
from rollout_status_lib.values import format_span, parse_timestamp


def is_true(value: Json) -> bool:
    """True if JMESPath takes the value for true: anything but null, false and what is empty. 0 is true."""
    return value is not None and value is not False and (bool(value) or isinstance(value, (int, float)))


# What functions take
TEXT: Any = {"types": ["string", "null"]}
NUMBER: Any = {"types": ["number", "null"]}
ANY: Any = {"types": []}
WORDS: Any = {"types": ["array-string"]}
LISTS: Any = {"types": ["array", "string", "null"]}
LIST: Any = {"types": ["array"]}
SIZED: Any = {"types": ["array", "object", "string", "null"]}


@functools.lru_cache(256)
def sort_words(words: tuple[str, ...]) -> tuple[frozenset[str], tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """All words without their `*`, in small letters; then the beginnings (`word*`), the ends (`*word`) and the middles (`*word*`)."""
    by_stars: dict[tuple[bool, bool], list[str]] = {}
    for word in words:
        by_stars.setdefault((word.startswith("*"), word.endswith("*")), []).append(word.strip("*"))
    starts, ends, middles = (tuple(by_stars.get(stars, ())) for stars in ((False, True), (True, False), (True, True)))
    return frozenset(word.strip("*").lower() for word in words), starts, ends, middles


signature = jmespath.functions.signature


class Functions(jmespath.functions.Functions):
    """JMESPath's functions and ours, at one moment. Ours take null; each docstring says what they give for it."""

    def __init__(self, now: float) -> None:
        self.now = now
        self.used_clock = False  # an expression asked for an age: its value changes with time
        self.doubts: dict[str, str] = {}  # place of an expression of a team that has no value -> the note about it

    @signature(ANY)
    def _func_to_number(self, value: Json) -> float | None:
        """The number, or the one that a text stands for; null for anything else."""
        for read in (int, float) if isinstance(value, str) else ():
            with suppress(ValueError, OverflowError):  # a whole number of 309 digits is no float
                number = read(value)
                return number if math.isfinite(number) else None
        return value if type(value) in (int, float) else None

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
        """True if value > limit; false if either is null, or if the limit is negative: that stands for no limit."""
        return value is not None and limit is not None and limit >= 0 and value > limit

    @signature(NUMBER, NUMBER)
    def _func_reached(self, value: float | None, limit: float | None) -> bool:
        """True if value >= limit; false if either is null, or if the limit is negative: that stands for no limit."""
        return value is not None and limit is not None and 0 <= limit <= value

    @signature(ANY, TEXT)
    def _func_condition(self, owner: Json, name: str | None) -> Json:
        """The condition of this type in status.conditions; null if there is none."""
        conditions = get_field(owner, "status", "conditions")
        conditions = conditions if isinstance(conditions, list) else []
        return next((each for each in conditions if name is not None and get_field(each, "type") == name), None)

    @signature(LISTS, TEXT)
    def _func_named(self, entries: Json, name: str | None) -> Json:
        """The entry of a list whose `name` this is; null if there is none, and for null."""
        entries = entries if isinstance(entries, list) and name is not None else []
        return next((each for each in entries if get_field(each, "name") == name), None)

    @signature(NUMBER, NUMBER)
    def _func_subtract(self, left: float | None, right: float | None) -> float | None:
        """The first less the second; null if either is null."""
        return None if left is None or right is None else round(left - right, 6)  # 1.126 less 0.126 is 1, not a bit less

    @signature(NUMBER)
    def _func_span(self, seconds: float | None) -> str | None:
        """A number of seconds as people write it: `2s`, `1m 5s`, `3h 5m`; null for null."""
        return None if seconds is None else format_span(round(seconds, 1))

    @signature(TEXT, WORDS)
    def _func_mentions(self, text: str | None, words: list[str]) -> bool:
        """True if one of the words is in the text, in capital or small letters; false for null."""
        return text is not None and any(word.lower() in text.lower() for word in words)

    @signature(TEXT, TEXT)
    def _func_split(self, text: str | None, separator: str | None) -> list[str]:
        """The parts of a text between separators; an empty list for null. Without a separator it is one part."""
        return [] if text is None else text.split(separator) if separator else [text]

    @signature(ANY, LIST)
    def _func_among(self, texts: Json, words: list[Json]) -> bool:
        """True if the text, or one of the texts in a list, is one of the words, in capital or small letters; false for anything else.

        A `*` at the beginning or the end of a word stands for any text; what is beside it must be written so: `Installed` is no `*Stalled`.
        """
        whole, starts, ends, middles = sort_words(tuple(map(str, filter(None, words))))
        return any(
            text.lower() in whole or text.startswith(starts) or text.endswith(ends) or any(middle in text for middle in middles)
            for text in (texts if isinstance(texts, list) else [texts])
            if isinstance(text, str)
        )

    @signature(ANY)
    def _func_entries(self, owner: Json) -> list[Json]:
        """The fields of an object, each as {name, value}; an empty list for anything else."""
        return [{"name": name, "value": value} for name, value in owner.items()] if isinstance(owner, dict) else []

    @signature(LISTS, ANY)
    def _func_contains(self, subject: Json, search: Json) -> bool:
        """True if the second is in the first, a list or a text; false for null."""
        return search in subject if isinstance(subject, list) or (isinstance(search, str) and subject) else False

    @signature(SIZED)
    def _func_length(self, value: Json) -> int:
        """How many entries, fields or characters it has; 0 for null."""
        return 0 if value is None else len(value)

    @signature(TEXT, TEXT)
    def _func_starts_with(self, text: str | None, start: str | None) -> bool:
        """True if the text begins like this; false for null."""
        return text is not None and start is not None and text.startswith(start)

    @signature(TEXT, TEXT)
    def _func_ends_with(self, text: str | None, end: str | None) -> bool:
        """True if the text ends like this; false for null."""
        return text is not None and end is not None and text.endswith(end)


class OrderError(jmespath.exceptions.JMESPathError):
    """A comparison with < or > of values that have no order."""
