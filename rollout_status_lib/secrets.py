"""What must not leave the program: values of variables, passwords in URLs, shapes of secrets, and what --redact names."""

from __future__ import annotations

import functools
import json
import re
from bisect import bisect
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from rollout_status_lib import Json
from rollout_status_lib.errors import describe_error, make_missing, read_part
from rollout_status_lib.kept import KEPT
from rollout_status_lib.objects import get_field, get_identity, get_version

SHAPES = Path(__file__).with_name("secrets.yaml")
LEAST = 6  # characters from which on the value of a variable is a secret; shorter ones are words like `true`
VARIABLES = ("env", "httpHeaders")  # the fields whose entries have values that may be secrets, wherever they are
NAMES = (
    "code",
    "type",
    "rule",
    "workload",
    "resource",
    "kind",
    "namespace",
    "name",
    "status",
    "lastSeen",
)  # of a result: programs read them
LONGEST = 2_000  # characters that --redact looks at in one piece
MOST = 50_000  # texts whose masks are remembered

WORD = re.compile(r"[^\s\"'<>`]+")
SLASHES = re.compile(r"(?<![/\\])(?P<scheme>:?)(?:\\{0,9}/){2}")  # JSON may write a slash as \/
DIGEST = re.compile(r"sha\d{1,3}:")
HEAD = re.compile(r"(?!\[)[^/?#\\]+")  # the user, the password and the host with its port, unless the password has such a character
PORT = re.compile(r"\d{1,5}")
PLACEHOLDER = re.compile(r"redacted(?:-\d{1,9}\b)?")  # what replaces a secret, and the numbered ones of recordings

Span = tuple[int, int]  # where a secret begins and ends in a text
Shape = tuple[tuple[str, ...], re.Pattern[str]]  # words, one of which is in a text that the pattern is looked for in


def parse_shapes(text: str) -> Json:
    """What stands in secrets.yaml; ValueError when it is no YAML."""
    import yaml  # noqa: PLC0415, what is kept needs no parser

    try:
        return yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506, a safe one
    except yaml.YAMLError as error:
        raise ValueError(describe_error(error)) from None


@functools.cache
def load_shapes() -> Sequence[Shape]:
    """The words and the pattern of each shape in secrets.yaml; RolloutError `internal` when it is missing or broken."""
    text = read_part(SHAPES)
    try:
        content = KEPT.find(text, lambda: parse_shapes(text))
        value = "|".join(content["value"])
        pairs = [(tuple(each["words"]), "|".join(each["patterns"]).replace("VALUE", f"(?:{value})")) for each in content["shapes"].values()]
        return [(words, re.compile(pattern, re.IGNORECASE | re.DOTALL | re.MULTILINE)) for words, pattern in pairs]
    except (ValueError, re.error, KeyError, TypeError, AttributeError) as error:
        raise make_missing(SHAPES, describe_error(error)) from None


