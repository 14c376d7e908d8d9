#!/usr/bin/env python3
# /// script
# requires-python = ">=3.10"
# dependencies = ["jmespath>=1.1", "PyYAML>=6.0.1", "sh>=2.1"]
# ///
"""Waits until what was applied to Kubernetes has rolled out, and says whether it did, and if not, why.

    rollout-status [KIND/NAME ...] [flags]

It asks `kubectl get -o json` again and again, classifies what it sees by the rules in rules/*.yaml, and prints one
JSON document that satisfies schema.json as early as the verdict can be known. No state, reason or condition of
Kubernetes is named here: that knowledge is in rules/, and this module knows objects, owners, time and expressions.

The module reads in the order in which the data flows:

    arguments -> rules -> source (kubectl | replay) -> snapshot -> tree of subjects -> findings -> verdict -> result

The clock is the snapshot's: nothing below the source asks the machine what time it is, so that a replay gives the
verdict of the live run. Errors are raised anywhere and become the JSON and the exit code in one place, `main`.
"""

from __future__ import annotations

import argparse
import copy
import functools
import gc
import io
import json
import operator
import os
import re
import shlex
import signal
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any, NoReturn

import jmespath.exceptions
import jmespath.functions
import jmespath.parser
import yaml

__version__ = "0.1.0"

Json = Any  # what json.loads returns
HERE = Path(__file__).resolve().parent
# In a wheel the data lies in a folder of its own; in a checkout, and where the script was copied, beside this file.
DATA = HERE / "rollout_status_data" if (HERE / "rollout_status_data").is_dir() else HERE


class RolloutError(Exception):
    """Ends the run without a verdict of the rules. `code` is one of rules/codes.yaml, `exit` overrides its exit code."""

    def __init__(self, code: str, message: str, *, hint: str = "", rule: str = "", exit: int | None = None) -> None:
        super().__init__(message)
        self.code, self.message, self.hint, self.rule, self.exit = code, message, hint, rule, exit


def reason(error: Exception) -> str:
    """What went wrong; of an error of the operating system neither the number nor the file, which stand beside it."""
    return str((isinstance(error, OSError) and error.strerror) or error)


def nearest(word: Json, words: Iterable[str]) -> str:
    """The end of an error's sentence: "; did you mean X?", or all that there is when nothing is close."""
    known = sorted(words)
    close = closest(str(word), known)
    return f"; did you mean {close}?" if close else f"; there is {', '.join(known)}"


def closest(word: str, words: Sequence[str]) -> str:
    """The word that is spelt most like this one; empty when none is close."""
    import difflib  # noqa: PLC0415, only for errors: it takes 3 ms

    return next(iter(difflib.get_close_matches(word, words, 1)), "")


@contextmanager
def collected(problems: list[RolloutError] | None) -> Iterator[None]:
    """Adds an error to the problems and goes on behind the block; without such a list the error ends the run."""
    try:
        yield
    except RolloutError as error:
        if problems is None:
            raise
        problems.append(error)


# ---------------------------------------------------------------------------------------------------------- arguments


class UnreadableError(argparse.ArgumentTypeError, ValueError):
    """A text is not of the type it should be; argparse passes its sentence on."""


UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
LENGTH = re.compile(r"(\d{1,9}\.?\d{0,9}|\.\d{1,9})(ns|us|µs|μs|ms|s|m|h)")


def duration(text: str, least: float | None = None) -> float:
    """The seconds in a Go duration (`1m30s`, `500ms`) or in a plain number of seconds; UnreadableError otherwise."""
    sign, digits = (-1, text[1:]) if text.startswith("-") else (1, text.removeprefix("+"))
    lengths = LENGTH.findall(digits + "s" if digits.isdecimal() else digits)
    if not lengths or "".join(map("".join, lengths)) not in (digits, digits + "s"):
        raise UnreadableError(f"{text!r} is no duration: write 90s, 1m30s or 2h")
    seconds = sign * sum(float(number) * UNITS[unit] for number, unit in lengths)
    if least is not None and seconds < least:
        raise UnreadableError(f"{text!r} is too short a time")
    return seconds


def boolean(text: str) -> bool:
    """True or False, in the words of Go's flag package; UnreadableError otherwise."""
    if text.lower() not in ("1", "t", "true", "0", "f", "false"):
        raise UnreadableError(f"{text!r} is neither true nor false")
    return text.lower() in ("1", "t", "true")


def integer(text: str) -> int:
    """A whole number; UnreadableError otherwise."""
    if not re.fullmatch(r"[+-]?[0-9]{1,9}", text):
        raise UnreadableError(f"{text!r} is no whole number: write 6, or -1 for no limit")
    return int(text)


TIMESTAMP = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+)?(Z|[+-]\d\d:\d\d)", re.ASCII)


@functools.lru_cache(4096)
def timestamp(text: str) -> float:
    """The seconds since 1970 of an RFC 3339 timestamp, as Kubernetes writes them; UnreadableError otherwise."""
    try:
        moment, fraction, zone = TIMESTAMP.fullmatch(text).groups()  # type: ignore[union-attr]
        return datetime.fromisoformat(moment + zone.replace("Z", "+00:00")).timestamp() + float(fraction or 0)
    except (AttributeError, ValueError):
        raise UnreadableError(f"{text!r} is no moment: write one like 2026-11-23T06:45:38Z") from None


