"""Completion in the shells themselves, at a terminal: Tab and Enter are pressed, and what has been run then is looked at."""

import os
import pty
import shlex
import shutil
import signal
import sys
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import pytest
from conftest import BIN, command

PATIENCE = 60.0  # seconds after which what should have come counts as not coming
KUBECTL = """#!/bin/sh
case "$*" in
  *"get deployments.apps --namespace=shop -o name") echo deployment.apps/web ;;
  *"config get-contexts -o name") echo arn:aws:eks:1:cluster/prod ;;
  *) exit 1 ;;
esac
"""
# The tool, which only completes: how else it was called is written down
PROGRAM = """#!/bin/sh
[ "$1" = completion ] && exec {tool} "$@"
echo "rollout-status $*" >{place}/ran.new
mv {place}/ran.new {place}/ran
"""
# How each shell starts with nothing of this machine's, and what it then reads
SHELLS = {
    "bash": (["bash", "--norc", "--noprofile"], "source <(rollout-status completion bash)"),
    "zsh": (["zsh", "-f"], "autoload -U compinit; compinit -u -D; source <(rollout-status completion zsh)"),
}
LINES = [
    ("rollout-status statef\t", "rollout-status statefulset/"),
    ("rollout-status --stab\t1m", "rollout-status --stable-for 1m"),
    ("rollout-status --output te\t", "rollout-status --output text"),
    ("rollout-status --output=te\t", "rollout-status --output=text"),
    ("rollout-status -n shop deploy/\t", "rollout-status -n shop deploy/web"),
    ("rollout-status --context arn:aws:\t", "rollout-status --context arn:aws:eks:1:cluster/prod"),
    ("rollout-status -f some-ma\t", "rollout-status -f some-manifests.yaml"),
]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a file, and with the tool and a kubectl in bin/."""
    folder = tmp_path_factory.mktemp("place")
    (folder / "some-manifests.yaml").touch()
    (folder / "bin").mkdir()
    for name, text in (
        ("kubectl", KUBECTL),
        ("rollout-status", PROGRAM.format(place=shlex.quote(str(folder)), tool=shlex.quote(str(BIN / "rollout-status")))),
    ):
        (folder / "bin" / name).write_text(text)
        (folder / "bin" / name).chmod(0o755)
    return folder


def path_with(folder: Path) -> str:
    return f"{folder}:{Path(sys.executable).parent}:{os.environ['PATH']}"


def ran(shell: list[str], setup: str, lines: Iterable[str], place: Path) -> list[str]:
    """The commands that lines have become when they are run; an empty one ends them, when our patience ends before."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(place)
        os.execvpe(shell[0], shell, {"PATH": path_with(place / "bin"), "TERM": "dumb", "HOME": str(place)})
    reader = threading.Thread(target=read_all, args=[terminal])  # so that the shell can go on writing
    reader.start()
    commands = []
    try:
        os.write(terminal, f"{setup}\n".encode())
        for line in lines:
            (place / "ran").unlink(missing_ok=True)
            os.write(terminal, f"{line}\n".encode())
            end = time.monotonic() + PATIENCE
            while not (place / "ran").exists() and time.monotonic() < end:
                time.sleep(0.05)
            commands.append((place / "ran").read_text().strip() if (place / "ran").exists() else "")
            if not commands[-1]:
                break
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        reader.join()
        os.close(terminal)
    return commands


def read_all(terminal: int) -> None:
    with suppress(OSError):
        while os.read(terminal, 4096):
            pass


@pytest.mark.parametrize("shell", SHELLS)
def test_lines_at_a_terminal(shell: str, place: Path) -> None:
    if not shutil.which(shell):
        pytest.skip(f"there is no {shell} on PATH")
    assert ran(*SHELLS[shell], [line for line, _ in LINES], place) == [expected for _, expected in LINES]


@pytest.mark.skipif(not shutil.which("fish"), reason="there is no fish on PATH")
def test_lines_of_fish(place: Path) -> None:
    """Fish says without a terminal how it would complete a line."""
    script = "".join(f"; complete -C '{line.partition(chr(9))[0]}'; echo" for line, _ in LINES)
    done = command(
        "fish", "--no-config", "-c", f"rollout-status completion fish | source{script}",
        cwd=place, PATH=path_with(place / "bin"), HOME=str(place),
    )  # fmt: skip
    shown = [[each.partition("\t")[0] for each in answer.splitlines()] for answer in done.stdout.split("\n\n")]
    for (line, expected), words in zip(LINES, shown, strict=False):
        assert expected.removesuffix(line.partition("\t")[2]).split()[-1] in words
    assert len(shown) >= len(LINES)


@pytest.mark.skipif(not shutil.which("kubectl"), reason="there is no kubectl on PATH")
def test_kubectl_completes_its_plugin(wheel: Path, tmp_path: Path) -> None:
    """As the completion of kubectl, of 1.26 or later, asks for it."""
    command(BIN / "uv", "venv", "-q", "--python", sys.executable, tmp_path)
    command(BIN / "uv", "pip", "install", "-q", "--python", tmp_path / "bin" / "python", wheel)
    done = command("kubectl", "__complete", "rollout-status", "statef", PATH=path_with(tmp_path / "bin"))
    assert done.stdout == "statefulset/\tstatefulsets.apps\n:6\n"
