"""Reports of recordings and of runs: what they say, that it is well-formed, and that nothing of the cluster can break out of it."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree  # noqa: ICN001, as it is called

import crowds
import junit_schema
import pytest
import xmlschema
import yaml
from conftest import FIXTURES, ROOT, environment, run, snapshot

import rollout_status
from rollout_status_lib.clean import clean_line
from rollout_status_lib.objects import get_creation_moment
from rollout_status_lib.reports.junit import render_junit
from rollout_status_lib.reports.markdown import escape_prose, render_markdown
from rollout_status_lib.reports.markup import make, write_markup
from rollout_status_lib.reports.page import render_page
from rollout_status_lib.reports.timeline import MOST_MARKS, Lane, Mark, Timeline
from rollout_status_lib.rules import Rules
from rollout_status_lib.story import Event, Story, tell_story
from rollout_status_lib.values import format_span
from rollout_status_lib.views.rows import make_rows

Program = Callable[[str], str]
XSD = xmlschema.XMLSchema(junit_schema.SCHEMA.read_text())  # which `make` puts there
VOID = ("meta", "br", "hr", "img", "link", "input")
HOSTILE = (
    "</script></pre><img src=x onerror=alert(1)>\x1b[31mred\x1b]0;title\x07 \x00\x08\ufffe ]]> `tick` ``` | a\\|b *x* <b>&amp;</b> \u202eevil "
    + "x" * 9000
)


class Page(HTMLParser):
    """Reads a page strictly: each element is closed in its order, and nothing in it runs or loads anything."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict]] = []
        self.text = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes) -> None:
        assert len(dict(attributes)) == len(attributes)
        assert tag not in ("script", "img", "iframe", "object", "embed", "form", "a", "link", "base")
        assert not any(name.startswith("on") or name in ("src", "href") for name, _ in attributes)
        self.elements.append((tag, dict(attributes)))
        self.open += [] if tag in VOID else [tag]

    def handle_endtag(self, tag) -> None:
        assert self.open.pop() == tag

    def handle_data(self, text) -> None:
        self.text += text if self.open[-1:] != ["style"] else ""

    def all(self, tag: str, kind: str) -> list[dict]:
        return [attributes for name, attributes in self.elements if name == tag and kind in (attributes.get("class") or "").split()]


def reports(source: Path, folder: Path, *arguments: str) -> tuple[Page, str, ElementTree.Element]:
    """The page, the Markdown and the JUnit of a recording; each is well-formed."""
    files = [str(folder / f"r.{ending}") for ending in ("html", "md", "xml")]
    outcome = run("report", str(source), *(word for name in files for word in ("-o", name)), *arguments)
    assert (outcome.exit, outcome.stderr) == (0, "")
    html, markdown, junit = (Path(name).read_text() for name in files)
    assert re.search(r"<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline';", html)
    assert "url(" not in html
    assert "@import" not in html
    XSD.validate(files[2])
    return Page(html), markdown, ElementTree.fromstring(junit)


def args_of(case: str) -> list[str]:
    return yaml.safe_load((FIXTURES / case / "case.yaml").read_text())["args"]


