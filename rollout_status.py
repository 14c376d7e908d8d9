#!/usr/bin/env python3
# /// script
# requires-python = ">=3.10"
# dependencies = ["jmespath>=1.1", "PyYAML>=6.0.1", "sh>=2.1", "jsonschema>=4.17"]
# ///
"""Waits until what was applied to Kubernetes has rolled out, says whether it did, and if not, why.

    rollout-status [KIND/NAME ...] [flags]

It asks `kubectl get -o json` again and again, classifies what it sees by the rules in rules/*.yaml, and prints one JSON
document that satisfies schema.json as early as the verdict can be known. No state, reason or condition of Kubernetes is
named in Python: that knowledge is in rules/. This engine knows objects, owners, time and expressions.

This file reads in the order in which the data flows; the parts that it calls lie in rollout_status_lib/:

    arguments -> rules -> source (kubectl | replay) -> snapshot -> tree of subjects -> findings -> verdict -> result

The clock is the snapshot's: nothing below the source asks the machine what time it is, so a replay gives the verdict of
the live run. Errors are raised anywhere and become the JSON and the exit code in one place, `run_to_end`.
"""

from __future__ import annotations

import sys

try:
    import rollout_status_start as start
except ImportError as missing:
    why = f"{missing}; copy the whole program (cp -r rollout_status* rules schema.json DIR)"
    print(f'{{"success": false, "error": {{"code": "internal", "type": "program", "message": "{why}"}}}}')
    print(f"rollout-status: {why}", file=sys.stderr)
    raise SystemExit(70) from None
if __name__ == "__main__":
    start.listen()  # before all that takes its time
start.prepare()
try:
    import argparse
    import functools
    import gc
    import importlib
    import json
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
    from contextlib import closing, suppress
    from dataclasses import replace
    from pathlib import Path
    from typing import Any

    for part in ("rollout_status_start.py", "rollout_status_lib/__init__.py"):
        if not Path(__file__).resolve().parent.joinpath(part).is_file():  # an installed one may be another
            raise ModuleNotFoundError(f"No {part} beside {__file__}", name="rollout_status_lib")  # noqa: TRY301
    from rollout_status_lib import DEMO, Json, find_data
    from rollout_status_lib.arguments import build_parser, collect_settings, refuse_contradictions
    from rollout_status_lib.changes import find_changes
    from rollout_status_lib.clean import to_line
    from rollout_status_lib.commands import add_kubectl_flags
    from rollout_status_lib.contract import enforce, load_schema
    from rollout_status_lib.declarations import FIRST_CODES, Kind, Rule, get_code
    from rollout_status_lib.errors import MISHAPS, RULE_DOUBT, EvaluationError, RolloutError
    from rollout_status_lib.events import Events
    from rollout_status_lib.findings import (
        Finding,
        Judgement,
        Workload,
        end_waits,
        find_missing_containers,
        group_failures,
        is_late,
        make_doubt,
        make_kind_doubts,
        promote_causes,
    )
    from rollout_status_lib.functions import Functions, is_true
    from rollout_status_lib.interrupts import INTERRUPTS, Interrupted
    from rollout_status_lib.kept import KEPT
    from rollout_status_lib.logs import Logs
    from rollout_status_lib.memory import Memory, Pace, keep_newest
    from rollout_status_lib.objects import (
        get_controller,
        get_creation_time,
        get_identity,
        make_reference,
    )
    from rollout_status_lib.progress import Progress
    from rollout_status_lib.result import make_document, make_error_entries, make_workload_entry
    from rollout_status_lib.rules import Rules, make_expectation, read_rules
    from rollout_status_lib.scope import Reads, Scope, View
    from rollout_status_lib.secrets import SECRETS
    from rollout_status_lib.selection import Selection, make_selection, read_applied
    from rollout_status_lib.serving import find_serving
    from rollout_status_lib.source import Hooks, Poll, Snapshot, Source
    from rollout_status_lib.sources import open_source
    from rollout_status_lib.streams import set_deadline, write_out
    from rollout_status_lib.subjects import Subject, Tree
    from rollout_status_lib.uses import Uses
    from rollout_status_lib.values import format_timestamp
except Exception as error:  # noqa: BLE001, a part that is missing or was copied by half
    raise SystemExit(start.refuse(sys.argv[1:], *start.describe_fault(error, __file__))) from None

# -------------------------------------------------------------------------------------------------------------- judge
LONGEST_WAIT = 600.0  # seconds without progress; rules/workload.yaml has the parameter
NONE = 1e9  # seconds from which on a deadline is none
LATER = 60.0  # seconds that a workload's own controller gets to say itself that its deadline has passed


