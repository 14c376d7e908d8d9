"""Each way of installing it, in an empty place, from the copy of a checkout: README.md and docs/install.md."""

import json
import re
import shutil
import sys
import zipfile
from pathlib import Path

import pytest
from conftest import BIN, ROOT, command, make

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

COPIED = [*ROOT.glob("rollout_status*"), ROOT / "rules", ROOT / "schema.json"]
# How it comes into an empty folder, and how it is run then
WAYS: dict[str, tuple[list, list]] = {
    "pip": (
        [[sys.executable, "-m", "venv", "{folder}/venv"], ["{folder}/venv/bin/pip", "install", "-q", "{wheel}"]],
        ["{folder}/venv/bin/rollout-status"],
    ),
    "pipx": ([[BIN / "pipx", "install", "--python", sys.executable, "{wheel}"]], ["{folder}/bin/rollout-status"]),
    "uv tool": ([[BIN / "uv", "tool", "install", "{repository}"]], ["{folder}/bin/rollout-status"]),
    "uvx": ([], [BIN / "uvx", "--from", "{wheel}", "rollout-status"]),
    "uvx of git": ([], [BIN / "uvx", "--from", "git+file://{repository}", "rollout-status"]),
    "uv run --script": ([["cp", "-r", *COPIED, "{folder}"]], [BIN / "uv", "run", "--script", "{folder}/rollout_status.py"]),
    "onefile": ([["cp", "{onefile}", "{folder}"]], ["{folder}/rollout-status"]),
}


# Has no right, and writes the namespace into the Role that it reads
KUBECTL = """#!/bin/sh
for word; do
  case $word in */rbac.yaml) grep -q 'resources: .pods, pods/log.' "$word" &&
    echo '{"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "x", "namespace": "shop"}}' && exit ;; esac
done
echo no
exit 1
"""


@pytest.fixture(scope="module", params=WAYS)
def tool(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, repository: Path, wheel: Path, onefile: Path):
    """Runs the tool as it was got in one of these ways."""
    folder = tmp_path_factory.mktemp("empty")
    (folder / "tmp").mkdir()
    variables = {
        "PIPX_HOME": f"{folder}/pipx",
        "PIPX_BIN_DIR": f"{folder}/bin",
        "UV_TOOL_DIR": f"{folder}/tools",
        "UV_TOOL_BIN_DIR": f"{folder}/bin",
        "UV_PYTHON": sys.executable,
        "TMPDIR": f"{folder}/tmp",
    }
    install, program = WAYS[request.param]

    def filled(words):
        return [str(word).format(folder=folder, wheel=wheel, onefile=onefile, repository=repository) for word in words]

    for words in install:
        command(*filled(words), cwd=folder, **variables)
    return lambda *words, exit=0, **more: command(*filled(program), *words, cwd=folder, exit=exit, **variables, **more)


def test_the_demo_fails_as_it_should_and_writes_a_page(tool, tmp_path: Path) -> None:
    done = tool("demo", "--quiet", "--report", str(tmp_path / "page.html"), exit=1)
    assert json.loads(done.stdout)["error"]["code"] == "process-crashing"
    assert "notes" not in json.loads(done.stdout)
    assert "<title>The rollout failed" in (tmp_path / "page.html").read_text()


def test_the_built_in_rules_are_there_and_a_team_can_change_them(tool, tmp_path: Path) -> None:
    (tmp_path / "team.yaml").write_text("version: 1\noverride:\n  container-crash-loop: {docs: Words of a team}\n")
    assert "Words of a team" in tool("rules", "container-crash-loop", "--rules", str(tmp_path / "team.yaml")).stdout
    assert tool("lint", str(tmp_path / "team.yaml")).stdout == "no findings\n"
    assert tool("demo", "--quiet", "--rules", str(tmp_path / "nothing.yaml"), exit=2).stdout.startswith("{")


def test_it_knows_which_role_is_missing(tool, tmp_path: Path) -> None:
    """Without the right to anything. kubectl, of which there is a part here, reads rbac.yaml for it where it lies."""
    (tmp_path / "kubectl").write_text(KUBECTL)
    (tmp_path / "kubectl").chmod(0o755)
    done = tool("--kubectl", str(tmp_path / "kubectl"), "--check-access", exit=4)
    assert json.loads(done.stdout)["error"]["code"] == "forbidden"
    assert "kind: Role\nmetadata: {name: rollout-status-" in done.stderr


