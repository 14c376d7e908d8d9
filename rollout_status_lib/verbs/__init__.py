"""What the verbs share. Each verb is a module whose `main` is handed the words after the verb, and the engine."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

from rollout_status_lib import Json
from rollout_status_lib.declarations import FIRST_CODES
from rollout_status_lib.errors import RolloutError
from rollout_status_lib.interrupts import INTERRUPTS, Interrupted
from rollout_status_lib.progress import complain


class Run(Protocol):
    """What a verb may read of a run that has ended. Parts that the run has not reached are None."""

    rules: Any  # Rules
    judge: Any  # Judge
    reports: Any  # Reports
    before: Any  # Memory before the last judgement
    memory: Any  # Memory after it
    snapshot: Any  # the Snapshot that was judged last
    judgement: Any  # its Judgement
    result: dict[str, Json]
    exit_code: int
    fault: str  # what is wrong with the program itself; empty if nothing is


class Engine(Protocol):
    """Runs a command line until it ends, in whatever way. `base` is another folder of built-in rules."""

    def __call__(self, argv: Sequence[str], base: Path | None = None) -> Run: ...


def is_help(argv: Sequence[str]) -> bool:
    """True if a verb that reads its arguments itself is asked what it is for."""
    return list(argv[:1]) in (["-h"], ["-help"], ["--help"])


def run_engine(engine: Engine, argv: Sequence[str], base: Path | None = None) -> Run:
    """A run that has ended. RolloutError if a bug, a missing part or a signal has ended it: a verb has nothing to add then."""
    run = engine(argv, base)
    INTERRUPTS.listen()  # again: the run's verdict is not what this prints
    code = run.result.get("error", {}).get("code")
    if run.fault or code == "interrupted":
        raise RolloutError(*("internal", run.fault) if run.fault else (code, run.result["error"]["message"]), exit=run.exit_code)
    return run


def run_verb(verb: str, do: Callable[[], tuple[str, int]]) -> tuple[str, int]:
    """What a verb prints, and its exit code. If a wrong input, a signal or a bug ends it early, a line on stderr says so."""
    try:
        INTERRUPTS.listen()
        return do()
    except RolloutError as error:
        sentence, code = error.line, error.exit or (FIRST_CODES[error.code].exit if error.code in FIRST_CODES else 4)
    except Interrupted as stopped:
        sentence, code = f"Interrupted by {stopped}", 128 + stopped.signum
    except RecursionError:
        sentence, code = "what it was given is nested too deeply", FIRST_CODES["usage"].exit
    except Exception as bug:  # noqa: BLE001, the one place that ends a verb
        place = [each for each in traceback.extract_tb(bug.__traceback__) if "rollout_status" in each.filename][-1]
        sentence = f"This is a bug of rollout-status, {Path(place.filename).name} line {place.lineno}: {type(bug).__name__}: {bug}"
        code = FIRST_CODES["internal"].exit
    finally:
        INTERRUPTS.defer()
    complain(f"rollout-status {verb}: {sentence}")
    return "", code