def written(moment: float) -> str:
    """The RFC 3339 timestamp, to the millisecond, of seconds since 1970."""
    return datetime.fromtimestamp(moment, timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def word(text: str) -> str:
    """A text that is not empty, as an unset variable of a pipeline would be; UnreadableError otherwise."""
    if not text.strip():
        raise UnreadableError("it is empty: is a variable unset?")
    return text.strip()


def setting(text: str) -> tuple[str, str]:
    """Name and value of `NAME=VALUE`, the name with underscores; UnreadableError otherwise."""
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise UnreadableError(f"{text!r} is not NAME=VALUE")
    return name.replace("-", "_"), value


def pairs(text: str) -> list[dict[str, str]]:
    """`NAME=VALUE` as a list with one {name, value}, an empty text as an empty list; UnreadableError otherwise."""
    name, _, value = text.partition("=")
    if text and not (name.strip() and value.strip()):
        raise UnreadableError(f"{text!r} is not NAME=VALUE")
    return [{"name": name.strip(), "value": value.strip()}] if text else []


def pattern(text: str) -> re.Pattern[str]:
    """A regular expression of Python; UnreadableError otherwise."""
    try:
        return re.compile(text)
    except re.error as error:
        raise UnreadableError(f"{text!r} is no regular expression: {error}") from None


def kind_and_name(text: str) -> tuple[str, str]:
    """Kind and name of `KIND/NAME`; UnreadableError otherwise."""
    kind, _, name = text.partition("/")
    if not (kind and name) or "/" in name:
        raise UnreadableError(f"{text!r} is not KIND/NAME: write for example deployment/web")
    return kind, name


class Parser(argparse.ArgumentParser):
    """argparse, with Go's way of writing flags, and with errors that are raised."""

    def error(self, message: str) -> NoReturn:
        raise RolloutError("usage", message, hint="rollout-status --help")

    def flags(self) -> dict[str, tuple[str, argparse.Action]]:
        """Each flag with its dashes and its action, by its name without them."""
        return {name.lstrip("-"): (name, action) for name, action in self._option_string_actions.items()}

    def go_style(self, argv: Iterable[str]) -> Iterator[str]:
        """The arguments as argparse wants them: one dash or two, `-flag value` or `-flag=value`, a boolean only with `=`."""
        flags = self.flags()
        tokens = iter(argv)
        for token in tokens:
            name, equals, value = token.lstrip("-").partition("=")
            if not token.startswith("-") or name not in flags:
                if token.startswith("-") and (token[:2] == "--" or token[1:2] not in flags):
                    self.error(f"unknown flag {token}{nearest(f'--{name}', (f'--{flag}' for flag in flags if flag[1:]))}")
                yield token
            elif flags[name][1].nargs == 0:
                yield from [flags[name][0]] if not equals or boolean(value) else []
            else:
                given = value if equals else next(tokens, None)
                if given in (None, "--"):  # which argparse takes for the end of all flags
                    self.error(f"{token} needs a value")
                if not given and flags[name][1].metavar in ("DIR", "PATH"):
                    self.error(f"{token}: it is empty: is a variable unset?")
                yield f"{flags[name][0]}={given}"

    def parse(self, argv: Iterable[str]) -> argparse.Namespace:
        """The arguments by name; RolloutError `usage`, with what may have been meant, when one is wrong."""
        try:
            return self.parse_intermixed_args(list(self.go_style(argv)))
        except UnreadableError as error:
            self.error(str(error))


class Screen(argparse.HelpFormatter):
    """A line for each flag, so that all of them fit a screen."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=30, width=100)

    def _format_action_invocation(self, action: argparse.Action) -> str:
        """`-n, --namespace NAME`, as Python 3.13 has it; before, the value stood behind each name."""
        value = "" if not action.option_strings or action.nargs == 0 else f" {action.metavar}"
        return (", ".join(action.option_strings) or str(action.metavar)) + value

    def format_help(self) -> str:
        """Without blank lines between the groups."""
        head, *groups = super().format_help().split("\n\n")
        return "\n".join([head, *groups])


def parser() -> Parser:
    """The command line."""
    several: Any = {"action": "append", "default": []}
    seconds, some_seconds = functools.partial(duration, least=0), functools.partial(duration, least=0.001)
    flags = Parser(
        prog="rollout-status",
        usage="rollout-status [KIND/NAME ...] [flags]\n"
        "       rollout-status explain [KIND/NAME ...] [flags]     why each subject is what it is\n"
        "       rollout-status query EXPR --subject KIND [flags]   what an expression gives\n"
        "       rollout-status report|rules|lint|test|completion   each has --help; demo shows a failure",
        description="Waits until what was applied has rolled out, prints one JSON verdict and exits.",
        epilog="Flags take one dash or two, `-flag value` or `-flag=value`, and times like 90s or 1m30s. Exit codes: 0 success, "
        "1 failed, 2 wrong input, 3 time was up, 4 the cluster or kubectl could not be asked, 70 a bug, 130/143 interrupted.",
        allow_abbrev=False,
        add_help=False,
        formatter_class=Screen,
    )
    add = flags.add_argument_group("what to judge").add_argument
    add("names", nargs="*", type=kind_and_name, metavar="KIND/NAME", help="these workloads; default: all of the namespace")
    add("-n", "--namespace", **several, type=word, metavar="NAME", help="repeatable; default: the context's")
    add("-A", "--all-namespaces", action="store_true", help="all namespaces")
    add("-l", "--selector", default="", metavar="LABELS", help="only workloads with these labels")
    kinds = "any that kubectl knows; default: deployment,statefulset,daemonset,job"
    add("--kinds", **several, type=word, metavar="KIND,...", help=kinds)
    add("--kind-filter", **several, type=word, metavar="KIND,...", dest="kinds", help=argparse.SUPPRESS)
    add("-f", "--filename", **several, type=word, metavar="FILE", help="what is in these manifests; -: what apply -o json printed")
    add("-k", "--kustomize", default="", metavar="DIR", help="what is in this kustomization")
    add = flags.add_argument_group("what counts as failure").add_argument
    add("--retry-limit", metavar="N", help="restarts tolerated before a crash is fatal; -1: any number (6)")
    add("--pending-deadline", metavar="TIME", help="how long a pod may stay unschedulable; -1: for ever (180s)")
    add("--ignore-secret-not-found", action="store_true", help="wait for a missing Secret")
    add("--on-superseded", metavar="note|fail", help="what it is that something else was applied since (note)")
    add("--expect-image", **several, metavar="NAME=IMAGE", help="wait until container NAME runs it; repeatable")
    add("--expect", **several, metavar="EXPR", help="wait until this is true of each workload; repeatable")
    add("--rules", **several, type=word, metavar="PATH", help="a team's rules, a file or a folder; repeatable")
    add("--set", **several, type=setting, metavar="NAME=VALUE", help="any parameter of the rules; repeatable")
    add = flags.add_argument_group("how long").add_argument
    add("--interval", default=5.0, type=some_seconds, metavar="TIME", help="longest time between polls (5s)")
    add("--timeout", default=0.0, type=seconds, metavar="TIME", help="overall limit; 0: none (0)")
    add("--stable-for", default=0.0, type=seconds, metavar="TIME", help="how long the success must last (0)")
    add("--wait-for-create", default=0.0, type=seconds, metavar="TIME", help="how long the workloads may take to appear (0)")
    add("--once", action="store_true", help="judge what is there now and do not wait")
    add("--check-access", action="store_true", help="only say which of the rights that are needed are there")
    add = flags.add_argument_group("where from").add_argument
    add("--context", default="", metavar="NAME", help="passed on to kubectl")
    add("--kubecontext", default="", metavar="NAME", dest="context", help=argparse.SUPPRESS)
    add("--kubeconfig", default="", metavar="FILE", help="passed on to kubectl")
    add("--kubectl", default=os.environ.get("KUBECTL") or "kubectl", metavar="PATH", help="default: $KUBECTL, else kubectl on PATH")
    add("--request-timeout", default=30.0, type=some_seconds, metavar="TIME", help="longest time for one kubectl call (30s)")
    add("--record", default="", metavar="DIR", help="write what is seen to this new folder, for --replay")
    add("--dump", default="", metavar="DIR", help="the same, but only if the exit code is not 0")
    add("--replay", default="", metavar="PATH", help="a recording, or a file that `kubectl get ... -o json` printed")
    add("--now", type=timestamp, metavar="TIME", help="when that file was taken; default: the newest time in it")
    add = flags.add_argument_group("output").add_argument
    add("-o", "--output", default="json", choices=["json", "text"], metavar="json|text", help="what goes to stdout (json)")
    add("--report", **several, type=word, metavar="FILE", help="write a report: .html, .md or .xml (JUnit); repeatable")
    add("--redact", **several, type=pattern, metavar="REGEX", help="replace what matches in logs; repeatable")
    add("--ci", choices=["none", "github", "gitlab"], metavar="none|github|gitlab", help="whose log stderr is; default: by the environment")
    add("--quiet", action="store_true", help="no progress on stderr")
    add("--version", action="version", version=f"rollout-status {__version__}", help="print the version")
    add("-h", "--help", action="help", help="print this")
    return flags


# -------------------------------------------------------------------------------------------------------- expressions


def field_of(owner: Json, *path: str) -> Json:
    """The value at a path of keys; null where there is none."""
    for name in path:
        owner = owner.get(name) if isinstance(owner, dict) else None
    return owner


def truth(value: Json) -> bool:
    """What JMESPath takes for true: all but null, false and what is empty; 0 is true."""
    return value is not None and value is not False and (bool(value) or isinstance(value, (int, float)))


class Grammar(jmespath.parser.Parser):
    """JMESPath, where `!` binds the whole path that follows it: jmespath 1.1.0 reads `!a.b` as `(!a).b`, which is null."""

    BINDING_POWER = {**jmespath.parser.Parser.BINDING_POWER, "not": 8}  # noqa: RUF012, below `[]`, above `==`
    _CACHE: dict[str, Any] = {}  # noqa: RUF012, not the one of the parser that binds otherwise


TEXT: Any = {"types": ["string", "null"]}
NUMBER: Any = {"types": ["number", "null"]}
ANY: Any = {"types": []}
WORDS: Any = {"types": ["array-string"]}
WORD: Any = {"types": ["string"]}
LISTS: Any = {"types": ["array", "string", "null"]}
SIZED: Any = {"types": ["array", "object", "string", "null"]}
function = jmespath.functions.signature


class Functions(jmespath.functions.Functions):
    """JMESPath's functions and ours, at one moment. All of these take null; what each then gives is in its docstring."""

    def __init__(self, now: float) -> None:
        self.now = now
        self.told_time = False

    @function(TEXT)
    def _func_age(self, moment: str | None) -> float | None:
        """The seconds since a timestamp; null for null."""
        self.told_time = self.told_time or moment is not None
        try:
            return None if moment is None else round(self.now - timestamp(moment), 3)
        except UnreadableError as error:
            raise jmespath.exceptions.JMESPathError(str(error)) from None

    @function(NUMBER, NUMBER)
    def _func_exceeds(self, value: float | None, limit: float | None) -> bool:
        """Value > limit; false when either is null or the limit is negative, which stands for none."""
        return value is not None and limit is not None and limit >= 0 and value > limit

    @function(NUMBER, NUMBER)
    def _func_reached(self, value: float | None, limit: float | None) -> bool:
        """Value >= limit; false when either is null or the limit is negative, which stands for none."""
        return value is not None and limit is not None and 0 <= limit <= value

    @function(ANY, WORD)
    def _func_condition(self, owner: Json, name: str) -> Json:
        """The condition of that type in status.conditions; null when there is none."""
        conditions = field_of(owner, "status", "conditions")
        known = [each for each in conditions if field_of(each, "type") == name] if isinstance(conditions, list) else []
        return known[0] if known else None

    @function(LISTS, TEXT)
    def _func_named(self, entries: Json, name: str | None) -> Json:
        """The entry of a list whose `name` it is; null when there is none, and for null."""
        known = entries if isinstance(entries, list) and name is not None else []
        return next((each for each in known if field_of(each, "name") == name), None)

    @function(NUMBER, NUMBER)
    def _func_subtract(self, left: float | None, right: float | None) -> float | None:
        """Left - right; null when either is null."""
        return None if left is None or right is None else left - right

    @function(TEXT, WORDS)
    def _func_mentions(self, text: str | None, words: list[str]) -> bool:
        """Whether the text has one of the words in it, in any case; false for null."""
        return text is not None and any(word.lower() in text.lower() for word in words)

    @function(LISTS, ANY)
    def _func_contains(self, subject: Json, search: Json) -> bool:
        """Whether the array or the string has it; false for null."""
        return search in subject if isinstance(subject, list) or (isinstance(search, str) and subject) else False

    @function(SIZED)
    def _func_length(self, value: Json) -> int:
        """How many; 0 for null."""
        return 0 if value is None else len(value)

    @function(TEXT, WORD)
    def _func_starts_with(self, text: str | None, start: str) -> bool:
        """Whether the text begins so; false for null."""
        return text is not None and text.startswith(start)

    @function(TEXT, WORD)
    def _func_ends_with(self, text: str | None, end: str) -> bool:
        """Whether the text ends so; false for null."""
        return text is not None and text.endswith(end)


class OrderError(jmespath.exceptions.JMESPathError):
    """What cannot be ordered was to be."""


Meaning = Callable[[Json, Functions], Json]  # of a node: what it gives for a value


def compiled(node: Json) -> Meaning:
    """What a node of JMESPath's tree means. JMESPath's own visitor gives the same, in three times the time; but ordering
    what cannot be ordered is an error here: null would silently be no match.
    """
    children = [compiled(child) if isinstance(child, dict) else child for child in node["children"]]
    return MEANINGS[node["type"]](node, *children)


def sequence_meaning(node: Json, *steps: Meaning) -> Meaning:
    if path := path_in(node):
        return path_meaning(path)

    def run(value: Json, functions: Functions) -> Json:
        for step in steps:
            value = step(value, functions)
        return value

    return run


def path_in(node: Json) -> tuple[str, ...]:
    """The names of which a node consists, as in `a.b.c`; none when it is more than names."""
    if node["type"] == "field":
        return (node["value"],)
    paths = [path_in(child) for child in node["children"]] if node["type"] == "subexpression" else []
    return tuple(name for path in paths for name in path) if all(paths) else ()


def path_meaning(path: tuple[str, ...]) -> Meaning:
    first, rest = path[0], path[1:]

    def run(value: Json, _: Functions) -> Json:
        if type(value) is Scope:
            return value.at(first, rest)
        for name in path:
            if not isinstance(value, dict):
                return None
            value = value.get(name)
        return value

    return run


def index_meaning(node: Json) -> Meaning:
    at = node["value"]
    return lambda value, _: value[at] if isinstance(value, list) and -len(value) <= at < len(value) else None


def comparator_meaning(node: Json, left: Meaning, right: Meaning) -> Meaning:
    order = node["value"]
    if order in ("eq", "ne"):
        wanted = order == "eq"
        if path_in(node["children"][1]) == ("null",):  # the most frequent of all
            return lambda value, functions: (left(value, functions) is None) is wanted
        return lambda value, functions: is_equal(left(value, functions), right(value, functions)) is wanted

    def run(value: Json, functions: Functions) -> bool:
        sides = left(value, functions), right(value, functions)
        if {type(side) for side in sides} <= {int, float} or all(isinstance(side, str) for side in sides):
            return bool(ORDERS[order](*sides))
        told = [(path_of(child), json.dumps(side)) for child, side in zip(node["children"], sides, strict=True)]
        paths = [value if path == value else f"{path} = {value}" for path, value in told]
        raise OrderError(f"two numbers or two texts can be ordered, not {' and '.join(paths)}")

    return run


def is_equal(left: Json, right: Json) -> bool:
    """JMESPath's equality: true and 1 are not the same."""
    return isinstance(left, bool) is isinstance(right, bool) and bool(left == right)


def projection_meaning(_: Json, base: Meaning, each: Meaning, condition: Meaning | None = None) -> Meaning:
    def run(value: Json, functions: Functions) -> Json:
        entries = base(value, functions)
        if not isinstance(entries, list):
            return None
        chosen = (entry for entry in entries if condition is None or truth(condition(entry, functions)))
        return [found for entry in chosen if (found := each(entry, functions)) is not None]

    return run


def value_projection_meaning(_: Json, base: Meaning, each: Meaning) -> Meaning:
    return projection_meaning(
        _, lambda value, functions: list(found.values()) if isinstance(found := base(value, functions), dict) else None, each
    )


def flatten_meaning(_: Json, base: Meaning) -> Meaning:
    def run(value: Json, functions: Functions) -> Json:
        entries = base(value, functions)
        if not isinstance(entries, list):
            return None
        return [part for entry in entries for part in (entry if isinstance(entry, list) else [entry])]

    return run


def function_meaning(node: Json, *arguments: Meaning) -> Meaning:
    name, known = node["value"], Functions.FUNCTION_TABLE
    if name not in known:
        raise jmespath.exceptions.UnknownFunctionError(f"no function {name}(){nearest(name, known)}")
    spec = known[name]
    kinds = [type_names(each["types"]) for each in spec["signature"]]
    plain = len(kinds) == len(arguments) and None not in kinds  # JMESPath's own check is slow, and tells what is wrong

    def run(value: Json, functions: Functions) -> Json:
        given = [argument(value, functions) for argument in arguments]
        if plain:
            for each, known in zip(given, kinds, strict=True):
                if known and type(each).__name__ not in known:
                    break
            else:
                return spec["function"](functions, *given)
        return functions.call_function(name, given)

    return run


def type_names(types: Collection[str]) -> Collection[str] | None:
    """The names of the types of Python that JMESPath's types are; None for those that say what is in a list."""
    return None if any("-" in each for each in types) else {name for each in types for name in jmespath.functions.REVERSE_TYPES_MAP[each]}


class Reference:
    """An `&expression`, as functions like sort_by take it."""

    def __init__(self, expression: Meaning, functions: Functions) -> None:
        self.expression, self.functions = expression, functions

    def visit(self, expression: Meaning, value: Json) -> Json:
        return expression(value, self.functions)


Reference.__name__ = "_Expression"  # JMESPath tells types by their names

ORDERS = {"lt": operator.lt, "lte": operator.le, "gt": operator.gt, "gte": operator.ge}
MEANINGS: dict[str, Callable[..., Meaning]] = {
    "field": lambda node: path_meaning((node["value"],)),
    "subexpression": sequence_meaning,
    "index_expression": sequence_meaning,
    "pipe": sequence_meaning,
    "index": index_meaning,
    "slice": lambda _, *ends: lambda value, _: value[slice(*ends)] if isinstance(value, list) else None,
    "comparator": comparator_meaning,
    "and_expression": lambda _, left, right: lambda value, known: right(value, known) if truth(found := left(value, known)) else found,
    "or_expression": lambda _, left, right: lambda value, known: found if truth(found := left(value, known)) else right(value, known),
    "not_expression": lambda _, child: lambda value, known: not truth(child(value, known)),
    "current": lambda _: lambda value, _: value,
    "identity": lambda _: lambda value, _: value,
    "literal": lambda node: lambda value, _: node["value"],
    "projection": projection_meaning,
    "filter_projection": projection_meaning,
    "value_projection": value_projection_meaning,
    "flatten": flatten_meaning,
    "function_expression": function_meaning,
    "expref": lambda _, child: lambda value, known: Reference(child, known),
    "multi_select_list": lambda _, *parts: lambda value, known: None if value is None else [part(value, known) for part in parts],
    "multi_select_dict": lambda _, *pairs: lambda value, known: None if value is None else dict(pair(value, known) for pair in pairs),
    "key_val_pair": lambda node, child: lambda value, known: (node["value"], child(value, known)),
}


def path_of(node: Json) -> str:
    """The path that a part of an expression reads, for an error's sentence."""
    children = [path_of(child) for child in node["children"] if isinstance(child, dict)]
    if node["type"] in ("subexpression", "index_expression"):
        return ".".join(children)
    if node["type"] == "function_expression":
        return f"{node['value']}({', '.join(children)})"
    return json.dumps(node["value"]) if node["type"] == "literal" else str(node.get("value", node["type"]))


def nodes(node: Json) -> Iterator[Json]:
    """The node of a parsed expression and all below it."""
    yield node
    for child in node["children"]:
        if isinstance(child, dict):
            yield from nodes(child)


def roots_in(node: Json) -> set[str]:
    """The names that a parsed expression reads of what it is evaluated for; not those that it reads of an entry of a list."""
    if node["type"] == "field":
        return {node["value"]}
    children = [child for child in node["children"] if isinstance(child, dict) and child["type"] != "expref"]
    is_led = node["type"] in ("subexpression", "index_expression", "pipe", "flatten") or "projection" in node["type"]
    return set().union(*map(roots_in, children[:1] if is_led else children))


QUOTED = re.compile(r"""'(?:[^'\\\\]|\\\\.)*'|"(?:[^"\\\\]|\\\\.)*"|`(?:[^`\\\\]|\\\\.)*`""")
# What an expression that cannot be parsed has in it outside of its texts, and what was to be written
SLIPS = (
    (r"['\"`]", "a quote is opened and not closed"),
    (r"#", "the rest of a block belongs to it: put the comment outside"),
    (r"\band\b|(?<!&)&(?!&)(?=\s)", "write && for `and`"),
    (r"\bor\b", "write || for `or`"),
    (r"\bnot\b", "write ! for `not`"),
    (r"\bin\b", "write contains(['a', 'b'], x) for `x in`"),
    (r"\bis\b", "write == null or != null for `is`"),
    (r"(?<![=!<>])=(?!=)|===", "write == for `equals`"),
    (r"[=<>]\s*-?\d", "a number stands in backticks: `3`"),
    (r"^\s*[.$]|\$", "begin with self, or with the name of a kind"),
    (r"\w[-/]\w", 'a name with - / or . in it stands in double quotes: labels."my-label"'),
    (r"^\s*\{|\{\{", "an expression stands without braces; they are for messages"),
)


def slip(text: str) -> str:
    """What seems to be wrong with an expression that cannot be parsed; empty if that is not known."""
    bare = QUOTED.sub("_", text)
    for opened, closed in ("()", "[]"):
        if bare.count(opened) != bare.count(closed):
            return f"{bare.count(opened)} {opened} and {bare.count(closed)} {closed}: each needs its other one"
    return next((remedy for pattern, remedy in SLIPS if re.search(pattern, bare)), "")


@functools.lru_cache(4096)  # many rules have the same ones
def understood(text: str) -> tuple[Json, Meaning, frozenset[str]]:
    """The tree of an expression, what it means and the names that it reads; JMESPathError when it is wrong."""
    tree = Grammar().parse(text).parsed
    return tree, compiled(tree), frozenset(roots_in(tree))


@dataclass(frozen=True, slots=True, eq=False)
class Expression:
    """A JMESPath expression; `where` is file, line and rule, for its errors."""

    text: str
    where: str
    tree: Json
    meaning: Meaning
    roots: frozenset[str]  # the names that it reads

    @staticmethod
    def parse(text: str, where: str) -> Expression:
        """The expression; RolloutError `invalid-rules` when it has a typing error or an unknown function."""
        try:
            return Expression(text, where, *understood(text))
        except jmespath.exceptions.UnknownFunctionError as error:
            problem = str(error)
        except jmespath.exceptions.JMESPathError as error:
            problem = slip(text) or " ".join(str(error).partition(": Parse error")[0].partition("\n")[0].split())
        raise RolloutError("invalid-rules", f"{where}: {problem} (in: {text})")

    def value(self, scope: Json, functions: Functions) -> Json:
        """What it gives for a scope; RolloutError `invalid-rules` when it cannot be evaluated."""
        try:
            return self.meaning(scope, functions)
        except jmespath.exceptions.JMESPathError as error:
            raise RolloutError("invalid-rules", f"{self.where}: {error} (in: {self.text})") from None


class Expectation(Expression):
    """That an expression is not true yet. What cannot be ordered is not there yet; in a rule file it would be an error."""

    __slots__ = ()

    def value(self, scope: Json, functions: Functions) -> Json:
        try:
            return not truth(self.meaning(scope, functions))
        except OrderError:
            return True
        except jmespath.exceptions.JMESPathError as error:
            raise RolloutError("usage", f"{self.where}: {error} (in: {self.text})") from None


@dataclass(frozen=True, slots=True, eq=False)
class Template:
    """A text with `{expression}` in it; `{{` is a brace, null prints as nothing."""

    parts: tuple[str | Expression, ...]

    @staticmethod
    def parse(text: str, where: str) -> Template:
        """The template; RolloutError `invalid-rules` when one of its expressions is wrong."""
        parts: list[str | Expression] = []
        rest = text
        while "{" in rest:
            before, _, rest = rest.partition("{")
            if rest.startswith("{"):
                parts, rest = [*parts, before + "{"], rest[1:]
            else:
                expression, rest = Template.first_expression(rest, where)
                parts += [before, expression]
        return Template((*parts, rest))

    @staticmethod
    def first_expression(text: str, where: str) -> tuple[Expression, str]:
        """The expression that a text begins with, and what follows its brace: the first one that makes it whole."""
        problem = RolloutError("invalid-rules", f"{where}: a {{ has no }} after it; write {{{{ for a brace")
        for brace in re.finditer("}", text):
            try:
                return Expression.parse(text[: brace.start()], where), text[brace.end() :]
            except RolloutError as error:
                problem = error
        raise problem

    def fill(self, value: Callable[[Expression], Json]) -> str:
        """The text, with what `value` gives for each expression."""
        return "".join(part if isinstance(part, str) else printed(value(part)) for part in self.parts)


def printed(value: Json) -> str:
    """A value as a message shows it: null and false as nothing, 10.0 as 10, what is no text as JSON."""
    if value is None or value is False:
        return ""
    if isinstance(value, float):
        return f"{value:g}" if value < 1e6 else f"{value:.0f}"
    return value if isinstance(value, str) else json.dumps(value)


# -------------------------------------------------------------------------------------------------------------- rules

Path_ = tuple[str | int, ...]  # of a field in a YAML file: ("rules", 3, "when")
SCALARS: dict[re.Pattern[str], Callable[[str], Json]] = {
    re.compile(r"true|false"): lambda text: text == "true",
    re.compile(r"null|~|"): lambda text: None,
    re.compile(r"[-+]?[0-9]{1,15}"): int,
    re.compile(r"[-+]?[0-9]{1,15}\.[0-9]+"): float,
}
PLAIN_TAGS = {f"tag:yaml.org,2002:{name}" for name in ("str", "int", "float", "bool", "null", "map", "seq", "timestamp")}


# What the YAML parser says, and what was to be written
YAML_SLIPS = (
    ("found a tab|found character '.t'", "indent with spaces, not with a tab"),
    ("scanning a tag|found '<scalar>'", "an expression that begins with ! needs quotes; or else the indent is not that of the lines above"),
    ("quoted scalar", "a quote is opened here and not closed"),
    ("cannot start any token", "a text that begins with ` @ % or a tab needs quotes around all of it"),
    ("simple key", "write a space after the colon, and a colon after the key"),
    ("flow sequence", "a [ is opened here and not closed; a text that begins with [ needs quotes around all of it"),
    ("flow mapping", "a { is opened here and not closed; a text that begins with { needs quotes around all of it"),
    ("mapping values", "a text with `: ` in it needs quotes, or a block (>-); or else the indent is not that of the lines above"),
    ("single document", "a file has one document: remove the line ---, or make it two files"),
    (
        "did not find expected",
        "the indent is not that of the lines above; or else a text that begins with a quote, [ or { needs quotes around all of it",
    ),
)


class Document:
    """A YAML file, read strictly: no key stands twice, there are no tags and no aliases, and only true, false, null and
    numbers are not texts. What is wrong with it ends the run with `code`, file and line; or is added to `problems`.
    """

    def __init__(self, path: Path, code: str, problems: list[RolloutError] | None = None) -> None:
        self.path, self.code, self.problems = path, code, problems
        self.lines: dict[Path_, int] = {(): 1}
        self.names: dict[Path_, str] = {}  # the ids of rules
        self.expressions: dict[Path_, Expression | None] = {}  # that were read: a `let` of the file is in all of its rules
        try:
            text = path.read_text(encoding="utf-8")
            loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
            events: Any = yaml.parse(text, loader) if re.search(r"\*[\w-]", text) else ()
            aliases: list[Any] = [event.start_mark for event in events if isinstance(event, yaml.AliasEvent)]
            if aliases:
                self.lines[()] = aliases[0].line + 1
                self.refuse((), "aliases (*name) are not allowed: write it out")
            node = yaml.compose(text, loader)
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            self.refuse((), f"cannot be read: {self.slip(error)}")
        self.lines[()] = node.start_mark.line + 1 if node else 1
        self.content = {} if node is None else self.read(node, ())

    def slip(self, error: Exception) -> str:
        """What is wrong with the text of the file, and what to write instead; notes the line."""
        if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
            return " ".join(reason(error).split())
        said = f"{error.context or ''}: {error.problem}"
        at_its_begin = error.context_mark and re.search("quoted scalar|simple key|flow", said)
        mark: Any = error.context_mark if at_its_begin else error.problem_mark
        self.lines[()] = mark.line + 1
        return next((f"{remedy} ({error.problem})" for words, remedy in YAML_SLIPS if re.search(words, said)), str(error.problem))

    def refuse(self, at: Path_, problem: str) -> NoReturn:
        raise RolloutError(self.code, f"{self.where(at)}: {problem}")

    def report(self, at: Path_, problem: str) -> None:
        """Refuses the file; where all that is wrong is wanted, it is read on."""
        with collected(self.problems):
            self.refuse(at, problem)

    def where(self, at: Path_) -> str:
        """File and line of a field, or of the nearest one around it; for a rule's fields its id too."""
        rule = self.names.get(at[:2]) or (str(at[1]) if at[:1] == ("override",) and len(at) > 1 else "")
        while at not in self.lines:
            at = at[:-1]
        return f"{self.path}:{self.lines[at]}{f': {rule}' if rule else ''}"

    def read(self, node: yaml.Node, at: Path_) -> Json:
        """The content of a node; notes the line of each field."""
        self.lines.setdefault(at, node.start_mark.line + 1)
        if node.tag not in PLAIN_TAGS:
            self.refuse(at, f"YAML takes {node.tag} for a tag: a text that begins with ! needs quotes around all of it")
        if isinstance(node, yaml.SequenceNode):
            return [self.read(child, (*at, index)) for index, child in enumerate(node.value)]
        if isinstance(node, yaml.MappingNode):
            if at[:1] == ("rules",) and len(at) == 2:
                self.names[at] = next((str(value.value) for key, value in node.value if key.value == "id"), "")
            return dict(self.read_pair(key, value, at) for key, value in node.value)
        plain = isinstance(node, yaml.ScalarNode) and not node.style
        return next((to(node.value) for pattern, to in SCALARS.items() if plain and pattern.fullmatch(node.value)), node.value)

    def read_pair(self, key: yaml.Node, value: yaml.Node, at: Path_) -> tuple[str, Json]:
        path = (*at, key.value if isinstance(key.value, str) else "{...}")
        first, self.lines[path] = self.lines.get(path), key.start_mark.line + 1
        if first:
            self.report(path, f"{path[-1]} stands twice, first in line {first}: remove one of them")
        return str(path[-1]), self.read(value, path)

    def get(self, at: Path_, default: Json = None) -> Json:
        """The field at this path, or the default."""
        content = self.content
        for step in at:
            try:
                content = content[step]
            except (KeyError, IndexError, TypeError):
                return default
        return content

    def mapping(self, at: Path_, known: Collection[str] = (), needed: Collection[str] = ()) -> dict[str, Json]:
        """The mapping at this path, with no key that is not known and all that are needed."""
        content = self.get(at, {})
        if not isinstance(content, dict):
            self.refuse(at, f"{self.title(at)} must be a mapping{' with ' + ', '.join(known) if known else ', with lines like NAME: ...'}")
        for key in content:
            if known and key not in known:
                self.report((*at, key), f"unknown key {key}{nearest(key, known)}")
        for key in needed:
            if key not in content:
                self.report(at, f"{key} is missing")
        return content

    def title(self, at: Path_) -> str:
        """What a sentence calls the field."""
        return "a file of rules" if not at else f"an entry of {at[-2]}" if isinstance(at[-1], int) else at[-1]

    def members(self, at: Path_) -> list[Path_]:
        """The paths of the members of the mapping at this path."""
        with collected(self.problems):
            return [(*at, name) for name in self.mapping(at)]
        return []

    def entries(self, at: Path_) -> list[Path_]:
        """The paths of the members of the list at this path."""
        content = self.get(at, [])
        if not isinstance(content, list):
            self.report(at, f"{self.title(at)} must be a list: begin each of its entries with {'`- id: `' if at == ('rules',) else '`- `'}")
        return [(*at, index) for index in range(len(content) if isinstance(content, list) else 0)]

    def text(self, at: Path_, also: type = str) -> str | None:
        """The text at this path, None if there is none; a number is one as it is written."""
        content = self.get(at)
        if isinstance(content, (dict, list, bool)) and not isinstance(content, also):
            given = "true or false" if isinstance(content, bool) else "a list" if isinstance(content, list) else "a mapping"
            self.report(at, f"{self.title(at)} must be a text, and YAML reads {given}: put quotes around all of it, or write a block (>-)")
            return None
        return None if content is None else str(content)

    def texts(self, at: Path_) -> tuple[str, ...]:
        """The texts in the list at this path; one text alone is such a list too."""
        content = self.get(at)
        found = map(self.text, self.entries(at)) if isinstance(content, list) else [self.text(at)]
        return tuple(text for text in found if text is not None)

    def flag(self, at: Path_, default: bool) -> bool:
        """The true or false at this path."""
        content = self.get(at, default)
        if not isinstance(content, bool):
            self.report(at, f"{self.title(at)} must be true or false, not {content}")
        return content is True

    def expression(self, at: Path_) -> Expression | None:
        if at not in self.expressions:
            text, self.expressions[at] = self.text(at), None
            with collected(self.problems):
                self.expressions[at] = None if text is None else Expression.parse(text, f"{self.where(at)}: {at[-1]}")
        return self.expressions[at]

    def some_expression(self, at: Path_) -> Expression:
        if self.get(at) is None:
            self.report(at, f"{self.title(at)} is missing: write an expression")
        return self.expression(at) or Expression.parse("null", self.where(at))

    def template(self, at: Path_) -> Template | None:
        text = self.text(at)
        with collected(self.problems):
            return None if text is None else Template.parse(text, f"{self.where(at)}: {at[-1]}")
        return None


class Entry:
    """A rule, a kind, a parameter or a code of the rule files: where each of its fields is written. A team may replace single ones."""

    def __init__(self, document: Document, at: Path_, known: Collection[str], needed: Collection[str]) -> None:
        document.mapping(at, known, needed)
        self.document, self.at, self.known = document, at, known
        self.fields: dict[str, tuple[Document, Path_]] = {}
        self.lets: dict[str, tuple[Document, Path_]] = {}  # of the files that it is written in
        self.replace(document, at)

    def replace(self, document: Document, at: Path_) -> None:
        """Takes the fields that are written there for its own."""
        self.fields |= {key: (document, (*at, key)) for key in document.get(at)}
        self.lets |= {name: (document, ("let", name)) for name in document.get(("let",), {})}

    def place(self, field: str) -> tuple[Document, Path_]:
        return self.fields.get(field) or (self.document, (*self.at, field, ""))  # where nothing is, also where a team has dropped it

    def report(self, field: str, problem: str) -> None:
        document, at = self.place(field)
        document.report(at, problem)

    def missing(self, field: str, remedy: str) -> None:
        """Reports a field that is not there, or empty, unless one that is not known may be meant for it."""
        if all(key in self.known for key in self.fields):
            self.report(field, f"{field} is missing: {remedy}")

    def get(self, field: str, default: Json = None) -> Json:
        document, at = self.place(field)
        return document.get(at, default)

    def text(self, field: str) -> str | None:
        document, at = self.place(field)
        return document.text(at)

    def texts(self, field: str) -> tuple[str, ...]:
        document, at = self.place(field)
        return document.texts(at)

    def flag(self, field: str, default: bool) -> bool:
        document, at = self.place(field)
        return document.flag(at, default)

    def expression(self, field: str) -> Expression | None:
        document, at = self.place(field)
        return document.expression(at)

    def template(self, field: str) -> Template | None:
        document, at = self.place(field)
        return document.template(at)

    def expressions(self, field: str) -> tuple[Expression, ...]:
        """Those in the list that the field is."""
        document, at = self.place(field)
        return tuple(document.some_expression(each) for each in document.entries(at))


@dataclass(frozen=True, slots=True)
class Code:
    """A code of a result; `rank` orders causes before symptoms."""

    name: str
    rank: int
    type: str
    exit: int
    symptom: bool = False  # what a workload with it still waits for is the cause
    hint: str = ""  # what to do next, where an error with it has no hint of its own


TYPES: dict[str, Callable[[str], Json]] = {"duration": duration, "integer": integer, "boolean": boolean, "text": str, "pairs": pairs}


@dataclass(frozen=True, slots=True)
class Parameter:
    """What rules read as `params.name`; a duration in seconds."""

    name: str
    type: str
    default: Json
    choices: tuple[str, ...]

    def value(self, text: str) -> Json:
        """The value that a text stands for; UnreadableError when it is none of the parameter's type."""
        if self.choices and text not in self.choices:
            raise UnreadableError(f"{text!r} is none of {', '.join(self.choices)}")
        return TYPES[self.type](text)


@dataclass(frozen=True, slots=True, eq=False)
class Current:
    """One way to tell the children of the current revision: child's and parent's value at these paths are equal."""

    child: str
    of_child: Expression
    of_parent: Expression
    without: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """A list in an object whose members are subjects: their specs, their statuses (of the same name), fields to add."""

    spec: Expression
    status: Expression
    add: Mapping[str, Expression]


@dataclass(frozen=True, slots=True, eq=False)
class Revisions:
    """Where a kind keeps the templates that its objects have had, and the command that goes back to one."""

    kept_in: str  # the kind that keeps them: an object, which the workload owns, for each
    number: Expression  # of such an object: the newest has the highest
    template: Expression  # of such an object
    current: Expression  # of the workload: the template that it has now
    without: tuple[str, ...]  # what is in a kept template and not in the workload's
    makes: str  # the kind of which objects are made by the template
    serves: Expression | None  # of such an object: whether pods with its template are ready
    can_roll_back: Expression | None  # about `self`, what it has `owned` of the current revision and has of `old` ones
    rollback: Template | None  # the command: about the same, and the number of the `revision`


STAGE_MEANS = ("wait", "run", "good", "bad", "end", "note")  # a note changes nothing


@dataclass(frozen=True, slots=True, eq=False)
class Stage:
    """A step in the life of an object, for the timeline of a report: one for each entry (without `each`: for the object)."""

    name: str
    means: str  # what the object is from then on
    each: Expression | None
    at: Expression | None  # of the entry: the moment, or several; without it, when the entry is first seen
    message: Template | None  # about the entry


@dataclass(frozen=True, slots=True, eq=False)
class Kind:
    """A kind of subject. `name` is its root in expressions; what has a `resource` is an object, the others are parts.

    The kind whose resource is `*` stands for all that nothing declares.
    """

    name: str
    resource: str
    short: tuple[str, ...]
    watched: bool  # without --kinds
    version: str  # of its API, when there may be so many of it that kubectl should not decode them
    listed: bool  # kubectl is asked for it; else only a recording may show it
    waits: bool
    finishes: Expression | None  # whether its success is final: deleted after it, it has still succeeded
    owns: tuple[str, ...]
    current: tuple[Current, ...]
    blocked_by: Expression | None  # of what it owns in other revisions, that which is judged too, since it is in the way
    blocked: Template | None  # what messages about that have at their end
    runs: Expression | None  # the names of the containers that it runs
    progress: tuple[Expression, ...]
    counts: tuple[Expression, ...]  # how many of what it wants are ready, and how many it wants, for those who look on
    zero: tuple[tuple[str, ...], ...]
    part_of: str
    parts: tuple[Part, ...]
    previous_log: Expression | None  # whether the run of a part that failed is no longer its last one
    stages: tuple[Stage, ...]
    revisions: Revisions | None
    shown: Expression | None  # what of it may be told when it has changed, at the places where it is

    def is_called(self, word: str) -> bool:
        """Whether KIND/NAME or --kinds means it: deployment, Deployments, deploy, deployment.apps, deployment.v1.apps."""
        return is_word_for(word, self.resource, (self.name, *self.short))

    @property
    def plural(self) -> str:
        return self.resource.partition(".")[0]


def is_word_for(word: str, resource: str, names: Collection[str]) -> bool:
    """Whether a word of the command line is the resource or one of the names, with its group, with version and group, or with neither."""
    plural, _, group = resource.partition(".")
    name, _, rest = word.lower().partition(".")
    return name in (plural, *names) and (rest in ("", group) or bool(re.fullmatch(r"v\d+((alpha|beta)\d+)?\." + re.escape(group), rest)))


@dataclass(frozen=True, slots=True, eq=False)
class Rule:
    """A statement about the subjects of some kinds; the fields are those of the rule file."""

    id: str
    where: str
    subjects: tuple[str, ...]
    each: Expression | None  # the rule is judged once for each entry of this list
    when: Expression
    unless: Expression | None
    verdict: str
    fail_when: Expression | None
    fail_after: Expression | float | None
    since: Expression | None
    let: Mapping[str, Expression]
    common: frozenset[str]  # those of `let` that give the same for all rules about a subject
    code: Template | None
    message: Template | None
    hint: Template | None
    logs: bool

    @property
    def can_wait(self) -> bool:
        return self.verdict in ("wait", "hold")

    def expressions(self) -> Iterator[Expression]:
        """All its expressions."""
        for each in (self.each, self.when, self.unless, self.fail_when, self.fail_after, self.since, *self.let.values()):
            yield from [each] if isinstance(each, Expression) else []
        for template in (self.code, self.message, self.hint):
            yield from (part for part in (template.parts if template else ()) if isinstance(part, Expression))


VERDICTS = ("fail", "wait", "hold", "ignore", "note")
SILENT = ("fail", "ignore", "note")  # verdicts that do not wait
DECISIONS = ("verdict", "fail_when", "fail_after")  # a rule has one of them
CODE_TYPES = ("rollout", "program")
CODE_NEEDS = ("code", "type", "exit", "text")
CODE_KEYS = (*CODE_NEEDS, "symptom", "hint")
PARAM_KEYS = ("type", "default", "choices", "doc")
RULE_KEYS = ("id", "aliases", "subject", "each", "when", "unless", *DECISIONS, "since", "let", "code", "message", "hint", "logs", "docs")
FILE_KEYS = ("version", "extends", "codes", "kinds", "params", "let", "rules", "disable", "override", "annotations")
TEAM_CODE = re.compile(r"[a-z][a-z0-9-]*/[a-z][a-z0-9-]*")


REVISIONS_KEYS = ("kept_in", "number", "template", "current", "makes", "except", "serves", "can_roll_back", "rollback")
ROLLBACK = ("self", "owned", "old", "revision")  # names that a rollback may read
VARYING = ("each", "events", "time")  # names that do not mean the same to all rules about a subject


def is_common(name: str, let: Mapping[str, Expression], varying: Collection[str]) -> bool:
    """Whether a `let` of a file, or another root, depends on nothing that varies, nor on itself."""
    return name not in varying and (name not in let or all(is_common(each, let, {*varying, name}) for each in let[name].roots))


def code_named(codes: Mapping[str, Code], name: str) -> Code | None:
    """The code of this name. One with a prefix is a team's, needs no declaration, and is taken for a cause."""
    return codes.get(name) or (Code(name, -1, "rollout", 1) if TEAM_CODE.fullmatch(name) else None)


class Rules:
    """All that rule files say: those of a folder, its packs for the kinds that are asked for (None: all), over them those of teams.

    RolloutError `invalid-rules`, with file and line, when one is wrong.
    """

    def __init__(
        self, folder: Path, teams: Sequence[Path] = (), *, packs: Collection[str] | None = (), problems: list[RolloutError] | None = None
    ) -> None:
        self.problems = problems  # where lint wants all of them; else the first one ends the run
        self.called: dict[str, Kind] = {}  # what nothing declares and the command line names, by its word
        self.known: dict[tuple[str, str], Kind | None] = {}  # by the kind and the group of an object
        self.documents: list[Document] = []
        self.checked: set[Expression] = set()
        self.packed: set[str] = set()  # kinds that are judged only if they are asked for
        self.notes: list[str] = []
        self.annotations: Collection[str] | None = None  # the parameters that annotations may set; None: all
        self.entries: dict[str, dict[str, Entry]] = {"codes": {}, "kinds": {}, "params": {}, "rules": {}}
        own = [self.document(path) for path in sorted(folder.glob("*.yaml"))]
        if not own:
            raise RolloutError("invalid-rules", f"{folder} has no rules: rules/ and schema.json belong beside the program")
        asked = [word for word in packs or () if not any(self.declares(each, word) for each in own)]
        if packs is None or asked or teams:  # a team may speak of any
            documents = [self.document(path) for path in sorted((folder / "packs").glob("*.yaml"))]
            own += [each for each in documents if packs is None or teams or any(self.declares(each, word) for word in asked)]
        for document in own:
            with collected(self.problems):
                known = set(self.entries["kinds"])
                self.add_all(document)
                self.packed |= {*self.entries["kinds"]} - known if document.path.parent != folder else set()
        files = [file for team in teams for file in (sorted(team.glob("*.y*ml")) if team.is_dir() else [team])]
        for path in {path.resolve(): path for path in files}.values():  # one that is named twice is read once
            with collected(self.problems):
                self.overlay(self.document(path))
        self.load()

    @functools.cached_property
    def rules(self) -> dict[str, Rule]:
        """By their ids. They are made when they are asked for first, which a live run does while it waits for kubectl."""
        rules: dict[str, Rule] = {}
        for name, entry in self.entries["rules"].items():
            with collected(self.problems):
                rules[name] = self.load_rule(entry)
        for rule in rules.values():
            self.check_params(rule)
        return rules

    @functools.cached_property
    def of(self) -> dict[str, list[Rule]]:
        """The rules about each kind, and about any workload."""
        return {name: [rule for rule in self.rules.values() if name in rule.subjects] for name in (*self.kinds, "workload")}

    def document(self, path: Path) -> Document:
        document = Document(path, "invalid-rules", self.problems)
        self.documents.append(document)
        if document.mapping((), FILE_KEYS).get("version", 1) != 1:
            document.refuse(("version",), "this program reads version 1: write version: 1")
        document.mapping(("let",))
        return document

    def declares(self, document: Document, word: str) -> bool:
        """Whether a file declares the kind that a word of the command line means."""
        return any(
            is_word_for(word, str(document.get((*at, "resource"), "")), (document.get((*at, "name")), *document.texts((*at, "short"))))
            for at in document.entries(("kinds",))
        )

    def add_all(self, document: Document) -> None:
        """Adds what a file declares. Each name must be new."""
        for section, keys, needed in (
            ("codes", CODE_KEYS, CODE_NEEDS),
            ("kinds", Kind.__slots__, ("name",)),
            ("rules", RULE_KEYS, ("id",)),
        ):
            for at in document.entries((section,)):
                self.add(section, Entry(document, at, keys, needed))
        for at in document.members(("params",)):
            self.add("params", Entry(document, at, PARAM_KEYS, ()))

    def add(self, section: str, entry: Entry) -> None:
        key = {"codes": "code", "kinds": "name", "rules": "id"}.get(section)
        name, known = str(entry.get(key) if key else entry.at[-1]), self.entries[section]
        if name in known:
            entry.document.refuse(entry.at, f"{name} stands twice, first in {known[name].document.where(known[name].at)}")
        known[name] = entry

    def overlay(self, document: Document) -> None:
        """Takes over what a team's file changes and adds."""
        self.extend(document)
        for take, places in (
            (self.take_code, document.entries(("codes",))),
            (self.take_kind, document.entries(("kinds",))),
            (self.take_param, document.members(("params",))),
            (self.take_rule, document.entries(("rules",))),
            (self.override, document.members(("override",))),
            (self.disable, document.entries(("disable",))),
            (self.restrict, [("annotations",)] if document.get(("annotations",)) is not None else []),
        ):
            for at in places:
                with collected(self.problems):
                    take(document, at)

    def extend(self, document: Document) -> None:
        base, rules = document.get(("extends",), "builtin"), self.entries["rules"]
        if base == "none":  # but for what kubectl's own errors mean
            self.notes.append(f"the built-in rules are off: success is what this file says ({document.where(('extends',))})")
            self.entries["rules"] = {name: rule for name, rule in rules.items() if "call" in rule.texts("subject")}
        elif base != "builtin":
            document.report(("extends",), f"no base {base}{nearest(base, ('builtin', 'none'))}")

    def take_code(self, document: Document, at: Path_) -> None:
        self.add("codes", Entry(document, at, CODE_KEYS, CODE_NEEDS))

    def take_kind(self, document: Document, at: Path_) -> None:
        entry = Entry(document, at, Kind.__slots__, ("name",))
        if entry.text("name") in self.entries["kinds"]:
            self.entries["kinds"][entry.get("name")].replace(document, at)
            self.packed.discard(entry.get("name"))
        elif entry.get("name") is not None:
            if entry.get("resource") is None and entry.get("part_of") is None:
                entry.missing("resource", "write its plural and its group, like widgets.example.com")
            self.add("kinds", entry)

    def take_param(self, document: Document, at: Path_) -> None:
        """A parameter of the team, another default for a known one, or some of a known one's fields."""
        known = self.entries["params"].get(str(at[-1]))
        if known and not isinstance(document.get(at), dict):
            known.fields["default"] = (document, at)
        elif known:
            document.mapping(at, PARAM_KEYS)
            known.replace(document, at)
        elif not isinstance(document.get(at), dict):
            near = nearest(at[-1], self.entries["params"])
            document.refuse(at, f"no parameter {at[-1]}{near} (a new one is a mapping with type and default)")
        else:
            self.add("params", Entry(document, at, PARAM_KEYS, ()))

    def take_rule(self, document: Document, at: Path_) -> None:
        entry = Entry(document, at, RULE_KEYS, ())
        name = entry.text("id") or ""
        if name in self.entries["rules"] and not TEAM_CODE.fullmatch(name):
            document.refuse((*at, "id"), f"this is a built-in rule: write what changes as override: {{{name}: ...}}, or id: acme/{name}")
        words = [re.sub("[^a-z0-9]+", "-", word.lower()).strip("-") or "name" for word in name.split("/")]
        proposal = "/".join(words if len(words) == 2 else ["acme", "-".join(words)])
        if not name:
            entry.missing("id", f"write id: {proposal}")
        elif not TEAM_CODE.fullmatch(name):
            entry.report("id", f"a team's rule has a prefix, and small letters, digits and dashes: write id: {proposal}")
        self.add("rules", entry)

    def override(self, document: Document, at: Path_) -> None:
        rule = self.rule_called(at[-1], document, at)
        fields = document.mapping(at, RULE_KEYS)
        if "id" in fields:
            document.refuse((*at, "id"), "an override cannot change the id: disable the rule, and write one of your own")
        if not fields.keys() <= set(RULE_KEYS):
            return
        could_wait = rule.get("verdict") not in SILENT
        if set(DECISIONS) & fields.keys():
            rule.fields = {key: place for key, place in rule.fields.items() if key not in DECISIONS}
        rule.replace(document, at)
        if could_wait and (rule.get("verdict") in SILENT or "when" in fields):
            self.notes.append(f"{rule.get('id')} waits for less, or not any more: success may come earlier ({document.where(at)})")

    def disable(self, document: Document, at: Path_) -> None:
        rule = self.rule_called(document.get(at), document, at)
        del self.entries["rules"][rule.get("id")]
        if rule.get("verdict") not in SILENT:
            self.notes.append(f"{rule.get('id')} is disabled and could wait: success may come earlier ({document.where(at)})")

    def restrict(self, document: Document, at: Path_) -> None:
        """Which parameters annotations may set: all, none, or those of a list."""
        content = document.get(at)
        allowed = ["false"] if content is False else [name.replace("-", "_") for name in document.texts(at)]
        for name in allowed:
            if name not in (known := (*self.entries["params"], "none", "all")):
                document.report(at, f"no parameter {name}{nearest(name, known)}")
        self.annotations = None if allowed == ["all"] else allowed

    def rule_called(self, name: Json, document: Document, at: Path_) -> Entry:
        """The rule with that id, or that had it before it was renamed."""
        rules = self.entries["rules"]
        renamed = next((rule for rule in rules.values() if name in rule.texts("aliases")), None)
        if name not in rules and renamed:
            self.notes.append(f"{document.where(at)}: {name} is called {renamed.get('id')} now")
        return rules.get(name) or renamed or document.refuse(at, f"no rule {name}{nearest(name, rules)}")

    def load(self) -> None:
        """Makes kinds, parameters and codes of all that is written."""
        codes, kinds, params = (self.entries[section] for section in ("codes", "kinds", "params"))
        self.codes = {name: self.load_code(entry, rank) for rank, (name, entry) in enumerate(codes.items())}
        self.kinds: dict[str, Kind] = {}
        self.params: dict[str, Parameter] = {}
        sections: Any = ((self.kinds, self.load_kind, kinds), (self.params, self.load_param, params))
        for known, load, entries in sections:
            for name, entry in entries.items():
                with collected(self.problems):
                    known[name] = load(entry)

    def check_kind(self, kind: Kind) -> None:
        """Refuses a kind of which no rule can wait."""
        if kind.waits and not any(rule.can_wait for rule in self.of[kind.name]):
            entry = self.entries["kinds"][kind.name]
            entry.document.refuse(entry.at, f"no rule about {kind.name} can wait, so it could not but succeed: add one, or waits: false")

    def load_code(self, entry: Entry, rank: int) -> Code:
        if entry.get("type", "rollout") not in CODE_TYPES:
            entry.report("type", f"no type {entry.get('type')}{nearest(entry.get('type'), CODE_TYPES)}")
        if type(entry.get("exit", 1)) is not int:
            entry.report("exit", f"exit must be a number, like 1, not {entry.get('exit')}")
        symptom, hint = entry.flag("symptom", default=False), str(entry.get("hint", ""))
        return Code(str(entry.get("code")), rank, entry.get("type"), entry.get("exit"), symptom, hint)

    def load_param(self, entry: Entry) -> Parameter:
        name, kind, default = str(entry.at[-1]), entry.get("type"), entry.get("default")
        param = Parameter(name, "text", None, ())
        if kind is None or default is None:
            entry.missing("type" if kind is None else "default", f"write type (one of {', '.join(TYPES)}) and default")
        elif kind not in TYPES:
            entry.report("type", f"no type {kind}{nearest(kind, TYPES)}")
        elif not isinstance(entry.get("choices", []), list):
            entry.report("choices", "choices must be a list, like [fast, slow]")
        else:
            try:
                param = replace(param, type=kind, choices=entry.texts("choices"))
                return replace(param, default=param.value(str(default)))
            except UnreadableError as error:
                entry.report("default", f"the parameter {name} is of type {kind}: {error}")
        return param

    def load_kind(self, entry: Entry) -> Kind:
        current = []
        document, at = entry.place("current")
        for each in document.entries(at):
            document.mapping(each, ("child", "compare", "except"), ("child", "compare"))
            if len(document.entries((*each, "compare"))) != 2:
                document.refuse((*each, "compare"), "compare takes two expressions, [of the child, of its parent], whose values are equal")
            self.check_names(document, (*each, "child"))
            sides = [document.some_expression((*each, "compare", index)) for index in (0, 1)]
            current.append(Current(document.get((*each, "child")), sides[0], sides[1], steps(document.get((*each, "except"), ""))))
        parts = []
        document, at = entry.place("parts")
        for each in document.entries(at):
            names = document.mapping((*each, "add"))
            add = {name: document.some_expression((*each, "add", name)) for name in names}
            parts.append(Part(document.some_expression((*each, "spec")), document.some_expression((*each, "status")), add))
        for field in ("owns", "part_of"):
            self.check_names(*entry.place(field))
        if len(entry.expressions("counts")) not in (0, 2):
            entry.report("counts", "counts takes two expressions: how many are ready, and how many are wanted")
        return Kind(
            name=str(entry.get("name")),
            resource=entry.text("resource") or "",
            short=entry.texts("short"),
            watched=entry.flag("watched", default=False),
            version=entry.text("version") or "",
            listed=entry.flag("listed", default=True),
            waits=entry.flag("waits", default=True),
            finishes=entry.expression("finishes"),
            owns=entry.texts("owns"),
            current=tuple(current),
            blocked_by=entry.expression("blocked_by"),
            blocked=entry.template("blocked"),
            runs=entry.expression("runs"),
            progress=entry.expressions("progress"),
            counts=entry.expressions("counts"),
            zero=tuple(map(steps, entry.texts("zero"))),
            part_of=entry.text("part_of") or "",
            parts=tuple(parts),
            previous_log=entry.expression("previous_log"),
            stages=tuple(self.load_stages(*entry.place("stages"))),
            revisions=self.load_revisions(*entry.place("revisions")),
            shown=entry.expression("shown"),
        )

    def load_revisions(self, document: Document, at: Path_) -> Revisions | None:
        if document.get(at) is None:
            return None
        document.mapping(at, REVISIONS_KEYS, ("kept_in", "makes"))
        for field in ("kept_in", "makes"):
            self.check_names(document, (*at, field))
        number, template, current = (document.some_expression((*at, field)) for field in ("number", "template", "current"))
        can_roll_back, rollback = document.expression((*at, "can_roll_back")), document.template((*at, "rollback"))
        parts: tuple[Json, ...] = (can_roll_back, *(rollback.parts if rollback else ()))
        for expression in (part for part in parts if isinstance(part, Expression)):
            for root in sorted(expression.roots - {*ROLLBACK, "null"}):
                with collected(self.problems):
                    raise RolloutError("invalid-rules", f"{expression.where}: no root {root}{nearest(root, ROLLBACK)}")
        kept_in, makes = (document.text((*at, field)) or "" for field in ("kept_in", "makes"))
        serves = document.expression((*at, "serves"))
        left_out = steps(document.text((*at, "except")) or "")
        return Revisions(kept_in, number, template, current, left_out, makes, serves, can_roll_back, rollback)

    def load_stages(self, document: Document, at: Path_) -> Iterator[Stage]:
        for each in document.entries(at):
            fields = document.mapping(each, Stage.__slots__, ("name", "means"))
            if "means" in fields and fields["means"] not in STAGE_MEANS:
                document.report((*each, "means"), f"a stage cannot mean {fields['means']}{nearest(fields['means'], STAGE_MEANS)}")
            name, means = document.text((*each, "name")) or "", str(fields.get("means"))
            one, moment = document.expression((*each, "each")), document.expression((*each, "at"))
            yield Stage(name, means, one, moment, document.template((*each, "message")))

    def check_names(self, document: Document, at: Path_) -> None:
        """Refuses what names kinds and names one that no file declares."""
        for name in document.texts(at):
            if name not in self.entries["kinds"]:
                document.report(at, f"no kind {name}{nearest(name, self.entries['kinds'])}")

    def load_rule(self, entry: Entry) -> Rule:
        subjects, verdict, code = entry.texts("subject"), entry.text("verdict") or "wait", entry.text("code")
        if not subjects:
            entry.missing("subject", f"write one of {', '.join(self.kinds)}, workload")
        known = (*self.entries["kinds"], "workload")
        for word in subjects:
            if word not in known:
                entry.report("subject", f"no subject {word}{nearest(word, known)}")
        given = sorted(set(DECISIONS) & entry.fields.keys())
        if not given:
            entry.missing("verdict", "write one of verdict, fail_when and fail_after")
        elif len(given) > 1:
            entry.report(given[-1], f"a rule has one of verdict, fail_when and fail_after, not {' and '.join(given)}: remove the others")
        if verdict not in VERDICTS:
            entry.report("verdict", f"no verdict {verdict}{nearest(verdict, VERDICTS)}")
        if code is None and (verdict == "fail" or {"fail_when", "fail_after"} & entry.fields.keys()):
            entry.missing("code", "this rule can fail; write one of rules/codes.yaml, or one of yours, like acme/broken")
        if code is not None and "{" not in code and not code_named(self.codes, code):
            entry.report("code", f"no code {code}{nearest(code, self.codes)} (one of yours has a prefix, like acme/{code})")
        entry.text("docs")
        document, at = entry.place("let")
        lets = {**entry.lets, **{name: (document, (*at, name)) for name in document.mapping(at)}}
        let = {name: document.some_expression(at) for name, (document, at) in lets.items()}
        when = entry.expression("when")
        if entry.get("when") is None:
            entry.missing("when", "write the expression that is true in the state that the rule is about")
        return Rule(
            id=str(entry.get("id")),
            where=entry.document.where(entry.at),
            subjects=subjects,
            each=entry.expression("each"),
            when=when or Expression.parse("null", entry.document.where(entry.at)),
            unless=entry.expression("unless"),
            verdict=verdict,
            fail_when=entry.expression("fail_when"),
            fail_after=self.load_limit(entry),
            since=entry.expression("since"),
            let=let,
            common=frozenset(name for name in let if is_common(name, let, {*VARYING, *document.mapping(at)})),
            code=entry.template("code"),
            message=entry.template("message"),
            hint=entry.template("hint"),
            logs=entry.flag("logs", default=False),
        )

    def load_limit(self, entry: Entry) -> Expression | float | None:
        """The seconds of fail_after, or the expression of the parameter that has them."""
        limit = entry.text("fail_after") or ""
        if not limit or limit.startswith("params."):
            param = self.entries["params"].get(limit.removeprefix("params."))
            if limit and param and param.get("type") not in ("duration", "integer"):
                entry.report("fail_after", f"{limit} is of type {param.get('type')}, and no duration")
            return entry.expression("fail_after")
        try:
            return duration(limit)
        except UnreadableError as error:
            entry.report("fail_after", f"{error}, or params.NAME")
        return None

    def check_params(self, rule: Rule) -> None:
        """Refuses `params.x` where no file declares x: it would be null and never match."""
        for expression in (each for each in rule.expressions() if "params" in each.text and each not in self.checked):
            self.checked.add(expression)
            for node in nodes(expression.tree):
                names = [child.get("value") for child in node["children"][:2]] if node["type"] == "subexpression" else []
                if names[:1] == ["params"] and names[1] not in (known := self.entries["params"]):
                    with collected(self.problems):
                        raise RolloutError("invalid-rules", f"{expression.where}: no parameter {names[1]}{nearest(names[1], known)}")

    def kind_called(self, word: str) -> Kind:
        """The kind that a word of the command line means. One that nothing declares is what kubectl takes the word for."""
        for kind in self.kinds.values():
            if kind.resource and kind.is_called(word):
                return kind
        self.known.clear()
        generic = next(kind for kind in self.kinds.values() if kind.resource == "*")
        return self.called.setdefault(word, replace(generic, resource=word))

    def learn(self, word: str, objects: Iterable[Json]) -> None:
        """Takes the kind of what a cluster gave for a word for what the word means."""
        for each in objects:
            known = self.kind_of(each)
            if known and known.resource not in self.called:
                raise RolloutError("usage", f"{word} stands for {each['kind']}, among others: write the kinds themselves")
            self.known[kind_key(each)] = self.called[word]

    def meant(self, word: str) -> str:
        """The end of a sentence about a word that may be no declared kind: what it may be a misspelling of."""
        declared = [kind for kind in self.kinds.values() if kind.resource]
        if any(kind.is_called(word) for kind in declared):
            return ""
        names = [name for kind in declared for name in (kind.name, kind.plural)]
        return nearest(word, names) if closest(word.lower(), names) else ""

    def kind_of(self, resource: Json) -> Kind | None:
        """The kind of an object or of an owner reference, told by API group and kind; None for any that nobody has named."""
        key = name, group = kind_key(resource)
        if key not in self.known:
            names = (name, f"{name}s", f"{name}es", f"{name[:-1]}ies")
            declared = (each for each in self.kinds.values() if each.plural in names and each.resource.partition(".")[2] == group)
            called = (each for word, each in self.called.items() if is_word_for(word, f"{name}.{group}", names))
            self.known[key] = next(declared, None) or next(called, None)
        return self.known[key]

    def values(self, settings: Iterable[tuple[str, str]]) -> dict[str, Json]:
        """The value of each parameter; RolloutError `usage` for an unknown name, or a value that is none of its type."""
        values = {name: param.default for name, param in self.params.items()}
        for name, text in settings:
            if name not in self.params:
                raise RolloutError("usage", f"no rule has a parameter {name}{nearest(name, self.params)}")
            try:
                value = self.params[name].value(text)
                values[name] = values[name] + value if isinstance(value, list) else value
            except UnreadableError as error:
                raise RolloutError("usage", f"{name.replace('_', '-')}: {error}") from None
        return values


def kind_key(resource: Json) -> tuple[str, str]:
    """Kind and API group of an object, or of an owner reference."""
    return (str(field_of(resource, "kind")).lower(), str(field_of(resource, "apiVersion")).rpartition("/")[0])


def steps(path: str) -> tuple[str, ...]:
    """The keys of a path like metadata.labels."pod-template-hash"."""
    return tuple(quoted or word for quoted, word in re.findall(r'"([^"]*)"|([^."]+)', path))


# ----------------------------------------------------------------------------------------------------------- snapshot


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """What was seen of the cluster at one moment."""

    at: float  # seconds since 1970
    objects: tuple[Json, ...]  # as `kubectl get -o json` shows them
    chosen: frozenset[str] | None  # identities of those that the selector matches; None: nobody knows, so all
    events: Callable[[str], list[Json] | None]  # those of a namespace; None: they cannot be read


def name_of(resource: Json) -> str:
    return str(field_of(resource, "metadata", "name") or "")


def namespace_of(resource: Json) -> str:
    return str(field_of(resource, "metadata", "namespace") or "default")


def version_of(resource: Json) -> str:
    return str(field_of(resource, "metadata", "resourceVersion") or "")


def created(resource: Json) -> str:
    return str(field_of(resource, "metadata", "creationTimestamp") or "")


def identity(resource: Json) -> str:
    """What tells an object from all others, also from one of the same name that was there before it."""
    uid = field_of(resource, "metadata", "uid")
    return str(uid) if uid else "/".join((str(field_of(resource, "kind")), namespace_of(resource), name_of(resource)))


def controller_of(resource: Json) -> Json:
    """The owner reference of the object that controls this one; null when none does."""
    references = field_of(resource, "metadata", "ownerReferences")
    known = references if isinstance(references, list) else []
    return next((reference for reference in known if field_of(reference, "controller") is True), None)


def key_of(kind: Kind, resource: Json) -> tuple[str, str, str]:
    """What a workload is called: resource, namespace (empty for one that is in none) and name. One that is created anew has the same."""
    return (kind.resource, str(field_of(resource, "metadata", "namespace") or ""), name_of(resource))


def with_zero(value: Json, path: tuple[str, ...]) -> Json:
    """The object with 0 at a path whose parent is there: Kubernetes leaves counters that are zero out of its JSON."""
    first, rest = path[0], path[1:]
    if not isinstance(value, dict) or (first in value) != bool(rest):
        return value
    return {**value, first: with_zero(value[first], rest) if rest else 0}


def without(value: Json, path: tuple[str, ...]) -> Json:
    """The value without the field at a path, and without all that is empty, which to the API server is not there either."""
    if isinstance(value, list):
        return [without(entry, ()) for entry in value]
    if not isinstance(value, dict):
        return value
    rest = {key: without(entry, path[1:] if path[:1] == (key,) else ()) for key, entry in value.items() if path != (key,)}
    return {key: entry for key, entry in rest.items() if entry not in (None, {}, [])}


# --------------------------------------------------------------------------------------------------- tree of subjects

Lineage = tuple[tuple[str, Json], ...]  # kind's name and value of each owner, from the workload down


@dataclass(frozen=True, slots=True, eq=False)
class Subject:
    """What rules speak about: an object of a declared kind, or a part of one, with all that it owns."""

    kind: Kind
    value: Json
    key: str  # tells it from all other subjects, in this snapshot and in the next
    lineage: Lineage  # itself included
    owned: tuple[Json, ...]  # directly, of the current revision
    old: tuple[Json, ...]  # all that is below it and of other revisions
    children: tuple[Subject, ...]
    blocked: Template | None  # what messages about it have at their end

    @property
    def workload(self) -> Json:
        return self.lineage[0][1]

    @property
    def holder(self) -> Json:
        """The object itself, or the one that it is a part of."""
        return self.lineage[-2][1] if self.kind.part_of else self.value

    @property
    def part(self) -> dict[str, str]:
        """Kind and name of a part: {"container": "main"}; empty for an object."""
        return {self.kind.name: str(field_of(self.value, "name"))} if self.kind.part_of else {}


def is_same_lineage(known: Lineage, above: Lineage) -> bool:
    """Whether a subject's owners are the very same objects."""
    return len(known) == len(above) + 1 and all(one is other for (_, one), (_, other) in zip(known, above, strict=False))


class Tree:
    """Builds the subjects of a snapshot: each workload with what it owns in its current revision."""

    def __init__(self, rules: Rules, snapshot: Snapshot, interpreter: Functions, before: Mapping[str, tuple[Json, Subject]]) -> None:
        self.kinds, self.interpreter = rules.kinds, interpreter
        self.before = before  # the subjects of the snapshot before, with the objects that they were grown from
        self.grown: dict[str, tuple[Json, Subject]] = {}
        self.part_kinds: dict[str, list[Kind]] = {}  # kind -> those of its parts
        for each in rules.kinds.values():
            self.part_kinds.setdefault(each.part_of, []).append(each)
        self.owned: dict[str, list[tuple[Kind, Json]]] = {}
        for resource in sorted(snapshot.objects, key=lambda resource: (created(resource), name_of(resource))):
            kind, controller = rules.kind_of(resource), controller_of(resource)
            if kind and controller:
                self.owned.setdefault(str(field_of(controller, "uid")), []).append((kind, resource))

    def grow(self, kind: Kind, resource: Json, above: Lineage = (), blocked: Template | None = None) -> Subject:
        """The subject with all below it. An object that owns itself, as only one written by hand does, is not below itself."""
        key = identity(resource)
        same, before = self.before.get(key, (None, None))
        if before and same is resource and not kind.owns and before.blocked is blocked and is_same_lineage(before.lineage, above):
            self.grown[key] = (resource, before)
            return before
        value = before.value if before and same is resource else functools.reduce(with_zero, kind.zero, resource)
        lineage = (*above, (kind.name, value))
        current, others = self.revisions(kind, value) if kind.owns else ([], [])
        owners = {identity(owner) for _, owner in lineage} if kind.owns else set()
        children = [self.grow(child, entry, lineage, blocked) for child, entry in current if identity(entry) not in owners]
        old = [entry for _, other in others for entry in self.all_below(other, owners)]
        owned = tuple(child.value for child in children)
        if kind.blocked_by:
            seen = {"self": value, "old": [entry for _, entry in others]}
            in_the_way = kind.blocked_by.value(seen, self.interpreter) or []
            children += [self.grow(child, entry, lineage, kind.blocked) for child, entry in others if entry in in_the_way]
        parts = self.parts(kind, value, lineage, blocked)
        subject = Subject(kind, value, key, lineage, owned, tuple(old), (*parts, *children), blocked)
        self.grown[key] = (resource, subject)
        return subject

    def revisions(self, kind: Kind, value: Json) -> tuple[list[tuple[Kind, Json]], list[tuple[Kind, Json]]]:
        """What an object owns directly, each with its kind: that of its current revision, and that of other revisions."""
        children = [(child, entry) for child, entry in self.owned.get(identity(value), ()) if child.name in kind.owns]
        parent = {**value, "owned": [entry for _, entry in children]}
        for way in kind.current:
            wanted = without(way.of_parent.value(parent, self.interpreter), way.without)
            if wanted not in (None, {}):
                same = [(child, entry) for child, entry in children if child.name == way.child and self.is_same(way, entry, wanted)]
                current = same[:1] if self.kinds[way.child].owns else same  # of equal controllers the oldest, as the API does
                return current, [each for each in children if all(each[1] is not chosen for _, chosen in current)]
        return ([], children) if kind.current else (children, [])

    def is_same(self, way: Current, child: Json, wanted: Json) -> bool:
        return bool(without(way.of_child.value(child, self.interpreter), way.without) == wanted)

    def all_below(self, value: Json, seen: set[str]) -> Iterator[Json]:
        """The object and all below it, of any revision."""
        if identity(value) not in seen:
            yield value
            for _, entry in self.owned.get(identity(value), ()):
                yield from self.all_below(entry, {*seen, identity(value)})

    def parts(self, kind: Kind, value: Json, lineage: Lineage, blocked: Template | None) -> Iterator[Subject]:
        """The parts of an object: their specs with their statuses beside them; of equal fields the spec's."""
        for part_kind in self.part_kinds.get(kind.name, ()):
            for part in part_kind.parts:
                statuses = self.members(part.status, value)
                for spec in self.members(part.spec, value):
                    status = next((each for each in statuses if each.get("name") == spec.get("name")), {})
                    added = {name: expression.value(spec, self.interpreter) for name, expression in part.add.items()}
                    whole = {**status, **spec, **added}
                    key = f"{identity(value)}/{whole.get('name')}"
                    yield Subject(part_kind, whole, key, (*lineage, (part_kind.name, whole)), (), (), (), blocked)

    def members(self, path: Expression, value: Json) -> list[dict[str, Json]]:
        """The objects in the list at a path; an empty one for what is no object, so that it is missed and waited for."""
        found = path.value(value, self.interpreter)
        members = [] if found is None else found if isinstance(found, list) else [found]
        return [each if isinstance(each, dict) else {} for each in members]


# ----------------------------------------------------------------------------------------------------------- findings


class Reads:
    """What is read of the roots that are not an object's own."""

    ROOTS = ("workload", "params", "applied", "time")
    __slots__ = ("names", "values")

    def __init__(self, owners: Lineage) -> None:
        self.names = {*Reads.ROOTS, *(name for name, _ in owners)}
        self.values: dict[tuple[str, ...], Json] = {}  # by their paths

    def are_same(self, roots: Mapping[str, Json]) -> bool:
        """Whether all of it would be the same now."""
        return all(field_of(roots, *path) == value for path, value in self.values.items())


class View:
    """What rules may see of a subject, and what they have seen: what was worked out for one of them is there for the next."""

    __slots__ = ("lets", "reads", "roots")

    def __init__(self, roots: dict[str, Json], reads: Reads | None = None) -> None:
        self.roots, self.reads = roots, reads
        self.lets: dict[Expression, Json] = {}  # the values of those that are the same for all rules


class Scope:
    """What the expressions of a rule see of a subject: the names at their root."""

    __slots__ = ("events_of", "interpreter", "lets", "roots", "rule", "seen_events", "view")

    def __init__(self, view: View, rule: Rule, interpreter: Functions) -> None:
        self.view, self.roots, self.rule, self.lets, self.interpreter = view, view.roots, rule, rule.let, interpreter
        self.events_of: Callable[[], Json] | None = None  # set once the rule's state is present: it makes them worth fetching
        self.seen_events: Json = None

    def at(self, name: str, path: tuple[str, ...]) -> Json:
        """The value at a path below a name; an unknown name is an error, never null."""
        reads = None
        if name in self.lets:
            value = self.let(name)
        elif name in self.roots:
            value, reads = self.roots[name], self.view.reads
        else:
            value = self.other(name)
        for key in path:
            if not isinstance(value, dict):
                value = None
                break
            value = value.get(key)
        if reads and name in reads.names:
            reads.values[(name, *path)] = value
        return value

    def let(self, name: str) -> Json:
        expression = self.lets[name]
        if name in self.rule.common:
            if expression not in self.view.lets:
                self.view.lets[expression] = self.value(expression)
            return self.view.lets[expression]
        # out of the way while it is evaluated: one that names itself means the root behind it
        self.lets = {other: each for other, each in self.lets.items() if other != name}
        value = self.value(expression)
        self.roots = {**self.roots, name: value}
        return value

    def other(self, name: str) -> Json:
        if name != "events":
            raise jmespath.exceptions.JMESPathError(f"no root {name}{nearest(name, [*self.roots, *self.lets])}")
        if self.events_of is None:
            raise jmespath.exceptions.JMESPathError("`when` cannot use events: it decides whether they are fetched")
        self.seen_events = self.events_of()
        self.roots = {**self.roots, name: self.seen_events}
        return self.seen_events

    def value(self, expression: Expression) -> Json:
        return expression.value(self, self.interpreter)

    def holds(self, expression: Expression | None) -> bool:
        """Whether the expression is there and true."""
        return expression is not None and truth(self.value(expression))

    def filled(self, template: Template | None) -> str:
        return template.fill(self.value) if template else ""


@dataclass(frozen=True, slots=True, eq=False)
class Finding:
    """A rule that holds for a subject; `verdict` is fail, wait, hold, ignore or note."""

    rule: Rule
    subject: Subject
    verdict: str
    scope: Scope

    @property
    def message(self) -> str:
        return (self.scope.filled(self.rule.message) or self.rule.id) + self.scope.filled(self.subject.blocked)

    def code(self, codes: Mapping[str, Code]) -> Code | None:
        """The rule's code, None when it has none; RolloutError `invalid-rules` when it computes an unknown one."""
        name = self.scope.filled(self.rule.code)
        code = code_named(codes, name)
        if name and not code:
            raise RolloutError("invalid-rules", f"{self.rule.where}: no code {name}{nearest(name, codes)}")
        return code

    def order(self, codes: Mapping[str, Code]) -> tuple[Json, ...]:
        """Causes before symptoms, then from the containers up to the workload, init containers first."""
        code, depth = self.code(codes), len(self.subject.lineage)
        return (code.rank if code else len(codes), -depth if depth > 1 else 0, not field_of(self.subject.value, "init"))

    def group(self) -> tuple[str, ...]:
        """Failures with the same group are one entry of a result: rule, workload and name of the part."""
        return (self.rule.id, identity(self.subject.workload), *self.subject.part.values())


@dataclass(frozen=True, slots=True, eq=False)
class Workload:
    """A workload as judged; `status` is ready, waiting, failed or ignored, and its findings are in order."""

    subject: Subject
    status: str
    findings: tuple[Finding, ...]
    others: tuple[Finding, ...]  # those that say nothing of its status: notes, and what is ignored

    @property
    def kind(self) -> Kind:
        return self.subject.kind

    @property
    def value(self) -> Json:
        return self.subject.value

    @property
    def key(self) -> tuple[str, str, str]:
        return key_of(self.kind, self.value)

    @property
    def title(self) -> str:
        return f"{str(field_of(self.value, 'kind')).lower()}/{name_of(self.value)}"

    @property
    def sentence(self) -> str:
        """The first of its findings, or what it is."""
        return self.findings[0].message if self.findings else "successfully rolled out" if self.status == "ready" else self.status


@dataclass(frozen=True, slots=True)
class Judgement:
    """What is known at one moment."""

    at: float
    workloads: tuple[Workload, ...]
    failures: tuple[tuple[Finding, ...], ...]  # each entry of the result with all its findings, in order
    missing: tuple[str, ...]  # a sentence for each workload that should be there and is not
    awaited: tuple[str, ...]  # a sentence for each thing that may still come
    notes: tuple[str, ...]

    @property
    def nothing(self) -> bool:
        """Whether there is nothing to judge."""
        return not (self.missing or self.awaited) and all(workload.status == "ignored" for workload in self.workloads)

    @property
    def failed(self) -> bool:
        return bool(self.failures or self.missing)

    @property
    def ready(self) -> bool:
        return not (self.failed or self.awaited) and all(workload.status in ("ready", "ignored") for workload in self.workloads)


@dataclass(frozen=True, slots=True, eq=False)
class Target:
    """A workload that is named; no namespace stands for any that is looked at. `manifest` is what a manifest, or what
    `kubectl apply` printed, has of it; null when it is named by the command line.
    """

    kind: Kind
    namespace: str
    name: str
    manifest: Json = None
    printed: bool = False  # by kubectl apply

    @property
    def applied(self) -> Json:
        """What was applied, with the uid and the generation that it got; null when nobody knows."""
        return self.manifest if self.printed and field_of(self.manifest, "metadata", "uid") is not None else None

    def is_key(self, key: tuple[str, str, str]) -> bool:
        """Whether it is the workload with that kind, namespace and name."""
        return (self.kind.resource, self.name) == (key[0], key[2]) and self.namespace in ("", key[1])

    @property
    def not_found(self) -> str:
        return f'{self.kind.resource} "{self.name}" not found' + (f' in namespace "{self.namespace}"' if self.namespace else "")


@dataclass(slots=True, eq=False)
class Selection:
    """Which workloads are judged: those that are named, or all of the kinds. No namespace stands for the context's."""

    kinds: tuple[Kind, ...]
    targets: tuple[Target, ...] | None  # None: all; those of manifests are known once the manifests are read
    manifests: tuple[str, ...]  # arguments with which kubectl reads them
    namespaces: tuple[str, ...]
    everywhere: bool
    selector: str
    by_default: bool  # nobody asked for these kinds

    def take(self, rules: Rules, objects: Collection[Json], *, printed: bool) -> list[str]:
        """Chooses the workloads among the objects of manifests, or those that kubectl apply printed; a note when others are passed over."""
        targets: dict[tuple[str, str, str], Target] = {}
        passed = []
        for each in objects:
            kind = rules.kind_of(each)
            namespace = str(field_of(each, "metadata", "namespace") or "")
            if kind in self.kinds and not name_of(each):
                hint = "kubectl create -f ... -o json | rollout-status -f -"
                raise RolloutError("usage", f"{each['kind']} with generateName: only what creates it knows its name", hint=hint)
            if kind not in self.kinds:
                passed.append(each)
            elif self.namespaces and namespace not in ("", *self.namespaces):
                raise RolloutError("usage", f"{each['kind']} {name_of(each)} is in namespace {namespace}, not in {self.namespaces[0]}")
            else:
                assert kind
                targets[kind.resource, namespace, name_of(each)] = Target(kind, namespace, name_of(each), each, printed)
        self.targets = tuple(targets.values())
        names = {str(each["kind"]) for each in passed if rules.kind_of(each) is None}
        for word in (word for word, kind in rules.called.items() if names and kind not in {target.kind for target in self.targets}):
            raise RolloutError(
                "usage", f"--kinds {word} is none of the kinds that the manifests hold beside the known ones: {', '.join(sorted(names))}"
            )
        kinds = ", ".join(sorted({str(each["kind"]) for each in passed}))
        return [f"{len(passed)} of {len(objects)} objects are passed over, being no workloads to judge: {kinds}"] if passed else []

    def take_recorded(self, rules: Rules, objects: Collection[Json]) -> None:
        """Chooses what a recorded run had chosen by manifests; what it did not know of an object is not in it."""
        self.kinds = tuple(dict.fromkeys(kind for each in objects if (kind := rules.kind_of(each) or rules.kind_called(each["kind"]))))
        self.take(rules, objects, printed=True)

    def wants(self, kind: Kind, resource: Json, owner: Kind | None) -> bool:
        """Whether an object is a workload to judge: what is judged with its owner, or has one of which nothing is, is none but by name."""
        if self.targets is not None:
            return self.target(kind, resource) is not None
        return kind in self.kinds and (owner is None or (owner.waits and kind.name not in owner.owns))

    def target(self, kind: Kind, resource: Json) -> Target | None:
        key = key_of(kind, resource)
        return next((target for target in self.targets or () if target.is_key(key)), None)

    def nothing_found(self, namespace: str) -> str:
        """What to say when there is nothing to judge; `namespace` is the context's."""
        if self.manifests:
            return "Nothing of what the manifests hold is a workload to judge"
        if self.targets is not None:
            return "What was named says, or the rules say of it, that it is not to be judged"
        return self.nothing_in(*(self.namespaces or (namespace,)))

    def nothing_in(self, *namespaces: str) -> str:
        *most, last = [kind.plural for kind in self.kinds]
        kinds = f"{', '.join(most)} or {last}" if most else last
        where = "any namespace" if self.everywhere else "namespace " + " or ".join(f'"{name}"' for name in namespaces)
        if self.selector:
            return f'Selector "{self.selector}" did not match any {kinds} in {where}'
        return f"There are no {kinds} to judge in {where}"


ANNOTATION = "rollout-status/"  # a workload's own parameters: rollout-status/retry-limit: "3"


class Judge:
    """Judges snapshots in the order of their time, and remembers since when each state has held without a break.

    The time in which polls fail does not count: the cluster could not be seen, and may not have been able to move.
    """

    def __init__(
        self, rules: Rules, selection: Selection, settings: Collection[tuple[str, str]], patience: float, expected: Sequence[Rule]
    ) -> None:
        self.rules, self.selection, self.params = rules, selection, rules.values(settings)
        self.fixed = {name for name, _ in settings}  # parameters that no annotation can change
        self.patience = patience  # seconds in which what is awaited may appear
        self.expected = list(expected)  # rules of the command line, about workloads
        self.started = self.failing_since = -1.0  # moments; -1: not yet, not at all
        self.outage = 0.0  # seconds in which polls failed
        self.since: dict[tuple[str, str], float] = {}  # rule and subject -> when its state began
        self.progress: dict[str, tuple[Json, float, float]] = {}  # workload -> values, when they were new, and changed
        self.seen: dict[tuple[str, str, str], Workload] = {}
        self.applied: dict[str, Json] = {}  # workload -> what kubectl printed when it was applied
        self.params_of: dict[str, dict[str, Json]] = {}  # workload -> the parameters with its annotations
        self.failed_calls: dict[str, int] = {}  # resource -> in a row
        self.unnamed = dict.fromkeys((*rules.kinds, "each", "null"))  # JMESPath knows null only as a field that is not there
        self.grown: Mapping[str, tuple[Json, Subject]] = {}  # the subjects of the last snapshot
        self.settled: dict[str, tuple[Json, Reads]] = {}  # subject without findings -> what that depends on

    def judge(self, snapshot: Snapshot) -> Judgement:
        """The judgement of a snapshot that is not older than the last one."""
        if self.failing_since >= 0:
            self.outage += snapshot.at - self.failing_since
            self.failing_since, self.failed_calls = -1.0, {}
        self.begin(snapshot)
        tree = Tree(self.rules, snapshot, self.interpreter, self.grown)
        workloads = [self.workload(tree.grow(kind, resource)) for kind, resource in self.roots(snapshot)]
        self.since, self.settled, self.grown = self.present, self.still, tree.grown
        kept, missing, awaited = self.vanished({workload.key for workload in workloads})
        workloads = sorted([*workloads, *kept], key=lambda each: (self.selection.kinds.index(each.kind), created(each.value), each.key))
        self.seen |= {workload.key: workload for workload in workloads}
        judged = [workload for workload in workloads if workload.status != "ignored"]
        runs = [
            name for workload in judged if workload.kind.runs for name in workload.kind.runs.value(workload.value, self.interpreter) or ()
        ]
        for pair in self.params.get("expect_image", ()):
            if judged and pair["name"] not in runs:
                awaited.append(f'Waiting for a container "{pair["name"]}", which is expected to run {pair["value"]}')
        notes = tuple(dict.fromkeys(self.notes))
        return Judgement(snapshot.at, tuple(workloads), self.failures(workloads), tuple(missing), tuple(awaited), notes)

    def subjects(self) -> frozenset[str]:
        """The identities of all that was judged last, and of what is below it and of other revisions."""
        return frozenset([*self.grown, *(identity(each) for _, subject in self.grown.values() for each in subject.old)])

    def foresee(self, snapshot: Snapshot) -> Judgement:
        """The judgement that a snapshot would get; this one remembers nothing of it."""
        other = copy.copy(self)
        other.progress, other.seen = dict(self.progress), dict(self.seen)
        other.applied, other.params_of = dict(self.applied), dict(self.params_of)
        return other.judge(snapshot)

    def begin(self, snapshot: Snapshot) -> None:
        """Prepares for judging a moment. Durations are of a clock that stands still while polls fail."""
        self.snapshot, self.interpreter = snapshot, Functions(snapshot.at)
        self.now = snapshot.at - self.outage
        self.present: dict[tuple[str, str], float] = {}
        self.still: dict[str, tuple[Json, Reads]] = {}
        self.roots_below: dict[int, dict[str, Json]] = {}  # id() of a workload -> the roots that all below it share
        self.notes: list[str] = []
        if self.started < 0:
            self.started = snapshot.at

    def roots(self, snapshot: Snapshot) -> Iterator[tuple[Kind, Json]]:
        """The workloads to judge, each with its kind."""
        for resource in snapshot.objects:
            kind = self.rules.kind_of(resource)
            chosen = snapshot.chosen is None or identity(resource) in snapshot.chosen
            if kind and chosen and self.selection.wants(kind, resource, self.rules.kind_of(controller_of(resource))):
                yield kind, resource

    def workload(self, root: Subject) -> Workload:
        """A workload with all that holds for it and for what it owns."""
        values = [expression.value(root.value, self.interpreter) for expression in root.kind.progress]
        known = self.progress.get(root.key)
        if known is None or known[0] != values:
            self.progress[root.key] = (values, self.now, self.snapshot.at if known else 0.0)
        target = self.selection.target(root.kind, root.value)
        self.applied[root.key] = target and target.applied
        self.params_of[root.key] = {**self.params, **dict(self.annotated(root.value))}
        found = list(self.findings(root))
        self.notes += [finding.message for finding in found if finding.verdict == "note"]
        others = tuple(finding for finding in found if finding.verdict in ("note", "ignore"))
        if any(finding.verdict == "ignore" and finding.subject is root for finding in others):
            return Workload(root, "ignored", (), others)
        telling = self.with_causes([finding for finding in found if finding.verdict in ("fail", "wait", "hold")])
        telling.sort(key=lambda finding: (finding.verdict != "fail", *finding.order(self.rules.codes), finding.rule.id))
        status = "ready" if not telling else "failed" if telling[0].verdict == "fail" else "waiting"
        return Workload(root, status, tuple(telling), others)

    def with_causes(self, findings: list[Finding]) -> list[Finding]:
        """The findings of a workload. Where all that fails is a symptom, what could fail and still waits has caused it: it fails too."""
        codes = [finding.code(self.rules.codes) for finding in findings if finding.verdict == "fail"]
        if not codes or not all(code and code.symptom for code in codes):
            return findings
        return [replace(finding, verdict="fail") if self.is_cause(finding) else finding for finding in findings]

    def is_cause(self, finding: Finding) -> bool:
        """Whether it waits in a state that is no step on the way: one with a code."""
        code = finding.code(self.rules.codes) if finding.verdict == "wait" else None
        return code is not None and not code.symptom

    def annotated(self, workload: Json) -> Iterator[tuple[str, Json]]:
        """The parameters that a workload's annotations set; a flag wins over them, and a team may not allow them."""
        annotations = field_of(workload, "metadata", "annotations")
        for key in annotations if isinstance(annotations, dict) else ():
            if key.startswith(ANNOTATION):
                name = key.removeprefix(ANNOTATION).replace("-", "_")
                allowed = self.rules.annotations
                if allowed is not None and name not in allowed:
                    self.notes.append(f"the annotation {key} of {name_of(workload)} is not allowed to change anything")
                elif name not in self.fixed:
                    try:
                        yield name, self.rules.values([(name, str(annotations[key]))])[name]
                    except RolloutError as error:
                        raise RolloutError("usage", f"annotation {key} of {name_of(workload)}: {error.message}") from None

    def rules_of(self, subject: Subject) -> list[Rule]:
        """The rules about a subject."""
        own = self.rules.of[subject.kind.name]
        return own + self.rules.of["workload"] + self.expected if subject.kind.resource and len(subject.lineage) == 1 else own

    def findings(self, subject: Subject, reads: Reads | None = None) -> Iterator[Finding]:
        """The findings about a subject and all below it; one that is ignored or held is judged no further."""
        rules, view = self.rules_of(subject), View(self.roots_of(subject), reads)
        for verdict in ("ignore", "hold"):
            found = [finding for rule in rules if rule.verdict == verdict for finding in self.apply(rule, subject, view)]
            if found:
                yield from found
                return
        for rule in rules:
            if rule.verdict not in ("ignore", "hold"):
                yield from self.apply(rule, subject, view)
        for child in subject.children:
            yield from self.findings(child, reads) if child.kind.owns or child.kind.part_of else self.new_findings(child, view.roots)

    def new_findings(self, subject: Subject, roots: Mapping[str, Json]) -> Iterator[Finding]:
        """The findings about an object that owns nothing. There are none again as long as nothing that this depends on changes."""
        known = self.settled.get(subject.key)
        if not (known and known[0] is subject.value and known[1].are_same(roots)):
            known = (subject.value, Reads(subject.lineage[:-1]))
            self.held = self.interpreter.told_time = False
            yield from self.findings(subject, known[1])
            if self.held or self.interpreter.told_time:
                return
        self.still[subject.key] = known

    def roots_of(self, subject: Subject) -> dict[str, Json]:
        """The names at the root of expressions about a subject; `time.in_state` comes once a rule's state is present."""
        if id(subject.workload) not in self.roots_below:
            workload = identity(subject.workload)
            changed = self.progress.get(workload, (None, self.now, 0.0))[1]
            watched, idle = round(self.snapshot.at - self.started, 3), round(self.now - changed, 3)
            self.roots_below[id(subject.workload)] = {
                **self.unnamed,
                "workload": subject.workload,
                "params": self.params_of.get(workload, self.params),
                "applied": self.applied.get(workload),
                "time": {"now": written(self.snapshot.at), "watched": watched, "idle": idle},
            }
        controllers = [way.child for way in subject.kind.current if self.rules.kinds[way.child].owns]
        return {
            **self.roots_below[id(subject.workload)],
            **dict.fromkeys(controllers, next(iter(subject.owned), None)),
            **dict(subject.lineage),
            "self": subject.value,
            "owned": list(subject.owned),
            "old": list(subject.old),
        }

    def apply(self, rule: Rule, subject: Subject, view: View) -> Iterator[Finding]:
        """The findings of a rule about a subject: one if its state is present, and of a rule with `each` one for each entry."""
        if rule.each is None:
            scope = Scope(view, rule, self.interpreter)
            return self.finding(rule, subject, scope) if scope.holds(rule.when) else iter(())
        return self.findings_of_each(rule, rule.each, subject, view)

    def findings_of_each(self, rule: Rule, each: Expression, subject: Subject, view: View) -> Iterator[Finding]:
        entries = Scope(view, rule, self.interpreter).value(each)
        if not isinstance(entries, list | None):
            raise RolloutError("invalid-rules", f"{rule.where}: each must give a list, not {json.dumps(entries)[:60]}")
        for entry in entries or ():
            scope = Scope(view, rule, self.interpreter)
            scope.roots = {**view.roots, "each": entry}
            if scope.holds(rule.when):
                yield from self.finding(rule, subject, scope)

    def finding(self, rule: Rule, subject: Subject, scope: Scope) -> Iterator[Finding]:
        """What a rule of which the state is present says of a subject, unless its `unless` is true."""
        self.held = True
        scope.events_of = lambda: self.events(subject)
        if scope.holds(rule.unless):
            return
        began = self.present[rule.id, subject.key] = self.since.get((rule.id, subject.key), self.now)
        in_state = round(self.now - began, 3)
        scope.roots = {**scope.roots, "time": {**scope.view.roots["time"], "in_state": in_state}}
        is_over = scope.holds(rule.fail_when) or self.is_late(rule, scope, in_state)
        yield Finding(rule, subject, "fail" if is_over else rule.verdict, scope)

    def is_late(self, rule: Rule, scope: Scope, in_state: float) -> bool:
        """Whether the time that `fail_after` gives is over; a negative one never is."""
        limit = scope.value(rule.fail_after) if isinstance(rule.fail_after, Expression) else rule.fail_after
        since = scope.value(rule.since) if rule.since else None
        try:
            return limit is not None and 0 <= limit <= (in_state if since is None else self.snapshot.at - timestamp(str(since)))
        except UnreadableError as error:
            raise RolloutError("invalid-rules", f"{rule.where}: since: {error}") from None

    def vanished(self, present: Collection[tuple[str, str, str]]) -> tuple[list[Workload], list[str], list[str]]:
        """Of what is not there: the workloads that had finished, a sentence for each lost one, and for each that may still come."""
        gone = [workload for key, workload in self.seen.items() if key not in present]
        kept = [workload for workload in gone if workload.status == "ready" and self.has_finished(workload)]
        lost = [reference(workload.value) for workload in gone if workload not in kept]
        missing = [f'{each["kind"]} "{each["name"]}" was deleted while it was watched' for each in lost]
        known = {*present, *self.seen}
        unseen = [target.not_found for target in self.selection.targets or () if not any(map(target.is_key, known))]
        if self.selection.targets is None and len(self.selection.namespaces) > 1:
            empty = [name for name in self.selection.namespaces if all(name != key[1] for key in known)]
            unseen += [self.selection.nothing_in(name) for name in empty] if known else []
        if self.snapshot.at - self.started >= self.patience:
            return kept, missing + unseen, []
        return kept, missing, unseen or ([] if self.selection.targets is not None or known else ["Waiting for something to judge"])

    def has_finished(self, workload: Workload) -> bool:
        finishes = workload.kind.finishes
        return finishes is not None and truth(finishes.value(workload.value, self.interpreter))

    def failures(self, workloads: Iterable[Workload]) -> tuple[tuple[Finding, ...], ...]:
        """The failures of all workloads in order, those of the same rule, workload and part as one entry."""
        found = [finding for workload in workloads for finding in workload.findings if finding.verdict == "fail"]
        entries: dict[tuple[str, ...], list[Finding]] = {}
        for finding in sorted(found, key=lambda finding: finding.order(self.rules.codes)):
            entries.setdefault(finding.group(), []).append(finding)
        return tuple(map(tuple, entries.values()))

    def events(self, subject: Subject) -> list[Json] | None:
        """The events about a subject since its workload's last progress, newest first; None when they cannot be read."""
        events = self.snapshot.events(namespace_of(subject.holder))
        if events is None:
            return None
        since = self.progress.get(identity(subject.workload), (None, 0.0, 0.0))[2]
        about = [event_of(event) for event in events if is_about(event, subject)]
        return sorted((each for each in about if last_seen(each) >= since), key=last_seen, reverse=True)

    def call_failed(self, call: Json, at: float, *, again: bool) -> Finding:
        """What rules/kubectl.yaml says of a call that failed; `again` when the poll it belongs to has been told before."""
        self.begin(Snapshot(at, (), None, lambda _: None))
        self.failing_since = at if self.failing_since < 0 else self.failing_since
        resource = str(call["resource"])
        self.failed_calls[resource] = self.failed_calls.get(resource, 0) + (not again)
        value = {"failures": self.failed_calls[resource], "meant": self.rules.meant(resource), **call}
        found = list(self.findings(Subject(self.rules.kinds["call"], value, "call", (("call", value),), (), (), (), None)))
        self.since |= self.present
        if not found:
            raise RolloutError("internal", f"no rule of kubectl.yaml speaks of {json.dumps(call)}")
        return max(found, key=lambda finding: finding.verdict == "fail")


def is_about(event: Json, subject: Subject) -> bool:
    """Whether an event is about the subject; one about a part names it in its field path."""
    path = str(field_of(event, "involvedObject", "fieldPath"))
    return field_of(event, "involvedObject", "uid") == field_of(subject.holder, "metadata", "uid") and all(
        path.endswith(f"{{{name}}}") for name in subject.part.values()
    )


def last_seen(event: Json) -> float:
    """When an event was last seen; 0, long ago, where it does not say so in a way that can be read."""
    try:
        return timestamp(str(event["lastSeen"]))
    except UnreadableError:
        return 0.0


def event_of(event: Json) -> Json:
    """An event as rules see it: {type, reason, message, count, firstSeen, lastSeen}."""
    first = field_of(event, "firstTimestamp") or field_of(event, "eventTime") or created(event)
    return {
        **{key: field_of(event, key) for key in ("type", "reason", "message")},
        "count": field_of(event, "series", "count") or field_of(event, "count") or 1,
        "firstSeen": first,
        "lastSeen": field_of(event, "series", "lastObservedTime") or field_of(event, "lastTimestamp") or first,
    }


# ------------------------------------------------------------------------------------------------------------- source


@dataclass(frozen=True, slots=True, eq=False)
class Poll:
    """A snapshot, or the calls that failed: {verb, resource, namespace, exit, stderr, optional} each."""

    at: float
    snapshot: Snapshot | None
    calls: tuple[Json, ...] = ()
    again: bool = False  # the poll before once more, as time has passed


def redacted(log: str, patterns: Iterable[re.Pattern[str]]) -> str:
    """A log without what matches, and without passwords in URLs."""
    return functools.reduce(lambda text, each: each.sub("redacted", text), patterns, without_passwords(log))


def log_name(pod: str, container: str, *, previous: bool) -> str:
    """What a recording calls a log."""
    return f"{pod}/{container}{'/previous' if previous else ''}"


def objects_in(text: str, origin: str) -> tuple[Json, ...]:
    """The objects that `kubectl get -o json` printed, as a List or as one object; UnreadableError, naming the origin, otherwise."""
    try:
        contents = [json.loads(text)]
    except (ValueError, RecursionError):
        contents = list(documents_in(text, origin))
    items: list[Json] = []
    for content in contents:
        entries, kind = field_of(content, "items"), field_of(content, "kind")
        is_raw = isinstance(kind, str) and kind.endswith("List") and kind != "List"  # kubectl has not touched it: entries lack these
        items += entries if isinstance(entries, list) else [content]
        for entry in entries if is_raw and isinstance(entries, list) else ():
            if isinstance(entry, dict):
                entry.setdefault("apiVersion", field_of(content, "apiVersion"))
                entry.setdefault("kind", kind.removesuffix("List"))
    for index, item in enumerate(items):
        texts = [field_of(item, key) for key in ("apiVersion", "kind")]
        if not (all(isinstance(text, str) for text in texts) and isinstance(field_of(item, "metadata"), dict)):
            raise UnreadableError(f"{origin} is not what `kubectl get ... -o json` prints: item {index} lacks apiVersion, kind or metadata")
    return tuple(items)


def documents_in(text: str, origin: str) -> Iterator[Json]:
    """The JSON documents, at least one, that stand one after the other in a text; UnreadableError when one is not complete."""
    at, blank = 0, re.compile(r"\s*")
    try:
        while not at or at < len(text):
            document, at = json.JSONDecoder().raw_decode(text, blank.match(text, at).end())  # type: ignore[union-attr]
            yield document
            at = blank.match(text, at).end()  # type: ignore[union-attr]
    except (ValueError, RecursionError) as error:
        raise UnreadableError(f"{origin} is no complete JSON ({error}); it begins with {text[:60]!r}") from None


# The times that an object cannot have been seen before; others (a deletion, the end of a certificate) may lie ahead.
TIMES = ("lastTransitionTime", "lastUpdateTime", "startedAt", "finishedAt", "startTime", "completionTime")
EVENT_TIMES = ("firstTimestamp", "lastTimestamp", "eventTime", "lastObservedTime")


def newest_time(objects: Iterable[Json]) -> float:
    """The newest creation, condition, container or event time in the objects; 0 when there is none."""

    def times(value: Json, names: Collection[str]) -> Iterator[float]:
        for key, entry in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
            if key in names and isinstance(entry, str) and TIMESTAMP.fullmatch(entry):
                yield timestamp(entry)
            yield from times(entry, names)

    moments = [0.0]
    for resource in objects:
        own = {"created": created(resource), **{key: value for key, value in resource.items() if key in (*EVENT_TIMES, "series")}}
        moments += [*times(own, ("created", *EVENT_TIMES)), *times(resource.get("status"), TIMES)]
    return max(moments)


class Replay:
    """The polls of a recording, or of a file that `kubectl get ... -o json` printed. Its clock jumps.

    A recording that --record wrote is `exact`: it is judged when the run was that it is of. It knows what was `applied`, and
    the kinds that `words` of the command line meant to that cluster.
    """

    redact: Sequence[re.Pattern[str]] = ()  # what is replaced in logs
    flags = ""  # of kubectl, in commands for people
    STEP = 1.0  # seconds after which a snapshot that stands is judged again
    LONGEST = 86_400.0  # seconds

    def __init__(self, path: Path, now: float | None, selection: Selection) -> None:
        self.selection = selection
        self.meanwhile: Callable[[], None] = lambda: None  # what is to be done before the first judgement
        self.notes: list[str] = []
        self.warnings: list[str] = []  # kubectl's, of which there are none here
        self.logs: Mapping[str, Json] = {}
        self.applied: tuple[Json, ...] = ()
        self.revisions: tuple[Json, ...] = ()  # that were read once the rollout had failed
        self.words: Mapping[str, Json] = {}
        self.exact = False
        if path.is_dir() and now is not None:
            raise RolloutError("usage", "--now goes with a single file: a recording has its own times")
        if path.is_dir():
            self.load(Document(path / "recording.yaml", "usage"))
        else:
            objects = self.objects(path)
            self.until = newest_time(objects) if now is None else now
            self.recorded = [Poll(self.until, self.snapshot(self.until, objects))]

    def load(self, document: Document) -> None:
        """Reads a recording's polls and logs, and when it ends."""
        document.mapping((), ("polls", "until", "logs", "applied", "words", "exact", "revisions"), ("polls",))
        self.logs, self.words = document.mapping(("logs",)), document.mapping(("words",))
        self.exact = document.get(("exact",), False) is True
        if document.get(("applied",)):
            self.applied = self.objects(document.path.parent / self.file(document, ("applied",)))
        if document.get(("revisions",)):
            self.revisions = self.objects(document.path.parent / self.file(document, ("revisions",)))
        self.recorded = [self.load_poll(document, at) for at in document.entries(("polls",))]
        moments = [poll.at for poll in self.recorded]
        if not moments or moments != sorted(moments):
            document.refuse(("polls",), "there must be polls, in the order of their time: - {at: TIME, objects: 001.json}")
        self.until = max(moments[-1], self.moment(document, ("until",))) if document.get(("until",)) else moments[-1]
        if self.until - moments[0] > self.LONGEST:
            document.refuse(("until",), "a recording of more than a day cannot be replayed")

    def load_poll(self, document: Document, at: Path_) -> Poll:
        entry = document.mapping(at, ("at", "objects", "error"), ("at",))
        if ("objects" in entry) == ("error" in entry):
            document.refuse(at, "write one of objects and error")
        moment = self.moment(document, (*at, "at"))
        if "objects" in entry:
            return Poll(moment, self.snapshot(moment, self.objects(document.path.parent / self.file(document, (*at, "objects")))))
        several = isinstance(entry["error"], list)
        return Poll(
            moment,
            None,
            tuple(self.load_call(document, each) for each in (document.entries((*at, "error")) if several else [(*at, "error")])),
        )

    def file(self, document: Document, at: Path_) -> str:
        name = document.get(at)
        return name if isinstance(name, str) else document.refuse(at, f"{at[-1]} must be the name of a file")

    def load_call(self, document: Document, at: Path_) -> Json:
        """A call that failed; what a person who writes one by hand leaves out is that of a list."""
        call = {"verb": "list", "resource": "objects", "namespace": None, "optional": False}
        call |= document.mapping(at, (*call, "exit", "stderr"), ("exit", "stderr"))
        if not (isinstance(call["exit"], int) and isinstance(call["stderr"], str)):
            document.refuse(at, "exit must be a number and stderr a text")
        return call

    def moment(self, document: Document, at: Path_) -> float:
        try:
            return timestamp(str(document.get(at)))
        except UnreadableError as error:
            document.refuse(at, str(error))

    def objects(self, path: Path) -> tuple[Json, ...]:
        """The objects in a file, of the namespaces that were asked for."""
        try:
            objects = objects_in(path.read_text(encoding="utf-8"), "it")
        except (OSError, ValueError) as error:
            raise RolloutError(
                "usage", f"{path}: {reason(error)}", hint="kubectl get deployments,replicasets,pods,events -o json > 001.json"
            ) from None
        wanted = self.selection.namespaces
        return tuple(each for each in objects if not wanted or field_of(each, "metadata", "namespace") in (None, "", *wanted))

    def snapshot(self, at: float, objects: tuple[Json, ...]) -> Snapshot:
        events = [each for each in objects if each["kind"] == "Event"]
        return Snapshot(at, objects, None, lambda namespace: [event for event in events if namespace_of(event) == namespace])

    def polls(self) -> Iterator[Poll]:
        """Each poll, and again each second until the next one is due; the last one until the recording ends."""
        self.meanwhile()
        start, ticks = self.recorded[0].at, 0
        for poll, due in zip(self.recorded, [*(poll.at for poll in self.recorded[1:]), None], strict=True):
            yield poll
            if self.exact and due is not None:
                continue
            while (moment := start + ticks * self.STEP) < (self.until if due is None else due):
                if moment > poll.at:
                    yield self.later(poll, moment)
                ticks += 1
        if self.until > self.recorded[-1].at:
            yield self.later(self.recorded[-1], self.until)

    def later(self, poll: Poll, at: float) -> Poll:
        return replace(poll, at=at, again=True, snapshot=poll.snapshot and replace(poll.snapshot, at=at))

    def drop(self, call: Json) -> bool:
        """Nothing is asked here that could be dropped."""
        return bool(call)

    def kept(self, _: Kind, namespace: str) -> Sequence[Json]:
        """The revisions that were read at the end."""
        return [each for each in self.revisions if namespace_of(each) == namespace]

    def log(self, namespace: str, pod: str, container: str, *, previous: bool) -> str:
        """A container's log; UnreadableError when the recording has none."""
        name = log_name(pod, container, previous=previous)
        if name not in self.logs:
            raise UnreadableError(f"the recording has no log {name} of namespace {namespace}")
        return redacted(str(self.logs[name]), self.redact)

    def namespace(self) -> str:
        """The namespace that is meant when none is named."""
        return "default"


class Interrupted(Exception):  # noqa: N818, it is no error
    """A signal that ends the run."""

    def __init__(self, signum: int) -> None:
        super().__init__(signal.Signals(signum).name)
        self.signum = signum


class Interrupts:
    """Turns a signal into `Interrupted`, but not while a process is being started, which would be lost."""

    SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def __init__(self) -> None:
        self.held, self.pending = False, 0

    def listen(self) -> None:
        self.held, self.pending = False, 0
        for signum in self.SIGNALS:
            signal.signal(signum, self.arrived)

    def ignore(self) -> None:
        """Lets none come any more: the verdict is there, and must be told."""
        for signum in self.SIGNALS:
            signal.signal(signum, signal.SIG_IGN)

    def arrived(self, signum: int, _: object) -> None:
        self.ignore()  # one is enough: the end must not be interrupted
        self.pending = signum
        if not self.held:
            raise Interrupted(signum)

    @contextmanager
    def hold(self) -> Iterator[None]:
        before, self.held = self.pending, True
        try:
            yield
        finally:
            self.held = False
        if self.pending != before:
            raise Interrupted(self.pending)


INTERRUPTS = Interrupts()


@dataclass(frozen=True, slots=True)
class Answer:
    """What a kubectl call gave; its exit code is negative when a signal ended it."""

    exit: int
    stdout: str
    stderr: str  # without what client-go logs
    log: str = ""  # that
    killed: bool = False  # since its time was up
    asked: float = 0.0  # time.monotonic()
    answered: float = 0.0


class Kubectl:
    """Runs kubectl: without stdin, in a session of its own, and killed with all its processes when its time is up."""

    LEAST = 1.0  # seconds that a call has, also at the end of --timeout
    EXTRA = 5.0  # seconds beyond --request-timeout, which does not bound a credential plugin

    def __init__(self, options: argparse.Namespace) -> None:
        import sh  # noqa: PLC0415, only here: it takes 70 ms, and a replay does without it

        try:
            self.command: Any = sh.Command(options.kubectl)
        except sh.CommandNotFound:
            hint = "install kubectl, or say where it is: --kubectl PATH"
            raise RolloutError("kubectl-not-found", f"There is no program {options.kubectl}", hint=hint) from None
        self.limit: float = options.request_timeout
        self.end = float("inf")  # no call lasts longer: time.monotonic() when --timeout is up
        # In a pod kubectl takes the account of the pod only without such a flag (kubernetes/kubernetes#93474): a kill alone ends its calls
        bound = "" if "KUBERNETES_SERVICE_HOST" in os.environ else f"{self.limit:g}s"
        flags = {"context": options.context, "kubeconfig": options.kubeconfig, "request-timeout": bound}
        self.flags = [f"--{flag}={value}" for flag, value in flags.items() if value]
        self.not_started = (sh.ForkException, OSError)

    def start(self, *arguments: str, **options: Any) -> Any:
        """The process of sh that runs kubectl; UnreadableError when it cannot be started."""
        known: dict[str, Any] = {"_tty_out": False, "_bg": True, "_bg_exc": False, "_new_session": True, "_ok_code": range(-128, 256)}
        try:
            with Path(os.devnull).open("rb") as nothing:
                return self.command(*arguments, _in=nothing, _encoding="utf-8", **known, **options)
        except self.not_started as error:
            raise UnreadableError(f"kubectl could not be started: {str(error).strip().splitlines()[-1]}") from None

    @staticmethod
    def kill(process: Any) -> None:
        """Ends a process with all that it has started, unless it has ended."""
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)

    def run(self, *calls: Sequence[str], meanwhile: Callable[[], None] = lambda: None) -> list[Answer]:
        """The answers to calls that run at the same time, in their order; what is to be done `meanwhile` is done."""
        running: list[Started] = []
        try:
            for arguments in calls:
                with INTERRUPTS.hold():
                    running.append(Started(self, arguments))
            meanwhile()
            return [call.answer() for call in running]
        finally:
            for call in running:
                call.kill()


