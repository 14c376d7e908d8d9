"""What the tool does with kubectl: a program stands in for it where a cluster could not be made to behave so."""

import ast
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest
from conftest import FIXTURES, ROOT, SCHEMA, environment, run, snapshot

from rollout_status_lib.expressions import Expression
from rollout_status_lib.interpreter import find_paths, format_path
from rollout_status_lib.interrupts import INTERRUPTS, Interrupted
from rollout_status_lib.sources.kubectl import Kubectl, Started

Program = Callable[..., str]

# Answers like a cluster: the snapshot $1 for workloads as for what they own
CLUSTER = """
case "$*" in
  */events*) echo '{"kind": "List", "items": []}' ;;
  *" logs "*) echo "a log" ;;
  *" config view "*) echo shop ;;
  *) cat %s ;;
esac
"""


def cluster(case: str, number: int = -1) -> str:
    return CLUSTER % snapshot(case, number)


def calls(program: str) -> list[str]:
    """How it was called, but for what shows the cluster's time."""
    return [call.removesuffix(" -v=8") for call in Path(program).with_name("calls").read_text().splitlines()]


def test_success_asks_once_for_workloads_and_once_for_what_they_own(kubectl: Program) -> None:
    program = kubectl(cluster("deployment/success"))
    outcome = run("--kubectl", program, "-n", "r-deployment-success", "--context", "c", "--kubeconfig", "f")
    assert (outcome.exit, outcome.result["polls"]) == (0, 1)
    common = "--context=c --kubeconfig=f --request-timeout=30s get"
    assert sorted(calls(program)) == [
        f"{common} --raw /api/v1/namespaces/r-deployment-success/pods",
        f"{common} daemonsets.apps,deployments.apps,jobs.batch,statefulsets.apps,replicasets.apps -n r-deployment-success -o json",
    ]


def test_what_the_selector_does_not_match_is_no_workload_though_one_may_own_it(kubectl: Program, tmp_path: Path) -> None:
    """ReplicaSets are listed twice: those that the selector matches, and all, for the Deployments."""
    items = json.loads(snapshot("replicaset/not-available").read_text())["items"]
    of_nobody = next(each for each in items if each["kind"] == "ReplicaSet")
    del of_nobody["metadata"]["ownerReferences"]
    (tmp_path / "all.json").write_text(json.dumps({"kind": "List", "items": [of_nobody]}))
    nothing = """echo '{"kind": "List", "items": []}'"""
    program = kubectl(f'case "$*" in *"config view"*) ;; *" -l "*) {nothing} ;; *) cat {tmp_path / "all.json"} ;; esac')
    outcome = run("--kubectl", program, "-l", "app=web", "--kinds", "deployment,replicaset", "--once")
    assert (outcome.exit, outcome.error["code"]) == (1, "not-found")


