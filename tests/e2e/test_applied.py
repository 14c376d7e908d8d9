"""Judging what was applied: through the pipe, from manifests, in several namespaces, as expected, recorded, and with few rights."""

import json
import re
import secrets
import shlex
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from conftest import (
    CLUSTER_ROLE,
    PATIENCE,
    ROLE,
    Namespace,
    Result,
    account,
    bound,
    cluster_wide,
    command,
    ended,
    eventually,
    images_of_running_pods,
    is_kept,
    kubectl,
    listed,
    proxied,
    rollout_status,
    running_pods,
    started,
)
from manifests import BROKEN, IMAGES, MISSING, NEVER_READY, SLEEPS, WEB, Json, deployment, script

CRASHING = script("echo FATAL: no database; exit 3")
V2 = WEB | {"image": "web:v2"}

SETTINGS = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}, "data": {"size": "1"}}


def placed(namespace: Namespace, manifest: Json) -> Json:
    """The manifest with its namespace in it."""
    return manifest | {"metadata": manifest["metadata"] | {"namespace": namespace.name}}


def mounting(name: str, container: Json) -> Json:
    """A Deployment that mounts the ConfigMap `settings`."""
    mounted = {"volumeMounts": [{"name": "settings", "mountPath": "/settings"}]}
    return deployment(name, container | mounted, pod={"volumes": [{"name": "settings", "configMap": {"name": "settings"}}]})


def statuses(result: Result) -> dict[tuple[str, str], str]:
    """The status of each workload, by its namespace and name."""
    return {(workload["namespace"], workload["name"]): workload["status"] for workload in result.document["workloads"]}


def notes(result: Result) -> list[str]:
    return result.document.get("notes", [])


# ------------------------------------------------------------------------------------------------------------ the pipe


def piped(*manifests: Json) -> Result:
    """What a pipeline's `kubectl apply | rollout-status -f -` gives."""
    pipe = f"set -o pipefail; kubectl apply -f - -o json | {shlex.join(command('-f', '-'))}"
    done = subprocess.run(["bash", "-c", pipe], input=listed(*manifests), capture_output=True, text=True, timeout=PATIENCE, check=False)
    return Result.of(done.returncode, done.stdout, done.stderr)


def test_the_pipe_judges_what_was_applied_in_two_namespaces_and_nothing_beside(namespace: Namespace, other: Namespace) -> None:
    namespace.apply(deployment("beside", BROKEN))
    result = piped(placed(namespace, deployment("web", WEB)), placed(other, deployment("api", WEB)), placed(other, SETTINGS))
    assert result.exit == 0
    assert statuses(result) == {(namespace.name, "web"): "ready", (other.name, "api"): "ready"}
    assert "skipped 1 object that does not roll out: ConfigMap" in notes(result)


def test_the_pipe_names_what_is_broken_with_its_namespace(namespace: Namespace, other: Namespace) -> None:
    result = piped(placed(namespace, deployment("web", WEB)), placed(other, deployment("web", BROKEN)), placed(other, SETTINGS))
    assert result.exit == 1
    assert result.error["code"] == "invalid-config"
    assert MISSING in result.error["message"]
    assert result.error["workload"] == {"kind": "Deployment", "namespace": other.name, "name": "web"}
    assert statuses(result)[other.name, "web"] == "failed"


def test_the_pipe_of_a_single_deployment_succeeds(namespace: Namespace) -> None:
    result = piped(placed(namespace, deployment("web", WEB)))
    assert result.exit == 0
    assert statuses(result) == {(namespace.name, "web"): "ready"}
    assert notes(result) == []


def test_the_pipe_of_an_apply_that_fails_is_no_success(namespace: Namespace) -> None:
    result = piped(placed(namespace, deployment("web", WEB) | {"kind": "Deploymnet"}))
    assert result.exit == 2
    assert result.error["code"] == "usage"


# ----------------------------------------------------------------------------------------------------------- manifests


