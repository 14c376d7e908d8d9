"""What rules say of subjects, and what follows for each workload and for all."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from rollout_status_lib import Json
from rollout_status_lib.declarations import Code, Kind, Rule, find_code
from rollout_status_lib.errors import KIND_DOUBT, EvaluationError, RolloutError, UnreadableError, suggest
from rollout_status_lib.expressions import Expression, Template
from rollout_status_lib.functions import Functions
from rollout_status_lib.objects import get_creation_moment, get_field, get_identity, get_name
from rollout_status_lib.rules import Rules
from rollout_status_lib.scope import Scope, View
from rollout_status_lib.subjects import Subject
from rollout_status_lib.values import parse_duration, parse_timestamp, trace_causes


def get_key(kind: Kind, resource: Json) -> tuple[str, str, str]:
    """Resource, namespace (empty if it is in none) and name of a workload. If it is deleted and created again, it has the same key."""
    return (kind.resource, str(get_field(resource, "metadata", "namespace") or ""), get_name(resource))


NO_PROGRESS = "not-progressing"  # the code of what waits too long and has none of its own


@dataclass(frozen=True, slots=True, eq=False)
class Finding:
    """A rule whose state is present for a subject. `verdict` is fail, wait, hold, ignore or note."""

    rule: Rule
    subject: Subject
    verdict: str
    scope: Scope
    idle: float | None = None  # seconds without progress, if that is why it fails
    causes: tuple[Finding, ...] = ()  # about what its subject uses, the nearest first

    @property
    def message(self) -> str:
        try:
            return self.complete(self.scope.fill(self.rule.message) or self.rule.id)
        except EvaluationError as error:
            if not self.rule.forgives(error):
                raise
            return self.complete(f"{self.rule.id}, whose message has no value ({error.message})")

    @property
    def summary(self) -> str:
        """What people read first: the rule's summary, or else the message."""
        sentence = self.fill(self.rule.summary)
        return self.complete(sentence) if sentence else self.message

    @property
    def details(self) -> list[str]:
        """What the rule says beside its message."""
        return list(filter(None, map(self.fill, self.rule.details)))

    @property
    def sentence(self) -> str:
        """The summary and the details in one line."""
        return "; ".join([self.summary, *self.details])

    def complete(self, sentence: str) -> str:
        """A sentence, with why the subject is judged at all, and why it fails if that is a lack of progress."""
        sentence += self.scope.fill(self.subject.blocked)
        if self.idle is None:
            return sentence
        workload = self.subject.workload
        return (
            f'{get_field(workload, "kind")} "{get_name(workload)}" is not progressing: nothing has changed for {self.idle:.0f}s. {sentence}'
        )

    @property
    def hint(self) -> str:
        """The command that shows more; empty if there is none."""
        return self.fill(self.rule.hint)

    @property
    def began(self) -> float:
        """Since when it has been so, in seconds since 1970: as the object tells it, or else as it was first seen."""
        now, in_state = self.scope.functions.now, get_field(self.scope.roots, "time", "in_state")
        return min([now - (in_state or 0.0), now - (self.idle or 0.0), *self.list_beginnings()])

    def list_beginnings(self) -> Iterator[float]:
        """What the object itself and the rule tell of that. A part knows less than its object, so its kind may tell of that one."""
        fact, born = self.subject.kind.facts.get("since"), get_creation_moment(self.subject.holder)
        with suppress(EvaluationError):  # a team's kind or rule is wrong about it: that costs no verdict
            value = {**self.subject.value, self.subject.kind.part_of: self.subject.holder}
            told = [fact and fact.evaluate(value, self.scope.functions), self.rule.since and self.scope.evaluate(self.rule.since)]
            for each in told:
                with suppress(UnreadableError):
                    yield max(parse_timestamp(str(each)), born)  # one before that is a zero that somebody wrote

    def fill(self, template: Template | None) -> str:
        """The text of one of the rule's templates; empty if a team wrote something in it that has no value."""
        try:
            return self.scope.fill(template)
        except EvaluationError as error:
            if not self.rule.forgives(error):
                raise
            return ""

    def read(self, expression: Expression | None, notes: list[str]) -> Json:
        """What an expression of its kind gives for its subject; null if there is none, or, with a note, if a team's has no value."""
        try:
            return expression.evaluate(self.subject.value, self.scope.functions) if expression else None
        except EvaluationError as error:
            if not self.rule.forgives(error):
                raise
            notes.append(f"{KIND_DOUBT}{error.message}")
            return None

    def code(self, codes: Mapping[str, Code]) -> Code | None:
        """The rule's code; None if it has none. EvaluationError if it computes one that does not exist; a team's is NO_PROGRESS then."""
        try:
            return self.read_code(codes)
        except EvaluationError as error:
            if not self.rule.forgives(error):
                raise
            return codes[NO_PROGRESS]

    def find_fault(self, codes: Mapping[str, Code]) -> EvaluationError | None:
        """What is wrong with the code that the rule computes; None if nothing is."""
        try:
            self.read_code(codes)
        except EvaluationError as error:
            return error
        return None

    def read_code(self, codes: Mapping[str, Code]) -> Code | None:
        name = self.scope.fill(self.rule.code) or ("" if self.idle is None else NO_PROGRESS)
        name = name or next((code.name for cause in self.causes if (code := cause.code(codes))), "")
        code = find_code(codes, name)
        if name and not code:
            raise EvaluationError(self.rule.where, f"no code {name}{suggest(name, codes)}")
        return code

    def order(self, codes: Mapping[str, Code]) -> tuple[Json, ...]:
        """What findings are sorted by: causes before symptoms, containers before their owners, init containers first."""
        code, depth = self.code(codes), len(self.subject.lineage)
        return (code.rank if code else len(codes), -depth if depth > 1 else 0, not get_field(self.subject.value, "init"))

    def group(self) -> tuple[str, ...]:
        """Rule, workload and name of the part: failures that share them are one entry of the result."""
        return (self.rule.id, get_identity(self.subject.workload), *self.subject.part.values())


