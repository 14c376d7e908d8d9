"""The Roles that --check-access prints; a program stands in for kubectl. tests/e2e/test_access.py applies them to a real cluster."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import ROOT, Outcome, environment, run

Program = Callable[..., str]
ROLE, CLUSTER_ROLE, CAUSES = yaml.safe_load_all((ROOT / "rollout_status_lib" / "sources" / "rbac.yaml").read_text())
# Says what a word stands for, which resources are in no namespace, and where it looks by itself; of rights it knows only those in $ALLOWED
KUBECTL = r"""
case "$*" in
  *"create role"*"--resource=widget "*)
    echo '{"kind": "Role", "rules": [{"verbs": ["list"], "apiGroups": ["example.com"], "resources": ["widgets"]}]}' ;;
  *"create role"*"--resource=endpoints "*)
    echo '{"kind": "Role", "rules": [{"verbs": ["list"], "apiGroups": [""], "resources": ["endpoints"]}]}' ;;
  *"create role"*) echo 'the server does not have it' >&2; exit 1 ;;
  *api-resources*namespaced*) echo clusterissuers.cert-manager.io ;;
  *api-resources*) echo $RESOURCES ;;
  *rbac.yaml*) echo '{"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "rollout-status", "namespace": "of-the-pod"}}' ;;
  *"auth can-i "$ALLOWED*) echo yes ;;
  *) echo no; exit 1 ;;
