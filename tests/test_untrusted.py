"""What may come from anybody: recordings and cases, the folder of a recording, words for kubectl."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import FIXTURES, Outcome, run, snapshot

from rollout_status_lib import DEMO, untrusted
from rollout_status_lib.sources import recorder
from rollout_status_lib.untrusted import DEEPEST, read_text

Program = Callable[..., str]
OBJECTS = snapshot("deployment/success").read_text()
POLL = "polls:\n- {at: 2026-11-23T06:00:00Z, objects: %s}\n"


def check_each_verb(folder: Path, *words: str) -> Outcome:
    """A recording is refused in one sentence, whoever reads it."""
    outcome = run("--replay", str(folder))
    assert (outcome.exit, outcome.error["code"]) == (2, "usage"), outcome.result
    for word in words:
        assert word in outcome.error["message"]
    (folder / "case.yaml").write_text("args: []\n")
    path = "report", str(folder), "-o", str(folder / "x.md")
    for verb in (path, ("explain", "--replay", str(folder)), ("query", "x", "--subject", "pod", "--replay", str(folder))):
        again = run(*verb)
        assert again.exit == 2
        assert "Traceback" not in again.stderr
        assert again.stderr.count("\n") <= 1
    tested = run("test", str(folder))
    assert tested.exit in (1, 2)
    assert "Traceback" not in tested.stderr + tested.stdout
    return outcome


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A recording with one poll, in a folder beside which something lies."""
    (tmp_path / "outside.json").write_text(OBJECTS)
    path = tmp_path / "recording"
    path.mkdir()
    (path / "001.json").write_text(OBJECTS)
    (path / "recording.yaml").write_text(POLL % "001.json")
    return path


def test_the_recording_itself_is_none_of_these(folder: Path) -> None:
    assert run("--replay", str(folder)).exit in (0, 1, 3)


@pytest.mark.parametrize("name", ["../outside.json", "x/../../outside.json", "/etc/passwd", "'.'", "'..'", "''", '"a\\0b"', "[001.json]"])
@pytest.mark.parametrize("key", ["objects", "applied", "revisions"])
def test_a_name_that_leaves_the_folder(folder: Path, name: str, key: str) -> None:
    absent = name == "''" and key != "objects"
    text = POLL % name if key == "objects" else (POLL % "001.json") + f"{key}: {name}\n"
    (folder / "recording.yaml").write_text(text)
    if not absent:
        check_each_verb(folder, "recording.yaml:", "must be the name of a file beside it")


def make_link(path: Path) -> None:
    path.symlink_to("../outside.json")


def make_device(path: Path) -> None:
    path.symlink_to("/dev/zero")


@pytest.mark.parametrize(
    ("make", "words"),
    [(make_link, "it is a link"), (make_device, "it is a link"), (os.mkfifo, "it is not a file"), (Path.mkdir, "Is a directory")],
)
@pytest.mark.parametrize("name", ["001.json", "recording.yaml"])
def test_what_is_no_file(folder: Path, make: Callable[[Path], None], words: str, name: str) -> None:
    (folder / name).unlink()
    make(folder / name)
    check_each_verb(folder, words, name)


