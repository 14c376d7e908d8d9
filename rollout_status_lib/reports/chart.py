"""The timeline of a page: an axis, a row for each workload, and below it a row for each of its objects."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from xml.etree.ElementTree import Element

from rollout_status_lib import Json
from rollout_status_lib.reports.markup import make
from rollout_status_lib.reports.timeline import Lane, Mark, Timeline
from rollout_status_lib.story import STATUS, Outcome, Story, format_moment, leave_out
from rollout_status_lib.values import format_span, format_timestamp

HISTORY = 3600.0  # seconds before the first poll that the axis can show
STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600)  # seconds between two ticks of the axis
TICKS = 8  # at most
FEW = 30  # rows up to which all workloads are open
ALIKE = 5  # lanes from which on those that tell the same share a row
COLUMNS = 120  # of the picture of a group
LAYERS = ("good", "old", "run", "wait", "bad")  # of that picture, from the bottom up
LEGEND = {"wait": "not yet", "run": "running", "good": "ready", "bad": "failing", "old": "of an earlier revision", "end": "gone"}
MARKS = {"wait": "a stage", "bad": "a failure", "note": "a warning"}
SIGNS = ("failed", "waiting", "ready", "ignored")  # the statuses whose signs are explained


class Axis:
    """The time that a page shows: from the earliest mark of interest, at most HISTORY before the first poll, to the last poll."""

    def __init__(self, timeline: Timeline, told: Sequence[str]) -> None:
        self.told = told  # what the page says above it already
        self.zero = timeline.first or 0.0  # the first poll
        earliest = min([self.zero, *self.list_moments(timeline)])
        last = timeline.last or 0.0
        length = max(last - earliest, 1.0)
        self.step = next((step for step in STEPS if length / step <= TICKS), 3600 * (1 + length // (3600 * TICKS)))
        self.start = self.zero + (earliest - self.zero) // self.step * self.step
        self.end = self.start + max(last - self.start, 1.0) * 1.01

    def list_moments(self, timeline: Timeline) -> Iterator[float]:
        """The moments that the axis must reach back to. What was good before the first poll and still is does not count."""
        for lane in timeline.lanes.values():
            marks = lane.marks
            if not lane.old and (lane.rank < 3 or marks[-1].at >= self.zero):
                yield from (mark.at for mark in marks if mark.at >= self.zero - HISTORY)

    def tell(self, mark: Mark) -> str:
        """What a mark says, without what is told already."""
        return leave_out(mark.text, self.told)

    def get_percent(self, moment: float) -> float:
        """Where a moment is, in percent of the width; one that is not on the axis is at its nearer end."""
        return round(100 * (min(max(moment, self.start), self.end) - self.start) / (self.end - self.start), 2)

    def draw_ticks(self) -> Iterator[Element]:
        """The times below the axis, in seconds since the first poll; the last one would not fit if it were at the edge."""
        for number in range(int((self.end - self.start) // self.step) + 1):
            moment = self.start + self.step * number
            if self.get_percent(moment) < 97:
                yield make("span", format_span(moment - self.zero), style=f"left:{self.get_percent(moment):g}%")


def draw_chart(story: Story, timeline: Timeline) -> Element:
    """The section of the timeline."""
    axis = Axis(timeline, [each for cause in story.causes for each in (cause.summary, *cause.details)])
    groups = {key: share_rows(lanes) for key, lanes in timeline.group_lanes().items()}
    opened = sum(map(len, groups.values())) <= FEW
    outages = [draw_outage(start, end, axis) for start, end in timeline.outages]
    return make(
        "section",
        make("h2", "Timeline"),
        draw_legend(has_outages=bool(outages)),
        make("div", make("span", *outages, *axis.draw_ticks(), class_="track"), class_="axis"),
        *(draw_group(each, groups.get(each.key, []), timeline.history.get(each.key, []), axis, opened=opened) for each in story.outcomes),
        make(
            "p",
            f"0s is when the run began, {format_moment(axis.zero)} UTC. ",
            "Point at a bar for what was said; open a row for all of it.",
            class_="muted",
        ),
        class_="timeline",
        style=f"--step:{100 * axis.step / (axis.end - axis.start):.4f}%;--began:{axis.get_percent(axis.zero):g}%",
    )


def draw_legend(*, has_outages: bool) -> Element:
    """What the colours, the marks and the signs of the timeline mean."""
    return make(
        "div",
        make("p", *(make("span", make("i", class_=means), word) for means, word in LEGEND.items())),
        make(
            "p",
            *(make("span", make("span", make("b", class_=means), class_="key"), word) for means, word in MARKS.items()),
            make("span", make("span", class_="key began"), "the run began"),
            make("span", make("i", class_="outage"), "the cluster could not be asked") if has_outages else None,
            *(make("span", make("span", STATUS[each].sign, class_=f"sign {STATUS[each].means}"), each) for each in SIGNS),
        ),
        make("p", f"A high bar counts the objects below it in each state. {ALIKE} or more that tell the same are one row, which opens."),
        class_="legend",
    )


def draw_outage(start: float, end: float, axis: Axis) -> Element:
    """A time in which the cluster could not be asked, hatched at the axis."""
    left = axis.get_percent(start)
    width = max(axis.get_percent(end) - left, 0.5)
    title = f"the cluster could not be asked for {format_span(end - start)}"
    return make("i", class_="outage", style=f"left:{left:g}%;width:{width:.4g}%", title=title)


def draw_group(outcome: Outcome, rows: Sequence[Sequence[Lane]], history: Sequence[Mark], axis: Axis, *, opened: bool) -> Element:
    """A workload with what was said of it, and below it its rows. It is open if all are, or if it is not ready."""
    status, lanes = STATUS[outcome.status], [lane for row in rows for lane in row]
    sign = make("span", status.sign, class_=f"sign {status.means}")
    title, space = outcome.title, outcome.namespace
    name = make("span", sign, f"{title} ", make("small", space), class_="name", title=f"{title} {space}")
    track = [draw_picture(lanes, axis)] if lanes else draw_bar(history, axis)
    return make(
        "details",
        make(
            "summary",
            name,
            make("span", *track, class_="track tall", aria_hidden="true"),
            make("span", f"{outcome.status} ", make("small", count_good(lanes)), class_=f"state {status.means}"),
        ),
        list_marks(history, axis),
        *(draw_alike(row, axis) if row[1:] else draw_lane(row[0], axis) for row in rows),
        class_="group compact" if len(rows) > FEW else "group",
        open="" if opened or status.rank < 3 else None,
    )


def count_good(lanes: Iterable[Lane]) -> str:
    """How many lanes of the current revision are good, like `2/3`; empty where it has none."""
    current = [lane for lane in lanes if not lane.old]
    return f"{sum(lane.state.means == 'good' for lane in current)}/{len(current)}" if current else ""


def share_rows(lanes: Iterable[Lane]) -> list[list[Lane]]:
    """The lanes in rows: one for itself, or all that tell the same if they are ALIKE or more. The order is that of the first ones."""
    alike: dict[tuple[Json, ...], list[Lane]] = {}
    for lane in lanes:
        alike.setdefault((lane.kind.name, lane.old, lane.rank, lane.state.name, erase_numbers(lane.state.text, lane.name)), []).append(lane)
    return [row for each in alike.values() for row in ([each] if len(each) >= ALIKE else [[lane] for lane in each])]


def erase_numbers(text: str, name: str) -> str:
    """A text without the name of its object, numbers and uids: two pods in the same back-off tell the same."""
    return re.sub(r"[0-9a-f-]+", lambda found: "#" if re.search(r"\d", found[0]) else found[0], text.replace(name, ""))


def draw_alike(lanes: Sequence[Lane], axis: Axis) -> Element:
    """Lanes that tell the same, as a row that opens: one of their names, how many they are, and how they fared."""
    lane, title = lanes[0], f"{len(lanes)} like {lanes[0].name}"
    return make(
        "details",
        make(
            "summary",
            make("span", *mark_old(lane), title, class_="name", title=title),
            make("span", draw_picture(lanes, axis), class_="track tall", aria_hidden="true"),
            make("span", lane.state.name, class_=f"state {lane.state.means}"),
        ),
        *(draw_lane(each, axis) for each in lanes),
        class_="alike",
    )


def mark_old(lane: Lane) -> list[str | Element]:
    """The mark of an object of another revision; nothing for one of the current one."""
    return [make("em", "old", title="of an earlier revision"), " "] if lane.old else []


def draw_lane(lane: Lane, axis: Axis) -> Element:
    """An object: its name, its life as a bar, its state, and behind it all marks."""
    state, marks = lane.state, lane.marks
    times = sum((mark.name, mark.means) == (state.name, "bad") for mark in marks)
    return make(
        "details",
        make(
            "summary",
            make("span", lane.name, " ", *mark_old(lane), class_="name", title=lane.name),
            make("span", *draw_bar(marks, axis), class_="track", aria_hidden="true"),
            make("span", f"{state.name}{f' {times}x' if times > 1 else ''}", class_=f"state {state.means}"),
        ),
        list_marks(marks, axis),
        class_="lane older" if lane.old else "lane",
    )


def list_marks(marks: Iterable[Mark], axis: Axis) -> Element:
    """Marks as a list: when, what, and what was said."""
    rows = []
    for mark in marks:
        timestamp = format_timestamp(mark.at)
        time = make("time", format_span(mark.at - axis.zero), datetime=timestamp, title=timestamp)
        rows.append(make("li", time, make("span", mark.name, class_=mark.means), make("span", axis.tell(mark))))
    return make("ol", *rows, class_="steps")


def draw_bar(marks: Sequence[Mark], axis: Axis) -> Iterator[Element]:
    """The track of a lane: a segment for each state, then a line for each mark."""
    for start, end, mark in split_segments(marks, axis.end):
        left, right = axis.get_percent(start), axis.get_percent(end)
        if right > left:
            yield make("i", class_=mark.means, style=f"left:{left:g}%;width:{right - left:.4g}%", title=describe_mark(mark, axis))
    for mark in marks:
        if mark.at >= axis.start:
            yield make("b", class_=mark.means, style=f"left:{axis.get_percent(mark.at):g}%", title=describe_mark(mark, axis))


def split_segments(marks: Iterable[Mark], end: float) -> Iterator[tuple[float, float, Mark]]:
    """From when to when an object was in each state. Notes are no states."""
    states = [mark for mark in marks if mark.means != "note"]
    for mark, until in zip(states, [*(mark.at for mark in states[1:]), end], strict=False):
        if until > mark.at:
            yield mark.at, until, mark


def describe_mark(mark: Mark, axis: Axis) -> str:
    """What a mark says when the reader points at it."""
    return f"{format_span(mark.at - axis.zero)} {mark.name}{mark.text and ': '}{axis.tell(mark)}"


def draw_picture(lanes: Iterable[Lane], axis: Axis) -> Element:
    """How many lanes were in which state over time, as layers on top of each other."""
    heights = count_lanes(lanes, axis)
    top = max(1, *map(sum, zip(*heights.values(), strict=True)))
    below, paths = [0] * COLUMNS, []
    for layer in LAYERS:
        above = [low + height for low, height in zip(below, heights[layer], strict=True)]
        if any(heights[layer]):
            paths.append(make("path", class_=layer, d=trace_layer([top - low for low in below], [top - high for high in above])))
        below = above
    return make("svg", *paths, viewBox=f"0 0 {COLUMNS} {top}", preserveAspectRatio="none", aria_hidden="true")


def trace_layer(bottom: Sequence[int], top: Sequence[int]) -> str:
    """The outline of a layer as an SVG path: to the right along its top, and back along its bottom. Heights are from above."""
    there = "".join(f"V{height}H{column + 1}" for column, height in enumerate(top))
    back = "".join(f"V{height}H{column}" for column, height in reversed(list(enumerate(bottom))))
    return f"M0 {bottom[0]}{there}{back}Z"


def count_lanes(lanes: Iterable[Lane], axis: Axis) -> dict[str, list[int]]:
    """How many lanes each layer has in each column. Failing ones take at least a twelfth of the height: one of 500 must be seen."""
    width = (axis.end - axis.start) / COLUMNS
    heights = {layer: [0] * COLUMNS for layer in LAYERS}
    for lane in lanes:
        for start, end, mark in split_segments(lane.marks, axis.end):
            layer = "old" if lane.old and mark.means != "bad" else mark.means
            if mark.means != "end":
                first, last = (min(max(int((moment - axis.start) / width), 0), COLUMNS) for moment in (start, end))
                for column in range(first, last):
                    heights[layer][column] += 1
    least = -(-max(map(sum, zip(*heights.values(), strict=True))) // 12)
    heights["bad"] = [max(count, least) if count else 0 for count in heights["bad"]]
    return heights