def test_the_version(tool) -> None:
    version = re.search(r'__version__ = "(.*)"', (ROOT / "rollout_status_lib" / "__init__.py").read_text())
    assert version
    assert tool("--version").stdout == f"rollout-status {version[1]}\n"


# How it comes with rich, for the picture in a terminal, and the Python that has both
WITH_TERMINAL: dict[str, tuple[list, str]] = {
    "uv tool": (
        [[BIN / "uv", "tool", "install", "rollout-status[terminal] @ git+file://{repository}"]],
        "{folder}/tools/rollout-status/bin",
    ),
    "pipx inject": (
        [[BIN / "pipx", "install", "--python", sys.executable, "{wheel}"], [BIN / "pipx", "inject", "rollout-status", "rich"]],
        "{folder}/pipx/venvs/rollout-status/bin",
    ),
    "requirements": (
        [[sys.executable, "-m", "venv", "{folder}/venv"], ["{folder}/venv/bin/pip", "install", "-q", "-r", "{folder}/requirements.txt"]],
        "{folder}/venv/bin",
    ),
}


@pytest.mark.parametrize("way", WITH_TERMINAL)
def test_with_the_picture_of_a_terminal(way: str, repository: Path, wheel: Path, tmp_path: Path) -> None:
    """As docs/install.md has it."""
    (tmp_path / "requirements.txt").write_text(f"rollout-status[terminal] @ file://{wheel}\n")
    install, programs = WITH_TERMINAL[way]
    variables = {
        "PIPX_HOME": f"{tmp_path}/pipx",
        "PIPX_BIN_DIR": f"{tmp_path}/bin",
        "UV_TOOL_DIR": f"{tmp_path}/tools",
        "UV_TOOL_BIN_DIR": f"{tmp_path}/bin",
        "UV_PYTHON": sys.executable,
    }
    for words in install:
        command(*(str(word).format(folder=tmp_path, wheel=wheel, repository=repository) for word in words), cwd=tmp_path, **variables)
    folder = Path(programs.format(folder=tmp_path))
    command(folder / "python", "-c", "import rich, rollout_status")
    done = command(folder / "rollout-status", "demo", "--quiet", exit=1)
    assert json.loads(done.stdout)["error"]["code"] == "process-crashing"


def test_the_scripts_header_says_what_pyproject_says() -> None:
    """By the regular expression of PEP 723."""
    header = r"(?m)^# /// (?P<type>[a-zA-Z0-9-]+)$\s(?P<content>(^#(| .*)$\s)+)^# ///$"
    (found,) = re.finditer(header, (ROOT / "rollout_status.py").read_text())
    content = tomllib.loads("".join(line[2:] for line in found["content"].splitlines(keepends=True)))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert found["type"] == "script"
    assert content == {name: project[name] for name in ("requires-python", "dependencies")}


@pytest.mark.skipif(not shutil.which("kubectl"), reason="there is no kubectl on PATH")
@pytest.mark.parametrize("way", ["wheel", "onefile"])
def test_it_is_a_plugin_of_kubectl(way: str, wheel: Path, onefile: Path, tmp_path: Path) -> None:
    if way == "wheel":
        command(BIN / "uv", "venv", "-q", "--python", sys.executable, tmp_path)
        command(BIN / "uv", "pip", "install", "-q", "--python", tmp_path / "bin" / "python", wheel)
    else:
        (tmp_path / "bin").mkdir()
        shutil.copy(onefile, tmp_path / "bin" / "kubectl-rollout_status")
    path = f"{tmp_path}/bin:{command('printenv', 'PATH').stdout.strip()}"
    done = command("kubectl", "rollout-status", "demo", "--quiet", exit=1, PATH=path)
    assert json.loads(done.stdout)["error"]["code"] == "process-crashing"
    assert f"{tmp_path}/bin/kubectl-rollout_status" in command("kubectl", "plugin", "list", exit=None, PATH=path).stdout


def test_the_demo_in_a_new_clone(repository: Path) -> None:
    make("demo", repository)


