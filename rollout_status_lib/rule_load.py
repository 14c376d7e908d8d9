"""What is written in rule files becomes codes, kinds, parameters and rules."""

from __future__ import annotations

import functools
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from typing import Any

from rollout_status_lib import Json
from rollout_status_lib.commands import Command
from rollout_status_lib.declarations import (
    DECISIONS,
    PARAMETER_TYPES,
    ROLLBACK_ROOTS,
    VARYING,
    Code,
    Current,
    Kind,
    Parameter,
    Part,
    Revisions,
    Rule,
    Serving,
    Stage,
    Step,
    Use,
    find_code,
    find_common,
)
from rollout_status_lib.errors import RolloutError, UnreadableError, collect_errors, find_closest, suggest
from rollout_status_lib.expressions import GROWS, MOST_COPIES, Expression, shorten
from rollout_status_lib.interpreter import get_first_name, measure_growth, reads_whole, walk_nodes
from rollout_status_lib.objects import split_path
from rollout_status_lib.rule_merge import RuleFiles
from rollout_status_lib.rule_schema import get_choices, get_keys, get_required
from rollout_status_lib.rulefile import Document, Entry, FieldPath
from rollout_status_lib.values import parse_duration

LISTS = ("words", "texts")  # types of parameters whose value is a list


