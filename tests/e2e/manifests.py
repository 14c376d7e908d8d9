"""The workloads that the tests apply, as small as they can be."""

import os
from typing import Any

Json = Any

# A registry with app:v1 and app:v2 (a shell, and sleep as its command) and web:v1 and web:v2 (GET /healthz on 8080);
# it must answer by itself that it has no other tag.
IMAGES = os.environ.get("ROLLOUT_E2E_IMAGES", "localhost:5000")
MISSING = "app:missing"

HEALTHZ = {"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 1}
NEVER_READY = {"httpGet": {"path": "/never", "port": 8080}, "periodSeconds": 1}

WEB = {"image": "web:v1", "readinessProbe": HEALTHZ}
BROKEN = {"image": MISSING}


def script(text: str) -> Json:
    """The fields of a container that runs a shell script."""
    return {"image": "app:v1", "command": ["sh", "-c", text]}


# Ready once somebody says so
SLEEPS = script("sleep 1000") | {"readinessProbe": {"exec": {"command": ["test", "-e", "/tmp/ready"]}, "periodSeconds": 1}}


def template(name: str, container: Json, revision: str = "", **spec: Json) -> Json:
    """A pod template with one container, `main`; another `revision` makes it another template."""
    main = {"name": "main", **container, "image": f"{IMAGES}/{container['image']}"}
    return {
        "metadata": {"labels": {"app": name}, "annotations": {"revision": revision}},
        "spec": {"containers": [main], "terminationGracePeriodSeconds": 1, **spec},
    }


def workload(kind: str, name: str, container: Json, *, labels: Json = None, revision: str = "", pod: Json = None, **spec: Json) -> Json:
    """A Deployment, StatefulSet or DaemonSet; `spec` is what its spec has beside the selector and the template, `pod` what its pods' have."""
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": name, "labels": labels or {}},
        "spec": {"selector": {"matchLabels": {"app": name}}, "template": template(name, container, revision, **(pod or {})), **spec},
    }


def deployment(name: str, container: Json, **more: Json) -> Json:
    return workload("Deployment", name, container, **more)


def job(name: str, container: Json, *, labels: Json = None) -> Json:
    """A Job with a single attempt."""
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "labels": labels or {}},
        "spec": {"backoffLimit": 0, "template": template(name, container, restartPolicy="Never")},
    }


def quota(**hard: str) -> Json:
    return {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "quota"}, "spec": {"hard": hard}}


def runtime_class(name: str, handler: str) -> Json:
    return {"apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass", "metadata": {"name": name}, "handler": handler}


def policy(name: str, namespace: str, expression: str, message: str) -> list[Json]:
    """A ValidatingAdmissionPolicy for the pods of a namespace, and its binding."""
    admission = "admissionregistration.k8s.io/v1"
    pods = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
    there = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}}}
    rule = {"matchConstraints": {"resourceRules": [pods]}, "validations": [{"expression": expression, "message": message}]}
    bound = {"policyName": name, "validationActions": ["Deny"], "matchResources": there}
    return [
        {"apiVersion": admission, "kind": "ValidatingAdmissionPolicy", "metadata": {"name": name}, "spec": rule},
        {"apiVersion": admission, "kind": "ValidatingAdmissionPolicyBinding", "metadata": {"name": name}, "spec": bound},
    ]
