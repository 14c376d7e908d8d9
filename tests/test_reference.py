"""The pages that `make docs` writes are current, and have all that there is: keys of rule files, flags, codes, deadlines."""

import re

import pages
import pytest
from conftest import ROOT
from reference import PAGE, get_part, list_tables, make_page, make_table

from rollout_status import run_to_end
from rollout_status_lib.arguments import build_parser
from rollout_status_lib.declarations import PARAMETER_TYPES
from rollout_status_lib.verbs.test import CASE_KEYS


def test_the_reference_is_current() -> None:
    """`make docs` writes it."""
    assert PAGE.read_text() == make_page()


@pytest.mark.parametrize("name", pages.PAGES)
def test_a_generated_page_is_current(name: str) -> None:
    assert (ROOT / "docs" / name).read_text() == pages.PAGES[name]()


def test_each_flag_is_in_the_reference() -> None:
    flags = {f"--{name}" for name in build_parser().flags() if len(name) > 1} - {"--kind-filter", "--kubecontext"}
    assert flags <= set(re.findall(r"`(--[a-z-]+)", pages.make_reference()))


def test_each_duration_is_among_the_deadlines_with_the_rules_that_read_it() -> None:
    rows = dict(re.findall(r"^\| `(\w+)`.* \| (.*) \|$", pages.make_deadlines(), re.MULTILINE))
    durations = [name for name, entry in pages.RULES.files.entries["params"].items() if entry.get("type") == "duration"]
    assert [name for name in durations if not rows[name]] == []


def test_pages_link_to_what_there_is() -> None:
    """Files, and headings in them; the README links to each page."""
    links = re.compile(r"\]\(([^)#\s:]*)(#[^)\s]*)?\)")
    places = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md", *(ROOT / "docs").glob("*.md")]
    for page in places:
        for file, heading in links.findall(re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)):
            target = page.parent / file if file else page
            assert target.exists(), f"{page.name}: {file}"
            heads = re.findall(r"^#+ (.*)$", target.read_text(), re.MULTILINE) if heading else []
            assert not heading or heading[1:] in [re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads], (
                page.name + heading
            )
    linked = {file for file, _ in links.findall((ROOT / "README.md").read_text())}
    assert {f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")} <= linked
    assert len((ROOT / "README.md").read_text().splitlines()) <= 130


def list_parts() -> list[str]:
    """Each part of a rule file that has keys, and each part of those, as the tables are named."""
    names = ["file", "rule", "kind", "param", "code", "step"]
    for name in names:  # which grows while we go through it
        names += [f"{name}.{key}" for key, value in get_part(name)["properties"].items() if "properties" in value.get("items", value)]
    return names


@pytest.mark.parametrize("part", list_parts())
def test_each_key_is_in_the_reference_with_what_it_means(part: str) -> None:
    assert part in list_tables(PAGE.read_text())
    rows = make_table(part).splitlines()
    for key in get_part(part)["properties"]:
        assert any(row.startswith(f"| `{key}` | ") and not row.endswith("|  |") for row in rows), key


def test_each_root_is_in_the_reference() -> None:
    """Those that every rule sees; the others have the names of kinds."""
    seen = run_to_end(["--replay", str(ROOT / "fixtures/deployment/success"), "--quiet"])
    moment = seen.judge.examine(seen.before, seen.snapshot)
    (workload,) = moment.judge_all()[0].workloads
    roots = {*moment.get_roots(workload.subject), "events", "history", "used"} - seen.rules.kinds.keys()
    assert [root for root in roots - {"null"} if f"`{root}`" not in PAGE.read_text()] == []


def test_parameter_types_recordings_cases_and_editors() -> None:
    page = make_page()
    words = (
        *PARAMETER_TYPES,
        *CASE_KEYS,
        "polls",
        "error",
        "skipped",
        "until",
        "logs",
        "applied",
        "words",
        "exact",
        "revisions",
        "code",
        "message",
        "choices",
    )
    assert [word for word in words if f"`{word}`" not in page] == []
    assert "yaml-language-server: $schema=" in page
    assert "IntelliJ" in page
