"""What is done around judging, imported only when it is asked for: recording a run, and the verbs explain, query, report, test,
lint and rules.
"""

from __future__ import annotations

import difflib
import functools
import hashlib
import io
import json
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jmespath.exceptions
import yaml

import rollout_status as engine

Json = Any


class Recorder:
    """Writes the polls of a run to a new folder, so that they replay. What the run does not judge is left out, and so are
    the values of environment variables: equal ones stay equal, since that tells whether two templates are.
    """

    DROPPED = ("managedFields", "kubectl.kubernetes.io/last-applied-configuration")

    def __init__(self, folder: Path, selection: engine.Selection, rules: engine.Rules, *, only_failed: bool = False) -> None:
        flag = "--dump" if only_failed else "--record"
        try:
            self.made = [path for path in (folder, *folder.parents) if not path.exists()]  # by this run, the innermost first
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if any(folder.iterdir()):
                raise engine.RolloutError("usage", f"{flag}: {folder} is not empty: name a new folder")
            # What is kept only if the run fails is in a hidden folder inside until then, so that it is on the same disk
            self.hidden = Path(tempfile.mkdtemp(prefix=".", dir=folder)) if only_failed else None
        except OSError as error:
            raise engine.RolloutError("usage", f"{flag} {folder}: {engine.reason(error)}") from None
        self.target, self.folder, self.selection, self.rules = folder, self.hidden or folder, selection, rules
        self.polls: list[Json] = []
        self.files: dict[bytes, str] = {}  # digest of the content -> file
        self.has_applied = False  # what was applied is written
        self.secrets: dict[str, str] = {}  # value of a variable -> what stands for it
        self.notes: list[str] = []

    def end(self, logs: Mapping[str, str], revisions: Sequence[Json], exit_code: int) -> None:
        """Keeps the recording, or leaves nothing: of one that is only for failures, after a success or without a poll."""
        if not self.hidden or (exit_code and self.polls):
            self.save(logs, revisions)
        if self.hidden and exit_code and self.polls:
            self.keep(self.hidden)
        elif self.hidden:
            shutil.rmtree(self.hidden, ignore_errors=True)
            with suppress(OSError):  # somebody else's files are in it
                for path in self.made:
                    path.rmdir()

    def keep(self, hidden: Path) -> None:
        """Moves what was hidden to where it belongs."""
        try:
            for path in hidden.iterdir():
                path.rename(self.target / path.name)
            hidden.rmdir()
            self.folder, self.hidden = self.target, None
        except OSError as error:
            self.notes = [f"the recording is not complete: {error}"]

    def add(self, poll: engine.Poll, roots: Iterable[Json]) -> None:
        """Writes what was seen of the workloads, and all that is below them; or the calls that failed."""
        entry: dict[str, Json] = {"at": engine.written(poll.at)}
        if poll.snapshot:
            content = json.dumps({"kind": "List", "items": [self.redacted(each) for each in self.kept(poll.snapshot, roots)]}, indent=1)
            digest = hashlib.sha256(content.encode()).digest()
            if digest not in self.files:
                self.files[digest] = f"{len(self.files) + 1:03}.json"
                self.write(self.files[digest], content)
            entry["objects"] = self.files[digest]
        else:
            entry["error"] = [{key: call[key] for key in sorted(call)} for call in poll.calls]
        self.polls.append(entry)
        self.save({})

    def save(self, logs: Mapping[str, str], revisions: Sequence[Json] = ()) -> None:
        """Writes which polls there were, and what was read at the end."""
        for value, name in self.secrets.items():
            if len(value) >= engine.SECRET:
                logs = {key: log.replace(value, name) for key, log in logs.items()}
        words = {word: list(key) for key, kind in self.rules.known.items() for word, each in self.rules.called.items() if each is kind}
        content = {"exact": True, "polls": self.polls, **({"logs": dict(logs)} if logs else {}), **({"words": words} if words else {})}
        if revisions:
            content["revisions"] = "revisions.json"
            self.write("revisions.json", json.dumps({"kind": "List", "items": list(map(self.redacted, revisions))}, indent=1))
        if self.selection.manifests and self.selection.targets:
            content["applied"] = "applied.json"
            if not self.has_applied:
                self.has_applied = True
                self.write("applied.json", json.dumps({"kind": "List", "items": list(map(self.applied, self.selection.targets))}, indent=1))
        self.write("recording.yaml", yaml.safe_dump(content, sort_keys=False))

    def applied(self, target: engine.Target) -> Json:
        """A workload that manifests name: what `kubectl apply` printed of it, or what it is called."""
        names = {"name": target.name, **({"namespace": target.namespace} if target.namespace else {})}
        named = {**{key: engine.field_of(target.manifest, key) for key in ("apiVersion", "kind")}, "metadata": names}
        return self.redacted(target.applied or named)

    def kept(self, snapshot: engine.Snapshot, roots: Iterable[Json]) -> list[Json]:
        """The workloads, what they own, and the events about all that; a namespace's events that cannot be read are none."""
        below: dict[str, list[Json]] = {}
        for each in snapshot.objects:
            below.setdefault(str(engine.field_of(engine.controller_of(each), "uid")), []).append(each)
        found = {engine.identity(root): root for root in roots}
        queue = list(found.values())
        while queue:
            fresh = {
                engine.identity(each): each for each in below.get(engine.identity(queue.pop()), ()) if engine.identity(each) not in found
            }
            found |= fresh
            queue += fresh.values()
        spaces = dict.fromkeys(engine.namespace_of(each) for each in found.values())
        events = [event for namespace in spaces for event in snapshot.events(namespace) or ()]
        return [*found.values(), *(event for event in events if engine.field_of(event, "involvedObject", "uid") in found)]

    def redacted(self, value: Json, *, secret: bool = False) -> Json:
        if isinstance(value, list):
            return [self.redacted(entry, secret=secret) for entry in value]
        if not isinstance(value, dict):
            return value
        dropped = (*self.DROPPED, "data", "stringData") if value.get("kind") == "Secret" else self.DROPPED
        kept = {key: self.redacted(entry, secret=key in ("env", "httpHeaders")) for key, entry in value.items() if key not in dropped}
        if secret and "value" in value:
            kept["value"] = self.secrets.setdefault(str(value["value"]), f"redacted-{len(self.secrets) + 1}")
        return kept

    def write(self, name: str, text: str) -> None:
        """Puts a file into its place as a whole. One that cannot be written becomes a note and never hides the verdict."""
        whole = self.folder / f".{name}"
        try:
            with os.fdopen(os.open(whole, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
                file.write(engine.without_passwords(text))
            whole.replace(self.folder / name)
        except OSError as error:
            self.notes = [f"the recording is not complete: {error}"]


# ------------------------------------------------------------------------------------------------------------ explain

LONGEST_VALUE = 120  # characters


def explain(argv: Sequence[str]) -> tuple[str, int]:
    """Runs as without `explain`, and tells why each subject is what it is at the end; the exit code is the run's."""
    nearly, run = "--nearly" in argv, engine.Run()
    result, exit_code = engine.ended(run, [argument for argument in argv if argument != "--nearly"])
    workloads = run.judgement.workloads if run.judgement else ()
    lines = [line for workload in workloads for line in Explanation(run, workload, nearly).about(workload.subject)]
    return "\n".join([*map(engine.plain, lines), engine.as_text(result)]), exit_code


class Explanation:
    """What is known of a workload: each subject, beneath it the rules that hold for it, and what they read."""

    def __init__(self, run: engine.Run, workload: engine.Workload, nearly: bool) -> None:
        self.run, self.workload, self.nearly = run, workload, nearly
        self.found: dict[str, list[engine.Finding]] = {}
        for finding in (*workload.findings, *workload.others):
            self.found.setdefault(finding.subject.key, []).append(finding)
        self.seen = {engine.identity(each): each for each in run.judge.snapshot.objects}

    def about(self, subject: engine.Subject, indent: str = "") -> Iterator[str]:
        """The lines about a subject and all below it."""
        name = next(iter(subject.part.values()), engine.name_of(subject.value))
        rules = self.run.judge.rules_of(subject)
        findings = self.found.get(subject.key, [])
        others = ", not of the current revision" if subject.blocked else ""
        yield f"{indent}{subject.kind.name} {name}: {len(rules)} rules, of which {len(findings)} hold{others}"
        for finding in findings:
            yield f"{indent}  {finding.verdict}: {finding.rule.id} ({finding.rule.where.rpartition(': ')[0]}): {finding.message}"
            yield from (f"{indent}      {line}" for line in self.read_by(finding))
        if self.nearly:
            held = {finding.rule.id for finding in findings}
            yield from (f"{indent}  {line}" for rule in rules if rule.id not in held for line in self.missed(rule, subject))
        for child in subject.children:
            yield from self.about(child, f"{indent}  ")
        judged = {child.key for child in subject.children}
        for value in subject.old if len(subject.lineage) == 1 else ():
            if engine.identity(value) not in judged:
                yield f"{indent}  {engine.field_of(value, 'kind')} {engine.name_of(value)}: of another revision, not judged"

    def missed(self, rule: engine.Rule, subject: engine.Subject) -> Iterator[str]:
        """The line about a rule of whose conditions all but one are true."""
        if rule.each is not None:
            return
        scope = engine.Scope(engine.View(self.run.judge.roots_of(subject)), rule, self.run.judge.interpreter)
        terms = list(conjuncts(rule.when.tree))
        false = [term for term in terms if not engine.truth(self.value(term, scope))]
        if len(terms) > 1 and len(false) == 1:
            yield f"nearly: {rule.id} ({rule.where.rpartition(': ')[0]}): all of its `when` holds, but for this part:"
            yield from (f"    {self.shown(path, scope, subject, rule)}" for path in paths(false[0]))

    def read_by(self, finding: engine.Finding) -> Iterator[str]:
        """`path = value` for each path that the rule's expressions read, those of its `let` included."""
        rule, seen, lets = finding.rule, set(), set()
        queue = [each for each in (rule.when, rule.fail_when, rule.fail_after, rule.since) if isinstance(each, engine.Expression)]
        while queue:
            for node in paths(queue.pop(0).tree):
                text, root = engine.path_of(node), engine.path_of(node).partition(".")[0]
                if root in rule.let and root not in lets:
                    lets.add(root)
                    queue.append(rule.let[root])
                whole = text == "null" or (text in finding.scope.roots and text not in rule.let)  # an object that stands above
                if text not in seen and not whole:
                    seen.add(text)
                    yield self.shown(node, finding.scope, finding.subject, rule)

    def value(self, node: Json, scope: engine.Scope) -> Json:
        """What a part of a rule gives; null for one that cannot be evaluated, as the parts before it may see to it that it is not."""
        try:
            return engine.compiled(node)(scope, scope.interpreter)
        except (jmespath.exceptions.JMESPathError, engine.RolloutError):
            return None

    def shown(self, node: Json, scope: engine.Scope, subject: engine.Subject, rule: engine.Rule) -> str:
        """`path = value`, and where the value comes from if not from the cluster."""
        value = json.dumps(self.value(node, scope))
        short = value if len(value) <= LONGEST_VALUE else f"{value[: LONGEST_VALUE - 3]}..."
        return f"{engine.path_of(node)} = {short}{self.origin(node, subject, rule)}"

    def origin(self, node: Json, subject: engine.Subject, rule: engine.Rule) -> str:
        """Where a parameter got its value; whether a 0 was filled in, as Kubernetes leaves it out."""
        root, *path = field_names(node, rule.let)
        if root == "params" and path:
            return f" ({self.parameter(path[0])})"
        for name, value in subject.lineage:
            kind = self.run.rules.kinds[name]
            if root in (name, "self" if value is subject.value else name) and tuple(path) in kind.zero:
                seen = engine.field_of(self.seen.get(engine.identity(value)), *path)
                return " (filled in: Kubernetes leaves a 0 out)" if seen is None else ""
        return ""

    def parameter(self, name: str) -> str:
        judge = self.run.judge
        if name in judge.fixed:
            return "from a flag"
        if judge.params_of[self.workload.subject.key][name] != judge.params[name]:
            return f"from the annotation {engine.ANNOTATION}{name.replace('_', '-')}"
        document, at = self.run.rules.entries["params"][name].place("default")
        return f"from {document.where(at)}"


def field_names(node: Json, lets: Mapping[str, engine.Expression]) -> list[str]:
    """The keys of a path, of which the first is a root; one that a `let` names is followed, if that is a path too."""
    if node["type"] == "field":
        name = str(node["value"])
        return field_names(lets[name].tree, {key: let for key, let in lets.items() if key != name}) if name in lets else [name]
    if node["type"] == "subexpression":
        first, *rest = node["children"]
        return [*field_names(first, lets), *(name for child in rest for name in field_names(child, {}))]
    return [""]


def conjuncts(node: Json) -> Iterator[Json]:
    """The parts of a condition that must all be true."""
    if node["type"] != "and_expression":
        yield node
        return
    for child in node["children"]:
        yield from conjuncts(child)


def paths(node: Json) -> Iterator[Json]:
    """The paths, from a root down, that a parsed expression reads; not those inside a filter, which begin elsewhere."""
    if node["type"] in ("field", "subexpression"):
        yield node
        return
    children = node["children"][:1] if "projection" in node["type"] or node["type"] in ("pipe", "flatten") else node["children"]
    for child in children:
        if isinstance(child, dict) and child["type"] != "expref":
            yield from paths(child)


# -------------------------------------------------------------------------------------------------------------- query


def query(argv: Sequence[str]) -> tuple[str, int]:
    """Runs as without `query`, on a cluster once, and tells what an expression gives for each subject of a kind at the end."""
    return told("query", lambda: queried(list(argv)))


def queried(argv: list[str]) -> tuple[str, int]:
    usage = "query EXPR --subject KIND [arguments as for watching or replaying]"
    if argv[:1] in (["-h"], ["-help"], ["--help"]):
        return f"usage: rollout-status {usage}", 0
    words = [index for index, word in enumerate(argv) if word.lstrip("-").partition("=")[0] == "subject"]
    if not words or argv[0].startswith("--") or ("=" not in argv[words[0]] and len(argv) <= words[0] + 1):
        raise engine.RolloutError("usage", f"write rollout-status {usage}")
    inline = argv[words[0]].partition("=")[2]
    name = inline or argv[words[0] + 1]
    rest = [*argv[1 : words[0]], *argv[words[0] + (1 if inline else 2) :]]
    run, expression = engine.Run(), engine.Expression.parse(argv[0], "query")
    result, _ = engine.ended(run, rest if any("replay" in word for word in rest) else [*rest, "--once"])
    if not run.judgement:
        raise engine.RolloutError(result["error"]["code"], result["error"]["message"])
    if name not in run.rules.kinds:
        raise engine.RolloutError("usage", f"no subject {name}{engine.nearest(name, run.rules.kinds)}")
    lines = []
    for subject in (each for workload in run.judgement.workloads for each in subjects(workload.subject) if each.kind.name == name):
        scope = engine.Scope(engine.View(run.judge.roots_of(subject)), engine.expected("null", run.rules), run.judge.interpreter)
        scope.events_of = functools.partial(run.judge.events, subject)
        title = "/".join([*engine.reference(subject.holder).values(), *subject.part.values()])
        lines.append(f"{title}: {json.dumps(scope.value(expression))}")
    return "\n".join(lines) or f"there is no {name}", 0 if lines else 1


def subjects(subject: engine.Subject) -> Iterator[engine.Subject]:
    """A subject and all below it."""
    yield subject
    for child in subject.children:
        yield from subjects(child)


# -------------------------------------------------------------------------------------------------------------- verbs


def verb_parser(usage: str, description: str) -> engine.Parser:
    return engine.Parser(
        prog=f"rollout-status {usage.split(maxsplit=1)[0]}", usage=f"rollout-status {usage}", description=description, allow_abbrev=False
    )


def told(verb: str, do: Callable[[], tuple[str, int]]) -> tuple[str, int]:
    """What a verb gives; what ended it is said on stderr, and its exit code is that of a wrong input."""
    try:
        return do()
    except engine.RolloutError as error:
        print(f"rollout-status {verb}: {error.message}{f' ({error.hint})' if error.hint else ''}", file=sys.stderr)
        return "", engine.FIRST_CODES[error.code].exit if error.code in engine.FIRST_CODES else 4


# --------------------------------------------------------------------------------------------------------------- test


@dataclass(frozen=True)
class Outcome:
    """A case as it was run. `problems` are what is wrong with the case itself, `difference` is what came otherwise than expected."""

    case: Path
    about: str
    expected: Json
    got: Json
    problems: tuple[str, ...]
    judged: frozenset[str]  # the kinds of subjects that were judged

    @property
    def passed(self) -> bool:
        return not self.problems and self.expected == self.got

    @property
    def difference(self) -> str:
        """What was expected and what came, line by line."""
        texts = [yaml.safe_dump(each, sort_keys=True, width=140, allow_unicode=True).splitlines() for each in (self.expected, self.got)]
        return "\n".join(difflib.unified_diff(texts[0], texts[1], "expected", "got", lineterm=""))


CASE_KEYS = ("about", "args", "stdin", "not_before", "expect")


def run_case(folder: Path, rules: Sequence[str] = (), base: Path | None = None) -> Outcome:
    """Replays a case. Its arguments are as from its folder; `rules` are files of teams, by absolute paths."""
    document = engine.Document(folder / "case.yaml", "usage")
    case = document.mapping((), CASE_KEYS, ("args",))
    expected = document.mapping(("expect",), ("exit", "rules", "result"))
    state, before = engine.Run(base), Path.cwd()
    arguments = ["--quiet", "--replay", ".", *(f"--rules={path}" for path in rules), *map(str, case["args"])]
    stdin, sys.stdin = sys.stdin, io.StringIO((folder / case["stdin"]).read_text(encoding="utf-8") if "stdin" in case else "")
    os.chdir(folder)
    try:
        result, exit_code = engine.ended(state, arguments)
    finally:
        os.chdir(before)
        sys.stdin = stdin
    elapsed = result.pop("elapsedSeconds")
    result.pop("polls")
    got = {"exit": exit_code, "rules": sorted({rule for rule, _ in state.judge.since}) if state.judge else [], "result": result}
    problems = [
        f"no rule {name}{engine.nearest(name, state.rules.rules)}"
        for name in expected.get("rules") or ()
        if state.rules and name not in (*state.rules.rules, *(rule.id for rule in state.judge.expected))
    ]
    used = {"recording.yaml", "case.yaml", case.get("stdin")} | set(
        re.findall(r"[\w.-]+\.json", (folder / "recording.yaml").read_text(encoding="utf-8"))
    )
    problems += [f"{path.name} is not used" for path in sorted(folder.glob("*.json")) if path.name not in used]
    if "not_before" in case and state.judge.started + elapsed < engine.timestamp(str(case["not_before"])):
        problems.append(f"the verdict came before {case['not_before']}")
    workloads = state.judgement.workloads if state.judgement else ()
    judged = {subject.kind.name for workload in workloads for subject in subjects(workload.subject)} | (
        {"call"} if state.judge and state.judge.failed_calls else set()
    )
    return Outcome(folder, str(case.get("about", "")), expected, got, tuple(problems), frozenset(judged))


def test(argv: Sequence[str]) -> tuple[str, int]:
    """Runs cases as tests."""
    flags = verb_parser("test [DIR ...] [flags]", "Replays each folder with a case.yaml in or below DIR, and compares all that comes out.")
    flags.add_argument("folders", nargs="*", metavar="DIR", help="default: the built-in fixtures")
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
    return told("test", lambda: tested(flags.parse(argv)))


def tested(options: Any) -> tuple[str, int]:
    folders = [Path(each) for each in options.folders] or [engine.DATA / "fixtures"]
    cases = sorted({path.parent.resolve() for folder in folders for path in folder.rglob("case.yaml")})
    if not cases:
        raise engine.RolloutError("usage", f"there is no case.yaml in or below {', '.join(map(str, folders))}", hint="README: fixtures")
    rules = [str(Path(path).resolve()) for path in options.rules]
    outcomes = [run_case(case, rules) for case in cases]
    if options.against:
        return compared(outcomes, options.against)
    lines = []
    for outcome in outcomes:
        if options.update and outcome.expected != outcome.got:
            update(outcome)
            lines.append(f"{outcome.case.name}: written")
        elif not outcome.passed:
            lines += [
                f"{outcome.case.name}: failed{f': {outcome.about}' if outcome.about else ''}",
                *(f"  {problem}" for problem in outcome.problems),
            ]
            lines += [f"  {line}" for line in outcome.difference.splitlines()]
    whole = not options.folders or rules or options.strict  # a few cases of somebody's own are no test of the built-in rules
    untested = list(unexercised(outcomes, rules)) if whole else []
    failed = sum(not outcome.passed for outcome in outcomes) if not options.update else 0
    summary = f"{len(outcomes)} cases, {failed} failed" + (f", {len(untested)} rules without a case" if whole else "")
    return "\n".join([*lines, *untested, summary]), int(bool(failed or (options.strict and untested)))


def unexercised(outcomes: Sequence[Outcome], teams: Sequence[str]) -> Iterator[str]:
    """A line for each rule that holds in no case, or in all in which its subject is judged; of teams, if there are some, each
    that is theirs or that they override.
    """
    own = {path for team in map(Path, teams) for path in (team.glob("*.y*ml") if team.is_dir() else [team])}
    rules = engine.Rules(engine.DATA / "rules", [Path(path) for path in teams], packs=None)
    for rule in rules.rules.values():
        if teams and not any(document.path in own for document, _ in rules.entries["rules"][rule.id].fields.values()):
            continue
        judged = [outcome for outcome in outcomes if outcome.judged & set(rule.subjects) or "workload" in rule.subjects]
        held = [outcome for outcome in outcomes if rule.id in outcome.got["rules"]]
        if not held:
            yield f"{rule.where}: no case in which it holds"
        if all(outcome in held for outcome in judged):
            yield f"{rule.where}: no case in which its subject is judged and it does not hold"


class Dumper(yaml.SafeDumper):
    """Texts of several lines as blocks."""


Dumper.add_representer(
    str, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)
)


def update(outcome: Outcome) -> None:
    """Writes what came into case.yaml as what is expected."""
    path = outcome.case / "case.yaml"
    content = {**engine.Document(path, "usage").content, "expect": outcome.got}
    path.write_text(yaml.dump(content, Dumper=Dumper, sort_keys=False, width=120, allow_unicode=True), encoding="utf-8")


def compared(outcomes: Sequence[Outcome], against: str) -> tuple[str, int]:
    """The cases whose verdict differs between two sets of rules."""
    path = Path(against).resolve()
    base = path if (path / "codes.yaml").is_file() else None
    teams = [] if base or against == "builtin" else [str(path)]
    lines = []
    for outcome in outcomes:
        old = run_case(outcome.case, teams, base)
        verdicts = [
            f"exit {each.got['exit']} {engine.field_of(each.got['result'], 'error', 'code') or 'success'}" for each in (old, outcome)
        ]
        if old.got != outcome.got:
            lines.append(
                f"{outcome.case.name}: {verdicts[0]} -> {verdicts[1]}"
                + ("" if verdicts[0] != verdicts[1] else ", with other words or rules")
            )
    return "\n".join([*lines, f"{len(outcomes)} cases, {len(lines)} differ"]), 0


# --------------------------------------------------------------------------------------------------------------- lint


def lint(argv: Sequence[str]) -> tuple[str, int]:
    """Checks rule files."""
    flags = verb_parser(
        "lint [FILE ...]", "Checks a team's rule files, all of them over the built-in rules; without a FILE the built-in rules and packs."
    )
    flags.add_argument("files", nargs="*", metavar="FILE", help="a file or a folder")
    return told("lint", lambda: linted([Path(path) for path in flags.parse(argv).files]))


def linted(teams: Sequence[Path]) -> tuple[str, int]:
    for path in teams:
        if not path.exists() or (path.is_dir() and not any(path.glob("*.y*ml"))):
            raise engine.RolloutError("usage", f"there is no {path}" if not path.exists() else f"{path} has no .yaml file in it")
    problems: list[engine.RolloutError] = []
    rules = engine.Rules(engine.DATA / "rules", teams, packs=None, problems=problems)
    linter = Linter(rules, teams)
    # What is cut at a comment is mostly also wrong as an expression: the cause is told, once
    cut = [line for document in linter.documents() for line in linter.cut(document)]
    places = {line.partition(": ")[0] for line in cut}
    findings = list(linter.findings())  # it has the rules loaded
    others = [*(problem.message for problem in problems), *findings]
    found = dict.fromkeys([*cut, *(line for line in others if line.partition(": ")[0] not in places)])
    return "\n".join([*sorted(found, key=place), f"{len(found)} findings" if found else "no findings"]), int(bool(found))


def place(finding: str) -> tuple[str, int]:
    """File and line of a finding."""
    path, _, line = finding.partition(": ")[0].rpartition(":")
    return path, int(line)


# Roots that are no kinds. Inside [?...] and other projections they are null: there, names are those of the entry.
ROOTS = ("applied", "each", "events", "old", "owned", "params", "self", "time", "workload")
TIMES = ("now", "watched", "idle", "in_state")
EVENT = ("reason", "message", "count", "firstSeen", "lastSeen")
TOP = ("metadata", "spec", "status")
TEXTS, CONDITIONS = ("message", "hint", "docs"), ("when", "unless", "fail_when", "since", "each")
FREE = ("labels", "annotations", "matchLabels", "limits", "requests", "data", "hard", "used", "parameters")  # their keys are anybody's
RESOURCE = re.compile(r"[a-z][a-z0-9-]*(\.[a-z0-9.-]+)?|\*")
# The resources without a group: the core of the API, to which none is added any more
CORE = frozenset(
    re.findall(
        r"\w+",
        "bindings componentstatuses configmaps endpoints events limitranges namespaces nodes persistentvolumeclaims persistentvolumes pods "
        "podtemplates replicationcontrollers resourcequotas secrets serviceaccounts services",
    )
)
ROOT: Json = {"": {}}  # where the names are roots and not fields

Level = Any  # the fields that a value can have, as in fields.json; None: nobody knows. `?`: others may be there too


class Linter:
    """Finds in rule files what the program would accept, and nobody means."""

    def __init__(self, rules: engine.Rules, teams: Sequence[Path]) -> None:
        self.rules = rules
        self.files = {path for team in teams for path in (team.glob("*.y*ml") if team.is_dir() else [team])}
        self.fields = json.loads((engine.DATA / "fields.json").read_text(encoding="utf-8"))

    def is_ours(self, document: engine.Document) -> bool:
        return not self.files or document.path in self.files

    def documents(self) -> list[engine.Document]:
        return [document for document in self.rules.documents if self.is_ours(document)]

    def findings(self) -> Iterator[str]:
        for rule in self.rules.rules.values():
            if any(self.is_ours(document) for document, _ in self.rules.entries["rules"][rule.id].fields.values()):
                yield from RuleLinter(self, rule).findings()
        for document in self.documents():
            content = document.content
            if isinstance(content, dict) and "version" not in content and content.keys() <= set(engine.FILE_KEYS):
                yield f"{document.where(())}: version is missing: write version: 1 at its top"
        yield from self.kinds()
        yield from self.unused()

    def kinds(self) -> Iterator[str]:
        for name, kind in self.rules.kinds.items():
            entry = self.rules.entries["kinds"][name]
            if not kind.resource or not self.is_ours(entry.document):
                continue
            where, resource = entry.document.where(entry.place("resource")[1]), kind.resource
            if not RESOURCE.fullmatch(resource) or ("." not in resource and resource not in {*CORE, "*"}):
                yield f"{where}: resource {resource} is not the plural with its group: write it like widgets.example.com"
            if not re.fullmatch("[a-z][a-z0-9_]*", name):
                proposal = re.sub("[^a-z0-9]+", "_", name.lower())
                yield f"{entry.document.where(entry.place('name')[1])}: name {name} is no name for expressions: write {proposal}"
            try:
                self.rules.check_kind(kind)
            except engine.RolloutError as error:
                yield error.message
            texts = [each.text for rule in self.rules.of[name] for each in rule.expressions()]
            by_phase = any("status.phase" in text for text in texts) and not any("observedGeneration" in text for text in texts)
            if self.files and by_phase and "." in resource:  # the phases of the core group have no generation
                yield (
                    f"{entry.document.where(entry.at)}: rules about {name} look at its phase and at no observedGeneration, so that the "
                    "phase of an earlier spec may count: add a rule with verdict: hold, and "
                    f"when: {name}.status.observedGeneration != {name}.metadata.generation"
                )

    def unused(self) -> Iterator[str]:
        used = {
            field for rule in self.rules.rules.values() for each in rule.expressions() for field in re.findall(r"params\.(\w+)", each.text)
        }
        for name, entry in self.rules.entries["params"].items():
            if name not in used and self.is_ours(entry.document) and name != "expect_image":
                yield f"{entry.document.where(entry.at)}: no rule uses the parameter {name}: use params.{name}, or remove it"

    def cut(self, document: engine.Document) -> Iterator[str]:
        """Texts and expressions whose rest YAML takes for a comment."""
        text = document.path.read_text(encoding="utf-8")
        for at, node in scalars(yaml.compose(text, Loader=yaml.SafeLoader)):
            key = at[-1] if at else ""
            is_text = key in (*TEXTS, *CONDITIONS) or "let" in at[:-1]
            # Behind an expression that is whole ` # words` are meant as a comment
            comment = r" +#" if key in TEXTS or not is_whole(node.value) else r" +#\S"
            if is_text and node.value and not node.style and re.match(comment, text[node.end_mark.index :]):
                yield f"{document.where(at)}: {key} ends before ` #`, where YAML begins a comment: quote it, or write it as a block (>-)"


def scalars(node: yaml.Node | None, at: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], yaml.ScalarNode]]:
    """Each text of a YAML document, and where it stands."""
    if isinstance(node, yaml.ScalarNode):
        yield at, node
    elif isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield from scalars(value, (*at, key.value))
    else:
        for index, value in enumerate(node.value if node else ()):
            yield from scalars(value, (*at, index))


