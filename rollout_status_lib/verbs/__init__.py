"""What the verbs share. A module each: its `main` is handed the words after the verb, and the engine."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

from rollout_status_lib import Json
from rollout_status_lib.declarations import FIRST_CODES
from rollout_status_lib.errors import RolloutError


class Run(Protocol):
    """What a verb may ask of a run that has ended. What the run has not reached is None."""

    rules: Any  # Rules
    judge: Any  # Judge
    reports: Any  # Reports
    before: Any  # Memory before the last judgement
    memory: Any  # Memory after it
    snapshot: Any  # the Snapshot that was judged last
    judgement: Any  # its Judgement
    result: dict[str, Json]
    exit_code: int


class Engine(Protocol):
    """Runs a command line to its end, whatever that is; `base` is another folder of built-in rules."""

    def __call__(self, argv: Sequence[str], base: Path | None = None) -> Run: ...


def run_verb(verb: str, do: Callable[[], tuple[str, int]]) -> tuple[str, int]:
    """What a verb prints, and its exit code. What ended it early is a line on stderr, with the exit code of a wrong input."""
    try:
        return do()
    except RolloutError as error:
        print(f"rollout-status {verb}: {error.message}{f' ({error.hint})' if error.hint else ''}", file=sys.stderr)
        return "", FIRST_CODES[error.code].exit if error.code in FIRST_CODES else 4
