"""Texts into values and back: durations, timestamps, numbers, NAME=VALUE."""

from __future__ import annotations

import functools
import json
import re
from datetime import datetime, timezone

from rollout_status_lib import Json
from rollout_status_lib.errors import UnreadableError

UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
LENGTH = re.compile(r"(\d{1,9}\.?\d{0,9}|\.\d{1,9})(ns|us|µs|μs|ms|s|m|h)")


def parse_duration(text: str, least: float | None = None) -> float:
    """The seconds in a Go duration (`1m30s`, `500ms`) or in a plain number of seconds; UnreadableError otherwise."""
    sign, digits = (-1, text[1:]) if text.startswith("-") else (1, text.removeprefix("+"))
    lengths = LENGTH.findall(digits + "s" if digits.isdecimal() else digits)
    if not lengths or "".join(map("".join, lengths)) not in (digits, digits + "s"):
        raise UnreadableError(f"{text!r} is no duration: write 90s, 1m30s or 2h")
    seconds = sign * sum(float(number) * UNITS[unit] for number, unit in lengths)
    if least is not None and seconds < least:
        raise UnreadableError(f"{text!r} is too short a time")
    return seconds


def parse_boolean(text: str) -> bool:
    """True or False, in the words of Go's flag package; UnreadableError otherwise."""
    if text.lower() not in ("1", "t", "true", "0", "f", "false"):
        raise UnreadableError(f"{text!r} is neither true nor false")
    return text.lower() in ("1", "t", "true")


def parse_integer(text: str) -> int:
    """A whole number; UnreadableError otherwise."""
    if not re.fullmatch(r"[+-]?[0-9]{1,9}", text):
        raise UnreadableError(f"{text!r} is no whole number: write 6, or -1 for no limit")
    return int(text)


TIMESTAMP = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+)?(Z|[+-]\d\d:\d\d)", re.ASCII)


@functools.lru_cache(4096)
def parse_timestamp(text: str) -> float:
    """The seconds since 1970 of an RFC 3339 timestamp, as Kubernetes writes them; UnreadableError otherwise."""
    try:
        moment, fraction, zone = TIMESTAMP.fullmatch(text).groups()  # type: ignore[union-attr]
        return datetime.fromisoformat(moment + zone.replace("Z", "+00:00")).timestamp() + float(fraction or 0)
    except (AttributeError, ValueError):
        raise UnreadableError(f"{text!r} is no moment: write one like 2026-11-23T06:45:38Z") from None


def format_timestamp(moment: float) -> str:
    """The RFC 3339 timestamp, to the millisecond, of seconds since 1970."""
    return datetime.fromtimestamp(moment, timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def parse_word(text: str) -> str:
    """A text that is not empty, as an unset variable of a pipeline would be; UnreadableError otherwise."""
    if not text.strip():
        raise UnreadableError("it is empty: is a variable unset?")
    return text.strip()


def parse_setting(text: str) -> tuple[str, str]:
    """Name and value of `NAME=VALUE`, the name with underscores; UnreadableError otherwise."""
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise UnreadableError(f"{text!r} is not NAME=VALUE")
    return name.replace("-", "_"), value


def parse_pairs(text: str) -> list[dict[str, str]]:
    """`NAME=VALUE` as a list with one {name, value}, an empty text as an empty list; UnreadableError otherwise."""
    name, _, value = text.partition("=")
    if text and not (name.strip() and value.strip()):
        raise UnreadableError(f"{text!r} is not NAME=VALUE")
    return [{"name": name.strip(), "value": value.strip()}] if text else []


def parse_pattern(text: str) -> re.Pattern[str]:
    """A regular expression of Python; UnreadableError otherwise."""
    try:
        return re.compile(text)
    except re.error as error:
        raise UnreadableError(f"{text!r} is no regular expression: {error}") from None


def parse_kind_and_name(text: str) -> tuple[str, str]:
    """Kind and name of `KIND/NAME`; UnreadableError otherwise."""
    kind, _, name = text.partition("/")
    if not (kind and name) or "/" in name:
        raise UnreadableError(f"{text!r} is not KIND/NAME: write for example deployment/web")
    return kind, name


def format_value(value: Json) -> str:
    """A value as a message shows it: null and false as nothing, 10.0 as 10, what is no text as JSON."""
    if value is None or value is False:
        return ""
    if isinstance(value, float):
        return f"{value:g}" if value < 1e6 else f"{value:.0f}"
    return value if isinstance(value, str) else json.dumps(value)


def format_span(seconds: float) -> str:
    """A time in its two largest units; below ten seconds with a digit behind the point."""
    sign, left = "-" if seconds < 0 else "", abs(seconds)
    if left < 10 and left != int(left):
        return f"{sign}{left:.1f}s"
    days, hours, minutes = int(left // 86400), int(left % 86400 // 3600), int(left % 3600 // 60)
    units = ((days, "d"), (hours, "h"), (minutes, "m"), (int(left % 60), "s"))
    shown = [f"{number}{unit}" for number, unit in units if number]
    return sign + (" ".join(shown[:2]) or "0s")