class Judge:
    """Judges snapshots in the order of their time. It keeps nothing itself: what it must remember is an argument and a result.

    The time in which polls fail does not count: the cluster could not be seen, and may not have been able to move.
    """

    def __init__(
        self,
        rules: Rules,
        selection: Selection,
        settings: Collection[tuple[str, str]],
        patience: float,
        expected: Sequence[Rule],
        *,
        timeout: float = 0.0,
    ) -> None:
        self.rules, self.selection, self.params = rules, selection, rules.compute_params(settings)
        self.fixed = {name for name, _ in settings}  # parameters that no annotation can change
        if 0 <= self.params.get("arrival_deadline", -1.0) < timeout:
            self.params["arrival_deadline"] = -1.0  # what has not arrived is awaited until --timeout then
        self.patience = patience  # seconds in which missing workloads may appear
        self.expected = list(expected)  # rules of the command line, about workloads
        self.unnamed = dict.fromkeys((*rules.kinds, "each", "null"))  # JMESPath knows null only as a field that is not there

    def judge(self, memory: Memory, snapshot: Snapshot) -> tuple[Judgement, Memory]:
        """The judgement of a snapshot that is not older than the last one, and what to remember for the next."""
        return self.examine(memory, snapshot).judge_all()

    def examine(self, memory: Memory, snapshot: Snapshot) -> Moment:
        """The moment of a snapshot; the failed polls before it, if any, end with it."""
        if memory.failing_since >= 0:
            outage = memory.outage + snapshot.at - memory.failing_since
            memory = replace(memory, outage=outage, failing_since=-1.0, failed_calls={})
        return Moment(self, memory, snapshot)

    def judge_call(self, memory: Memory, call: Json, at: float, *, again: bool) -> tuple[Finding, Memory]:
        """What rules/kubectl.yaml says of a call that failed; `again` if its poll was judged before."""
        resource = str(call["resource"])
        failures, last = memory.failed_calls.get(resource, (0, -1.0))
        failures += not again and last != at  # those of one poll are one
        moment = Moment(self, memory, Snapshot(at, (), None, lambda _: None))
        value = {"failures": failures, "meant": self.rules.suggest_kind(resource), **call}
        found = list(moment.find(Subject.of(self.rules.kinds["call"], value, "call")))
        if not found:
            raise RolloutError("internal", f"no rule of kubectl.yaml speaks of {json.dumps(call)}")
        return max(found, key=lambda finding: finding.verdict == "fail"), replace(
            memory,
            started=moment.started,
            failing_since=at if memory.failing_since < 0 else memory.failing_since,
            failed_calls={**memory.failed_calls, resource: (failures, at)},
            since={**memory.since, **moment.present},
        )

    def get_rules(self, subject: Subject) -> list[Rule]:
        """The rules about a subject."""
        own = self.rules.get_rules_about(subject.kind.name)
        return own + self.rules.get_rules_about("workload") + self.expected if subject.kind.resource and len(subject.lineage) == 1 else own


