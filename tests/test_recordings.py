"""Recordings that are none, and objects that nobody's API server made."""

import json
from pathlib import Path

import pytest
from conftest import FIXTURES, run, snapshot

CRASH = FIXTURES / "deployment/crash-loop"


@pytest.mark.parametrize(
    ("recording", "words"),
    [
        (None, ["recording.yaml:1", "cannot be read"]),
        ("", ["recording.yaml:1", "polls is missing"]),
        ("polls: []", ["there must be polls"]),
        ("polls: 3", ["must be a list"]),
        ("pols: []", ["unknown key pols", "did you mean polls"]),
        ("polls:\n- {objects: 001.json}", ["recording.yaml:2", "at is missing"]),
        ("polls:\n- {at: noon, objects: 001.json}", ["recording.yaml:2", "invalid time 'noon'"]),
        ("polls:\n- {at: 2026-11-23T06:00:00Z}", ["recording.yaml:2", "objects and error"]),
        ("polls:\n- {at: 2026-11-23T06:00:00Z, objects: 404.json}", ["404.json"]),
        ("polls:\n- {at: 2026-11-23T06:00:00Z, error: {exit: 1}}", ["stderr is missing"]),
        ("polls:\n- {at: 2026-11-23T06:00:00Z, error: {exit: 1, stderr: 5}}", ["recording.yaml:2", "stderr a text"]),
        ("polls:\n- {at: 2026-11-23T06:00:00Z, error: {exit: x, stderr: y}}", ["recording.yaml:2", "exit must be a number"]),
        ("polls:\n- {at: 2026-11-23T06:00:00Z, objects: [x]}", ["recording.yaml:2"]),
        ("polls:\n- {at: 2026-11-23T06:00:00Z, objects: 001.json}\nuntil: 2999-01-01T00:00:00Z", ["recording.yaml:3", "more than a day"]),
        (
            "polls:\n- {at: 2026-11-23T06:00:01Z, objects: 001.json}\n- {at: 2026-11-23T06:00:00Z, objects: 001.json}",
            ["order of their time"],
        ),
        ("polls:\n- {at: 2026-11-23T06:00:00Z, objects: 001.json}\nuntil: late", ["recording.yaml:3", "'late'"]),
        ("polls:\n- {at: 2026-11-23T06:00:00Z, objects: 001.json}\nlogs: [a]", ["recording.yaml:3", "must be a mapping"]),
    ],
)
def test_slip_in_a_recording(tmp_path: Path, recording: str | None, words: list[str]) -> None:
    (tmp_path / "001.json").write_text(snapshot("deployment/success").read_text())
    if recording is not None:
        (tmp_path / "recording.yaml").write_text(recording)
    outcome = run("--replay", str(tmp_path))
    assert (outcome.exit, outcome.error["code"]) == (2, "usage")
    for word in words:
        assert word in outcome.error["message"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        '{"items": [1]}',
        '{"items": [{"kind": "Pod"}]}',
        '{"kind": "Pod", "metadata": {}}',
        "[]",
        "3",
        '{"kind": "List"}',
        "[" * 100_000,
    ],
)
def test_file_that_kubectl_did_not_print(tmp_path: Path, text: str) -> None:
    file = tmp_path / "objects.json"
    file.write_text(text)
    outcome = run("--replay", str(file))
    assert (outcome.exit, outcome.error["code"]) == (2, "usage")
    assert "objects.json" in outcome.error["message"]
    assert "kubectl get" in outcome.error["hint"]


def test_file_that_is_not_there() -> None:
    assert "nowhere.json" in run("--replay", "nowhere.json").error["message"]


def test_file_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "objects.json").write_bytes(b"\xff\xfe")
    assert "objects.json" in run("--replay", str(tmp_path / "objects.json")).error["message"]


def test_until_before_the_last_poll_is_that_poll(tmp_path: Path) -> None:
    (tmp_path / "001.json").write_text(snapshot("deployment/success").read_text())
    (tmp_path / "recording.yaml").write_text("polls:\n- {at: 2026-11-23T12:00:00Z, objects: 001.json}\nuntil: 2026-11-23T11:00:00Z\n")
    assert run("--replay", str(tmp_path)).exit == 0


def edited(tmp_path: Path, case: str, edit) -> str:
    content = json.loads(snapshot(case).read_text())
    edit(content["items"])
    (tmp_path / "edited.json").write_text(json.dumps(content))
    return str(tmp_path / "edited.json")


def only(items: list[dict], kind: str) -> dict:
    return next(item for item in items if item["kind"] == kind)


