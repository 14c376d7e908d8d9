"""What a release consists of, made here of archives that stand in for those of four platforms; and that its version is high enough."""

import hashlib
import io
import json
import os
import re
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
import yaml
from conftest import ROOT

sys.path.insert(0, str(ROOT / "packaging"))
import interface
import release

VERSION = interface.read_version()
PLATFORMS = [(system, processor) for system in release.SYSTEMS for processor in release.PROCESSORS]
# Stands in for the program: it ends as a failed rollout
PROGRAM = """#!/bin/sh
echo '{"success": false, "error": {"code": "process-crashing", "message": "it crashes"}}'
exit 1
"""


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a release, with an archive for each platform, a wheel and an sdist."""
    dist = tmp_path_factory.mktemp("dist")
    (dist / "rollout-status").write_text(PROGRAM)
    for platform in PLATFORMS:
        release.main("archive", *platform, dist=dist)
    for name in (
        f"rollout_status-{VERSION}-py3-none-any.whl",
        f"rollout_status-{VERSION}.tar.gz",
        "rollout-status-0.0.1-linux-amd64.tar.gz",
    ):
        (dist / name).write_text(name)
    release.main("files", "acme/rollout-status", dist=dist)
    return dist


def test_a_release_has_all_its_files_and_their_checksums(dist: Path) -> None:
    names = {path.name for path in (dist / "release").iterdir()}
    archives = {f"rollout-status-{VERSION}-{system}-{processor}.tar.gz" for system, processor in PLATFORMS}
    python = {f"rollout_status-{VERSION}-py3-none-any.whl", f"rollout_status-{VERSION}.tar.gz"}
    assert names == {
        *archives,
        *python,
        "rollout-status.yaml",
        "rollout-status.rb",
        "action.yml",
        "sbom.cdx.json",
        "NOTES.md",
        "SHA256SUMS",
    }
    for line in (dist / "release" / "SHA256SUMS").read_text().splitlines():
        digest, name = line.split("  ")
        assert hashlib.sha256((dist / "release" / name).read_bytes()).hexdigest() == digest
        names.remove(name)
    assert names == {"NOTES.md", "SHA256SUMS"}


def test_an_archive_is_the_same_whenever_it_is_made(dist: Path) -> None:
    path = dist / f"rollout-status-{VERSION}-linux-amd64.tar.gz"
    before = path.read_bytes()
    assert release.make_archive(dist, "linux", "amd64").read_bytes() == before
    with tarfile.open(fileobj=io.BytesIO(before)) as archive:
        assert [(each.name, oct(each.mode)) for each in archive] == [("rollout-status", "0o755"), ("LICENSE", "0o644")]


def test_the_krew_manifest(dist: Path) -> None:
    plugin = yaml.safe_load((dist / "release" / "rollout-status.yaml").read_text())
    assert plugin["spec"]["version"] == f"v{VERSION}"
    assert len(plugin["spec"]["shortDescription"]) <= 50  # as krew-index wants it
    places = {tuple(each["selector"]["matchLabels"].values()): each for each in plugin["spec"]["platforms"]}
    assert set(places) == set(PLATFORMS)
    for (system, processor), each in places.items():
        name = f"rollout-status-{VERSION}-{system}-{processor}.tar.gz"
        assert each["uri"] == f"https://github.com/acme/rollout-status/releases/download/v{VERSION}/{name}"
        assert each["sha256"] == hashlib.sha256((dist / name).read_bytes()).hexdigest()


def test_the_formula(dist: Path) -> None:
    formula = (dist / "release" / "rollout-status.rb").read_text()
    assert re.findall(r"on_(\w+) do\n    on_(\w+) do", formula) == [
        ("macos", "intel"),
        ("macos", "arm"),
        ("linux", "intel"),
        ("linux", "arm"),
    ]
    assert f'version "{VERSION}"' in formula
    assert len(set(re.findall(r'sha256 "([0-9a-f]{64})"', formula))) == 1  # they are of the same program here
    assert formula.count(" do\n") + formula.count("def ") + formula.count("class ") == len(re.findall(r"^ *end$", formula, re.MULTILINE))
    assert "@" not in re.sub(r"python@3\.\d+|\$@", "", formula)


def test_the_action_downloads_an_archive_whose_checksum_it_knows(dist: Path, tmp_path: Path) -> None:
    """Its scripts, from a mirror on this machine; all other inputs and outputs are those of integrations/github."""
    action = yaml.safe_load((dist / "release" / "action.yml").read_text())
    built = yaml.safe_load(release.ACTION.read_text())
    assert (action["inputs"], action["outputs"], action["runs"]["steps"][1]) == (
        built["inputs"],
        built["outputs"],
        built["runs"]["steps"][1],
    )
    mirror = tmp_path / f"v{VERSION}"
    mirror.mkdir()
    name = f"rollout-status-{VERSION}-linux-arm64.tar.gz"
    (mirror / name).write_bytes((dist / name).read_bytes())
    variables = {
        **os.environ,
        "RUNNER_TEMP": str(tmp_path / "temp"),
        "RUNNER_OS": "Linux",
        "RUNNER_ARCH": "ARM64",
        "PYTHON": sys.executable,
        "MIRROR": tmp_path.as_uri(),
        "ARGS": "deployment/web",
        "APPLIED": "",
        "GITHUB_OUTPUT": str(tmp_path / "output"),
    }

    def step(number: int, **more: str) -> subprocess.CompletedProcess[str]:
        script = action["runs"]["steps"][number]["run"]
        words = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script]
        return subprocess.run(words, env=variables | more, capture_output=True, text=True, check=False)

    assert "no archive of rollout-status for Windows/X64" in step(0, RUNNER_OS="Windows", RUNNER_ARCH="X64").stderr
    installed = step(0)
    assert installed.returncode == 0, installed.stderr
    judged = step(1)
    assert (judged.returncode, "code=process-crashing" in (tmp_path / "output").read_text()) == (1, True), judged.stderr
    (mirror / name).write_bytes(b"something else")
    tampered = step(0, RUNNER_TEMP=str(tmp_path / "another"))
    assert (tampered.returncode, "has the checksum" in tampered.stderr) == (1, True)
    assert not (tmp_path / "another/rollout-status/bin/rollout-status").exists()


def test_the_sbom_has_what_is_pinned(dist: Path) -> None:
    bom = json.loads((dist / "release" / "sbom.cdx.json").read_text())
    names = {each["name"].lower() for each in bom["components"]}
    assert {"jmespath", "pyyaml", "sh", "jsonschema"} <= names
    assert bom["metadata"]["component"]["version"] == VERSION


def test_the_workflow_makes_what_the_makefile_makes() -> None:
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "release.yaml").read_text())
    makefile = (ROOT / "Makefile").read_text()
    scripts = [step.get("run", "") for job in workflow["jobs"].values() for step in job["steps"]]
    targets = {
        target
        for script in scripts
        for words in re.findall(r"^make (.*)", re.sub(r"\$\{\{.*?\}\}", "", script), re.MULTILINE)
        for target in words.split()
        if "=" not in target
    }
    assert {
        target
        for target in targets
        if not re.search(rf"^{re.escape(target)}:|^\$\(VENV\)/{target.rpartition('/')[2]}:", makefile, re.MULTILINE)
    } == set()
    platforms = [(each["os"], each["arch"]) for each in workflow["jobs"]["archives"]["strategy"]["matrix"]["include"]]
    assert sorted(platforms) == sorted(PLATFORMS)


def test_the_changelog_tells_of_this_version() -> None:
    assert release.read_notes(VERSION).startswith("### ")
    with pytest.raises(SystemExit, match=r"CHANGELOG\.md says nothing about 9\.9\.9"):
        release.read_notes("9.9.9")
    titles = re.findall(r"^## \[(.*?)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert titles[:2] == ["Unreleased", VERSION]
    assert titles[1:] == sorted(titles[1:], key=lambda title: tuple(map(int, title.split("."))), reverse=True)


def test_without_an_archive_there_is_no_release(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="there is no archive of"):
        release.main("files", "acme/rollout-status", dist=tmp_path)


# ------------------------------------------------------------------------------------------------------------- versions


def test_the_version_is_high_enough_for_what_has_changed_since_the_last_release() -> None:
    """If this fails, raise __version__ as it says, and tell of the change in CHANGELOG.md."""
    released = json.loads(interface.RELEASED.read_text())
    current = interface.collect(ROOT, interface.list_flags())
    assert interface.find_lack(released, current) == ""
    assert tuple(map(int, released["version"].split("."))) <= tuple(map(int, VERSION.split(".")))


def test_what_stays_the_same_wants_no_version() -> None:
    current = interface.collect(ROOT, interface.list_flags())
    assert list(interface.compare(current, current)) == []
    assert interface.find_lack(current, current) == ""
    assert len(current["rules"]) > 100
    assert {"timeout", "rules"} <= set(current["flags"])


OLD = {
    "version": "1.2.3",
    "flags": ["timeout"],
    "rules": {"pod-broken": "wait", "pod-late": "fail"},
    "aliases": {},
    "codes": {"broken": 1},
    "params": {
        "grace": {"type": "duration", "default": "2m"},
        "mode": {"type": "text", "default": "a", "choices": ["a", "b"]},
        "words": {"type": "words", "default": ["x"]},
    },
    "kinds": {"pod": "pods"},
    "schema": {"/properties/error/type": "object", "/required": ["success"], "/properties/code/enum": ["broken"]},
}


@pytest.mark.parametrize(
    ("change", "part", "words"),
    [
        ({"rules": {"pod-broken": "wait"}}, "major", "the rule pod-late is gone"),
        (
            {"rules": {"pod-broken": "wait", "pod-slow": "fail"}, "aliases": {"pod-late": "pod-slow"}},
            "minor",
            "pod-late is called pod-slow",
        ),
        ({"rules": {"pod-broken": "fail", "pod-late": "fail"}}, "major", "pod-broken is stricter: fail, and wait before"),
        ({"rules": {"pod-broken": "note", "pod-late": "fail"}}, "minor", "pod-broken is milder"),
        ({"rules": {"pod-broken": "wait", "pod-late": "fail", "pod-new": "wait"}}, "minor", "a new rule pod-new"),
        ({"codes": {}}, "major", "the code broken is gone"),
        ({"codes": {"broken": 2}}, "major", "the exit code of broken is 2"),
        ({"codes": {"broken": 1, "new": 1}}, "minor", "a new code new"),
        ({"flags": []}, "major", "the flag --timeout is gone"),
        ({"flags": ["timeout", "new"]}, "minor", "a new flag --new"),
        ({"params": OLD["params"] | {"grace": {"type": "duration", "default": "1m"}}}, "major", "the default of the parameter grace"),
        ({"params": OLD["params"] | {"grace": {"type": "duration", "default": "1h"}}}, "minor", "the default of the parameter grace"),
        ({"params": OLD["params"] | {"grace": {"type": "duration", "default": -1}}}, "minor", "the default of the parameter grace"),
        ({"params": OLD["params"] | {"grace": {"type": "integer", "default": "2m"}}}, "major", "the parameter grace takes other values"),
        (
            {"params": OLD["params"] | {"mode": {"type": "text", "default": "a", "choices": ["a"]}}},
            "major",
            "the parameter mode takes other",
        ),
        (
            {"params": OLD["params"] | {"mode": {"type": "text", "default": "b", "choices": ["a", "b"]}}},
            "major",
            "the default of the parameter mode",
        ),
        ({"params": OLD["params"] | {"words": {"type": "words", "default": ["x", "y"]}}}, "minor", "the default of the parameter words"),
        ({"kinds": {}}, "major", "the kind pod is gone"),
        ({"schema": OLD["schema"] | {"/properties/error/type": "string"}}, "major", "/properties/error/type"),
        ({"schema": OLD["schema"] | {"/required": []}}, "major", "/required"),
        ({"schema": OLD["schema"] | {"/required": ["polls", "success"]}}, "minor", "/required"),
        ({"schema": OLD["schema"] | {"/properties/code/enum": ["broken", "new"]}}, "minor", "/properties/code/enum"),
        ({"schema": OLD["schema"] | {"/properties/code/enum": ["new"]}}, "major", "/properties/code/enum"),
        ({"schema": OLD["schema"] | {"/properties/new/type": "string"}}, "minor", "/properties/new/type"),
    ],
    ids=str,
)
def test_which_part_of_the_version_a_change_raises(change: dict, part: str, words: str) -> None:
    new = OLD | change
    assert [found for found in interface.compare(OLD, new) if found[0] == part and words in found[1]], list(interface.compare(OLD, new))
    wanted = {"major": "2.0.0", "minor": "1.3.0"}[part]
    assert f"the version must be {wanted} at least" in interface.find_lack(OLD, new | {"version": "1.2.4"})
    assert interface.find_lack(OLD, new | {"version": wanted}) == ""


def test_before_1_0_a_major_change_raises_the_second_number() -> None:
    assert [interface.raise_version("0.2.3", part) for part in interface.PARTS] == [(0, 2, 4), (0, 3, 0), (0, 3, 0)]
    assert [interface.raise_version("1.2.3", part) for part in interface.PARTS] == [(1, 2, 4), (1, 3, 0), (2, 0, 0)]