@pytest.fixture
def manifests(tmp_path: Path) -> dict[str, list[str]]:
    """Two Deployments and a ConfigMap as a file, a folder and a kustomization: the arguments for each."""
    file, folder, kustomization = tmp_path / "all.yaml", tmp_path / "folder", tmp_path / "kustomization"
    objects = [deployment("web", WEB), deployment("api", WEB), SETTINGS]
    file.write_text(yaml.safe_dump_all(objects))
    for each in (folder, kustomization):
        each.mkdir()
        for number, manifest in enumerate(objects):
            (each / f"{number}.yaml").write_text(yaml.safe_dump(manifest))
    (kustomization / "kustomization.yaml").write_text(yaml.safe_dump({"resources": ["0.yaml", "1.yaml", "2.yaml"]}))
    return {"-f FILE": ["-f", str(file)], "-f DIR": ["-f", str(folder)], "-k DIR": ["-k", str(kustomization)]}


def verdict(result: Result) -> Json:
    """What a result says, but for what differs from run to run."""
    return {key: value for key, value in result.document.items() if key not in ("startedAt", "elapsedSeconds", "polls")}


def test_a_file_a_folder_and_a_kustomization_give_the_same_success(namespace: Namespace, manifests: dict[str, list[str]]) -> None:
    namespace.apply(deployment("beside", BROKEN))
    namespace.kubectl("apply", *manifests["-k DIR"])
    results = [namespace.rollout_status(*arguments) for arguments in manifests.values()]
    for result in results:
        assert result.exit == 0
        assert result.statuses == {"web": "ready", "api": "ready"}
        assert "skipped 1 object that does not roll out: ConfigMap" in notes(result)
        assert verdict(result) == verdict(results[0])


def test_a_file_a_folder_and_a_kustomization_give_the_same_failure(namespace: Namespace, manifests: dict[str, list[str]]) -> None:
    namespace.kubectl("apply", *manifests["-f FILE"])
    namespace.apply(deployment("api", WEB | {"image": "nowhere.invalid:1/:"}))
    results = [namespace.rollout_status(*arguments) for arguments in manifests.values()]
    for result in results:
        assert result.exit == 1
        assert result.error["code"] == "invalid-config"
        assert result.error["workload"] == {"kind": "Deployment", "namespace": namespace.name, "name": "api"}
        assert result.error["message"] == results[0].error["message"]


@pytest.mark.parametrize("what", ["-f FILE", "-f DIR", "-k DIR"])
def test_a_deployment_of_the_manifests_that_was_never_applied_is_not_found(
    namespace: Namespace, manifests: dict[str, list[str]], what: str
) -> None:
    namespace.apply(deployment("web", WEB))
    result = namespace.rollout_status(*manifests[what])
    assert result.exit == 1
    assert result.error["code"] == "not-found"
    assert '"api"' in result.error["message"]


def test_the_namespace_of_a_kustomization_is_where_it_is_judged(namespace: Namespace, manifests: dict[str, list[str]]) -> None:
    arguments = manifests["-k DIR"]
    file = Path(arguments[1]) / "kustomization.yaml"
    file.write_text(yaml.safe_dump({"namespace": namespace.name, "nameSuffix": "-1", "resources": ["0.yaml"]}))
    kubectl("apply", *arguments)
    result = rollout_status(*arguments)
    assert result.exit == 0
    assert statuses(result) == {(namespace.name, "web-1"): "ready"}


def test_manifests_that_are_not_there_are_wrong_input(namespace: Namespace, tmp_path: Path) -> None:
    result = namespace.rollout_status("-f", str(tmp_path / "nowhere.yaml"))
    assert result.exit == 2
    assert result.error["code"] == "usage"
    assert "nowhere.yaml" in result.error["message"]


# ---------------------------------------------------------------------------------------------------------- superseded


def applied(namespace: Namespace, manifest: Json) -> str:
    """What kubectl prints of an apply, once it has rolled out."""
    printed = namespace.kubectl("apply", "-f", "-", "-o", "json", stdin=json.dumps(manifest))
    assert namespace.rollout_status().exit == 0
    return printed


