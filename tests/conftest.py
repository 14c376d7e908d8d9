"""What the offline tests share."""

import email.utils
import io
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema
import pytest

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import rollout_status  # noqa: E402
from rollout_status_lib.views import CI_VARIABLES  # noqa: E402

for variable in ("CI", "GITHUB_STEP_SUMMARY", *CI_VARIABLES.values()):  # the tests' own CI is not what they are about
    os.environ.pop(variable, None)

FIXTURES = ROOT / "fixtures"
CASES = sorted(str(path.parent.relative_to(FIXTURES)) for path in FIXTURES.rglob("case.yaml"))
SCHEMA = json.loads((ROOT / "schema.json").read_text())


Program = Callable[..., str]


@dataclass
class Outcome:
    """What a run of the command line gave."""

    exit: int
    result: dict[str, Any]
    stdout: str
    stderr: str

    @property
    def error(self) -> dict[str, Any]:
        return self.result["error"]


class Stdout(io.TextIOWrapper):
    def __init__(self) -> None:
        super().__init__(io.BytesIO(), encoding="utf-8")


def run(*arguments: str, stdin: str = "") -> Outcome:
    """Runs the command line in this process. Its output must be one document that satisfies schema.json."""
    stdout, stderr, sys.stdin = Stdout(), io.StringIO(), io.StringIO(stdin)
    try:
        with redirect_stdout(stdout), redirect_stderr(stderr):
            code = rollout_status.main(arguments)
    finally:
        sys.stdin = sys.__stdin__
    text = stdout.buffer.getvalue().decode()
    result = json.loads(text) if text.startswith("{") else {}
    if result:
        jsonschema.validate(result, SCHEMA)
    return Outcome(code, result, text, stderr.getvalue())


@pytest.fixture
def nothing_is_left_behind() -> Iterator[None]:
    """After the test no process runs that it started. One that could not be started is left by sh, as a zombie."""
    yield
    end = time.monotonic() + 10  # a process that has just been killed, or could not be started, takes a moment to end
    while (left := find_children()) and time.monotonic() < end:
        time.sleep(0.05)
    assert not left


def find_children() -> list[str]:
    """The processes that this one has started and that have not ended. Other processes, and threads, end meanwhile."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(FileNotFoundError, ProcessLookupError):
            parent = (path / "stat").read_text().rpartition(")")[2].split()[1]  # after the name: the state, the parent
            if parent == str(os.getpid()) and (path / "cmdline").read_text():
                found.append(path.name)
    return found


@pytest.fixture
def kubectl(tmp_path: Path) -> Callable[..., str]:
    """Makes a program that stands in for kubectl; in it, $DIR is a folder of its own, where `calls` lists how it was called
    for lists; a watch does what `watch` says, with the path of what is watched in $2.
    """

    def program(script: str, watch: str = "exec sleep 1000") -> str:
        path = tmp_path / "kubectl"
        watching = f'case "$*" in *watch=1*) shift $(($# - 2)); {watch}; exit 0 ;; esac'
        path.write_text(f'#!/bin/bash\nDIR={tmp_path}\n{watching}\necho "$@" >>$DIR/calls\n{script}\n')
        path.chmod(0o755)
        return str(path)

    return program


@pytest.fixture
def api(tmp_path: Path) -> Callable[..., str]:
    """Makes a kubectl whose cluster has these objects (cluster.py). `calls` beside it lists what was asked, and how many were given."""

    def make(objects: list[dict[str, Any]], moment: float = 1793491200.0) -> str:
        (tmp_path / "now.json").write_text(json.dumps({"kind": "List", "items": objects}))
        arguments = f'{tmp_path}/now.json {tmp_path}/calls "{email.utils.formatdate(moment, usegmt=True)}"'
        program = tmp_path / "kubectl"
        program.write_text(f'#!/bin/sh\nexec {sys.executable} -S -E {ROOT}/tests/cluster.py {arguments} "$@"\n')
        program.chmod(0o755)
        return str(program)

    return make


def snapshot(case: str, number: int = -1) -> Path:
    """A snapshot file of a fixture, by default its last one."""
    return sorted((FIXTURES / case).glob("*.json"))[number]


def copy_program(folder: Path, *without: str) -> Path:
    """The script of a copy of the program, without some of its files and folders; it is copied as docs/install.md says."""
    folder.mkdir()
    parts = [*ROOT.glob("rollout_status*"), ROOT / "rules", ROOT / "schema.json"]
    subprocess.run(["cp", "-r", *parts, folder], check=True)
    for name in without:
        path = folder / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    return folder / "rollout_status.py"


def environment(**changes: str) -> dict[str, str]:
    """This environment with changes, and without what makes coverage measure a copy of the program."""
    return {**{name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}, **changes}