CASES = ["deployment/crash-loop", "pod/unschedulable-memory", "container/image-not-found", "container/init-crash-loop", "job/success",
         "job/backoff-limit", "statefulset/crash-loop", "deployment/update-success", "pod/evicted-then-ready", "selection/release-two-failures",
         "container/sidecar-crash", "pod/ready-then-deleted", "selection/release-finished-job-removed", "packs/cert-manager/certificate-failed", "selection/namespace-empty",
         "deployment/deleted-while-watched", "kubectl/forbidden", "kubectl/down-for-a-while", "pod/sandbox-fails", "deployment/created-anew"]  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_reports_of_a_case(case: str, tmp_path: Path) -> None:
    """They say what the result says."""
    arguments = args_of(case)
    if "-" in arguments or any(word.startswith("../") for word in arguments):
        arguments = []
    result = run("--replay", str(FIXTURES / case), "--quiet", *arguments).result
    page, markdown, junit = reports(FIXTURES / case, tmp_path, *arguments)
    headline = tell_story(result).headline
    assert headline in page.text
    assert headline in markdown.splitlines()[0]
    workloads = result.get("workloads", [])
    own = [each for each in junit.iter("testcase") if each.get("classname") != "rollout-status"]
    named = [(each.get("classname"), each.get("name")) for each in own]
    assert {(each["namespace"], f"{each['kind']}/{each['name']}") for each in workloads} <= set(named)
    for workload in workloads:
        summary = workload.get("summary", workload["message"])
        assert clean_line(summary) in page.text
        assert escape_prose(summary) in markdown
        [case_] = [
            each
            for each in own
            if (each.get("classname"), each.get("name")) == (workload["namespace"], f"{workload['kind']}/{workload['name']}")
        ]
        inside = {"failed": "failure", "ready": None, "waiting": "skipped", "ignored": "skipped"}[workload["status"]]
        assert ([child.tag for child in case_][:1] or [None]) == [inside]
    for cause in [result["error"], *result.get("errors", [])] if "error" in result else []:
        assert clean_line(cause["message"]) in page.text
        assert escape_prose(cause["message"]) in markdown
        assert cause.get("summary", cause["message"]) in [each.get("message") for tag in ("failure", "error") for each in junit.iter(tag)]
        assert cause.get("hint", "") in page.text
        assert cause.get("hint", "") in markdown
    counted = {name: sum(int(suite.get(name)) for suite in junit.iter("testsuite")) for name in ("tests", "failures", "errors")}
    assert {name: int(junit.get(name)) for name in counted} == counted
    assert counted["tests"] == len(list(junit.iter("testcase")))
    assert (counted["failures"] + counted["errors"] == 0) == result["success"]


def lanes_of(folder: Path, case: str, *arguments: str) -> dict[str, list[tuple[str, str]]]:
    """For each lane its stages, with what they say."""
    run = rollout_status.run_to_end(["--replay", str(FIXTURES / case), "--quiet", *arguments, "--report", str(folder / "r.md")])
    return {lane.name: [(mark.name, mark.text) for mark in lane.marks] for lane in run.timeline.lanes.values()}


@pytest.mark.parametrize(
    ("case", "arguments", "stages"),
    [
("deployment/crash-loop", (), ["created", "scheduled", "pulled", "started", "crashed", "started", "crashed", "warning", "started", "error"]),
        ("container/image-not-found", (), ["created", "scheduled", "warning", "error"]),
        ("pod/unschedulable-memory", (), ["created", "unschedulable", "warning"]),
        ("job/success", (), ["created", "scheduled", "pulled", "started", "ready", "ended", "succeeded"]),
        ("job/backoff-limit", (), ["created", "scheduled", "pulled", "started", "crashed", "failed"]),
        ("container/readiness-failing", (), ["created", "not ready", "scheduled", "pulled", "started", "warning"]),
    ],
)  # fmt: skip
def test_stages_of_a_pod(tmp_path: Path, case: str, arguments: tuple[str, ...], stages: list[str]) -> None:
    found = [[name for name, _ in marks] for marks in lanes_of(tmp_path, case, *args_of(case)).values()]
    iterators = [iter(names) for names in found]
    assert any(all(stage in names for stage in stages) for names in iterators), found  # in this order, others between


def test_stages_say_why(tmp_path: Path) -> None:
    [marks] = lanes_of(tmp_path, "deployment/crash-loop").values()
    assert ("crashed", 'Container "main" has ended with exit code 1 (Error)') in marks
    assert any(name == "error" and 'Container "main" is in "CrashLoopBackOff": back-off' in text for name, text in marks)
    assert any(name == "pulled" and "already present on machine" in text for name, text in marks)


def test_what_is_no_more_is_gone_and_what_is_of_another_revision_is_marked(tmp_path: Path) -> None:
    crowds.record(tmp_path / "five", {"web": (3, 1), "api": (2, 0)}, FIXTURES, olds=2)
    page, _, _ = reports(tmp_path / "five", tmp_path, "--retry-limit", "1")
    assert len(page.all("details", "lane")) == 9
    assert len(page.all("details", "older")) == 4
    assert page.text.count("gone") >= 4
    assert "failed 2/3" in page.text
    assert "error 3x" in page.text
    assert all("open" in each for each in page.all("details", "group"))
    assert page.text.index("Deployment/web") < page.text.index("Deployment/api")


