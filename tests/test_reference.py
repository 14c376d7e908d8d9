"""docs/rule-reference.md has each key of rule files, of recordings and of cases."""

import pytest
from reference import PAGE, SCHEMA, make_page, make_table

from rollout_status_lib.declarations import PARAMETER_TYPES
from rollout_status_lib.verbs.test import CASE_KEYS


def test_the_reference_is_current() -> None:
    """`make docs` writes it."""
    assert PAGE.read_text() == make_page()


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