def test_in_a_pod_nothing_keeps_kubectl_from_the_account_of_the_pod(kubectl: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    program = kubectl(cluster("deployment/success"))
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.96.0.1")
    assert run("--kubectl", program, "-n", "r-deployment-success").exit == 0
    assert [call for call in calls(program) if "--request-timeout" in call] == []


def test_one_name_is_asked_for_alone_where_not_all_may_be_listed(kubectl: Program) -> None:
    program = kubectl(f'case "$*" in *,*) echo "Error from server (Forbidden)" >&2; exit 1 ;; esac; cat {snapshot("deployment/success")}')
    assert run("--kubectl", program, "deploy/web").exit == 0
    asked = [call.partition(" get ")[2] for call in calls(program)]
    assert [*asked[:2], *sorted(asked[2:], reverse=True)] == [
        "deployments.apps --field-selector metadata.name=web -o json",
        "replicasets.apps,pods -n r-deployment-success -l app=web -o json",
        "replicasets.apps -n r-deployment-success -l app=web -o json",
        "pods -n r-deployment-success -l app=web -o json",
    ]


def test_failure_reads_the_log_of_the_run_that_failed(kubectl: Program) -> None:
    program = kubectl(cluster("deployment/crash-loop"))
    outcome = run("--kubectl", program, "--retry-limit", "1")
    assert (outcome.exit, outcome.error["log"]) == (1, "a log\n")
    assert re.search(
        r" logs -n r-deployment-crash-loop app-\S+ -c main --tail=20 --limit-bytes=100000 --previous$",
        "\n".join(calls(program)),
        re.MULTILINE,
    )


def test_log_and_events_that_cannot_be_read_are_notes(kubectl: Program) -> None:
    program = kubectl('case "$*" in *" logs "*) echo "no log" >&2; exit 1 ;; *) cat %s ;; esac' % snapshot("deployment/crash-loop"))
    outcome = run("--kubectl", program, "--retry-limit", "1")
    assert (outcome.exit, outcome.error["code"]) == (1, "process-crashing")
    assert "no log" in outcome.result["notes"][0]
    program = kubectl(
        'case "$*" in *events*) echo "events is forbidden" >&2; exit 1 ;; *) cat %s ;; esac' % snapshot("pod/unschedulable-memory")
    )
    outcome = run("--kubectl", program, "--pending-deadline", "1")
    assert (outcome.exit, outcome.error["code"]) == (1, "scheduling")
    assert "events is forbidden" in outcome.result["notes"][0]


def test_nothing_there_names_the_namespace_of_the_context(kubectl: Program) -> None:
    program = kubectl(cluster("seed/not-found"))
    outcome = run("--kubectl", program, "-selector", "a=b", "-kind-filter", "deployment")
    assert (outcome.exit, outcome.error["code"]) == (1, "not-found")
    assert outcome.error["message"] == 'Selector "a=b" did not match any deployments in namespace "shop"'
    assert "--kubeconfig" not in calls(program)[0]


def test_waits_until_it_is_there(kubectl: Program) -> None:
    """The second and third poll see nothing new, so that pauses grow; then the rollout ends."""
    waiting, ready = snapshot("container/slow-readiness", 1), snapshot("container/slow-readiness")
    program = kubectl(f'if [ "$(wc -l <$DIR/calls)" -le 5 ]; then cat {waiting}; else cat {ready}; fi')
    outcome = run("--kubectl", program, "-interval", "100ms", "deployment/web", "--timeout", "1m")
    assert outcome.exit == 0
    assert outcome.result["polls"] >= 3
    assert "is running, but not ready" in outcome.stderr


def test_timeout_and_once(kubectl: Program) -> None:
    program = kubectl(cluster("container/slow-readiness", 1))
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
        ("exit 1", "unreachable", "exited with 1 and said nothing"),
        ("kill -SEGV $$", "unreachable", "exited with -11"),
        ("echo '{\"items\": ['", "unreachable", "not complete JSON"),
        ("echo a line of a shim; echo '{}'", "unreachable", "begins with 'a line of a shim"),
        ('echo "error: context \\"x\\" does not exist" >&2; exit 1', "unreachable", "context"),
        ('echo "error: You must be logged in to the server (Unauthorized)" >&2; exit 1', "unauthorized", "logged in"),
    ],
)
def test_call_that_fails(kubectl: Program, script: str, code: str, word: str) -> None:
    outcome = run("--kubectl", kubectl(script), "--set", "api-grace=0s")
    assert (outcome.exit, outcome.error["code"], outcome.error["type"]) == (4, code, "program")
    assert word in outcome.error["message"]


@pytest.mark.parametrize(
    "where", [("-n", "r-deployment-success"), (), ("-A",)]
)  # without -n the namespace is learned from the first answer
def test_what_is_watched_by_default_may_be_forbidden(kubectl: Program, where: tuple[str, ...]) -> None:
    script = """
    case "$*" in
      *daemonsets*,*|*,daemonsets*|*" daemonsets"*) echo 'Error from server (Forbidden): daemonsets.apps is forbidden' >&2; exit 1 ;;
      *) cat %s ;;
    esac"""
    program = kubectl(script % snapshot("deployment/success"))
    outcome = run("--kubectl", program, *where)
    assert outcome.exit == 0
    assert "daemonsets.apps" in outcome.result["notes"][0]
    asked = run("--kubectl", program, "--kinds", "daemonset,deployment", *where)
    assert (asked.exit, asked.error["code"]) == (4, "forbidden")


