"""What the tool does with kubectl: a program stands in for it where a cluster could not be made to behave so."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest
from conftest import FIXTURES, ROOT, SCHEMA, environment, run, snapshot

Program = Callable[[str], str]

# Answers like a cluster: the snapshot $1 for workloads as for what they own
CLUSTER = """
case "$*" in
  *"get events"*) echo '{"kind": "List", "items": []}' ;;
  *" logs "*) echo "a log" ;;
  *" config view "*) echo shop ;;
  *) cat %s ;;
esac
"""


def cluster(case: str, number: int = -1) -> str:
    return CLUSTER % snapshot(case, number)


def calls(program: str) -> list[str]:
    return Path(program).with_name("calls").read_text().splitlines()


def test_success_asks_once_for_workloads_and_once_for_what_they_own(kubectl: Program) -> None:
    program = kubectl(cluster("deployment-success"))
    outcome = run("--kubectl", program, "-n", "r-deployment-success", "-l", "app=web", "--context", "c", "--kubeconfig", "f")
    assert (outcome.exit, outcome.result["polls"]) == (0, 1)
    common = "--context=c --kubeconfig=f --request-timeout=30s get"
    assert sorted(calls(program)) == [
        f"{common} daemonsets.apps,deployments.apps,jobs.batch,statefulsets.apps -n r-deployment-success -l app=web -o json",
        f"{common} pods,replicasets.apps -n r-deployment-success -o json",
    ]


def test_one_name_is_asked_for_alone(kubectl: Program) -> None:
    program = kubectl(cluster("deployment-success"))
    assert run("--kubectl", program, "deploy/web").exit == 0
    assert any("get deployments.apps --field-selector metadata.name=web -o json" in call for call in calls(program))


def test_failure_reads_the_log_of_the_run_that_failed(kubectl: Program) -> None:
    program = kubectl(cluster("deployment-crash-loop"))
    outcome = run("--kubectl", program, "--retry-limit", "1")
    assert (outcome.exit, outcome.error["log"]) == (1, "a log\n")
    assert re.search(
        r" logs -n r-deployment-crash-loop app-\S+ -c main --tail=20 --limit-bytes=100000 --previous$",
        "\n".join(calls(program)),
        re.MULTILINE,
    )


def test_log_and_events_that_cannot_be_read_are_notes(kubectl: Program) -> None:
    program = kubectl('case "$*" in *" logs "*) echo "no log" >&2; exit 1 ;; *) cat %s ;; esac' % snapshot("deployment-crash-loop"))
    outcome = run("--kubectl", program, "--retry-limit", "1")
    assert (outcome.exit, outcome.error["code"]) == (1, "process-crashing")
    assert "no log" in outcome.result["notes"][0]
    program = kubectl(
        'case "$*" in *events*) echo "events is forbidden" >&2; exit 1 ;; *) cat %s ;; esac' % snapshot("deployment-unschedulable-memory")
    )
    outcome = run("--kubectl", program, "--pending-deadline", "1")
    assert (outcome.exit, outcome.error["code"]) == (1, "scheduling")
    assert "events is forbidden" in outcome.result["notes"][0]


def test_nothing_there_names_the_namespace_of_the_context(kubectl: Program) -> None:
    program = kubectl(cluster("seed-not-found"))
    outcome = run("--kubectl", program, "-selector", "a=b", "-kind-filter", "deployment")
    assert (outcome.exit, outcome.error["code"]) == (1, "not-found")
    assert outcome.error["message"] == 'Selector "a=b" did not match any deployments in namespace "shop"'
    assert "--kubeconfig" not in calls(program)[0]


def test_waits_until_it_is_there(kubectl: Program) -> None:
    """The second and third poll see nothing new, so that pauses grow; then the rollout ends."""
    waiting, ready = snapshot("deployment-slow-readiness", 1), snapshot("deployment-slow-readiness")
    program = kubectl(f'if [ "$(wc -l <$DIR/calls)" -le 6 ]; then cat {waiting}; else cat {ready}; fi')
    outcome = run("--kubectl", program, "-interval", "100ms", "deployment/web", "--timeout", "1m")
    assert outcome.exit == 0
    assert outcome.result["polls"] >= 3
    assert "is running, but not ready" in outcome.stderr


def test_timeout_and_once(kubectl: Program) -> None:
    program = kubectl(cluster("deployment-slow-readiness", 1))
    late = run("--kubectl", program, "--timeout", "700ms")
    assert (late.exit, late.error["code"]) == (3, "timeout")
    assert "deployment/web: Container" in late.error["message"]
    once = run("--kubectl", program, "--once")
    assert (once.exit, once.result["polls"]) == (3, 1)


def test_kubectl_is_missing(tmp_path: Path) -> None:
    outcome = run("--kubectl", str(tmp_path / "kubectl"))
    assert (outcome.exit, outcome.error["code"]) == (4, "kubectl-not-found")
    assert "--kubectl PATH" in outcome.error["hint"]


def test_kubectl_cannot_be_started(tmp_path: Path) -> None:
    program = tmp_path / "kubectl"
    program.write_text("#!/no/such/interpreter\n")
    program.chmod(0o755)
    outcome = run("--kubectl", str(program), "--once")
    assert (outcome.exit, outcome.error["code"]) == (4, "unreachable")
    assert "could not be started" in outcome.error["message"]


@pytest.mark.parametrize(
    ("script", "code", "word"),
    [
        ('echo "The connection to the server was refused" >&2; exit 1', "unreachable", "refused"),
        ("exit 1", "unreachable", "exits with 1 and says nothing"),
        ("kill -SEGV $$", "unreachable", "exits with -11"),
        ("echo '{\"items\": ['", "unreachable", "no complete JSON"),
        ("echo a line of a shim; echo '{}'", "unreachable", "begins with 'a line of a shim"),
        ('echo "error: context \\"x\\" does not exist" >&2; exit 1', "unreachable", "context"),
        ('echo "error: You must be logged in to the server (Unauthorized)" >&2; exit 1', "unauthorized", "logged in"),
    ],
)
def test_call_that_fails(kubectl: Program, script: str, code: str, word: str) -> None:
    outcome = run("--kubectl", kubectl(script), "--set", "api-grace=0s")
    assert (outcome.exit, outcome.error["code"], outcome.error["type"]) == (4, code, "program")
    assert word in outcome.error["message"]


def test_what_is_watched_by_default_may_be_forbidden(kubectl: Program) -> None:
    script = """
    case "$*" in
      *daemonsets*,*|*,daemonsets*|*" daemonsets"*) echo 'Error from server (Forbidden): daemonsets.apps is forbidden' >&2; exit 1 ;;
      *) cat %s ;;
    esac"""
    program = kubectl(script % snapshot("deployment-success"))
    outcome = run("--kubectl", program, "-n", "r-deployment-success")
    assert outcome.exit == 0
    assert "daemonsets.apps" in outcome.result["notes"][0]
    asked = run("--kubectl", program, "--kinds", "daemonset,deployment", "-n", "r-deployment-success")
    assert (asked.exit, asked.error["code"]) == (4, "forbidden")


def test_nothing_may_be_listed(kubectl: Program) -> None:
    outcome = run("--kubectl", kubectl("echo 'Error from server (Forbidden): x is forbidden' >&2; exit 1"))
    assert (outcome.exit, outcome.error["code"]) == (4, "forbidden")
    assert "Nothing is left that could be judged" in outcome.error["message"]
    assert outcome.error["hint"].startswith("kubectl auth can-i list ")


def test_outage_is_said_and_survived(kubectl: Program) -> None:
    program = kubectl(
        f'if [ "$(wc -l <$DIR/calls)" -le 4 ]; then echo "connection refused" >&2; exit 1; fi; cat {snapshot("deployment-success")}'
    )
    outcome = run("--kubectl", program, "deployment/web", "-interval", "10ms")
    assert outcome.exit == 0
    assert outcome.stderr.count("trying again: ") == 1


def test_call_that_never_ends_is_killed_with_its_children(kubectl: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    import rollout_status

    monkeypatch.setattr(rollout_status.Kubectl, "EXTRA", 0.2)
    program = kubectl("sleep 1000 & echo $! >>$DIR/children; wait")
    outcome = run("--kubectl", program, "--request-timeout", "200ms", "--once", "deployment/web")
    assert (outcome.exit, outcome.error["code"]) == (4, "unreachable")
    assert "credential plugin" in outcome.error["message"]
    assert not any(alive(int(child)) for child in Path(program).with_name("children").read_text().split())


def alive(pid: int) -> bool:
    """Whether a process runs; one that waits for its parent to take note of its end does not."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return False
        except FileNotFoundError:
            return False
        time.sleep(0.05)
    return True


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_interrupted(kubectl: Program, signum: int, code: int) -> None:
    program = kubectl(
        'case "$*" in *field-selector*) echo $$ >>$DIR/children; touch $DIR/hangs; exec sleep 1000 ;; esac; cat '
        + str(snapshot("seed-not-found"))
    )
    hangs = Path(program).with_name("hangs")
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "rollout_status.py"), "--kubectl", program, "deployment/web"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    while not hangs.exists():
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signum)
    stdout, stderr = process.communicate(timeout=60)
    result = json.loads(stdout)
    jsonschema.validate(result, SCHEMA)
    assert (process.returncode, result["error"]["code"], stderr) == (code, "interrupted", b"")
    assert not any(alive(int(child)) for child in Path(program).with_name("children").read_text().split())


