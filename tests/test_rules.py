"""Rule files: what the language gives, and what is said about a slip. Each test writes rules beside the built-in ones."""

import json
import re
import shutil
from pathlib import Path

import pytest
from conftest import FIXTURES, ROOT, run, snapshot

import rollout_status
from rollout_status_lib.errors import RolloutError
from rollout_status_lib.expressions import Expression, Template
from rollout_status_lib.functions import Functions
from rollout_status_lib.rules import Rules
from rollout_status_lib.values import parse_timestamp

NOW = parse_timestamp("2026-11-23T12:00:00Z")
SUBJECT = {
    "metadata": {"name": "web", "generation": 2},
    "status": {"conditions": [{"type": "Ready", "status": "False"}, "no condition"], "at": "2026-11-23T11:59:30.500Z", "count": 3},
    "empty": {},
    "words": ["a", "b"],
}


def value(text: str) -> object:
    return Expression.parse(text, "test").evaluate(SUBJECT, Functions(NOW))


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("age(status.at)", 29.5),
        ("age(nothing)", None),
        ("exceeds(status.count, `2`)", True),
        ("exceeds(status.count, `3`)", False),
        ("exceeds(status.count, `-1`)", False),
        ("exceeds(nothing, `1`)", False),
        ("reached(status.count, `3`)", True),
        ("reached(status.count, `-1`)", False),
        ("reached(nothing, `1`)", False),
        ("condition(@, 'Ready').status", "False"),
        ("condition(@, 'Nothing')", None),
        ("condition(nothing, 'Ready')", None),
        ("subtract(status.count, `1`)", 2),
        ("subtract(nothing, `1`)", None),
        ("floor(subtract(`1.126`, `0.126`))", 1),
        ("mentions(metadata.name, ['x', 'WE'])", True),
        ("mentions(nothing, ['x'])", False),
        ("among(metadata.name, ['x', 'WEB'])", True),
        ("among('LoadFailed', ['*Failed'])", True),
        ("among('failed', ['*Failed'])", True),
        ("among('Installed', ['*Stalled'])", False),
        ("among('Waiting for it', ['Waiting*'])", True),
        ("among('Still being moved there', ['*being moved*'])", True),
        ("among('Still being moved there', ['being moved*', '*being moved', 'being'])", False),
        ("among(words, ['c', 'B'])", True),
        ("among(words, [`1`, nothing])", False),
        ("among(status.count, ['3'])", False),
        ("among(nothing, ['x'])", False),
        ("entries(metadata)", [{"name": "name", "value": "web"}, {"name": "generation", "value": 2}]),
        ("entries(words)", []),
        ("entries(nothing)", []),
        ("contains(words, 'a')", True),
        ("contains(words, nothing)", False),
        ("contains(metadata.name, 'eb')", True),
        ("contains(metadata.name, nothing)", False),
        ("contains(nothing, 'a')", False),
        ("length(nothing)", 0),
        ("length(words)", 2),
        ("starts_with(nothing, 'a')", False),
        ("starts_with(metadata.name, nothing)", False),
        ("ends_with(metadata.name, nothing)", False),
        ("condition(@, nothing)", None),
        ("split('a/b/c', '/')", ["a", "b", "c"]),
        ("split('a', '/')", ["a"]),
        ("split('a', '')", ["a"]),
        ("split(nothing, '/')", []),
        ("split(metadata.name, nothing)", ["web"]),
        ("starts_with(metadata.name, 'w')", True),
        ("ends_with(nothing, 'a')", False),
        ("ends_with(metadata.name, 'b')", True),
        ("!metadata.name", False),  # jmespath 1.1.0 reads (!metadata).name
        ("!nothing.name", True),
        ("!words[0] || !nothing[].x && metadata.generation == `2`", True),
        ("!metadata.name == `false`", True),
        ("status.count >= `3` && 'a' < 'b'", True),
        ("words[0:1]", ["a"]),
        ("empty != null", True),
    ],
)
def test_expression(expression: str, expected: object) -> None:
    assert value(expression) == expected


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("status.missing < `1`", ["not status.missing = null and 1 ("]),
        ("status.count < metadata.name", ["status.count = 3", 'metadata.name = "web"']),
        ("length(words) > to_string(@)", ["length(words) = 2"]),
        ("`true` < `2`", ["true"]),
        ("words[0] < `1`", ["words.0"]),
        ("age(metadata.name)", ["'web'", "invalid time"]),
        ("exceeds('a', `1`)", ["exceeds"]),
        ("join(', ')", ["join"]),
    ],
)
def test_what_cannot_be_evaluated_is_an_error(expression: str, words: list[str]) -> None:
    with pytest.raises(RolloutError) as error:
        value(expression)
    assert error.value.code == "invalid-rules"
    for word in ["test", expression, *words]:
        assert word in error.value.message


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("none", "none"),
        ("{metadata.name}: {status.count}{nothing}", "web: 3"),
        ("{{metadata.name}}", "{metadata.name}}"),
        ("{ {a: metadata.name, b: '}'} }", '{"a": "web", "b": "}"}'),
        ("{status.count == `4`}{age(status.at)} {`10.0`} {`12345678.9`}", "29.5 10 12345679"),
    ],
)
def test_template(text: str, filled: str) -> None:
    assert Template.parse(text, "test").fill(lambda expression: expression.evaluate(SUBJECT, Functions(NOW))) == filled