esac
"""


def ask(kubectl: Program, *arguments: str, allowed: str = "nothing", resources: str = "") -> Outcome:
    return run("--kubectl", kubectl(f"ALLOWED='{allowed}' RESOURCES='{resources}'\n{KUBECTL}"), "--check-access", *arguments)


def first(text: str) -> dict[str, Any]:
    """The first of the Roles that were printed."""
    return next(yaml.safe_load_all(text))


def rights(role: dict[str, Any]) -> set[tuple[str, str, str]]:
    """Group, resource and verb of each right."""
    return {
        (group, name, verb) for rule in role["rules"] for group in rule["apiGroups"] for name in rule["resources"] for verb in rule["verbs"]
    }


@pytest.mark.parametrize(("arguments", "role"), [(["-n", "shop"], ROLE), (["-A"], CLUSTER_ROLE)], ids=["Role", "ClusterRole"])
def test_where_nothing_is_allowed_the_role_has_the_rights_of_rbac_yaml(
    kubectl: Program, arguments: list[str], role: dict[str, Any]
) -> None:
    outcome = ask(kubectl, *arguments)
    assert (outcome.exit, outcome.error["code"]) == (4, "forbidden")
    assert "rollout-status --check-access 2>role.yaml" in outcome.error["hint"]
    printed, *others = yaml.safe_load_all(outcome.stderr)
    assert list(map(rights, others)) == ([rights(CAUSES)] if role is ROLE else [])
    assert (printed["apiVersion"], printed["kind"]) == (role["apiVersion"], role["kind"])
    assert printed["metadata"].get("namespace") == (arguments[1] if role is ROLE else None)
    assert rights(printed) == rights(role)


def test_each_namespace_has_its_role_and_what_is_in_none_a_cluster_role(kubectl: Program) -> None:
    outcome = ask(kubectl, "-n", "shop", "-n", "123", "--kinds", "clusterissuer")
    cluster, shop, number = yaml.safe_load_all(outcome.stderr)
    assert (shop["kind"], shop["metadata"]["namespace"]) == ("Role", "shop")
    assert number["metadata"]["namespace"] == "123"
    assert shop["rules"] == number["rules"]
    assert (cluster["kind"], rights(cluster)) == (
        "ClusterRole",
        {("cert-manager.io", "clusterissuers", verb) for verb in ("get", "list", "watch")},
    )
    assert "list clusterissuers.cert-manager.io -A" in outcome.error["message"]


def test_a_role_has_only_what_is_missing_also_when_a_verdict_does_without(kubectl: Program) -> None:
    outcome = ask(kubectl, "-n", "shop", "deployment/web", allowed="[lw]*")
    assert outcome.exit == 0
    printed, causes = yaml.safe_load_all(outcome.stderr)
    assert rights(printed) == {("apps", "deployments", "get"), ("apps", "replicasets", "get"), ("", "pods", "get"), ("", "pods/log", "get")}
    assert rights(causes) == rights(CAUSES)
    name = printed["metadata"]["name"]
    assert f"# kubectl -n shop create rolebinding {name} --role={name} --serviceaccount=NAMESPACE:NAME\n" in outcome.stderr


def test_no_right_is_missing_to_what_the_cluster_does_not_have(kubectl: Program) -> None:
    """kubectl says `no` for each such resource, whatever the Role has: here for devices that pods claim."""
    outcome = ask(kubectl, "-n", "shop", "deployment/web", allowed="[lw]*", resources="deployments.apps nodes persistentvolumeclaims")
    _, causes = yaml.safe_load_all(outcome.stderr)
    assert rights(causes) == {("", "nodes", "get")}
    assert "may list persistentvolumeclaims -n shop" in outcome.result["notes"]
    assert not [note for note in outcome.result["notes"] if "resource.k8s.io" in note]


def test_kubectl_is_asked_for_logs_as_a_part_of_pods(kubectl: Program) -> None:
    """`auth can-i get pods/log` would ask for a pod whose name is log."""
    outcome = ask(kubectl, "-n", "shop", "deployment/web", allowed="get pods --subresource=log -n shop")
    assert "may get pods/log -n shop" in outcome.result["notes"]


def test_roles_with_other_rules_have_other_names(kubectl: Program) -> None:
    """So that none is replaced when the next one is applied."""
    arguments = [("-n", "shop"), ("-n", "shop", "job/migrate"), ("-n", "other")]
    all_kinds, job, other = (first(ask(kubectl, *each).stderr)["metadata"]["name"] for each in arguments)
    assert re.fullmatch("rollout-status-[0-9a-f]{8}", job)
    assert job != all_kinds == other


def test_where_no_right_is_missing_there_is_no_role(kubectl: Program) -> None:
    outcome = ask(kubectl, "-n", "shop", allowed="")
    assert outcome.exit == 0
    assert yaml.safe_load(outcome.stderr) is None


def test_the_namespace_is_where_kubectl_looks_by_itself(kubectl: Program) -> None:
    assert first(ask(kubectl).stderr)["metadata"]["namespace"] == "of-the-pod"


def test_a_namespace_that_kubectl_cannot_tell(kubectl: Program) -> None:
    outcome = run("--kubectl", kubectl('case "$*" in *can-i*) echo no ;; *) echo refused >&2 ;; esac; exit 1'), "--check-access")
    assert (outcome.exit, outcome.error["code"]) == (4, "unreachable")
    assert outcome.error["message"] == "kubectl could not say in which namespace the rights are missing: refused"


def test_a_kind_that_no_rule_file_declares_is_called_as_kubectl_calls_it(kubectl: Program) -> None:
    found = rights(first(ask(kubectl, "--kinds", "widget,endpoints").stderr))
    assert {("example.com", "widgets", "list"), ("", "endpoints", "watch")} < found
    outcome = ask(kubectl, "--kinds", "gadget")
    assert (outcome.exit, outcome.error["message"]) == (2, "kubectl does not know what gadget is: the server does not have it")


def test_quiet_prints_nothing(kubectl: Program) -> None:
    outcome = ask(kubectl, "--quiet")
    assert (outcome.exit, outcome.stderr) == (4, "")


def test_a_copy_without_rbac_yaml_is_not_whole(kubectl: Program, tmp_path: Path) -> None:
    for name in ("rollout_status_lib", "rules"):
        shutil.copytree(ROOT / name, tmp_path / name)
    for name in ("rollout_status.py", "rollout_status_start.py", "schema.json"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "rollout_status_lib" / "sources" / "rbac.yaml").unlink()
    words = [sys.executable, tmp_path / "rollout_status.py", "--kubectl", kubectl(f"ALLOWED=nothing\n{KUBECTL}"), "--check-access"]
    done = subprocess.run(words, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 70
    assert "rbac.yaml: No such file or directory; copy the whole program" in json.loads(done.stdout)["error"]["message"]
    assert "# list  pods " in done.stderr