def test_what_was_replaced_since_is_noted_or_fails(namespace: Namespace) -> None:
    printed = applied(namespace, deployment("web", WEB))
    applied(namespace, deployment("web", V2))
    result = rollout_status("-f", "-", stdin=printed)
    assert result.exit == 0
    assert any('"web" was replaced since it was applied' in note for note in notes(result))
    result = rollout_status("-f", "-", "--on-superseded", "fail", stdin=printed)
    assert result.exit == 1
    assert result.error["code"] == "superseded"
    assert result.error["workload"] == {"kind": "Deployment", "namespace": namespace.name, "name": "web"}


def test_what_was_created_anew_since_is_superseded(namespace: Namespace) -> None:
    printed = applied(namespace, deployment("web", WEB))
    namespace.kubectl("delete", "deployment/web")
    applied(namespace, deployment("web", WEB))
    assert rollout_status("-f", "-", stdin=printed).exit == 0
    result = rollout_status("-f", "-", "--on-superseded", "fail", stdin=printed)
    assert result.exit == 1
    assert result.error["code"] == "superseded"


def test_what_was_scaled_since_is_not_superseded(namespace: Namespace) -> None:
    printed = applied(namespace, deployment("web", WEB))
    namespace.kubectl("scale", "deployment/web", "--replicas=2")
    result = rollout_status("-f", "-", "--on-superseded", "fail", stdin=printed)
    assert result.exit == 0
    assert namespace.get("deployment/web")["status"]["availableReplicas"] == 2
    assert any('"web" was changed since it was applied' in note for note in notes(result))


# --------------------------------------------------------------------------------------------------- several namespaces


@pytest.mark.parametrize("everywhere", [True, False])
def test_the_workloads_of_several_namespaces_are_found(namespace: Namespace, other: Namespace, everywhere: bool) -> None:
    labels = {"release": namespace.name}
    namespace.apply(deployment("web", WEB, labels=labels), deployment("beside", BROKEN))
    other.apply(deployment("web", WEB, labels=labels))
    where = ["-A"] if everywhere else ["-n", namespace.name, "-n", other.name]
    result = rollout_status(*where, "-l", f"release={namespace.name}")
    assert result.exit == 0
    assert statuses(result) == {(namespace.name, "web"): "ready", (other.name, "web"): "ready"}


@pytest.mark.parametrize("everywhere", [True, False])
def test_the_failure_in_one_of_several_namespaces_is_named(namespace: Namespace, other: Namespace, everywhere: bool) -> None:
    labels = {"release": namespace.name}
    namespace.apply(deployment("web", WEB, labels=labels))
    other.apply(deployment("web", CRASHING, labels=labels))
    where = ["-A"] if everywhere else ["-n", namespace.name, "-n", other.name]
    result = rollout_status(*where, "-l", f"release={namespace.name}", "--retry-limit", "0")
    assert result.exit == 1
    assert result.error["workload"] == {"kind": "Deployment", "namespace": other.name, "name": "web"}
    assert result.error["log"] == "FATAL: no database\n"


# -------------------------------------------------------------------------------------------------------- what is expected


@pytest.mark.parametrize("what", [["deployment/web"], ["-l", "release=demo"], [], ["-f"]])
def test_what_is_not_there_yet_is_waited_for(namespace: Namespace, what: list[str], tmp_path: Path) -> None:
    web = deployment("web", WEB, labels={"release": "demo"})
    (tmp_path / "web.yaml").write_text(yaml.safe_dump(web))
    what = ["-f", str(tmp_path / "web.yaml")] if what == ["-f"] else what
    says = '"web" not found' if what and "-l" not in what else "Waiting for something to judge"
    with started("-n", namespace.name, *what, "--wait-for-create", "100s", says=says) as (tool, _):
        namespace.apply(web)
        result = ended(tool)
    assert result.exit == 0
    assert result.statuses == {"web": "ready"}


