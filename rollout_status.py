#!/usr/bin/env python3
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
import difflib
import functools
import io
import json
import os
import re
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import IO, Any, NoReturn, Protocol

import jmespath.exceptions
import jmespath.functions
import jmespath.parser
import jmespath.visitor
import yaml

__version__ = "0.1.0"

Json = Any  # what json.loads returns
HERE = Path(__file__).resolve().parent
# In a wheel the data lies in a folder of its own, in a checkout and in a copied script beside this file.
DATA = HERE / "rollout_status_data" if (HERE / "rollout_status_data").is_dir() else HERE
DEMO = DATA / "fixtures" / "deployment-crash-loop"


class RolloutError(Exception):
    """Ends the run without a verdict of the rules; `code` is one of rules/codes.yaml, `exit` overrides its exit code."""

    def __init__(self, code: str, message: str, *, hint: str = "", rule: str = "", exit: int | None = None) -> None:
        super().__init__(message)
        self.code, self.message, self.hint, self.rule, self.exit = code, message, hint, rule, exit


def nearest(word: str, words: Iterable[str]) -> str:
    """The end of an error's sentence: ", did you mean X?", or all that there is when nothing is close."""
    known = sorted(words)
    close = difflib.get_close_matches(word, known, 1, 0.6)
    return f"; did you mean {close[0]}?" if close else f"; there is {', '.join(known) or 'none'}"


# ---------------------------------------------------------------------------------------------------------- arguments

UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
DURATION = re.compile(r"([+-]?)((?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+)")
BOOLEANS = {word: value for value in (True, False) for word in (("1", "t", "true") if value else ("0", "f", "false"))}


def duration(text: str) -> float:
    """The seconds in a Go duration (`1m30s`, `500ms`), or in a plain number of seconds; ValueError otherwise."""
    if re.fullmatch(r"[+-]?\d{1,9}", text):
        return float(text)
    match = DURATION.fullmatch(text)
    if not match:
        raise ValueError(f"{text!r} is no duration: write 90s, 1m30s or 2h")
    parts = re.findall(r"([\d.]+)([a-zµμ]+)", match[2])
    return float(f"{match[1]}1") * sum(float(number) * UNITS[unit] for number, unit in parts)


def boolean(text: str) -> bool:
    """True or False, in the words of Go's flag package; ValueError otherwise."""
    if text.lower() not in BOOLEANS:
        raise ValueError(f"{text!r} is neither true nor false")
    return BOOLEANS[text.lower()]


def integer(text: str) -> int:
    """A whole number; ValueError otherwise."""
    if not re.fullmatch(r"[+-]?\d{1,9}", text):
        raise ValueError(f"{text!r} is no whole number: write 6, or -1 for no limit")
    return int(text)


def not_negative(text: str) -> float:
    """The seconds in a duration that may not be below zero; ValueError otherwise."""
    seconds = duration(text)
    if seconds < 0:
        raise ValueError(f"{text!r} is below zero")
    return seconds


def positive(text: str) -> float:
    """The seconds in a duration above zero; ValueError otherwise."""
    seconds = duration(text)
    if seconds <= 0:
        raise ValueError(f"{text!r} is not above zero")
    return seconds


def setting(text: str) -> tuple[str, str]:
    """Name and value of `--set NAME=VALUE`, the name with underscores; ValueError otherwise."""
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise ValueError(f"{text!r} is not NAME=VALUE")
    return name.replace("-", "_"), value


def named(text: str) -> tuple[str, str]:
    """Kind and name of `KIND/NAME`; ValueError otherwise."""
    kind, slash, name = text.partition("/")
    if not (kind and slash and name) or "/" in name:
        raise ValueError(f"{text!r} is not KIND/NAME: write for example deployment/web")
    return kind, name


def explained(convert: Callable[[str], Any]) -> Callable[[str], Any]:
    """`convert` for argparse, which passes the sentence of this error on and swallows that of a ValueError."""

    def converter(text: str) -> Any:
        try:
            return convert(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return converter


class Parser(argparse.ArgumentParser):
    """argparse, with Go's way of writing flags and with errors that are raised."""

    def error(self, message: str) -> NoReturn:
        raise RolloutError("usage", message, hint="rollout-status --help")

    def go_style(self, argv: Iterable[str]) -> Iterator[str]:
        """The arguments as argparse wants them: one dash or two, `-flag value`, `-flag=value`, a boolean only with `=`."""
        flags = {name.lstrip("-"): (name, action) for name, action in self._option_string_actions.items()}
        tokens = iter(argv)
        for token in tokens:
            name, equals, value = token.lstrip("-").partition("=")
            option, action = flags.get(name, ("", None)) if token.startswith("-") else ("", None)
            if action is None:
                yield token
            elif action.nargs == 0:
                if not equals or explained_boolean(option, value):
                    yield option
            elif (value := value if equals else next(tokens, None)) is None:
                self.error(f"{token} needs a value")
            else:
                yield f"{option}={value}"

    def parse(self, argv: Sequence[str]) -> argparse.Namespace:
        """The arguments by name; RolloutError `usage`, with the flag that may have been meant, when one is unknown."""
        options, unknown = self.parse_known_intermixed_args(list(self.go_style(argv)))
        if unknown:
            word = unknown[0].partition("=")[0]
            flags = [name for name in self._option_string_actions if name.startswith("--")]
            self.error(f"unknown flag {word}{nearest('--' + word.lstrip('-'), flags)}")
        return options


def explained_boolean(option: str, value: str) -> bool:
    """`boolean`, with the flag in its error."""
    try:
        return boolean(value)
    except ValueError as error:
        raise RolloutError("usage", f"argument {option}: {error}", hint="rollout-status --help") from None


def parser() -> Parser:
    """The command line."""
    arguments = Parser(
        prog="rollout-status",
        usage="rollout-status [KIND/NAME ...] [flags]\n       rollout-status demo",
        description="Waits until what was applied has rolled out, prints one JSON verdict and exits.",
        epilog="exit codes: 0 success, 1 failed, 2 wrong input, 3 time was up, 4 cluster or kubectl could not be asked, "
        "70 a bug, 130/143 interrupted. Every flag may be written with one dash or two, `-flag value` or `-flag=value`.",
        allow_abbrev=False,
    )
    add = arguments.add_argument
    add("names", nargs="*", type=explained(named), metavar="KIND/NAME", help="the workloads to judge")
    what = arguments.add_argument_group("what to judge")
    what.add_argument("-n", "-namespace", "--namespace", action="append", default=[], help="repeatable; default: the context's")
    what.add_argument("-l", "-selector", "--selector", default="", help="label selector of the workloads")
    what.add_argument("--kinds", "-kind-filter", "--kind-filter", action="append", default=[], help="comma-separated; default deployment,statefulset,daemonset,job")
    rules = arguments.add_argument_group("what counts as failure")
    rules.add_argument("-retry-limit", "--retry-limit", metavar="N", help="restarts tolerated; -1 = for ever (6)")
    rules.add_argument("-pending-deadline", "--pending-deadline", metavar="TIME", help="how long a pod may be unschedulable; -1 = for ever (180s)")
    rules.add_argument("-ignore-secret-not-found", "--ignore-secret-not-found", action="store_true", help="wait for a missing Secret")
    rules.add_argument("--set", action="append", default=[], type=explained(setting), metavar="NAME=VALUE", help="any parameter of the rules")
    when = arguments.add_argument_group("how long")
    when.add_argument("-interval", "--interval", default=5.0, type=explained(positive), metavar="TIME", help="longest time between polls (5s)")
    when.add_argument("--timeout", default=0.0, type=explained(not_negative), metavar="TIME", help="overall limit; 0 = none (0)")
    when.add_argument("--once", action="store_true", help="judge what is there now and do not wait")
    where = arguments.add_argument_group("where from")
    where.add_argument("--context", "-kubecontext", "--kubecontext", default="", help="passed on to kubectl")
    where.add_argument("-kubeconfig", "--kubeconfig", default="", help="passed on to kubectl")
    where.add_argument("--kubectl", default=os.environ.get("KUBECTL") or "kubectl", metavar="PATH", help="default: $KUBECTL, else kubectl")
    where.add_argument("--request-timeout", default=30.0, type=explained(positive), metavar="TIME", help="longest time for one kubectl call (30s)")
    where.add_argument("--replay", default="", metavar="PATH", help="a recording, or a file that `kubectl get ... -o json` printed")
    where.add_argument("--now", type=explained(timestamp), metavar="TIME", help="the moment at which such a file was taken")
    out = arguments.add_argument_group("output")
    out.add_argument("-o", "--output", default="json", choices=["json", "text"], help="what stdout gets (json)")
    out.add_argument("--quiet", action="store_true", help="no progress on stderr")
    out.add_argument("--version", action="version", version=f"rollout-status {__version__}")
    return arguments


# --------------------------------------------------------------------------------------------------------------- time

TIMESTAMP = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+)?(Z|[+-]\d\d:\d\d)")


@functools.lru_cache(4096)
def timestamp(text: str) -> float:
    """The seconds since 1970 of an RFC 3339 timestamp, as Kubernetes writes them; ValueError otherwise."""
    match = TIMESTAMP.fullmatch(text)
    if not match:
        raise ValueError(f"{text!r} is no timestamp: write 2026-11-23T06:45:38Z")
    moment = datetime.fromisoformat(match[1] + match[3].replace("Z", "+00:00"))
    return moment.timestamp() + float(match[2] or 0)


