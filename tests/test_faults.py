"""Faults of the cluster, the network and the machine that a cluster could not be made to show: a program stands in for kubectl."""

import copy
import json
import os
import re
import resource
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from pathlib import Path

import pytest
from conftest import FIXTURES, ROOT, environment, run, snapshot
from hypothesis import given, settings
from hypothesis import strategies as st

from rollout_status_lib.arguments import build_parser
from rollout_status_lib.clean import LONGEST_LINE, to_line
from rollout_status_lib.sources.kubectl import Answer, Clock

pytestmark = pytest.mark.usefixtures("nothing_is_left_behind")

Program = Callable[..., str]
SUCCESS = f"cat {snapshot('deployment/success')}"


# Fails while there were fewer calls than $1, then answers
FAILS_AT_FIRST = """
[ $(wc -l <$DIR/calls) -gt %d ] || { %s; }
%s
"""


@pytest.mark.parametrize(
    "fault",
    [
        'echo "The connection to the server 10.0.0.1:6443 was refused - did you specify the right host or port?" >&2; exit 1',
        'echo "Unable to connect to the server: net/http: TLS handshake timeout" >&2; exit 1',
        'echo "Unable to connect to the server: read tcp 10.0.0.2:1->10.0.0.1:6443: read: connection reset by peer" >&2; exit 1',
        'echo "Error from server (TooManyRequests): the server has received too many requests and has asked us to try again later" >&2; exit 1',
        'echo "Error from server (InternalError): an error on the server has prevented the request from succeeding" >&2; exit 1',
        'echo "Error from server (ServiceUnavailable): the server is currently unable to handle the request" >&2; exit 1',
        'echo "Error from server: etcdserver: leader changed" >&2; exit 1',
        'echo "Error from server (Timeout): the server was unable to return a response in the time allotted" >&2; exit 1',
        f"head -c 2000 {snapshot('deployment/success')}; exit 0",  # a list that is cut short
        "exit 0",  # nothing at all
        "kill -SEGV $$",
        "echo '{}'",
    ],
)
def test_what_passes_is_waited_for(kubectl: Program, fault: str) -> None:
    program = kubectl(FAILS_AT_FIRST % (3, fault, SUCCESS))
    outcome = run("--kubectl", program, "--interval", "100ms", "deployment/web", "--request-timeout", "10s")
    assert (outcome.exit, outcome.result["success"]) == (0, True)
    assert "trying again" in outcome.stderr


def test_what_does_not_pass_ends_after_its_grace(kubectl: Program) -> None:
    outcome = run("--kubectl", kubectl("echo refused >&2; exit 1"), "--set", "api-grace=1s", "--interval", "200ms")
    assert (outcome.exit, outcome.error["code"]) == (4, "unreachable")
    assert "refused" in outcome.error["message"]


def test_a_token_that_expires_is_tried_once_more(kubectl: Program) -> None:
    refuse = 'echo "error: You must be logged in to the server (Unauthorized)" >&2; exit 1'
    script = f"[ $(grep -c deployments $DIR/calls) -gt 1 ] && {{ {refuse}; }}; cat {snapshot('deployment/not-observed')}"
    program = kubectl(script)
    outcome = run("--kubectl", program, "deployment/web", "--interval", "100ms")
    assert (outcome.exit, outcome.error["code"], outcome.result["polls"]) == (4, "unauthorized", 3)


def test_a_missing_right_names_what_prints_the_role(kubectl: Program) -> None:
    said = 'Error from server (Forbidden): pods is forbidden: User \\"ci\\" cannot list resource \\"pods\\" in the namespace \\"shop\\"'
    outcome = run("--kubectl", kubectl(f'echo "{said}" >&2; exit 1'), "-n", "shop", "deployment/web")
    assert (outcome.exit, outcome.error["code"]) == (4, "forbidden")
    assert 'to list deployments.apps in namespace "shop"' in outcome.error["message"]
    hint = "kubectl auth can-i list deployments.apps -n shop # rollout-status --check-access prints the Role that is missing"
    assert outcome.error["hint"] == hint


