"""A team's rule that has no value for what is there: it is noted, and what it could have kept from success does not succeed."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from conftest import FIXTURES, ROOT, Outcome, run

from rollout_status import run_to_end

SUCCESS, CRASH = FIXTURES / "deployment/success", FIXTURES / "deployment/crash-loop"
ORDER = "deployment.spec.nothing > `3`"  # nothing is null, and null has no order
MIXED = "deployment.metadata.name > `3`"
WRONG = "two numbers or two texts can be ordered, not "


def write(tmp_path: Path, **fields: str) -> str:
    """The path of a file with one rule of a team."""
    rule = {"id": "acme/x", "subject": "deployment", "message": "it is so"} | fields
    (tmp_path / "team.yaml").write_text(yaml.safe_dump({"version": 1, "rules": [rule]}, sort_keys=False, width=1000))
    return str(tmp_path / "team.yaml")


def judged(rules: str, *arguments: str, case: Path = SUCCESS) -> Outcome:
    return run("--replay", str(case), "--rules", rules, "--quiet", *arguments)


def go_on(tmp_path: Path) -> Path:
    """The recording of the success, which goes on until every wait has ended."""
    later = shutil.copytree(SUCCESS, tmp_path / "later")
    with (later / "recording.yaml").open("a") as recording:
        recording.write("- {at: 2026-11-23T07:05:50Z, objects: 003.json}\n")
    return later


@pytest.mark.parametrize(
    "when", [ORDER, MIXED, "keys(deployment.spec.nothing)", "age(deployment.metadata.name) != null", "sum(deployment.x)"]
)
@pytest.mark.parametrize("verdict", ["note", "ignore"])
def test_what_could_not_have_kept_it_from_success_is_a_note(tmp_path: Path, when: str, verdict: str) -> None:
    outcome = judged(write(tmp_path, when=when, verdict=verdict))
    (note,) = outcome.result["notes"]
    assert outcome.exit == 0
    assert note.startswith(f"a rule cannot be evaluated: {tmp_path}/team.yaml:6: acme/x: when: ")
    assert note.endswith(f"(in: {when})")


@pytest.mark.parametrize(
    "fields",
    [
        {"when": ORDER, "verdict": "fail", "code": "acme/x"},
        {"when": MIXED, "verdict": "fail", "code": "acme/x"},
        {"when": ORDER, "verdict": "wait"},
        {"when": ORDER, "verdict": "hold"},
        {"when": ORDER, "verdict": "wait", "endless": "true"},
        {"when": ORDER, "fail_after": "1h", "code": "acme/x"},
        {"when": "self.spec != null", "fail_when": ORDER, "code": "acme/x"},
        {"when": "self.spec != null", "given": ORDER, "verdict": "fail", "code": "acme/x"},
        {"when": "self.spec != null", "unless": ORDER, "verdict": "fail", "code": "acme/x"},
        {"when": "self.spec != null", "since": "self.metadata.name", "fail_after": "0s", "code": "acme/x"},
        {"each": "self.spec", "when": "each.a", "verdict": "fail", "code": "acme/x"},
        {"each": "self.spec.template.spec.containers", "when": "each.nothing > `1`", "verdict": "fail", "code": "acme/x"},
        {"subject": "container", "when": "container.nothing > `1`", "verdict": "fail", "code": "acme/x"},
        {"subject": "workload", "when": "self.nothing > `1`", "verdict": "fail", "code": "acme/x"},
        {"let": {"big": ORDER}, "when": "big", "verdict": "fail", "code": "acme/x"},
    ],
    ids=str,
)
def test_what_could_have_kept_it_from_success_waits_and_fails_in_the_end(tmp_path: Path, fields: dict[str, str]) -> None:
    """With a note that has the place, and with a sentence that has it too."""
    rules = write(tmp_path, **(fields | ({"endless": True} if "endless" in fields else {})))  # type: ignore[dict-item]
    outcome = judged(rules)
    assert (outcome.exit, outcome.error["code"]) == (3, "timeout")
    (note,) = outcome.result["notes"]
    assert note.startswith(f"a rule cannot be evaluated: {rules}:")
    assert f"It is not known whether acme/x holds, which cannot be evaluated: {rules}:" in outcome.error["message"]
    ended = judged(rules, case=go_on(tmp_path))
    assert (ended.exit, ended.error["code"], ended.error["rule"]) == (1, "not-progressing", "acme/x")
    assert note.partition(": ")[2] in ended.error["message"]


def test_a_rule_that_fails_beside_one_that_is_not_known(tmp_path: Path) -> None:
    """The failure counts at once; and of a list, the entries before the one that has no value."""
    each = "[`1`, deployment.spec.nothing, `9`]"
    outcome = judged(write(tmp_path, each=each, when="each.a == null && each < `3`", verdict="fail", code="acme/x"))
    assert (outcome.exit, outcome.error["code"], outcome.error["message"]) == (1, "acme/x", "it is so")
    assert "a rule cannot be evaluated" in outcome.result["notes"][0]


def test_a_rule_that_can_be_evaluated_later_is(tmp_path: Path) -> None:
    """As soon as the field is there: the wait ends by itself."""
    rules = write(tmp_path, subject="pod", when="pod.status.containerStatuses[0].restartCount > `5`", verdict="fail", code="acme/x")
    assert judged(rules).exit == 0


def test_texts_that_have_no_value(tmp_path: Path) -> None:
    outcome = judged(
        write(tmp_path, when="self.spec != null", verdict="fail", code="acme/x", message=f"a {{{ORDER}}}", hint=f"b {{{ORDER}}}")
    )
    assert (outcome.exit, outcome.error["code"], "hint" in outcome.error) == (1, "acme/x", False)
    assert outcome.error["message"].startswith(f"acme/x, whose message has no value ({tmp_path}/team.yaml:5: acme/x: message: {WRONG}")
    noted = judged(write(tmp_path, when="self.spec != null", verdict="note", message=f"a {{{ORDER}}}"))
    assert (noted.exit, "acme/x, whose message has no value" in noted.result["notes"][0]) == (0, True)


@pytest.mark.parametrize("code", ["acme/{self.metadata.generation}", "{self.metadata.name}", f"acme/{{{ORDER}}}"])
def test_a_code_that_is_none(tmp_path: Path, code: str) -> None:
    outcome = judged(write(tmp_path, when="self.spec != null", verdict="fail", code=code))
    assert (outcome.exit, outcome.error["code"], outcome.error["message"]) == (1, "not-progressing", "it is so")
    assert outcome.result["notes"][0].startswith(f"a rule cannot be evaluated: {tmp_path}/team.yaml:")


@pytest.mark.parametrize(("verdict", "code"), [("fail", "not-progressing"), ("wait", "not-progressing"), ("note", "not-found")])
def test_a_workload_that_is_gone_will_not_say_more(tmp_path: Path, verdict: str, code: str) -> None:
    rules = write(tmp_path, subject="pod", when="self.spec.nothing > `3`", verdict=verdict, gone=True, code="acme/x")  # type: ignore[arg-type]
    outcome = judged(rules, "--kinds", "pod", "--stable-for", "20s", case=FIXTURES / "pod/ready-then-deleted")
    assert (outcome.exit, outcome.error["code"]) == (1, code)
    assert "a rule cannot be evaluated" in outcome.result["notes"][0]


def test_what_a_team_writes_over_a_built_in_rule(tmp_path: Path) -> None:
    (tmp_path / "team.yaml").write_text(f"version: 1\noverride:\n  container-crash-loop: {{unless: '{ORDER}'}}\n")
    outcome = judged(f"{tmp_path}/team.yaml", case=CRASH)
    assert (outcome.exit, outcome.error["code"]) == (3, "timeout")
    assert f"whether container-crash-loop holds, which cannot be evaluated: {tmp_path}/team.yaml:3: " in outcome.error["message"]


def test_a_note_for_each_expression_and_not_for_each_object(tmp_path: Path) -> None:
    outcome = judged(write(tmp_path, subject="pod", when="pod.spec.nothing > `3`", verdict="note"))
    assert len(outcome.result["notes"]) == 1


def test_update_does_not_expect_an_error_of_the_rules(tmp_path: Path) -> None:
    (tmp_path / "case").mkdir()
    for path in SUCCESS.iterdir():
        (tmp_path / "case" / path.name).write_text(path.read_text())
    case = tmp_path / "case" / "case.yaml"
    case.write_text(json.dumps({"args": ["--rules", write(tmp_path, when=ORDER, verdict="note")]}))
    before = case.read_text()
    outcome = run("test", str(tmp_path / "case"), "--update")
    assert (outcome.exit, case.read_text()) == (1, before)
    assert f"case: not written, since the rules are wrong: {tmp_path}/team.yaml:6: acme/x: when: " in outcome.stdout
    write(tmp_path, when="deployment.", verdict="note")
    assert "not written, since the rules are wrong: " in run("test", str(tmp_path / "case"), "--update").stdout
    write(tmp_path, when="deployment.spec != null", verdict="note")
    assert run("test", str(tmp_path / "case"), "--update").stdout == "case: written\n1 case, 0 failed\n"


ERR = "metadata.name > `3`"


def write_kind(tmp_path: Path, name: str, **fields: object) -> str:
    """The path of a file in which a team changes a kind."""
    (tmp_path / "team.yaml").write_text(yaml.safe_dump({"version": 1, "kinds": [{"name": name, **fields}]}, sort_keys=False, width=1000))
    return str(tmp_path / "team.yaml")


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("deployment", {"current": [{"child": "replicaset", "compare": ["spec.template", ERR]}]}),
        ("deployment", {"current": [{"child": "replicaset", "compare": [ERR, "spec.template"]}]}),
        ("replicaset", {"blocked_by": ERR, "blocked": " (old)"}),
        ("container", {"parts": [{"spec": "spec.containers[].sum(@)", "status": "status.containerStatuses"}]}),
        ("container", {"parts": [{"spec": "spec.containers", "status": ERR}]}),
        ("container", {"parts": [{"spec": "spec.containers", "status": "status.containerStatuses", "add": {"init": "name > `3`"}}]}),
    ],
    ids=str,
)
def test_an_object_of_which_nobody_knows_what_belongs_to_it_waits(tmp_path: Path, kind: str, fields: dict[str, object]) -> None:
    """And its wait ends as any other. A kind of a team has ended everybody's run with exit code 2 here."""
    rules = write_kind(tmp_path, kind, **fields)
    outcome = judged(rules)
    assert (outcome.exit, outcome.error["code"]) == (3, "timeout")
    (note,) = outcome.result["notes"]
    assert note.startswith(f"a kind cannot be evaluated: {rules}:")
    assert f"It is not known what belongs to it, since its kind cannot be evaluated: {rules}:" in outcome.error["message"]
    ended = judged(rules, case=go_on(tmp_path))
    assert (ended.exit, ended.error["code"], ended.result["notes"]) == (1, "not-progressing", [note])