def written(moment: float) -> str:
    """The RFC 3339 timestamp, to the millisecond, of seconds since 1970."""
    return datetime.fromtimestamp(moment, timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


# -------------------------------------------------------------------------------------------------------- expressions


def truth(value: Json) -> bool:
    """What JMESPath takes for true: all but null, false and what is empty; 0 is true."""
    return value is not None and value is not False and value != "" and value != [] and value != {}


class Grammar(jmespath.parser.Parser):
    """JMESPath, where `!` binds the whole path that follows it: jmespath 1.1.0 reads `!a.b` as `(!a).b`, which is null."""

    BINDING_POWER = {**jmespath.parser.Parser.BINDING_POWER, "not": 8}
    _CACHE: dict[str, Any] = {}


class Functions(jmespath.functions.Functions):
    """JMESPath's functions and ours. All take null: what each then gives is in its docstring."""

    def __init__(self, now: float) -> None:
        self.now = now

    @jmespath.functions.signature({"types": ["string", "null"]})
    def _func_age(self, moment: str | None) -> float | None:
        """The seconds since a timestamp; null for null."""
        if moment is None:
            return None
        try:
            return round(self.now - timestamp(moment), 3)
        except ValueError as error:
            raise jmespath.exceptions.JMESPathError(str(error)) from None

    @jmespath.functions.signature({"types": ["number", "null"]}, {"types": ["number", "null"]})
    def _func_exceeds(self, value: float | None, limit: float | None) -> bool:
        """value > limit; false when either is null or the limit is negative, which stands for none."""
        return value is not None and limit is not None and limit >= 0 and value > limit

    @jmespath.functions.signature({"types": ["object", "null"]}, {"types": ["string"]})
    def _func_condition(self, owner: Json, name: str) -> Json:
        """The condition of that type in status.conditions; null when there is none."""
        conditions = field_of(field_of(owner, "status"), "conditions")
        known = [c for c in conditions if field_of(c, "type") == name] if isinstance(conditions, list) else []
        return known[0] if known else None

    @jmespath.functions.signature({"types": ["number", "null"]}, {"types": ["number", "null"]})
    def _func_subtract(self, left: float | None, right: float | None) -> float | None:
        """left - right; null when either is null."""
        return None if left is None or right is None else left - right

    @jmespath.functions.signature({"types": ["string", "null"]}, {"types": ["array-string"]})
    def _func_mentions(self, text: str | None, words: list[str]) -> bool:
        """Whether the text has one of the words in it, in any case; false for null."""
        return text is not None and any(word.lower() in text.lower() for word in words)

    @jmespath.functions.signature({"types": ["array", "string", "null"]}, {"types": []})
    def _func_contains(self, subject: Json, search: Json) -> bool:
        """Whether the array or the string has it; false for null."""
        return subject is not None and (not isinstance(subject, str) or isinstance(search, str)) and search in subject

    @jmespath.functions.signature({"types": ["string", "array", "object", "null"]})
    def _func_length(self, value: Json) -> int:
        """How many; 0 for null."""
        return 0 if value is None else len(value)

    @jmespath.functions.signature({"types": ["string", "null"]}, {"types": ["string"]})
    def _func_starts_with(self, text: str | None, start: str) -> bool:
        """Whether the text begins so; false for null."""
        return text is not None and text.startswith(start)

    @jmespath.functions.signature({"types": ["string", "null"]}, {"types": ["string"]})
    def _func_ends_with(self, text: str | None, end: str) -> bool:
        """Whether the text ends so; false for null."""
        return text is not None and text.endswith(end)


class Interpreter(jmespath.visitor.TreeInterpreter):
    """JMESPath, where ordering what cannot be ordered is an error: null would silently be no match."""

    def __init__(self, now: float) -> None:
        super().__init__(jmespath.visitor.Options(custom_functions=Functions(now)))

    def visit_comparator(self, node: Json, value: Json) -> Json:
        if node["value"] in self._EQUALITY_OPS:
            return super().visit_comparator(node, value)
        left, right = (self.visit(child, value) for child in node["children"])
        if not any(all(is_a(side) for side in (left, right)) for is_a in (is_number, is_string)):
            paths = " and ".join(f"{path_of(c)} = {json.dumps(v)}" for c, v in zip(node["children"], (left, right), strict=True))
            raise jmespath.exceptions.JMESPathError(f"{node['value']} needs two numbers or two strings, not {paths}")
        return self.COMPARATOR_FUNC[node["value"]](left, right)


def is_number(value: Json) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def is_string(value: Json) -> bool:
    return isinstance(value, str)


def field_of(owner: Json, name: str) -> Json:
    """The field of an object; null for what is no object or has no such field."""
    return owner.get(name) if isinstance(owner, dict) else None


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


@dataclass(frozen=True, slots=True, eq=False)
class Expression:
    """A JMESPath expression; `where` is file:line and rule, for its errors."""

    text: str
    where: str
    tree: Json

    @staticmethod
    def parse(text: str, where: str) -> Expression:
        """The expression; RolloutError `invalid-rules` when it has a typing error or an unknown function."""
        try:
            tree = Grammar().parse(text).parsed
        except jmespath.exceptions.JMESPathError as error:
            reason = " ".join(str(error).split())
            raise RolloutError("invalid-rules", f"{where}: {reason}") from None
        for node in nodes(tree):
            if node["type"] == "function_expression" and node["value"] not in Functions.FUNCTION_TABLE:
                raise RolloutError("invalid-rules", f"{where}: no function {node['value']}(){nearest(node['value'], Functions.FUNCTION_TABLE)}")
        return Expression(text, where, tree)

    def value(self, scope: Json, interpreter: Interpreter) -> Json:
        """What it gives for a scope; RolloutError `invalid-rules` when it cannot be evaluated."""
        try:
            return interpreter.visit(self.tree, scope)
        except jmespath.exceptions.JMESPathError as error:
            raise RolloutError("invalid-rules", f"{self.where}: {error} (in: {self.text})") from None


@dataclass(frozen=True, slots=True, eq=False)
class Template:
    """A text with `{expression}` in it; `{{` is a brace, null prints as nothing."""

    parts: tuple[str | Expression, ...]

    @staticmethod
    def parse(text: str, where: str) -> Template:
        parts: list[str | Expression] = []
        start = 0
        while (brace := text.find("{", start)) >= 0:
            parts.append(text[start:brace])
            if text.startswith("{{", brace):
                parts.append("{")
                start = brace + 2
            else:
                expression, start = Template.placeholder(text, brace, where)
                parts.append(expression)
        return Template((*parts, text[start:]))

    @staticmethod
    def placeholder(text: str, brace: int, where: str) -> tuple[Expression, int]:
        """The expression that begins after this brace, and where the text goes on: the first `}` that makes it whole."""
        problem = RolloutError("invalid-rules", f"{where}: {{ without }} in {text!r}; write {{{{ for a brace")
        end = brace
        while (end := text.find("}", end + 1)) >= 0:
            try:
                return Expression.parse(text[brace + 1 : end], where), end + 1
            except RolloutError as error:
                problem = error
        raise problem

    def fill(self, value: Callable[[Expression], Json]) -> str:
        return "".join(part if isinstance(part, str) else printed(value(part)) for part in self.parts)


def printed(value: Json) -> str:
    """A value as a message shows it: null as nothing, 10.0 as 10, what is no string as JSON."""
    if value is None or value is False:
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return value if isinstance(value, str) else json.dumps(value)


# -------------------------------------------------------------------------------------------------------------- rules

SCALARS: tuple[tuple[re.Pattern[str], Callable[[str], Any]], ...] = (
    (re.compile(r"true|false"), lambda text: text == "true"),
    (re.compile(r"null|~|"), lambda text: None),
    (re.compile(r"[-+]?(0|[1-9]\d{0,15})"), int),
    (re.compile(r"[-+]?\d+\.\d+"), float),
)
PLAIN_TAGS = {f"tag:yaml.org,2002:{name}" for name in "str int float bool null map seq timestamp merge value".split()}


@dataclass(frozen=True, slots=True)
class Document:
    """A YAML file's content, and the line of each of its fields by path: ("rules", 3, "when")."""

    path: Path
    content: Json
    lines: Mapping[tuple[str | int, ...], int]

    def where(self, *path: str | int) -> str:
        """`file:line` of the field at this path, or of the nearest field around it."""
        while path and path not in self.lines:
            path = path[:-1]
        return f"{self.path}:{self.lines.get(path, 1)}"


def read_yaml(path: Path, code: str) -> Document:
    """A YAML file read strictly: no duplicate keys, no tags, no aliases, and only true, false, null and numbers
    are not strings. RolloutError with this code, naming file and line, when it is wrong or cannot be read."""
    lines: dict[tuple[str | int, ...], int] = {}

    def refuse(node: yaml.Node, problem: str) -> NoReturn:
        raise RolloutError(code, f"{path}:{node.start_mark.line + 1}: {problem}")

    def convert(node: yaml.Node, at: tuple[str | int, ...]) -> Json:
        lines.setdefault(at, node.start_mark.line + 1)
        if node.tag not in PLAIN_TAGS:
            refuse(node, f"tag {node.tag} is not allowed; put an expression that begins with ! in quotes")
        if isinstance(node, yaml.SequenceNode):
            return [convert(child, (*at, index)) for index, child in enumerate(node.value)]
        if isinstance(node, yaml.MappingNode):
            return mapping(node, at)
        plain = not node.style
        return next((to(node.value) for pattern, to in SCALARS if plain and pattern.fullmatch(node.value)), node.value)

    def mapping(node: yaml.MappingNode, at: tuple[str | int, ...]) -> Json:
        content: dict[str, Json] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                refuse(key, "a key must be a word")
            if key.value in content:
                refuse(key, f"{key.value} stands twice, first in line {lines[(*at, key.value)]}")
            lines[(*at, key.value)] = key.start_mark.line + 1
            content[key.value] = convert(value, (*at, key.value))
        return content

    try:
        text = path.read_text(encoding="utf-8")
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, loader)):
            raise RolloutError(code, f"{path}: aliases (*name) are not allowed; write it out")
        node = yaml.compose(text, loader)
    except (OSError, UnicodeDecodeError) as error:
        raise RolloutError(code, f"{path}: cannot be read: {error}") from None
    except yaml.YAMLError as error:
        raise RolloutError(code, f"{path}: is no YAML: {' '.join(str(error).split())}") from None
    return Document(path, convert(node, ()) if node else None, lines)


@dataclass(frozen=True, slots=True)
class Code:
    """A code of a result; `rank` orders causes before symptoms."""

    name: str
    rank: int
    type: str
    exit: int


@dataclass(frozen=True, slots=True)
class Parameter:
    """A number or a word that rules read as `params.name`; durations are seconds."""

    name: str
    type: str
    default: Json
    choices: tuple[str, ...]

    def convert(self, text: str) -> Json:
        """The value that a text stands for; ValueError when it is none of the parameter's type."""
        if self.choices and text not in self.choices:
            raise ValueError(f"{text!r} is none of {', '.join(self.choices)}")
        return {"duration": duration, "integer": integer, "boolean": boolean, "string": str}[self.type](text)


@dataclass(frozen=True, slots=True, eq=False)
class Current:
    """How the children of the current revision are found: child's and parent's value at these paths are equal."""

    child: str
    compare: tuple[Expression, Expression]
    without: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """A list inside an object whose members are subjects: the specs, the statuses with the same name, fields to add."""

    spec: Expression
    status: Expression
    add: Mapping[str, Expression]


@dataclass(frozen=True, slots=True, eq=False)
class Kind:
    """A kind of subject. `name` is its root in expressions; what has a `resource` can be asked for, the rest are parts."""

    name: str
    resource: str = ""
    short: tuple[str, ...] = ()
    watched: bool = False
    waits: bool = True
    finishes: bool = False
    owns: tuple[str, ...] = ()
    current: tuple[Current, ...] = ()
    progress: tuple[Expression, ...] = ()
    zero: tuple[tuple[str, ...], ...] = ()
    part_of: str = ""
    parts: tuple[Part, ...] = ()
    previous_log: Expression | None = None

    @property
    def group(self) -> str:
        return self.resource.partition(".")[2]

    @property
    def plural(self) -> str:
        return self.resource.partition(".")[0]

    def is_called(self, word: str) -> bool:
        """Whether KIND/NAME or --kinds means it: deployment, Deployments, deploy, deployment.apps, deployment.v1.apps."""
        name, _, group = word.lower().partition(".")
        version, _, rest = group.partition(".")
        known = name in (self.name, self.plural, *self.short)
        return known and (not group or group == self.group or (rest == self.group and version.startswith("v")))


