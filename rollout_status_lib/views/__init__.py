"""Progress for whoever reads stderr: a CI that folds and marks, a terminal, or anything else that reads lines."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any, TextIO

from rollout_status_lib import Json
from rollout_status_lib.clean import to_json
from rollout_status_lib.compat import find_mode, render_mode
from rollout_status_lib.lines import describe_end
from rollout_status_lib.progress import Progress, complain
from rollout_status_lib.story import tell_story
from rollout_status_lib.views.text import render_for_terminal, render_text

CI_VARIABLES = {"github": "GITHUB_ACTIONS", "gitlab": "GITLAB_CI"}  # what a CI sets to "true" in its jobs


class Lines(Progress):
    """The lines of Progress; at the end of a rollout that did not succeed three more, if nobody reads the text on stdout."""

    def conclude(self, result: Mapping[str, Json]) -> list[str]:
        if not (result["success"] or self.is_told or result["error"]["type"] == "program"):
            self.print(*describe_end(tell_story(result)))
        return []


def choose_progress(options: argparse.Namespace) -> Progress:
    """The view for stderr. It need not tell the result where people read that as text: beside it, on a terminal or in one log."""
    progress = choose_view(options)
    is_text = (options.output or ("text" if sys.stdout.isatty() else "json")) == "text"
    progress.is_told = is_text and sys.stdout.isatty() == sys.stderr.isatty()
    return progress


def choose_view(options: argparse.Namespace) -> Progress:
    """The view for stderr: that of the CI, a picture on a terminal, or plain lines where neither suits, or where rich is missing."""
    stream = sys.stderr
    ci = options.ci or next((name for name, variable in CI_VARIABLES.items() if os.environ.get(variable) == "true"), "none")
    if ci != "none":
        from rollout_status_lib.views.ci import LOGS  # noqa: PLC0415, only when asked for

        return LOGS[ci](stream, quiet=options.quiet)
    if can_draw(stream, options):
        try:
            from rollout_status_lib.views.terminal import Terminal  # noqa: PLC0415, only when asked for

            return Terminal(stream, quiet=options.quiet)
        except ImportError as error:
            if (error.name or "").startswith("rollout_status_lib"):  # else rich is missing, which a run can do without
                raise
    return Lines(stream, quiet=options.quiet)


def can_draw(stream: TextIO, options: argparse.Namespace) -> bool:
    """True if the stream is a terminal that a picture can be drawn on, and somebody wants to see it."""
    return (
        stream.isatty()
        and os.environ.get("TERM", "") not in ("", "dumb", "unknown")
        and stream.encoding.lower() == "utf-8"
        and (options.ci == "none" or not os.environ.get("CI"))
        and not options.quiet
    )


def finish(run: Any, arguments: Sequence[str]) -> tuple[str, int]:
    """What goes to stdout at the end of a run, and the exit code: 0 or 1 with --compat. stderr tells of a bug or a slip, too."""
    mode = find_mode(arguments)
    is_json = run.output == "json" or (mode and run.rules is None)
    if sentence := run.fault or (run.progress.name_slip(run.result, run.exit_code) if is_json and not mode else ""):
        complain(f"rollout-status: {sentence}")
    text = render_mode(run.result, run.rules.codes if run.rules else {}) if mode else to_json(run.result)
    if not is_json and sys.stdout.isatty():
        text = render_for_terminal(run.result, sys.stdout, drawn=run.progress.is_told and run.progress.is_drawn)
    elif not is_json:
        text = render_text(run.result)
    return text, min(run.exit_code, 1) if mode else run.exit_code