class Moment:
    """The judging of one snapshot. Durations are of a clock that stands still while polls fail."""

    def __init__(self, judge: Judge, memory: Memory, snapshot: Snapshot) -> None:
        self.judge, self.rules, self.selection = judge, judge.rules, judge.selection
        objects, self.notes = keep_newest(snapshot.objects, memory.grown)
        self.memory, self.snapshot, self.functions = memory, replace(snapshot, objects=objects), Functions(snapshot.at)
        self.started = snapshot.at if memory.started < 0 else memory.started
        self.now = snapshot.at - memory.outage
        self.paces = dict(memory.paces)
        self.present: dict[tuple[str, str], float] = {}  # rule and subject -> when its state began
        self.still: dict[str, tuple[Json, Reads]] = {}  # subject without findings -> what that depends on
        self.applied: dict[str, Json] = {}  # workload -> what kubectl printed when it was applied
        self.first = dict(memory.first)  # kind, namespace and name of a workload -> the first object that was seen there
        self.params_of: dict[str, dict[str, Json]] = {}  # workload -> the parameters with its annotations
        self.roots_below: dict[int, dict[str, Json]] = {}  # id() of a workload -> the roots that all below it share
        self.events = Events(judge.rules, self.snapshot, self.functions)
        self.uses: Any = None  # Uses, once there is a tree
        self.held = False  # whether a rule's state was present, since the last time this was set

    def judge_all(self) -> tuple[Judgement, Memory]:
        """The judgement of all workloads, and what to remember for the next one."""
        tree = Tree(self.rules, self.snapshot, self.functions, self.memory.grown)
        self.uses = Uses(self.rules, self.snapshot, tree, self.find)
        found = [(root, self.find_all(root)) for root in (tree.grow(kind, resource) for kind, resource in self.find_roots())]
        self.uses.gather(finding for _, findings in found for finding in findings)
        workloads = [self.judge_workload(root, findings) for root, findings in found]
        gone, missing, awaited = self.find_missing({workload.key for workload in workloads})
        kinds = self.selection.kinds
        workloads = sorted([*workloads, *gone], key=lambda each: (kinds.index(each.kind), get_creation_time(each.value), each.key))
        containers = find_missing_containers(workloads, self.judge.params.get("expect_image", ()), self.rules, self.functions)
        is_over = 0 <= self.judge.params.get("arrival_deadline", LONGEST_WAIT) <= self.snapshot.at - self.started
        missing, awaited = (missing + containers, awaited) if is_over else (missing, awaited + containers)
        failures = group_failures(workloads, self.rules.codes)
        notes, settled = tuple(dict.fromkeys([*self.functions.doubts.values(), *self.notes])), self.selection.is_settled
        return Judgement(self.snapshot.at, tuple(workloads), failures, tuple(missing), tuple(awaited), notes, settled), replace(
            self.memory,
            started=self.started,
            since=self.present,
            paces=self.paces,
            seen={**self.memory.seen, **{workload.key: workload for workload in workloads}},
            grown=tree.grown,
            first=self.first,
            settled=self.still,
        )

    def find_roots(self) -> Iterator[tuple[Kind, Json]]:
        """The workloads to judge, each with its kind."""
        for resource in self.snapshot.objects:
            kind = self.rules.find_kind(resource)
            chosen = self.snapshot.chosen is None or get_identity(resource) in self.snapshot.chosen
            if kind and chosen and self.selection.wants(kind, resource, self.rules.find_kind(get_controller(resource))):
                yield kind, resource

    def find_all(self, root: Subject) -> list[Finding]:
        """All findings about a workload and about what it owns."""
        values = [self.rules.read(expression, root.value, self.functions) for expression in root.kind.progress]
        before = self.paces.get(root.key)
        self.paces[root.key] = before.move(values, self.now, self.snapshot.at) if before else Pace.begin(values, self.now)
        target = self.selection.target(root.kind, root.value)
        self.applied[root.key] = target and target.applied
        self.first.setdefault(tuple(make_reference(root.value).values()), root.value)
        self.params_of[root.key] = {**self.judge.params, **dict(self.rules.read_annotations(root.value, self.judge.fixed, self.notes))}
        return list(self.find(root))

    def judge_workload(self, root: Subject, found: Sequence[Finding]) -> Workload:
        """A workload with its status, which follows from the findings."""
        self.notes += [finding.message for finding in found if finding.verdict == "note"]
        others = tuple(finding for finding in found if finding.verdict in ("note", "ignore"))
        if any(finding.verdict == "ignore" and finding.subject is root for finding in others):
            return Workload(root, "ignored", (), others)
        deciding = self.uses.explain(found)
        idle = self.now - self.paces[root.key].idle_since
        if any(each.verdict == "fail" for each in deciding):
            deciding = promote_causes(deciding, self.rules.codes)
        elif 0 <= self.get_deadline(root) <= idle:
            deciding = end_waits(deciding, idle, self.rules.codes)
        deciding.sort(key=lambda finding: (finding.verdict != "fail", *finding.order(self.rules.codes), finding.rule.id))
        status = "ready" if not deciding else "failed" if deciding[0].verdict == "fail" else "waiting"
        if status == "ready":  # if it waits again, its deadline begins anew
            self.paces[root.key] = replace(self.paces[root.key], idle_since=self.now)
        return Workload(root, status, tuple(deciding), others)

    def get_deadline(self, root: Subject) -> float:
        """Seconds without progress after which a workload waits no longer: its own deadline, or else progress_deadline. Negative: never.

        Its own controller comes first: it knows the deadline too, and says more.
        """
        own: Json = self.rules.read(root.kind.deadline, root.value, self.functions)
        has_own = type(own) in (int, float) and own < NONE  # NaN is no deadline either
        return float(own + LATER if has_own else self.params_of[root.key].get("progress_deadline", LONGEST_WAIT))

    def find(self, subject: Subject, reads: Reads | None = None) -> Iterator[Finding]:
        """The findings about a subject and all below it. One that is ignored or held is judged no further."""
        rules, view = self.judge.get_rules(subject), View(self.get_roots(subject), reads)
        for verdict in ("ignore", "hold"):
            found = list(make_kind_doubts(subject, view, self.rules, self.functions) if verdict == "hold" else ())
            found = found or [finding for rule in rules if rule.verdict == verdict for finding in self.apply(rule, subject, view)]
            if found:
                self.held |= bool(subject.doubts)
                yield from found
                return
        for rule in rules:
            if rule.verdict not in ("ignore", "hold"):
                yield from self.apply(rule, subject, view)
        for child in subject.children:
            yield from self.find(child, reads) if child.kind.owns or child.kind.part_of else self.find_if_changed(child, view.roots)

    def find_if_changed(self, subject: Subject, roots: Mapping[str, Json]) -> Iterator[Finding]:
        """The findings about an object that owns nothing. If it had none, it is judged again only when something it depends on changes."""
        before = self.memory.settled.get(subject.key)
        if not (before and before[0] is subject.value and before[1].are_same(roots)):
            before = (subject.value, Reads(subject.lineage[:-1]))
            self.held = self.functions.used_clock = False
            yield from self.find(subject, before[1])
            if self.held or self.functions.used_clock:
                return
        self.still[subject.key] = before

    def get_roots(self, subject: Subject) -> dict[str, Json]:
        """The names at the root of expressions about a subject. `time.in_state` is added once a rule's state is present."""
        if id(subject.workload) not in self.roots_below:
            workload = get_identity(subject.workload)
            idle_since = self.paces[workload].idle_since if workload in self.paces else self.now
            watched, idle = round(self.snapshot.at - self.started, 3), round(self.now - idle_since, 3)
            self.roots_below[id(subject.workload)] = {
                **self.judge.unnamed,
                "workload": subject.workload,
                "params": self.params_of.get(workload, self.judge.params),
                "applied": self.applied.get(workload),
                "unasked": self.selection.unasked,
                "first": self.first.get(tuple(make_reference(subject.workload).values())),
                "time": {"now": format_timestamp(self.snapshot.at), "watched": watched, "idle": idle},
            }
        controllers = [way.child for way in subject.kind.current if self.rules.kinds[way.child].owns]
        return {
            **self.roots_below[id(subject.workload)],
            **dict.fromkeys(controllers, next(iter(subject.owned), None)),
            **dict(subject.lineage),
            "self": subject.value,
            "exists": subject.exists,
            "owned": list(subject.owned),
            "old": list(subject.old),
        }

    def apply(self, rule: Rule, subject: Subject, view: View) -> Iterator[Finding]:
        """The findings of a rule about a subject: one if its state is present; for a rule with `each`, one for each such entry."""
        try:
            for scope in self.list_scopes(rule, view):
                if scope.holds(rule.when):
                    yield from self.decide(rule, subject, scope)
        except EvaluationError as error:
            yield from make_doubt(rule, subject, Scope(view, rule, self.functions), self.forgive(rule, error))

    def list_scopes(self, rule: Rule, view: View) -> Iterator[Scope]:
        """What the rule sees of a subject: once, or once for each entry of its list."""
        entries = [None] if rule.each is None else Scope(view, rule, self.functions).evaluate(rule.each)
        if not isinstance(entries, list | None):
            raise EvaluationError(rule.where, f"each must give a list, not {json.dumps(entries, default=str)[:60]}")
        for entry in entries or ():
            scope = Scope(view, rule, self.functions)
            scope.roots = view.roots if rule.each is None else {**view.roots, "each": entry}
            yield scope

    def forgive(self, rule: Rule, error: EvaluationError) -> EvaluationError:
        """The error, noted; raises it if no team wrote what has no value."""
        if not rule.forgives(error):
            raise error
        self.held = True  # it may have a value when it is judged again
        self.functions.doubts.setdefault(error.where, f"{RULE_DOUBT}{error.message}")
        return error

    def decide(self, rule: Rule, subject: Subject, scope: Scope) -> Iterator[Finding]:
        """The finding of a rule whose `when` is true, if its `given` is true as well and its `unless` is not."""
        self.held = True
        scope.events_of, scope.used_of = functools.partial(self.read_events, subject), lambda: self.uses.read_values(subject)
        if (rule.given and not scope.holds(rule.given)) or scope.holds(rule.unless):
            return
        began = self.present[rule.id, subject.key] = self.memory.since.get((rule.id, subject.key), self.now)
        in_state = round(self.now - began, 3)
        scope.roots = {**scope.roots, "time": {**scope.view.roots["time"], "in_state": in_state}}
        is_over = scope.holds(rule.fail_when) or is_late(rule, scope, in_state, self.snapshot.at)
        finding = Finding(rule, subject, "fail" if is_over else rule.verdict, scope)
        if rule.teams and (error := finding.find_fault(self.rules.codes)):
            self.forgive(rule, error)
        yield finding

    def find_missing(self, present: Collection[tuple[str, str, str]]) -> tuple[list[Workload], list[str], list[str]]:
        """For absent workloads: those with a verdict or a last word, messages about lost ones, messages about ones that may yet appear."""
        gone = [workload for key, workload in self.memory.seen.items() if key not in present]
        known = [workload for workload in gone if workload.status == "ready" and self.has_finished(workload)]
        known += [last for workload in gone if workload not in known if (last := self.judge_gone(workload.subject))]
        keys = {*present, *self.memory.seen}
        applied = [target for target in self.selection.targets or () if target.applied and not any(map(target.is_key, keys))]
        known += [last for target in applied if (last := self.judge_gone(Subject.of(target.kind, target.applied)))]
        keys |= (told := {workload.key for workload in known})
        lost = [make_reference(workload.value) for workload in gone if workload.key not in told]
        missing = [f'{each["kind"]} "{each["name"]}" was deleted while it was watched' for each in lost]
        unseen = self.selection.list_unseen(self.rules, self.snapshot.objects, keys)
        if self.snapshot.at - self.started >= self.judge.patience:
            return known, missing + unseen, []
        return known, missing, unseen or ([] if self.selection.targets is not None or keys else ["Waiting for something to judge"])

    def judge_gone(self, subject: Subject) -> Workload | None:
        """A workload that is gone, by the rules about such ones; None if they say nothing. It is ready if they only note that."""
        view = View(self.get_roots(subject))
        found = [
            finding for rule in self.rules.get_rules_about(subject.kind.name, gone=True) for finding in self.apply(rule, subject, view)
        ]
        self.notes += [finding.message for finding in found if finding.verdict == "note"]
        deciding = tuple(sorted((each for each in found if each.verdict != "note"), key=lambda each: each.verdict != "fail"))
        status = "ready" if not deciding else "failed" if deciding[0].verdict == "fail" else "waiting"
        return Workload(subject, status, deciding, tuple(each for each in found if each.verdict == "note")) if found else None

    def has_finished(self, workload: Workload) -> bool:
        return is_true(self.rules.read(workload.kind.finishes, workload.value, self.functions))

    def read_events(self, subject: Subject, root: str) -> list[Json] | None:
        """What a root gives, `events` or `history`: events about the subject, newest first; None when they cannot be read."""
        if root == "history":
            return self.events.read_all(subject)
        pace = self.paces.get(get_identity(subject.workload))
        return self.events.read(subject, pace.changed if pace else 0.0)


