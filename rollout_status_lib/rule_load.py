"""What is written in rule files becomes codes, kinds, parameters and rules."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from rollout_status_lib import Json
from rollout_status_lib.declarations import (
    CODE_TYPES,
    DECISIONS,
    REVISIONS_KEYS,
    ROLLBACK,
    STAGE_MEANS,
    TYPES,
    VARYING,
    VERDICTS,
    Code,
    Current,
    Kind,
    Parameter,
    Part,
    Revisions,
    Rule,
    Stage,
    Step,
    find_code,
    is_common,
)
from rollout_status_lib.errors import RolloutError, UnreadableError, collect_errors, suggest
from rollout_status_lib.expressions import Expression
from rollout_status_lib.interpreter import walk_nodes
from rollout_status_lib.objects import split_path
from rollout_status_lib.rule_merge import RuleFiles
from rollout_status_lib.rulefile import Document, Entry, FieldPath
from rollout_status_lib.values import parse_duration


class RuleLoader:
    """Turns what the rule files declare into codes, kinds, parameters and rules.

    Codes, kinds and parameters are made at once; a rule is made when `load_rule` is called, which a live run does while it
    waits for kubectl. RolloutError `invalid-rules` when a field is wrong, or the error is added to the files' problems.
    """

    def __init__(self, files: RuleFiles) -> None:
        self.entries, self.problems = files.entries, files.problems
        self.checked: set[Expression] = set()  # their parameters are declared
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
        if entry.get("type", "rollout") not in CODE_TYPES:
            entry.report("type", f"no type {entry.get('type')}{suggest(entry.get('type'), CODE_TYPES)}")
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
            entry.report("type", f"no type {kind}{suggest(kind, TYPES)}")
        elif not isinstance(entry.get("choices", []), list):
            entry.report("choices", "choices must be a list, like [fast, slow]")
        else:
            try:
                param = replace(param, type=kind, choices=entry.texts("choices"))
                return replace(param, default=param.parse_value(str(default)))
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
            current.append(Current(document.get((*each, "child")), sides[0], sides[1], split_path(document.get((*each, "except"), ""))))
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
            deadline=entry.expression("deadline"),
            finishes=entry.expression("finishes"),
            owns=entry.texts("owns"),
            current=tuple(current),
            blocked_by=entry.expression("blocked_by"),
            blocked=entry.template("blocked"),
            runs=entry.expression("runs"),
            progress=entry.expressions("progress"),
            counts=entry.expressions("counts"),
            zero=tuple(map(split_path, entry.texts("zero"))),
            part_of=entry.text("part_of") or "",
            parts=tuple(parts),
            previous_log=entry.expression("previous_log"),
            stages=tuple(self.load_stages(*entry.place("stages"))),
            revisions=self.load_revisions(*entry.place("revisions")),
            shown=entry.expression("shown"),
        )

    def load_revisions(self, document: Document, at: FieldPath) -> Revisions | None:
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
                with collect_errors(self.problems):
                    raise RolloutError("invalid-rules", f"{expression.where}: no root {root}{suggest(root, ROLLBACK)}")
        kept_in, makes = (document.text((*at, field)) or "" for field in ("kept_in", "makes"))
        serves = document.expression((*at, "serves"))
        left_out = split_path(document.text((*at, "except")) or "")
        return Revisions(kept_in, number, template, current, left_out, makes, serves, can_roll_back, rollback)

    def load_stages(self, document: Document, at: FieldPath) -> Iterator[Stage]:
        for each in document.entries(at):
            fields = document.mapping(each, Stage.__slots__, ("name", "means"))
            if "means" in fields and fields["means"] not in STAGE_MEANS:
                document.report((*each, "means"), f"a stage cannot mean {fields['means']}{suggest(fields['means'], STAGE_MEANS)}")
            name, means = document.text((*each, "name")) or "", str(fields.get("means"))
            one, moment = document.expression((*each, "each")), document.expression((*each, "at"))
            yield Stage(name, means, one, moment, document.template((*each, "message")))

    def load_step(self, entry: Entry) -> Step:
        self.check_names(*entry.place("of"))
        begins, fails, passes, seen = (entry.expression(field) for field in ("begins", "fails", "passes", "seen"))
        return Step(entry.text("name") or "", entry.text("of") or "", begins, fails, passes, seen)

    def check_names(self, document: Document, at: FieldPath) -> None:
        """Refuses what names kinds and names one that no file declares."""
        for name in document.texts(at):
            if name not in self.entries["kinds"]:
                document.report(at, f"no kind {name}{suggest(name, self.entries['kinds'])}")

    def load_rule(self, entry: Entry) -> Rule:
        subjects, verdict, code = entry.texts("subject"), entry.text("verdict") or "wait", entry.text("code")
        if not subjects:
            entry.missing("subject", f"write one of {', '.join(self.kinds)}, workload")
        known = (*self.entries["kinds"], "workload")
        for word in subjects:
            if word not in known:
                entry.report("subject", f"no subject {word}{suggest(word, known)}")
        given = sorted(set(DECISIONS) & entry.fields.keys())
        if not given:
            entry.missing("verdict", "write one of verdict, fail_when and fail_after")
        elif len(given) > (2 if verdict == "hold" else 1):
            entry.report(given[-1], f"a rule has one of verdict, fail_when and fail_after, not {' and '.join(given)}: remove the others")
        if verdict not in VERDICTS:
            entry.report("verdict", f"no verdict {verdict}{suggest(verdict, VERDICTS)}")
        if code is None and (verdict == "fail" or {"fail_when", "fail_after"} & entry.fields.keys()):
            entry.missing("code", "this rule can fail; write one of rules/codes.yaml, or one of yours, like acme/broken")
        if code is not None and "{" not in code and not find_code(self.codes, code):
            entry.report("code", f"no code {code}{suggest(code, self.codes)} (one of yours has a prefix, like acme/{code})")
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
            endless=entry.flag("endless", default=False),
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
            return parse_duration(limit)
        except UnreadableError as error:
            entry.report("fail_after", f"{error}, or params.NAME")
        return None

    def check_params(self, rule: Rule) -> None:
        """Refuses `params.x` where no file declares x: it would be null and never match."""
        for expression in (each for each in rule.expressions() if "params" in each.text and each not in self.checked):
            self.checked.add(expression)
            for node in walk_nodes(expression.tree):
                names = [child.get("value") for child in node["children"][:2]] if node["type"] == "subexpression" else []
                if names[:1] == ["params"] and names[1] not in (known := self.entries["params"]):
                    with collect_errors(self.problems):
                        raise RolloutError("invalid-rules", f"{expression.where}: no parameter {names[1]}{suggest(names[1], known)}")
