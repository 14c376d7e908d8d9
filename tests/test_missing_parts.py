"""A program of which a part is missing says so: a line on stderr, one document where it is a run, exit code 70."""

import ast
import importlib.util
import io
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

import pytest
import yaml
from conftest import FIXTURES, ROOT, Program, copy_program, environment, run, snapshot

import rollout_status_start as start
from rollout_status_lib.arguments import build_parser
from rollout_status_lib.errors import RolloutError
from rollout_status_lib.interrupts import Interrupted
from rollout_status_lib.rule_schema import read_schema
from rollout_status_lib.rules import Rules
from rollout_status_lib.verbs import run_verb
from rollout_status_lib.views import choose_progress
from rollout_status_start import VERBS

CRASH = FIXTURES / "deployment/crash-loop"
FAILS = ("--replay", str(CRASH), "--retry-limit", "1", "--quiet")
NEEDED = ("jmespath", "yaml", "_yaml", "sh", "jsonschema", "jsonschema_specifications", "referencing", "rpds", "attr", "attrs")
COPY = "copy the whole program (cp -r rollout_status* rules schema.json"
INSTALL = "install what the program needs (python3 -m pip install jmespath PyYAML sh jsonschema)"


def call(program: Path, *arguments: str, flags: tuple[str, ...] = (), **variables: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *flags, str(program), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment(**variables), timeout=120)


def check(done: subprocess.CompletedProcess[str], words: str, *, document: bool) -> None:
    """That the program has ended as one does of which a part is missing."""
    assert done.returncode == 70
    (line,) = done.stderr.splitlines()
    assert line.startswith("rollout-status")
    assert words in line
    if document:
        result = json.loads(done.stdout)
        assert (result["success"], result["error"]["code"], result["error"]["type"]) == (False, "internal", "program")
        assert result["error"]["message"] in line
    else:
        assert done.stdout.strip() == ""


# --------------------------------------------------------------------------------------------------- what was not copied


@pytest.mark.parametrize(
    ("part", "arguments"),
    [
        ("rollout_status_start.py", ("demo",)),
        ("rollout_status_start.py", ("lint",)),
        ("rollout_status_lib", ("demo",)),
        ("rollout_status_lib", ("-n", "shop", "deployment/web")),
        ("rollout_status_lib", ("completion", "bash")),
        ("rollout_status_lib/__init__.py", ("demo",)),
        ("rollout_status_lib/contract.py", ("demo", "-o", "text")),
        ("rollout_status_lib/secrets.yaml", ("demo",)),
        ("rollout_status_lib/sources/__init__.py", ("demo",)),
        ("rollout_status_lib/sources/replay.py", ("demo",)),
        ("rollout_status_lib/sources/live.py", ("deployment/web", "--kubectl", "/bin/false")),
        ("rollout_status_lib/sources/recorder.py", ("deployment/web", "--kubectl", "/bin/false", "--record", "/nowhere")),
        ("rollout_status_lib/views/__init__.py", ("demo",)),
        ("rollout_status_lib/views/text.py", ("demo", "-o", "text")),
        ("rollout_status_lib/views/ci.py", ("demo", "--ci", "gitlab")),
        ("rollout_status_lib/reports/files.py", ("demo", "--report", "page.html")),
        ("rollout_status_lib/reports/page.html", ("demo", "--report", "page.html")),
        ("rollout_status_lib/reports/page.html", ("report", str(CRASH), "-o", "page.html")),
        ("rollout_status_lib/verbs/lint.py", ("lint",)),
        ("rollout_status_lib/verbs/lint_rule.py", ("lint",)),
        ("rollout_status_lib/verbs/fields.json", ("lint",)),
        ("rollout_status_lib/verbs/explain.py", ("explain", *FAILS)),
        ("rollout_status_lib/verbs", ("test",)),
        ("rules", ("demo",)),
        ("rules", ("rules",)),
        ("rules/rules.schema.json", ("demo",)),
        ("rules/files.txt", ("demo",)),
        ("rules/failed-pods.yaml", ("demo",)),
        ("rules/packs/argo.yaml", ("demo",)),
        ("schema.json", ("demo",)),
        ("schema.json", ("test", str(CRASH))),
    ],
)
def test_without_a_part(tmp_path: Path, part: str, arguments: tuple[str, ...]) -> None:
    done = call(copy_program(tmp_path / "copy", part), *arguments)
    if "-o" in arguments and part.endswith("text.py"):  # what -o says is known, and what it needs is not there
        assert json.loads(done.stdout)["success"] is False
    check(done, COPY, document=arguments[0] not in VERBS)


