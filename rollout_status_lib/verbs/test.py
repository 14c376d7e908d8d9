"""The verb test: cases replayed and compared with what they expect."""

from __future__ import annotations

import difflib
import io
import os
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from rollout_status_lib import Json, find_data
from rollout_status_lib.arguments import build_verb_parser, describe_exits
from rollout_status_lib.errors import RolloutError, UnreadableError, suggest
from rollout_status_lib.objects import get_field
from rollout_status_lib.rulefile import Document
from rollout_status_lib.rules import Rules
from rollout_status_lib.subjects import walk_subjects
from rollout_status_lib.values import parse_timestamp
from rollout_status_lib.verbs import Engine, run_engine, run_verb


@dataclass(frozen=True)
class Outcome:
    """A case as it was run. `problems` are what is wrong with the case itself, `difference` is what came otherwise than expected."""

    case: Path
    name: str  # its path below the folder that was searched
    about: str
    expected: Json
    got: Json
    problems: tuple[str, ...]
    judged: frozenset[str]  # the kinds of subjects that were judged

    @property
    def passed(self) -> bool:
        return not self.problems and self.expected == self.got

    @property
    def difference(self) -> str:
        """What was expected and what came, line by line."""
        texts = [yaml.safe_dump(each, sort_keys=True, width=140, allow_unicode=True).splitlines() for each in (self.expected, self.got)]
        return "\n".join(difflib.unified_diff(texts[0], texts[1], "expected", "got", lineterm=""))


CASE_KEYS = ("about", "args", "stdin", "not_before", "expect")


def read_case(folder: Path) -> Document:
    """The case.yaml of a folder; RolloutError `usage`, with its line, when no case is like that."""
    document = Document(folder / "case.yaml", "usage")
    case = document.get_mapping((), CASE_KEYS, ("args",))
    document.get_mapping(("expect",), ("exit", "rules", "result"))
    for at in (("args",), ("expect", "rules")):
        if not isinstance(document.get(at, []), list):
            document.refuse(at, f"{at[-1]} must be a list")
    for name in ("recording.yaml", *([case["stdin"]] if "stdin" in case else ())):
        if not isinstance(name, str) or not (folder / name).is_file():
            document.refuse(("stdin",), f"there is no file {name} beside it")
    try:
        parse_timestamp(str(case.get("not_before", "1970-01-01T00:00:00Z")))
    except UnreadableError as error:
        document.refuse(("not_before",), str(error))
    return document


def run_case(engine: Engine, folder: Path, rules: Sequence[str] = (), base: Path | None = None, *, name: str = "") -> Outcome:
    """Replays a case. Its arguments are as from its folder; `rules` are files of teams, by absolute paths."""
    case = read_case(folder).content
    expected = case.get("expect", {})
    before = Path.cwd()
    arguments = ["--quiet", "--replay", ".", *(f"--rules={path}" for path in rules), *map(str, case["args"])]
    stdin, sys.stdin = sys.stdin, io.StringIO((folder / case["stdin"]).read_text(encoding="utf-8") if "stdin" in case else "")
    os.chdir(folder)
    try:
        run = run_engine(engine, arguments, base)
    finally:
        os.chdir(before)
        sys.stdin = stdin
    result = {key: value for key, value in run.result.items() if key not in ("elapsedSeconds", "polls")}
    got = {"exit": run.exit_code, "rules": sorted({rule for rule, _ in run.memory.since}), "result": result}
    problems = [
        f"no rule {name}{suggest(name, run.rules.rules)}"
        for name in expected.get("rules") or ()
        if run.rules and name not in (*run.rules.rules, *(rule.id for rule in run.judge.expected))
    ]
    used = {"recording.yaml", "case.yaml", case.get("stdin")} | set(
        re.findall(r"[\w.-]+\.json", (folder / "recording.yaml").read_text(encoding="utf-8", errors="replace"))
    )
    problems += [f"{path.name} is not used" for path in sorted(folder.glob("*.json")) if path.name not in used]
    if "not_before" in case and run.memory.started + run.result["elapsedSeconds"] < parse_timestamp(str(case["not_before"])):
        problems.append(f"the verdict came before {case['not_before']}")
    workloads = run.judgement.workloads if run.judgement else ()
    judged = {subject.kind.name for workload in workloads for subject in walk_subjects(workload.subject)} | (
        {"call"} if run.memory.failed_calls else set()
    )
    return Outcome(folder, name or folder.name, str(case.get("about", "")), expected, got, tuple(problems), frozenset(judged))


