"""Faults of the network and the cluster while a rollout is watched: an API server behind a proxy, objects made anew, a token revoked."""

import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import (
    PATIENCE,
    Api,
    Namespace,
    Result,
    assert_interrupted,
    bound,
    ended,
    eventually,
    processes,
    proxied,
    started,
)
from manifests import BROKEN, MISSING, NEVER_READY, SLEEPS, WEB, Json, deployment, script

WAITING = deployment("web", WEB | {"readinessProbe": NEVER_READY})

# Crashes once somebody says so, and from then on
BREAKS = deployment(
    "web",
    script("until [ -e /said/broken ]; do sleep 0.1; done; echo FATAL: no database; exit 3")
    | {"readinessProbe": SLEEPS["readinessProbe"], "volumeMounts": [{"name": "said", "mountPath": "/said"}]},
    pod={"volumes": [{"name": "said", "emptyDir": {}}]},
)


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    with proxied(tmp_path) as behind_a_proxy:
        yield behind_a_proxy


def watching(namespace: Namespace, api: Api) -> list[str]:
    """The arguments for watching a namespace through the proxy, with pauses that stay short."""
    return ["-n", namespace.name, "--kubeconfig", api.config, "--interval", "1s", "deployment/web"]


def pod_of(namespace: Namespace) -> Json:
    """The pod of the Deployment, once its container runs."""
    return eventually(lambda: [pod for pod in namespace.get("pods", "-l", "app=web")["items"] if pod["status"]["phase"] == "Running"])[0]


def touch(namespace: Namespace, path: str) -> None:
    """Says so: creates a file in the container."""
    namespace.kubectl("exec", pod_of(namespace)["metadata"]["name"], "--", "touch", path)


def assert_tries_again(tool: subprocess.Popen[str]) -> None:
    assert tool.stderr
    assert any("trying again" in line for line in tool.stderr)


def assert_unreachable(result: Result, mark: str) -> None:
    assert result.exit == 4
    assert result.error["code"] == "unreachable"
    eventually(lambda: not processes(mark), 5)  # a killed process takes a moment to be gone


# ------------------------------------------------------------------------------------------- an API that comes back


def test_a_rollout_that_ends_while_the_api_refuses_succeeds(namespace: Namespace, api: Api) -> None:
    namespace.apply(deployment("web", SLEEPS))
    with started(*watching(namespace, api)) as (tool, _):
        with api.down():
            assert_tries_again(tool)
            touch(namespace, "/tmp/ready")
            namespace.kubectl("wait", "--for=condition=Available", "deployment/web", f"--timeout={PATIENCE:g}s")
        result = ended(tool)
    assert result.exit == 0
    assert result.statuses == {"web": "ready"}


def test_a_rollout_that_goes_on_after_the_api_refused_succeeds(namespace: Namespace, api: Api) -> None:
    namespace.apply(deployment("web", SLEEPS))
    with started(*watching(namespace, api)) as (tool, _):
        with api.down():
            assert_tries_again(tool)
        touch(namespace, "/tmp/ready")
        result = ended(tool)
    assert result.exit == 0
    assert result.statuses == {"web": "ready"}


def test_a_rollout_that_breaks_while_the_api_refuses_fails_with_its_cause(namespace: Namespace, api: Api) -> None:
    namespace.apply(BREAKS)
    with started(*watching(namespace, api), "--retry-limit", "0") as (tool, _):
        with api.down():
            assert_tries_again(tool)
            touch(namespace, "/said/broken")
            eventually(lambda: namespace.get("pods", "-l", "app=web")["items"][0]["status"]["containerStatuses"][0]["restartCount"])
        result = ended(tool)
    assert result.exit == 1
    assert result.error["code"] == "process-crashing"
    assert result.error["log"] == "FATAL: no database\n"
    assert result.statuses == {"web": "failed"}


@pytest.mark.parametrize("manner", ["resetting", "mute"])
def test_a_rollout_of_which_the_api_tells_nothing_for_a_while_succeeds(namespace: Namespace, api: Api, manner: str) -> None:
    namespace.apply(deployment("web", SLEEPS))
    with started(*watching(namespace, api), "--request-timeout", "2s") as (tool, mark):
        with api.being(manner):
            assert_tries_again(tool)
            touch(namespace, "/tmp/ready")
        result = ended(tool)
    assert result.exit == 0
    assert result.statuses == {"web": "ready"}
    assert not processes(mark)


# ------------------------------------------------------------------------------------- an API that does not come back


def test_an_api_that_goes_down_for_good_is_unreachable(namespace: Namespace, api: Api) -> None:
    namespace.apply(WAITING)
    with started(*watching(namespace, api), "--set", "api_grace=2s") as (tool, mark):
        api.refuses()
        assert_tries_again(tool)
        result = ended(tool)
        assert_unreachable(result, mark)
    assert "refused" in result.error["message"]


@pytest.mark.parametrize("manner", ["mute", "resetting"])
def test_an_api_that_answers_no_more_is_unreachable(namespace: Namespace, api: Api, manner: str) -> None:
    namespace.apply(WAITING)
    with started(*watching(namespace, api), "--request-timeout", "2s", "--set", "api_grace=3s") as (tool, mark), api.being(manner):
        result = ended(tool)
        assert api.has_been(manner)
        assert_unreachable(result, mark)
        assert result.statuses == {"web": "waiting"}


