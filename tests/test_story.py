"""What people read of a result: the same causes in every view and every report."""

import html
import io
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import CASES, FIXTURES, run

import rollout_status
from rollout_status_lib.reports.junit import render_junit
from rollout_status_lib.reports.markdown import render_markdown
from rollout_status_lib.reports.page import render_page
from rollout_status_lib.reports.timeline import Timeline
from rollout_status_lib.story import STATUS, Sighting, describe_moment, name_workloads, tell_story
from rollout_status_lib.verbs.test import read_case, work_in
from rollout_status_lib.views.ci import Github, Gitlab
from rollout_status_lib.views.terminal import Terminal
from rollout_status_lib.views.text import render_text

WEB = {"kind": "Deployment", "namespace": "shop", "name": "web"}
POD = {"kind": "Pod", "namespace": "shop", "name": "web-1", "container": "main"}


def cause(name: str, **more: Any) -> dict[str, Any]:
    """An error with all that one can have."""
    return {
        "code": "process-crashing", "type": "rollout", "message": f"The message {name}", "summary": f"The summary {name}",
        "details": [f"The first detail {name}", f"The second detail {name}"], "exitCode": 3, "restarts": 4, "rule": "crash-loop",
        "workload": WEB, "resource": {**POD, "name": f"pod-{name}"}, "count": 2,
        "log": f"log {name} first\nlog {name} last\n", "hint": f"kubectl logs {name}",
        "events": [{"reason": "Killing", "message": f"event {name}", "count": 4, "lastSeen": "2026-11-23T06:37:44Z"}],
        **more,
    }  # fmt: skip


def result_of(*causes: dict[str, Any], **more: Any) -> dict[str, Any]:
    workload = {**WEB, "status": "failed", "message": "does not run", "changes": ["image a -> b"], "rollback": "kubectl rollout undo"}
    errors = {"error": causes[0]} if causes else {}
    errors |= {"errors": list(causes[1:])} if causes[1:] else {}
    return {"success": not causes, **errors, "workloads": [workload], "notes": ["a note"], "elapsedSeconds": 61.5, "polls": 4, **more}


def conclude(view: type[Github | Gitlab | Terminal], result: dict[str, Any]) -> str:
    stream = io.StringIO()
    assert view(stream, quiet=False).conclude(result) == []
    return stream.getvalue()


RENDERINGS: dict[str, Callable[[dict[str, Any]], str]] = {
    "text": render_text,
    "terminal": lambda result: conclude(Terminal, result),
    "github": lambda result: conclude(Github, result),
    "gitlab": lambda result: conclude(Gitlab, result),
    "markdown": lambda result: render_markdown(tell_story(result)),
    "junit": lambda result: render_junit(tell_story(result)),
    "page": lambda result: render_page(tell_story(result), Timeline()),
}


@pytest.mark.parametrize("rendering", RENDERINGS)
def test_a_cause_that_is_in_one_rendering_is_in_all(rendering: str) -> None:
    text = RENDERINGS[rendering](result_of(*map(cause, "abc")))
    for name in "abc":
        assert text.index(f"The summary {name}") < text.index(f"The message {name}")
        for words in (
            f"The first detail {name}",
            f"The second detail {name}",
            f"Pod/shop/pod-{name}/main",
            f"kubectl logs {name}",
            f"log {name} first",
            f"log {name} last",
        ):
            assert words in text.replace("\\", "")
    assert text.count("process-crashing") >= 3


@pytest.mark.parametrize("rendering", RENDERINGS)
def test_a_change_that_is_in_one_rendering_is_in_all(rendering: str) -> None:
    text = RENDERINGS[rendering](result_of(cause("a"))).replace("\\", "").replace("&gt;", ">")
    for words in ("image a -> b", "kubectl rollout undo", "event a", "roll back"):
        assert words in text