@pytest.fixture
def rules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the built-in rules and the schema, which the run then uses; a file to add to them."""
    shutil.copytree(ROOT / "rules", tmp_path / "rules")
    shutil.copy(ROOT / "schema.json", tmp_path)
    monkeypatch.setattr(rollout_status, "find_data", tmp_path.joinpath)
    return tmp_path / "rules" / "team.yaml"


def judged(case: str = "deployment/success", *arguments: str):
    return run("--replay", str(FIXTURES / case), "--quiet", *arguments)


RULE = """rules:
- id: mine
  subject: deployment
  when: deployment.spec.replicas == `2`
  verdict: fail
  code: paused
"""


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("rules: [a", ["team.yaml:1", "cannot be read", "a [ is opened here and not closed"]),
        ("a: &x 1\nb: *x", ["team.yaml:2", "aliases"]),
        ("rules:\n- id: a\n  id: b", ["team.yaml:3", "id stands twice", "line 2"]),
        ("a: !contains(x, 'y')", ["team.yaml:1", "cannot be read", "begins with ! needs quotes"]),
        ("rules: !!python/name:os.system", ["team.yaml:1", "tag"]),
        ("kinds:\n- 3", ["team.yaml:2", "must be a mapping"]),
        ("let: 3", ["team.yaml:1", "must be a mapping"]),
        ("rules: {a: b}", ["team.yaml:1", "must be a list"]),
        ("rulse: []", ["team.yaml:1", "unknown key rulse", "did you mean rules"]),
        ("- 1", ["team.yaml:1", "must be a mapping"]),
        (RULE.replace("when:", "wenn:"), ["team.yaml:4: mine", "unknown key wenn", "did you mean when"]),
        (RULE.replace("  subject: deployment\n", ""), ["team.yaml:2: mine", "subject is missing"]),
        (RULE.replace("subject: deployment", "subject: deploymnt"), ["team.yaml:3: mine", "did you mean deployment"]),
        (RULE.replace("subject: deployment", "subject: [pod, prod]"), ["no subject prod", "did you mean pod"]),
        (RULE.replace("verdict: fail", "verdict: fial"), ["team.yaml:5: mine", "did you mean fail"]),
        (RULE.replace("verdict: fail", "logs: true"), ["mine", "one of verdict, fail_when and fail_after"]),
        (RULE + "  fail_after: 3s\n", ["mine", "one of verdict, fail_when and fail_after"]),
        (RULE.replace("  code: paused", "  hint: x"), ["mine", "code is missing"]),
        (RULE.replace("code: paused", "code: pausd"), ["team.yaml:6: mine", "did you mean paused"]),
        (RULE.replace("code: paused", "code: \"{'pausd'}\""), ["mine", "no code pausd", "did you mean paused"]),
        (RULE.replace("when: deployment", "when: (deployment"), ["team.yaml:4: mine: when"]),
        (RULE + "  each: length(self.spec)\n", ["team.yaml:2: mine", "each must give a list, not "]),
        (
            "kinds:\n- {name: mine, resource: mine.example.com, waits: false, owns: [pdo]}",
            ["team.yaml:2", "no kind pdo", "did you mean pod"],
        ),
        (RULE.replace("deployment.spec.replicas ==", "lenght(self) =="), ["no function lenght", "did you mean length"]),
        (RULE.replace("deployment.spec.replicas == `2`", "exceeds(self.a, params.retrylimit)"), ["no parameter retrylimit", "retry_limit"]),
        (RULE.replace("deployment.spec.replicas == `2`", "reached(length(self.a[:2]), params.retrylimit)"), ["no parameter retrylimit"]),
        (RULE.replace("deployment.spec", "deploymnt.spec"), ["team.yaml:4: mine: when", "no root deploymnt", "did you mean deployment"]),
        (RULE.replace("== `2`", "== true"), ["no root true"]),
        (RULE.replace("deployment.spec.replicas == `2`", "events"), ["mine: when", "cannot use events"]),
        (RULE.replace("deployment.spec.replicas == `2`", "time.in_state > `1`"), ["time.in_state = null"]),
        (RULE.replace("verdict: fail", "fail_after: soon"), ["team.yaml:5: mine", "'soon'", "params.NAME"]),
        (RULE + "  message: 'a {deployment.spec'\n", ["team.yaml:7: mine: message", "write {{ for a brace"]),
        (RULE + "  message: 'a {deployment.}'\n", ["team.yaml:7: mine: message"]),
        (RULE + "  unless: c\n  let: {c: d, d: c}\n", ["no root c"]),
        (RULE.replace("id: mine", "id: deployment-paused"), ["deployment-paused stands twice", "deployment.yaml:"]),
        ("params:\n  retry_limit: {type: integer, default: 1}", ["team.yaml:2", "retry_limit stands twice"]),
        ("params:\n  mine: {type: number, default: 1}", ["team.yaml:2", "no type number"]),
        ("params:\n  mine: {type: integer}", ["team.yaml:2", "default is missing"]),
        ("params:\n  mine: {type: integer, default: some}", ["team.yaml:2", "invalid number 'some'"]),
        ("kinds:\n- {name: deployment}", ["team.yaml:2", "deployment stands twice"]),
        ("kinds:\n- {name: widget, progress: [a.]}", ["team.yaml:2"]),
        ("kinds:\n- {name: widget, current: [{child: pod, compare: [a]}]}", ["team.yaml:2", "compare takes two expressions"]),
        ("codes:\n- {code: mine}", ["team.yaml:2", "type is missing"]),
    ],
)
def test_slip_in_a_rule_file(rules: Path, text: str, words: list[str]) -> None:
    rules.write_text(text)
    outcome = judged()
    assert (outcome.exit, outcome.error["code"]) == (2, "invalid-rules")
    for word in words:
        assert word in outcome.error["message"]


def test_no_rules_and_unreadable_rules(rules: Path) -> None:
    rules.write_bytes(b"\xff\xfe")
    assert "cannot be read" in judged().error["message"]
    shutil.rmtree(rules.parent)
    assert "there are no rules" in judged().error["message"]


def test_rule_that_nobody_can_misread(rules: Path) -> None:
    """on, no and 1:30 are texts; {} is no absence; `let` may hide the root that it uses."""
    rules.write_text(
        "params: {switch: {type: text, default: on, choices: [on, no]}, wait: {type: text, default: 1:30}}\n" + RULE
        + "  let: {deployment: deployment.spec}\n"
        + '  message: "{deployment.replicas} {params.switch} {params.wait} {{}"\n'
    )  # fmt: skip
    rules.write_text(rules.read_text().replace("deployment.spec.replicas == `2`", "deployment.replicas == `2`"))
    assert judged().error["message"] == "2 on 1:30 {}"


def test_verdict_words(rules: Path) -> None:
    rules.write_text(RULE.replace("verdict: fail", "verdict: ignore").replace("  code: paused\n", ""))
    ignored = judged()
    assert (ignored.exit, ignored.error["code"], ignored.result["workloads"][0]["status"]) == (1, "not-found", "ignored")
    rules.write_text(RULE.replace("verdict: fail", "verdict: note").replace("  code: paused\n", "  message: seen\n"))
    assert judged().result["notes"] == ["seen"]
    rules.write_text(RULE.replace("verdict: fail", "verdict: wait").replace("  code: paused\n", ""))
    assert judged().result["workloads"][0]["message"] == "mine"
    rules.write_text(RULE + "  unless: deployment.metadata.name == 'web'\n")
    assert judged().exit == 0


@pytest.mark.parametrize(
    ("limit", "at"),
    [
        ("3s", 3),
        ("0", 0),
        ("params.mine", 4),
        ("-1", None),
        ("subtract(params.mine, `1`)", 3),
        ("\"deployment.metadata.none || '3s'\"", 3),
        ("deployment.metadata.none", None),
    ],
)
def test_fail_after_is_exact(rules: Path, limit: str, at: float | None) -> None:
    rules.write_text("params: {mine: {type: duration, default: 4s}}\n" + RULE.replace("verdict: fail", f"fail_after: {limit}"))
    outcome = judged()
    assert (outcome.error["code"], outcome.result["elapsedSeconds"]) == (
        ("paused", at) if at is not None else ("timeout", pytest.approx(12.1, abs=0.5))
    )


def test_fail_after_counts_from_since(rules: Path) -> None:
    rules.write_text(RULE.replace("verdict: fail", "fail_after: 3s\n  since: deployment.metadata.creationTimestamp"))
    assert 1.5 < judged().result["elapsedSeconds"] <= 3


def test_events_are_those_about_the_subject_since_its_last_progress(rules: Path) -> None:
    rules.write_text(
        "rules:\n- id: mine\n  subject: container\n  when: container.state.waiting != null\n"
        "  fail_when: events[?reason == 'Failed']\n  code: paused\n  message: '{events[0].message} {events[0].count}'\n"
    )
    outcome = judged("container/image-not-found")
    assert "mine" in [entry.get("rule") for entry in (outcome.error, *outcome.result["errors"])]
    mine = next(entry for entry in (outcome.error, *outcome.result["errors"]) if entry["rule"] == "mine")
    assert mine["events"]
    assert {event["reason"] for event in mine["events"]} <= {"Failed", "Pulling", "BackOff"}  # not: Scheduled, which is the pod's


def test_a_part_of_any_kind_and_strange_events_satisfy_the_schema(rules: Path, tmp_path: Path) -> None:
    """As each result of these tests must."""
    objects = json.loads(snapshot("pod/unschedulable-memory").read_text())
    for event in (each for each in objects["items"] if each["kind"] == "Event"):
        event |= {"reason": ["x"], "message": 5, "count": "many", "series": None, "lastTimestamp": None}
    (tmp_path / "objects.json").write_text(json.dumps(objects))
    rules.write_text(
        "version: 1\nkinds:\n- {name: toleration, part_of: pod, parts: [{spec: spec.tolerations, status: status.none}]}\n"
        "rules:\n- id: acme/toleration\n  subject: toleration\n  when: length(events) > `-1` || `true`\n  verdict: fail\n"
        "  code: not-progressing\n  message: A toleration\n".replace(
            "  when: length(events) > `-1` || `true`\n", "  when: self.key != null\n"
        )
        + "- id: acme/events\n  subject: pod\n  when: pod.metadata.name != null\n  fail_when: length(events) > `0`\n"
        "  code: not-progressing\n  message: A pod\n"
    )
    outcome = run("--replay", str(tmp_path / "objects.json"), "--quiet")
    entries = [outcome.error, *outcome.result["errors"]]
    assert any("toleration" in entry["resource"] for entry in entries)
    assert any(
        {"reason": "['x']", "message": "5", "count": 1}.items() <= event.items() for entry in entries for event in entry.get("events", ())
    )


def test_call_that_no_rule_takes_is_a_bug(rules: Path) -> None:
    (rules.parent / "kubectl.yaml").write_text("version: 1\nkinds: [{name: call}]\n")
    assert (judged("kubectl/down-for-good").exit, judged("kubectl/down-for-good").error["code"]) == (70, "internal")


def test_file_of_kubectl_with_one_object(tmp_path: Path) -> None:
    job = next(item for item in json.loads(snapshot("job/success").read_text())["items"] if item["kind"] == "Job")
    (tmp_path / "job.json").write_text(json.dumps(job))
    assert run("--replay", str(tmp_path / "job.json"), "--quiet").exit == 0


def test_times_that_cannot_be_read(rules: Path, tmp_path: Path) -> None:
    """In `since` they are an error that names the rule; an event without one is long ago."""
    rules.write_text(RULE.replace("verdict: fail", "fail_after: 3s\n  since: deployment.metadata.name"))
    assert "mine: since: invalid time 'web'" in judged().error["message"]
    rules.unlink()
    content = json.loads(snapshot("pod/missing-configmap-volume", 0).read_text())
    for item in content["items"]:
        if item["kind"] == "Event":
            item.update(lastTimestamp="soon", eventTime=None, series=None)
    (tmp_path / "events.json").write_text(json.dumps(content))
    assert run("--replay", str(tmp_path / "events.json"), "--quiet", "--set", "mount-grace=1h").error["code"] == "timeout"


TEAM_RULE = RULE.replace("id: mine", "id: acme/mine")


def test_file_that_is_named_twice_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As by ROLLOUT_STATUS_RULES and by --rules, or by `test --rules` and by the arguments of a case."""
    (tmp_path / "team.yaml").write_text("version: 1\n" + TEAM_RULE)
    monkeypatch.setenv("ROLLOUT_STATUS_RULES", str(tmp_path))
    assert judged("deployment/success", "--rules", f"{tmp_path}/../{tmp_path.name}/team.yaml").error["rule"] == "acme/mine"


