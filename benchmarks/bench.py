"""What judging costs, without and with a cluster. `make bench` runs it and writes benchmarks/results.md.

Offline: Deployments and pods made from a recorded rollout. With a cluster in KUBECONFIG, and an image in BENCH_IMAGE (default
localhost:5000/web:v1, which answers GET /healthz on 8080): a whole run against `kubectl rollout status` of the same Deployment.
Figures of time are medians; the machine's noise is why they are no tests.
"""

from __future__ import annotations

import copy
import json
import math
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import rollout_status as engine  # noqa: E402

Json = Any
RECORDED = ROOT / "fixtures" / "deployment-success"
TOOL = [sys.executable, str(ROOT / "rollout_status.py"), "--quiet"]


def namespace(deployments: int, pods: int) -> list[Json]:
    """A namespace of finished Deployments, each with so many pods."""
    known = {each["kind"]: each for each in json.loads(last_snapshot().read_text(encoding="utf-8"))["items"]}
    objects = []
    for number in range(deployments):
        names = {"Deployment": f"web-{number}", "ReplicaSet": f"web-{number}-1"}
        for kind, name in names.items():
            each = copy.deepcopy(known[kind])
            each["metadata"] |= {"name": name, "uid": f"{kind}-{number}", "resourceVersion": "1"}
            each["spec"]["replicas"] = pods
            counters = ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas")
            each["status"] |= {counter: pods for counter in counters if counter in each["status"]}
            objects.append(each)
        objects[-1]["metadata"]["ownerReferences"][0] |= {"uid": f"Deployment-{number}", "name": names["Deployment"]}
        for index in range(pods):
            pod = copy.deepcopy(known["Pod"])
            pod["metadata"] |= {"name": f"web-{number}-1-{index}", "uid": f"Pod-{number}-{index}", "resourceVersion": "1"}
            pod["metadata"]["ownerReferences"][0] |= {"uid": f"ReplicaSet-{number}"}
            objects.append(pod)
    return objects


def last_snapshot() -> Path:
    return max(RECORDED.glob("*.json"))


def judge(objects: list[Json]) -> tuple[engine.Judge, engine.Snapshot]:
    rules = engine.Rules(ROOT / "rules")
    options = engine.parser().parse([])
    snapshot = engine.Snapshot(engine.newest_time(objects) + 60, tuple(objects), None, lambda _: [])
    return engine.Judge(rules, engine.selected(options, rules), [], 0.0, []), snapshot


def seconds(do: Callable[[], object]) -> float:
    """The CPU time of a call."""
    began = time.process_time()
    do()
    return time.process_time() - began


def wall(command: list[str], times: int = 7) -> float:
    """The median wall clock time of a command that succeeds."""

    def once() -> float:
        began = time.monotonic()
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return time.monotonic() - began

    return statistics.median(once() for _ in range(times))


def offline() -> Iterator[tuple[str, str]]:
    """What judging costs, and how it grows."""
    with tempfile.TemporaryDirectory() as folder:
        small = Path(folder) / "one.json"
        small.write_text(last_snapshot().read_text(encoding="utf-8"), encoding="utf-8")
        yield (
            "start-up: `--replay` of one snapshot, whole process",
            f"{wall([*TOOL, '--replay', str(small), '--set', 'settle=0']) * 1000:.0f} ms",
        )
    costs = {}
    for deployments, pods in ((10, 50), (200, 5), (10, 500)):
        known, snapshot = judge(namespace(deployments, pods))
        first = seconds(lambda known=known, snapshot=snapshot: known.judge(snapshot))  # type: ignore[misc]
        again = seconds(lambda known=known, snapshot=snapshot: known.judge(replace(snapshot, at=snapshot.at + 1)))  # type: ignore[misc]
        costs[deployments * pods] = first
        yield f"{deployments} Deployments, {deployments * pods} pods: first judgement, a later one", f"{first:.2f} s, {again:.2f} s of CPU"
    yield "growth from 500 to 5,000 pods", f"exponent {math.log10(costs[5000] / costs[500]):.2f}"
    yield "500 polls of a changing namespace of 500 pods", memory()


def memory() -> str:
    """The memory and the file descriptors after the first and after the last of many judgements, each of other objects."""
    objects = namespace(10, 50)
    known, snapshot = judge(objects)
    figures = []
    for number in range(500):
        pod = objects[2 + number % 50]
        changed = {**pod, "metadata": {**pod["metadata"], "resourceVersion": str(number), "uid": f"new-{number}"}}
        others = tuple(changed if each is pod else each for each in objects)
        known.judge(replace(snapshot, at=snapshot.at + number, objects=others))
        if number in (50, 499):
            figures.append((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024, len(list(Path("/proc/self/fd").iterdir()))))
    (before, files), (after, files_after) = figures
    return f"{before} MB at the 50th, {after} MB at the 500th; {files} and {files_after} file descriptors"


def with_cluster() -> Iterator[tuple[str, str]]:
    """A whole run against kubectl's, of a Deployment that has rolled out."""
    space = f"bench-{os.getpid()}"
    image = os.environ.get("BENCH_IMAGE", "localhost:5000/web:v1")
    probe = {"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 1}
    template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "main", "image": image, "readinessProbe": probe}]}}
    web = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web"},
        "spec": {"selector": {"matchLabels": {"app": "web"}}, "template": template},
    }
    kubectl = ["kubectl", "-n", space]
    subprocess.run(["kubectl", "create", "namespace", space], check=True, stdout=subprocess.DEVNULL)
    try:
        subprocess.run([*kubectl, "apply", "-f", "-"], check=True, input=json.dumps(web).encode(), stdout=subprocess.DEVNULL)
        subprocess.run([*kubectl, "rollout", "status", "deployment/web", "--timeout=120s"], check=True, stdout=subprocess.DEVNULL)
        theirs = wall([*kubectl, "rollout", "status", "deployment/web"], 15)
        ours = wall([*TOOL, "-n", space, "deployment/web"], 15)
        lists = wall([*kubectl, "get", "deployments,replicasets,pods", "-o", "json"], 15)
        yield (
            "a finished Deployment: whole run",
            f"{ours * 1000:.0f} ms ({ours / theirs:.1f} times `kubectl rollout status`, {theirs * 1000:.0f} ms)",
        )
        yield "`kubectl get deployments,replicasets,pods -o json` of it", f"{lists * 1000:.0f} ms"
    finally:
        subprocess.run(["kubectl", "delete", "namespace", space, "--wait=false"], check=True, stdout=subprocess.DEVNULL)


def main() -> None:
    rows = [*offline(), *(with_cluster() if os.environ.get("KUBECONFIG") else ())]
    machine = (
        f"{os.cpu_count()} cores, Python {platform.python_version()}, {'with' if os.environ.get('KUBECONFIG') else 'without'} a cluster"
    )
    lines = [
        f"Measured on {machine}. `make bench` writes this anew.",
        "",
        "| what | figure |",
        "|---|---|",
        *(f"| {what} | {figure} |" for what, figure in rows),
    ]
    (ROOT / "benchmarks" / "results.md").write_text("\n".join(["# Results", "", *lines, ""]), encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
