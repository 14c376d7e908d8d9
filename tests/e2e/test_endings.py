"""Runs that end without a verdict: the time is up, a signal arrives, the cluster may not or cannot be asked."""

import shutil
import signal
from pathlib import Path

import pytest
from conftest import Namespace, assert_interrupted, eventually, is_kept, kubeconfig, processes, started
from manifests import NEVER_READY, WEB, deployment

WAITING = deployment("web", WEB | {"readinessProbe": NEVER_READY})


def test_the_timeout_says_what_was_waited_for(namespace: Namespace) -> None:
    namespace.apply(WAITING)
    result = namespace.rollout_status("--timeout", "3s")
    assert result.exit == 3
    assert result.error["code"] == "timeout"
    assert "deployment/web" in result.error["message"]
    assert result.statuses == {"web": "waiting"}


def test_once_does_not_wait(namespace: Namespace) -> None:
    namespace.apply(WAITING)
    result = namespace.rollout_status("--once")
    assert result.exit == 3
    assert result.error["code"] == "timeout"
    assert "deployment/web" in result.error["message"]
    assert result.document["polls"] == 1


# ------------------------------------------------------------------------------------------------------------ signals

# A kubectl whose calls never end once the file `hang` is there, with a child as a credential plugin would be one
HANGING = """#!/bin/sh
[ -e {folder}/hang ] || exec {kubectl} "$@"
sleep 1000 &
touch {folder}/hangs
wait
"""


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_between_polls_ends_it_with_the_json(namespace: Namespace, signum: signal.Signals) -> None:
    namespace.apply(WAITING)
    with started("-n", namespace.name, "-interval", "60s") as (tool, mark):
        assert_interrupted(tool, mark, signum)


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_during_a_call_leaves_no_kubectl_behind(namespace: Namespace, signum: signal.Signals, tmp_path: Path) -> None:
    namespace.apply(WAITING)
    hanging = tmp_path / "kubectl"
    hanging.write_text(HANGING.format(folder=tmp_path, kubectl=shutil.which("kubectl")))
    hanging.chmod(0o755)
    with started("-n", namespace.name, "--kubectl", str(hanging)) as (tool, mark):
        (tmp_path / "hang").touch()
        eventually((tmp_path / "hangs").exists)
        assert len(processes(mark)) > 2
        assert_interrupted(tool, mark, signum)


# ------------------------------------------------------------------------------------------------- asking the cluster


def test_a_context_that_is_not_there_is_named_at_once(namespace: Namespace) -> None:
    result = namespace.rollout_status("--context", "no-such-context", "--set", "api-grace=5s")
    assert result.exit == 4
    assert result.error["code"] == "unreachable"
    assert "no-such-context" in result.error["message"]
    assert result.document["polls"] == 1


def test_a_cluster_that_does_not_answer_is_unreachable(namespace: Namespace, tmp_path: Path) -> None:
    config = kubeconfig(tmp_path, cluster={"server": "https://127.0.0.1:1"})
    result = namespace.rollout_status("-kubeconfig", config, "--set", "api-grace=2s")
    assert result.exit == 4
    assert result.error["code"] == "unreachable"
    assert "127.0.0.1:1" in result.error["message"]


def test_a_token_that_is_not_accepted_is_unauthorized(namespace: Namespace, tmp_path: Path) -> None:
    result = namespace.rollout_status("--kubeconfig", kubeconfig(tmp_path, user={"token": "worthless"}))
    assert result.exit == 4
    assert result.error["code"] == "unauthorized"


@pytest.fixture
def viewer(namespace: Namespace, tmp_path: Path) -> str:
    """The kubeconfig of a ServiceAccount that has no rights."""
    namespace.kubectl("create", "serviceaccount", "viewer")
    return kubeconfig(tmp_path, user={"token": namespace.kubectl("create", "token", "viewer").strip()})


def test_a_missing_right_is_named(namespace: Namespace, viewer: str) -> None:
    result = namespace.rollout_status("deployment/web", "--kubeconfig", viewer)
    assert result.exit == 4
    assert result.error["code"] == "forbidden"
    assert "list deployments" in result.error["message"]
    assert namespace.name in result.error["message"]


def test_without_any_right_there_is_nothing_to_judge(namespace: Namespace, viewer: str) -> None:
    namespace.apply(deployment("web", WEB))
    result = namespace.rollout_status("--kubeconfig", viewer)
    assert result.exit == 4
    assert result.error["code"] == "forbidden"


def test_what_may_be_read_is_judged_and_the_rest_is_noted(namespace: Namespace, viewer: str) -> None:
    namespace.apply(deployment("web", WEB))
    namespace.kubectl("create", "role", "viewer", "--verb=get,list", "--resource=deployments.apps,replicasets.apps,pods")
    namespace.kubectl("create", "rolebinding", "viewer", "--role=viewer", f"--serviceaccount={namespace.name}:viewer")
    eventually(lambda: is_kept(lambda: namespace.kubectl("--kubeconfig", viewer, "get", "deployments,replicasets,pods")))
    result = namespace.rollout_status("--kubeconfig", viewer, "--kinds", "deployment")
    assert result.exit == 0
    result = namespace.rollout_status("--kubeconfig", viewer)
    assert result.exit == 0
    assert any("jobs" in note for note in result.document["notes"])