@pytest.mark.parametrize(
    ("kind", "fields", "case", "arguments"),
    [
        ("deployment", {"progress": [ERR]}, SUCCESS, []),
        ("deployment", {"deadline": ERR}, CRASH, ["--set", "retry-limit=9"]),
        ("deployment", {"runs": ERR}, SUCCESS, ["--expect-image", "app=x"]),
        ("container", {"facts": {"exitCode": ERR.removeprefix("metadata.")}}, CRASH, ["--retry-limit", "1"]),
        ("container", {"previous_log": ERR.removeprefix("metadata.")}, CRASH, []),
        ("container", {"ended": ERR.removeprefix("metadata.")}, CRASH, []),
        ("deployment", {"desired": ERR}, CRASH, []),
        (
            "deployment",
            {"revisions": {"number": ERR, "kept_in": "replicaset", "template": "spec", "current": "spec", "makes": "pod"}},
            CRASH,
            [],
        ),
        ("container", {"shown": ERR.removeprefix("metadata.")}, FIXTURES / "deployment/many-changes", ["--retry-limit", "0"]),
        ("pod", {"finishes": ERR}, FIXTURES / "pod/ready-then-deleted", ["--kinds", "pod", "--stable-for", "20s"]),
        ("pod", {"uses": [{"kind": "node", "names": ERR}]}, CRASH, []),
    ],
    ids=str,
)
def test_what_does_not_decide_is_a_note(tmp_path: Path, kind: str, fields: dict[str, object], case: Path, arguments: list[str]) -> None:
    """The verdict is the one that it would be without it."""
    rules = write_kind(tmp_path, kind, **fields)
    outcome = judged(rules, *arguments, case=case)
    assert outcome.exit == run("--replay", str(case), "--quiet", *arguments).exit
    assert [note for note in outcome.result["notes"] if f"{rules}:" in note], outcome.result


