"""Walks the expressions of one rule, and knows at each step which fields a value can have."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from rollout_status_lib import Json
from rollout_status_lib.declarations import Rule, find_code
from rollout_status_lib.errors import suggest
from rollout_status_lib.expressions import Expression
from rollout_status_lib.functions import Functions
from rollout_status_lib.interpreter import format_path
from rollout_status_lib.objects import get_field
from rollout_status_lib.rules import Rules

# Roots that are no kinds. Inside [?...] and other projections they are null: there, names are those of the entry.
ROOTS = ("applied", "each", "events", "old", "owned", "params", "self", "time", "workload")
TIMES = ("now", "watched", "idle", "in_state")
EVENT = ("type", "reason", "message", "part", "count", "firstSeen", "lastSeen")
TOP = ("metadata", "spec", "status")
TEXTS, CONDITIONS = ("message", "hint", "docs"), ("when", "given", "unless", "fail_when", "since", "each")
ROOT: Json = {"": {}}  # where the names are roots and not fields
Level = Any  # the fields that a value can have, as in fields.json; None: nobody knows. `?`: others may be there too


class RuleLinter:
    """Walks the expressions of a rule, and knows at each step which fields a value can have."""

    def __init__(self, rules: Rules, fields: Level, rule: Rule) -> None:
        self.rules, self.fields, self.rule = rules, fields, rule
        self.problems: list[str] = []
        self.path: list[Expression] = []  # the expression that is walked, and the `let` that it led to
        self.reached: set[str] = set()
        self.lets: dict[tuple[Any, ...], Level] = {}  # what a `let` gives, by its name and all that this depends on
        self.quiet = False  # whether problems are found elsewhere
        self.early = self.loose = False  # whether this is `when`; whether the rule may not be about what is named
        self.lineage = self.above(rule.subjects)

    def findings(self) -> list[str]:
        rule = self.rule
        for expression in rule.walk_expressions():
            if expression not in rule.let.values():
                self.early = expression in (rule.when, rule.each)
                self.start(expression)
        for condition in filter(None, (rule.when, rule.given, rule.unless, rule.fail_when)):
            for node in find_truths(condition.tree):
                self.path = [condition]
                if "{}" in (self.quietly(node) or ()):
                    path = format_path(node)
                    self.say(f"{path} may be {{}}, which is false: write {path} != null", condition)
        self.early, self.loose, self.path = False, True, []
        for name in sorted(rule.let.keys() - self.reached):
            self.start(rule.let[name])
        self.texts()
        return self.problems

    def start(self, expression: Expression) -> Level:
        """What an expression gives."""
        self.path.append(expression)
        try:
            return self.level(expression.tree, ROOT)
        finally:
            self.path.pop()

    def quietly(self, node: Json, here: Level = ROOT) -> Level:
        """What a part of an expression gives, whose problems are found elsewhere."""
        kept, was_quiet, self.quiet = list(self.problems), self.quiet, True
        level = self.level(node, here)
        self.problems, self.quiet = kept, was_quiet
        return level

    def say(self, problem: str, about: Expression | None = None) -> None:
        expression = about or self.path[-1]
        self.problems.append(f"{expression.where}: {problem} (in: {expression.text})")

    def above(self, names: Iterable[str]) -> set[str]:
        """The kinds that subjects of these kinds can be, or be below, and those whose current object they see."""
        kinds, found = self.rules.kinds, set(names)
        found |= {name for name in kinds if "workload" in found}
        found |= {way.child for name in found & kinds.keys() for way in kinds[name].current}
        while more := {name for name, kind in kinds.items() if found & {*kind.owns, *self.parts(name)}} - found:
            found |= more
        return found

    def parts(self, name: str) -> list[str]:
        return [part.name for part in self.rules.kinds.values() if part.part_of == name]

    def texts(self) -> None:
        """What templates have in them that is none of their expressions."""
        rule = self.rule
        document, at = self.rules.files.entries["rules"][rule.id].find_place("message")
        for part in rule.message.parts if rule.message else ():
            if isinstance(part, str) and re.match(r"\s*\.?\w+(\.\w+)+\s*}}", part):
                name = part.partition("}")[0].strip().lstrip(".")
                self.problems.append(f"{document.locate(at)}: message: {{{{ stands for a brace: write {{{name}}} for the value")
        entry = self.rules.files.entries["rules"][rule.id]
        document, at = entry.find_place("code")
        for part in rule.code.parts if rule.code else ():
            for name in find_literals(part.tree) if isinstance(part, Expression) else ():
                if not find_code(self.rules.codes, name):
                    self.problems.append(f"{document.locate(at)}: no code {name}{suggest(name, self.rules.codes)}")
        if isinstance(rule.fail_after, Expression):
            name = rule.fail_after.text.partition(".")[2]
            param = self.rules.params.get(name)
            if param and param.type != "duration":
                self.say(f"fail_after takes a duration, and {name} is of type {param.type}: declare one of type duration", rule.fail_after)

    def level(self, node: Json, here: Level, spot: str = "") -> Level:
        """The fields of what a part of an expression gives, where `here` are those of the value it is about; says what is wrong in it."""
        kind, children = node["type"], node["children"]
        if kind == "field":
            return self.root(node["value"]) if here is ROOT else self.field(node["value"], here, spot or node["value"])
        if kind in ("subexpression", "index_expression", "pipe", "projection", "flatten"):
            for index, child in enumerate(children):
                here = self.level(child, here, ".".join(map(format_path, children[: index + 1])))
            return here
        if kind == "filter_projection":
            entries = self.level(children[0], here)
            self.level(children[2], entries)
            return self.level(children[1], entries)
        if kind in ("identity", "current", "index", "slice"):
            return here
        if kind == "value_projection":
            self.level(children[0], here)
            self.level(children[1], None)
            return None
        if kind == "function_expression":
            return self.function(node, here)
        if kind == "multi_select_dict":
            return {child["value"]: self.level(child["children"][0], here) for child in children}
        levels = [self.level(child, here) for child in children if isinstance(child, dict)]
        if kind == "comparator":
            self.compare(node["value"], children, here)
        return merge_levels(levels) if kind in ("or_expression", "multi_select_list") else levels[-1] if kind == "and_expression" else None

    def function(self, node: Json, here: Level) -> Level:
        """What a function gives, so far as its arguments tell."""
        name, children = node["value"], node["children"]
        levels: list[Level] = []
        for child in children:
            about = (levels or [None])[0] if name != "map" else self.quietly(children[1], here)
            levels.append(self.level(child["children"][0], about) if child["type"] == "expref" else self.level(child, here))
        signature = Functions.FUNCTION_TABLE[name]["signature"]
        if len(children) != len(signature) and not (signature and signature[-1].get("variadic") and len(children) >= len(signature)):
            self.say(f"{name}() takes {len(signature)} arguments, not {len(children)}")
        for child, wanted in zip(children, signature, strict=False):
            types = [each.partition("-")[0] for each in wanted["types"]]
            given = JSON_TYPES.get(type(child.get("value")), "")
            if child["type"] == "literal" and types and given not in types:
                self.say(f"{name}() takes a {' or a '.join(types)}, not {json.dumps(child['value'])}")
        if name == "condition":
            return get_field(levels[0], "status", "conditions") if levels else None
        return merge_levels(levels) if name == "not_null" else levels[0] if name in SAME and levels else None

    def compare(self, operator: str, sides: Sequence[Json], here: Level) -> None:
        """Comparisons that cannot be true, or cannot be made."""
        for side, other in (sides, sides[::-1]):
            text = side["value"] if side["type"] == "literal" else None
            if operator not in ("eq", "ne") and side["type"] == "literal" and JSON_TYPES[type(text)] not in ("number", "string"):
                self.say(f"{json.dumps(text)} cannot be ordered: compare with a number, like `3`")
            if not isinstance(text, str):
                continue
            if operator not in ("eq", "ne") and re.fullmatch(r"-?\d+(\.\d+)?", text):
                self.say(f"the text '{text}' cannot be ordered with a number: write `{text}`")
            known = other["type"] == "subexpression" and self.quietly(other, here) is not None
            if text == "null" or (text in ("true", "false") and known):
                self.say(f"'{text}' is a text: write {'null' if text == 'null' else f'`{text}`'}")

    def field(self, name: str, here: Level, spot: str) -> Level:
        """The fields of a field, of a value that has those; `spot` is the path to it."""
        if isinstance(here, Stray):
            return self.stray(here.root, name)
        names = [each for each in here or () if each not in ("?", "{}")]
        if (not names or "?" in here) and name not in names and self.is_root(name):
            return Stray(name)
        if not names or "*" in here or name == "null":
            return None
        if name in here:
            if spot == "time.in_state" and self.early:
                self.say("time.in_state begins with `when`: use it in fail_when, or write fail_after: TIME", self.path[0])
            below = here[name]
            reference = next((key for key in below or () if key.startswith("$")), "")
            below = self.fields[reference[1:]] if reference else below
            return {**below, "?": {}} if below is not None and "?" in here else below
        near = difflib.get_close_matches(name, names, 1, 0.9 if "?" in here else 0.6)
        root = spot.partition(".")[0]
        elsewhere = [f"{root}.{top}.{name}" for top in TOP if name in self.fields.get(root, {}).get(top, {})]
        if "." not in spot and (self.is_root(name) or name in self.rule.let):
            self.say(f"{name} is null inside [?...] and after |, where names are the entry's: compare outside it, or use named() or each")
        elif f'"{name}"' in self.path[-1].text and not near:
            self.say(f"\"{name}\" stands for a field: write '{name}' for a text")
        elif near or "?" not in here:
            remedy = f"; did you mean {elsewhere[0]}?" if elsewhere and not near else suggest(name, names)
            self.say(f"there is no {spot}{remedy}")
        return None

    def is_root(self, name: str) -> bool:
        return name in ("params", "self", "time", "workload", "applied") or name in self.lineage

    def stray(self, root: str, name: str) -> Level:
        """A name like a root's inside a filter of what nobody knows: it is taken for the root if only that has the field."""
        if name in {"params": self.rules.params, "time": TIMES}.get(root, TOP):
            self.say(
                f"{root}.{name} is null inside [?...] and after |, where names are the entry's: compare outside it, or use named() or each"
            )
        return None

    def root(self, name: str) -> Level:
        """The fields of a root, which may be a `let`."""
        rule, fields = self.rule, self.fields
        if name in rule.let and rule.let[name] not in self.path:
            self.reached.add(name)
            key = (name, *self.path[:1], self.early, self.loose, self.quiet)
            if key not in self.lets:  # one that others use again and again is walked once
                self.lets[key] = self.start(rule.let[name])
            return self.lets[key]
        if name == "events":
            if self.early:
                problem = "`when` cannot use events, since it decides whether they are fetched: use them in fail_when or message"
                self.say(problem, self.path[0])
            return dict.fromkeys(EVENT)
        if name == "time":
            return dict.fromkeys(TIMES)
        if name == "each":
            if rule.each is None and not self.loose:
                self.say("each is null: write `each: EXPR`, the list whose entries the rule is about")
            return self.start(rule.each) if rule.each and rule.each not in self.path and not self.loose else None
        if name in ("self", "workload", "applied"):
            return self.any_of(rule.subjects if name == "self" and "workload" not in rule.subjects else [*sorted(self.lineage), "?"])
        if name in ("params", "old", "owned", "null"):
            return None
        if name not in self.rules.files.entries["kinds"]:
            self.unknown_root(name)
        elif name not in self.lineage and not self.loose and rule.subjects and self.lineage & self.rules.kinds.keys():
            others = ", ".join(sorted(map(str, self.lineage)))
            self.say(f"{name} is null in a rule about {', '.join(rule.subjects)}: write subject: {name}, or one of {others}")
        return fields.get(name) if name != "generic" else None

    def any_of(self, names: Iterable[str]) -> Level:
        """The fields of the objects of several kinds, of which some are not known."""
        known = [self.fields.get(name) if name != "generic" else None for name in names]
        level = merge_levels([each for each in known if each])
        return {**level, "?": {}} if level and not all(known) else level

    def unknown_root(self, name: str) -> None:
        known = {*self.rules.kinds, *ROOTS, *self.rule.let, "null"}
        subject = next(iter(self.rule.subjects), "self")
        if name in ("true", "false"):
            remedy = f": write `{name}` with backticks"
        elif f'"{name}"' in self.path[-1].text:
            remedy = f": write '{name}' for a text"
        elif name in (self.fields.get(subject) or TOP):
            remedy = f"; did you mean {subject}.{name}?"
        else:
            remedy = suggest(name, known)
        self.say(f"no root {name}{remedy}")