def is_whole(text: str) -> bool:
    """Whether it can be parsed as an expression."""
    try:
        return bool(engine.Expression.parse(text, ""))
    except engine.RolloutError:
        return False


class RuleLinter:
    """Walks the expressions of a rule, and knows at each step which fields a value can have."""

    def __init__(self, linter: Linter, rule: engine.Rule) -> None:
        self.rules, self.fields, self.rule = linter.rules, linter.fields, rule
        self.problems: list[str] = []
        self.path: list[engine.Expression] = []  # the expression that is walked, and the `let` that it led to
        self.reached: set[str] = set()
        self.early = self.loose = False  # whether this is `when`; whether the rule may not be about what is named
        self.lineage = self.above(rule.subjects)

    def findings(self) -> list[str]:
        rule = self.rule
        for expression in rule.expressions():
            if expression not in rule.let.values():
                self.early = expression in (rule.when, rule.each)
                self.start(expression)
        for condition in filter(None, (rule.when, rule.unless, rule.fail_when)):
            for node in truths(condition.tree):
                if "{}" in (self.quietly(node) or ()):
                    path = engine.path_of(node)
                    self.say(f"{path} may be {{}}, which is false: write {path} != null", condition)
        self.early, self.loose = False, True
        for name in sorted(rule.let.keys() - self.reached):
            self.start(rule.let[name])
        self.texts()
        return self.problems

    def start(self, expression: engine.Expression) -> Level:
        """What an expression gives."""
        self.path.append(expression)
        try:
            return self.level(expression.tree, ROOT)
        finally:
            self.path.pop()

    def quietly(self, node: Json, here: Level = ROOT) -> Level:
        """What a part of an expression gives, whose problems are found elsewhere."""
        kept = list(self.problems)
        level = self.level(node, here)
        self.problems = kept
        return level

    def say(self, problem: str, about: engine.Expression | None = None) -> None:
        expression = about or self.path[-1]
        self.problems.append(f"{expression.where}: {problem} (in: {expression.text})")

    def above(self, names: Iterable[str]) -> set[str]:
        """The kinds that subjects of these kinds can be, or be below, and those whose current object they see."""
        kinds, found = self.rules.kinds, set(names)
        found |= {name for name in kinds if "workload" in found}
        found |= {way.child for name in found & kinds.keys() for way in kinds[name].current}
        while more := {name for name, kind in kinds.items() if found & {*kind.owns, *self.parts(name)}} - found:
            found |= more
        return found

    def parts(self, name: str) -> list[str]:
        return [part.name for part in self.rules.kinds.values() if part.part_of == name]

    def texts(self) -> None:
        """What templates have in them that is none of their expressions."""
        rule = self.rule
        document, at = self.rules.entries["rules"][rule.id].place("message")
        for part in rule.message.parts if rule.message else ():
            if isinstance(part, str) and re.match(r"\s*\.?\w+(\.\w+)+\s*}}", part):
                name = part.partition("}")[0].strip().lstrip(".")
                self.problems.append(f"{document.where(at)}: message: {{{{ stands for a brace: write {{{name}}} for the value")
        entry = self.rules.entries["rules"][rule.id]
        document, at = entry.place("code")
        for part in rule.code.parts if rule.code else ():
            for name in literals(part.tree) if isinstance(part, engine.Expression) else ():
                if not engine.code_named(self.rules.codes, name):
                    self.problems.append(f"{document.where(at)}: no code {name}{engine.nearest(name, self.rules.codes)}")
        if isinstance(rule.fail_after, engine.Expression):
            name = rule.fail_after.text.partition(".")[2]
            param = self.rules.params.get(name)
            if param and param.type != "duration":
                self.say(f"fail_after takes a duration, and {name} is of type {param.type}: declare one of type duration", rule.fail_after)

    def level(self, node: Json, here: Level, spot: str = "") -> Level:
        """The fields of what a part of an expression gives, where `here` are those of the value it is about; says what is wrong in it."""
        kind, children = node["type"], node["children"]
        if kind == "field":
            return self.root(node["value"]) if here is ROOT else self.field(node["value"], here, spot or node["value"])
        if kind in ("subexpression", "index_expression", "pipe", "projection", "flatten"):
            for index, child in enumerate(children):
                here = self.level(child, here, ".".join(map(engine.path_of, children[: index + 1])))
            return here
        if kind == "filter_projection":
            entries = self.level(children[0], here)
            self.level(children[2], entries)
            return self.level(children[1], entries)
        if kind in ("identity", "current", "index", "slice"):
            return here
        if kind == "value_projection":
            self.level(children[0], here)
            self.level(children[1], None)
            return None
        if kind == "function_expression":
            return self.function(node, here)
        if kind == "multi_select_dict":
            return {child["value"]: self.level(child["children"][0], here) for child in children}
        levels = [self.level(child, here) for child in children if isinstance(child, dict)]
        if kind == "comparator":
            self.compare(node["value"], children, here)
        return merged(levels) if kind in ("or_expression", "multi_select_list") else levels[-1] if kind == "and_expression" else None

    def function(self, node: Json, here: Level) -> Level:
        """What a function gives, so far as its arguments tell."""
        name, children = node["value"], node["children"]
        levels: list[Level] = []
        for child in children:
            about = (levels or [None])[0] if name != "map" else self.quietly(children[1], here)
            levels.append(self.level(child["children"][0], about) if child["type"] == "expref" else self.level(child, here))
        signature = engine.Functions.FUNCTION_TABLE[name]["signature"]
        if len(children) != len(signature) and not (signature and signature[-1].get("variadic") and len(children) >= len(signature)):
            self.say(f"{name}() takes {len(signature)} arguments, not {len(children)}")
        for child, wanted in zip(children, signature, strict=False):
            types = [each.partition("-")[0] for each in wanted["types"]]
            given = JSON_TYPES.get(type(child.get("value")), "")
            if child["type"] == "literal" and types and given not in types:
                self.say(f"{name}() takes a {' or a '.join(types)}, not {json.dumps(child['value'])}")
        if name == "condition":
            return engine.field_of(levels[0], "status", "conditions") if levels else None
        return merged(levels) if name == "not_null" else levels[0] if name in SAME and levels else None

    def compare(self, operator: str, sides: Sequence[Json], here: Level) -> None:
        """Comparisons that cannot be true, or cannot be made."""
        for side, other in (sides, sides[::-1]):
            text = side["value"] if side["type"] == "literal" else None
            if operator not in ("eq", "ne") and side["type"] == "literal" and JSON_TYPES[type(text)] not in ("number", "string"):
                self.say(f"{json.dumps(text)} cannot be ordered: compare with a number, like `3`")
            if not isinstance(text, str):
                continue
            if operator not in ("eq", "ne") and re.fullmatch(r"-?\d+(\.\d+)?", text):
                self.say(f"the text '{text}' cannot be ordered with a number: write `{text}`")
            known = other["type"] == "subexpression" and self.quietly(other, here) is not None
            if text == "null" or (text in ("true", "false") and known):
                self.say(f"'{text}' is a text: write {'null' if text == 'null' else f'`{text}`'}")

    def field(self, name: str, here: Level, spot: str) -> Level:
        """The fields of a field, of a value that has those; `spot` is the path to it."""
        if isinstance(here, Stray):
            return self.stray(here.root, name)
        names = [each for each in here or () if each not in ("?", "{}")]
        if (not names or "?" in here) and name not in names and self.is_root(name):
            return Stray(name)
        if not names or "*" in here or name == "null":
            return None
        if name in here:
            if spot == "time.in_state" and self.early:
                self.say("time.in_state begins with `when`: use it in fail_when, or write fail_after: TIME", self.path[0])
            below = here[name]
            reference = next((key for key in below or () if key.startswith("$")), "")
            below = self.fields[reference[1:]] if reference else below
            return {**below, "?": {}} if below is not None and "?" in here else below
        near = difflib.get_close_matches(name, names, 1, 0.9 if "?" in here else 0.6)
        root = spot.partition(".")[0]
        elsewhere = [f"{root}.{top}.{name}" for top in TOP if name in self.fields.get(root, {}).get(top, {})]
        if "." not in spot and (self.is_root(name) or name in self.rule.let):
            self.say(f"{name} is null inside [?...] and after |, where names are the entry's: compare outside it, or use named() or each")
        elif f'"{name}"' in self.path[-1].text and not near:
            self.say(f"\"{name}\" stands for a field: write '{name}' for a text")
        elif near or "?" not in here:
            remedy = f"; did you mean {elsewhere[0]}?" if elsewhere and not near else engine.nearest(name, names)
            self.say(f"there is no {spot}{remedy}")
        return None

    def is_root(self, name: str) -> bool:
        return name in ("params", "self", "time", "workload", "applied") or name in self.lineage

    def stray(self, root: str, name: str) -> Level:
        """A name like a root's inside a filter of what nobody knows: it is taken for the root if only that has the field."""
        if name in {"params": self.rules.params, "time": TIMES}.get(root, TOP):
            self.say(
                f"{root}.{name} is null inside [?...] and after |, where names are the entry's: compare outside it, or use named() or each"
            )
        return None

    def root(self, name: str) -> Level:
        """The fields of a root, which may be a `let`."""
        rule, fields = self.rule, self.fields
        if name in rule.let and rule.let[name] not in self.path:
            self.reached.add(name)
            return self.start(rule.let[name])
        if name == "events":
            if self.early:
                problem = "`when` cannot use events, since it decides whether they are fetched: use them in fail_when or message"
                self.say(problem, self.path[0])
            return dict.fromkeys(EVENT)
        if name == "time":
            return dict.fromkeys(TIMES)
        if name == "each":
            if rule.each is None and not self.loose:
                self.say("each is null: write `each: EXPR`, the list whose entries the rule is about")
            return self.start(rule.each) if rule.each and rule.each not in self.path else None
        if name in ("self", "workload", "applied"):
            return self.any_of(rule.subjects if name == "self" and "workload" not in rule.subjects else [*sorted(self.lineage), "?"])
        if name in ("params", "old", "owned", "null"):
            return None
        if name not in self.rules.entries["kinds"]:
            self.unknown_root(name)
        elif name not in self.lineage and not self.loose and rule.subjects and self.lineage & self.rules.kinds.keys():
            others = ", ".join(sorted(self.lineage))
            self.say(f"{name} is null in a rule about {', '.join(rule.subjects)}: write subject: {name}, or one of {others}")
        return fields.get(name) if name != "generic" else None

    def any_of(self, names: Iterable[str]) -> Level:
        """The fields of the objects of several kinds, of which some are not known."""
        known = [self.fields.get(name) if name != "generic" else None for name in names]
        level = merged([each for each in known if each])
        return {**level, "?": {}} if level and not all(known) else level

    def unknown_root(self, name: str) -> None:
        known = {*self.rules.kinds, *ROOTS, *self.rule.let, "null"}
        subject = next(iter(self.rule.subjects), "self")
        if name in ("true", "false"):
            remedy = f": write `{name}` with backticks"
        elif f'"{name}"' in self.path[-1].text:
            remedy = f": write '{name}' for a text"
        elif name in (self.fields.get(subject) or TOP):
            remedy = f"; did you mean {subject}.{name}?"
        else:
            remedy = engine.nearest(name, known)
        self.say(f"no root {name}{remedy}")


