"""States that a cluster gets its pods into, and what happens to a rollout while it is watched."""

import json
import subprocess

import pytest
from conftest import Namespace, cluster_wide, ended, eventually, images_of_running_pods, is_kept, kubectl, running_pods, started
from manifests import BROKEN, IMAGES, MISSING, NEVER_READY, SLEEPS, WEB, deployment, policy, runtime_class, script, workload

KINDS = {"StatefulSet": {"serviceName": "db", "replicas": 2}, "DaemonSet": {}}

# ------------------------------------------------------------------------------------------ StatefulSet and DaemonSet


@pytest.mark.parametrize("kind", KINDS)
def test_an_update_of_another_kind_succeeds(namespace: Namespace, kind: str) -> None:
    namespace.apply(workload(kind, "db", WEB, **KINDS[kind]))
    assert namespace.rollout_status().exit == 0
    namespace.apply(workload(kind, "db", WEB | {"image": "web:v2"}, **KINDS[kind]))
    result = namespace.rollout_status()
    assert result.exit == 0
    assert result.statuses == {"db": "ready"}
    assert images_of_running_pods(namespace) == {"web:v2"}


@pytest.mark.parametrize("kind", KINDS)
def test_an_update_of_another_kind_to_a_missing_image_fails(namespace: Namespace, kind: str) -> None:
    namespace.apply(workload(kind, "db", WEB, **KINDS[kind]))
    assert namespace.rollout_status().exit == 0
    namespace.apply(workload(kind, "db", BROKEN, **KINDS[kind]))
    result = namespace.rollout_status()
    assert result.exit == 1
    assert result.error["code"] == "invalid-config"
    assert MISSING in result.error["message"]
    assert result.error["workload"] == {"kind": kind, "namespace": namespace.name, "name": "db"}


def test_a_partition_succeeds_once_the_pods_above_it_are_updated(namespace: Namespace) -> None:
    namespace.apply(workload("StatefulSet", "db", WEB, serviceName="db", replicas=2))
    assert namespace.rollout_status().exit == 0
    partition = {"type": "RollingUpdate", "rollingUpdate": {"partition": 1}}
    namespace.apply(workload("StatefulSet", "db", WEB | {"image": "web:v2"}, serviceName="db", replicas=2, updateStrategy=partition))
    result = namespace.rollout_status()
    assert result.exit == 0
    assert result.statuses == {"db": "ready"}
    images = {pod["metadata"]["name"]: pod["spec"]["containers"][0]["image"] for pod in running_pods(namespace)}
    assert images == {"db-0": f"{IMAGES}/web:v1", "db-1": f"{IMAGES}/web:v2"}


# ------------------------------------------------------------------------------------------------ pods that do not run


def test_too_much_memory_is_named(namespace: Namespace) -> None:
    namespace.apply(deployment("web", script("tail /dev/zero") | {"resources": {"limits": {"memory": "16Mi"}}}))
    result = namespace.rollout_status()
    assert result.exit == 1
    assert result.error["code"] == "resource-limits-exceeded"
    assert "OOMKilled" in result.error["message"]
    assert "16Mi" in result.error["message"]


def test_a_pod_that_no_node_takes_fails_at_the_pending_deadline(namespace: Namespace) -> None:
    namespace.apply(deployment("web", WEB, pod={"nodeSelector": {"no": "such-node"}}))
    result = namespace.rollout_status("--pending-deadline", "2s")
    assert result.exit == 1
    assert result.error["code"] == "scheduling"
    assert "node affinity/selector" in result.error["message"]


def test_a_missing_config_map_to_mount_is_named(namespace: Namespace) -> None:
    mounted = {"volumeMounts": [{"name": "settings", "mountPath": "/settings"}]}
    namespace.apply(deployment("web", WEB | mounted, pod={"volumes": [{"name": "settings", "configMap": {"name": "settings"}}]}))
    result = namespace.rollout_status("--set", "mount_grace=2s")
    assert result.exit == 1
    assert result.error["code"] == "invalid-config"
    assert 'configmap "settings" not found' in result.error["message"]


