"""Why a rollout failed: the cause before its symptoms, what changed, the way back, and commands that can be pasted."""

import copy
import io
import json
import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import CASES, FIXTURES, ROOT, run, snapshot

import rollout_status
from rollout_status_lib.commands import add_kubectl_flags
from rollout_status_lib.objects import get_name, get_namespace, parse_objects
from rollout_status_lib.rules import Rules
from rollout_status_lib.source import Poll

Json = Any
Program = Callable[..., str]


def text_of(case: str, *arguments: str) -> list[str]:
    return run("--replay", str(FIXTURES / case), "--quiet", "-o", "text", *arguments).stdout.splitlines()


# ------------------------------------------------------------------------------------------------------------- causes


def test_the_cause_comes_before_its_symptom() -> None:
    """A missing Secret that is waited for, until the Deployment's own deadline has passed."""
    outcome = run("--replay", str(FIXTURES / "container/missing-secret-until-deadline"), "--ignore-secret-not-found")
    assert [each["code"] for each in (outcome.error, *outcome.result["errors"])] == ["invalid-config", "not-progressing"]
    assert 'cause: Container "main" cannot be created: secret "db" not found (invalid-config, ' in outcome.stderr
    lines = text_of("container/missing-secret-until-deadline", "--ignore-secret-not-found")
    assert [re.search(r"\(([a-z-]+), since ", line)[1] for line in lines if line.startswith("cause: ")] == [
        "invalid-config",
        "not-progressing",
    ]  # type: ignore[index]


def test_what_pods_wait_for_stands_beside_a_symptom_without_a_cause() -> None:
    lines = text_of("container/readiness-failing")
    assert lines[1].startswith(
        'cause: Container "main" is running, but not ready: its readiness probe (GET /missing on port 8080) does not pass (not-progressing, '
    )
    assert lines[4] == "  Readiness probe failed: HTTP probe failed with statuscode: 404"


def test_what_could_not_fail_by_itself_is_no_cause() -> None:
    """Pods that a Job has stopped at its deadline ended with an error, too."""
    assert run("--replay", str(FIXTURES / "job/deadline-of-fast-exit")).error["code"] == "deadline-exceeded"


def test_five_pods_with_the_same_failure_are_one_entry() -> None:
    outcome = run("--replay", str(FIXTURES / "container/crash-of-five"), "--retry-limit", "1")
    assert "errors" not in outcome.result
    assert outcome.error["count"] == 5
    assert sum("is not ready" in each for each in outcome.result["workloads"][0]["waitingFor"]) == 1
    lines = text_of("container/crash-of-five", "--retry-limit", "1")
    assert [line for line in lines if line.startswith("  in: ")] == ["  in: Pod/why-shop/web-f985b554b-7p57b/main and 4 more like it"]


def test_who_waits_for_nothing_of_its_own_while_another_has_failed_is_no_problem() -> None:
    lines = text_of("selection/release-one-fails-one-waits")
    assert [line for line in lines if "front" in line] == ["on their way: Deployment/front in why-shop"]
    outcome = run("--replay", str(FIXTURES / "selection/release-one-fails-one-waits"))
    assert not [line for line in outcome.stderr.splitlines()[-1:] if "front" in line]


def test_who_waits_in_a_state_of_its_own_is_listed_behind_the_failed_ones(tmp_path: Path) -> None:
    """Beside a crash loop: a Deployment whose Secret is missing, and may still come."""
    objects = [
        each
        for case in ("deployment/crash-loop", "container/missing-secret-env", "deployment/success")
        for each in json.loads(snapshot(case).read_text())["items"]
    ]
    (tmp_path / "all.json").write_text(json.dumps({"kind": "List", "items": objects}))
    arguments = ("--replay", str(tmp_path / "all.json"), "--retry-limit", "0", "--ignore-secret-not-found", "--quiet")
    outcome = run(*arguments)
    waiting = [each for each in outcome.result["workloads"] if each["status"] == "waiting"]
    assert [each.get("code") for each in waiting] == ["invalid-config"]
    words = [
        line.partition(":")[0] for line in run(*arguments, "-o", "text").stdout.splitlines() if re.match(r"cause: |\w+: Deployment/", line)
    ]
    assert words == ["cause", "waiting", "ready"]


