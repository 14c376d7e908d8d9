"""The verb explain: why each subject has its status."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jmespath.exceptions

from rollout_status_lib import Json
from rollout_status_lib.arguments import describe_exits
from rollout_status_lib.clean import to_line
from rollout_status_lib.declarations import ANNOTATION, Rule
from rollout_status_lib.errors import RolloutError
from rollout_status_lib.expressions import Expression
from rollout_status_lib.findings import Finding, Workload
from rollout_status_lib.functions import is_true
from rollout_status_lib.interpreter import compile_node, find_paths, format_path, split_conjuncts
from rollout_status_lib.objects import get_field, get_identity, get_name
from rollout_status_lib.progress import complain
from rollout_status_lib.scope import Scope, View
from rollout_status_lib.secrets import hide
from rollout_status_lib.subjects import Subject
from rollout_status_lib.verbs import Engine, is_help, run_verb
from rollout_status_lib.views.text import render_text

HELP = f"""usage: rollout-status explain [--nearly] [arguments of a run or of a replay]

Judges as a run does, and says why each workload, pod and container has its
status: which rules hold, and the values that they have read. With --nearly
also the rules that would hold but for one part of their `when`.

{describe_exits("the rollout succeeded", "it failed", "3 or 4 no verdict, as for a run")}"""
LONGEST_VALUE = 120  # characters


def main(argv: Sequence[str], engine: Engine) -> tuple[str, int]:
    """Runs as without `explain`, and then prints why each subject has its status. The exit code is the run's."""
    return run_verb("explain", lambda: explain(argv, engine))


def explain(argv: Sequence[str], engine: Engine) -> tuple[str, int]:
    if is_help(argv):
        return HELP, 0
    run = engine([argument for argument in argv if argument != "--nearly"])
    lines: list[str] = []
    if run.judgement:
        moment = run.judge.examine(run.before, run.snapshot)
        judgement, _ = moment.judge_all()
        explanations = [Explanation(moment, workload, "--nearly" in argv) for workload in judgement.workloads]
        lines = [line for each in explanations for line in each.describe(each.workload.subject)]
    if run.fault:
        complain(f"rollout-status explain: {run.fault}")
    return "\n".join([*map(to_line, lines), render_text(run.result)]), run.exit_code


