"""What a CI's log and a terminal show of a run; imported only when there is one of them (see progress_for in rollout_status.py).

    judgements -> lines, or rows that are drawn anew -> with the result: annotations and folded sections, or the verdict

All of it goes to stderr. What comes from the cluster is cleaned by rollout_report.clean, and stands in a line of a CI behind a
text of ours or is escaped, so that no log is taken for a command of the CI:
https://docs.github.com/actions/writing-workflows/choosing-what-your-workflow-does/workflow-commands-for-github-actions
https://docs.gitlab.com/ci/jobs/job_logs/#custom-collapsible-sections
"""

from __future__ import annotations

import abc
import os
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, NamedTuple

import rollout_status as engine
from rollout_report import MISHAPS, STATUS, Report, Story, clean, in_markdown, lines, span

Json = Any

CAUSES = 10  # that are told; GitHub shows no more annotations of a step
SUMMARY = 1 << 20  # bytes that a step summary of GitHub may have
SUMMARY_LOG = 8_000  # letters of each log in it


def workload_of(cause: Json) -> str:
    """Which workload a cause is about, " of Deployment/shop/web"; empty when it is about none."""
    return clean(f" of {'/'.join(cause['workload'].values())}") if "workload" in cause else ""


def event_line(event: Json) -> str:
    seen = f" (last seen {event['lastSeen']})" if event["lastSeen"] else ""
    return clean(f"{event['count']}x {event['reason']}: {event['message']}{seen}")


def folds_of(story: Story) -> Iterator[tuple[str, list[str]]]:
    """What is worth a section of its own: a title, and clean lines."""
    for cause in story.causes[:CAUSES]:
        if cause.get("log"):
            yield f"The end of the log of {story.place(cause)}", lines(cause["log"]).split("\n")
        if cause.get("events"):
            yield f"Events about {story.place(cause)}", list(map(event_line, cause["events"]))
    for group in story.groups:
        changes = [clean(change) for change in group.entry.get("changes") or ()]
        back = [f"back to what ran before: {clean(group.entry['rollback'])}"] if group.entry.get("rollback") else []
        if changes or back:
            yield f"What changed in {group.title}", [*changes, *back]


# ------------------------------------------------------------------------------------------------------------ CI logs


class Log(engine.Progress, abc.ABC):
    """The lines of Progress, and at the end what the CI can fold and mark."""

    def conclude(self, result: Mapping[str, Json], rules: Json) -> list[str]:
        story = Story(Report((), rules, live=False), result)
        self.print("", *self.told(story))
        problems = self.summarised(story)
        self.print(*(f"rollout-status: {clean(problem)}" for problem in problems))
        return problems

    def told(self, story: Story) -> Iterator[str]:
        yield f"{story.headline}{f': {story.counts}' if story.groups else ''}"
        for cause in story.causes[:CAUSES]:
            yield from self.cause(story, cause)
        rest = len(story.causes) - CAUSES
        yield from [f"... and {rest} more causes, which the result has"] if rest > 0 else []
        for title, content in folds_of(story):
            yield from self.fold(clean(title), [f"| {line}" for line in content])

    def cause(self, story: Story, cause: Json) -> Iterator[str]:
        yield clean(f"{cause['code']}: {cause['message']}")
        yield from [f"  in {story.place(cause)}"] if story.place(cause) else []
        yield from [f"  see: {clean(cause['hint'])}"] if cause.get("hint") else []

    @abc.abstractmethod
    def fold(self, title: str, content: Sequence[str]) -> list[str]:
        """The lines of a section."""

    def summarised(self, _story: Story) -> list[str]:
        """Writes a summary where the CI has one; a sentence when that is not possible."""
        return []


