"""What rules say of subjects, and what follows for each workload and for all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from rollout_status_lib import Json
from rollout_status_lib.declarations import Code, Kind, Rule, find_code
from rollout_status_lib.errors import RolloutError, suggest
from rollout_status_lib.functions import Functions
from rollout_status_lib.objects import get_field, get_identity, get_name
from rollout_status_lib.scope import Scope
from rollout_status_lib.subjects import Subject


def get_key(kind: Kind, resource: Json) -> tuple[str, str, str]:
    """What a workload is called: resource, namespace (empty for one that is in none) and name. One that is created anew has the same."""
    return (kind.resource, str(get_field(resource, "metadata", "namespace") or ""), get_name(resource))


@dataclass(frozen=True, slots=True, eq=False)
class Finding:
    """A rule that holds for a subject; `verdict` is fail, wait, hold, ignore or note."""

    rule: Rule
    subject: Subject
    verdict: str
    scope: Scope

    @property
    def message(self) -> str:
        return (self.scope.fill(self.rule.message) or self.rule.id) + self.scope.fill(self.subject.blocked)

    def code(self, codes: Mapping[str, Code]) -> Code | None:
        """The rule's code, None when it has none; RolloutError `invalid-rules` when it computes an unknown one."""
        name = self.scope.fill(self.rule.code)
        code = find_code(codes, name)
        if name and not code:
            raise RolloutError("invalid-rules", f"{self.rule.where}: no code {name}{suggest(name, codes)}")
        return code

    def order(self, codes: Mapping[str, Code]) -> tuple[Json, ...]:
        """Causes before symptoms, then from the containers up to the workload, init containers first."""
        code, depth = self.code(codes), len(self.subject.lineage)
        return (code.rank if code else len(codes), -depth if depth > 1 else 0, not get_field(self.subject.value, "init"))

    def group(self) -> tuple[str, ...]:
        """Failures with the same group are one entry of a result: rule, workload and name of the part."""
        return (self.rule.id, get_identity(self.subject.workload), *self.subject.part.values())


@dataclass(frozen=True, slots=True, eq=False)
class Workload:
    """A workload as judged; `status` is ready, waiting, failed or ignored, and its findings are in order."""

    subject: Subject
    status: str
    findings: tuple[Finding, ...]
    others: tuple[Finding, ...]  # those that say nothing of its status: notes, and what is ignored

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
        """The first of its findings, or what it is."""
        return self.findings[0].message if self.findings else "successfully rolled out" if self.status == "ready" else self.status


@dataclass(frozen=True, slots=True)
class Judgement:
    """What is known at one moment."""

    at: float
    workloads: tuple[Workload, ...]
    failures: tuple[tuple[Finding, ...], ...]  # each entry of the result with all its findings, in order
    missing: tuple[str, ...]  # a sentence for each workload that should be there and is not
    awaited: tuple[str, ...]  # a sentence for each thing that may still come
    notes: tuple[str, ...]

    @property
    def nothing(self) -> bool:
        """Whether there is nothing to judge."""
        return not (self.missing or self.awaited) and all(workload.status == "ignored" for workload in self.workloads)

    @property
    def failed(self) -> bool:
        return bool(self.failures or self.missing)

    @property
    def ready(self) -> bool:
        return not (self.failed or self.awaited) and all(workload.status in ("ready", "ignored") for workload in self.workloads)


def group_failures(workloads: Iterable[Workload], codes: Mapping[str, Code]) -> tuple[tuple[Finding, ...], ...]:
    """The failures of all workloads in order; those of the same rule, workload and part are one entry."""
    found = [finding for workload in workloads for finding in workload.findings if finding.verdict == "fail"]
    entries: dict[tuple[str, ...], list[Finding]] = {}
    for finding in sorted(found, key=lambda finding: finding.order(codes)):
        entries.setdefault(finding.group(), []).append(finding)
    return tuple(map(tuple, entries.values()))


def find_missing_containers(workloads: Iterable[Workload], expected: Iterable[Json], functions: Functions) -> list[str]:
    """A message for each container that --expect-image names and none of the workloads has; none where nothing is judged."""
    judged = [workload for workload in workloads if workload.status != "ignored"]
    runs = [each.kind.runs.evaluate(each.value, functions) or () for each in judged if each.kind.runs]
    names = [name for each in runs for name in each]
    missing = [pair for pair in expected if judged and pair["name"] not in names]
    return [f'Waiting for a container "{pair["name"]}", which is expected to run {pair["value"]}' for pair in missing]
