"""The GitHub action and the GitLab template: their scripts run here, with the shell and the variables that a runner gives them."""

import json
import os
import re
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import BIN, FIXTURES, command

FAILS = f"--replay={FIXTURES / 'deployment/crash-loop'}\n\n--retry-limit=1\n"
SUCCEEDS = f"--replay={FIXTURES / 'deployment/success'}"
# What a script would run if a value became a part of it
HOSTILE = [
    "$(touch pwned)",
    "`touch pwned`",
    '"; touch pwned; "',
    "'; touch pwned; '",
    "* ~ ${HOME}",
    "&& touch pwned",
    "END_OF_THE_ARGUMENTS\ntouch pwned",
]


def describe(result: dict[str, Any]) -> dict[str, str]:
    """What later steps and jobs are told."""
    error = result.get("error", {"code": "", "message": ""})
    return {"success": str(result["success"]).lower(), "code": error["code"], "message": " ".join(error["message"].split())}


class GitHub:
    """The composite action, as a runner does it."""

    def __init__(self, repository: Path, folder: Path) -> None:
        self.action = yaml.safe_load((repository / "integrations" / "github" / "action.yml").read_text())
        self.folder = folder
        self.variables = {
            "GITHUB_ACTIONS": "true",
            "GITHUB_ACTION_PATH": str(repository / "integrations" / "github"),
            "GITHUB_OUTPUT": str(folder / "output"),
            "GITHUB_STEP_SUMMARY": str(folder / "summary"),
            "RUNNER_TEMP": str(folder / "temp"),
        }
        (folder / "temp").mkdir()

    def run(self, exit: int, **inputs: str) -> dict[str, Any]:
        """The verdict that the output of the action names."""
        given = {name: each.get("default") for name, each in self.action["inputs"].items()} | {"python": sys.executable, **inputs}
        (self.folder / "output").write_text("")
        *steps, last = self.action["runs"]["steps"]
        for step in [*steps, last]:
            assert "${{" not in step["run"]
            env = {name: re.sub(r"\$\{\{ inputs\.(\w+) \}\}", lambda found: given[found[1]], text) for name, text in step["env"].items()}
            shell = {"bash": ["bash", "--noprofile", "--norc", "-eo", "pipefail"]}[step["shell"]]
            done = command(*shell, "-c", step["run"], cwd=self.folder, exit=exit if step is last else 0, **self.variables, **env)
        assert self.action["outputs"]["verdict"]["value"] == "${{ steps.%s.outputs.verdict }}" % last["id"]
        (verdict,) = re.findall("^verdict=(.*)$", (self.folder / "output").read_text(), re.MULTILINE)
        assert Path(verdict).read_text() == done.stdout
        result = json.loads(done.stdout)
        for name, text in describe(result).items():
            assert self.action["outputs"][name]["value"] == "${{ steps.%s.outputs.%s }}" % (last["id"], name)
            assert f"{name}={text}\n" in (self.folder / "output").read_text()
        return result


class GitLab:
    """A job that extends the template, as a runner does it, but that the tool is on PATH without the image."""

    def __init__(self, repository: Path, folder: Path) -> None:
        self.job = yaml.safe_load((repository / "integrations" / "gitlab.yml").read_text())[".rollout-status"]
        self.folder = folder

    def run(self, exit: int, args: str = "", applied: str = "") -> dict[str, Any]:
        """The verdict that is among the artifacts."""
        variables = {**self.job["variables"], "ROLLOUT_STATUS_ARGS": args, "ROLLOUT_STATUS_APPLIED": applied, "GITLAB_CI": "true"}
        path = f"{BIN}:{os.environ['PATH']}"
        (script,) = self.job["script"]
        done = command("sh", "-e", "-c", script, cwd=self.folder, exit=exit, PATH=path, **variables)
        (verdict, _), junit = self.job["artifacts"]["paths"], self.job["artifacts"]["reports"]["junit"]
        assert (self.folder / verdict).read_text() == done.stdout
        assert (self.folder / junit).exists() == (exit != 2)
        result = json.loads(done.stdout)
        told = (self.folder / self.job["artifacts"]["reports"]["dotenv"]).read_text()
        assert told == "".join(f"ROLLOUT_STATUS_{name.upper()}={text}\n" for name, text in describe(result).items())
        return result


@pytest.fixture(scope="module", params=[GitHub, GitLab], ids=["github", "gitlab"])
def ci_made(request, repository: Path, tmp_path_factory: pytest.TempPathFactory):
    return request.param(repository, tmp_path_factory.mktemp("work"))


@pytest.fixture
def ci(ci_made):
    """One that has left nothing behind, but for what it has installed."""
    for path in ci_made.folder.glob("rollout-status*"):
        command("rm", "-r", path)
    return ci_made


def test_a_rollout_that_succeeds(ci) -> None:
    assert ci.run(exit=0, args=SUCCEEDS)["success"] is True


def test_a_rollout_that_fails(ci) -> None:
    assert ci.run(exit=1, args=FAILS)["error"]["code"] == "process-crashing"


@pytest.mark.parametrize("text", HOSTILE)
def test_an_argument_is_no_part_of_the_script(ci, text: str) -> None:
    """It comes to the tool as it is, which takes it for what it isn't."""
    result = ci.run(exit=2, args=f"{SUCCEEDS}\n--timeout={text}")
    assert result["error"]["code"] == "usage"
    assert repr(text.splitlines()[0]) in result["error"]["message"]
    assert not list(ci.folder.rglob("pwned"))


@pytest.mark.parametrize(("case", "code"), [("deployment/success", 0), ("deployment/crash-loop", 1)])
def test_what_was_applied_is_judged(ci, case: str, code: int, tmp_path: Path) -> None:
    snapshot = max((FIXTURES / case).glob("*.json"))
    items = json.loads(snapshot.read_text())["items"]
    (ci.folder / "applied file.json").write_text(json.dumps(next(each for each in items if each["kind"] == "Deployment")))
    (tmp_path / "kubectl").write_text(
        f"""#!/bin/sh\ncase "$*" in *watch=1*) exec sleep 1000 ;; *events*) echo '{{"items": []}}' ;; esac\ncat '{snapshot}'\n"""
    )
    (tmp_path / "kubectl").chmod(0o755)
    result = ci.run(exit=code, args=f"--kubectl={tmp_path}/kubectl\n--retry-limit=1", applied="applied file.json")
    assert result["success"] is (code == 0)
    assert len(result["workloads"]) == 1
