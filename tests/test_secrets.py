"""What is secret leaves the program nowhere: not in a result, a line, a view, a report, a recording. And what is none stays."""

import copy
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import FIXTURES, Outcome, run, snapshot

from rollout_status_lib.clean import clean_name
from rollout_status_lib.errors import RolloutError
from rollout_status_lib.secrets import LEAST, LONGEST, SECRETS, Secrets, hide, load_shapes

Program = Callable[..., str]
VARIABLE = {"name": "SECRET_TOKEN", "value": "zebra-7Qx"}
LONGER = {"name": "OTHER", "value": "zebra-7Qx-and-more"}


@pytest.fixture(autouse=True)
def nothing_is_known() -> Iterator[None]:
    SECRETS.begin()
    yield
    SECRETS.forget()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("postgres://u:geheim@db", "postgres://redacted@db"),
        ("https://ghtoken@host/x", "https://redacted@host/x"),
        ("postgres://u:pa/ss@wo@db:5432/x", "postgres://redacted@db:5432/x"),
        (r"https:\/\/u:pw@host\/x", r"https:\/\/redacted@host\/x"),
        (r"https:\/\/token@host\/x", r"https:\/\/redacted@host\/x"),
        ("https://me@corp.com:pw@host/x", "https://redacted@host/x"),
        ("docker://u:p@reg:5000/app@sha256:abcdef", "docker://redacted@reg:5000/app@sha256:abcdef"),
        ("//u:p@host/x", "//redacted@host/x"),
        ("redis://:pw@h:1/0 and", "redis://redacted@h:1/0 and"),
        ("amqp://u:p@h1,amqp://u2:p2@h2", "amqp://redacted@h1,amqp://redacted@h2"),
        ("password=hunter2 rest", "password=redacted rest"),
        ("passwd: hunter2", "passwd: redacted"),
        ("DB_PASSWORD='hun ter2' x", "DB_PASSWORD='redacted' x"),
        (r'{"password": "hun\"ter2", "x": 1}', '{"password": "redacted", "x": 1}'),
        (r"{\"dbPassword\": \"hunter2\", \"y\": 2}", r"{\"dbPassword\": \"redacted\", \"y\": 2}"),
        ("a:\n  password: x\n  host: y", "a:\n  password: redacted\n  host: y"),
        ("password:\n  hunter2\nhost: y", "password:\n  redacted\nhost: y"),
        ("run --password hunter2 --x", "run --password redacted --x"),
        ("run --db-password=hunter2", "run --db-password=redacted"),
        ("sshpass -p hunter2 ssh x", "sshpass -p redacted ssh x"),
        ("sshpass -phunter2 ssh x", "sshpass -predacted ssh x"),
        ("/x?token=abc123&user=bob", "/x?token=redacted&user=bob"),
        ("secret=a,b;c rest", "secret=redacted rest"),
        ("api_key = abc", "api_key = redacted"),
        ('"apiKey":"abc"', '"apiKey":"redacted"'),
        ("token: abcdef123456", "token: redacted"),
        ("  token: abc\n  y: z", "  token: redacted\n  y: z"),
        ("Server=db;Uid=sa;Pwd=s3cr;x=1", "Server=db;Uid=sa;Pwd=redacted;x=1"),
        ("Authorization: Bearer abcdef", "Authorization: Bearer redacted"),
        ('"authorization": "Basic dXNlcjpwYXNz"', '"authorization": "Basic redacted"'),
        ("with bearer abc.def-123 it", "with bearer redacted it"),
        ("Cookie: sid=1; x=2", "Cookie: redacted"),
        ("id eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc_def-123.", "id redacted"),
        ("key AKIAIOSFODNN7EXAMPLE, aws_secret_access_key=wJalr/K7", "key redacted, aws_secret_access_key=redacted"),
        (f"AIza{'x' * 35}", "redacted"),
        (f"ghp_{'a1' * 18} github_pat_{'b' * 40}", "redacted redacted"),
        (f"glpat-{'a1' * 10} xoxb-{'1' * 12}", "redacted redacted"),
        ("https://hooks.slack.com/services/T1/B2/x3", "https://hooks.slack.com/services/redacted"),
        ("a\n-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY-----\nb", "a\nredacted\nb"),
        ("a -----BEGIN PRIVATE KEY-----\nabc", "a redacted"),
        ("abc=\nd==\n-----END PRIVATE KEY-----\nb", "redacted\nb"),
    ],
)
def test_a_shape_is_known_without_being_asked(text: str, expected: str) -> None:
    assert hide(text) == expected
    assert hide(expected) == expected
    assert json.loads(json.dumps(SECRETS.mask(text))).count("redacted-") == expected.count("redacted")
    assert hide(SECRETS.mask(text)) == expected