def test_a_rule_that_asks_what_is_used_when_the_kind_cannot_tell(tmp_path: Path) -> None:
    """Nobody knows whether it holds, though it is a built-in one: what is missing may be what it waits for."""
    (tmp_path / "team.yaml").write_text(
        yaml.safe_dump(
            {
                "version": 1,
                "kinds": [{"name": "pod", "uses": [{"kind": "node", "when": ERR, "names": "spec.nodeName"}]}],
                "rules": [
                    {
                        "id": "acme/x",
                        "subject": "pod",
                        "when": "pod.spec != null",
                        "given": "used[?!exists]",
                        "verdict": "fail",
                        "code": "acme/x",
                    }
                ],
            }
        )
    )
    outcome = judged(f"{tmp_path}/team.yaml", case=SUCCESS)
    assert (outcome.exit, outcome.error["code"]) == (3, "timeout")
    assert "It is not known whether acme/x holds, which cannot be evaluated: " in outcome.error["message"]


@pytest.mark.parametrize("when", ["isup", "self.spec != null && isup", "length(self.spec, self.metadata) > `1`", "events != null"])
@pytest.mark.parametrize("verdict", ["note", "wait"])
def test_a_file_that_is_wrong_ends_the_run(tmp_path: Path, when: str, verdict: str) -> None:
    """A root that is none is wrong whatever is there."""
    outcome = judged(write(tmp_path, when=when, verdict=verdict))
    assert (outcome.exit, outcome.error["code"]) == (2, "invalid-rules")