class Started:
    """A kubectl call that has been started."""

    # It ends before Go's garbage collector would pay: a list takes a sixth less without, and more memory, but hardly more than this
    LEAN = MappingProxyType({"GOGC": "off", "GOMEMLIMIT": "256MiB"})

    def __init__(self, kubectl: Kubectl, arguments: Sequence[str]) -> None:
        self.out, self.err = io.BytesIO(), io.BytesIO()
        self.started = time.monotonic()
        self.limit = min(kubectl.limit + Kubectl.EXTRA, max(Kubectl.LEAST, kubectl.end - self.started))
        self.killed = False
        self.process: Any = None
        self.problem = ""
        options: dict[str, Any] = {"_out": self.out, "_err": self.err, "_out_bufsize": 1 << 20, "_err_bufsize": 1 << 16}
        try:
            self.process = kubectl.start(*kubectl.flags, *arguments, _env={**self.LEAN, **os.environ}, **options)
        except UnreadableError as error:
            self.problem = str(error)

    def answer(self) -> Answer:
        """What it gave, once it has ended or was killed."""
        if self.process is None:
            return Answer(127, "", self.problem)
        timer = threading.Timer(max(0.0, self.started + self.limit - time.monotonic()), self.time_is_up)
        timer.daemon = True
        timer.start()
        try:
            process, self.process = self.process.wait(), None
            answered = time.monotonic()
        finally:
            timer.cancel()
        log = self.err.getvalue().decode("utf-8", "replace")
        stdout = self.out.getvalue().decode("utf-8", "replace")
        return Answer(process.exit_code, stdout, f"{self.problem} {words_in(log)}".strip(), log, self.killed, self.started, answered)

    def time_is_up(self) -> None:
        self.killed = True
        asked = "does the API server answer? does a credential plugin wait for an input?"
        self.problem = f"no answer within {self.limit:.3g}s, so it was killed ({asked})"
        self.kill()

    def kill(self) -> None:
        if self.process is not None:  # its truth value would wait for its output
            Kubectl.kill(self.process)


