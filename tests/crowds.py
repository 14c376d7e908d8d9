"""Recordings of many pods, made from a small one: so that none has to lie in the repository."""

import copy
import json
import random
from datetime import datetime, timedelta, timezone
from pathlib import Path

START = datetime(2026, 11, 23, 12, 0, 0, tzinfo=timezone.utc)


def at(seconds: float) -> str:
    return (START + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def pod(name: str, uid: str, owner: dict, born: float, now: float, *, crashes: bool = False, slow: float = 8.0, old: bool = False) -> dict:
    """A pod that is created, scheduled, started and ready, or crashes again and again."""
    started, ready = born + slow / 2, born + slow
    status: dict = {"name": "main", "image": "app:v2", "ready": False, "restartCount": 0}
    ends = [started + 2 + n * n * 6 for n in range(1, 6)]
    ended = [end for end in ends if end <= now] if crashes else []
    if now < started:
        status["state"] = {"waiting": {"reason": "ContainerCreating"}}
    elif ended:
        last = {"exitCode": 1, "reason": "Error", "startedAt": at(ended[-1] - 2), "finishedAt": at(ended[-1])}
        status |= {"restartCount": len(ended) - 1, "lastState": {"terminated": last}}
        status["state"] = {
            "waiting": {"reason": "CrashLoopBackOff", "message": f"back-off {10 * 2 ** len(ended)}s restarting failed container"}
        }
    else:
        status |= {"state": {"running": {"startedAt": at(started)}}, "ready": now >= ready and not crashes}
    is_ready = status["ready"]
    condition = {"type": "Ready", "status": str(is_ready), "lastTransitionTime": at(ready if is_ready else born)}
    condition |= {} if is_ready else {"reason": "ContainersNotReady", "message": "containers with unready status: [main]"}
    ready_conditions = [condition, {**condition, "type": "ContainersReady"}]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name, "namespace": owner["metadata"]["namespace"], "uid": uid, "creationTimestamp": at(born), "resourceVersion": f"{now}",
            "labels": {"pod-template-hash": owner["metadata"]["labels"]["pod-template-hash"]},
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": owner["metadata"]["name"], "uid": owner["metadata"]["uid"], "controller": True}],
        },
        "spec": {"nodeName": "node-1", "containers": [{"name": "main", "image": "app:v2", "readinessProbe": {}}]},
        "status": {
            "phase": "Running" if now >= started else "Pending",
            "conditions": [{"type": "PodScheduled", "status": "True", "lastTransitionTime": at(born + 1)}, *ready_conditions],
            "containerStatuses": [status],
        },
    }  # fmt: skip


def workload(name: str, template: list[dict], replicas: int) -> tuple[dict, dict, dict]:
    """A Deployment with a current and an old ReplicaSet, as those of a recording."""
    deployment, old = (copy.deepcopy(next(each for each in template if each["kind"] == kind)) for kind in ("Deployment", "ReplicaSet"))
    for each, uid in ((deployment, f"d-{name}"), (old, f"o-{name}")):
        each["metadata"] |= {"namespace": "shop", "uid": uid, "creationTimestamp": at(-3600)}
    deployment["metadata"] |= {"name": name}
    deployment["spec"]["replicas"] = replicas
    current = copy.deepcopy(old)
    for replicaset, tag in ((current, "6d4cf56db6"), (old, "5b8f9c7d44")):
        labels = {**replicaset["metadata"].get("labels", {}), "pod-template-hash": tag}
        replicaset["metadata"] |= {"name": f"{name}-{tag}", "labels": labels}
        replicaset["metadata"]["ownerReferences"][0] |= {"name": name, "uid": f"d-{name}"}
    current["metadata"] |= {"uid": f"r-{name}", "creationTimestamp": at(0)}
    old["spec"]["template"]["spec"]["containers"][0]["image"] = "app:v1"
    return deployment, current, old


def record(
    folder: Path, sizes: dict[str, tuple[int, int]], fixtures: Path, *, until: float = 60.0, step: float = 6.0, olds: int = 0
) -> None:
    """A recording of Deployments by their names: how many pods each has, and how many of them crash."""
    template = json.loads(max((fixtures / "deployment/success").glob("*.json")).read_text())["items"]
    dice = random.Random(1)
    lives = {name: [(index / size * min(30, size), dice.uniform(4, 16)) for index in range(size)] for name, (size, _) in sizes.items()}
    folder.mkdir(parents=True)
    polls = []
    moments = [index * step for index in range(int(until / step) + 1)]
    for number, now in enumerate(moments, 1):
        items = []
        for name, (size, failing) in sizes.items():
            deployment, current, old = workload(name, template, size)
            pods = [
                pod(
                    f"{current['metadata']['name']}-{index:05}", f"p-{name}-{index}", current, born, now, crashes=index < failing, slow=slow
                )
                for index, (born, slow) in enumerate(lives[name])
                if born <= now
            ]
            ready = sum(each["status"]["containerStatuses"][0]["ready"] for each in pods)
            before = [
                pod(f"{old['metadata']['name']}-{index:05}", f"q-{name}-{index}", old, -3000, now)
                for index in range(olds)
                if index >= olds * now / 50
            ]
            deployment["status"] |= {
                "replicas": len(pods) + len(before),
                "updatedReplicas": len(pods),
                "readyReplicas": ready + len(before),
            }
            deployment["status"] |= {"availableReplicas": ready, "unavailableReplicas": size - ready}
            current["status"] |= {"replicas": len(pods), "readyReplicas": ready, "availableReplicas": ready}
            current["spec"]["replicas"] = size
            old["status"] |= {"replicas": len(before), "readyReplicas": len(before), "availableReplicas": len(before)}
            items += [deployment, current, old, *pods, *before]
        (folder / f"{number:03}.json").write_text(json.dumps({"kind": "List", "items": items}))
        polls.append(f"- {{at: {at(now)}, objects: {number:03}.json}}\n")
    logs = "".join(f"  {name}-6d4cf56db6-{index:05}/main{end}: 'FATAL: cannot connect to database db:5432'\n" for name, (_, n) in sizes.items() for index in range(n) for end in ("", "/previous"))  # fmt: skip
    (folder / "recording.yaml").write_text(f"exact: true\npolls:\n{''.join(polls)}{'logs:' if logs else ''}\n{logs}")