def test_500_pods(tmp_path: Path) -> None:
    """Failing ones first; all that tell the same are one row that opens."""
    crowds.record(tmp_path / "many", {"api": (60, 0), "cart": (15, 0), "web": (425, 7)}, FIXTURES, olds=20)
    page, markdown, _ = reports(tmp_path / "many", tmp_path, "--retry-limit", "1")
    assert (tmp_path / "r.html").stat().st_size < 3_000_000
    groups = page.all("details", "group")
    assert ["open" in each for each in groups] == [True, True, True]
    assert ["compact" in each["class"] for each in groups] == [False, False, False]
    assert page.text.index("Deployment/web") < page.text.index("Deployment/api")
    for words in ("7 like web-", "418 like web-", "old 20 like web-", "60 like api-", "15 like cart-"):
        assert words in page.text
    assert ["open" in each for each in page.all("details", "alike")] == [False] * 7
    assert len(page.all("details", "lane")) == 560
    assert len(page.all("path", "bad")) == 2
    assert len(markdown.splitlines()) < 60


def test_forty_pods_that_tell_the_same_are_one_row_that_opens(tmp_path: Path) -> None:
    """On the page; in a terminal they are one line with a count."""
    crowds.record(tmp_path / "forty", {"web": (44, 40)}, FIXTURES, until=90)
    page, _, _ = reports(tmp_path / "forty", tmp_path, "--retry-limit", "1")
    [row] = page.all("details", "alike")
    assert "open" not in row
    assert "40 like web-6d4cf56db6-00000" in page.text
    assert len(page.all("details", "lane")) == 44
    judgement = rollout_status.run_to_end(["--replay", str(tmp_path / "forty"), "--quiet", "--retry-limit", "1"]).judgement
    assert [(each.status, each.more > 30) for each in make_rows(judgement)[0].below] == [("failed", True)]


def test_each_of_many_lanes_that_differ_has_its_row(tmp_path: Path) -> None:
    """Then they are lower, and workloads that are ready are closed."""
    story, timeline = told(tmp_path, "deployment/crash-loop")
    [lane] = timeline.lanes.values()
    for number in range(40):
        timeline.lanes[f"{number}"] = replace(lane, name=f"x-{number}", recorded={}, kind=replace(lane.kind, name=f"kind {number}"))
    page = Page(
        render_page(replace(story, outcomes=(*story.outcomes, replace(story.outcomes[0], key=("Job", "x", "y"), status="ready"))), timeline)
    )
    assert page.all("details", "alike") == []
    assert [("compact" in each["class"], "open" in each) for each in page.all("details", "group")] == [(True, True), (False, False)]


def test_the_headline_of_the_page_says_what_was_judged(kubectl: Program, tmp_path: Path) -> None:
    items = snapshot("deployment/crash-loop")
    program = kubectl(f'case "$*" in *current-context*) echo prod-eu ;; *" logs "*) echo "a log" ;; *) cat {items} ;; esac')
    for more, context in (([], "prod-eu"), (["--context", "named"], "named")):
        arguments = ["--kubectl", program, "--retry-limit", "1", "--quiet", *more]
        assert run(*arguments, "--report", str(tmp_path / "r.html")).exit == 1
        page = Page((tmp_path / "r.html").read_text())
        assert f"Deployment appnamespace r-deployment-crash-loopcontext {context}image localhost:5000/app:v1" in page.text
    assert "current-context" not in (tmp_path / "calls").read_text().splitlines()[-1]


def test_the_headline_names_the_first_of_many(tmp_path: Path) -> None:
    crowds.record(tmp_path / "six", {f"app-{number}": (1, number == 5) for number in range(6)}, FIXTURES)
    page, _, _ = reports(tmp_path / "six", tmp_path, "--retry-limit", "1")
    assert "Deployment app-5, app-0, app-1, app-2, 2 morenamespace shopimage" in page.text
    page, _, _ = reports(FIXTURES / "job/backoff-limit", tmp_path)
    assert re.search(r"Job \w+namespace [\w-]+image [\w:/.]+", page.text)


