"""Commands for people to paste: no name of the cluster runs anything in a shell."""

import json
import random
import re
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, run, snapshot

from rollout_status_lib.commands import Command, add_kubectl_flags, quote_word
from rollout_status_lib.functions import Functions
from rollout_status_lib.rules import Rules
from rollout_status_lib.verbs.lint_command import check_command

Program = Callable[..., str]
HOSTILE = "$(touch x)`touch x`; touch x\ntouch x\r 'q' \"d\" && kubectl touch x | # $x ~ * \x1b \\"
RULES = Rules(ROOT / "rules", packs=None)
HINTS = {rule.id: rule.hint for rule in RULES.rules.values() if rule.hint}
ROLLBACKS = {kind.name: kind.revisions.rollback for kind in RULES.kinds.values() if kind.revisions and kind.revisions.rollback}
BLOCKED = {kind.name: kind.blocked for kind in RULES.kinds.values() if kind.blocked}


def paste(commands: list[str], folder: Path) -> None:
    """Runs commands in a shell in which kubectl does nothing, and checks that nothing else was run."""
    folder.mkdir()
    script = "\n".join(["kubectl() { :; }", "rollout-status() { :; }", *commands, "touch done"])
    done = subprocess.run(["bash", "-u"], input=script, cwd=folder, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr, [path.name for path in folder.iterdir()]) == ("", "", ["done"])


def fill_at_random(template: Any, chance: random.Random) -> str:
    """A command with hostile values, of which some are missing and some are lists."""
    return template.fill(lambda _: chance.choice([HOSTILE, HOSTILE, "web", None, False, 137, [HOSTILE, None, "b"], []]))


def test_no_value_runs_anything_in_any_hint_or_rollback(tmp_path: Path) -> None:
    chance = random.Random(15)
    commands = [fill_at_random(template, chance) for template in (*HINTS.values(), *ROLLBACKS.values()) for _ in range(40)]
    commands += [fill_at_random(template, chance).partition("deleted: ")[2] for template in BLOCKED.values() for _ in range(40)]
    assert len({*commands}) > 500
    flags = f"--context={shlex.quote(HOSTILE.replace(chr(10), ''))}"
    for command in commands:
        assert command.isprintable()
        assert shlex.split(command, comments=True)[:1] in (["kubectl"], [])
    paste(commands, tmp_path / "plain")
    paste([add_kubectl_flags(command, flags) for command in commands], tmp_path / "flags")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("kubectl -n {ns} get pod {name}", "kubectl -n 'a b' get pod web"),
        ("kubectl -n {none} get pod {name}", "kubectl get pod web"),
        ("kubectl get pod {name} {none}", "kubectl get pod web"),
        ("kubectl get pod {name} -c {none} --previous", "kubectl get pod web --previous"),
        ("kubectl undo --to-revision={none}", "kubectl undo"),
        ("kubectl undo --to-revision={three}", "kubectl undo --to-revision=3"),
        ("kubectl get {kind}/{name}", "kubectl get 'a b'/web"),
        ("kubectl get --field-selector name={none}", "kubectl get --field-selector name="),
        ("kubectl get pod {flag}", "kubectl get pod"),
        ("kubectl get {names}", "kubectl get a 'b c'"),
        ("kubectl {name && ['-n', ns, 'get pods'] || 'get'} x", "kubectl -n 'a b' get pods x"),
        ("kubectl {none && ['-n', ns] || ['get', none || 'pods', none]} x", "kubectl get pods x"),
        ("kubectl {['-n', none, 'get pods']}", "kubectl get pods"),
        ("kubectl get x {name && '# it\\'s so'}", "kubectl get x # it's so"),
        ("kubectl get x # exit code {minus}", "kubectl get x # exit code -1"),
        ("kubectl patch -p '{{}' {name}", "kubectl patch -p '{}' web"),
        ("kubectl get {join('', [name, ' x'])}", "kubectl get 'web x'"),
        ("{none} - deleted: kubectl delete {ns}", "- deleted: kubectl delete 'a b'"),
    ],
)
def test_what_a_command_is_filled_with(text: str, expected: str) -> None:
    scope = {"ns": "a b", "kind": "a b", "name": "web", "flag": "--all", "names": ["a", "b c"], "three": 3, "minus": -1}
    assert Command.parse(text, "here").fill(lambda each: each.evaluate(scope, Functions(0))) == expected