class Explanation:
    """Explains a workload: each subject, below it the rules that hold for it, below these what they read."""

    def __init__(self, moment: Any, workload: Workload, nearly: bool) -> None:
        self.moment, self.workload, self.nearly = moment, workload, nearly
        self.findings: dict[str, list[Finding]] = {}  # by the keys of their subjects
        for finding in (*workload.findings, *workload.others):
            self.findings.setdefault(finding.subject.key, []).append(finding)
        self.objects = {get_identity(each): each for each in moment.snapshot.objects}  # as kubectl printed them

    def describe(self, subject: Subject, indent: str = "") -> Iterator[str]:
        """The lines about a subject and about all below it."""
        name = next(iter(subject.part.values()), get_name(subject.value))
        rules = self.moment.judge.get_rules(subject)
        findings = self.findings.get(subject.key, [])
        note = ", not of the current revision" if subject.blocked else ""
        yield f"{indent}{subject.kind.name} {name}: {len(rules)} rules, of which {len(findings)} hold{note}"
        for finding in findings:
            yield f"{indent}  {finding.verdict}: {finding.rule.id} ({finding.rule.where.rpartition(': ')[0]}): {finding.message}"
            yield from (f"{indent}      {line}" for line in self.list_reads(finding))
        if self.nearly:
            present = {finding.rule.id for finding in findings}
            yield from (f"{indent}  {line}" for rule in rules if rule.id not in present for line in self.describe_near_miss(rule, subject))
        for child in subject.children:
            yield from self.describe(child, f"{indent}  ")
        judged = {child.key for child in subject.children}
        for value in subject.old if len(subject.lineage) == 1 else ():
            if get_identity(value) not in judged:
                yield f"{indent}  {get_field(value, 'kind')} {get_name(value)}: of another revision, not judged"

    def describe_near_miss(self, rule: Rule, subject: Subject) -> Iterator[str]:
        """The lines about a rule whose `when` lacks one of its parts; none about any other rule."""
        if rule.each is not None:
            return
        scope = Scope(View(self.moment.get_roots(subject)), rule, self.moment.functions)
        parts = list(split_conjuncts(rule.when.tree))
        false = [part for part in parts if not is_true(self.evaluate(part, scope))]
        if len(parts) > 1 and len(false) == 1:
            yield f"nearly: {rule.id} ({rule.where.rpartition(': ')[0]}): all of its `when` holds, but for this part:"
            yield from (f"    {self.describe_value(path, scope, subject, rule)}" for path in find_paths(false[0]))

    def list_reads(self, finding: Finding) -> Iterator[str]:
        """`path = value` for each path that the rule's expressions read, also through a `let`."""
        rule, paths, lets = finding.rule, set(), set()
        asked = (rule.when, rule.given, rule.unless, rule.fail_when, rule.fail_after, rule.since)
        queue = [each for each in asked if isinstance(each, Expression)]
        while queue:
            for node in find_paths(queue.pop(0).tree):
                text, root = format_path(node), format_path(node).partition(".")[0]
                if root in rule.let and root not in lets:
                    lets.add(root)
                    queue.append(rule.let[root])
                is_whole = text == "null" or (text in finding.scope.roots and text not in rule.let)  # a whole object, like `pod`
                if text not in paths and not is_whole:
                    paths.add(text)
                    yield self.describe_value(node, finding.scope, finding.subject, rule)

    def evaluate(self, node: Json, scope: Scope) -> Json:
        """The value of a part of a rule. Null if it cannot be evaluated: the part before it in an && may be there to prevent that."""
        try:
            return compile_node(node)(scope, scope.functions)
        except (jmespath.exceptions.JMESPathError, RolloutError):
            return None

    def describe_value(self, node: Json, scope: Scope, subject: Subject, rule: Rule) -> str:
        """`path = value`, and the origin of a value that is not from the cluster."""
        value = hide(json.dumps(self.evaluate(node, scope)))  # before it is cut
        short = value if len(value) <= LONGEST_VALUE else f"{value[: LONGEST_VALUE - 3]}..."
        return f"{format_path(node)} = {short}{self.describe_origin(node, subject, rule)}"

    def describe_origin(self, node: Json, subject: Subject, rule: Rule) -> str:
        """Where a parameter got its value, or that a 0 was filled in; empty for a value from the cluster."""
        root, *path = trace_names(node, rule.let)
        if root == "params" and path:
            return f" ({self.describe_source(path[0])})"
        for name, value in subject.lineage:
            kind = self.moment.rules.kinds[name]
            if root in (name, "self" if value is subject.value else name) and tuple(path) in kind.zero:
                printed = get_field(self.objects.get(get_identity(value)), *path)
                return " (filled in: Kubernetes leaves a 0 out)" if printed is None else ""
        return ""

    def describe_source(self, name: str) -> str:
        """What set a parameter for this workload."""
        judge = self.moment.judge
        if name in judge.fixed:
            return "from a flag"
        if self.moment.params_of[self.workload.subject.key][name] != judge.params[name]:
            return f"from the annotation {ANNOTATION}{name.replace('_', '-')}"
        document, at = self.moment.rules.files.entries["params"][name].find_place("default")
        return f"from {document.locate(at)}"


def trace_names(node: Json, lets: Mapping[str, Expression]) -> list[str]:
    """The keys in a path, from a root on. A `let` at its beginning is replaced by its own path, if it is one."""
    if node["type"] == "field":
        name = str(node["value"])
        return trace_names(lets[name].tree, {key: let for key, let in lets.items() if key != name}) if name in lets else [name]
    if node["type"] == "subexpression":
        first, *rest = node["children"]
        return [*trace_names(first, lets), *(name for child in rest for name in trace_names(child, {}))]
    return [""]