class Stray(dict[str, Level]):
    """What a name gives that is also a root's, inside a filter."""

    def __init__(self, root: str) -> None:
        super().__init__()
        self.root = root


JSON_NAMES = {"string": str, "number": int, "boolean": bool, "array": list, "object": dict, "null": type(None)}
JSON_TYPES: dict[type, str] = {float: "number"} | {type_: name for name, type_ in JSON_NAMES.items()}
SAME = ("named", "sort_by", "max_by", "min_by", "reverse", "sort")  # what they give has the fields of their first argument's entries


def merged(levels: Sequence[Level]) -> Level:
    """The fields of what may be one of several; None as soon as one of them is not known."""
    if not levels or any(level is None or isinstance(level, Stray) for level in levels):
        return None
    found: dict[str, Level] = {}
    for level in levels:
        for name, below in level.items():
            found[name] = merged([found[name], below]) if name in found else below
    return found


def literals(node: Json) -> Iterator[str]:
    """The texts that an expression can give."""
    kind, children = node["type"], node["children"]
    if kind == "literal" and isinstance(node["value"], str):
        yield node["value"]
    for child in children if kind == "or_expression" else children[-1:] if kind == "and_expression" else ():
        yield from literals(child)


def truths(node: Json) -> Iterator[Json]:
    """The paths whose truth decides: operands of && and ||, and what a condition is as a whole."""
    if node["type"] in ("and_expression", "or_expression", "not_expression"):
        for child in node["children"]:
            yield from truths(child)
    elif node["type"] in ("field", "subexpression"):
        yield node


