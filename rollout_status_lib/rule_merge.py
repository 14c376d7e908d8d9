"""Rule files laid over each other: the built-in ones, the packs, the teams' files on top."""

from __future__ import annotations

import functools
import re
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from rollout_status_lib import find_data
from rollout_status_lib.declarations import DECISIONS, TEAM_CODE, is_word_for
from rollout_status_lib.errors import RolloutError, collect_errors, make_missing, read_part, suggest
from rollout_status_lib.rule_schema import get_keys, get_required
from rollout_status_lib.rulefile import Document, Entry, FieldPath

# The key of an entry's name; a parameter is named by its own key
NAME_KEYS = {"codes": "code", "kinds": "name", "steps": "name", "rules": "id"}

CODE = ("code", "type", "exit", "text")  # what a new code has; a file that lies over another can replace single fields


class RuleFiles:
    """What the rule files declare: for each code, kind, parameter and rule the places where its fields are written.

    The built-in files come first, with those about what other objects use (used/), then the packs that declare a requested kind, or one
    that such a kind uses
    (`packs`; None: all packs), then the teams' files on top. With a team's file all packs are read, since it may be about any kind.
    Between the two lies the file of a `mode`.
    RolloutError `invalid-rules`, with file and line, when a file is wrong; with a list of `problems` the error is added to
    it and reading goes on.
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
        self.problems = problems  # lint wants all of them; None: the first one ends the run
        self.documents: list[Document] = []
        self.is_checked = bool(teams) or problems is not None  # whether each rule is loaded, so that a mistake in it is found
        self.teams: list[Document] = []  # the teams' files
        self.pack_kinds: set[str] = set()  # names of kinds that packs and used/ declare: they are judged only when they are asked for
        self.notes: list[str] = []  # for the result: what makes a success come earlier, and renamed rules
        self.annotations: Collection[str] | None = None  # the parameters that annotations may set; None: all
        self.added: dict[str, list[tuple[Document, FieldPath]]] = {}  # to the words of a parameter, by teams
        self.entries: dict[str, dict[str, Entry]] = {"codes": {}, "kinds": {}, "params": {}, "steps": {}, "rules": {}}
        for document in self.read_builtin(folder, None if teams else packs):
            with collect_errors(self.problems):
                self.add_all(document, is_pack=document.path.parent != folder)
        if mode:
            self.merge(self.read(folder / "compat" / f"{mode}.yaml"), replaces_codes=True)
            self.notes.clear()  # nobody is surprised by what a mode changes
        for path in list_rule_files(teams):
            with collect_errors(self.problems):
                self.merge(self.read_team(path))

    @functools.cached_property
    def team_places(self) -> tuple[str, ...]:
        """How the places begin that are in the teams' files."""
        return tuple(f"{document.path}:" for document in self.teams)

    def read(self, path: Path) -> Document:
        document = Document(path, "invalid-rules", self.problems)
        self.documents.append(document)
        if document.get_mapping((), get_keys()).get("version", 1) != 1:
            document.refuse(("version",), "this program reads version 1: write version: 1")
        document.get_mapping(("let",))
        return document

    def read_team(self, path: Path) -> Document:
        """A team's file. One that says nothing, not even its version, was hardly meant: a checkout may have failed."""
        document = self.read(path)
        self.teams.append(document)
        if document.content == {}:
            document.refuse((), "the file is empty, so no rule of it counts: is it what was checked out? It begins with version: 1")
        if "version" not in document.content and document.content.keys() <= set(get_keys()):
            document.report((), "version is missing: write version: 1 at its top")
        return document

    # ---------------------------------------------------------------------------------------- the built-in files and packs

    def read_builtin(self, folder: Path, packs: Collection[str] | None) -> list[Document]:
        """The built-in files, and the packs that declare one of the kinds; None: all packs.

        RolloutError `internal` when a file is missing that files.txt names: without its rules, a failure could become a success.
        """
        if folder == find_data("rules"):  # and not those of another release
            for name in read_part(folder / "files.txt").split():
                if not (folder / name).is_file():
                    raise make_missing(folder / name, "it is missing")
        documents = [self.read(path) for path in [*sorted(folder.glob("*.yaml")), *sorted((folder / "used").glob("*.yaml"))]]
        if not documents:
            raise make_missing(folder, "there are no rules")
        words = [word for word in packs or () if not any(self.declares(each, word) for each in documents)]
        if packs is None or words:
            candidates = [self.read(path) for path in sorted((folder / "packs").glob("*.yaml"))]
            chosen = [each for each in candidates if packs is None or any(self.declares(each, word) for word in words)]
            for document in chosen:  # which grows by the packs that declare what kinds of others use
                used = self.list_used(document)
                chosen += [each for each in candidates if each not in chosen and any(self.declares(each, name) for name in used)]
            documents += chosen
        return documents

    def list_used(self, document: Document) -> list[str]:
        """The names of the kinds that those of a file use."""
        uses = [use for at in document.list_entries(("kinds",)) for use in document.list_entries((*at, "uses"))]
        return [str(document.get((*use, "kind"))) for use in uses]

    def declares(self, document: Document, word: str) -> bool:
        """True if a file declares the kind that a word of the command line means."""
        return any(
            is_word_for(word, str(document.get((*at, "resource"), "")), (document.get((*at, "name")), *document.get_texts((*at, "short"))))
            for at in document.list_entries(("kinds",))
        )

    def add_all(self, document: Document, *, is_pack: bool) -> None:
        """Adds all that a built-in file or a pack declares. Each name must be new."""
        for at in document.list_entries(("codes",)):
            self.add("codes", Entry(document, at, get_keys("code"), CODE))
        for at in document.list_entries(("kinds",)):
            self.add("kinds", Entry(document, at, get_keys("kind"), get_required("kind")))
        for at in document.list_entries(("steps",)):
            self.add("steps", Entry(document, at, get_keys("step"), ("name", "of")))
        for at in document.list_entries(("rules",)):
            self.add("rules", Entry(document, at, get_keys("rule"), ("id",)))
        for at in document.list_members(("params",)):
            self.add("params", Entry(document, at, get_keys("param"), ()))
        if is_pack:
            self.pack_kinds |= {str(document.get((*at, "name"))) for at in document.list_entries(("kinds",))}

    def add(self, section: str, entry: Entry) -> None:
        """Adds an entry under its name, which must be new."""
        name = str(entry.get(NAME_KEYS[section]) if section in NAME_KEYS else entry.at[-1])
        first = self.entries[section].get(name)
        if first:
            entry.document.refuse(entry.at, f"{name} stands twice, first in {first.document.locate(first.at)}")
        self.entries[section][name] = entry

    # ---------------------------------------------------------------------------------------------------- a team's file

    def merge(self, document: Document, *, replaces_codes: bool = False) -> None:
        """Adds what a team's file declares, and changes what it overrides. The file of a mode may change codes, too."""
        self.extend(document)
        for merge, places in (
            (self.replace_code if replaces_codes else self.add_code, document.list_entries(("codes",))),
            (self.merge_kind, document.list_entries(("kinds",))),
            (self.merge_param, document.list_members(("params",))),
            (self.merge_step, document.list_entries(("steps",))),
            (self.add_rule, document.list_entries(("rules",))),
            (self.override_rule, document.list_members(("override",))),
            (self.disable_rule, document.list_entries(("disable",))),
            (self.restrict_annotations, [("annotations",)] if document.get(("annotations",)) is not None else []),
        ):
            for at in places:
                with collect_errors(self.problems):
                    merge(document, at)

    def extend(self, document: Document) -> None:
        """Drops the built-in rules if the file says `extends: none`. Those about failed calls of kubectl stay."""
        base, rules = document.get(("extends",), "builtin"), self.entries["rules"]
        if base == "none":
            self.notes.append(f"the built-in rules are off: success is what this file says ({document.locate(('extends',))})")
            self.entries["rules"] = {name: rule for name, rule in rules.items() if "call" in rule.get_texts("subject")}
        elif base != "builtin":
            document.report(("extends",), f"no base {base}{suggest(base, ('builtin', 'none'))}")

    def add_code(self, document: Document, at: FieldPath) -> None:
        self.add("codes", Entry(document, at, get_keys("code"), CODE))

    def replace_code(self, document: Document, at: FieldPath) -> None:
        document.get_mapping(at, get_keys("code"))
        self.entries["codes"][str(document.get((*at, "code")))].replace(document, at)

    def merge_kind(self, document: Document, at: FieldPath) -> None:
        """Adds a kind, or replaces single fields of a known one. A pack's kind then counts as a built-in one: it is judged unasked."""
        entry = Entry(document, at, get_keys("kind"), get_required("kind"))
        if entry.get_text("name") in self.entries["kinds"]:
            self.entries["kinds"][entry.get("name")].replace(document, at)
            self.pack_kinds.discard(entry.get("name"))
        elif entry.get("name") is not None:
            if entry.get("resource") is None and entry.get("part_of") is None:
                entry.report_missing("resource", "write its plural and its group, like widgets.example.com")
            self.add("kinds", entry)

    def merge_step(self, document: Document, at: FieldPath) -> None:
        """Replaces single fields of a known step. A new one would have no place in their order."""
        name, steps = Entry(document, at, get_keys("step"), get_required("step")).get_text("name"), self.entries["steps"]
        if name is not None and name not in steps:
            document.refuse((*at, "name"), f"no step {name}{suggest(name, steps)} (a file can change the known ones, and add none)")
        elif name is not None:
            steps[name].replace(document, at)

    def merge_param(self, document: Document, at: FieldPath) -> None:
        """Adds a parameter, or changes the default or other fields of a known one; words are added to its default."""
        name, content = at[-1], document.get(at)
        param = self.entries["params"].get(str(name))
        if param and param.get("type") == "words" and not isinstance(content, dict):
            self.added.setdefault(str(name), []).append((document, at))
        elif param and not isinstance(content, dict):
            param.fields["default"] = (document, at)
        elif param:
            document.get_mapping(at, get_keys("param"))
            param.replace(document, at)
        elif not isinstance(content, dict):
            closest = suggest(name, self.entries["params"])
            document.refuse(at, f"no parameter {name}{closest} (a new one is a mapping with type and default)")
        else:
            self.add("params", Entry(document, at, get_keys("param"), ()))

    def add_rule(self, document: Document, at: FieldPath) -> None:
        entry = Entry(document, at, get_keys("rule"), ())
        name = entry.get_text("id") or ""
        if name in self.entries["rules"] and not TEAM_CODE.fullmatch(name):
            document.refuse((*at, "id"), f"this is a built-in rule: write what changes as override: {{{name}: ...}}, or id: acme/{name}")
        words = [re.sub("[^a-z0-9]+", "-", word.lower()).strip("-") or "name" for word in name.split("/")]
        proposal = "/".join(words if len(words) == 2 else ["acme", "-".join(words)])
        if not name:
            entry.report_missing("id", f"write id: {proposal}")
        elif not TEAM_CODE.fullmatch(name):
            entry.report("id", f"a team's rule has a prefix, and small letters, digits and dashes: write id: {proposal}")
        self.add("rules", entry)

    def override_rule(self, document: Document, at: FieldPath) -> None:
        """Replaces single fields of a rule. A new decision replaces the old one, whichever of DECISIONS that was."""
        rule = self.find_rule(str(at[-1]), document, at)
        fields = document.get_mapping(at, get_keys("rule"))
        if "id" in fields:
            document.refuse((*at, "id"), "an override cannot change the id: disable the rule, and write one of your own")
        if not fields.keys() <= set(get_keys("rule")):
            return
        could_wait = can_wait(rule)
        if set(DECISIONS) & fields.keys():
            rule.fields = {key: place for key, place in rule.fields.items() if key not in DECISIONS}
        rule.replace(document, at)
        if could_wait and (not can_wait(rule) or "when" in fields):
            self.notes.append(f"{rule.get('id')} waits for less, or not any more: success may come earlier ({document.locate(at)})")

    def disable_rule(self, document: Document, at: FieldPath) -> None:
        rule = self.find_rule(str(document.get(at)), document, at)
        del self.entries["rules"][rule.get("id")]
        if can_wait(rule):
            self.notes.append(f"{rule.get('id')} is disabled and could wait: success may come earlier ({document.locate(at)})")

    def restrict_annotations(self, document: Document, at: FieldPath) -> None:
        """Sets which parameters annotations may set: all, none, or those in a list."""
        content = document.get(at)
        allowed = ["false"] if content is False else [name.replace("-", "_") for name in document.get_texts(at)]
        choices = (*self.entries["params"], "none", "all")
        for name in allowed:
            if name not in choices:
                document.report(at, f"no parameter {name}{suggest(name, choices)}")
        self.annotations = None if allowed == ["all"] else allowed

    def find_rule(self, name: str, document: Document, at: FieldPath) -> Entry:
        """The rule with this id, or with this alias: it had that id before it was renamed. Refuses the file if there is none."""
        rules = self.entries["rules"]
        renamed = next((rule for rule in rules.values() if name in rule.get_texts("aliases")), None)
        if name not in rules and renamed:
            self.notes.append(f"{document.locate(at)}: {name} is called {renamed.get('id')} now")
        return rules.get(name) or renamed or document.refuse(at, f"no rule {name}{suggest(name, rules)}")


def can_wait(rule: Entry) -> bool:
    """True if a success may have to wait for this rule: by its verdict, or because fail_when or fail_after decides."""
    return rule.get("verdict") not in ("fail", "ignore", "note")


def list_rule_files(paths: Iterable[Path]) -> list[Path]:
    """The files that the paths name, and those in the folders that they name. A file that is named twice is listed once.

    RolloutError `invalid-rules` for a folder without any: if its rules went missing, nobody would know.
    """
    files = [file for path in paths for file in (list_folder(path) if path.is_dir() else [path])]
    return list({path.resolve(): path for path in files}.values())


def list_folder(folder: Path) -> list[Path]:
    """The rule files in a folder."""
    files = sorted(path for path in folder.glob("*.y*ml") if not path.is_dir())
    if not files:
        raise RolloutError("invalid-rules", f"{folder} has no .yaml file in it, so no rule of it counts: is it what was checked out?")
    return files