class Clock:
    """The cluster's time: that of this machine when the run began, corrected if it is wrong. Later jumps do not matter."""

    SLACK = 2.0  # seconds; the cluster tells whole ones
    DATE = re.compile(r"\bDate: (\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT)")

    def __init__(self) -> None:
        self.offset = time.time() - time.monotonic()
        self.is_unknown = True

    def now(self) -> float:
        """Seconds since 1970, to the millisecond."""
        return round(time.monotonic() + self.offset, 3)

    def correct(self, answer: Answer) -> str:
        """Takes over the time in the Date header of an answer, as `kubectl -v=8` shows it; a note when it is another than ours."""
        self.is_unknown = bool(answer.exit)
        said = self.DATE.search(answer.log)
        if not said:
            return ""
        import email.utils  # noqa: PLC0415, only here: it takes 18 ms, and a replay does without it

        date = email.utils.parsedate_to_datetime(said[1]).timestamp() + 0.5
        skew = date - self.offset - (answer.asked + answer.answered) / 2
        if abs(skew) <= self.SLACK + (answer.answered - answer.asked) / 2:  # it was written at any time between
            return ""
        self.offset += skew
        return f"this machine's clock is {abs(skew):.0f}s {'behind' if skew > 0 else 'ahead of'} the cluster's, which counts"