def test_a_missing_claim_is_named_at_the_pending_deadline(namespace: Namespace) -> None:
    namespace.apply(deployment("web", WEB, pod={"volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]}))
    result = namespace.rollout_status("--pending-deadline", "2s")
    assert result.exit == 1
    assert result.error["code"] == "scheduling"
    assert 'persistentvolumeclaim "data" not found' in result.error["message"]


def test_a_sandbox_that_cannot_be_created_is_named(namespace: Namespace) -> None:
    with cluster_wide(runtime_class(namespace.name, "no-such-handler")):
        namespace.apply(deployment("web", WEB, pod={"runtimeClassName": namespace.name}))
        result = namespace.rollout_status("--set", "mount_grace=2s")
    assert result.exit == 1
    assert result.error["code"] == "not-progressing"
    assert "no-such-handler" in result.error["message"]


@pytest.mark.parametrize("kind", ["Deployment", *KINDS])
def test_a_policy_that_denies_the_pods_is_named(namespace: Namespace, kind: str) -> None:
    with cluster_wide(*policy(namespace.name, namespace.name, "false", "no pods on Fridays")):
        eventually(lambda: not is_kept(lambda: namespace.kubectl("run", "probe", "--image", "any", "--dry-run=server")))
        namespace.apply(workload(kind, "web", WEB))
        result = namespace.rollout_status()
    assert result.exit == 1
    assert result.error["code"] == "admission-denied"
    assert "no pods on Fridays" in result.error["message"]


def test_a_crash_after_kubectl_has_called_it_a_success_fails(namespace: Namespace) -> None:
    namespace.apply(deployment("web", script("sleep 3; echo FATAL: no database; exit 3")))
    assert "successfully rolled out" in namespace.kubectl("rollout", "status", "deployment/web", "--timeout=60s")
    result = namespace.rollout_status("--retry-limit", "0")
    assert result.exit == 1
    assert result.error["code"] == "process-crashing"
    assert result.error["log"] == "FATAL: no database\n"


# ------------------------------------------------------------------------------------------- what happens meanwhile


def test_a_pod_that_is_evicted_meanwhile_is_no_failure(namespace: Namespace) -> None:
    namespace.apply(deployment("web", SLEEPS))
    with started("-n", namespace.name) as (tool, _):
        pod = eventually(lambda: running_pods(namespace))[0]["metadata"]["name"]
        eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod}}
        path = f"/api/v1/namespaces/{namespace.name}/pods/{pod}/eviction"
        kubectl("create", "--raw", path, "-f", "-", stdin=json.dumps(eviction))
        make_ready(tool, namespace, but=pod)
        assert ended(tool).exit == 0


def test_a_pod_that_its_kubelet_evicts_meanwhile_is_no_failure(namespace: Namespace) -> None:
    namespace.apply(deployment("web", SLEEPS | {"resources": {"limits": {"ephemeral-storage": "1Mi"}}}))
    with started("-n", namespace.name) as (tool, _):
        pod = eventually(lambda: running_pods(namespace))[0]["metadata"]["name"]
        fill = ["exec", pod, "--", "dd", "if=/dev/zero", "of=/tmp/full", "bs=1M", "count=4"]
        eventually(lambda: is_kept(lambda: namespace.kubectl(*fill)))
        make_ready(tool, namespace, but=pod)
        assert ended(tool).exit == 0
    status = namespace.get(f"pod/{pod}")["status"]
    assert (status["phase"], status["reason"]) == ("Failed", "Evicted")


def make_ready(tool: subprocess.Popen[str], namespace: Namespace, but: str) -> None:
    """Lets the probe of SLEEPS pass in the pod that takes the place of another one, for which the tool must still wait."""
    others = eventually(lambda: {pod["metadata"]["name"] for pod in running_pods(namespace)} - {but})
    assert tool.poll() is None
    eventually(lambda: is_kept(lambda: namespace.kubectl("exec", *others, "--", "touch", "/tmp/ready")))


def test_the_rollback_of_a_broken_revision_succeeds(namespace: Namespace) -> None:
    namespace.apply(deployment("web", WEB))
    assert namespace.rollout_status().exit == 0
    namespace.apply(deployment("web", WEB | {"image": "web:v2", "readinessProbe": NEVER_READY}))
    with started("-n", namespace.name) as (tool, _):
        assert any("/never" in line for line in tool.stderr)
        namespace.kubectl("rollout", "undo", "deployment/web")
        result = ended(tool)
    assert result.exit == 0
    assert result.statuses == {"web": "ready"}
    assert images_of_running_pods(namespace) == {"web:v1"}


def test_a_deployment_that_is_deleted_meanwhile_is_not_found(namespace: Namespace) -> None:
    namespace.apply(deployment("web", WEB | {"readinessProbe": NEVER_READY}))
    with started("-n", namespace.name) as (tool, _):
        namespace.kubectl("delete", "deployment/web")
        result = ended(tool)
    assert result.exit == 1
    assert result.error["code"] == "not-found"
    assert '"web"' in result.error["message"]
