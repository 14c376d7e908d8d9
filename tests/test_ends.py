"""Nothing waits for ever: each state of each fixture, with any key left out, comes to a verdict once all clocks have run out.

What may rightly last says so in its rule (`endless: true`). A clock runs from when something was first seen, so a state is judged
twice: when it is seen, and two days later, when nothing else has changed.
"""

from dataclasses import replace

import pytest
from test_deleted_keys import CASES, Case, left_out, seen

from rollout_status_lib.memory import Memory
from rollout_status_lib.source import Snapshot

TWO_DAYS = 172_800.0  # seconds, far beyond every deadline


def lasts(case: Case, snapshot: Snapshot, memory: Memory) -> list[str]:
    """What still waits when all clocks have run out, and has no right to."""
    _, memory = case.judge.judge(memory, snapshot)
    judgement, _ = case.judge.judge(memory, replace(snapshot, at=snapshot.at + TWO_DAYS))
    if judgement.failed or judgement.ready or judgement.nothing:
        return []
    waiting = [workload for workload in judgement.workloads if workload.status == "waiting"]
    lasting = [workload for workload in waiting if any(finding.rule.endless for finding in workload.findings)]
    return [*judgement.awaited, *(workload.sentence for workload in waiting if workload not in lasting)]


@pytest.mark.parametrize("name", CASES)
def test_each_state_of_a_fixture_ends(name: str) -> None:
    case = Case(name)
    for moment in case.moments:
        assert not lasts(case, moment.snapshot, moment.memory)


@pytest.mark.parametrize("name", CASES)
def test_each_state_ends_without_any_of_its_keys(name: str) -> None:
    """Of all objects of a kind a key is left out, for one who begins to watch at the fixture's last moment."""
    case = Case(name)
    for moment in case.moments[-1:]:
        for kind, path in sorted({(moment.snapshot.objects[number]["kind"], path) for number, path, _ in case.read(moment)}, key=str):
            if path and path not in {("apiVersion",), ("kind",), ("metadata",)}:
                assert not lasts(case, seen(moment.snapshot, left_out(moment.snapshot, kind, path)), Memory()), (kind, path)