@pytest.mark.parametrize(
    ("code", "type_", "words"),
    [
        ("process-crashing", "rollout", "The rollout failed"),
        ("timeout", "rollout", "The rollout is not done yet"),
        ("interrupted", "program", "The run was interrupted"),
        ("forbidden", "program", "The rollout could not be judged"),
    ],
)
def test_the_headline_says_how_it_ended(code: str, type_: str, words: str) -> None:
    assert tell_story(result_of(cause("a", code=code, type=type_))).headline == words


def test_a_long_text_is_told_once() -> None:
    said = "failed to pull and unpack image localhost/app:v9: not found"
    event = {"reason": "Failed", "message": f"Failed to pull image: {said}", "count": 1, "lastSeen": None}
    (told,) = tell_story(result_of(cause("a", message=f"Container is in ErrImagePull: {said}", events=[event]))).causes
    assert told.events[0].message == "Failed to pull image: …"


@pytest.mark.parametrize("rendering", [name for name in RENDERINGS if name not in ("text", "junit")])
def test_events_changes_and_notes(rendering: str) -> None:
    text = RENDERINGS[rendering](result_of(cause("a")))
    for words in ("event a", "2026-11-23T06:37:44Z", "kubectl rollout undo"):
        assert words in text


@pytest.mark.parametrize("rendering", RENDERINGS)
def test_the_smallest_documents(rendering: str) -> None:
    """What satisfies the schema with the fewest fields."""
    assert "<script" not in RENDERINGS[rendering]({"success": True})
    failed = RENDERINGS[rendering]({"success": False, "error": {"code": "internal", "type": "program", "message": "This is a bug"}})
    assert "This is a bug" in failed
    assert "None" not in failed


def test_all_that_is_told_is_clean() -> None:
    dirty = "\x1b[31mred\x1b]0;title\x07 https://me:secret@example.com/x\u202e ##[group]"
    story = tell_story(
        result_of(cause("a", message=dirty, summary=dirty, details=[f"also {dirty}"], hint=dirty, log=f"{dirty}\n{dirty}"), notes=[dirty])
    )
    (told,) = story.causes
    assert told.details == ("also red https://redacted@example.com/x  # #[group]",)
    for text in (told.summary, told.hint, *told.log, *story.notes):
        assert text == "red https://redacted@example.com/x  # #[group]"


def test_workloads_are_in_the_order_of_their_status() -> None:
    """Those that fail are first, and the order of the result is kept in each status."""
    names = {"a": "ready", "b": "waiting", "c": "failed", "d": "ignored", "e": "waiting"}
    workloads = [{**WEB, "name": name, "status": status, "message": ""} for name, status in names.items()]
    key = ("Deployment", "shop", "lost")
    story = tell_story(result_of(workloads=workloads), {key: Sighting("waiting", "was late", 7.0)})
    assert [(each.key[2], each.status) for each in story.outcomes] == [
        ("c", "failed"), ("lost", "gone"), ("b", "waiting"), ("e", "waiting"), ("a", "ready"), ("d", "ignored"),
    ]  # fmt: skip
    assert [each.seconds for each in story.outcomes] == [61.5, 7.0, 61.5, 61.5, 61.5, 61.5]
    assert story.counts == "1 failed, 1 gone, 2 waiting, 1 ready, 1 ignored"
    assert [status.rank for status in STATUS.values()] == sorted(status.rank for status in STATUS.values())


def test_facts(tmp_path: Path) -> None:
    assert tell_story(result_of()).facts == ["1m 1s", "4 polls", "1 failed"]
    assert tell_story(result_of(polls=1, workloads=[]), None, 0.0).facts == ["1m 1s", "1 poll", "ended 1970-01-01 00:00:00 UTC"]


def test_an_event_in_one_line() -> None:
    whole, bare = (
        tell_story(
            result_of(cause("a", events=[*cause("a")["events"], {"reason": "Killing", "message": None, "count": 1, "lastSeen": None}]))
        )
        .causes[0]
        .events
    )
    assert whole.sentence == "4x Killing: event a (last seen 2026-11-23T06:37:44Z)"
    assert bare.sentence == "1x Killing"