@pytest.mark.parametrize(
    ("file", "text", "wrong"),
    [
        ("container.yaml", "    restarts: restartCount", '    restarts: "name > `3`"'),
        ("deployment.yaml", "  progress: [", '  progress: ["metadata.name > `3`", '),
        ("pod.yaml", "  progress: [", '  blocked_by: "metadata.name > `3`"\n  progress: ['),
        ("container.yaml", "- id: container-crash-loop\n", '- id: container-crash-loop\n  details: ["{container.name > `3`}"]\n'),
    ],
    ids=str,
)
def test_an_error_in_the_built_in_files_ends_the_run(tmp_path: Path, file: str, text: str, wrong: str) -> None:
    """Nobody else would learn of it."""
    base = shutil.copytree(Path(__file__).parents[1] / "rules", tmp_path / "rules")
    content = (base / file).read_text()
    assert text in content
    (base / file).write_text(content.replace(text, wrong, 1))
    ended = run_to_end(["--replay", str(CRASH), "--quiet", "--retry-limit", "1"], base)
    assert (ended.exit_code, ended.result["error"]["code"]) == (2, "invalid-rules"), ended.result


def test_what_nearly_holds_of_a_rule_that_has_no_value(tmp_path: Path) -> None:
    rules = write(tmp_path, when=f"deployment.spec != null && {ORDER}", verdict="note")
    explained = run("explain", "--nearly", "--replay", str(SUCCESS), "--rules", rules, "--quiet")
    assert "nearly: acme/x" in explained.stdout


def test_a_text_of_a_built_in_rule_that_has_no_value_ends_the_run(tmp_path: Path) -> None:
    """Nobody but us can mend it, so it must not go unseen."""
    shutil.copytree(ROOT / "rules", tmp_path / "rules")
    rules = tmp_path / "rules/container.yaml"
    rules.write_text(rules.read_text().replace('details:\n  - "{over', "details:\n  - \"{sum('a') && over"))
    ended = run_to_end(["--replay", str(CRASH), "--retry-limit", "1", "--quiet"], tmp_path / "rules")
    assert (ended.exit_code, ended.result["error"]["code"]) == (2, "invalid-rules")
    assert "container.yaml:" in ended.result["error"]["message"]


@pytest.mark.parametrize("field", ["selector", "desired"])
def test_a_kind_that_cannot_tell_what_its_objects_own_is_listed_whole(api: Callable[..., str], tmp_path: Path, field: str) -> None:
    """Where one is named, its own selector says what to list: one that has no value is no reason to end the run."""
    items = [each for each in json.loads((SUCCESS / "003.json").read_text())["items"] if each["kind"] != "Event"]
    program = api(items)
    outcome = run(
        "--kubectl", program, "-n", "r-deployment-success", "deployment/web", "--rules", write_kind(tmp_path, "deployment", **{field: ERR})
    )
    assert (outcome.exit, outcome.result["success"]) == (0, True)
    lists = [call for call in Path(program).with_name("calls").read_text().splitlines() if "pods" in call]
    assert ["labelSelector" in call for call in lists] == [field == "desired"]