def test_a_few_cases_are_no_test_of_the_built_in_rules() -> None:
    case = str(FIXTURES / "deployment/success")
    assert run("test", case).stdout == "1 case, 0 failed\n"
    assert "no case in which it holds" in run("test", case, "--strict").stdout


def test_strict_asks_for_cases_of_what_a_team_overrides(tmp_path: Path) -> None:
    case = str(FIXTURES / "deployment/success")
    (tmp_path / "team.yaml").write_text("version: 1\noverride:\n  deployment-paused: {unless: deployment.metadata.name == 'web'}\n")
    outcome = run("test", case, "--strict", "--rules", str(tmp_path))
    assert (outcome.exit, "deployment-paused: no case in which it holds" in outcome.stdout) == (1, True)
    (tmp_path / "team.yaml").write_text("version: 1\n")
    assert run("test", case, "--strict", "--rules", str(tmp_path)).exit == 0


@pytest.mark.parametrize(("resource", "found"), [("things.example.com", 1), ("persistentvolumeclaims", 0)])
def test_lint_asks_for_the_generation_of_a_phase_where_there_may_be_one(tmp_path: Path, resource: str, found: int) -> None:
    (tmp_path / "team.yaml").write_text(
        f"version: 1\nkinds:\n- {{name: thing, resource: {resource}}}\nrules:\n"
        "- {id: acme/thing, subject: thing, when: thing.status.phase != 'Bound', verdict: wait}\n"
    )
    outcome = run("lint", str(tmp_path))
    assert (outcome.exit, outcome.stdout.count("at no observedGeneration")) == (found, found)


