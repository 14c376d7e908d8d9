"""What a failure says besides its cause: what changed, the way back, and a command that shows more. All of it is pasted."""

import subprocess

import pytest
from conftest import Json, Namespace
from manifests import BROKEN, IMAGES, WEB, deployment, job, quota, script, workload


def paste(command: str) -> subprocess.CompletedProcess[str]:
    """What a shell makes of a command."""
    return subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet", "DaemonSet"])
def test_the_way_back_leads_back(namespace: Namespace, kind: str) -> None:
    """Also for a StatefulSet, which replaces no broken pod by itself."""
    more = {"serviceName": "web"} if kind == "StatefulSet" else {}
    namespace.apply(workload(kind, "web", WEB | {"env": [{"name": "GREETING", "value": "hello"}]}, **more))
    assert namespace.rollout_status().exit == 0
    variables = [{"name": "GREETING", "value": "good day"}, {"name": "DB_URL", "value": "hunter2hunter2"}]
    namespace.apply(workload(kind, "web", WEB | BROKEN | {"env": variables}, **more))
    result = namespace.rollout_status()
    assert result.exit == 1
    failed = result.document["workloads"][0]
    assert [each.replace(f"{IMAGES}/", "") for each in failed["changes"]] == [
        "image web:v1 -> app:missing",
        "env GREETING changed",
        "env DB_URL added",
    ]
    assert "hunter2" not in str(result.document)
    pasted = paste(failed["rollback"])
    assert pasted.returncode == 0, pasted.stderr
    assert namespace.rollout_status().exit == 0


@pytest.mark.parametrize(
    ("manifests", "arguments"),
    [
        ([deployment("web", script("echo FATAL: no database; exit 3"))], ["--retry-limit", "1"]),
        ([deployment("web", BROKEN)], []),
        ([quota(pods="0"), deployment("web", WEB)], ["--set", "quota-grace=3s"]),
        ([job("migrate", script("echo FATAL: no such table; exit 4"))], ["job/migrate"]),
        ([workload("DaemonSet", "agent", WEB, pod={"serviceAccountName": "nobody"})], []),
    ],
    ids=["crash", "image", "quota", "job", "service-account"],
)
def test_a_hint_can_be_pasted(namespace: Namespace, manifests: list[Json], arguments: list[str]) -> None:
    namespace.apply(*manifests)
    result = namespace.rollout_status(*arguments)
    assert result.exit == 1
    pasted = paste(result.error["hint"])
    assert pasted.returncode == 0, (result.error["hint"], pasted.stderr)
    assert pasted.stdout.strip()
