"""What has no end, or comes in great numbers, is bounded: what kubectl prints, logs, processes, pages; and a state that is older than the last."""

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import ROOT, run, snapshot

from rollout_status_lib.logs import MOST
from rollout_status_lib.memory import is_older_state, keep_newest
from rollout_status_lib.objects import get_continue
from rollout_status_lib.sources import kubectl as calls
from rollout_status_lib.sources.kubectl import EXCERPT, LONGEST_WORDS, Answer, Clock, Kubectl, Output, extract_kubectl_words, shorten
from rollout_status_lib.sources.live import Live
from rollout_status_lib.sources.processes import Excerpt
from rollout_status_lib.sources.watches import Bell

Program = Callable[..., str]
SUCCESS = f"cat {snapshot('deployment/success')}"


def many(case: str, number: int, folder: Path, *, moment: int = -1, spaces: bool = False) -> Path:
    """A file with a snapshot of a case that many times, each with other names, and in another namespace if `spaces`."""
    items = [each for each in json.loads(snapshot(case, moment).read_text())["items"] if each["kind"] != "Event"]
    text, deployment = json.dumps(items), next(each for each in items if each["kind"] == "Deployment")["metadata"]
    copies = []
    for count in range(number):
        copy = text
        for uid in {each["metadata"]["uid"] for each in items}:
            copy = copy.replace(uid, f"{uid}-{count}")
        copy = re.sub(rf'"{deployment["name"]}(?=["-])', f'"{deployment["name"]}-{count}', copy)
        copies += json.loads(copy.replace(f'"{deployment["namespace"]}"', f'"space-{count}"') if spaces else copy)
    path = folder / f"{number}.json"
    path.write_text(json.dumps({"kind": "List", "items": copies}))
    return path


# ------------------------------------------------------------------------------------------------------ what kubectl prints


def test_warnings_without_number(kubectl: Program) -> None:
    outcome = run("--kubectl", kubectl(f"seq 1000000 | sed 's/^/Warning: it is odd: /' >&2; {SUCCESS}"), "deployment/web")
    assert (outcome.exit, outcome.stderr.count("it is odd")) == (0, Live.MOST_WARNINGS)
    assert len(outcome.stderr) < 100_000
    assert outcome.result["notes"] == [f"kubectl printed more than {Live.MOST_WARNINGS} different warnings: the others are left out"]


@pytest.mark.parametrize("stream", ["2", "1"])
def test_an_error_of_many_megabytes_is_cut(kubectl: Program, stream: str) -> None:
    program = kubectl(f"yes 'it does not work' | head -c 30000000 >&{stream}; echo the end >&2; exit {int(stream == '2')}")
    outcome = run("--kubectl", program, "deployment/web", "--set", "api-grace=0")
    assert (outcome.exit, outcome.error["code"]) == (4, "unreachable")
    assert len(outcome.error["message"]) < 3 * LONGEST_WORDS
    assert "it does not work" in outcome.error["message"]
    assert ("characters left out" in outcome.error["message"]) is (stream == "2")


def test_an_excerpt_is_the_beginning_and_the_end() -> None:
    excerpt = Excerpt(4)
    for piece in (b"ab", b"cdef", b"ghijkl", b"mnopqr", b"st"):
        excerpt.write(piece)
    assert excerpt.text == "abcd\n... 10 bytes left out ...\nopqrst"
    assert shorten("x" * 2 * LONGEST_WORDS) == "x" * 2 * LONGEST_WORDS


def test_an_answer_that_is_too_long_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    log = Output()
    log.write(b"one line\n")
    log.write(b'{"no": "document"}\n')
    assert log.text == 'one line\n{"no": "document"}\n'
    monkeypatch.setattr(calls, "MOST", 10)
    output = Output()
    for piece in (b'{"a": ', b"1, ", b'"b": 2}'):
        output.write(piece)
    assert (output.text, output.problem) == ('{"a": 1, ', "the answer is longer than 0 MiB")
    assert EXCERPT > 2 * LONGEST_WORDS