# What client-go logs beside kubectl's own words: what it does, and errors
INFOS, ERRORS = (re.compile(rf"^[{letters}]\d{{4}} .*\n?(?:[\t ].*\n?)*", re.MULTILINE) for letters in ("I", "EW"))


def words_in(log: str) -> str:
    """What kubectl itself says; where that is nothing, the errors that client-go logs."""
    said = INFOS.sub("", log).strip()
    return ERRORS.sub("", said).strip() or said


class Watch:
    """A `kubectl get --raw` of what changes in one resource. Nothing of it is believed but that there is news."""

    SILENCE = 180.0  # seconds; a live one hears a bookmark about each minute, the first one within two and a half
    SHORT, OFTEN = 10.0, 5  # seconds, and how many watches of a resource in a row may end so soon: a server drops those that lag behind
    # From the API server's cache (0), which alone sends bookmarks: what is old in it is no harm, as it only rings
    URL = "%s?watch=1&allowWatchBookmarks=true&timeoutSeconds=300&resourceVersion=0"

    def __init__(self, kubectl: Kubectl, path: str, bell: Bell, *, short: int = 0) -> None:
        self.short = short  # how many before it ended soon
        self.bell, self.started, self.heard, self.err = bell, time.monotonic(), 0.0, io.BytesIO()
        self.ended = ""  # why
        flags = [flag for flag in kubectl.flags if not flag.startswith("--request-timeout=")]
        arguments = (*flags, "get", "--raw", Watch.URL % path)
        streams: dict[str, Any] = {"_out": self.hear, "_err": self.err, "_done": self.end, "_no_out": True, "_decode_errors": "replace"}
        self.process: Any = None
        try:
            self.process = kubectl.start(*arguments, **streams)
        except UnreadableError as error:
            self.ended = str(error)

    def hear(self, line: str) -> None:
        """Takes an event, {type, object}, in a thread of sh."""
        self.heard = time.monotonic()
        try:
            event = json.loads(line)
        except ValueError:
            event = None
        if self.bell.is_news(event):
            self.bell.rung.set()

    def end(self, *_: object) -> None:
        """Notes, in a thread of sh, that it has ended: what happens until there is another one is not heard."""
        self.ended = words_in(self.err.getvalue().decode("utf-8", "replace")) or "it has ended"
        self.bell.rung.set()

    @property
    def is_alive(self) -> bool:
        return not self.ended and self.heard > 0 and time.monotonic() - self.heard < Watch.SILENCE

    @property
    def was_in_vain(self) -> bool:
        """Whether another one would be no better: nothing is heard of it, or it ended as soon as those before."""
        if self.ended:
            return not self.heard or self.short >= Watch.OFTEN
        return time.monotonic() - (self.heard or self.started) >= Watch.SILENCE

    def kill(self) -> None:
        if self.process is not None and not self.ended:
            Kubectl.kill(self.process)

    def wait(self) -> None:
        """Waits until it has ended, so that nothing is left of it."""
        if self.process is not None:
            self.process.wait()


