"""The cause behind the cause: claims, StorageClasses, nodes, and what still serves; and everything else that comes through the pipe."""

import secrets
import subprocess
from pathlib import Path

import pytest
from conftest import ROLE, Namespace, Result, bound, cluster_wide, command, eventually, kubectl, listed, rollout_status
from manifests import BROKEN, NEVER_READY, SLEEPS, WEB, Json, deployment, job, workload

SETTINGS = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}, "data": {"size": "1"}}
QUICK = ("--set", "missing-grace=3s")


def claim(name: str, storage_class: str | None = "nope", **spec: Json) -> Json:
    named = {} if storage_class is None else {"storageClassName": storage_class}
    asked = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name}, "spec": named | asked | spec}


def mounting(name: str, claim_name: str) -> Json:
    """A Deployment whose pod mounts a claim."""
    mounted = SLEEPS | {"volumeMounts": [{"name": "data", "mountPath": "/data"}]}
    return deployment(name, mounted, pod={"volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": claim_name}}]})


def service(name: str, **spec: Json) -> Json:
    ports = [{"port": 80, "targetPort": 8080}]
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": {"selector": {"app": name}, "ports": ports} | spec}


def piped(namespace: Namespace, *manifests: Json, arguments: tuple[str, ...] = ()) -> Result:
    """What a pipeline's `kubectl apply | rollout-status -f -` gives."""
    return rollout_status("-f", "-", *arguments, stdin=namespace.kubectl("apply", "-f", "-", "-o", "json", stdin=listed(*manifests)))


def causes(result: Result) -> list[str]:
    return [cause["message"] for cause in result.error.get("causes", [])]


def notes(result: Result) -> list[str]:
    return result.document.get("notes", [])


def test_a_storage_class_that_is_missing_is_the_cause(namespace: Namespace) -> None:
    namespace.apply(claim("data"), mounting("web", "data"), mounting("api", "data"))
    result = namespace.rollout_status(*QUICK)
    assert (result.exit, result.error["code"]) == (1, "scheduling")
    assert result.error["message"].startswith("Failed to schedule pod: ")
    assert causes(result)[-1] == 'StorageClass "nope" does not exist'
    text = subprocess.run(command("-n", namespace.name, *QUICK, "-o", "text"), capture_output=True, text=True, check=False).stdout
    assert text.count('<- PersistentVolumeClaim "data" is not bound <- StorageClass "nope" does not exist') == 1
    assert "the same stops Deployment/" in text


def test_a_claim_that_was_applied_earlier_is_the_cause_at_once(namespace: Namespace) -> None:
    namespace.apply(claim("data"))
    eventually(lambda: "ProvisioningFailed" in namespace.kubectl("get", "events"))
    namespace.apply(mounting("web", "data"))
    assert causes(namespace.rollout_status(*QUICK))[-1] == 'StorageClass "nope" does not exist'


def test_the_claim_templates_of_a_statefulset(namespace: Namespace) -> None:
    manifest = workload("StatefulSet", "db", SLEEPS | {"volumeMounts": [{"name": "data", "mountPath": "/data"}]}, replicas=2)
    namespace.apply(manifest | {"spec": manifest["spec"] | {"volumeClaimTemplates": [claim("data")]}})
    result = namespace.rollout_status(*QUICK)
    assert causes(result)[0].startswith('PersistentVolumeClaim "data-db-0" is not bound')
    assert causes(result)[-1] == 'StorageClass "nope" does not exist'


def test_a_claim_without_a_class(namespace: Namespace) -> None:
    """A class that is empty is none, whether or not the cluster has a default one."""
    namespace.apply(claim("data", ""), mounting("web", "data"))
    result = namespace.rollout_status("--pending-deadline", "5s")
    assert causes(result) == [
        'PersistentVolumeClaim "data" is not bound: no persistent volumes available for this claim and no storage class is set'
    ]


def test_a_claim_that_is_missing(namespace: Namespace) -> None:
    namespace.apply(mounting("web", "data"))
    assert causes(namespace.rollout_status("--pending-deadline", "5s")) == ['PersistentVolumeClaim "data" does not exist']


