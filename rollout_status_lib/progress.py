"""Lines on stderr that say what a run waits for."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import IO

from rollout_status_lib import Json
from rollout_status_lib.clean import to_line
from rollout_status_lib.findings import Finding, Judgement, Workload, describe_place, tell_lines
from rollout_status_lib.functions import Functions
from rollout_status_lib.streams import say


def complain(sentence: str) -> None:
    """Says on stderr what has gone wrong; a closed stderr is no reason to end otherwise."""
    say(sys.stderr, to_line(sentence))


class Progress:
    """Prints a line on stderr when something changes, and every 30 s what has been waited for longest."""

    HEARTBEAT = 30.0  # seconds
    shows_all = False  # True if the others are waited for once one has failed
    shows_errors = False  # True if it shows at the end whatever has gone wrong
    is_drawn = False  # True if a picture of the workloads stays
    is_told = False  # True if people read the result on stdout, at the same place
    tail: Callable[[Finding], Sequence[str]] = staticmethod(lambda _: ())  # the last lines of the log of a container that has crashed

    def __init__(self, stream: IO[str], *, quiet: bool) -> None:
        self.stream, self.quiet = stream, quiet
        self.said: dict[Json, tuple[str, float]] = {}  # topic -> the last line about it, and since when it is true
        self.status: dict[Json, str] = {}  # workload -> its last status
        self.logs: dict[Json, Sequence[str]] = {}  # workload -> the lines of a log that were said of it
        self.started = self.spoke = -1.0

    def show(self, judgement: Judgement) -> None:
        """Says what a judgement has changed."""
        several = len({workload.key[1] for workload in judgement.workloads}) > 1
        waiting = []
        # once one has failed, nobody waits for the others any more
        is_over = judgement.has_failed(for_all=self.shows_all)
        shown = [each for each in judgement.workloads if not (is_over and each.status == "waiting")]
        for workload, told in zip(shown, tell_lines(shown), strict=True):
            title = f"{workload.key[1]}: {workload.title}" if several and workload.key[1] else workload.title
            failed = "failed: " if workload.status == "failed" else ""
            # pods that take turns do not take turns in one line: what was said of one of them stands
            about = (*workload.key, workload.status, workload.findings[0].subject.key if workload.findings else "")
            if self.status.get(workload.key) != workload.status:
                self.status[workload.key] = workload.status
                self.said = {topic: said for topic, said in self.said.items() if topic[:3] != workload.key}
            line, before = f"{title}: {failed}{told}", self.said.get(about, ("", 0.0))[0]
            crashes = bool(workload.findings) and workload.findings[0].rule.logs
            # what crashes again and again is ready in between, which is no news
            line = before if crashes and before.startswith(f"{line} (") else f"{line}{describe_place(workload, Functions(judgement.at))}"
            if self.say_new(judgement.at, about, line) and workload.findings:
                self.show_log(workload)
            waiting += [self.said[about]] if workload.status == "waiting" else []
        for line in judgement.awaited:
            self.say_new(judgement.at, line, line)
            waiting.append(self.said[line])
        if waiting and judgement.at - self.spoke >= self.HEARTBEAT:
            line, since = min(waiting, key=lambda each: each[1])
            self.say(judgement.at, f"still waiting, for {judgement.at - since:.0f}s now: {line}")

    def show_log(self, workload: Workload) -> None:
        """Says how the log of a workload's crash ends, unless the one before ended in the same way."""
        lines = tuple(self.tail(workload.findings[0]))
        if any(lines) and self.logs.get(workload.key) != lines:
            self.logs[workload.key] = lines
            self.print(*(f"    log | {to_line(line)}" for line in lines))

    def trouble(self, at: float, sentence: str) -> None:
        """Says that a call has failed and is tried again."""
        if self.spoke >= 0 and at - self.spoke >= self.HEARTBEAT:
            self.said.pop("call", None)
        self.say_new(at, "call", f"trying again: {sentence}")

    def say_new(self, at: float, about: Json, line: str) -> bool:
        """Says a line about a topic, unless it is the last one that was said about it. True if it was said."""
        is_new = self.said.get(about, ("", 0.0))[0] != line
        if is_new:
            self.said[about] = (line, at)
            self.say(at, line)
        return is_new

    def say(self, at: float, line: str) -> None:
        self.started = at if self.started < 0 else self.started
        self.spoke = at
        self.print(f"[{at - self.started:4.0f}s] {to_line(line)}")

    def print(self, *lines: str) -> None:
        """Prints lines as they are."""
        if not self.quiet and lines:
            say(self.stream, "\n".join(lines))

    def name_slip(self, result: Mapping[str, Json], exit_code: int) -> str:
        """What is wrong with the input, if that has ended the run; empty where a view has shown it, or where nobody wants to see it."""
        return str(result["error"]["message"]) if exit_code == 2 and not self.quiet and not self.shows_errors else ""

    def start(self) -> None:
        """Called when polling begins."""

    def stop(self) -> None:
        """Called when polling has ended."""

    def conclude(self, _result: Mapping[str, Json]) -> list[str]:
        """Shows the result, if its reader wants that. Returns a sentence for each thing that went wrong."""
        return []