class Bell:
    """Rings when something may have changed, as long as each resource that was seen can be watched. The lists stay the truth."""

    def __init__(self, kubectl: Kubectl) -> None:
        self.kubectl, self.rung = kubectl, threading.Event()
        self.known: Collection[str] = ()  # resourceVersions of what the last poll has shown
        self.subjects: Collection[str] = ()  # identities of what was judged
        self.watches: dict[str, Watch] = {}  # by the path of what they watch
        self.silent: dict[str, str] = {}  # path -> why it cannot be watched

    def listen(self, paths: Iterable[str]) -> None:
        """Watches what is at these paths of the API, and what it watches already; what has ended is watched anew."""
        for path in {*paths, *self.watches} - self.silent.keys():
            watch = self.watches.get(path)
            if watch and watch.was_in_vain:
                self.silent[path] = watch.ended or "nothing is heard of it"
                watch.kill()
                watch.wait()
                del self.watches[path]
            elif not watch or watch.ended:
                is_short = watch and time.monotonic() - watch.started < Watch.SHORT
                with INTERRUPTS.hold():
                    self.watches[path] = Watch(self.kubectl, path, self, short=watch.short + 1 if watch and is_short else 0)

    def is_news(self, event: Json) -> bool:
        """Whether an event of a watch is worth a poll: not what the last one has shown, nor what belongs to nothing that is judged."""
        changed = field_of(event, "object")
        kind, owner = field_of(event, "type"), field_of(changed, "involvedObject") or controller_of(changed)
        if kind == "BOOKMARK" or (kind != "DELETED" and version_of(changed) in self.known):
            return False
        return owner is None or field_of(owner, "uid") in self.subjects or identity(changed) in self.subjects

    @property
    def is_alive(self) -> bool:
        """Whether all is heard."""
        return bool(self.watches) and not self.silent and all(watch.is_alive for watch in self.watches.values())

    def kill(self) -> None:
        """Ends all watches."""
        for watch in self.watches.values():
            watch.kill()
        for watch in self.watches.values():
            watch.wait()


@dataclass(frozen=True, slots=True)
class Request:
    """A list to ask kubectl for. With the `path` of an API it is that one's answer, which kubectl neither decodes nor prints anew."""

    resources: tuple[str, ...]
    workloads: frozenset[str]  # those of the resources that are listed for the workloads among them
    where: tuple[str, ...]
    selector: tuple[str, ...] = ()
    path: str = ""

    @property
    def arguments(self) -> tuple[str, ...]:
        if self.path:
            return ("get", "--raw", self.path)
        return ("get", ",".join(self.resources), *self.where, *self.selector, "-o", "json")


Found = tuple[Request, tuple[Json, ...]]


def api_path(version: str, namespace: str, plural: str) -> str:
    """Where the API server has a resource: of an apiVersion, in a namespace or (empty) in all or none."""
    return f"/{'apis' if '/' in version else 'api'}/{version}{f'/namespaces/{namespace}' if namespace else ''}/{plural}"