def test_lint_reads_paths_of_any_length(tmp_path: Path) -> None:
    (tmp_path / "team.yaml").write_text(
        "version: 1\nrules:\n- {id: acme/a, subject: container, verdict: wait, when: container.state.waitng.reason == 'x'}\n"
        "- {id: acme/b, subject: container, verdict: wait, when: pod.spec.securityContext}\n"
    )
    found = run("lint", str(tmp_path)).stdout
    assert "there is no container.state.waitng; did you mean waiting?" in found
    assert "pod.spec.securityContext may be {}" in found
    (tmp_path / "team.yaml").write_text(
        "version: 1\nrules:\n- {id: acme/a, subject: pod, verdict: wait, when: pod.spec.priorityClassName == 'x' && pod.spec.hostNetwork == null}\n"
    )
    assert run("lint", str(tmp_path)).stdout == "no findings\n"


@pytest.mark.parametrize(
    ("params", "arguments", "exit_code"),
    [
        ("ready_words: [Steaming, Simmering]", (), 0),
        ("ready_words: Simmering", (), 0),
        ("ready_words: {default: [Simmering]}", (), 0),
        ("ready_conditions: [Warm]", (), 0),
        ("ready_words: [Simmering]", ("--set", "ready-words=-Simmering,Steaming"), 3),
        ("busy_words: [Simmering]", ("--set", "ready-conditions=Warm"), 3),
        ("busy_words: [Simmering]", ("--set", "busy-words=-Simmering", "--set", "ready-conditions=Warm"), 0),
    ],
)
def test_words_are_added_and_taken_out(tmp_path: Path, params: str, arguments: tuple[str, ...], exit_code: int) -> None:
    (tmp_path / "team.yaml").write_text(f"version: 1\nparams:\n  {params}\n")
    chosen = ("--kinds", "kettles.kitchen.example.com", "--rules", str(tmp_path / "team.yaml"))
    assert judged("generic/word-of-its-own", *chosen, *arguments).exit == exit_code


