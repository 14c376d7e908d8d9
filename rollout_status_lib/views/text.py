"""The result as text for people: -o text, and the verdict in a terminal."""

from __future__ import annotations

import os
import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from typing import IO

from rollout_status_lib import Json
from rollout_status_lib.lines import describe_cause, describe_changes, describe_events
from rollout_status_lib.story import STATUS, Outcome, Story, tell_story

FORCE = ("CLICOLOR_FORCE", "FORCE_COLOR")  # variables that ask for colour where there would be none
CAUSES = 10  # that a terminal gets
WIDE, NARROWEST = 1_000, 20  # columns where nobody knows how many there are, and those that words need
COMMANDS = ("next", "roll back")
RESET, BOLD, DIM, RED, GREEN, YELLOW = (f"\x1b[{number}m" for number in (0, 1, 2, 31, 32, 33))
COLORS = {"bad": RED, "wait": YELLOW, "good": GREEN, "end": DIM}  # by what a status means
NAME = re.compile(
    r"(?P<indent> *)(?P<name>cause|next|in|log|events|changed in [^:]*|roll back|note|on their way|failed|gone|waiting|ready|ignored):"
)


def render_text(result: Mapping[str, Json]) -> str:
    """The verdict, the causes, what has changed, the workloads and the notes."""
    story = tell_story(result)
    return "\n".join([*list_verdict(story), *list_outcomes(story), *list_notes(story)])


def render_for_terminal(result: Mapping[str, Json], stream: IO[str], *, drawn: bool) -> str:
    """The same as a terminal shows it, without the workloads if they are drawn above it."""
    story = tell_story(result)
    lines = [*list_verdict(story), *(() if drawn else list_outcomes(story)), *list_notes(story)]
    return "\n".join(lay_out(lines, story, stream, os.environ))


def wants_color(stream: IO[str], environment: Mapping[str, str]) -> bool:
    """True if a text gets colours: on a terminal that has some, unless the environment says otherwise; never in a pipe.

    https://no-color.org and https://bixense.com/clicolors
    """
    if not stream.isatty():
        return False
    if any(environment.get(name, "") not in ("", "0", "false") for name in FORCE):
        return True
    is_plain = environment.get("NO_COLOR") or environment.get("CLICOLOR") == "0"
    return not is_plain and environment.get("TERM", "") not in ("", "dumb", "unknown")


def list_verdict(story: Story, most: int | None = None) -> Iterator[str]:
    """How it ended, the causes, `most` of them, and what has changed. Its first three lines say who is affected, what is broken since when,
    and what to do next.
    """
    yield story.lead
    for cause in story.causes[:most]:
        yield from describe_cause(cause, cause.log, story.list_serving(cause))
        yield from describe_events(cause)
    if most and len(story.causes) > most:
        yield f"... and {len(story.causes) - most} more causes, which the result has"
    for outcome in story.outcomes:
        yield from describe_changes(outcome)


def list_notes(story: Story) -> Iterator[str]:
    return (f"note: {note}" for note in story.notes)


def list_outcomes(story: Story) -> Iterator[str]:
    """The workloads that neither a cause nor the first line tells of. If one has failed, those that are only on their way are one line."""
    if story.success and len(story.outcomes) == 1:
        return
    has_failed = any(outcome.status == "failed" for outcome in story.outcomes)
    on_their_way = []
    for outcome in sorted(story.outcomes, key=rank_outcome):
        if has_failed and outcome.status == "waiting" and not outcome.code:
            on_their_way.append(outcome.name)
        elif not any(outcome.key in (cause.workload, *cause.others) for cause in story.causes):
            yield f"{outcome.status}: {outcome.name}: {outcome.message}"
    if on_their_way:
        yield f"on their way: {', '.join(on_their_way)}"


def rank_outcome(outcome: Outcome) -> tuple[int, bool]:
    """What the workloads are sorted by. Of those that wait, one whose state may become a failure comes first."""
    return STATUS[outcome.status].rank, not outcome.code


def lay_out(lines: Iterable[str], story: Story, stream: IO[str], environment: Mapping[str, str]) -> Iterator[str]:
    """The lines as they fit into a terminal, in colour if it wants some."""
    try:
        width = os.get_terminal_size(stream.fileno()).columns or WIDE
    except (OSError, ValueError):
        width = WIDE
    colored = wants_color(stream, environment)
    for number, line in enumerate(lines):
        name = NAME.match(line)
        for part, text in enumerate(wrap_line(line, name, width)):
            if not colored:
                yield text
            elif not number:
                yield f"{BOLD}{GREEN if story.success else RED}{text}{RESET}"
            else:
                yield text if part or not name else paint_name(text, name)


def wrap_line(line: str, name: re.Match[str] | None, width: int) -> list[str]:
    """The lines that a line becomes in a window, broken between words. A command stays whole, to be copied; so does a line of a log."""
    if len(line) <= width or (name and name["name"] in COMMANDS) or line.startswith("    | "):
        return [line]
    indent = " " * (len(line) - len(line.lstrip()) + 2)
    return textwrap.wrap(line, max(width, NARROWEST), subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def paint_name(line: str, found: re.Match[str]) -> str:
    """A line with the name that it begins with in colour."""
    name = found["name"]
    color = COLORS[STATUS[name].means] if name in STATUS else f"{BOLD}{RED}" if name == "cause" else DIM
    strong = BOLD if name in ("cause", "next") else ""
    return f"{found['indent']}{color}{name}:{RESET}{strong}{line[found.end() :]}{RESET if strong else ''}"