@pytest.mark.parametrize(
    "text",
    [
        'secret "token" not found',
        'serviceaccount "token" not found',
        "a serviceaccount token",
        "couldn't find key password in Secret shop/db",
        "references non-existent secret key: password",
        "failed to fetch oauth token: unexpected status from GET request to https://auth/token: 401 Unauthorized",
        'MountVolume.SetUp failed for volume "kube-api-access-x7v2p" : failed to fetch token: serviceaccounts "x" is forbidden',
        "failed to sync secret cache: timed out waiting for the condition",
        "Unauthorized: authorization: the server has asked for the client to provide credentials",
        "https://registry:5000/app@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
        'exec: "/etc/passwd": permission denied: unknown',
        "open /etc/passwd: permission denied",
        "docker-pullable://registry.example:5000/team/app@sha256:0123456789abcdef",
        "https://npm.example:8080/@scope/pkg",
        "https://medium.example/@user",
        "http://[::1]:8080/x@y",
        "// see user@example.com",
        "//user@example.com",
        "PWD=/app HOME=/root",
        "password=null token: none",
        "7f3c2a90-33aa-4f6e-9d0b-5b6d3b1b2c3d",
        "web-7c7f66ddc6-qwhsn",
        "kubectl -n shop create secret docker-registry NAME",
        "readiness probe failed: bearer of bad news",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert hide(text) == text


def walk_texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    for each in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from walk_texts(each)


def test_nothing_that_a_fixture_expects_is_a_secret() -> None:
    """No message, name, digest or uid of a real cluster looks like one."""
    texts = {
        text for path in FIXTURES.rglob("case.yaml") for text in walk_texts(yaml.load(path.read_text(), yaml.CSafeLoader).get("expect"))
    }
    for path in FIXTURES.rglob("001.json"):
        for each in json.loads(path.read_text()).get("items", ()):
            metadata = {key: entry for key, entry in each.get("metadata", {}).items() if key != "annotations"}
            texts |= {text for part in (metadata, each.get("status"), each.get("message")) for text in walk_texts(part)}
    assert len(texts) > 5_000
    assert [text for text in texts if hide(text) != text] == []


def test_redact_known_switches_the_shapes_off(tmp_path: Path) -> None:
    shown = str(crash(tmp_path / "now.json", "password=x https://u:p@h"))
    flags = ("--replay", shown, "--retry-limit", "1")
    assert run(*flags).error["message"].endswith("password=redacted https://redacted@h")
    assert run(*flags, "--set", "redact_known=false").error["message"].endswith("password=x https://redacted@h")


def make_pod(*variables: Any, **more: Any) -> Any:
    container = {"name": "main", "image": "shop/web:1", "env": list(variables)}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "web-1", "namespace": "shop", **more},
        "spec": {"containers": [container]},
    }


def test_the_longest_value_comes_first_and_those_that_overlap_are_one() -> None:
    SECRETS.learn([make_pod(VARIABLE, LONGER, {"name": "TAIL", "value": "and-more-x"})])
    assert hide("a zebra-7Qx-and-more b zebra-7Qx c") == "a redacted b redacted c"
    assert hide("a zebra-7Qx-and-more-x b") == "a redacted b"
    assert SECRETS.mask("zebra-7Qx zebra-7Qx-and-more zebra-7Qx") == "redacted-1 redacted-2 redacted-1"


def test_a_value_is_known_however_it_is_written() -> None:
    secret = 'a "b"\\c/d e\nthe second line of it'
    SECRETS.learn([make_pod({"name": "X", "value": f"{secret}\n"})])
    for text in (secret, json.dumps(secret)[1:-1], "a%20%22b%22%5Cc%2Fd%20e%0Athe%20second%20line%20of%20it", "the second line of it"):
        assert hide(f"<{text}>") == "<redacted>", text


def test_what_has_no_value_or_a_short_one_is_none() -> None:
    more = [{"name": "A", "value": "x" * (LEAST - 1)}, {"name": "B", "valueFrom": {}}, {"name": "C", "value": 5}, "D"]
    broken = make_pod() | {"spec": {"containers": [{"name": "x", "env": "text"}], "env": {"E": "in a mapping"}}}
    SECRETS.learn([make_pod(*more), broken])
    assert SECRETS.values == {"in a mapping", "in%20a%20mapping", "in+a+mapping"}


