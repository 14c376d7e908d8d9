"""What had no findings and depends on nothing that has changed is not judged again: no verdict may tell the difference."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT
from test_deleted_keys import CASES, Case, after

import rollout_status


def told(judgement: rollout_status.Judgement) -> Any:
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
    remembers, forgets = after(case.first), after(case.first)
    known: dict[str, Any] = {}
    for poll in case.source.polls():
        if poll.snapshot is None:
            for call in poll.calls:
                told_of_calls = [judge.call_failed(call, poll.at, again=poll.again).verdict for judge in (remembers, forgets)]
                assert told_of_calls[0] == told_of_calls[1]
            continue
        # objects that have not changed are the very same, as in a live run
        objects = [known.get(rollout_status.identity(each)) for each in poll.snapshot.objects]
        objects = [old if old == new else new for old, new in zip(objects, poll.snapshot.objects, strict=True)]
        known = {rollout_status.identity(each): each for each in objects}
        forgets.settled, forgets.grown = {}, {}
        snapshot = replace(poll.snapshot, objects=tuple(objects))
        assert told(remembers.judge(snapshot)) == told(forgets.judge(snapshot))
        assert set(remembers.settled) == set(forgets.settled)


def test_an_object_that_has_not_changed_is_not_judged_again() -> None:
    case = Case("deployment-success")
    judge = after(case.first)
    snapshot = next(poll.snapshot for poll in reversed(list(case.source.polls())) if poll.snapshot)
    judge.judge(snapshot)
    settled = dict(judge.settled)
    judge.judge(replace(snapshot, at=snapshot.at + 1))
    assert settled
    assert all(judge.settled[key] is before for key, before in settled.items())


@pytest.mark.parametrize("when", ["reached(age(pod.status.startTime), `1000`)", "time.watched > `1000`", "time.now > '2030'"])
def test_time_alone_may_change_what_was_settled(tmp_path: Path, when: str) -> None:
    (tmp_path / "acme.yaml").write_text(
        f'version: 1\nextends: builtin\nrules:\n- {{id: acme/old, subject: pod, verdict: wait, message: Too old, when: "{when}"}}\n'
    )
    case = Case("deployment-success")
    rules = rollout_status.Rules(ROOT / "rules", [tmp_path])
    judge = rollout_status.Judge(rules, rollout_status.selected(rollout_status.parser().parse([]), rules), [], 0.0, [])
    snapshot = next(poll.snapshot for poll in reversed(list(case.source.polls())) if poll.snapshot)
    assert not any(finding.rule.id == "acme/old" for each in judge.judge(snapshot).workloads for finding in each.findings)
    later = judge.judge(replace(snapshot, at=rollout_status.timestamp("2031-01-01T00:00:00Z")))
    assert [workload.sentence for workload in later.workloads] == ["Too old"]
