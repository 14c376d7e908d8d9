"""As people write it who come from kubectl and Helm, and what is said of names that are not there."""

import json
import os
import pty
import re
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from conftest import FIXTURES, ROOT, Program, environment, run, snapshot

import rollout_status
from rollout_status_lib.arguments import build_parser
from rollout_status_lib.views.text import NAME, wrap_line

SUCCESS = ("--replay", str(FIXTURES / "deployment/success"), "--quiet")
WAITS = ("--replay", str(FIXTURES / "selection/release-one-fails-one-waits"), "--quiet")


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (["deployment/web"], [("deployment", "web")]),
        (["deployment", "web"], [("deployment", "web")]),
        (["deployment", "web", "api"], [("deployment", "web"), ("deployment", "api")]),
        (["deploy,sts", "web"], [("deploy", "web"), ("sts", "web")]),
        (["rollout", "web"], [("rollout", "web")]),  # Argo's kind
        (["-w", "deployment/web", "--watch", "--wait=true"], [("deployment", "web")]),
        ([], []),
    ],
)
def test_names_are_written_as_for_kubectl(words: list[str], names: list[tuple[str, str]]) -> None:
    options = build_parser().parse(words)
    assert (options.names, options.once) == (names, False)


@pytest.mark.parametrize("flag", ["--watch=false", "-w=false", "--wait=0", "-watch=f"])
def test_without_watching_it_is_once(flag: str) -> None:
    assert build_parser().parse([flag]).once


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["status", "deployment/web"], "leave out status: rollout-status deployment/web"),
        (["rollout", "status", "deployment", "web"], "leave out rollout status: rollout-status deployment web"),
        (["status"], "leave out status: rollout-status deployment/web"),
        (["undo", "deployment/web"], "rollout-status changes nothing; write kubectl rollout undo"),
        (["deployment"], "'deployment' is not KIND/NAME"),
        (["deployment/web", "api"], "'api' is not KIND/NAME"),
        (["explain"], "explain stands first: write rollout-status explain"),
        (["deployment/web", "lint"], "lint stands first: write rollout-status lint"),
        (["--atomic"], "--atomic: it changes nothing; to roll back: rollout-status"),
        (["--install"], "helm upgrade --install"),
        (["--for=condition=Ready"], "--expect EXPR"),
        (["--to-revision=3"], "kubectl rollout undo"),
        (["--revision", "3"], "--revision needs KIND/NAME"),
        (["--revision", "3", "job/web"], "--revision: the kind job has no revisions"),
        (["--revision", "three", "deployment/web"], "revision: invalid number 'three'"),
        (["--watch=maybe"], "'maybe'"),
    ],
)
def test_what_to_write_instead(words: list[str], said: str) -> None:
    outcome = run(*SUCCESS, *words)
    assert (outcome.exit, outcome.error["code"]) == (2, "usage")
    assert said in outcome.error["message"]


@pytest.mark.parametrize(
    ("words", "usage"), [(["help"], "usage: rollout-status [explain]"), (["help", "lint"], "usage: rollout-status lint")]
)
def test_help_is_a_word_too(words: list[str], usage: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        rollout_status.main(words)
    assert end.value.code == 0
    assert capsys.readouterr().out.startswith(usage)


@pytest.mark.parametrize(
    ("name", "end"), [("wep", "; did you mean web?"), ("database", "; there is web"), ("web", "")], ids=["close", "another", "elsewhere"]
)
def test_a_name_that_is_not_there_may_be_a_slip(name: str, end: str) -> None:
    outcome = run(*SUCCESS, "deployment", name, *(["-n", "x", "-n", "r-deployment-success"] if not end else []))
    where = ' in namespace "x"' if not end else ""
    assert outcome.error["message"] == f'deployments.apps "{name}" not found{where}{end}'


def test_many_names_are_not_listed(tmp_path: Path) -> None:
    items = json.loads(snapshot("deployment/success").read_text())["items"]
    (web,) = [each for each in items if each["kind"] == "Deployment"]
    many = [{**web, "metadata": {**web["metadata"], "name": f"app-{n}", "uid": str(n)}} for n in range(6)]
    (tmp_path / "many.json").write_text(json.dumps({"kind": "List", "items": many}))
    outcome = run("--replay", str(tmp_path / "many.json"), "deployment/database", "--quiet")
    assert outcome.error["message"] == 'deployments.apps "database" not found'


NAMESPACES = 'case "$*" in *"get namespaces"*) printf "namespace/%s\\n" default shop; exit ;; esac\n'
NOTHING = 'echo \'{"kind": "List", "apiVersion": "v1", "items": []}\''


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["-n", "shpo"], 'judge in namespace "shpo"; there is no namespace "shpo"; did you mean shop?'),
        (["-n", "shpo", "deployment/web"], 'deployments.apps "web" not found; there is no namespace "shpo"; did you mean shop?'),
        (["-n", "prod"], 'judge in namespace "prod"; there is no namespace "prod"; but there is default, shop'),
        (["-n", "shop"], 'judge in namespace "shop"'),
        (["-A"], "judge in any namespace"),
        (
            ["-n", "shop", "-n", "x", "deployment/web"],
            'not found in namespace "shop"; there is no namespace "x"; but there is default, shop',
        ),
    ],
)
def test_a_namespace_that_is_not_there_is_named(kubectl: Program, arguments: list[str], said: str) -> None:
    outcome = run("--kubectl", kubectl(NAMESPACES + NOTHING), "--quiet", *arguments)
    assert (outcome.exit, outcome.error["code"]) == (1, "not-found")
    assert outcome.error["message"].endswith(said)


