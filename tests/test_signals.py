"""Signals, and what is left of the processes that were started: the tool ends with all of them, whatever ends it."""

import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest
from conftest import ROOT, SCHEMA, environment, run, snapshot

import rollout_status_start as start
from rollout_status_lib.interrupts import INTERRUPTS, Interrupted
from rollout_status_lib.sources.kubectl import Kubectl
from rollout_status_lib.sources.processes import MARK, find_marked, make_tie

Program = Callable[..., str]
CODES = [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGQUIT, 131)]


def ended(pid: int) -> bool:
    """Waits until a process has ended; False if it has not after a while. One whose parent takes no note of it has."""
    for _ in range(200):
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.05)
    return False


def wait_for(path: Path, process: subprocess.Popen) -> None:
    while not path.exists():
        assert process.poll() is None
        time.sleep(0.02)


@pytest.fixture
def slow(tmp_path: Path) -> Callable[..., subprocess.Popen]:
    """Starts the tool with a module that waits in the place of one that it imports, and says so when it does."""

    def begin(*arguments: str) -> subprocess.Popen:
        (tmp_path / "argparse.py").write_text(f"open({str(tmp_path / 'waits')!r}, 'w').close()\nimport time\ntime.sleep(1000)\n")
        command = [sys.executable, "-c", "import sys, rollout_status_start as s; sys.exit(s.main())", *arguments]
        variables = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=variables)
        wait_for(tmp_path / "waits", process)
        return process

    return begin


@pytest.mark.parametrize(("signum", "code"), CODES)
def test_a_signal_while_the_program_is_still_imported_ends_with_a_document(slow, signum: int, code: int) -> None:
    process = slow("deployment/web")
    process.send_signal(signum)
    stdout, stderr = process.communicate(timeout=60)
    result = json.loads(stdout)
    jsonschema.validate(result, SCHEMA)
    assert (process.returncode, result["error"]["code"], stderr) == (code, "interrupted", "")


def test_a_signal_while_a_verb_is_still_imported_is_a_line(slow) -> None:
    process = slow("lint")
    process.send_signal(signal.SIGTERM)
    stdout, stderr = process.communicate(timeout=60)
    assert (process.returncode, stdout, stderr) == (143, "", "rollout-status lint: Interrupted by SIGTERM\n")


def test_the_script_listens_before_it_imports(tmp_path: Path) -> None:
    (tmp_path / "argparse.py").write_text(f"open({str(tmp_path / 'waits')!r}, 'w').close()\nimport time\ntime.sleep(1000)\n")
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "rollout_status.py"), "demo"],
        stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )  # fmt: skip
    wait_for(tmp_path / "waits", process)
    process.send_signal(signal.SIGTERM)
    stdout, _ = process.communicate(timeout=60)
    assert (process.returncode, json.loads(stdout)["error"]["code"]) == (143, "interrupted")


@pytest.mark.parametrize("waits", ["unpacking", "importing"])
def test_the_archive_leaves_no_folder_behind(tmp_path: Path, waits: str) -> None:
    """Neither while it unpacks itself, which many files make long, nor after."""
    archive, folder = tmp_path / "rollout-status", tmp_path / "tmp"
    folder.mkdir()
    with zipfile.ZipFile(archive, "w") as file:
        file.write(ROOT / "packaging" / "onefile.py", "__main__.py")
        file.write(ROOT / "rollout_status_start.py", "rollout_status_start.py")
        file.writestr("lib/rollout_status.py", "import time\nopen(__file__ + '.waits', 'w').close()\ntime.sleep(1000)\n")
        if waits == "unpacking":
            for number in range(30_000):
                file.writestr(f"lib/{number}", "")
    process = subprocess.Popen(
        [sys.executable, str(archive), "demo"], stdout=subprocess.PIPE, text=True, env=environment(TMPDIR=str(folder))
    )
    while not list(folder.glob("*/lib/1" if waits == "unpacking" else "*/lib/*.waits")):
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    stdout, _ = process.communicate(timeout=60)
    assert (process.returncode, json.loads(stdout)["error"]["code"], list(folder.iterdir())) == (143, "interrupted", [])


def test_what_cannot_begin_says_so_to_whatever_stands_in_for_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    assert start.refuse(["demo"], "it is broken", "mend it") == 70
    out, err = capsys.readouterr()
    assert (json.loads(out)["error"]["hint"], err) == ("mend it", "rollout-status: it is broken (mend it)\n")


WAITING = f"cat {snapshot('container/slow-readiness', 1)}"


