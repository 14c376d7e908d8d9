"""A report as JUnit XML, for the test view of a CI."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from xml.etree.ElementTree import Element, indent

from rollout_status_lib.lines import describe_cause, describe_changes, describe_events
from rollout_status_lib.reports.markup import make, write_markup
from rollout_status_lib.story import Cause, Outcome, Story

CLUSTER = "cluster"  # the suite of what is in no namespace
OWN = "rollout-status"  # the name of the whole, and of the suite for what is about no workload


def render_junit(story: Story) -> str:
    """A suite for the causes that are about no workload, and one for each namespace, or `cluster`, with a case for each workload."""
    own = [make_cause_case(cause, story) for cause in story.causes if not cause.workload]
    suites: dict[str, list[Element]] = {OWN: own} if own else {}
    for outcome in story.outcomes:
        suites.setdefault(outcome.namespace or CLUSTER, []).append(make_outcome_case(outcome, story))
    time = format_seconds(story.elapsed)
    elements = [
        make("testsuite", *cases, name=name, **count_cases(cases), skipped=count(cases, "skipped"), time=time)
        for name, cases in suites.items()
    ]
    root = make("testsuites", *elements, name=OWN, time=time, **count_cases([case for cases in suites.values() for case in cases]))
    indent(root, space="")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{write_markup(root)}\n'


def make_outcome_case(outcome: Outcome, story: Story) -> Element:
    """The case of a workload: failed, skipped if it waits or is ignored, or else passed."""
    content = [
        part
        for cause in story.causes
        if outcome.key in (cause.workload, *cause.others)
        for part in show_cause("failure", cause, more=describe_changes(outcome))
    ]
    if not content and story.causes and outcome.status in ("failed", "gone"):
        content = [make("failure", outcome.message, type=story.causes[0].code, message=outcome.message)]
    elif not content and outcome.status != "ready":
        content = [make("skipped", message=f"{outcome.status}: {outcome.message}")]
    return make("testcase", *content, name=outcome.title, classname=outcome.namespace or CLUSTER, time=format_seconds(outcome.seconds))


def make_cause_case(cause: Cause, story: Story) -> Element:
    """The case of a cause that is about no workload: an error if the program could not do its work."""
    content = show_cause("error" if cause.type == "program" else "failure", cause, lead=[story.lead])
    return make("testcase", *content, name=cause.code, classname=OWN, time=format_seconds(story.elapsed))


def show_cause(tag: str, cause: Cause, *, lead: Iterable[str] = (), more: Iterable[str] = ()) -> Iterator[Element]:
    """What a case says of a cause, and apart from it the whole log."""
    lines = [*lead, *describe_cause(cause, cause.tail, cause.serving), *describe_events(cause), *more]
    yield make(tag, "\n".join(lines), type=cause.code, message=cause.summary)
    if cause.log:
        yield make("system-out", "\n".join(cause.log))


def count_cases(cases: Sequence[Element]) -> dict[str, int]:
    """How many cases there are, how many have failed, and in how many the program had an error."""
    return {"tests": len(cases), "failures": count(cases, "failure"), "errors": count(cases, "error")}


def count(cases: Sequence[Element], tag: str) -> int:
    return sum(case.find(tag) is not None for case in cases)


def format_seconds(seconds: float | None) -> str:
    return f"{seconds or 0.0:.3f}"
