"""The files that --report names: refused before the run if they cannot be written, and written at its end."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from rollout_status_lib import Json
from rollout_status_lib.clean import clean_name, to_json
from rollout_status_lib.errors import MISHAPS, RolloutError, describe_error
from rollout_status_lib.progress import complain
from rollout_status_lib.reports.junit import render_junit
from rollout_status_lib.reports.markdown import render_markdown
from rollout_status_lib.reports.page import render_page
from rollout_status_lib.reports.timeline import Timeline
from rollout_status_lib.source import Source
from rollout_status_lib.story import Story, tell_story
from rollout_status_lib.streams import PATIENCE, open_to_write, write_all
from rollout_status_lib.whole import write_whole

# The ending of a file -> what renders it
RENDERERS: dict[str, Callable[[Story, Timeline, Mapping[str, Json]], str]] = {
    ".html": lambda story, timeline, _: render_page(story, timeline),
    ".json": lambda _, __, result: to_json(result),
    ".md": lambda story, _, __: render_markdown(story),
    ".xml": lambda story, _, __: render_junit(story),
}


class Reports:
    """The reports of a run. What goes wrong with them never hides the verdict."""

    def __init__(self, paths: Sequence[Path], timeline: Timeline, source: Source) -> None:
        for path in paths:
            refuse_unwritable(path)
        self.paths, self.timeline, self.source = paths, timeline, source
        self.problems: list[str] = []  # what went wrong

    def write(self, result: Mapping[str, Json]) -> list[str]:
        """A sentence for each thing that went wrong while the reports were written; stderr has them too."""
        self.problems = list(self.timeline.problems)
        if any(path.suffix.lower() == ".html" for path in self.paths):
            self.timeline.context = clean_name(self.source.context())
        for path in self.paths:
            try:
                story = tell_story(result, self.timeline.list_sightings(), self.timeline.last)
                write_report(path, RENDERERS[path.suffix.lower()](story, self.timeline, result))
            except MISHAPS as error:
                self.problems.append(f"the report {path} could not be written: {error}")
        for problem in self.problems:
            complain(f"rollout-status: {problem}")
        return list(dict.fromkeys(self.problems))


def refuse_unwritable(path: Path) -> None:
    """Makes the folder for a report. RolloutError `usage` if the report could not be written there, or has an unknown ending."""
    if path.suffix.lower() not in RENDERERS:
        raise RolloutError("usage", f"--report {path}: a report ends in {', '.join(RENDERERS)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            raise RolloutError("usage", f"--report {path}: it is a folder")
        tempfile.TemporaryFile(dir=path.parent).close()
    except OSError as error:
        raise RolloutError("usage", f"--report {path}: {describe_error(error)}") from None


def write_report(path: Path, text: str) -> None:
    """Puts a report into its place as a whole; unlike a recording, it is there to be shown. A pipe or a device is written to."""
    if path.exists() and not path.is_file():
        with open_to_write(path) as descriptor:
            write_all(descriptor, text.encode(), PATIENCE)
    else:
        write_whole(path, text)