def test_namespaces_that_may_not_be_listed_are_not_spoken_of(kubectl: Program) -> None:
    forbidden = NAMESPACES.replace('printf "namespace/%s\\n" default shop; exit', "exit 1")
    outcome = run("--kubectl", kubectl(forbidden + NOTHING), "-n", "shpo", "--quiet")
    assert outcome.error["message"].endswith('judge in namespace "shpo"')


def test_nothing_to_judge_is_a_success_where_that_is_allowed() -> None:
    outcome = run(*SUCCESS, "--kinds", "job", "--allow-empty")
    assert (outcome.exit, outcome.result["success"]) == (0, True)
    assert outcome.result["notes"] == ['There are no jobs to judge in namespace "default"']
    assert run(*SUCCESS, "-n", "r-deployment-success", "-n", "x", "--allow-empty").exit == 0
    assert run(*SUCCESS, "-n", "r-deployment-success", "-n", "x").exit == 1
    assert run(*SUCCESS, "deployment/none", "--allow-empty").exit == 1


def test_all_verdicts_are_waited_for_where_that_is_asked(tmp_path: Path) -> None:
    """The one that has failed still has at the end, though it would be ready by then; the other one may take its time."""
    ready, broken = (json.loads(snapshot(case).read_text())["items"] for case in ("deployment/success", "deployment/crash-loop"))
    for each in ready:
        each["metadata"]["namespace"] = "late"
    (late,) = [each for each in ready if each["kind"] == "Deployment"]
    early = {**late, "status": {**late["status"], "availableReplicas": 0, "readyReplicas": 0}}
    uids = {each["metadata"]["uid"] for each in broken if each["kind"] == "Deployment"}
    mended = [each for each in broken if each["metadata"]["uid"] in uids]
    mended = [{**each, "metadata": {**each["metadata"], "annotations": {"rollout-status/ignore": "true"}}} for each in mended]
    for number, items in ((1, [early, *broken]), (2, [*ready, *mended])):
        (tmp_path / f"00{number}.json").write_text(json.dumps({"kind": "List", "items": items}))
    polls = "".join(f"- {{at: 2026-11-29T23:00:0{number}Z, objects: 00{number}.json}}\n" for number in (1, 2))
    (tmp_path / "recording.yaml").write_text(f"polls:\n{polls}until: 2026-11-29T23:01:00Z\n")
    replay = ("--replay", str(tmp_path), "--retry-limit=0")
    assert [each["status"] for each in run(*replay).result["workloads"]] == ["waiting", "failed"]
    outcome = run(*replay, "--wait-for-all")
    assert [each["status"] for each in outcome.result["workloads"]] == ["ready", "failed"]
    assert (outcome.exit, outcome.error["code"]) == (1, "process-crashing")
    assert "front" in run(*WAITS, "--wait-for-all").result["notes"][0]