def test_the_time_is_up_names_what_could_fail_first(tmp_path: Path) -> None:
    """And the command that shows more of it."""
    objects = [
        each
        for case, number in (("container/slow-readiness", 0), ("container/missing-secret-env", -1))
        for each in json.loads(snapshot(case, number).read_text())["items"]
    ]
    (tmp_path / "all.json").write_text(json.dumps({"kind": "List", "items": objects}))
    error = run("--replay", str(tmp_path / "all.json"), "--once", "--ignore-secret-not-found").error
    assert error["code"] == "timeout"
    assert re.match(r'--once: deployment/\w+: Container "\w+" cannot be created: secret "db" not found', error["message"])
    assert error["hint"].startswith("kubectl -n r-deployment-missing-secret-env describe pod ")


# ------------------------------------------------------------------------------------------------------------ changes

Edit = Callable[[Json, Json], object]  # of the templates before and now


def changed(tmp_path: Path, edit: Edit, *arguments: str) -> Json:
    """The failed workload whose current template is edited; before, it was the same."""
    content = json.loads(snapshot("deployment/surge-crash-old-serving").read_text())
    deployment = next(each for each in content["items"] if each["kind"] == "Deployment")
    revision = "deployment.kubernetes.io/revision"
    sets = sorted(
        (each for each in content["items"] if each["kind"] == "ReplicaSet"), key=lambda each: each["metadata"]["annotations"][revision]
    )
    before, now = copy.deepcopy(deployment["spec"]["template"]), deployment["spec"]["template"]
    edit(before, now)
    for replicaset, template in zip(sets, (before, now), strict=True):
        hashed = replicaset["metadata"]["labels"]["pod-template-hash"]
        replicaset["spec"]["template"] = copy.deepcopy(template)
        replicaset["spec"]["template"]["metadata"]["labels"]["pod-template-hash"] = hashed
    (tmp_path / "edited.json").write_text(json.dumps(content))
    return run("--replay", str(tmp_path / "edited.json"), "--retry-limit", "0", "--quiet", *arguments)


def main_of(**fields: Json) -> Callable[[Json], object]:
    return lambda template: template["spec"]["containers"][0].update(fields)


def each_side(before: Callable[[Json], object], now: Callable[[Json], object]) -> Edit:
    return lambda old, new: (before(old), now(new))


SECRET = "hunter2hunter2"
SIDECAR = {"name": "log", "image": "log:v1"}
PROBE = {"httpGet": {"path": "/a", "port": 80, "httpHeaders": [{"name": "X", "value": SECRET}]}, "periodSeconds": 5}