def test_what_is_in_no_namespace_is_told_without_one(tmp_path: Path) -> None:
    case = "packs/cert-manager/clusterissuer-failed"
    page, markdown, junit = reports(FIXTURES / case, tmp_path, *args_of(case))
    assert "ClusterIssuer letsencrypt30s" in page.text
    assert "- in: ClusterIssuer/letsencrypt\n" in markdown
    assert [(each.get("name"), each[0].get("classname")) for each in junit] == [("cluster", "cluster")]
    text = run("--replay", str(FIXTURES / case), *args_of(case), "-o", "text").stdout
    assert "  in: ClusterIssuer/letsencrypt\n" in text


def test_a_legend_explains_each_mark(tmp_path: Path) -> None:
    page, _, _ = reports(FIXTURES / "kubectl/down-for-a-while", tmp_path)
    for words in (
        "not yet",
        "failing",
        "of an earlier revision",
        "a stage",
        "a failure",
        "a warning",
        "the run began",
        "✖failed",
        "…waiting",
    ):
        assert words in page.text
    assert len(page.all("i", "outage")) == 2  # in the legend, and at the axis
    assert "i.outage" not in page.text


def test_nothing_of_the_cluster_breaks_out(tmp_path: Path) -> None:
    shutil.copytree(FIXTURES / "container/image-not-found", tmp_path / "hostile")
    for path in (tmp_path / "hostile").glob("*.json"):
        content = json.loads(path.read_text())
        for each in content["items"]:
            if each["kind"] == "Event":
                each["message"] = HOSTILE
            for status in each.get("status", {}).get("containerStatuses", []):
                status["state"].get("waiting", {})["message"] = f"{HOSTILE} not found https://user:password@example.com/x"
        path.write_text(json.dumps(content))
    page, markdown, _ = reports(tmp_path / "hostile", tmp_path)
    whole = (tmp_path / "r.html").read_text() + markdown + (tmp_path / "r.xml").read_text()
    assert "<img" not in whole
    assert "password" not in whole
    assert not set(whole) & {"\x1b", "\x00", "\x08", "\ufffe", "\u202e"}
    assert "x" * 3000 not in whole
    assert "red" in page.text
    assert "[31m" not in whole
    [row] = [line for line in markdown.splitlines() if line.startswith("| ✖")]
    assert len(re.findall(r"(?<!\\)\|", row)) == 5
    assert "\\`tick\\`" in markdown
    assert "&lt;b&gt;&amp;amp;" in markdown


def test_a_hostile_log(tmp_path: Path) -> None:
    shutil.copytree(FIXTURES / "deployment/crash-loop", tmp_path / "hostile")
    recording = yaml.load((tmp_path / "hostile" / "recording.yaml").read_text(), yaml.BaseLoader)
    logs = dict.fromkeys(recording["logs"], f"````\n</details>{HOSTILE[:100]}\ttab\n]]>\n")
    (tmp_path / "hostile" / "recording.yaml").write_text(yaml.safe_dump({**recording, "logs": logs}))
    page, markdown, junit = reports(tmp_path / "hostile", tmp_path, "--retry-limit", "1")
    assert "<img" not in (tmp_path / "r.html").read_text()
    assert len(page.all("pre", "log")) == 1
    fences = re.findall(r"^`````(?:text)?$", markdown, re.MULTILINE)
    assert len(fences) == 2  # longer than the one in the log
    assert "</details><" in next(junit.iter("system-out")).text
    assert "red" in next(junit.iter("system-out")).text


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("report.pdf", "ends in .html, .json, .md, .xml"),
        ("-", "ends in"),
        ("folder.html", "it is a folder"),
        ("file/report.md", "Not a directory"),
    ],
)
def test_a_file_that_can_be_no_report_is_refused_before_anything_is_polled(kubectl: Program, tmp_path: Path, name: str, words: str) -> None:
    (tmp_path / "folder.html").mkdir()
    (tmp_path / "file").write_text("")
    outcome = run("--kubectl", kubectl("exit 1"), "--report", str(tmp_path / name))
    assert (outcome.exit, outcome.error["code"]) == (2, "usage")
    assert words in outcome.error["message"].replace("File exists", "Not a directory")
    assert not (tmp_path / "calls").exists()