class Secrets:
    """Knows the secrets of a run. `hide` is the one place through which every text goes that leaves the program; `mask`, for recordings,
    numbers them, so that equal values stay equal.

    What a name has in it, or a rule, is no secret, even if it is the value of a variable: to hide `postgres` in the name of a pod
    would hide which pod it is.
    """

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Forgets all that an earlier run has told."""
        self.patterns: Sequence[re.Pattern[str]] = ()
        self.shapes: Sequence[Shape] = ()  # well-known ones; none where they are switched off
        self.values: set[str] = set()
        self.names: set[str] = set()  # of objects, containers and images
        self.said = ""  # what rules have in their expressions and messages
        self.seen: set[tuple[str, str]] = set()  # identity and version of the objects that were learned
        self.numbers: dict[str, int] = {}  # secret -> its number in the recording
        self.change()

    def begin(self, patterns: Sequence[re.Pattern[str]] = ()) -> None:
        """Begins a run, with the patterns of --redact; RolloutError `internal` when the shapes cannot be read."""
        self.forget()
        self.patterns, self.shapes = patterns, load_shapes()

    def change(self) -> None:
        """Called when what is known has changed."""
        self.masks: dict[str, str] = {}
        self.lengths: dict[str, list[int]] = {}  # first LEAST characters of values -> how long these are, the longest last
        for value in self.values:
            lengths = self.lengths.setdefault(value[:LEAST], [])
            if len(value) not in lengths:
                lengths.insert(bisect(lengths, len(value)), len(value))

    def allow(self, texts: Iterable[str]) -> None:
        """What is in these texts is no secret: rules have it."""
        self.said = "\n".join(texts)

    def learn(self, objects: Iterable[Json]) -> None:
        """Learns the values of variables, and the names, in objects that were read."""
        values, names = set[str](), set[str]()
        for each in objects:
            key = (get_identity(each), get_version(each))
            if not key[1] or key not in self.seen:
                self.seen.add(key)
                names |= {str(get_field(each, *path)) for path in (("kind",), ("metadata", "name"), ("metadata", "namespace"))}
                find_values([entry for field, entry in each.items() if field not in ("metadata", "status")], values, names)
        names -= self.names
        values = {form for value in values if not PLACEHOLDER.fullmatch(value) for form in list_forms(value) if len(form) >= LEAST}
        values -= self.values
        if names or values:
            new, old = "\n".join(names), "\n".join((*self.names, *names, self.said))
            self.names |= names
            self.values = {value for value in self.values if value not in new} | {value for value in values if value not in old}
            self.change()

    def hide(self, text: str) -> str:
        """The text with `redacted` in place of each secret."""
        parts, at = [], 0
        for start, end in self.find(text):
            parts += [text[at:start], "redacted"]
            at = end
        return "".join([*parts, text[at:]]) if parts else text

    def mask(self, text: str) -> str:
        """The text with `redacted-1` in place of each secret: equal ones have the same number."""
        if text not in self.masks:
            if len(self.masks) >= MOST:
                self.masks.clear()
            parts, at = [], 0
            for start, end in self.find(text):
                parts += [text[at:start], self.number(text[start:end])]
                at = end
            self.masks[text] = "".join([*parts, text[at:]])
        return self.masks[text]

    def number(self, secret: str) -> str:
        """What stands for a secret in a recording."""
        return f"redacted-{self.numbers.setdefault(secret, len(self.numbers) + 1)}"

    def hide_all(self, value: Json) -> Json:
        """The value with all its texts hidden. Of a result, names stay: its readers look for them."""
        if isinstance(value, dict):
            return {key: entry if key in NAMES else self.hide_all(entry) for key, entry in value.items()}
        return list(map(self.hide_all, value)) if isinstance(value, list) else self.hide(value) if isinstance(value, str) else value

    def find(self, text: str) -> list[Span]:
        """Where secrets are in a text, in order; those that touch each other are one."""
        if len(text) < LEAST and not self.patterns:
            return []
        found = sorted({*self.find_variables(text), *find_credentials(text), *self.find_shapes(text), *self.find_patterns(text)})
        if not found and "redacted-" not in text:
            return []
        spans: list[Span] = []
        for start, end in sorted([*found, *(match.span() for match in PLACEHOLDER.finditer(text))]):
            if spans and start <= spans[-1][1]:
                spans[-1] = (spans[-1][0], max(end, spans[-1][1]))
            else:
                spans.append((start, end))
        return spans

    def find_variables(self, text: str) -> Iterator[Span]:
        """Where values of variables are: at each place the longest one."""
        if not self.lengths:
            return
        for start in range(len(text) - LEAST + 1):
            for length in reversed(self.lengths.get(text[start : start + LEAST], ())):
                if text[start : start + length] in self.values:
                    yield start, start + length
                    break

    def find_shapes(self, text: str) -> Iterator[Span]:
        """Where well-known shapes of secrets are."""
        small = text.lower() if self.shapes else ""
        for words, pattern in self.shapes:
            if any(word in small for word in words):
                yield from (match.span(match.lastindex or 0) for match in pattern.finditer(text))

    def find_patterns(self, text: str) -> Iterator[Span]:
        """Where something is that --redact names. A pattern sees one line at a time, and of a very long one a piece."""
        at = 0
        for line in text.splitlines(keepends=True) if self.patterns else ():
            for begin in range(0, max(1, len(line) - LONGEST // 2), LONGEST // 2):
                piece = line[begin : begin + LONGEST].rstrip("\r\n")
                spans = (match.span() for pattern in self.patterns for match in pattern.finditer(piece))
                yield from ((at + begin + start, at + begin + end) for start, end in spans if start < end)
            at += len(line)


def find_values(content: Json, values: set[str], names: set[str]) -> None:
    """Adds the values of all variables in a content, and the names and images of all containers."""
    queue = [content]
    while queue:
        each = queue.pop()
        if isinstance(each, list):
            queue += [entry for entry in each if isinstance(entry, (dict, list))]
            continue
        if isinstance(each.get("image"), str):
            names |= {each["image"], str(each.get("name"))}
        for key, entry in each.items():
            if key in VARIABLES:
                values |= {value for value in list_variables(entry) if len(value) >= LEAST}
            elif isinstance(entry, (dict, list)):
                queue.append(entry)


def list_variables(entries: Json) -> list[str]:
    """The values in `env`: a list of {name, value}, or with some operators {NAME: value}."""
    found = [get_field(each, "value") for each in entries] if isinstance(entries, list) else []
    return [value for value in (entries.values() if isinstance(entries, dict) else found) if isinstance(value, str)]


def list_forms(value: str) -> Iterator[str]:
    """How a value may be written in a text: as it is, as JSON and as URLs write it, and each longer line of it by itself."""
    from urllib.parse import quote, quote_plus  # noqa: PLC0415, only for those who have variables

    bare = value.strip()
    yield from (bare, *(json.dumps(bare, ensure_ascii=each)[1:-1] for each in (True, False)))
    yield from (quote(bare, errors="replace"), quote(bare, safe="", errors="replace"), quote_plus(bare, errors="replace"))
    yield from (line.strip() for line in bare.splitlines() if len(line.strip()) > 2 * LEAST)


def find_credentials(text: str) -> Iterator[Span]:
    """Where users and passwords are in URLs: `https://TOKEN@host`, `postgres://user:a/b@c@host`, `//user:password@host`."""
    for word in WORD.finditer(text) if "@" in text and "/" in text else ():
        # what is before the digest of an image is no password
        ends = [at.start() for at in re.finditer("@", word[0]) if not DIGEST.match(word[0], at.end())]
        starts = list(SLASHES.finditer(word[0])) if ends else []
        limits = [*(each.start() for each in starts if each["scheme"]), len(word[0])]  # another URL may begin behind a comma
        done = 0
        for slashes in starts:
            start, limit = slashes.end(), limits[min(bisect(limits, slashes.end()), len(limits) - 1)]
            last = bisect(ends, limit - 1) - 1
            end = find_end(word[0], start, limit, ends[last], is_url=bool(slashes["scheme"])) if last >= 0 else 0
            if start >= done and end > start:
                yield word.start() + start, word.start() + end
                done = end


def find_end(word: str, start: int, limit: int, last: int, *, is_url: bool) -> int:
    """Where a user and a password that begin behind the slashes of a URL end; 0 if there are none. `last` is where the last @ is.

    A password may have slashes and more of @ in it, so it ends at the last one, unless the only colon is that of a port.
    """
    match = HEAD.match(word, start, limit)
    head = match[0] if match else ""
    colon = head.find(":")
    if colon >= 0 and not PORT.fullmatch(head, colon + 1):
        return last
    return start + head.rfind("@") if is_url and "@" in head else 0


SECRETS = Secrets()
hide = SECRETS.hide
