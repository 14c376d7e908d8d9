"""The picture in a real terminal. It needs tmux."""

import json
import re
import sys
from pathlib import Path

import jsonschema
import pytest
from conftest import FIXTURES, ROOT, SCHEMA, snapshot
from crowds import record
from tmux import Tmux

from rollout_status_lib.views.terminal import NARROW

PROGRAM = (sys.executable, str(ROOT / "rollout_status.py"))
NAMESPACE = ("-n", "r-deployment-success", "--interval", "200ms", "--set", "settle=0s")
MARK = "what stood there before"


@pytest.fixture
def window(tmp_path: Path):
    with Tmux(tmp_path, 100, 20) as tmux:
        tmux.type("echo", MARK)
        tmux.wait_for(lambda screen: screen.count(MARK) == 2)
        yield tmux


@pytest.fixture
def rollout(kubectl, tmp_path: Path):
    """A program for kubectl, of which two Deployments wait until the file `ready` is there."""
    return kubectl(
        f'case "$*" in *"get "*) [ -e $DIR/ready ] && cat {snapshot("deployment/success")} || cat {snapshot("deployment/success", 0)} ;; esac'
    )


def start(window: Tmux, *arguments: str, output: str = "verdict.json", before: str = "") -> Path:
    """Types the command; its stdout goes to a file beside the fake kubectl."""
    path = Path(window.command[2]).with_name(output)
    line = f"{before} {' '.join([*PROGRAM, *arguments])} >{path}; echo exit:$?"
    window.do("send-keys", "-l", line.strip())
    window.key("Enter")
    return path


def ended(window: Tmux) -> str:
    """All that is left, also of what was scrolled away, joined as it was printed."""
    window.wait_for(lambda screen: bool(re.search(r"^exit:\d+", screen, re.MULTILINE)))
    assert (window.told("alternate_on"), window.told("cursor_flag")) == ("0", "1")
    return window.screen("-S", "-", "-J")


def test_a_run_that_survives_resizes_and_leaves_the_last_picture_once(window: Tmux, rollout: str, tmp_path: Path) -> None:
    verdict = start(window, "--kubectl", rollout, *NAMESPACE)
    window.wait_for(lambda screen: "… waiting" in screen and "deployment/web" in screen)
    assert (window.told("alternate_on"), window.told("cursor_flag")) == ("1", "0")
    for width, height in ((140, 30), (34, 7), (60, 4), (100, 20)):
        window.resize(width, height)
        is_wide = width > NARROW
        window.wait_for(
            lambda screen, is_wide=is_wide, height=height: (
                screen.startswith("rollout-status ")
                and screen.count("deployment/web") == 1
                and ("░" in screen) == is_wide
                and len(screen.rstrip("\n").splitlines()) <= height
            )
        )
    (tmp_path / "ready").touch()
    text = ended(window)
    after = text[text.index("--kubectl") :]
    assert text.count(MARK) == 2
    assert after.count("rollout-status  ") == 1
    assert len(re.findall(r"^✔ ready +deployment/web +██████████ +2/2", after, re.MULTILINE)) == 1
    assert "waiting" not in after
    assert re.search(r"✔ The rollout succeeded after [\d.]+s: Deployment/web in r-deployment-success\n+exit:0", after)
    jsonschema.validate(json.loads(verdict.read_text()), SCHEMA)


def test_a_failure_ends_with_cause_log_and_command(window: Tmux) -> None:
    window.resize(50, 12)
    verdict = start(window, "demo")
    text = ended(window)
    result = json.loads(verdict.read_text())
    whole = " ".join(text.split())  # lines break between words
    assert (
        f"✖ The rollout failed after 1m 39s: Deployment/web in shop; still serving: 1 of 1 pods of revision 1 (localhost:5000/web:v1) cause: {result['error']['summary']} (process-"
        in whole
    )
    assert f" in: {'/'.join(result['error']['resource'].values())} " in whole
    assert all(len(line) <= 50 for line in text.splitlines() if re.match("✖|cause:|  in:|  it has", line))
    for words in (
        "  log:\n    | starting shop-web v2\n    | FATAL: cannot connect to database db:5432\n",
        f"  next: {result['error']['hint']}\n",
        "\nexit:1",
    ):
        assert words in text
    assert text.count("FATAL") == 1  # in the verdict; the picture above it has what else there is


def test_two_hundred_workloads_in_a_small_window(window: Tmux, kubectl, tmp_path: Path) -> None:
    record(tmp_path / "crowd", {f"app-{index:03}": (1, index == 150) for index in range(200)}, FIXTURES, until=12)
    program = kubectl(f'case "$*" in *"get "*) cat {tmp_path / "crowd" / "003.json"} ;; esac')
    window.resize(90, 12)
    start(window, "--kubectl", program, "-n", "r-deployment-success", "--retry-limit=-1")
    screen = window.wait_for(lambda screen: bool(re.search(r"^… and 1\d\d more: ", screen, re.MULTILINE)))
    assert len(screen.rstrip("\n").splitlines()) <= 12
    assert screen.splitlines()[1].startswith("… waiting")
    window.key("C-c")
    assert "… and 1" in ended(window)


def test_control_c_leaves_the_terminal_clean(window: Tmux, rollout: str) -> None:
    verdict = start(window, "--kubectl", rollout, *NAMESPACE)
    window.wait_for(lambda screen: "… waiting" in screen)
    window.key("C-c")
    text = ended(window)
    assert text.count(MARK) == 2
    assert text.count("… waiting") == 1
    assert "cause: Interrupted by SIGINT" in text
    assert "exit:130" in text
    assert json.loads(verdict.read_text())["error"]["code"] == "interrupted"


@pytest.mark.parametrize(("before", "colored"), [("NO_COLOR=1", False), ("", True)])
def test_colors(window: Tmux, before: str, colored: bool) -> None:
    start(window, "demo", before=before)
    ended(window)
    after = window.screen("-e")
    assert bool(re.search(r"\x1b\[(\d+;)*3[1-7]m", after)) == colored
    assert "✖" in after


def test_text_on_the_same_terminal_is_told_once(window: Tmux) -> None:
    window.do("send-keys", "-l", f"clear; {' '.join(PROGRAM)} demo -o text; echo again:$?")
    window.key("Enter")
    text = window.wait_for(lambda screen: "again:1" in screen.replace("echo again", ""))
    assert text.count("The rollout failed") == 1
    assert text.count("deployment/web ") == 1
