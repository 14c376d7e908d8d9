"""What would never end is refused or bounded: expressions that double their value, and patterns of --redact that repeat repetitions."""

import json
import re
from pathlib import Path

import pytest
from conftest import FIXTURES, run
from test_patterns import child

from rollout_status_lib.secrets import SECRETS
from rollout_status_lib.values import LONGEST_PATTERN

# ------------------------------------------------------------------------------------------ expressions without end

DOUBLE = " | ".join(["[@, @]"] * 40)
CRASH = ("--replay", str(FIXTURES / "deployment/crash-loop"), "--quiet")


@pytest.mark.parametrize(
    "text",
    [
        f"self | {DOUBLE}",
        " | ".join(["[@, @][]"] * 40),
        " | ".join(["{a: @, b: @}"] * 40),
        "[self] | " + " | ".join(["map(&[@, @], @)"] * 40),
        " | ".join(["[@, @, @].[@, @]"] * 20),
        "[" * 11 + "self" + ", self]" + " | [@, @]].[@, @]" * 0 + "]" * 10 + f" | {DOUBLE}",
        " | ".join(["join('', [to_string(@), to_string(@)])"] * 40),
    ],
)
def test_an_expression_that_grows_without_end_is_refused(tmp_path: Path, text: str) -> None:
    def use() -> None:
        for arguments in (("--expect", text), ("query", text, "--subject", "pod")):
            outcome = run(*arguments[:1], *arguments[1:], *CRASH)
            assert outcome.exit == 2
            assert "copies of a value" in outcome.stderr + outcome.stdout

    assert child(use) == 0
    path = tmp_path / "rules.yaml"
    rule = f"{{id: acme/x, subject: pod, verdict: note, message: x, when: {json.dumps(text)}}}"
    path.write_text(f"version: 1\nrules:\n- {rule}\n")
    outcome = run(*CRASH, "--rules", str(path))
    assert (outcome.exit, outcome.error["code"]) == (2, "invalid-rules")
    assert f"{path}:3: acme/x: when: it can make more than 1,000 copies" in outcome.error["message"]


def test_lets_that_double_each_other_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "rules.yaml"
    lets = "\n".join(f"  a{number}: '[a{number - 1}, a{number - 1}]'" for number in range(1, 40))
    path.write_text(
        f"version: 1\nlet:\n  a0: self\n  own: '[own, own]'\n{lets}\nrules:\n- {{id: acme/x, subject: pod, verdict: note, message: x, when: a39 == own}}\n"
    )
    outcome = run(*CRASH, "--rules", str(path))
    assert (outcome.exit, outcome.error["code"]) == (2, "invalid-rules")
    assert f"{path}:" in outcome.error["message"]
    assert "copies of a value" in outcome.error["message"]


def test_no_rule_of_ours_comes_near() -> None:
    assert run("lint").exit == 0


# ------------------------------------------------------------------------------------------------------------ --redact


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a*)*b", "(?:a|aa)+$", "(x+x+)+y", "((ab)*c?)*d", "(a|b|ab)*c"])
def test_a_pattern_of_the_user_that_never_ends_is_refused(pattern: str) -> None:
    outcome = run(*CRASH, "--redact", pattern)
    assert (outcome.exit, outcome.error["code"]) == (2, "usage")
    assert "a repetition of what repeats" in outcome.error["message"]


@pytest.mark.parametrize(
    "pattern", ["(?:abc|def)?x", "token=[a-z]+", r"(\w{3}-){2}\d+", "a+b*c?", "(ab){3}", "(?i)secret", r"([a-f]{2}:){5}[a-f]{2}", "x(?=a+)"]
)
def test_a_pattern_that_ends_is_taken(pattern: str) -> None:
    assert run(*CRASH, "--redact", pattern).exit == 3


def test_a_pattern_that_is_very_long_is_refused() -> None:
    assert run(*CRASH, "--redact", "a" * (LONGEST_PATTERN + 1)).exit == 2


def test_several_repetitions_of_a_long_line_end() -> None:
    """A pattern sees pieces of a line."""
    SECRETS.begin([re.compile("a*a*b")])
    assert child(lambda: SECRETS.hide("a" * 20_000)) == 0
    SECRETS.forget()