@pytest.mark.parametrize(
    ("edit", "expected"),
    [
        (each_side(main_of(image="app:v1"), main_of(image="app:v2")), ["image app:v1 -> app:v2"]),
        (each_side(main_of(env=[]), main_of(env=[{"name": "DB_URL", "value": SECRET}])), ["env DB_URL added"]),
        (
            each_side(main_of(env=[{"name": "A"}, {"name": "B"}]), main_of(env=[{"name": "A", "value": SECRET}])),
            ["env A changed", "env B removed"],
        ),
        (
            each_side(main_of(env=[{"name": "A"}, {"name": "B"}]), main_of(env=[{"name": "A"}, {"name": "B", "value": SECRET}])),
            ["env B changed"],
        ),
        (each_side(main_of(args=[SECRET]), main_of(args=["b"])), ["args changed"]),
        (
            each_side(main_of(resources={"limits": {"cpu": "1"}}), main_of(resources={"limits": {"cpu": "2"}})),
            ["resources.limits.cpu 1 -> 2"],
        ),
        (each_side(main_of(resources={}), main_of(resources={"limits": {"cpu": "2"}})), ['resources added: {"limits": {"cpu": "2"}}']),
        (
            each_side(main_of(ports=[{"containerPort": 80}]), main_of(ports=[{"containerPort": 81}, {"containerPort": 82}])),
            ["ports [80] -> [81, 82]"],
        ),
        (each_side(main_of(ports=[{"containerPort": 80}]), main_of(ports=[{"containerPort": 80, "hostPort": 80}])), ["ports changed"]),
        (
            each_side(main_of(readinessProbe=PROBE), main_of(readinessProbe={**PROBE, "periodSeconds": 6})),
            ["readinessProbe.periodSeconds 5 -> 6"],
        ),
        (
            each_side(main_of(livenessProbe=PROBE), main_of(livenessProbe=None)),
            ['livenessProbe removed: {"httpGet": {"path": "/a", "port": 80}, "periodSeconds": 5}'],
        ),
        (
            each_side(main_of(startupProbe=PROBE), main_of(startupProbe={**PROBE, "httpGet": {"path": "/b", "port": 80}})),
            ["startupProbe.httpGet.path /a -> /b", "startupProbe.httpGet.httpHeaders X removed"],
        ),
        (
            each_side(main_of(volumeMounts=[{"name": "a", "mountPath": "/a"}]), main_of(volumeMounts=[{"name": "a"}, {"name": "a"}])),
            ["volumeMounts changed"],
        ),
        (lambda old, new: new["metadata"].update(annotations={"checksum/secret": SECRET}), ["annotations.checksum/secret added"]),
        (lambda old, new: new["spec"].update(volumes=[{"name": "tmp", "emptyDir": {}}]), ["volumes tmp added"]),
        (lambda old, new: new["spec"].update(terminationGracePeriodSeconds=77), ["terminationGracePeriodSeconds 1 -> 77"]),
        (lambda old, new: new["spec"]["containers"].append(SIDECAR), ["container log added"]),
        (
            lambda old, new: (
                old["spec"]["containers"].append(SIDECAR),
                new["spec"].update(initContainers=[SIDECAR]),
                main_of(image="app:v3")(new),
            ),
            ["main: image localhost:5000/web:v1 -> app:v3"],
        ),
        (lambda old, new: old["spec"]["containers"].append({**SIDECAR, "env": SECRET}), ["container log removed"]),
    ],
)
def test_what_changed(tmp_path: Path, edit: Edit, expected: list[str]) -> None:
    outcome = changed(tmp_path, edit)
    workload = outcome.result["workloads"][0]
    assert workload["changes"] == expected
    assert workload["rollback"] == "kubectl -n r-deployment-surge-crash-old-serving rollout undo deployment web --to-revision=1"
    assert SECRET not in outcome.stdout
    lines = changed(tmp_path, edit, "-o", "text").stdout.splitlines()
    (at,) = [index for index, line in enumerate(lines) if line.startswith("changed in Deployment/web:")]
    told = [
        line.strip()
        for line in [lines[at].removeprefix("changed in Deployment/web:"), *lines[at + 1 : -1 - len(outcome.result.get("notes", ()))]]
    ]
    assert [line for line in told if line] == expected
    assert lines[-1 - len(outcome.result.get("notes", ()))] == f"  roll back: {workload['rollback']}"


@pytest.mark.parametrize(
    "edit",
    [
        lambda old, new: None,
        lambda old, new: (old.clear(), old.update(metadata={"labels": {}})),
    ],
    ids=["same", "empty"],
)
def test_the_same_or_nothing_before(tmp_path: Path, edit: Edit) -> None:
    workload = changed(tmp_path, edit).result["workloads"][0]
    assert ("changes" in workload) == ("rollback" in workload)


def test_what_has_no_name_of_its_own_is_not_compared(tmp_path: Path) -> None:
    """Containers of the same name, as the API server would not take: there is still a way back."""
    twins = [SIDECAR, SIDECAR]
    edit = each_side(lambda old: old["spec"].update(containers=twins), lambda new: new["spec"].update(containers=[*twins, SIDECAR]))
    workload = changed(tmp_path, edit).result["workloads"][0]
    assert "changes" not in workload
    assert workload["rollback"]


def test_a_first_revision_has_no_way_back() -> None:
    workload = run("--replay", str(FIXTURES / "deployment/crash-loop"), "--retry-limit", "1").result["workloads"][0]
    assert not {"changes", "rollback"} & workload.keys()


def test_revisions_that_cannot_be_understood_cost_no_verdict(tmp_path: Path) -> None:
    (tmp_path / "team.yaml").write_text(
        "version: 1\nkinds:\n- name: deployment\n  revisions:\n    kept_in: replicaset\n    number: sum(metadata.name)\n"
        "    template: spec.template\n    current: spec.template\n    makes: pod\n"
    )
    case = str(FIXTURES / "deployment/surge-crash-old-serving")
    outcome = run("--replay", case, "--retry-limit", "0", "--rules", str(tmp_path / "team.yaml"))
    assert (outcome.exit, outcome.error["code"]) == (1, "process-crashing")
    assert any(
        note.startswith("it is unknown what is serving and what has changed: ") and "team.yaml:6" in note
        for note in outcome.result["notes"]
    )


