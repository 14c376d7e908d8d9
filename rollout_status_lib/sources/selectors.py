"""The label selectors that narrow a list: read from an object, joined, written for the API."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from rollout_status_lib import Json
from rollout_status_lib.objects import get_field

Labels = tuple[tuple[str, str, tuple[str, ...]], ...]  # what labels must be, in the order of their keys: (key, operator, values)

WRITTEN = {"NotIn": "{} notin ({})", "Exists": "{}", "DoesNotExist": "!{}"}
IN = "In"
KEY, VALUE = re.compile(r"([a-z0-9.-]+/)?[A-Za-z0-9._-]+"), re.compile("[A-Za-z0-9._-]*")


def read_selector(value: Json) -> Labels:
    """What a label selector of the API wants, {matchLabels, matchExpressions}. Nothing if it matches all, or is none that we can write."""
    found: list[Json] = []
    equal, others = get_field(value, "matchLabels"), get_field(value, "matchExpressions")
    found += [(key, IN, (text,)) for key, text in equal.items()] if isinstance(equal, dict) else []
    for each in others if isinstance(others, list) else ():
        values = get_field(each, "values")
        found.append((get_field(each, "key"), get_field(each, "operator"), tuple(values) if isinstance(values, list) else ()))
    return tuple(sorted(found)) if all(is_writable(*each) for each in found) else ()


def is_writable(key: Json, operator: Json, values: tuple[Json, ...]) -> bool:
    """True if it is what the API allows: anything else would not be one requirement when it is written."""
    is_text = all(isinstance(each, str) for each in (key, operator, *values))
    has_form = is_text and KEY.fullmatch(key) and all(VALUE.fullmatch(each) for each in values)
    return bool(has_form and ((operator in (IN, "NotIn") and values) or operator in ("Exists", "DoesNotExist")))


def write_selector(labels: Labels) -> str:
    """The selector as the API and `kubectl -l` read it: app=web,tier in (a,b)."""
    return ",".join(
        f"{key}={values[0]}" if operator == IN and not values[1:] else WRITTEN.get(operator, "{} in ({})").format(key, ",".join(values))
        for key, operator, values in labels
    )


def join_selectors(selectors: Iterable[Labels]) -> list[Labels]:
    """A few selectors that together match all that these match, and perhaps more."""
    joined: list[Labels] = []
    for each in dict.fromkeys(selectors):
        for number, other in enumerate(joined):
            if common := tuple(widen(other, each)):
                joined[number] = common
                break
        else:
            joined.append(each)
    return joined


def widen(one: Labels, other: Labels) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """What both selectors want of the same labels: that each has one of the values that either wants."""
    first, second = ({key: values for key, operator, values in each if operator == IN} for each in (one, other))
    for key in first:
        if key in second:
            yield key, IN, tuple(sorted({*first[key], *second[key]}))
