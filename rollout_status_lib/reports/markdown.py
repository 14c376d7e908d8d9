"""A report as Markdown, for the summary of a CI's job."""

from __future__ import annotations

import html
import re

from rollout_status_lib import Json
from rollout_status_lib.clean import clean_line, clean_log
from rollout_status_lib.reports.story import Story
from rollout_status_lib.reports.timeline import STATUS

ROWS, CAUSES = 100, 20  # of a table of workloads in Markdown, and causes there with a log


def escape_prose(text: Json) -> str:
    """A text of the cluster that Markdown shows as it is, also in a cell of a table."""
    return html.escape(re.sub(r"([\\`*_\[\]|~$#!])", r"\\\1", clean_line(text)), quote=False)


def make_block(text: str) -> str:
    """A block of code, whatever is in it."""
    fence = "`" * max(3, 1 + max((len(ticks) for ticks in re.findall("`+", text)), default=0))
    return f"{fence}text\n{text}\n{fence}"


def make_fold(summary: str, body: str) -> str:
    return f"<details><summary>{summary}</summary>\n\n{body}\n\n</details>"


def render_markdown(story: Story) -> str:
    """For the summary of a CI's job."""
    parts = [f"## {'✅' if story.success else '❌'} {story.headline}", escape_prose(" · ".join(story.facts))]
    if story.groups:
        rows = ["| | workload | namespace | |\n|---|---|---|---|"]
        for group in story.groups[:ROWS]:
            row = (f"{STATUS[group.status].sign} {group.status}", *map(escape_prose, (group.title, group.key[1], group.entry["message"])))
            rows += [f"| {' | '.join(row)} |"]
        rest = len(story.groups) - ROWS
        parts.append("\n".join(rows) + (f"\n\n… and {rest} more" if rest > 0 else ""))
    for cause in story.causes[:CAUSES]:
        parts.append(f"### {escape_prose(cause['code'])}\n\n{escape_prose(cause['message'])}")
        parts += [f"in **{escape_prose(story.place(cause))}**"] if story.place(cause) else []
        parts += [make_block(clean_line(cause["hint"]))] if cause.get("hint") else []
        parts += [make_fold("The end of the log", make_block(clean_log(cause["log"])))] if cause.get("log") else []
        if cause.get("events"):
            cells = [" | ".join(escape_prose(event.get(name) or "") for name in EVENT) for event in cause["events"]]
            table = "\n".join(["| last seen | count | reason | message |\n|---|---|---|---|", *(f"| {row} |" for row in cells)])
            parts.append(make_fold(f"Events ({len(cells)})", table))
    parts += [f"… and {len(story.causes) - CAUSES} more causes"] if len(story.causes) > CAUSES else []
    for group in story.groups:
        if changes := group.entry.get("changes"):
            parts.append(
                f"### What changed in {escape_prose(group.title)}\n\n" + "\n".join(f"- {escape_prose(change)}" for change in changes)
            )
        parts += [f"Back to what ran before:\n\n{make_block(clean_line(group.entry['rollback']))}"] if group.entry.get("rollback") else []
    if notes := story.result.get("notes"):
        parts.append("\n".join(f"- note: {escape_prose(note)}" for note in notes))
    return "\n\n".join(parts) + "\n"


EVENT = ("lastSeen", "count", "reason", "message")