class Live:
    """The polls of a cluster: at once when something changes that is watched, and else with pauses that grow to the interval."""

    redact: Sequence[re.Pattern[str]] = ()  # what is replaced in logs
    FIRST_PAUSE, SLOWER = 0.5, 1.5  # seconds, and how much longer each further pause is
    IDLE = 30.0  # seconds between polls while all that could change is watched
    GAP, LONGEST_GAP = 0.1, 0.5  # seconds between two polls while there is news without end
    TICK = 0.5  # seconds after which time alone may have changed the verdict

    def __init__(self, options: argparse.Namespace, rules: Rules, selection: Selection) -> None:
        self.options, self.rules, self.selection = options, rules, selection
        self.kubectl, self.clock = Kubectl(options), Clock()
        self.bell = Bell(self.kubectl)
        self.meanwhile: Callable[[], None] = lambda: None  # what is to be done before the first judgement
        self.subjects: Callable[[], Collection[str]] = frozenset  # identities of what was judged last
        self.is_due: Callable[[Snapshot], bool] = bool  # whether there would be a verdict now, if nothing has changed
        self.notes: list[str] = []
        self.warnings: list[str] = []  # what kubectl says beside its answers
        self.logs: dict[str, str] = {}  # those that were read, as a recording names them
        self.wanted: dict[str, list[Kind]] = {}  # namespace -> kinds of workloads; "" for where kubectl looks by itself
        self.known: dict[str, Json] = {}  # the objects of the last poll
        self.spaces: dict[str, str] = {}  # where kubectl looks by itself -> the namespace that this is
        self.with_events: set[str] = set()  # namespaces of which the events were read
        flags = {"context": options.context, "kubeconfig": options.kubeconfig}
        self.flags = " ".join(f"--{flag}={shlex.quote(value)}" for flag, value in flags.items() if value)  # in commands for people
        self.kept = functools.cache(self.read_kept)

    def polls(self) -> Iterator[Poll]:
        """A poll after each pause, the last one when --timeout is up."""
        pause = gap = 0.0
        if self.options.timeout:
            self.kubectl.end = time.monotonic() + self.options.timeout
        try:
            while True:
                began, before = time.monotonic(), self.bell.known
                poll = self.poll()
                yield poll
                took = time.monotonic() - began
                if poll.snapshot:
                    self.listen()
                pause = pause * self.SLOWER if self.bell.known == before and pause else self.FIRST_PAUSE
                pause = self.IDLE if self.bell.is_alive and poll.snapshot else min(pause, self.options.interval)
                waited = self.rest(poll, pause)
                gap = self.GAP if waited > self.LONGEST_GAP else min(self.LONGEST_GAP, gap * self.SLOWER)
                time.sleep(max(0.0, min(max(gap, took) - waited, self.kubectl.end - time.monotonic())))
        finally:
            self.bell.kill()

    def listen(self) -> None:
        """Watches all that the last poll has shown, and the events that it has read."""
        self.bell.subjects = self.subjects()
        paths = {api_path("v1", namespace, "events") for namespace in self.with_events}
        for each in self.known.values():
            kind, namespace = self.rules.kind_of(each), str(field_of(each, "metadata", "namespace") or "")
            if kind:
                paths.add(api_path(each["apiVersion"], "" if self.selection.everywhere else namespace, kind.plural))
        self.bell.listen(paths)
        silent = {
            f"{path} cannot be watched, so it is polled each {self.options.interval:g}s: {why}" for path, why in self.bell.silent.items()
        }
        self.notes += sorted(silent - {*self.notes})

    def rest(self, poll: Poll, pause: float) -> float:
        """Waits until something has changed, time alone could have brought a verdict, or the pause is over; the seconds that it took."""
        began = time.monotonic()
        tick, end = self.TICK, min(began + pause, self.kubectl.end)
        if not poll.snapshot:
            time.sleep(max(0.0, end - began))
            return pause
        while (left := end - time.monotonic()) > 0 and not self.bell.rung.wait(min(tick, left)):
            asked = time.monotonic()
            if self.is_due(replace(poll.snapshot, at=self.clock.now())):
                break
            tick = max(self.TICK, 10 * (time.monotonic() - asked))  # at most a tenth of the time goes into looking ahead
        return time.monotonic() - began

    def poll(self) -> Poll:
        """What the cluster shows, or the calls that failed. Its time is that before it was asked: never too late."""
        if not self.wanted and (unread := self.read_manifests()):
            return Poll(self.clock.now(), None, (unread,))
        asked = time.monotonic()
        self.bell.rung.clear()
        found, failed = self.lists([request for namespace in self.wanted for request in self.requests(namespace)])
        at = round(asked + self.clock.offset, 3)
        if failed:
            return Poll(at, None, tuple(failed))
        objects: dict[str, Json] = {}
        chosen = set()
        for request, answer in found:
            if request.resources[0] in self.rules.called:  # whatever the word was, this is what it means
                self.rules.learn(request.resources[0], answer)
            if answer and not request.where:
                self.spaces[""] = str(field_of(answer[0], "metadata", "namespace") or "")
            for each in answer:
                key, kind = identity(each), self.rules.kind_of(each)
                known = self.known.get(key)
                objects[key] = known if known and version_of(known) == version_of(each) != "" else each
                if kind and kind.resource in request.workloads:
                    chosen.add(key)
        self.known, self.bell.known = objects, frozenset(map(version_of, objects.values()))
        return Poll(at, Snapshot(at, tuple(objects.values()), frozenset(chosen), functools.cache(self.events)))

    def read_manifests(self) -> Json:
        """Learns which workloads are meant, where manifests say it, and what to ask for; the call when it failed."""
        if self.selection.targets is None and self.selection.manifests:
            where = [f"--namespace={name}" for name in self.selection.namespaces]
            call = ("create", "--dry-run=client", "--validate=false", *where, *self.selection.manifests, "-o", "json")
            answer = self.kubectl.run(call)[0]
            try:
                self.notes += self.selection.take(self.rules, self.objects(answer), printed=False)
            except UnreadableError as error:
                return {**self.failed(Request(("manifests",), frozenset(), ()), answer.exit, str(error)), "verb": "read"}
        namespaces = self.selection.namespaces or ("",)
        for target in self.selection.targets or ():
            for namespace in [target.namespace] if target.namespace else namespaces:
                self.wanted.setdefault(namespace, []).append(target.kind)
        if self.selection.targets is None:
            self.wanted = {namespace: list(self.selection.kinds) for namespace in namespaces}
        return None

    def requests(self, namespace: str) -> Iterator[Request]:
        """What to ask for in a namespace: the workloads that are wanted, and all that such can own."""
        kinds = dict.fromkeys(self.wanted[namespace])
        where = ("-A",) if self.selection.everywhere else ("-n", namespace) if namespace else ()
        selector = ("-l", self.selection.selector) if self.selection.selector else ()
        below = dict.fromkeys(self.rules.kinds[name] for kind in kinds for name in kind.owns)
        owned = [kind for kind in below if kind.listed and (selector or kind not in kinds)]
        wanted = [kind for kind in kinds if kind.resource not in self.rules.called]
        for kind in [kind for kind in kinds if kind not in wanted]:
            yield Request((kind.resource,), frozenset([kind.resource]), where, selector)
        space = "" if self.selection.everywhere else namespace or self.spaces.get("", "")
        direct = [kind for kind in owned if kind.version and (space or self.selection.everywhere)]
        workloads = tuple(kind.resource for kind in wanted)
        rest = tuple(kind.resource for kind in owned if kind not in direct)
        alone = Request(workloads, frozenset(workloads), where, selector)
        together = [alone, Request(rest, frozenset(), where)] if selector else [replace(alone, resources=(*workloads, *rest))]
        yield from (request for request in together if request.resources)
        for kind in direct:
            group = kind.resource.partition(".")[2]
            path = api_path(f"{group}/{kind.version}" if group else kind.version, space, kind.plural)
            yield Request((kind.resource,), frozenset(), where, path=path)

    def lists(self, requests: list[Request]) -> tuple[list[Found], list[Json]]:
        """The objects asked for, and the calls that failed. What fails otherwise is asked for one by one, in kubectl's own way."""
        calls = [request.arguments for request in requests]
        if self.clock.is_unknown and calls:
            calls[0] = (*calls[0], "-v=8")  # which shows the cluster's time
        answers = self.kubectl.run(*calls, meanwhile=self.meanwhile)
        if self.clock.is_unknown and answers and (note := self.clock.correct(answers[0])):
            self.notes.append(note)
        found: list[Found] = []
        failed: list[Json] = []
        for request, answer in zip(requests, answers, strict=True):
            try:
                found.append((request, self.objects(answer)))
            except UnreadableError as error:
                simple = self.simple(request)
                if answer.killed or simple == [request]:
                    failed.append(self.failed(request, answer.exit, str(error)))
                else:
                    more = self.lists(simple)
                    found, failed = found + more[0], failed + more[1]
        return found, failed

    def simple(self, request: Request) -> list[Request]:
        """A request for each resource, of which the workload alone is asked for that is named: someone may list nothing else."""
        namespace = request.where[1] if request.where[:1] == ("-n",) else ""
        names = {target.name for target in self.selection.targets or () if target.namespace in ("", namespace)}
        only = ("--field-selector", f"metadata.name={names.pop()}") if len(names) == 1 else ()
        alone = [Request((each,), request.workloads & {each}, request.where) for each in request.resources]
        return [replace(each, selector=only or request.selector) if each.workloads else each for each in alone]

    def objects(self, answer: Answer) -> tuple[Json, ...]:
        """The objects in an answer; UnreadableError with kubectl's words when the call failed."""
        if answer.exit:
            raise UnreadableError(answer.stderr or f"kubectl exits with {answer.exit} and says nothing")
        self.warnings += [line for line in answer.stderr.splitlines() if line.strip() and line not in self.warnings]
        shim = "" if answer.stdout[:1] in ("{", "") else f" (is {self.options.kubectl} a shim that prints lines of its own?)"
        objects = objects_in(answer.stdout, f"what kubectl printed{shim}")
        for each in objects:
            each["metadata"].pop("managedFields", None)  # no one reads them, and kubectl leaves them out too
        return objects

    def failed(self, request: Request, exit: int, stderr: str) -> Json:
        """A call that failed, as rules/kubectl.yaml sees it."""
        namespace = request.where[1] if request.where[:1] == ("-n",) else None
        optional = bool(request.workloads) and self.selection.by_default
        resource = request.resources[0]
        return {"verb": "list", "resource": resource, "namespace": namespace, "exit": exit, "stderr": stderr, "optional": optional}

    def drop(self, call: Json) -> bool:
        """Asks no more for the resource of a failed call; False when nothing is left to ask for."""
        kinds = self.wanted[call["namespace"] or ""]
        kinds[:] = [kind for kind in kinds if kind.resource != call["resource"]]
        return any(self.wanted.values())

    def events(self, namespace: str) -> list[Json] | None:
        """The events of a namespace; None, and a note until they can be, when they cannot be read."""
        self.notes = [note for note in self.notes if not note.startswith(f"events of namespace {namespace} ")]
        try:
            events = list(self.objects(self.kubectl.run(("get", "events", "-n", namespace, "-o", "json"))[0]))
        except UnreadableError as error:
            self.notes.append(f"events of namespace {namespace} could not be read: {error}")
            return None
        self.with_events.add(namespace)
        return events

    def read_kept(self, kind: Kind, namespace: str) -> Sequence[Json]:
        """The objects of a kind that is not listed with the others; none, and a note, when they cannot be read."""
        try:
            return self.objects(self.kubectl.run(("get", kind.resource, "-n", namespace, "-o", "json"))[0])
        except UnreadableError as error:
            self.notes.append(f"{kind.resource} of namespace {namespace} could not be read, so what has changed is not known: {error}")
            return ()

    def log(self, namespace: str, pod: str, container: str, *, previous: bool) -> str:
        """The end of a container's log; UnreadableError when it cannot be read."""
        call = ["logs", "-n", namespace, pod, "-c", container, f"--tail={LOG_LINES}", f"--limit-bytes={LOG_BYTES}"]
        answer = self.kubectl.run([*call, "--previous"] if previous else call)[0]
        if answer.exit:
            raise UnreadableError(answer.stderr)
        log = redacted(answer.stdout, self.redact)
        self.logs[log_name(pod, container, previous=previous)] = log
        return log

    def rights(self) -> Iterator[tuple[str, str, tuple[str, ...], bool, Answer]]:
        """Verb, resource, where, and whether it is needed, of each right; with what `kubectl auth can-i` says of it."""
        if unread := self.read_manifests():
            raise RolloutError("usage", unread["stderr"])
        rights: dict[tuple[str, str, tuple[str, ...]], bool] = {}
        for namespace in self.wanted:
            where = ("-A",) if self.selection.everywhere else ("-n", namespace) if namespace else ()
            for request in self.requests(namespace):
                rights |= {(verb, resource, where): verb == "list" for resource in request.resources for verb in ("list", "watch")}
            kept = [self.rules.kinds[kind.revisions.kept_in] for kind in self.wanted[namespace] if kind.revisions]
            rights |= {("list", kind.resource, where): False for kind in kept if not kind.listed}
            rights |= {
                ("list", "events", where): False,
                ("watch", "events", where): False,
                ("get", "pods", where): False,
                ("get", "pods/log", where): False,
            }
        answers = self.kubectl.run(*(("auth", "can-i", verb, resource, *where) for verb, resource, where in rights))
        for (right, needed), answer in zip(rights.items(), answers, strict=True):
            if answer.exit and answer.stdout.strip() != "no":
                raise RolloutError("unreachable", f"kubectl cannot tell which rights there are: {answer.stderr}")
            yield (*right, needed, answer)

    def namespace(self) -> str:
        """The namespace that is meant when none is named: the context's."""
        answer = self.kubectl.run(("config", "view", "--minify", "-o", "jsonpath={..namespace}"))[0]
        return answer.stdout.strip() or "default"


# ----------------------------------------------------------------------------------------------------------- progress


LONGEST_LINE = 2_000  # characters
PASSWORD = re.compile(r"(\b[a-z][a-z0-9+.-]*://)[^/\s:@\"']*:[^/\s@\"']+@", re.IGNORECASE)


def without_passwords(text: str) -> str:
    """A text without the user and the password of its URLs."""
    return PASSWORD.sub(r"\1redacted@", text) if "://" in text else text


def plain(text: str) -> str:
    """A text in one line, without a password, or anything that a terminal or a CI's log would obey: `##[...]` and `##vso[...]`
    anywhere in a line, `::...::` at its begin, also behind spaces.
    """
    line = "".join(letter if letter.isprintable() else " " for letter in without_passwords(text[: 2 * LONGEST_LINE]))
    line = re.sub(r"^( *):(?=:)", r"\1: ", re.sub("#(?=#)", "# ", line))
    return line if len(line) <= LONGEST_LINE else f"{line[:LONGEST_LINE]}..."


def as_json(result: Json) -> str:
    """The document as text, in which a CI's log finds no command of its own and nobody a password."""

    def clean(value: Json) -> Json:
        if isinstance(value, dict):
            return {key: clean(entry) for key, entry in value.items()}
        return list(map(clean, value)) if isinstance(value, list) else without_passwords(value) if isinstance(value, str) else value

    return json.dumps(clean(result), indent=2).replace("##", "#\\u0023")


class Progress:
    """Lines on stderr: when something changes, and every 30 s what has been waited for the longest."""

    HEARTBEAT = 30.0  # seconds
    is_told = False  # whether people read the result elsewhere, at the same place

    def __init__(self, stream: IO[str], *, quiet: bool) -> None:
        self.stream, self.quiet = stream, quiet
        self.said: dict[Json, tuple[str, float]] = {}  # of what -> the sentence, and since when it is true
        self.started = self.spoke = -1.0

    def show(self, judgement: Judgement) -> None:
        """Says what has changed with a judgement."""
        several = len({workload.key[1] for workload in judgement.workloads}) > 1
        waiting = []
        # once one has failed, nobody waits for the others any more
        for workload in [each for each in judgement.workloads if not (judgement.failed and each.status == "waiting")]:
            title = f"{workload.key[1]}: {workload.title}" if several else workload.title
            failed = "failed: " if workload.status == "failed" else ""
            self.say_new(judgement.at, workload.key, f"{title}: {failed}{workload.sentence}")
            waiting += [self.said[workload.key]] if workload.status == "waiting" else []
        for line in judgement.awaited:
            self.say_new(judgement.at, line, line)
            waiting.append(self.said[line])
        if waiting and judgement.at - self.spoke >= self.HEARTBEAT:
            line, since = min(waiting, key=lambda each: each[1])
            self.say(judgement.at, f"still waiting, for {judgement.at - since:.0f}s now: {line}")

    def trouble(self, at: float, sentence: str) -> None:
        """Says that a call failed and is tried again."""
        if self.spoke >= 0 and at - self.spoke >= self.HEARTBEAT:
            self.said.pop("call", None)
        self.say_new(at, "call", f"trying again: {sentence}")

    def say_new(self, at: float, about: Json, line: str) -> None:
        """Says a line unless it is the one that was said of this last."""
        if self.said.get(about, ("", 0.0))[0] != line:
            self.said[about] = (line, at)
            self.say(at, line)

    def say(self, at: float, line: str) -> None:
        self.started = at if self.started < 0 else self.started
        self.spoke = at
        self.print(f"[{at - self.started:4.0f}s] {plain(line)}")

    def print(self, *lines: str) -> None:
        """Prints lines as they are."""
        if not self.quiet and lines:
            with suppress(OSError, ValueError):  # a closed stderr is no reason to lose the verdict
                print("\n".join(lines), file=self.stream, flush=True)

    def start(self) -> None:
        """Polls begin."""

    def stop(self) -> None:
        """They have ended."""

    def conclude(self, _result: Mapping[str, Json], _rules: Json) -> list[str]:
        """Shows the result, if that is for its reader; a sentence for each thing that went wrong with it."""
        return []


CI_VARIABLES = {"github": "GITHUB_ACTIONS", "gitlab": "GITLAB_CI"}  # by which they are known


def progress_for(options: argparse.Namespace) -> Progress:
    """Progress for what reads stderr: a CI that folds and marks, a terminal, or whatever else reads lines."""
    stream, found = sys.stderr, [name for name, variable in CI_VARIABLES.items() if os.environ.get(variable) == "true"]
    ci = options.ci or (found or ["none"])[0]
    is_terminal = (
        stream.isatty()
        and os.environ.get("TERM", "") not in ("", "dumb", "unknown")
        and stream.encoding.lower() == "utf-8"
        and (options.ci == "none" or not os.environ.get("CI"))
        and not options.quiet
    )
    if ci != "none" or is_terminal:
        with suppress(ImportError):  # no rich, or a copy of this file alone
            from rollout_view import VIEWS  # noqa: PLC0415, only when asked for

            return VIEWS[ci](stream, quiet=options.quiet)
    return Progress(stream, quiet=options.quiet)


# ------------------------------------------------------------------------------------------------------------- result

LOG_LINES, LOG_BYTES = 20, 100_000
SECRET = 6  # characters from which on the value of a variable is replaced in logs; shorter ones are words like `true`


def reference(resource: Json) -> dict[str, str]:
    return {"kind": str(field_of(resource, "kind")), "namespace": namespace_of(resource), "name": name_of(resource)}


def workload_entry(workload: Workload, codes: Mapping[str, Code]) -> dict[str, Json]:
    """A workload in the result, with all that it waits for: what several pods wait for is one sentence."""
    code = workload.findings[0].code(codes) if workload.status == "waiting" else None
    groups: dict[tuple[str, ...], list[Finding]] = {}
    for finding in workload.findings:
        groups.setdefault((finding.message,) if finding.rule.each else finding.group(), []).append(finding)
    waits = [group for group in list(groups.values())[workload.status == "waiting" :] if group[0].verdict != "fail"]
    more = [f"{group[0].message}{f' (and {len(group) - 1} more)' if group[1:] else ''}" for group in waits]
    return {
        **reference(workload.value),
        "status": workload.status,
        **({"code": code.name} if code else {}),
        "message": workload.sentence,
        **({"waitingFor": list(dict.fromkeys(more))} if more else {}),
    }


def error_entry(findings: Sequence[Finding], codes: Mapping[str, Code], source: Replay | Live) -> dict[str, Json]:
    """The entry of a result for findings that are one failure. A log that cannot be read becomes a note."""
    first = findings[0]
    code, subject = first.code(codes), first.subject
    assert code  # a rule that can fail has one
    entry: dict[str, Json] = {"code": code.name, "type": code.type, "message": first.message}
    if first.rule.logs and subject.part and (log := log_of(first, source)) is not None:
        entry["log"] = log
    entry |= {"rule": first.rule.id, "workload": reference(subject.workload)}
    entry |= {"resource": {**reference(subject.holder), **subject.part}, "count": len(findings)}
    if first.scope.seen_events:
        entry["events"] = list(map(event_entry, first.scope.seen_events[:5]))
    hint = pasted(first.scope.filled(first.rule.hint), source.flags)
    return entry | ({"hint": hint} if hint else {})


def pasted(command: str, flags: str) -> str:
    """A command to paste, with the flags with which kubectl was run: behind its verb, since a plugin takes none before its name."""
    return re.sub(r"(^|&& )kubectl(?: [a-z]\S*)*", lambda found: f"{found[0]} {flags}", command) if flags else command


def event_entry(event: Json) -> dict[str, Json]:
    """An event in the result."""
    texts = {key: event[key] if event[key] is None else str(event[key]) for key in ("reason", "message", "lastSeen")}
    return {**texts, "count": event["count"] if type(event["count"]) is int else 1}


def log_of(finding: Finding, source: Replay | Live) -> str | None:
    """The end of the log of the run that failed; None, and a note, when it cannot be read."""
    subject = finding.subject
    path = subject.kind.previous_log
    previous = path is not None and truth(path.value(subject.value, finding.scope.interpreter))
    pod, container = name_of(subject.holder), str(field_of(subject.value, "name"))
    try:
        log = source.log(namespace_of(subject.holder), pod, container, previous=previous)
        variables = field_of(subject.value, "env")
        for value in [str(field_of(each, "value") or "") for each in variables] if isinstance(variables, list) else ():
            log = log.replace(value, "redacted") if len(value) >= SECRET else log
    except UnreadableError as error:
        source.notes.append(f"the log of {pod}/{container} could not be read: {error}")
        return None
    return "".join(log.splitlines(keepends=True)[-LOG_LINES:]).encode()[-LOG_BYTES:].decode("utf-8", "ignore")


@dataclass(frozen=True, slots=True, eq=False)
class Change:
    """From an earlier revision of a workload to the current one: all that it has kept, the earlier one's number, and both templates."""

    kept: tuple[Json, ...]
    number: int
    before: Json
    after: Json

    @staticmethod
    def of(workload: Workload, revisions: Revisions, kept: Iterable[Json], functions: Functions) -> Change | None:
        """From the newest revision with another template, if there are some, of those that still serve; None when there is none."""
        owned = tuple(each for each in kept if str(field_of(controller_of(each), "uid")) == identity(workload.value))
        after = without(revisions.current.value(workload.value, functions), revisions.without)
        others = []
        for each in owned:
            number, before = revisions.number.value(each, functions), without(revisions.template.value(each, functions), revisions.without)
            if type(number) is int and isinstance(before, dict) and isinstance(after, dict) and before != after:
                serves = revisions.serves is not None and truth(revisions.serves.value(each, functions))
                others.append((serves, number, before))
        if not others:
            return None
        _, number, before = max(others, key=lambda each: each[:2])
        return Change(owned, number, before, after)


def told_changes(change: Change, kinds: Mapping[str, Kind], makes: str, functions: Functions) -> Iterator[str]:
    """A line for each difference, like `image app:v1 -> app:v2` or `env DB_URL added`. A part that is not alone is named."""
    sides = (change.before, change.after)
    parts = [(kind, part) for kind in kinds.values() if kind.part_of == makes for part in kind.parts]
    found = [
        {name: (kind, each) for kind, part in parts for name, each in by_name(part.spec.value(side, functions)).items()} for side in sides
    ]
    names = found[0] | found[1]
    for name, (kind, _) in names.items():
        if any(name not in side for side in found):
            yield f"{kind.name} {name} {'added' if name in found[1] else 'removed'}"
        else:
            lines = differences("", [side[name][1] for side in found], shown_of(kind, [side[name][1] for side in found], functions))
            yield from (f"{name}: {line}" if len(names) > 1 else line for line in lines)
    paths = [path_in(part.spec.tree) for _, part in parts]
    rest = [functools.reduce(without, paths, side) for side in sides]
    shown = shown_of(kinds[makes], rest, functions)
    for key in rest[0] | rest[1]:  # its metadata and its spec
        yield from differences("", [side.get(key, {}) for side in rest], [field_of(side, key) for side in shown])


def shown_of(kind: Kind, sides: Iterable[Json], functions: Functions) -> list[Json]:
    """What may be told of each of the values."""
    return [kind.shown.value(side, functions) if kind.shown else None for side in sides]


def by_name(entries: Json) -> dict[str, Json]:
    """The entries of a list by their names; none where they have none, or one has that of another."""
    names = [field_of(each, "name") for each in entries] if isinstance(entries, list) else []
    is_named = all(isinstance(name, str) for name in names) and len(set(names)) == len(names)
    return dict(zip(names, entries, strict=True)) if is_named and names else {}


def differences(path: str, sides: Sequence[Json], shown: Sequence[Json]) -> Iterator[str]:
    """A line for each field in which two values differ, null standing for none; what it was and is only where that is shown."""
    before, after = sides
    if before == after:
        return
    named = [by_name(side) for side in sides]
    is_told_whole = None in sides and shown != [None, None]
    if all(isinstance(each, dict) for each in (*sides, *shown) if each is not None) and not is_told_whole:
        for key in {key: None for each in (*shown, *sides) for key in each or ()}:
            below = [field_of(each, key) for each in sides], [field_of(each, key) for each in shown]
            yield from differences(f"{path}.{key}" if path else key, *below)
    elif shown == [None, None] and all(name or side is None for name, side in zip(named, sides, strict=True)):
        for name in named[0] | named[1]:
            if named[0].get(name) != named[1].get(name):
                yield f"{path} {name} {verb_of([side.get(name) for side in named])}"
    else:
        values = [printed(without(each, ())) for each in shown if each is not None]
        told = f" {' -> '.join(values)}" if len(set(values)) > 1 else ""
        yield f"{path}{told or f' {verb_of(sides)}'}{f': {values[0]}' if len(values) == 1 else ''}"


def verb_of(sides: Sequence[Json]) -> str:
    return "added" if sides[0] is None else "removed" if sides[1] is None else "changed"


