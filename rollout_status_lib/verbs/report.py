"""The verb report: writes reports of a recording."""

from __future__ import annotations

from collections.abc import Sequence

from rollout_status_lib.arguments import describe_exits
from rollout_status_lib.clean import to_line
from rollout_status_lib.declarations import FIRST_CODES
from rollout_status_lib.errors import RolloutError
from rollout_status_lib.story import tell_story
from rollout_status_lib.verbs import Engine, run_engine, run_verb

USAGE = "rollout-status report DIR -o FILE [-o FILE ...] [flags of a replay]"
EXITS = describe_exits("the reports are written, whatever the verdict is")


def main(argv: Sequence[str], engine: Engine) -> tuple[str, int]:
    """A line for each report that was written, and the exit code."""
    return run_verb("report", lambda: report(argv, engine))


def report(argv: Sequence[str], engine: Engine) -> tuple[str, int]:
    """The same; what went wrong is raised. The verdict of the recording does not matter."""
    if {"-h", "--help", "-help"} & {*argv}:
        return f"usage: {USAGE}\n\nWrites reports of a recording: .html, .md or .xml (JUnit), by the ending of FILE.\n\n{EXITS}", 0
    files, rest = split_files(argv)
    if not files or not rest or rest[0].startswith("-"):
        raise RolloutError("usage", f"write {USAGE}")
    run = run_engine(engine, ["--replay", rest[0], "--quiet", *rest[1:], *(f"--report={name}" for name in files)])
    error = run.result.get("error", {})
    if error.get("code") in FIRST_CODES:
        raise RolloutError(error["code"], error["message"])
    if run.reports.problems:
        raise RolloutError("usage", "; ".join(run.reports.problems))
    return "\n".join([f"{to_line(name)}: {tell_story(run.result).headline.lower()}" for name in files]), 0


def split_files(argv: Sequence[str]) -> tuple[list[str], list[str]]:
    """The files that `-o` names, and the other words."""
    files, rest, words = list[str](), list[str](), iter(argv)
    for word in words:
        flag, equals, value = word.partition("=")
        if flag in ("-o", "--o", "--output", "-output"):
            files.append(value if equals else next(words, ""))
        else:
            rest.append(word)
    return files, rest