def test_a_word_that_is_plain_needs_no_quotes() -> None:
    assert [quote_word(value) for value in ("web-1.x", 5, None, "", "a\nb", "-x")] == ["web-1.x", "5", "", "", "'a b'", ""]


@pytest.mark.parametrize(
    ("hint", "finding"),
    [
        ("kubectl get pod '{name}'", "{name} is quoted by itself: leave out the ' around it"),
        ('kubectl get pod "x-{name}"', '{name} is quoted by itself: leave out the " around it'),
        ("kubectl get pod {name && join(' ', ['-n', name])}", "join makes one word"),
        ("kubectl get pod {none || ['x', join('', [' -n ', name])]}", "join makes one word"),
        ("kubectl get pod {name} -p '{{}' # it's {name}'s", ""),
        ("kubectl get pod {join('=', ['name', name])} x#'{name}", "{name} is quoted by itself"),
    ],
)
def test_lint_finds_quotes_around_a_value(hint: str, finding: str, tmp_path: Path) -> None:
    found = list(check_command(Command.parse(hint, "here"), "here"))
    assert (len(found), "".join(found).removeprefix("here: ").startswith(finding)) == (int(bool(finding)), True)


def test_lint_looks_at_hints_and_rollbacks(tmp_path: Path) -> None:
    path = tmp_path / "rules.yaml"
    kind = ["name: widget", "resource: widgets.example.com", "waits: false", "revisions:", "  kept_in: replicaset", "  number: spec"]
    kind += ["  template: spec", "  current: spec", "  makes: pod", "  rollback: kubectl undo '{revision}'"]
    rule = ["id: acme/x", "subject: pod", "when: pod.spec.x", "verdict: fail", "code: acme/x", "message: x"]
    rule += ["hint: kubectl get pod '{pod.metadata.name}'"]
    path.write_text(
        "\n".join(["version: 1", "kinds:", "-", *(f"  {line}" for line in kind), "rules:", "-", *(f"  {line}" for line in rule)])
    )
    findings = run("lint", str(path)).stdout
    assert f"{path}:22: acme/x: hint: {{pod.metadata.name}} is quoted by itself" in findings
    assert f"{path}:7: rollback: {{revision}} is quoted by itself" in findings


def test_names_that_a_shell_would_run(kubectl: Program, tmp_path: Path) -> None:
    """In a whole run: the namespace, the names and the context are hostile."""
    text = snapshot("deployment/crash-loop").read_text().replace("r-deployment-crash-loop", "$(touch x)")
    text = re.sub('"app(?=[-"])', '"$(touch x)`touch x`', text)
    (tmp_path / "now.json").write_text(text)
    program = kubectl(f'case "$*" in *events*|*logs*) echo "{{\\"items\\": []}}" ;; *) cat {tmp_path}/now.json ;; esac')
    outcome = run("--kubectl", program, "--retry-limit", "1", "--context", "$(touch x)", "--kubeconfig", "; touch x")
    assert (outcome.exit, outcome.error["code"]) == (1, "process-crashing")
    assert "$(touch x)" in outcome.error["hint"]
    refused = 'Error from server (Forbidden): x is forbidden: User \\"x\\" cannot list resource \\"pods\\"'
    forbidden = run("--kubectl", kubectl(f'echo "{refused}" >&2; exit 1'), "-n", "$(touch x)", "deployment/web")
    assert forbidden.error["code"] in ("forbidden", "usage")
    paste([each.error["hint"] for each in (outcome, forbidden)], tmp_path / "shell")


def test_a_deadline_of_an_object_with_a_hostile_name(tmp_path: Path) -> None:
    """Where a rule that only waits has no hint, there is one all the same."""
    items = json.loads(snapshot("statefulset/not-observed").read_text())["items"]
    for each in items:
        each["metadata"] |= {"name": "$(touch x)", "namespace": "$(touch x)"}
    (tmp_path / "now.json").write_text(json.dumps({"items": items, "kind": "List"}))
    outcome = run("--replay", str(tmp_path / "now.json"), "--set", "progress_deadline=0s", "--quiet")
    assert outcome.error["hint"] == "kubectl -n '$(touch x)' describe StatefulSet '$(touch x)'"
