"""Streams that nobody reads or writes: --timeout and a signal end each of these, and the exit code says what it would say otherwise."""

import fcntl
import io
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from conftest import FIXTURES, ROOT, environment, run

from rollout_status_lib import streams
from rollout_status_lib.interrupts import INTERRUPTS

Program = Callable[..., str]
TOOL = [sys.executable, str(ROOT / "rollout_status.py")]
CRASH = ("--replay", str(FIXTURES / "deployment/crash-loop"), "--retry-limit", "1", "--quiet")


SELECT = ("23", "270", "72")  # the numbers of select and pselect6 on this and on other machines


@pytest.fixture
def full():
    """A pipe that is full, and that nobody reads: its end for writing."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    while select.select([], [writing], [], 0)[1]:
        os.write(writing, b"x" * 512)
    os.set_blocking(writing, True)
    yield writing
    os.close(reading)
    os.close(writing)


def test_a_stdout_that_nobody_reads_ends_with_the_timeout(full: int) -> None:
    done = subprocess.run([*TOOL, *CRASH, "--timeout", "1s"], stdout=full, stderr=subprocess.PIPE, text=True, check=False, timeout=120)
    assert (done.returncode, "stdout cannot be written: nobody reads it" in done.stderr) == (3, True)


def test_a_stdout_that_nobody_reads_ends_with_a_signal(full: int) -> None:
    """Once the verdict is there, which the line on stderr says."""
    with subprocess.Popen([*TOOL, *CRASH[:-1], "--ci", "gitlab"], stdout=full, stderr=subprocess.PIPE, text=True) as process:
        next(line for line in process.stderr if "process-crashing" in line)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=120)
        assert process.returncode == 1


@pytest.mark.parametrize("waits", [True, False])
def test_what_is_read_late_is_written_whole(waits: bool) -> None:
    """More than a pipe takes at once; also where a program that shares it has set it not to wait."""
    reading, writing = os.pipe()
    os.set_blocking(writing, waits)
    data = b"0123456789" * 30_000
    with ThreadPoolExecutor() as pool:
        written = pool.submit(streams.write_all, writing, data)
        time.sleep(streams.TICK * 1.5)
        got = b""
        while len(got) < len(data):
            got += os.read(reading, 1 << 16)
        written.result(timeout=60)
    os.close(reading)
    os.close(writing)
    assert got == data


def test_a_stderr_that_nobody_reads_costs_lines_and_no_verdict(full: int) -> None:
    done = subprocess.run([*TOOL, *CRASH[:-1]], stdout=subprocess.PIPE, stderr=full, text=True, check=False, timeout=120)
    assert (done.returncode, json.loads(done.stdout)["error"]["code"]) == (1, "process-crashing")


def test_a_stderr_that_is_read_again_has_lines_again(full: int) -> None:
    with os.fdopen(os.dup(full), "w") as stream:
        streams.say(stream, "lost")
        assert stream.fileno() in streams.STUCK
        streams.say(stream, "lost at once")
        assert stream.fileno() in streams.STUCK
    with open("/dev/null", "w") as null:
        streams.STUCK.add(null.fileno())
        streams.say(null, "taken")
        assert null.fileno() not in streams.STUCK


def test_a_pipe_that_stands_for_a_summary_or_a_report_is_a_note(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "PATIENCE", 0.2)
    os.mkfifo(tmp_path / "summary")
    os.mkfifo(tmp_path / "page.md")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary"))
    outcome = run(*CRASH, "--ci", "github", "--report", str(tmp_path / "page.md"))
    assert (outcome.exit, outcome.error["code"]) == (1, "process-crashing")
    notes = " ".join(outcome.result["notes"])
    assert "the step summary could not be written: nobody reads it" in notes
    assert f"the report {tmp_path}/page.md could not be written: nobody reads it" in notes
    assert (tmp_path / "page.md").is_fifo()


def test_a_pipe_that_is_read_gets_the_report(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "page.md")
    reader = subprocess.Popen(["cat", str(tmp_path / "page.md")], stdout=subprocess.PIPE, text=True)
    assert run(*CRASH, "--report", str(tmp_path / "page.md")).exit == 1
    text, _ = reader.communicate(timeout=60)
    assert "process-crashing" in text


def test_a_pipe_whose_reader_stops_is_a_note(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "PATIENCE", 0.2)
    monkeypatch.setattr("rollout_status_lib.reports.files.PATIENCE", 0.2)
    os.mkfifo(tmp_path / "page.html")
    reader = os.open(tmp_path / "page.html", os.O_RDONLY | os.O_NONBLOCK)
    fcntl.fcntl(reader, fcntl.F_SETPIPE_SZ, 4096)  # the report is larger
    outcome = run(*CRASH, "--report", str(tmp_path / "page.html"))
    os.close(reader)
    assert (outcome.exit, "nobody reads it" in outcome.result["notes"][0]) == (1, True)


def test_an_input_that_does_not_end(kubectl: Program) -> None:
    """A timeout and a signal end it, whether something was written to it or not."""
    program = kubectl("exit 1")
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([*TOOL, "--kubectl", program, "-f", "-", "--timeout", "1s"], **pipes) as process:
        process.stdin.write(b'{"kind":')
        process.stdin.flush()
        assert process.wait(timeout=60) == 3
        assert json.loads(process.stdout.read())["error"]["code"] == "timeout"
    with subprocess.Popen([*TOOL, "--kubectl", program, "-f", "-"], **pipes) as process:
        waits = Path(f"/proc/{process.pid}/syscall")
        while b"rollout" not in Path(f"/proc/{process.pid}/cmdline").read_bytes() or waits.read_text().split()[0] not in SELECT:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 130
        assert json.loads(process.stdout.read())["error"]["code"] == "interrupted"


def test_an_input_that_is_closed_is_wrong_input(kubectl: Program) -> None:
    command = [*TOOL, "--kubectl", kubectl("exit 1"), "-f", "-"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment(), preexec_fn=lambda: os.close(0))
    error = json.loads(done.stdout)["error"]
    assert (done.returncode, error["code"], "it is closed" in error["message"]) == (2, "usage", True)


def test_a_signal_shortens_the_patience(full: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(INTERRUPTS, "pending", signal.SIGTERM)
    with pytest.raises(TimeoutError):
        streams.write_all(full, b"x")
    monkeypatch.setattr(INTERRUPTS, "pending", 0)
    monkeypatch.setattr(streams.Deadline, "at", 0.0)
    monkeypatch.setattr(streams, "PATIENCE", 0.1)
    with pytest.raises(TimeoutError):
        streams.write_all(full, b"x")


def test_what_stands_in_for_a_stream_is_written_as_it_is() -> None:
    stream = io.StringIO()
    streams.say(stream, "a line")
    assert stream.getvalue() == "a line\n"
    stream.close()
    streams.say(stream, "no line")


def test_a_file_that_cannot_be_opened_is_no_pipe(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError), streams.open_to_write(tmp_path):
        pass


def test_a_stdin_that_python_has_found_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(OSError, match="it is closed"):
        streams.read_in(1.0)
