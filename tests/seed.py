"""What SocialGouv/rollout-status says of a recording: its pkg/status, from Go into Python as directly as that goes.

A verdict is None while it waits, an empty pair for success, and else its code and its message.
"""

import json
from pathlib import Path
from typing import Any

import yaml

from rollout_status_lib.values import parse_timestamp

RETRY_LIMIT, PENDING_DEADLINE = 6, 180.0
REVISION = "deployment.kubernetes.io/revision"
KINDS = {"Deployment", "StatefulSet", "Job"}
Verdict = tuple[str, str] | None
WAITING: Verdict = None
SUCCESS: Verdict = ("", "")


def judge_recording(folder: Path) -> Verdict:
    """The first verdict, or None if the recording ends before there is one."""
    recording = yaml.safe_load((folder / "recording.yaml").read_text())
    polls = [each for each in recording["polls"] if "objects" in each]
    ends = [*(each["at"] for each in polls[1:]), recording.get("until") or polls[-1]["at"]]
    for poll, end in zip(polls, ends, strict=True):
        objects = json.loads((folder / poll["objects"]).read_text())["items"]
        for moment in (poll["at"], end):
            verdict = judge_objects(objects, to_seconds(moment))
            if verdict is not None:
                return verdict
    return None


def to_seconds(moment: Any) -> float:
    return parse_timestamp(moment) if isinstance(moment, str) else float(moment.timestamp())


def judge_objects(objects: list[Any], now: float) -> Verdict:
    """TestRollout."""
    verdicts = []
    for kind, judge in (("Deployment", judge_deployment), ("StatefulSet", judge_statefulset), ("Job", judge_job)):
        for each in objects:
            if each["kind"] == kind:
                verdicts.append(judge(each, objects, now))
                if verdicts[-1] not in (WAITING, SUCCESS):
                    return verdicts[-1]
    if not verdicts:
        return ("not-found", "")
    return WAITING if WAITING in verdicts else SUCCESS


def select(objects: list[Any], kind: str, owner: Any) -> list[Any]:
    wanted = owner["spec"]["selector"].get("matchLabels", {}).items()
    same = [each for each in objects if each["kind"] == kind and each["metadata"].get("namespace") == owner["metadata"].get("namespace")]
    return [each for each in same if wanted <= each["metadata"].get("labels", {}).items()]


def judge_deployment(deployment: Any, objects: list[Any], now: float) -> Verdict:
    sets = select(objects, "ReplicaSet", deployment)
    revision, status = deployment["metadata"].get("annotations", {}).get(REVISION), deployment.get("status", {})
    waits = False
    for each in sets:
        if each["metadata"].get("annotations", {}).get(REVISION) != revision:
            waits |= bool(select(objects, "Pod", each))
            continue
        for condition in each.get("status", {}).get("conditions", ()):
            if condition["type"] == "ReplicaFailure" and condition["status"] == "True":
                name = each["metadata"]["name"]
                return ("resource-limits-exceeded", f'ReplicaSet "{name}" failed to create pods: {condition.get("message", "")}')
        verdict = judge_pods(select(objects, "Pod", each), now)
        if verdict not in (WAITING, SUCCESS):
            return verdict
        waits |= verdict is WAITING
    for condition in status.get("conditions", ()):
        if condition["type"] == "Progressing" and condition["status"] == "False":
            return ("not-progressing", f'Deployment "{deployment["metadata"]["name"]}" is not progressing: {condition.get("message", "")}')
    updated = status.get("updatedReplicas", 0)
    waits |= updated < deployment["spec"].get("replicas", 1) or status.get("replicas", 0) > updated
    waits |= status.get("availableReplicas", 0) < updated
    return WAITING if waits else SUCCESS


