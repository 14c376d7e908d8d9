"""The verb test: replays cases and compares each with what it expects."""

from __future__ import annotations

import difflib
import io
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from rollout_status_lib import Json, find_data
from rollout_status_lib.arguments import build_verb_parser, describe_exits
from rollout_status_lib.errors import DOUBTS, RolloutError, UnreadableError, suggest
from rollout_status_lib.objects import get_field
from rollout_status_lib.rule_merge import list_rule_files
from rollout_status_lib.rulefile import Document
from rollout_status_lib.rules import Rules
from rollout_status_lib.sources.replay import read_document
from rollout_status_lib.subjects import walk_subjects
from rollout_status_lib.untrusted import is_name
from rollout_status_lib.values import count, parse_timestamp
from rollout_status_lib.verbs import Engine, Run, run_engine, run_verb

FORBIDDEN = ("dump", "kubectl", "record", "replay", "report")  # flags that a case from anywhere must not have
CASE_KEYS = ("about", "args", "stdin", "not_before", "expect")


@dataclass(frozen=True)
class Outcome:
    """What a case gave, beside what it expects."""

    case: Path
    name: str  # its path below the folder that was searched
    about: str
    expected: Json
    got: Json
    problems: tuple[str, ...]  # what is wrong with the case itself
    judged: frozenset[str]  # the kinds of subjects that were judged

    @property
    def passed(self) -> bool:
        return not self.problems and self.agrees

    @property
    def agrees(self) -> bool:
        """True if what came is what is expected: all of it if `result` is expected, or else the parts that are."""
        return bool(self.expected == self.compared)

    @property
    def compared(self) -> Json:
        """What came, of all that is expected; a part that agrees is as it is expected."""
        if not self.expected or "result" in self.expected:
            return self.got
        error, expected = self.got["result"].get("error", {}), self.expected
        came = {**self.got, "code": error.get("code", "success"), "message": error.get("message", "")}
        parts = {key: came[key] for key in expected}
        if set(expected.get("rules", ())) <= set(came["rules"]):
            parts |= {key: expected[key] for key in expected if key == "rules"}
        wanted = expected.get("message")
        words = wanted["contains"] if isinstance(wanted, dict) else None
        if words and all(word in came["message"] for word in ([words] if isinstance(words, str) else words)):
            parts["message"] = wanted
        return parts

    @property
    def fault(self) -> str:
        """The error of the rules that came: nobody expects one. Empty if there was none."""
        result = self.got["result"]
        error = result.get("error", {})
        doubts = [note.partition(": ")[2] for note in result.get("notes", ()) if note.startswith(DOUBTS)]
        return str(error["message"] if error.get("code") == "invalid-rules" else next(iter(doubts), ""))

    @property
    def difference(self) -> str:
        """What was expected and what came, as a diff; empty if they are the same."""
        texts = [
            yaml.safe_dump(each, sort_keys=True, width=140, allow_unicode=True).splitlines() for each in (self.expected, self.compared)
        ]
        return "\n".join(difflib.unified_diff(texts[0], texts[1], "expected", "got", lineterm=""))


def read_case(folder: Path) -> Document:
    """The case.yaml of a folder. RolloutError `usage`, with file and line, when it is wrong."""
    document = read_document(folder / "case.yaml")
    case = document.get_mapping((), CASE_KEYS, ("args",))
    document.get_mapping(("expect",), ("exit", "code", "rules", "message", "result"))
    if isinstance(document.get(("expect", "message")), dict):
        document.get_mapping(("expect", "message"), ("contains",), ("contains",))
        document.get_texts(("expect", "message", "contains"))
    for at in (("args",), ("expect", "rules")):
        if not isinstance(document.get(at, []), list):
            document.refuse(at, f"{at[-1]} must be a list")
    for name in ("recording.yaml", *([case["stdin"]] if "stdin" in case else ())):
        if not is_name(name) or not (folder / name).is_file() or (folder / name).is_symlink():
            remedy = ": --record writes it, or write polls: [{at: TIME, objects: FILE}]" if name == "recording.yaml" else ""
            document.refuse(("stdin",), f"there is no file {name} beside it{remedy}")
    for word in map(str, case["args"]):
        if word.lstrip("-").partition("=")[0] in FORBIDDEN and word.startswith("-"):
            document.refuse(("args",), f"a case cannot have {word.partition('=')[0]}: it is replayed, runs no program and writes no file")
    try:
        parse_timestamp(str(case.get("not_before", "1970-01-01T00:00:00Z")))
    except UnreadableError as error:
        document.refuse(("not_before",), str(error))
    return document


