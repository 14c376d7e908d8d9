"""Writes the reports that --report asks for."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from rollout_status_lib import Json
from rollout_status_lib.errors import MISHAPS, RolloutError, describe_error
from rollout_status_lib.progress import complain
from rollout_status_lib.reports.junit import render_junit
from rollout_status_lib.reports.markdown import render_markdown
from rollout_status_lib.reports.page import render_page
from rollout_status_lib.reports.story import Story
from rollout_status_lib.reports.timeline import Timeline


def write_whole(path: Path, text: str) -> None:
    """Puts a file into its place as a whole; the umask protects it, since it is there to be shown, unlike a recording."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        mask = os.umask(0)
        os.umask(mask)
        Path(name).chmod(0o666 & ~mask)
        Path(name).replace(path)
    finally:
        Path(name).unlink(missing_ok=True)


def refuse_unwritable(path: Path) -> None:
    """RolloutError `usage` for a file that no report can be; makes the folder that it is to be in."""
    if path.suffix.lower() not in WRITERS:
        raise RolloutError("usage", f"--report {path}: a report ends in {', '.join(WRITERS)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            raise RolloutError("usage", f"--report {path}: it is a folder")
        tempfile.TemporaryFile(dir=path.parent).close()
    except OSError as error:
        raise RolloutError("usage", f"--report {path}: {describe_error(error)}") from None


class Reports:
    """Collects the polls of a run and writes its reports at the end. What goes wrong with them never hides the verdict."""

    def __init__(self, paths: Sequence[Path], timeline: Timeline) -> None:
        for path in paths:
            refuse_unwritable(path)
        self.paths, self.timeline = paths, timeline
        self.problems: list[str] = []  # what went wrong when they were written

    def write(self, result: Mapping[str, Json]) -> list[str]:
        """Writes the reports; returns a sentence for each thing that went wrong, which stderr has too."""
        problems = self.problems = list(self.timeline.problems)
        for path in self.paths:
            try:
                write_whole(path, WRITERS[path.suffix.lower()](Story(result, self.timeline)))
            except MISHAPS as error:
                problems.append(f"the report {path} could not be written: {error}")
        for problem in problems:
            complain(f"rollout-status: {problem}")
        return list(dict.fromkeys(problems))


WRITERS: dict[str, Callable[[Story], str]] = {".html": render_page, ".md": render_markdown, ".xml": render_junit}
