"""examples/pipelines/: what each CI would run is run here, with a kubectl that has one Deployment. Only what the CI itself does is missing:
its checkout, its logins, its variables.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from conftest import ROOT, environment, run, snapshot

from rollout_status_lib import Json
from rollout_status_lib.arguments import build_parser

FOLDER = ROOT / "examples" / "pipelines"
# Prints what was applied, and lists the objects of a file by their kinds
KUBECTL = """#!{python}
import json, sys
items = json.load(open({file!r}))["items"]
if sys.argv[1] == "apply":
    kinds = ["deployment"]
elif "get" in sys.argv:
    asked = sys.argv[sys.argv.index("get") + 1]
    kinds = [word.partition(".")[0].rstrip("s") for word in (sys.argv[-1].rpartition("/")[2] if asked == "--raw" else asked).split(",")]
else:
    sys.exit("no log")
if "watch=1" in sys.argv[-1]:
    sys.exit("no watch")
print(json.dumps({{"kind": "List", "apiVersion": "v1", "items": [each for each in items if each["kind"].lower() in kinds]}}))
"""
PROGRAMS = {
    "rollout-status": f'exec "{sys.executable}" "{ROOT / "rollout_status.py"}" --interval 1s "$@"\n',
    **{name: f'echo "{name} $@"\n' for name in ("pip", "aws", "az", "kubelogin")},
    "pipx": 'echo "pipx $@"\n',
    "curl": "cat >posted.json\n",
}


def find_scripts(content: Json) -> Iterator[str]:
    """The shell scripts in a pipeline's YAML, in order, by the names that CIs have for them."""
    for key, entry in content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ():
        if isinstance(entry, str) and key in ("run", "bash", "command", "script", "source"):
            yield entry
        elif isinstance(entry, list) and key in ("script", "command") and all(isinstance(each, str) for each in entry):
            yield from ["\n".join(entry)] if key == "script" else []
        else:
            yield from find_scripts(entry)


def read_scripts(name: str) -> str:
    """All that a pipeline runs, as one script."""
    text = (FOLDER / name).read_text()
    if name == "Jenkinsfile":
        return "\n".join(re.findall(r"sh '''(.*?)'''", text, re.DOTALL))
    content = yaml.safe_load(text)
    scripts = "\n".join(find_scripts(content))
    if name.startswith("github"):  # the action's last step, as tests/packaging/test_ci.py runs it
        inputs = next(step["with"] for step in content["jobs"]["deploy"]["steps"] if "rollout-status" in step.get("uses", ""))
        scripts += f"\nrollout-status -f - {' '.join(inputs['args'].split())} <{inputs['applied']}"
    if name == "gitlab.yml":
        job = yaml.safe_load((ROOT / "integrations" / "gitlab.yml").read_text())[content["rollout"]["extends"]]
        given = job["variables"] | content["rollout"]["variables"]
        scripts += "\n" + "\n".join(f"export {key}='{value}'" for key, value in given.items()) + "\n" + job["script"][0]
    return scripts