def test_a_file_that_the_user_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A link may be named, and a pipe of the shell; a FIFO that nobody writes to would never end."""
    (tmp_path / "now.json").write_text(OBJECTS)
    (tmp_path / "link.json").symlink_to("now.json")
    assert run("--replay", str(tmp_path / "link.json")).exit == run("--replay", str(tmp_path / "now.json")).exit == 0
    reads, writes = os.pipe()
    os.write(writes, b"hello")
    os.close(writes)
    assert read_text(Path(f"/dev/fd/{reads}"), may_be_link=True) == "hello"
    os.close(reads)
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path / "fifo", Path("/dev/zero")):
        outcome = run("--replay", str(path))
        assert (outcome.exit, "it is not a file" in outcome.error["message"]) == (2, True)
    monkeypatch.setattr(untrusted, "LARGEST", 10)
    assert "it has more than" in run("--replay", str(tmp_path / "now.json")).error["message"]


def nest(levels: int) -> str:
    """The same objects, of which one is nested that deep."""
    content = json.loads(OBJECTS)
    content["items"][0]["spec"]["deep"] = "MARK"
    return json.dumps(content).replace('"MARK"', '{"a": [' * (levels // 2) + "]}" * (levels // 2))


@pytest.mark.parametrize("levels", [DEEPEST, 700, 5_000, 100_000])
def test_objects_that_are_nested_without_end(folder: Path, levels: int) -> None:
    (folder / "001.json").write_text(nest(levels))
    check_each_verb(folder, "001.json")


def test_objects_that_are_nested_as_deep_as_they_may_be(folder: Path) -> None:
    (folder / "001.json").write_text(nest(DEEPEST - 8))
    assert run("--replay", str(folder), f"--report={folder / 'x.html'}").exit in (0, 1, 3)
    for verb in (("explain", "--nearly"), ("query", "deployment", "--subject", "deployment")):
        assert run(*verb, "--replay", str(folder)).exit in (0, 1, 3)


@pytest.mark.parametrize(
    "text", ["[" * 100_000, "{a: " * 100_000, "- " * 100_000, "? " * 100_000, "".join(f"{' ' * n}a:\n" for n in range(300))]
)
@pytest.mark.parametrize("name", ["recording.yaml", "case.yaml"])
def test_yaml_that_is_nested_without_end(folder: Path, text: str, name: str) -> None:
    """The parser in C ended the process with a signal."""
    (folder / name).write_text(text)
    outcome = run("test", str(folder)) if name == "case.yaml" else run("--replay", str(folder))
    assert outcome.exit == 2
    assert "nested too deeply" in outcome.stderr + outcome.stdout


@pytest.mark.parametrize("number", ["1e999", "-1e999", "9" * 30, f"-{'9' * 4000}", "9" * 5000, "NaN", "Infinity"])
def test_a_number_that_is_none(folder: Path, number: str) -> None:
    (folder / "001.json").write_text(
        OBJECTS.replace('"replicas": 1', f'"replicas": {number}').replace('"observedGeneration": 1', f'"observedGeneration": {number}')
    )
    check_each_verb(folder, "001.json")


@pytest.mark.parametrize("at", ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59"])
def test_a_moment_that_is_none(folder: Path, at: str) -> None:
    (folder / "recording.yaml").write_text(POLL.replace("2026-11-23T06:00:00Z", at) % "001.json")
    check_each_verb(folder, "recording.yaml:2", "invalid time")


def test_a_newest_time_that_is_no_moment(tmp_path: Path) -> None:
    content = json.loads(OBJECTS)
    content["items"][0]["metadata"]["creationTimestamp"] = "9999-12-31T23:59:59-23:59"
    (tmp_path / "now.json").write_text(json.dumps(content))
    outcome = run("--replay", str(tmp_path / "now.json"))
    assert (outcome.exit, "out of range" in outcome.error["message"]) == (2, True)


@pytest.mark.parametrize("name", ["001.json", "recording.yaml"])
def test_what_is_no_utf8(folder: Path, name: str) -> None:
    (folder / name).write_bytes((folder / name).read_bytes() + b"\n\xff")
    check_each_verb(folder, name)


@pytest.mark.parametrize("words", ["{widget: 5}", "{widget: [a]}", "{widget: [a, [b]]}", "{widget: {a: b}}"])
def test_words_that_mean_no_kind(folder: Path, words: str) -> None:
    (folder / "recording.yaml").write_text((POLL % "001.json") + f"words: {words}\n")
    check_each_verb(folder, "recording.yaml:3", "a kind and an API group")


@pytest.mark.parametrize("args", ["--report=../x.html", "-report, ../x.html", "--kubectl=./evil", "--record=x", "--dump, x", "--replay=/"])
def test_a_case_runs_and_writes_nothing(folder: Path, args: str) -> None:
    (folder / "case.yaml").write_text(f"args: [{args}]\n")
    outcome = run("test", str(folder))
    assert (outcome.exit, "a case cannot have" in outcome.stderr) == (2, True)
    (folder / "case.yaml").write_text("args: []\nstdin: ../outside.json\n")
    assert "there is no file" in run("test", str(folder)).stderr


def test_the_demo_is_a_case_too() -> None:
    """A recording has no links, so the two are copies."""
    for path in DEMO.iterdir():
        assert path.read_bytes() == (FIXTURES / "deployment/demo" / path.name).read_bytes()


# ------------------------------------------------------------------------------------------ the folder of a recording


@pytest.fixture
def record(kubectl: Program, tmp_path: Path) -> Callable[[str, Path], Outcome]:
    program = kubectl("cat " + str(snapshot("deployment/success")))
    return lambda flag, path: run("--kubectl", program, "deployment/web", f"--{flag}={path}")


@pytest.mark.parametrize("flag", ["record", "dump"])
@pytest.mark.parametrize(("mode", "exit"), [(0o777, 2), (0o1777, 0), (0o755, 0), (0o700, 0)])
def test_a_folder_to_which_others_may_write(record: Any, tmp_path: Path, flag: str, mode: int, exit: int) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(mode)
    for path in (shared / "a" / "b", shared):
        outcome = record(flag, path)
        assert outcome.exit == exit, outcome.result
        if exit:
            assert "others may write" in outcome.error["message"]
            assert not (tmp_path / "calls").exists()
            assert list(shared.iterdir()) == []
        for each in sorted(shared.rglob("*"), reverse=True):
            each.rmdir() if each.is_dir() else each.unlink()


@pytest.mark.parametrize("flag", ["record", "dump"])
def test_a_folder_that_is_a_link(record: Any, tmp_path: Path, flag: str) -> None:
    (tmp_path / "real").mkdir()
    for target in ("real", "nowhere"):
        link = tmp_path / f"to-{target}"
        link.symlink_to(target)
        outcome = record(flag, link)
        assert (outcome.exit, "is a link" in outcome.error["message"]) == (2, True)
    assert not (tmp_path / "calls").exists()
    assert not (tmp_path / "nowhere").exists()


def test_a_link_on_the_way_counts_where_others_may_have_made_it(record: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, mode in (("mine", 0o755), ("everybodys", 0o1777)):
        (tmp_path / name).mkdir()
        (tmp_path / name).chmod(mode)
        (tmp_path / name / "link").symlink_to(tmp_path)
    assert record("record", tmp_path / "mine/link/a").exit == 0
    assert record("record", tmp_path / "everybodys/link/b").exit == 2
    monkeypatch.setattr(recorder.os, "geteuid", lambda: -1)
    monkeypatch.setattr(recorder.os, "getegid", lambda: -1)
    os.chown(tmp_path / "mine/link", 12345, -1, follow_symlinks=False) if os.getuid() == 0 else None
    assert record("record", tmp_path / "mine/link/c").exit == 2


def test_a_folder_that_cannot_be_looked_at(record: Any, tmp_path: Path) -> None:
    outcome = record("record", tmp_path / ("x" * 300))
    assert (outcome.exit, "File name too long" in outcome.error["message"]) == (2, True)


# ------------------------------------------------------------------------------------------------ words for kubectl


@pytest.mark.parametrize(
    "arguments",
    [
        ("--kinds=-f=x",),
        ("--kinds=--server=http://evil",),
        ("--kinds=pod, --server=x",),
        ("-n=-x",),
        ("-n", "--server=x"),
        ("deployment/-x",),
        ("deployment/--server=x",),
        ("-l", "--server=x"),
        ("-l=-x",),
        ("--context=-x",),
        ("--kubecontext=--server=x",),
        ("--kubeconfig=--server=x",),
        ("-f", "--server=x"),
        ("-k", "--server=x"),
    ],
)
def test_a_word_that_begins_with_a_dash_is_not_passed_on(kubectl: Program, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    outcome = run("--kubectl", kubectl("exit 1"), *arguments)
    assert (outcome.exit, outcome.error["code"]) == (2, "usage")
    assert not (tmp_path / "calls").exists()
