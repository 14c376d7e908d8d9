"""What a terminal shows: a picture that is drawn anew, then the verdict."""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import IO, Any, NamedTuple

from rollout_status_lib import Json
from rollout_status_lib.clean import clean_line
from rollout_status_lib.errors import MISHAPS, RolloutError, UnreadableError
from rollout_status_lib.findings import Finding, Judgement, Workload
from rollout_status_lib.functions import Functions
from rollout_status_lib.interrupts import INTERRUPTS
from rollout_status_lib.objects import get_creation_time, get_name
from rollout_status_lib.progress import Progress
from rollout_status_lib.story import STATUS, Story, tell_story
from rollout_status_lib.values import format_span, parse_timestamp
from rollout_status_lib.views.ci import CAUSES

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


def make_rows(judgement: Judgement) -> list[Row]:
    """The workloads, failed ones first, then those that wait."""
    several = len({workload.key[1] for workload in judgement.workloads}) > 1
    functions = Functions(judgement.at)
    rows = []
    for workload in judgement.workloads:
        title = clean_line(f"{workload.key[1]}: {workload.title}" if several else workload.title)
        text = clean_line(workload.sentence)
        counts = get_counts(workload, functions)
        rows.append(Row(workload.status, title, counts, get_birth(workload.value), text, tuple(find_below(workload, text))))
    return sorted(rows, key=lambda row: STATUS[row.status].rank)


def get_counts(workload: Workload, functions: Functions) -> tuple[float, float] | None:
    """How many are ready and how many are wanted; None where the kind does not say it, or the object does not have it."""
    with suppress(RolloutError):
        values = [expression.evaluate(workload.value, functions) for expression in workload.kind.counts]
        if values and all(type(value) in (int, float) for value in values):
            return values[0], values[1]
    return None


def get_birth(value: Json) -> float:
    with suppress(UnreadableError):
        return parse_timestamp(get_creation_time(value))
    return 0.0


def find_below(workload: Workload, sentence: str) -> Iterator[Below]:
    """What below a workload has failed, or may come to fail: the first of those of which a rule says the same."""
    groups: dict[tuple[str, ...], list[Finding]] = {}
    for finding in workload.findings:
        if finding.subject is not workload.subject and finding.scope.fill(finding.rule.code):
            groups.setdefault((finding.verdict, *finding.group()), []).append(finding)
    for (verdict, *_), findings in groups.items():
        subject, text = findings[0].subject, clean_line(findings[0].message)
        name = clean_line("/".join([get_name(subject.holder), *subject.part.values()]))
        status = "failed" if verdict == "fail" else "waiting"
        yield Below(status, name, len(findings) - 1, get_birth(subject.holder), "" if text == sentence else text)


def format_age(seconds: float) -> str:
    """A time in its largest unit, two of them where that says little: 45s, 3m, 25h, 4d."""
    seconds = max(0, int(seconds))
    for limit, unit, letter in ((120, 1, "s"), (7200, 60, "m"), (172_800, 3600, "h")):
        if seconds < limit:
            return f"{seconds // unit}{letter}"
    return f"{seconds // 86_400}d"


class Terminal(Progress):
    """A picture that is drawn anew while the run goes on, on the terminal's second screen, which no resize can spoil and which leaves
    nothing behind; at the end the last picture and the verdict, once, where the lines of a program go.

    A thread draws it: it alone writes to the terminal, and no signal interrupts it. A run that ends within GRACE is not drawn.
    """

    GRACE, AGAIN = 0.8, 0.25  # seconds

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
        with INTERRUPTS.hold():
            self.thread.start()

    def stop(self) -> None:
        """Ends the picture and leaves the last one, as it is."""
        with INTERRUPTS.hold():
            self.over.set()
            if self.thread.is_alive():
                self.thread.join()

    def show(self, judgement: Judgement) -> None:
        self.started = judgement.at if self.started < 0 else self.started
        self.aside.pop("call", None)
        self.rows, self.awaited = make_rows(judgement), tuple(map(clean_line, (*judgement.missing, *judgement.awaited)))
        self.at, self.shown = judgement.at, time.monotonic()

    def say_new(self, _at: float, about: Json, line: str) -> None:
        self.aside[about] = clean_line(line)

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
        head = [self.text(f"rollout-status  {f'{format_age(now - self.started)}  ' if self.at >= 0 else ''}{stand}", style="bold")]
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
        line.append(f"{numbers:>7}  {format_age(now - row.born) if row.born else '':>4}")
        beside = width >= WIDE
        yield line.append(f"  {row.text}") if beside else line
        if not beside and row.status in ("failed", "waiting"):
            yield self.text(f"    {row.text}", style=color)
        for below in row.below[:PODS]:
            more = f" and {below.more} more" if below.more else ""
            line = self.text(f"    {STATUS[below.status].sign} {below.name}{more}", style=COLORS[STATUS[below.status].means])
            yield line.append(f"  {format_age(now - below.born) if below.born else ''}  {below.text}".rstrip(), style="default")
        if len(row.below) > PODS:
            yield self.text(f"    … and {len(row.below) - PODS} more that are not well", style="dim")

    def bar(self, counts: tuple[float, float] | None, color: str) -> Any:
        """How much of what is wanted is ready; empty where nobody knows."""
        if not counts:
            return self.text(" " * BAR)
        ready, wanted = counts
        full = BAR if ready >= wanted else max(0, int(BAR * ready / wanted))
        return self.text("█" * full, style=color).append("░" * (BAR - full), style="dim")

    def conclude(self, result: Mapping[str, Json]) -> list[str]:
        self.stop()
        with suppress(*MISHAPS):
            width, height = self.console.size
            picture = self.picture(width, max(FULL, height)) if self.rows else []
            for line in [*picture, *(() if self.is_told else self.tell(tell_story(result)))]:
                self.console.print(line, soft_wrap=True)  # a command that the terminal breaks can still be copied
        return []

    def tell(self, story: Story) -> Iterator[Any]:
        """The lines of the verdict."""
        yield self.text("")
        sign, color = ("✔", "green") if story.success else ("✖", "red")
        after = f", after {format_span(story.elapsed)}" if story.elapsed is not None else ""
        yield self.text(f"{sign} {story.headline}{after}", style=f"bold {color}")
        for cause in story.causes[:CAUSES]:
            yield self.text("")
            yield self.text(cause.code, style="bold red").append(f": {cause.message}", style="default not bold")
            yield from self.field("in", cause.place)
            yield from self.field("log", *cause.log)
            yield from self.field("events", *(event.sentence for event in cause.events))
            yield from self.field("look", cause.hint)
        if len(story.causes) > CAUSES:
            yield self.text(f"… and {len(story.causes) - CAUSES} more causes, which the result has", style="dim")
        for outcome in story.outcomes:
            yield from self.field(f"what changed in {outcome.title}", *outcome.changes)
            yield from self.field("back to what ran before", outcome.rollback)
        yield from (self.text(f"note: {note}", style="dim") for note in story.notes)

    def field(self, name: str, *values: str) -> Iterable[Any]:
        """A name with its values: one beside it, several beneath it."""
        if len(values) < 2:
            return [self.text(f"  {name}: ", style="dim").append(value, style="not dim") for value in values if value]
        return [self.text(f"  {name}:", style="dim"), *(self.text(f"    {value}") for value in values)]