def test_rights_are_a_table_and_a_missing_one_that_is_needed_ends_with_4(kubectl: Program) -> None:
    program = kubectl('case "$*" in *"list events"*) echo no; exit 1 ;; *) echo yes ;; esac')
    outcome = run("--kubectl", program, "-n", "shop", "deployment/web", "--check-access")
    assert outcome.exit == 0
    assert "list  events                   -n shop                  no (it works without)" in outcome.stderr
    assert "may not list events -n shop" in outcome.result["notes"]
    program = kubectl('case "$*" in *"list pods"*) echo no; exit 1 ;; *) echo yes ;; esac')
    outcome = run("--kubectl", program, "-A", "--check-access")
    assert (outcome.exit, outcome.error["code"]) == (4, "forbidden")
    assert outcome.error["message"] == "These rights are missing: list pods -A"
    outcome = run("--kubectl", kubectl("echo refused >&2; exit 1"), "--check-access")
    assert (outcome.exit, outcome.error["code"]) == (4, "unreachable")
    outcome = run("--kubectl", kubectl("echo 'the path does not exist' >&2; exit 1"), "--check-access", "-f", "k8s")
    assert (outcome.exit, outcome.error["code"]) == (2, "usage")
    assert "needs a cluster" in run("--replay", str(FIXTURES / "deployment/success"), "--check-access").error["message"]


def test_a_warning_is_shown_once(kubectl: Program) -> None:
    waiting, success = snapshot("deployment/success", 0), snapshot("deployment/success")
    finished = f"[ $(grep -c deployments $DIR/calls) -gt 2 ] && cat {success}"
    program = kubectl(f'echo "Warning: apps/v9 is deprecated" >&2; {finished} || cat {waiting}')
    outcome = run("--kubectl", program, "deployment/web", "--interval", "100ms", "--timeout", "1m")
    assert (outcome.exit, outcome.result["polls"]) == (0, 3)
    assert outcome.stderr.count("kubectl: Warning: apps/v9 is deprecated") == 1


def test_a_shim_that_prints_a_line_of_its_own_is_named(kubectl: Program) -> None:
    program = kubectl(f"echo 'using context prod'; {SUCCESS}")
    outcome = run("--kubectl", program, "deployment/web", "--set", "api-grace=0")
    assert (outcome.exit, outcome.error["code"]) == (4, "unreachable")
    for word in ("using context prod", f"is {program} a shim"):
        assert word in outcome.error["message"]


PROBELESS = json.loads(snapshot("container/crash-then-recover").read_text())


def served(minutes: int, tmp_path: Path) -> str:
    """A cluster whose clock is that many minutes ahead, and in which a container without a probe began 20 s ago."""
    now = datetime.now(timezone.utc) + timedelta(minutes=minutes)
    began = (now - timedelta(seconds=20)).strftime("%Y-%m-%dT%H:%M:%SZ")
    items = [each for each in PROBELESS["items"] if each["kind"] != "Event"]
    for each in items:
        for status in each["status"].get("containerStatuses", ()):
            status["state"] = {"running": {"startedAt": began}}
            status["restartCount"] = 0
            status.pop("lastState", None)
    (tmp_path / "now.json").write_text(json.dumps({"kind": "List", "items": items}))
    date = f"Date: {format_datetime(now, usegmt=True)}"
    return f"""
    case "$*" in *-v=8) echo "I1123 17:27:16.6 1 round_trippers.go:580]     {date}" >&2 ;; esac
    cat {tmp_path}/now.json"""


@pytest.mark.parametrize(("minutes", "words"), [(60, "3(599|600)s behind"), (-60, "360[01]s ahead of"), (0, "")])
def test_the_clusters_clock_counts(kubectl: Program, tmp_path: Path, minutes: int, words: str) -> None:
    program = kubectl(served(minutes, tmp_path))
    outcome = run("--kubectl", program, "--once", "--set", "settle=15s")
    assert (outcome.exit, len(outcome.result.get("notes", ()))) == (0, int(bool(words))), outcome.result
    assert re.search(words, "".join(outcome.result.get("notes", ())))
    outcome = run("--kubectl", program, "--once", "--set", "settle=40s")
    assert (outcome.exit, outcome.error["code"]) == (3, "timeout")