class RuleLoader:
    """Turns what the rule files declare into codes, kinds, parameters and rules.

    Codes, kinds and parameters are loaded at once. A rule is loaded when `load_rule` is called, which a live run does while it
    waits for kubectl. RolloutError `invalid-rules` when a field is wrong, or the error is added to the files' problems.
    """

    def __init__(self, files: RuleFiles) -> None:
        self.files, self.entries, self.added, self.problems = files, files.entries, files.added, files.problems
        self.checked: set[Expression] = set()  # by check_roots
        self.growths: dict[Json, int] = {}  # text and the growths of what it reads -> how many copies it makes
        codes, kinds, params = (self.entries[section] for section in ("codes", "kinds", "params"))
        self.codes = {name: self.load_code(entry, rank) for rank, (name, entry) in enumerate(codes.items())}
        self.kinds: dict[str, Kind] = {}
        self.params: dict[str, Parameter] = {}
        self.steps: dict[str, Step] = {}
        sections: Any = (
            (self.kinds, self.load_kind, kinds),
            (self.params, self.load_param, params),
            (self.steps, self.load_step, self.entries["steps"]),
        )
        for loaded, load, entries in sections:
            for name, entry in entries.items():
                with collect_errors(self.problems):
                    loaded[name] = load(entry)

    def load_code(self, entry: Entry, rank: int) -> Code:
        types = get_choices("code", "type")
        if entry.get("type", "rollout") not in types:
            entry.report("type", f"no type {entry.get('type')}{suggest(entry.get('type'), types)}")
        if type(entry.get("exit", 1)) is not int:
            entry.report("exit", f"exit must be a number, like 1, not {entry.get('exit')}")
        symptom, hint = entry.get_flag("symptom", default=False), str(entry.get("hint", ""))
        return Code(str(entry.get("code")), rank, entry.get("type"), entry.get("exit"), symptom, hint, entry.get_text("as") or "")

    def load_param(self, entry: Entry) -> Parameter:
        name, type_name, default = str(entry.at[-1]), entry.get("type"), entry.get("default")
        param = Parameter(name, "text", None, ())  # after a mistake that is among the problems
        if type_name is None or default is None:
            entry.report_missing(
                "type" if type_name is None else "default", f"write type (one of {', '.join(PARAMETER_TYPES)}) and default"
            )
        elif str(type_name) not in PARAMETER_TYPES:
            entry.report("type", f"no type {type_name}{suggest(type_name, PARAMETER_TYPES)}")
        elif not isinstance(entry.get("choices", []), list):
            entry.report("choices", "choices must be a list, like [fast, slow]")
        else:
            try:
                param = replace(param, type=type_name, choices=entry.get_texts("choices"))
                if type_name not in LISTS:
                    return replace(param, default=param.parse_value(str(default)))
                places = [entry.find_place("default"), *self.added.get(name, ())]
                values = [param.parse_value(",".join(document.get_texts(at))) for document, at in places]
                return replace(param, default=functools.reduce(param.change, values))
            except UnreadableError as error:
                entry.report("default", f"the parameter {name} is of type {type_name}: {error}")
        return param

    # --------------------------------------------------------------------------------------------------------- kinds

    def load_kind(self, entry: Entry) -> Kind:
        current, parts = tuple(self.load_current(*entry.find_place("current"))), tuple(self.load_parts(*entry.find_place("parts")))
        for field in ("owns", "part_of"):
            self.check_names(*entry.find_place(field))
        if len(entry.get_expressions("counts")) not in (0, 2):
            entry.report("counts", "counts takes two expressions: how many are ready, and how many are wanted")
        return Kind(
            name=str(entry.get("name")),
            resource=entry.get_text("resource") or "",
            title=entry.get_text("title") or str(entry.get("name")),
            short=entry.get_texts("short"),
            watched=entry.get_flag("watched", default=False),
            version=entry.get_text("version") or "",
            listed=entry.get_flag("listed", default=True),
            cluster=entry.get_flag("cluster", default=False),
            names_only=entry.get_flag("names_only", default=False),
            observes=entry.get_flag("observes", default=True),
            waits=entry.get_flag("waits", default=True),
            deadline=entry.get_expression("deadline"),
            finishes=entry.get_expression("finishes"),
            owns=entry.get_texts("owns"),
            selector=entry.get_expression("selector"),
            current=current,
            blocked_by=entry.get_expression("blocked_by"),
            blocked=entry.get_template("blocked", Command),
            runs=entry.get_expression("runs"),
            progress=entry.get_expressions("progress"),
            counts=entry.get_expressions("counts"),
            zero=tuple(map(split_path, entry.get_texts("zero"))),
            part_of=entry.get_text("part_of") or "",
            parts=parts,
            previous_log=entry.get_expression("previous_log"),
            ended=entry.get_expression("ended"),
            facts=self.load_facts(*entry.find_place("facts")),
            stages=tuple(self.load_stages(*entry.find_place("stages"))),
            revisions=self.load_revisions(*entry.find_place("revisions")),
            shown=entry.get_expression("shown"),
            uses=tuple(self.load_uses(*entry.find_place("uses"))),
            desired=entry.get_expression("desired"),
            serving=self.load_serving(*entry.find_place("serving")),
        )

    def load_serving(self, document: Document, at: FieldPath) -> Serving | None:
        if document.get(at) is None:
            return None
        document.get_mapping(at, get_keys("kind", "serving"))
        return Serving(*(document.require_expression((*at, field)) for field in ("when", "images", "revision")))

    def load_uses(self, document: Document, at: FieldPath) -> Iterator[Use]:
        for each in document.list_entries(at):
            fields = document.get_mapping(each, get_keys("kind", "uses"), get_required("kind", "uses"))
            if len({"names", "labels", "owned"} & fields.keys()) != 1:
                document.report(each, "write one of names, labels and owned: which objects are used")
            self.check_names(document, (*each, "kind"))
            when, names, labels, namespace = (document.get_expression((*each, field)) for field in ("when", "names", "labels", "namespace"))
            yield Use(document.get_text((*each, "kind")) or "", when, names, labels, namespace, document.get_flag((*each, "owned"), False))

    def load_current(self, document: Document, at: FieldPath) -> Iterator[Current]:
        for each in document.list_entries(at):
            document.get_mapping(each, get_keys("kind", "current"), get_required("kind", "current"))
            if len(document.list_entries((*each, "compare"))) != 2:
                document.refuse((*each, "compare"), "compare takes two expressions, [of the child, of its parent], whose values are equal")
            self.check_names(document, (*each, "child"))
            of_child, of_parent = (document.require_expression((*each, "compare", index)) for index in (0, 1))
            yield Current(document.get((*each, "child")), of_child, of_parent, split_path(document.get((*each, "except"), "")))

    def load_parts(self, document: Document, at: FieldPath) -> Iterator[Part]:
        for each in document.list_entries(at):
            names = document.get_mapping((*each, "add"))
            add = {name: document.require_expression((*each, "add", name)) for name in names}
            yield Part(document.require_expression((*each, "spec")), document.require_expression((*each, "status")), add)

    def load_facts(self, document: Document, at: FieldPath) -> dict[str, Expression]:
        names = document.get_mapping(at, get_keys("kind", "facts"))
        return {name: document.require_expression((*at, name)) for name in names}

    def load_stages(self, document: Document, at: FieldPath) -> Iterator[Stage]:
        choices = get_choices("kind", "stages", "means")
        for each in document.list_entries(at):
            fields = document.get_mapping(each, get_keys("kind", "stages"), get_required("kind", "stages"))
            if "means" in fields and fields["means"] not in choices:
                document.report((*each, "means"), f"a stage cannot mean {fields['means']}{suggest(fields['means'], choices)}")
            yield Stage(
                name=document.get_text((*each, "name")) or "",
                means=str(fields.get("means")),
                each=document.get_expression((*each, "each")),
                at=document.get_expression((*each, "at")),
                message=document.get_template((*each, "message")),
            )

    def load_revisions(self, document: Document, at: FieldPath) -> Revisions | None:
        if document.get(at) is None:
            return None
        # Of the other required keys require_expression says more than that they are missing
        document.get_mapping(at, get_keys("kind", "revisions"), ("kept_in", "makes"))
        for field in ("kept_in", "makes"):
            self.check_names(document, (*at, field))
        revisions = Revisions(
            kept_in=document.get_text((*at, "kept_in")) or "",
            number=document.require_expression((*at, "number")),
            template=document.require_expression((*at, "template")),
            current=document.require_expression((*at, "current")),
            without=split_path(document.get_text((*at, "except")) or ""),
            makes=document.get_text((*at, "makes")) or "",
            serves=document.get_expression((*at, "serves")),
            can_roll_back=document.get_expression((*at, "can_roll_back")),
            rollback=document.get_template((*at, "rollback"), Command),
        )
        self.check_rollback(revisions)
        return revisions

    def check_rollback(self, revisions: Revisions) -> None:
        """Refuses an expression about a rollback that reads other roots than there are: each would be null."""
        parts: tuple[Json, ...] = (revisions.can_roll_back, *(revisions.rollback.parts if revisions.rollback else ()))
        for expression in (part for part in parts if isinstance(part, Expression)):
            for root in sorted(expression.roots - {*ROLLBACK_ROOTS, "null"}):
                with collect_errors(self.problems):
                    raise RolloutError("invalid-rules", f"{expression.where}: no root {root}{suggest(root, ROLLBACK_ROOTS)}")

    def load_step(self, entry: Entry) -> Step:
        self.check_names(*entry.find_place("of"))
        begins, fails, passes, seen = (entry.get_expression(field) for field in ("begins", "fails", "passes", "seen"))
        return Step(entry.get_text("name") or "", entry.get_text("of") or "", begins, fails, passes, seen)

    def check_names(self, document: Document, at: FieldPath) -> None:
        """Refuses a name of a kind that no file declares."""
        for name in document.get_texts(at):
            if name not in self.entries["kinds"]:
                document.report(at, f"no kind {name}{suggest(name, self.entries['kinds'])}")

    # --------------------------------------------------------------------------------------------------------- rules

    def load_rule(self, entry: Entry) -> Rule:
        self.check_subjects(entry)
        self.check_decision(entry)
        self.check_code(entry)
        entry.get_text("docs")
        lets, varying = self.load_lets(entry)
        self.check_growth(lets)
        when = entry.get_expression("when")
        if entry.get("when") is None:
            entry.report_missing("when", "write the expression that is true in the state that the rule is about")
        return Rule(
            id=str(entry.get("id")),
            where=entry.document.locate(entry.at),
            subjects=entry.get_texts("subject"),
            each=entry.get_expression("each"),
            when=when or Expression.parse("null", entry.document.locate(entry.at)),
            given=entry.get_expression("given"),
            unless=entry.get_expression("unless"),
            verdict=entry.get_text("verdict") or "wait",
            fail_when=entry.get_expression("fail_when"),
            fail_after=self.load_limit(entry),
            since=entry.get_expression("since"),
            endless=entry.get_flag("endless", default=False),
            gone=entry.get_flag("gone", default=False),
            let=lets,
            common=find_common(lets, varying),
            code=entry.get_template("code"),
            message=entry.get_template("message"),
            summary=entry.get_template("summary"),
            details=entry.get_templates("details"),
            hint=entry.get_template("hint", Command),
            logs=entry.get_flag("logs", default=False),
            teams=self.files.team_places,
        )

    def check_subjects(self, entry: Entry) -> None:
        subjects, choices = entry.get_texts("subject"), (*self.entries["kinds"], "workload")
        if not subjects:
            entry.report_missing("subject", f"write one of {', '.join(self.kinds)}, workload")
        for word in subjects:
            if word not in choices:
                entry.report("subject", f"no subject {word}{suggest(word, choices)}")

    def check_decision(self, entry: Entry) -> None:
        decisions, verdicts = sorted(set(DECISIONS) & entry.fields.keys()), get_choices("verdict")
        verdict = entry.get_text("verdict") or "wait"
        if not decisions:
            entry.report_missing("verdict", "write one of verdict, fail_when and fail_after")
        elif len(decisions) > (2 if verdict == "hold" else 1):
            entry.report(
                decisions[-1], f"a rule has one of verdict, fail_when and fail_after, not {' and '.join(decisions)}: remove the others"
            )
        if verdict not in verdicts:
            entry.report("verdict", f"no verdict {verdict}{suggest(verdict, verdicts)}")

    def check_code(self, entry: Entry) -> None:
        code = entry.get_text("code")
        if code is None and (entry.get_text("verdict") == "fail" or {"fail_when", "fail_after"} & entry.fields.keys()):
            entry.report_missing("code", "this rule can fail; write one of rules/codes.yaml, or one of yours, like acme/broken")
        if code is not None and "{" not in code and not find_code(self.codes, code):
            entry.report("code", f"no code {code}{suggest(code, self.codes)} (one of yours has a prefix, like acme/{code})")

    def load_lets(self, entry: Entry) -> tuple[dict[str, Expression], set[str]]:
        """Each `let` that the rule may read: those of its files, and its own. And the roots whose values differ between rules."""
        document, at = entry.find_place("let")
        own = {name: (document, (*at, name)) for name in document.get_mapping(at)}
        lets = {name: document.require_expression(at) for name, (document, at) in (entry.lets | own).items()}
        return lets, {*VARYING, *own}

    def check_growth(self, lets: Mapping[str, Expression]) -> None:
        """Refuses a `let` that doubles another one, which doubles another one, and so on."""
        growths: dict[str, int] = {}

        def measure(name: str) -> int:
            let = lets[name]
            if name not in growths:
                growths[name] = 1  # for one that names itself
                roots = {root: measure(root) for root in let.roots & lets.keys()}
                grows = "[" in let.text or "{" in let.text or any(size > 1 for size in roots.values())
                growths[name] = self.measure_growth(let, roots) if grows else 1
                if growths[name] > MOST_COPIES:
                    raise RolloutError("invalid-rules", f"{let.where}: {GROWS} (in: {let.text})")
            return growths[name]

        if any("[" in each.text or "{" in each.text for each in lets.values()):
            for name in lets:
                measure(name)

    def measure_growth(self, let: Expression, roots: Mapping[str, int]) -> int:
        """How many copies of a value a `let` makes; the lets of a file are measured once, and not for each of its rules."""
        key = (let.text, *sorted(roots.items()))
        if key not in self.growths:
            self.growths[key] = measure_growth(let.tree, roots)
        return self.growths[key]

    def load_limit(self, entry: Entry) -> Expression | float | None:
        """The seconds in fail_after, or the expression that gives them: one that names a parameter, or does more than that."""
        limit = entry.get_text("fail_after") or ""
        if not limit or limit.startswith("params.") or re.search(r"[A-Za-z_)\]`']\s*([.(|&]|\[|==|!=)|`", limit):
            param = self.entries["params"].get(limit.removeprefix("params."))
            if limit and param and param.get("type") not in ("duration", "integer"):
                entry.report("fail_after", f"{limit} is of type {param.get('type')}, and no duration")
            return entry.get_expression("fail_after")
        try:
            return parse_duration(limit)
        except UnreadableError as error:
            entry.report("fail_after", f"{error}, or params.NAME, or an expression that gives one")
        return None

    def check_roots(self, rule: Rule) -> None:
        """Refuses `params.x` if no file declares x: it would be null, and the rule would never match. And `@` where names are roots."""
        for expression in (each for each in rule.walk_expressions() if each not in self.checked and reads_whole(each.tree)):
            with collect_errors(self.problems):
                problem = "@ is nothing where names are roots: begin with self, or with the name of a kind"
                if re.search(r"[=!]=\s*(\[\s*\]|\{\s*\})", expression.text):
                    problem = "an empty list, or an empty object, stands in backticks: `[]`, `{}`"
                raise RolloutError("invalid-rules", f"{expression.where}: {problem} (in: {shorten(expression.text)})")
        params = self.entries["params"]
        for expression in (each for each in rule.walk_expressions() if "params" in each.text and each not in self.checked):
            self.checked.add(expression)
            for node in walk_nodes(expression.tree):
                names = [get_first_name(child) for child in node["children"][:2]] if node["type"] == "subexpression" else []
                if names[:1] == ["params"] and names[1] and names[1] not in params:
                    with collect_errors(self.problems):
                        raise RolloutError("invalid-rules", f"{expression.where}: {describe_unknown_param(names[1], params)}")


def describe_unknown_param(name: str, params: Collection[str]) -> str:
    """What to do about a parameter that no file declares: it is misspelt, or its declaration is missing."""
    closest = find_closest(name, sorted(params))
    wanted = f"; did you mean {closest}?" if closest else ""
    return f"no parameter {name}: declare it, like params: {{{name}: {{type: duration, default: 1m}}}}{wanted}"
