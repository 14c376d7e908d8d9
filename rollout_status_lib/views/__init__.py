"""Progress for whoever reads stderr: a CI that folds and marks, a terminal, or anything else that reads lines."""

from __future__ import annotations

import argparse
import os
import sys

from rollout_status_lib.progress import Progress

CI_VARIABLES = {"github": "GITHUB_ACTIONS", "gitlab": "GITLAB_CI"}  # by which they are known


def choose_progress(options: argparse.Namespace) -> Progress:
    """The view that suits stderr; plain lines where there is nothing better, or its library is missing."""
    stream, found = sys.stderr, [name for name, variable in CI_VARIABLES.items() if os.environ.get(variable) == "true"]
    ci = options.ci or (found or ["none"])[0]
    if ci != "none":
        from rollout_status_lib.views.ci import LOGS  # noqa: PLC0415, only when asked for

        return LOGS[ci](stream, quiet=options.quiet)
    is_terminal = (
        stream.isatty()
        and os.environ.get("TERM", "") not in ("", "dumb", "unknown")
        and stream.encoding.lower() == "utf-8"
        and (options.ci == "none" or not os.environ.get("CI"))
        and not options.quiet
    )
    if is_terminal:
        try:
            from rollout_status_lib.views.terminal import Terminal  # noqa: PLC0415, only when asked for

            return Terminal(stream, quiet=options.quiet)
        except ImportError as error:
            if (error.name or "").startswith("rollout_status_lib"):  # else it is rich that is not there, which nobody needs
                raise
    return Progress(stream, quiet=options.quiet)
