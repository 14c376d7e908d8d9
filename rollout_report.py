"""Reports of a run, imported only when --report asks for one: a page (.html), Markdown (.md), JUnit (.xml).

    polls -> lanes (for each object whose kind declares stages: when it was what) -> with the result: a page, a table, test cases

No state of Kubernetes is named here: what the stages of a lane are is in rules/*.yaml (`stages` of a kind). Of an object only
its stages are kept. What comes from the cluster is cleaned in one place, `clean`, and escaped where it is written.
"""

from __future__ import annotations

import html
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from string import Template
from typing import Any, NamedTuple

import rollout_status as engine

Json = Any
Key = tuple[str, ...]  # of a workload: kind, namespace, name

LONGEST_LANE = 100  # marks; of a longer one those in its middle are dropped
HISTORY = 3600.0  # seconds before the first poll that a timeline can show
FEW, MANY = 30, 12  # lanes up to which all are shown; of a larger group, healthy ones from which on they are folded
WAITS = 5  # of what a workload waits for, those that are not folded
ROWS, CAUSES = 100, 20  # of a table of workloads in Markdown, and causes there with a log

# Whatever is wrong with a report, the verdict is not lost; an interruption is none of these
MISHAPS = (engine.RolloutError, ArithmeticError, AttributeError, LookupError, OSError, RuntimeError, TypeError, ValueError)

ESCAPE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])")


def clean(text: Json) -> str:
    """A text in one line without escapes, control characters, marks of direction and passwords; a very long one is cut."""
    return engine.plain(ESCAPE.sub("", str(text)))


def safe(text: Json) -> str:
    """The same, for HTML and XML."""
    return html.escape(clean(text))


def lines(text: str) -> str:
    """A log, of which each line is clean."""
    return "\n".join(clean(line.expandtabs()) for line in ESCAPE.sub("", text).splitlines())


class Mark(NamedTuple):
    """A stage that a lane reached; in order of time, and at the same moment in that of the rule file."""

    at: float
    order: int
    name: str
    means: str  # one of engine.STAGE_MEANS
    text: str