def test_names_and_words_of_rules_are_no_secrets() -> None:
    """To hide them would hide which object it is, or what to do."""
    SECRETS.allow(["is not progressing"])
    values = ["web-1-x", "shop/web", "not progressing", "deployment"]
    SECRETS.learn([make_pod(*({"name": "X", "value": value} for value in values))])
    assert hide("web-1-x") == "redacted"
    SECRETS.learn([make_pod(resourceVersion="2") | {"kind": "deployment", "metadata": {"name": "web-1-xyz", "resourceVersion": "2"}}])
    text = "deployment web-1-xyz with shop/web:1 is not progressing"
    assert hide(text) == text
    assert clean_name("https://u:p@h") == "https://u:p@h"


def test_an_object_is_learned_once_for_each_version() -> None:
    secrets = Secrets()
    secrets.learn([make_pod(VARIABLE, resourceVersion="1")])
    secrets.learn([make_pod(LONGER, resourceVersion="1")])
    assert secrets.values == {VARIABLE["value"]}
    secrets.learn([make_pod(LONGER, resourceVersion="2")])
    assert secrets.values == {VARIABLE["value"], LONGER["value"]}


def test_many_masks_are_not_kept_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rollout_status_lib.secrets.MOST", 2)
    for number in range(5):
        assert SECRETS.mask(f"password=p{number}") == f"password=redacted-{number + 1}"
    assert len(SECRETS.masks) <= 2


@pytest.mark.parametrize("content", ["", "[", "value: x\nshapes: 3", "value: [x]\nshapes: {a: {words: [x], patterns: ['(']}}"])
def test_shapes_that_are_broken_are_a_part_that_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str) -> None:
    path = tmp_path / "secrets.yaml"
    path.write_text(content)
    monkeypatch.setattr("rollout_status_lib.secrets.SHAPES", path)
    load_shapes.cache_clear()
    with pytest.raises(RolloutError, match="copy the whole program"):
        load_shapes()
    load_shapes.cache_clear()


# ---------------------------------------------------------------------------------------------------- what leaves a run


def crash(path: Path, message: str, *variables: Any) -> Path:
    """A rollout whose container ends with a message, and has these variables."""
    content = json.loads(snapshot("deployment/crash-loop").read_text())
    for item in content["items"]:
        if item["kind"] == "Pod":
            item["spec"]["containers"][0]["env"] = list(variables)
            for status in item["status"]["containerStatuses"]:
                for state in (status.get("state", {}), status.get("lastState", {})):
                    for name in ("terminated", "waiting"):
                        if name in state:
                            state[name]["message"] = message
    path.write_text(json.dumps(content))
    return path


def everything(outcome: Outcome, folder: Path) -> str:
    """All that came out of a run."""
    files = "".join(path.read_text() for path in folder.rglob("*") if path.is_file())
    return outcome.stdout + outcome.stderr + files


@pytest.mark.parametrize("flags", [(), ("-o", "text"), ("--ci", "github"), ("--ci", "gitlab")])
def test_the_message_of_a_container_tells_no_value(
    kubectl: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flags: tuple[str, ...]
) -> None:
    """With FallbackToLogsOnError the message is the log. Another container may say it too, and one value begins with the other."""
    said = f"login with {VARIABLE['value']} or {LONGER['value']} or password=hunter2 or customer-77 failed"
    shown = crash(tmp_path / "now.json", said, VARIABLE, LONGER)
    program = kubectl(
        f'case "$*" in *" logs "*) echo "{said}" ;; *events*) echo "{{\\"items\\": []}}" ;; *) echo "Warning: {said}" >&2; cat {shown} ;; esac'
    )
    out = tmp_path / "out"
    out.mkdir()
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(out / "step.md"))
    reports = [f"--report={out / name}" for name in ("page.html", "junit.xml", "summary.md")]
    recording = out / "recording"
    again = ("--retry-limit", "1", "--redact", "customer-[0-9]+")
    live = run("--kubectl", program, *again, "--record", str(recording), *reports, *flags)
    assert live.exit == 1
    assert "login with" in live.stdout
    replayed = run("--replay", str(recording), *again, *reports, *flags)
    assert {**replayed.result, "polls": 0, "elapsedSeconds": 0, "notes": []} == {
        **live.result,
        "polls": 0,
        "elapsedSeconds": 0,
        "notes": [],
    } or flags
    for text in (everything(live, out), everything(replayed, out)):
        for secret in ("zebra", "and-more", "hunter2", "customer-77"):
            assert secret not in text
    assert "redacted-1" not in replayed.stdout


