"""--check-access on a cluster: the Role that it prints is applied and bound as its comment says, and then nothing is missing."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from conftest import ROLE, Namespace, Result, account, bound, eventually, kubectl, rollout_status
from manifests import deployment, script


def apply_what_was_printed(result: Result, subject: str, namespace: Namespace) -> list[dict]:
    """Does as an admin what stderr says; the Roles in it. Their names are other ones, since tests may run side by side."""
    printed = re.sub(r"rollout-status-[0-9a-f]{8}", namespace.name, result.stderr)
    kubectl("apply", "-f", "-", stdin=printed)
    commands = [line.removeprefix("# ") for line in printed.splitlines() if line.startswith("# kubectl ")]
    for command in commands:
        _, *words = shlex.split(command.replace("NAMESPACE:NAME", subject))
        kubectl(*words)
    roles = list(yaml.safe_load_all(printed))
    assert len(commands) == len(roles)
    return roles


def test_the_role_that_is_printed_is_all_that_was_missing(namespace: Namespace, tmp_path: Path) -> None:
    config = account(namespace, tmp_path)
    namespace.apply(deployment("web", script("echo FATAL: no database; exit 3")))
    before = namespace.rollout_status("--kubeconfig", config, "--check-access")
    assert (before.exit, before.error["code"]) == (4, "forbidden")
    role, _ = apply_what_was_printed(before, f"{namespace.name}:pipeline", namespace)
    assert (role["kind"], role["metadata"]["namespace"]) == ("Role", namespace.name)
    after = eventually(lambda: is_content(namespace.rollout_status("--kubeconfig", config, "--check-access")))
    assert not re.search(r" no( \(|$)", after.stderr, re.MULTILINE)
    crashing = namespace.rollout_status("--kubeconfig", config, "--retry-limit", "1")
    assert (crashing.exit, crashing.error["code"]) == (1, "process-crashing")
    assert crashing.error["log"] == "FATAL: no database\n"
    assert "notes" not in crashing.document


def test_what_a_verdict_does_without_is_a_role_too(namespace: Namespace, tmp_path: Path) -> None:
    rules = [rule | {"resources": [name for name in rule["resources"] if name != "pods/log"]} for rule in ROLE["rules"]]
    config = bound(namespace, tmp_path, ROLE | {"rules": rules})
    before = namespace.rollout_status("--kubeconfig", config, "--check-access", "deployment/web")
    assert before.exit == 0
    role, _ = apply_what_was_printed(before, f"{namespace.name}:pipeline", namespace)
    assert role["rules"] == [{"apiGroups": [""], "resources": ["pods/log"], "verbs": ["get"]}]
    eventually(lambda: is_content(namespace.rollout_status("--kubeconfig", config, "--check-access", "deployment/web")))
    assert namespace.get("role/rollout-status")["rules"]  # it is there as it was


@pytest.fixture(autouse=True)
def no_cluster_role(namespace: Namespace) -> Iterator[None]:
    """What a pod uses may be in no namespace: the right to see that is a ClusterRole."""
    yield
    kubectl("delete", "clusterrole,clusterrolebinding", namespace.name, "--ignore-not-found")


@pytest.mark.parametrize("kinds", ["deployment", "crd"])
def test_a_right_to_the_whole_cluster_is_a_cluster_role(namespace: Namespace, tmp_path: Path, kinds: str) -> None:
    """With -A, and for a kind that is in no namespace."""
    config = account(namespace, tmp_path)
    arguments = ["--kubeconfig", config, "--check-access", "--kinds", kinds, *(["-A"] if kinds == "deployment" else ["-n", namespace.name])]
    before = rollout_status(*arguments)
    assert (before.exit, before.error["code"]) == (4, "forbidden")
    roles = apply_what_was_printed(before, f"{namespace.name}:pipeline", namespace)
    assert "ClusterRole" in [role["kind"] for role in roles]
    eventually(lambda: is_content(rollout_status(*arguments)))


def is_content(result: Result) -> Result | None:
    """The result, once no right is missing."""
    return result if result.exit == 0 and yaml.safe_load(result.stderr) is None else None


def test_a_resource_that_the_cluster_does_not_have_is_said(namespace: Namespace) -> None:
    result = namespace.rollout_status("--check-access", "--kinds", "gadget")
    assert (result.exit, result.error["code"]) == (2, "usage")
    assert 'kubectl does not know what gadget is: the server doesn\'t have a resource type "gadget"' in result.error["message"]
