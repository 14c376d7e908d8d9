"""The verbs about rule files. Each file of broken-rules/ says at its top what lint must find; good-rules/ must not be found fault with."""

import json
import re
import shutil
from pathlib import Path

import jsonschema
import pytest
import yaml
from conftest import FIXTURES, ROOT, Outcome, run

from rollout_status_lib.declarations import DECISIONS, PARAMETER_TYPES, Code, Current, Kind, Parameter, Part, Revisions, Rule, Stage, Step
from rollout_status_lib.expressions import Expression
from rollout_status_lib.interpreter import find_paths, format_path
from rollout_status_lib.rule_schema import get_choices, get_keys
from rollout_status_lib.rulefile import Document
from rollout_status_lib.rules import Rules
from rollout_status_lib.verbs.fields import FIELDS, collect_fields, write_fields

BROKEN = sorted((ROOT / "tests" / "broken-rules").glob("*.yaml"))
GOOD = sorted((ROOT / "tests" / "good-rules").glob("*.yaml"))
CRASH = FIXTURES / "deployment/crash-loop"


# ---------------------------------------------------------------------------------------------------------------- lint


@pytest.mark.parametrize("path", BROKEN, ids=lambda path: path.stem)
def test_broken_file(path: Path) -> None:
    """Each mistake is found once, with file, line and remedy, and nothing else is."""
    outcome = run("lint", str(path))
    findings = outcome.stdout.splitlines()[:-1]
    expected = re.findall(r"^# expect: (\d+): (.*)$", path.read_text(), re.MULTILINE)
    for line, words in expected:
        hits = [
            finding
            for finding in findings
            if finding.startswith(f"{path}:{line}: ") and all(word in finding.partition(": ")[2] for word in words.split(" | "))
        ]
        assert hits, (line, words, findings)
        findings.remove(hits[0])
    assert (findings, outcome.exit, outcome.stderr) == ([], 1, "")
    assert outcome.stdout.splitlines()[-1] == ("1 finding" if len(expected) == 1 else f"{len(expected)} findings")


@pytest.mark.parametrize("path", GOOD, ids=lambda path: path.stem)
def test_good_file(path: Path) -> None:
    assert run("lint", str(path)) == Outcome(0, {}, "no findings\n", "")


def test_built_in_rules_and_all_good_files_together() -> None:
    assert re.fullmatch(r"these may wait for ever \(endless: true\): [\w, -]+\nno findings\n", run("lint").stdout)
    assert run("lint", *(str(path) for path in GOOD if path.stem not in ("standalone", "workload"))).exit == 0


def test_file_that_does_not_exist_and_folder_without_rules(tmp_path: Path) -> None:
    missing = run("lint", str(tmp_path / "no.yaml"))
    assert (missing.exit, missing.stdout, missing.stderr) == (2, "\n", f"rollout-status lint: there is no {tmp_path}/no.yaml\n")
    assert "has no .yaml file in it" in run("lint", str(tmp_path)).stderr
    (tmp_path / "team.yml").write_text("version: 1\n")
    assert run("lint", str(tmp_path)).stdout == "no findings\n"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\xff\xfe", "team.yaml:1: cannot be read: byte 0xff is not UTF-8"),
        (b"", "team.yaml:1: the file is empty, so no rule of it counts"),
        (b"let: {a: b}", "team.yaml:1: version is missing: write version: 1 at its top"),
        (b"version: 1\nlet: {}\n# caf\xe9\n", "team.yaml:3: cannot be read: byte 0xe9 is not UTF-8: save the file"),
        (b"version: 1\nlet: " + b"[" * 2000 + b"]" * 2000, "cannot be read: it is nested too deeply"),
        (b"a: \x07", "team.yaml:1: cannot be read: "),
        (b"version: 1\nlet: {a: b", "team.yaml:2: cannot be read: a { is opened here and not closed"),
        (b"version: 1\n[a]: b", "team.yaml:2: unknown key {...}"),
    ],
)
def test_file_that_is_none(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "team.yaml").write_bytes(content)
    assert words in run("lint", str(tmp_path / "team.yaml")).stdout