def test_interrupted_while_kubectl_is_started(kubectl: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    """A signal that comes in that moment is taken once the process is known, so that it can be killed."""
    import rollout_status

    program = kubectl("exec sleep 1000")
    start = rollout_status.Started.__init__

    def interrupted(*arguments: object) -> None:
        start(*arguments)
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(rollout_status.Started, "__init__", interrupted)
    outcome = run("--kubectl", program)
    assert (outcome.exit, outcome.error["code"]) == (143, "interrupted")


def script(*arguments: str, **options: object) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, str(ROOT / "rollout_status.py"), *arguments],
        check=False,
        capture_output=options.pop("capture_output", True),
        timeout=60,
        **options,
    )  # type: ignore[call-overload]


def test_stdout_closed_or_full_changes_no_exit_code() -> None:
    case = ("--replay", str(FIXTURES / "deployment-success"), "--quiet")
    with open("/dev/full", "wb") as full:
        ended = script(*case, stdout=full, stderr=subprocess.PIPE, capture_output=False)
    assert (ended.returncode, b"cannot be written" in ended.stderr) == (0, True)
    read, write = os.pipe()
    os.close(read)
    assert script(*case, stdout=write, stderr=subprocess.PIPE, capture_output=False).returncode == 0


def test_without_home_terminal_and_locale() -> None:
    ended = script("demo", stdin=subprocess.DEVNULL, env={"LC_ALL": "POSIX", "PATH": os.environ["PATH"]})
    assert (ended.returncode, json.loads(ended.stdout)["error"]["code"]) == (1, "process-crashing")


