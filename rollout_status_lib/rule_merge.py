"""Rule files laid over each other: built-in ones, packs, teams' files."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from pathlib import Path

from rollout_status_lib import Json
from rollout_status_lib.declarations import (
    CODE_KEYS,
    CODE_NEEDS,
    DECISIONS,
    FILE_KEYS,
    PARAM_KEYS,
    RULE_KEYS,
    SILENT,
    TEAM_CODE,
    Kind,
    Step,
    is_word_for,
)
from rollout_status_lib.errors import RolloutError, collect_errors, suggest
from rollout_status_lib.rulefile import Document, Entry, FieldPath


class RuleFiles:
    """What the rule files declare: for each code, kind, parameter and rule the places where its fields are written.

    The built-in files come first, then the packs that declare a requested kind (`packs`; None: all packs), then the teams'
    files on top. A team may speak of any kind, so with a team's file all packs are read.
    RolloutError `invalid-rules`, with file and line, when a file is wrong; with a list of `problems` the error is added to
    it and reading goes on.
    """

    def __init__(
        self, folder: Path, teams: Sequence[Path] = (), *, packs: Collection[str] | None = (), problems: list[RolloutError] | None = None
    ) -> None:
        self.problems = problems  # lint wants all of them; None: the first one ends the run
        self.documents: list[Document] = []
        self.packed: set[str] = set()  # names of kinds that come from a pack: they are judged only if somebody asks for them
        self.notes: list[str] = []
        self.annotations: Collection[str] | None = None  # the parameters that annotations may set; None: all
        self.entries: dict[str, dict[str, Entry]] = {"codes": {}, "kinds": {}, "params": {}, "steps": {}, "rules": {}}
        own = [self.document(path) for path in sorted(folder.glob("*.yaml"))]
        if not own:
            raise RolloutError("invalid-rules", f"{folder} has no rules: rules/ and schema.json belong beside the program")
        asked = [word for word in packs or () if not any(self.declares(each, word) for each in own)]
        if packs is None or asked or teams:  # a team may speak of any
            documents = [self.document(path) for path in sorted((folder / "packs").glob("*.yaml"))]
            own += [each for each in documents if packs is None or teams or any(self.declares(each, word) for word in asked)]
        for document in own:
            with collect_errors(self.problems):
                before = set(self.entries["kinds"])
                self.add_all(document)
                self.packed |= {*self.entries["kinds"]} - before if document.path.parent != folder else set()
        files = [file for team in teams for file in (sorted(team.glob("*.y*ml")) if team.is_dir() else [team])]
        for path in {path.resolve(): path for path in files}.values():  # one that is named twice is read once
            with collect_errors(self.problems):
                self.overlay(self.document(path))

    def document(self, path: Path) -> Document:
        document = Document(path, "invalid-rules", self.problems)
        self.documents.append(document)
        if document.mapping((), FILE_KEYS).get("version", 1) != 1:
            document.refuse(("version",), "this program reads version 1: write version: 1")
        document.mapping(("let",))
        return document

    def declares(self, document: Document, word: str) -> bool:
        """Whether a file declares the kind that a word of the command line means."""
        return any(
            is_word_for(word, str(document.get((*at, "resource"), "")), (document.get((*at, "name")), *document.texts((*at, "short"))))
            for at in document.entries(("kinds",))
        )

    def add_all(self, document: Document) -> None:
        """Adds what a file declares. Each name must be new."""
        for section, keys, needed in (
            ("codes", CODE_KEYS, CODE_NEEDS),
            ("kinds", Kind.__slots__, ("name",)),
            ("steps", Step.__slots__, ("name", "of")),
            ("rules", RULE_KEYS, ("id",)),
        ):
            for at in document.entries((section,)):
                self.add(section, Entry(document, at, keys, needed))
        for at in document.members(("params",)):
            self.add("params", Entry(document, at, PARAM_KEYS, ()))

    def add(self, section: str, entry: Entry) -> None:
        key = {"codes": "code", "kinds": "name", "steps": "name", "rules": "id"}.get(section)
        name, known = str(entry.get(key) if key else entry.at[-1]), self.entries[section]
        if name in known:
            entry.document.refuse(entry.at, f"{name} stands twice, first in {known[name].document.where(known[name].at)}")
        known[name] = entry

    def overlay(self, document: Document) -> None:
        """Takes over what a team's file changes and adds."""
        self.extend(document)
        for take, places in (
            (self.take_code, document.entries(("codes",))),
            (self.take_kind, document.entries(("kinds",))),
            (self.take_param, document.members(("params",))),
            (self.take_step, document.entries(("steps",))),
            (self.take_rule, document.entries(("rules",))),
            (self.override, document.members(("override",))),
            (self.disable, document.entries(("disable",))),
            (self.restrict, [("annotations",)] if document.get(("annotations",)) is not None else []),
        ):
            for at in places:
                with collect_errors(self.problems):
                    take(document, at)

    def extend(self, document: Document) -> None:
        base, rules = document.get(("extends",), "builtin"), self.entries["rules"]
        if base == "none":  # but for what kubectl's own errors mean
            self.notes.append(f"the built-in rules are off: success is what this file says ({document.where(('extends',))})")
            self.entries["rules"] = {name: rule for name, rule in rules.items() if "call" in rule.texts("subject")}
        elif base != "builtin":
            document.report(("extends",), f"no base {base}{suggest(base, ('builtin', 'none'))}")

    def take_code(self, document: Document, at: FieldPath) -> None:
        self.add("codes", Entry(document, at, CODE_KEYS, CODE_NEEDS))

    def take_kind(self, document: Document, at: FieldPath) -> None:
        entry = Entry(document, at, Kind.__slots__, ("name",))
        if entry.text("name") in self.entries["kinds"]:
            self.entries["kinds"][entry.get("name")].replace(document, at)
            self.packed.discard(entry.get("name"))
        elif entry.get("name") is not None:
            if entry.get("resource") is None and entry.get("part_of") is None:
                entry.missing("resource", "write its plural and its group, like widgets.example.com")
            self.add("kinds", entry)

    def take_param(self, document: Document, at: FieldPath) -> None:
        """A parameter of the team, another default for a known one, or some of a known one's fields."""
        known = self.entries["params"].get(str(at[-1]))
        if known and not isinstance(document.get(at), dict):
            known.fields["default"] = (document, at)
        elif known:
            document.mapping(at, PARAM_KEYS)
            known.replace(document, at)
        elif not isinstance(document.get(at), dict):
            near = suggest(at[-1], self.entries["params"])
            document.refuse(at, f"no parameter {at[-1]}{near} (a new one is a mapping with type and default)")
        else:
            self.add("params", Entry(document, at, PARAM_KEYS, ()))

    def take_step(self, document: Document, at: FieldPath) -> None:
        """What a team changes of a known step; a new one would have no place in their order."""
        name, known = Entry(document, at, Step.__slots__, ("name",)).text("name"), self.entries["steps"]
        if name is not None and name not in known:
            document.refuse((*at, "name"), f"no step {name}{suggest(name, known)}: a team can change the known ones, and add none")
        elif name is not None:
            known[name].replace(document, at)

    def take_rule(self, document: Document, at: FieldPath) -> None:
        entry = Entry(document, at, RULE_KEYS, ())
        name = entry.text("id") or ""
        if name in self.entries["rules"] and not TEAM_CODE.fullmatch(name):
            document.refuse((*at, "id"), f"this is a built-in rule: write what changes as override: {{{name}: ...}}, or id: acme/{name}")
        words = [re.sub("[^a-z0-9]+", "-", word.lower()).strip("-") or "name" for word in name.split("/")]
        proposal = "/".join(words if len(words) == 2 else ["acme", "-".join(words)])
        if not name:
            entry.missing("id", f"write id: {proposal}")
        elif not TEAM_CODE.fullmatch(name):
            entry.report("id", f"a team's rule has a prefix, and small letters, digits and dashes: write id: {proposal}")
        self.add("rules", entry)

    def override(self, document: Document, at: FieldPath) -> None:
        rule = self.rule_called(at[-1], document, at)
        fields = document.mapping(at, RULE_KEYS)
        if "id" in fields:
            document.refuse((*at, "id"), "an override cannot change the id: disable the rule, and write one of your own")
        if not fields.keys() <= set(RULE_KEYS):
            return
        could_wait = rule.get("verdict") not in SILENT
        if set(DECISIONS) & fields.keys():
            rule.fields = {key: place for key, place in rule.fields.items() if key not in DECISIONS}
        rule.replace(document, at)
        if could_wait and (rule.get("verdict") in SILENT or "when" in fields):
            self.notes.append(f"{rule.get('id')} waits for less, or not any more: success may come earlier ({document.where(at)})")

    def disable(self, document: Document, at: FieldPath) -> None:
        rule = self.rule_called(document.get(at), document, at)
        del self.entries["rules"][rule.get("id")]
        if rule.get("verdict") not in SILENT:
            self.notes.append(f"{rule.get('id')} is disabled and could wait: success may come earlier ({document.where(at)})")

    def restrict(self, document: Document, at: FieldPath) -> None:
        """Which parameters annotations may set: all, none, or those of a list."""
        content = document.get(at)
        allowed = ["false"] if content is False else [name.replace("-", "_") for name in document.texts(at)]
        for name in allowed:
            if name not in (known := (*self.entries["params"], "none", "all")):
                document.report(at, f"no parameter {name}{suggest(name, known)}")
        self.annotations = None if allowed == ["all"] else allowed

    def rule_called(self, name: Json, document: Document, at: FieldPath) -> Entry:
        """The rule with that id, or that had it before it was renamed."""
        rules = self.entries["rules"]
        renamed = next((rule for rule in rules.values() if name in rule.texts("aliases")), None)
        if name not in rules and renamed:
            self.notes.append(f"{document.where(at)}: {name} is called {renamed.get('id')} now")
        return rules.get(name) or renamed or document.refuse(at, f"no rule {name}{suggest(name, rules)}")