@dataclass
class Lane:
    """The life of an object."""

    name: str
    owner: Key
    kind: engine.Kind
    born: float
    old: bool = False  # of another revision
    gone: bool = False
    marks: dict[tuple[str, float, str], Mark] = field(default_factory=dict)
    seen: frozenset[tuple[int, str]] = frozenset()  # stages without a time of their own, in the last poll
    version: Json = None

    def add(self, mark: Mark) -> None:
        if mark.at >= self.born - 1:  # a moment before its creation is a zero that somebody wrote
            self.marks.setdefault((mark.name, mark.at, mark.text), mark)
        if len(self.marks) > LONGEST_LANE:
            middle = sorted(self.marks.values())[LONGEST_LANE // 2]
            del self.marks[middle.name, middle.at, middle.text]

    @property
    def steps(self) -> list[Mark]:
        return sorted(self.marks.values())

    @property
    def state(self) -> Mark:
        """The last of its stages that is more than a note."""
        return next((mark for mark in reversed(self.steps) if mark.means != "note"), Mark(self.born, 0, "seen", "wait", ""))

    @property
    def rank(self) -> int:
        """Failing ones first, then those that have failed, those that are not done, the good ones, and those that are over."""
        means = self.state.means
        if means == "end" or (self.old and means != "bad"):
            return 4
        return 0 if means == "bad" else 1 if any(mark.means == "bad" for mark in self.steps) else 3 if means == "good" else 2


class Report:
    """Takes the polls of a run, and writes its reports at the end. What goes wrong with them never hides the verdict."""

    def __init__(self, paths: Sequence[Path], rules: engine.Rules, *, live: bool) -> None:
        for path in paths:
            refuse_unwritable(path)
        self.paths, self.rules, self.live = paths, rules, live  # live: events cost a call, so they are read at the end
        self.lanes: dict[str, Lane] = {}
        self.history: dict[Key, list[Mark]] = {}  # of each workload what it was, in its own words
        self.outages: list[tuple[float, float]] = []
        self.failing = False
        self.first = self.last = -1.0
        self.problems: list[str] = []

    def add(self, poll: engine.Poll, judgement: engine.Judgement | None) -> None:
        """Notes what has changed with a poll."""
        self.first = poll.at if self.first < 0 else self.first
        self.last = poll.at
        if self.failing:
            self.outages[-1] = (self.outages[-1][0], poll.at)
        elif not poll.snapshot:
            self.outages.append((poll.at, poll.at))
        self.failing = not poll.snapshot
        if poll.snapshot and judgement and judgement.at == poll.at:
            try:
                self.note(judgement)
                if not poll.again:
                    self.look(poll.snapshot, judgement)
            except MISHAPS as error:
                self.problems = [f"the timeline is not complete: {error}"]

    def note(self, judgement: engine.Judgement) -> None:
        for workload in judgement.workloads:
            steps = self.history.setdefault(tuple(engine.reference(workload.value).values()), [])
            text = clean(workload.sentence)
            if not steps or (steps[-1].name, steps[-1].text) != (workload.status, text):
                steps.append(Mark(judgement.at, len(steps), workload.status, STATUS[workload.status].means, text))
                del steps[LONGEST_LANE // 2 : len(steps) - LONGEST_LANE // 2]

    def look(self, snapshot: engine.Snapshot, judgement: engine.Judgement) -> None:
        """Brings the lanes up to date."""
        interpreter = engine.Functions(snapshot.at)
        there = {engine.identity(each) for each in snapshot.objects}
        found: dict[str, tuple[engine.Kind, Json, bool, Key]] = {}
        for workload in judgement.workloads:
            owner = tuple(engine.reference(workload.value).values())
            for kind, value, old in staged(workload.subject, self.rules):
                found.setdefault(engine.identity(value), (kind, value, old, owner))
        events = {} if self.live else self.events(snapshot, {engine.namespace_of(value) for _, value, _, _ in found.values()})
        for key, (kind, value, old, owner) in found.items():
            if key in there:
                lane = self.lanes.get(key) or self.lanes.setdefault(key, Lane(clean(engine.name_of(value)), owner, kind, moment_of(value)))
                self.update(lane, value, events.get(key, []), interpreter)
                lane.old, lane.gone = old, False
        for lane in (lane for key, lane in self.lanes.items() if key not in there and not lane.gone):
            lane.gone = True
            lane.add(Mark(snapshot.at, len(lane.kind.stages), "gone", "end", ""))

    def update(self, lane: Lane, value: Json, events: list[Json], interpreter: engine.Functions) -> None:
        version = engine.field_of(value, "metadata", "resourceVersion")
        told = (version, sum(event["count"] for event in events))
        if version is None or lane.version != told:
            present = set()
            for mark, has_moment in marks(lane.kind, {**value, "events": events}, interpreter):
                present |= set() if has_moment else {(mark.order, mark.text)}
                if has_moment or (mark.order, mark.text) not in lane.seen:
                    lane.add(mark)
            lane.seen, lane.version = frozenset(present), told

    def events(self, snapshot: engine.Snapshot, namespaces: Iterable[str]) -> dict[str, list[Json]]:
        """The events about each object."""
        found: dict[str, list[Json]] = {}
        for event in (event for namespace in sorted(namespaces) for event in snapshot.events(namespace) or ()):
            found.setdefault(str(engine.field_of(event, "involvedObject", "uid")), []).append(engine.event_of(event))
        return found

    def read_events(self, snapshot: engine.Snapshot) -> None:
        """Adds the stages that only events tell, of which those of a live run are read once, at its end."""
        interpreter = engine.Functions(snapshot.at)
        try:
            for key, events in self.events(snapshot, {lane.owner[1] for lane in self.lanes.values()}).items():
                for mark, has_moment in marks(self.lanes[key].kind, {"events": events}, interpreter) if key in self.lanes else ():
                    if has_moment:
                        self.lanes[key].add(mark)
        except MISHAPS as error:
            self.problems = [f"the timeline is not complete: {error}"]

    def write(self, result: Mapping[str, Json]) -> list[str]:
        """Writes the reports; a sentence for each thing that went wrong, which stderr has too."""
        for path in self.paths:
            try:
                write_whole(path, WRITERS[path.suffix.lower()](Story(self, result)))
            except MISHAPS as error:
                self.problems.append(f"the report {path} could not be written: {error}")
        for problem in self.problems:
            with suppress(OSError, ValueError):
                print(f"rollout-status: {engine.plain(problem)}", file=sys.stderr)
        return list(dict.fromkeys(self.problems))


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
        raise engine.RolloutError("usage", f"--report {path}: a report ends in {', '.join(WRITERS)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            raise engine.RolloutError("usage", f"--report {path}: it is a folder")
        tempfile.TemporaryFile(dir=path.parent).close()
    except OSError as error:
        raise engine.RolloutError("usage", f"--report {path}: {engine.reason(error)}") from None


def moment_of(value: Json) -> float:
    """When an object was created; 0, long ago, where that cannot be read."""
    with suppress(engine.UnreadableError):
        return engine.timestamp(engine.created(value))
    return 0.0


def staged(subject: engine.Subject, rules: engine.Rules) -> Iterator[tuple[engine.Kind, Json, bool]]:
    """The objects at and below a subject whose kinds have stages, and whether they are of another revision."""
    if subject.kind.stages:
        yield subject.kind, subject.value, subject.blocked is not None
    for child in subject.children:
        yield from staged(child, rules)
    for value in subject.old:
        kind = rules.kind_of(value)
        if kind and kind.stages:
            yield kind, value, True


def marks(kind: engine.Kind, value: Json, interpreter: engine.Functions) -> Iterator[tuple[Mark, bool]]:
    """The stages that an object shows, each with whether it says when; else it is the moment of the interpreter."""
    for order, stage in enumerate(kind.stages):
        entries = stage.each.value(value, interpreter) if stage.each else [value]
        for entry in entries if isinstance(entries, list) else []:
            text = clean(stage.message.fill(lambda part, entry=entry: part.value(entry, interpreter))) if stage.message else ""  # type: ignore[misc]
            found = stage.at.value(entry, interpreter) if stage.at else engine.written(interpreter.now)
            for moment in found if isinstance(found, list) else [found]:
                with suppress(engine.UnreadableError):
                    yield Mark(engine.timestamp(str(moment)), order, stage.name, stage.means, text), stage.at is not None


# -------------------------------------------------------------------------------------------------------------- story


class Status(NamedTuple):
    """What a status of the result is in a report."""

    rank: int
    means: str
    sign: str


STATUS = {
    "failed": Status(0, "bad", "✖"),
    "gone": Status(1, "bad", "✖"),
    "waiting": Status(2, "wait", "…"),
    "ready": Status(3, "good", "✔"),
    "ignored": Status(4, "end", "-"),
}


@dataclass
class Group:
    """A workload with its lanes, failing ones first. `entry` is that of the result."""

    key: Key
    entry: Mapping[str, Json]
    lanes: list[Lane]
    history: list[Mark]

    @property
    def status(self) -> str:
        return str(self.entry["status"])

    @property
    def title(self) -> str:
        return clean(f"{self.key[0]}/{self.key[2]}")


class Story:
    """What all reports tell: the result, and the groups in order."""

    def __init__(self, report: Report, result: Mapping[str, Json]) -> None:
        self.report, self.result = report, result
        self.causes: list[Json] = [result["error"], *result.get("errors", ())] if "error" in result else []
        lanes: dict[Key, list[Lane]] = {}
        for lane in report.lanes.values():
            lanes.setdefault(lane.owner, []).append(lane)
        entries = {tuple(entry[name] for name in ("kind", "namespace", "name")): entry for entry in result.get("workloads", ())}
        for key in report.history:
            last = report.history[key][-1]
            entries.setdefault(key, {"status": last.name if "workloads" not in result else "gone", "message": last.text})
        order = {key: number for number, key in enumerate(entries)}
        self.groups = [
            Group(
                key,
                entry,
                sorted(lanes.get(key, []), key=lambda lane: (lane.rank, lane.old, lane.born, lane.name)),
                report.history.get(key, []),
            )
            for key, entry in sorted(entries.items(), key=lambda each: (STATUS[each[1]["status"]].rank, order[each[0]]))
        ]

    @property
    def success(self) -> bool:
        return bool(self.result["success"])

    @property
    def headline(self) -> str:
        return "The rollout succeeded" if self.success else "The rollout did not succeed"

    @property
    def counts(self) -> str:
        """How many workloads are what."""
        numbers = {status: sum(group.status == status for group in self.groups) for status in STATUS}
        return ", ".join(f"{number} {status}" for status, number in numbers.items() if number)

    @property
    def facts(self) -> list[str]:
        """In a few words: how long, how many polls, how many workloads, when."""
        report, result = self.report, self.result
        facts = [span(result["elapsedSeconds"]), f"{result['polls']} poll{'s' * (result['polls'] != 1)}"]
        facts += [self.counts] if self.groups else []
        return facts + ([f"ended {engine.written(report.last)[:19].replace('T', ' ')} UTC"] if report.last >= 0 else [])

    @staticmethod
    def place(cause: Json) -> str:
        """Where a cause is."""
        where = clean("/".join(cause["resource"].values())) if "resource" in cause else ""
        more = cause.get("count", 1) - 1
        return f"{where} and {more} more like it" if more else where


def span(seconds: float) -> str:
    """A time in its two largest units; below ten seconds with a digit behind the point."""
    sign, left = "-" if seconds < 0 else "", abs(seconds)
    if left < 10 and left != int(left):
        return f"{sign}{left:.1f}s"
    days, hours, minutes = int(left // 86400), int(left % 86400 // 3600), int(left % 3600 // 60)
    units = ((days, "d"), (hours, "h"), (minutes, "m"), (int(left % 60), "s"))
    shown = [f"{number}{unit}" for number, unit in units if number]
    return sign + (" ".join(shown[:2]) or "0s")


# ----------------------------------------------------------------------------------------------------------- Markdown


def prose(text: Json) -> str:
    """A text of the cluster that Markdown shows as it is, also in a cell of a table."""
    return html.escape(re.sub(r"([\\`*_\[\]|~$#!])", r"\\\1", clean(text)), quote=False)


def block(text: str) -> str:
    """A block of code, whatever is in it."""
    fence = "`" * max(3, 1 + max((len(ticks) for ticks in re.findall("`+", text)), default=0))
    return f"{fence}text\n{text}\n{fence}"


def folded(summary: str, body: str) -> str:
    return f"<details><summary>{summary}</summary>\n\n{body}\n\n</details>"


def in_markdown(story: Story) -> str:
    """For the summary of a CI's job."""
    parts = [f"## {'✅' if story.success else '❌'} {story.headline}", prose(" · ".join(story.facts))]
    if story.groups:
        rows = ["| | workload | namespace | |\n|---|---|---|---|"]
        for group in story.groups[:ROWS]:
            row = (f"{STATUS[group.status].sign} {group.status}", *map(prose, (group.title, group.key[1], group.entry["message"])))
            rows += [f"| {' | '.join(row)} |"]
        rest = len(story.groups) - ROWS
        parts.append("\n".join(rows) + (f"\n\n… and {rest} more" if rest > 0 else ""))
    for cause in story.causes[:CAUSES]:
        parts.append(f"### {prose(cause['code'])}\n\n{prose(cause['message'])}")
        parts += [f"in **{prose(story.place(cause))}**"] if story.place(cause) else []
        parts += [block(clean(cause["hint"]))] if cause.get("hint") else []
        parts += [folded("The end of the log", block(lines(cause["log"])))] if cause.get("log") else []
        if cause.get("events"):
            cells = [" | ".join(prose(event.get(name) or "") for name in EVENT) for event in cause["events"]]
            table = "\n".join(["| last seen | count | reason | message |\n|---|---|---|---|", *(f"| {row} |" for row in cells)])
            parts.append(folded(f"Events ({len(cells)})", table))
    parts += [f"… and {len(story.causes) - CAUSES} more causes"] if len(story.causes) > CAUSES else []
    for group in story.groups:
        if changes := group.entry.get("changes"):
            parts.append(f"### What changed in {prose(group.title)}\n\n" + "\n".join(f"- {prose(change)}" for change in changes))
        parts += [f"Back to what ran before:\n\n{block(clean(group.entry['rollback']))}"] if group.entry.get("rollback") else []
    if notes := story.result.get("notes"):
        parts.append("\n".join(f"- note: {prose(note)}" for note in notes))
    return "\n\n".join(parts) + "\n"


EVENT = ("lastSeen", "count", "reason", "message")


# -------------------------------------------------------------------------------------------------------------- JUnit


def element(name: str, attributes: Mapping[str, Json], *content: str) -> str:
    given = "".join(f' {key}="{safe(value)}"' for key, value in attributes.items())
    return f"<{name}{given}>{''.join(content)}</{name}>" if content else f"<{name}{given}/>"


def in_junit(story: Story) -> str:
    """A suite for each namespace, a case for each workload. What is about no workload is a case of its own."""
    whole = story.result["elapsedSeconds"]
    suites: dict[str, list[tuple[str, str]]] = {}  # namespace -> outcome and case
    for group in story.groups:
        own = [cause for cause in story.causes if tuple(cause.get("workload", {}).values()) == group.key]
        outcome, content = "passed", [case_content("failure", cause) for cause in own]
        if content or group.status in ("failed", "gone"):
            outcome = "failure"
            content = content or [case_content("failure", {"code": story.causes[0]["code"], "message": group.entry["message"]})]
        elif group.status in ("waiting", "ignored"):
            outcome, content = "skipped", [element("skipped", {"message": f"{group.status}: {group.entry['message']}"})]
        took = group.history[-1].at - story.report.first if group.history else whole
        attributes = {"name": group.title, "classname": group.key[1], "time": f"{took:.3f}"}
        suites.setdefault(group.key[1], []).append((outcome, element("testcase", attributes, *content)))
    for cause in story.causes:
        if "workload" not in cause:
            outcome = "error" if cause["type"] == "program" else "failure"
            attributes = {"name": cause["code"], "classname": "rollout-status", "time": f"{whole:.3f}"}
            suites.setdefault("rollout-status", []).append((outcome, element("testcase", attributes, case_content(outcome, cause))))
    texts, total = [], {"tests": 0, "failures": 0, "errors": 0}
    for namespace, cases in suites.items():
        outcomes = [outcome for outcome, _ in cases]
        numbers = {"tests": len(cases), "failures": outcomes.count("failure"), "errors": outcomes.count("error")}
        total = {name: total[name] + number for name, number in numbers.items()}
        more = {"skipped": outcomes.count("skipped"), "time": f"{whole:.3f}"}
        texts.append(element("testsuite", {"name": namespace, **numbers, **more}, *("\n" + case for _, case in cases), "\n"))
    suite = element("testsuites", {"name": "rollout-status", "time": f"{whole:.3f}", **total}, *("\n" + text for text in texts), "\n")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{suite}\n'


def case_content(outcome: str, cause: Json) -> str:
    """What a case says of a cause: where it is and what to do, and the log."""
    said = [Story.place(cause), *(clean(cause[name]) for name in ("hint",) if cause.get(name))]
    text = "\n".join(line for line in (clean(cause["message"]), *said) if line)
    failure = element(outcome, {"type": cause["code"], "message": cause["message"]}, html.escape(text))
    return failure + (element("system-out", {}, html.escape(lines(cause["log"]))) if cause.get("log") else "")


# --------------------------------------------------------------------------------------------------------------- page

STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600)  # seconds between two lines of the axis
TICKS = 8
COLUMNS = 120  # of the picture of a group
LAYERS = ("good", "old", "run", "wait", "bad")  # of that picture, from below
LEGEND = {"wait": "not yet", "run": "running", "good": "ready", "bad": "failing", "old": "earlier revision", "end": "gone"}


class Axis:
    """The time of a page: from what happened first, if that is not long ago, to the last poll. Zero is the first poll."""

    def __init__(self, report: Report) -> None:
        self.zero = max(report.first, 0.0)
        moments = [self.zero]
        for lane in report.lanes.values():
            steps = lane.steps
            if not lane.old and (lane.rank < 3 or steps[-1].at >= self.zero):  # what was good before and still is tells nothing
                moments += [mark.at for mark in steps if mark.at >= self.zero - HISTORY]
        length = max(report.last - min(moments), 1.0)
        self.step = next((step for step in STEPS if length / step <= TICKS), 3600 * (1 + length // (3600 * TICKS)))
        self.start = self.zero + (min(moments) - self.zero) // self.step * self.step
        self.end = self.start + max(report.last - self.start, 1.0) * 1.01

    def percent(self, moment: float) -> float:
        return round(100 * (min(max(moment, self.start), self.end) - self.start) / (self.end - self.start), 2)

    @property
    def ticks(self) -> str:
        count = int((self.end - self.start) // self.step)
        places = [(self.percent(moment), moment) for moment in (self.start + self.step * number for number in range(count + 1))]
        return "".join(f'<span style="left:{at:g}%">{span(moment - self.zero)}</span>' for at, moment in places if at < 97)


def segments(lane: Sequence[Mark], end: float) -> Iterator[tuple[float, float, Mark]]:
    """What a lane was, and from when to when."""
    steps = [mark for mark in lane if mark.means != "note"]
    for mark, until in zip(steps, [*(mark.at for mark in steps[1:]), end], strict=False):
        if until > mark.at:
            yield mark.at, until, mark


def told(mark: Mark, axis: Axis) -> str:
    """What a mark says when it is pointed at."""
    return html.escape(f"{span(mark.at - axis.zero)} {mark.name}{mark.text and ': '}{mark.text}")


def bar(lane: Sequence[Mark], axis: Axis) -> str:
    """The track of a lane."""
    parts = []
    for start, end, mark in segments(lane, axis.end):
        left, right = axis.percent(start), axis.percent(end)
        if right > left:
            parts.append(f'<i class="{mark.means}" style="left:{left:g}%;width:{right - left:.4g}%" title="{told(mark, axis)}"></i>')
    parts += [
        f'<b class="{mark.means}" style="left:{axis.percent(mark.at):g}%" title="{told(mark, axis)}"></b>'
        for mark in lane
        if mark.at >= axis.start
    ]
    return "".join(parts)


def picture(lanes: Sequence[Lane], axis: Axis) -> str:
    """How many of the lanes were what, over the time."""
    width = (axis.end - axis.start) / COLUMNS
    heights = {layer: [0] * COLUMNS for layer in LAYERS}
    for lane in lanes:
        for start, end, mark in segments(lane.steps, axis.end):
            layer = "old" if lane.old and mark.means != "bad" else mark.means
            if mark.means != "end":
                first, last = (min(max(int((moment - axis.start) / width), 0), COLUMNS) for moment in (start, end))
                for column in range(first, last):
                    heights[layer][column] += 1
    below, paths = [0] * COLUMNS, []
    least = -(-max(sum(column) for column in zip(*heights.values(), strict=True)) // 12)  # one of 500 that fails must be seen
    heights["bad"] = [max(count, least) if count else 0 for count in heights["bad"]]
    top = max(1, *(sum(column) for column in zip(*heights.values(), strict=True)))
    for layer in LAYERS:
        above = [low + height for low, height in zip(below, heights[layer], strict=True)]
        if any(heights[layer]):
            up = "".join(f"V{top - height}H{column + 1}" for column, height in enumerate(above))
            down = "".join(f"V{top - height}H{column}" for column, height in reversed(list(enumerate(below))))
            paths.append(f'<path class="{layer}" d="M0 {top - below[0]}{up}{down}Z"/>')
        below = above
    return f'<svg viewBox="0 0 {COLUMNS} {top}" preserveAspectRatio="none" aria-hidden="true">{"".join(paths)}</svg>'


def steps_of(steps: Iterable[Mark], axis: Axis) -> str:
    """The marks of a lane as a list."""
    rows = [
        f'<li><time datetime="{engine.written(mark.at)}" title="{engine.written(mark.at)}">{span(mark.at - axis.zero)}</time>'
        f'<span class="{mark.means}">{html.escape(mark.name)}</span><span>{html.escape(mark.text)}</span></li>'
        for mark in steps
    ]
    return f'<ol class="steps">{"".join(rows)}</ol>'


def lane_row(lane: Lane, axis: Axis) -> str:
    state = lane.state
    times = sum((mark.name, mark.means) == (state.name, "bad") for mark in lane.steps)
    old = ' <em title="of another revision">old</em>' if lane.old else ""
    name = html.escape(lane.name)
    return (
        f'<details class="lane{" older" if lane.old else ""}"><summary><span class="name" title="{name}">{name}{old}</span>'
        f'<span class="track" aria-hidden="true">{bar(lane.steps, axis)}</span>'
        f'<span class="state {state.means}">{html.escape(state.name)}{f" {times}x" if times > 1 else ""}</span></summary>'
        f"{steps_of(lane.steps, axis)}</details>"
    )


def group_rows(group: Group, axis: Axis, *, opened: bool) -> str:
    """A workload: its own words, its failing lanes, and the others, folded when there are many."""
    current = [lane for lane in group.lanes if not lane.old]
    good = sum(lane.state.means == "good" for lane in current)
    shown, rest = group.lanes, list[Lane]()
    if len(group.lanes) > FEW:
        shown = [lane for lane in group.lanes if lane.rank < 3]
        rest = group.lanes[len(shown) :]
        if len(rest) <= MANY:
            shown, rest = group.lanes, []
    compact = " compact" if len(group.lanes) > FEW else ""
    status = STATUS[group.status]
    track = picture(group.lanes, axis) if group.lanes else bar(group.history, axis)
    count = f"{good}/{len(current)}" if current else ""
    body = steps_of(group.history, axis) + "".join(lane_row(lane, axis) for lane in shown)
    if rest:
        states: dict[str, int] = {}
        for lane in rest:
            word = f"{lane.state.name}{' (old)' if lane.old else ''}"
            states[word] = states.get(word, 0) + 1
        told_states = html.escape(", ".join(f"{number} {word}" for word, number in states.items()))
        also = "more" if shown else "of them"
        body += f'<details class="rest"><summary>{len(rest)} {also}: {told_states}</summary>'
        body += "".join(lane_row(lane, axis) for lane in rest) + "</details>"
    sign, title, space = f'<span class="sign {status.means}">{status.sign}</span>', html.escape(group.title), safe(group.key[1])
    return (
        f'<details class="group{compact}"{" open" if opened else ""}><summary>'
        f'<span class="name" title="{title} {space}">{sign}{title} <small>{space}</small></span>'
        f'<span class="track tall" aria-hidden="true">{track}</span>'
        f'<span class="state {status.means}">{group.status} <small>{count}</small></span></summary>{body}</details>'
    )


def timeline(story: Story) -> str:
    axis, report = Axis(story.report), story.report
    opened = sum(len(group.lanes) for group in story.groups) <= FEW
    rows = [group_rows(group, axis, opened=opened or STATUS[group.status].rank < 3) for group in story.groups]
    legend = "".join(f'<span><i class="{means}"></i>{word}</span>' for means, word in LEGEND.items())
    outages = "".join(
        f'<i class="outage" style="left:{axis.percent(start):g}%;width:{max(axis.percent(end) - axis.percent(start), 0.5):.4g}%" '
        f'title="the cluster could not be asked for {span(end - start)}"></i>'
        for start, end in report.outages
    )
    grid = f"--step:{100 * axis.step / (axis.end - axis.start):.4f}%;--began:{axis.percent(axis.zero):g}%"
    trouble = "<p class=muted>Hatched at the axis: the cluster could not be asked.</p>" if outages else ""
    return (
        f'<section class="timeline" style="{grid}"><h2>Timeline</h2><p class="legend">{legend}</p>{trouble}'
        f'<div class="axis"><span class="track">{outages}{axis.ticks}</span></div>{"".join(rows)}'
        f'<p class="muted">0s is when it began to be watched, {engine.written(axis.zero)[:19].replace("T", " ")} UTC. '
        "Point at a bar for what was said; open a row for all of it.</p></section>"
    )


def cause_card(cause: Json) -> str:
    place, kind = Story.place(cause), "program" if cause["type"] == "program" else "rollout"
    code = f'<span class="code {kind}">{safe(cause["code"])}</span>'
    parts = [f"<header>{code} <strong>{safe(cause['message'])}</strong></header>"]
    parts += [f'<p class="muted">{html.escape(place)}</p>'] if place else []
    parts += [f'<pre class="hint" tabindex="0">{safe(cause["hint"])}</pre>'] if cause.get("hint") else []
    if cause.get("log"):
        parts.append(f'<h3>The end of the log</h3><pre class="log" tabindex="0">{html.escape(lines(cause["log"]))}</pre>')
    if cause.get("events"):
        rows = "".join("<tr>" + "".join(f"<td>{safe(event.get(name) or '')}</td>" for name in EVENT) + "</tr>" for event in cause["events"])
        head = "<tr><th>last seen</th><th>count</th><th>reason</th><th>message</th></tr>"
        parts.append(f'<h3>Events</h3><div class="scroll" tabindex="0"><table><thead>{head}</thead><tbody>{rows}</tbody></table></div>')
    return f'<article class="cause">{"".join(parts)}</article>'


def causes(story: Story) -> str:
    cards = [cause_card(cause) for cause in story.causes]
    rest = f"<details><summary>{len(cards) - CAUSES} more</summary>{''.join(cards[CAUSES:])}</details>" if cards[CAUSES:] else ""
    return f"<section><h2>{'Causes' if cards[1:] else 'Cause'}</h2>{''.join(cards[:CAUSES])}{rest}</section>" if cards else ""


def changed(story: Story) -> str:
    """What has changed since the revision before, where the result says so."""
    parts = []
    for group in story.groups:
        changes, rollback = group.entry.get("changes"), group.entry.get("rollback")
        if changes or rollback:
            parts.append(f"<h3>{html.escape(group.title)}</h3>")
            parts.append(f"<ul>{''.join(f'<li>{safe(change)}</li>' for change in changes or ())}</ul>" if changes else "")
            parts.append(
                f'<p class="muted">Back to what ran before:</p><pre class="hint" tabindex="0">{safe(rollback)}</pre>' if rollback else ""
            )
    return f"<section><h2>What changed</h2>{''.join(parts)}</section>" if parts else ""


def workloads(story: Story) -> str:
    rows = []
    for group in story.groups:
        status, more = STATUS[group.status], group.entry.get("waitingFor", ())
        items = [f"<li>{safe(each)}</li>" for each in more]
        folded_items = f"<details><summary>and {len(items) - WAITS} more</summary><ul>{''.join(items[WAITS:])}</ul></details>"
        told_waits = f"<ul>{''.join(items[:WAITS])}</ul>{folded_items if items[WAITS:] else ''}" if items else ""
        cells = (html.escape(group.title), safe(group.key[1]), safe(group.entry["message"]) + told_waits)
        first = f'<td class="{status.means}">{status.sign} {group.status}</td>'
        rows.append(f"<tr>{first}{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>")
    head = "<tr><th>status</th><th>workload</th><th>namespace</th><th>message</th></tr>"
    table = f'<div class="scroll" tabindex="0"><table class="workloads"><thead>{head}</thead><tbody>{"".join(rows)}</tbody></table></div>'
    return f"<section><h2>Workloads</h2>{table}</section>" if rows else ""


def in_html(story: Story) -> str:
    """One page that needs nothing else: no script, no network."""
    code = f": {clean(story.causes[0]['code'])}" if story.causes else ""
    notes = "".join(f"<li>{safe(note)}</li>" for note in story.result.get("notes", ()))
    parts = [causes(story), timeline(story) if story.groups else "", changed(story), workloads(story)]
    parts += [f"<section><h2>Notes</h2><ul>{notes}</ul></section>"] if notes else []
    verdict = "good" if story.success else "bad"
    page = Template((engine.DATA / "report.html").read_text(encoding="utf-8"))
    return page.substitute(
        title=html.escape(story.headline + code),
        verdict=verdict,
        sign=STATUS["ready" if story.success else "failed"].sign,
        headline=html.escape(story.headline),
        facts="".join(f"<span>{html.escape(fact)}</span>" for fact in story.facts),
        body="\n".join(part for part in parts if part),
        version=engine.__version__,
    )


WRITERS: dict[str, Callable[[Story], str]] = {".html": in_html, ".md": in_markdown, ".xml": in_junit}


# --------------------------------------------------------------------------------------------------------------- verb


def report(argv: Sequence[str]) -> tuple[str, int]:
    """Replays a recording and writes its reports, whatever its verdict is."""
    usage = "rollout-status report DIR -o FILE [-o FILE ...] [flags of a replay]"
    if {"-h", "--help", "-help"} & {*argv}:
        return f"usage: {usage}\n\nWrites reports of a recording: .html, .md or .xml (JUnit), by the ending of FILE.", 0
    files, rest, words = list[str](), list[str](), iter(argv)
    for word in words:
        flag, equals, value = word.partition("=")
        if flag in ("-o", "--o", "--output", "-output"):
            files.append(value if equals else next(words, ""))
        else:
            rest.append(word)
    if not files or not rest or rest[0].startswith("-"):
        raise engine.RolloutError("usage", f"write {usage}")
    run = engine.Run()
    result, _ = engine.ended(run, ["--replay", rest[0], "--quiet", *rest[1:], *(f"--report={name}" for name in files)])
    error = result.get("error", {})
    if error.get("code") in engine.FIRST_CODES:
        raise engine.RolloutError(error["code"], error["message"])
    if run.report.problems:
        raise engine.RolloutError("usage", "; ".join(run.report.problems))
    return "\n".join([f"{engine.plain(name)}: {Story(run.report, result).headline.lower()}" for name in files]), 0