def test_a_claim_that_waits_for_its_pod_is_no_cause(namespace: Namespace) -> None:
    later = {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": namespace.name}}
    with cluster_wide(later | {"provisioner": "example.com/none", "volumeBindingMode": "WaitForFirstConsumer"}):
        manifest = mounting("web", "data")
        manifest["spec"]["template"]["spec"]["nodeSelector"] = {"none": "such"}
        namespace.apply(claim("data", namespace.name), manifest)
        result = namespace.rollout_status("--pending-deadline", "5s")
        assert (result.error["code"], causes(result)) == ("scheduling", [])
        alone = piped(namespace, claim("other", namespace.name))
        assert (alone.exit, alone.statuses) == (0, {"other": "ready"})


def test_a_node_that_is_not_ready(namespace: Namespace) -> None:
    node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": f"dead-{secrets.token_hex(4)}"}}
    with cluster_wide(node):
        namespace.apply(deployment("web", SLEEPS, pod={"nodeName": node["metadata"]["name"]}))
        result = namespace.rollout_status("--timeout", "20s")
        assert result.exit == 3
        assert causes(result)[0].startswith(f'Node "{node["metadata"]["name"]}" is not ready')


@pytest.mark.parametrize("resource", ["persistentvolumeclaims", "nodes"])
def test_without_the_right_to_a_cause_it_works_with_a_note(namespace: Namespace, tmp_path: Path, resource: str) -> None:
    """The Role has no right to anything that is in no namespace."""
    rules = [rule | {"resources": [each for each in rule["resources"] if each != resource]} for rule in ROLE["rules"]]
    config = bound(namespace, tmp_path, ROLE | {"rules": [rule for rule in rules if rule["resources"]]})
    node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": f"dead-{secrets.token_hex(4)}"}}
    with cluster_wide(node):
        on_node = deployment("web", SLEEPS, pod={"nodeName": node["metadata"]["name"]})
        namespace.apply(*([on_node] if resource == "nodes" else [claim("data"), mounting("web", "data")]))
        result = namespace.rollout_status("--kubeconfig", config, "--timeout", "15s", *QUICK)
    assert (result.exit, causes(result)) == (3, [])
    assert [note for note in notes(result) if note.startswith(resource) and "could not be read, so a cause may lie there" in note]


def test_a_broken_update_says_what_still_serves(namespace: Namespace) -> None:
    namespace.apply(deployment("web", WEB, replicas=2))
    assert namespace.rollout_status().exit == 0
    namespace.apply(deployment("web", BROKEN, replicas=2))
    (workload,) = namespace.rollout_status().document["workloads"]
    serving = workload["serving"]
    assert (serving["revision"], serving["ready"], serving["desired"]) == ("1", 2, 2)
    assert serving["images"][0].endswith("/web:v1")


@pytest.mark.parametrize("kind", ["ConfigMap", "CronJob"])
def test_what_has_nothing_to_wait_for_is_a_success(namespace: Namespace, kind: str) -> None:
    template = {"spec": job("later", SLEEPS)["spec"]}
    cron = {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "later"}}
    result = piped(namespace, SETTINGS if kind == "ConfigMap" else cron | {"spec": {"schedule": "0 0 1 1 *", "jobTemplate": template}})
    assert (result.exit, notes(result)) == (0, [f"skipped 1 object that does not roll out: {kind}"])


def test_a_service_waits_for_one_of_its_pods(namespace: Namespace) -> None:
    result = piped(namespace, deployment("web", WEB), service("web"), SETTINGS)
    assert (result.exit, result.statuses) == (0, {"web": "ready"})
    assert {each["kind"] for each in result.document["workloads"]} == {"Deployment", "Service"}
    result = piped(namespace, deployment("slow", WEB | {"readinessProbe": NEVER_READY}), service("slow"), arguments=("--timeout", "8s"))
    waiting = {each["kind"]: each for each in result.document["workloads"]}
    assert waiting["Service"]["message"] == 'Service "slow" has no ready pod, of 1'
    assert waiting["Service"]["serving"] == {"ready": 0, "desired": 1}


def test_a_service_that_is_nearly_right_names_the_nearest_labels(namespace: Namespace) -> None:
    result = piped(
        namespace, deployment("web", WEB), service("typo", selector={"app": "wep"}), service("lost", selector={"app": "database"})
    )
    assert result.exit == 0
    told = sorted(note for note in notes(result) if "selects no pod" in note)
    assert told[0] == 'Service "lost" selects no pod: none has app=database'
    assert told[1].startswith('Service "typo" selects no pod: none has app=wep; the nearest is app=web of Pod "web-')


def test_a_balancer_without_an_address_and_an_autoscaler_without_a_target(namespace: Namespace) -> None:
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "absent"}
    cpu = {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}}
    scaler = {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "lost"}}
    scaler |= {"spec": {"scaleTargetRef": target, "minReplicas": 1, "maxReplicas": 2, "metrics": [cpu]}}
    result = piped(namespace, service("balanced", type="LoadBalancer"), scaler, arguments=("--set", "metric-grace=1s"))
    messages = {each["kind"]: each["message"] for each in result.document["workloads"]}
    assert messages["Service"] == 'Service "balanced" has no load balancer address yet'
    assert '"absent" not found' in messages["HorizontalPodAutoscaler"]
    assert result.error["workload"]["kind"] == "HorizontalPodAutoscaler"


def test_an_ingress_waits_for_its_service(namespace: Namespace) -> None:
    backend = {"service": {"name": "web", "port": {"number": 80}}}
    ingress = {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": "web"}, "spec": {"defaultBackend": backend}}
    result = piped(namespace, ingress, arguments=("--timeout", "3s"))
    assert (result.exit, causes(result)) == (3, ['Service "web" does not exist'])
    assert 'Ingress "web" is waiting for Service "web"' in result.error["message"]
    assert piped(namespace, ingress, deployment("web", WEB), service("web")).exit == 0


def test_a_definition_and_its_object_in_one_pipe(namespace: Namespace) -> None:
    group = f"{namespace.name}.example.com"
    names = {"plural": "gadgets", "singular": "gadget", "kind": "Gadget"}
    open_schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    version = {"name": "v1", "served": True, "storage": True, "schema": open_schema}
    definition = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": f"gadgets.{group}"}}
    definition |= {"spec": {"group": group, "scope": "Namespaced", "names": names, "versions": [version]}}
    gadget = {"apiVersion": f"{group}/v1", "kind": "Gadget", "metadata": {"name": "one"}}
    try:
        printed = kubectl("apply", "-f", "-", "-o", "json", stdin=listed(definition))
        kubectl("wait", "--for=condition=Established", f"crd/gadgets.{group}", "--timeout=30s")
        printed += namespace.kubectl("apply", "-f", "-", "-o", "json", stdin=listed(gadget))
        result = rollout_status("-f", "-", stdin=printed)
        assert (result.exit, result.statuses) == (0, {f"gadgets.{group}": "ready", "one": "ready"})
        assert 'Gadget "one" reports no state, so there is nothing to wait for' in notes(result)
    finally:
        kubectl("delete", "crd", f"gadgets.{group}", "--ignore-not-found", "--wait=false")