@pytest.mark.parametrize("manner", ["mute", "resetting"])
def test_an_api_that_never_answered_is_unreachable_and_no_clock_is_wrong(namespace: Namespace, api: Api, manner: str) -> None:
    namespace.apply(WAITING)
    with api.being(manner):
        result = namespace.rollout_status("--kubeconfig", api.config, "--request-timeout", "2s", "--set", "api_grace=3s")
    assert result.exit == 4
    assert result.error["code"] == "unreachable"
    assert "notes" not in result.document


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_the_api_is_mute_leaves_no_kubectl_behind(namespace: Namespace, api: Api, signum: signal.Signals) -> None:
    namespace.apply(WAITING)
    with started(*watching(namespace, api)) as (tool, mark), api.being("mute"):
        eventually(lambda: api.has_been("mute"))
        assert len(processes(mark)) > 1
        assert_interrupted(tool, mark, signum)


def test_the_timeout_ends_it_while_the_api_is_mute(namespace: Namespace, api: Api) -> None:
    namespace.apply(WAITING)
    with started(*watching(namespace, api), "--timeout", "6s") as (tool, mark), api.being("mute"):
        result = ended(tool)
        assert api.has_been("mute")
        assert not processes(mark)
    assert result.exit == 3
    assert result.error["code"] == "timeout"
    assert result.statuses == {"web": "waiting"}


# ------------------------------------------------------------------------------------------------ objects made anew


def stopped_between_polls(tool: subprocess.Popen[str], mark: str) -> bool:
    """Whether the tool is stopped while no call of it is under way; if not, it goes on."""
    tool.send_signal(signal.SIGSTOP)
    eventually(lambda: state_of(tool) == "T", 5)
    if not any(is_call(pid) for pid in processes(mark) if pid != tool.pid):
        return True
    tool.send_signal(signal.SIGCONT)
    return False


def is_call(pid: int) -> bool:
    """Whether a process is no watch: those last as long as the tool does."""
    try:
        return b"watch=1" not in Path(f"/proc/{pid}/cmdline").read_bytes()
    except FileNotFoundError:
        return False


def state_of(tool: subprocess.Popen[str]) -> str:
    return Path(f"/proc/{tool.pid}/stat").read_text().rpartition(")")[2].split()[0]


def replaced_unseen(namespace: Namespace, old: Json, new: Json) -> Result:
    """What is said of a Deployment that was replaced between two polls, the watched one being the one before."""
    namespace.apply(old)
    before = namespace.get("deployment/web")["metadata"]["uid"]
    pod_of(namespace)
    with started("-n", namespace.name, "deployment/web") as (tool, mark):
        eventually(lambda: stopped_between_polls(tool, mark))
        namespace.kubectl("replace", "--force", "-f", "-", stdin=json.dumps(new))
        assert namespace.get("deployment/web")["metadata"]["uid"] != before
        tool.send_signal(signal.SIGCONT)
        return ended(tool)


def pods_of_the_deployment(namespace: Namespace) -> list[Json]:
    """The pods of the Deployment that is there now, not those of one that had its name."""
    owners = {namespace.get("deployment/web")["metadata"]["uid"]}
    for kind in ("replicasets", "pods"):
        owned = [each for each in namespace.get(kind)["items"] if {owner["uid"] for owner in each["metadata"]["ownerReferences"]} & owners]
        owners = {each["metadata"]["uid"] for each in owned}
    return owned


def test_a_deployment_that_is_replaced_between_two_polls_succeeds_with_the_new_one(namespace: Namespace) -> None:
    result = replaced_unseen(namespace, deployment("web", SLEEPS), deployment("web", WEB | {"image": "web:v2"}, replicas=2))
    assert result.exit == 0
    assert result.statuses == {"web": "ready"}
    pods = pods_of_the_deployment(namespace)
    assert [pod["spec"]["containers"][0]["image"].rpartition("/")[2] for pod in pods] == ["web:v2"] * 2
    assert all(pod["status"]["containerStatuses"][0]["ready"] for pod in pods)


def test_a_deployment_that_is_replaced_between_two_polls_fails_with_the_new_one(namespace: Namespace) -> None:
    result = replaced_unseen(namespace, deployment("web", SLEEPS), deployment("web", BROKEN))
    assert result.exit == 1
    assert result.error["code"] == "invalid-config"
    assert MISSING in result.error["message"]
    (pod,) = pods_of_the_deployment(namespace)
    assert result.error["resource"]["name"] == pod["metadata"]["name"]


# ------------------------------------------------------------------------------------------------------------ rights


def test_a_token_that_is_revoked_meanwhile_is_unauthorized(namespace: Namespace, tmp_path: Path) -> None:
    config = bound(namespace, tmp_path)
    namespace.apply(WAITING)
    with started("-n", namespace.name, "--kubeconfig", config, "--interval", "1s") as (tool, _):
        namespace.kubectl("delete", "serviceaccount", "pipeline")
        result = ended(tool)
    assert result.exit == 4
    assert result.error["code"] == "unauthorized"
    assert result.statuses == {"web": "waiting"}