def known_fields() -> Json:
    """For each kind the tree of fields that its objects have, by the API and in the fixtures.

    `*`: any key; `{}`: it may be an empty object; `$pod`: those of a pod, of which this is a template;
    `?`: there may be others, where no fixture shows all that the API has.
    """
    rules = engine.Rules(engine.DATA / "rules", packs=None)
    found: dict[str, Json] = json.loads((engine.DATA / "tests" / "api-fields.json").read_text(encoding="utf-8"))
    whole = {*found, "container"}
    for path in sorted((engine.DATA / "fixtures").glob("*/*.json")):
        objects = engine.objects_in(path.read_text(encoding="utf-8"), str(path))
        snapshot = engine.Snapshot(0.0, objects, None, lambda _: None)
        tree = engine.Tree(rules, snapshot, engine.Functions(0.0), {})
        for each in objects:
            kind = rules.kind_of(each)
            for subject in subjects(tree.grow(kind, each)) if kind else ():
                merge(found.setdefault(subject.kind.name, {}), subject.value, found)
    return {name: tree if name in whole else opened(tree) for name, tree in found.items()}


def opened(tree: Json) -> Json:
    """A tree of fields that may have more than those."""
    return {**{name: opened(below) for name, below in tree.items()}, "?": {}} if tree else tree