def begin(program: str, *arguments: str, **options) -> subprocess.Popen:
    command = [sys.executable, str(ROOT / "rollout_status.py"), "--kubectl", program, *arguments]
    # unmeasured: coverage locks what it counts, and a signal in that moment would wait for ever
    known = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "start_new_session": True, "env": environment()}
    return subprocess.Popen(command, **{**known, **options})


def test_no_kubectl_outlives_a_tool_that_is_killed(kubectl: Program, tmp_path: Path) -> None:
    """Neither a watch nor a list."""
    hangs = f"[ -e $DIR/watches ] && {{ echo $$ >$DIR/list; mv $DIR/list $DIR/lists; exec sleep 1000; }}; {WAITING}"
    process = begin(kubectl(hangs, "echo $$ >>$DIR/watching; touch $DIR/watches; exec sleep 1000"), "-n", "shop", "--interval", "100ms")
    wait_for(tmp_path / "lists", process)
    process.kill()
    process.communicate()
    pids = [int(pid) for name in ("lists", "watching") for pid in (tmp_path / name).read_text().split()]
    assert len(pids) >= 2
    assert all(map(ended, pids))


PLUGIN = "setsid bash -c 'echo $$ >$DIR/plugin; exec sleep 1000' & while [ ! -s $DIR/plugin ]; do :; done; touch $DIR/hangs; wait"


def test_a_credential_plugin_in_a_session_of_its_own_is_killed_too(
    kubectl: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Kubectl, "EXTRA", 0.2)
    program = kubectl(f"export DIR; {PLUGIN}")
    outcome = run("--kubectl", program, "--request-timeout", "2s", "--once", "deployment/web")
    assert (outcome.exit, outcome.error["code"]) == (4, "unreachable")
    assert ended(int((tmp_path / "plugin").read_text()))


def test_it_is_killed_when_a_signal_ends_the_tool(kubectl: Program, tmp_path: Path) -> None:
    process = begin(kubectl(f"export DIR; {PLUGIN}"), "deployment/web")
    wait_for(tmp_path / "hangs", process)
    process.terminate()
    stdout, _ = process.communicate(timeout=60)
    assert (process.returncode, json.loads(stdout)["error"]["code"]) == (143, "interrupted")
    assert ended(int((tmp_path / "plugin").read_text()))


def test_what_others_started_is_not_marked() -> None:
    mark = "of-a-test"
    process = subprocess.Popen(["sleep", "1000"], env={**os.environ, MARK: mark})
    try:
        while process.pid not in find_marked(mark):
            time.sleep(0.01)
        assert list(find_marked(mark)) == [process.pid]
        assert process.pid not in find_marked("of-a-tes")
    finally:
        process.kill()
        process.wait()


def test_a_signal_that_somebody_has_caught_is_not_forgotten() -> None:
    INTERRUPTS.forget()
    INTERRUPTS.listen()
    with pytest.raises(Interrupted):
        os.kill(os.getpid(), signal.SIGTERM)
    for again in (INTERRUPTS.check, INTERRUPTS.listen):
        with pytest.raises(Interrupted, match="SIGTERM"):
            again()
    INTERRUPTS.defer()
    INTERRUPTS.check()
    INTERRUPTS.forget()


# Begins as the installed command does, is told what to remove, and ends itself
ENDED = (
    "import os, rollout_status_start as s; s.listen(); s.LAST_WISHES.append(lambda: print('removed', flush=True)); os.kill(os.getpid(), 15)"
)


def test_what_must_be_removed_is_when_a_signal_ends_what_has_not_begun() -> None:
    done = subprocess.run([sys.executable, "-c", ENDED], capture_output=True, text=True, check=False, cwd=ROOT)
    assert (done.returncode, done.stdout.splitlines()[0]) == (143, "removed")


def test_the_installed_command_begins_here() -> None:
    done = subprocess.run(
        [str(Path(sys.executable).parent / "rollout-status"), "--version"],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert (done.returncode, done.stdout.startswith("rollout-status ")) == (0, True)


def test_what_cannot_begin_and_cannot_say_so_still_ends_with_its_code() -> None:
    program = "import sys, rollout_status_start as s; sys.exit(s.refuse(['demo'], 'it is broken'))"
    with open("/dev/full", "w") as full:
        done = subprocess.run([sys.executable, "-c", program], stdout=full, stderr=full, check=False, cwd=ROOT)
    assert done.returncode == 70


def test_nothing_ties_a_process_where_there_is_no_linux(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert make_tie()() is None  # type: ignore[func-returns-value]
