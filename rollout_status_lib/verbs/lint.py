"""The verb lint: checks rule files."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import yaml

from rollout_status_lib import Json, find_data
from rollout_status_lib.arguments import build_verb_parser, describe_exits
from rollout_status_lib.declarations import Kind
from rollout_status_lib.errors import RolloutError
from rollout_status_lib.expressions import Expression
from rollout_status_lib.objects import get_field
from rollout_status_lib.rule_merge import list_rule_files
from rollout_status_lib.rulefile import Document, Entry, FieldPath
from rollout_status_lib.rules import Rules
from rollout_status_lib.values import count
from rollout_status_lib.verbs import Engine, run_verb
from rollout_status_lib.verbs.crds import list_always, make_tree, read_crds
from rollout_status_lib.verbs.fields import ALWAYS, read_fields
from rollout_status_lib.verbs.lint_command import check_command
from rollout_status_lib.verbs.lint_kind import lint_kind
from rollout_status_lib.verbs.lint_rule import lint_rule

OF_THE_ENGINE = ("expect_image", "redact_known")  # parameters that no rule need use
# keys of rules
TEXTS = ("message", "summary", "details", "hint", "docs")
CONDITIONS = ("when", "given", "unless", "fail_when", "since", "each")
RESOURCE = re.compile(r"[a-z][a-z0-9-]*(\.[a-z0-9.-]+)?|\*")

# The resources without a group. Kubernetes adds no more to them
CORE = frozenset(
    re.findall(
        r"\w+",
        "bindings componentstatuses configmaps endpoints events limitranges namespaces nodes persistentvolumeclaims persistentvolumes pods "
        "podtemplates replicationcontrollers resourcequotas secrets serviceaccounts services",
    )
)


def main(argv: Sequence[str], _: Engine) -> tuple[str, int]:
    """Checks rule files."""
    flags = build_verb_parser(
        "lint [FILE ...]",
        "Checks a team's rule files, all of them over the built-in rules; without a FILE the built-in rules and packs.",
        describe_exits("no findings", "findings"),
    )
    flags.add_argument("files", nargs="*", metavar="FILE", help="a file or a folder")
    flags.add_argument(
        "--crd",
        action="append",
        default=[],
        metavar="FILE",
        help="definitions of the kinds in it; repeatable",
    )
    return run_verb("lint", lambda: lint_files(flags.parse(argv)))


def lint_files(options: argparse.Namespace) -> tuple[str, int]:
    return lint([Path(path) for path in options.files], read_crds([Path(path) for path in options.crd]))


def lint(teams: Sequence[Path], schemas: Mapping[str, Json] | None = None) -> tuple[str, int]:
    """The findings in teams' files, or without any in the built-in ones, a line each. The exit code is 1 if there are some.

    `schemas` are those of custom resources, by the resource.
    """
    for path in teams:
        if not path.exists():
            raise RolloutError("usage", f"there is no {path}")
    problems: list[RolloutError] = []
    linter = Linter(Rules(find_data("rules"), teams, packs=None, problems=problems), teams, schemas or {})
    cut = [line for document in linter.list_documents() for line in linter.find_cut_texts(document)]
    others = list(linter.find_problems())  # which also loads the rules, and so fills `problems`
    others = [*(problem.message for problem in problems), *others]
    # What is cut off at a comment is mostly wrong as an expression too: only the cause is reported
    places = {line.partition(": ")[0] for line in cut}
    findings = dict.fromkeys([*cut, *(line for line in others if line.partition(": ")[0] not in places)])
    summary = count(len(findings), "finding") if findings else "no findings"
    return "\n".join([*sorted(findings, key=get_place), *linter.list_endless(), summary]), int(bool(findings))


def get_place(finding: str) -> tuple[str, int]:
    """File and line of a finding."""
    path, _, line = finding.partition(": ")[0].rpartition(":")
    return path, int(line)


class Linter:
    """Finds what the program accepts in rule files though nobody can mean it."""

    def __init__(self, rules: Rules, teams: Sequence[Path], schemas: Mapping[str, Json]) -> None:
        self.rules = rules
        self.paths = set(list_rule_files(teams))  # empty: the built-in files are checked
        self.fields_of_kinds = read_fields()
        self.defined = {name for name, kind in rules.kinds.items() if kind.resource in schemas}  # kinds whose fields are all known
        for name in self.defined:
            schema = schemas[rules.kinds[name].resource]
            own = {"apiVersion": {}, "kind": {}, "metadata": self.fields_of_kinds["deployment"]["metadata"]}
            self.fields_of_kinds[name] = {**make_tree(schema), **own}
            self.fields_of_kinds[ALWAYS][name] = list(list_always(schema))

    def is_checked(self, document: Document) -> bool:
        return not self.paths or document.path in self.paths

    def list_documents(self) -> list[Document]:
        return [document for document in self.rules.files.documents if self.is_checked(document)]

    def list_endless(self) -> Iterator[str]:
        """A line that names the rules whose wait may last for ever, if there are any. That is no finding, but worth knowing."""
        entries = self.rules.files.entries["rules"]
        names = [rule.id for rule in self.rules.rules.values() if rule.endless and self.is_checked(entries[rule.id].document)]
        if names:
            yield f"these may wait for ever (endless: true): {', '.join(names)}"

    def find_problems(self) -> Iterator[str]:
        """A line for each problem: file, line and id, what is wrong, and what to write."""
        for rule in self.rules.rules.values():
            if any(self.is_checked(document) for document, _ in self.rules.files.entries["rules"][rule.id].fields.values()):
                yield from lint_rule(self.rules, self.fields_of_kinds, rule)
        for name, kind in self.rules.kinds.items():
            entry = self.rules.files.entries["kinds"][name]
            if kind.resource and self.is_checked(entry.document):
                yield from self.check_kind(kind, entry)
            yield from lint_kind(self.rules, self.fields_of_kinds, kind)
        yield from self.find_unused_params()

    def check_kind(self, kind: Kind, entry: Entry) -> Iterator[str]:
        document, name, resource = entry.document, kind.name, kind.resource
        if not RESOURCE.fullmatch(resource) or ("." not in resource and resource not in {*CORE, "*"}):
            where = document.locate(entry.find_place("resource")[1])
            yield f"{where}: resource {resource} is not the plural with its group: write it like widgets.example.com"
        if not re.fullmatch("[a-z][a-z0-9_]*", name):
            proposal = re.sub("[^a-z0-9]+", "_", name.lower())
            yield f"{document.locate(entry.find_place('name')[1])}: name {name} is no name for expressions: write {proposal}"
        yield from check_command(
            kind.revisions.rollback if kind.revisions else None, f"{document.locate(entry.find_place('revisions')[1])}: rollback"
        )
        try:
            self.rules.check_kind(kind)
        except RolloutError as error:
            yield error.message
        if self.paths and "." in resource:  # the phases of the core group have no generation
            yield from self.check_generation(kind, f"{document.locate(entry.at)}: rules about {name}")

    def check_generation(self, kind: Kind, rules: str) -> Iterator[str]:
        """Finds a phase that may be that of an earlier spec, and a generation that never comes. `rules` begins the sentence."""
        texts = [each.text for rule in self.rules.get_rules_about(kind.name) for each in rule.walk_expressions()]
        status = get_field(self.fields_of_kinds.get(kind.name), "status")
        is_there = "observedGeneration" in (status or ())
        if any("observedGeneration" in text for text in texts):
            if not kind.observes:
                yield f"{rules} read observedGeneration, and the kind says observes: false, that there is none: remove the one or the other"
        elif any("status.phase" in text for text in texts) and kind.observes and (is_there or not status or "*" in status):
            known = "" if is_there else "; or, if its status has none, observes: false on the kind (lint --crd FILE knows)"
            yield (
                f"{rules} look at its phase and at no observedGeneration, so that the phase of an earlier spec may count: add a rule with "
                f"verdict: hold, and when: {kind.name}.status.observedGeneration != {kind.name}.metadata.generation{known}"
            )

    def find_unused_params(self) -> Iterator[str]:
        expressions = [each for rule in self.rules.rules.values() for each in rule.walk_expressions()]
        used = {name for each in expressions for name in re.findall(r"params\.(\w+)", each.text)}
        for name, entry in self.rules.files.entries["params"].items():
            if name not in used and self.is_checked(entry.document) and name not in OF_THE_ENGINE:
                yield f"{entry.document.locate(entry.at)}: no rule uses the parameter {name}: use params.{name}, or remove it"

    def find_cut_texts(self, document: Document) -> Iterator[str]:
        """A finding for each text and expression that YAML ends too early, because it reads the rest as a comment."""
        text = document.path.read_text(encoding="utf-8")
        for at, node in find_scalars(yaml.compose(text, Loader=yaml.SafeLoader)):
            key = next((name for name in reversed(at) if isinstance(name, str)), "")
            is_text = key in (*TEXTS, *CONDITIONS) or "let" in at[:-1]
            # After a whole expression ` # words` is meant as a comment
            comment = r" +#" if key in TEXTS or not is_whole(node.value) else r" +#\S"
            if is_text and node.value and not node.style and re.match(comment, text[node.end_mark.index :]):
                yield f"{document.locate(at)}: {key} ends before ` #`, where YAML begins a comment: quote it, or write it as a block (>-)"


def find_scalars(node: yaml.Node | None, at: FieldPath = ()) -> Iterator[tuple[FieldPath, yaml.ScalarNode]]:
    """Each text in a YAML document, with its path."""
    if isinstance(node, yaml.ScalarNode):
        yield at, node
    elif isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield from find_scalars(value, (*at, key.value))
    else:
        for index, value in enumerate(node.value if node else ()):
            yield from find_scalars(value, (*at, index))


def is_whole(text: str) -> bool:
    """True if a text can be parsed as an expression."""
    try:
        return bool(Expression.parse(text, ""))
    except RolloutError:
        return False