def test_explain_and_query_tell_no_value(tmp_path: Path) -> None:
    shown = str(crash(tmp_path / "now.json", f"x {VARIABLE['value']}{'y' * 200}", VARIABLE))
    for verb in (
        ("explain",),
        ("explain", "--nearly"),
        ("query", "pod.spec.containers", "--subject", "container"),
        ("query", "pod.status", "--subject", "pod"),
    ):
        outcome = run(*verb, "--replay", shown, "--retry-limit", "1")
        assert outcome.stdout
        assert "zebra" not in outcome.stdout + outcome.stderr
    assert "redacted" in outcome.stdout


def test_a_value_in_an_error_message_or_a_note(kubectl: Program, tmp_path: Path) -> None:
    shown = crash(tmp_path / "now.json", "x", VARIABLE)
    said = f'echo "Error: {VARIABLE["value"]}, password=hunter2" >&2; exit 1'
    program = kubectl(
        f'case "$*" in *" logs "*|*events*) {said} ;; *) [ $(wc -l <$DIR/calls) -gt 3 ] && {{ {said}; }}; cat {shown} ;; esac'
    )
    outcome = run("--kubectl", program, "--retry-limit", "1", "--record", str(tmp_path / "recording"))
    assert any("could not be read" in note for note in outcome.result["notes"])
    assert "zebra" not in everything(outcome, tmp_path / "recording")
    assert "hunter2" not in everything(outcome, tmp_path / "recording")


def test_names_in_a_result_stay_though_they_are_values_or_match(tmp_path: Path) -> None:
    content = json.loads(snapshot("deployment/crash-loop").read_text())
    names = {each["metadata"]["name"] for each in content["items"]} | {"r-deployment-crash-loop"}
    shown = str(crash(tmp_path / "now.json", "x", *({"name": "X", "value": name} for name in names)))
    plain = run("--replay", str(crash(tmp_path / "plain.json", "x")), "--retry-limit", "1")
    assert run("--replay", shown, "--retry-limit", "1").result == plain.result
    hidden = run("--replay", shown, "--retry-limit", "1", "--redact", "app", "-o", "json").result
    assert hidden["workloads"][0]["name"] == plain.result["workloads"][0]["name"]
    assert hidden["error"]["resource"] == plain.result["error"]["resource"]


def test_a_recording_keeps_what_is_equal_equal(kubectl: Program, tmp_path: Path) -> None:
    """A value among the arguments, too: rules compare templates."""
    content = json.loads(snapshot("deployment/success").read_text())
    for item in content["items"]:
        templates = (
            [item["spec"]] if item["kind"] == "Pod" else [item["spec"]["template"]["spec"]] if "template" in item.get("spec", {}) else []
        )
        for template in templates:
            template["containers"][0] |= {"env": [copy.deepcopy(VARIABLE)], "args": [f"--token={VARIABLE['value']}", "--password=hunter2"]}
    (tmp_path / "now.json").write_text(json.dumps(content))
    outcome = run("--kubectl", kubectl(f"cat {tmp_path}/now.json"), "deployment/web", "--record", str(tmp_path / "recording"))
    assert outcome.exit == 0
    text = "".join(path.read_text() for path in (tmp_path / "recording").iterdir())
    assert "zebra" not in text
    assert "hunter2" not in text
    assert run("--replay", str(tmp_path / "recording"), "deployment/web").exit == 0


# ----------------------------------------------------------------------------------------------------------- --redact


def test_a_pattern_sees_a_line_at_a_time_and_pieces_of_a_very_long_one() -> None:
    import re

    SECRETS.begin([re.compile("^ab+c$"), re.compile("x*")])
    assert hide("abc\nabbc\r\nabc d") == "redacted\nredacted\r\nabc d"
    SECRETS.begin([re.compile("[a-d]+"), re.compile("q+r")])
    once = hide("abc efg")
    assert (once, hide(once)) == ("redacted efg", "redacted efg")
    middle = "z" * (LONGEST - 3) + "qqqqr" + "z" * 5 * LONGEST + "qr"
    assert hide(middle) == "z" * (LONGEST - 3) + "redacted" + "z" * 5 * LONGEST + "redacted"


def test_values_that_begin_alike_and_are_as_long() -> None:
    """And one that is longer: each is hidden as a whole."""
    SECRETS.forget()
    values = ["correct-horse-1", "correct-horse-2", "correct-horse-battery"]
    container = {"name": "main", "image": "app", "env": [{"name": f"V{number}", "value": value} for number, value in enumerate(values)]}
    SECRETS.learn([{"kind": "Pod", "metadata": {"name": "p", "uid": "1"}, "spec": {"containers": [container]}}])
    assert hide(" ".join(values)) == "redacted redacted redacted"
    SECRETS.forget()