def test_a_report_that_cannot_be_written_never_hides_the_verdict(kubectl: Program, tmp_path: Path) -> None:
    program = kubectl(f"rm -rf {tmp_path}/out; cat {snapshot('deployment/success')}")
    outcome = run("--kubectl", program, "--report", str(tmp_path / "out" / "r.md"))
    assert outcome.exit == 0
    assert "could not be written" in outcome.result["notes"][-1]
    assert "rollout-status: the report" in outcome.stderr


def test_a_timeline_that_is_not_complete_hides_nothing(tmp_path: Path) -> None:
    rules = tmp_path / "team.yaml"
    rules.write_text("version: 1\nkinds:\n- name: pod\n  stages:\n  - {name: x, at: sum(metadata.name), means: wait}\n")
    outcome = run("report", str(FIXTURES / "deployment/success"), "-o", str(tmp_path / "r.md"), "--rules", str(rules))
    assert (outcome.exit, outcome.stdout) == (2, "\n")
    assert "the timeline is not complete" in outcome.stderr
    assert "The rollout succeeded" in (tmp_path / "r.md").read_text()


def test_a_lane_of_notes_alone(tmp_path: Path) -> None:
    rules = tmp_path / "team.yaml"
    rules.write_text("version: 1\nkinds:\n- name: pod\n  stages:\n  - {name: born, at: metadata.creationTimestamp, means: note}\n")
    page, _, _ = reports(FIXTURES / "deployment/success", tmp_path, "--rules", str(rules))
    assert "born" in page.text
    assert page.all("i", "note") == []


def test_events_that_no_api_server_writes(tmp_path: Path) -> None:
    content = json.loads(snapshot("deployment/success").read_text())
    for event in (each for each in content["items"] if each["kind"] == "Event"):
        event.update(count="many", firstTimestamp=[], message={})
    (tmp_path / "objects.json").write_text(json.dumps(content))
    outcome = run("--replay", str(tmp_path / "objects.json"), "--report", str(tmp_path / "r.html"))
    assert outcome.exit == 0
    Page((tmp_path / "r.html").read_text())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "write rollout-status report DIR"),
        (["x"], "write rollout-status report DIR"),
        (["-o", "r.md"], "write rollout-status report DIR"),
        (["--quiet", "-o", "r.md"], "write rollout-status report DIR"),
        (["nowhere", "-o", "r.md"], "nowhere"),
        (["nowhere", "-o"], "it is empty"),
        ([str(FIXTURES / "job/success"), "--output=r.pdf"], "ends in"),
    ],
)
def test_slips_with_the_verb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], words: str) -> None:
    monkeypatch.chdir(tmp_path)
    outcome = run("report", *arguments)
    assert outcome.exit == 2
    assert words in outcome.stderr
    assert not any(path.is_file() for path in tmp_path.iterdir())


def test_help_of_the_verb() -> None:
    assert run("report", "--help").stdout.startswith("usage: rollout-status report DIR -o FILE")


def test_a_live_run_reads_the_events_once_at_its_end(kubectl: Program, tmp_path: Path) -> None:
    items = json.loads(snapshot("deployment/crash-loop").read_text())["items"]
    for name, kinds in (("events", ["Event"]), ("objects", ["Deployment", "ReplicaSet", "Pod"])):
        (tmp_path / f"{name}.json").write_text(json.dumps({"kind": "List", "items": [each for each in items if each["kind"] in kinds]}))
    program = kubectl(
        f'case "$*" in */events*) cat {tmp_path}/events.json ;; *" logs "*) echo "a log" ;; *) cat {tmp_path}/objects.json ;; esac'
    )
    outcome = run("--kubectl", program, "--timeout", "1.2s", "--retry-limit", "10", "--report", str(tmp_path / "new" / "r.html"), "--quiet")
    assert (outcome.exit, outcome.result["polls"] > 1) == (3, True)
    assert (tmp_path / "calls").read_text().count("/events") == 1
    page = Page((tmp_path / "new" / "r.html").read_text())
    assert "already present on machine" in page.text
    assert (tmp_path / "new" / "r.html").stat().st_mode & 0o777 == 0o666 & ~umask()


def umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_events_that_cannot_be_evaluated_are_a_note(kubectl: Program, tmp_path: Path) -> None:
    rules = tmp_path / "team.yaml"
    rules.write_text(
        "version: 1\nkinds:\n- name: pod\n  stages:\n  - {name: y, each: events, means: note}\n  - {name: x, at: 'events && sum(events[].reason)', means: wait}\n"
    )
    program = kubectl(f"cat {snapshot('deployment/success')}")
    outcome = run("--kubectl", program, "--rules", str(rules), "--report", str(tmp_path / "r.md"), "--quiet")
    assert outcome.exit == 0
    assert "the timeline is not complete" in outcome.result["notes"][-1]


def test_an_outage_is_shown(tmp_path: Path) -> None:
    page, _, _ = reports(FIXTURES / "kubectl/down-for-a-while", tmp_path)
    assert len(page.all("i", "outage")) == 2  # at the axis, and in the legend
    assert "could not be asked" in page.text


def test_a_run_that_saw_nothing_has_a_report_too(kubectl: Program, tmp_path: Path) -> None:
    files = [str(tmp_path / f"r.{ending}") for ending in ("html", "md", "xml")]
    outcome = run("--kubectl", kubectl("echo no >&2; exit 1"), "--once", *(f"--report={name}" for name in files))
    assert outcome.exit == 4
    Page(Path(files[0]).read_text())
    XSD.validate(files[2])
    assert next(ElementTree.parse(files[2]).iter("error")).get("type") == outcome.error["code"]


def told(folder: Path, case: str, **changes) -> tuple[Story, Timeline]:
    """The story and the timeline of a case whose result is changed."""
    run = rollout_status.run_to_end(["--replay", str(FIXTURES / case), "--quiet", "--report", str(folder / "r.md"), *args_of(case)])
    result = {key: value for key, value in {**run.result, **changes}.items() if value is not None}
    return tell_story(result, run.timeline.list_sightings(), run.timeline.last), run.timeline


@pytest.mark.parametrize(
    ("changes", "rollback"), [(("image: a -> b <x>",), "kubectl rollout undo"), ((), "kubectl rollout undo"), (("image: a -> b <x>",), "")]
)
def test_what_changed_and_the_way_back_are_shown_when_they_are_known(tmp_path: Path, changes: tuple[str, ...], rollback: str) -> None:
    story, timeline = told(tmp_path, "deployment/crash-loop")
    story = replace(story, outcomes=tuple(replace(outcome, changes=changes, rollback=rollback) for outcome in story.outcomes))
    page, markdown = render_page(story, timeline), render_markdown(story)
    assert "Changed" in Page(page).text
    assert ("image: a -&gt; b &lt;x&gt;" in page) == ("image: a -&gt; b &lt;x&gt;" in markdown) == bool(changes)
    assert ("kubectl rollout undo" in page) == ("kubectl rollout undo" in markdown) == bool(rollback)


def test_many_workloads_and_causes_are_cut(tmp_path: Path) -> None:
    story, timeline = told(tmp_path, "deployment/crash-loop", notes=["a note"])
    story = replace(story, outcomes=story.outcomes * 130, causes=story.causes * 30)
    markdown, page = render_markdown(story), render_page(story, timeline)
    assert "… and 30 more\n" in markdown
    assert "… and 10 more causes" in markdown
    assert "- note: a note" in markdown
    assert "<summary>10 more</summary>" in page
    assert "<li>a note</li>" in page


def test_much_that_is_waited_for_is_folded(tmp_path: Path) -> None:
    story, timeline = told(tmp_path, "deployment/crash-loop")
    waits = tuple(f"Waiting for pod {number}" for number in range(8))
    page = render_page(replace(story, outcomes=tuple(replace(each, waiting_for=waits) for each in story.outcomes)), timeline)
    assert "<summary>and 3 more</summary>" in page
    assert all(wait in Page(page).text for wait in waits)