def test_what_never_comes_is_not_found(namespace: Namespace) -> None:
    result = namespace.rollout_status("deployment/web", "--wait-for-create", "2s")
    assert result.exit == 1
    assert result.error["code"] == "not-found"
    assert result.document["polls"] > 1


def test_an_expected_image_is_waited_for(namespace: Namespace) -> None:
    namespace.apply(deployment("web", WEB, replicas=2))
    assert namespace.rollout_status().exit == 0
    with started("-n", namespace.name, "deployment/web", "--expect-image", f"main={IMAGES}/web:v2") as (tool, _):
        namespace.kubectl("scale", "deployment/web", "--replicas=1")
        assert "successfully rolled out" in namespace.kubectl("rollout", "status", "deployment/web")
        assert tool.poll() is None
        namespace.apply(deployment("web", V2, replicas=2))
        result = ended(tool)
    assert result.exit == 0
    assert images_of_running_pods(namespace) == {"web:v2"}
    assert len(running_pods(namespace)) == 2


def test_an_expected_image_of_a_container_that_is_not_there_is_no_success(namespace: Namespace) -> None:
    namespace.apply(deployment("web", WEB))
    result = namespace.rollout_status("--expect-image", f"mian={IMAGES}/web:v1", "--timeout", "5s")
    assert result.exit == 3
    assert '"mian"' in result.error["message"]


def test_an_expression_that_is_expected_is_waited_for(namespace: Namespace) -> None:
    namespace.apply(deployment("web", WEB))
    with started("-n", namespace.name, "--expect", "self.metadata.labels.release == 'demo'") as (tool, _):
        assert any("what is expected" in line for line in tool.stderr)
        namespace.kubectl("label", "deployment/web", "release=demo")
        assert ended(tool).exit == 0


def test_a_success_that_lasts_is_one(namespace: Namespace) -> None:
    namespace.apply(deployment("web", WEB))
    result = namespace.rollout_status("--stable-for", "3s")
    assert result.exit == 0
    assert "must stay so for 3s" in result.stderr
    assert result.document["elapsedSeconds"] >= 3


def test_a_success_that_does_not_last_is_none(namespace: Namespace) -> None:
    namespace.apply(deployment("web", WEB))
    with started("-n", namespace.name, "--stable-for", "1000s") as (tool, _):
        assert any("must stay so" in line for line in tool.stderr)
        namespace.apply(deployment("web", BROKEN))
        result = ended(tool)
    assert result.exit == 1
    assert MISSING in result.error["message"]


# --------------------------------------------------------------------------------------------- kinds that nobody declares


@pytest.fixture
def group() -> Iterator[str]:
    """The API group of a kind of its own for a test: Widget, widgets, and for short w and the group's first part."""
    group = f"e{secrets.token_hex(4)}.e2e.example.com"
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}, "subresources": {"status": {}}}
    names = {"kind": "Widget", "plural": "widgets", "singular": "widget", "shortNames": [short(group)]}
    definition = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"widgets.{group}"},
        "spec": {"group": group, "scope": "Namespaced", "names": names, "versions": [version]},
    }
    with cluster_wide(definition):
        kubectl("wait", "--for=condition=Established", f"crd/widgets.{group}", f"--timeout={PATIENCE:g}s")
        yield group


def short(group: str) -> str:
    return "w" + group.partition(".")[0]


def widget(group: str, **spec: Json) -> Json:
    return {"apiVersion": f"{group}/v1", "kind": "Widget", "metadata": {"name": "one"}, "spec": spec}


def patch_condition(namespace: Namespace, group: str, type_: str, **more: Json) -> None:
    status = {"status": {"conditions": [{"type": type_, "status": "True", "reason": "Tested", "message": "as it should", **more}]}}
    namespace.kubectl("patch", f"widgets.{group}/one", "--subresource=status", "--type=merge", "-p", json.dumps(status))