class Stray(dict[str, Level]):
    """What a name gives that is also a root's, inside a filter."""

    def __init__(self, root: str) -> None:
        super().__init__()
        self.root = root


JSON_NAMES = {"string": str, "number": int, "boolean": bool, "array": list, "object": dict, "null": type(None)}
JSON_TYPES: dict[type, str] = {float: "number"} | {type_: name for name, type_ in JSON_NAMES.items()}
SAME = ("named", "sort_by", "max_by", "min_by", "reverse", "sort")  # what they give has the fields of their first argument's entries


def merge_levels(levels: Sequence[Level]) -> Level:
    """The fields of what may be one of several; None as soon as one of them is not known."""
    if not levels or any(level is None or isinstance(level, Stray) for level in levels):
        return None
    found: dict[str, Level] = {}
    for level in levels:
        for name, below in level.items():
            found[name] = merge_levels([found[name], below]) if name in found else below
    return found


def find_literals(node: Json) -> Iterator[str]:
    """The texts that an expression can give."""
    kind, children = node["type"], node["children"]
    if kind == "literal" and isinstance(node["value"], str):
        yield node["value"]
    for child in children if kind == "or_expression" else children[-1:] if kind == "and_expression" else ():
        yield from find_literals(child)


def find_truths(node: Json) -> Iterator[Json]:
    """The paths whose truth decides: operands of && and ||, and what a condition is as a whole."""
    if node["type"] in ("and_expression", "or_expression", "not_expression"):
        for child in node["children"]:
            yield from find_truths(child)
    elif node["type"] in ("field", "subexpression"):
        yield node
