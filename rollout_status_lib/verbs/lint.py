"""The verb lint: checks rule files."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import yaml

from rollout_status_lib import find_data
from rollout_status_lib.arguments import build_verb_parser, describe_exits
from rollout_status_lib.errors import RolloutError
from rollout_status_lib.expressions import Expression
from rollout_status_lib.rule_schema import get_keys
from rollout_status_lib.rulefile import Document
from rollout_status_lib.rules import Rules
from rollout_status_lib.verbs import Engine, run_verb
from rollout_status_lib.verbs.fields import read_fields
from rollout_status_lib.verbs.lint_rule import CONDITIONS, TEXTS, RuleLinter


def main(argv: Sequence[str], _: Engine) -> tuple[str, int]:
    """Checks rule files."""
    flags = build_verb_parser(
        "lint [FILE ...]",
        "Checks a team's rule files, all of them over the built-in rules; without a FILE the built-in rules and packs.",
        describe_exits("no findings", "findings"),
    )
    flags.add_argument("files", nargs="*", metavar="FILE", help="a file or a folder")
    return run_verb("lint", lambda: lint([Path(path) for path in flags.parse(argv).files]))


def lint(teams: Sequence[Path]) -> tuple[str, int]:
    for path in teams:
        if not path.exists() or (path.is_dir() and not any(path.glob("*.y*ml"))):
            raise RolloutError("usage", f"there is no {path}" if not path.exists() else f"{path} has no .yaml file in it")
    problems: list[RolloutError] = []
    rules = Rules(find_data("rules"), teams, packs=None, problems=problems)
    linter = Linter(rules, teams)
    # What is cut at a comment is mostly also wrong as an expression: the cause is told, once
    cut = [line for document in linter.documents() for line in linter.cut(document)]
    places = {line.partition(": ")[0] for line in cut}
    findings = list(linter.findings())  # it has the rules loaded
    others = [*(problem.message for problem in problems), *findings]
    found = dict.fromkeys([*cut, *(line for line in others if line.partition(": ")[0] not in places)])
    summary = f"{len(found)} findings" if found else "no findings"
    return "\n".join([*sorted(found, key=get_place), *linter.list_endless(), summary]), int(bool(found))


def get_place(finding: str) -> tuple[str, int]:
    """File and line of a finding."""
    path, _, line = finding.partition(": ")[0].rpartition(":")
    return path, int(line)


RESOURCE = re.compile(r"[a-z][a-z0-9-]*(\.[a-z0-9.-]+)?|\*")

# The resources without a group: the core of the API, to which none is added any more
CORE = frozenset(
    re.findall(
        r"\w+",
        "bindings componentstatuses configmaps endpoints events limitranges namespaces nodes persistentvolumeclaims persistentvolumes pods "
        "podtemplates replicationcontrollers resourcequotas secrets serviceaccounts services",
    )
)


class Linter:
    """Finds in rule files what the program would accept, and nobody means."""

    def __init__(self, rules: Rules, teams: Sequence[Path]) -> None:
        self.rules = rules
        self.files = {path for team in teams for path in (team.glob("*.y*ml") if team.is_dir() else [team])}
        self.fields = read_fields()

    def is_ours(self, document: Document) -> bool:
        return not self.files or document.path in self.files

    def documents(self) -> list[Document]:
        return [document for document in self.rules.files.documents if self.is_ours(document)]

    def list_endless(self) -> Iterator[str]:
        """A line that names the rules whose wait may last for ever; none without such rules. That is no finding, but worth knowing."""
        rules = [
            rule.id
            for rule in self.rules.rules.values()
            if rule.endless and self.is_ours(self.rules.files.entries["rules"][rule.id].document)
        ]
        if rules:
            yield f"these may wait for ever (endless: true): {', '.join(rules)}"

    def findings(self) -> Iterator[str]:
        for rule in self.rules.rules.values():
            if any(self.is_ours(document) for document, _ in self.rules.files.entries["rules"][rule.id].fields.values()):
                yield from RuleLinter(self.rules, self.fields, rule).findings()
        for document in self.documents():
            content = document.content
            if isinstance(content, dict) and "version" not in content and content.keys() <= set(get_keys()):
                yield f"{document.locate(())}: version is missing: write version: 1 at its top"
        yield from self.kinds()
        yield from self.unused()

    def kinds(self) -> Iterator[str]:
        for name, kind in self.rules.kinds.items():
            entry = self.rules.files.entries["kinds"][name]
            if not kind.resource or not self.is_ours(entry.document):
                continue
            where, resource = entry.document.locate(entry.find_place("resource")[1]), kind.resource
            if not RESOURCE.fullmatch(resource) or ("." not in resource and resource not in {*CORE, "*"}):
                yield f"{where}: resource {resource} is not the plural with its group: write it like widgets.example.com"
            if not re.fullmatch("[a-z][a-z0-9_]*", name):
                proposal = re.sub("[^a-z0-9]+", "_", name.lower())
                yield f"{entry.document.locate(entry.find_place('name')[1])}: name {name} is no name for expressions: write {proposal}"
            try:
                self.rules.check_kind(kind)
            except RolloutError as error:
                yield error.message
            texts = [each.text for rule in self.rules.about[name] for each in rule.walk_expressions()]
            by_phase = any("status.phase" in text for text in texts) and not any("observedGeneration" in text for text in texts)
            if self.files and by_phase and "." in resource:  # the phases of the core group have no generation
                yield (
                    f"{entry.document.locate(entry.at)}: rules about {name} look at its phase and at no observedGeneration, so that the "
                    "phase of an earlier spec may count: add a rule with verdict: hold, and "
                    f"when: {name}.status.observedGeneration != {name}.metadata.generation"
                )

    def unused(self) -> Iterator[str]:
        used = {
            field
            for rule in self.rules.rules.values()
            for each in rule.walk_expressions()
            for field in re.findall(r"params\.(\w+)", each.text)
        }
        for name, entry in self.rules.files.entries["params"].items():
            if name not in used and self.is_ours(entry.document) and name != "expect_image":
                yield f"{entry.document.locate(entry.at)}: no rule uses the parameter {name}: use params.{name}, or remove it"

    def cut(self, document: Document) -> Iterator[str]:
        """Texts and expressions whose rest YAML takes for a comment."""
        text = document.path.read_text(encoding="utf-8")
        for at, node in find_scalars(yaml.compose(text, Loader=yaml.SafeLoader)):
            key = at[-1] if at else ""
            is_text = key in (*TEXTS, *CONDITIONS) or "let" in at[:-1]
            # Behind an expression that is whole ` # words` are meant as a comment
            comment = r" +#" if key in TEXTS or not is_whole(node.value) else r" +#\S"
            if is_text and node.value and not node.style and re.match(comment, text[node.end_mark.index :]):
                yield f"{document.locate(at)}: {key} ends before ` #`, where YAML begins a comment: quote it, or write it as a block (>-)"


def find_scalars(node: yaml.Node | None, at: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], yaml.ScalarNode]]:
    """Each text of a YAML document, and where it stands."""
    if isinstance(node, yaml.ScalarNode):
        yield at, node
    elif isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield from find_scalars(value, (*at, key.value))
    else:
        for index, value in enumerate(node.value if node else ()):
            yield from find_scalars(value, (*at, index))


def is_whole(text: str) -> bool:
    """Whether it can be parsed as an expression."""
    try:
        return bool(Expression.parse(text, ""))
    except RolloutError:
        return False
