"""Walks the expressions of a rule. At each step it knows which fields a value can have, and so finds what cannot be meant."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rollout_status_lib import Json
from rollout_status_lib.declarations import Rule, describe_cycle
from rollout_status_lib.errors import find_closest, suggest
from rollout_status_lib.expressions import Expression, shorten
from rollout_status_lib.functions import Functions
from rollout_status_lib.interpreter import format_path, get_names
from rollout_status_lib.objects import get_field
from rollout_status_lib.rules import Rules
from rollout_status_lib.verbs.lint_types import check_arguments, check_literals, check_logic, check_types, get_last_name, infer, write

# The fields that a value can have, each with those of its own value, as in fields.json. None: nobody knows them. With `?` there may
# be others, with `*` any; `$pod` are those of a pod; `{}` says that the value may be empty.
Fields = Any

WORDS = {"true": "true", "yes": "true", "on": "true", "false": "false", "no": "false", "off": "false"}  # what stands for them here

AT_ROOT: Json = {"": {}}  # the fields of the value that an expression begins at: there, names are roots

# Roots that are no kinds. Inside [?...] and other projections they are null: names are those of the entry there.
ROOTS = ("applied", "each", "events", "exists", "first", "history", "old", "owned", "params", "self", "time", "unasked", "used", "workload")
TIME_FIELDS = ("now", "watched", "idle", "in_state")
USED_FIELDS = ("kind", "exists", "object")
EVENT_FIELDS = ("type", "reason", "message", "part", "count", "firstSeen", "lastSeen")
TOP_FIELDS = ("metadata", "spec", "status")

PYTHON_TYPES = {"string": str, "number": int, "boolean": bool, "array": list, "object": dict, "null": type(None)}
JSON_TYPES: dict[type, str] = {float: "number"} | {type_: name for name, type_ in PYTHON_TYPES.items()}
ONE_WORD = ("phase", "state", "status", "reason", "type", "kind", "name")  # fields that are one text in every object
SPECIAL = ("?", "{}", "[]", "*")  # keys of fields that are none
GIVE_ENTRY = ("named", "max_by", "min_by")  # functions that give one of the entries of their first argument
KEEP_ENTRIES = ("named", "sort_by", "max_by", "min_by", "reverse", "sort")  # functions that give entries of their first argument


class Walker:
    """Walks the expressions of one rule and collects what is wrong in them."""

    def __init__(self, rules: Rules, fields_of_kinds: Mapping[str, Fields], rule: Rule) -> None:
        self.rules, self.fields_of_kinds, self.rule = rules, fields_of_kinds, rule
        self.problems: list[str] = []
        self.path: list[Expression] = []  # the expression that is walked, and each `let` that it has led to
        self.reached: set[str] = set()  # names of `let`s that were walked
        self.lets: dict[tuple[Any, ...], Fields] = {}  # the fields of a `let`, by its name and by all that they depend on
        self.is_peeking = False
        self.is_early = False  # in `when` and `each`: the state is not present yet, so its events and its duration are not known
        self.is_unused = False  # in a `let` of the file that this rule does not read: it may be for rules about other kinds
        self.lineage = self.find_lineage(rule.subjects)

    def find_lineage(self, subjects: Iterable[str]) -> set[str]:
        """The kinds that are roots for a rule about these subjects: theirs, those of their owners, and those of current children."""
        kinds, names = self.rules.kinds, set(subjects)
        names |= {name for name in kinds if "workload" in names}
        names |= {way.child for name in names & kinds.keys() for way in kinds[name].current}
        while owners := {name for name, kind in kinds.items() if names & {*kind.owns, *self.list_parts(name)}} - names:
            names |= owners
        return names

    def list_parts(self, kind: str) -> list[str]:
        return [part.name for part in self.rules.kinds.values() if part.part_of == kind]

    def report(self, problem: str, expression: Expression | None = None) -> None:
        expression = expression or self.path[-1]
        self.problems.append(f"{expression.where}: {problem} (in: {shorten(expression.text)})")

    def walk_expression(self, expression: Expression) -> Fields:
        """The fields of what an expression gives."""
        self.path.append(expression)
        for problem in check_literals(expression):
            self.report(problem)
        try:
            return self.walk(expression.tree, AT_ROOT)
        finally:
            self.path.pop()

    def peek(self, node: Json, here: Fields = AT_ROOT) -> Fields:
        """The fields of what a node gives; its problems are reported elsewhere."""
        problems, was_peeking, self.is_peeking = list(self.problems), self.is_peeking, True
        fields = self.walk(node, here)
        self.problems, self.is_peeking = problems, was_peeking
        return fields

    def walk(self, node: Json, here: Fields, spot: str = "") -> Fields:
        """The fields of what a node gives for a value with the fields `here`. `spot` is the path to the node, for messages."""
        kind, children = node["type"], node["children"]
        if kind == "field":
            return self.walk_root(node["value"]) if here is AT_ROOT else self.walk_field(node["value"], here, spot or node["value"])
        if kind in ("subexpression", "index_expression", "pipe", "projection", "flatten"):
            for index, child in enumerate(children):
                here = self.walk(child, here, ".".join(map(format_path, children[: index + 1])))
                here = get_entry(here) if kind in ("projection", "flatten") and not index else here
            return here
        if kind == "filter_projection":
            entries = get_entry(self.walk(children[0], here))
            self.walk(children[2], entries)
            return self.walk(children[1], entries)
        if kind in ("identity", "current", "slice"):
            return here
        if kind == "index":
            return get_entry(here)
        if kind == "value_projection":
            self.walk(children[0], here)
            self.walk(children[1], None)
            return None
        if kind == "function_expression":
            return self.walk_function(node, here)
        if kind == "multi_select_dict":
            return {child["value"]: self.walk(child["children"][0], here) for child in children}
        results = [self.walk(child, here) for child in children if isinstance(child, dict)]
        for problem in check_logic(node):
            self.report(problem)
        if kind == "comparator":
            self.check_comparison(node["value"], children, here)
        return (
            merge_fields(results) if kind in ("or_expression", "multi_select_list") else results[-1] if kind == "and_expression" else None
        )

    def walk_function(self, node: Json, here: Fields) -> Fields:
        """The fields of what a function gives, as far as its arguments tell them."""
        name, children = node["value"], node["children"]
        results: list[Fields] = []
        for child in children:
            entries = get_entry((results or [None])[0] if name != "map" else self.peek(children[1], here))
            results.append(self.walk(child["children"][0], entries) if child["type"] == "expref" else self.walk(child, here))
        self.check_arguments(name, children, results, here)
        if name == "condition":
            return get_entry(get_field(results[0], "status", "conditions")) if results else None
        kept = results[0] if name in KEEP_ENTRIES and results else None
        return merge_fields(results) if name == "not_null" else get_entry(kept) if name in GIVE_ENTRY else kept

    def infer(self, node: Json, fields: Fields, here: Fields) -> str:
        """The type of what a node gives, by itself or by its fields; empty if nobody knows."""
        let = self.rule.let if here is AT_ROOT else {}
        is_field = node["type"] in ("field", "subexpression", "index_expression")
        return infer(node, let, self.rules.params if here is AT_ROOT else {}) or (name_fields(fields) if is_field else "")

    def find_type(self, expression: Expression | None) -> str:
        """The type of what an expression gives; empty if nobody knows, or if there is none."""
        if expression is None:
            return ""
        self.path.append(expression)
        try:
            return self.infer(expression.tree, self.peek(expression.tree), AT_ROOT)
        finally:
            self.path.pop()

    def check_arguments(self, name: str, arguments: Sequence[Json], fields: Sequence[Fields], here: Fields) -> None:
        """Reports a wrong number of arguments, and arguments of a wrong type."""
        signature = Functions.FUNCTION_TABLE[name]["signature"]
        is_variadic = signature and signature[-1].get("variadic")
        if len(arguments) != len(signature) and not (is_variadic and len(arguments) >= len(signature)):
            self.report(f"{name}() takes {len(signature)} arguments, not {len(arguments)}")
            return
        types = [self.infer(argument, its, here) for argument, its in zip(arguments, fields, strict=True)]
        for problem in check_arguments(name, types, [write(each) for each in arguments]):
            self.report(problem)
        if name == "contains" and types[1] == "list":
            self.report(f"contains() looks for one value in a list: write contains({write(arguments[1])}, {write(arguments[0]) or 'x'})")
        if name == "condition" and get_names(arguments[0])[-1:] == ("conditions",):
            owner = ".".join(get_names(arguments[0])[:-2]) or "self"
            self.report(f"condition() looks into status.conditions by itself: write condition({owner}, {write(arguments[1]) or 'TYPE'})")

    def check_comparison(self, operator: str, sides: Sequence[Json], here: Fields) -> None:
        """Reports a comparison that cannot be made, or that is never true."""
        let = self.rule.let if here is AT_ROOT else {}
        never = list(check_types(operator, list(sides), let))
        for problem in never:
            self.report(problem)
        if never:
            return
        for side, other in (sides, sides[::-1]):
            if here is not AT_ROOT and side["type"] == "field" and side["value"][:1].isupper() and is_unknown(here):
                self.report(f"{side['value']} stands for a field of the entry: write '{side['value']}' for a text")
                return
            value = side["value"] if side["type"] == "literal" else None
            if side["type"] == "multi_select_list" and operator in ("eq", "ne") and get_last_name(other) in ONE_WORD and write(side):
                self.report(f"{write(other)} is one text: write {'!' if operator == 'ne' else ''}contains({write(side)}, {write(other)})")
            if operator not in ("eq", "ne") and side["type"] == "literal" and JSON_TYPES[type(value)] not in ("number", "string"):
                self.report(f"{json.dumps(value)} cannot be ordered: compare with a number, like `3`")
            if not isinstance(value, str):
                continue
            if operator not in ("eq", "ne") and re.fullmatch(r"-?\d+(\.\d+)?", value):
                self.report(f"the text '{value}' cannot be ordered with a number: write `{value}`")
            is_path = other["type"] == "subexpression" or (other["type"] == "field" and (here is not AT_ROOT or other["value"] in let))
            is_field = is_path and self.peek(other, here) is not None
            if value == "null" or (value in ("true", "false") and is_field):
                self.report(f"'{value}' is a text: write {'null' if value == 'null' else f'`{value}`'}")
            elif is_path or get_names(other):
                self.check_text(other, value, here)

    def check_text(self, node: Json, text: str, here: Fields) -> None:
        """Reports a path that is compared with a text and is none, and the name of a kind in small letters."""
        path, names = write(node), get_names(node)
        is_kind = here is AT_ROOT and names[-1:] == ("kind",) and (names[:1] == ("workload",) or names[0] in (*self.lineage, "self"))
        if kept := [each for each in self.peek(node, here) or () if each not in SPECIAL]:
            is_list = "[]" in self.peek(node, here)
            remedy = f"write {path}[?{kept[0]} == '{text}']" if is_list else f"it has {', '.join(sorted(kept)[:6])}"
            self.report(f"{path} is {'a list' if is_list else 'an object'}, which never equals '{text}': {remedy}")
        elif is_kind and len(names) == 2 and text and text[0].islower():
            self.report(f"the kind of an object begins with a capital: write '{text.capitalize()}'")
        elif re.fullmatch(r"-?\d+", text) and here is AT_ROOT and self.is_number(names):
            self.report(f"{path} is a number: write `{text}`")

    def is_number(self, names: Sequence[str]) -> bool:
        """True if a path is a number in all objects of its kind, as far as anybody knows."""
        kinds, path = (self.rule.subjects if names[:1] == ("self",) else names[:1]), names[1:]
        return bool(path) and all(
            name in self.rules.kinds and (path in self.rules.kinds[name].zero or ".".join(path) in self.fields_of_kinds["!"].get(name, ()))
            for name in kinds
        )

    # ------------------------------------------------------------------------------------------------ fields and roots

    def walk_field(self, name: str, here: Fields, spot: str) -> Fields:
        """The fields of a field, of a value with the fields `here`. `spot` is the path to the field."""
        if isinstance(here, MaybeRoot):
            return self.walk_maybe_root(here.root, name)
        names = [each for each in here or () if each not in SPECIAL]
        path = spot.rpartition(".")[0] or spot
        if path.endswith(".conditions"):
            self.report(f"{path} is a list: write condition({path.removesuffix('.conditions').removesuffix('.status')}, '{name}')")
            return None
        if here and "[]" in here and "*" not in here and "." in spot and name != "null" and not self.is_root(name):
            self.report(f"{path} is a list, which has no {name}: write {path}[].{name} for those of all entries, or {path}[0].{name}")
            return None
        if (not names or "?" in here) and name not in names and self.is_root(name):
            return MaybeRoot(name)
        if not names or "*" in here or name == "null":
            return None
        if name not in here:
            self.report_unknown_field(name, names, spot, is_open="?" in here)
            return None
        if spot == "time.in_state" and self.is_early:
            self.report("time.in_state begins with `when`: use it in fail_when, or write fail_after: TIME", self.path[0])
        below = here[name]
        template = next((key for key in below or () if key.startswith("$")), "")
        below = self.fields_of_kinds[template[1:]] if template else below
        return {**below, "?": {}} if below is not None and "?" in here else below

    def report_unknown_field(self, name: str, names: Sequence[str], spot: str, *, is_open: bool) -> None:
        """Reports a field that none of the names is. If there may be others (`is_open`), only one that looks misspelt."""
        close = difflib.get_close_matches(name, names, 1, 0.9 if is_open else 0.6)
        root = spot.partition(".")[0]
        elsewhere = [f"{root}.{top}.{name}" for top in TOP_FIELDS if name in self.fields_of_kinds.get(root, {}).get(top, {})]
        if "." not in spot and (self.is_root(name) or name in self.rule.let):
            self.report_root_of_entry(name)
        elif f'"{name}"' in self.path[-1].text and not close:
            self.report(f"\"{name}\" stands for a field: write '{name}' for a text")
        elif "." not in spot and name[:1].isupper() and not close:
            self.report(f"{name} stands for a field of the entry: write '{name}' for a text")
        elif close or not is_open:
            remedy = f"; did you mean {elsewhere[0]}?" if elsewhere and not close else suggest(name, names)
            self.report(f"there is no {spot}{remedy}")

    def is_root(self, name: str) -> bool:
        return name in ("params", "self", "time", "workload", "applied", "first") or name in self.lineage

    def walk_maybe_root(self, root: str, name: str) -> Fields:
        """None: nobody knows the fields. Reports a field that a root has: then the root was meant, and it is null inside a filter."""
        if name in {"params": self.rules.params, "time": TIME_FIELDS}.get(root, TOP_FIELDS):
            self.report_root_of_entry(f"{root}.{name}")
        return None

    def report_root_of_entry(self, path: str) -> None:
        self.report(f"{path} is null inside [?...] and after |, where names are the entry's: compare outside it, or use named() or each")

    def walk_root(self, name: str) -> Fields:
        """The fields of a root. A `let` has those of what its expression gives."""
        rule = self.rule
        if name in rule.let and rule.let[name] not in self.path:
            self.reached.add(name)
            key = (name, *self.path[:1], self.is_early, self.is_unused, self.is_peeking)
            if key not in self.lets:  # one that others read again and again is walked once
                self.lets[key] = self.walk_expression(rule.let[name])
            return self.lets[key]
        if name in ("events", "history", "used"):
            if self.is_early:
                problem = f"`when` cannot use {name}, since it decides whether they are fetched: use them in fail_when or message"
                self.report(problem, self.path[0])
            return {**dict.fromkeys(USED_FIELDS if name == "used" else EVENT_FIELDS), "[]": None}
        if name == "time":
            return dict.fromkeys(TIME_FIELDS)
        if name == "each":
            if rule.each is None and not self.is_unused:
                self.report("each is null: write `each: EXPR`, the list whose entries the rule is about")
            return get_entry(self.walk_expression(rule.each)) if rule.each and rule.each not in self.path and not self.is_unused else None
        if name in ("self", "workload", "applied", "first"):
            return self.merge_kinds(rule.subjects if name == "self" and "workload" not in rule.subjects else [*sorted(self.lineage), "?"])
        if name in ("exists", "unasked", "params", "old", "owned", "null"):
            return None
        self.check_kind(name)
        return self.fields_of_kinds.get(name) if name != "generic" else None

    def check_kind(self, name: str) -> None:
        """Reports a root that is no kind, or a kind that a rule about these subjects does not see."""
        rule = self.rule
        if name not in self.rules.files.entries["kinds"]:
            self.report_unknown_root(name)
        elif name not in self.lineage and not self.is_unused and rule.subjects and self.lineage & self.rules.kinds.keys():
            others = ", ".join(sorted(map(str, self.lineage)))
            self.report(f"{name} is null in a rule about {', '.join(rule.subjects)}: write subject: {name}, or one of {others}")

    def merge_kinds(self, names: Iterable[str]) -> Fields:
        """The fields that objects of any of these kinds can have. If the fields of some are not known, there may be others."""
        fields = [self.fields_of_kinds.get(name) if name != "generic" else None for name in names]
        merged = merge_fields([each for each in fields if each])
        return {**merged, "?": {}} if merged and not all(fields) else merged

    def report_unknown_root(self, name: str) -> None:
        subject = next(iter(self.rule.subjects), "self")
        owners = [each for each in sorted(self.lineage) if name in (self.fields_of_kinds.get(each) or TOP_FIELDS)]
        if name in self.rule.let:
            remedy = describe_cycle(name, self.rule.let)
        elif name in WORDS:
            remedy = f": write `{WORDS[name]}` with backticks"
        elif f'"{name}"' in self.path[-1].text:
            remedy = f": write '{name}' for a text"
        elif owners:
            remedy = f"; did you mean {subject if subject in owners else self.find_nearest(subject, owners)}.{name}?"
        else:
            words = [*sorted(self.lineage & {*self.rules.kinds}), *ROOTS, *self.rule.let, "null"]
            closest = find_closest(name, sorted(words)) or find_closest(name, sorted(self.rules.kinds))
            meant = f"; did you mean {closest}?" if closest else f"; there is {', '.join(words)}"
            remedy = f": a field stands below one ({subject}.{name}), a text in quotes ('{name}'), a name of your own in let{meant}"
        self.report(f"no root {name}{remedy}")

    def find_nearest(self, subject: str, owners: Sequence[str]) -> str:
        """The first of some kinds that a subject is a part of, or that owns it; else the first of them all."""
        part_of = self.rules.kinds[subject].part_of if subject in self.rules.kinds else ""
        return part_of if part_of in owners else owners[0]


class MaybeRoot(dict[str, Fields]):
    """The fields of a name inside a filter of entries that nobody knows. It is a field of the entry, unless a root was meant."""

    def __init__(self, root: str) -> None:
        super().__init__()
        self.root = root


def get_entry(fields: Fields) -> Fields:
    """The fields of the entries of a list; of anything else its own."""
    return {name: below for name, below in fields.items() if name != "[]"} if isinstance(fields, dict) and "[]" in fields else fields


def is_unknown(fields: Fields) -> bool:
    """True if a value may have other fields than these."""
    return not isinstance(fields, dict) or "?" in fields or not fields.keys() - set(SPECIAL)


def name_fields(fields: Fields) -> str:
    """The type of a value with these fields, list or object; empty if it may be anything."""
    if not isinstance(fields, dict) or isinstance(fields, MaybeRoot):
        return ""
    return "list" if "[]" in fields else "object" if fields.keys() - {"?", "{}"} else ""


def merge_fields(alternatives: Sequence[Fields]) -> Fields:
    """The fields of a value that is one of several; None as soon as nobody knows those of one of them."""
    if not alternatives or any(fields is None or isinstance(fields, MaybeRoot) for fields in alternatives):
        return None
    merged: dict[str, Fields] = {}
    for fields in alternatives:
        for name, below in fields.items():
            merged[name] = merge_fields([merged[name], below]) if name in merged else below
    if not all("[]" in fields for fields in alternatives):
        merged.pop("[]", None)
    return merged
