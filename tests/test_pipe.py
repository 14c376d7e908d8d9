"""What was applied is what is judged: kinds of the pipe that may not be listed, or that the cluster knows only in a moment. Cases: fixtures/."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import FIXTURES, run, snapshot

from rollout_status_lib.labels import find_nearest
from rollout_status_lib.objects import guess_plural

Program = Callable[..., str]
WEB = FIXTURES / "packs/network/piped-with-a-deployment"
GADGET = FIXTURES / "generic/piped-with-its-definition"


def applied(case: Path) -> str:
    return (case / "applied.json").read_text()


def test_what_may_not_be_listed_of_other_kinds_is_a_note(kubectl: Program) -> None:
    """The workloads are judged all the same."""
    forbidden = "echo 'Error from server (Forbidden): services is forbidden' >&2; exit 1"
    program = kubectl(f'case "$*" in *services*) {forbidden} ;; *) cat {snapshot("packs/network/piped-with-a-deployment", -2)} ;; esac')
    outcome = run("--kubectl", program, "-f", "-", stdin=applied(WEB))
    assert outcome.exit == 0
    assert {each["kind"] for each in outcome.result["workloads"]} == {"Deployment", "Ingress"}
    assert [note for note in outcome.result["notes"] if note.startswith("services in namespace") and "were skipped" in note]


def test_a_kind_whose_definition_was_just_applied_is_awaited(kubectl: Program, tmp_path: Path) -> None:
    items = json.loads(snapshot("generic/piped-with-its-definition", -2).read_text())["items"]
    for kind in ("I16Gadget", "CustomResourceDefinition"):
        (tmp_path / kind).write_text(json.dumps({"kind": "List", "items": [each for each in items if each["kind"] == kind]}))
    unknown = """echo 'error: the server doesn'"'"'t have a resource type "i16gadget"' >&2; exit 1"""
    soon = f"grep -q known $DIR/calls && cat $DIR/I16Gadget && exit; [ $(wc -l <$DIR/calls) -lt 9 ] || echo known >>$DIR/calls; {unknown}"
    program = kubectl(f'case "$*" in *i16gadget.*) {soon} ;; *) cat $DIR/CustomResourceDefinition ;; esac')
    outcome = run("--kubectl", program, "-f", "-", "--interval", "100ms", stdin=applied(GADGET))
    assert outcome.exit == 0
    assert "trying again: The cluster has no i16gadget.example.com" in outcome.stderr
    assert [each["kind"] for each in outcome.result["workloads"]] == ["CustomResourceDefinition", "I16Gadget"]


def test_a_kind_that_stays_unknown_ends_the_wait(kubectl: Program) -> None:
    program = kubectl("""echo 'error: the server doesn'"'"'t have a resource type "i16gadget"' >&2; exit 1""")
    outcome = run("--kubectl", program, "-f", "-", "--set", "kind-grace=0", "--interval", "100ms", stdin=applied(GADGET))
    assert (outcome.exit, outcome.error["code"]) == (2, "usage")


def test_kinds_narrow_what_is_judged() -> None:
    outcome = run(
        "--replay", str(snapshot("packs/network/piped-with-a-deployment", -2)), "-f", str(WEB / "applied.json"), "--kinds", "service"
    )
    assert {each["kind"] for each in outcome.result["workloads"]} == {"Service"}
    assert "skipped 2 of 4 objects, which are of other kinds: Deployment, Ingress" in outcome.result["notes"]


def test_a_run_without_manifests_reads_no_packs() -> None:
    """Its lists are those of before, and so are its rules."""
    outcome = run("--replay", str(snapshot("packs/network/piped-with-a-deployment", -2)))
    assert {each["kind"] for each in outcome.result["workloads"]} == {"Deployment"}


def labelled(**labels: str) -> dict:
    return {"kind": "Pod", "metadata": {"name": "web-1", "labels": labels}}


@pytest.mark.parametrize(
    ("selector", "labels", "nearest"),
    [
        ({"app": "wep"}, {"app": "web", "tier": "front"}, 'app=web of Pod "web-1"'),
        ({"app": "web"}, {"App": "web"}, 'App=web of Pod "web-1"'),
        ({"app": "web"}, {"name": "web"}, ""),
        ({"app": "web", "tier": "front"}, {"app": "web", "tier": "back"}, 'app=web, tier=back of Pod "web-1"'),
        ({"app": "web"}, {"app": "database"}, ""),
        ({"app": "web"}, {}, ""),
    ],
)
def test_the_nearest_labels(selector: dict, labels: dict, nearest: str) -> None:
    assert find_nearest(selector, [{"kind": "Pod", "metadata": {"name": "bare"}}, labelled(**labels)]) == nearest


def test_plurals_are_guessed_as_kubernetes_guesses_them() -> None:
    assert [guess_plural(kind) for kind in ("widget", "policy", "class")] == ["widgets", "policies", "classes"]


def test_the_note_about_what_does_not_roll_out_is_recorded(tmp_path: Path, kubectl: Program) -> None:
    text = json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "shop", "uid": "u"}})
    outcome = run("--kubectl", kubectl("exit 1"), "-f", "-", "--record", str(tmp_path / "record"), stdin=text)
    assert (outcome.exit, outcome.result["notes"]) == (0, ["skipped 1 object that does not roll out: ConfigMap"])
    again = run("--replay", str(tmp_path / "record"))
    assert (again.exit, again.result["notes"]) == (0, outcome.result["notes"])


def test_manifests_that_hold_nothing_of_the_kinds_that_were_asked_for(kubectl: Program) -> None:
    text = json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "shop", "uid": "u"}})
    outcome = run("--kubectl", kubectl("exit 1"), "-f", "-", "--kinds", "deployment", stdin=text)
    assert (outcome.exit, outcome.error["code"]) == (1, "not-found")
    assert outcome.error["message"] == "There is no workload to judge in the manifests"


def widget(kind: str, namespace: str, ready: str) -> dict:
    condition = {"type": "Ready", "status": ready, "lastTransitionTime": "2026-11-23T06:45:38Z"}
    meta = {"name": "w", "namespace": namespace, "uid": namespace, "generation": 1, "resourceVersion": "5"}
    status = {"observedGeneration": 1, "conditions": [condition]}
    return {"apiVersion": "example.com/v1", "kind": kind, "metadata": meta, "status": status}


@pytest.mark.parametrize("kind", ["Widget", "Deployment"])  # of a group that no file declares
@pytest.mark.parametrize(("ready", "exit_code"), [("False", 3), ("True", 0)])
def test_what_one_namespace_forbids_is_judged_in_the_other(kubectl: Program, tmp_path: Path, kind: str, ready: str, exit_code: int) -> None:
    (tmp_path / "b.json").write_text(json.dumps({"kind": "List", "items": [widget(kind, "b", ready)]}))
    forbidden = "echo 'Error from server (Forbidden): it is forbidden' >&2; exit 1"
    program = kubectl(f'case "$*" in *"-n a "*) {forbidden} ;; *) cat $DIR/b.json ;; esac')
    text = json.dumps({"kind": "List", "items": [widget(kind, "a", "True"), widget(kind, "b", ready)]})
    record = str(tmp_path / "record")
    outcome = run("--kubectl", program, "-f", "-", "--timeout", "3s", "--interval", "100ms", "--record", record, stdin=text)
    assert outcome.exit == exit_code
    assert [each["namespace"] for each in outcome.result["workloads"]] == ["b"]
    again = run("--replay", record, "--timeout", "3s")
    assert (again.exit, again.result["workloads"]) == (outcome.exit, outcome.result["workloads"])


def test_a_rule_file_is_read_where_nothing_rolls_out(kubectl: Program, tmp_path: Path) -> None:
    rule = "{id: acme/broken, subject: deployment, when: a..b, message: x}"
    (tmp_path / "team.yaml").write_text(f"version: 1\nrules:\n- {rule}\n")
    text = json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "shop", "uid": "u"}})
    outcome = run("--kubectl", kubectl("exit 1"), "-f", "-", "--rules", str(tmp_path / "team.yaml"), stdin=text)
    assert (outcome.exit, outcome.error["code"]) == (2, "invalid-rules")