@pytest.mark.parametrize(
    ("case", "arguments", "sentence"),
    [
        ("deployment/surge-crash-old-serving", ("--retry-limit", "1"), "still serving: 3 of 3 pods of revision 1 (localhost:5000/web:v1)"),
        ("statefulset/image-not-found-on-update", (), "still serving: 1 of 2 pods of revision db-6d5fdbc5 (localhost:5000/app:v1)"),
        ("daemonset/image-not-found", (), "nothing serves"),
        ("packs/network/piped-not-serving", (), "Service/web: nothing serves"),
    ],
)
def test_what_serves_now_is_told(case: str, arguments: tuple[str, ...], sentence: str) -> None:
    assert sentence in tell_story(run("--replay", str(FIXTURES / case), *arguments).result).causes[0].serving


def test_nobody_asks_what_serves_of_a_job_or_of_what_is_ready() -> None:
    for case in ("job/backoff-limit", "deployment/success"):
        assert not [each for each in run("--replay", str(FIXTURES / case)).result["workloads"] if "serving" in each]


# ---------------------------------------------------------------------------------------------- the first three lines


def read_first_lines(name: str, text: str) -> str:
    """What a view says first, without markup: three lines, or as many elements of a page."""
    text = re.sub(r"\x1b\[[\d;]*m", "", text)
    if name == "page":
        text = re.sub("<[^>]+>", "", re.sub(r"</(h1|p|pre)>", "\n", text[text.index("<main>") :].replace("</h3>", " ")))
    if name == "markdown":
        text = re.sub(r"next:\n\n```text\n(.*)\n```", r"next: \1", text.replace("\\", ""))
    if name == "junit":
        text = re.sub('<testcase name="([^"]*)".*\n<(?:failure|error) [^>]*>', r"\1: ", text[text.index("<testcase") :])
    if name in ("github", "gitlab"):
        text = text.replace("%0A", "\n").replace("%25", "%")
    return "\n".join([line for line in html.unescape(text).splitlines() if line.strip()][:3])


def list_failing() -> Iterator[str]:
    """A case for each rule by which a rollout fails; where there is none, as for a timeout, for each kind of workload."""
    told = set()
    for case in CASES:
        error = read_case(FIXTURES / case).content.get("expect", {}).get("result", {}).get("error", {})
        if error.get("type") == "rollout" and (about := error.get("rule", (error["code"], case.partition("/")[0]))) not in told:
            told.add(about)
            yield case


@pytest.mark.parametrize("case", list(list_failing()))
def test_the_first_three_lines_of_each_view_say_what_is_broken_since_when_who_is_affected_and_what_to_do_next(case: str) -> None:
    content = read_case(FIXTURES / case).content
    with work_in(FIXTURES / case, (FIXTURES / case / content["stdin"]).read_text() if "stdin" in content else ""):
        result = rollout_status.run_to_end(["--quiet", "--replay", ".", *map(str, content["args"])]).result
    story = tell_story(result)
    (cause, *_), names = story.causes, [name for _, _, name in story.affected[:3]]
    assert cause.hint
    for view, render in RENDERINGS.items():
        lines = read_first_lines(view, render(result))
        for words in (cause.summary, "since ", "next", cause.hint, *names):
            assert words.replace("\\", "") in lines.replace("\\", ""), view


@pytest.mark.parametrize(
    ("case", "arguments", "since"),
    [
        ("deployment/crash-loop", ("--retry-limit", "1"), "the run began"),
        ("container/image-not-found", (), "1s before the run began"),
        ("container/liveness-loop", (), "1m before the run began"),
        ("job/backoff-limit", (), "1s before the run began"),
        ("statefulset/no-progress", (), "20s before the run began"),
        ("container/registry-down", ("--timeout", "10s"), "the run began"),
        ("kubectl/forbidden", (), ""),
    ],
)
def test_since_when_it_is_broken_is_told_relative_to_the_run(case: str, arguments: tuple[str, ...], since: str) -> None:
    """As the object tells it, or else as it was first seen."""
    assert tell_story(run("--replay", str(FIXTURES / case), *arguments).result).causes[0].since == since