def test_lists_that_take_long_are_no_clock_that_is_wrong(kubectl: Program) -> None:
    date = 'echo "I1123 17:27:16.6 1 round_trippers.go:580]     Date: $(LC_ALL=C date -u "+%a, %d %b %Y %H:%M:%S GMT")" >&2'
    program = kubectl(f"{date}; sleep 6; {SUCCESS}")
    outcome = run("--kubectl", program, "--once", "deployment/web")
    assert (outcome.exit, outcome.result.get("notes", [])) == (0, [])


@pytest.mark.parametrize(("after", "exit"), [(0, 0), (30, 0), (60, 0), (None, 0), (None, -9)])
def test_an_answer_that_takes_a_minute_is_no_clock_that_is_wrong(after: int | None, exit: int) -> None:
    """Its Date is that of any moment between, or it has none."""
    clock = Clock()
    offset, asked = clock.offset, clock.now() - clock.offset
    date = "" if after is None else f"Date: {format_datetime(datetime.now(timezone.utc) + timedelta(seconds=after), usegmt=True)}"
    assert clock.correct(Answer(exit, "", date, asked=asked, answered=asked + 60)) == ""
    assert (clock.offset, clock.is_unknown) == (offset, bool(exit))


NASTY = "a\x1b[2Jb ::set-output name=x::y ##[set-env name=A]b ##vso[task.setvariable]c %0A \u202e \x00 'q' \"d\" https://u:geheim@host/x"


def test_nothing_of_a_message_reaches_a_terminal_or_a_ci_raw(tmp_path: Path) -> None:
    content = json.loads(snapshot("container/missing-secret-env").read_text())
    for item in content["items"]:
        for status in item.get("status", {}).get("containerStatuses", ()):
            status["state"] = {"waiting": {"reason": "CreateContainerConfigError", "message": NASTY}}
    (tmp_path / "nasty.json").write_text(json.dumps(content))
    for arguments in ((), ("-o", "text")):
        outcome = run("--replay", str(tmp_path / "nasty.json"), *arguments)
        assert outcome.exit == 1
        for text in (outcome.stdout, outcome.stderr):
            assert not set(text) & {"\x1b", "\x00", "\u202e"}
            for words in ("##[", "##vso[", "geheim", "\n::", "\n ::"):
                assert words not in text
    message = run("--replay", str(tmp_path / "nasty.json")).error["message"]
    assert NASTY.replace("u:geheim@", "redacted@") in message


@pytest.mark.parametrize("text", ["::error::x", " \u2003::error::x", "\ufeff::x", "###[error]x", "x ####vso[x]", "\n##[x]", "a\r::x"])
def test_no_line_is_a_command_of_a_ci(text: str) -> None:
    """As the runner of GitHub looks for them: `::` behind any white space, `##[` anywhere."""
    line = to_line(text)
    assert not line.strip().startswith("::")
    assert "##" not in line
    assert line.replace(" ", "").endswith(text[-1])


def test_a_message_of_a_megabyte(tmp_path: Path) -> None:
    content = json.loads(snapshot("container/missing-secret-env").read_text())
    for item in content["items"]:
        for status in item.get("status", {}).get("containerStatuses", ()):
            status["state"] = {"waiting": {"reason": "CreateContainerConfigError", "message": "x" * 1_000_000}}
    (tmp_path / "long.json").write_text(json.dumps(content))
    outcome = run("--replay", str(tmp_path / "long.json"))
    assert outcome.exit == 1
    assert max(map(len, outcome.stderr.splitlines())) < 2 * LONGEST_LINE