@pytest.mark.parametrize("flag", ["--once", "--timeout=1"])
def test_the_time_ends_the_wait_for_the_others(kubectl: Program, flag: str) -> None:
    both = snapshot("selection/release-one-fails-one-waits")
    outcome = run("--kubectl", kubectl(f"cat {both}"), "--wait-for-all", flag)
    assert (outcome.exit, outcome.error["code"]) == (1, "invalid-config")
    assert "deployment/front: " in outcome.result["notes"][-1]
    assert "deployment/front: " in outcome.stderr


def test_dump_replaces_a_recording_of_its_own_and_nothing_else(kubectl: Program, tmp_path: Path) -> None:
    program, folder = kubectl(f"cat {snapshot('seed/config-error')}"), tmp_path / "failed"
    arguments = ("--kubectl", program, "--once", "--quiet", "--dump", str(folder))
    assert run(*arguments).exit == 1
    (folder / "002.json").write_text("{}")  # of a longer run
    assert run(*arguments).exit == 1
    assert sorted(path.name for path in folder.iterdir()) == ["001.json", "recording.yaml"]
    for name in ("notes.txt", "003.json"):
        other = folder / name
        other.mkdir() if name == "003.json" else other.write_text("mine")
        outcome = run(*arguments)
        assert (outcome.exit, outcome.error["code"]) == (2, "usage")
        assert "holds more than a recording" in outcome.error["message"]
        other.rmdir() if name == "003.json" else other.unlink()
    assert (folder / "recording.yaml").is_file()
    (folder / "recording.yaml").write_text("polls: []\n")  # somebody else's
    assert run(*arguments).exit == 2


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("deployment.apps/web configured\nstatefulset.apps/db unchanged\n", "these are lines for people: add -o json"),
        ("deployment.apps/web image updated\n", "these are lines for people: add -o json"),
        ("deployment.apps/web configured (server dry run)\n", "these are lines for people: add -o json"),
        ("deployment.apps/web\n", "these are lines for people: add -o json"),
        ("namespace/shop created\n", "these are lines for people: add -o json"),
        ('deployment.apps "web" deleted\n', "what was deleted does not roll out"),
        ("NAME   READY   UP-TO-DATE\nweb    1/1     1\n", "this is a table: add -o json"),
        ("apiVersion: apps/v1\nkind: Deployment\n", "this is YAML: write -o json"),
        ("---\napiVersion: apps/v1\n", "this is YAML: write -o json"),
        ("diff -u -N /tmp/LIVE/a /tmp/MERGED/a\n", "pipe the kubectl that makes the change"),
        ('deployment "web" successfully rolled out\n', "pipe the kubectl that makes the change"),
        ("something else\n", "it is not complete JSON"),
    ],
)
def test_what_kubectl_prints_for_people_is_named(kubectl: Program, text: str, said: str) -> None:
    outcome = run("--kubectl", kubectl("exit 1"), "-f", "-", stdin=text)
    assert (outcome.exit, outcome.error["code"]) == (2, "usage")
    assert said in outcome.error["message"]


def test_what_belongs_to_a_workload_is_not_what_rolls_out(kubectl: Program) -> None:
    """`kubectl rollout history -o json` prints ReplicaSets, and `kubectl get all -o json` all there is."""
    items = json.loads(snapshot("deployment/success").read_text())["items"]
    program = kubectl(f"cat {snapshot('deployment/success')}")
    everything = run("--kubectl", program, "-f", "-", stdin=json.dumps({"kind": "List", "items": items}))
    assert (everything.exit, [each["kind"] for each in everything.result["workloads"]]) == (0, ["Deployment"])
    assert "Pod, ReplicaSet" in everything.result["notes"][0]
    for kind, owner in (("ReplicaSet", "Deployment/web"), ("Pod", "ReplicaSet/")):
        only = [each for each in items if each["kind"] == kind]
        outcome = run("--kubectl", program, "-f", "-", stdin=json.dumps({"kind": "List", "items": only}))
        assert (outcome.exit, outcome.error["code"]) == (2, "usage")
        assert f" belongs to {owner}" in outcome.error["message"]
    assert run("--kubectl", program, "-f", "-", "--kinds", "pod", stdin=json.dumps({"kind": "List", "items": only})).exit == 0


REFUSED = "The connection to the server localhost:8080 was refused - did you specify the right host or port?"