def test_events_of_a_cause(tmp_path: Path) -> None:
    story, timeline = told(tmp_path, "pod/sandbox-fails")
    event = Event("2026-11-23T12:00:00Z", 2, "A|B", "")
    story = replace(story, causes=(replace(story.causes[0], events=(event,)),))
    assert "| 2026-11-23T12:00:00Z | 2 | A\\|B |  |" in render_markdown(story)
    assert "<td>A|B</td>" in render_page(story, timeline)


def test_a_workload_that_vanished_is_gone_and_one_of_a_lost_judgement_is_what_it_was(tmp_path: Path) -> None:
    story, _ = told(tmp_path, "deployment/deleted-while-watched")
    assert [outcome.status for outcome in story.outcomes] == ["gone"]
    assert next(ElementTree.fromstring(render_junit(story)).iter("failure")).get("type") == "not-found"
    story, _ = told(tmp_path, "deployment/deleted-while-watched", workloads=None)
    assert [outcome.status for outcome in story.outcomes] == ["waiting"]


def test_what_vanished_from_a_success_is_no_failure(tmp_path: Path) -> None:
    story, _ = told(tmp_path, "deployment/deleted-while-watched", success=True, error=None)
    [case] = ElementTree.fromstring(render_junit(story)).iter("testcase")
    assert [(each.tag, each.get("message", "").split(":")[0]) for each in case] == [("skipped", "gone")]


def test_markup_escapes_whatever_is_in_it() -> None:
    hostile = "<b>\x00\x1b\ud800\ufffe&\"'</b>"
    element = make("p", "a", "b", None, make("b", "c", title=hostile, class_="x", aria_hidden="true", open=None), hostile, "d")
    text = write_markup(element)
    assert "".join(element.itertext()) == f"abc{hostile}d"
    [child] = parsed = ElementTree.fromstring(text)
    assert (parsed.text, child.text) == ("ab", "c")
    assert child.tail == child.get("title") + "d" == "<b>\ufffd\ufffd\ufffd\ufffd&\"'</b>d"
    assert sorted(child.keys()) == ["aria-hidden", "class", "title"]
    assert write_markup(make("i")) == "<i></i>"


def test_a_lane_keeps_no_more_than_it_can_show() -> None:
    kind = Rules(ROOT / "rules").kinds["pod"]
    lane = Lane("x", ("Pod", "n", "x"), kind, 0.0)
    assert lane.state.name == "seen"
    for moment in range(500):
        lane.add(Mark(float(moment), 1, "crashed", "bad", ""))
    lane.add(Mark(-5.0, 1, "before it was", "bad", ""))
    assert [mark.at for mark in lane.marks][:: MOST_MARKS - 1] == [0.0, 499.0]
    assert len(lane.marks) == MOST_MARKS


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (0.25, "0.2s"), (9, "9s"), (5.96, "6s"), (61.9, "1m 1s"), (3600, "1h"), (-3725, "-1h 2m"), (90000, "1d 1h")],
)
def test_span(seconds: float, text: str) -> None:
    assert format_span(seconds) == text


def test_a_day_long_timeline_has_few_ticks(tmp_path: Path) -> None:
    shutil.copytree(FIXTURES / "deployment/crash-loop", tmp_path / "long")
    recording = yaml.load((tmp_path / "long" / "recording.yaml").read_text(), yaml.BaseLoader)
    recording["polls"] = [recording["polls"][0], {**recording["polls"][-1], "at": "2026-11-24T05:45:38Z"}]
    (tmp_path / "long" / "recording.yaml").write_text(yaml.safe_dump({"exact": True, **recording}))
    page, _, _ = reports(tmp_path / "long", tmp_path, "--retry-limit", "1")
    assert "20h" in page.text or "21h" in page.text


def test_a_creation_that_cannot_be_read() -> None:
    assert get_creation_moment({"metadata": {}}) == 0.0


# ---------------------------------------------------------------------------------------------------------------- dump