@pytest.mark.parametrize("called", ["widgets.{group}", "{short}"])
def test_an_object_of_any_kind_succeeds_once_it_is_ready(namespace: Namespace, group: str, called: str) -> None:
    kinds = ["--kinds", called.format(group=group, short=short(group))]
    namespace.apply(widget(group))
    result = namespace.rollout_status(*kinds, "--once")
    assert result.exit == 3
    assert result.statuses == {"one": "waiting"}
    with started("-n", namespace.name, *kinds, says="widget/one") as (tool, _):
        patch_condition(namespace, group, "Ready")
        result = ended(tool)
    assert result.exit == 0
    assert result.document["workloads"][0]["kind"] == "Widget"
    assert result.statuses == {"one": "ready"}


@pytest.mark.parametrize("called", ["widgets.{group}", "{short}"])
def test_an_object_of_any_kind_fails_once_it_is_stalled(namespace: Namespace, group: str, called: str) -> None:
    kinds = ["--kinds", called.format(group=group, short=short(group))]
    namespace.apply(widget(group))
    with started("-n", namespace.name, *kinds, says="widget/one") as (tool, _):
        patch_condition(namespace, group, "Stalled")
        result = ended(tool)
    assert result.exit == 1
    assert result.error["code"] == "not-progressing"
    assert "Stalled" in result.error["message"]
    assert "as it should" in result.error["message"]
    assert result.error["workload"] == {"kind": "Widget", "namespace": namespace.name, "name": "one"}


def test_a_condition_about_an_earlier_spec_is_no_success(namespace: Namespace, group: str) -> None:
    namespace.apply(widget(group))
    patch_condition(namespace, group, "Ready", observedGeneration=1)
    assert namespace.rollout_status("--kinds", f"widgets.{group}").exit == 0
    namespace.apply(widget(group, size=2))
    with started("-n", namespace.name, f"widgets.{group}/one", says="widget/one") as (tool, _):
        patch_condition(namespace, group, "Ready", observedGeneration=2)
        assert ended(tool).exit == 0


def test_an_object_of_any_kind_is_judged_beside_a_deployment(namespace: Namespace, group: str) -> None:
    namespace.apply(widget(group), deployment("web", WEB))
    patch_condition(namespace, group, "Ready")
    result = namespace.rollout_status("--kinds", f"deployment,widgets.{group}")
    assert result.exit == 0
    assert result.statuses == {"web": "ready", "one": "ready"}


def test_an_object_of_any_kind_comes_through_the_pipe_too(namespace: Namespace, group: str) -> None:
    printed = namespace.kubectl("apply", "-f", "-", "-o", "json", stdin=listed(widget(group), SETTINGS))
    patch_condition(namespace, group, "Ready")
    result = rollout_status("-f", "-", "--kinds", f"widgets.{group}", stdin=printed)
    assert result.exit == 0
    assert statuses(result) == {(namespace.name, "one"): "ready"}


def test_a_kind_that_the_cluster_does_not_know_is_wrong_input(namespace: Namespace) -> None:
    result = namespace.rollout_status("--kinds", "deploymnets")
    assert result.exit == 2
    assert result.error["code"] == "usage"
    assert "deploymnets" in result.error["message"]
    assert "did you mean deployments" in result.error["message"]


# ----------------------------------------------------------------------------------------------------------- recording

HELD = re.compile(r"^ *((?:fail|wait|hold|ignore|note): \S+ \(|\S+ \S+: \d+ rules, of which \d+ hold.*)", re.MULTILINE)


@pytest.fixture
def secret() -> str:
    """The value of a variable, which no recording may have in it."""
    return f"hunter-{secrets.token_hex(8)}"


def secretive(container: Json, secret: str) -> Json:
    return container | {"env": [{"name": "PASSWORD", "value": secret}]}


Meanwhile = Callable[..., None]  # of the tools that watch


