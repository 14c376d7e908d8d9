"""The verb rules: the effective rules, and where each field comes from."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from rollout_status_lib import find_data
from rollout_status_lib.arguments import build_verb_parser, describe_exits
from rollout_status_lib.declarations import Rule
from rollout_status_lib.errors import RolloutError, suggest
from rollout_status_lib.rule_schema import get_keys
from rollout_status_lib.rulefile import Entry
from rollout_status_lib.rules import Rules, find_team_paths
from rollout_status_lib.verbs import Engine, run_verb
from rollout_status_lib.verbs.test import Dumper


def main(argv: Sequence[str], _: Engine) -> tuple[str, int]:
    """Prints the effective rules."""
    flags = build_verb_parser(
        "rules [ID] [flags]",
        "The effective rules; of one, each field with the file and the line that it comes from.",
        describe_exits("the rules are printed"),
    )
    flags.add_argument("id", nargs="?", metavar="ID", help="of one rule")
    flags.add_argument("--rules", action="append", default=[], metavar="PATH", help="a team's rules; repeatable")
    flags.add_argument("--markdown", action="store_true", help="all of it as a page")
    return run_verb("rules", lambda: show_rules(flags.parse(argv)))


def show_rules(options: Any) -> tuple[str, int]:
    rules = Rules(find_data("rules"), find_team_paths(options), packs=None)
    for note in rules.files.notes:
        print(f"rollout-status rules: {note}", file=sys.stderr)
    if options.markdown:
        return "\n".join(render_rules(rules)), 0
    if options.id:
        return "\n".join(show_rule(rules, options.id)), 0
    return "\n".join(list_rules(rules)), 0


def list_rules(rules: Rules) -> Iterator[str]:
    """A line for each rule: its id, subjects, decision and code, and its place."""
    entries = rules.files.entries["rules"]
    rows = [(rule.id, ",".join(rule.subjects), describe_decision(entries[rule.id]), describe_code(rule)) for rule in rules.rules.values()]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row, rule in zip(rows, rules.rules.values(), strict=True):
        yield "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=True)), rule.where.rpartition(": ")[0]])


def describe_code(rule: Rule) -> str:
    """The code of a rule, or all that a computed one can be."""
    parts = rule.code.parts if rule.code else ()
    texts = [part if isinstance(part, str) else part.text for part in parts]
    return ", ".join(dict.fromkeys(re.findall(r"'([a-z]+(?:-[a-z]+)*)'", "".join(texts)))) if len(texts) > 1 else "".join(texts)


def describe_decision(entry: Entry) -> str:
    """What a rule decides, in a few words."""
    words = [str(entry.get("verdict") or "wait")]
    if entry.get("fail_after") is not None:
        words.append(f"fail after {entry.get('fail_after')}")
    elif entry.get("fail_when") is not None:
        words.append("then fail")
    return ", ".join([*words, *(["endless"] if entry.get("endless") else [])])


def show_rule(rules: Rules, name: str) -> Iterator[str]:
    """Each field of a rule, with the file and the line that it comes from."""
    entry = rules.files.entries["rules"].get(name)
    if not entry:
        raise RolloutError("usage", f"unknown rule {name}{suggest(name, rules.files.entries['rules'])}")
    for field in (key for key in get_keys("rule") if key in entry.fields):
        document, at = entry.find_place(field)
        yield f"# {document.locate(at).partition(': ')[0]}"
        yield yaml.dump({field: entry.get(field)}, Dumper=Dumper, sort_keys=False, width=120, allow_unicode=True).rstrip()


def render_rules(rules: Rules) -> Iterator[str]:
    """The page docs/rules.md."""
    yield "# The rules\n"
    yield "Written by `rollout-status rules --markdown` from the files in rules/; `make docs` writes it anew.\n"
    yield "Fail beats wait beats success. *hold*: wait, and judge nothing else of the subject; *ignore*: say nothing of it;"
    yield "*note*: a line in `notes`. *wait, then fail*: when its `fail_when` is true.\n"
    yield from render_params(rules)
    yield from render_codes(rules)
    yield from render_files(rules)
    yield from render_steps(rules)


def render_params(rules: Rules) -> Iterator[str]:
    yield "## Parameters\n\n`--set NAME=VALUE`, a team's `params`, or the annotation `rollout-status/NAME` of a workload.\n"
    yield "| parameter | type | default | |\n|---|---|---|---|"
    params = rules.files.entries["params"]
    for name, entry in sorted((name, entry) for name, entry in params.items() if entry.get("type") != "words"):
        values = ", ".join(entry.get_texts("choices")) or entry.get("type")
        default = json.dumps(entry.get("default")).strip('"')
        yield f"| `{name}` | {values} | {f'`{default}`' if default else ''} | {entry.get('doc', '')} |"
    yield "\n## Words\n\nThese are parameters, too. What is set is added, and `-WORD` takes a word out; `*` stands for any text."
    yield "A type of condition that is in several lists counts as one of the upper list.\n\n| parameter | | words |\n|---|---|---|"
    for name, entry in ((name, entry) for name, entry in params.items() if entry.get("type") == "words"):
        yield f"| `{name}` | {entry.get('doc', '')} | {', '.join(f'`{word}`' for word in entry.get_texts('default'))} |"


def render_codes(rules: Rules) -> Iterator[str]:
    yield "\n## Codes\n\nFrom cause to symptom: of several failures the one whose code stands first is `error`. Where all failures"
    yield "of a workload are *symptoms*, what it still waits for in a state with another code, or its pods with any, is the cause, and"
    yield "fails too.\n"
    yield "| code | type | exit | |\n|---|---|---|---|"
    for name, entry in rules.files.entries["codes"].items():
        symptom = " *Symptom*" if entry.get("symptom") else ""
        yield f"| `{name}` | {entry.get('type')} | {entry.get('exit')} | {entry.get('text')}{symptom} |"


def render_files(rules: Rules) -> Iterator[str]:
    """The rules, in a table for each file."""
    files: dict[Path, list[str]] = {}
    for name, entry in rules.files.entries["rules"].items():
        files.setdefault(entry.document.path, []).append(name)
    for path, names in files.items():
        where = path.relative_to(find_data()) if path.is_relative_to(find_data()) else path
        yield f"\n## {where}\n\n| rule | about | says | code | |\n|---|---|---|---|---|"
        for name in names:
            entry, rule = rules.files.entries["rules"][name], rules.rules[name]
            cells = (f"`{name}`", ", ".join(rule.subjects), describe_decision(entry), describe_code(rule), entry.get("docs", ""))
            yield f"| {' | '.join(cells)} |"


def render_steps(rules: Rules) -> Iterator[str]:
    yield "\n## rules/events.yaml\n\nThe steps of a pod's start, in their order. An event that says that one fails is history once"
    yield "something later says that this one, or one after it, was taken.\n"
    yield "| step | of | fails by an event with |\n|---|---|---|"
    for name, entry in rules.files.entries["steps"].items():
        yield f"| `{name}` | {entry.get('of')} | `{' '.join(str(entry.get('fails')).split()).replace('|', chr(92) + '|')}` |"
