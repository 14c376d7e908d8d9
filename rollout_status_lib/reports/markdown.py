"""A report as Markdown, for the summary of a CI's job."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Iterator, Sequence

from rollout_status_lib.story import STATUS, Cause, Outcome, Story

ROWS, CAUSES = 100, 20  # workloads in the table, and causes; the others are only counted


def render_markdown(story: Story) -> str:
    """How it ended and who is affected, the causes with their logs and events, what changed, the workloads, and the notes."""
    parts = [f"## {'✅' if story.success else '❌'} {escape_prose(story.lead)}"]
    for cause in story.causes[:CAUSES]:
        parts += describe_cause(cause, story.list_serving(cause))
    parts += [f"… and {len(story.causes) - CAUSES} more causes"] if len(story.causes) > CAUSES else []
    for outcome in story.outcomes:
        parts += describe_changes(outcome)
    parts += [make_workloads(story.outcomes)] if story.outcomes else []
    parts += [make_list(f"note: {note}" for note in story.notes)] if story.notes else []
    parts += [escape_prose(" · ".join(story.facts))]
    return "\n\n".join(filter(None, parts)) + "\n"


def make_workloads(outcomes: Sequence[Outcome]) -> str:
    """The table of the workloads, failed ones first."""
    rows = [(f"{STATUS[each.status].sign} {each.status}", each.title, each.namespace, each.message) for each in outcomes]
    more = f"\n\n… and {len(rows) - ROWS} more" if len(rows) > ROWS else ""
    return make_table("| | workload | namespace | |", rows[:ROWS]) + more


def describe_cause(cause: Cause, serving: Iterable[str]) -> Iterator[str]:
    """A cause with its hint and its place. The last lines of its log stand open; the whole log and the events are folded."""
    yield f"### cause: {escape_prose(cause.sentence)}"
    if cause.hint:
        yield f"next:\n\n{make_block(cause.hint)}"
    yield make_list([*([f"in: {cause.place}"] if cause.place else []), *cause.details, *serving])
    if cause.log:
        yield f"log:\n\n{make_block(chr(10).join(cause.tail))}"
    if len(cause.log) > len(cause.tail):
        yield make_fold(f"log ({len(cause.log)} lines)", make_block("\n".join(cause.log)))
    if cause.events:
        rows = [(each.last_seen, str(each.count or ""), each.reason, each.message) for each in cause.events]
        yield make_fold(f"events ({len(rows)})", make_table("| last seen | count | reason | message |", rows))


def describe_changes(outcome: Outcome) -> Iterator[str]:
    """What changed in a workload, and the command that goes back; nothing where neither is known."""
    if outcome.changes:
        yield f"### changed in {escape_prose(outcome.title)}\n\n{make_list(outcome.changes)}"
    if outcome.rollback:
        yield f"roll back:\n\n{make_block(outcome.rollback)}"


def escape_prose(text: str) -> str:
    """A text so that Markdown shows it as it is, in the cell of a table too."""
    return html.escape(re.sub(r"([\\`*_\[\]|~$#!])", r"\\\1", text), quote=False)


def make_list(texts: Iterable[str]) -> str:
    return "\n".join(f"- {escape_prose(text)}" for text in texts)


def make_table(head: str, rows: Iterable[Sequence[str]]) -> str:
    """A table below the line of its head; the texts of the cells are escaped here."""
    lines = [f"| {' | '.join(map(escape_prose, row))} |" for row in rows]
    return "\n".join([head, f"|{'---|' * (head.count('|') - 1)}", *lines])


def make_block(text: str) -> str:
    """A block of code. Its fence is longer than any in the text."""
    fence = "`" * max(3, 1 + max((len(ticks) for ticks in re.findall("`+", text)), default=0))
    return f"{fence}text\n{text}\n{fence}"


def make_fold(title: str, markdown: str) -> str:
    """Markdown that is folded behind a title; both are escaped already. Markdown has no sign for it but these elements of HTML."""
    return f"<details><summary>{title}</summary>\n\n{markdown}\n\n</details>"
