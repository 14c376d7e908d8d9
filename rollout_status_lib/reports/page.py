"""A report as one page of HTML. It needs nothing else: no script, no network."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from string import Template
from xml.etree.ElementTree import Element

from rollout_status_lib import __version__
from rollout_status_lib.errors import read_part
from rollout_status_lib.reports.chart import draw_chart
from rollout_status_lib.reports.markup import make, write_markup
from rollout_status_lib.reports.timeline import Timeline
from rollout_status_lib.story import STATUS, Cause, Event, Outcome, Story

PAGE = Template(read_part(Path(__file__).with_name("page.html")))
CAUSES = 20  # that are not folded
NAMES = 4  # of workloads, namespaces or images in the headline
WAITS = 5  # of what a workload waits for, those that are not folded


def render_page(story: Story, timeline: Timeline) -> str:
    """The whole page: page.html with its title and its content."""
    code = f": {story.causes[0].code}" if story.causes else ""
    sections = (
        show_verdict(story, timeline),
        show_causes(story),
        draw_chart(story, timeline) if story.outcomes else None,
        show_changes(story.outcomes),
        show_workloads(story.outcomes),
        show_notes(story.notes),
        make("footer", f"rollout-status {__version__}", class_="muted"),
    )
    content = [part for section in sections if section is not None for part in (section, "\n")]
    return PAGE.substitute(title=write_markup(make("title", story.headline + code)), main=write_markup(make("main", "\n", *content)))


def show_verdict(story: Story, timeline: Timeline) -> Element:
    """How it ended and who is affected, the most important cause with what to do next, and what was judged."""
    sign = STATUS["ready" if story.success else "failed"].sign
    facts = make("p", *(make("span", fact) for fact in story.facts), class_="facts")
    judged = make(
        "p", *(make("span", make("small", f"{name} "), value) for name, value in list_judged(story, timeline) if value), class_="judged"
    )
    first = [part for cause in story.causes[:1] for part in (name_cause(cause), *show_hint(cause))]
    text = make("div", make("h1", story.lead), *first, judged if story.outcomes else None, facts)
    verdict = "good" if story.success else "bad"
    return make("header", make("span", sign, class_="big", aria_hidden="true"), text, class_=f"verdict {verdict}")


def list_judged(story: Story, timeline: Timeline) -> Iterator[tuple[str, str]]:
    """What was judged, each with its name: the workloads, their namespaces, the kubeconfig's context, and the images."""
    kinds: dict[str, list[str]] = {}
    for outcome in story.outcomes:
        kinds.setdefault(outcome.key[0], []).append(outcome.key[2])
    for kind, names in kinds.items():
        yield kind, join_first(names)
    yield "namespace", join_first([outcome.namespace for outcome in story.outcomes])
    yield "context", timeline.context
    yield "image", join_first([image for images in timeline.images.values() for image in images])


def join_first(words: Sequence[str]) -> str:
    """The first words that are not empty, each once, and how many more there are."""
    words = list(dict.fromkeys(filter(None, words)))
    return ", ".join([*words[:NAMES], *([f"{len(words) - NAMES} more"] if words[NAMES:] else [])])


def show_causes(story: Story) -> Element | None:
    """All causes; if they are many, the last ones are folded. The first one's name and hint stand above already."""
    if not story.causes:
        return None
    cards = [show_cause(cause, story.list_serving(cause), named=bool(number)) for number, cause in enumerate(story.causes)]
    more = make("details", make("summary", f"{len(cards) - CAUSES} more"), *cards[CAUSES:]) if cards[CAUSES:] else None
    return make("section", make("h2", "Causes" if cards[1:] else "Cause"), *cards[:CAUSES], more)


def name_cause(cause: Cause) -> Element:
    """What is broken, and since when."""
    since = f" since {cause.since}" if cause.since else None
    code = make("span", cause.code, class_=f"code {cause.type}")
    return make("p", "cause ", make("strong", cause.summary), " ", code, make("small", since) if since else None, class_="name-of-cause")


def show_hint(cause: Cause) -> list[Element]:
    """What to do next; nothing where that is not known."""
    return [make("h3", "next"), make_command(cause.hint)] if cause.hint else []


def show_cause(cause: Cause, serving: Sequence[str], *, named: bool) -> Element:
    """All that is known of a cause."""
    details = (*cause.details, *serving)
    return make(
        "article",
        *([name_cause(cause), *show_hint(cause)] if named else ()),
        make("p", f"in {cause.place}", class_="muted") if cause.place else None,
        make_list(details) if details else None,
        *([make("h3", "log"), make("pre", "\n".join(cause.log), class_="log", tabindex=0)] if cause.log else ()),
        *([make("h3", "events"), show_events(cause.events)] if cause.events else ()),
        class_="cause",
    )


def show_events(events: Sequence[Event]) -> Element:
    rows = [(each.last_seen, str(each.count or ""), each.reason, each.message) for each in events]
    return make_table(("last seen", "count", "reason", "message"), [make_row("td", *row) for row in rows])


def show_changes(outcomes: Sequence[Outcome]) -> Element | None:
    """What changed in each workload since the revision before, and the command that goes back; None where nothing of it is known."""
    parts = [part for outcome in outcomes for part in show_change(outcome)]
    return make("section", make("h2", "Changed"), *parts) if parts else None


def show_change(outcome: Outcome) -> Iterator[Element]:
    if outcome.changes or outcome.rollback:
        yield make("h3", outcome.title)
    if outcome.changes:
        yield make_list(outcome.changes)
    if outcome.rollback:
        yield make("p", "roll back", class_="muted")
        yield make_command(outcome.rollback)


def show_workloads(outcomes: Sequence[Outcome]) -> Element | None:
    """The table of the workloads with all that they wait for."""
    rows = []
    for outcome in outcomes:
        status = make("td", f"{STATUS[outcome.status].sign} {outcome.status}", class_=STATUS[outcome.status].means)
        message = make("td", outcome.message, *show_waits(outcome.waiting_for))
        rows.append(make_row("td", status, outcome.title, outcome.namespace, message))
    table = make_table(("status", "workload", "namespace", "message"), rows, class_="workloads")
    return make("section", make("h2", "Workloads"), table) if rows else None


def show_waits(waits: Sequence[str]) -> Iterator[Element]:
    """What a workload waits for; if that is much, the last of it is folded."""
    if waits:
        yield make_list(waits[:WAITS])
    if waits[WAITS:]:
        yield make("details", make("summary", f"and {len(waits) - WAITS} more"), make_list(waits[WAITS:]))


def show_notes(notes: Sequence[str]) -> Element | None:
    return make("section", make("h2", "Notes"), make_list(notes)) if notes else None


def make_command(command: str) -> Element:
    """A command to copy."""
    return make("pre", command, class_="hint", tabindex=0)


def make_list(texts: Sequence[str]) -> Element:
    return make("ul", *(make("li", text) for text in texts))


def make_table(names: Sequence[str], rows: Sequence[Element], class_: str | None = None) -> Element:
    """A table that scrolls on its own where it is wider than the window."""
    table = make("table", make("thead", make_row("th", *names)), make("tbody", *rows), class_=class_)
    return make("div", table, class_="scroll", tabindex=0)


def make_row(tag: str, *cells: str | Element) -> Element:
    """A row; a text is put into a cell."""
    return make("tr", *(make(tag, cell) if isinstance(cell, str) else cell for cell in cells))
