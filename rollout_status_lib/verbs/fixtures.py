"""The verb fixtures: the built-in cases, to test rules against."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from rollout_status_lib import __version__, find_data
from rollout_status_lib.arguments import build_verb_parser, describe_exits
from rollout_status_lib.errors import RolloutError, describe_error
from rollout_status_lib.verbs import Engine, run_verb


def main(argv: Sequence[str], _: Engine) -> tuple[str, int]:
    """Copies the built-in cases."""
    flags = build_verb_parser("fixtures DIR", "Copies the built-in cases, for rollout-status test DIR.", describe_exits("copied"))
    flags.add_argument("folder", metavar="DIR", help="a folder that is not there yet")
    return run_verb("fixtures", lambda: copy_fixtures(Path(flags.parse(argv).folder)))


def copy_fixtures(folder: Path) -> tuple[str, int]:
    """Copies those of a checkout. RolloutError `usage` that says where they are if there are none: a wheel does without."""
    source = find_data("fixtures")
    if not source.is_dir():
        raise RolloutError(
            "usage",
            f"an installed rollout-status has no fixtures, which are large: get the source of version {__version__}, which has fixtures/, "
            "and name that folder, as in rollout-status test SOURCE/fixtures --against team.yaml",
        )
    try:
        shutil.copytree(source, folder)
    except OSError as error:
        raise RolloutError("usage", f"{folder} cannot be written: {describe_error(error)}") from None
    return f"{folder}: {len(list(folder.rglob('case.yaml')))} cases; rollout-status test {folder} --against team.yaml", 0
