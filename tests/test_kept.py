"""What is kept beside the compiled program: another run needs no parser, a change counts at once, and what is broken is made anew."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import copy_program, environment, snapshot

from rollout_status_lib.kept import Kept

REPLAY = ("--replay", str(snapshot("deployment/crash-loop")), "--retry-limit", "1")


def judge(script: Path, **changes: str) -> tuple[int, dict]:
    """The exit code and the result of a run of a program that may keep something."""
    env = {name: value for name, value in environment(**changes).items() if name != "PYTHONDONTWRITEBYTECODE"} | changes
    done = subprocess.run([sys.executable, str(script), *REPLAY], env=env, capture_output=True, check=False)
    return done.returncode, json.loads(done.stdout)


@pytest.fixture
def program(tmp_path: Path) -> Path:
    script = copy_program(tmp_path / "program")
    shutil.rmtree(script.parent / "rollout_status_lib/__pycache__", ignore_errors=True)
    return script


def find_kept(script: Path) -> list[Path]:
    return list(script.parent.glob("rollout_status_lib/__pycache__/rules.*.json"))


def test_another_run_parses_nothing(program: Path, tmp_path: Path) -> None:
    first = judge(program)
    assert (first[0], len(find_kept(program))) == (1, 1)
    (tmp_path / "without").mkdir()
    (tmp_path / "without/yaml.py").write_text("raise ImportError")
    assert judge(program, PYTHONPATH=str(tmp_path / "without")) == first


def test_a_change_of_a_rule_counts_at_once(program: Path) -> None:
    assert "exits with code 1" in judge(program)[1]["error"]["summary"]
    rules = program.parent / "rules/container.yaml"
    rules.write_text(rules.read_text().replace("'exits with code '", "'is over, with '"))
    for _ in range(2):
        assert "is over, with 1" in judge(program)[1]["error"]["summary"]


@pytest.mark.parametrize("text", ["", "[]", "{", '{"a": ' * 10, "x" * (1 << 22)])
def test_what_is_broken_is_made_anew(program: Path, text: str) -> None:
    first = judge(program)
    (kept,) = find_kept(program)
    size = kept.stat().st_size
    kept.write_text(text)
    assert judge(program) == first
    assert kept.stat().st_size == size


def test_nothing_is_kept_where_python_keeps_nothing(program: Path) -> None:
    assert judge(program, PYTHONDONTWRITEBYTECODE="1")[0] == 1
    assert find_kept(program) == []


def test_a_folder_that_cannot_be_written_to_is_no_reason_to_end(program: Path) -> None:
    (program.parent / "rollout_status_lib/__pycache__").write_text("no folder")
    assert judge(program)[0] == 1


def test_another_reads_what_one_has_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In this process, whose own runs are not measured where they keep something."""
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    one, other, third = (make_kept(tmp_path / "new" / "rules.json") for _ in range(3))
    assert one.find("source", lambda: ["made"]) == ["made"]
    one.save()
    one.save()  # nothing is new
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["rules.json"]
    assert other.find("source", lambda: pytest.fail("it is kept")) == ["made"]
    other.save()
    (tmp_path / "new/rules.json").write_text("{")
    assert third.find("source", lambda: "anew") == "anew"
    lost = make_kept(tmp_path / "new/rules.json/rules.json")
    lost.find("source", lambda: 1)
    lost.save()  # to where no folder can be
    assert make_kept(tmp_path / "new/rules.json").values == {}


def make_kept(path: Path) -> Kept:
    kept = Kept()
    kept.__dict__["path"] = path
    return kept