def assert_replays(namespace: Namespace, folder: Path, secret: str, *arguments: str, meanwhile: Meanwhile = lambda *tools: None) -> Result:
    """The result of a run, which its recording gives too, and for the same reasons; nothing else is in the recording.

    `explain` prints no JSON, so that a second tool watches beside the first.
    """
    flags, live, explained = ["-n", namespace.name, "deployment/web", *arguments], folder / "live", folder / "explained"
    namespace.apply(deployment("unselected", secretive(WEB, secret)))
    with started(*flags, "--record", str(live)) as (tool, _), started("explain", *flags, "--record", str(explained)) as (beside, _):
        meanwhile(tool, beside)
        result = ended(tool)
        explanation = beside.communicate()[0]
    replayed = rollout_status(*flags, "--replay", str(live))
    assert replayed.exit == result.exit
    for key in ("code", "type", "message", "rule", "workload", "resource", "count", "log", "hint"):
        assert replayed.document.get("error", {}).get(key) == result.document.get("error", {}).get(key)
    assert replayed.document["workloads"] == result.document["workloads"]
    again = subprocess.run(command("explain", *flags, "--replay", str(explained)), capture_output=True, text=True, check=False)
    assert again.returncode == beside.returncode == result.exit
    assert HELD.findall(explanation)
    assert HELD.findall(again.stdout) == HELD.findall(explanation)
    assert_keeps_secrets([*live.iterdir(), *explained.iterdir()], secret)
    return result


def assert_keeps_secrets(files: list[Path], secret: str) -> None:
    for file in files:
        assert file.stat().st_mode & 0o777 == 0o600
        for word in (secret, "managedFields", "last-applied", "unselected"):
            assert word not in file.read_text()
    assert any("PASSWORD" in file.read_text() for file in files)


def test_a_recorded_success_replays(namespace: Namespace, tmp_path: Path, secret: str) -> None:
    namespace.apply(deployment("web", secretive(WEB, secret), replicas=2))
    assert assert_replays(namespace, tmp_path, secret).exit == 0


def test_a_recorded_update_replays(namespace: Namespace, tmp_path: Path, secret: str) -> None:
    namespace.apply(deployment("web", secretive(WEB, secret)))
    assert namespace.rollout_status("deployment/web").exit == 0
    namespace.apply(deployment("web", secretive(WEB, secret[::-1])))
    assert assert_replays(namespace, tmp_path, secret).exit == 0


def test_a_recorded_crash_loop_replays(namespace: Namespace, tmp_path: Path, secret: str) -> None:
    namespace.apply(deployment("web", secretive(CRASHING, secret), replicas=2))
    result = assert_replays(namespace, tmp_path, secret, "--retry-limit", "1")
    assert result.exit == 1
    assert result.error["code"] == "process-crashing"
    assert result.error["log"] == "FATAL: no database\n"


def test_a_recorded_volume_that_is_missing_replays(namespace: Namespace, tmp_path: Path, secret: str) -> None:
    namespace.apply(mounting("web", secretive(WEB, secret)))
    result = assert_replays(namespace, tmp_path, secret, "--set", "mount_grace=3s")
    assert result.exit == 1
    assert result.error["rule"] == "pod-volume-not-mounted"
    assert 'configmap "settings" not found' in result.error["message"]


def test_a_recorded_timeout_replays(namespace: Namespace, tmp_path: Path, secret: str) -> None:
    namespace.apply(deployment("web", secretive(WEB | {"readinessProbe": NEVER_READY}, secret)))
    result = assert_replays(namespace, tmp_path, secret, "--timeout", "6s")
    assert result.exit == 3


