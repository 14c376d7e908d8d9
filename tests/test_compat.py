"""--compat socialgouv: the flags, the verdicts and the JSON of SocialGouv/rollout-status."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import seed
import yaml
from conftest import CASES, FIXTURES, ROOT, Program, environment

import rollout_status
from rollout_status_lib.compat import render_mode
from rollout_status_lib.declarations import Code
from rollout_status_lib.rules import Rules

SCHEMA = json.loads((ROOT / "tests" / "seed.schema.json").read_text())
MODE = "--compat=socialgouv"
OLD = "it takes a status of the spec before, or objects of an earlier revision, for the rollout's"
UNSEEN = "to it, what is not seen is well"
SCHEDULED = "to it, a pod that has a node and no containers yet is not scheduled"
NO_END = "it waits without an end; here nothing does"
GONE = "it does not remember what it has seen; here a message says what it was"
LEFT = "pods that have ended or will not go keep it waiting for ever"
MUTE = "it prints an empty message, of type program"
ANNOTATED = "an annotation of this program is in the objects"
STRATEGY = "its own schema does not have the code that it prints"
# Where its verdict is not to be taken over, and why
DIFFERENT = {
    "container/creation-times-out": SCHEDULED,
    "container/creation-times-out-for-ever": SCHEDULED,
    "container/init-waits-for-ever-statefulset": NO_END,
    "container/state-unknown": SCHEDULED,
    "container/state-unknown-error": SCHEDULED,
    "container/unseen": UNSEEN,
    "deployment/deleted-while-watched": GONE,
    "deployment/deletion-refused": NO_END,
    "deployment/never-observed": OLD,
    "deployment/no-replicaset": OLD,
    "deployment/not-observed": OLD,
    "deployment/old-pod-on-a-dead-node": LEFT,
    "deployment/recreate-old-pod-on-a-dead-node": NO_END,
    "deployment/stale-progress-condition": OLD,
    "deployment/surplus": OLD,
    "deployment/unobserved-fix-of-missing-image": OLD,
    "failed-pods/evicted-again-and-again": "a pod that has just been made anew has not shown yet that it is not evicted, too",
    "job/deadline-exceeded": MUTE,
    "job/deadline-of-fast-exit": MUTE,
    "job/gone-completed": GONE,
    "job/gone-failed": GONE,
    "job/gone-without-a-word": GONE,
    "job/on-failure-backoff": MUTE,
    "job/waits-for-its-terminating-pod": NO_END,
    "job/with-sidecar": "it blames the sidecar that the Job has stopped",
    "pod/claim-template-missing": NO_END,
    "pod/devices-not-prepared": NO_END,
    "pod/evicted-then-ready": LEFT,
    "pod/provider-failed": SCHEDULED,
    "pod/stuck-for-a-finalizer": NO_END,
    "pod/without-containers": UNSEEN,
    "replicaset/pods-not-listed": UNSEEN,
    "statefulset/deletion-refused": NO_END,
    "statefulset/on-delete": STRATEGY,
    "statefulset/on-delete-by-operator": STRATEGY,
    "statefulset/pod-on-a-dead-node": NO_END,
    "statefulset/pods-not-listed": UNSEEN,
    "statefulset/scaled-down": OLD,
    "statefulset/surplus": OLD,
    "workload/annotation-flag-wins": ANNOTATED,
    "workload/annotation-retry-limit": ANNOTATED,
    "workload/being-deleted": OLD,
}
FOREIGN = ("cronjob", "daemonset", "generic", "kubectl", "packs", "selection")  # folders of cases of what it does not know


def list_kinds(case: str) -> set[str]:
    folder = FIXTURES / case
    polls = yaml.safe_load((folder / "recording.yaml").read_text())["polls"]
    objects = [each for poll in polls if "objects" in poll for each in json.loads((folder / poll["objects"]).read_text())["items"]]
    return {each["kind"] for each in objects}


OWN = [
    case for case in CASES if case.split("/")[0] not in FOREIGN and seed.KINDS & (kinds := list_kinds(case)) and "DaemonSet" not in kinds
]


def judge(*arguments: str) -> tuple[Any, int]:
    """What it prints, as JSON, and its exit code."""
    text, exit_code = rollout_status.watch([MODE, *arguments])
    document = json.loads(text)
    jsonschema.validate(document, SCHEMA)
    assert exit_code == (not document["success"])
    return document, exit_code


def start(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, ROOT / "rollout_status.py", *arguments]
    return subprocess.run(words, env=environment(**variables), capture_output=True, text=True, check=False)


@pytest.mark.parametrize("case", OWN)
def test_the_verdict_is_that_of_the_seed(case: str, capsys: pytest.CaptureFixture[str]) -> None:
    """On each recording that is about its kinds, character for character."""
    document, _ = judge("--replay", str(FIXTURES / case))
    error = document.get("error", {"code": "", "message": ""})
    is_open = error["message"].startswith("The recording ends without a verdict")
    verdict = None if is_open else (error["code"], error["message"])
    assert (verdict != seed.judge_recording(FIXTURES / case)) == (case in DIFFERENT), DIFFERENT.get(case, verdict)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("case", [case for case in CASES if case.startswith("seed/")])
def test_its_own_cases(case: str) -> None:
    """With the arguments of its tests."""
    expected = yaml.safe_load((FIXTURES / case / "case.yaml").read_text())["expect"]["result"]
    document, _ = judge("--replay", str(FIXTURES / case), "-retry-limit=0", "-pending-deadline", "0")
    if case == "seed/not-found":
        message = 'Selector "" did not match any deployments, statefulsets or jobs in namespace ""'
        assert document["error"] == {"code": "not-found", "message": message, "type": "rollout"}
    elif case == "seed/init-run-error":
        assert document["error"]["message"].startswith("The recording ends without a verdict")
    elif expected["success"]:
        assert document == {"success": True}
    elif expected["error"]["code"] != "timeout":
        assert document["error"] == {key: expected["error"][key] for key in ("code", "message", "type")}


def test_nothing_that_matches_names_selector_and_namespace(tmp_path: Path) -> None:
    (tmp_path / "001.json").write_text('{"kind": "List", "items": []}')
    document, _ = judge("--replay", str(tmp_path / "001.json"), "-selector", "foo=bar", "-namespace", "any-ns", "-kind-filter", "job")
    assert document["error"]["message"] == 'Selector "foo=bar" did not match any deployments, statefulsets or jobs in namespace "any-ns"'


def test_it_asks_for_its_kinds_in_all_namespaces(kubectl: Program, tmp_path: Path) -> None:
    program = kubectl('echo \'{"kind": "List", "apiVersion": "v1", "items": []}\'')
    empty = [f"-{name}=" for name in ("namespace", "selector", "kubecontext", "kubeconfig", "kind-filter", "interval", "retry-limit")]
    document, _ = judge("--kubectl", program, *empty, "-pending-deadline", "", "-ignore-secret-not-found=")
    assert document["error"]["message"] == 'Selector "" did not match any deployments, statefulsets or jobs in namespace ""'
    asked = (tmp_path / "calls").read_text()
    assert "deployments.apps,statefulsets.apps,jobs.batch" in asked
    assert "daemonsets" not in asked
    assert " -A " in asked


@pytest.mark.parametrize("arguments", [["-retry-limit", "six"], ["--slector", "a=b"], ["--replay", "/nowhere"], ["-n", "a", "-A"]])
def test_what_is_wrong_with_the_arguments_is_an_error_of_type_program(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    document, exit_code = judge(*arguments)
    assert (document["error"]["code"], document["error"]["type"], exit_code) == ("", "program", 1)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("arguments", "variable", "is_on"),
    [((), "socialgouv", True), (("--compat=none",), "socialgouv", False), (("-compat", "socialgouv"), "none", True), ((), "", False)],
)
def test_the_environment_sets_it_where_the_command_line_does_not(arguments: tuple[str, ...], variable: str, is_on: bool) -> None:
    replay = ("--replay", str(FIXTURES / "seed/config-error"))
    done = start(*replay, *arguments, ROLLOUT_STATUS_COMPAT=variable, GITHUB_ACTIONS="true")
    assert (set(json.loads(done.stdout)["error"]) == {"code", "message", "type"}) == is_on
    assert (done.stderr == "") == is_on
    assert done.returncode == 1


def test_each_code_is_one_of_its_schema() -> None:
    rules = Rules(ROOT / "rules", packs=None, mode="socialgouv")
    known = SCHEMA["oneOf"][1]["properties"]["error"]["properties"]["code"]["enum"]
    assert {code.written or code.name for code in rules.codes.values() if code.type == "rollout"} <= set(known)


def test_an_unknown_mode_is_refused() -> None:
    done = start("--replay", str(FIXTURES / "seed/success"), ROLLOUT_STATUS_COMPAT="socialgov")
    assert done.returncode == 2
    assert "socialgouv" in json.loads(done.stdout)["error"]["message"]
    assert "ROLLOUT_STATUS_COMPAT" in json.loads(done.stdout)["error"]["message"]


def test_the_text_is_as_it_is_without_the_mode() -> None:
    text, exit_code = rollout_status.watch([MODE, "-o", "text", "--replay", str(FIXTURES / "seed/config-error")])
    assert text.startswith("The rollout failed: Deployment/envs in default; nothing serves\ncause: ")
    assert exit_code == 1


def test_what_stands_in_front_of_the_mode_is_the_value_of_another_flag() -> None:
    """As `find_mode` reads the command line before it is parsed."""
    assert json.loads(rollout_status.watch([MODE, "--compat", "none", "--replay", "/nowhere"])[0])["error"]["code"] == "usage"


def test_named_workloads_are_looked_for_in_their_namespace() -> None:
    document, _ = judge("--replay", str(FIXTURES / "deployment/success"), "deployment/none")
    assert document["error"]["message"].startswith('deployments.apps "none" not found')


def test_json_is_written_as_go_writes_it() -> None:
    """`<`, `>` and `&` are escaped, other letters are not, and the log stands last."""
    error = {"code": "process-crashing", "type": "rollout", "message": 'a\\b "<é&>"\b\u2028 10% ##x', "log": "x\n", "rule": "y"}
    codes = {"process-crashing": Code("process-crashing", 0, "rollout", 1)}
    text = render_mode({"success": False, "error": error, "polls": 1}, codes)
    assert text == (
        '{\n  "success": false,\n  "error": {\n    "code": "process-crashing",\n'
        '    "message": "a\\\\b \\"\\u003cé\\u0026\\u003e\\"\\u0008\\u2028 10% #\\u0023x",\n    "type": "rollout",\n    "log": "x\\n"\n  }\n}'
    )
    assert (
        json.loads(render_mode({"success": False, "error": {**error, "code": "acme/broken"}}, codes))["error"]["code"] == "not-progressing"
    )


def test_the_log_comes_with_a_crash_alone() -> None:
    document, _ = judge("--replay", str(FIXTURES / "deployment/crash-loop"), "-retry-limit", "1")
    assert document["error"]["log"]
    assert os.linesep in document["error"]["log"]
    document, _ = judge("--replay", str(FIXTURES / "container/oom-later"))
    assert document["error"]["code"] == "resource-limits-exceeded"
    assert "log" not in document["error"]