def as_text(result: dict[str, Json]) -> str:
    """The result for people: what has failed, and why; of what is only on its way then, the names."""
    lines = ["The rollout succeeded." if result["success"] else "The rollout did not succeed."]
    workloads = result.get("workloads", ())
    waits = {place_of(workload): workload.get("waitingFor", ()) for workload in workloads}
    for entry in [result["error"], *result.get("errors", ())] if "error" in result else ():
        lines.append(f"{entry['code']}: {entry['message']}")
        if "resource" in entry and entry["resource"] == entry["workload"]:  # what its pods wait for says more
            lines += [f"  while: {sentence}" for sentence in waits[place_of(entry["workload"])][:1] if entry is result["error"]]
        elif "resource" in entry:
            more = f" and {entry['count'] - 1} more" if entry["count"] > 1 else ""
            lines.append(f"  in {'/'.join(entry['resource'].values())}{more}")
        lines += [f"  | {line}" for line in entry.get("log", "").splitlines()]
        lines += [f"  see: {entry['hint']}"] if "hint" in entry else []
    has_failed = any(workload["status"] == "failed" for workload in workloads)
    on_their_way = [place_of(each) for each in workloads if has_failed and (each["status"], "code" in each) == ("waiting", False)]
    for workload in sorted(workloads, key=lambda each: ORDER.index((each["status"], "code" in each))):
        if place_of(workload) not in on_their_way:
            lines.append(f"{workload['status']}: {place_of(workload)}: {workload['message']}")
            lines += [f"  changed: {change}" for change in workload.get("changes", ())]
            lines += [f"  to roll back: {workload['rollback']}"] if "rollback" in workload else []
    lines += [f"on their way: {', '.join(on_their_way)}"] if on_their_way else []
    return "\n".join(map(plain, [*lines, *(f"note: {note}" for note in result.get("notes", ()))]))


def place_of(workload: Json) -> str:
    """How a text names a workload of the result."""
    return f"{workload['namespace']}/{workload['kind']}/{workload['name']}"


# In which a text lists workloads: status, and whether it waits in a state that may become a failure
ORDER = (("failed", False), ("waiting", True), ("waiting", False), ("ready", False), ("ignored", False))


# --------------------------------------------------------------------------------------------------------------- main

# How a run ends of which the rules could not be read
FIRST_CODES = {
    "usage": Code("usage", 0, "program", 2, hint="rollout-status --help"),
    "invalid-rules": Code("invalid-rules", 0, "program", 2, hint="rollout-status lint"),
    "internal": Code("internal", 0, "program", 70),
    "interrupted": Code("interrupted", 0, "program", 130),
}
VERBS = ("completion", "explain", "lint", "query", "report", "rules", "test")  # what rollout_tools.py does
DEMO = ("--replay", str(DATA / "fixtures" / "deployment-crash-loop"), "--retry-limit", "1")


class Run:
    """One run from its arguments to its verdict, and what is known of it so far."""

    def __init__(self, base: Path | None = None, *, shown: bool = False) -> None:
        self.base = base or DATA / "rules"  # the built-in rules
        self.shown, self.progress = shown, Progress(sys.stderr, quiet=False)  # shown: as suits the reader of stderr, else as lines
        self.output = "json"
        self.rules: Any = None  # Rules, Replay or Live, Judge and Judgement, as soon as there is one
        self.source: Any = None
        self.judge: Any = None
        self.judgement: Any = None
        self.recorder: Any = None
        self.report: Any = None
        self.ready_since = -1.0  # -1: it is not
        self.notes: list[str] = []
        self.kept: list[Json] = []  # revisions that were read once the rollout had failed
        self.polls, self.elapsed = 0, 0.0

    def watch(self, argv: Sequence[str]) -> None:
        """Polls until there is a verdict; RolloutError when the run ends without one."""
        options = parser().parse([*DEMO, *argv[1:]] if list(argv[:1]) == ["demo"] else argv)
        self.output = options.output
        self.progress = progress_for(options) if self.shown else Progress(sys.stderr, quiet=options.quiet)
        self.progress.is_told = self.output == "text" and sys.stdout.isatty()
        self.rules = loaded(options, self.base)
        selection = selected(options, self.rules)
        self.notes += [f"no rule file declares {word}, so generic rules judge it{self.rules.meant(word)}" for word in self.rules.called]
        rules = [expected(text, self.rules) for text in options.expect]
        self.judge = Judge(self.rules, selection, settings(options), options.wait_for_create, rules)
        if options.now is not None and not options.replay:
            raise RolloutError("usage", "--now goes with --replay FILE")
        if (options.record or options.dump) and options.replay:
            flag = "--record" if options.record else "--dump"
            raise RolloutError("usage", f"{flag} goes with a cluster: what is replayed is recorded already")
        if options.record and options.dump:
            raise RolloutError("usage", "write either --record or --dump: --record keeps the recording however the run ends")
        self.source = Replay(Path(options.replay), options.now, selection) if options.replay else Live(options, self.rules, selection)
        self.source.redact, self.source.meanwhile = options.redact, self.prepare
        self.read_applied(options)
        if options.report:
            from rollout_report import Report  # noqa: PLC0415, only when asked for

            self.report = Report(
                [Path(name) for name in options.report], self.rules, live=not (options.replay or options.record or options.dump)
            )
        if options.record or options.dump:
            from rollout_tools import Recorder  # noqa: PLC0415, only when asked for

            self.recorder = Recorder(Path(options.record or options.dump), selection, self.rules, only_failed=bool(options.dump))
        if options.check_access:
            self.check_access()
            return
        self.source.subjects = self.judge.subjects
        self.source.is_due = lambda snapshot: self.is_due(snapshot, options.stable_for)
        try:
            self.progress.start()
            with closing(self.source.polls()) as polls:
                self.watch_polls(polls, options)
        finally:
            self.progress.stop()

    def is_due(self, snapshot: Snapshot, stable_for: float) -> bool:
        """Whether there would be a verdict if nothing had changed but the time."""
        judgement = self.judge.foresee(snapshot)
        if not judgement.ready or judgement.nothing:
            return bool(judgement.failed or judgement.nothing)
        return bool(self.ready_since < 0 or snapshot.at - self.judge.outage - self.ready_since >= stable_for)

    def watch_polls(self, polls: Iterator[Poll], options: argparse.Namespace) -> None:
        """Judges polls until there is a verdict; RolloutError when they end without one."""
        for poll in polls:
            self.polls += not poll.again
            self.elapsed = poll.at - self.judge.started if self.judge.started >= 0 else 0.0
            try:
                self.take(poll, options)
            finally:
                self.record(poll)
            if poll.snapshot and (self.judgement.failed or self.has_lasted(options.stable_for)):
                return
            if options.once and poll.snapshot:
                raise self.out_of_time("--once")
            if 0 < options.timeout <= self.elapsed:
                raise self.out_of_time(f"Timed out after {options.timeout:g}s")
        raise self.out_of_time("The recording ends without a verdict")

    def out_of_time(self, why: str) -> RolloutError:
        """The end without a verdict, with what is waited for, and the command that shows more of the first of it."""
        findings = [finding for workload in self.waiting() for finding in workload.findings if finding.rule.hint]
        hint = findings[0].scope.filled(findings[0].rule.hint) if findings else ""
        return RolloutError("timeout", f"{why}: {self.waits()}", hint=pasted(hint, self.source.flags))

    def prepare(self) -> None:
        """Loads the rules, which nobody needs before there is something to judge; RolloutError `invalid-rules` when one is wrong."""
        for kind in self.judge.selection.kinds:
            self.rules.check_kind(kind)

    def check_access(self) -> None:
        """Says on stderr which rights are there; RolloutError `forbidden` when one is missing without which there is no verdict."""
        if not isinstance(self.source, Live):
            raise RolloutError("usage", "--check-access asks a cluster: leave out --replay")
        missing = []
        for verb, resource, where, needed, answer in self.source.rights():
            allowed = answer.exit == 0
            said = "yes" if allowed else f"no{'' if needed else ' (it works without, with a note)'}"
            print(plain(f"{verb:5} {resource:24} {' '.join(where) or 'here':24} {said}"), file=sys.stderr)
            self.notes += [f"may {'' if allowed else 'not '}{verb} {resource} {' '.join(where)}".strip()]
            missing += [f"{verb} {resource} {' '.join(where)}".strip()] if needed and not allowed else []
        if missing:
            hint = "rbac.yaml has all that is needed"
            raise RolloutError("forbidden", f"These rights are missing: {', '.join(missing)}", hint=hint)

    def read_applied(self, options: argparse.Namespace) -> None:
        """Reads what was applied from the pipe; in a replay from the files too, since no kubectl is asked then."""
        selection = self.judge.selection
        if options.replay:
            self.rules.known.update(
                (tuple(kind), self.rules.called[word]) for word, kind in self.source.words.items() if word in self.rules.called
            )
        if options.replay and self.source.applied and (selection.manifests or selection.by_default):
            selection.take_recorded(self.rules, self.source.applied)
            return
        if options.replay and options.kustomize:
            raise RolloutError("usage", "a replay has no kubectl that could read -k, and the recording does not say what was in it")
        for name in options.filename if options.replay else ["-"] if "-" in options.filename else []:
            try:
                text = sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8")
                if not text.strip():
                    raise UnreadableError("it is empty: did `kubectl apply` fail? Let the pipeline end then: set -o pipefail")
                objects = objects_in(text, "it")
            except (OSError, ValueError) as error:
                hint = "kubectl apply -f k8s/ -o json | rollout-status -f -"
                raise RolloutError("usage", f"-f {name}: {reason(error)}", hint=hint) from None
            self.notes += selection.take(self.rules, objects, printed=True)

    def has_lasted(self, seconds: float) -> bool:
        """Whether the success has lasted that long by the judge's clock, which stands still while polls fail."""
        if not self.judgement.ready or self.judgement.nothing:
            self.ready_since = -1.0
            return bool(self.judgement.nothing)
        self.ready_since = self.judge.now if self.ready_since < 0 else self.ready_since
        if self.judge.now - self.ready_since < seconds:
            self.progress.say_new(self.judgement.at, "stable", f"everything is ready, and must stay so for {seconds:g}s")
            return False
        return True

    def record(self, poll: Poll) -> None:
        """Adds a poll to the recording and to the report, if there is one."""
        if self.recorder:
            self.recorder.add(poll, [workload.value for workload in self.judgement.workloads] if self.judgement else [])
        if self.report:
            self.report.add(poll, self.judgement)

    def take(self, poll: Poll, options: argparse.Namespace) -> None:
        """Judges a poll; RolloutError when a call of it failed that cannot be done without, or not any longer."""
        for warning in self.source.warnings:
            self.progress.say_new(poll.at, warning, f"kubectl: {warning}")
        if poll.snapshot:
            self.judgement = self.judge.judge(poll.snapshot)
            self.progress.show(self.judgement)
        troubles: list[str] = []
        for call in poll.calls:
            finding = self.judge.call_failed(call, poll.at, again=poll.again)
            code = finding.code(self.rules.codes)
            if finding.verdict == "note" and self.source.drop(call):
                self.notes.append(finding.message)
            elif finding.verdict == "wait" and not options.once:
                troubles.append(finding.message)
            else:
                hint = pasted(finding.scope.filled(finding.rule.hint), self.source.flags)
                message = finding.message if code else f"Nothing is left that could be judged: {finding.message}"
                raise RolloutError(code.name if code else "forbidden", message, hint=hint, rule=finding.rule.id)
        if troubles:  # the first will do: calls of one poll mostly fail for the same cause
            self.progress.trouble(poll.at, troubles[0])

    def waiting(self) -> list[Workload]:
        """The workloads that wait; first those in a state that may become a failure."""
        waiting = [each for each in (self.judgement.workloads if self.judgement else ()) if each.status == "waiting"]
        return sorted(waiting, key=lambda each: each.findings[0].order(self.rules.codes))

    def waits(self) -> str:
        """What has not come yet, in a sentence."""
        waiting = [f"{each.title}: {each.sentence}" for each in self.waiting()]
        waiting += self.judgement.awaited if self.judgement else ()
        if self.ready_since >= 0:
            return f"everything is ready, for {self.judge.now - self.ready_since:.0f}s now"
        return "; ".join(waiting) or "nothing was seen of the cluster"

    def result(self, end: RolloutError | None) -> tuple[dict[str, Json], int]:
        """The result and the exit code: those of the last judgement, or of what ended the run without one."""
        judgement = self.judgement
        entries: list[dict[str, Json]] = []
        if not end and judgement and judgement.nothing:
            end = RolloutError("not-found", self.judge.selection.nothing_found(self.source.namespace()))
        if end:
            entries = [{"code": end.code, "type": self.code(end.code).type, "message": end.message}]
            entries[0] |= {key: text for key, text in (("rule", end.rule), ("hint", end.hint)) if text}
        elif judgement:
            entries = [error_entry(findings, self.rules.codes, self.source) for findings in judgement.failures]
            entries += [{"code": "not-found", "type": "rollout", "message": message} for message in judgement.missing]
        for entry in entries:
            if "hint" not in entry and (hint := self.code(entry["code"]).hint):
                entry["hint"] = pasted(hint, self.source.flags if self.source else "")
        result = {"success": not entries, **({"error": entries[0]} if entries else {}), **({"errors": entries[1:]} if entries[1:] else {})}
        if judgement:
            changes = [self.changes(each) if each.status == "failed" and not end else {} for each in judgement.workloads]
            result["workloads"] = [
                workload_entry(each, self.rules.codes) | change for each, change in zip(judgement.workloads, changes, strict=True)
            ]
        exit_code: int = end.exit if end and end.exit else self.code(entries[0]["code"]).exit if entries else 0
        if self.recorder:
            self.recorder.end(self.source.logs, self.kept, exit_code)
            self.notes += self.recorder.notes
        if self.report and judgement and self.judge.failing_since < 0 and not INTERRUPTS.pending:
            self.report.read_events(self.judge.snapshot)
        self.notes += self.rules.notes if self.rules else []
        notes = dict.fromkeys([*(judgement.notes if judgement else ()), *self.notes, *(self.source.notes if self.source else ())])
        result |= {"notes": list(notes)} if notes else {}
        result |= {"elapsedSeconds": round(self.elapsed, 3), "polls": self.polls}
        if self.report and (problems := self.report.write(result)):
            result["notes"] = [*notes, *problems]
        return result, exit_code

    def changes(self, workload: Workload) -> dict[str, Json]:
        """`changes` and `rollback` of a workload, if there are any. Where a rule file is wrong about them, the verdict stands."""
        try:
            return dict(self.changed(workload, workload.kind.revisions)) if workload.kind.revisions else {}
        except RolloutError as error:
            self.notes.append(f"what has changed is not known: {error.message}")
            return {}

    def changed(self, workload: Workload, revisions: Revisions) -> Iterator[tuple[str, Json]]:
        """What has changed since an earlier revision, and the command that goes back to it."""
        kind, subject, functions = self.rules.kinds[revisions.kept_in], workload.subject, self.judge.interpreter
        more = () if kind.listed else self.source.kept(kind, namespace_of(subject.value))
        kept = (each for each in (*self.judge.snapshot.objects, *more) if self.rules.kind_of(each) is kind)
        change = Change.of(workload, revisions, kept, functions)
        if not change:
            return
        self.kept += change.kept if not kind.listed else ()
        if lines := list(told_changes(change, self.rules.kinds, revisions.makes, functions)):
            yield "changes", lines
        scope = {"self": subject.value, "owned": list(subject.owned), "old": list(subject.old), "revision": change.number}
        is_possible = revisions.can_roll_back is None or truth(revisions.can_roll_back.value(scope, functions))
        if revisions.rollback and is_possible:
            yield "rollback", pasted(revisions.rollback.fill(lambda each: each.value(scope, functions)), self.source.flags)

    def code(self, name: str) -> Code:
        """The code of this name, also when the rules could not be read."""
        known = code_named(self.rules.codes, name) if self.rules else None
        return known or FIRST_CODES[name]


def settings(options: argparse.Namespace) -> list[tuple[str, str]]:
    """The parameters that are set; a flag of its own wins over --set."""
    own = {"retry_limit": options.retry_limit, "pending_deadline": options.pending_deadline}
    own["ignore_secret_not_found"] = "true" if options.ignore_secret_not_found else None
    own["on_superseded"] = options.on_superseded
    images = [("expect_image", image) for image in options.expect_image]
    return [*options.set, *images, *((name, value) for name, value in own.items() if value is not None)]


def loaded(options: argparse.Namespace, base: Path) -> Rules:
    """The rules that the arguments and ROLLOUT_STATUS_RULES name; with the packs when a kind of theirs may be meant."""
    return Rules(base, team_paths(options), packs=[*kind_words(options), *(kind for kind, _ in options.names)])


def team_paths(options: argparse.Namespace) -> list[Path]:
    """The files and folders of teams' rules that ROLLOUT_STATUS_RULES and --rules name."""
    return [Path(path) for path in [*os.environ.get("ROLLOUT_STATUS_RULES", "").split(os.pathsep), *options.rules] if path]


def kind_words(options: argparse.Namespace) -> list[str]:
    """The words of --kinds."""
    return [word.strip() for entry in options.kinds for word in entry.split(",")]


def selected(options: argparse.Namespace, rules: Rules) -> Selection:
    """What the arguments choose; RolloutError `usage` when they contradict each other, or name an unknown kind."""
    words = kind_words(options)
    manifests = [("-f", name) for name in options.filename] + ([("-k", options.kustomize)] if options.kustomize else [])
    if options.names and (words or options.selector or manifests):
        raise RolloutError("usage", "KIND/NAME says which workloads: leave out --selector, --kinds and -f")
    if manifests and (options.selector or options.all_namespaces):
        raise RolloutError("usage", "-f and -k say which workloads: leave out --selector and --all-namespaces")
    if options.kustomize and options.filename:
        raise RolloutError("usage", "-k stands alone")
    if "-" in options.filename and len(options.filename) > 1:
        raise RolloutError("usage", "-f - stands alone")
    if options.all_namespaces and options.namespace:
        raise RolloutError("usage", "write either --all-namespaces or --namespace")
    if manifests and len(options.namespace) > 1:
        raise RolloutError("usage", "with -f and -k write one --namespace: the others come from what they hold")
    if "" in words:
        raise RolloutError("usage", f"--kinds {','.join(options.kinds)}: there is a comma too much")
    spaces = options.namespace if len(options.namespace) > 1 else [""]
    targets = tuple(Target(rules.kind_called(kind), space, name) for kind, name in options.names for space in spaces)
    kinds = [target.kind for target in targets] or [rules.kind_called(word) for word in words]
    by_default = not kinds and not manifests
    if not kinds:
        every = [kind for kind in rules.kinds.values() if kind.resource]
        kinds = [kind for kind in every if (is_applied(rules, kind) if manifests else kind.watched)]
    return Selection(
        kinds=tuple(dict.fromkeys(kinds)),
        targets=targets or None,
        manifests=tuple(word for each in manifests for word in each),
        namespaces=tuple(dict.fromkeys(options.namespace)),
        everywhere=options.all_namespaces,
        selector=options.selector,
        by_default=by_default,
    )


def is_applied(rules: Rules, kind: Kind) -> bool:
    """Whether objects of manifests are workloads by their kind alone."""
    return kind.waits and kind.listed and kind.resource != "*" and kind.name not in rules.packed


def expected(text: str, rules: Rules) -> Rule:
    """The rule of an --expect: wait until the expression is true; RolloutError `usage` when it is wrong."""
    message = Template((f"Waiting for what is expected: {text}",))
    try:
        given = Expression.parse(text, "--expect")
        isnt = Expectation(text, "--expect", given.tree, given.meaning, given.roots)
        rule = Rule("expect", "--expect", (), None, isnt, None, "wait", None, None, None, {}, frozenset(), None, message, None, logs=False)
        rules.check_params(rule)
    except RolloutError as error:
        raise RolloutError("usage", error.message) from None
    return rule


def concluded(run: Run, argv: Sequence[str]) -> tuple[dict[str, Json], int]:
    """The result and the exit code of a run; RolloutError when it has a finding of which the message cannot be told."""
    try:
        try:
            run.watch(argv)
            return run.result(None)
        except RolloutError as end:
            run.judgement = None if end.code == "invalid-rules" else run.judgement  # it could not be told without that rule
            return run.result(end)
    except Interrupted as stopped:
        return run.result(RolloutError("interrupted", f"Interrupted by {stopped}: {run.waits()}", exit=128 + stopped.signum))


def ended(run: Run, argv: Sequence[str]) -> tuple[dict[str, Json], int]:
    """The result and the exit code of a run, however it ends."""
    try:
        return concluded(run, argv)
    except RolloutError as end:
        run.judgement = None
        return run.result(end)
    except Exception as bug:  # noqa: BLE001, the one place that ends a run
        import traceback  # noqa: PLC0415, only for a bug: it takes 5 ms

        with suppress(OSError, ValueError):
            print("\n".join(map(plain, traceback.format_exc().splitlines())), file=sys.stderr)
        run.judgement = None
        return run.result(RolloutError("internal", f"This is a bug of rollout-status: {type(bug).__name__}: {bug}"))


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line and gives the exit code; exactly one JSON document goes to stdout, whatever happens."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed before we began; else what is for the one could come to the other
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115, until the end
    gc.set_threshold(100_000)  # large lists are no garbage: with Python's 700 a fifth of the time went into looking for some
    INTERRUPTS.listen()
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments[:1] and arguments[0] in VERBS:
        import rollout_tools  # noqa: PLC0415, only when asked for

        text, exit_code = rollout_tools.VERBS[arguments[0]](arguments[1:])
    else:
        run = Run(shown=True)
        result, exit_code = ended(run, arguments)
        INTERRUPTS.ignore()
        if problems := run.progress.conclude(result, run.rules):
            result["notes"] = [*result.get("notes", ()), *problems]
        text = as_text(result) if run.output == "text" else as_json(result)
    try:
        sys.stdout.buffer.write(f"{text}\n".encode("utf-8", "replace"))
        sys.stdout.flush()
    except OSError as error:  # closed or full: neither the verdict nor the exit code changes
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # so that Python's own flush at the end finds no fault
        with suppress(OSError):
            print(f"rollout-status: stdout cannot be written: {error}", file=sys.stderr)
    gc.freeze()  # the process ends: what is in use need not be looked through and freed first, which took a sixth of a large run
    return exit_code


if __name__ == "__main__":
    sys.modules["rollout_status"] = sys.modules[__name__]  # for rollout_tools, which imports it by that name
    raise SystemExit(main())