def test_words_of_an_annotation(tmp_path: Path) -> None:
    objects = json.loads(snapshot("generic/word-of-its-own").read_text())
    objects["items"][0]["metadata"]["annotations"] = {"rollout-status/ready-words": "Simmering"}
    (tmp_path / "objects.json").write_text(json.dumps(objects))
    assert run("--replay", str(tmp_path / "objects.json"), "--kinds", "kettles.kitchen.example.com").exit == 0


@pytest.mark.parametrize("conditions", [5, True, "abc", {"Ready": {"status": "True"}}, [{"type": 5, "status": "True"}, [1]]])
def test_conditions_of_no_convention_are_waited_for(tmp_path: Path, conditions: object) -> None:
    widget = {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w", "uid": "u"}, "status": {"conditions": conditions}}
    (tmp_path / "one.json").write_text(json.dumps(widget))
    assert run("--replay", str(tmp_path / "one.json"), "--kinds", "widgets.example.com").exit == 3


def test_override_of_a_decision_drops_the_other_decisions(tmp_path: Path) -> None:
    (tmp_path / "team.yaml").write_text("version: 1\noverride: {container-crash-loop: {verdict: wait}, job-failed: {fail_after: 5s}}")
    rules = Rules(ROOT / "rules", [tmp_path])
    assert (rules.rules["container-crash-loop"].verdict, rules.rules["container-crash-loop"].fail_when) == ("wait", None)
    assert (rules.rules["job-failed"].verdict, rules.rules["job-failed"].fail_after) == ("wait", 5.0)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("disable: [pod-not-ready]", "pod-not-ready is disabled and could wait"),
        ("override: {pod-not-ready: {verdict: note}}", "pod-not-ready waits for less"),
        ("override: {pod-not-ready: {when: 'pod.spec.a'}}", "pod-not-ready waits for less"),
        (
            "extends: none\nrules:\n" + RULE[7:].replace("mine", "acme/mine").replace("verdict: fail", "verdict: wait"),
            "the built-in rules are off",
        ),
    ],
)
def test_a_team_that_makes_success_come_earlier_is_told_so(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "team.yaml").write_text(f"version: 1\n{text}\n")
    outcome = judged("deployment/success", "--rules", str(tmp_path / "team.yaml"), "--kinds", "deployment")
    assert words in outcome.result["notes"][0]
    assert f"{tmp_path}/team.yaml:2" in outcome.result["notes"][0]


def test_a_limit_is_a_duration(rules: Path) -> None:
    rules.write_text(RULE.replace("verdict: fail", "fail_after: params.paused"))
    assert "team.yaml:5: mine: params.paused is of type text, and no duration" in judged().error["message"]


def test_a_parameter_that_is_not_there_is_no_new_one(tmp_path: Path) -> None:
    (tmp_path / "team.yaml").write_text("version: 1\nparams: {settel: 5s}\n")
    message = judged("deployment/success", "--rules", str(tmp_path / "team.yaml")).error["message"]
    assert "team.yaml:2: no parameter settel; did you mean settle?" in message


