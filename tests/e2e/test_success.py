"""Rollouts that succeed, and success that is true."""

import subprocess

import pytest
from conftest import Namespace, images_of_running_pods, running_pods
from manifests import HEALTHZ, WEB, deployment, job, script, workload


def test_a_new_deployment_succeeds(namespace: Namespace) -> None:
    namespace.apply(deployment("web", WEB, replicas=2))
    result = namespace.rollout_status()
    assert result.exit == 0
    assert result.statuses == {"web": "ready"}
    assert namespace.get("deployment/web")["status"]["availableReplicas"] == 2


def test_an_update_succeeds(namespace: Namespace) -> None:
    namespace.apply(deployment("web", WEB))
    assert namespace.rollout_status("deployment/web").exit == 0
    namespace.apply(deployment("web", WEB | {"image": "web:v2"}))
    assert namespace.rollout_status("deployment/web").exit == 0
    assert images_of_running_pods(namespace) == {"web:v2"}


def test_a_job_succeeds(namespace: Namespace) -> None:
    namespace.apply(job("migrate", script("echo migrated")))
    result = namespace.rollout_status("job/migrate")
    assert result.exit == 0
    assert result.statuses == {"migrate": "ready"}


def test_a_release_of_four_kinds_succeeds(namespace: Namespace) -> None:
    labels = {"release": "demo"}
    namespace.apply(
        deployment("web", WEB, labels=labels),
        workload("StatefulSet", "db", WEB, labels=labels, serviceName="db"),
        workload("DaemonSet", "agent", WEB, labels=labels),
        job("migrate", script("exit 0"), labels=labels),
    )
    result = namespace.rollout_status("-l", "release=demo")
    assert result.exit == 0
    assert result.statuses == dict.fromkeys(["web", "db", "agent", "migrate"], "ready")


def test_a_container_without_a_probe_succeeds_once_it_has_run_for_a_while(namespace: Namespace) -> None:
    namespace.apply(deployment("app", script("sleep 1000")))
    result = namespace.rollout_status("deployment/app", "--set", "settle=2s")
    assert result.exit == 0
    assert "2s" in result.stderr


def test_the_success_of_an_update_is_never_that_of_the_revision_before(namespace: Namespace) -> None:
    for update in range(11):
        image = f"web:v{update % 2 + 1}"
        namespace.apply(deployment("web", {"image": image, "readinessProbe": HEALTHZ}, replicas=2, revision=str(update)))
        generation = namespace.get("deployment/web")["metadata"]["generation"]
        result = namespace.rollout_status("deployment/web")
        assert result.exit == 0
        assert_serves(namespace, generation, image, str(update))


def assert_serves(namespace: Namespace, generation: int, image: str, revision: str) -> None:
    """That the Deployment consists of that revision: its counters say so, and no pod of another one runs, not even to its end."""
    web = namespace.get("deployment/web")
    status = web["status"]
    assert status["observedGeneration"] >= generation
    assert status["replicas"] == status["updatedReplicas"] == status["availableReplicas"] == web["spec"]["replicas"]
    assert images_of_running_pods(namespace) == {image}
    assert {pod["metadata"]["annotations"]["revision"] for pod in running_pods(namespace)} == {revision}
    assert len(running_pods(namespace)) == web["spec"]["replicas"]


@pytest.mark.parametrize("strategy", ["RollingUpdate", "Recreate"])
def test_kubectl_rollout_status_agrees(namespace: Namespace, strategy: str) -> None:
    namespace.apply(deployment("web", WEB, strategy={"type": strategy}))
    assert namespace.rollout_status("deployment/web").exit == 0
    namespace.apply(deployment("web", WEB, strategy={"type": strategy}, revision="2"))
    status = ["kubectl", "-n", namespace.name, "rollout", "status", "deployment/web", "--timeout=100s"]
    with subprocess.Popen(status, stdout=subprocess.DEVNULL) as beside:
        assert namespace.rollout_status("deployment/web").exit == 0
        assert "successfully rolled out" in namespace.kubectl("rollout", "status", "deployment/web", "--watch=false")
        assert beside.wait() == 0
