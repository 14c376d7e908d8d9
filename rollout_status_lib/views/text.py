"""The result as text for people: -o text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from rollout_status_lib import Json
from rollout_status_lib.story import STATUS, Cause, Outcome, tell_story


def render_text(result: Mapping[str, Json]) -> str:
    """The verdict, the causes, the workloads and the notes. If a workload has failed, those that are only on their way are one line."""
    story = tell_story(result)
    lines = [f"{story.headline}."]
    for cause in story.causes:
        lines += describe_cause(cause)
    has_failed = any(outcome.status == "failed" for outcome in story.outcomes)
    on_their_way = []
    for outcome in sorted(story.outcomes, key=rank_outcome):
        if has_failed and outcome.status == "waiting" and not outcome.code:
            on_their_way.append(name_workload(outcome))
        else:
            lines += describe_outcome(outcome)
    lines += [f"on their way: {', '.join(on_their_way)}"] if on_their_way else []
    return "\n".join([*lines, *(f"note: {note}" for note in story.notes)])


def describe_cause(cause: Cause) -> Iterator[str]:
    """A cause, where it is, what else is known of it, its log and its hint."""
    yield f"{cause.code}: {cause.summary}"
    if cause.resource != cause.workload:
        yield f"  in {cause.path}{f' and {cause.count - 1} more' if cause.count > 1 else ''}"
    yield from (f"  {detail}" for detail in cause.details)
    yield from (f"  event: {event.sentence}" for event in cause.events)
    yield from (f"  | {line}" for line in cause.log)
    if cause.hint:
        yield f"  next: {cause.hint}"


def describe_outcome(outcome: Outcome) -> Iterator[str]:
    """A workload, what changed in it, and the command that goes back."""
    yield f"{outcome.status}: {name_workload(outcome)}: {outcome.message}"
    yield from (f"  changed: {change}" for change in outcome.changes)
    if outcome.rollback:
        yield f"  roll back: {outcome.rollback}"


def rank_outcome(outcome: Outcome) -> tuple[int, bool]:
    """What the workloads are sorted by. Of those that wait, one whose state may become a failure comes first."""
    return STATUS[outcome.status].rank, not outcome.code


def name_workload(outcome: Outcome) -> str:
    """The name of a workload in a text: `shop/Deployment/web`."""
    return f"{outcome.namespace}/{outcome.title}"