def make_doubt(rule: Rule, subject: Subject, scope: Scope, error: EvaluationError) -> Iterator[Finding]:
    """What follows when nobody can say whether a rule holds: what it could have kept from success waits, and its wait ends as any other.

    Nothing follows from one that could not have. A workload that is gone will not say more: it fails.
    """
    if rule.verdict not in ("note", "ignore"):
        sentence = Template((f"It is not known whether {rule.id} holds, which cannot be evaluated: {error.message}",))
        code = Template((NO_PROGRESS,)) if rule.gone else None
        verdict = "fail" if rule.gone else "hold" if rule.verdict == "hold" else "wait"
        plain = Rule(rule.id, rule.where, rule.subjects, rule.when, code=code, message=sentence, teams=rule.teams)
        yield Finding(plain, subject, verdict, scope)


def make_kind_doubts(subject: Subject, view: View, rules: Rules, functions: Functions) -> Iterator[Finding]:
    """What follows when nobody can say what belongs to an object, since a team's kind has no value for it: it is held, with a note."""
    for error in subject.doubts:
        rules.doubt(error, functions)
        sentence = Template((f"It is not known what belongs to it, since its kind cannot be evaluated: {error.message}",))
        null = Expression.parse("null", error.where)
        rule = Rule("kind", error.where, (subject.kind.name,), null, message=sentence, teams=rules.files.team_places)
        yield Finding(rule, subject, "hold", Scope(view, rule, functions))


@dataclass(frozen=True, slots=True, eq=False)
class Workload:
    """A judged workload. `status` is ready, waiting, failed or ignored; the most important finding is the first."""

    subject: Subject
    status: str
    findings: tuple[Finding, ...]
    others: tuple[Finding, ...]  # that do not change its status: notes, and what is ignored

    @property
    def kind(self) -> Kind:
        return self.subject.kind

    @property
    def value(self) -> Json:
        return self.subject.value

    @property
    def key(self) -> tuple[str, str, str]:
        return get_key(self.kind, self.value)

    @property
    def title(self) -> str:
        return f"{str(get_field(self.value, 'kind')).lower()}/{get_name(self.value)}"

    @property
    def sentence(self) -> str:
        """The message of its first finding; without findings its status in words."""
        return self.findings[0].message if self.findings else "successfully rolled out" if self.status == "ready" else self.status

    @property
    def summary(self) -> str:
        """The same, as people read it."""
        return self.findings[0].summary if self.findings else self.sentence

    @property
    def causes(self) -> tuple[Finding, ...]:
        """What is behind its first finding, the nearest first."""
        return self.findings[0].causes if self.findings else ()