# ---------------------------------------------------------------------------------------------------------------- run


class Run:
    """One run from its arguments to its verdict, and what is known of it so far. Parts that a run has not reached are None."""

    def __init__(self, base: Path | None = None, *, choose: Callable[[argparse.Namespace], Progress] | None = None) -> None:
        self.base = base or find_data("rules")  # the built-in rules
        self.choose, self.progress = choose, Progress(sys.stderr, quiet=False)
        self.output, self.waits_for_all = "text" if sys.stdout.isatty() else "json", False
        self.rules: Any = None  # Rules
        self.source: Source | Any = None
        self.logs: Any = None  # Logs, of that source
        self.judge: Any = None  # Judge
        self.recorder: Any = None  # Recorder
        self.timeline: Any = None  # Timeline and Reports, of --report
        self.reports: Any = None
        self.before = self.memory = Memory()  # what was remembered before the last judgement, and after it
        self.snapshot: Any = None  # Snapshot that was judged last, and its Judgement
        self.judgement: Any = None
        self.ready_since = -1.0  # by the clock that stands still while polls fail; -1: it is not ready
        self.notes: list[str] = []
        self.revisions: list[Json] = []  # that were read once the rollout had failed
        self.polls, self.elapsed = 0, 0.0
        self.result: dict[str, Json] = {}
        self.exit_code = 0
        self.trouble = ""  # why the last poll failed, if it did
        self.fault = ""  # what is wrong with the program itself, in a sentence; the exit code is 70 then

    def watch(self, argv: Sequence[str]) -> None:
        """Polls until there is a verdict; RolloutError when the run ends without one."""
        options = build_parser().parse(["--replay", str(DEMO), *argv[1:]] if list(argv[:1]) == ["demo"] else argv)
        set_deadline(options.timeout)
        self.output, self.waits_for_all = options.output or self.output, options.wait_for_all
        SECRETS.begin(options.redact)
        self.progress = self.choose(options) if self.choose else Progress(sys.stderr, quiet=options.quiet)
        self.progress.shows_all = options.wait_for_all
        self.rules = read_rules(options, self.base)
        selection = make_selection(options, self.rules)
        self.notes += self.rules.note_undeclared()
        expected = [make_expectation(text, self.rules) for text in options.expect]
        self.judge = Judge(self.rules, selection, collect_settings(options), options.wait_for_create, expected, timeout=options.timeout)
        SECRETS.shapes = SECRETS.shapes if self.judge.params.get("redact_known", True) else ()
        refuse_contradictions(options)
        self.source = open_source(options, self.rules, selection)
        self.logs = Logs(self.source)
        self.progress.tail = self.logs.tail
        self.notes += read_applied(options, self.rules, selection, self.source)
        self.open_reports(options, selection)
        if options.check_access:
            from rollout_status_lib.sources.access import check_access  # noqa: PLC0415, only when asked for

            check_access(self.source, self.notes)
            return
        hooks = Hooks((self.prepare, load_schema), self.get_judged, lambda snapshot: self.is_due(snapshot, options.stable_for))
        try:
            self.progress.start()
            with closing(self.source.polls(hooks)) as polls:
                self.watch_polls(polls, options)
        finally:
            self.progress.stop()

    def open_reports(self, options: argparse.Namespace, selection: Selection) -> None:
        """Opens what --report, --record and --dump ask for."""
        if options.report:
            from rollout_status_lib.reports.files import Reports  # noqa: PLC0415, only when asked for
            from rollout_status_lib.reports.timeline import Timeline  # noqa: PLC0415

            self.timeline = Timeline(self.rules, live=not (options.replay or options.record or options.dump))
            self.reports = Reports([Path(name) for name in options.report], self.timeline, self.source)
        if options.record or options.dump:
            from rollout_status_lib.sources.recorder import Recorder  # noqa: PLC0415, only when asked for

            self.recorder = Recorder(Path(options.record or options.dump), selection, self.rules, only_failed=bool(options.dump))

    def prepare(self) -> None:
        """Loads the rules, which nobody needs before there is something to judge; RolloutError when one is wrong."""
        self.rules.load_judged(self.judge.selection.kinds)
        SECRETS.allow(self.rules.list_texts())
        KEPT.save()

    def get_judged(self) -> frozenset[str]:
        """The identities of all that was judged last, and of what is below it and of other revisions."""
        grown = self.memory.grown
        return frozenset([*grown, *(get_identity(each) for _, subject in grown.values() for each in subject.old)])

    def is_due(self, snapshot: Snapshot, stable_for: float) -> bool:
        """True if there would be a verdict when nothing but the time had changed."""
        judgement, memory = self.judge.judge(self.memory, snapshot)
        if not judgement.ready or judgement.nothing:
            return bool(judgement.has_failed(for_all=self.waits_for_all) or judgement.nothing)
        return bool(self.ready_since < 0 or snapshot.at - memory.outage - self.ready_since >= stable_for)

    def watch_polls(self, polls: Iterator[Poll], options: argparse.Namespace) -> None:
        """Judges polls until there is a verdict; RolloutError when they end without one."""
        for poll in polls:
            self.polls += not poll.again
            self.elapsed = poll.at - self.memory.started if self.memory.started >= 0 else 0.0
            try:
                self.take(poll, once=options.once)
            finally:
                self.record(poll)
            if poll.snapshot and (self.judgement.has_failed(for_all=self.waits_for_all) or self.has_lasted(options.stable_for)):
                return None
            if options.once and poll.snapshot:
                return self.end("--once")
            if 0 < options.timeout <= self.elapsed:
                return self.end(f"Timed out after {options.timeout:g}s")
        return self.end("The recording ends without a verdict")

    def end(self, why: str) -> None:
        """Ends what still waits; RolloutError unless something has failed already."""
        if not (self.judgement and self.judgement.failed):
            raise self.out_of_time(why)
        self.notes.append(f"{why}: {self.describe_waits()}")

    def take(self, poll: Poll, *, once: bool) -> None:
        """Judges a poll; RolloutError when a call failed that the run cannot do without, or not any longer."""
        SECRETS.learn(poll.snapshot.objects if poll.snapshot else ())
        for warning in self.source.warnings:
            self.progress.say_new(poll.at, warning, f"kubectl: {warning}")
        if poll.snapshot:
            self.before, self.snapshot = self.memory, poll.snapshot
            judgement, self.memory = self.judge.judge(self.memory, poll.snapshot)
            self.judgement = judgement.keep_failures(self.judgement, self.rules.codes) if self.waits_for_all else judgement
            if self.judgement.has_failed(for_all=self.waits_for_all):
                INTERRUPTS.defer()  # the verdict is there
                self.logs.prefetch([findings[0] for findings in self.judgement.failures])
            self.progress.show(self.judgement)
        troubles: list[str] = []
        for call in poll.calls:
            finding, self.memory = self.judge.judge_call(self.memory, call, poll.at, again=poll.again)
            code = finding.code(self.rules.codes)
            if finding.verdict == "note" and self.source.drop(call):
                self.notes.append(finding.message)
            elif finding.verdict == "wait" and not once:
                troubles.append(finding.message)
            else:
                hint = add_kubectl_flags(finding.hint, self.source.flags)
                message = finding.message if code else f"Nothing is left that could be judged: {finding.message}"
                raise RolloutError(code.name if code else "forbidden", message, hint=hint, rule=finding.rule.id)
        self.trouble = next(iter(troubles), "")
        if troubles:  # the first will do: calls of one poll mostly fail for the same cause
            self.progress.trouble(poll.at, self.trouble)

    def record(self, poll: Poll) -> None:
        """Adds a poll to the recording and to the timeline of the reports, if there is one."""
        if self.recorder:
            self.recorder.add(poll, [workload.value for workload in self.judgement.workloads] if self.judgement else [])
        if self.timeline:
            self.timeline.add(poll, self.judgement)

    def has_lasted(self, seconds: float) -> bool:
        """True if the success has lasted that long, or if there is nothing to judge."""
        if not self.judgement.ready or self.judgement.nothing:
            self.ready_since = -1.0
            return bool(self.judgement.nothing)
        now = self.snapshot.at - self.memory.outage
        self.ready_since = now if self.ready_since < 0 else self.ready_since
        if now - self.ready_since < seconds:
            self.progress.say_new(self.judgement.at, "stable", f"everything is ready, and must stay so for {seconds:g}s")
            return False
        return True

    def out_of_time(self, why: str) -> RolloutError:
        """The end without a verdict: why nothing was seen, or what is waited for, and the command that shows more of the first of it."""
        if self.trouble and not self.judgement:
            return RolloutError("unreachable", f"{why}: {self.trouble}")
        waiting = self.judgement.get_waiting(self.rules.codes) if self.judgement else []
        findings = [finding for workload in waiting for finding in workload.findings if finding.rule.hint]
        hint = findings[0].hint if findings else ""
        return RolloutError("timeout", f"{why}: {self.describe_waits()}", hint=add_kubectl_flags(hint, self.source.flags))

    def describe_waits(self) -> str:
        """What has not come yet, in a sentence."""
        if self.ready_since >= 0:
            return f"everything is ready, for {self.snapshot.at - self.memory.outage - self.ready_since:.0f}s now"
        waits = (self.judgement and self.judgement.describe_waits(self.rules.codes)) or "nothing was seen of the cluster"
        return f"{waits}; {self.trouble}" if self.trouble else waits

    # ------------------------------------------------------------------------------------------------------- its result

    def conclude(self, end: RolloutError | None) -> None:
        """Makes the result and the exit code, of the last judgement or of what ended the run without one.

        Logs and revisions are read from the cluster for it, the recording is ended, and the reports are written.
        """
        INTERRUPTS.defer()
        judgement = self.judgement
        if not end and judgement and judgement.nothing:
            end = self.judge.selection.end_empty(self.source, self.notes)
        codes = self.rules.codes if self.rules else {}
        absence = self.judge.selection.explain_absence(self.source) if not end and judgement and judgement.missing else ""
        entries = make_error_entries(end, judgement, codes, self.logs, absence)
        workloads = [self.make_workload(each, failed=not end) for each in judgement.workloads] if judgement else None
        self.exit_code = end.exit if end and end.exit else get_code(codes, entries[0]["code"]).exit if entries else 0
        self.fault = end.line if end and end.code == "internal" else ""
        self.notes += self.rules.files.notes if self.rules else []
        notes = [*(judgement.notes if judgement else ()), *self.notes, *(self.source.notes if self.source else ())]
        self.accept(make_document(entries, workloads, notes, started=self.memory.started, elapsed=self.elapsed, polls=self.polls))
        if self.recorder:
            self.recorder.end(self.source.logs, self.revisions, self.exit_code)
            self.add_notes(self.recorder.notes)
        if self.timeline and judgement and self.memory.failing_since < 0 and not INTERRUPTS.pending:
            self.timeline.read_events(self.snapshot)
        if self.reports:
            self.add_notes(self.reports.write(self.result))

    def make_workload(self, workload: Workload, *, failed: bool) -> dict[str, Json]:
        """A workload's entry in the result. What has changed is looked up if the rollout has failed, and this workload too."""
        entry = make_workload_entry(workload, self.rules.codes, self.source.flags)
        try:
            entry |= find_serving(workload, self.rules, self.snapshot)
            if failed and workload.status == "failed":
                changes, revisions = find_changes(workload, self.rules, self.snapshot, self.source)
                self.revisions += revisions
                entry |= changes
        except RolloutError as error:  # a rule file is wrong about them: the verdict stands
            self.notes.append(f"it is unknown what is serving and what has changed: {error.message}")
        return entry

    def accept(self, document: dict[str, Json]) -> None:
        """Takes a document for the result if it satisfies schema.json; if not, its verdict alone, and exit code 70."""
        SECRETS.learn(self.revisions)
        document, problem = enforce(document)
        self.result = SECRETS.hide_all(document)
        if problem:
            self.fault, self.exit_code = self.fault or problem, FIRST_CODES["internal"].exit

    def add_notes(self, notes: Collection[str]) -> None:
        """Adds notes to the result."""
        if notes:
            self.accept({**self.result, "notes": [*self.result.get("notes", ()), *notes]})


