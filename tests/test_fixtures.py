"""Each folder with a case.yaml below fixtures/ is a case: its recording is replayed, and all that comes out is compared with case.yaml."""

import pytest
import yaml
from conftest import CASES, FIXTURES, ROOT, run

from rollout_status import run_to_end
from rollout_status_lib.rules import Rules
from rollout_status_lib.verbs.test import run_case

EXPECTED = {case: yaml.safe_load((FIXTURES / case / "case.yaml").read_text()) for case in CASES}
RULES = Rules(ROOT / "rules", packs=None)


@pytest.mark.parametrize("case", CASES)
def test_case(case: str) -> None:
    outcome = run_case(run_to_end, FIXTURES / case)
    assert not outcome.problems
    assert outcome.got == outcome.expected, outcome.difference


def test_a_rule_file_and_its_cases_share_a_name() -> None:
    files = {str(path.relative_to(ROOT / "rules").with_suffix("")) for path in (ROOT / "rules").rglob("*.yaml")}
    assert {case.rpartition("/")[0] for case in CASES} == (files - {"codes", "words"}) | {"seed", "selection"}


def test_the_list_of_rule_files_is_whole() -> None:
    """A copy of the program is compared with it."""
    folder = ROOT / "rules"
    assert (folder / "files.txt").read_text().split() == sorted(str(path.relative_to(folder)) for path in folder.rglob("*.yaml"))


@pytest.mark.parametrize("case", CASES)
def test_folder_is_whole(case: str) -> None:
    """Nothing is in it that a recording must not have."""
    folder = FIXTURES / case
    for path in folder.glob("*.json"):
        assert "managedFields" not in path.read_text()
        assert "last-applied-configuration" not in path.read_text()


@pytest.mark.parametrize("rule", RULES.rules)
def test_rule_fires_in_one_case_and_not_in_another(rule: str) -> None:
    """The other case is one with a subject of the same kind, so that the rule was judged and did not hold."""
    firing = [case for case in CASES if rule in EXPECTED[case]["expect"]["rules"]]
    kin = {other.id for other in RULES.rules.values() if set(other.subjects) & set(RULES.rules[rule].subjects)}
    silent = [case for case in CASES if case not in firing and kin & set(EXPECTED[case]["expect"]["rules"])]
    assert firing, "no fixture in which it fires"
    assert silent, "no fixture in which its subject is judged and it must not fire"


def test_the_same_recording_gives_the_same_answer() -> None:
    case = str(FIXTURES / "deployment/crash-loop")
    assert run("--replay", case, "--retry-limit", "1").stdout == run("--replay", case, "--retry-limit", "1").stdout
