"""Labels that are nearly those of a selector, so that a slip in one of the two is seen."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from rollout_status_lib import Json
from rollout_status_lib.objects import get_field, get_name

LEAST = 0.6  # how alike two values must be, from 0 to 1, to be taken for a slip


def find_nearest(selector: Json, objects: Iterable[Json]) -> str:
    """The labels that come nearest to a selector, and whose they are: `app=web of Pod "web-1"`; empty if none is like it."""
    best, text = 0.0, ""
    for each in objects:
        labels = get_field(each, "metadata", "labels")
        pairs = dict(pair for key in selector if (pair := find_pair(key, selector[key], labels if isinstance(labels, dict) else {})))
        score = sum(rate(key, selector[key], pairs) for key in selector) / len(selector)
        if score > max(best, LEAST / 2):
            shown = ", ".join(f"{key}={value}" for key, value in pairs.items())
            best, text = score, f'{shown} of {get_field(each, "kind")} "{get_name(each)}"'
    return text


def find_pair(key: str, value: Json, labels: dict[str, Json]) -> tuple[str, Json] | None:
    """The label with a key of the selector; else one whose key is nearly that, or whose value is the selector's."""
    if key in labels:
        return key, labels[key]
    close = difflib.get_close_matches(key, labels, 1, LEAST) or [name for name, other in labels.items() if other == value]
    return (close[0], labels[close[0]]) if close else None


def rate(key: str, value: Json, pairs: dict[str, Json]) -> float:
    """How near the labels come to one pair of the selector, from 0 to 1."""
    ratios = (compare(key, name) * compare(str(value), str(other)) for name, other in pairs.items())
    return max((ratio for ratio in ratios if ratio >= LEAST), default=0.0)


def compare(one: str, other: str) -> float:
    return difflib.SequenceMatcher(None, one, other).ratio()
