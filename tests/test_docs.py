"""docs/writing-rules.md, rule-reference.md and examples/: every command is run, every rule file is linted, every case is replayed.

In the pages, a `sh` block is run in one folder after the other blocks, with `rollout-status` and a kubectl that has one
Deployment; a command's exit code is 0, or what `# exit N` behind it says. Each line of a `text` block is in what the
block before it printed; `...` stands for anything. A `yaml` block is a whole rule file, or some fields of a rule of
containers, of which `# wrong: ...` says what lint must find.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from conftest import ROOT, environment, run

from rollout_status import run_to_end
from rollout_status_lib.verbs.test import run_case

TUTORIAL, REFERENCE = (ROOT / "docs" / name for name in ("writing-rules.md", "rule-reference.md"))
LONGEST = 250  # lines of the tutorial
BLOCKS = [
    block for page in (TUTORIAL, REFERENCE) for block in re.findall(r"^```(\w*)\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)
]
EXAMPLES = sorted((ROOT / "examples" / "rules").glob("*.yaml"))
CASES = sorted(path.parent for path in (ROOT / "examples" / "cases").glob("*/case.yaml"))
WHOLE = [text for kind, text in BLOCKS if kind == "yaml" and text.lstrip("# ").find("version: 1") >= 0]
FIELDS = [text for kind, text in BLOCKS if kind == "yaml" and text not in WHOLE]

# Stands in for kubectl: the objects of one file, those of the resources that are asked for
KUBECTL = """#!{python}
import json, sys
from rollout_status import run_to_end
from rollout_status_lib.verbs.test import run_case
items = json.load(open({file!r}))["items"]
asked = sys.argv[sys.argv.index("get") + 1] if "get" in sys.argv else "deployments"
asked = sys.argv[-1].rpartition("/")[2] if asked == "--raw" else asked
plurals = [word.partition(".")[0] for word in asked.split(",")]
print(json.dumps({{"kind": "List", "apiVersion": "v1", "items": [each for each in items if each["kind"].lower() + "s" in plurals]}}))
"""
# Notes the exit code of the program, and lets the block go on
PROGRAM = '#!/bin/bash\n"{python}" "{program}" "$@"\necho $? >>"$CODES"\n'


def of_case(name: str) -> list[str]:
    """The names of examples whose case it is: the longest is the one."""
    return sorted((path.stem for path in EXAMPLES if name == path.stem or name.startswith(f"{path.stem}-")), key=len)


def test_the_commands_of_the_pages(tmp_path: Path) -> None:
    """In a copy of the checkout."""
    for name, text in (
        ("kubectl", KUBECTL.format(python=sys.executable, file=str(ROOT / "examples/cases/mirror-image-pull/001.json"))),
        ("rollout-status", PROGRAM.format(python=sys.executable, program=ROOT / "rollout_status.py")),
    ):
        (tmp_path / "bin" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "bin" / name).write_text(text)
        (tmp_path / "bin" / name).chmod(0o755)
    shutil.copytree(ROOT / "examples", tmp_path / "root" / "examples")
    path, codes = f"{tmp_path}/bin:{os.environ['PATH']}", tmp_path / "codes"
    printed, ran = "", 0
    for kind, text in BLOCKS:
        if kind == "sh":
            codes.write_text("")
            done = subprocess.run(
                ["bash", "-e", "-o", "pipefail", "-c", text],
                cwd=tmp_path / "root",
                env=environment(PATH=path, CODES=str(codes), KUBECTL=""),
                capture_output=True,
                text=True,
                check=False,
            )
            printed = done.stdout + done.stderr
            assert done.returncode == 0, text + printed
            commands = [line for line in text.splitlines() if re.search(r"(^|\| )rollout-status ", line)]
            expected = [(re.search(r"# exit (\d+)", line) or [0, "0"])[1] for line in commands]
            assert codes.read_text().split() == expected, text + printed
            ran += len(commands)
        elif kind == "text":
            for line in text.splitlines():
                assert re.search(".*".join(map(re.escape, line.split("..."))), printed), f"{line}\nis not in\n{printed}"
    assert ran > 10


@pytest.mark.parametrize("text", WHOLE)
def test_a_rule_file_of_the_page(text: str, tmp_path: Path) -> None:
    (tmp_path / "team.yaml").write_text(text)
    assert run("lint", str(tmp_path / "team.yaml")).stdout == "no findings\n"


@pytest.mark.parametrize("text", FIELDS)
def test_a_trap_of_the_page(text: str, tmp_path: Path) -> None:
    """What is wrong is found, and said so; what is right is not."""
    when = "" if text.startswith("when") else "  when: container.ready != `true`\n"
    rule = f"version: 1\nrules:\n- id: acme/trap\n  subject: container\n  verdict: wait\n{when}  {text}"
    (tmp_path / "team.yaml").write_text(re.sub(r" +# wrong.*", "", rule))
    outcome, wrong = run("lint", str(tmp_path / "team.yaml")), re.search("# wrong: (.*)", text)
    assert (outcome.exit, outcome.stdout.count("acme/trap") > 0 or "cannot be read" in outcome.stdout) == (int(bool(wrong)), bool(wrong))
    assert not wrong or wrong[1] in outcome.stdout


def test_the_tutorial_is_short_and_repeats_nothing() -> None:
    """What it needs of an example it has once; all else is in the reference."""
    assert len(TUTORIAL.read_text().splitlines()) <= LONGEST
    assert [path.name for path in EXAMPLES if path.read_text() in WHOLE] == ["mirror-image-pull.yaml"]
    long = [line for page in (TUTORIAL, REFERENCE) for line in page.read_text().splitlines() if len(line) > 60 and "-|-" not in line]
    assert sorted(line for line in set(long) if long.count(line) > 1 and not line.startswith(("rollout-status", "Pod/", "| `"))) == []


def test_links_between_the_pages_lead_somewhere() -> None:
    for page in (TUTORIAL, REFERENCE):
        for name, anchor in re.findall(r"\]\(([a-z-]+\.md)?#([a-z-]+)\)", page.read_text()):
            titles = re.findall(r"^#+ (.*)", (page.parent / name if name else page).read_text(), re.MULTILINE)
            assert anchor in [re.sub(r"[^a-z -]", "", title.lower()).replace(" ", "-") for title in titles], (page.name, anchor)


def test_traps_come_in_pairs() -> None:
    assert ["# wrong: " in text for text in FIELDS] == [True, False] * (len(FIELDS) // 2)
    assert len(FIELDS) >= 10


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_is_named_by_the_tutorial_and_passes_lint_and_its_cases(path: Path) -> None:
    assert f"(../examples/rules/{path.name})" in TUTORIAL.read_text()
    assert run("lint", str(path)).stdout == "no findings\n"
    cases = [str(case) for case in CASES if of_case(case.name)[-1:] == [path.stem]]
    assert len(cases) > 1
    outcome = run("test", *cases, "--rules", str(path), "--strict")
    assert outcome.stdout == f"{len(cases)} cases, 0 failed, 0 rules without a case\n"
    assert outcome.exit == 0


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_case_of_an_example(case: Path) -> None:
    """It uses the example that it is named after, and it passes by itself."""
    arguments = yaml.safe_load((case / "case.yaml").read_text())["args"]
    assert arguments[:2] == ["--rules", f"../../rules/{of_case(case.name)[-1]}.yaml"]
    outcome = run_case(run_to_end, case)
    assert outcome.passed, outcome.difference


def test_the_example_makes_the_difference() -> None:
    """Without its rule file, at least one case of each example comes out otherwise."""
    for path in EXAMPLES:
        changed = False
        for case in (case for case in CASES if of_case(case.name)[-1] == path.stem):
            rest = yaml.safe_load((case / "case.yaml").read_text())["args"][2:]
            if "--set" not in rest:
                expected = yaml.safe_load((case / "case.yaml").read_text())["expect"]["exit"]
                changed |= run("--replay", str(case), "--quiet", *rest).exit != expected
        assert changed, path