def test_what_matches_is_replaced_in_logs_also_recorded_ones(kubectl: Program, tmp_path: Path) -> None:
    shown = snapshot("deployment/crash-loop")
    program = kubectl(
        f'case "$*" in *" logs "*) echo "token=abc postgres://u:geheim@db" ;; *events*) echo "{{\\"items\\": []}}" ;; *) cat {shown} ;; esac'
    )
    folder = tmp_path / "recording"
    outcome = run("--kubectl", program, "--retry-limit", "1", "--redact", "token=[a-z]+", "--record", str(folder))
    assert outcome.error["log"] == "redacted postgres://redacted@db\n"
    assert "abc" not in (folder / "recording.yaml").read_text()
    assert "geheim" not in (folder / "recording.yaml").read_text()
    assert run("--replay", str(folder), "--retry-limit", "1", "--redact", "postgres").error["log"] == "redacted redacted://redacted@db\n"
    assert "invalid regular expression" in run("--redact", "(").error["message"]


def tool(*arguments: str, **options) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "rollout_status.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, **{"env": environment(), **options})


CRASH = ("--replay", str(FIXTURES / "deployment/crash-loop"), "--retry-limit", "1", "--quiet")


@pytest.mark.parametrize(
    "env",
    [
        {"PATH": os.environ["PATH"]},
        {"PATH": os.environ["PATH"], "LC_ALL": "C", "PYTHONIOENCODING": "ascii"},
        {"LC_ALL": "de_DE.ISO-8859-1"},
    ],
)
def test_without_home_or_with_another_locale(env: dict[str, str]) -> None:
    done = tool(*CRASH, env=env, stdin=subprocess.DEVNULL, encoding="utf-8")
    assert (done.returncode, json.loads(done.stdout)["error"]["code"]) == (1, "process-crashing")


def test_a_disk_that_is_full_under_the_recording(kubectl: Program, tmp_path: Path) -> None:
    """A limit on the size of files stands in for the disk."""
    program = kubectl(SUCCESS)
    limit = 4096
    done = tool(
        "--kubectl",
        program,
        "--record",
        str(tmp_path / "recording"),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )
    result = json.loads(done.stdout)
    assert (done.returncode, result["success"]) == (0, True)
    assert any("the recording is not complete" in note for note in result["notes"])


def test_two_lists_that_disagree_are_waited_for(kubectl: Program, tmp_path: Path) -> None:
    """The pod is there and its ReplicaSet is not yet."""
    items = json.loads(snapshot("deployment/success").read_text())["items"]
    (tmp_path / "early.json").write_text(json.dumps({"kind": "List", "items": [each for each in items if each["kind"] != "ReplicaSet"]}))
    program = kubectl(f"[ $(grep -c pods $DIR/calls) -gt 1 ] && {SUCCESS} || cat {tmp_path}/early.json")
    outcome = run("--kubectl", program, "deployment/web")
    assert (outcome.exit, outcome.result["polls"]) == (0, 2)


def test_ten_thousand_objects(tmp_path: Path) -> None:
    items = json.loads(snapshot("deployment/success").read_text())["items"]
    pod = next(each for each in items if each["kind"] == "Pod")
    strangers = [{**pod, "metadata": {"name": f"pod-{number}", "namespace": "shop", "uid": f"uid-{number}"}} for number in range(10_000)]
    (tmp_path / "many.json").write_text(json.dumps({"kind": "List", "items": [*items, *strangers]}))
    assert run("--replay", str(tmp_path / "many.json")).exit == 0


def test_an_expectation_that_cannot_be_evaluated_is_wrong_input() -> None:
    outcome = run(*CRASH, "--expect", "nosuch.a == null")
    assert (outcome.exit, outcome.error["code"]) == (2, "usage")
    assert "no root nosuch" in outcome.error["message"]


def test_a_named_workload_that_is_not_to_be_judged_is_not_found() -> None:
    outcome = run("--replay", str(FIXTURES / "workload/annotation-ignore"), "-n", "r-deployment-success", "deployment/web")
    assert (outcome.exit, outcome.error["code"]) == (1, "not-found")
    assert "are ignored" in outcome.error["message"]


