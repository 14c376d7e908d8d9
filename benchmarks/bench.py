"""What judging costs, without and with a cluster. `make bench` runs it and writes benchmarks/results.md.

Offline: Deployments and pods made from a recorded rollout. With a cluster in KUBECONFIG, and an image in BENCH_IMAGE (default
localhost:5000/web:v1, which answers GET /healthz on 8080): whole runs against `kubectl rollout status` of the same Deployment. With a
cluster that has simulated nodes (kwok): whole runs for very many pods, instead. Figures of time are medians; the machine's noise is why
they are no tests.
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
import threading
import time
from collections.abc import Collection, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import shared  # noqa: E402

import rollout_status as engine  # noqa: E402
from rollout_status_lib.arguments import build_parser  # noqa: E402
from rollout_status_lib.memory import Memory  # noqa: E402
from rollout_status_lib.objects import find_newest_time  # noqa: E402
from rollout_status_lib.rules import Rules  # noqa: E402
from rollout_status_lib.selection import make_selection  # noqa: E402
from rollout_status_lib.source import Answer, Lists, Snapshot  # noqa: E402

Json = Any
RECORDED = ROOT / "fixtures" / "deployment" / "success"
# As it is installed: Python has compiled it
TOOL = [sys.executable, "-c", "import sys, rollout_status; sys.exit(rollout_status.main(sys.argv[1:]))", "--quiet"]


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


def judge(objects: list[Json]) -> tuple[engine.Judge, Snapshot]:
    rules = Rules(ROOT / "rules")
    options = build_parser().parse([])
    snapshot = Snapshot(find_newest_time(objects) + 60, tuple(objects), None, lambda _: [])
    return engine.Judge(rules, make_selection(options, rules), [], 0.0, []), snapshot


def changed(objects: tuple[Json, ...]) -> tuple[Json, ...]:
    """The same objects, one of a hundred with another status."""
    return tuple(
        each
        if number % 100
        else {**each, "metadata": {**each["metadata"], "resourceVersion": "2"}, "status": {**each["status"], "new": number}}
        for number, each in enumerate(objects)
    )


def judge_in(known: engine.Judge, memory: Memory, snapshot: Snapshot) -> tuple[float, Memory]:
    """The CPU time of a judgement, and what it remembers."""
    began = time.process_time()
    _, memory = known.judge(memory, snapshot)
    return time.process_time() - began, memory


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
        first, memory = judge_in(known, Memory(), snapshot)
        again, _ = judge_in(known, memory, replace(snapshot, at=snapshot.at + 1, objects=changed(snapshot.objects)))
        costs[deployments * pods] = first
        yield (
            f"{deployments} Deployments, {deployments * pods} pods: first judgement, a later one with 1 % changed",
            f"{first:.2f} s, {again:.2f} s of CPU",
        )
    yield "growth from 500 to 5,000 pods", f"exponent {math.log10(costs[5000] / costs[500]):.2f}"
    yield "5,000 pods of which 500 wait, each for a claim of its own: a judgement", waits_for_claims()
    yield "500 polls of a changing namespace of 500 pods", memory_use()
    yield from load()


CRASHED = {"terminated": {"exitCode": 1, "reason": "Error", "startedAt": "2026-01-01T00:00:00Z", "finishedAt": "2026-01-01T00:00:01Z"}}
CRASHES = {"ready": False, "restartCount": 9, "state": {"waiting": {"reason": "CrashLoopBackOff"}}, "lastState": CRASHED}


def fail(objects: list[Json]) -> list[Json]:
    """The same objects, the containers of all pods in a crash loop."""
    for each in objects:
        for status in each["status"].get("containerStatuses", ()):
            status.update(CRASHES)
    return objects


def load() -> Iterator[tuple[str, str]]:
    """Whole runs, offline, of very many objects: time, memory, and how the time grows from a tenth of them."""
    yield "20,000 pods of 40 finished Deployments", weigh(namespace(4, 500), namespace(40, 500))
    yield "2,000 finished Deployments, 2,000 pods", weigh(namespace(200, 1), namespace(2_000, 1))
    yield "2,000 Deployments that failed", weigh(fail(namespace(200, 1)), fail(namespace(2_000, 1)))


def weigh(few: list[Json], many: list[Json]) -> str:
    (tenth, _), (seconds, memory) = replay(few), replay(many)
    return f"{seconds:.1f} s of CPU, {memory} MB; exponent {math.log10(seconds / tenth):.2f}"


def replay(objects: list[Json]) -> tuple[float, int]:
    """The CPU time of a process that judges these objects, and the most memory that it took, in MB."""
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump({"kind": "List", "items": objects}, file)
        file.flush()
        _, cpu, memory = shared.weigh([*TOOL, "--replay", file.name, "--set", "settle=0", "--retry-limit=1"])
    return cpu, memory


def waits_for_claims() -> str:
    """The CPU time of a judgement in which one pod of ten waits for a claim, and how often something was read for it."""
    objects, claims, asked = namespace(10, 500), [], []
    known, snapshot = judge(objects)
    for number, pod in enumerate([each for each in objects if each["kind"] == "Pod"][::10]):
        unbound = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "pod has unbound immediate claims"}
        pod["spec"] |= {"nodeName": None, "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": f"data-{number}"}}]}
        pod["status"] = {"phase": "Pending", "conditions": [unbound]}
        metadata = {"name": f"data-{number}", "namespace": pod["metadata"]["namespace"], "uid": f"Claim-{number}"}
        claims.append({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": {"storageClassName": "nope"}})
        claims[-1]["status"] = {"phase": "Pending"}

    def read(kind: Json, _namespace: str, names: Collection[str]) -> Answer:
        asked.append((kind.resource, *names))
        return Answer(() if kind.cluster else claims, whole=True)

    cpu, _ = judge_in(known, Memory(), replace(snapshot, used=Lists(read)))
    return f"{cpu:.2f} s of CPU, {len(asked)} lists more"


def memory_use() -> str:
    """The memory, the file descriptors and the time after the first and after the last of many judgements, each of other objects."""
    objects = namespace(10, 50)
    known, snapshot = judge(objects)
    figures, memory, spent = [], Memory(), [time.process_time()]
    for number in range(500):
        pod = objects[2 + number % 50]
        changed = {**pod, "metadata": {**pod["metadata"], "resourceVersion": str(number), "uid": f"new-{number}"}}
        others = tuple(changed if each is pod else each for each in objects)
        _, memory = known.judge(memory, replace(snapshot, at=snapshot.at + number, objects=others))
        spent.append(time.process_time())
        if number in (50, 499):
            figures.append((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024, len(list(Path("/proc/self/fd").iterdir()))))
    (before, files), (after, files_after) = figures
    (early, late) = (spent[100] - spent[50], spent[500] - spent[450])
    return (
        f"{before} MB at the 50th, {after} MB at the 500th; {files} and {files_after} file descriptors; "
        f"50 of them {early:.2f} s of CPU after the 50th, {late:.2f} s at the end"
    )


SPACE = f"bench-{os.getpid()}"
KUBECTL = ["kubectl", "-n", SPACE]
IMAGE = os.environ.get("BENCH_IMAGE", "localhost:5000/web:v1")
PROBE = {"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 1}


def deployment(name: str, replicas: int = 1, *, image: str = IMAGE, simulated: bool = False) -> Json:
    """A Deployment of a probed container, on simulated nodes or on real ones."""
    container = {"name": "main", "image": image, **({} if simulated else {"readinessProbe": PROBE})}
    nodes = {"nodeSelector": {"type": "kwok"}, "tolerations": [{"operator": "Exists"}]} if simulated else {}
    spec = {"containers": [container], "terminationGracePeriodSeconds": 1, **nodes}
    template = {"metadata": {"labels": {"app": name}}, "spec": spec}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": template},
    }


def apply(*objects: Json, space: str = SPACE) -> None:
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
    subprocess.run(["kubectl", "-n", space, "apply", "-f", "-"], check=True, input=text.encode(), stdout=subprocess.DEVNULL)


def ended(command: list[str]) -> tuple[threading.Thread, list[float]]:
    """A command that is running, and where the moment of its end will be."""
    moments: list[float] = []

    def run() -> None:
        subprocess.run(command, check=False, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        moments.append(time.monotonic())

    thread = threading.Thread(target=run)
    thread.start()
    return thread, moments


def spread(figures: list[float]) -> str:
    return f"median {statistics.median(figures):.2f} s, worst {max(figures):.2f} s ({len(figures)} times)"


def success_latency(times: int = 20) -> str:
    """Our exit minus that of `kubectl rollout status`, begun together after an update."""
    figures = []
    for number in range(times):
        web = deployment("web")
        web["spec"]["template"]["metadata"]["annotations"] = {"update": str(number)}
        apply(web)
        ours = ended([*TOOL, "-n", SPACE, "deployment/web", "--set", "wait_old_pods=false", "--timeout", "2m"])
        theirs = ended([*KUBECTL, "rollout", "status", "deployment/web", "--timeout=2m"])
        for thread, _ in (ours, theirs):
            thread.join()
        figures.append(ours[1][0] - theirs[1][0])
    return spread(figures)


def failure_latency(times: int = 10) -> str:
    """Our exit minus the moment at which `kubectl get pods -w` shows that an image does not exist."""
    figures = []
    for number in range(times):
        name = f"none-{number}"
        shown = subprocess.Popen(
            [*KUBECTL, "get", "pods", "-w", "-l", f"app={name}", "-o", "json"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
        )
        apply(deployment(name, image=f"{IMAGE.partition('/')[0]}/none:v{number}"))
        ours = ended([*TOOL, "-n", SPACE, f"deployment/{name}", "--timeout", "2m"])
        assert shown.stdout
        next(line for line in shown.stdout if "ErrImagePull" in line)
        seen = time.monotonic()
        ours[0].join()
        shown.kill()
        shown.wait()
        figures.append(ours[1][0] - seen)
        subprocess.run([*KUBECTL, "delete", "deployment", name], check=True, stdout=subprocess.DEVNULL)
    return spread(figures)


def idle_cost(seconds_: int = 130) -> str:
    """The lists of a run in which nothing changes, from its 10th second on, a minute for each kind that is there."""
    apply(deployment("waits"))
    subprocess.run([*KUBECTL, "scale", "deployment/waits", "--replicas=0"], check=True, stdout=subprocess.DEVNULL)
    with tempfile.TemporaryDirectory() as folder:
        wrapper, calls = Path(folder) / "kubectl", Path(folder) / "calls"
        wrapper.write_text(f'#!/bin/bash\necho "$(date +%s) $*" >>{calls}\nexec kubectl "$@"\n', encoding="utf-8")
        wrapper.chmod(0o755)
        began = time.time()
        never = ["--expect", "self.spec.replicas == `7`", "--timeout", str(seconds_)]
        subprocess.run([*TOOL, "-n", SPACE, "deployment/waits", "--kubectl", str(wrapper), *never], check=False, stdout=subprocess.DEVNULL)
        lists = [line for line in calls.read_text(encoding="utf-8").splitlines() if " get " in line and "watch=1" not in line]
    late = [line for line in lists if int(line.split()[0]) - began > 10 and int(line.split()[0]) - began < seconds_ - 2]
    return f"{sum('pods' in line for line in late) / ((seconds_ - 12) / 60):.1f} lists a minute for each kind"


def crowd(deployments: int, pods: int) -> Iterator[tuple[str, str]]:
    """A whole run for Deployments of many pods on simulated nodes, against kubectl's lists."""
    space = f"{SPACE}-{deployments}"
    subprocess.run(["kubectl", "create", "namespace", space], check=True, stdout=subprocess.DEVNULL)
    try:
        apply(*(deployment(f"crowd-{number}", pods, simulated=True) for number in range(deployments)), space=space)
        subprocess.run([*TOOL, "-n", space, "--timeout", "10m"], check=True, stdout=subprocess.DEVNULL)
        lists = wall(["kubectl", "-n", space, "get", "deployments,replicasets,pods", "-o", "json"], 3)
        ours = wall([*TOOL, "-n", space], 5)
    finally:
        subprocess.run(["kubectl", "delete", "namespace", space, "--wait=false"], check=True, stdout=subprocess.DEVNULL)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024
    what = f"{deployments} finished Deployments, {deployments * pods} pods"
    yield f"{what}: whole run", f"{ours:.2f} s ({ours / lists:.1f} times `kubectl get deployments,replicasets,pods -o json`, {lists:.2f} s)"
    yield f"{what}: the most memory that any process took, kubectl among them", f"{peak} MB"