def test_nothing_may_be_listed(kubectl: Program, tmp_path: Path) -> None:
    forbidden = kubectl("echo 'Error from server (Forbidden): x is forbidden' >&2; exit 1")
    outcome = run("--kubectl", forbidden, "--record", str(tmp_path / "record"))
    assert (outcome.exit, outcome.error["code"]) == (4, "forbidden")
    assert "Nothing is left that could be judged" in outcome.error["message"]
    assert outcome.error["hint"].startswith("kubectl auth can-i list ")
    again = run("--replay", str(tmp_path / "record"))
    assert (again.exit, again.error) == (outcome.exit, outcome.error)


def test_outage_is_said_and_survived(kubectl: Program) -> None:
    program = kubectl(
        f'if [ "$(wc -l <$DIR/calls)" -le 4 ]; then echo "connection refused" >&2; exit 1; fi; cat {snapshot("deployment/success")}'
    )
    outcome = run("--kubectl", program, "deployment/web", "-interval", "10ms")
    assert outcome.exit == 0
    assert outcome.stderr.count("trying again: ") == 1


def test_call_that_never_ends_is_killed_with_its_children(kubectl: Program, monkeypatch: pytest.MonkeyPatch) -> None:

    monkeypatch.setattr(Kubectl, "EXTRA", 0.2)
    program = kubectl("sleep 1000 & echo $! >>$DIR/children; wait")
    outcome = run("--kubectl", program, "--request-timeout", "200ms", "--once", "deployment/web")
    assert (outcome.exit, outcome.error["code"]) == (4, "unreachable")
    assert "credential plugin" in outcome.error["message"]
    assert not any(alive(int(child)) for child in Path(program).with_name("children").read_text().split())


def test_calls_that_run_at_the_same_time_are_killed_at_the_same_time(kubectl: Program, monkeypatch: pytest.MonkeyPatch) -> None:

    monkeypatch.setattr(Kubectl, "EXTRA", 0.5)
    start = time.monotonic()
    run("--kubectl", kubectl("sleep 1000"), "--request-timeout", "500ms", "--once", "-n", "a", "-n", "b", "-n", "c", "pod/x")
    assert time.monotonic() - start < 2


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


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGQUIT, 131)])
def test_interrupted(kubectl: Program, signum: int, code: int) -> None:
    program = kubectl(
        'case "$*" in *deployments*) echo $$ >>$DIR/children; touch $DIR/hangs; exec sleep 1000 ;; esac; cat '
        + str(snapshot("seed/not-found"))
    )
    hangs = Path(program).with_name("hangs")
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "rollout_status.py"), "--kubectl", program, "deployment/web"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True, env=environment(),
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

    program = kubectl("exec sleep 1000")
    start = Started.__init__

    def interrupted(*arguments: object) -> None:
        start(*arguments)
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(Started, "__init__", interrupted)
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
    case = ("--replay", str(FIXTURES / "deployment/success"), "--quiet")
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

    monkeypatch.setattr(rollout_status, "make_selection", lambda options, rules: 1 / 0)
    outcome = run("deployment/web")
    assert (outcome.exit, outcome.error["code"]) == (70, "internal")
    assert "ZeroDivisionError" in outcome.error["message"]
    assert "Traceback" in outcome.stderr


def test_copied_script_needs_only_rules_and_schema(tmp_path: Path) -> None:
    for name in ("rollout_status.py", "rollout_status_start.py", "schema.json"):
        (tmp_path / name).write_text((ROOT / name).read_text())
    for name in ("rollout_status_lib", "rules"):
        shutil.copytree(ROOT / name, tmp_path / name)
    ended = subprocess.run(
        [sys.executable, str(tmp_path / "rollout_status.py"), "--replay", str(FIXTURES / "job/success")],
        capture_output=True, cwd="/", env=environment(PYTHONPATH=""), timeout=60, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr


DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef)


