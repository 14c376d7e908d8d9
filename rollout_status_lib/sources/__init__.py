"""Where polls come from, one of them for each run, and what stands beside them."""

from __future__ import annotations

import argparse
from pathlib import Path

from rollout_status_lib.rules import Rules
from rollout_status_lib.selection import Selection
from rollout_status_lib.source import Source


def open_source(options: argparse.Namespace, rules: Rules, selection: Selection) -> Source:
    """The source of the polls that the arguments name."""
    if options.replay:
        from rollout_status_lib.sources.replay import Replay  # noqa: PLC0415, each run needs one of them

        return Replay(Path(options.replay), options.now, selection)
    from rollout_status_lib.sources.live import Live  # noqa: PLC0415

    return Live(options, rules, selection)