CRD = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.example.com}
spec:
  group: example.com
  names: {plural: widgets, kind: Widget}
  versions:
  - {name: v2, storage: true, schema: {openAPIV3Schema: {type: object, required: [spec], properties: {
      spec: {type: object, required: [replicas], properties: {replicas: {type: integer}, size: {type: integer, default: 3},
        parts: {type: array, items: {type: object, properties: {ready: {type: boolean}}}}, free: {type: object}}},
      status: {type: object, properties: {phase: {type: string}%s}}}}}}
  - {name: v1, storage: false, schema: {openAPIV3Schema: {type: object}}}
"""
WIDGET = """version: 1
kinds:
- {name: widget, resource: widgets.example.com}
rules:
- id: acme/widget
  subject: widget
  when: %s
  verdict: wait
"""


@pytest.mark.parametrize(
    ("observed", "when", "words"),
    [
        ("", "widget.status.phase != 'Ready'", ""),
        (", observedGeneration: {type: integer}", "widget.status.phase != 'Ready'", "look at its phase and at no observedGeneration"),
        ("", "widget.status.observedGeneration != widget.metadata.generation", "there is no widget.status.observedGeneration"),
        ("", "widget.status.phse != 'Ready'", "there is no widget.status.phse; did you mean phase?"),
        ("", "widget.spec.replicas < `3` || widget.spec.size < `3` || widget.spec.free.a == 'x'", ""),
        ("", "widget.spec.parts[?ready == 'true']", "'true' is a text: write `true`"),
        (", other: {type: object, additionalProperties: true}", "widget.status.other.x.y == 'x'", ""),
    ],
)
def test_lint_knows_a_kind_by_its_definition(tmp_path: Path, observed: str, when: str, words: str) -> None:
    (tmp_path / "team.yaml").write_text(WIDGET % when)
    (tmp_path / "crd.yaml").write_text(CRD % observed)
    found = run("lint", str(tmp_path / "team.yaml"), "--crd", str(tmp_path / "crd.yaml"))
    assert (found.exit, words in found.stdout) == (int(bool(words)), True)
    listed = json.dumps({"kind": "List", "items": [*yaml.safe_load_all(CRD % observed)]})
    (tmp_path / "crd.yaml").write_text(listed)
    assert run("lint", str(tmp_path / "team.yaml"), "--crd", str(tmp_path / "crd.yaml")).stdout == found.stdout


def test_lint_takes_a_definition_of_several_versions_of_which_one_says_nothing(tmp_path: Path) -> None:
    """And a field that nothing is said of may have any fields."""
    crd = yaml.safe_load(CRD % "")
    crd["spec"]["versions"].append({"name": "v0", "storage": False})
    crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["status"]["properties"]["free"] = None
    (tmp_path / "crd.yaml").write_text(json.dumps(crd))
    (tmp_path / "team.yaml").write_text(WIDGET % "widget.status.free.a.b != 'Ready' || widget.status.phase != 'Ready'")
    found = run("lint", str(tmp_path / "team.yaml"), "--crd", str(tmp_path / "crd.yaml"))
    assert found.stdout == "no findings\n"


def test_lint_of_a_definition_that_is_nested_without_end(tmp_path: Path) -> None:
    crd = yaml.safe_load(CRD % "")
    crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"] = "DEEP"
    deep = '{"type": "object", "properties": {"a": ' * 1200 + "{}" + "}}" * 1200
    (tmp_path / "crd.yaml").write_text(json.dumps(crd).replace('"DEEP"', deep))
    (tmp_path / "team.yaml").write_text(WIDGET % "widget.status.phase != 'Ready'")
    found = run("lint", str(tmp_path / "team.yaml"), "--crd", str(tmp_path / "crd.yaml"))
    assert (found.exit, found.stderr) == (2, "rollout-status lint: what it was given is nested too deeply\n")


def test_lint_of_a_long_expression_that_cannot_be_parsed(tmp_path: Path) -> None:
    """To look for a slip would take long: where it stops making sense is said."""
    (tmp_path / "team.yaml").write_text(WIDGET % ("widget.spec.a == 'x' || " * 100 + "widget."))
    assert "team.yaml:7: acme/widget: when: it ends too early" in run("lint", str(tmp_path / "team.yaml")).stdout


@pytest.mark.parametrize("text", ["{", "kind: Deployment", "[]", "kind: CustomResourceDefinition", "", "- a"])
def test_lint_refuses_what_is_no_definition(tmp_path: Path, text: str) -> None:
    (tmp_path / "crd.yaml").write_text(text)
    found = run("lint", "--crd", str(tmp_path / "crd.yaml"))
    assert (found.exit, "crd.yaml" in found.stderr) == (2, True)


def test_the_remedy_for_a_phase_names_both_ways(tmp_path: Path) -> None:
    (tmp_path / "team.yaml").write_text(WIDGET % "widget.status.phase != 'Ready'")
    found = run("lint", str(tmp_path / "team.yaml")).stdout
    assert "; or, if its status has none, observes: false on the kind (lint --crd FILE knows)" in found


# ---------------------------------------------------------------------------------------------------------------- test


@pytest.fixture
def case(tmp_path: Path) -> Path:
    """A copy of a case, to be changed."""
    return Path(shutil.copytree(CRASH, tmp_path / "case"))


def change(case: Path, **fields: object) -> None:
    (case / "case.yaml").write_text(yaml.safe_dump({**yaml.safe_load((case / "case.yaml").read_text()), **fields}, sort_keys=False))


def test_case_that_passes(case: Path) -> None:
    outcome = run("test", str(case))
    assert outcome.exit == 0
    assert outcome.stdout == "1 case, 0 failed\n"
    assert run("test", str(case), "--strict").exit == 1


def test_case_that_fails_shows_the_difference(case: Path) -> None:
    change(case, args=["--retry-limit", "-1", "--timeout", "1s"])
    outcome = run("test", str(case))
    assert outcome.exit == 1
    for line in ("case: failed: The container has no", "  -exit: 1", "  +exit: 3", "1 case, 1 failed"):
        assert line in outcome.stdout
    change(case, about="")
    assert "case: failed\n" in run("test", str(case)).stdout


def test_update_writes_what_came_and_keeps_the_rest(case: Path) -> None:
    before = yaml.safe_load((case / "case.yaml").read_text())
    assert "written" not in run("test", str(case), "--update").stdout
    change(case, expect={})
    assert "case: written" in run("test", str(case), "--update").stdout
    assert yaml.safe_load((case / "case.yaml").read_text()) == before


def test_case_with_mistakes(case: Path) -> None:
    expect = yaml.safe_load((case / "case.yaml").read_text())["expect"]
    change(case, expect={**expect, "rules": ["container-crashloop"]}, not_before="2036-01-01T00:00:00Z")
    shutil.copy(case / "001.json", case / "999.json")
    outcome = run("test", str(case))
    for words in (
        "unknown rule container-crashloop; did you mean container-crash-loop?",
        "999.json is not used",
        "the verdict came before 2036",
    ):
        assert words in outcome.stdout
    change(case, abuot="x")
    assert re.search(r"case.yaml:\d+: unknown key abuot; did you mean about\?", run("test", str(case)).stderr)
    assert "no case.yaml in or below" in run("test", str(ROOT / "rules")).stderr


def test_case_that_cannot_be_judged(case: Path, tmp_path: Path) -> None:
    change(case, args=["--nonsense"])
    assert "unknown flag --nonsense" in run("test", str(case)).stdout
    shutil.rmtree(case)
    assert run("test", str(shutil.copytree(FIXTURES / "kubectl/forbidden", case))).exit == 0
    shutil.rmtree(case)
    assert run("test", str(shutil.copytree(FIXTURES / "selection/pipe-created-anew", case))).exit == 0


def test_cases_of_a_team(case: Path, tmp_path: Path) -> None:
    """Only its own rules need cases."""
    rules = tmp_path / "team.yaml"
    rules.write_text(
        "version: 1\nrules:\n- {id: acme/seen, subject: container, when: container.name == 'main', verdict: note}\n"
        "- {id: acme/never, subject: container, when: container.name == 'x', verdict: note}\n"
    )
    outcome = run("test", str(case), "--rules", str(rules))
    assert "team.yaml:3: acme/seen: no case in which its subject is judged and it does not hold" in outcome.stdout
    assert "team.yaml:4: acme/never: no case in which it holds" in outcome.stdout
    assert "2 rules without a case" in outcome.stdout


@pytest.mark.parametrize(
    ("expect", "shown"),
    [
        ({"exit": 1}, ""),
        ({"code": "process-crashing", "rules": ["container-crash-loop"]}, ""),
        ({"message": {"contains": "main"}}, ""),
        ({"message": {"contains": ["main", "ontainer"]}, "exit": 1}, ""),
        ({"exit": 0, "code": "success"}, "+code: process-crashing"),
        ({"message": {"contains": ["main", "nothing of it"]}}, "+message: "),
        ({"message": "main"}, "+message: "),
        ({"rules": ["deployment-paused"]}, "-- deployment-paused"),
    ],
)
def test_case_that_expects_a_part(case: Path, expect: dict[str, object], shown: str) -> None:
    change(case, expect=expect)
    outcome = run("test", str(case))
    assert (outcome.exit, shown in outcome.stdout) == (int(bool(shown)), True)
    before = (case / "case.yaml").read_text()
    run("test", str(case), "--update")
    assert ((case / "case.yaml").read_text() == before) is not bool(shown)  # what agrees stays; what does not becomes exact


@pytest.mark.parametrize("message", [{"contians": "x"}, {"contains": {"a": "b"}}])
def test_case_that_expects_an_impossible_part(case: Path, message: object) -> None:
    change(case, expect={"message": message})
    assert re.search(r"case.yaml:\d+: ", run("test", str(case)).stderr)


def test_cases_of_the_current_folder_come_first(case: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(case.parent)
    assert run("test").stdout == "1 case, 0 failed\n"
    (case / "case.yaml").unlink()
    assert (
        f"no case.yaml in or below {case}: write `args: []` into {case}/case.yaml, and then test it with --update"
        in run("test", str(case)).stderr
    )
    shutil.rmtree(case)
    assert "no case.yaml in or below the current folder: rollout-status new-rule makes one of a recording" in run("test").stderr
    copied = run("fixtures", "copied")
    assert re.match(r"copied: \d+ cases; rollout-status test copied --against team.yaml\n", copied.stdout)
    assert (tmp_path / "copied" / "deployment" / "crash-loop" / "case.yaml").is_file()
    assert "copied cannot be written: " in run("fixtures", "copied").stderr


def test_an_installed_program_says_where_the_fixtures_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rollout_status_lib.verbs.fixtures.find_data", lambda name: tmp_path / "data" / name)
    assert "get the source of version" in run("fixtures", str(tmp_path / "x")).stderr


# ------------------------------------------------------------------------------------------------------------ new-rule


@pytest.mark.parametrize(
    ("of", "when", "rule"),
    [
        ("deployment/crash-loop container", "container.state.waiting.reason == 'CrashLoopBackOff'", "container-crash-loop-back-off"),
        ("deployment/crash-loop deployment", "condition(deployment, 'Available').status == 'False'", "deployment-false"),
        ("deployment/success container", "container.name == ", "container-"),
        ("deployment/success replicaset", "replicaset.metadata.name == ", "replicaset-web-"),
    ],
)
def test_a_new_rule_is_ready_to_lint_and_to_test(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, of: str, when: str, rule: str) -> None:
    monkeypatch.chdir(tmp_path)
    recording, kind = of.split()
    shutil.copytree(FIXTURES / recording, "rec")
    Path("rec/case.yaml").unlink()
    outcome = run("new-rule", "--replay", "rec", "--subject", kind)
    assert outcome.stdout.startswith(f"team.yaml: acme/{rule}")
    assert when in Path("team.yaml").read_text()
    assert run("lint", "team.yaml").stdout == "no findings\n"
    assert run("test", "rec").stdout == "1 case, 0 failed\n"
    expected = yaml.safe_load(Path("rec/case.yaml").read_text())["expect"]
    assert any(held.startswith(f"acme/{rule}") for held in expected["rules"])
    assert "team.yaml already exists: remove it, or name another --file" in run("new-rule", "--replay", "rec", "--subject", kind).stderr
    again = run("new-rule", "--replay", "rec", "--subject", kind, "--file", "b.yaml")
    assert "rec/case.yaml already exists: remove it, or name another recording" in again.stderr


def test_a_new_rule_beside_a_rule_that_has_no_value(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is written, and its case expects nothing yet: nobody expects an error of the rules."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(FIXTURES / "deployment/crash-loop", "rec")
    Path("rec/case.yaml").unlink()
    other = {"id": "acme/other", "subject": "pod", "when": "pod.spec.nothing > `3`", "verdict": "note", "message": "it is so"}
    Path("other.yaml").write_text(json.dumps({"version": 1, "rules": [other]}))
    monkeypatch.setenv("ROLLOUT_STATUS_RULES", "other.yaml")
    assert run("new-rule", "--replay", "rec", "--subject", "container").exit == 0
    assert "expect" not in yaml.safe_load(Path("rec/case.yaml").read_text())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--replay", "nowhere", "--subject", "pod"), "nowhere is not a recording: run with --record nowhere first"),
        (("--replay", "rec", "--subject", "contaner"), "unknown subject contaner; did you mean container?"),
        (("--replay", "rec", "--subject", "job"), "there is no job in the recording; there is container, deployment, pod, replicaset"),
        (("--replay", "rec", "--subject", "pod", "--id", "Broken"), "--id Broken: invalid id: write it like acme/broken"),
        (("--replay", "rec", "--subject", "pod", "--file", "rec/001.json/x.yaml"), "cannot be written"),
        (("--replay", "rec"), "--subject"),
        (("--replay", "down", "--subject", "pod"), "new-rule: kubectl has no cluster to ask"),
    ],
)
def test_what_no_rule_can_be_made_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], words: str) -> None:
    monkeypatch.chdir(tmp_path)
    for name, case in (("rec", "deployment/crash-loop"), ("down", "kubectl/unconfigured")):
        shutil.copytree(FIXTURES / case, name)
        Path(name, "case.yaml").unlink()
    outcome = run("new-rule", *arguments)
    assert outcome.exit != 0
    assert words in outcome.stderr


def test_against_other_rules(case: Path, tmp_path: Path) -> None:
    team = tmp_path / "team.yaml"
    team.write_text("version: 1\noverride: {container-crash-loop: {code: acme/crash}}\n")
    assert run("test", str(case), "--against", "builtin").stdout == "1 case, 0 differ\n"
    assert "case: exit 1 acme/crash -> exit 1 process-crashing\n" in run("test", str(case), "--against", str(team)).stdout
    team.write_text("version: 1\noverride: {container-crash-loop: {message: other}}\n")
    assert "exit 1 process-crashing, with other words or rules\n" in run("test", str(case), "--against", str(team)).stdout
    shutil.copytree(ROOT / "rules", tmp_path / "rules")
    assert run("test", str(case), "--against", str(tmp_path / "rules")).stdout == "1 case, 0 differ\n"


# --------------------------------------------------------------------------------------------------------------- rules


def test_list_of_rules() -> None:
    lines = run("rules").stdout.splitlines()
    assert len(lines) == len(Rules(ROOT / "rules", packs=None).rules)
    assert re.search(
        r"container-crash-loop +container +wait, then fail +.*process-crashing.* +.*container.yaml:\d+$", "\n".join(lines), re.MULTILINE
    )
    assert any("wait, fail after params." in line for line in lines)


def test_one_rule_with_where_its_fields_come_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    team = tmp_path / "team.yaml"
    team.write_text("version: 1\noverride:\n  container-crash-loop:\n    hint: |\n      see\n      the runbook\n    verdict: note\n")
    monkeypatch.setenv("ROLLOUT_STATUS_RULES", str(team))
    outcome = run("rules", "container-crash-loop")
    assert f"# {team}:4\nhint: |\n  see\n  the runbook\n" in outcome.stdout
    assert re.search(r"# rules/container.yaml:\d+\nwhen: ", outcome.stdout)
    assert "fail_when" not in outcome.stdout
    assert "container-crash-loop waits for less, or not any more: success may come earlier" in outcome.stderr


def test_rule_that_is_none() -> None:
    outcome = run("rules", "container-crashloop")
    assert (outcome.exit, outcome.stderr) == (
        2,
        "rollout-status rules: unknown rule container-crashloop; did you mean container-crash-loop?\n",
    )
    assert "(rollout-status --help)" in run("rules", "--nonsense").stderr


def test_generated_files_are_current() -> None:
    """`make docs` writes them."""
    assert run("rules", "--markdown").stdout == (ROOT / "docs" / "rules.md").read_text()
    assert json.loads(FIELDS.read_text()) == collect_fields()


def test_fields_are_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_fields(tmp_path / "fields.json")
    assert (tmp_path / "fields.json").read_text() == FIELDS.read_text()


def test_page_of_a_teams_rules(tmp_path: Path) -> None:
    (tmp_path / "team.yaml").write_text("version: 1\nrules:\n- {id: acme/a, subject: pod, when: pod.metadata.name == 'a', verdict: wait}\n")
    page = run("rules", "--markdown", "--rules", str(tmp_path)).stdout
    assert f"## {tmp_path}/team.yaml" in page
    assert "| `acme/a` | pod | wait |" in page


# --------------------------------------------------------------------------------------------------- query and explain


def test_query() -> None:
    outcome = run("query", "container.restartCount", "--subject", "container", "--replay", str(CRASH), "--retry-limit=1", "--quiet")
    assert (outcome.exit, outcome.stdout) == (0, "Pod/r-deployment-crash-loop/app-7c7f66ddc6-qwhsn/main: 1\n") or outcome.stdout.count(": ")
    inline = run("query", "events[].reason", "--subject=pod", "--replay", str(CRASH), "--quiet", "--retry-limit=1")
    assert (inline.exit, inline.stdout.startswith("Pod/r-deployment-crash-loop/app-7c7f66ddc6-qwhsn: [")) == (0, True)
    assert run("query", "self", "--subject", "job", "--replay", str(CRASH), "--quiet") == Outcome(1, {}, "there is no job\n", "")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "write rollout-status query EXPR --subject KIND"),
        (["self"], "write rollout-status query EXPR --subject KIND"),
        (["self", "--subject"], "write rollout-status query EXPR --subject KIND"),
        (["--subject", "pod"], "write rollout-status query EXPR --subject KIND"),
        (["self", "--subject", "prod", "--replay", str(CRASH), "--quiet"], "unknown subject prod; did you mean pod?"),
        (["self = 1", "--subject", "pod", "--replay", str(CRASH)], "write == for `equals`"),
        (["pood.x", "--subject", "pod", "--replay", str(CRASH), "--quiet"], "no root pood; did you mean pod?"),
        (["self", "--subject", "pod", "--replay", "nowhere", "--quiet"], "nowhere"),
        (["self", "--subject", "pod", "--quiet", "--kubectl", "/no/kubectl"], "/no/kubectl"),
    ],
)
def test_query_that_cannot_be_answered(arguments: list[str], words: str) -> None:
    outcome = run("query", *arguments)
    assert outcome.exit in (2, 4)
    assert words in outcome.stderr


def explained(case: str, *arguments: str) -> str:
    return run("explain", "--replay", str(FIXTURES / case), "--quiet", *arguments).stdout


def test_explain() -> None:
    text = explained("deployment/crash-loop", "--retry-limit", "1")
    assert re.search(r"^deployment app: \d+ rules, of which \d+ hold$", text, re.MULTILINE)
    assert re.search(r"^ +fail: container-crash-loop \(rules/container.yaml:\d+\): Container \"main\"", text, re.MULTILINE)
    assert "params.retry_limit = 1 (from a flag)" in text
    assert "container.restartCount = " in text
    assert "(filled in: Kubernetes leaves a 0 out)" in text
    assert "params.retry_limit = 6 (from " not in text
    assert run("explain", "--replay", "nowhere").exit == 2


def test_explain_where_parameters_come_from(tmp_path: Path) -> None:
    (tmp_path / "team.yaml").write_text("version: 1\nparams:\n  retry_limit: 1\n")
    assert f"params.retry_limit = 1 (from {tmp_path}/team.yaml:3)" in explained(
        "deployment/crash-loop", "--rules", str(tmp_path / "team.yaml")
    )
    assert "(from the annotation rollout-status/retry-limit)" in explained("workload/annotation-retry-limit")


def test_explain_nearly() -> None:
    text = explained("deployment/crash-loop", "--retry-limit", "1", "--nearly")
    assert re.search(r"nearly: deployment-[a-z-]+ \(\S+:\d+\): all of its `when` holds, but for this part:\n +\S.* = ", text)
    assert "nearly" not in explained("deployment/crash-loop", "--retry-limit", "1")
    assert "[--nearly]" in run("explain", "--help").stdout
    for case in ("deployment/two-equal-replicasets", "statefulset/blocked-by-old-pod", "generic/failed", "job/backoff-limit"):
        assert explained(case, "--nearly")


def test_explain_what_is_not_judged() -> None:
    assert "of another revision, not judged" in explained("deployment/fixed-after-broken")
    assert ", not of the current revision" in explained("statefulset/blocked-by-old-pod")


# -------------------------------------------------------------------------------------------------------------- schema

SCHEMA = json.loads((ROOT / "rules" / "rules.schema.json").read_text())


@pytest.mark.parametrize(
    "path", [*sorted((ROOT / "rules").glob("*.yaml")), *sorted((ROOT / "rules/packs").glob("*.yaml")), *GOOD], ids=lambda path: path.stem
)
def test_rule_files_satisfy_the_schema_of_editors(path: Path) -> None:
    jsonschema.Draft7Validator(SCHEMA).validate(Document(path, "usage").content)


@pytest.mark.parametrize(
    ("path", "declared", "renamed", "unread"),
    [
        (["code"], Code, {"name": "code", "rank": "", "written": "as"}, {"text", "docs"}),
        (["param"], Parameter, {"name": ""}, {"doc"}),
        (["rule"], Rule, {"subjects": "subject", "where": "", "common": "", "teams": ""}, {"aliases", "docs"}),
        (["kind"], Kind, {}, set()),
        (["kind", "current"], Current, {"of_child": "compare", "of_parent": "compare", "without": "except"}, set()),
        (["kind", "parts"], Part, {}, set()),
        (["kind", "stages"], Stage, {}, set()),
        (["kind", "revisions"], Revisions, {"without": "except"}, set()),
        (["step"], Step, {}, set()),
    ],
    ids=["code", "param", "rule", "kind", "current", "parts", "stages", "revisions", "step"],
)
def test_schema_has_the_fields_that_the_program_reads(path: list[str], declared: type, renamed: dict[str, str], unread: set[str]) -> None:
    """`renamed`: fields under another name in rule files, or computed; `unread`: keys that only people read, or that are used at once."""
    assert set(get_keys(*path)) == {renamed.get(name, name) for name in declared.__slots__} - {""} | unread


def test_schema_refuses_other_keys() -> None:
    jsonschema.Draft7Validator.check_schema(SCHEMA)
    parts = SCHEMA["definitions"]
    kind = parts["kind"]["properties"]
    for part in (SCHEMA, *(part for part in parts.values() if "properties" in part), kind["stages"]["items"], kind["revisions"]):
        assert part["additionalProperties"] is False
    assert set(get_keys("override")) == set(get_keys("rule")) - {"id"}
    assert get_choices("param", "type") == tuple(PARAMETER_TYPES)
    assert {*DECISIONS} == {key for way in parts["rule"]["oneOf"] for key in way["required"]}
    described = [field for part in (SCHEMA, *parts.values()) for field in part.get("properties", {}).values()]
    assert all("description" in field or "$ref" in field for field in described)


def test_paths_of_an_expression_that_refers_to_another() -> None:
    """What is behind & begins at an entry, and is no path from a root."""
    tree = Expression.parse("sort_by(pod.spec.containers, &name)", "test").tree
    assert [format_path(node) for node in find_paths(tree)] == ["pod.spec.containers"]


def test_lint_and_rules_name_what_may_wait_for_ever(tmp_path: Path) -> None:
    """For a team its own rules, and no finding; for `rules` in the column of what a rule says."""
    team = tmp_path / "team.yaml"
    rule = "{id: acme/queue, subject: job, verdict: wait, endless: true, message: It queues, when: job.spec.suspend == `true`}"
    team.write_text(f"version: 1\nrules:\n- {rule}\n")
    outcome = run("lint", str(team))
    assert (outcome.exit, outcome.stdout) == (0, "these may wait for ever (endless: true): acme/queue\nno findings\n")
    assert re.search(r"^job-running +job +wait, endless ", run("rules").stdout, re.MULTILINE)
