"""What had no findings and depends on nothing that has changed is not judged again: no verdict may tell the difference."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT
from test_deleted_keys import CASES, HOOKS, Case

import rollout_status
from rollout_status_lib.arguments import build_parser
from rollout_status_lib.findings import Judgement
from rollout_status_lib.memory import Memory
from rollout_status_lib.objects import get_identity
from rollout_status_lib.rules import Rules
from rollout_status_lib.selection import make_selection
from rollout_status_lib.values import parse_timestamp


def told(judgement: Judgement) -> Any:
    """All that a judgement says."""
    workloads = [
        (each.key, each.status, [(finding.rule.id, finding.subject.key, finding.verdict, finding.message) for finding in each.findings])
        for each in judgement.workloads
    ]
    failures = [[finding.subject.key for finding in each] for each in judgement.failures]
    return judgement.at, workloads, failures, judgement.missing, judgement.awaited, judgement.notes


@pytest.mark.parametrize("name", CASES)
def test_what_is_not_judged_again_would_have_been_judged_the_same(name: str) -> None:
    case = Case(name)
    remembers = forgets = Memory()
    known: dict[str, Any] = {}
    for poll in case.source.polls(HOOKS):
        if poll.snapshot is None:
            for call in poll.calls:
                one, remembers = case.judge.judge_call(remembers, call, poll.at, again=poll.again)
                other, forgets = case.judge.judge_call(forgets, call, poll.at, again=poll.again)
                assert one.verdict == other.verdict
            continue
        # objects that have not changed are the very same, as in a live run
        objects = [known.get(get_identity(each)) for each in poll.snapshot.objects]
        objects = [old if old == new else new for old, new in zip(objects, poll.snapshot.objects, strict=True)]
        known = {get_identity(each): each for each in objects}
        snapshot = replace(poll.snapshot, objects=tuple(objects))
        first, remembers = case.judge.judge(remembers, snapshot)
        second, forgets = case.judge.judge(replace(forgets, settled={}, grown={}), snapshot)
        assert told(first) == told(second)
        assert set(remembers.settled) == set(forgets.settled)


def test_an_object_that_has_not_changed_is_not_judged_again() -> None:
    case = Case("deployment/success")
    snapshot = next(poll.snapshot for poll in reversed(list(case.source.polls(HOOKS))) if poll.snapshot)
    _, memory = case.judge.judge(Memory(), snapshot)
    _, later = case.judge.judge(memory, replace(snapshot, at=snapshot.at + 1))
    assert memory.settled
    assert all(later.settled[key] is before for key, before in memory.settled.items())


@pytest.mark.parametrize("when", ["reached(age(pod.status.startTime), `1000`)", "time.watched > `1000`", "time.now > '2030'"])
def test_time_alone_may_change_what_was_settled(tmp_path: Path, when: str) -> None:
    (tmp_path / "acme.yaml").write_text(
        f'version: 1\nextends: builtin\nrules:\n- {{id: acme/old, subject: pod, verdict: wait, message: Too old, when: "{when}"}}\n'
    )
    case = Case("deployment/success")
    rules = Rules(ROOT / "rules", [tmp_path])
    judge = rollout_status.Judge(rules, make_selection(build_parser().parse([]), rules), [], 0.0, [])
    snapshot = next(poll.snapshot for poll in reversed(list(case.source.polls(HOOKS))) if poll.snapshot)
    judgement, memory = judge.judge(Memory(), snapshot)
    assert not any(finding.rule.id == "acme/old" for each in judgement.workloads for finding in each.findings)
    later, _ = judge.judge(memory, replace(snapshot, at=parse_timestamp("2031-01-01T00:00:00Z")))
    assert [workload.findings[0].rule.id for workload in later.workloads] == ["acme/old"]
