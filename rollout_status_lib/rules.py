"""The effective rules, and what the engine asks them."""

from __future__ import annotations

import argparse
import functools
import os
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from rollout_status_lib import Json
from rollout_status_lib.declarations import ANNOTATION, Kind, Rule, is_word_for
from rollout_status_lib.errors import KIND_DOUBT, EvaluationError, RolloutError, UnreadableError, collect_errors, find_closest, suggest
from rollout_status_lib.expressions import Expectation, Expression, Template
from rollout_status_lib.functions import Functions
from rollout_status_lib.objects import get_field, get_kind_key, get_name
from rollout_status_lib.rule_load import RuleLoader
from rollout_status_lib.rule_merge import RuleFiles
from rollout_status_lib.untrusted import read_text


class Rules:
    """The effective rules: the built-in files, the packs that declare a requested kind (`packs`; None: all packs), then the
    teams' files on top. A `mode` of --compat has a file between the two.

    RolloutError `invalid-rules`, with file and line, when a file is wrong.
    """

    def __init__(
        self,
        folder: Path,
        teams: Sequence[Path] = (),
        *,
        packs: Collection[str] | None = (),
        mode: str = "",
        problems: list[RolloutError] | None = None,
    ) -> None:
        self.files = RuleFiles(folder, teams, packs=packs, mode=mode, problems=problems)
        self.loader = RuleLoader(self.files)
        self.codes, self.kinds, self.params, self.steps = self.loader.codes, self.loader.kinds, self.loader.params, self.loader.steps
        self.loaded: dict[str, Rule] = {}  # the rules that were asked for so far, by their ids
        self.about: dict[tuple[str, bool], list[Rule]] = {}  # kind, and whether it is gone -> the rules about it
        self.undeclared: dict[str, Kind] = {}  # a word of the command line that no file declares -> the kind made for it
        self.kinds_of_objects: dict[tuple[str, str], Kind | None] = {}  # kind and API group of an object -> what find_kind found

    @functools.cached_property
    def rules(self) -> dict[str, Rule]:
        """The rules by their ids: all of them, also those about what nobody judges."""
        loaded: dict[str, Rule] = {}
        for name in self.files.entries["rules"]:
            with collect_errors(self.files.problems):
                loaded[name] = self.load_rule(name)
        return loaded

    def load_rule(self, name: str) -> Rule:
        if name not in self.loaded:
            self.loaded[name] = self.loader.load_rule(self.files.entries["rules"][name])
            self.loader.check_roots(self.loaded[name])
        return self.loaded[name]

    def get_rules_about(self, name: str, *, gone: bool = False) -> list[Rule]:
        """The rules about a kind, by its name, or about any workload, by `workload`. With `gone` those about one that is gone instead.

        They are loaded when they are first asked for. With a team's file all rules are: what is wrong with it is said at once.
        """
        key = (name, gone)
        if key not in self.about:
            loaded = self.rules.values() if self.files.is_checked else map(self.load_rule, self.names_about.get(name, ()))
            rules = [rule for rule in loaded if name in rule.subjects]
            self.about |= {(name, each): [rule for rule in rules if rule.gone == each] for each in (True, False)}
        return self.about[key]

    def read(self, expression: Expression | None, value: Json, functions: Functions) -> Json:
        """What a kind's expression gives for an object; null if there is none, or, as a doubt, if a team wrote one that has no value."""
        try:
            return expression.evaluate(value, functions) if expression else None
        except EvaluationError as error:
            self.doubt(error, functions)
            return None

    def doubt(self, error: EvaluationError, functions: Functions) -> None:
        """Notes that an expression of a kind has no value; raises the error if no team wrote it."""
        if not error.where.startswith(self.files.team_places):
            raise error
        functions.doubts.setdefault(error.where, f"{KIND_DOUBT}{error.message}")

    def list_texts(self) -> Iterator[str]:
        """What the rules that are loaded compare with, and what they say."""
        for rule in self.loaded.values():
            yield from (expression.text for expression in rule.walk_expressions())
            yield from (part for template in (rule.message, rule.hint) if template for part in template.parts if isinstance(part, str))

    @functools.cached_property
    def names_about(self) -> dict[str, list[str]]:
        """The ids of the rules about each kind. One about an unknown kind is found with those about any workload: it is a mistake."""
        names: dict[str, list[str]] = {}
        for name, entry in self.files.entries["rules"].items():
            for subject in [each for each in entry.get_texts("subject") if each in (*self.kinds, "workload")] or ["workload"]:
                names.setdefault(subject, []).append(name)
        return names

    def load_judged(self, kinds: Iterable[Kind]) -> None:
        """Loads the rules about these kinds of workloads, and about all that is judged with them. RolloutError when one is wrong."""
        names = ["workload"]
        for kind in kinds:
            self.check_kind(kind)
            names.append(kind.name)
        for name in names:  # which grows while we go through it
            self.get_rules_about(name)
            names += [each for each in self.find_below(name) if each not in names]

    def find_below(self, name: str) -> Iterator[str]:
        """The names of the kinds that a kind owns, and of its parts."""
        yield from self.kinds[name].owns if name in self.kinds else ()
        yield from (kind.name for kind in self.kinds.values() if kind.part_of == name)

    def check_kind(self, kind: Kind) -> None:
        """Refuses a kind that ought to wait, but about which no rule can wait: it would always succeed."""
        if kind.waits and not any(rule.can_wait for rule in self.get_rules_about(kind.name)):
            entry = self.files.entries["kinds"][kind.name]
            entry.document.refuse(entry.at, f"no rule about {kind.name} can wait, so it could not but succeed: add one, or waits: false")

    def find_kind_by_word(self, word: str) -> Kind:
        """The kind that a word of the command line means. A word that no file declares gets a kind of its own: kubectl may know it."""
        for kind in self.kinds.values():
            if kind.resource and kind.is_called(word):
                return kind
        self.kinds_of_objects.clear()
        generic = next(kind for kind in self.kinds.values() if kind.resource == "*")
        return self.undeclared.setdefault(word, replace(generic, resource=word))

    def learn_kind(self, word: str, objects: Iterable[Json]) -> None:
        """Learns what an undeclared word means from the objects that kubectl printed for it.

        RolloutError `usage` when one of them has a kind that a file declares: the word stands for several kinds, like `all`.
        """
        for each in objects:
            kind = self.find_kind(each)
            if kind and kind.resource not in self.undeclared:
                raise RolloutError("usage", f"{word} stands for {each['kind']}, among others: write the kinds themselves")
            self.kinds_of_objects[get_kind_key(each)] = self.undeclared[word]

    def suggest_kind(self, word: str) -> str:
        """The end of a sentence about an undeclared word, like "; did you mean pod?"; empty if it is declared or nothing is close."""
        declared = [kind for kind in self.kinds.values() if kind.resource]
        if any(kind.is_called(word) for kind in declared):
            return ""
        names = [name for kind in declared for name in (kind.name, kind.plural)]
        return suggest(word, names) if find_closest(word.lower(), names) else ""

    def list_revisions(self, kinds: Iterable[Kind]) -> None:
        """Lists the objects in which these kinds keep their revisions with the others. RolloutError `usage` if one has no revisions."""
        for kind in kinds:
            if not kind.revisions:
                raise RolloutError("usage", f"--revision: the kind {kind.name} has no revisions")
            kept_in = kind.revisions.kept_in
            self.kinds[kept_in] = replace(self.kinds[kept_in], listed=True)

    def note_undeclared(self) -> list[str]:
        """A note for each word of the command line that no file declares."""
        return [f"no rule file declares {word}, so generic rules judge it{self.suggest_kind(word)}" for word in self.undeclared]

    def find_kind(self, resource: Json) -> Kind | None:
        """The kind of an object or of an owner reference; None if no file declares it and nobody asked for it."""
        key = name, group = get_kind_key(resource)
        if key not in self.kinds_of_objects:
            names = (name, f"{name}s", f"{name}es", f"{name[:-1]}ies")  # an object does not tell its plural
            declared = (each for each in self.kinds.values() if each.plural in names and each.resource.partition(".")[2] == group)
            undeclared = (each for word, each in self.undeclared.items() if is_word_for(word, f"{name}.{group}", names))
            self.kinds_of_objects[key] = next(declared, None) or next(undeclared, None)
        return self.kinds_of_objects[key]

    def compute_params(self, settings: Iterable[tuple[str, str]]) -> dict[str, Json]:
        """The value of each parameter. RolloutError `usage` for a setting with an unknown name, or with a value of another type."""
        values = {name: param.default for name, param in self.params.items()}
        for name, text in settings:
            if name not in self.params:
                raise RolloutError("usage", f"unknown parameter {name}{suggest(name, self.params)}")
            try:
                values[name] = self.params[name].change(values[name], self.params[name].parse_value(text))
            except UnreadableError as error:
                raise RolloutError("usage", f"{name.replace('_', '-')}: {error}") from None
        return values

    def read_annotations(self, workload: Json, fixed: Collection[str], notes: list[str]) -> Iterator[tuple[str, Json]]:
        """The parameters that a workload's annotations set. A flag (`fixed`) wins over them; one that a team forbids is a note."""
        annotations = get_field(workload, "metadata", "annotations")
        for key in annotations if isinstance(annotations, dict) else ():
            if key.startswith(ANNOTATION):
                name = key.removeprefix(ANNOTATION).replace("-", "_")
                if self.files.annotations is not None and name not in self.files.annotations:
                    notes.append(f"the annotation {key} of {get_name(workload)} is not allowed, and was ignored")
                elif name not in fixed:
                    try:
                        yield name, self.compute_params([(name, str(annotations[key]))])[name]
                    except RolloutError as error:
                        raise RolloutError("usage", f"annotation {key} of {get_name(workload)}: {error.message}") from None