def run_case(engine: Engine, folder: Path, rules: Sequence[str] = (), base: Path | None = None, *, name: str = "") -> Outcome:
    """Replays a case. `rules` are teams' rule files, by absolute paths; `base` is another folder of built-in rules."""
    case = read_case(folder).content
    expected = case.get("expect", {})
    arguments = ["--quiet", "--replay", ".", *(f"--rules={path}" for path in rules), *map(str, case["args"])]
    with work_in(folder, (folder / case["stdin"]).read_text(encoding="utf-8") if "stdin" in case else ""):
        run = run_engine(engine, arguments, base)
    result = leave_times_out(run.result)
    got = {"exit": run.exit_code, "rules": sorted({rule for rule, _ in run.memory.since}), "result": result}
    workloads = run.judgement.workloads if run.judgement else ()
    judged = {subject.kind.name for workload in workloads for subject in walk_subjects(workload.subject)}
    judged |= {subject.kind.name for _, subject in run.memory.grown.values()}  # with what these use
    judged |= {"call"} if run.memory.failed_calls else set()
    problems = tuple(find_problems(folder, case, run))
    return Outcome(folder, name or folder.name, str(case.get("about", "")), expected, got, problems, frozenset(judged))


def leave_times_out(result: Mapping[str, Json]) -> dict[str, Json]:
    """A result without what depends on when it was judged, and how often."""
    rest = {key: value for key, value in result.items() if key not in ("startedAt", "elapsedSeconds", "polls")}
    errors = [{key: value for key, value in each.items() if key != "since"} for each in [rest.get("error", {}), *rest.get("errors", ())]]
    rest |= {"error": errors[0]} if errors[0] else {}
    return rest | ({"errors": errors[1:]} if errors[1:] else {})


@contextmanager
def work_in(folder: Path, stdin: str) -> Iterator[None]:
    """Makes a folder the current one and a text the standard input. A case's arguments are as somebody in its folder writes them."""
    before = Path.cwd(), sys.stdin
    os.chdir(folder)
    sys.stdin = io.StringIO(stdin)
    try:
        yield
    finally:
        os.chdir(before[0])
        sys.stdin = before[1]


def find_problems(folder: Path, case: Json, run: Run) -> Iterator[str]:
    """What is wrong with a case itself: it names a rule that is not there, has a file that it does not use, or ends too early."""
    for name in case.get("expect", {}).get("rules") or ():
        if run.rules and name not in (*run.rules.files.entries["rules"], *(rule.id for rule in run.judge.expected)):
            yield f"unknown rule {name}{suggest(name, run.rules.files.entries['rules'])}"
    recording = (folder / "recording.yaml").read_text(encoding="utf-8", errors="replace")
    used = {case.get("stdin"), *re.findall(r"(?<![\w.-])[\w.-]+\.json", recording)}
    yield from (f"{path.name} is not used" for path in sorted(folder.glob("*.json")) if path.name not in used)
    if "not_before" in case and run.memory.started + run.result["elapsedSeconds"] < parse_timestamp(str(case["not_before"])):
        yield f"the verdict came before {case['not_before']}"


def main(argv: Sequence[str], engine: Engine) -> tuple[str, int]:
    """Replays cases and compares."""
    flags = build_verb_parser(
        "test [DIR ...] [flags]",
        "Replays each folder with a case.yaml in or below DIR, and compares all that comes out.",
        describe_exits("no case failed", "a case failed"),
    )
    flags.add_argument("folders", nargs="*", metavar="DIR", help="default: the current folder; in a checkout the built-in fixtures")
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
    is_checkout = Path.cwd() == find_data("fixtures").parent
    folders = [Path(each) for each in options.folders] or [find_data("fixtures") if is_checkout else Path()]
    cases = find_cases(folders)
    if not cases:
        where = ", ".join(options.folders) or "the current folder"
        hint = ": rollout-status new-rule makes one of a recording; the built-in ones: rollout-status fixtures"
        if recorded := next((each for each in folders if (each / "recording.yaml").is_file()), None):
            hint = f": write `args: []` into {recorded / 'case.yaml'}, and then test it with --update"
        raise RolloutError("usage", f"there is no case.yaml in or below {where}{hint}")
    rules = [str(Path(path).resolve()) for path in options.rules]
    outcomes = [run_case(engine, case, rules, name=name) for case, name in cases.items()]
    if options.against:
        return compare(engine, outcomes, options.against)
    lines = [line for outcome in outcomes for line in describe_outcome(outcome, update=options.update)]
    # A few cases of somebody's own are no test of the built-in rules
    is_whole = (is_checkout and not options.folders) or rules or options.strict
    untested = list(find_unexercised(outcomes, rules)) if is_whole else []
    failed = sum(bool(outcome.fault) if options.update else True for outcome in outcomes if not outcome.passed)
    summary = f"{count(len(outcomes), 'case')}, {failed} failed" + (f", {count(len(untested), 'rule')} without a case" if is_whole else "")
    return "\n".join([*lines, *untested, summary]), int(bool(failed or (options.strict and untested)))