def main(argv: Sequence[str], engine: Engine) -> tuple[str, int]:
    """Runs cases as tests."""
    flags = build_verb_parser(
        "test [DIR ...] [flags]",
        "Replays each folder with a case.yaml in or below DIR, and compares all that comes out.",
        describe_exits("no case failed", "a case failed"),
    )
    flags.add_argument("folders", nargs="*", metavar="DIR", help="default: the built-in fixtures")
    flags.add_argument("--rules", action="append", default=[], metavar="PATH", help="a team's rules; repeatable")
    flags.add_argument(
        "--strict", action="store_true", help="a rule without a case in which it holds, and one in which it does not, is a failure"
    )
    flags.add_argument("--update", action="store_true", help="write what came as what is expected, to be looked at with git diff")
    flags.add_argument(
        "--against",
        metavar="PATH",
        help="list the cases whose verdict differs under these rules: `builtin`, a team's, or a folder of built-in ones",
    )
    return run_verb("test", lambda: test(flags.parse(argv), engine))


def test(options: Any, engine: Engine) -> tuple[str, int]:
    folders = [Path(each) for each in options.folders] or [find_data("fixtures")]
    cases = find_cases(folders)
    if not cases:
        where = ", ".join(options.folders)
        raise RolloutError("usage", f"there is no case.yaml in or below {where}" if where else "name a folder: only a checkout has cases")
    rules = [str(Path(path).resolve()) for path in options.rules]
    outcomes = [run_case(engine, case, rules, name=name) for case, name in cases.items()]
    if options.against:
        return compare(engine, outcomes, options.against)
    lines = []
    for outcome in outcomes:
        if options.update and outcome.expected != outcome.got:
            update_case(outcome)
            lines.append(f"{outcome.name}: written")
        elif not outcome.passed:
            lines += [
                f"{outcome.name}: failed{f': {outcome.about}' if outcome.about else ''}",
                *(f"  {problem}" for problem in outcome.problems),
            ]
            lines += [f"  {line}" for line in outcome.difference.splitlines()]
    whole = not options.folders or rules or options.strict  # a few cases of somebody's own are no test of the built-in rules
    untested = list(find_unexercised(outcomes, rules)) if whole else []
    failed = sum(not outcome.passed for outcome in outcomes) if not options.update else 0
    summary = f"{len(outcomes)} cases, {failed} failed" + (f", {len(untested)} rules without a case" if whole else "")
    return "\n".join([*lines, *untested, summary]), int(bool(failed or (options.strict and untested)))


def find_cases(folders: Sequence[Path]) -> dict[Path, str]:
    """The folders that have a case.yaml, in order, each with its path below the searched folder."""
    found = {path.parent.resolve(): path.parent.relative_to(folder) for folder in folders for path in folder.rglob("case.yaml")}
    return {case: str(name) if name.parts else case.name for case, name in sorted(found.items())}


def find_unexercised(outcomes: Sequence[Outcome], teams: Sequence[str]) -> Iterator[str]:
    """A line for each rule that holds in no case, or in all in which its subject is judged; of teams, if there are some, each
    that is theirs or that they override.
    """
    own = {path for team in map(Path, teams) for path in (team.glob("*.y*ml") if team.is_dir() else [team])}
    rules = Rules(find_data("rules"), [Path(path) for path in teams], packs=None)
    for rule in rules.rules.values():
        if teams and not any(document.path in own for document, _ in rules.files.entries["rules"][rule.id].fields.values()):
            continue
        judged = [outcome for outcome in outcomes if outcome.judged & set(rule.subjects) or "workload" in rule.subjects]
        held = [outcome for outcome in outcomes if rule.id in outcome.got["rules"]]
        if not held:
            yield f"{rule.where}: no case in which it holds"
        if all(outcome in held for outcome in judged):
            yield f"{rule.where}: no case in which its subject is judged and it does not hold"


class Dumper(yaml.SafeDumper):
    """Texts of several lines as blocks."""


Dumper.add_representer(
    str, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)
)


def update_case(outcome: Outcome) -> None:
    """Writes what came into case.yaml as what is expected."""
    path = outcome.case / "case.yaml"
    content = {**Document(path, "usage").content, "expect": outcome.got}
    path.write_text(yaml.dump(content, Dumper=Dumper, sort_keys=False, width=120, allow_unicode=True), encoding="utf-8")


def compare(engine: Engine, outcomes: Sequence[Outcome], against: str) -> tuple[str, int]:
    """The cases whose verdict differs between two sets of rules."""
    path = Path(against).resolve()
    base = path if (path / "codes.yaml").is_file() else None
    teams = [] if base or against == "builtin" else [str(path)]
    if not Rules(base or find_data("rules"), [Path(team) for team in teams], packs=None).rules:  # or a RolloutError, if one is wrong
        raise RolloutError("usage", f"--against {against}: there are no rules")
    lines = []
    for outcome in outcomes:
        old = run_case(engine, outcome.case, teams, base)
        verdicts = [f"exit {each.got['exit']} {get_field(each.got['result'], 'error', 'code') or 'success'}" for each in (old, outcome)]
        if old.got != outcome.got:
            lines.append(
                f"{outcome.name}: {verdicts[0]} -> {verdicts[1]}" + ("" if verdicts[0] != verdicts[1] else ", with other words or rules")
            )
    return "\n".join([*lines, f"{len(outcomes)} cases, {len(lines)} differ"]), 0