def read_rules(options: argparse.Namespace, base: Path) -> Rules:
    """The effective rules for these arguments, with the packs that declare a kind that they name. `base` is the built-in folder."""
    packs: list[str] | None = [*split_kinds(options), *(kind for kind, _ in options.names)]
    if not (packs or options.compat) and (options.filename or options.kustomize or has_manifests(options.replay)):
        packs = None  # all that was applied is judged
    return Rules(base, find_team_paths(options), packs=packs, mode=options.compat)


def has_manifests(replay: str | None) -> bool:
    """True if a recording is one of a run that was told by manifests what to judge."""
    with suppress(OSError, ValueError):
        return bool(replay and re.search(r"^(applied|skipped):", read_text(Path(replay) / "recording.yaml"), re.MULTILINE))
    return False


def find_team_paths(options: argparse.Namespace) -> list[Path]:
    """The files and folders that ROLLOUT_STATUS_RULES and --rules name."""
    return [Path(path) for path in [*os.environ.get("ROLLOUT_STATUS_RULES", "").split(os.pathsep), *options.rules] if path]


def split_kinds(options: argparse.Namespace) -> list[str]:
    """The words in --kinds."""
    return [word.strip() for entry in options.kinds for word in entry.split(",")]


def make_expectation(text: str, rules: Rules) -> Rule:
    """The rule for an --expect: wait until the expression is true. RolloutError `usage` when the expression is wrong."""
    message = Template((f"Waiting for what is expected: {text}",))
    try:
        expected = Expression.parse(text, "--expect")
        when = Expectation(text, "--expect", expected.tree, expected.function, expected.roots)
        limit = Expression.parse("params.arrival_deadline", "--expect")
        code = Template(("not-progressing",))
        rule = Rule("expect", "--expect", (), when, fail_after=limit, code=code, message=message, teams=rules.files.team_places)
        rules.loader.check_roots(rule)
    except RolloutError as error:
        raise RolloutError("usage", error.message) from None
    return rule