def test_nobody_asks_what_serves_of_a_workload_that_is_ready(tmp_path: Path) -> None:
    (tmp_path / "team.yaml").write_text("version: 1\nkinds:\n- {name: deployment, desired: sum(metadata.name)}\n")
    outcome = run("--replay", str(FIXTURES / "deployment/success"), "--rules", str(tmp_path / "team.yaml"))
    assert (outcome.exit, outcome.result.get("notes")) == (0, None)


def test_revisions_of_a_team_without_a_command(tmp_path: Path) -> None:
    (tmp_path / "team.yaml").write_text(
        "version: 1\nkinds:\n- name: deployment\n  revisions:\n    kept_in: replicaset\n"
        '    number: to_number(metadata.annotations."deployment.kubernetes.io/revision")\n'
        "    template: '{spec: {mark: spec.replicas}}'\n    current: '{spec: {mark: metadata.name}}'\n    makes: pod\n"
        "- {name: pod, shown: '{spec: spec}'}\n"
    )
    case = str(FIXTURES / "deployment/surge-crash-old-serving")
    workload = run("--replay", case, "--retry-limit", "0", "--rules", str(tmp_path / "team.yaml")).result["workloads"][0]
    assert [line.partition(" ")[0] for line in workload["changes"]] == ["mark"]
    assert "rollback" not in workload


# ---------------------------------------------------------------------------------- revisions that are asked for at the end

AGENT = FIXTURES / "daemonset/missing-secret-on-update"
# Answers like a cluster in which an update has failed; $1 is what it says of its revisions
FAILED = """
case "$*" in
  *controllerrevisions*) %s ;;
  */events*) echo '{"kind": "List", "items": []}' ;;
  *) cat %s ;;
esac
"""


def test_revisions_are_asked_for_once_and_only_after_the_failure(kubectl: Program, tmp_path: Path) -> None:
    program = kubectl(FAILED % (f"cat {AGENT / 'revisions.json'}", max(AGENT.glob("0*.json"))))
    live = run("--kubectl", program, "-n", "why-shop", "--record", str(tmp_path / "recording"))
    workload = live.result["workloads"][0]
    assert (live.exit, workload["changes"]) == (1, ["envFrom added"])
    assert workload["rollback"] == "kubectl -n why-shop rollout undo daemonset agent --to-revision=1"
    asked = [call for call in (tmp_path / "calls").read_text().splitlines() if "controllerrevisions" in call]
    assert [call.partition(" get ")[2] for call in asked] == ["controllerrevisions.apps -n why-shop -o json"]
    assert run("--replay", str(tmp_path / "recording")).result["workloads"] == live.result["workloads"]


def test_revisions_are_not_asked_for_after_a_success(kubectl: Program, tmp_path: Path) -> None:
    program = kubectl(FAILED % ("exit 1", snapshot("daemonset/success")))
    assert run("--kubectl", program).exit == 0
    assert "controllerrevisions" not in (tmp_path / "calls").read_text()


def test_revisions_that_may_not_be_read_are_a_note(kubectl: Program) -> None:
    program = kubectl(FAILED % ("echo Forbidden >&2; exit 1", max(AGENT.glob("0*.json"))))
    outcome = run("--kubectl", program, "-n", "why-shop")
    assert outcome.exit == 1
    assert not {"changes", "rollback"} & outcome.result["workloads"][0].keys()
    assert (
        "controllerrevisions.apps of namespace why-shop could not be read, so it is unknown what has changed: Forbidden"
        in outcome.result["notes"]
    )


# ----------------------------------------------------------------------------------------------------------- commands


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("kubectl -n shop logs web -c main # it ended", "kubectl F -n shop logs web -c main # it ended"),
        ("kubectl describe apiservice v1.x", "kubectl describe apiservice v1.x F"),
        ("kubectl argo rollouts -n shop undo web", "kubectl argo rollouts F -n shop undo web"),
        ("kubectl -n s rollout undo x && kubectl -n s delete pod x", "kubectl F -n s rollout undo x && kubectl F -n s delete pod x"),
        ("see https://example.com/kubectl get", "see https://example.com/kubectl get"),
    ],
)
def test_a_command_names_the_cluster_that_was_asked(command: str, expected: str) -> None:
    assert add_kubectl_flags(command, "F") == expected
    assert add_kubectl_flags(command, "") == command