def test_explain_says_it_too_and_shows_what_there_is(tmp_path: Path) -> None:
    done = call(copy_program(tmp_path / "copy", "rules"), "explain", *FAILS)
    assert (done.returncode, COPY in done.stderr) == (70, True)
    assert done.stdout.startswith("The rollout could not be judged\ncause: ")


def test_rules_schema_json_that_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "rules.schema.json").write_text("{")
    monkeypatch.setattr("rollout_status_lib.rule_schema.find_data", tmp_path.joinpath)
    read_schema.cache_clear()
    with pytest.raises(RolloutError, match=r"rules.schema.json: Expecting property name .*; copy the whole program"):
        read_schema()


def test_rules_that_were_copied_by_half(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rollout_status_lib.rule_merge.find_data", lambda _: tmp_path)
    with pytest.raises(RolloutError, match=r"files.txt: No such file or directory; copy the whole program"):
        Rules(tmp_path)
    (tmp_path / "files.txt").write_text("codes.yaml\npacks/argo.yaml\n")
    (tmp_path / "codes.yaml").write_text("version: 1\n")
    with pytest.raises(RolloutError, match=r"packs/argo.yaml: it is missing; copy the whole program"):
        Rules(tmp_path)


def test_a_view_that_was_not_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rollout_status_lib.views.ci", None)
    outcome = run("demo", "--ci", "gitlab")
    assert (outcome.exit, outcome.error["code"], "copy the whole program" in outcome.error["message"]) == (70, "internal", True)


def test_without_the_view_of_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines would do, but are for those who have no rich."""

    class Screen(io.StringIO):
        encoding = "utf-8"

        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stderr", Screen())
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setitem(sys.modules, "rollout_status_lib.views.terminal", None)
    with pytest.raises(ImportError, match=r"rollout_status_lib.views.terminal"):
        choose_progress(build_parser().parse([]))


def test_a_module_that_was_copied_by_half(tmp_path: Path) -> None:
    program = copy_program(tmp_path / "copy")
    (program.parent / "rollout_status_lib" / "rules.py").write_text("def read_rules(\n")
    check(call(program, "demo"), COPY, document=True)
    check(call(program, "lint"), COPY, document=False)


def test_a_schema_of_rules_that_was_copied_by_half(tmp_path: Path) -> None:
    program = copy_program(tmp_path / "copy")
    (program.parent / "rules" / "rules.schema.json").write_text('{"properties": ')
    check(call(program, "demo"), COPY, document=True)
    check(call(program, "lint"), COPY, document=False)


def test_a_module_of_another_version(tmp_path: Path) -> None:
    program = copy_program(tmp_path / "copy")
    (program.parent / "rollout_status_lib" / "result.py").write_text("")
    check(call(program, "demo"), "cannot import name", document=True)


def test_a_whole_copy_runs(tmp_path: Path, kubectl: Program) -> None:
    """The demo, a live run, and the verbs; cases are in a checkout only."""
    program = copy_program(tmp_path / "copy")
    demo = call(program, "demo", "--quiet", "--report", str(tmp_path / "page.html"))
    assert (demo.returncode, json.loads(demo.stdout)["error"]["code"]) == (1, "process-crashing")
    live = call(program, "--kubectl", kubectl(f"cat {snapshot('deployment/success')}"), "deployment/web")
    assert (live.returncode, json.loads(live.stdout)["success"]) == (0, True)
    assert call(program, "lint").stdout.endswith("no findings\n")
    (tmp_path / "empty").mkdir()
    test = call(program, "test", str(tmp_path / "empty"))
    assert (test.returncode, "case.yaml" in test.stderr) == (2, True)


# ------------------------------------------------------------------------------------------------ what was not installed


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder with links to all that the program needs, for a Python without its own packages."""
    folder = tmp_path / "site"
    folder.mkdir()
    for name in (*NEEDED, "typing_extensions"):
        loaded = sys.modules.get(name)  # sh puts a module without a spec into its place
        spec = None if loaded else importlib.util.find_spec(name)
        origin = loaded.__file__ if loaded else spec and spec.origin
        if origin:
            path = Path(origin)
            path = path.parent if path.stem == "__init__" else path
            (folder / path.name).symlink_to(path)
    return folder


@pytest.mark.parametrize(
    ("package", "arguments", "words"),
    [
        ("jmespath", ("demo",), INSTALL),
        ("jmespath", ("rules",), INSTALL),
        ("yaml", ("demo",), INSTALL),
        ("yaml", ("lint",), INSTALL),
        ("sh", ("deployment/web", "--kubectl", "/bin/false"), INSTALL),
        ("sh", ("query", "self", "--subject", "pod", "--kubectl", "/bin/false"), INSTALL),
        ("jsonschema", ("demo",), "python3 -m pip install jsonschema"),
        ("jsonschema", ("report", str(CRASH), "-o", "/tmp/page.md"), "python3 -m pip install jsonschema"),
        ("attr", ("demo",), "python3 -m pip install jsonschema"),
    ],
)
def test_without_a_dependency(site: Path, package: str, arguments: tuple[str, ...], words: str) -> None:
    program, without = ROOT / "rollout_status.py", {"flags": ("-S",), "PYTHONPATH": str(site)}
    whole = call(program, "demo", "--quiet", **without)
    assert (whole.returncode, whole.stderr) == (1, "")
    for path in site.glob(f"{package}*"):
        path.unlink()
    check(call(program, *arguments, **without), words, document=arguments[0] not in VERBS)


def test_the_commands_that_install_name_all_dependencies() -> None:
    text = (ROOT / "pyproject.toml").read_text()
    line = next(line for line in text.splitlines() if line.startswith("dependencies = "))
    names = [requirement.partition(">")[0] for requirement in json.loads(line.partition("= ")[2])]
    assert f"pip install {' '.join(names)})" in INSTALL
    assert start.describe_fault(ModuleNotFoundError("x", name="yaml"))[1] in INSTALL


# ---------------------------------------------------------------------------------- from the script itself, in this place


def from_the_start(before: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The script run as a program, after some lines of Python."""
    script = f"import pathlib, runpy, sys; {before}; runpy.run_path({str(ROOT / 'rollout_status.py')!r}, run_name='__main__')"
    return subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=False)


def test_a_python_that_is_too_old() -> None:
    """It can read the script, and is told which one is needed."""
    ast.parse((ROOT / "rollout_status.py").read_text(), feature_version=(3, 8))
    check(from_the_start("sys.version_info = (3, 9, 18)", "demo"), "Python 3.10 or later is needed", document=True)
    check(from_the_start("sys.version_info = (3, 9, 18)", "lint"), "Python 3.10 or later is needed", document=False)


def test_the_script_alone() -> None:
    check(from_the_start("pathlib.Path.is_file = lambda _: False", "demo"), COPY, document=True)
    check(from_the_start("sys.modules['yaml'] = None", "demo"), INSTALL, document=True)
    check(from_the_start("sys.modules['rollout_status_lib.verbs.lint'] = None", "lint"), COPY, document=False)


@pytest.mark.parametrize("closed", ["stdout", "stderr"])
def test_a_stream_that_is_closed_or_full(tmp_path: Path, closed: str) -> None:
    """The exit code says it all the same."""
    program = copy_program(tmp_path / "copy", "rollout_status_lib")
    with open("/dev/full", "w") as full:
        for ending in ({closed: full}, {"preexec_fn": lambda: os.close(1 if closed == "stdout" else 2)}):
            streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | ending
            done = subprocess.run([sys.executable, str(program), "demo"], text=True, check=False, env=environment(), **streams)
            assert done.returncode == 70
            if closed == "stderr":
                assert json.loads(done.stdout)["error"]["code"] == "internal"


def test_each_verb_has_a_module() -> None:
    modules = (ROOT / "rollout_status_lib" / "verbs").glob("*.py")
    assert sorted(path.stem.replace("_", "-") for path in modules if "\ndef main(" in path.read_text()) == sorted(VERBS)


# ------------------------------------------------------------------------------------------------ how verbs end otherwise


def test_a_bug_in_a_verb_is_a_sentence_and_exit_code_70(tmp_path: Path) -> None:
    program = copy_program(tmp_path / "copy")
    path = program.parent / "rollout_status_lib" / "verbs" / "lint.py"
    path.write_text(path.read_text().replace("    problems: list[RolloutError] = []\n", "    problems = {}['no rules']\n"))
    done = call(program, "lint")
    assert (done.returncode, done.stdout) == (70, "\n")
    assert done.stderr.startswith("rollout-status lint: This is a bug of rollout-status, lint.py line ")
    assert done.stderr.endswith(": KeyError: 'no rules'\n")


def test_a_bug_in_a_run_is_one_in_a_verb(kubectl: Program) -> None:
    """Here a rule that nobody would write ends the run of the verb."""
    script = (
        "import sys, rollout_status\n"
        "rollout_status.Moment.find_roots = lambda self: {}['a bug']\n"
        "sys.exit(rollout_status.main(sys.argv[1:]))"
    )
    for arguments in (("test", str(CRASH)), ("query", "self", "--subject", "pod", *FAILS), ("explain", *FAILS)):
        done = subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=False, cwd=ROOT)
        assert done.returncode == 70
        assert done.stderr.splitlines()[-1] == f"rollout-status {arguments[0]}: This is a bug of rollout-status: KeyError: 'a bug'"


def test_how_a_verb_ends_early(capsys: pytest.CaptureFixture[str]) -> None:
    def stop() -> NoReturn:
        raise Interrupted(signal.SIGTERM)

    assert run_verb("lint", stop) == ("", 143)
    assert capsys.readouterr().err == "rollout-status lint: Interrupted by SIGTERM\n"
    assert run_verb("lint", lambda: {}["a bug"]) == ("", 70)
    assert re.fullmatch(
        r"rollout-status lint: This is a bug of rollout-status, __init__.py line \d+: KeyError: 'a bug'\n", capsys.readouterr().err
    )


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_verb(tmp_path: Path, signum: int, code: int) -> None:
    """While it reads a file that has no end."""
    case = tmp_path / "case"
    case.mkdir()
    for path in CRASH.iterdir():
        (case / path.name).write_text(path.read_text())
    (case / "002.json").unlink()
    for waits, arguments in ((case / "002.json", ("test", str(case))), (tmp_path / "rules.yaml", ("lint", str(tmp_path / "rules.yaml")))):
        os.mkfifo(waits)
        command = [sys.executable, str(ROOT / "rollout_status.py"), *arguments]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        with waits.open("w"):  # it waits for one who reads, which the program does now
            process.send_signal(signum)
            _, stderr = process.communicate(timeout=60)
        assert (process.returncode, stderr.startswith(f"rollout-status {arguments[0]}: Interrupted by SIG")) == (code, True)


@pytest.mark.parametrize(
    ("case", "words"),
    [
        ({"args": "x"}, "case.yaml:1: args must be a list"),
        ({"args": [], "expect": {"rules": 5}}, "rules must be a list"),
        ({"args": [], "expect": 5}, "expect must be a mapping"),
        ({"args": [], "stdin": "no.json"}, "case.yaml:2: there is no file no.json beside it"),
        ({"args": [], "stdin": ["a"]}, "there is no file ['a'] beside it"),
        ({"args": [], "not_before": "soon"}, "case.yaml:2: invalid time 'soon'"),
    ],
)
def test_a_case_that_is_none_is_wrong_input(tmp_path: Path, case: dict, words: str) -> None:
    for path in CRASH.glob("0*.json"):
        (tmp_path / path.name).symlink_to(path)
    (tmp_path / "recording.yaml").write_text((CRASH / "recording.yaml").read_text())
    (tmp_path / "case.yaml").write_text(yaml.safe_dump(case, sort_keys=False))
    outcome = run("test", str(tmp_path))
    assert (outcome.exit, words in outcome.stderr) == (2, True)
    (tmp_path / "case.yaml").write_text("args: []\n")
    (tmp_path / "recording.yaml").unlink()
    assert "there is no file recording.yaml beside it" in run("test", str(tmp_path)).stderr


def test_rules_to_compare_with_that_are_none_are_wrong_input(tmp_path: Path) -> None:
    outcome = run("test", str(CRASH), "--against", str(tmp_path / "no.yaml"))
    assert (outcome.exit, "no.yaml:1: cannot be read" in outcome.stderr) == (2, True)
    (tmp_path / "codes.yaml").write_text("version: 1\n")
    outcome = run("test", str(CRASH), "--against", str(tmp_path))
    assert (outcome.exit, "there are no rules" in outcome.stderr) == (2, True)


def test_an_expression_that_gives_no_value_is_wrong_input() -> None:
    outcome = run("query", "&a", "--subject", "pod", *FAILS)
    assert (outcome.exit, "an & stands only before an argument of sort_by()" in outcome.stderr) == (2, True)


def test_the_exit_codes_of_verbs_are_in_their_help_and_in_the_reference() -> None:
    reference = (ROOT / "docs" / "reference.md").read_text()
    for verb in VERBS:
        done = subprocess.run([sys.executable, "rollout_status.py", verb, "--help"], capture_output=True, text=True, check=False, cwd=ROOT)
        text = " ".join(done.stdout.split())
        assert "Exit codes: 0 " in text
        assert f"### {verb}\n" in reference


def test_a_part_that_the_script_needs_at_once() -> None:
    """What starts it is not there: it says so itself, with nothing else to help it."""
    program = "import runpy, sys; sys.modules['rollout_status_start'] = None; runpy.run_path(sys.argv[1], run_name='__main__')"
    done = subprocess.run(
        [sys.executable, "-c", program, str(ROOT / "rollout_status.py")],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert (done.returncode, json.loads(done.stdout)["error"]["code"]) == (70, "internal")
    assert "copy the whole program" in done.stderr
