"""What the log of a CI shows at the end: annotations, folded sections, a summary.

All of it goes to stderr. What comes from the cluster is clean in the story, and stands in a line behind a text of ours or is
escaped, so that a CI takes no part of a log for one of its commands:
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
from rollout_status_lib.lines import describe_cause, make_field
from rollout_status_lib.progress import Progress
from rollout_status_lib.reports.markdown import render_markdown
from rollout_status_lib.story import Cause, Story, tell_story, write_key
from rollout_status_lib.streams import PATIENCE, open_to_write, write_all

CAUSES = 10  # in the log; GitHub shows no more annotations of a step
SUMMARY = 1 << 20  # bytes that a step summary of GitHub may have
SUMMARY_LOG = 8_000  # characters of each log in it


class Log(Progress, abc.ABC):
    """The lines of Progress, and at the end what the CI can fold and mark."""

    shows_errors = True

    def conclude(self, result: Mapping[str, Json]) -> list[str]:
        story = tell_story(result)
        self.print("", *self.make_lines(story))
        problems = self.write_summary(story)
        self.print(*(f"rollout-status: {clean_line(problem)}" for problem in problems))
        return problems

    def make_lines(self, story: Story) -> Iterator[str]:
        """The verdict, the causes, and the folded sections."""
        yield story.lead
        for cause in story.causes[:CAUSES]:
            yield from self.mark(cause, story.list_serving(cause))
        if len(story.causes) > CAUSES:
            yield f"... and {len(story.causes) - CAUSES} more causes, which the result has"
        for title, lines in make_sections(story):
            yield from self.fold(title, [f"| {line}" for line in lines])

    def mark(self, cause: Cause, serving: Sequence[str]) -> list[str]:
        """The lines of a cause, marked as an error where the CI can do that; `serving` is what no line before has told."""
        return list(describe_cause(cause, cause.tail, serving))

    @abc.abstractmethod
    def fold(self, title: str, lines: Sequence[str]) -> list[str]:
        """The lines of a folded section."""

    def write_summary(self, _story: Story) -> list[str]:
        """A sentence for each thing that went wrong while the summary was written, where the CI has one."""
        return []


def make_sections(story: Story) -> Iterator[tuple[str, Sequence[str]]]:
    """A title and lines for each section: the logs and the events of the causes, and what changed in each workload."""
    for cause in story.causes[:CAUSES]:
        if len(cause.log) > len(cause.tail):
            yield f"log of {cause.place}", cause.log
        if cause.events:
            yield f"events about {cause.place}", [event.sentence for event in cause.events]
    for outcome in story.outcomes:
        back = make_field("roll back", [outcome.rollback], indent="")
        if outcome.changes or back:
            yield f"changed in {outcome.title}", [*outcome.changes, *back]


class Github(Log):
    """Annotations, groups, and the summary of the step."""

    def mark(self, cause: Cause, serving: Sequence[str]) -> list[str]:  # noqa: ARG002, an annotation stands alone
        about = f" of {write_key(cause.workload)}" if cause.workload else ""
        text = "\n".join(describe_cause(cause, cause.tail, cause.serving))
        return [f"::error title={escape_property(cause.code + about)}::{escape_data(text)}"]

    def fold(self, title: str, lines: Sequence[str]) -> list[str]:
        return [f"::group::{escape_data(title)}", *lines, "::endgroup::"]

    def write_summary(self, story: Story) -> list[str]:
        name = os.environ.get("GITHUB_STEP_SUMMARY")
        if not name:
            return []
        try:
            text = f"\n{render_markdown(shorten_logs(story))}".encode("utf-8", "replace")
            with open_to_write(Path(name)) as descriptor:
                if os.fstat(descriptor).st_size + len(text) > SUMMARY:
                    return ["the step summary has no room for this rollout: GitHub shows at most 1 MiB"]
                write_all(descriptor, text, PATIENCE)
        except MISHAPS as error:
            return [f"the step summary could not be written: {error}"]
        return []


def shorten_logs(story: Story) -> Story:
    """The story with the last SUMMARY_LOG characters of each log."""
    causes = [replace(cause, log=tuple("\n".join(cause.log)[-SUMMARY_LOG:].split("\n"))) if cause.log else cause for cause in story.causes]
    return replace(story, causes=tuple(causes))


def escape_data(text: str) -> str:
    """A text for the data of a command of GitHub."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def escape_property(text: str) -> str:
    """A text for a property of such a command."""
    return escape_data(text).replace(":", "%3A").replace(",", "%2C")


class Gitlab(Log):
    """Sections that fold: an open one with the progress, closed ones with logs, events and changes."""

    def __init__(self, stream: IO[str], *, quiet: bool) -> None:
        super().__init__(stream, quiet=quiet)
        self.name = f"rollout-status-{time.time_ns()}"  # a job may have several runs
        self.sections = 0

    def start(self) -> None:
        self.print(self.begin_section("The rollout"))

    def conclude(self, result: Mapping[str, Json]) -> list[str]:
        self.print(*([self.end_section()] if self.sections else []))
        return super().conclude(result)

    def fold(self, title: str, lines: Sequence[str]) -> list[str]:
        return [self.begin_section(title, "[collapsed=true]"), *lines, self.end_section()]

    def begin_section(self, title: str, options: str = "") -> str:
        """The line that begins a section. It stays open until the line of `end_section`."""
        self.sections += 1
        return f"\x1b[0Ksection_start:{time.time():.0f}:{self.name}-{self.sections}{options}\r\x1b[0K{title}"

    def end_section(self) -> str:
        return f"\x1b[0Ksection_end:{time.time():.0f}:{self.name}-{self.sections}\r\x1b[0K"


LOGS: dict[str, type[Log]] = {"github": Github, "gitlab": Gitlab}