def test_hint_and_rollback_have_the_context_and_the_kubeconfig(kubectl: Program) -> None:
    program = kubectl(FAILED % (f"cat {AGENT / 'revisions.json'}", max(AGENT.glob("0*.json"))))
    outcome = run("--kubectl", program, "--context", "my cluster", "--kubeconfig", "f")
    assert outcome.error["hint"].startswith("kubectl --context='my cluster' --kubeconfig=f -n why-shop describe pod agent-")
    assert outcome.result["workloads"][0]["rollback"].startswith("kubectl --context='my cluster' --kubeconfig=f -n why-shop rollout undo ")


class Hints(rollout_status.Run):
    """A run that notes what the hint of each finding would be, also while nothing has failed."""

    def __init__(self) -> None:
        super().__init__()
        self.hints: set[tuple[str, str]] = set()

    def take(self, poll: Poll, **options: Any) -> None:
        try:
            super().take(poll, **options)
        finally:
            for workload in self.judgement.workloads if self.judgement else ():
                for finding in (*workload.findings, *workload.others):
                    if finding.rule.hint:
                        self.hints.add((finding.rule.id, finding.scope.fill(finding.rule.hint)))


def hints_of(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, str]]:
    """Rule and hint of all that is found in a case."""
    case, state = yaml.safe_load((folder / "case.yaml").read_text()), Hints()
    monkeypatch.chdir(folder)
    if "stdin" in case:
        monkeypatch.setattr("sys.stdin", io.StringIO((folder / case["stdin"]).read_text()))
    rollout_status.run_to_verdict(state, ["--quiet", "--replay", ".", *map(str, case["args"])])
    yield from state.hints


@pytest.mark.parametrize("case", CASES)
def test_each_hint_is_a_whole_command(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The namespace and the name in it are those of an object that is there."""
    folder = FIXTURES / case
    objects = [each for path in folder.glob("*.json") for each in parse_objects(path.read_text(), str(path))]
    lists = {"resourcequota", "limitrange", "serviceaccounts", "pods", "workloads.kueue.x-k8s.io", "rollouts.rollouts.kruise.io"}
    names = {get_name(each) for each in objects} | lists
    spaces = {get_namespace(each) for each in objects}
    for rule, hint in hints_of(folder, monkeypatch):
        words = shlex.split(hint, comments=True)
        assert words[0] == "kubectl", (rule, hint)
        assert all(words), (rule, hint)
        assert not {"null", "None"} & set(re.split(r"[\s/]", hint)), (rule, hint)
        if "-n" in words:
            assert words[words.index("-n") + 1] in spaces, (rule, hint)
            about = [re.split("[/=]", word)[-1] for word in words[words.index("-n") + 2 :]]
            assert names & set(about) or "," in hint, (rule, hint)


def test_each_rollback_is_a_whole_command() -> None:
    """In all fixtures: of a revision that is there."""
    found = 0
    for case in CASES:
        result = yaml.safe_load((FIXTURES / case / "case.yaml").read_text())["expect"]["result"]
        for workload in result.get("workloads", ()):
            if rollback := workload.get("rollback"):
                found += 1
                assert re.match(
                    rf"kubectl -n {workload['namespace']} rollout undo \w+ {workload['name']} --to-revision=[1-9]\d*( && |$)", rollback
                )
    assert found


CRASH_LOOP = ("--replay", str(FIXTURES / "deployment/crash-loop"))


def test_every_error_says_what_to_do_next() -> None:
    """Each built-in rule that can fail has a hint or its code has one, and so have the codes that the tool itself gives."""
    rules = Rules(ROOT / "rules")
    for name, entry in rules.files.entries["rules"].items():
        code = entry.get("code")
        if entry.get("verdict") == "fail" or entry.get("fail_when") is not None or entry.get("fail_after") is not None:
            assert entry.get("hint") or (code in rules.codes and rules.codes[code].hint), name
    assert [
        name for name, code in rules.codes.items() if (code.type == "program" or name in ("not-found", "timeout")) and not code.hint
    ] == []


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["--nope"], "rollout-status --help"),
        (["--replay", "nowhere", "--once", "--now", "nonsense"], "rollout-status --help"),
        (["--rules", "nowhere", *CRASH_LOOP], "rollout-status lint"),
        ([*CRASH_LOOP, "--set", "nope=1"], "rollout-status --help"),
        ([*CRASH_LOOP, "deployment/nope"], "kubectl get deployments"),
    ],
)
def test_an_error_without_a_hint_of_its_own_has_that_of_its_code(arguments: list[str], hint: str) -> None:
    error = run(*arguments).error
    assert (error["hint"].startswith(hint), "Errno" in error["message"]) == (True, False)
