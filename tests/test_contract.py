"""What is printed satisfies schema.json, or is the verdict alone, with exit code 70."""

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import FIXTURES, ROOT, SCHEMA, Program, copy_program, environment, run, snapshot

from rollout_status_lib.contract import LONGEST_PROBLEM, enforce, load_schema
from rollout_status_lib.errors import RolloutError
from rollout_status_lib.interrupts import Interrupted

FAILS = ("--replay", str(FIXTURES / "deployment/crash-loop"), "--retry-limit", "1", "--quiet")
SUCCEEDS = ("--replay", str(FIXTURES / "deployment/success"), "--quiet")
FAILURE = {
    "success": False,
    "error": {"code": "process-crashing", "type": "rollout", "message": 'Container "main" is in "Error"'},
}
NO_WORKLOAD = {"definitions": {**SCHEMA["definitions"], "workload": {"properties": {"status": False}}}}  # no status may be there


def forbid(tmp_path: Path, change: dict[str, Any] | str) -> Path:
    """A copy of the program with another schema.json: what differs from ours, or the text of the file."""
    program = copy_program(tmp_path / "copy")
    text = change if isinstance(change, str) else json.dumps({**SCHEMA, **change})
    program.with_name("schema.json").write_text(text)
    return program


def breaking(tmp_path: Path, line: str) -> Path:
    """A copy of the program that has another line before it returns its `result`."""
    program = copy_program(tmp_path / "copy")
    path = program.parent / "rollout_status_lib" / "result.py"
    text = re.sub(r'(?m)^(?=    return result \| \{"elapsedSeconds")', f"    {line}\n", path.read_text(), count=1)
    assert line in text
    path.write_text(text)
    return program


def call(program: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(program), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment(**variables), timeout=120)


# ------------------------------------------------------------------------------------------------ the smallest document


def test_a_result_that_schema_json_forbids_is_cut_down_to_its_verdict(tmp_path: Path) -> None:
    program = forbid(tmp_path, NO_WORKLOAD)
    done = call(program, *FAILS)
    result = json.loads(done.stdout)
    (note,) = result.pop("notes")
    assert (done.returncode, result) == (70, FAILURE)
    assert note.startswith("The result is cut down to its verdict, since the whole one does not satisfy schema.json: $.workloads[0]")
    assert done.stderr == f"rollout-status: {note}\n"
    done = call(program, *SUCCEEDS)
    assert (done.returncode, json.loads(done.stdout)) == (70, {"success": True, "notes": [note.replace("failed", "ready")]})


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("errors[0].pop('code')", "$.error: 'code' is a required property"),
        ("result['notes'] = {1}", "could not be validated: Object of type set is not JSON serializable"),
        ("elapsed = float('nan')", "could not be validated: Out of range float values are not JSON compliant"),
        ("import datetime; errors[0]['log'] = datetime.datetime.now()", "Object of type datetime is not JSON serializable"),
        ("result['workloads'] += [result]", "Circular reference detected"),
        ("result['success'] = True", "$.success: False was expected"),
        ("result['notes'] = 'x' * 10_000_000", "$.notes: 'xxx"),
        ("polls = -1", "$.polls: -1 is less than the minimum of 0"),
    ],
)
def test_a_result_that_is_broken_is_cut_down_to_its_verdict(tmp_path: Path, line: str, words: str) -> None:
    done = call(breaking(tmp_path, line), *FAILS)
    result = json.loads(done.stdout)
    (note,) = result.pop("notes")
    code = "internal" if "code" in line else FAILURE["error"]["code"]
    assert (done.returncode, result) == (70, {**FAILURE, "error": {**FAILURE["error"], "code": code}})
    assert words in note
    assert len(done.stderr) < 2 * LONGEST_PROBLEM


def test_what_an_error_does_not_say_is_said() -> None:
    """No verdict is a success that does not say so, nor one with an error."""
    lost = {"success": False, "error": {"code": "internal", "type": "program", "message": "The rollout did not succeed"}}
    for document in (
        {},
        {"success": None},
        {"success": True, "error": None, "polls": "x"},
        {"success": False},
        {"success": True, "error": 5},
    ):
        smallest, sentence = enforce(document)
        assert smallest == ({"success": True} if "polls" in document else lost) | {"notes": [sentence]}


def test_what_satisfies_the_schema_leaves_as_it_is() -> None:
    document = {"success": True, "notes": ("a list, in JSON",)}
    assert enforce(document) == (document, "")
    assert enforce(document)[0] is document


def test_a_signal_is_no_reason_to_cut_a_result_down() -> None:
    class Stopping(dict[str, Any]):
        def items(self) -> Any:
            raise Interrupted(2)

    with pytest.raises(Interrupted):
        enforce(Stopping(success=True))


# ------------------------------------------------------------------------------------------------------- in every mode