def judge_statefulset(workload: Any, objects: list[Any], now: float) -> Verdict:
    spec, status = workload["spec"], workload.get("status", {})
    strategy = spec.get("updateStrategy", {})
    if strategy.get("type") != "RollingUpdate":
        return ("not-supported-strategy", "rollout status is only available for RollingUpdate strategy type")
    replicas, observed = spec.get("replicas", 1), status.get("observedGeneration", 0)
    waits = observed == 0 or workload["metadata"].get("generation", 0) > observed
    waits |= status.get("readyReplicas", 0) < replicas
    if "rollingUpdate" in strategy:
        waits |= status.get("updatedReplicas", 0) < replicas - strategy["rollingUpdate"].get("partition", replicas)
    else:
        waits |= status.get("updateRevision") != status.get("currentRevision")
    verdict = judge_pods(select(objects, "Pod", workload), now)
    return WAITING if waits and verdict == SUCCESS else verdict


def judge_job(job: Any, objects: list[Any], now: float) -> Verdict:
    pods = select(objects, "Pod", job)
    for condition in job.get("status", {}).get("conditions", ()):
        if condition["status"] == "True" and condition["type"] == "Complete":
            return SUCCESS
        if condition["status"] == "True" and condition["type"] == "Failed":
            return next(filter(None, (find_error(pod) for pod in pods)), ("", ""))[:2] if any(map(find_error, pods)) else ("program", "")
    verdict = judge_pods(pods, now, in_job=True)
    return WAITING if verdict == SUCCESS else verdict


def find_error(pod: Any) -> Verdict:
    """The first error of a container, whether it is fatal or not."""
    return next((found[0] for found in map(judge_container, list_containers(pod)) if found), None)


def list_containers(pod: Any) -> list[Any]:
    status = pod.get("status", {})
    return [*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ())]


def judge_pods(pods: list[Any], now: float, *, in_job: bool = False) -> Verdict:
    verdicts = []
    for pod in pods:
        verdicts.append(judge_pod(pod, now, in_job=in_job))
        if verdicts[-1] not in (WAITING, SUCCESS):
            return verdicts[-1]
    return WAITING if WAITING in verdicts else SUCCESS


def judge_pod(pod: Any, now: float, *, in_job: bool) -> Verdict:
    found = [each for each in map(judge_container, list_containers(pod)) if each]
    for error, retried in found:
        if not retried or (retried == "restarts" and not in_job):
            return error
    if found:
        return WAITING
    if pod.get("status", {}).get("phase") == "Pending":
        for condition in pod["status"].get("conditions", ()):
            if condition["type"] == "PodScheduled":
                is_over = now - parse_timestamp(condition["lastTransitionTime"]) > PENDING_DEADLINE
                return ("scheduling", f"Failed to schedule pod: {condition.get('message', '')}") if is_over else WAITING
    return SUCCESS


def judge_container(status: Any) -> tuple[tuple[str, str], str] | None:
    """An error and how it is retried: not at all (empty), until there are too many restarts, or (`always`) for ever."""
    state = status.get("state", {})
    waiting, ended, name = state.get("waiting"), state.get("terminated"), status["name"]
    retried = "restarts" if status.get("restartCount", 0) > RETRY_LIMIT else "always"
    if waiting:
        reason, sentence = waiting.get("reason"), f'Container "{name}" is in "{waiting.get("reason")}": {waiting.get("message", "")}'
        if reason in ("ContainerCreating", "PodInitializing"):
            return ("", f'Container "{name}" is in "{reason}"'), "always"
        if reason in ("CrashLoopBackOff", "RunContainerError"):
            return ("process-crashing", sentence), retried
        if reason in ("ErrImagePull", "ImagePullBackOff", "CreateContainerConfigError"):
            return ("invalid-config", sentence), ""
    if ended and ended.get("reason") == "Error":
        return ("process-crashing", f'Container "{name}" is in "Error"'), retried
    if ended and ended.get("reason") == "OOMKilled":
        return ("resource-limits-exceeded", f'Container "{name}" is in "OOMKilled"'), ""
    return None
