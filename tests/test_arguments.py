"""The command line: the seed's spelling and kubectl's, and what is said about a slip."""

import json
import re
import shutil
from pathlib import Path

import pytest
from conftest import FIXTURES, ROOT, run, snapshot

import rollout_status
from rollout_status_lib import __version__
from rollout_status_lib.arguments import build_parser
from rollout_status_start import VERBS

CRASH = ("--replay", str(FIXTURES / "deployment/crash-loop"), "--quiet")


@pytest.mark.parametrize(
    ("arguments", "name", "value"),
    [
        (["-namespace", "x"], "namespace", ["x"]),
        (["-namespace=x", "--namespace=y", "-n", "z", "-nw"], "namespace", ["x", "y", "z", "w"]),
        (["-selector", "a=b"], "selector", "a=b"),
        (["--selector=a=b"], "selector", "a=b"),
        (["-l=a in (b,c)"], "selector", "a in (b,c)"),
        (["-kind-filter", "job"], "kinds", ["job"]),
        (["--kinds", "job,pod"], "kinds", ["job,pod"]),
        (["-kubecontext", "c"], "context", "c"),
        (["-kubeconfig=f"], "kubeconfig", "f"),
        (["-interval", "1m30s"], "interval", 90.0),
        (["-interval=500ms"], "interval", 0.5),
        (["--interval", "2"], "interval", 2.0),
        (["-retry-limit", "-1"], "retry_limit", "-1"),
        (["--retry-limit=3"], "retry_limit", "3"),
        (["-pending-deadline", "180"], "pending_deadline", "180"),
        (["-ignore-secret-not-found"], "ignore_secret_not_found", True),
        (["-ignore-secret-not-found=true"], "ignore_secret_not_found", True),
        (["--ignore-secret-not-found=false"], "ignore_secret_not_found", False),
        (["-ignore-secret-not-found", "deployment/web"], "names", [("deployment", "web")]),
        (["deployment/web", "-n", "x", "job/migrate"], "names", [("deployment", "web"), ("job", "migrate")]),
        (["--set", "image-grace=1m", "--set", "image_grace=2m"], "set", [("image_grace", "1m"), ("image_grace", "2m")]),
        (["--timeout", "1h"], "timeout", 3600.0),
        (["-once=1"], "once", True),
        (["--now", "2026-11-23T07:45:38+01:00"], "now", 1795416338.0),
    ],
)
def test_spelling(arguments: list[str], name: str, value: object) -> None:
    assert getattr(build_parser().parse(arguments), name) == value


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--slector", "a=b"], ["--slector", "--selector"]),
        (["-retry", "3"], ["-retry", "--retry-limit"]),
        (["-interval"], ["-interval needs a value"]),
        (["--replay", ""], ["--replay: it is empty", "variable"]),
        (["--record="], ["--record=: it is empty", "variable"]),
        (["-interval", "soon"], ["--interval", "'soon'", "1m30s"]),
        (["-interval", "5 s"], ["5 s"]),
        (["-interval", "0"], ["--interval", "'0'"]),
        (["--timeout", "-5s"], ["--timeout", "'-5s'"]),
        (["--request-timeout", "5x"], ["--request-timeout"]),
        (["-ignore-secret-not-found=maybe"], ["'maybe'", "true"]),
        (["-retry-limit", "many"], ["retry-limit", "'many'", "-1"]),
        (["-pending-deadline", "many"], ["pending-deadline", "'many'"]),
        (["--set", "image_grace"], ["'image_grace'", "NAME=VALUE"]),
        (["--set", "imagegrace=1m"], ["imagegrace", "did you mean image_grace"]),
        (["--set", "paused=maybe"], ["paused", "fail, wait, ready"]),
        (["--set", "image-grace=1.2.3s"], ["1.2.3s"]),
        (["-n", ""], ["-n", "empty"]),
        (["--kinds", ""], ["--kinds", "empty"]),
        (["-o", "yaml"], ["yaml", "json"]),
        (["web"], ["'web'", "KIND/NAME", "deployment/web"]),
        (["deployments/web/x"], ["KIND/NAME"]),
        (["-f", "a", "-l", "a=b"], ["-f", "--selector"]),
        (["-f", "a", "-A"], ["-f", "--all-namespaces"]),
        (["-f", "a", "web/b"], ["KIND/NAME", "-f"]),
        (["-f", "-", "-f", "a"], ["-f - cannot be combined with another -f"]),
        (["-k", "a", "-f", "a"], ["-k cannot be combined with -f"]),
        (["-k", "a"], ["-k", "does not have its result"]),
        (["-f", "a", "-n", "b", "-n", "c"], ["-f and -k take only one --namespace"]),
        (["--kinds", "deployment,"], ["a comma too many"]),
        (["--expect", "params.nosuch == null"], ["--expect", "no parameter nosuch"]),
        (["-A", "-n", "a"], ["--all-namespaces cannot be combined"]),
        (["--record", "a", "--replay", str(FIXTURES / "deployment/success")], ["--record", "recorded already"]),
        (["--expect", "a ==", "--replay", "a"], ["--expect", "a =="]),
        (["--expect-image", "app:v1", "--replay", "a"], ["expect-image", "'app:v1'", "NAME=VALUE"]),
        (["--on-superseded", "maybe", "--replay", "a"], ["on-superseded", "maybe", "note, fail"]),
        (["deployment/web", "-l", "a=b"], ["KIND/NAME", "--selector"]),
        (["--now", "yesterday"], ["yesterday", "2026-11-23T06:45:38Z"]),
        (["--now", "2026-13-23T06:45:38Z"], ["2026-13-23"]),
    ],
)
def test_slip(arguments: list[str], words: list[str]) -> None:
    outcome = run(*CRASH, *arguments)
    assert (outcome.exit, outcome.error["code"], outcome.error["type"]) == (2, "usage", "program")
    for word in words:
        assert word in outcome.error["message"]