# ---------------------------------------------------------------------------------------------------- overlays of teams


@pytest.fixture
def team(tmp_path: Path):
    """Judges a recording under a team's rules."""

    def judged_by(text: str, case: str = "deployment/crash-loop", *arguments: str):
        (tmp_path / "acme.yaml").write_text(f"version: 1\n{text}")
        return judged(case, "--rules", str(tmp_path / "acme.yaml"), *arguments)

    return judged_by


SEEN = "- {id: acme/seen, subject: container, when: container.name == 'main', verdict: note, message: seen}\n"


def test_extends_none(team) -> None:
    """Only the team's rules count, and those about kubectl's own errors."""
    rule = "rules:\n- {id: acme/ready, subject: deployment, when: deployment.status.readyReplicas < `1`, verdict: wait}\n"
    outcome = team(f"extends: none\n{rule}", "deployment/crash-loop", "--kinds", "deployment")
    assert (outcome.error["code"], outcome.result["workloads"][0]["message"]) == ("timeout", "acme/ready")
    assert team(f"extends: none\n{rule}", "kubectl/unauthorized", "--kinds", "deployment").error["code"] == "unauthorized"
    assert "no rule about daemonset can wait" in team(f"extends: none\n{rule}").error["message"]


@pytest.mark.parametrize("param", ["1", "{default: 1}", "{default: 1, doc: ours, type: integer}"])
def test_default_of_a_team(team, param: str) -> None:
    assert team(f"params:\n  retry_limit: {param}\n").error["code"] == "process-crashing"


def test_override_clears_the_other_decisions(team) -> None:
    outcome = team("override:\n  container-crash-loop: {fail_after: 0s}\n")
    assert (outcome.error["rule"], "notes" in outcome.result) == ("container-crash-loop", False)
    noted = team("override:\n  container-crash-loop: {verdict: note}\n")
    assert noted.error["code"] == "timeout"
    assert "container-crash-loop waits for less, or not any more: success may come earlier" in "".join(noted.result["notes"])
    assert "acme.yaml:3: container-crash-loop" in "".join(noted.result["notes"])


def test_override_brings_the_lets_of_its_file(team) -> None:
    outcome = team("let: {which: container.name}\noverride:\n  container-crash-loop: {fail_after: 0s, message: '{which} in {reason}'}\n")
    assert outcome.error["message"].startswith("main in ")


def test_disable_tells_what_may_follow(team) -> None:
    notes = team("disable: [container-crash-loop, deployment-zero-replicas]\n").result["notes"]
    assert [note.partition(" (")[0] for note in notes] == ["container-crash-loop is disabled and could wait: success may come earlier"]


def test_rule_by_the_name_that_it_had(rules: Path, team) -> None:
    path = rules.parent / "container.yaml"
    path.write_text(path.read_text().replace("- id: container-crash-loop\n", "- id: container-crash-loop\n  aliases: [crash-loop]\n"))
    outcome = team("override:\n  crash-loop: {fail_after: 0s}\n")
    assert outcome.error["rule"] == "container-crash-loop"
    assert "crash-loop is called container-crash-loop now" in outcome.result["notes"][0]


def test_flag_over_annotation_over_team_over_built_in(team) -> None:
    def limit(*arguments: str, case: str = "workload/annotation-retry-limit", params: str = "params: {retry_limit: 77}\n") -> str:
        rule = "rules:\n- {id: acme/limit, subject: workload, when: '`true`', verdict: note, message: '{params.retry_limit}'}\n"
        return team(params + rule, case, *arguments).result["notes"][0]

    annotated = limit()
    assert annotated not in ("3", "77")
    assert limit("--retry-limit", "5") == "5"
    assert limit(case="deployment/success") == "77"
    assert limit(case="deployment/success", params="") == "3"


@pytest.mark.parametrize(
    ("allowed", "works"),
    [("none", False), ("all", True), ("[image-grace]", False), ("[retry-limit]", True), ("[image_grace, retry_limit]", True)],
)
def test_annotations_that_a_team_allows(team, allowed: str, works: bool) -> None:
    plain = judged("workload/annotation-retry-limit").error["code"]
    outcome = team(f"annotations: {allowed}\nparams: {{retry_limit: -1}}\n", "workload/annotation-retry-limit")
    assert (outcome.error["code"] == plain) is works
    assert any("rollout-status/retry-limit" in note and "is not allowed" in note for note in outcome.result["notes"]) is not works


def annotated(tmp_path: Path, annotations: dict[str, str]) -> str:
    """The sentence with which a run ends."""
    content = json.loads(snapshot("deployment/success").read_text())
    for each in content["items"]:
        if each["kind"] == "Deployment":
            each["metadata"].setdefault("annotations", {}).update(annotations)
    (tmp_path / "annotated.json").write_text(json.dumps(content))
    return run("--replay", str(tmp_path / "annotated.json"), "--quiet", "--once").error["message"]