def test_a_recorded_run_replays_through_an_api_that_was_down(namespace: Namespace, tmp_path: Path, secret: str) -> None:
    namespace.apply(deployment("web", secretive(SLEEPS, secret)))
    with proxied(tmp_path) as api:

        def meanwhile(*tools: subprocess.Popen[str]) -> None:
            (pod,) = (each["metadata"]["name"] for each in eventually(lambda: namespace.get("pods", "-l", "app=web")["items"]))
            with api.down():
                for tool in tools:
                    assert tool.stderr
                    assert any("trying again" in line for line in tool.stderr)
                eventually(lambda: is_kept(lambda: namespace.kubectl("exec", pod, "--", "touch", "/tmp/ready")))
                namespace.kubectl("wait", "--for=condition=Available", "deployment/web", f"--timeout={PATIENCE:g}s")

        result = assert_replays(namespace, tmp_path, secret, "--kubeconfig", api.config, meanwhile=meanwhile)
    assert result.exit == 0
    for folder in ("live", "explained"):
        polls = yaml.safe_load((tmp_path / folder / "recording.yaml").read_text())["polls"]
        assert any("error" in poll for poll in polls)
        assert "objects" in polls[0]
        assert "objects" in polls[-1]


def assert_is_recorded(namespace: Namespace, folder: Path, *arguments: str) -> Result:
    """The result of a run, of which the recording's is no other."""
    result = namespace.rollout_status(*arguments, "--record", str(folder))
    replayed = namespace.rollout_status(*arguments, "--replay", str(folder))
    assert replayed.exit == result.exit
    assert verdict(replayed) == verdict(result)
    return result


@pytest.mark.parametrize("called", ["widgets.{group}", "{short}"])
def test_a_recorded_object_of_any_kind_replays(namespace: Namespace, group: str, called: str, tmp_path: Path) -> None:
    namespace.apply(widget(group))
    patch_condition(namespace, group, "Ready")
    kinds = ["--kinds", called.format(group=group, short=short(group))]
    assert assert_is_recorded(namespace, tmp_path / "run", *kinds).exit == 0


@pytest.mark.parametrize("written", [json.dumps, yaml.safe_dump])
def test_a_recorded_run_of_manifests_replays(namespace: Namespace, written: Callable[[Json], str], tmp_path: Path) -> None:
    namespace.apply(deployment("web", WEB))
    (tmp_path / "web").write_text(written(deployment("web", WEB)))
    assert assert_is_recorded(namespace, tmp_path / "run", "-f", str(tmp_path / "web"), "--on-superseded", "fail").exit == 0


def test_a_recorded_run_of_the_pipe_replays(namespace: Namespace, tmp_path: Path) -> None:
    printed = applied(namespace, deployment("web", WEB))
    applied(namespace, deployment("web", V2))
    (tmp_path / "applied.json").write_text(printed)
    flags = ["--on-superseded", "fail"]
    result = rollout_status("-f", "-", *flags, "--record", str(tmp_path / "run"), stdin=printed)
    replayed = rollout_status("-f", str(tmp_path / "applied.json"), *flags, "--replay", str(tmp_path / "run"))
    assert verdict(replayed) == verdict(result)
    assert result.error["code"] == replayed.error["code"] == "superseded"


def test_a_recorded_kind_that_the_cluster_does_not_know_replays(namespace: Namespace, tmp_path: Path) -> None:
    assert assert_is_recorded(namespace, tmp_path / "run", "--kinds", "deploymnets").exit == 2