def test_a_run_that_fails_is_dumped_and_replays(kubectl: Program, tmp_path: Path) -> None:
    folder = tmp_path / "new" / "dump"
    items = json.loads(snapshot("deployment/crash-loop").read_text())
    (tmp_path / "objects.json").write_text(json.dumps(items))
    program = kubectl(f'case "$*" in *" logs "*) echo "a log" ;; *) cat {tmp_path}/objects.json ;; esac')
    live = run("--kubectl", program, "--retry-limit", "1", "--dump", str(folder))
    assert (live.exit, live.error["log"]) == (1, "a log\n")
    assert sorted(path.name for path in folder.iterdir()) == ["001.json", "recording.yaml"]
    assert folder.stat().st_mode & 0o777 == 0o700
    assert run("--replay", str(folder), "--retry-limit", "1").result == live.result
    assert run("--kubectl", program, "--retry-limit", "1", "--dump", str(folder)).exit == 1  # in the place of the one of the last run
    (folder / "mine").write_text("")
    again = run("--kubectl", program, "--dump", str(folder))
    assert (again.exit, again.error["code"], (folder / "mine").exists()) == (2, "usage", True)
    assert "File exists" in run("--kubectl", program, "--dump", str(tmp_path / "objects.json")).error["message"]


def test_a_run_that_times_out_is_dumped(kubectl: Program, tmp_path: Path) -> None:
    live = run("--kubectl", kubectl(f"cat {snapshot('deployment/not-observed')}"), "--timeout", "1s", "--dump", str(tmp_path / "dump"))
    assert live.exit == 3
    replayed = run("--replay", str(tmp_path / "dump"))
    assert (replayed.exit, replayed.error["code"]) == (3, "timeout")


@pytest.mark.parametrize("was_there", [False, True])
def test_a_run_that_succeeds_leaves_nothing(kubectl: Program, tmp_path: Path, was_there: bool) -> None:
    folder = tmp_path / "new" / "dump"
    if was_there:
        folder.mkdir(parents=True)
    outcome = run("--kubectl", kubectl(f"cat {snapshot('deployment/success')}"), "--dump", str(folder))
    assert outcome.exit == 0
    assert list((tmp_path / "new").glob("**/*")) == ([folder] if was_there else [])
    assert (tmp_path / "new").exists() == was_there


def test_a_folder_with_somebody_elses_files_stays(kubectl: Program, tmp_path: Path) -> None:
    program = kubectl(f"touch {tmp_path}/dump/theirs; cat {snapshot('deployment/success')}")
    assert run("--kubectl", program, "--dump", str(tmp_path / "dump")).exit == 0
    assert [path.name for path in (tmp_path / "dump").iterdir()] == ["theirs"]


def test_a_run_that_saw_nothing_is_not_dumped(kubectl: Program, tmp_path: Path) -> None:
    outcome = run("--kubectl", kubectl("exit 1"), "--dump", str(tmp_path / "dump"), "--check-access")
    assert outcome.exit == 4
    assert not (tmp_path / "dump").exists()


def test_a_dump_that_cannot_be_written_never_hides_the_verdict(kubectl: Program, tmp_path: Path) -> None:
    program = kubectl(f"rm -rf {tmp_path}/dump; cat {snapshot('deployment/crash-loop')}")
    outcome = run("--kubectl", program, "--retry-limit", "1", "--dump", str(tmp_path / "dump"))
    assert outcome.exit == 1
    assert any("the recording is not complete" in note for note in outcome.result["notes"])


def test_a_run_that_is_interrupted_is_dumped_and_reported(kubectl: Program, tmp_path: Path) -> None:
    program = kubectl(f"cat {snapshot('deployment/not-observed')}")
    command = [sys.executable, str(ROOT / "rollout_status.py"), "--kubectl", program, "--dump", str(tmp_path / "dump")]
    process = subprocess.Popen(
        [*command, "--report", str(tmp_path / "r.md")], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment()
    )
    while not list(tmp_path.glob("dump/.*/recording.yaml")):
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    result = json.loads(process.communicate()[0])
    assert (process.returncode, result["error"]["code"]) == (130, "interrupted")
    assert run("--replay", str(tmp_path / "dump")).error["code"] == "timeout"
    assert "interrupted" in (tmp_path / "r.md").read_text()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--record", "a", "--dump", "b"], "write either --record or --dump"),
        (["--dump", "a", "--replay", "b"], "--dump needs a cluster"),
    ],
)
def test_slips_with_dump(arguments: list[str], words: str) -> None:
    outcome = run(*arguments)
    assert (outcome.exit, words in outcome.error["message"]) == (2, True)