@dataclass(frozen=True, slots=True, eq=False)
class Rule:
    """One statement about one kind of subject; the fields are those of the rule file."""

    id: str
    subjects: tuple[str, ...]
    where: str
    when: Expression
    unless: Expression | None
    verdict: str
    fail_when: Expression | None
    fail_after: Expression | float | None
    since: Expression | None
    lets: Mapping[str, Expression]
    code: Template | None
    message: Template
    hint: Template | None
    logs: bool


@dataclass(frozen=True, slots=True)
class Rules:
    """All that the rule files say."""

    kinds: Mapping[str, Kind]
    rules: Mapping[str, tuple[Rule, ...]]  # by subject
    parameters: Mapping[str, Parameter]
    codes: Mapping[str, Code]

    def kind_called(self, word: str) -> Kind:
        """The kind that a word of the command line means; RolloutError `usage` with the nearest name otherwise."""
        found = [kind for kind in self.kinds.values() if kind.resource and kind.is_called(word)]
        if not found:
            known = [name for kind in self.kinds.values() if kind.resource for name in (kind.name, *kind.short)]
            raise RolloutError("usage", f"no rule file declares the kind {word}{nearest(word, known)}")
        return found[0]

    def kind_of(self, resource: Json) -> Kind | None:
        """The declared kind of an object, told by API group and kind; None when no file declares it."""
        group = str(field_of(resource, "apiVersion") or "").rpartition("/")[0]
        kind = self.kinds.get(str(field_of(resource, "kind")).lower())
        return kind if kind and kind.resource and kind.group == group else None

    def values(self, settings: Iterable[tuple[str, str]]) -> dict[str, Json]:
        """The value of each parameter; RolloutError `usage` for an unknown name or a value of another type."""
        values = {name: parameter.default for name, parameter in self.parameters.items()}
        for name, text in settings:
            if name not in values:
                raise RolloutError("usage", f"no rule has a parameter {name}{nearest(name, values)}")
            try:
                values[name] = self.parameters[name].convert(text)
            except ValueError as error:
                raise RolloutError("usage", f"{name}: {error}") from None
        return values


FILE_KEYS = ("version", "kinds", "params", "let", "rules", "codes")
KIND_KEYS = "name resource short watched waits finishes owns current progress zero part_of parts previous_log".split()
RULE_KEYS = "id subject when unless verdict fail_when fail_after since let code message hint logs docs".split()
VERDICTS = ("fail", "wait", "hold", "ignore", "note")


def load_rules(folder: Path) -> Rules:
    """The rules of all files in a folder; RolloutError `invalid-rules`, naming file and line, when one is wrong."""
    files = sorted(folder.glob("*.yaml"))
    if not files:
        raise RolloutError("invalid-rules", f"{folder} has no rule files: rules/ and schema.json belong beside {Path(__file__).name}")
    documents = [read_yaml(path, "invalid-rules") for path in files]
    kinds: dict[str, Kind] = {}
    parameters: dict[str, Parameter] = {}
    codes: dict[str, Code] = {}
    for document in documents:
        check_keys(document, (), FILE_KEYS)
        for name in section(document, "codes", list):
            codes[name["code"]] = Code(name["code"], len(codes), name["type"], name["exit"])
        for index, _ in enumerate(section(document, "kinds", list)):
            unique(kinds, load_kind(document, index), document.where("kinds", index))
        for name in section(document, "params", dict):
            unique(parameters, load_parameter(document, name), document.where("params", name))
    by_id: dict[str, Rule] = {}
    for document in documents:
        for index, _ in enumerate(section(document, "rules", list)):
            rule = load_rule(document, index, kinds, codes)
            if rule.id in by_id:
                raise RolloutError("invalid-rules", f"{rule.where}: this id stands twice, first in {by_id[rule.id].where}")
            by_id[rule.id] = rule
    check_parameters(by_id.values(), parameters)
    by_subject = {name: tuple(rule for rule in by_id.values() if name in rule.subjects) for name in kinds}
    return Rules(kinds, by_subject, parameters, codes)


def unique(known: dict[str, Any], entry: Any, where: str) -> None:
    """Adds a kind or a parameter; RolloutError when its name is taken."""
    if entry.name in known:
        raise RolloutError("invalid-rules", f"{where}: {entry.name} is declared twice")
    known[entry.name] = entry


def section(document: Document, name: str, kind: type) -> Any:
    """A top-level part of a rule file, empty when it is not there."""
    content = document.content.get(name)
    if not isinstance(content, (kind, type(None))):
        raise RolloutError("invalid-rules", f"{document.where(name)}: {name} must be a {'list' if kind is list else 'mapping'}")
    return content or kind()


def check_keys(document: Document, path: tuple[str | int, ...], known: Collection[str]) -> dict[str, Json]:
    """The mapping at this path; RolloutError when it is none, or has a key that is not known."""
    entry = document.content
    for step in path:
        entry = entry[step]
    if not isinstance(entry, dict):
        raise RolloutError("invalid-rules", f"{document.where(*path)}: this must be a mapping with {', '.join(known)}")
    for key in entry:
        if key not in known:
            raise RolloutError("invalid-rules", f"{document.where(*path, key)}: unknown key {key}{nearest(key, known)}")
    return entry


def load_parameter(document: Document, name: str) -> Parameter:
    entry = check_keys(document, ("params", name), ("type", "default", "doc", "choices"))
    where = document.where("params", name)
    parameter = Parameter(name, entry.get("type", "string"), None, tuple(entry.get("choices", ())))
    try:
        default = entry["default"]
        return replace(parameter, default=parameter.convert(str(default).lower() if isinstance(default, bool) else str(default)))
    except KeyError as error:
        raise RolloutError("invalid-rules", f"{where}: parameter {name}: {error} is missing or none of duration, integer, boolean, string") from None
    except ValueError as error:
        raise RolloutError("invalid-rules", f"{where}: parameter {name}: {error}") from None


