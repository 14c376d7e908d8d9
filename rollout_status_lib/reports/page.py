"""A report as one page of HTML that needs nothing else."""

from __future__ import annotations

import html
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from string import Template

from rollout_status_lib import Json, __version__
from rollout_status_lib.clean import clean_line, clean_log
from rollout_status_lib.errors import read_part
from rollout_status_lib.reports.junit import escape
from rollout_status_lib.reports.markdown import CAUSES, EVENT
from rollout_status_lib.reports.story import Group, Story
from rollout_status_lib.reports.timeline import STATUS, Lane, Mark, Timeline
from rollout_status_lib.values import format_span, format_timestamp

HISTORY = 3600.0  # seconds before the first poll that a timeline can show
FEW, MANY = 30, 12  # lanes up to which all are shown; of a larger group, healthy ones from which on they are folded
WAITS = 5  # of what a workload waits for, those that are not folded
STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600)  # seconds between two lines of the axis
TICKS = 8
COLUMNS = 120  # of the picture of a group
LAYERS = ("good", "old", "run", "wait", "bad")  # of that picture, from below
LEGEND = {"wait": "not yet", "run": "running", "good": "ready", "bad": "failing", "old": "earlier revision", "end": "gone"}


class Axis:
    """The time of a page: from what happened first, if that is not long ago, to the last poll. Zero is the first poll."""

    def __init__(self, timeline: Timeline) -> None:
        self.zero = max(timeline.first, 0.0)
        moments = [self.zero]
        for lane in timeline.lanes.values():
            steps = lane.steps
            if not lane.old and (lane.rank < 3 or steps[-1].at >= self.zero):  # what was good before and still is tells nothing
                moments += [mark.at for mark in steps if mark.at >= self.zero - HISTORY]
        length = max(timeline.last - min(moments), 1.0)
        self.step = next((step for step in STEPS if length / step <= TICKS), 3600 * (1 + length // (3600 * TICKS)))
        self.start = self.zero + (min(moments) - self.zero) // self.step * self.step
        self.end = self.start + max(timeline.last - self.start, 1.0) * 1.01

    def percent(self, moment: float) -> float:
        return round(100 * (min(max(moment, self.start), self.end) - self.start) / (self.end - self.start), 2)

    @property
    def ticks(self) -> str:
        count = int((self.end - self.start) // self.step)
        places = [(self.percent(moment), moment) for moment in (self.start + self.step * number for number in range(count + 1))]
        return "".join(f'<span style="left:{at:g}%">{format_span(moment - self.zero)}</span>' for at, moment in places if at < 97)


def split_segments(lane: Sequence[Mark], end: float) -> Iterator[tuple[float, float, Mark]]:
    """What a lane was, and from when to when."""
    steps = [mark for mark in lane if mark.means != "note"]
    for mark, until in zip(steps, [*(mark.at for mark in steps[1:]), end], strict=False):
        if until > mark.at:
            yield mark.at, until, mark


def describe_mark(mark: Mark, axis: Axis) -> str:
    """What a mark says when it is pointed at."""
    return html.escape(f"{format_span(mark.at - axis.zero)} {mark.name}{mark.text and ': '}{mark.text}")


def draw_bar(lane: Sequence[Mark], axis: Axis) -> str:
    """The track of a lane."""
    parts = []
    for start, end, mark in split_segments(lane, axis.end):
        left, right = axis.percent(start), axis.percent(end)
        if right > left:
            parts.append(
                f'<i class="{mark.means}" style="left:{left:g}%;width:{right - left:.4g}%" title="{describe_mark(mark, axis)}"></i>'
            )
    parts += [
        f'<b class="{mark.means}" style="left:{axis.percent(mark.at):g}%" title="{describe_mark(mark, axis)}"></b>'
        for mark in lane
        if mark.at >= axis.start
    ]
    return "".join(parts)


def draw_picture(lanes: Sequence[Lane], axis: Axis) -> str:
    """How many of the lanes were what, over the time."""
    width = (axis.end - axis.start) / COLUMNS
    heights = {layer: [0] * COLUMNS for layer in LAYERS}
    for lane in lanes:
        for start, end, mark in split_segments(lane.steps, axis.end):
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


def list_steps(steps: Iterable[Mark], axis: Axis) -> str:
    """The marks of a lane as a list."""
    rows = [
        f'<li><time datetime="{format_timestamp(mark.at)}" title="{format_timestamp(mark.at)}">{format_span(mark.at - axis.zero)}</time>'
        f'<span class="{mark.means}">{html.escape(mark.name)}</span><span>{html.escape(mark.text)}</span></li>'
        for mark in steps
    ]
    return f'<ol class="steps">{"".join(rows)}</ol>'


def draw_lane(lane: Lane, axis: Axis) -> str:
    state = lane.state
    times = sum((mark.name, mark.means) == (state.name, "bad") for mark in lane.steps)
    old = ' <em title="of another revision">old</em>' if lane.old else ""
    name = html.escape(lane.name)
    return (
        f'<details class="lane{" older" if lane.old else ""}"><summary><span class="name" title="{name}">{name}{old}</span>'
        f'<span class="track" aria-hidden="true">{draw_bar(lane.steps, axis)}</span>'
        f'<span class="state {state.means}">{html.escape(state.name)}{f" {times}x" if times > 1 else ""}</span></summary>'
        f"{list_steps(lane.steps, axis)}</details>"
    )


def draw_group(group: Group, axis: Axis, *, opened: bool) -> str:
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
    track = draw_picture(group.lanes, axis) if group.lanes else draw_bar(group.history, axis)
    count = f"{good}/{len(current)}" if current else ""
    body = list_steps(group.history, axis) + "".join(draw_lane(lane, axis) for lane in shown)
    if rest:
        states: dict[str, int] = {}
        for lane in rest:
            word = f"{lane.state.name}{' (old)' if lane.old else ''}"
            states[word] = states.get(word, 0) + 1
        told_states = html.escape(", ".join(f"{number} {word}" for word, number in states.items()))
        also = "more" if shown else "of them"
        body += f'<details class="rest"><summary>{len(rest)} {also}: {told_states}</summary>'
        body += "".join(draw_lane(lane, axis) for lane in rest) + "</details>"
    sign, title, space = f'<span class="sign {status.means}">{status.sign}</span>', html.escape(group.title), escape(group.key[1])
    return (
        f'<details class="group{compact}"{" open" if opened else ""}><summary>'
        f'<span class="name" title="{title} {space}">{sign}{title} <small>{space}</small></span>'
        f'<span class="track tall" aria-hidden="true">{track}</span>'
        f'<span class="state {status.means}">{group.status} <small>{count}</small></span></summary>{body}</details>'
    )


def draw_timeline(story: Story) -> str:
    axis = Axis(story.timeline)
    opened = sum(len(group.lanes) for group in story.groups) <= FEW
    rows = [draw_group(group, axis, opened=opened or STATUS[group.status].rank < 3) for group in story.groups]
    legend = "".join(f'<span><i class="{means}"></i>{word}</span>' for means, word in LEGEND.items())
    outages = "".join(
        f'<i class="outage" style="left:{axis.percent(start):g}%;width:{max(axis.percent(end) - axis.percent(start), 0.5):.4g}%" '
        f'title="the cluster could not be asked for {format_span(end - start)}"></i>'
        for start, end in story.timeline.outages
    )
    grid = f"--step:{100 * axis.step / (axis.end - axis.start):.4f}%;--began:{axis.percent(axis.zero):g}%"
    trouble = "<p class=muted>Hatched at the axis: the cluster could not be asked.</p>" if outages else ""
    return (
        f'<section class="timeline" style="{grid}"><h2>Timeline</h2><p class="legend">{legend}</p>{trouble}'
        f'<div class="axis"><span class="track">{outages}{axis.ticks}</span></div>{"".join(rows)}'
        f'<p class="muted">0s is when it began to be watched, {format_timestamp(axis.zero)[:19].replace("T", " ")} UTC. '
        "Point at a bar for what was said; open a row for all of it.</p></section>"
    )


def show_cause(cause: Json) -> str:
    place, kind = Story.place(cause), "program" if cause["type"] == "program" else "rollout"
    code = f'<span class="code {kind}">{escape(cause["code"])}</span>'
    parts = [f"<header>{code} <strong>{escape(cause['message'])}</strong></header>"]
    parts += [f'<p class="muted">{html.escape(place)}</p>'] if place else []
    parts += [f'<pre class="hint" tabindex="0">{escape(cause["hint"])}</pre>'] if cause.get("hint") else []
    if cause.get("log"):
        parts.append(f'<h3>The end of the log</h3><pre class="log" tabindex="0">{html.escape(clean_log(cause["log"]))}</pre>')
    if cause.get("events"):
        rows = "".join(
            "<tr>" + "".join(f"<td>{escape(event.get(name) or '')}</td>" for name in EVENT) + "</tr>" for event in cause["events"]
        )
        head = "<tr><th>last seen</th><th>count</th><th>reason</th><th>message</th></tr>"
        parts.append(f'<h3>Events</h3><div class="scroll" tabindex="0"><table><thead>{head}</thead><tbody>{rows}</tbody></table></div>')
    return f'<article class="cause">{"".join(parts)}</article>'


def show_causes(story: Story) -> str:
    cards = [show_cause(cause) for cause in story.causes]
    rest = f"<details><summary>{len(cards) - CAUSES} more</summary>{''.join(cards[CAUSES:])}</details>" if cards[CAUSES:] else ""
    return f"<section><h2>{'Causes' if cards[1:] else 'Cause'}</h2>{''.join(cards[:CAUSES])}{rest}</section>" if cards else ""


def show_changes(story: Story) -> str:
    """What has changed since the revision before, where the result says so."""
    parts = []
    for group in story.groups:
        changes, rollback = group.entry.get("changes"), group.entry.get("rollback")
        if changes or rollback:
            parts.append(f"<h3>{html.escape(group.title)}</h3>")
            parts.append(f"<ul>{''.join(f'<li>{escape(change)}</li>' for change in changes or ())}</ul>" if changes else "")
            parts.append(
                f'<p class="muted">Back to what ran before:</p><pre class="hint" tabindex="0">{escape(rollback)}</pre>' if rollback else ""
            )
    return f"<section><h2>What changed</h2>{''.join(parts)}</section>" if parts else ""


def show_workloads(story: Story) -> str:
    rows = []
    for group in story.groups:
        status, more = STATUS[group.status], group.entry.get("waitingFor", ())
        items = [f"<li>{escape(each)}</li>" for each in more]
        folded_items = f"<details><summary>and {len(items) - WAITS} more</summary><ul>{''.join(items[WAITS:])}</ul></details>"
        told_waits = f"<ul>{''.join(items[:WAITS])}</ul>{folded_items if items[WAITS:] else ''}" if items else ""
        cells = (html.escape(group.title), escape(group.key[1]), escape(group.entry["message"]) + told_waits)
        first = f'<td class="{status.means}">{status.sign} {group.status}</td>'
        rows.append(f"<tr>{first}{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>")
    head = "<tr><th>status</th><th>workload</th><th>namespace</th><th>message</th></tr>"
    table = f'<div class="scroll" tabindex="0"><table class="workloads"><thead>{head}</thead><tbody>{"".join(rows)}</tbody></table></div>'
    return f"<section><h2>Workloads</h2>{table}</section>" if rows else ""


PAGE = Template(read_part(Path(__file__).with_name("page.html")))


def render_page(story: Story) -> str:
    """One page that needs nothing else: no script, no network."""
    code = f": {clean_line(story.causes[0]['code'])}" if story.causes else ""
    notes = "".join(f"<li>{escape(note)}</li>" for note in story.result.get("notes", ()))
    parts = [show_causes(story), draw_timeline(story) if story.groups else "", show_changes(story), show_workloads(story)]
    parts += [f"<section><h2>Notes</h2><ul>{notes}</ul></section>"] if notes else []
    verdict = "good" if story.success else "bad"
    return PAGE.substitute(
        title=html.escape(story.headline + code),
        verdict=verdict,
        sign=STATUS["ready" if story.success else "failed"].sign,
        headline=html.escape(story.headline),
        facts="".join(f"<span>{html.escape(fact)}</span>" for fact in story.facts),
        body="\n".join(part for part in parts if part),
        version=__version__,
    )