@pytest.mark.parametrize(
    ("word", "meant"), [("deploymnets", "did you mean deployments?"), ("statefulsett/db", "did you mean statefulset?")]
)
def test_a_kind_that_nobody_declares_may_be_a_slip(word: str, meant: str) -> None:
    outcome = run("--replay", str(FIXTURES / "deployment/success"), *([word] if "/" in word else ["--kinds", word]))
    assert (outcome.exit, outcome.error["code"]) == (1, "not-found")
    assert meant in outcome.result["notes"][0]


def test_now_goes_with_a_single_file() -> None:
    assert run("--now", "2026-11-23T06:45:38Z").error["message"] == "--now needs --replay FILE"
    assert "a recording has its own times" in run(*CRASH, "--now", "2026-11-23T06:45:38Z").error["message"]


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What a run says that ends with 0, which argparse does by itself."""
    try:
        code: object = rollout_status.main(arguments)
    except SystemExit as end:
        code = end.code
    assert code == 0
    return capsys.readouterr().out


def test_help_and_version(capsys: pytest.CaptureFixture[str]) -> None:
    for flag, word in (("--help", "exit codes"), ("--version", __version__)):
        assert word in printed(capsys, flag).lower()


def test_help_fits_a_screen(capsys: pytest.CaptureFixture[str]) -> None:
    """Of 50 rows and 100 columns: a line for each flag, in the group that it belongs to."""
    lines = printed(capsys, "--help").splitlines()
    assert (len(lines) <= 50, max(map(len, lines)) <= 100) == (True, True)
    heads = [line for line in lines if re.fullmatch(r"[a-z ]+:", line)]
    assert heads == ["what to judge:", "what counts as failure:", "how long:", "where from:", "output:"]
    shown = {re.search(r"--[a-z-]+", line)[0] for line in lines if re.match(r"  -", line)}  # type: ignore[index]
    assert shown == {f"--{name}" for name in build_parser().flags() if len(name) > 1} - {"--kind-filter", "--kubecontext"}


@pytest.mark.parametrize("verb", [*VERBS, "demo"])
def test_each_verb_has_help(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert printed(capsys, verb, "--help").startswith("usage: rollout-status ")


@pytest.mark.parametrize("kinds", ["deployment", "Deployments", "deploy", "deployment.apps", "deployment.v1.apps", "job, deployment"])
def test_words_for_a_kind(kinds: str) -> None:
    assert run(*CRASH, "--kinds", kinds, "--retry-limit", "1").error["code"] == "process-crashing"


def test_kinds_that_are_not_there_are_not_found() -> None:
    outcome = run(*CRASH, "--kinds", "job,daemonset,statefulset")
    assert (outcome.exit, outcome.error["code"]) == (1, "not-found")
    assert outcome.error["message"] == 'There are no jobs, daemonsets or statefulsets to judge in namespace "default"'


def test_name_chooses() -> None:
    case = ("--replay", str(FIXTURES / "selection/release-two-failures"), "--quiet")
    assert [entry["name"] for entry in run(*case, "deploy/front").result["workloads"]] == ["front"]
    missing = run(*case, "deploy/front", "deployment/nope")
    assert (missing.exit, missing.error["code"]) == (1, "not-found")
    assert missing.error["message"] == 'deployments.apps "nope" not found; there is api, front, worker'


def test_namespace_chooses() -> None:
    outcome = run(*CRASH, "-n", "elsewhere", "-n", "nowhere", "-n", "elsewhere")
    assert outcome.error["message"].endswith('in namespace "elsewhere" or "nowhere"')


def test_flag_of_its_own_wins_over_set() -> None:
    assert run(*CRASH, "--set", "retry-limit=100", "--retry-limit", "1").error["code"] == "process-crashing"


def test_time_of_a_single_file() -> None:
    """The newest time in it, and no deletion that lies ahead; --now says another."""
    file = str(snapshot("pod/unschedulable-memory"))
    assert run("--replay", file, "--quiet").error["code"] == "timeout"
    assert run("--replay", file, "--quiet", "--now", "2026-11-24T06:00:00Z").error["code"] == "scheduling"


def test_text_for_people() -> None:
    outcome = run(*CRASH, "--retry-limit", "1", "-o", "text")
    assert outcome.exit == 1
    for line in (
        "cause: Container",
        "  log:\n    | FATAL: cannot connect to database",
        "  next: kubectl -n",
    ):
        assert f"\n{line}" in outcome.stdout
    ready = run("--replay", str(FIXTURES / "deployment/zero-replicas"), "-o", "text")
    assert ready.stdout.startswith("The rollout succeeded: Deployment/app in r-deployment-zero-replicas\nnote: ")
    assert "\nnote: Deployment" in ready.stdout
    assert "cause: There are no jobs" in run(*CRASH, "--kinds", "job", "-o", "text").stdout


def test_demo_is_a_crash_loop() -> None:
    outcome = run("demo")
    assert (outcome.exit, outcome.error["code"], outcome.error["log"]) == (
        1,
        "process-crashing",
        "starting shop-web v2\nFATAL: cannot connect to database db:5432\n",
    )
    assert "deployment/web: failed: " in outcome.stderr


def test_a_crash_loop_is_told_from_its_first_crash_on() -> None:
    """With all flags at their defaults, three restarts are tolerated, and the crash of the fourth one is fatal. Each line says how many are left."""
    outcome = run("demo")
    told = [line.partition("] ")[2] for line in outcome.stderr.splitlines() if line.startswith("[")]
    assert told[0].startswith(
        'deployment/web: Container "main" has exited once, with exit code 3 after 2s; fails after 3 restarts (pod web-'
    )
    assert told[1].startswith('deployment/web: Container "main" has exited 2 times, last with exit code 3 after 2s; fails after 3 restarts')
    assert "has exited 4 times, last with exit code 3 after 2s; fails if it exits again (pod web-" in told[-2]
    error = outcome.error
    assert (error["summary"], error["exitCode"], error["restarts"]) == ('Container "main" exits with code 3 after 2s', 3, 4)
    assert error["details"] == ["it has exited 5 times, last with exit code 3 after 2s; at most 3 restarts are allowed"]
    assert outcome.result["elapsedSeconds"] < 120


def test_the_page_of_the_result_shows_the_demo() -> None:
    shown = json.loads(re.search(r"```json\n(.*?)```", (ROOT / "docs" / "result.md").read_text(), re.DOTALL)[1])
    result = run("demo").result
    assert shown["error"] == result["error"]
    assert (shown["elapsedSeconds"], shown["polls"]) == (result["elapsedSeconds"], result["polls"])


def test_timeout_of_a_replay_and_its_progress() -> None:
    """A line when something changes, a heartbeat each 30 s that names the oldest wait, and none of it with --quiet."""
    case = ("--replay", str(FIXTURES / "container/registry-down"))
    outcome = run(*case, "--timeout", "10s")
    assert (outcome.exit, outcome.error["code"]) == (3, "timeout")
    assert outcome.error["message"].startswith("Timed out after 10s: deployment/app: The image 127.0.0.1:5999/app:v1 ")
    assert outcome.result["elapsedSeconds"] == 10
    assert outcome.stderr.startswith("[   0s] deployment/app: ")
    long = run("--replay", str(FIXTURES / "container/crash-then-recover"), "--set", "settle=1m")
    assert re.search(r"^\[ +\d+s\] still waiting, for \d+s now: deployment/app: ", long.stderr, re.MULTILINE)
    assert run(*case, "--quiet").stderr == ""


def test_progress_names_namespaces_where_there_are_several(tmp_path) -> None:
    objects = [item for case in ("deployment/success", "job/success") for item in json.loads(snapshot(case).read_text())["items"]]
    (tmp_path / "all.json").write_text(json.dumps({"kind": "List", "items": objects}))
    assert "] r-job-success: job/migrate: successfully rolled out" in run("--replay", str(tmp_path / "all.json")).stderr


@pytest.mark.parametrize(("timeout", "exit_code"), [((), 1), (("--timeout", "5m"), 3), (("--timeout", "20m"), 3)])
def test_a_longer_timeout_takes_the_place_of_the_arrival_deadline(tmp_path: Path, timeout: tuple[str, ...], exit_code: int) -> None:
    """The image does not come within the 15 minutes of the recording; the deadline is 10."""
    folder = FIXTURES / "selection/expect-image-awaited"
    shutil.copy(folder / "001.json", tmp_path)
    recording = (folder / "recording.yaml").read_text()
    (tmp_path / "recording.yaml").write_text(re.sub(r"until: \S+", "until: 2026-11-23T07:00:49.000Z", recording))
    outcome = run("--replay", str(tmp_path), "--expect-image", "main=registry.example/app:v9", "--retry-limit=0", *timeout)
    assert outcome.exit == exit_code
