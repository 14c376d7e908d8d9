"""Turns texts into values and back: durations, timestamps, numbers, NAME=VALUE."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Sequence
from datetime import datetime, timezone

from rollout_status_lib import Json
from rollout_status_lib.errors import UnreadableError

SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
LENGTH = re.compile(r"(\d{1,9}\.?\d{0,9}|\.\d{1,9})(ns|us|µs|μs|ms|s|m|h)")
TIMESTAMP = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+)?(Z|[+-]\d\d:\d\d)", re.ASCII)


def parse_duration(text: str, least: float | None = None) -> float:
    """The seconds in a Go duration (`1m30s`, `500ms`) or in a plain number of seconds.

    UnreadableError if it is neither, or shorter than `least` seconds.
    """
    sign, digits = (-1, text[1:]) if text.startswith("-") else (1, text.removeprefix("+"))
    lengths = LENGTH.findall(digits + "s" if digits.isdecimal() else digits)
    if not lengths or "".join(map("".join, lengths)) not in (digits, digits + "s"):
        raise UnreadableError(f"invalid duration {text!r}: write 90s, 1m30s or 2h")
    seconds = sign * sum(float(number) * SECONDS[unit] for number, unit in lengths)
    if least is not None and seconds < least:
        raise UnreadableError(f"{text!r} is too short")
    return seconds


def parse_boolean(text: str) -> bool:
    """True or False, spelt as Go's flag package accepts it; UnreadableError otherwise."""
    if text.lower() not in ("1", "t", "true", "0", "f", "false"):
        raise UnreadableError(f"{text!r} is neither true nor false")
    return text.lower() in ("1", "t", "true")


def parse_integer(text: str) -> int:
    """A whole number; UnreadableError otherwise."""
    if not re.fullmatch(r"[+-]?[0-9]{1,9}", text):
        raise UnreadableError(f"invalid number {text!r}: write 6, or -1 for no limit")
    return int(text)


@functools.lru_cache(4096)
def parse_timestamp(text: str) -> float:
    """The seconds since 1970 of an RFC 3339 timestamp, which is how Kubernetes writes times; UnreadableError otherwise."""
    try:
        moment, fraction, zone = TIMESTAMP.fullmatch(text).groups()  # type: ignore[union-attr]
        return datetime.fromisoformat(moment + zone.replace("Z", "+00:00")).timestamp() + float(fraction or 0)
    except (AttributeError, ValueError):
        raise UnreadableError(f"invalid time {text!r}: write one like 2026-11-23T06:45:38Z") from None


