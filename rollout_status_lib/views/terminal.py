"""What a terminal shows: a picture while the run goes on, then the verdict."""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import IO

from rich.console import Console
from rich.text import Text

from rollout_status_lib import Json
from rollout_status_lib.clean import clean_line
from rollout_status_lib.errors import MISHAPS
from rollout_status_lib.findings import Judgement
from rollout_status_lib.interrupts import INTERRUPTS
from rollout_status_lib.progress import Progress
from rollout_status_lib.story import STATUS, tell_story
from rollout_status_lib.views.rows import Row, make_rows
from rollout_status_lib.views.text import CAUSES, lay_out, list_notes, list_verdict, wants_color

COLORS = {"bad": "red", "wait": "yellow", "good": "green", "end": "dim"}  # by what a status means
BAR = 10  # cells
WIDE, NARROW, NARROWEST = 140, 64, 40  # columns from which on a row has its sentence beside it, a bar, the word of its status
PODS = 3  # lines below a workload
TITLE = 44  # cells that a title gets at most, unless there is room to spare
FULL = 24  # lines that the last picture may always have


class Terminal(Progress):
    """Draws a picture again and again while the run goes on; at its end prints the last picture and the verdict.

    The picture is on the terminal's second screen: no resize can spoil it, and it leaves nothing behind. A thread of its own draws it,
    and only that thread writes to the terminal until then, so no signal interrupts it. A run that ends within GRACE is not drawn.
    """

    shows_errors = True
    GRACE, AGAIN = 0.8, 0.25  # seconds

    def __init__(self, stream: IO[str], *, quiet: bool) -> None:
        super().__init__(stream, quiet=quiet)
        # a size in the environment is that of the window as it once was
        environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
        plain = not wants_color(stream, os.environ)
        self.console = Console(
            file=stream, force_terminal=True, no_color=plain, highlight=False, markup=False, emoji=False, _environ=environment
        )
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.draw, daemon=True)
        self.rows: Sequence[Row] = ()
        self.awaited: Sequence[str] = ()
        self.aside: dict[Json, str] = {}  # topic -> the last line about it
        self.at = -1.0  # the moment of the last judgement
        self.received = -1.0  # when that judgement came, by this machine's time.monotonic()

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
        self.rows, self.awaited = make_rows(judgement, self.tail), tuple(map(clean_line, (*judgement.missing, *judgement.awaited)))
        self.at, self.received = judgement.at, time.monotonic()

    def say_new(self, _at: float, about: Json, line: str) -> bool:
        self.aside[about] = clean_line(line)
        return True

    def trouble(self, at: float, sentence: str) -> None:
        self.say_new(at, "call", f"trying again: {sentence}")

    def conclude(self, result: Mapping[str, Json]) -> list[str]:
        self.stop()
        with suppress(*MISHAPS):
            width, height = self.console.size
            # what has failed is told beneath it
            self.rows = [row._replace(text="", log=()) if row.status == "failed" else row for row in self.rows]
            picture = self.make_picture(width, max(FULL, height)) if self.rows else []
            story = tell_story(result)
            self.is_drawn = bool(picture)
            sign, lines = STATUS["ready" if story.success else "failed"].sign, [*list_verdict(story, CAUSES), *list_notes(story)]
            verdict = [] if self.is_told else list(lay_out([f"{sign} {lines[0]}", *lines[1:]], story, self.stream, os.environ))
            for line in [*picture, *[""][: len(picture) + len(verdict)], *map(Text.from_ansi, verdict)]:
                self.console.print(line, soft_wrap=True)  # a command that the terminal breaks can still be copied
        return []

    # ---------------------------------------------------------------------------------------------------- the picture

    def draw(self) -> None:
        """Draws until the run is over. It is what the thread does."""
        if self.over.wait(self.GRACE):
            return
        with suppress(*MISHAPS), self.console.screen() as screen:
            while not self.over.is_set():
                width, height = self.console.size
                screen.update(Text("\n").join(self.make_picture(width, height)))
                self.over.wait(self.AGAIN)

    def make_picture(self, width: int, height: int) -> list[Text]:
        """Lines that fit: how many workloads have each status, the workloads, how many of them have no room, and what else is said."""
        now = self.at if self.at < 0 or self.over.is_set() else self.at + time.monotonic() - self.received
        age = f"{format_age(now - self.started)}  " if self.at >= 0 else ""
        head = Text(f"rollout-status  {age}{count_statuses(self.rows) or 'asking the cluster'}", style="bold")
        foot = [Text(line, style="yellow") for line in [*self.awaited, *self.aside.values()][-3:]]
        body: list[Text] = []
        left, room = list(self.rows), height - 1 - len(foot) - 1  # one for the head, one for what has no room
        title = fit_title(self.rows, width)
        while left and len(body) < room:
            body += list(draw_row(left.pop(0), now, width, title))[: room - len(body)]
        if left:
            body.append(Text(f"… and {len(left)} more: {count_statuses(left)}", style="dim"))
        picture = [head, *body, *foot][: max(1, height)]
        for line in picture:
            line.truncate(max(1, width), overflow="ellipsis")
        return picture