def load_kind(document: Document, index: int) -> Kind:
    entry = check_keys(document, ("kinds", index), KIND_KEYS)
    where = f"{document.where('kinds', index)}: kind {entry.get('name')}"

    def expression(text: Json) -> Expression:
        return Expression.parse(str(text), where)

    def current(rule: Json) -> Current:
        child, parent = rule["compare"]
        return Current(rule["child"], (expression(child), expression(parent)), steps(rule.get("except", "")))

    def part(entry: Json) -> Part:
        return Part(expression(entry["spec"]), expression(entry["status"]), {name: expression(text) for name, text in entry["add"].items()})

    try:
        return Kind(
            name=entry["name"],
            resource=entry.get("resource", ""),
            short=tuple(entry.get("short", ())),
            watched=entry.get("watched", False),
            waits=entry.get("waits", True),
            finishes=entry.get("finishes", False),
            owns=tuple(entry.get("owns", ())),
            current=tuple(map(current, entry.get("current", ()))),
            progress=tuple(map(expression, entry.get("progress", ()))),
            zero=tuple(map(steps, entry.get("zero", ()))),
            part_of=entry.get("part_of", ""),
            parts=tuple(map(part, entry.get("parts", ()))),
            previous_log=expression(entry["previous_log"]) if "previous_log" in entry else None,
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise RolloutError("invalid-rules", f"{where}: {type(error).__name__}: {error}") from None


def steps(path: str) -> tuple[str, ...]:
    """The keys of a path like metadata.labels."pod-template-hash"."""
    return tuple(quoted or word for quoted, word in re.findall(r'"([^"]*)"|([^."]+)', path))


def load_rule(document: Document, index: int, kinds: Collection[str], codes: Collection[str]) -> Rule:
    """One rule; RolloutError `invalid-rules` with file, line, id and what to write instead when it is wrong."""
    at = ("rules", index)
    entry = check_keys(document, at, RULE_KEYS)
    name = entry.get("id")

    def where(key: str = "id") -> str:
        return f"{document.where(*at, key)}: {name}"

    def refuse(key: str, problem: str) -> NoReturn:
        raise RolloutError("invalid-rules", f"{where(key)}: {problem}")

    def expression(key: str) -> Expression | None:
        return Expression.parse(str(entry[key]), f"{where(key)}: {key}") if key in entry else None

    def template(key: str) -> Template | None:
        return Template.parse(str(entry[key]), f"{where(key)}: {key}") if key in entry else None

    subjects = entry.get("subject", [])
    subjects = tuple(subjects) if isinstance(subjects, list) else (subjects,)
    for key in ("id", "subject", "when"):
        if key not in entry:
            refuse(key, f"{key} is missing")
    for subject in subjects:
        if subject not in kinds:
            refuse("subject", f"no kind {subject}{nearest(str(subject), kinds)}")
    kind_of_verdict = [key for key in ("verdict", "fail_when", "fail_after") if key in entry]
    if len(kind_of_verdict) != 1:
        refuse("verdict", "write one of verdict, fail_when and fail_after")
    if entry.get("verdict", "wait") not in VERDICTS:
        refuse("verdict", f"no verdict {entry['verdict']}{nearest(str(entry['verdict']), VERDICTS)}")
    if "verdict" not in entry or entry["verdict"] == "fail":
        check_code(entry.get("code"), codes, lambda problem: refuse("code", problem))
    when = expression("when")
    assert when  # is among the keys that must be there
    return Rule(
        id=str(name),
        subjects=subjects,
        where=where(),
        when=when,
        unless=expression("unless"),
        verdict=entry.get("verdict", "wait"),
        fail_when=expression("fail_when"),
        fail_after=load_limit(entry.get("fail_after"), f"{where('fail_after')}: fail_after"),
        since=expression("since"),
        lets=load_lets(document, at),
        code=template("code"),
        message=template("message") or Template((str(name),)),
        hint=template("hint"),
        logs=entry.get("logs", False) is True,
    )


def check_code(code: Json, codes: Collection[str], refuse: Callable[[str], NoReturn]) -> None:
    """Refuses a code that is missing or unknown; one that is computed is checked when it is used."""
    if code is None:
        refuse("code is missing: a rule that can fail needs one")
    if "{" not in code and code not in codes:
        refuse(f"no code {code}{nearest(code, codes)}")


def load_limit(limit: Json, where: str) -> Expression | float | None:
    """The seconds of `fail_after`, the parameter that has them, or None when there is no such field."""
    if limit is None or str(limit).startswith("params."):
        return None if limit is None else Expression.parse(str(limit), where)
    try:
        return duration(str(limit))
    except ValueError as error:
        raise RolloutError("invalid-rules", f"{where}: {error}, or params.NAME") from None


def load_lets(document: Document, at: tuple[str | int, ...]) -> dict[str, Expression]:
    """The named expressions that a rule can use: those at the top of its file and its own."""
    rule = document.content["rules"][at[1]]
    lets: dict[str, Expression] = {}
    for path, entries in ((("let",), document.content.get("let")), ((*at, "let"), rule.get("let"))):
        for name, text in (entries or {}).items():
            lets[name] = Expression.parse(str(text), f"{document.where(*path, name)}: {rule.get('id')}: let {name}")
    return lets


def expressions(rule: Rule) -> Iterator[Expression]:
    """All expressions of a rule."""
    for entry in (rule.when, rule.unless, rule.fail_when, rule.fail_after, rule.since, *rule.lets.values()):
        if isinstance(entry, Expression):
            yield entry
    for template in (rule.code, rule.message, rule.hint):
        yield from (part for part in (template.parts if template else ()) if isinstance(part, Expression))


def check_parameters(rules: Iterable[Rule], parameters: Collection[str]) -> None:
    """RolloutError `invalid-rules` for `params.x` where no file declares x: it would be null, and never match."""
    for expression in (expression for rule in rules for expression in expressions(rule)):
        for node in nodes(expression.tree):
            first, second = (*node["children"], None, None)[:2] if node["type"] == "subexpression" else (None, None)
            if first and first.get("value") == "params" and second and second.get("value") not in parameters:
                name = second.get("value")
                raise RolloutError("invalid-rules", f"{expression.where}: no parameter {name}{nearest(str(name), parameters)}")


# ----------------------------------------------------------------------------------------------------------- snapshot


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """What was seen of the cluster at one moment."""

    at: float  # seconds since 1970
    objects: tuple[Json, ...]  # as `kubectl get -o json` shows them
    selected: frozenset[str] | None  # identities of those that the selector chose; None: it is not known, so all
    events: Callable[[str], list[Json] | None]  # those of a namespace; None: they could not be read


def identity(resource: Json) -> str:
    """What tells one object from another, also from one of the same name that was there before it."""
    metadata = field_of(resource, "metadata")
    return str(field_of(metadata, "uid") or "/".join((str(field_of(resource, "kind")), namespace_of(resource), name_of(resource))))


def namespace_of(resource: Json) -> str:
    return str(field_of(field_of(resource, "metadata"), "namespace") or "default")


def name_of(resource: Json) -> str:
    return str(field_of(field_of(resource, "metadata"), "name") or "")


def created(resource: Json) -> str:
    return str(field_of(field_of(resource, "metadata"), "creationTimestamp") or "")


def controller_of(resource: Json) -> Json:
    """The owner reference of the object that controls this one; null when none does."""
    references = field_of(field_of(resource, "metadata"), "ownerReferences")
    known = references if isinstance(references, list) else []
    return next((reference for reference in known if field_of(reference, "controller") is True), None)


def with_zeros(resource: Json, paths: Iterable[tuple[str, ...]]) -> Json:
    """The object with 0 at each path whose parent is there: Kubernetes leaves counters that are zero out of its JSON."""
    for path in paths:
        resource = with_zero(resource, path)
    return resource


def with_zero(resource: Json, path: tuple[str, ...]) -> Json:
    if not isinstance(resource, dict):
        return resource
    first, *rest = path
    if not rest:
        return resource if first in resource else {**resource, first: 0}
    return {**resource, first: with_zero(resource[first], tuple(rest))} if first in resource else resource


def without(value: Json, path: tuple[str, ...]) -> Json:
    """The value without the field at this path, and without anything that is empty: to the API these are the same."""
    if isinstance(value, dict):
        rest = {key: without(entry, path[1:] if path[:1] == (key,) else ()) for key, entry in value.items() if path != (key,)}
        return {key: entry for key, entry in rest.items() if entry not in (None, {}, [])}
    return [without(entry, ()) for entry in value] if isinstance(value, list) else value


# --------------------------------------------------------------------------------------------------- tree of subjects


@dataclass(frozen=True, slots=True, eq=False)
class Subject:
    """What rules speak about: an object of a declared kind, or a part of one, with all that it owns."""

    kind: Kind
    value: Json
    key: str  # tells it from all other subjects, in this snapshot and the next
    lineage: tuple[tuple[str, Json], ...]  # name of the kind and value, from the workload down to itself
    owned: tuple[Json, ...]  # directly, of the current revision
    old: tuple[Json, ...]  # all that is below it and of other revisions
    children: tuple[Subject, ...]

    @property
    def workload(self) -> Json:
        return self.lineage[0][1]

    @property
    def holder(self) -> Json:
        """The object itself, or the one that it is a part of."""
        return self.lineage[-2][1] if self.kind.part_of else self.value


class Tree:
    """Builds the subjects of a snapshot: each workload with what it owns in its current revision."""

    def __init__(self, rules: Rules, snapshot: Snapshot) -> None:
        self.kinds = rules.kinds
        self.interpreter = Interpreter(snapshot.at)
        self.owned: dict[str, list[tuple[Kind, Json]]] = {}
        for resource in sorted(snapshot.objects, key=lambda resource: (created(resource), name_of(resource))):
            kind, controller = rules.kind_of(resource), controller_of(resource)
            if kind and controller:
                self.owned.setdefault(str(field_of(controller, "uid")), []).append((kind, resource))

    def grow(self, kind: Kind, resource: Json, above: tuple[tuple[str, Json], ...] = ()) -> Subject:
        """The subject with all below it; `above` is the lineage of its owner."""
        value = with_zeros(resource, kind.zero)
        lineage = (*above, (kind.name, value))
        current, others = self.revisions(kind, value)
        children = [self.grow(child, entry, lineage) for child, entry in current if not is_among(entry, lineage)]
        old = [entry for other in others for entry in self.all_below(other)]
        owned = tuple(child.value for child in children)
        return Subject(kind, value, identity(value), lineage, owned, tuple(old), (*self.parts(kind, value, lineage), *children))

    def revisions(self, kind: Kind, value: Json) -> tuple[list[tuple[Kind, Json]], list[Json]]:
        """What the object owns directly: that of its current revision, with the kinds, and that of others."""
        children = [(child, entry) for child, entry in self.owned.get(identity(value), ()) if child.name in kind.owns]
        for rule in kind.current:
            child_path, parent_path = rule.compare
            wanted = without(parent_path.value(value, self.interpreter), rule.without)
            if wanted not in (None, {}):
                of_kind = [(child, entry) for child, entry in children if child.name == rule.child]
                same = [pair for pair in of_kind if without(child_path.value(pair[1], self.interpreter), rule.without) == wanted]
                current = same[:1] if self.kinds[rule.child].owns else same  # of controllers the oldest, as the API server's
                return current, [entry for _, entry in children if not any(entry is chosen for _, chosen in current)]
        return ([], [entry for _, entry in children]) if kind.current else (children, [])

    def all_below(self, value: Json) -> Iterator[Json]:
        """The object and all that is below it, of any revision."""
        yield value
        for _, entry in self.owned.get(identity(value), ()):
            yield from self.all_below(entry)

    def parts(self, kind: Kind, value: Json, lineage: tuple[tuple[str, Json], ...]) -> Iterator[Subject]:
        """The parts of an object: their specs with their statuses beside them; the spec's fields win."""
        for part_kind in (entry for entry in self.kinds.values() if entry.part_of == kind.name):
            for part in part_kind.parts:
                statuses = part.status.value(value, self.interpreter)
                by_name = {field_of(status, "name"): status for status in statuses or () if isinstance(status, dict)}
                for spec in part.spec.value(value, self.interpreter) or ():
                    added = {name: expression.value(spec, self.interpreter) for name, expression in part.add.items()}
                    whole = {**by_name.get(field_of(spec, "name"), {}), **spec, **added}
                    key = f"{identity(value)}/{whole.get('name')}"
                    yield Subject(part_kind, whole, key, (*lineage, (part_kind.name, whole)), (), (), ())


def is_among(resource: Json, lineage: Iterable[tuple[str, Json]]) -> bool:
    """Whether an object is its own owner, which objects written by hand can be."""
    return identity(resource) in {identity(value) for _, value in lineage}


# ----------------------------------------------------------------------------------------------------------- findings


class Scope:
    """What an expression of a rule sees of a subject: the names at its root."""

    __slots__ = ("events_of", "interpreter", "lets", "present", "roots", "used_events")

    def __init__(self, roots: Mapping[str, Json], rule: Rule, interpreter: Interpreter, events_of: Callable[[], Json]) -> None:
        self.roots, self.lets, self.interpreter, self.events_of = roots, dict(rule.lets), interpreter, events_of
        self.present = False  # whether the rule's state has been found present, and events may be asked for
        self.used_events: Json = None

    def get(self, name: str) -> Json:
        """The value of a root, as JMESPath asks for it; RolloutError `invalid-rules` when there is no such root."""
        if name in self.lets:
            expression = self.lets.pop(name)  # so that one which names itself means the root behind it
            value = self.value(expression)
            self.lets[name] = Expression(expression.text, expression.where, {"type": "literal", "value": value, "children": []})
            return value
        if name == "events":
            return self.events()
        if name not in self.roots:
            raise jmespath.exceptions.JMESPathError(f"no root {name}{nearest(name, [*self.roots, *self.lets, 'events'])}")
        return self.roots[name]

    def events(self) -> Json:
        if not self.present:
            raise jmespath.exceptions.JMESPathError("events cannot be used in `when`: it decides whether they are fetched")
        self.used_events = self.events_of()
        return self.used_events

    def value(self, expression: Expression) -> Json:
        return expression.value(self, self.interpreter)

    def holds(self, expression: Expression | None) -> bool:
        """Whether the expression is there and true."""
        return expression is not None and truth(self.value(expression))


@dataclass(frozen=True, slots=True, eq=False)
class Finding:
    """A rule that holds for a subject. `verdict` is fail, wait, hold, ignore or note."""

    rule: Rule
    subject: Subject
    verdict: str
    scope: Scope
    in_state: float  # seconds

    @property
    def message(self) -> str:
        return self.rule.message.fill(self.scope.value)

    @property
    def hint(self) -> str:
        return self.rule.hint.fill(self.scope.value) if self.rule.hint else ""

    def code(self, codes: Mapping[str, Code]) -> Code | None:
        """The rule's code, None when it has none; RolloutError `invalid-rules` when a computed one is unknown."""
        name = self.rule.code.fill(self.scope.value) if self.rule.code else ""
        if name and name not in codes:
            raise RolloutError("invalid-rules", f"{self.rule.where}: no code {name}{nearest(name, codes)}")
        return codes[name] if name else None

    def order(self, codes: Mapping[str, Code]) -> tuple[Json, ...]:
        """Causes before symptoms, then from the containers up to the workload, init containers first."""
        code = self.code(codes)
        depth = len(self.subject.lineage)
        return (code.rank if code else len(codes), -depth if depth > 1 else 0, not field_of(self.subject.value, "init"))

    def group(self) -> tuple[Json, ...]:
        """What makes findings one entry of a result: rule, workload and the part's name."""
        return (self.rule.id, identity(self.subject.workload), self.subject.kind.part_of and name_in(self.subject.value))


def name_in(part: Json) -> str:
    return str(field_of(part, "name"))


@dataclass(frozen=True, slots=True, eq=False)
class Workload:
    """A workload as judged: `status` is ready, waiting, failed or ignored; its findings are in order."""

    kind: Kind
    value: Json
    status: str
    findings: tuple[Finding, ...]

    @property
    def named(self) -> tuple[str, str, str]:
        return (self.kind.name, namespace_of(self.value), name_of(self.value))


@dataclass(frozen=True, slots=True)
class Judgement:
    """What is known at one moment."""

    at: float
    workloads: tuple[Workload, ...]
    failures: tuple[tuple[Finding, ...], ...]  # those that are one entry of the result together, in order
    missing: tuple[str, ...]  # a sentence for each thing that should be there and is not
    notes: tuple[str, ...]

    @property
    def decided(self) -> bool:
        return bool(self.failures or self.missing) or all(workload.status != "waiting" for workload in self.workloads)


@dataclass(frozen=True, slots=True)
class Selection:
    """Which workloads are judged; no namespace stands for the context's, no names for all of the kinds."""

    kinds: tuple[Kind, ...]
    names: tuple[tuple[Kind, str], ...]
    namespaces: tuple[str, ...]
    selector: str
    by_default: bool  # nobody asked for these kinds

    def wants(self, kind: Kind | None, resource: Json, owner: Kind | None) -> bool:
        """Whether an object is a workload to judge: what a declared kind owns is none, unless it is named."""
        if self.names:
            return any(kind is wanted and name_of(resource) == name for wanted, name in self.names)
        return kind in self.kinds and owner is None

    def sentence(self, namespace: str) -> str:
        """What to say when nothing was found."""
        *most, last = [kind.plural for kind in self.kinds]
        kinds = f"{', '.join(most)} or {last}" if most else last
        where = " or ".join(f'"{name}"' for name in self.namespaces) or f'"{namespace}"'
        if self.selector:
            return f'Selector "{self.selector}" did not match any {kinds} in namespace {where}'
        return f"There are no {kinds} in namespace {where}"


class Judge:
    """Judges snapshots in the order of their time. It remembers since when each state has held without a break.

    The time in which polls fail does not count: neither could the cluster move, nor could it be seen.
    """

    def __init__(self, rules: Rules, selection: Selection, params: Mapping[str, Json]) -> None:
        self.rules, self.selection, self.params = rules, selection, params
        self.started: float | None = None
        self.states: dict[tuple[str, str], float] = {}  # rule and subject -> the lived second at which it was first seen
        self.progress: dict[str, tuple[Json, float, float]] = {}  # workload -> values, lived second and moment of their change
        self.seen: dict[tuple[str, str, str], Workload] = {}
        self.failing_since: float | None = None
        self.failures: dict[str, int] = {}  # resource -> failed calls in a row
        self.outage = 0.0

    def judge(self, snapshot: Snapshot) -> Judgement:
        """The judgement of a snapshot that is not older than the last one."""
        self.arrive(snapshot.at)
        if self.failing_since is not None:
            self.outage += snapshot.at - self.failing_since
            self.failing_since, self.failures = None, {}
        moment = Moment(self, snapshot, Interpreter(snapshot.at))
        tree = Tree(self.rules, snapshot)
        workloads = [moment.workload(tree.grow(kind, resource)) for kind, resource in self.roots(snapshot)]
        self.states = moment.states
        kept, missing = self.vanished({workload.named for workload in workloads})
        workloads = sorted([*workloads, *kept], key=lambda w: (self.selection.kinds.index(w.kind), created(w.value), name_of(w.value)))
        self.seen |= {workload.named: workload for workload in workloads}
        return Judgement(snapshot.at, tuple(workloads), self.failed(workloads), tuple(missing), tuple(dict.fromkeys(moment.notes)))

    def arrive(self, at: float) -> None:
        """Takes the time of a poll."""
        self.started = at if self.started is None else self.started

    def roots(self, snapshot: Snapshot) -> Iterator[tuple[Kind, Json]]:
        """The workloads to judge, each with its kind."""
        for resource in snapshot.objects:
            kind = self.rules.kind_of(resource)
            chosen = snapshot.selected is None or identity(resource) in snapshot.selected
            if kind and chosen and self.selection.wants(kind, resource, self.rules.kind_of(controller_of(resource))):
                yield kind, resource

    def vanished(self, present: Collection[tuple[str, str, str]]) -> tuple[list[Workload], list[str]]:
        """Of the workloads that were there and are gone: those whose end was seen, and a sentence for each other."""
        gone = [workload for named, workload in self.seen.items() if named not in present]
        kept = [workload for workload in gone if workload.kind.finishes and workload.status == "ready"]
        lost = [workload for workload in gone if workload not in kept]
        missing = [f'{field_of(w.value, "kind")} "{name_of(w.value)}" was deleted while it was watched' for w in lost]
        for kind, name in self.selection.names:
            if not any(named[0] == kind.name and named[2] == name for named in (*present, *self.seen)):
                missing.append(f'{kind.resource} "{name}" not found')
        return kept, missing

    def failed(self, workloads: Iterable[Workload]) -> tuple[tuple[Finding, ...], ...]:
        """The failures of all workloads: one entry for those of the same rule, workload and container, in order."""
        found = [finding for workload in workloads for finding in workload.findings if finding.verdict == "fail"]
        groups: dict[tuple[Json, ...], list[Finding]] = {}
        for finding in sorted(found, key=lambda finding: finding.order(self.rules.codes)):
            groups.setdefault(finding.group(), []).append(finding)
        return tuple(tuple(group) for group in groups.values())

    def lived(self, at: float) -> float:
        """The seconds until a moment, without those in which polls failed."""
        return at - self.outage

    def call_failed(self, call: Json, at: float, fresh: bool) -> Finding:
        """What rules/kubectl.yaml says of a failed call."""
        self.arrive(at)
        self.failing_since = at if self.failing_since is None else self.failing_since
        resource = str(field_of(call, "resource"))
        self.failures[resource] = self.failures.get(resource, 0) + fresh
        value = {"failures": self.failures[resource], **call}
        subject = Subject(self.rules.kinds["call"], value, "call", (("call", value),), (), (), ())
        snapshot = Snapshot(at, (), None, lambda namespace: None)
        moment = Moment(self, snapshot, Interpreter(at))
        moment.in_state_of = lambda key: at - (self.failing_since or at)
        found = list(moment.subject(subject))
        if not found:
            raise RolloutError("internal", f"no rule of kubectl.yaml takes this: {call}")
        return max(found, key=lambda finding: finding.verdict == "fail")


class Moment:
    """The judging of one snapshot."""

    def __init__(self, judge: Judge, snapshot: Snapshot, interpreter: Interpreter) -> None:
        self.judge, self.snapshot, self.interpreter = judge, snapshot, interpreter
        self.now = judge.lived(snapshot.at)
        self.states: dict[tuple[str, str], float] = {}
        self.notes: list[str] = []
        self.in_state_of: Callable[[tuple[str, str]], float] = self.in_state

    def workload(self, root: Subject) -> Workload:
        """A workload with all that holds for it and for what it owns."""
        self.note_progress(root)
        found = list(self.subject(root))
        self.notes += [finding.message for finding in found if finding.verdict == "note"]
        verdicts = {finding.verdict for finding in found}
        if any(finding.verdict == "ignore" and finding.subject is root for finding in found):
            return Workload(root.kind, root.value, "ignored", ())
        status = "failed" if "fail" in verdicts else "waiting" if verdicts & {"wait", "hold"} else "ready"
        telling = [finding for finding in found if finding.verdict in ("fail", "wait", "hold")]
        telling.sort(key=lambda finding: (finding.verdict != "fail", *finding.order(self.judge.rules.codes)))
        return Workload(root.kind, root.value, status, tuple(telling))

    def subject(self, subject: Subject) -> Iterator[Finding]:
        """The findings of a subject and of all below it. One that is ignored or held is judged no further."""
        rules = self.judge.rules.rules.get(subject.kind.name, ())
        roots = self.roots(subject)
        for verdict in ("ignore", "hold"):
            found = [finding for rule in rules if rule.verdict == verdict if (finding := self.apply(rule, subject, roots))]
            if found:
                yield from found
                return
        for rule in rules:
            if rule.verdict not in ("ignore", "hold") and (finding := self.apply(rule, subject, roots)):
                yield finding
        for child in subject.children:
            yield from self.subject(child)

    def roots(self, subject: Subject) -> dict[str, Json]:
        """The roots of expressions about a subject, without the time in its states."""
        changed = self.judge.progress.get(identity(subject.workload), (None, self.now, 0.0))[1]
        started = self.snapshot.at if self.judge.started is None else self.judge.started
        seconds = {"watched": round(self.snapshot.at - started, 3), "idle": round(self.now - changed, 3)}
        return {
            **dict.fromkeys((*self.judge.rules.kinds, "null")),  # JMESPath knows null only as a field that is not there
            **{rule.child: next(iter(subject.owned), None) for rule in subject.kind.current if self.judge.rules.kinds[rule.child].owns},
            **dict(subject.lineage),
            "workload": subject.workload,
            "self": subject.value,
            "owned": list(subject.owned),
            "old": list(subject.old),
            "params": self.judge.params,
            "time": {"now": written(self.snapshot.at), **seconds},
        }

    def apply(self, rule: Rule, subject: Subject, roots: dict[str, Json]) -> Finding | None:
        """The finding of a rule about a subject; None when its state is not present."""
        scope = Scope(roots, rule, self.interpreter, lambda: self.events(subject))
        if not scope.holds(rule.when):
            return None
        scope.present = True
        if scope.holds(rule.unless):
            return None
        in_state = self.in_state_of((rule.id, subject.key))
        scope.roots = {**roots, "time": {**roots["time"], "in_state": in_state}}
        failed = scope.holds(rule.fail_when) or self.is_over(rule, scope, in_state)
        return Finding(rule, subject, "fail" if failed else rule.verdict, scope, in_state)

    def in_state(self, key: tuple[str, str]) -> float:
        """For how many seconds a rule's state has held for a subject without a break; it holds now."""
        self.states[key] = self.judge.states.get(key, self.now)
        return round(self.now - self.states[key], 3)

    def is_over(self, rule: Rule, scope: Scope, in_state: float) -> bool:
        """Whether the time that `fail_after` gives is over; a negative one never is."""
        if rule.fail_after is None:
            return False
        limit = scope.value(rule.fail_after) if isinstance(rule.fail_after, Expression) else rule.fail_after
        since = scope.value(rule.since) if rule.since else None
        elapsed = in_state if since is None else self.interpreter._functions.call_function("age", [since])
        return bool(0 <= limit <= elapsed)

    def note_progress(self, root: Subject) -> None:
        """Remembers when the values that the kind calls its progress last changed."""
        values = [expression.value(root.value, self.interpreter) for expression in root.kind.progress]
        known = self.judge.progress.get(root.key)
        if known is None or known[0] != values:
            self.judge.progress[root.key] = (values, self.now, self.snapshot.at if known else 0.0)

    def events(self, subject: Subject) -> list[Json] | None:
        """The events about a subject since its workload's last progress, newest first; None when they cannot be read."""
        events = self.snapshot.events(namespace_of(subject.holder))
        if events is None:
            return None
        since = self.judge.progress.get(identity(subject.workload), (None, 0.0, 0.0))[2]
        about = [event_of(event) for event in events if is_about(event, subject)]
        known = [event for event in about if event["lastSeen"] and timestamp(event["lastSeen"]) >= since]
        return sorted(known, key=lambda event: timestamp(event["lastSeen"]), reverse=True)


def is_about(event: Json, subject: Subject) -> bool:
    """Whether an event is about the subject; a part's events name it in their field path."""
    about = field_of(event, "involvedObject")
    path = str(field_of(about, "fieldPath") or "")
    part = not subject.kind.part_of or path.endswith("{" + name_in(subject.value) + "}")
    return part and field_of(about, "uid") == field_of(field_of(subject.holder, "metadata"), "uid")


def event_of(event: Json) -> Json:
    """An event as rules see it: {type, reason, message, count, firstSeen, lastSeen}."""
    series = field_of(event, "series")
    first = field_of(event, "firstTimestamp") or field_of(event, "eventTime") or created(event)
    return {
        "type": field_of(event, "type"),
        "reason": field_of(event, "reason"),
        "message": field_of(event, "message"),
        "count": field_of(series, "count") or field_of(event, "count") or 1,
        "firstSeen": first,
        "lastSeen": field_of(series, "lastObservedTime") or field_of(event, "lastTimestamp") or first,
    }


# ------------------------------------------------------------------------------------------------------------- source


@dataclass(frozen=True, slots=True)
class Poll:
    """A snapshot, or the calls that failed instead: {verb, resource, namespace, exit, stderr, optional} each."""

    at: float
    snapshot: Snapshot | None
    calls: tuple[Json, ...] = ()
    fresh: bool = True  # False: the same once more, as time has passed


class Source(Protocol):
    """Where polls come from."""

    def polls(self) -> Iterator[Poll]:
        """The polls in the order of their time; it ends with a recording."""

    def drop(self, call: Json) -> bool:
        """Stops asking for what a failed call asked for; False when nothing would be left."""

    def log(self, namespace: str, pod: str, container: str, previous: bool) -> str:
        """The end of a container's log; RolloutError when it cannot be read."""

    def namespace(self) -> str:
        """The namespace that is meant when none is named."""

    @property
    def notes(self) -> list[str]:
        """What could not be read and did not matter enough to fail."""


def read_list(text: str, where: str) -> tuple[Json, ...]:
    """The objects in what `kubectl get -o json` printed, a List or one object; ValueError, naming `where`, otherwise."""
    try:
        content = json.loads(text)
    except ValueError as error:
        raise ValueError(f"{where} is no complete JSON ({error}); it begins with {text[:60]!r}") from None
    items = content["items"] if isinstance(content, dict) and isinstance(content.get("items"), list) else [content]
    for index, item in enumerate(items):
        if not (isinstance(field_of(item, "kind"), str) and isinstance(field_of(item, "metadata"), dict)):
            raise ValueError(f"{where} is not what `kubectl get ... -o json` prints: item {index} has no kind and metadata")
    return tuple(items)


# The times in an object that say when it was seen at the earliest; others (a deletion, a certificate's end) may lie ahead.
STATUS_TIMES = {"lastTransitionTime", "lastUpdateTime", "lastProbeTime", "startedAt", "finishedAt", "startTime", "completionTime"}
EVENT_TIMES = {"firstTimestamp", "lastTimestamp", "eventTime", "lastObservedTime"}


def times_in(value: Json, names: Collection[str]) -> Iterator[float]:
    """The timestamps under these names, at any depth."""
    for key, entry in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        if isinstance(entry, (dict, list)):
            yield from times_in(entry, names)
        elif key in names and isinstance(entry, str) and TIMESTAMP.fullmatch(entry):
            yield timestamp(entry)


def newest_time(objects: Iterable[Json]) -> float:
    """The newest creation, condition, container or event time in the objects; 0 when there is none."""
    times = [0.0]
    for resource in objects:
        times += times_in({"creationTimestamp": created(resource)}, {"creationTimestamp"})
        times += times_in(field_of(resource, "status"), STATUS_TIMES)
        times += times_in({key: value for key, value in resource.items() if key in EVENT_TIMES or key == "series"}, EVENT_TIMES)
    return max(times)


class Replay:
    """The polls of a recording, a folder or a file that `kubectl get ... -o json` printed. Its clock jumps."""

    STEP = 1.0  # seconds after which a snapshot that still stands is judged again

    def __init__(self, path: Path, now: float | None, selection: Selection) -> None:
        self.notes: list[str] = []
        self.selection = selection
        self.logs: Mapping[str, str] = {}
        self.recorded: list[Poll] = []
        if path.is_dir():
            if now is not None:
                raise RolloutError("usage", "--now goes with a single file; a recording has its own times")
            self.until = self.load(path)
        else:
            objects = self.objects(path)
            self.until = newest_time(objects) if now is None else now
            self.recorded.append(Poll(self.until, self.snapshot(self.until, objects)))

    def load(self, folder: Path) -> float:
        """Reads recording.yaml and its snapshots, and gives the moment at which the recording ends."""
        document = read_yaml(folder / "recording.yaml", "usage")
        entry = check_recording(document, (), ("polls", "until", "logs"))
        self.logs = entry.get("logs") or {}
        for index, _ in enumerate(entry["polls"]):
            poll = check_recording(document, ("polls", index), ("at", "objects", "error"))
            at = recorded_time(document, ("polls", index, "at"), poll.get("at"))
            if self.recorded and at < self.recorded[-1].at:
                raise RolloutError("usage", f"{document.where('polls', index)}: this poll is older than the one before it")
            if "error" in poll:
                call = check_recording(document, ("polls", index, "error"), ("verb", "resource", "namespace", "exit", "stderr", "optional", "failures"))
                self.recorded.append(Poll(at, None, ({"verb": "get", "resource": "objects", "namespace": None, "optional": False, **call},)))
            else:
                self.recorded.append(Poll(at, self.snapshot(at, self.objects(folder / str(poll.get("objects"))))))
        last = self.recorded[-1].at
        return max(last, recorded_time(document, ("until",), entry["until"]) if "until" in entry else last)

    def objects(self, path: Path) -> tuple[Json, ...]:
        """The objects of the namespaces that were asked for, in a file."""
        try:
            objects = read_list(path.read_text(encoding="utf-8"), str(path))
        except (OSError, ValueError) as error:
            raise RolloutError("usage", str(error), hint="kubectl get deployments,replicasets,pods,events -o json > 001.json") from None
        wanted = self.selection.namespaces
        return tuple(entry for entry in objects if not wanted or namespace_of(entry) in wanted)

    def snapshot(self, at: float, objects: tuple[Json, ...]) -> Snapshot:
        events = [entry for entry in objects if field_of(entry, "kind") == "Event"]
        return Snapshot(at, objects, None, lambda namespace: [event for event in events if namespace_of(event) == namespace])

    def polls(self) -> Iterator[Poll]:
        ends = [*(poll.at for poll in self.recorded[1:]), self.until]
        for poll, end in zip(self.recorded, ends, strict=True):
            yield poll
            for at in self.moments(poll.at, end, poll is self.recorded[-1]):
                yield replace(poll, at=at, fresh=False, snapshot=poll.snapshot and replace(poll.snapshot, at=at))

    def moments(self, start: float, end: float, last: bool) -> Iterator[float]:
        """Each second after the start and before the end; the end itself only for the last poll."""
        count = 1
        while (at := start + count * self.STEP) < end:
            yield at
            count += 1
        if last and end > start:
            yield end

    def drop(self, call: Json) -> bool:
        return True

    def log(self, namespace: str, pod: str, container: str, previous: bool) -> str:
        name = f"{pod}/{container}{'/previous' if previous else ''}"
        if name not in self.logs:
            raise RolloutError("usage", f"the recording has no log of {name}")
        return self.logs[name]

    def namespace(self) -> str:
        return next(iter(self.selection.namespaces), "default")


def check_recording(document: Document, path: tuple[str | int, ...], known: Collection[str]) -> dict[str, Json]:
    """The mapping at this path of a recording.yaml; RolloutError `usage` when it is none or has an unknown key."""
    try:
        entry = check_keys(document, path, known)
    except RolloutError as error:
        raise RolloutError("usage", error.message) from None
    if not path and not (isinstance(entry.get("polls"), list) and entry["polls"]):
        raise RolloutError("usage", f"{document.path}: polls must be a list with at least one poll: - {{at: TIME, objects: 001.json}}")
    return entry


def recorded_time(document: Document, path: tuple[str | int, ...], text: Json) -> float:
    try:
        return timestamp(str(text))
    except ValueError as error:
        raise RolloutError("usage", f"{document.where(*path)}: {error}") from None


@dataclass(frozen=True, slots=True)
class Answer:
    """What a kubectl call gave: its exit code, below zero for a signal, and what it printed."""

    exit: int
    stdout: str
    stderr: str


class Interrupted(Exception):
    """A signal that ends the run."""

    def __init__(self, signum: int) -> None:
        super().__init__(signal.Signals(signum).name)
        self.signum = signum


class Interrupts:
    """Turns SIGINT and SIGTERM into `Interrupted`, but not while a process is being started, which would be lost."""

    def __init__(self) -> None:
        self.held = False
        self.pending = 0

    def listen(self) -> None:
        for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(signum, self.arrived)

    def arrived(self, signum: int, frame: object) -> None:
        for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(name, signal.SIG_IGN)
        self.pending = signum
        if not self.held:
            raise Interrupted(signum)

    @contextmanager
    def hold(self) -> Iterator[None]:
        self.held = True
        try:
            yield
        finally:
            self.held = False
        if self.pending:
            raise Interrupted(self.pending)


INTERRUPTS = Interrupts()


class Kubectl:
    """Runs kubectl: no stdin, a session of its own, killed with all it has started when its time is up."""

    EXTRA = 5.0  # seconds beyond --request-timeout, which does not bound a credential plugin

    def __init__(self, options: argparse.Namespace) -> None:
        import sh  # only here: it costs 70 ms, and a replay does without

        try:
            self.command = sh.Command(options.kubectl)
        except sh.CommandNotFound:
            hint = "install kubectl, or say where it is with --kubectl PATH"
            raise RolloutError("kubectl-not-found", f"there is no program {options.kubectl}", hint=hint) from None
        self.limit = options.request_timeout
        flags = {"--context": options.context, "--kubeconfig": options.kubeconfig, "--request-timeout": f"{self.limit:g}s"}
        self.flags = [f"{flag}={value}" for flag, value in flags.items() if value]
        self.failed_to_start = (sh.ForkException, OSError)

    def run(self, *calls: Sequence[str]) -> list[Answer]:
        """The answers to calls that run at the same time, in their order."""
        running: list[Running] = []
        try:
            for arguments in calls:
                with INTERRUPTS.hold():
                    running.append(Running(self, arguments))
            return [call.answer() for call in running]
        finally:
            for call in running:
                call.kill()


class Running:
    """A kubectl call that has been started."""

    def __init__(self, kubectl: Kubectl, arguments: Sequence[str]) -> None:
        self.out, self.err = io.BytesIO(), io.BytesIO()
        self.limit = kubectl.limit + Kubectl.EXTRA
        self.killed = self.ended = False
        self.problem = ""
        with open(os.devnull, "rb") as nothing:
            try:
                self.process = kubectl.command(
                    *kubectl.flags, *arguments, _in=nothing, _out=self.out, _err=self.err, _tty_out=False, _out_bufsize=1 << 20,
                    _err_bufsize=1 << 16, _bg=True, _bg_exc=False, _new_session=True, _ok_code=range(-128, 256), _encoding="utf-8",
                )  # fmt: skip
            except kubectl.failed_to_start as error:
                self.problem, self.ended = str(error).strip().splitlines()[-1], True

    def answer(self) -> Answer:
        """What it gave, once it has ended or has been killed."""
        if self.problem:
            return Answer(127, "", f"kubectl could not be started: {self.problem}")
        timer = threading.Timer(self.limit, self.time_is_up)
        timer.daemon = True
        timer.start()
        try:
            exit_code = self.process.wait().exit_code
        finally:
            timer.cancel()
        self.ended = True
        stderr = self.err.getvalue().decode("utf-8", "replace").strip()
        if self.killed:
            stderr = f"no answer within {self.limit:g}s, so it was killed (does a credential plugin ask for something?) {stderr}".strip()
        return Answer(exit_code, self.out.getvalue().decode("utf-8", "replace"), stderr)

    def time_is_up(self) -> None:
        self.killed = True
        self.kill()

    def kill(self) -> None:
        """Ends it, with all processes of its session's group, if it has not ended."""
        if not self.ended:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)


