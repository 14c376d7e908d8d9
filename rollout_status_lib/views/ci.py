"""What the log of a CI shows at the end: annotations, folded sections, a summary.

All of it goes to stderr. What comes from the cluster is cleaned first, and stands in a line behind a text of ours or is
escaped, so that no log is taken for a command of the CI:
https://docs.github.com/actions/writing-workflows/choosing-what-your-workflow-does/workflow-commands-for-github-actions
https://docs.gitlab.com/ci/jobs/job_logs/#custom-collapsible-sections
"""

from __future__ import annotations

import abc
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import IO

from rollout_status_lib import Json
from rollout_status_lib.clean import clean_line
from rollout_status_lib.errors import MISHAPS
from rollout_status_lib.progress import Progress
from rollout_status_lib.reports.markdown import render_markdown
from rollout_status_lib.story import Cause, Story, tell_story

CAUSES = 10  # that are told; GitHub shows no more annotations of a step
SUMMARY = 1 << 20  # bytes that a step summary of GitHub may have
SUMMARY_LOG = 8_000  # characters of each log in it


class Log(Progress, abc.ABC):
    """The lines of Progress, and at the end what the CI can fold and mark."""

    def conclude(self, result: Mapping[str, Json]) -> list[str]:
        story = tell_story(result)
        self.print("", *self.tell(story))
        problems = self.write_summary(story)
        self.print(*(f"rollout-status: {clean_line(problem)}" for problem in problems))
        return problems

    def tell(self, story: Story) -> Iterator[str]:
        """The lines of a story: the headline, the causes, then the sections."""
        yield f"{story.headline}{f': {story.counts}' if story.outcomes else ''}"
        for cause in story.causes[:CAUSES]:
            yield from self.tell_cause(cause)
        if len(story.causes) > CAUSES:
            yield f"... and {len(story.causes) - CAUSES} more causes, which the result has"
        for title, lines in list_sections(story):
            yield from self.fold(title, [f"| {line}" for line in lines])

    def tell_cause(self, cause: Cause) -> Iterator[str]:
        """The lines of a cause."""
        yield f"{cause.code}: {cause.message}"
        yield from self.tell_details(cause)

    def tell_details(self, cause: Cause) -> Iterator[str]:
        """Where a cause is, and the command that shows more."""
        yield from [f"  in {cause.place}"] if cause.place else []
        yield from [f"  see: {cause.hint}"] if cause.hint else []

    @abc.abstractmethod
    def fold(self, title: str, lines: Sequence[str]) -> list[str]:
        """The lines of a section."""

    def write_summary(self, _story: Story) -> list[str]:
        """Writes a summary if the CI has one. Returns a sentence for each thing that went wrong."""
        return []


def list_sections(story: Story) -> Iterator[tuple[str, Sequence[str]]]:
    """What is worth a section of its own: its title and its lines."""
    for cause in story.causes[:CAUSES]:
        if cause.log:
            yield f"The end of the log of {cause.place}", cause.log
        if cause.events:
            yield f"Events about {cause.place}", [event.sentence for event in cause.events]
    for outcome in story.outcomes:
        back = [f"back to what ran before: {outcome.rollback}"] if outcome.rollback else []
        if outcome.changes or back:
            yield f"What changed in {outcome.title}", [*outcome.changes, *back]


def escape_data(text: str) -> str:
    """A text as GitHub's commands have it."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def escape_property(text: str) -> str:
    return escape_data(text).replace(":", "%3A").replace(",", "%2C")


class Github(Log):
    """Annotations, groups, and the summary of the step."""

    def tell_cause(self, cause: Cause) -> Iterator[str]:
        title = f"{cause.code} of {'/'.join(cause.workload)}" if cause.workload else cause.code
        lines = [cause.message, *self.tell_details(cause)]
        yield f"::error title={escape_property(title)}::{escape_data(chr(10).join(lines))}"

    def fold(self, title: str, lines: Sequence[str]) -> list[str]:
        return [f"::group::{escape_data(title)}", *lines, "::endgroup::"]

    def write_summary(self, story: Story) -> list[str]:
        name = os.environ.get("GITHUB_STEP_SUMMARY")
        if not name:
            return []
        causes = (replace(cause, log=tuple("\n".join(cause.log)[-SUMMARY_LOG:].split("\n")) if cause.log else ()) for cause in story.causes)
        try:
            text = f"\n{render_markdown(replace(story, causes=tuple(causes)))}".encode("utf-8", "replace")
            with Path(name).open("ab") as file:
                if file.tell() + len(text) > SUMMARY:
                    return ["the step summary has no room for this rollout: GitHub shows at most 1 MiB"]
                file.write(text)
        except MISHAPS as error:
            return [f"the step summary could not be written: {error}"]
        return []


class Gitlab(Log):
    """Sections that can be folded: an open one with the progress, closed ones with the logs."""

    def __init__(self, stream: IO[str], *, quiet: bool) -> None:
        super().__init__(stream, quiet=quiet)
        self.name = f"rollout-status-{time.time_ns()}"  # a job may have several runs
        self.sections = 0

    def start(self) -> None:
        self.print(self.begin("The rollout"))

    def conclude(self, result: Mapping[str, Json]) -> list[str]:
        self.print(*([self.end()] if self.sections else []))
        return super().conclude(result)

    def fold(self, title: str, lines: Sequence[str]) -> list[str]:
        return [self.begin(title, "[collapsed=true]"), *lines, self.end()]

    def begin(self, title: str, options: str = "") -> str:
        self.sections += 1
        return f"\x1b[0Ksection_start:{time.time():.0f}:{self.name}-{self.sections}{options}\r\x1b[0K{title}"

    def end(self) -> str:
        return f"\x1b[0Ksection_end:{time.time():.0f}:{self.name}-{self.sections}\r\x1b[0K"


LOGS: dict[str, type[Log]] = {"github": Github, "gitlab": Gitlab}
