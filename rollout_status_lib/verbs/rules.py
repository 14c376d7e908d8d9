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
    """Shows the effective rules."""
    flags = build_verb_parser(
        "rules [ID] [flags]",
        "The effective rules; of one, each field with the file and the line that it comes from.",
        describe_exits("the rules are printed"),
    )
    flags.add_argument("id", nargs="?")
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
    rows = [
        (
            rule.id,
            ",".join(rule.subjects),
            describe_decision(rules.files.entries["rules"][rule.id]),
            describe_code(rule),
            rule.where.rpartition(": ")[0],
        )
        for rule in rules.rules.values()
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    return "\n".join("  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[4]]) for row in rows), 0


def describe_code(rule: Rule) -> str:
    """The code of a rule; those that a computed one may be."""
    parts = rule.code.parts if rule.code else ()
    texts = [part if isinstance(part, str) else part.text for part in parts]
    return ", ".join(dict.fromkeys(re.findall(r"'([a-z]+(?:-[a-z]+)*)'", "".join(texts)))) if len(texts) > 1 else "".join(texts)


def describe_decision(entry: Entry) -> str:
    """What a rule decides, in a word."""
    words = [str(entry.get("verdict") or "wait")]
    if entry.get("fail_after") is not None:
        words.append(f"fail after {entry.get('fail_after')}")
    elif entry.get("fail_when") is not None:
        words.append("then fail")
    return ", ".join([*words, *(["endless"] if entry.get("endless") else [])])


def show_rule(rules: Rules, name: str) -> Iterator[str]:
    entry = rules.files.entries["rules"].get(name)
    if not entry:
        raise RolloutError("usage", f"no rule {name}{suggest(name, rules.files.entries['rules'])}")
    for field in (key for key in get_keys("rule") if key in entry.fields):
        document, at = entry.find_place(field)
        yield f"# {document.locate(at).partition(': ')[0]}"
        yield yaml.dump({field: entry.get(field)}, Dumper=Dumper, sort_keys=False, width=120, allow_unicode=True).rstrip()


def render_rules(rules: Rules) -> Iterator[str]:
    """docs/rules.md."""
    yield "# The rules\n"
    yield "Written by `rollout-status rules --markdown` from the files in rules/; `make docs` writes it anew.\n"
    yield "Fail beats wait beats success. *hold*: wait, and judge nothing else of the subject; *ignore*: say nothing of it;"
    yield "*note*: a line in `notes`. *wait, then fail*: when its `fail_when` is true.\n"
    yield "## Parameters\n\n`--set NAME=VALUE`, a team's `params`, or the annotation `rollout-status/NAME` of a workload.\n"
    yield "| parameter | type | default | |\n|---|---|---|---|"
    for name, entry in sorted(rules.files.entries["params"].items()):
        kind = ", ".join(entry.get_texts("choices")) or entry.get("type")
        default = json.dumps(entry.get("default")).strip('"')
        yield f"| `{name}` | {kind} | {f'`{default}`' if default else ''} | {entry.get('doc', '')} |"
    yield "\n## Codes\n\nFrom cause to symptom: of several failures the one whose code stands first is `error`. Where all failures"
    yield "of a workload are *symptoms*, what it still waits for in a state with another code, or its pods with any, is the cause, and"
    yield "fails too.\n"
    yield "| code | type | exit | |\n|---|---|---|---|"
    for name, entry in rules.files.entries["codes"].items():
        symptom = " *Symptom*" if entry.get("symptom") else ""
        yield f"| `{name}` | {entry.get('type')} | {entry.get('exit')} | {entry.get('text')}{symptom} |"
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
    yield "\n## rules/events.yaml\n\nThe steps of a pod's start, in their order. An event that says that one fails is history once"
    yield "something later says that this one, or one after it, was taken.\n"
    yield "| step | of | fails by an event with |\n|---|---|---|"
    for name, entry in rules.files.entries["steps"].items():
        yield f"| `{name}` | {entry.get('of')} | `{' '.join(str(entry.get('fails')).split()).replace('|', chr(92) + '|')}` |"