class Live:
    """The polls of a cluster. They start close together and slow down to the interval while nothing changes."""

    FIRST_PAUSE = 0.5  # seconds
    SLOWER = 1.5

    def __init__(self, options: argparse.Namespace, rules: Rules, selection: Selection) -> None:
        self.options, self.selection = options, selection
        self.kubectl = Kubectl(options)
        self.notes: list[str] = []
        self.namespaces = selection.namespaces or ("",)
        self.wanted = {(kind.resource, namespace) for kind in selection.kinds for namespace in self.namespaces}
        self.below = tuple(dict.fromkeys(rules.kinds[name].resource for kind in selection.kinds for name in all_owned(rules, kind)))

    def polls(self) -> Iterator[Poll]:
        started, pause, before = time.time(), self.FIRST_PAUSE, None
        while True:
            poll = self.poll()
            seen = poll.snapshot and {(identity(entry), field_of(entry["metadata"], "resourceVersion")) for entry in poll.snapshot.objects}
            pause = min(pause * self.SLOWER, self.options.interval) if seen == before else min(self.FIRST_PAUSE, self.options.interval)
            before = seen
            yield poll
            left = started + self.options.timeout - time.time() if self.options.timeout else pause
            time.sleep(max(0.0, min(pause, left)))

    def poll(self) -> Poll:
        """What the cluster shows now, or the calls that failed. The time is that before it was asked."""
        at = time.time()
        chosen, failed = self.lists([request for namespace in self.namespaces for request in self.requests(namespace)])
        if failed:
            return Poll(at, None, tuple(failed))
        objects = {identity(entry): entry for _, entries in chosen for entry in entries}
        selected = frozenset(identity(entry) for is_root, entries in chosen if is_root for entry in entries)
        return Poll(at, Snapshot(at, tuple(objects.values()), selected, functools.cache(self.events)))

    def requests(self, namespace: str) -> Iterator[tuple[bool, tuple[str, ...], tuple[str, ...]]]:
        """The lists to ask for in a namespace: whether they hold the workloads, their resources, further arguments."""
        where = ("-n", namespace) if namespace else ()
        roots = tuple(kind.resource for kind in self.selection.kinds if (kind.resource, namespace) in self.wanted)
        names = self.selection.names
        selector = ("-l", self.selection.selector) if self.selection.selector else ()
        only = ("--field-selector", f"metadata.name={names[0][1]}") if len(names) == 1 else ()
        if roots:
            yield True, roots, (*where, *selector, *only)
        if self.below:
            yield False, self.below, where

    def lists(self, requests: list[tuple[bool, tuple[str, ...], tuple[str, ...]]]) -> tuple[list[tuple[bool, tuple[Json, ...]]], list[Json]]:
        """The objects that were asked for, and the calls that failed. What fails for several resources is asked one by one."""
        answers = self.kubectl.run(*(("get", ",".join(resources), *rest, "-o", "json") for _, resources, rest in requests))
        lists: list[tuple[bool, tuple[Json, ...]]] = []
        failed: list[Json] = []
        for (is_root, resources, rest), answer in zip(requests, answers, strict=True):
            try:
                if answer.exit:
                    raise ValueError(answer.stderr or f"kubectl exits with {answer.exit} and says nothing")
                lists.append((is_root, read_list(answer.stdout, "what kubectl printed")))
            except ValueError as error:
                if len(resources) > 1:
                    again = self.lists([(is_root, (resource,), rest) for resource in resources])
                    lists, failed = lists + again[0], failed + again[1]
                else:
                    failed.append(self.call(is_root, resources[0], rest, answer.exit, str(error)))
        return lists, failed

    def call(self, is_root: bool, resource: str, rest: Sequence[str], exit_code: int, stderr: str) -> Json:
        """A failed call, as rules/kubectl.yaml sees it."""
        namespace = rest[1] if rest[:1] == ("-n",) else None
        optional = is_root and self.selection.by_default
        return {"verb": "list", "resource": resource, "namespace": namespace, "exit": exit_code, "stderr": stderr, "optional": optional}

    def drop(self, call: Json) -> bool:
        self.wanted.discard((call["resource"], call["namespace"] or ""))
        return bool(self.wanted)

    def events(self, namespace: str) -> list[Json] | None:
        """The events of a namespace; None, and a note, when they cannot be read."""
        (answer,) = self.kubectl.run(("get", "events", "-n", namespace, "-o", "json"))
        try:
            if answer.exit:
                raise ValueError(answer.stderr)
            return list(read_list(answer.stdout, "what kubectl printed"))
        except ValueError as error:
            self.notes.append(f"events of namespace {namespace} could not be read: {error}")
            return None

    def log(self, namespace: str, pod: str, container: str, previous: bool) -> str:
        call = ["logs", "-n", namespace, pod, "-c", container, "--tail=20", "--limit-bytes=100000"]
        (answer,) = self.kubectl.run([*call, "--previous"] if previous else call)
        if answer.exit:
            raise RolloutError("unreachable", answer.stderr)
        return answer.stdout

    def namespace(self) -> str:
        (answer,) = self.kubectl.run(("config", "view", "--minify", "-o", "jsonpath={..namespace}"))
        return answer.stdout.strip() or "default"


