"""States that nobody plans for, as a real cluster shows them: each ends with the word that a person needs, none as a success."""

import json

import pytest
from conftest import Namespace, cluster_wide, eventually, is_kept, rollout_status
from manifests import IMAGES, NEVER_READY, WEB, deployment, job, script, workload

SMALL = {"resources": {"limits": {"ephemeral-storage": "1Mi"}}}
FULL = script("dd if=/dev/zero of=/tmp/full bs=1M count=4; sleep 1000") | SMALL
ADMISSION = "admissionregistration.k8s.io/v1"


@pytest.mark.parametrize(
    ("pod", "arguments", "code", "word"),
    [
        ({"securityContext": {"sysctls": [{"name": "net.core.somaxconn", "value": "1024"}]}}, ["--retry-limit", "2"],
         "invalid-config", "net.core.somaxconn"),
        ({"schedulerName": "nobody"}, ["--pending-deadline", "2s"], "scheduling", "nobody"),
        ({"priorityClassName": "nope"}, [], "invalid-config", "nope"),
        ({"runtimeClassName": "nope"}, [], "invalid-config", "nope"),
    ],
    ids=["forbidden-sysctl", "unknown-scheduler", "no-priority-class", "no-runtime-class"],
)  # fmt: skip
def test_pods_that_can_never_run(namespace: Namespace, pod: dict, arguments: list[str], code: str, word: str) -> None:
    namespace.apply(deployment("web", WEB, pod=pod))
    result = namespace.rollout_status(*arguments)
    assert (result.exit, result.error["code"]) == (1, code), result.document
    assert word in result.error["message"]


def test_pods_that_are_evicted_for_their_own_limit_again_and_again(namespace: Namespace) -> None:
    """Each is ready until its kubelet looks, and the next one takes its place."""
    namespace.apply(deployment("web", FULL))
    phases = "jsonpath={.items[*].status.phase}"
    eventually(lambda: "Failed" in namespace.kubectl("get", "pods", "-o", phases))
    result = namespace.rollout_status("--retry-limit", "1")
    assert (result.exit, result.error["code"]) == (1, "resource-limits-exceeded"), result.document
    assert "ephemeral" in result.error["message"]


def test_a_liveness_loop_is_no_success_while_it_is_ready_in_between(namespace: Namespace) -> None:
    """Its readiness probe passes at once after each restart."""
    liveness = NEVER_READY | {"periodSeconds": 2, "failureThreshold": 1}
    namespace.apply(deployment("web", WEB | {"livenessProbe": liveness}))
    statuses = "jsonpath={.items[*].status.containerStatuses[*].restartCount}"
    eventually(lambda: namespace.kubectl("get", "pods", "-o", statuses).strip() not in ("", "0"))
    result = namespace.rollout_status("--retry-limit", "1")
    assert result.exit == 1
    assert result.error["code"] in ("process-crashing", "probe-failing")


@pytest.mark.parametrize(("command", "word"), [(["nowhere"], "executable file not found"), (["/etc/passwd"], "permission denied")])
def test_a_job_whose_program_can_never_start_fails_at_its_first_attempt(namespace: Namespace, command: list[str], word: str) -> None:
    again = job("import", {"image": "app:v1", "command": command})
    again["spec"]["backoffLimit"] = 6
    namespace.apply(again)
    result = namespace.rollout_status()
    assert (result.exit, result.error["code"], result.error["rule"]) == (1, "process-crashing", "container-not-started"), result.document
    assert word in result.error["message"]


def test_ready_between_two_crashes_is_no_success(namespace: Namespace) -> None:
    """Each run lasts five seconds, and its container is ready all the time, having no probe."""
    namespace.apply(deployment("web", script("sleep 5; exit 3")))
    statuses = "jsonpath={.items[*].status.containerStatuses[*].restartCount}"
    eventually(lambda: namespace.kubectl("get", "pods", "-o", statuses).strip() not in ("", "0"))
    result = namespace.rollout_status("--retry-limit", "1", "--set", "settle=1s")
    assert (result.exit, result.error["code"]) == (1, "process-crashing"), result.document


def test_an_init_container_that_never_ends_is_named_with_its_log(namespace: Namespace) -> None:
    waits = {"name": "wait", "image": f"{IMAGES}/app:v1", "command": ["sh", "-c", "echo no database; sleep 1000"]}
    namespace.apply(deployment("web", WEB, pod={"initContainers": [waits]}, progressDeadlineSeconds=5))
    result = namespace.rollout_status()
    assert (result.exit, result.error["code"], result.error["rule"]) == (1, "not-progressing", "container-init-running"), result.document
    assert "no database" in result.error["log"]