def test_without_a_kubeconfig_the_run_ends_at_once(kubectl: Program) -> None:
    program = kubectl(f'echo "{REFUSED}" >&2; exit 1')
    outcome = run("--kubectl", program, "deployment/web")
    assert (outcome.exit, outcome.error["code"], outcome.error["rule"]) == (4, "unreachable", "kubectl-unconfigured")
    assert "there is no kubeconfig with a current context" in outcome.error["message"]


def test_this_machine_may_be_the_cluster_that_a_kubeconfig_names(kubectl: Program) -> None:
    """Then what is refused may pass, until the time is up; kubectl's last words say why, and it is no timeout of the rollout."""
    program = kubectl(f'case "$*" in *"config view"*) exit ;; esac; echo "{REFUSED}" >&2; exit 1')
    outcome = run("--kubectl", program, "deployment/web", "--timeout", "1s")
    assert (outcome.exit, outcome.error["code"]) == (4, "unreachable")
    assert outcome.error["message"].startswith("Timed out after 1s: kubectl cannot list deployments.apps")
    assert outcome.error["message"].endswith(REFUSED)


def test_what_was_waited_for_comes_before_kubectls_last_words(kubectl: Program) -> None:
    waiting = snapshot("seed/container-creating")
    lists = f'[ -e $DIR/once ] && {{ echo "{REFUSED}" >&2; exit 1; }}; case "$*" in *replicasets*) touch $DIR/once ;; esac; cat {waiting}'
    program = kubectl(f'case "$*" in *"config view"*) exit ;; *"--raw"*) cat {waiting}; exit ;; esac; {lists}', watch="exit 1")
    outcome = run("--kubectl", program, "-n", "default", "deployment/container-creating", "--timeout", "3s")
    assert (outcome.exit, outcome.error["code"]) == (3, "timeout")
    assert 'Container "main" is in "ContainerCreating"; ' in outcome.error["message"]
    assert outcome.error["message"].endswith(REFUSED)


@pytest.mark.parametrize(
    "said", ["error reading [k8s]: recognized file extensions are [.json .yaml .yml]", "error: no objects passed to create"]
)
def test_manifests_that_are_none_are_a_wrong_input(kubectl: Program, said: str) -> None:
    outcome = run("--kubectl", kubectl(f'echo "{said}" >&2; exit 1'), "-f", "k8s")
    assert (outcome.exit, outcome.error["code"]) == (2, "usage")
    assert said in outcome.error["message"]


def test_the_sentence_about_a_right_has_no_remains_of_a_log(kubectl: Program) -> None:
    log = 'I1129 22:56:37.215032   16659 helpers.go:246] server response object: %s[{\n  "kind": "Status",\n  "code": 403\n}]\n'
    said = 'Error from server (Forbidden): deployments.apps is forbidden: User "x" cannot list it'
    outcome = run("--kubectl", kubectl(f"cat >&2 <<'END'\n{log}{said}\nEND\nexit 1"), "-n", "shop", "deployment/web")
    assert outcome.error["message"] == f'The right to list deployments.apps in namespace "shop" is missing: {said}'


FAILS = ("--replay", str(FIXTURES / "seed/config-error"))


def on_terminal(*arguments: str, **variables: str) -> tuple[str, int]:
    """What the program shows on a terminal that is its stdin, stdout and stderr, and its exit code."""
    ours, theirs = pty.openpty()
    words = [sys.executable, str(ROOT / "rollout_status.py"), *arguments]
    tool = subprocess.Popen(words, stdin=theirs, stdout=theirs, stderr=theirs, env=environment(**{"TERM": "dumb", **variables}))
    os.close(theirs)
    shown = b""
    with suppress(OSError):  # the end of a terminal is an error on Linux
        while piece := os.read(ours, 65536):
            shown += piece
    os.close(ours)
    return shown.decode().replace("\r\n", "\n"), tool.wait()


def test_a_terminal_gets_the_text() -> None:
    shown, code = on_terminal(*FAILS, "--quiet")
    assert (shown.startswith("The rollout failed: Deployment/envs in default; nothing serves\ncause: "), code) == (True, 1)
    assert json.loads(on_terminal(*FAILS, "--quiet", "-o", "json")[0])["success"] is False
    assert "success" in json.loads(on_terminal(*FAILS, "--compat=socialgouv")[0])