def all_owned(rules: Rules, kind: Kind) -> Iterator[str]:
    """The names of all kinds below a kind."""
    for name in kind.owns:
        yield name
        yield from all_owned(rules, rules.kinds[name])


# ----------------------------------------------------------------------------------------------------------- progress


def plain(text: str) -> str:
    """A text in one line and without anything that a terminal would obey."""
    return "".join(c if c.isprintable() else " " for c in text)


class Progress:
    """Lines on stderr: when something changes, and every 30 s what has been waited for the longest."""

    HEARTBEAT = 30.0  # seconds

    def __init__(self, stream: IO[str], quiet: bool) -> None:
        self.stream, self.quiet = stream, quiet
        self.said: dict[tuple[str, ...], str] = {}
        self.since: dict[tuple[str, ...], float] = {}
        self.started = self.spoke = -1.0

    def show(self, judgement: Judgement) -> None:
        self.begin(judgement.at)
        for workload in judgement.workloads:
            line = sentence(workload)
            if self.said.get(workload.named) != line:
                self.say(judgement.at, f"{called(workload, judgement.workloads)}: {line}")
                self.said[workload.named], self.since[workload.named] = line, judgement.at
        waiting = [workload for workload in judgement.workloads if workload.status == "waiting"]
        if waiting and judgement.at - self.spoke >= self.HEARTBEAT:
            oldest = min(waiting, key=lambda workload: self.since[workload.named])
            seconds = judgement.at - self.since[oldest.named]
            self.say(judgement.at, f"still waiting, for {seconds:.0f}s now: {called(oldest, judgement.workloads)}: {sentence(oldest)}")

    def trouble(self, at: float, text: str) -> None:
        """A failed call that is not the end: said when it is another than before, and every 30 s."""
        self.begin(at)
        if self.said.get(("call",)) != text or at - self.spoke >= self.HEARTBEAT:
            self.say(at, f"trying again: {text}")
            self.said["call",] = text

    def begin(self, at: float) -> None:
        if self.started < 0:
            self.started = self.spoke = at

    def say(self, at: float, line: str) -> None:
        self.spoke = at
        if not self.quiet:
            with suppress(OSError, ValueError):  # stderr may be closed; the verdict goes to stdout
                print(f"[{at - self.started:4.0f}s] {plain(line)}", file=self.stream, flush=True)