def ten_of_many() -> tuple[str, str]:
    """Ten finished Deployments of 200, told by -f."""
    mine = [deployment(f"mine-{number}") for number in range(10)]
    apply(*mine, *(deployment(f"their-{number}", 0) for number in range(190)))
    subprocess.run([*TOOL, "-n", SPACE, "--timeout", "10m"], check=True, stdout=subprocess.DEVNULL)
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump({"apiVersion": "v1", "kind": "List", "items": mine}, file)
        file.flush()
        ours = [*TOOL, "-n", SPACE, "-f", file.name]
        calls, read = shared.count_reads(ours)
        return (
            "ten finished Deployments of 200, by -f: whole run",
            f"{wall(ours) * 1000:.0f} ms; kubectl {calls} times, {read / 1000:,.0f} kB",
        )


def has_simulated_nodes() -> bool:
    return bool(subprocess.run(["kubectl", "get", "nodes", "-l", "type=kwok", "-o", "name"], check=True, capture_output=True).stdout)


def with_cluster() -> Iterator[tuple[str, str]]:
    """A whole run against kubectl's, of a Deployment that has rolled out; then updates, failures, a run in which nothing changes."""
    subprocess.run(["kubectl", "create", "namespace", SPACE], check=True, stdout=subprocess.DEVNULL)
    try:
        apply(deployment("web"))
        subprocess.run([*KUBECTL, "rollout", "status", "deployment/web", "--timeout=120s"], check=True, stdout=subprocess.DEVNULL)
        theirs = wall([*KUBECTL, "rollout", "status", "deployment/web"], 15)
        ours = wall([*TOOL, "-n", SPACE, "deployment/web"], 15)
        lists = wall([*KUBECTL, "get", "deployments,replicasets,pods", "-o", "json"], 15)
        yield (
            "a finished Deployment: whole run",
            f"{ours * 1000:.0f} ms ({ours / theirs:.1f} times `kubectl rollout status`, {theirs * 1000:.0f} ms)",
        )
        yield "`kubectl get deployments,replicasets,pods -o json` of it", f"{lists * 1000:.0f} ms"
        yield "a run in which nothing changes", idle_cost()
        yield "verdict of a success: our exit minus that of `kubectl rollout status`", success_latency()
        yield "verdict of a failure: our exit minus the moment at which `kubectl get -w` shows it", failure_latency()
        yield ten_of_many()
        yield from shared.measure(TOOL, SPACE)
    finally:
        subprocess.run(["kubectl", "delete", "namespace", SPACE, "--wait=false"], check=True, stdout=subprocess.DEVNULL)


def main() -> None:
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ["PYTHONPATH"] = str(ROOT)
    cluster = bool(os.environ.get("KUBECONFIG"))
    simulated = cluster and has_simulated_nodes()
    rows = [*crowd(200, 5), *crowd(10, 500)] if simulated else [*offline(), *(with_cluster() if cluster else ())]
    machine = f"{os.cpu_count()} cores, Python {platform.python_version()}, {'with' if cluster else 'without'} a cluster"
    lines = [
        f"Measured on {machine}. `make bench` writes this anew.",
        "",
        "| what | figure |",
        "|---|---|",
        *(f"| {what} | {figure} |" for what, figure in rows),
    ]
    (ROOT / "benchmarks" / f"results{'-simulated' if simulated else ''}.md").write_text(
        "\n".join(["# Results", "", *lines, ""]), encoding="utf-8"
    )
    print("\n".join(lines))


if __name__ == "__main__":
    main()