@dataclass(frozen=True, slots=True)
class Judgement:
    """The verdict on one snapshot."""

    at: float
    workloads: tuple[Workload, ...]
    failures: tuple[tuple[Finding, ...], ...]  # the findings of each error of the result, the most important error first
    missing: tuple[str, ...]  # a message for each workload that should exist and does not
    awaited: tuple[str, ...]  # a message for each thing that may still appear
    notes: tuple[str, ...]
    settled: bool = False  # nothing of what was applied has anything to wait for

    @property
    def nothing(self) -> bool:
        """True if there is nothing to judge, and nothing to wait for either."""
        return not self.settled and not (self.missing or self.awaited) and all(workload.status == "ignored" for workload in self.workloads)

    @property
    def failed(self) -> bool:
        return bool(self.failures or self.missing)

    @property
    def ready(self) -> bool:
        return not (self.failed or self.awaited) and all(workload.status in ("ready", "ignored") for workload in self.workloads)

    def has_failed(self, *, for_all: bool) -> bool:
        """True if the rollout has failed; if it is to be known for all workloads, once none of them waits any more."""
        waits = self.awaited or any(workload.status == "waiting" for workload in self.workloads)
        return self.failed and not (for_all and waits)

    def keep_failures(self, before: Judgement | None, codes: Mapping[str, Code]) -> Judgement:
        """The judgement in which what had failed before still has, as it was judged then."""
        failed = {each.key: each for each in before.workloads if each.status == "failed"} if before else {}
        workloads = tuple(failed.get(each.key, each) for each in self.workloads)
        return replace(self, workloads=workloads, failures=group_failures(workloads, codes))

    def get_waiting(self, codes: Mapping[str, Code]) -> list[Workload]:
        """The workloads that wait; those in a state that may become a failure come first."""
        waiting = [each for each in self.workloads if each.status == "waiting"]
        return sorted(waiting, key=lambda each: each.findings[0].order(codes))

    def describe_waits(self, codes: Mapping[str, Code]) -> str:
        """What has not come yet, in a sentence; empty if nothing is waited for."""
        waiting = self.get_waiting(codes)
        lines = [f"{each.title}: {line}" for each, line in zip(waiting, tell_lines(waiting), strict=True)]
        return "; ".join([*lines, *self.awaited])


def tell_lines(workloads: Sequence[Workload]) -> list[str]:
    """What is to be said of each of these workloads, with its causes.

    What several of them have in common is told with the one that has nothing behind it, or else with the first.
    """
    chains = [(*each.findings[:1], *each.causes) for each in workloads]
    told: dict[tuple[str, str], Workload] = {}
    for workload, chain in sorted(zip(workloads, chains, strict=True), key=lambda pair: len(pair[1]) > 1):
        for finding in chain:
            if told.setdefault((finding.rule.id, finding.subject.key), workload) is not workload and finding is not chain[0]:
                break  # what is behind that one is told there, too
    return [trace_causes(list(tell_chain(workload, chain, told))) for workload, chain in zip(workloads, chains, strict=True)]


def tell_chain(workload: Workload, chain: Sequence[Finding], told: Mapping[tuple[str, str], Workload]) -> Iterator[str]:
    """The sentences about a workload and its causes, up to the first cause that is `told` with another workload."""
    yield chain[0].sentence if chain else workload.sentence
    for finding in chain[1:]:
        teller = told[finding.rule.id, finding.subject.key]
        if teller is not workload:
            elsewhere = "" if teller.key[1] == workload.key[1] else f" in namespace {teller.key[1]}"
            yield f"the same cause as for {teller.title}{elsewhere}"
            return
        yield finding.summary


def promote_causes(findings: list[Finding], codes: Mapping[str, Code]) -> list[Finding]:
    """The findings of a workload. If all that fails is a symptom, what could fail and still waits is the cause: it fails too."""
    failed = [finding.code(codes) for finding in findings if finding.verdict == "fail"]
    if not all(code and code.symptom for code in failed):
        return findings
    return [replace(finding, verdict="fail") if is_cause(finding, codes) else finding for finding in findings]


def is_cause(finding: Finding, codes: Mapping[str, Code]) -> bool:
    """True if it waits in a state that is no step on the way: one with a code, and no symptom of the workload as a whole."""
    code = finding.code(codes) if finding.verdict == "wait" else None
    return code is not None and (not code.symptom or len(finding.subject.lineage) > 1)