def test_engine_names_no_state_of_kubernetes() -> None:
    """What the rules know, the engine does not: none of their quoted words stands in it, but for those of its own."""
    words = {word for path in (ROOT / "rules").glob("*.yaml") for word in re.findall(r"'([A-Z][A-Za-z]+)'", path.read_text())}
    files = [ROOT / "rollout_status.py", *(ROOT / "rollout_status_lib").rglob("*.py"), *(ROOT / "rollout_status_lib").rglob("*.html")]
    trees = [ast.parse(path.read_text()) for path in files if path.suffix == ".py"]
    docstrings = {ast.get_docstring(node, clean=False) for tree in trees for node in ast.walk(tree) if isinstance(node, DOCUMENTED)}
    texts = [each.value for tree in trees for each in ast.walk(tree) if isinstance(each, ast.Constant) and isinstance(each.value, str)]
    engine = "\n".join(
        [*(text for text in texts if text not in docstrings), *(path.read_text() for path in files if path.suffix == ".html")]
    )
    assert len(words) > 30
    assert not {word for word in words if re.search(rf"\b{word}\b", engine)}


def test_signal_is_taken_at_once_and_only_once() -> None:
    """In this process, since not every Python measures what a signal interrupts in another."""

    INTERRUPTS.listen()
    with pytest.raises(Interrupted, match="SIGTERM"):
        os.kill(os.getpid(), signal.SIGTERM)
    os.kill(os.getpid(), signal.SIGTERM)
    signal.signal(signal.SIGINT, signal.default_int_handler)


# What a cluster shows of two Deployments of which one is applied, in the way of kubectl apply -o json
def printed(case: str, *kinds: str) -> str:
    items = [each for each in json.loads(snapshot(case).read_text())["items"] if each["kind"] in kinds]
    return json.dumps({"kind": "List", "items": [{key: each[key] for key in each if key != "status"} for each in items]})


def test_what_comes_through_the_pipe_is_asked_for_in_its_own_namespace(kubectl: Program) -> None:
    program = kubectl(cluster("deployment/success"))
    outcome = run("--kubectl", program, "-f", "-", "--kinds", "deploy", stdin=printed("deployment/success", "Deployment", "Pod"))
    assert (outcome.exit, outcome.result["notes"]) == (0, ["skipped 2 of 3 objects, which are of other kinds: Pod"])
    assert sorted(call.partition(" get ")[2] for call in calls(program)) == [
        "deployments.apps -n r-deployment-success --field-selector metadata.name=web -o json",
        "replicasets.apps,pods -n r-deployment-success -l app=web -o json",
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ["-f -", "empty", "kubectl apply", "pipefail"]),
        ('{"kind": "List", "items": [', ["-f -", "not complete JSON"]),
        ("deployment.apps/web configured\n", ["-f -", "add -o json", "deployment.apps/web"]),
        ('{"kind": "Deployment"}', ["-f -", "lacks apiVersion, kind or metadata"]),
        ('{"kind": "PodList", "apiVersion": "v1", "items": [null]}', ["-f -", "item 0 lacks apiVersion, kind or metadata"]),
        (
            '{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": "blog"}}',
            ["Deployment web is in namespace blog, not in shop"],
        ),
    ],
)
def test_what_is_no_output_of_apply_is_refused(kubectl: Program, text: str, words: list[str]) -> None:
    program = kubectl("exit 1")
    outcome = run("--kubectl", program, "-f", "-", "-n", "shop", stdin=text)
    assert (outcome.exit, outcome.error["code"]) == (2, "usage")
    for word in words:
        assert word in outcome.error["message"]
    assert not Path(program).with_name("calls").exists()


def test_several_documents_in_the_pipe_are_one_after_the_other(kubectl: Program) -> None:
    program = kubectl(cluster("deployment/success"))
    document = printed("deployment/success", "Deployment")
    outcome = run("--kubectl", program, "-f", "-", "-n", "r-deployment-success", stdin=f"\n{document}\n{document}\n")
    assert (outcome.exit, len(outcome.result["workloads"])) == (0, 1)


MANIFESTS = """
case "$*" in
  *" create "*) %s ;;
  *) cat %s ;;
esac
"""