@pytest.mark.parametrize("way", ["wheel", "onefile"])
def test_all_that_it_reads_is_in_it(way: str, request: pytest.FixtureRequest, repository: Path) -> None:
    files = command("git", "ls-files", "rollout_status*", "rules", "schema.json", cwd=repository).stdout.split()
    assert "rollout_status_lib/sources/rbac.yaml" in files
    names = zipfile.ZipFile(request.getfixturevalue(way)).namelist()
    packed = [f"rollout_status_lib/data/{name}" if name.startswith(("rules", "schema")) else name for name in files]
    assert {f"lib/{name}" if way == "onefile" else name for name in packed} <= set(names)


def test_one_file_is_made_without_what_developers_need(onefile: Path) -> None:
    programs = {path.name for path in (onefile.parents[1] / ".venv" / "bin").iterdir()}
    assert {"hatchling", "pip"} < programs
    assert not programs & {"pytest", "mypy", "ruff", "uv"}


def test_one_file_holds_what_its_first_start_has_read(onefile: Path) -> None:
    assert any(re.fullmatch(r"lib/rollout_status_lib/__pycache__/rules\.\w+\.json", name) for name in zipfile.ZipFile(onefile).namelist())


def test_one_file_leaves_nothing_behind(onefile: Path, tmp_path: Path) -> None:
    command(onefile, "demo", "--quiet", exit=1, TMPDIR=str(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_one_file_that_cannot_unpack_itself_gives_no_verdict(onefile: Path, tmp_path: Path) -> None:
    """No file may be written: then there is neither a folder for it nor room in one."""
    for change in ("", f"tempfile.tempdir = {str(tmp_path)!r}; "):
        script = f"import resource, runpy, tempfile; resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0)); {change}"
        done = command(sys.executable, "-c", f"{script}runpy.run_path({str(onefile)!r}, run_name='__main__')", exit=70, cwd=tmp_path)
        assert json.loads(done.stdout)["error"]["code"] == "internal"
        assert "set TMPDIR" in json.loads(done.stdout)["error"]["message"]


def test_one_file_says_which_python_it_needs(onefile: Path) -> None:
    script = f"import runpy, sys; sys.version_info = (3, 9); runpy.run_path({str(onefile)!r}, run_name='__main__')"
    done = command(sys.executable, "-c", script, exit=70)
    assert "Python 3.10 or later is needed" in json.loads(done.stdout)["error"]["message"]
    assert done.stderr == f"rollout-status: {json.loads(done.stdout)['error']['message']}\n"


def test_one_file_works_without_the_extensions_of_the_build(onefile: Path) -> None:
    """As where Python or the platform is another one. There are no others."""
    extensions = {name for name in zipfile.ZipFile(onefile).namelist() if name.endswith(".so")}
    assert {name.partition(".")[0] for name in extensions} <= {"lib/yaml/_yaml", "lib/pvectorc"}
    script = f"import runpy, sys; sys.modules['yaml._yaml'] = sys.modules['pvectorc'] = None; sys.argv = ['x', 'demo', '--quiet']; runpy.run_path({str(onefile)!r}, run_name='__main__')"
    done = command(sys.executable, "-c", script, exit=1)
    assert json.loads(done.stdout)["error"]["code"] == "process-crashing"


def find_pythons() -> dict[str, Path]:
    """The Pythons of this machine that the program supports, by version: those on PATH, and beside the one that runs the tests."""
    here, found = Path(sys.base_prefix), {}
    on_path = [Path(path) for path in (shutil.which(f"python3.{minor}") for minor in range(10, 20)) if path]
    for python in (*on_path, *here.parent.glob("3.*/bin/python3"), *here.parents[1].glob("3.*/*/bin/python3"), Path(sys.executable)):
        done = command(python, "-c", "import sys; print(*sys.version_info[:2], sep='.')", exit=None)
        if done.returncode == 0 and int(done.stdout.partition(".")[2]) >= 10:
            found[done.stdout.strip()] = python
    return dict(sorted(found.items()))


PYTHONS = find_pythons()


@pytest.mark.parametrize("version", PYTHONS)
def test_one_file_works_with_each_python(version: str, onefile: Path) -> None:
    """One without any packages of its own."""
    done = command(PYTHONS[version], "-I", onefile, "demo", "--quiet", exit=1)
    assert json.loads(done.stdout)["error"]["code"] == "process-crashing"
