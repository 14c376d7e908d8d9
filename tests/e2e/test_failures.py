"""Rollouts that fail: as early as it can be known, and with the cause."""

from conftest import Namespace
from manifests import BROKEN, HEALTHZ, MISSING, NEVER_READY, WEB, deployment, job, quota, script, workload


def test_a_crash_loop_fails_with_its_log(namespace: Namespace) -> None:
    namespace.apply(deployment("web", script("echo FATAL: no database; exit 3")))
    result = namespace.rollout_status("-retry-limit", "1")
    assert result.exit == 1
    assert result.error["code"] == "process-crashing"
    assert "main" in result.error["message"]
    assert result.error["log"] == "FATAL: no database\n"
    assert result.error["workload"] == {"kind": "Deployment", "namespace": namespace.name, "name": "web"}
    assert result.error["resource"]["container"] == "main"


def test_a_crash_of_the_new_revision_fails_while_the_old_one_serves(namespace: Namespace) -> None:
    namespace.apply(deployment("web", WEB))
    assert namespace.rollout_status().exit == 0
    namespace.apply(deployment("web", script("echo FATAL: no database; exit 3") | {"readinessProbe": HEALTHZ}))
    result = namespace.rollout_status("-retry-limit=0")
    assert result.exit == 1
    assert result.error["code"] == "process-crashing"
    assert result.error["log"] == "FATAL: no database\n"


def test_a_missing_image_is_named(namespace: Namespace) -> None:
    namespace.apply(deployment("web", BROKEN))
    result = namespace.rollout_status()
    assert result.exit == 1
    assert result.error["code"] == "invalid-config"
    assert MISSING in result.error["message"]
    assert "not found" in result.error["message"]


def test_a_missing_config_map_is_named(namespace: Namespace) -> None:
    namespace.apply(deployment("web", WEB | {"envFrom": [{"configMapRef": {"name": "settings"}}]}))
    result = namespace.rollout_status()
    assert result.exit == 1
    assert result.error["code"] == "invalid-config"
    assert 'configmap "settings" not found' in result.error["message"]


def test_a_used_up_quota_is_named(namespace: Namespace) -> None:
    namespace.apply(quota(pods="0"))
    namespace.kubectl("wait", "--for=jsonpath={.status.hard.pods}=0", "resourcequota/quota", "--timeout=60s")
    namespace.apply(deployment("web", WEB))
    result = namespace.rollout_status("--set", "quota-grace=3s")
    assert result.exit == 1
    assert result.error["code"] == "resource-limits-exceeded"
    assert "exceeded quota: quota" in result.error["message"]


def test_a_probe_that_never_passes_fails_at_the_progress_deadline(namespace: Namespace) -> None:
    namespace.apply(deployment("web", WEB | {"readinessProbe": NEVER_READY}, progressDeadlineSeconds=15))
    result = namespace.rollout_status()
    assert result.exit == 1
    assert result.error["code"] in ("not-progressing", "probe-failing")
    assert "web" in result.error["message"]
    assert "/never" in result.stderr


def test_a_failed_job_fails_with_its_log(namespace: Namespace) -> None:
    namespace.apply(job("migrate", script("echo FATAL: no such table; exit 4")))
    result = namespace.rollout_status("job/migrate")
    assert result.exit == 1
    assert result.error["code"] == "process-crashing"
    assert result.error["log"] == "FATAL: no such table\n"
    assert result.error["workload"]["name"] == "migrate"


def test_one_of_four_workloads_fails_the_release(namespace: Namespace) -> None:
    labels = {"release": "demo"}
    namespace.apply(
        deployment("web", WEB, labels=labels),
        deployment("worker", BROKEN, labels=labels),
        workload("StatefulSet", "db", WEB, labels=labels, serviceName="db"),
        job("migrate", script("exit 0"), labels=labels),
        deployment("another-release", BROKEN),
    )
    result = namespace.rollout_status("-l", "release=demo")
    assert result.exit == 1
    assert result.error["code"] == "invalid-config"
    assert result.error["workload"] == {"kind": "Deployment", "namespace": namespace.name, "name": "worker"}
    assert set(result.statuses) == {"web", "worker", "db", "migrate"}
    assert [name for name, status in result.statuses.items() if status == "failed"] == ["worker"]


def test_only_the_named_workload_is_judged(namespace: Namespace) -> None:
    namespace.apply(deployment("web", WEB), deployment("worker", BROKEN), job("migrate", BROKEN))
    result = namespace.rollout_status("deployment/web")
    assert result.exit == 0
    assert result.statuses == {"web": "ready"}


def test_a_deployment_that_is_not_there_is_not_found(namespace: Namespace) -> None:
    namespace.apply(deployment("web", WEB))
    result = namespace.rollout_status("deployment/nope")
    assert result.exit == 1
    assert result.error["code"] == "not-found"
    assert "nope" in result.error["message"]


def test_an_empty_namespace_is_not_found(namespace: Namespace) -> None:
    result = namespace.rollout_status()
    assert result.exit == 1
    assert result.error["code"] == "not-found"
    assert namespace.name in result.error["message"]