def write_fields() -> None:
    """Writes fields.json anew."""
    (engine.DATA / "fields.json").write_text(json.dumps(known_fields(), sort_keys=True, separators=(",", ":")) + "\n", encoding="utf-8")


def merge(level: dict[str, Json], value: Json, found: Mapping[str, Json]) -> None:
    """Adds the fields of a value to a tree of fields; those of a list's entries are the list's."""
    for entry in value if isinstance(value, list) else [value]:
        for key, child in entry.items() if isinstance(entry, dict) else ():
            below = level.setdefault(key, {})
            if child == {}:
                below["{}"] = {}
            elif key in FREE:
                below["*"] = {}
            else:
                merge(next((found[name[1:]] for name in below if name.startswith("$")), below), child, found)


# -------------------------------------------------------------------------------------------------------------- rules


def rules(argv: Sequence[str]) -> tuple[str, int]:
    """Shows the effective rules."""
    flags = verb_parser("rules [ID] [flags]", "The effective rules; of one, each field with the file and the line that it comes from.")
    flags.add_argument("id", nargs="?")
    flags.add_argument("--rules", action="append", default=[], metavar="PATH", help="a team's rules; repeatable")
    flags.add_argument("--markdown", action="store_true", help="all of it as a page")
    return told("rules", lambda: shown_rules(flags.parse(argv)))