@pytest.mark.parametrize(
    ("variables", "colored"),
    [
        ({"TERM": "xterm"}, True),
        ({"TERM": "xterm", "NO_COLOR": ""}, True),
        ({"TERM": "xterm", "CLICOLOR": "1"}, True),
        ({"TERM": "xterm", "NO_COLOR": "1"}, False),
        ({"TERM": "xterm", "CLICOLOR": "0"}, False),
        ({"TERM": "dumb"}, False),
        ({"TERM": ""}, False),
        ({"TERM": "dumb", "FORCE_COLOR": "1"}, True),
        ({"TERM": "xterm", "NO_COLOR": "1", "CLICOLOR_FORCE": "1"}, True),
        ({"TERM": "dumb", "FORCE_COLOR": "0"}, False),
    ],
)
def test_the_text_on_a_terminal_is_coloured_by_the_usual_rules(variables: dict[str, str], colored: bool) -> None:
    usual = {"NO_COLOR": "", "CLICOLOR": "", "CLICOLOR_FORCE": "", "FORCE_COLOR": ""}
    shown, _ = on_terminal(*FAILS, "--quiet", **{**usual, **variables})
    assert ("\x1b[1m\x1b[31mThe rollout failed" in shown, "\x1b" in shown) == (colored, colored)
    assert re.sub("\x1b\\[\\d*m", "", shown).startswith("The rollout failed: Deployment/envs in default; nothing serves\ncause: ")


def test_a_pipe_gets_no_colours() -> None:
    for words in ((), ("-o", "text")):
        command = [sys.executable, str(ROOT / "rollout_status.py"), *FAILS, *words]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment(FORCE_COLOR="1", CLICOLOR_FORCE="1"))
        assert "\x1b" not in done.stdout + done.stderr


def test_a_text_of_several_workloads_is_coloured_by_their_status() -> None:
    usual = {"NO_COLOR": "", "CLICOLOR": "", "CLICOLOR_FORCE": "1", "FORCE_COLOR": ""}
    waits = ("--replay", str(FIXTURES / "selection/release-one-fails-one-waits"), "--quiet")
    text, _ = on_terminal(*waits, **usual)
    assert "\n\x1b[1m\x1b[31mcause:\x1b[0m\x1b[1m " in text
    assert "\n  \x1b[2mnext:\x1b[0m\x1b[1m kubectl" in text
    assert re.sub("\x1b\\[\\d*m", "", text) == run(*waits, "-o", "text").stdout


def test_a_narrow_terminal_breaks_lines_between_words() -> None:
    """But for commands, and for the lines of a log."""
    long = "cause: a sentence of several words, which does not fit"
    assert wrap_line(long, NAME.match(long), 30) == ["cause: a sentence of several", "  words, which does not fit"]
    for whole in (f"  next: {long}", f"    | {long}", "short"):
        assert wrap_line(whole, NAME.match(whole), 30) == [whole]


def test_a_slip_is_said_once_on_a_terminal() -> None:
    shown, code = on_terminal("--slector", "a=b")
    assert (shown.count("--slector"), code) == (1, 2)
    assert "cause: unknown flag --slector" in shown


def test_a_slip_is_a_line_on_stderr_too() -> None:
    outcome = run("--slector", "a=b")
    assert outcome.stderr == f"rollout-status: {outcome.error['message']}\n"
    assert run(*FAILS, "--quiet", "--expect", "a ==").stderr == ""
    assert run(*FAILS, "--ci", "github", "--expect", "a ==").stderr.count("a ==") == 1
    assert "rollout-status: " not in run(*FAILS).stderr


def test_the_document_is_a_report_too(tmp_path: Path) -> None:
    outcome = run(*FAILS, "--report", str(tmp_path / "verdict.json"), "-o", "text")
    assert outcome.exit == 1
    assert json.loads((tmp_path / "verdict.json").read_text()) == run(*FAILS).result


def test_what_was_named_and_is_ignored(tmp_path: Path) -> None:
    rule = {"id": "acme/x", "subject": "deployment", "when": "deployment.spec != null", "verdict": "ignore"}
    (tmp_path / "team.yaml").write_text(json.dumps({"version": 1, "rules": [rule]}))
    outcome = run("--replay", str(FIXTURES / "deployment/success"), "deployment/web", "--rules", f"{tmp_path}/team.yaml", "--quiet")
    assert (outcome.error["code"], outcome.error["message"]) == ("not-found", "All workloads are ignored, by a rule or by their annotation")
