"""The verb report: writes reports of a recording."""

from __future__ import annotations

from collections.abc import Sequence

from rollout_status_lib.clean import to_line
from rollout_status_lib.declarations import FIRST_CODES
from rollout_status_lib.errors import RolloutError
from rollout_status_lib.story import tell_story
from rollout_status_lib.verbs import Engine, run_verb


def main(argv: Sequence[str], engine: Engine) -> tuple[str, int]:
    """Writes reports of a recording."""
    return run_verb("report", lambda: report(argv, engine))


def report(argv: Sequence[str], engine: Engine) -> tuple[str, int]:
    """Replays a recording and writes its reports, whatever its verdict is."""
    usage = "rollout-status report DIR -o FILE [-o FILE ...] [flags of a replay]"
    if {"-h", "--help", "-help"} & {*argv}:
        return f"usage: {usage}\n\nWrites reports of a recording: .html, .md or .xml (JUnit), by the ending of FILE.", 0
    files, rest, words = list[str](), list[str](), iter(argv)
    for word in words:
        flag, equals, value = word.partition("=")
        if flag in ("-o", "--o", "--output", "-output"):
            files.append(value if equals else next(words, ""))
        else:
            rest.append(word)
    if not files or not rest or rest[0].startswith("-"):
        raise RolloutError("usage", f"write {usage}")
    run = engine(["--replay", rest[0], "--quiet", *rest[1:], *(f"--report={name}" for name in files)])
    error = run.result.get("error", {})
    if error.get("code") in FIRST_CODES:
        raise RolloutError(error["code"], error["message"])
    if run.reports.problems:
        raise RolloutError("usage", "; ".join(run.reports.problems))
    return "\n".join([f"{to_line(name)}: {tell_story(run.result).headline.lower()}" for name in files]), 0