# --------------------------------------------------------------------------------------------------------------- main


def run_to_end(argv: Sequence[str], base: Path | None = None, choose: Callable[[argparse.Namespace], Progress] | None = None) -> Run:
    """The run of a command line, with its result, however it ends."""
    run = Run(base, choose=choose)
    try:
        run_to_verdict(run, argv)
    except RolloutError as end:  # a finding's message cannot be told
        run.judgement = None
        run.conclude(end)
    except Exception as error:  # noqa: BLE001, the one place that ends a run
        if not isinstance(error, ImportError):
            import traceback  # noqa: PLC0415, only for a bug: it takes 5 ms

            with suppress(OSError, ValueError):
                print("\n".join(map(to_line, traceback.format_exc().splitlines())), file=sys.stderr)
        message, hint = start.describe_fault(error, __file__)
        run.judgement = None
        run.conclude(RolloutError("internal", message, hint=hint))
    return run


def run_to_verdict(run: Run, argv: Sequence[str]) -> None:
    """Runs until there is a verdict, an error or a signal, and concludes with it. A signal that comes later leaves the verdict."""
    try:
        try:
            INTERRUPTS.listen()
            run.watch(argv)
            run.conclude(None)
        except RolloutError as end:
            run.judgement = None if end.code == "invalid-rules" else run.judgement  # it could not be told without that rule
            run.conclude(end)
        except RecursionError:
            run.judgement = run.timeline = run.recorder = None
            code = "usage" if hasattr(run.source, "recorded") else "internal"
            run.conclude(RolloutError(code, "An object is nested too deeply to be judged"))
        finally:
            INTERRUPTS.defer()
    except Interrupted as stopped:
        run.conclude(RolloutError("interrupted", f"Interrupted by {stopped}: {run.describe_waits()}", exit=128 + stopped.signum))


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line and returns the exit code. Exactly one JSON document goes to stdout, whatever happens."""
    gc.set_threshold(100_000)  # large lists are no garbage: with Python's 700 a fifth of the time went into looking for some
    INTERRUPTS.forget()
    arguments = list(sys.argv[1:] if argv is None else argv)
    arguments = [*arguments[1:2], "--help"] if arguments[:1] == ["help"] else arguments
    try:
        if not start.is_run(arguments):
            verb: Any = importlib.import_module(f"rollout_status_lib.verbs.{arguments[0].replace('-', '_')}")
            text, exit_code = verb.main(arguments[1:], run_to_end)
        else:
            text, exit_code = watch(arguments)
    except Exception as error:  # noqa: BLE001, runs and verbs end by themselves, if their modules are there
        return start.refuse(arguments, *start.describe_fault(error, __file__))
    write_out(text)
    gc.freeze()  # the process ends: what is in use need not be looked through and freed first, which took a sixth of a large run
    return int(exit_code)


def watch(arguments: Sequence[str]) -> tuple[str, int]:
    """What goes to stdout when no verb is named, and the exit code."""
    # Verbs do without; what is missing must be known before anything is waited for
    from rollout_status_lib.views import choose_progress, finish  # noqa: PLC0415

    run = run_to_end(arguments, choose=choose_progress)
    try:
        run.add_notes(run.progress.conclude(run.result))
    except MISHAPS as error:
        run.add_notes([f"the result could not be shown on stderr: {error}"])
    return finish(run, arguments)


if __name__ == "__main__":
    raise SystemExit(main())