def test_values_of_variables_are_replaced_in_logs_and_recordings(kubectl: Program, tmp_path: Path) -> None:
    content = json.loads(snapshot("deployment/crash-loop").read_text())
    for item in content["items"]:
        if item["kind"] == "Pod":
            item["spec"]["containers"][0]["env"] = [{"name": "PASSWORD", "value": "geheimnis"}, {"name": "DEBUG", "value": "no"}]
    (tmp_path / "now.json").write_text(json.dumps(content))
    said = 'echo "no geheimnis"'
    program = kubectl(f'case "$*" in *" logs "*) {said} ;; *events*) echo "{{\\"items\\": []}}" ;; *) cat {tmp_path}/now.json ;; esac')
    outcome = run("--kubectl", program, "--retry-limit", "1", "--record", str(tmp_path / "recording"))
    assert outcome.error["log"] == "no redacted\n"
    for path in (tmp_path / "recording").iterdir():
        assert "geheimnis" not in path.read_text()


def test_of_five_hundred_workloads_the_one_that_fails_is_found_in_the_first_poll(tmp_path: Path) -> None:
    items = json.loads(snapshot("deployment/success").read_text())["items"]
    kinds = {each["kind"]: each for each in items}
    objects = []
    for number in range(500):
        names = {"Deployment": (f"web-{number}", None), "ReplicaSet": (f"web-{number}-1", "Deployment")}
        names |= {f"Pod/{index}": (f"web-{number}-1-{index}", "ReplicaSet") for index in range(10)}
        for key, (name, owner) in names.items():
            each = copy.deepcopy(kinds[key.partition("/")[0]])
            each["metadata"] |= {"name": name, "uid": f"{key}-{number}"}
            for reference in each["metadata"].get("ownerReferences", ()):
                reference |= {"uid": f"{owner}-{number}"}
            objects.append(each)
    broken = next(each for each in objects if each["metadata"]["name"] == "web-333-1-7")
    broken["status"]["containerStatuses"][0] |= {"ready": False, "state": {"waiting": {"reason": "ErrImageNeverPull"}}}
    (tmp_path / "many.json").write_text(json.dumps({"kind": "List", "items": objects}))
    outcome = run("--replay", str(tmp_path / "many.json"), "--once", "--quiet")
    assert (outcome.exit, outcome.error["code"], outcome.result["polls"]) == (1, "invalid-config", 1)
    assert outcome.error["resource"]["name"] == "web-333-1-7"


def test_a_folder_that_cannot_be_written_under_the_recording(kubectl: Program) -> None:
    """/proc stands in for a file system that is read-only."""
    outcome = run("--kubectl", kubectl(SUCCESS), "--record", "/proc/self/recording")
    assert (outcome.exit, outcome.error["code"]) == (2, "usage")
    assert "--record" in outcome.error["message"]


FLAGS = [flag for flag in build_parser()._option_string_actions if flag not in ("-h", "--help", "--version", "--kubectl", "--record")]
WORDS = [
    "",
    "-",
    "--",
    "=",
    "-1",
    "0",
    "1e9",
    "nan",
    "x",
    "a=b",
    "5s",
    "-5s",
    "deployment/web",
    "pod/",
    "/",
    "ä",
    "\x00",
    "-n=",
    "all",
    "[",
    "`",
    "'",
]


@settings(derandomize=True, max_examples=400, deadline=None)
@given(
    st.lists(
        st.sampled_from(FLAGS) | st.sampled_from(WORDS) | st.tuples(st.sampled_from(FLAGS), st.sampled_from(WORDS)).map("=".join),
        max_size=6,
    )
)
def test_no_argument_is_a_crash(arguments: list[str]) -> None:
    outcome = run("--replay", str(FIXTURES / "deployment/paused"), "--quiet", *arguments)
    assert outcome.exit in (0, 1, 2, 3)
    assert "Traceback" not in outcome.stderr