def test_manifests_are_read_by_kubectl(kubectl: Program, tmp_path: Path) -> None:
    (tmp_path / "dry-run.json").write_text(printed("deployment/success", "Deployment"))
    program = kubectl(MANIFESTS % (f"cat {tmp_path}/dry-run.json", snapshot("deployment/success")))
    outcome = run("--kubectl", program, "-f", "k8s", "-f", "more.yaml", "-n", "r-deployment-success")
    assert (outcome.exit, outcome.result["polls"]) == (0, 1)
    read = "create --dry-run=client --validate=false --namespace=r-deployment-success -f k8s -f more.yaml -o json"
    assert calls(program)[0].endswith(read)
    assert run("--kubectl", program, "-k", "overlays/prod").exit == 0
    assert any(call.endswith("create --dry-run=client --validate=false -k overlays/prod -o json") for call in calls(program))


def test_manifests_that_kubectl_cannot_read_end_the_run_and_a_refused_connection_does_not(kubectl: Program, tmp_path: Path) -> None:
    program = kubectl(MANIFESTS % ("echo 'error: the path \"k8s\" does not exist' >&2; exit 1", "/dev/null"))
    outcome = run("--kubectl", program, "-f", "k8s")
    assert (outcome.exit, outcome.error["code"], outcome.error["rule"]) == (2, "usage", "kubectl-manifests")
    (tmp_path / "dry-run.json").write_text(printed("deployment/success", "Deployment"))
    once = f"[ -e $DIR/up ] && cat {tmp_path}/dry-run.json || {{ touch $DIR/up; echo connection refused >&2; exit 1; }}"
    outcome = run("--kubectl", kubectl(MANIFESTS % (once, snapshot("deployment/success"))), "-f", "k8s")
    assert (outcome.exit, outcome.result["polls"]) == (0, 2)


def test_all_namespaces_are_asked_for_at_once(kubectl: Program) -> None:
    program = kubectl(cluster("deployment/success"))
    assert run("--kubectl", program, "-A").exit == 0
    assert sorted(call.partition(" get ")[2] for call in calls(program)) == [
        "--raw /api/v1/pods",
        "daemonsets.apps,deployments.apps,jobs.batch,statefulsets.apps,replicasets.apps -A -o json",
    ]
    outcome = run("--kubectl", kubectl(cluster("seed/not-found")), "-A", "-l", "a=b", "--kinds", "deployment")
    assert outcome.error["message"] == 'Selector "a=b" did not match any deployments in any namespace'


WIDGET = {
    "apiVersion": "example.com/v1",
    "kind": "Widget",
    "metadata": {"name": "big", "namespace": "shop", "generation": 1},
    "status": {"conditions": [{"type": "Ready", "status": "True"}]},
}


def test_a_short_name_that_only_the_cluster_knows(kubectl: Program, tmp_path: Path) -> None:
    (tmp_path / "widgets.json").write_text(json.dumps({"kind": "List", "items": [WIDGET]}))
    program = kubectl(f"cat {tmp_path}/widgets.json")
    outcome = run("--kubectl", program, "--kinds", "wd,deployment")
    assert (outcome.exit, outcome.result["workloads"][0]["kind"]) == (0, "Widget")
    assert sorted(call.partition(" get ")[2] for call in calls(program)) == [
        "deployments.apps,replicasets.apps,pods -o json",
        "wd -o json",
    ]


def test_a_word_for_several_kinds_is_refused(kubectl: Program) -> None:
    outcome = run("--kubectl", kubectl(cluster("deployment/success")), "--kinds", "all")
    assert (outcome.exit, outcome.error["code"]) == (2, "usage")
    assert "all stands for Deployment, among others" in outcome.error["message"]


@pytest.mark.parametrize(
    ("kinds", "metadata", "words"),
    [
        ("wd,deployment", {"name": "big"}, ["--kinds wd: the manifests have no such kind", "Widget"]),
        ("widget", {"generateName": "big-"}, ["Widget with generateName"]),
    ],
)
def test_what_is_meant_of_the_manifests_must_be_clear(kubectl: Program, kinds: str, metadata: dict, words: list[str]) -> None:
    outcome = run("--kubectl", kubectl("exit 1"), "-f", "-", "--kinds", kinds, stdin=json.dumps({**WIDGET, "metadata": metadata}))
    assert (outcome.exit, outcome.error["code"]) == (2, "usage")
    for word in words:
        assert word in outcome.error["message"]


