"""The verb new-rule: a rule file and a case of a recording, ready to lint and to test."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from rollout_status_lib import Json
from rollout_status_lib.arguments import build_verb_parser, describe_exits
from rollout_status_lib.declarations import TEAM_CODE
from rollout_status_lib.errors import RolloutError, describe_error, suggest
from rollout_status_lib.objects import get_field, get_name
from rollout_status_lib.subjects import Subject, walk_subjects
from rollout_status_lib.verbs import Engine, Run, run_engine, run_verb
from rollout_status_lib.verbs.test import run_case, update_case

TELLING = ("reason", "phase", "state", "health", "result")  # fields whose text says in which state an object is
NO = str(False)  # the API writes the status of a condition as Python does
MOST_FIELDS = 3  # in a condition

RULE = """# Written by rollout-status new-rule from {recording}. Change it, and then:
#   rollout-status lint {file}
#   rollout-status test {recording} --update
version: 1

rules:
- id: {id}
  subject: {subject}
  when: {when}
  verdict: fail   # or wait, hold, ignore, note; or, instead of a verdict, fail_after: 5m
  code: {code}
  message: {message}
  docs: Why this is so.
"""


def main(argv: Sequence[str], engine: Engine) -> tuple[str, int]:
    """Writes a rule file and a case."""
    flags = build_verb_parser(
        "new-rule --replay DIR --subject KIND [flags]",
        "Writes a rule about the state that a recording ends in, and a case.yaml into the recording.",
        describe_exits("written"),
    )
    flags.add_argument("--replay", metavar="DIR", required=True, help="a recording: a folder that --record wrote")
    flags.add_argument("--subject", metavar="KIND", required=True, help="what the rule is about: container, pod, deployment, ...")
    flags.add_argument("--id", metavar="ID", default="", help="the id of the rule, like acme/broken; default: by its state")
    flags.add_argument("--file", metavar="FILE", default="team.yaml", help="the rule file to write (team.yaml)")
    flags.add_argument("--kinds", metavar="KIND,...", default="", help="as for a run: what is judged")
    return run_verb("new-rule", lambda: write_rule(flags.parse(argv), engine))


def write_rule(options: argparse.Namespace, engine: Engine) -> tuple[str, int]:
    recording, file = Path(options.replay), Path(options.file)
    case = recording / "case.yaml"
    if not (recording / "recording.yaml").is_file():
        raise RolloutError("usage", f"{recording} is not a recording: run with --record {recording} first")
    for path in (path for path in (file, case) if path.exists()):
        raise RolloutError("usage", f"{path} already exists: remove it, or name another {'--file' if path == file else 'recording'}")
    kinds = ["--kinds", options.kinds] if options.kinds else []
    subject = find_subject(run_engine(engine, ["--quiet", "--replay", str(recording), *kinds]), options.subject)
    fields = list(list_telling(subject.value, subject.kind.name))[:MOST_FIELDS] or [name_subject(subject)]
    rule = options.id or f"acme/{make_word(subject.kind.name)}-{make_word(fields[0][1])}"
    if not TEAM_CODE.fullmatch(rule):
        raise RolloutError("usage", f"--id {rule}: invalid id: write it like acme/broken")
    says = ", ".join(f"{{{path}}}" for path, _ in fields)
    texts = {
        "when": " && ".join(f"{path} == {quote(value)}" for path, value in fields),
        "message": f'{subject.kind.name} "{{{name_subject(subject)[0]}}}" is in this state: {says}',
    }
    values = {key: yaml.safe_dump(text, default_style='"', width=10_000).strip() for key, text in texts.items()}
    write(file, RULE.format(recording=recording, file=file, id=rule, code=rule, subject=subject.kind.name, **values))
    args: list[str] = ["--rules", os.path.relpath(file.resolve(), recording.resolve()), *kinds]
    write(case, yaml.safe_dump({"about": f"What {rule} is about.", "args": args}, sort_keys=False, width=1000))
    outcome = run_case(engine, recording)
    if not outcome.fault:
        update_case(outcome)
    return (
        f"{file}: {rule}\n{case}: exit {outcome.got['exit']}\nrollout-status lint {file} && rollout-status test {recording} --rules {file}",
        0,
    )


def find_subject(run: Run, kind: str) -> Subject:
    """A subject of the kind: the first that something is said about; else the first."""
    if not run.judgement:
        raise RolloutError(run.result["error"]["code"], run.result["error"]["message"], exit=run.exit_code)
    if kind not in run.rules.kinds:
        raise RolloutError("usage", f"unknown subject {kind}{suggest(kind, run.rules.kinds)}")
    workloads: Any = run.judgement.workloads
    told = [finding.subject for workload in workloads for finding in workload.findings if finding.subject.kind.name == kind]
    there = [subject for workload in workloads for subject in walk_subjects(workload.subject) if subject.kind.name == kind]
    if not (told or there):
        raise RolloutError("usage", f"there is no {kind} in the recording; there is {', '.join(list_kinds(workloads)) or 'nothing'}")
    return (told or there)[0]


def list_kinds(workloads: Any) -> list[str]:
    return sorted({subject.kind.name for workload in workloads for subject in walk_subjects(workload.subject)})


def list_telling(value: Json, path: str) -> Iterator[tuple[str, Json]]:
    """The paths of what says in which state an object is, each with its text: fields that are called so, and conditions that are false."""
    for name, child in value.items() if isinstance(value, dict) else ():
        if isinstance(child, dict) and name not in ("metadata", "spec", "lastState"):
            yield from list_telling(child, f"{path}.{name}" if re.fullmatch(r"\w+", name) else f'{path}."{name}"')
        elif name in TELLING and isinstance(child, str) and child:
            yield f"{path}.{name}", child
    conditions = get_field(value, "status", "conditions")
    for each in conditions if isinstance(conditions, list) and "." not in path else ():
        if get_field(each, "status") == NO and isinstance(get_field(each, "type"), str):
            yield f"condition({path}, {quote(each['type'])}).status", NO


def name_subject(subject: Subject) -> tuple[str, str]:
    """The path of its name, and the name."""
    if subject.kind.part_of:
        return f"{subject.kind.name}.name", str(get_field(subject.value, "name"))
    return f"{subject.kind.name}.metadata.name", get_name(subject.value)


def quote(text: str) -> str:
    """A text as an expression has it."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def make_word(text: str) -> str:
    """A text in small letters, with dashes between its words."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", text)
    return re.sub("[^a-z0-9]+", "-", words.lower()).strip("-") or "state"


def write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise RolloutError("usage", f"{path} cannot be written: {describe_error(error)}") from None
