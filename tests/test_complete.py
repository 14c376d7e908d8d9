"""What a word may become, in kubectl's words; tests/packaging has the shells themselves."""

import sys
from collections.abc import Callable

import pytest
from conftest import run

from rollout_status_lib.verbs.completion import complete_kubectl
from rollout_status_start import VERBS

# Two Deployments of one namespace, two namespaces, and contexts, one of which no shell could read without quotes
KUBECTL = """
case "$*" in
  *"get deployments.apps --namespace=shop -o name") echo deployment.apps/web; echo deployment.apps/api ;;
  *"get namespaces -o name") echo namespace/shop; echo namespace/default ;;
  *"config get-contexts -o name") echo arn:aws:eks:eu-1:1:cluster/shop; echo 'a $(touch b)' ;;
  *) echo deployment.apps/never; exit 1 ;;
esac
"""


def said(*words: str) -> list[str]:
    """The candidates without their descriptions, and the number."""
    outcome = run("completion", "--", *words)
    assert (outcome.exit, outcome.stderr) == (0, "")
    return [line.partition("\t")[0] for line in outcome.stdout.splitlines()]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["depl"], ["deployment/", ":6"]),
        (["de"], ["demo", "deployment/", "deviceclass/", ":4"]),
        (["job/migrate", "de"], ["deployment/", "deviceclass/", ":6"]),
        (["--once", "-n", "shop", "de"], ["demo", "deployment/", "deviceclass/", ":4"]),
        (["--namespace=shop", "xyz"], [":4"]),
        (["--stable"], ["--stable-for", ":4"]),
        (["-o", ""], ["json", "text", ":4"]),
        (["--output", "te"], ["text", ":4"]),
        (["--output=te"], ["--output=text", ":4"]),
        (["-unknown=te"], [":4"]),
        (["--unknown", "daem"], ["daemonset/", ":6"]),
        (["--on-superseded", ""], ["fail", "note", ":4"]),
        (["--kinds", "stat"], ["statefulset", ":4"]),
        (["--kinds", "job,stat"], ["job,statefulset", ":4"]),
        (["--timeout", ""], [":4"]),
        (["--report", ""], [":0"]),
        (["-f", "--once"], [":0"]),
    ],
)
def test_what_needs_no_cluster(words: list[str], expected: list[str]) -> None:
    assert said(*words) == expected


def test_without_a_word_all_kinds_and_verbs() -> None:
    assert {"deployment/", "rollout/", "demo", *VERBS} < set(said())
    assert "generic/" not in said()


def test_names_come_from_kubectl(kubectl: Callable[..., str]) -> None:
    program = kubectl(KUBECTL)
    assert said("--kubectl", program, "-n", "shop", "deploy/") == ["deploy/api", "deploy/web", ":4"]
    assert said("--kubectl", program, "--namespace=shop", "deploy/w") == ["deploy/web", ":4"]
    assert said("--kubectl", program, "-n", "sh") == ["shop", ":4"]
    assert said("--kubectl", program, "--context", "") == ["arn:aws:eks:eu-1:1:cluster/shop", ":4"]


def test_what_kubectl_refuses_has_no_names(kubectl: Callable[..., str]) -> None:
    assert said("--kubectl", kubectl(KUBECTL), "deploy/") == [":4"]
    assert said("--kubectl", "/nowhere/kubectl", "deploy/") == [":4"]


def test_wrong_rules_have_no_kinds(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "rules").mkdir()
    monkeypatch.setattr("rollout_status_lib.verbs.completion.find_data", tmp_path.joinpath)
    assert said("dep") == [":4"]
    assert said("dep/x") == [":4"]


def test_the_scripts_are_those_of_three_shells() -> None:
    for shell in ("bash", "zsh", "fish"):
        assert shell in run("completion", shell).stdout.splitlines()[shell == "zsh"]
    outcome = run("completion", "tcsh")
    assert (outcome.exit, outcome.stdout.strip()) == (2, "")
    assert "completion bash" in outcome.stderr


def test_kubectl_asks_for_its_plugin(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["kubectl_complete-rollout_status", "depl"])
    assert complete_kubectl() == 0
    assert capsys.readouterr().out == "deployment/\tdeployments.apps\n:6\n"