def test_annotations_that_say_nothing(tmp_path: Path) -> None:
    assert "invalid number 'many'" in annotated(tmp_path, {"rollout-status/retry-limit": "many"})
    assert "did you mean retry_limit?" in annotated(tmp_path, {"rollout-status/retry-limt": "3"})


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "rules has no .yaml file in it, so no rule of it counts: is it what was checked out?"),
        ("", "team.yaml:1: the file is empty, so no rule of it counts"),
        ("# soon\n", "team.yaml:1: the file is empty"),
        ("disable: []\n", "team.yaml:1: version is missing: write version: 1 at its top"),
    ],
)
@pytest.mark.parametrize("way", ["flag", "environment"])
def test_rules_that_went_missing_are_no_silence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str | None, words: str, way: str
) -> None:
    """A failed checkout leaves an empty folder or an empty file: a run and lint refuse it in the same words."""
    folder = tmp_path / "rules"
    (folder / "old.yaml").mkdir(parents=True)  # a folder is no rule file
    if content is not None:
        (folder / "team.yaml").write_text(content)
    if way == "environment":
        monkeypatch.setenv("ROLLOUT_STATUS_RULES", str(folder))
    outcome = judged("deployment/success", *(("--rules", str(folder)) if way == "flag" else ()))
    assert (outcome.exit, outcome.error["code"]) == (2, "invalid-rules")
    assert words in outcome.error["message"]
    linted = run("lint", str(folder))
    assert words in linted.stdout + linted.stderr


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ("{@}", "acme.yaml:5: acme/x: message: @ is nothing where names are roots"),
        ("{to_string(@)}", "@ is nothing where names are roots"),
        ("{&container.name}", "an & stands only before an argument"),
        ("{to_string(&container.name)}", "an & stands only before an argument"),
        ("{`1e999`}", "numbers as large as 1e999 are no numbers here"),
        ("{`[NaN]`}", "NaN, Infinity and numbers"),
        ("{sort_by(container.ports, &name)[0]}", "acme/x, whose message has no value"),
        ("{to_number('NaN')}{to_number('1e999')}|", "|"),
        (f"{{to_number('{'9' * 400}')}}{{to_number('{'9' * 5000}')}}|", "|"),
        ("{to_number('3')}{to_number('2.5')}{to_number(container)}", "32.5"),
        ("{sort_by(`[1]`, &name)}", "sort_by() takes a text or a number, not null"),
        ("{container.env[::`0`]}", "acme/x"),
        ("{`[1]`[::0]}", "slice step cannot be zero"),
        ("{merge(`{}`, container.nothing)}", "its values are not of the kinds that it takes"),
    ],
)
def test_a_message_has_no_object_of_python_in_it(team, message: str, words: str) -> None:
    """What has no value that could be shown is refused, or its sentence is of this program."""
    outcome = team(
        f"rules:\n- id: acme/x\n  subject: container\n  message: \"{message}\"\n  when: container.name == 'main'\n"
        "  verdict: fail\n  code: acme/x\n"
    )
    assert words in outcome.error["message"]
    assert not re.search(r"object at 0x|None|NoneType|\bnan\b|\binf\b|Traceback", json.dumps(outcome.result) + outcome.stderr)


def test_a_limit_that_is_no_duration_keeps_waiting(team) -> None:
    rule = "- {id: acme/x, subject: deployment, when: self.spec != null, fail_after: self.spec.selector, code: acme/x, message: x}\n"
    outcome = team(f"rules:\n{rule}", "deployment/success")
    assert (outcome.error["code"], "invalid duration" in outcome.result["notes"][0]) == ("timeout", True)


@pytest.mark.parametrize(
    ("declared", "arguments", "listed"),
    [
        ("{type: texts, default: [a, b]}", (), '["a", "b"]'),
        ("{type: texts, default: a}", (), '["a"]'),
        ("{type: texts, default: [a, b]}", ("--set", "acme-names=c,d"), '["c", "d"]'),
        ("{type: texts, default: [], choices: [c, d]}", ("--set", "acme-names=c,d"), '["c", "d"]'),
        ("{type: texts, default: [a], choices: [a]}", ("--set", "acme-names=a,e"), "acme-names: 'e' is not one of a"),
    ],
)
def test_a_parameter_of_several_texts_is_replaced_as_a_whole(team, declared: str, arguments: tuple[str, ...], listed: str) -> None:
    rule = "rules:\n- {id: acme/x, subject: deployment, when: self.spec != null, verdict: note, message: '{params.acme_names}'}\n"
    outcome = team(f"params: {{acme_names: {declared}}}\n{rule}", "deployment/success", *arguments)
    assert listed in (outcome.result.get("notes") or [outcome.error["message"]])[0]