def end_waits(waits: list[Finding], idle: float, codes: Mapping[str, Code]) -> list[Finding]:
    """The findings of a workload that made no progress for its deadline, `idle` seconds by now: what it waits for fails.

    What may rightly last (`endless`, or a `fail_after` that is not over) keeps itself and its owners waiting. Of the rest,
    findings with a code are causes and fail; where there is none, the first one does.
    """
    lasting = [id(value) for finding in waits if may_last(finding) for _, value in finding.subject.lineage]
    over = [finding for finding in waits if id(finding.subject.value) not in lasting]
    over.sort(key=lambda finding: (*finding.order(codes), finding.rule.id))
    causes = [finding for finding in over if finding.code(codes)]
    ended = causes or [finding for finding in over if finding.group() == over[0].group()]
    return [replace(finding, verdict="fail", idle=idle) if finding in ended else finding for finding in waits]


def may_last(finding: Finding) -> bool:
    """True if a wait may rightly last longer than its workload's deadline."""
    return finding.rule.endless or read_limit(finding.rule, finding.scope) is not None


def read_limit(rule: Rule, scope: Scope) -> float | None:
    """The seconds that `fail_after` gives, of a number or of a duration like 5m; None for null. EvaluationError for anything else."""
    limit = rule.fail_after
    value = scope.evaluate(limit) if isinstance(limit, Expression) else limit
    if value is None or type(value) in (int, float):
        return value
    try:
        return parse_duration(str(value))
    except UnreadableError as error:
        raise EvaluationError(limit.where if isinstance(limit, Expression) else rule.where, str(error)) from None


def is_late(rule: Rule, scope: Scope, in_state: float, at: float) -> bool:
    """True if the time that `fail_after` gives is over: seconds in the state, or since what `since` says. A negative one never is."""
    limit = read_limit(rule, scope)
    since = scope.evaluate(rule.since) if rule.since else None
    try:
        return limit is not None and 0 <= limit <= (in_state if since is None else at - parse_timestamp(str(since)))
    except UnreadableError as error:
        raise EvaluationError(rule.where, f"since: {error}") from None


def group_failures(workloads: Iterable[Workload], codes: Mapping[str, Code]) -> tuple[tuple[Finding, ...], ...]:
    """The failures of all workloads in order; those of the same rule, workload and part are one entry."""
    found = [finding for workload in workloads for finding in workload.findings if finding.verdict == "fail"]
    entries: dict[tuple[str, ...], list[Finding]] = {}
    for finding in sorted(found, key=lambda finding: finding.order(codes)):
        entries.setdefault(finding.group(), []).append(finding)
    return tuple(map(tuple, entries.values()))


def find_missing_containers(workloads: Iterable[Workload], expected: Iterable[Json], rules: Rules, functions: Functions) -> list[str]:
    """A message for each container that --expect-image names and none of the workloads has; it says which they have."""
    judged = [workload for workload in workloads if workload.status != "ignored"]
    runs = [name for each in judged for name in rules.read(each.kind.runs, each.value, functions) or ()]
    there = f"there is {', '.join(dict.fromkeys(map(str, runs)))}" if runs else "none is there"
    missing = [pair for pair in expected if judged and pair["name"] not in runs]
    return [f'Waiting for a container "{pair["name"]}", which is expected to run {pair["value"]}; {there}' for pair in missing]


def count_ready(workload: Workload, functions: Functions) -> tuple[float, float] | None:
    """How many are ready and how many are wanted; None if the kind declares no counts, or if the object lacks them."""
    with suppress(RolloutError):
        values = [expression.evaluate(workload.value, functions) for expression in workload.kind.counts]
        if values and all(type(value) in (int, float) for value in values):
            return values[0], values[1]
    return None


def describe_place(workload: Workload, functions: Functions) -> str:
    """Which object below a workload its first finding is about, and how many are ready: ` (pod web-1 and 2 more like it, 3 of 6 ready)`."""
    first = workload.findings[0] if workload.findings else None
    if not first or first.subject is workload.subject:
        return ""
    alike = {get_identity(each.subject.holder) for each in workload.findings if each.group() == first.group()}
    name = f"{str(get_field(first.subject.holder, 'kind')).lower()} {get_name(first.subject.holder)}"
    counts = count_ready(workload, functions)
    more = [f"and {len(alike) - 1} more like it"] if len(alike) > 1 else []
    ready = [f"{counts[0]:g} of {counts[1]:g} ready"] if counts else []
    return f" ({', '.join([' '.join([name, *more]), *ready])})"
