"""A namespace that others share: what is judged is read and watched, and not the namespace."""

from pathlib import Path

import pytest
from conftest import Namespace, ended, eventually, kubectl, started
from manifests import WEB, deployment, job, script, workload

LATE = WEB | {"readinessProbe": {"exec": {"command": ["true"]}, "initialDelaySeconds": 600}}  # until then nothing about it changes


def pod_of_others(number: int) -> dict:
    """A pod that nobody schedules, with the labels of ours."""
    spec = {"schedulerName": "nobody", "containers": [{"name": "main", "image": "none"}]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": f"other-{number}", "labels": {"of": "others"}}, "spec": spec}


@pytest.fixture
def traced(tmp_path: Path) -> tuple[str, Path]:
    """A kubectl that writes down how it is called, and where."""
    program, calls = tmp_path / "kubectl", tmp_path / "calls"
    program.write_text(f'#!/bin/bash\necho "$*" >>{calls}\nexec kubectl "$@"\n')
    program.chmod(0o755)
    return str(program), calls


def test_what_others_change_is_no_news(namespace: Namespace, traced: tuple[str, Path]) -> None:
    namespace.apply(*map(pod_of_others, range(20)), deployment("theirs", WEB, replicas=0), deployment("web", LATE))
    eventually(lambda: namespace.kubectl("get", "pods", "-l", "app=web", "-o", "jsonpath={.items[*].status.phase}") == "Running")
    program, calls = traced
    arguments = ("-n", namespace.name, "deployment/web", "--kubectl", program, "--timeout", "25s")
    with started(*arguments) as (tool, _):
        watched = eventually(lambda: (text := calls.read_text()).count("watch=1") >= 3 and text)
        assert "deployments?fieldSelector=metadata.name%3Dweb&" in watched
        assert "pods?labelSelector=app%3Dweb&" in watched
        for number in range(40):
            namespace.kubectl("annotate", f"pod/other-{number % 20}", f"changed={number}", "--overwrite")
            namespace.kubectl("scale", "deployment/theirs", f"--replicas={number % 2}")
        result = ended(tool)
    assert result.exit == 3
    assert result.document["polls"] < 7  # of 80 changes none was heard


@pytest.mark.parametrize("kind", ["StatefulSet", "DaemonSet"])
def test_each_kind_is_found_by_what_it_selects(namespace: Namespace, kind: str, traced: tuple[str, Path]) -> None:
    more = {"serviceName": "web"} if kind == "StatefulSet" else {}
    namespace.apply(*map(pod_of_others, range(3)), workload(kind, "web", WEB, **more), job("migrate", script("exit 0")))
    program, calls = traced
    result = namespace.rollout_status(f"{kind.lower()}/web", "job/migrate", "--kubectl", program)
    assert (result.exit, result.statuses) == (0, {"web": "ready", "migrate": "ready"})
    lists = [call for call in calls.read_text().splitlines() if "pods" in call and "watch=1" not in call]
    assert lists
    assert all(" -l " in call or "labelSelector=" in call for call in lists)


def test_a_pod_that_was_taken_out_is_no_part_of_it_any_more(namespace: Namespace) -> None:
    """Its label was changed, to look into it; the ReplicaSet makes another."""
    namespace.apply(deployment("web", WEB))
    assert namespace.rollout_status("deployment/web").exit == 0
    (name,) = [each["metadata"]["name"] for each in namespace.get("pods")["items"]]
    namespace.kubectl("label", f"pod/{name}", "app=aside", "--overwrite")
    eventually(lambda: len(namespace.get("pods")["items"]) == 2)
    assert namespace.rollout_status("deployment/web").exit == 0
    kubectl("-n", namespace.name, "delete", "pod", name, "--wait=false")
