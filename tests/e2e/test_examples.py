"""The repositories of examples/: their pipelines run on the cluster, as they are and with a failure in them. Only what the CI itself does is
missing: its checkout, its login. examples/pipelines/in-cluster.yaml runs outside of the cluster, with the rights that its ServiceAccount has.
"""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from conftest import PATIENCE, ROLE, SCRIPT, Namespace, Result, command, eventually, is_kept, kubeconfig, rollout_status
from manifests import IMAGES, MISSING, WEB, deployment

EXAMPLES = SCRIPT.parent / "examples"


class Repository:
    """A copy of an example, whose pipelines apply to a namespace of the test, and whose images are the test's."""

    def __init__(self, name: str, folder: Path, namespace: Namespace) -> None:
        self.path, self.environment = folder / name, {**os.environ, "KUBECONFIG": kubeconfig(folder)}
        shutil.copytree(EXAMPLES / name, self.path)
        config = json.loads((folder / "kubeconfig").read_text())
        config["contexts"][0]["context"]["namespace"] = namespace.name
        (folder / "kubeconfig").write_text(json.dumps(config))
        for path in (path for path in self.path.rglob("*.yaml") if "cases" not in path.parts):
            path.write_text(path.read_text().replace("registry.example/", f"{IMAGES}/"))
        (folder / "bin").mkdir()
        (folder / "bin" / "rollout-status").write_text(f'#!/bin/bash\nexec {" ".join(command())} "$@"\n')
        (folder / "bin" / "rollout-status").chmod(0o755)
        self.environment["PATH"] = f"{folder}/bin:{os.environ['PATH']}"

    def change(self, name: str, old: str, new: str) -> None:
        text = (self.path / name).read_text()
        assert old in text
        (self.path / name).write_text(text.replace(old, new))

    def run(self, script: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """What a script of the pipeline gave."""
        environment = {name: value for name, value in self.environment.items() if name not in ("GITHUB_ACTIONS", "GITLAB_CI")}
        return subprocess.run(
            ["bash", "-e", "-c", script],
            cwd=self.path,
            env={**environment, **variables},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )


def deploy_shop(shop: Repository) -> Result:
    """The steps of the workflow, and what the action does with its inputs, as tests/packaging/test_ci.py runs it."""
    jobs = yaml.safe_load((shop.path / ".github/workflows/deploy.yaml").read_text())["jobs"]
    tests = shop.run(next(step["run"] for step in jobs["rules"]["steps"] if "rollout-status lint" in step.get("run", "")))
    assert tests.returncode == 0, tests.stdout + tests.stderr
    apply, action = [step for step in jobs["deploy"]["steps"] if "apply" in step.get("run", "") or "integrations" in step.get("uses", "")]
    done = shop.run(f"{apply['run']}\nrollout-status -f - {' '.join(action['with']['args'].split())} <{action['with']['applied']}")
    return Result.of(done.returncode, done.stdout, done.stderr)


def test_shop(namespace: Namespace, tmp_path: Path) -> None:
    shop = Repository("shop", tmp_path, namespace)
    result = deploy_shop(shop)
    assert (result.exit, result.statuses["migrate-v1"]) == (0, "ready")
    assert len(result.statuses) == 2  # the Deployment and its Service are both called web
    shop.change("k8s/web.yaml", "web:v1", MISSING)
    result = deploy_shop(shop)
    assert (result.exit, result.error["code"]) == (1, "invalid-config")
    assert (shop.path / "rollout-failed" / "recording.yaml").exists()
    shop.change("k8s/web.yaml", "        readinessProbe: {httpGet: {path: /healthz, port: 8080}, periodSeconds: 1}\n", "")
    shop.change("k8s/web.yaml", MISSING, "web:v2")
    assert deploy_shop(shop).error["code"] == "shop/no-readiness-probe"


def test_staging_production(namespace: Namespace, other: Namespace, tmp_path: Path) -> None:
    repository = Repository("staging-production", tmp_path, namespace)
    repository.change("overlays/staging/kustomization.yaml", "namespace: shop-staging", f"namespace: {namespace.name}")
    repository.change("overlays/production/kustomization.yaml", "namespace: shop", f"namespace: {other.name}")
    jobs = yaml.safe_load((repository.path / ".gitlab-ci.yml").read_text())
    script = "\n".join(jobs[".deploy"]["script"])
    for stage in jobs["stages"]:
        done = repository.run(script, CI_JOB_STAGE=jobs[stage]["stage"])
        assert (done.returncode, "succeeded" in done.stdout) == (0, True), done.stdout + done.stderr
    assert other.get("deployment/api")["status"]["readyReplicas"] == 2
    repository.change("base/api.yaml", f"{IMAGES}/web:v1", "elsewhere.invalid/web:v1")
    done = repository.run(script, CI_JOB_STAGE="staging")
    assert (done.returncode, "shop/foreign-image" in done.stdout) == (1, True), done.stdout + done.stderr
    assert (repository.path / "rollout.xml").exists()


def test_monorepo(namespace: Namespace, tmp_path: Path) -> None:
    repository = Repository("monorepo", tmp_path, namespace)
    (script,) = re.findall(r"sh '''(.*?)'''", (repository.path / "Jenkinsfile").read_text(), re.DOTALL)
    commit = "git add --all services && git -c user.name=test -c user.email=test@example.com commit --quiet --message change"
    assert repository.run(f"git init --quiet . && {commit}").returncode == 0
    done = repository.run(script)
    result = Result.of(done.returncode, done.stdout, done.stderr)
    assert (result.exit, result.statuses) == (0, {"api": "ready", "web": "ready"})
    assert [note for note in result.document["notes"] if 'Deployment "api" has one replica' in note]
    since = repository.run("git rev-parse HEAD").stdout.strip()
    assert "No service has changed." in repository.run(script, GIT_PREVIOUS_SUCCESSFUL_COMMIT=since).stdout
    repository.change("services/web/k8s.yaml", "web:v1", MISSING)
    assert repository.run(commit).returncode == 0
    done = repository.run(script, GIT_PREVIOUS_SUCCESSFUL_COMMIT=since)
    result = Result.of(done.returncode, done.stdout, done.stderr)
    assert (result.exit, result.error["code"], result.statuses) == (1, "invalid-config", {"web": "failed"})


@pytest.mark.parametrize("name", ["in-cluster.yaml"])
def test_the_rights_of_a_job_in_the_cluster(name: str, namespace: Namespace, tmp_path: Path) -> None:
    """The account and its binding, the Role of rbac.yaml, and the arguments of the Job."""
    account, binding, job = yaml.safe_load_all((EXAMPLES / "pipelines" / name).read_text())
    namespace.apply(account, binding, ROLE, deployment("web", WEB))
    user = {"token": namespace.kubectl("create", "token", account["metadata"]["name"]).strip()}
    config = kubeconfig(tmp_path, user=user)
    eventually(lambda: is_kept(lambda: namespace.kubectl("--kubeconfig", config, "get", "pods")))
    words = [*job["spec"]["template"]["spec"]["containers"][0]["args"], "--output", "json"]
    result = rollout_status("--kubeconfig", config, "-n", namespace.name, *words)
    assert (result.exit, result.statuses) == (0, {"web": "ready"})
