"""A report as JUnit XML: a suite for each namespace, a case for each workload."""

from __future__ import annotations

import html
from collections.abc import Mapping

from rollout_status_lib import Json
from rollout_status_lib.clean import clean_line, clean_log
from rollout_status_lib.reports.story import Story


def escape(text: Json) -> str:
    """The same, for HTML and XML."""
    return html.escape(clean_line(text))


def make_element(name: str, attributes: Mapping[str, Json], *content: str) -> str:
    given = "".join(f' {key}="{escape(value)}"' for key, value in attributes.items())
    return f"<{name}{given}>{''.join(content)}</{name}>" if content else f"<{name}{given}/>"


def render_junit(story: Story) -> str:
    """A suite for each namespace, a case for each workload. What is about no workload is a case of its own."""
    whole = story.result.get("elapsedSeconds", 0.0)
    suites: dict[str, list[tuple[str, str]]] = {}  # namespace -> outcome and case
    for group in story.groups:
        own = [cause for cause in story.causes if tuple(cause.get("workload", {}).values()) == group.key]
        outcome, content = "passed", [describe_case("failure", cause) for cause in own]
        if content or group.status in ("failed", "gone"):
            outcome = "failure"
            content = content or [describe_case("failure", {"code": story.causes[0]["code"], "message": group.entry["message"]})]
        elif group.status in ("waiting", "ignored"):
            outcome, content = "skipped", [make_element("skipped", {"message": f"{group.status}: {group.entry['message']}"})]
        took = group.history[-1].at - story.timeline.first if group.history else whole
        attributes = {"name": group.title, "classname": group.key[1], "time": f"{took:.3f}"}
        suites.setdefault(group.key[1], []).append((outcome, make_element("testcase", attributes, *content)))
    for cause in story.causes:
        if "workload" not in cause:
            outcome = "error" if cause["type"] == "program" else "failure"
            attributes = {"name": cause["code"], "classname": "rollout-status", "time": f"{whole:.3f}"}
            suites.setdefault("rollout-status", []).append((outcome, make_element("testcase", attributes, describe_case(outcome, cause))))
    texts, total = [], {"tests": 0, "failures": 0, "errors": 0}
    for namespace, cases in suites.items():
        outcomes = [outcome for outcome, _ in cases]
        numbers = {"tests": len(cases), "failures": outcomes.count("failure"), "errors": outcomes.count("error")}
        total = {name: total[name] + number for name, number in numbers.items()}
        more = {"skipped": outcomes.count("skipped"), "time": f"{whole:.3f}"}
        texts.append(make_element("testsuite", {"name": namespace, **numbers, **more}, *("\n" + case for _, case in cases), "\n"))
    suite = make_element("testsuites", {"name": "rollout-status", "time": f"{whole:.3f}", **total}, *("\n" + text for text in texts), "\n")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{suite}\n'


def describe_case(outcome: str, cause: Json) -> str:
    """What a case says of a cause: where it is and what to do, and the log."""
    said = [Story.place(cause), *(clean_line(cause[name]) for name in ("hint",) if cause.get(name))]
    text = "\n".join(line for line in (clean_line(cause["message"]), *said) if line)
    failure = make_element(outcome, {"type": cause["code"], "message": cause["message"]}, html.escape(text))
    return failure + (make_element("system-out", {}, html.escape(clean_log(cause["log"]))) if cause.get("log") else "")
