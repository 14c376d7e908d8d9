"""Each verb of kubectl that may feed the pipe, as docs/pipelines.md lists them, and those that cannot."""

import json

import pytest
from conftest import PATIENCE, Namespace, Result, rollout_status
from manifests import IMAGES, WEB, workload

PINNED = ("-f", "-", "--on-superseded", "fail", "--timeout", f"{PATIENCE - 5:.0f}s", "--set", "settle=0s")
KINDS = {"Deployment": {}, "StatefulSet": {"serviceName": "x"}, "DaemonSet": {}}
V2 = f"main={IMAGES}/web:v2"
# {X} is the workload
VERBS = [
    ("set", "image", "{X}", V2),
    ("rollout", "undo", "{X}"),
    ("rollout", "restart", "{X}"),
    ("set", "env", "{X}", "A=B"),
    ("set", "resources", "{X}", "--requests=cpu=1m"),
    ("patch", "{X}", "-p", '{"spec": {"minReadySeconds": 1}}'),
    ("annotate", "{X}", "a=b"),
    ("label", "{X}", "a=b"),
    ("get", "{X}"),
]
SCALED = [("scale", "{X}", "--replicas=2"), ("scale", "{X}", "--replicas=1")]


def judged(namespace: Namespace, *verb: str) -> Result:
    """What comes of what a kubectl prints."""
    return rollout_status(*PINNED, stdin=namespace.kubectl(*verb, "-o", "json"))


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_verb_prints_is_awaited_and_not_superseded(namespace: Namespace, kind: str) -> None:
    manifest = workload(kind, "x", WEB, **KINDS[kind])
    printed = namespace.kubectl("create", "-f", "-", "-o", "json", stdin=json.dumps(manifest))
    assert rollout_status(*PINNED, stdin=printed).exit == 0
    for verb in [*VERBS, *(SCALED if kind != "DaemonSet" else [])]:
        result = judged(namespace, *(word.format(X=f"{kind.lower()}/x") if word == "{X}" else word for word in verb))
        assert (result.exit, result.document.get("notes", [])) == (0, []), verb
    there = namespace.get(f"{kind.lower()}/x")
    printed = namespace.kubectl("replace", "-f", "-", "-o", "json", stdin=json.dumps(there))
    assert rollout_status(*PINNED, stdin=printed).exit == 0


@pytest.mark.parametrize("verb", [("rollout", "history"), ("rollout", "status"), ("annotate", "--overwrite"), ("get",)])
def test_what_cannot_be_awaited_is_refused(namespace: Namespace, verb: tuple[str, ...]) -> None:
    namespace.apply(workload("Deployment", "x", WEB))
    assert namespace.rollout_status("deployment/x").exit == 0
    more = {"history": ("-o", "json"), "--overwrite": ("a=b",)}.get(verb[-1], ())
    result = rollout_status(*PINNED, stdin=namespace.kubectl(*verb, "deployment/x", *more))
    assert (result.exit, result.error["code"]) == (2, "usage")
    assert "-o json" in result.error["message"] or "belongs to Deployment/x" in result.error["message"]


def test_a_revision_is_pinned(namespace: Namespace) -> None:
    for kind, more in KINDS.items():
        name = f"{kind.lower()}/{kind.lower()}"
        namespace.apply(workload(kind, kind.lower(), WEB, **more))
        assert namespace.rollout_status(name, "--revision", "1").exit == 0
        namespace.apply(workload(kind, kind.lower(), WEB, revision="another", **more))
        result = namespace.rollout_status(name, "--revision", "1")
        assert (result.exit, result.error["code"]) == (1, "superseded")
        assert result.error["message"] == f'{kind} "{kind.lower()}" is at revision 2, not at 1'
        assert namespace.rollout_status(name, "--revision=2").exit == 0