def test_an_old_pod_that_a_finalizer_keeps_is_named_and_does_not_hold_the_rollout_for_ever(namespace: Namespace) -> None:
    namespace.apply(deployment("web", WEB))
    assert namespace.rollout_status().exit == 0
    pod = namespace.kubectl("get", "pods", "-o", "jsonpath={.items[0].metadata.name}")
    namespace.kubectl("patch", "pod", pod, "-p", '{"metadata": {"finalizers": ["example.com/hold"]}}')
    try:
        namespace.apply(deployment("web", WEB | {"image": "web:v2"}))
        assert namespace.rollout_status().exit == 0
        eventually(lambda: pod in json.dumps(namespace.rollout_status("--set", "deletion-grace=2s").document.get("notes", [])))
    finally:
        namespace.kubectl("patch", "pod", pod, "-p", '{"metadata": {"finalizers": null}}')


def test_a_workload_that_a_finalizer_keeps_is_no_success(namespace: Namespace) -> None:
    held = workload("StatefulSet", "db", WEB, serviceName="db", replicas=1)
    held["metadata"]["finalizers"] = ["example.com/hold"]
    namespace.apply(held)
    try:
        assert namespace.rollout_status().exit == 0
        namespace.kubectl("delete", "statefulset/db", "--wait=false")
        result = namespace.rollout_status("--set", "progress-deadline=2s")
        assert (result.exit, result.error["code"]) == (1, "not-progressing")
        assert "example.com/hold" in result.error["message"]
    finally:
        namespace.kubectl("patch", "statefulset/db", "-p", '{"metadata": {"finalizers": null}}')


@pytest.mark.parametrize(("exit", "command"), [(0, "true"), (1, "false")])
def test_a_job_that_its_ttl_has_removed_has_a_last_word(namespace: Namespace, exit: int, command: str) -> None:
    """It is gone before anybody looks, and comes through the pipe."""
    short = job("migrate", script(command))
    short["spec"]["ttlSecondsAfterFinished"] = 0
    applied = namespace.kubectl("apply", "-o", "json", "-f", "-", stdin=json.dumps(short))
    eventually(lambda: not is_kept(lambda: namespace.get("job/migrate")))
    result = rollout_status("-n", namespace.name, "-f", "-", stdin=applied)
    assert result.exit == exit, result.document


def test_a_webhook_that_is_down_is_named(namespace: Namespace) -> None:
    hook = {
        "apiVersion": ADMISSION,
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": namespace.name},
        "webhooks": [{
            "name": "down.example.com", "admissionReviewVersions": ["v1"], "sideEffects": "None", "failurePolicy": "Fail", "timeoutSeconds": 1,
            "clientConfig": {"service": {"name": "down", "namespace": namespace.name, "path": "/"}},
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace.name}},
            "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}],
        }],
    }  # fmt: skip
    with cluster_wide(hook):
        eventually(lambda: not is_kept(lambda: namespace.kubectl("run", "probe", "--image", "any", "--dry-run=server")))
        namespace.apply(deployment("web", WEB))
        result = namespace.rollout_status("--set", "quota-grace=2s")
    assert (result.exit, result.error["code"]) == (1, "admission-denied")
    assert "down.example.com" in result.error["message"]


def test_a_dry_run_that_comes_through_the_pipe_is_no_success(namespace: Namespace) -> None:
    namespace.apply(deployment("web", WEB))
    assert namespace.rollout_status().exit == 0
    image = f"main={WEB['image']}-other"
    printed = namespace.kubectl("set", "image", "deployment/web", image, "--dry-run=client", "-o", "json")
    result = rollout_status("-f", "-", stdin=printed)
    assert (result.exit, result.error["code"]) == (1, "invalid-config")
    assert "--dry-run=client" in result.error["message"]
    printed = namespace.kubectl("set", "image", "deployment/web", image, "--dry-run=server", "-o", "json")
    result = rollout_status("-f", "-", "--set", "arrival-deadline=2s", stdin=printed)
    assert (result.exit, result.error["code"]) == (1, "not-progressing")
    assert "--dry-run=server" in result.error["message"]