@pytest.mark.parametrize(
    ("text", "began", "words"),
    [
        ("2026-11-23T06:37:44Z", 1795415852.0, "12s into the run"),
        ("2026-11-23T06:37:44Z", 1795415864.2, "the run began"),
        ("2026-11-23T06:37:44Z", 1795419464.0, "1h before the run began"),
        ("2026-11-23T06:37:44Z", None, "2026-11-23T06:37:44Z"),
        ("soon", 1795415852.0, "soon"),
    ],
)
def test_a_moment_for_people(text: str, began: float | None, words: str) -> None:
    assert describe_moment(text, began) == words


def test_what_is_below_leads_where_a_workload_only_says_that_nothing_moves() -> None:
    """Its probe is what is broken, and its pod is where to look."""
    lines = render_text(run("--replay", str(FIXTURES / "container/readiness-failing")).result).splitlines()
    assert lines[1].startswith(
        'cause: Container "main" is running, but not ready: its readiness probe (GET /missing on port 8080) does not'
    )
    assert lines[2].endswith("describe pod web-d6f7747db-fsbgl")
    assert '  Deployment "web" is not progressing: ReplicaSet "web-d6f7747db" has timed out progressing.' in lines


def test_events_that_say_the_same_are_one() -> None:
    events = [{"reason": "R", "message": f'pods "x-{number}" is forbidden', "count": 2, "lastSeen": None} for number in range(3)]
    (told,) = tell_story(result_of(cause("a", events=[*events, {**events[0], "message": None}]))).causes
    assert [each.sentence for each in told.events] == ['6x R: pods "x-0" is forbidden', "2x R"]
    at_once = result_of(cause("a"), startedAt="2026-11-23T06:37:44Z")
    assert tell_story(at_once).causes[0].events[0].sentence == "4x Killing: event a (last seen as the run began)"


def test_who_is_affected_in_a_few_words() -> None:
    keys = [("Deployment", "shop", name) for name in "abcde"]
    assert name_workloads(keys[:1]) == "Deployment/a in shop"
    assert name_workloads(keys[:2]) == "Deployment/a and Deployment/b in shop"
    assert name_workloads(keys) == "Deployment/a, Deployment/b, Deployment/c and 2 more in shop"
    assert name_workloads([keys[0], ("Node", "", "n"), ("Job", "other", "j")]) == "Deployment/a in shop, Node/n and Job/j in other"
    assert name_workloads([("Node", "", "n")]) == "Node/n"
    assert name_workloads([]) == ""


def test_a_teams_kind_that_errs_about_since_when_costs_no_verdict(tmp_path: Path) -> None:
    (tmp_path / "team.yaml").write_text("version: 1\nkinds:\n- name: deployment\n  facts: {since: sum(metadata.name)}\n")
    error = run("--replay", str(FIXTURES / "deployment/paused"), "--rules", str(tmp_path / "team.yaml")).error
    assert (error["code"], error["since"]) == ("paused", run("--replay", str(FIXTURES / "deployment/paused")).error["since"])


def test_a_pipeline_that_keeps_the_json_reads_three_lines_at_the_end() -> None:
    outcome = run("--replay", str(FIXTURES / "container/image-not-found"))
    first, second, third = outcome.stderr.splitlines()[-3:]
    assert first.startswith("The rollout failed after 1.1s: Deployment/app in ")
    assert second.startswith("cause: The image localhost:5000/app:does-not-exist ")
    assert third.startswith("  next: kubectl -n ")
    for case, more in (("container/image-not-found", ("-o", "text")), ("deployment/success", ()), ("kubectl/forbidden", ())):
        assert "The rollout" not in run("--replay", str(FIXTURES / case), *more).stderr


def test_a_container_that_does_not_tell_its_restarts_has_an_error_all_the_same(tmp_path: Path) -> None:
    text = (FIXTURES / "container/image-not-found/002.json").read_text()
    (tmp_path / "x.json").write_text(re.sub(r'"restartCount": \d+,?', "", text).replace(",\n      }", "\n      }"))
    assert run("--replay", str(tmp_path / "x.json")).error["since"] == "2026-11-23T06:46:11.000Z"