def test_no_call_outlasts_the_timeout(kubectl: Program) -> None:
    outcome = run("--kubectl", kubectl("sleep 100"), "--timeout", "2s", "-n", "shop")
    assert (outcome.exit, outcome.error["code"]) == (4, "unreachable")
    assert outcome.result["elapsedSeconds"] < 30


def test_a_kind_that_the_cluster_does_not_know(kubectl: Program) -> None:
    program = kubectl('echo "error: the server doesn\'t have a resource type \\"deploymnets\\"" >&2; exit 1')
    outcome = run("--kubectl", program, "--kinds", "deploymnets")
    assert (outcome.exit, outcome.error["code"]) == (2, "usage")
    assert outcome.error["message"].endswith("did you mean deployments?")


def test_a_recorded_run_replays(kubectl: Program, tmp_path: Path) -> None:
    folder = tmp_path / "new" / "recording"
    other = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "other", "namespace": "r-deployment-crash-loop", "uid": "x"},
    }
    items = json.loads(snapshot("deployment/crash-loop").read_text())["items"]
    pod = next(each for each in items if each["kind"] == "Pod")
    pod["metadata"]["managedFields"] = [{"manager": "kubelet"}]
    pod["metadata"]["annotations"] = {"kubectl.kubernetes.io/last-applied-configuration": "{}", "kept": "yes"}
    pod["spec"]["containers"][0]["env"] = [{"name": "A", "value": "hush"}, {"name": "B", "value": "hush"}, {"name": "C", "value": "quiet"}]
    (tmp_path / "roots.json").write_text(json.dumps({"kind": "List", "items": [each for each in items if each["kind"] == "Deployment"]}))
    (tmp_path / "all.json").write_text(json.dumps({"kind": "List", "items": [*items, other]}))
    events = [
        {"apiVersion": "v1", "kind": "Event", "metadata": {"name": str(n)}, "involvedObject": {"uid": uid}}
        for n, uid in enumerate((pod["metadata"]["uid"], "x"))
    ]
    (tmp_path / "events.json").write_text(json.dumps({"kind": "List", "items": events}))
    program = kubectl(f"""
    [ $(wc -l <$DIR/calls) -gt 8 ] || {{ echo "connection refused" >&2; exit 1; }}
    case "$*" in
      */events*) cat {tmp_path}/events.json ;;
      *" logs "*) echo "a log" ;;
      *pods*) cat {tmp_path}/all.json ;;
      *) cat {tmp_path}/roots.json ;;
    esac""")
    live = run("--kubectl", program, "-l", "app=app", "--retry-limit", "1", "--record", str(folder))
    replayed = run("--replay", str(folder), "--retry-limit", "1")
    assert (live.exit, live.error["log"]) == (1, "a log\n")
    assert replayed.result == live.result
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
    assert sorted(path.name for path in folder.iterdir()) == ["001.json", "recording.yaml"]
    recorded = json.loads((folder / "001.json").read_text())["items"]
    names = {(each["kind"], each["metadata"]["name"]) for each in recorded}
    assert ("Deployment", "other") not in names
    assert [name for kind, name in names if kind == "Event"] == ["0"]
    [kept] = [each for each in recorded if each["kind"] == "Pod"]
    assert kept["metadata"]["annotations"] == {"kept": "yes"}
    assert "managedFields" not in kept["metadata"]
    assert [each["value"] for each in kept["spec"]["containers"][0]["env"]] == ["redacted-1", "redacted-1", "redacted-2"]
    again = run("--kubectl", program, "--record", str(folder))
    assert (again.exit, again.error["message"]) == (2, f"--record: {folder} is not empty: name a new folder")
    assert "File exists" in run("--kubectl", program, "--record", __file__).error["message"]


