"""A YAML file, read strictly, with the line of each field for errors."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from rollout_status_lib import Json, find_data
from rollout_status_lib.errors import RolloutError, collect_errors, describe_error, suggest
from rollout_status_lib.expressions import Expression, Template
from rollout_status_lib.kept import KEPT

if TYPE_CHECKING:
    import yaml

FieldPath = tuple[str | int, ...]  # where a field is in a file: ("rules", 3, "when")

# YAML's other words for true, numbers in base 60 and dates are texts here
SCALARS: dict[re.Pattern[str], Callable[[str], Json]] = {
    re.compile(r"true|false"): lambda text: text == "true",
    re.compile(r"null|~|"): lambda text: None,
    re.compile(r"[-+]?[0-9]{1,15}"): int,
    re.compile(r"[-+]?[0-9]{1,15}\.[0-9]+"): float,
}

PLAIN_TAGS = {f"tag:yaml.org,2002:{name}" for name in ("str", "int", "float", "bool", "null", "map", "seq", "timestamp")}

# What the YAML parser says, and what to write instead
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


DEEPEST = 100  # levels; libyaml has no bound of its own, and would end the process


def may_be_deep(text: str) -> bool:
    """True if it is worth a look: many brackets, many dashes in a row, or an indent that no screen shows."""
    return text.count("[") + text.count("{") > 1_000 or bool(re.search(r"(?:[-?:] +){20}| {200}", text))


def refuse_depth(events: Iterable[yaml.Event]) -> None:
    """RecursionError if what is written is nested more deeply than anybody writes."""
    import yaml  # noqa: PLC0415, what is kept needs no parser

    depth = 0
    for event in events:
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            raise RecursionError


# `key: 'a text' and more`, `key: {a mapping} and more`
HALF_QUOTED = re.compile(r"""\s*(?:- )?[\w/-]+: +(?=(['"\[{]))(?:'(?:[^']|'')*'|"(?:[^"\\]|\\.)*"|[\[{].*[\]}]) *[^#\s]""")


def find_yaml_slip(line: str) -> str:
    """What to write instead of a line at which YAML stops; empty if nothing stands out."""
    if re.match(r" *\t", line):
        return "indent with spaces, not with a tab"
    half = HALF_QUOTED.match(line)
    return f"a text that begins with {half[1]} needs quotes around all of it, or a block (>-)" if half else ""


def name_field(at: FieldPath) -> str:
    """The name of a field, or of the list that it is in."""
    return next(str(name) for name in reversed(at) if isinstance(name, str))


class Document:
    """A YAML file, read strictly: each key once, no tags, no aliases. Only true, false, null and numbers are no texts.

    A mistake ends the run: RolloutError with `code`, and with file and line in its message. With a list of `problems` it is
    added to the list, and reading goes on.
    """

    def __init__(self, path: Path, code: str, problems: list[RolloutError] | None = None) -> None:
        self.path, self.code, self.problems = path, code, problems
        # a file that comes with the program is called as in its repository, wherever that is installed
        self.shown = path.relative_to(find_data()) if path.is_relative_to(find_data("rules")) else path
        self.lines: dict[FieldPath, int] = {(): 1}
        self.names: dict[FieldPath, str] = {}  # the ids of rules
        self.expressions: dict[FieldPath, Expression | None] = {}  # that were read: a `let` of the file is part of all its rules
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            self.refuse((), f"cannot be read: {self.explain(error)}")
        if path.is_relative_to(find_data("rules")):
            self.content, lines, names = KEPT.find(text, lambda: self.parse(text))
            self.lines, self.names = {tuple(at): line for at, line in lines}, {tuple(at): name for at, name in names}
        else:
            self.content, *_ = self.parse(text)

    def parse(self, text: str) -> Json:
        """What can be kept of a text: its content, the lines of its fields, the ids of its rules."""
        import yaml  # noqa: PLC0415, what is kept needs no parser

        try:
            node = self.compose(text)
            self.lines[()] = node.start_mark.line + 1 if node else 1
            content = {} if node is None else self.read(node, ())
        except (RecursionError, yaml.YAMLError) as error:
            self.refuse((), f"cannot be read: {self.explain(error, text)}")
        return content, [*self.lines.items()], [*self.names.items()]

    def compose(self, text: str) -> yaml.Node | None:
        """The root node of the file; None if the file is empty."""
        import yaml  # noqa: PLC0415, what is kept needs no parser

        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        if may_be_deep(text):
            refuse_depth(yaml.parse(text, loader))
        events: Any = yaml.parse(text, loader) if re.search(r"\*[\w-]", text) else ()
        aliases: list[Any] = [event.start_mark for event in events if isinstance(event, yaml.AliasEvent)]
        if aliases:
            self.lines[()] = aliases[0].line + 1
            self.refuse((), "aliases (*name) are not allowed: write it out")
        return yaml.compose(text, loader)

    def explain(self, error: Exception, text: str = "") -> str:
        """What is wrong with the text of the file, and what to write instead. The file's line becomes that of the mistake."""
        import yaml  # noqa: PLC0415, what is kept needs no parser

        if isinstance(error, RecursionError):
            return "it is nested too deeply: a [ or { stands there again and again"
        if isinstance(error, UnicodeDecodeError):
            self.lines[()] = error.object[: error.start].count(b"\n") + 1
            return f"byte {error.object[error.start]:#x} is not UTF-8: save the file in that encoding"
        if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
            return " ".join(describe_error(error).split())
        problem = f"{error.context or ''}: {error.problem}"
        line = error.problem_mark.line
        if remedy := find_yaml_slip("".join(text.split("\n")[line : line + 1])):
            self.lines[()] = line + 1
            return f"{remedy} ({error.problem})"
        is_at_its_start = error.context_mark and re.search("quoted scalar|simple key|flow", problem)
        mark: Any = error.context_mark if is_at_its_start else error.problem_mark
        self.lines[()] = mark.line + 1
        return next((f"{remedy} ({error.problem})" for words, remedy in YAML_SLIPS if re.search(words, problem)), str(error.problem))

    def refuse(self, at: FieldPath, problem: str) -> NoReturn:
        raise RolloutError(self.code, f"{self.locate(at)}: {problem}")

    def report(self, at: FieldPath, problem: str) -> None:
        """Refuses the file, or adds the mistake to the problems."""
        with collect_errors(self.problems):
            self.refuse(at, problem)

    def locate(self, at: FieldPath) -> str:
        """File and line of a field, and the rule's id if it is in a rule. A missing field has the line of the field around it."""
        rule = self.names.get(at[:2]) or (str(at[1]) if at[:1] == ("override",) and len(at) > 1 else "")
        while at not in self.lines:
            at = at[:-1]
        return f"{self.shown}:{self.lines[at]}{f': {rule}' if rule else ''}"

    def read(self, node: Any, at: FieldPath) -> Json:
        """The content of a node. Remembers the line of each field in it, and the ids of rules."""
        self.lines.setdefault(at, node.start_mark.line + 1)
        if node.tag not in PLAIN_TAGS:
            self.refuse(at, f"YAML takes {node.tag} for a tag: a text that begins with ! needs quotes around all of it")
        if node.id == "sequence":
            return [self.read(child, (*at, index)) for index, child in enumerate(node.value)]
        if node.id == "mapping":
            if at[:1] == ("rules",) and len(at) == 2:
                self.names[at] = next((str(value.value) for key, value in node.value if key.value == "id"), "")
            return dict(self.read_pair(key, value, at) for key, value in node.value)
        is_plain = node.id == "scalar" and not node.style  # without quotes
        return next((parse(node.value) for pattern, parse in SCALARS.items() if is_plain and pattern.fullmatch(node.value)), node.value)

    def read_pair(self, key: yaml.Node, value: yaml.Node, at: FieldPath) -> tuple[str, Json]:
        path = (*at, key.value if isinstance(key.value, str) else "{...}")
        first, self.lines[path] = self.lines.get(path), key.start_mark.line + 1
        if first:
            self.report(path, f"{path[-1]} stands twice, first in line {first}: remove one of them")
        return str(path[-1]), self.read(value, path)

    def get(self, at: FieldPath, default: Json = None) -> Json:
        """The value of a field as it is written; the default if it is not there."""
        content = self.content
        for step in at:
            try:
                content = content[step]
            except (KeyError, IndexError, TypeError):
                return default
        return content

    def get_mapping(self, at: FieldPath, keys: Collection[str] = (), required: Collection[str] = ()) -> dict[str, Json]:
        """The mapping in a field, empty if the field is missing. Reports keys that are not in `keys`, if given, and missing ones."""
        content = self.get(at, {})
        if not isinstance(content, dict):
            self.refuse(
                at, f"{self.name_field(at)} must be a mapping{' with ' + ', '.join(keys) if keys else ', with lines like NAME: ...'}"
            )
        for key in content:
            if keys and key not in keys:
                self.report((*at, key), f"unknown key {key}{suggest(key, keys)}")
        for key in required:
            if key not in content:
                self.report(at, f"{key} is missing")
        return content

    def name_field(self, at: FieldPath) -> str:
        """What a message calls the field."""
        return "a file of rules" if not at else f"an entry of {at[-2]}" if isinstance(at[-1], int) else at[-1]

    def list_members(self, at: FieldPath) -> list[FieldPath]:
        """The paths of the fields in a mapping."""
        with collect_errors(self.problems):
            return [(*at, name) for name in self.get_mapping(at)]
        return []

    def list_entries(self, at: FieldPath) -> list[FieldPath]:
        """The paths of the entries in a list."""
        content = self.get(at, [])
        if not isinstance(content, list):
            self.report(
                at, f"{self.name_field(at)} must be a list: begin each of its entries with {'`- id: `' if at == ('rules',) else '`- `'}"
            )
        return [(*at, index) for index in range(len(content) if isinstance(content, list) else 0)]

    def get_text(self, at: FieldPath) -> str | None:
        """The text in a field, None if the field is missing. A number counts as a text."""
        content = self.get(at)
        if isinstance(content, (dict, list, bool)):
            form = "true or false" if isinstance(content, bool) else "a list" if isinstance(content, list) else "a mapping"
            self.report(
                at, f"{self.name_field(at)} must be a text, and YAML reads {form}: put quotes around all of it, or write a block (>-)"
            )
            return None
        return None if content is None else str(content)

    def get_texts(self, at: FieldPath) -> tuple[str, ...]:
        """The texts in a list. A single text counts as a list of one."""
        content = self.get(at)
        texts = map(self.get_text, self.list_entries(at)) if isinstance(content, list) else [self.get_text(at)]
        return tuple(text for text in texts if text is not None)

    def get_flag(self, at: FieldPath, default: bool) -> bool:
        """The true or false in a field; the default if the field is missing."""
        content = self.get(at, default)
        if not isinstance(content, bool):
            self.report(at, f"{self.name_field(at)} must be true or false, not {content}")
        return content is True

    def get_expression(self, at: FieldPath) -> Expression | None:
        """The expression in a field. None if the field is missing, or if its mistake is among the problems."""
        if at not in self.expressions:
            text, self.expressions[at] = self.get_text(at), None
            with collect_errors(self.problems):
                self.expressions[at] = None if text is None else Expression.parse(text, f"{self.locate(at)}: {name_field(at)}")
        return self.expressions[at]

    def require_expression(self, at: FieldPath) -> Expression:
        """The expression in a field that must be there. After a mistake that is among the problems it is `null`."""
        if self.get(at) is None:
            self.report(at, f"{self.name_field(at)} is missing: write an expression")
        return self.get_expression(at) or Expression.parse("null", self.locate(at))

    def get_template(self, at: FieldPath, form: type[Template] = Template) -> Template | None:
        """The template in a field. None if the field is missing, or if its mistake is among the problems."""
        text = self.get_text(at)
        with collect_errors(self.problems):
            return None if text is None else form.parse(text, f"{self.locate(at)}: {name_field(at)}")
        return None


class Entry:
    """A code, a kind, a parameter or a rule. Its fields may be written in several files: a team's file can replace single ones."""

    def __init__(self, document: Document, at: FieldPath, keys: Collection[str], required: Collection[str]) -> None:
        document.get_mapping(at, keys, required)
        self.document, self.at, self.keys = document, at, keys
        self.fields: dict[str, tuple[Document, FieldPath]] = {}
        self.lets: dict[str, tuple[Document, FieldPath]] = {}  # of the files in which the fields are written
        self.replace(document, at)

    def replace(self, document: Document, at: FieldPath) -> None:
        """Takes the fields that are written at this place, instead of its own ones of the same names."""
        self.fields |= {key: (document, (*at, key)) for key in document.get(at)}
        self.lets |= {name: (document, ("let", name)) for name in document.get(("let",), {})}

    def find_place(self, field: str) -> tuple[Document, FieldPath]:
        """Where a field is written. For a missing field it is a place with no value, beside the entry's other fields."""
        return self.fields.get(field) or (self.document, (*self.at, field, ""))  # "": an override may have removed what is written there

    def report(self, field: str, problem: str) -> None:
        document, at = self.find_place(field)
        document.report(at, problem)

    def report_missing(self, field: str, remedy: str) -> None:
        """Reports that a field is missing or empty, unless an unknown key was reported: it may be that field, misspelt."""
        if all(key in self.keys for key in self.fields):
            self.report(field, f"{field} is missing: {remedy}")

    def get(self, field: str, default: Json = None) -> Json:
        document, at = self.find_place(field)
        return document.get(at, default)

    def get_text(self, field: str) -> str | None:
        document, at = self.find_place(field)
        return document.get_text(at)

    def get_texts(self, field: str) -> tuple[str, ...]:
        document, at = self.find_place(field)
        return document.get_texts(at)

    def get_flag(self, field: str, default: bool) -> bool:
        document, at = self.find_place(field)
        return document.get_flag(at, default)

    def get_expression(self, field: str) -> Expression | None:
        document, at = self.find_place(field)
        return document.get_expression(at)

    def get_template(self, field: str, form: type[Template] = Template) -> Template | None:
        document, at = self.find_place(field)
        return document.get_template(at, form)

    def get_expressions(self, field: str) -> tuple[Expression, ...]:
        """The expressions in a list."""
        document, at = self.find_place(field)
        return tuple(document.require_expression(each) for each in document.list_entries(at))

    def get_templates(self, field: str) -> tuple[Template, ...]:
        """The templates in a list. A single one counts as a list of one."""
        document, at = self.find_place(field)
        places = document.list_entries(at) if isinstance(document.get(at), list) else [at]
        return tuple(template for each in places if (template := document.get_template(each)))