@pytest.mark.parametrize(
    "arguments",
    [
        ("demo", "--quiet"),
        ("explain", *FAILS),
        ("query", "self", "--subject", "pod", *FAILS),
        ("report", FAILS[1], "-o", "report.md", *FAILS[2:]),
        ("test", FAILS[1]),
        ("--nonsense",),
        (*FAILS, "-o", "text"),
    ],
)
def test_each_mode_validates(tmp_path: Path, arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = call(forbid(tmp_path, {"properties": {"success": False}}), *arguments)
    assert done.returncode == 70
    assert "The result is cut down to its verdict" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert "Traceback" not in done.stderr


def test_a_live_run_validates_and_keeps_its_dump(tmp_path: Path, kubectl: Program) -> None:
    """Also after a success: the exit code is none, and somebody will want to see it again."""
    program = forbid(tmp_path, NO_WORKLOAD)
    fake = kubectl(f"cat {snapshot('deployment/success')}")
    done = call(program, "--kubectl", fake, "--once", "deployment/web", "--dump", str(tmp_path / "dump"))
    assert (done.returncode, json.loads(done.stdout)["success"]) == (70, True)
    assert (tmp_path / "dump" / "recording.yaml").is_file()


def test_reports_and_views_tell_what_was_validated(tmp_path: Path) -> None:
    program, names = forbid(tmp_path, NO_WORKLOAD), [str(tmp_path / f"report.{ending}") for ending in ("html", "md", "xml")]
    reports = [f"--report={name}" for name in names]
    done = call(program, *FAILS[:-1], "--ci", "github", *reports, GITHUB_STEP_SUMMARY=str(tmp_path / "summary"))
    assert done.returncode == 70
    (told,) = (line for line in done.stderr.splitlines() if line.startswith("::error title=process-crashing::"))
    assert "FATAL" not in told  # the log is no part of the verdict
    for name in (*names[:2], str(tmp_path / "summary")):
        assert "The result is cut down to its verdict" in Path(name).read_text()
    assert 'type="process-crashing"' in Path(names[2]).read_text()


def test_notes_that_come_later_are_validated_too(tmp_path: Path) -> None:
    """Here that the step summary cannot be written: the result was whole before."""
    done = call(
        forbid(tmp_path, {"properties": {**SCHEMA["properties"], "notes": False}}), *FAILS[:-1], "--ci=github", GITHUB_STEP_SUMMARY="/"
    )
    result = json.loads(done.stdout)
    assert (done.returncode, result["error"]) == (70, FAILURE["error"])
    assert "False schema does not allow" in result["notes"][0]


def test_a_view_that_fails_takes_no_verdict_with_it() -> None:
    script = (
        "import sys, rollout_status, rollout_status_lib.views.ci as ci\n"
        "ci.Github.conclude = lambda self, result: {}['a bug']\n"
        "sys.exit(rollout_status.main(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", script, *FAILS, "--ci=github"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert (done.returncode, json.loads(done.stdout)["notes"]) == (1, ["the result could not be shown on stderr: 'a bug'"])


# ---------------------------------------------------------------------------------------- a schema.json that is none


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is no JSON schema: Expecting value"),
        ("[]", "is no JSON schema: [] is not of type 'object', 'boolean'"),
        ('{"type": 5}', "is no JSON schema: 5 is not valid"),
    ],
)
def test_a_schema_that_is_none_ends_the_run_before_it_waits(tmp_path: Path, text: str, words: str, kubectl: Program) -> None:
    program = forbid(tmp_path, text)
    for arguments in (FAILS, ("--kubectl", kubectl('echo "{\\"kind\\": \\"List\\", \\"items\\": []}"'), "--wait-for-create", "1h")):
        done = call(program, *arguments)
        result = json.loads(done.stdout)
        assert (done.returncode, sorted(result), result["error"]["code"]) == (70, ["error", "success"], "internal")
        assert words in result["error"]["message"]
        assert done.stderr.splitlines()[-1] == f"rollout-status: {result['error']['message']}"


@pytest.mark.parametrize("change", [{"$ref": "#"}, {"properties": {"error": {"$ref": "#/nowhere"}}}])
def test_a_schema_that_jsonschema_stumbles_over_costs_no_verdict(tmp_path: Path, change: dict[str, Any]) -> None:
    done = call(forbid(tmp_path, change), *FAILS)
    result = json.loads(done.stdout)
    assert (done.returncode, result["error"]) == (70, FAILURE["error"])
    assert "could not be validated" in result["notes"][0]


@pytest.fixture
def another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Puts another schema.json into the place of ours, in this process."""

    def write(text: str) -> None:
        (tmp_path / "schema.json").write_text(text)
        load_schema.cache_clear()
        monkeypatch.setattr("rollout_status_lib.contract.find_data", tmp_path.joinpath)

    yield write
    load_schema.cache_clear()


def test_what_is_wrong_with_the_schema(another: Callable[[str], None], monkeypatch: pytest.MonkeyPatch) -> None:
    for text, words in (("{", "is no JSON schema: Expecting"), ('{"type": 5}', "is no JSON schema: 5 is not valid")):
        another(text)
        with pytest.raises(RolloutError, match=words):
            load_schema()
    another("false")
    outcome = run(*SUCCEEDS, "-o", "text")
    assert (outcome.exit, outcome.stdout.partition("\n")[0]) == (70, "The rollout succeeded")
    assert "False schema does not allow" in outcome.stderr
    assert run("explain", *SUCCEEDS).stderr.startswith("rollout-status explain: The result is cut down")
    assert run("query", "self", "--subject", "pod", *SUCCEEDS).exit == 70
    another("{}")
    monkeypatch.setitem(sys.modules, "jsonschema", None)
    outcome = run(*SUCCEEDS)
    assert (outcome.exit, sorted(outcome.result)) == (70, ["error", "success"])
    assert "python3 -m pip install jsonschema" in outcome.error["message"]
