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
from pathlib import Path
from typing import IO

from rollout_status_lib import Json
from rollout_status_lib.clean import clean_line, clean_log
from rollout_status_lib.errors import MISHAPS
from rollout_status_lib.progress import Progress
from rollout_status_lib.reports.markdown import render_markdown
from rollout_status_lib.reports.story import Story

CAUSES = 10  # that are told; GitHub shows no more annotations of a step
SUMMARY = 1 << 20  # bytes that a step summary of GitHub may have
SUMMARY_LOG = 8_000  # letters of each log in it


def describe_workload(cause: Json) -> str:
    """Which workload a cause is about, " of KIND/NAMESPACE/NAME"; empty when it is about none."""
    return clean_line(f" of {'/'.join(cause['workload'].values())}") if "workload" in cause else ""


def describe_event(event: Json) -> str:
    seen = f" (last seen {event['lastSeen']})" if event["lastSeen"] else ""
    return clean_line(f"{event['count']}x {event['reason']}: {event['message']}{seen}")


def make_folds(story: Story) -> Iterator[tuple[str, list[str]]]:
    """What is worth a section of its own: a title, and clean lines."""
    for cause in story.causes[:CAUSES]:
        if cause.get("log"):
            yield f"The end of the log of {story.place(cause)}", clean_log(cause["log"]).split("\n")
        if cause.get("events"):
            yield f"Events about {story.place(cause)}", list(map(describe_event, cause["events"]))
    for group in story.groups:
        changes = [clean_line(change) for change in group.entry.get("changes") or ()]
        back = [f"back to what ran before: {clean_line(group.entry['rollback'])}"] if group.entry.get("rollback") else []
        if changes or back:
            yield f"What changed in {group.title}", [*changes, *back]


class Log(Progress, abc.ABC):
    """The lines of Progress, and at the end what the CI can fold and mark."""

    def conclude(self, result: Mapping[str, Json]) -> list[str]:
        story = Story(result)
        self.print("", *self.told(story))
        problems = self.summarised(story)
        self.print(*(f"rollout-status: {clean_line(problem)}" for problem in problems))
        return problems

    def told(self, story: Story) -> Iterator[str]:
        yield f"{story.headline}{f': {story.counts}' if story.groups else ''}"
        for cause in story.causes[:CAUSES]:
            yield from self.cause(story, cause)
        rest = len(story.causes) - CAUSES
        yield from [f"... and {rest} more causes, which the result has"] if rest > 0 else []
        for title, content in make_folds(story):
            yield from self.fold(clean_line(title), [f"| {line}" for line in content])

    def cause(self, story: Story, cause: Json) -> Iterator[str]:
        yield clean_line(f"{cause['code']}: {cause['message']}")
        yield from [f"  in {story.place(cause)}"] if story.place(cause) else []
        yield from [f"  see: {clean_line(cause['hint'])}"] if cause.get("hint") else []

    @abc.abstractmethod
    def fold(self, title: str, content: Sequence[str]) -> list[str]:
        """The lines of a section."""

    def summarised(self, _story: Story) -> list[str]:
        """Writes a summary where the CI has one; a sentence when that is not possible."""
        return []


def escape_data(text: str) -> str:
    """A text as GitHub's commands have it."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def escape_property(text: str) -> str:
    return escape_data(text).replace(":", "%3A").replace(",", "%2C")


class Github(Log):
    """Annotations, groups, and the summary of the step."""

    def cause(self, story: Story, cause: Json) -> Iterator[str]:
        title = escape_property(f"{clean_line(cause['code'])}{describe_workload(cause)}")
        _, *more = super().cause(story, cause)
        yield f"::error title={title}::{escape_data(chr(10).join([clean_line(cause['message']), *more]))}"

    def fold(self, title: str, content: Sequence[str]) -> list[str]:
        return [f"::group::{escape_data(title)}", *content, "::endgroup::"]

    def summarised(self, story: Story) -> list[str]:
        name = os.environ.get("GITHUB_STEP_SUMMARY")
        if not name:
            return []
        story.causes = [{**cause, "log": cause["log"][-SUMMARY_LOG:]} if cause.get("log") else cause for cause in story.causes]
        try:
            text = f"\n{render_markdown(story)}".encode("utf-8", "replace")
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

    def fold(self, title: str, content: Sequence[str]) -> list[str]:
        return [self.begin(title, "[collapsed=true]"), *content, self.end()]

    def begin(self, title: str, options: str = "") -> str:
        self.sections += 1
        return f"\x1b[0Ksection_start:{time.time():.0f}:{self.name}-{self.sections}{options}\r\x1b[0K{title}"

    def end(self) -> str:
        return f"\x1b[0Ksection_end:{time.time():.0f}:{self.name}-{self.sections}\r\x1b[0K"


LOGS: dict[str, type[Log]] = {"github": Github, "gitlab": Gitlab}