def test_a_run_that_cannot_begin_records_nothing(kubectl: Program, tmp_path: Path) -> None:
    """So it can be run again as it is, once its rules are right."""
    (tmp_path / "team.yaml").write_text("version: 1\nrules:\n- id: acme/x\n")
    words = ("--kubectl", kubectl("exit 1"), "--rules", str(tmp_path / "team.yaml"), "--record", str(tmp_path / "new" / "recording"))
    assert [run(*words).error["code"] for _ in range(2)] == ["invalid-rules"] * 2
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(("source", "uid"), [("-", "another"), ("-", None), ("web.yaml", None)])
def test_a_recorded_run_replays_what_was_applied(kubectl: Program, tmp_path: Path, source: str, uid: str | None) -> None:
    applied = json.loads(printed("deployment/success", "Deployment"))
    applied["items"][0]["metadata"].pop("uid")
    applied["items"][0]["metadata"] |= {"uid": uid} if uid else {}
    (tmp_path / "dry-run.json").write_text(json.dumps(applied))
    program = kubectl(MANIFESTS % (f"cat {tmp_path}/dry-run.json", snapshot("deployment/success")))
    folder = tmp_path / "recording"
    live = run("--kubectl", program, "-f", source, "--record", str(folder), stdin=json.dumps(applied))
    assert live.exit == 0
    assert len(live.result.get("notes", ())) == bool(uid)
    assert run("--replay", str(folder)).result == live.result
    assert run("--replay", str(folder), "--kinds", "job").error["code"] == "not-found"
    (folder / "recording.yaml").write_text((folder / "recording.yaml").read_text().replace("applied.json", "[applied.json]"))
    assert "applied must be the name of a file" in run("--replay", str(folder)).error["message"]


def test_a_snapshot_that_has_not_changed_is_recorded_once(kubectl: Program, tmp_path: Path) -> None:
    program = kubectl(cluster("deployment/not-observed"))
    outcome = run("--kubectl", program, "--timeout", "1.2s", "--record", str(tmp_path / "recording"))
    assert outcome.result["polls"] > 1
    assert (tmp_path / "recording" / "recording.yaml").read_text().count("001.json") == outcome.result["polls"]
    assert not (tmp_path / "recording" / "002.json").exists()


def test_a_recording_that_cannot_be_written_never_hides_the_verdict(kubectl: Program, tmp_path: Path) -> None:
    program = kubectl(f"rm -rf {tmp_path}/recording; cat {snapshot('deployment/success')}")
    outcome = run("--kubectl", program, "--record", str(tmp_path / "recording"))
    assert outcome.exit == 0
    assert "the recording is not complete" in outcome.result["notes"][-1]


def test_explain_shows_rules_and_what_they_read() -> None:
    outcome = run("explain", "--replay", str(FIXTURES / "statefulset/blocked-by-old-pod"), "--quiet")
    assert outcome.exit == 1
    lines = outcome.stdout.splitlines()
    assert re.fullmatch(r"statefulset db: \d+ rules, of which 3 hold", lines[0])
    assert re.fullmatch(r"  wait: statefulset-not-concluded \(.*rules/statefulset.yaml:\d+\): waiting for .*", lines[1])
    assert "      status.currentRevision = " in "\n".join(lines)
    assert any(re.fullmatch(r"  pod db-2: .*, not of the current revision", line) for line in lines)
    assert any(re.fullmatch(r"    container main: .*", line) for line in lines)
    assert any(re.fullmatch(r"  Pod db-0: of another revision, not judged", line) for line in lines)
    assert any(line.startswith("The rollout failed: StatefulSet/db in fx") for line in lines)


def test_explain_leaves_out_what_begins_inside_a_filter_or_an_expression_reference() -> None:
    tree = Expression.parse("sort_by(pod.a[?b == 'c'], &name) && owned | [0].d", "here").tree
    assert [format_path(path) for path in find_paths(tree)] == ["pod.a", "owned"]


def test_explain_without_anything_to_explain_says_what_is_wrong() -> None:
    outcome = run("explain", "--replay", "nowhere")
    assert outcome.exit == 2
    assert "cause: nowhere: No such file or directory (usage)" in outcome.stdout


def test_what_is_used_and_listed_anyway_is_not_asked_for_again(kubectl: Program) -> None:
    """The claims are judged, too, so that their list is there already."""
    program = kubectl(cluster("used/storage/class-missing"))
    namespace = json.loads(snapshot("used/storage/class-missing").read_text())["items"][0]["metadata"]["namespace"]
    outcome = run("--kubectl", program, "-n", namespace, "--kinds", "deployment,persistentvolumeclaim", "--once")
    assert outcome.exit in (1, 3)
    assert len([call for call in calls(program) if "persistentvolumeclaims" in call]) == 1
