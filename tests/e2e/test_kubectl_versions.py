"""The tool with each kubectl of ROLLOUT_E2E_KUBECTLS."""

from conftest import Namespace
from manifests import BROKEN, MISSING, WEB, deployment


def test_a_success_is_seen(namespace: Namespace, kubectl_path: str) -> None:
    namespace.apply(deployment("web", WEB))
    result = namespace.rollout_status("--kubectl", kubectl_path)
    assert result.exit == 0
    assert result.statuses == {"web": "ready"}


def test_a_missing_image_is_seen(namespace: Namespace, kubectl_path: str) -> None:
    namespace.apply(deployment("web", BROKEN))
    result = namespace.rollout_status("--kubectl", kubectl_path)
    assert result.exit == 1
    assert result.error["code"] == "invalid-config"
    assert MISSING in result.error["message"]