def test_a_folder_that_has_something_in_it_is_not_recorded_to(namespace: Namespace, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    result = namespace.rollout_status("--record", str(tmp_path))
    assert result.exit == 2
    assert [each.name for each in tmp_path.iterdir()] == ["mine"]


# -------------------------------------------------------------------------------------------------------------- rights


def lacking(role: Json, resource: str) -> Json:
    """The role without the rights to a resource."""
    rules = [rule | {"resources": [each for each in rule["resources"] if each != resource]} for rule in role["rules"]]
    return role | {"rules": [rule for rule in rules if rule["resources"]]}


def test_the_role_suffices_for_a_success(namespace: Namespace, tmp_path: Path) -> None:
    config = bound(namespace, tmp_path)
    namespace.apply(deployment("web", WEB))
    result = namespace.rollout_status("--kubeconfig", config)
    assert result.exit == 0
    assert notes(result) == []


def test_the_role_suffices_for_logs_and_events(namespace: Namespace, tmp_path: Path) -> None:
    config = bound(namespace, tmp_path)
    namespace.apply(deployment("crashing", CRASHING), mounting("mounting", WEB))
    crashing = namespace.rollout_status("--kubeconfig", config, "--retry-limit", "1", "deployment/crashing")
    assert crashing.exit == 1
    assert crashing.error["code"] == "process-crashing"
    assert crashing.error["log"] == "FATAL: no database\n"
    without_volume = namespace.rollout_status("--kubeconfig", config, "--set", "mount_grace=2s", "deployment/mounting")
    assert without_volume.exit == 1
    assert 'configmap "settings" not found' in without_volume.error["message"]
    assert "FailedMount" in [event["reason"] for event in without_volume.error["events"]]
    assert notes(crashing) == notes(without_volume) == []


def test_without_the_right_to_watch_it_polls_and_says_so(namespace: Namespace, tmp_path: Path) -> None:
    rules = [rule | {"verbs": [verb for verb in rule["verbs"] if verb != "watch"]} for rule in ROLE["rules"]]
    config = bound(namespace, tmp_path, ROLE | {"rules": rules})
    namespace.apply(deployment("web", WEB, minReadySeconds=10))  # longer than it takes to find out
    result = namespace.rollout_status("--kubeconfig", config, "--interval", "1s")
    assert result.exit == 0
    assert any("pods cannot be watched, so it is polled every 1s: Error from server (Forbidden)" in note for note in notes(result))


def test_the_role_does_not_suffice_for_all_namespaces(namespace: Namespace, tmp_path: Path) -> None:
    config = bound(namespace, tmp_path)
    namespace.apply(deployment("web", WEB))
    result = rollout_status("--kubeconfig", config, "-A")
    assert result.exit == 4
    assert result.error["code"] == "forbidden"


def test_the_cluster_role_suffices_for_all_namespaces(namespace: Namespace, other: Namespace, tmp_path: Path) -> None:
    config = account(namespace, tmp_path)
    name = {"metadata": {"name": namespace.name}}
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": namespace.name},
        "subjects": [{"kind": "ServiceAccount", "namespace": namespace.name, "name": "pipeline"}],
    }
    labels = {"release": namespace.name}
    namespace.apply(deployment("web", WEB, labels=labels))
    other.apply(deployment("web", CRASHING, labels=labels))
    with cluster_wide(CLUSTER_ROLE | name, binding | name):
        eventually(lambda: is_kept(lambda: other.kubectl("--kubeconfig", config, "get", "pods")))
        result = rollout_status("--kubeconfig", config, "-A", "-l", f"release={namespace.name}", "--retry-limit", "1")
    assert result.exit == 1
    assert result.error["workload"] == {"kind": "Deployment", "namespace": other.name, "name": "web"}
    assert result.error["log"] == "FATAL: no database\n"
    assert set(statuses(result)) == {(namespace.name, "web"), (other.name, "web")}
    assert notes(result) == []


def test_without_events_it_works_with_a_note(namespace: Namespace, tmp_path: Path) -> None:
    config = bound(namespace, tmp_path, lacking(ROLE, "events"))
    namespace.apply(mounting("web", WEB))
    result = namespace.rollout_status("--kubeconfig", config, "--set", "mount_grace=1s", "--timeout", "4s")
    assert result.exit == 3
    assert result.statuses == {"web": "waiting"}
    assert any("events" in note and "forbidden" in note for note in notes(result))
    namespace.apply(SETTINGS)
    assert namespace.rollout_status("--kubeconfig", config).exit == 0


def test_without_logs_it_works_with_a_note(namespace: Namespace, tmp_path: Path) -> None:
    config = bound(namespace, tmp_path, lacking(ROLE, "pods/log"))
    namespace.apply(deployment("web", CRASHING))
    result = namespace.rollout_status("--kubeconfig", config, "--retry-limit", "1")
    assert result.exit == 1
    assert result.error["code"] == "process-crashing"
    assert "log" not in result.error
    assert any("log of" in note and "pods/log" in note for note in notes(result))