def called(workload: Workload, among: Collection[Workload]) -> str:
    """A workload's name in a line, with its namespace where there are several."""
    kind, namespace, name = workload.named
    several = len({namespace_of(other.value) for other in among}) > 1
    return f"{namespace}: {kind}/{name}" if several else f"{kind}/{name}"


def sentence(workload: Workload) -> str:
    """What there is to say of a workload: the first of its findings, or that it is ready."""
    if workload.findings:
        return ("failed: " if workload.status == "failed" else "") + workload.findings[0].message
    return "successfully rolled out" if workload.status == "ready" else workload.status


# ------------------------------------------------------------------------------------------------------------- result

LOG_LINES, LOG_BYTES = 20, 100_000


def reference(kind: str, resource: Json) -> dict[str, str]:
    return {"kind": kind, "namespace": namespace_of(resource), "name": name_of(resource)}


def kind_written(resource: Json) -> str:
    return str(field_of(resource, "kind"))


def workload_entry(workload: Workload) -> dict[str, Json]:
    """A workload in the result."""
    messages = list(dict.fromkeys(finding.message for finding in workload.findings))
    entry = {**reference(kind_written(workload.value), workload.value), "status": workload.status, "message": sentence(workload)}
    if workload.status != "failed" and messages[1:]:
        entry["waitingFor"] = messages[1:]
    if workload.findings:
        entry["message"] = messages[0]
    return entry