def test_query_knows_the_names_and_the_parameters_of_the_files(tmp_path: Path) -> None:
    (tmp_path / "team.yaml").write_text(
        "version: 1\nparams: {acme_limit: {type: integer, default: 7}}\nlet: {image: 'container.image', double: 'sum([params.acme_limit, `1`])'}\n"
    )
    asked = ("--replay", str(snapshot("deployment/crash-loop").parent), "--quiet", "--rules", str(tmp_path), "--subject", "container")
    assert ": [8, true]" in run("query", "[double, image == container.image]", *asked).stdout
    assert ": true" in run("query", "state == container.state || `true`", *asked[:3], *asked[5:]).stdout  # a name of rules/container.yaml
    assert "no parameter acme_limt: declare it" in run("query", "params.acme_limt", *asked).stderr


def test_two_files_of_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.yaml").write_text("version: 1\nparams: {retry_limit: 1}\n")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "b.yml").write_text("version: 1\nrules:\n" + SEEN)
    monkeypatch.setenv("ROLLOUT_STATUS_RULES", f"{tmp_path}/a.yaml:{tmp_path}/b")
    outcome = judged("deployment/crash-loop")
    assert (outcome.error["code"], outcome.result["notes"]) == ("process-crashing", ["seen"])


def test_code_of_a_team_needs_no_declaration(team) -> None:
    """It counts as a cause; one that is declared has the exit code that it is declared with."""
    rule = "rules:\n- {id: acme/main, subject: container, when: container.name == 'main', verdict: fail, code: acme/main, message: x}\n"
    outcome = team(rule)
    assert (outcome.exit, outcome.error["code"], outcome.error["type"]) == (1, "acme/main", "rollout")
    assert team("codes:\n- {code: acme/main, type: rollout, exit: 5, text: x}\n" + rule).exit == 5


def test_rule_about_each_entry(team) -> None:
    outcome = team(
        "rules:\n- {id: acme/each, subject: deployment, each: deployment.spec.template.spec.containers, when: each.name == 'main',"
        " verdict: note, message: '{each.name}'}\n"
    )
    assert outcome.result["notes"] == ["main"]


WIDGET = """kinds:
- {name: widget, resource: widgets.example.com, watched: true, owns: [deployment]}
- {name: deployment, short: [dep]}
rules:
- {id: acme/widget-behind, subject: widget, when: widget.status.observedGeneration != widget.metadata.generation, verdict: hold}
- {id: acme/widget-broken, subject: widget, when: widget.status.phase == 'Broken', verdict: fail, code: acme/broken}
"""


@pytest.mark.parametrize(("observed", "phase", "code"), [(2, "Fine", None), (2, "Broken", "acme/broken"), (1, "Broken", "timeout")])
def test_kind_of_a_team(team, tmp_path: Path, observed: int, phase: str, code: str | None) -> None:
    widget = {
        "apiVersion": "example.com/v1",
        "kind": "Widget",
        "metadata": {"name": "w", "namespace": "n", "uid": "1", "generation": 2, "creationTimestamp": "2026-11-23T12:00:00Z"},
        "status": {"observedGeneration": observed, "phase": phase},
    }
    (tmp_path / "widget.json").write_text(json.dumps(widget))
    (tmp_path / "acme.yaml").write_text(f"version: 1\n{WIDGET}")
    outcome = run("--replay", str(tmp_path / "widget.json"), "--rules", str(tmp_path / "acme.yaml"), "--quiet", "--once")
    assert outcome.result.get("error", {}).get("code") == code


def test_pack_is_read_for_a_kind_that_needs_it(rules: Path, tmp_path: Path) -> None:
    (rules.parent / "packs").mkdir(exist_ok=True)
    pack = (
        WIDGET.replace("- {name: deployment, short: [dep]}\n", "")
        .replace("acme/widget", "widget")
        .replace("acme/broken", "not-progressing")
    )
    (rules.parent / "packs" / "widget.yaml").write_text(f"version: 1\n{pack}")
    widget = {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w", "uid": "1"}, "status": {"phase": "Broken"}}
    (tmp_path / "widget.json").write_text(json.dumps(widget))
    outcome = run("--replay", str(tmp_path / "widget.json"), "--kinds", "widget", "--quiet")
    assert outcome.error["rule"] == "widget-broken"


def test_a_run_loads_the_rules_about_what_it_judges() -> None:
    rules = Rules(ROOT / "rules")
    rules.load_judged([rules.kinds["daemonset"]])
    loaded = {subject for rule in rules.loaded.values() for subject in rule.subjects}
    assert {"daemonset", "pod", "container", "workload"} <= loaded
    assert len(rules.loaded) < len(rules.rules)
    assert not any(rule.subjects == ("job",) for rule in Rules(ROOT / "rules").get_rules_about("deployment"))


def test_a_run_with_a_team_s_file_finds_a_mistake_about_what_nobody_judges(tmp_path: Path) -> None:
    team = tmp_path / "team.yaml"
    team.write_text("version: 1\nrules:\n- id: acme/a\n  subject: cronjob\n  when: cronjob.\n  verdict: note\n  message: a\n")
    with pytest.raises(RolloutError, match="acme/a"):
        Rules(ROOT / "rules", [team]).get_rules_about("deployment")
