"""What the tests of each way of getting the tool share: a copy of the checkout, as git would give it, and what is made of it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FIXTURES = ROOT / "fixtures"
BIN = Path(sys.executable).parent
# What is in no checkout, and pictures
LEFT_OUT = shutil.ignore_patterns(".git", ".venv*", "dist", "build", ".*_cache", "__pycache__", ".coverage*", ".hypothesis", "*.png")


def command(
    *words: str | Path, stdin: str = "", cwd: Path | None = None, exit: int | None = 0, **variables: str
) -> subprocess.CompletedProcess[str]:
    """What a program gives, which must end with this exit code (null: with any)."""
    done = subprocess.run(
        [str(word) for word in words], input=stdin, cwd=cwd, env={**os.environ, **variables}, capture_output=True, text=True, check=False
    )
    assert exit in (None, done.returncode), f"exit {done.returncode} of {words}\n{done.stdout}\n{done.stderr}"
    return done


@pytest.fixture(scope="session")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A git repository with the files of this checkout as they are."""
    folder = tmp_path_factory.mktemp("repository")
    shutil.copytree(ROOT, folder, ignore=LEFT_OUT, dirs_exist_ok=True)
    shutil.rmtree(folder / "fixtures")
    author = ["-c", "user.name=test", "-c", "user.email=test@example.com"]
    for words in (["init", "-q"], ["add", "--all"], [*author, "commit", "-q", "-m", "all"]):
        command("git", *words, cwd=folder)
    return folder


def make(target: str, repository: Path) -> None:
    """Makes a target as in a new clone: by no variable of the `make` that runs the tests."""
    command("make", target, f"PYTHON={sys.executable}", cwd=repository, MAKEFLAGS="", MAKELEVEL="")


@pytest.fixture(scope="session")
def wheel(repository: Path) -> Path:
    make("wheel", repository)
    (path,) = (repository / "dist").glob("*.whl")
    return path


@pytest.fixture(scope="session")
def onefile(repository: Path) -> Path:
    make("onefile", repository)
    return repository / "dist" / "rollout-status"
