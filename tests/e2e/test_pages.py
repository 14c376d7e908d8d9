"""The pages of docs/ that speak of a cluster: every command is run on one, in the order in which it stands there.

A `yaml` block whose first line is the name of a file is that file, on this page and on those that follow it in a pipeline's
order (pipelines.md is the first). A command's exit code is 0, or what `# exit N` behind it says. Each line of a `text` block is
in what the blocks before it printed; `...` stands for anything. The namespace `shop` and the registry are the test's.
"""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import PATIENCE, SCRIPT, Json, Namespace, cluster_wide, command, kubeconfig, kubectl
from manifests import IMAGES

DOCS, EXAMPLES = SCRIPT.parent / "docs", SCRIPT.parent / "examples" / "pipelines"
GENERATED = {"codes", "deadlines", "reference", "rule-reference", "rules"}
ELSEWHERE = {
    "ci",
    "faults",
    "install",
    "result",
    "writing-rules",
}  # tests/test_pipelines.py, tests/packaging, test_docs.py, test_arguments.py
PAGES = sorted(path.stem for path in DOCS.glob("*.md") if path.stem not in GENERATED | ELSEWHERE)

# On PATH beside kubectl, where a page speaks of more than this machine has
PROGRAMS = {
    "rollout-status": 'exec {tool} "$@"\n',
    # a push, which a controller applies a moment later
    "git": "(sleep 1; kubectl patch deployment web -p '{patch}') >/dev/null 2>&1 </dev/null &\n",
    # a release whose chart has no templates in its manifests
    "helmfile": 'case "$2" in apply) exec kubectl apply -f chart/templates ;; template) exec cat chart/templates/*.yaml ;; *) exit 9 ;; esac\n',
    "argocd": '[[ "$1 $2" == "app sync" ]] && exec kubectl apply -f k8s/web.yaml\n',
    "curl": "exec cat >/dev/null\n",
    "notify.sh": 'exec env WEBHOOK=https://hooks.example/x sh {examples}/notify.sh "$@"\n',
    "helm": 'case "$1 $2" in "upgrade --install") exec kubectl apply -f "$4/templates" ;; "get manifest") exec cat chart/templates/*.yaml ;; *) exit 9 ;; esac\n',
}
PUSHED = {
    "metadata": {"annotations": {"release": "r42"}},
    "spec": {"template": {"spec": {"containers": [{"name": "main", "image": f"{IMAGES}/web:v2"}]}}},
}
# A failing command is noted, and the block goes on
NOTED = """trap 'echo $? >>"$CODES"' ERR\n"""
FLUX: Json = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "kustomizations.kustomize.toolkit.fluxcd.io"},
    "spec": {
        "group": "kustomize.toolkit.fluxcd.io",
        "scope": "Namespaced",
        "names": {"kind": "Kustomization", "plural": "kustomizations", "singular": "kustomization", "shortNames": ["ks"]},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
            }
        ],
    },
}
KUSTOMIZATION: Json = {
    "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
    "kind": "Kustomization",
    "metadata": {"name": "shop"},
    "spec": {"interval": "1m", "path": "./k8s", "prune": True, "sourceRef": {"kind": "GitRepository", "name": "shop"}},
    "status": {
        "observedGeneration": 1,
        "conditions": [
            {"type": "Ready", "status": "True", "reason": "ReconciliationSucceeded", "message": "Applied", "observedGeneration": 1}
        ],
    },
}


def blocks(page: str) -> list[tuple[str, str]]:
    """The fenced blocks of a page: language and text."""
    return re.findall(r"^```(\w*)\n(.*?)^```$", (DOCS / f"{page}.md").read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def run_page(page: str, namespace: Namespace, folder: Path, environment: dict[str, str]) -> int:
    """How many commands of the tool a page has that did what it says."""
    printed, ran = "", 0
    codes = Path(environment["CODES"])
    for language, text in blocks(page):
        here = text.replace("registry.example/", f"{IMAGES}/").replace("-n shop", f"-n {namespace.name}")
        here = here.replace("-namespace shop", f"-namespace {namespace.name}")
        if language == "yaml" and (name := re.match(r"# (\S+)\n", here)):
            (folder / name[1]).parent.mkdir(exist_ok=True)
            (folder / name[1]).write_text(here, encoding="utf-8")
        elif language == "sh":
            codes.write_text("")
            done = subprocess.run(
                ["bash", "-o", "pipefail", "-c", NOTED + here],
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=PATIENCE,
                check=False,
            )
            printed += done.stdout + done.stderr
            assert codes.read_text().split() == re.findall(r"# exit (\d+)$", here, re.MULTILINE), here + done.stdout + done.stderr
            ran += len(re.findall(r"(?:^|\| )rollout-status ?", here, re.MULTILINE))
        elif language == "text":
            for line in text.splitlines():
                assert re.search(".*".join(map(re.escape, line.split("..."))), printed), f"{line}\nis not in\n{printed}"
    return ran


@pytest.mark.parametrize("page", PAGES)
def test_every_command_of_a_page(page: str, namespace: Namespace, tmp_path: Path) -> None:
    config = json.loads(Path(kubeconfig(tmp_path)).read_text())
    config["contexts"][0]["context"]["namespace"] = namespace.name
    (tmp_path / "kubeconfig").write_text(json.dumps(config))
    programs = {name: text for name, text in PROGRAMS.items() if name != "helm" or not shutil.which("helm")}
    (tmp_path / "bin").mkdir()
    for name, text in programs.items():
        whole = text.replace("{tool}", " ".join(command())).replace("{patch}", json.dumps(PUSHED)).replace("{examples}", str(EXAMPLES))
        (tmp_path / "bin" / name).write_text(f"#!/bin/bash\n{whole}")
        (tmp_path / "bin" / name).chmod(0o755)
    environment = {
        **{name: value for name, value in os.environ.items() if name not in ("GITHUB_ACTIONS", "GITLAB_CI")},
        "PATH": f"{tmp_path}/bin:{os.environ['PATH']}",
        "KUBECONFIG": str(tmp_path / "kubeconfig"),
        "CODES": str(tmp_path / "codes"),
    }
    folder = tmp_path / "work"
    manifest = next(text for language, text in blocks("pipelines") if language == "yaml").replace("registry.example/", f"{IMAGES}/")
    for place in ("k8s", "chart/templates"):
        (folder / place).mkdir(parents=True)
        (folder / place / "web.yaml").write_text(manifest)
    (folder / "chart" / "Chart.yaml").write_text("apiVersion: v2\nname: web\nversion: 1.0.0\n")
    if page not in ("pipelines", "from-helm"):
        namespace.kubectl("apply", "-f", str(folder / "k8s"))
        namespace.kubectl("rollout", "status", "deployment/web", f"--timeout={PATIENCE:g}s")
    if page == "gitops":
        with cluster_wide(FLUX):
            kubectl("wait", "--for=condition=Established", f"crd/{FLUX['metadata']['name']}", f"--timeout={PATIENCE:g}s")
            namespace.apply(KUSTOMIZATION)
            assert run_page(page, namespace, folder, environment) == 4
    else:
        assert run_page(page, namespace, folder, environment) > 1


def test_every_page_is_run_somewhere() -> None:
    assert {"from-helm", "from-kubectl", "from-socialgouv", "gitops", "pipelines", "recipes", "replaying", "reports"} == set(PAGES)
    for page in GENERATED | ELSEWHERE:
        assert (DOCS / f"{page}.md").exists()
