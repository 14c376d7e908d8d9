"""Errors, and how a sentence about one ends."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rollout_status_lib import Json


class RolloutError(Exception):
    """Ends the run without a verdict. `code` is one of rules/codes.yaml; `exit`, if given, replaces that code's exit code."""

    def __init__(self, code: str, message: str, *, hint: str = "", rule: str = "", exit: int | None = None) -> None:
        super().__init__(message)
        self.code, self.message, self.hint, self.rule, self.exit = code, message, hint, rule, exit

    @property
    def line(self) -> str:
        """The message and the hint in one line."""
        return f"{self.message} ({self.hint})" if self.hint else self.message


class EvaluationError(RolloutError):
    """An expression of a rule has no value for what is there. `where` is the place of it: the file, the line, the rule."""

    def __init__(self, where: str, problem: str) -> None:
        super().__init__("invalid-rules", f"{where}: {problem}")
        self.where = where


# How the notes begin about expressions of teams that have no value: those of rules, and those of kinds
RULE_DOUBT, KIND_DOUBT = DOUBTS = ("a rule cannot be evaluated: ", "a kind cannot be evaluated: ")

# What can go wrong in a report or a view. It must not cost the verdict. A signal (Interrupted) is not among them: it ends the run.
MISHAPS = (RolloutError, ArithmeticError, AttributeError, LookupError, OSError, RuntimeError, TypeError, ValueError)


def describe_error(error: Exception) -> str:
    """What went wrong. For an error of the operating system only its text: the caller's sentence names the file already."""
    return str((isinstance(error, OSError) and error.strerror) or error)


def read_part(path: Path) -> str:
    """The text of a file that belongs to the program; RolloutError `internal` when it cannot be read."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise make_missing(path, describe_error(error)) from None


def make_missing(path: Path, reason: str) -> RolloutError:
    """The error about a part of the program that is not there."""
    return RolloutError("internal", f"{path}: {reason}; copy the whole program", hint="cp -r rollout_status* rules schema.json DIR")


def suggest(word: Json, words: Iterable[str]) -> str:
    """The end of a sentence about an unknown word: "; did you mean X?", or the list of all words when none is close."""
    choices = sorted(words)
    closest = find_closest(str(word), choices)
    return f"; did you mean {closest}?" if closest else f"; there is {', '.join(choices)}"


def suggest_name(name: str, names: Iterable[str], but: str = "") -> str:
    """The end of a sentence about a name that is not there: "; did you mean X?", or else what is there instead, if it is not too much."""
    there = sorted(set(names))
    closest = find_closest(name, there)
    return f"; did you mean {closest}?" if closest else f"; {but}there is {', '.join(there)}" if 0 < len(there) <= 5 else ""


def find_closest(word: str, words: Sequence[str]) -> str:
    """The one of the words whose spelling is closest; empty if none is close."""
    import difflib  # noqa: PLC0415, only for errors: it takes 3 ms

    return next(iter(difflib.get_close_matches(word, words, 1)), "")


@contextmanager
def collect_errors(problems: list[RolloutError] | None) -> Iterator[None]:
    """Adds an error that the block raises to `problems`, and continues after the block. If `problems` is None, the error is raised."""
    try:
        yield
    except RolloutError as error:
        if problems is None:
            raise
        problems.append(error)


class UnreadableError(argparse.ArgumentTypeError, ValueError):
    """A text is not what it should be, for example no duration. argparse shows the message of such an error as it is."""
