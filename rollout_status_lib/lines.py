"""A story as lines of text, which a terminal, a pipe, the log of a CI and JUnit have in common."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from rollout_status_lib.story import Cause, Outcome, Story


def describe_cause(cause: Cause, log: Sequence[str], serving: Iterable[str] = ()) -> Iterator[str]:
    """A cause in lines: what is broken and since when, what to do next, where it is, what else is known of it, and its log.

    A line of a log stands behind a sign of ours, so that no CI takes it for a command.
    """
    yield f"cause: {cause.sentence}"
    yield from make_field("next", [cause.hint])
    yield from make_field("in", [cause.place])
    yield from (f"  {detail}" for detail in (*cause.details, *serving))
    yield from ("  log:", *(f"    | {line}" for line in log)) if log else ()


def describe_events(cause: Cause) -> list[str]:
    """The events about a cause."""
    return make_field("events", [event.sentence for event in cause.events])


def describe_changes(outcome: Outcome) -> Iterator[str]:
    """What has changed in a workload, and the command that goes back."""
    yield from make_field(f"changed in {outcome.title}", outcome.changes, indent="")
    yield from make_field("roll back", [outcome.rollback])


def describe_end(story: Story) -> list[str]:
    """How a run has ended, in at most three lines: who is affected, what is broken since when, and what to do next."""
    first = [line for cause in story.causes[:1] for line in describe_cause(cause, ())]
    return [story.lead, *first[: 2 if story.causes and story.causes[0].hint else 1]]


def make_field(name: str, values: Iterable[str], indent: str = "  ") -> list[str]:
    """A name with its values: one stands beside it, several below it. Nothing for no value, or for an empty one."""
    values = [value for value in values if value]
    if len(values) < 2:
        return [f"{indent}{name}: {value}" for value in values]
    return [f"{indent}{name}:", *(f"{indent}  {value}" for value in values)]
