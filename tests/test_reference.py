"""The pages that `make docs` writes are current, and have all that there is: keys of rule files, flags, codes, deadlines."""

import re

import pages
import pytest
from conftest import ROOT
from reference import PAGE, SCHEMA, make_page, make_table

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


@pytest.mark.parametrize("part", ["rule", "kind", "param", "code", "step"])
def test_each_key_is_in_the_reference_with_what_it_means(part: str) -> None:
    rows = make_table(SCHEMA["definitions"][part], "it").splitlines()
    for key in SCHEMA["definitions"][part]["properties"]:
        assert any(row.startswith(f"| `{key}` | ") and not row.endswith("|  |") for row in rows), key


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