def run_script(folder: Path, script: str, case: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Runs a script in a folder of its own, beside a kubectl whose Deployment is that of the case's last snapshot."""
    (folder / "bin").mkdir(parents=True)
    programs = PROGRAMS | {"kubectl": KUBECTL.format(python=sys.executable, file=str(snapshot(case)))}
    for name, text in programs.items():
        (folder / "bin" / name).write_text(text if text.startswith("#!") else f"#!/bin/bash\n{text}")
        (folder / "bin" / name).chmod(0o755)
    script = script.replace("/tmp/", f"{folder}/").replace("/k8s", "k8s").replace("$(workspaces.source.path)", ".")
    known = environment(PATH=f"{folder}/bin:{os.environ['PATH']}", **variables)
    return subprocess.run(["bash", "-c", f"set -e\n{script}"], cwd=folder, env=known, capture_output=True, text=True, check=False)


CIS = [
    "Jenkinsfile",
    "argo-workflow.yaml",
    "azure-pipelines.yml",
    "bitbucket-pipelines.yml",
    "circleci.yml",
    "github-aks.yaml",
    "github-eks.yaml",
    "github-gke.yaml",
    "github.yaml",
    "gitlab.yml",
    "tekton.yaml",
]
VARIABLES = {"ROLLOUT_STATUS": "git+https://registry.example/rollout-status", "KUBECONFIG_BASE64": "", "FOLDER": "k8s", "TIMEOUT": "1m"}


@pytest.mark.parametrize("name", CIS)
@pytest.mark.parametrize(("case", "exit", "word"), [("deployment/success", 0, ""), ("container/image-not-found", 1, "invalid-config")])
def test_what_a_ci_runs(tmp_path: Path, name: str, case: str, exit: int, word: str) -> None:
    folder = tmp_path / "job"
    runner = {"RUNNER_TEMP": str(folder), "GITHUB_ENV": str(tmp_path / "env"), "MESSAGE": str(tmp_path / "message")}
    done = run_script(folder, read_scripts(name), case, **runner, **VARIABLES)
    assert done.returncode == exit, done.stdout + done.stderr
    assert word in done.stdout
    if name == "tekton.yaml":
        assert ("ErrImagePull" in (tmp_path / "message").read_text()) == bool(exit)


def test_each_pipeline_is_tried() -> None:
    assert sorted(path.name for path in FOLDER.iterdir()) == sorted([*CIS, "argocd-postsync.yaml", "in-cluster.yaml", "notify.sh"])


@pytest.mark.parametrize("name", ["argocd-postsync.yaml", "in-cluster.yaml"])
def test_the_arguments_of_a_job_in_the_cluster(name: str) -> None:
    jobs = [each for each in yaml.safe_load_all((FOLDER / name).read_text()) if each["kind"] == "Job"]
    for job in jobs:
        pod = job["spec"]["template"]["spec"]
        assert build_parser().parse(pod["containers"][0]["args"]).timeout == 600
        assert (pod["restartPolicy"], pod["serviceAccountName"], job["spec"]["backoffLimit"]) == ("Never", "rollout-status", 0)
    assert len(jobs) == 1


@pytest.mark.parametrize("webhook", ["https://hooks.slack.com/services/x", "https://prod.example.com/workflows/x"])
@pytest.mark.parametrize(
    ("case", "words"),
    [("deployment/crash-loop", ["failed: Container", "FATAL", "https://ci.example/1"]), ("deployment/success", ["succeeded"])],
)
def test_a_message_to_a_chat(tmp_path: Path, case: str, words: list[str], webhook: str) -> None:
    """To Slack it is a text, to Teams an adaptive card."""
    script = (
        f"rollout-status --replay {ROOT / 'fixtures' / case} --retry-limit 1 >verdict.json || true\nsh {FOLDER / 'notify.sh'} verdict.json"
    )
    done = run_script(tmp_path / "job", script, "deployment/success", WEBHOOK=webhook, RUN_URL="https://ci.example/1")
    assert done.returncode == 0, done.stderr
    posted = json.loads((tmp_path / "job" / "posted.json").read_text())
    assert posted.keys() == ({"text"} if "slack" in webhook else {"type", "attachments"})
    assert all(word in json.dumps(posted) for word in words)


REPOSITORIES = [ROOT / "examples" / name for name in ("monorepo", "shop", "staging-production")]


@pytest.mark.parametrize("repository", REPOSITORIES, ids=lambda path: path.name)
def test_the_rules_of_a_whole_repository(repository: Path) -> None:
    """They pass lint, each has its cases, and those pass; tests/e2e/test_examples.py runs the pipeline."""
    rules = str(repository / "rollout" / "team.yaml")
    assert run("lint", rules).stdout == "no findings\n"
    outcome = run("test", str(repository / "rollout" / "cases"), "--rules", rules, "--strict")
    assert (outcome.exit, outcome.stdout) == (0, "2 cases, 0 failed, 0 rules without a case\n")


def test_each_repository_is_tried() -> None:
    others = {"cases", "pipelines", "rules"}
    assert [*REPOSITORIES] == sorted(path for path in (ROOT / "examples").iterdir() if path.is_dir() and path.name not in others)