def format_timestamp(moment: float) -> str:
    """The RFC 3339 timestamp, with milliseconds, of a moment in seconds since 1970."""
    return datetime.fromtimestamp(moment, timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def parse_word(text: str) -> str:
    """The text without the spaces around it. UnreadableError if nothing is left: a pipeline's variable may be unset."""
    if not text.strip():
        raise UnreadableError("it is empty: is a variable unset?")
    return text.strip()


def parse_name(text: str) -> str:
    """The same of what is passed on to kubectl; UnreadableError for a word that kubectl would take for a flag."""
    for word in text.split(","):
        if word.strip().startswith("-"):
            raise UnreadableError(f"{word.strip()!r} begins with a dash, like a flag")
    return text.strip()


def parse_setting(text: str) -> tuple[str, str]:
    """The name and the value in `NAME=VALUE`, with each `-` of the name as `_`; UnreadableError otherwise."""
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise UnreadableError(f"{text!r} is not NAME=VALUE")
    return name.replace("-", "_"), value


def parse_pairs(text: str) -> list[dict[str, str]]:
    """A list with the one {name, value} in `NAME=VALUE`, or an empty list for an empty text; UnreadableError otherwise."""
    name, _, value = text.partition("=")
    if text and not (name.strip() and value.strip()):
        raise UnreadableError(f"{text!r} is not NAME=VALUE")
    return [{"name": name.strip(), "value": value.strip()}] if text else []


def parse_words(text: str) -> list[str]:
    """The words between the commas of a text; none for an empty one."""
    return [word.strip() for word in text.split(",") if word.strip()]


LONGEST_PATTERN = 1_000
PART = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\(\??|[)|*+?]|\{\d*,\d*\}|\{\d+\}|.", re.DOTALL)  # of a regular expression


def repeats_repetitions(pattern: str) -> bool:
    """True if a group that has a choice or a repetition in it is repeated itself: `(a+)+`, `(a|aa)*`. Such a pattern may never end."""
    varies, ended = [False], False  # of each open group; of the one that has just ended
    for part in (match[0] for match in PART.finditer(pattern)):
        is_repetition = part in ("*", "+") or (part[0] == "{" and len(part) > 2)
        if is_repetition and ended:
            return True
        ended = part == ")" and len(varies) > 1 and varies.pop()
        if part[0] == "(":
            varies.append(False)
        varies[-1] = varies[-1] or ended or part in ("|", "?") or (is_repetition and not part[1:-1].isdigit())
    return False


def parse_pattern(text: str) -> re.Pattern[str]:
    """The regular expression, in Python's syntax; UnreadableError otherwise."""
    try:
        pattern = re.compile(text)
    except (re.error, OverflowError, RecursionError) as error:
        raise UnreadableError(f"invalid regular expression {text!r}: {error}") from None
    if len(text) > LONGEST_PATTERN:
        raise UnreadableError(f"the regular expression has more than {LONGEST_PATTERN:,} characters: split it")
    if repeats_repetitions(text):
        raise UnreadableError(
            f"{text!r} has a repetition of what repeats or varies, like (a+)+, and might never end: leave one of them out"
        )
    return pattern


def count(number: int, thing: str) -> str:
    """A number of things, in words: `1 case`, `2 cases`."""
    return f"{number} {thing}{'' if number == 1 else 's'}"


def parse_kind_and_name(text: str) -> tuple[str, str]:
    """The kind and the name in `KIND/NAME`; UnreadableError otherwise."""
    kind, _, name = text.partition("/")
    if not (kind and name) or "/" in name or name.startswith("-"):
        raise UnreadableError(f"{text!r} is not KIND/NAME: write for example deployment/web, or --kinds for all of a kind")
    return kind, name


CHANGING = ("undo", "restart", "pause", "resume")  # subcommands of kubectl rollout


def pair_names(words: Sequence[str]) -> list[tuple[str, str]]:
    """The kind and the name of each workload in `KIND/NAME ...`, or in `KIND[,KIND] NAME ...`, as kubectl takes it too."""
    verb = "rollout status" if words[:2] == ["rollout", "status"] else "".join(words[:1])
    if verb in ("status", "rollout status"):
        rest = " ".join(words[verb.count(" ") + 1 :])
        raise UnreadableError(f"leave out {verb}: rollout-status {rest or 'deployment/web'}")
    if verb in CHANGING:
        raise UnreadableError(f"rollout-status changes nothing; write kubectl rollout {verb} deployment/web -o json | rollout-status -f -")
    if len(words) < 2 or any("/" in word for word in words):
        return [parse_kind_and_name(word) for word in words]
    return [(kind, name) for kind in words[0].split(",") for name in words[1:]]


def format_value(value: Json) -> str:
    """A value as messages show it: nothing for null and false, 10 for 10.0, a text as it is, and JSON for the rest."""
    if value is None or value is False:
        return ""
    if isinstance(value, float):
        return f"{value:g}" if value < 1e6 else f"{value:.0f}"
    return value if isinstance(value, str) else json.dumps(value)


def format_span(seconds: float) -> str:
    """A number of seconds in its two largest units, like `2m 5s`. Below ten seconds it has one decimal, like `1.5s`."""
    sign, length = "-" if seconds < 0 else "", abs(seconds)
    if length < 10 and length != int(length):
        return f"{sign}{round(length, 1):g}s"
    days, hours, minutes = int(length // 86400), int(length % 86400 // 3600), int(length % 3600 // 60)
    units = ((days, "d"), (hours, "h"), (minutes, "m"), (int(length % 60), "s"))
    parts = [f"{number}{unit}" for number, unit in units if number]
    return sign + (" ".join(parts[:2]) or "0s")


def trace_causes(sentences: Sequence[str]) -> str:
    """What is wrong, and why, in one line: `Pod "web-1" cannot be scheduled <- StorageClass "nope" does not exist`.

    The sentences are in order, the last one is the cause of all. Of the others only what precedes a colon is told: the next one says more.
    """
    return " <- ".join([*(sentence.partition(": ")[0] for sentence in sentences[:-1]), *sentences[-1:]])
