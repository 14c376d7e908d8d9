"""The verb query: the value of an expression for each subject of a kind."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace

from rollout_status_lib.arguments import describe_exits
from rollout_status_lib.errors import RolloutError, suggest
from rollout_status_lib.expressions import Expression
from rollout_status_lib.objects import make_reference
from rollout_status_lib.rules import Rules, make_expectation
from rollout_status_lib.scope import Scope, View
from rollout_status_lib.secrets import hide
from rollout_status_lib.story import write_key
from rollout_status_lib.subjects import walk_subjects
from rollout_status_lib.verbs import Engine, Run, is_help, run_engine, run_verb

USAGE = "query EXPR --subject KIND [arguments of a run or of a replay]"
ABOUT = """Prints what an expression (JMESPath, as in rules) gives for each container,
pod, deployment or other KIND, as it is now or at the end of the replay."""
EXITS = describe_exits("the values are printed", "there is no such subject", "3 or 4 nothing could be judged, as for a run")


def main(argv: Sequence[str], engine: Engine) -> tuple[str, int]:
    """Runs as without `query`, but asks a cluster only once. Then prints the value of an expression for each subject of a kind."""
    return run_verb("query", lambda: query(list(argv), engine))


def query(argv: list[str], engine: Engine) -> tuple[str, int]:
    if is_help(argv):
        return f"usage: rollout-status {USAGE}\n\n{ABOUT}\n\n{EXITS}", 0
    name, rest = take_subject(argv)
    expression = Expression.parse(argv[0], "query")
    run = run_engine(engine, rest if any("replay" in word for word in rest) else [*rest, "--once"])
    if not run.judgement:
        raise RolloutError(run.result["error"]["code"], run.result["error"]["message"], exit=run.exit_code)
    if name not in run.rules.kinds:
        raise RolloutError("usage", f"unknown subject {name}{suggest(name, run.rules.kinds)}")
    lines = list(evaluate_for_each(expression, name, run))
    return "\n".join(lines) or f"there is no {name}", 0 if lines else 1


def collect_lets(rules: Rules, kind: str) -> dict[str, Expression]:
    """The names that the files give to expressions, for rules about a kind; of two the later file's. One that hides a kind is left out."""
    lets: dict[str, Expression] = {}
    for rule in [*rules.get_rules_about("workload"), *rules.get_rules_about(kind)]:
        lets |= rule.let
    for document in rules.files.teams:
        lets |= {name: document.require_expression(("let", name)) for name in document.get_mapping(("let",))}
    return {name: each for name, each in lets.items() if name not in rules.kinds}


def take_subject(argv: list[str]) -> tuple[str, list[str]]:
    """The kind that --subject names, and the arguments of the run: without the expression and --subject."""
    at = next((index for index, word in enumerate(argv) if word.lstrip("-").partition("=")[0] == "subject"), -1)
    if at < 0 or argv[0].startswith("--") or ("=" not in argv[at] and len(argv) <= at + 1):
        raise RolloutError("usage", f"write rollout-status {USAGE}")
    inline = argv[at].partition("=")[2]
    return inline or argv[at + 1], [*argv[1:at], *argv[at + (1 if inline else 2) :]]


def evaluate_for_each(expression: Expression, kind: str, run: Run) -> Iterator[str]:
    """A line for each subject of the kind, as the run saw it last: what it is called, and the value of the expression."""
    rule = replace(make_expectation("null", run.rules), when=expression, let=collect_lets(run.rules, kind))
    run.rules.loader.check_roots(rule)
    moment = run.judge.examine(run.before, run.snapshot)
    judgement, _ = moment.judge_all()
    for subject in (each for workload in judgement.workloads for each in walk_subjects(workload.subject) if each.kind.name == kind):
        scope = Scope(View(moment.get_roots(subject)), rule, moment.functions)
        scope.events_of = functools.partial(moment.read_events, subject)
        scope.used_of = functools.partial(moment.uses.read_values, subject)
        title = write_key((*make_reference(subject.holder).values(), *subject.part.values()))
        yield f"{title}: {hide(json.dumps(scope.evaluate(expression)))}"