@pytest.mark.parametrize(
    "edit",
    [
        lambda items: only(items, "Pod")["metadata"].update(
            ownerReferences=[{"controller": True, "uid": only(items, "Pod")["metadata"]["uid"]}]
        ),
        lambda items: only(items, "Pod")["metadata"].update(ownerReferences="none"),
        lambda items: only(items, "Pod")["spec"].update(containers="none"),
        lambda items: only(items, "Pod")["status"].update(containerStatuses=[1, None]),
        lambda items: only(items, "Deployment").update(status="none"),
        lambda items: only(items, "Deployment")["status"].update(conditions="none", observedGeneration=None),
        lambda items: only(items, "ReplicaSet")["spec"].update(template={}),
        lambda items: only(items, "ReplicaSet").update(apiVersion="example.com/v1"),
        lambda items: only(items, "Deployment")["spec"]["template"]["spec"].update(hostNetwork=True),
    ],
)
def test_odd_objects_are_no_success(tmp_path: Path, edit) -> None:
    outcome = run("--replay", edited(tmp_path, "deployment/success", edit), "--quiet")
    assert outcome.exit in (2, 3)
    assert outcome.error["code"] in ("invalid-rules", "timeout")


def test_objects_that_own_each_other(tmp_path: Path) -> None:
    def edit(items: list[dict]) -> None:
        deployment, replicaset = only(items, "Deployment"), only(items, "ReplicaSet")
        twin = {
            **replicaset,
            "metadata": {**replicaset["metadata"], "uid": "twin", "creationTimestamp": "2030-01-01T00:00:00Z"},
            "spec": {},
        }
        items.append(twin)
        for owner, owned in ((twin, deployment), (twin, twin)):
            owned["metadata"]["ownerReferences"] = [
                *(owned["metadata"].get("ownerReferences") or [])[:0],
                {"apiVersion": "example.com/v1", "kind": "Loop", "controller": True, "uid": owner["metadata"]["uid"]},
            ]
        twin["metadata"]["ownerReferences"] = [{"controller": True, "uid": deployment["metadata"]["uid"]}]

    assert run("--replay", edited(tmp_path, "deployment/success", edit), "--quiet").exit in (0, 3)


def test_templates_are_not_needed_where_there_are_none(tmp_path: Path) -> None:
    """Objects without templates: the revision annotation tells the current ReplicaSet."""

    def edit(items: list[dict]) -> None:
        for item in items:
            if item["kind"] in ("Deployment", "ReplicaSet"):
                del item["spec"]["template"]

    assert run("--replay", edited(tmp_path, "deployment/success", edit), "--quiet").exit == 0


def test_log_that_is_not_there_hides_nothing(tmp_path: Path) -> None:
    file = snapshot("deployment/crash-loop")
    outcome = run("--replay", str(file), "--retry-limit", "1", "--quiet")
    assert outcome.error["code"] == "process-crashing"
    assert "log" not in outcome.error
    assert "could not be read" in outcome.result["notes"][0]


def test_the_end_of_a_long_log(tmp_path: Path) -> None:
    for path in CRASH.iterdir():
        (tmp_path / path.name).write_text(path.read_text())
    text = (tmp_path / "recording.yaml").read_text()
    log = "".join(f"line {number}\n" for number in range(50)) + "x" * 200_000
    (tmp_path / "recording.yaml").write_text(text.replace('"FATAL: cannot connect to database db:5432\\n"', json.dumps(log)).partition("logs:")[0]
        + "logs:\n" + "".join(f"  {name}: {json.dumps(log)}\n" for name in log_names(text)))  # fmt: skip
    outcome = run("--replay", str(tmp_path), "--retry-limit", "1", "--quiet")
    assert len(outcome.error["log"]) == 100_000
    assert "line" not in outcome.error["log"]


def log_names(recording: str) -> list[str]:
    import yaml

    return list(yaml.safe_load(recording)["logs"])


def test_what_cannot_be_told_is_no_bug(tmp_path: Path) -> None:
    """The message of what is awaited besides is only needed at the end, when the recording has ended without a verdict."""
    objects = json.loads(snapshot("deployment/crash-loop").read_text())
    pod = next(each for each in objects["items"] if each["kind"] == "Pod")
    next(each for each in pod["status"]["conditions"] if each["type"] == "Ready")["message"] = ["x"]
    (tmp_path / "001.json").write_text(json.dumps(objects))
    outcome = run("--replay", str(tmp_path / "001.json"))
    assert (outcome.exit, outcome.error["code"]) == (2, "invalid-rules")
    assert "pod-not-ready" in outcome.error["message"]