def describe_outcome(outcome: Outcome, *, update: bool) -> Iterator[str]:
    """The lines about a case that failed; none about one that passed. With `update`, what came is written as what is expected."""
    if update and not outcome.agrees and outcome.fault:
        yield f"{outcome.name}: not written, since the rules are wrong: {outcome.fault}"
    elif update and not outcome.agrees:
        update_case(outcome)
        yield f"{outcome.name}: written"
    elif not outcome.passed:
        yield f"{outcome.name}: failed{f': {outcome.about}' if outcome.about else ''}"
        yield from (f"  {line}" for line in (*outcome.problems, *outcome.difference.splitlines()))


def find_cases(folders: Sequence[Path]) -> dict[Path, str]:
    """The folders with a case.yaml, in order, each with its path below the searched folder."""
    names = {path.parent.resolve(): path.parent.relative_to(folder) for folder in folders for path in folder.rglob("case.yaml")}
    return {case: str(name) if name.parts else case.name for case, name in sorted(names.items())}


def find_unexercised(outcomes: Sequence[Outcome], teams: Sequence[str]) -> Iterator[str]:
    """A line for each rule that holds in no case, and for each that holds in all cases in which its subject is judged.

    With teams' files, only the rules that they add or override count.
    """
    paths = list_rule_files(map(Path, teams))
    rules = Rules(find_data("rules"), paths, packs=None)
    for rule in rules.rules.values():
        if teams and not any(document.path in paths for document, _ in rules.files.entries["rules"][rule.id].fields.values()):
            continue
        judged = [outcome for outcome in outcomes if outcome.judged & set(rule.subjects) or "workload" in rule.subjects]
        held = [outcome for outcome in outcomes if rule.id in outcome.got["rules"]]
        if not held:
            yield f"{rule.where}: no case in which it holds"
        if all(outcome in held for outcome in judged):
            yield f"{rule.where}: no case in which its subject is judged and it does not hold"


class Dumper(yaml.SafeDumper):
    """Writes texts of several lines as blocks."""


Dumper.add_representer(
    str, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)
)


def update_case(outcome: Outcome) -> None:
    """Writes what came as what is expected, into case.yaml."""
    path = outcome.case / "case.yaml"
    content = {**Document(path, "usage").content, "expect": outcome.got}
    path.write_text(yaml.dump(content, Dumper=Dumper, sort_keys=False, width=120, allow_unicode=True), encoding="utf-8")


def compare(engine: Engine, outcomes: Sequence[Outcome], against: str) -> tuple[str, int]:
    """A line for each case whose outcome differs under other rules: `builtin`, a team's, or a folder of built-in ones."""
    path = Path(against).resolve()
    base = path if (path / "codes.yaml").is_file() else None
    teams = [] if base or against == "builtin" else [str(path)]
    if not Rules(base or find_data("rules"), [Path(team) for team in teams], packs=None).rules:  # or a RolloutError, if one is wrong
        raise RolloutError("usage", f"--against {against}: there are no rules")
    lines = []
    for outcome in outcomes:
        other = run_case(engine, outcome.case, teams, base)
        verdicts = [f"exit {each.got['exit']} {get_field(each.got['result'], 'error', 'code') or 'success'}" for each in (other, outcome)]
        if other.got != outcome.got:
            lines.append(
                f"{outcome.name}: {verdicts[0]} -> {verdicts[1]}" + ("" if verdicts[0] != verdicts[1] else ", with other words or rules")
            )
    return "\n".join([*lines, f"{count(len(outcomes), 'case')}, {len(lines)} {'differs' if len(lines) == 1 else 'differ'}"]), 0