def data(text: str) -> str:
    """A text as GitHub's commands have it."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def property_value(text: str) -> str:
    return data(text).replace(":", "%3A").replace(",", "%2C")


class Github(Log):
    """Annotations, groups, and the summary of the step."""

    def cause(self, story: Story, cause: Json) -> Iterator[str]:
        title = property_value(f"{clean(cause['code'])}{workload_of(cause)}")
        _, *more = super().cause(story, cause)
        yield f"::error title={title}::{data(chr(10).join([clean(cause['message']), *more]))}"

    def fold(self, title: str, content: Sequence[str]) -> list[str]:
        return [f"::group::{data(title)}", *content, "::endgroup::"]

    def summarised(self, story: Story) -> list[str]:
        name = os.environ.get("GITHUB_STEP_SUMMARY")
        if not name:
            return []
        story.causes = [{**cause, "log": cause["log"][-SUMMARY_LOG:]} if cause.get("log") else cause for cause in story.causes]
        try:
            text = f"\n{in_markdown(story)}".encode("utf-8", "replace")
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

    def conclude(self, result: Mapping[str, Json], rules: Json) -> list[str]:
        self.print(*([self.end()] if self.sections else []))
        return super().conclude(result, rules)

    def fold(self, title: str, content: Sequence[str]) -> list[str]:
        return [self.begin(title, "[collapsed=true]"), *content, self.end()]

    def begin(self, title: str, options: str = "") -> str:
        self.sections += 1
        return f"\x1b[0Ksection_start:{time.time():.0f}:{self.name}-{self.sections}{options}\r\x1b[0K{title}"

    def end(self) -> str:
        return f"\x1b[0Ksection_end:{time.time():.0f}:{self.name}-{self.sections}\r\x1b[0K"


# ----------------------------------------------------------------------------------------------------------- terminal

COLORS = {"bad": "red", "wait": "yellow", "good": "green", "end": "dim"}  # of what a status means
BAR = 10  # cells
WIDE, NARROW, NARROWEST = 140, 64, 40  # columns from which on a row has its sentence beside it, a bar, the word of its status
PODS = 3  # lines beneath a workload
TITLE = 44  # cells that a title gets at most, unless there is room to spare
FULL = 24  # lines that the last picture may always have


class Below(NamedTuple):
    """A pod, or a part of one, that is not well, and how many more are like it."""

    status: str
    name: str
    more: int
    born: float
    text: str  # empty: that of its workload


class Row(NamedTuple):
    """What is shown of a workload."""

    status: str
    title: str
    counts: tuple[float, float] | None  # ready, wanted
    born: float  # seconds since 1970; 0: unknown
    text: str
    below: tuple[Below, ...]


def rows_of(judgement: engine.Judgement) -> list[Row]:
    """The workloads, failed ones first, then those that wait."""
    several = len({workload.key[1] for workload in judgement.workloads}) > 1
    interpreter = engine.Functions(judgement.at)
    rows = []
    for workload in judgement.workloads:
        title = clean(f"{workload.key[1]}: {workload.title}" if several else workload.title)
        text = clean(workload.sentence)
        counts = counts_of(workload, interpreter)
        rows.append(Row(workload.status, title, counts, born(workload.value), text, tuple(below(workload, text))))
    return sorted(rows, key=lambda row: STATUS[row.status].rank)


def counts_of(workload: engine.Workload, interpreter: engine.Functions) -> tuple[float, float] | None:
    """How many are ready and how many are wanted; None where the kind does not say it, or the object does not have it."""
    with suppress(engine.RolloutError):
        values = [expression.value(workload.value, interpreter) for expression in workload.kind.counts]
        if values and all(type(value) in (int, float) for value in values):
            return values[0], values[1]
    return None


def born(value: Json) -> float:
    with suppress(engine.UnreadableError):
        return engine.timestamp(engine.created(value))
    return 0.0


def below(workload: engine.Workload, sentence: str) -> Iterator[Below]:
    """What below a workload has failed, or may come to fail: the first of those of which a rule says the same."""
    groups: dict[tuple[str, ...], list[engine.Finding]] = {}
    for finding in workload.findings:
        if finding.subject is not workload.subject and finding.scope.filled(finding.rule.code):
            groups.setdefault((finding.verdict, *finding.group()), []).append(finding)
    for (verdict, *_), findings in groups.items():
        subject, text = findings[0].subject, clean(findings[0].message)
        name = clean("/".join([engine.name_of(subject.holder), *subject.part.values()]))
        status = "failed" if verdict == "fail" else "waiting"
        yield Below(status, name, len(findings) - 1, born(subject.holder), "" if text == sentence else text)


def age(seconds: float) -> str:
    """A time in its largest unit, two of them where that says little: 45s, 3m, 25h, 4d."""
    seconds = max(0, int(seconds))
    for limit, unit, letter in ((120, 1, "s"), (7200, 60, "m"), (172_800, 3600, "h")):
        if seconds < limit:
            return f"{seconds // unit}{letter}"
    return f"{seconds // 86_400}d"


class Terminal(engine.Progress):
    """A picture that is drawn anew while the run goes on, on the terminal's second screen, which no resize can spoil and which leaves
    nothing behind; at the end the last picture and the verdict, once, where the lines of a program go.

    A thread draws it: it alone writes to the terminal, and no signal interrupts it. A run that ends within GRACE is not drawn.
    """

    GRACE, AGAIN = 0.3, 0.25  # seconds

    def __init__(self, stream: IO[str], *, quiet: bool) -> None:
        super().__init__(stream, quiet=quiet)
        from rich.console import Console  # noqa: PLC0415, the module is of use without it
        from rich.text import Text  # noqa: PLC0415

        self.text: Any = Text
        # a size in the environment is that of the window as it once was
        environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
        self.console: Any = Console(file=stream, force_terminal=True, highlight=False, markup=False, emoji=False, _environ=environment)
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.draw, daemon=True)
        self.rows: Sequence[Row] = ()
        self.awaited: Sequence[str] = ()
        self.asked = False
        self.aside: dict[Json, str] = {}  # what else is said
        self.at = self.shown = -1.0  # the moment of the last judgement, and when that was by this machine's time.monotonic()

    def start(self) -> None:
        with engine.INTERRUPTS.hold():
            self.thread.start()

    def stop(self) -> None:
        """Ends the picture and leaves the last one, as it is."""
        with engine.INTERRUPTS.hold():
            self.over.set()
            if self.thread.is_alive():
                self.thread.join()

    def show(self, judgement: engine.Judgement) -> None:
        self.started = judgement.at if self.started < 0 else self.started
        self.aside.pop("call", None)
        self.rows, self.awaited = rows_of(judgement), tuple(map(clean, (*judgement.missing, *judgement.awaited)))
        self.at, self.shown = judgement.at, time.monotonic()

    def say_new(self, _at: float, about: Json, line: str) -> None:
        self.aside[about] = clean(line)

    def trouble(self, at: float, sentence: str) -> None:
        self.say_new(at, "call", f"trying again: {sentence}")

    def draw(self) -> None:
        if self.over.wait(self.GRACE):
            return
        with suppress(*MISHAPS), self.console.screen() as screen:
            while not self.over.is_set():
                width, height = self.console.size
                screen.update(self.text("\n").join(self.picture(width, height)))
                self.over.wait(self.AGAIN)

    def picture(self, width: int, height: int) -> list[Any]:
        """Lines that fit: how it stands, the workloads, how many of them have no room, and what else there is to say."""
        rows, since = self.rows, time.monotonic() - self.shown
        now = self.at + since if self.at >= 0 and not self.over.is_set() else self.at
        counts = Counter(row.status for row in rows)
        stand = ", ".join(f"{counts[status]} {status}" for status in STATUS if counts[status]) or "asking the cluster"
        head = [self.text(f"rollout-status  {f'{age(now - self.started)}  ' if self.at >= 0 else ''}{stand}", style="bold")]
        foot = [self.text(line, style="yellow") for line in [*self.awaited, *self.aside.values()][-3:]]
        body: list[Any] = []
        left, room = list(rows), height - len(head) - len(foot) - 1  # one for what has no room
        others = 17 + 9 * (width >= NARROWEST) + BAR * (width >= NARROW)  # cells of a row beside its title
        title = min(max((self.text(row.title).cell_len for row in rows), default=0), max(TITLE, width // 3), max(8, width - others))
        while left and len(body) < room:
            body += list(self.row(left.pop(0), now, width, title))[: room - len(body)]
        if left:
            more = Counter(row.status for row in left)
            listed = ", ".join(f"{more[status]} {status}" for status in STATUS if more[status])
            body.append(self.text(f"… and {len(left)} more: {listed}", style="dim"))
        drawn = [*head, *body, *foot][: max(1, height)]
        for line in drawn:
            line.truncate(max(1, width), overflow="ellipsis")
        return drawn

    def row(self, row: Row, now: float, width: int, title: int) -> Iterator[Any]:
        """A workload, and beneath it its pods that are not well."""
        status = STATUS[row.status]
        color = COLORS[status.means]
        line = self.text().append(f"{status.sign} ", style=color)
        if width >= NARROWEST:
            line.append(f"{row.status:7}  ", style=color)
        name = self.text(row.title, style="bold" if status.means in ("bad", "wait") else "")
        name.truncate(title, overflow="ellipsis", pad=True)
        line.append_text(name).append("  ")
        if width >= NARROW:
            line.append_text(self.bar(row.counts, color))
        numbers = "/".join(f"{count:g}" for count in row.counts) if row.counts else ""
        line.append(f"{numbers:>7}  {age(now - row.born) if row.born else '':>4}")
        beside = width >= WIDE
        yield line.append(f"  {row.text}") if beside else line
        if not beside and row.status in ("failed", "waiting"):
            yield self.text(f"    {row.text}", style=color)
        for below in row.below[:PODS]:
            more = f" and {below.more} more" if below.more else ""
            line = self.text(f"    {STATUS[below.status].sign} {below.name}{more}", style=COLORS[STATUS[below.status].means])
            yield line.append(f"  {age(now - below.born) if below.born else ''}  {below.text}".rstrip(), style="default")
        if len(row.below) > PODS:
            yield self.text(f"    … and {len(row.below) - PODS} more that are not well", style="dim")

    def bar(self, counts: tuple[float, float] | None, color: str) -> Any:
        """How much of what is wanted is ready; empty where nobody knows."""
        if not counts:
            return self.text(" " * BAR)
        ready, wanted = counts
        full = BAR if ready >= wanted else max(0, int(BAR * ready / wanted))
        return self.text("█" * full, style=color).append("░" * (BAR - full), style="dim")

    def conclude(self, result: Mapping[str, Json], rules: Json) -> list[str]:
        self.stop()
        with suppress(*MISHAPS):
            width, height = self.console.size
            picture = self.picture(width, max(FULL, height)) if self.rows else []
            for line in [*picture, *(() if self.is_told else self.told(result, rules))]:
                self.console.print(line, soft_wrap=True)  # a command that the terminal breaks can still be copied
        return []

    def told(self, result: Mapping[str, Json], rules: Json) -> Iterator[Any]:
        """The verdict, for people."""
        story = Story(Report((), rules, live=False), result)
        yield self.text("")
        sign, color = ("✔", "green") if story.success else ("✖", "red")
        yield self.text(f"{sign} {story.headline}, after {span(result['elapsedSeconds'])}", style=f"bold {color}")
        for cause in story.causes[:CAUSES]:
            yield self.text("")
            yield self.text(clean(cause["code"]), style="bold red").append(f": {clean(cause['message'])}", style="default not bold")
            yield from self.field("in", story.place(cause))
            yield from self.field("log", *(lines(cause["log"]).split("\n") if cause.get("log") else ()))
            yield from self.field("events", *map(event_line, cause.get("events", ())))
            yield from self.field("look", clean(cause.get("hint", "")))
        if len(story.causes) > CAUSES:
            yield self.text(f"… and {len(story.causes) - CAUSES} more causes, which the result has", style="dim")
        for group in story.groups:
            yield from self.field(f"what changed in {group.title}", *map(clean, group.entry.get("changes") or ()))
            yield from self.field("back to what ran before", clean(group.entry.get("rollback") or ""))
        yield from (self.text(f"note: {clean(note)}", style="dim") for note in result.get("notes", ()))

    def field(self, name: str, *values: str) -> Iterable[Any]:
        """A name with its values: one beside it, several beneath it."""
        if len(values) < 2:
            return [self.text(f"  {name}: ", style="dim").append(value, style="not dim") for value in values if value]
        return [self.text(f"  {name}:", style="dim"), *(self.text(f"    {value}") for value in values)]


VIEWS: dict[str, type[engine.Progress]] = {"github": Github, "gitlab": Gitlab, "none": Terminal}