def shown_rules(options: Any) -> tuple[str, int]:
    known = engine.Rules(engine.DATA / "rules", engine.team_paths(options), packs=None)
    for note in known.notes:
        print(f"rollout-status rules: {note}", file=sys.stderr)
    if options.markdown:
        return "\n".join(markdown(known)), 0
    if options.id:
        return "\n".join(one_rule(known, options.id)), 0
    rows = [
        (rule.id, ",".join(rule.subjects), decision(known.entries["rules"][rule.id]), code_of(rule), rule.where.rpartition(": ")[0])
        for rule in known.rules.values()
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    return "\n".join("  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[4]]) for row in rows), 0


def code_of(rule: engine.Rule) -> str:
    """The code of a rule; those that a computed one may be."""
    parts = rule.code.parts if rule.code else ()
    texts = [part if isinstance(part, str) else part.text for part in parts]
    return ", ".join(dict.fromkeys(re.findall(r"'([a-z]+(?:-[a-z]+)*)'", "".join(texts)))) if len(texts) > 1 else "".join(texts)


def decision(entry: engine.Entry) -> str:
    """What a rule decides, in a word."""
    if entry.get("verdict"):
        return str(entry.get("verdict"))
    return f"wait, fail after {entry.get('fail_after')}" if entry.get("fail_after") is not None else "wait, then fail"


def one_rule(known: engine.Rules, name: str) -> Iterator[str]:
    entry = known.entries["rules"].get(name)
    if not entry:
        raise engine.RolloutError("usage", f"no rule {name}{engine.nearest(name, known.entries['rules'])}")
    for field in (key for key in engine.RULE_KEYS if key in entry.fields):
        document, at = entry.place(field)
        yield f"# {document.where(at).partition(': ')[0]}"
        yield yaml.dump({field: entry.get(field)}, Dumper=Dumper, sort_keys=False, width=120, allow_unicode=True).rstrip()


def markdown(known: engine.Rules) -> Iterator[str]:
    """docs/rules.md."""
    yield "# The rules\n"
    yield "Written by `rollout-status rules --markdown` from the files in rules/; `make docs` writes it anew.\n"
    yield "Fail beats wait beats success. *hold*: wait, and judge nothing else of the subject; *ignore*: say nothing of it;"
    yield "*note*: a line in `notes`. *wait, then fail*: when its `fail_when` is true.\n"
    yield "## Parameters\n\n`--set NAME=VALUE`, a team's `params`, or the annotation `rollout-status/NAME` of a workload.\n"
    yield "| parameter | type | default | |\n|---|---|---|---|"
    for name, entry in sorted(known.entries["params"].items()):
        kind = ", ".join(entry.texts("choices")) or entry.get("type")
        default = json.dumps(entry.get("default")).strip('"')
        yield f"| `{name}` | {kind} | {f'`{default}`' if default else ''} | {entry.get('doc', '')} |"
    yield "\n## Codes\n\nFrom cause to symptom: of several failures the one whose code stands first is `error`. Where all failures"
    yield "of a workload are *symptoms*, what it still waits for in a state with another code is the cause, and fails too.\n"
    yield "| code | type | exit | |\n|---|---|---|---|"
    for name, entry in known.entries["codes"].items():
        symptom = " *Symptom*" if entry.get("symptom") else ""
        yield f"| `{name}` | {entry.get('type')} | {entry.get('exit')} | {entry.get('text')}{symptom} |"
    files: dict[Path, list[str]] = {}
    for name, entry in known.entries["rules"].items():
        files.setdefault(entry.document.path, []).append(name)
    for path, names in files.items():
        where = path.relative_to(engine.DATA) if path.is_relative_to(engine.DATA) else path
        yield f"\n## {where}\n\n| rule | about | says | code | |\n|---|---|---|---|---|"
        for name in names:
            entry, rule = known.entries["rules"][name], known.rules[name]
            yield f"| `{name}` | {', '.join(rule.subjects)} | {decision(entry)} | {code_of(rule)} | {entry.get('docs', '')} |"


# ------------------------------------------------------------------------------------------------------------- report


def report(argv: Sequence[str]) -> tuple[str, int]:
    """Writes reports of a recording."""
    from rollout_report import report as written  # noqa: PLC0415, only when asked for

    return told("report", lambda: written(argv))


def completion(argv: Sequence[str]) -> tuple[str, int]:
    """Completion by the shells."""
    from rollout_complete import completion as completed  # noqa: PLC0415, only when asked for

    return told("completion", lambda: completed(argv))


VERBS = {"completion": completion, "explain": explain, "lint": lint, "query": query, "report": report, "rules": rules, "test": test}