def test_bug_is_told_and_ends_with_70(monkeypatch: pytest.MonkeyPatch) -> None:
    """A schema that is no JSON at all is survived; what nobody has thought of ends with 70 and one document."""
    import rollout_status

    monkeypatch.setattr(rollout_status, "selected", lambda options, rules: 1 / 0)
    outcome = run("deployment/web")
    assert (outcome.exit, outcome.error["code"]) == (70, "internal")
    assert "ZeroDivisionError" in outcome.error["message"]
    assert "Traceback" in outcome.stderr


def test_copied_script_needs_only_rules_and_schema(tmp_path: Path) -> None:
    for name in ("rollout_status.py", "schema.json"):
        (tmp_path / name).write_text((ROOT / name).read_text())
    (tmp_path / "rules").symlink_to(ROOT / "rules")
    ended = subprocess.run(
        [sys.executable, str(tmp_path / "rollout_status.py"), "--replay", str(FIXTURES / "job-success")],
        capture_output=True, cwd="/", env=environment(PYTHONPATH=""), timeout=60, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr


def test_engine_names_no_state_of_kubernetes() -> None:
    """What the rules know, the engine does not: none of their quoted words stands in it, but for those of its own."""
    words = {word for path in (ROOT / "rules").glob("*.yaml") for word in re.findall(r"'([A-Z][A-Za-z]+)'", path.read_text())}
    engine = (ROOT / "rollout_status.py").read_text()
    words -= {"True", "False"}  # also Python's
    assert len(words) > 30
    assert not {word for word in words if re.search(rf"\b{word}\b", engine)}


def test_signal_is_taken_at_once_and_only_once() -> None:
    """In this process, since not every Python measures what a signal interrupts in another."""
    import rollout_status

    rollout_status.INTERRUPTS.listen()
    with pytest.raises(rollout_status.Interrupted, match="SIGTERM"):
        os.kill(os.getpid(), signal.SIGTERM)
    os.kill(os.getpid(), signal.SIGTERM)
    signal.signal(signal.SIGINT, signal.default_int_handler)
