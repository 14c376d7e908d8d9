"""The effective rules, and what the engine asks them."""

from __future__ import annotations

import argparse
import functools
import os
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from rollout_status_lib import Json
from rollout_status_lib.declarations import (
    Kind,
    Rule,
    is_word_for,
)
from rollout_status_lib.errors import RolloutError, UnreadableError, collect_errors, find_closest, suggest
from rollout_status_lib.expressions import Expectation, Expression, Template
from rollout_status_lib.objects import get_kind_key
from rollout_status_lib.rule_load import RuleLoader
from rollout_status_lib.rule_merge import RuleFiles


class Rules:
    """The effective rules: the built-in files, the packs that declare a requested kind (`packs`; None: all packs), then the
    teams' files on top.

    RolloutError `invalid-rules`, with file and line, when a file is wrong.
    """

    def __init__(
        self, folder: Path, teams: Sequence[Path] = (), *, packs: Collection[str] | None = (), problems: list[RolloutError] | None = None
    ) -> None:
        self.files = RuleFiles(folder, teams, packs=packs, problems=problems)
        self.loader = RuleLoader(self.files)
        self.codes, self.kinds, self.params, self.steps = self.loader.codes, self.loader.kinds, self.loader.params, self.loader.steps
        self.undeclared: dict[str, Kind] = {}  # the word of the command line -> the kind that it names and no file declares
        self.kinds_of_objects: dict[tuple[str, str], Kind | None] = {}  # kind and API group of an object -> its kind

    @functools.cached_property
    def rules(self) -> dict[str, Rule]:
        """By their ids. They are made when they are asked for first, which a live run does while it waits for kubectl."""
        rules: dict[str, Rule] = {}
        for name, entry in self.files.entries["rules"].items():
            with collect_errors(self.files.problems):
                rules[name] = self.loader.load_rule(entry)
        for rule in rules.values():
            self.loader.check_params(rule)
        return rules

    @functools.cached_property
    def about(self) -> dict[str, list[Rule]]:
        """The rules about each kind, and about any workload."""
        return {name: [rule for rule in self.rules.values() if name in rule.subjects] for name in (*self.kinds, "workload")}

    def check_kind(self, kind: Kind) -> None:
        """Refuses a kind of which no rule can wait."""
        if kind.waits and not any(rule.can_wait for rule in self.about[kind.name]):
            entry = self.files.entries["kinds"][kind.name]
            entry.document.refuse(entry.at, f"no rule about {kind.name} can wait, so it could not but succeed: add one, or waits: false")

    def find_kind_by_word(self, word: str) -> Kind:
        """The kind that a word of the command line means. One that nothing declares is what kubectl takes the word for."""
        for kind in self.kinds.values():
            if kind.resource and kind.is_called(word):
                return kind
        self.kinds_of_objects.clear()
        generic = next(kind for kind in self.kinds.values() if kind.resource == "*")
        return self.undeclared.setdefault(word, replace(generic, resource=word))

    def learn_kind(self, word: str, objects: Iterable[Json]) -> None:
        """Takes the kind of what a cluster gave for a word for what the word means."""
        for each in objects:
            known = self.find_kind(each)
            if known and known.resource not in self.undeclared:
                raise RolloutError("usage", f"{word} stands for {each['kind']}, among others: write the kinds themselves")
            self.kinds_of_objects[get_kind_key(each)] = self.undeclared[word]

    def suggest_kind(self, word: str) -> str:
        """The end of a sentence about a word that may be no declared kind: what it may be a misspelling of."""
        declared = [kind for kind in self.kinds.values() if kind.resource]
        if any(kind.is_called(word) for kind in declared):
            return ""
        names = [name for kind in declared for name in (kind.name, kind.plural)]
        return suggest(word, names) if find_closest(word.lower(), names) else ""

    def find_kind(self, resource: Json) -> Kind | None:
        """The kind of an object or of an owner reference, told by API group and kind; None for any that nobody has named."""
        key = name, group = get_kind_key(resource)
        if key not in self.kinds_of_objects:
            names = (name, f"{name}s", f"{name}es", f"{name[:-1]}ies")
            declared = (each for each in self.kinds.values() if each.plural in names and each.resource.partition(".")[2] == group)
            called = (each for word, each in self.undeclared.items() if is_word_for(word, f"{name}.{group}", names))
            self.kinds_of_objects[key] = next(declared, None) or next(called, None)
        return self.kinds_of_objects[key]

    def compute_params(self, settings: Iterable[tuple[str, str]]) -> dict[str, Json]:
        """The value of each parameter; RolloutError `usage` for an unknown name, or a value that is none of its type."""
        values = {name: param.default for name, param in self.params.items()}
        for name, text in settings:
            if name not in self.params:
                raise RolloutError("usage", f"no rule has a parameter {name}{suggest(name, self.params)}")
            try:
                value = self.params[name].parse_value(text)
                values[name] = values[name] + value if isinstance(value, list) else value
            except UnreadableError as error:
                raise RolloutError("usage", f"{name.replace('_', '-')}: {error}") from None
        return values


def read_rules(options: argparse.Namespace, base: Path) -> Rules:
    """The rules that the arguments and ROLLOUT_STATUS_RULES name; with the packs when a kind of theirs may be meant."""
    return Rules(base, find_team_paths(options), packs=[*split_kinds(options), *(kind for kind, _ in options.names)])


def find_team_paths(options: argparse.Namespace) -> list[Path]:
    """The files and folders of teams' rules that ROLLOUT_STATUS_RULES and --rules name."""
    return [Path(path) for path in [*os.environ.get("ROLLOUT_STATUS_RULES", "").split(os.pathsep), *options.rules] if path]


def split_kinds(options: argparse.Namespace) -> list[str]:
    """The words of --kinds."""
    return [word.strip() for entry in options.kinds for word in entry.split(",")]


def make_expectation(text: str, rules: Rules) -> Rule:
    """The rule of an --expect: wait until the expression is true; RolloutError `usage` when it is wrong."""
    message = Template((f"Waiting for what is expected: {text}",))
    try:
        given = Expression.parse(text, "--expect")
        isnt = Expectation(text, "--expect", given.tree, given.meaning, given.roots)
        is_over = Expression.parse("reached(time.watched, params.arrival_deadline)", "--expect")
        code = Template(("not-progressing",))
        rule = Rule(
            "expect", "--expect", (), None, isnt, None, "wait", is_over, None, None, True, {}, frozenset(), code, message, None, logs=False
        )
        rules.loader.check_params(rule)
    except RolloutError as error:
        raise RolloutError("usage", error.message) from None
    return rule