def error_entry(findings: Sequence[Finding], rules: Rules, source: Source, notes: list[str]) -> dict[str, Json]:
    """The entry of a result for findings that are one failure; a log that cannot be read becomes a note."""
    first = findings[0]
    code = first.code(rules.codes)
    assert code  # a rule that can fail has one
    subject = first.subject
    entry: dict[str, Json] = {"code": code.name, "type": code.type, "message": first.message}
    if first.rule.logs and subject.kind.part_of and (log := log_of(first, source, notes)) is not None:
        entry["log"] = log
    entry |= {"rule": first.rule.id, "workload": reference(kind_written(subject.workload), subject.workload)}
    part = {subject.kind.name: name_in(subject.value)} if subject.kind.part_of else {}
    entry |= {"resource": {**reference(kind_written(subject.holder), subject.holder), **part}, "count": len(findings)}
    if first.scope.used_events:
        entry["events"] = [{key: event[key] for key in ("reason", "message", "count", "lastSeen")} for event in first.scope.used_events[:5]]
    return entry | ({"hint": first.hint} if first.hint else {})


def log_of(finding: Finding, source: Source, notes: list[str]) -> str | None:
    """The end of the log of the run that failed; None, and a note, when it cannot be read."""
    subject = finding.subject
    previous = subject.kind.previous_log
    is_previous = previous is not None and truth(previous.value(subject.value, finding.scope.interpreter))
    names = namespace_of(subject.holder), name_of(subject.holder), name_in(subject.value)
    try:
        log = source.log(*names, is_previous)
    except RolloutError as error:
        notes.append(f"the log of {'/'.join(names[1:])} could not be read: {error.message}")
        return None
    tail = "".join(log.splitlines(keepends=True)[-LOG_LINES:])
    return tail.encode("utf-8", "replace")[-LOG_BYTES:].decode("utf-8", "ignore")


def document(run: Run, error: RolloutError | None) -> tuple[dict[str, Json], int]:
    """The result and the exit code: of the last judgement, or of the error that ended the run."""
    judgement, notes = run.judgement, []
    entries: list[dict[str, Json]] = []
    exit_code = 0
    if error:
        code = run.code(error.code)
        entry = {"code": error.code, "type": code.type, "message": error.message}
        entries.append(entry | {key: value for key, value in (("rule", error.rule), ("hint", error.hint)) if value})
        exit_code = code.exit if error.exit is None else error.exit
    elif judgement and run.rules and run.source:
        entries = [error_entry(group, run.rules, run.source, notes) for group in judgement.failures]
        entries += [{"code": "not-found", "type": "rollout", "message": message} for message in judgement.missing]
        exit_code = max((run.code(entry["code"]).exit for entry in entries), default=0)
    result: dict[str, Json] = {"success": not entries}
    if entries:
        result["error"] = entries[0]
    if entries[1:]:
        result["errors"] = entries[1:]
    if judgement:
        result["workloads"] = [workload_entry(workload) for workload in judgement.workloads]
    notes = [*(judgement.notes if judgement else ()), *(run.source.notes if run.source else ()), *run.notes, *notes]
    if notes:
        result["notes"] = list(dict.fromkeys(notes))
    return result | {"elapsedSeconds": round(run.elapsed, 3), "polls": run.count}, exit_code


def checked(result: dict[str, Json]) -> dict[str, Json]:
    """The result if it satisfies schema.json, else the smallest one with the true success, code and message, and a note."""
    try:
        import jsonschema  # only now: it is not needed before there is a result

        schema = json.loads((DATA / "schema.json").read_text(encoding="utf-8"))
        jsonschema.Draft7Validator(schema).validate(result)
        return result
    except Exception as error:  # a verdict is never lost, whatever is wrong with the schema or the result
        reason = str(error).splitlines()[0]
        small: dict[str, Json] = {"success": result["success"], "notes": [f"the result does not satisfy schema.json: {reason}"]}
        if not result["success"]:
            small["error"] = {key: str(result["error"][key]) for key in ("code", "type", "message")}
        return small


def as_text(result: dict[str, Json]) -> str:
    """The result for people."""
    lines = []
    for entry in [result["error"], *result.get("errors", ())] if "error" in result else ():
        resource = "/".join(str(entry["resource"][key]) for key in ("namespace", "kind", "name")) if "resource" in entry else ""
        lines += [f"{entry['code']}: {entry['message']}", *([f"  in {resource}"] if resource else [])]
        lines += [f"  | {line}" for line in entry.get("log", "").splitlines()]
        lines += [f"  try: {entry['hint']}"] if "hint" in entry else []
    for workload in result.get("workloads", ()):
        lines.append(f"{workload['status']}: {workload['kind']} {workload['namespace']}/{workload['name']}: {workload['message']}")
    lines += [f"note: {note}" for note in result.get("notes", ())]
    return "\n".join(plain(line) for line in [*lines, "success" if result["success"] else "failed"])


# --------------------------------------------------------------------------------------------------------------- main

# Before rules/codes.yaml can be read, and when it cannot be
FIRST_CODES = {"usage": 2, "invalid-rules": 2, "internal": 70, "interrupted": 130}


class Run:
    """One run from its arguments to its verdict, and what of it is known so far."""

    def __init__(self) -> None:
        self.rules: Rules | None = None
        self.source: Source | None = None
        self.judge: Judge | None = None
        self.judgement: Judgement | None = None
        self.notes: list[str] = []
        self.output = "json"
        self.count = 0
        self.elapsed = 0.0

    def code(self, name: str) -> Code:
        """A code with its exit code, also when the rules could not be read."""
        if self.rules and name in self.rules.codes:
            return self.rules.codes[name]
        return Code(name, 0, "program", FIRST_CODES[name])

    def prepare(self, argv: Sequence[str]) -> tuple[argparse.Namespace, Progress]:
        """Reads the arguments and the rules, and opens the source."""
        if list(argv[:1]) == ["demo"]:
            argv = ["--replay", str(DEMO), "--retry-limit", "1", *argv[1:]]
        options = parser().parse(argv)
        self.output = options.output
        self.rules = load_rules(DATA / "rules")
        selection = selected(options, self.rules)
        if options.replay:
            self.source = Replay(Path(options.replay), options.now, selection)
        elif options.now is not None:
            raise RolloutError("usage", "--now goes with --replay FILE")
        else:
            self.source = Live(options, self.rules, selection)
        self.judge = Judge(self.rules, selection, self.rules.values(settings(options)))
        return options, Progress(sys.stderr, options.quiet)

    def watch(self, argv: Sequence[str]) -> None:
        """Polls until there is a verdict; RolloutError when the run ends without one."""
        options, progress = self.prepare(argv)
        assert self.source and self.judge
        for poll in self.source.polls():
            self.count += poll.fresh
            if poll.snapshot:
                self.judgement = self.judge.judge(poll.snapshot)
                self.elapsed = poll.at - (self.judge.started or poll.at)
                progress.show(self.judgement)
                if self.judgement.decided:
                    return self.conclude()
            else:
                self.calls_failed(poll, progress, options.once)
            self.elapsed = poll.at - (self.judge.started or poll.at)
            if options.once and poll.snapshot:
                raise RolloutError("timeout", f"--once: {self.waited_for()}")
            if options.timeout and self.elapsed >= options.timeout:
                raise RolloutError("timeout", f"Timed out after {options.timeout:g}s: {self.waited_for()}")
        raise RolloutError("timeout", f"The recording ends without a verdict: {self.waited_for()}")

    def conclude(self) -> None:
        """Takes a verdict; RolloutError `not-found` when there was nothing to judge."""
        assert self.judge and self.judgement and self.source
        judged = [workload for workload in self.judgement.workloads if workload.status != "ignored"]
        if not (judged or self.judgement.missing):
            raise RolloutError("not-found", self.judge.selection.sentence(self.source.namespace()))

    def calls_failed(self, poll: Poll, progress: Progress, once: bool) -> None:
        """Takes failed calls: raises what ends the run, drops what may be missing, and says what will be tried again."""
        assert self.judge and self.source
        for call in poll.calls:
            finding = self.judge.call_failed(call, poll.at, poll.fresh)
            code = finding.code(self.judge.rules.codes)
            if finding.verdict == "note":
                if not self.source.drop(call):
                    raise RolloutError("forbidden", finding.message)
                self.notes.append(finding.message)
            elif code and (finding.verdict == "fail" or once):
                raise RolloutError(code.name, finding.message, hint=finding.hint, rule=finding.rule.id)
            else:
                progress.trouble(poll.at, finding.message)

    def waited_for(self) -> str:
        """A sentence about what has not come yet."""
        waiting = [workload for workload in (self.judgement.workloads if self.judgement else ()) if workload.status == "waiting"]
        return "; ".join(f"{called(workload, waiting)}: {sentence(workload)}" for workload in waiting) or "the cluster could not be asked"


def settings(options: argparse.Namespace) -> list[tuple[str, str]]:
    """The parameters that were set, those with a flag of their own last."""
    own = {"retry_limit": options.retry_limit, "pending_deadline": options.pending_deadline}
    secret = [("ignore_secret_not_found", "true")] if options.ignore_secret_not_found else []
    return [*options.set, *((name, value) for name, value in own.items() if value is not None), *secret]


def selected(options: argparse.Namespace, rules: Rules) -> Selection:
    """What the arguments choose; RolloutError `usage` when they contradict each other or name an unknown kind."""
    words = [word for entry in options.kinds for word in entry.split(",")]
    if options.names and (options.selector or words):
        raise RolloutError("usage", "KIND/NAME chooses workloads by itself: leave --selector and --kinds away")
    names = tuple((rules.kind_called(kind), name) for kind, name in options.names)
    asked = [kind for kind, _ in names] or [rules.kind_called(word.strip()) for word in words]
    by_default = [kind for kind in rules.kinds.values() if kind.watched]
    kinds = tuple(dict.fromkeys(asked or by_default))
    return Selection(kinds, names, tuple(dict.fromkeys(options.namespace)), options.selector, not asked)


def emit(text: str) -> None:
    """Writes to stdout; that it is closed or full changes neither the verdict nor the exit code."""
    try:
        sys.stdout.buffer.write(text.encode("utf-8", "replace"))
        sys.stdout.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # so that Python's own flush at the end finds no fault
        with suppress(OSError):
            print(f"rollout-status: stdout could not be written: {error}", file=sys.stderr)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line and gives the exit code; exactly one JSON document goes to stdout, whatever happens."""
    run = Run()
    error: RolloutError | None = None
    INTERRUPTS.listen()
    try:
        try:
            run.watch(sys.argv[1:] if argv is None else argv)
            result, exit_code = document(run, None)
        except RolloutError as problem:
            result, exit_code = document(run, problem)
    except Interrupted as signal_seen:
        message = f"Interrupted by {signal_seen}: {run.waited_for()}"
        result, exit_code = document(run, RolloutError("interrupted", message, exit=128 + signal_seen.signum))
    except RolloutError as problem:  # while the result was made
        run.judgement = None
        result, exit_code = document(run, problem)
    except Exception as bug:
        traceback.print_exc()
        run.judgement = None
        error = RolloutError("internal", f"This is a bug of rollout-status: {type(bug).__name__}: {bug}")
        result, exit_code = document(run, error)
    result = checked(result)
    emit((as_text(result) if run.output == "text" else json.dumps(result, indent=2)) + "\n")
    return exit_code


if __name__ == "__main__":
    raise SystemExit(main())