def test_the_object_that_kubectl_logs_is_none_of_its_words() -> None:
    logged = 'I1129 22:39:05.4 1 helpers.go:246] server response object: %s[{\n  "kind": "Status",\n  "code": 403\n}]\n'
    assert extract_kubectl_words(f"{logged}Error from server (Forbidden): no\n") == "Error from server (Forbidden): no"


@pytest.mark.parametrize(
    "date",
    ["Foo, 99 Bar 2026 99:99:99 GMT", "Mon, 01 Jan 0001 00:00:00 GMT", "Thu, 01 Jan 1970 00:00:00 GMT", "Mon, 31 Feb 2026 10:00:00 GMT"],
)
def test_a_date_of_nonsense_is_none(date: str) -> None:
    clock = Clock()
    offset = clock.offset
    assert clock.correct(Answer(0, "", "", f"    Date: {date}", asked=1.0, answered=2.0)) == ""
    assert clock.offset == offset


# ------------------------------------------------------------------------------------------------------------------- logs


def test_logs_that_hang_are_given_up_side_by_side(kubectl: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One of ten comes, whichever place it has."""
    path = many("deployment/crash-loop", 10, tmp_path)
    script = f'case "$*" in *" logs "*app-9-*) echo a log ;; *" logs "*) exec sleep 1000 ;; *) cat {path} ;; esac'
    began = time.monotonic()
    outcome = run("--kubectl", kubectl(script), "--retry-limit", "1", "--request-timeout", "6s", "-n", "r-deployment-crash-loop")
    assert time.monotonic() - began < 30
    assert (outcome.exit, outcome.error["code"]) == (1, "process-crashing")
    errors = [outcome.error, *outcome.result["errors"]]
    assert (len(errors), [each["log"] for each in errors if "log" in each]) == (10, ["a log\n"])
    assert len([note for note in outcome.result["notes"] if "could not be read: no answer within 2s" in note]) == 9


def test_a_signal_while_logs_are_read_gives_the_verdict(kubectl: Program, tmp_path: Path) -> None:
    path = many("deployment/crash-loop", 10, tmp_path)
    program = kubectl(f'case "$*" in *" logs "*) echo >>$DIR/logs; exec sleep 1000 ;; *) cat {path} ;; esac')
    command = [sys.executable, str(ROOT / "rollout_status.py"), "--kubectl", program, "--retry-limit", "1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        while not (tmp_path / "logs").exists() or len((tmp_path / "logs").read_text()) < Kubectl.ABREAST:
            assert process.poll() is None
            time.sleep(0.02)
        process.send_signal(signal.SIGTERM)
        stdout, _ = process.communicate(timeout=60)
    result = json.loads(stdout)
    assert (process.returncode, result["error"]["code"]) == (1, "process-crashing")
    assert len([note for note in result["notes"] if "it was not waited for, since a signal came" in note]) == 10
    assert len((tmp_path / "logs").read_text()) == Kubectl.ABREAST


def test_not_every_log_of_a_large_failure_is_read(kubectl: Program, tmp_path: Path) -> None:
    path = many("deployment/crash-loop", MOST + 2, tmp_path)
    program = kubectl(f'case "$*" in *" logs "*) echo a log ;; *) cat {path} ;; esac')
    outcome = run("--kubectl", program, "--retry-limit", "1", "-n", "r-deployment-crash-loop")
    assert len([each for each in (outcome.error, *outcome.result["errors"]) if "log" in each]) == MOST
    assert f"the logs of 2 more failed containers were not read, only those of {MOST}" in outcome.result["notes"]


# -------------------------------------------------------------------------------------------------------------- processes

COUNTED = """
exec 9>>$DIR/lock; flock 9; ls $DIR/running | wc -l >>$DIR/counts; touch $DIR/running/$$; flock -u 9
trap 'rm $DIR/running/$$' EXIT
sleep 0.05
"""


def test_many_namespaces_take_few_processes(kubectl: Program, tmp_path: Path) -> None:
    (tmp_path / "running").mkdir()
    path = many("container/slow-readiness", 20, tmp_path, moment=1, spaces=True)
    program = kubectl(f"{COUNTED}cat {path}", "echo >>$DIR/watches; exec sleep 1000")
    spaces = [word for number in range(20) for word in ("-n", f"space-{number}")]
    outcome = run("--kubectl", program, *spaces, "--kinds", "deployment", "--timeout", "8s", "--interval", "1s")
    assert outcome.exit == 3
    assert max(map(int, (tmp_path / "counts").read_text().split())) < Kubectl.ABREAST
    assert len((tmp_path / "watches").read_text()) == Bell.MOST
    (note,) = outcome.result["notes"]
    assert re.fullmatch(rf"\d+ of \d+ lists are polled every 1s, since at most {Bell.MOST} are watched", note)


# ------------------------------------------------------------------------------------------------------- pages, old states


def test_a_list_in_pages_that_nobody_asked_for(kubectl: Program, tmp_path: Path) -> None:
    items = json.loads(snapshot("deployment/success").read_text())["items"]
    pods = [each for each in items if each["kind"] == "Pod"]
    for name, token, page in (("1", "a/b=", pods[:1]), ("2", "", pods[1:])):
        metadata = {"resourceVersion": "5", **({"continue": token} if token else {})}
        (tmp_path / name).write_text(json.dumps({"kind": "PodList", "apiVersion": "v1", "metadata": metadata, "items": page}))
    (tmp_path / "others").write_text(json.dumps({"kind": "List", "items": [each for each in items if each["kind"] != "Pod"]}))
    pages = f'case "$*" in *pods?continue=a%2Fb%3D) cat {tmp_path}/2 ;; *--raw*) cat {tmp_path}/1 ;; *) cat {tmp_path}/others ;; esac'
    assert len(pods) > 1
    outcome = run("--kubectl", kubectl(pages), "-n", "r-deployment-success", "--once", "--record", str(tmp_path / "recording"))
    recorded = json.loads((tmp_path / "recording" / "001.json").read_text())["items"]
    assert (outcome.exit, len([each for each in recorded if each["kind"] == "Pod"])) == (0, len(pods))
    circle = kubectl(f'case "$*" in *pods*) cat {tmp_path}/1 ;; *) cat {tmp_path}/others ;; esac')
    outcome = run("--kubectl", circle, "-n", "r-deployment-success", "--set", "api-grace=0", "--timeout", "60s")
    assert (outcome.exit, "next pages could not be read" in outcome.error["message"]) == (4, True)


def test_a_token_of_an_object_is_none_of_its_list() -> None:
    assert get_continue('{"metadata": {"continue": "x"}, "items": []}') == "x"
    assert get_continue('{"metadata": {}, "items": [{"spec": {"continue": "x"}}]}') == ""
    assert get_continue('{"metadata": {"continue": ""}, "items": []}') == ""


@pytest.mark.parametrize(
    ("one", "other", "older"),
    [
        ({"generation": 1}, {"generation": 2}, True),
        ({"generation": 2, "resourceVersion": "1"}, {"generation": 1, "resourceVersion": "2"}, False),
        ({"generation": 1, "resourceVersion": "9"}, {"generation": 1, "resourceVersion": "10"}, True),
        ({"resourceVersion": "8" * 5000}, {"resourceVersion": "9" * 5000}, True),
        ({"resourceVersion": "a"}, {"resourceVersion": "b"}, False),
        ({}, {"resourceVersion": "1"}, False),
    ],
)
def test_which_state_is_older(one: dict, other: dict, older: bool) -> None:
    assert is_older_state({"metadata": one}, {"metadata": other}) is older
    objects = [{"kind": "Deployment", "metadata": {"name": "web", "uid": "u", **one}}]
    kept, notes = keep_newest(objects, {"u": ({"kind": "Deployment", "metadata": {"name": "web", "uid": "u", **other}}, None)})
    assert (kept[0] is objects[0], bool(notes)) == (not older, older)


def test_a_generation_that_goes_backwards_is_waited_for(kubectl: Program, tmp_path: Path) -> None:
    """Once the next generation was seen, a finished state of the one before is no success."""
    content = json.loads(snapshot("deployment/success").read_text())
    for each in content["items"]:
        if each["kind"] == "Deployment":
            each["metadata"]["generation"] += 1
    (tmp_path / "next.json").write_text(json.dumps(content))
    program = kubectl(f"[ $(grep -c deployments $DIR/calls) -gt 1 ] && {SUCCESS} || cat {tmp_path}/next.json")
    folder = tmp_path / "recording"
    outcome = run("--kubectl", program, "deployment/web", "--timeout", "4s", "--interval", "500ms", "--record", str(folder))
    assert (outcome.exit, outcome.error["code"]) == (3, "timeout")
    assert "deployment/web: the API server shows an older state than before, which does not count" in outcome.result["notes"]
    assert run("--replay", str(folder), "--timeout", "4s").exit == 3


# ---------------------------------------------------------------------------------------------------------- what is written


@pytest.mark.parametrize("name", ["Foo_Bar", "a.b", "-a", "a-", "x" * 64, "ü", "a b", "../x", ""])
def test_a_namespace_that_cannot_be_is_wrong_input(kubectl: Program, name: str) -> None:
    program = kubectl("exit 1")
    outcome = run("--kubectl", program, f"--namespace={name}")
    assert (outcome.exit, outcome.error["code"]) == (2, "usage")
    assert not Path(program).with_name("calls").exists()


LEVELS = (150, 800, 5_000, 40_000)


@pytest.mark.parametrize("levels", [800, 40_000])
@pytest.mark.parametrize("written", ["params: {0}{1}", "params: {2}1", "params:\n{3}"])
def test_a_rule_file_that_is_nested_too_deeply_is_wrong_input(tmp_path: Path, levels: int, written: str) -> None:
    """Not even libyaml, which has no bound, ends the process."""
    steps = "".join(f"{' ' * number}a:\n" for number in range(1, min(levels, 800)))
    path = tmp_path / "rules.yaml"
    path.write_text("version: 1\n" + written.format("[" * levels, "]" * levels, "- " * levels, steps))
    for arguments, code in ((("demo", "--quiet", "--rules", str(path)), 2), (("lint", str(path)), 1)):
        done = subprocess.run([sys.executable, str(ROOT / "rollout_status.py"), *arguments], capture_output=True, text=True, check=False)
        assert (done.returncode, "rules.yaml:" in done.stdout + done.stderr) == (code, True)


@pytest.mark.parametrize("levels", LEVELS)
def test_an_object_that_is_nested_too_deeply_is_a_sentence(kubectl: Program, tmp_path: Path, levels: int) -> None:
    content = json.loads(snapshot("deployment/crash-loop").read_text())
    content["items"].append(
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "deep", "namespace": "n", "uid": "u"},
            "spec": {"template": "DEEP"},
        }
    )
    path = tmp_path / "deep.json"
    path.write_text(json.dumps(content).replace('"DEEP"', '{"a": ' * levels + "{}" + "}" * levels))
    replayed = run("--replay", str(path), "--once", "--retry-limit", "1")
    live = run("--kubectl", kubectl(f"cat {path}"), "--once", "--retry-limit", "1", "--set", "api-grace=0", "--timeout", "30s")
    # a recording may come from anybody, and has a limit; what a cluster says is judged as long as Python can
    assert (replayed.exit, live.exit) in (((2, 1),) if levels == LEVELS[0] else ((2, 70), (2, 4)))
    assert "This is a bug" not in replayed.stdout + live.stdout
