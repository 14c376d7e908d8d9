"""What is told of a crash loop while it goes on: the end of its log, read once for each run that has ended."""

import json
from pathlib import Path

from conftest import FIXTURES, Program, run, snapshot

from rollout_status_lib.logs import AT_ONCE
from rollout_status_lib.views.rows import make_rows


def test_the_log_stands_below_the_first_crash_and_is_not_said_again() -> None:
    lines = run("demo").stderr.splitlines()
    assert lines[1:3] == ["    log | starting shop-web v2", "    log | FATAL: cannot connect to database db:5432"]
    assert sum("FATAL" in line for line in lines) == 1


def test_the_log_is_read_once_for_each_run_that_has_ended(kubectl: Program, tmp_path: Path) -> None:
    calls, first, later = tmp_path / "read", snapshot("deployment/crash-loop"), snapshot("deployment/crash-loop", -1)
    program = kubectl(
        f'case "$*" in *" logs "*) echo x >>{calls}; echo "it fails" ;; *events*) echo "{{\\"items\\": []}}" ;;'
        f" *) if [ -e {tmp_path}/seen ]; then cat {later}; else touch {tmp_path}/seen; cat {first}; fi ;; esac"
    )
    outcome = run("--kubectl", program, "--timeout", "2s", "--interval", "0.2s", "--retry-limit", "9")
    assert outcome.error["code"] == "timeout"
    assert outcome.error["log"] == "it fails\n"
    assert outcome.stderr.count("    log | it fails\n") == 1
    assert 1 <= len(calls.read_text().split()) <= 2


def test_a_log_that_cannot_be_read_is_tried_once_for_each_run(kubectl: Program, tmp_path: Path) -> None:
    calls = tmp_path / "read"
    program = kubectl(
        f'case "$*" in *" logs "*) echo x >>{calls}; echo "no right to it" >&2; exit 1 ;; *events*) echo "{{\\"items\\": []}}" ;;'
        f" *) cat {snapshot('deployment/crash-loop', -1)} ;; esac"
    )
    outcome = run("--kubectl", program, "--timeout", "2s", "--interval", "0.2s", "--retry-limit", "9")
    assert len(calls.read_text().split()) == 2  # and once more for the result
    assert any("could not be read: no right to it" in note for note in outcome.result["notes"])
    assert " | " not in outcome.stderr


def test_few_logs_are_read_at_once(tmp_path: Path) -> None:
    items = json.loads(snapshot("deployment/crash-loop", -1).read_text())["items"]
    text = json.dumps([each for each in items if each["kind"] != "Event"])
    uids = {each["metadata"]["uid"] for each in items}
    many, logs = [], {}
    for number in range(AT_ONCE + 2):
        changed = text.replace('"name": "app', f'"name": "app{number}')
        for uid in uids:
            changed = changed.replace(uid, f"{uid}-{number}")
        many += json.loads(changed)
        logs |= {f"app{number}-7c7f66ddc6-qwhsn/main/previous": "it fails", f"app{number}-7c7f66ddc6-qwhsn/main": "it fails"}
    (tmp_path / "001.json").write_text(json.dumps({"kind": "List", "items": many}))
    (tmp_path / "recording.yaml").write_text(f"polls:\n- {{at: '2026-11-23T06:46:53Z', objects: 001.json}}\nlogs: {json.dumps(logs)}\n")
    assert run("--replay", str(tmp_path), "--retry-limit", "9").stderr.count(" | it fails") == AT_ONCE


def test_the_picture_has_the_end_of_the_log() -> None:
    from rollout_status import run_to_end

    judgement = run_to_end(["--replay", str(FIXTURES / "deployment/crash-loop"), "--retry-limit", "1", "--quiet"]).judgement
    (row,) = make_rows(judgement, lambda _: ("it \x1b[31mfails",))
    assert row.log == ("it fails",)