def count_statuses(rows: Sequence[Row]) -> str:
    """How many rows have each status: `1 failed, 2 ready`."""
    counts = Counter(row.status for row in rows)
    return ", ".join(f"{counts[status]} {status}" for status in STATUS if counts[status])


def fit_title(rows: Sequence[Row], width: int) -> int:
    """How many cells the titles get: as many as the longest needs, if the window has them."""
    others = 17 + 9 * (width >= NARROWEST) + BAR * (width >= NARROW)  # cells of a row beside its title
    longest = max((Text(row.title).cell_len for row in rows), default=0)
    return min(longest, max(TITLE, width // 3), max(8, width - others))


def draw_row(row: Row, now: float, width: int, title: int) -> Iterator[Text]:
    """A workload, and below it its pods that are not well."""
    status = STATUS[row.status]
    color = COLORS[status.means]
    line = Text().append(f"{status.sign} ", style=color)
    if width >= NARROWEST:
        line.append(f"{row.status:7}  ", style=color)
    name = Text(row.title, style="bold" if status.means in ("bad", "wait") else "")
    name.truncate(title, overflow="ellipsis", pad=True)
    line.append_text(name).append("  ")
    if width >= NARROW:
        line.append_text(draw_bar(row.counts, color))
    numbers = "/".join(f"{count:g}" for count in row.counts) if row.counts else ""
    line.append(f"{numbers:>7}  {format_age(now - row.born) if row.born else '':>4}")
    beside = width >= WIDE
    yield line.append(f"  {row.text}") if beside else line
    if not beside and row.text and row.status in ("failed", "waiting"):
        yield Text(f"    {row.text}", style=color)
    yield from draw_below(row, now)


def draw_below(row: Row, now: float) -> Iterator[Text]:
    """The first pods of a workload that are not well, and how many others there are."""
    for below in row.below[:PODS]:
        status = STATUS[below.status]
        more = f" and {below.more} more" if below.more else ""
        age = format_age(now - below.born) if below.born else ""
        line = Text(f"    {status.sign} {below.name}{more}", style=COLORS[status.means])
        yield line.append(f"  {age}  {below.text}".rstrip(), style="default")
    yield from (Text(f"    log | {line}", style="dim") for line in row.log)
    if len(row.below) > PODS:
        yield Text(f"    … and {len(row.below) - PODS} more that are not well", style="dim")


def draw_bar(counts: tuple[float, float] | None, color: str) -> Text:
    """How much of what is wanted is ready; blank where that is unknown."""
    if not counts:
        return Text(" " * BAR)
    ready, wanted = counts
    full = BAR if ready >= wanted else max(0, int(BAR * ready / wanted))
    return Text("█" * full, style=color).append("░" * (BAR - full), style="dim")


def format_age(seconds: float) -> str:
    """A time in one unit, in the largest that still says enough: 45s, 119s, 3m, 25h, 4d."""
    seconds = max(0, int(seconds))
    for limit, unit, letter in ((120, 1, "s"), (7200, 60, "m"), (172_800, 3600, "h")):
        if seconds < limit:
            return f"{seconds // unit}{letter}"
    return f"{seconds // 86_400}d"
