"""What is done around judging, imported only when it is asked for: recording a run, and `rollout-status explain`."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

import rollout_status as engine

Json = Any


class Recorder:
    """Writes the polls of a run to a new folder, so that they replay. What the run does not judge is left out, and so are
    the values of environment variables: equal ones stay equal, since that tells whether two templates are.
    """

    DROPPED = ("managedFields", "kubectl.kubernetes.io/last-applied-configuration")

    def __init__(self, folder: Path, selection: engine.Selection, rules: engine.Rules) -> None:
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if any(folder.iterdir()):
                raise engine.RolloutError("usage", f"--record: {folder} is not empty: name a new folder")
        except OSError as error:
            raise engine.RolloutError("usage", f"--record: {error}") from None
        self.folder, self.selection, self.rules = folder, selection, rules
        self.polls: list[Json] = []
        self.files: dict[str, str] = {}  # content -> file
        self.secrets: dict[str, str] = {}  # value of a variable -> what stands for it
        self.notes: list[str] = []

    def add(self, poll: engine.Poll, roots: Iterable[Json]) -> None:
        """Writes what was seen of the workloads, and all that is below them; or the calls that failed."""
        entry: dict[str, Json] = {"at": engine.written(poll.at)}
        if poll.snapshot:
            content = json.dumps({"kind": "List", "items": [self.redacted(each) for each in self.kept(poll.snapshot, roots)]}, indent=1)
            fresh = content not in self.files
            entry["objects"] = self.files.setdefault(content, f"{len(self.files) + 1:03}.json")
            if fresh:
                self.write(entry["objects"], content)
        else:
            entry["error"] = [{key: call[key] for key in sorted(call)} for call in poll.calls]
        self.polls.append(entry)
        self.save({})

    def save(self, logs: Mapping[str, str]) -> None:
        """Writes which polls there were."""
        words = {word: list(key) for key, kind in self.rules.known.items() for word, each in self.rules.called.items() if each is kind}
        content = {"exact": True, "polls": self.polls, **({"logs": dict(logs)} if logs else {}), **({"words": words} if words else {})}
        if self.selection.manifests and self.selection.targets:
            self.write("applied.json", json.dumps({"kind": "List", "items": list(map(self.applied, self.selection.targets))}, indent=1))
            content["applied"] = "applied.json"
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
        kept = {key: self.redacted(entry, secret=key == "env") for key, entry in value.items() if key not in self.DROPPED}
        if secret and "value" in value:
            kept["value"] = self.secrets.setdefault(str(value["value"]), f"redacted-{len(self.secrets) + 1}")
        return kept

    def write(self, name: str, text: str) -> None:
        """Puts a file into its place as a whole. One that cannot be written becomes a note and never hides the verdict."""
        whole = self.folder / f".{name}"
        try:
            with os.fdopen(os.open(whole, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
                file.write(text)
            whole.replace(self.folder / name)
        except OSError as error:
            self.notes = [f"the recording is not complete: {error}"]


# ------------------------------------------------------------------------------------------------------------ explain


def explained(run: engine.Run) -> Iterator[str]:
    """Why each subject is what it is at the end of a run: beneath it the rules that hold for it, and what they read."""
    for workload in run.judgement.workloads if run.judgement else ():
        found: dict[str, list[engine.Finding]] = {}
        for finding in (*workload.findings, *workload.others):
            found.setdefault(finding.subject.key, []).append(finding)
        yield from explained_subject(run, workload.subject, found, "")


def explained_subject(run: engine.Run, subject: engine.Subject, found: Mapping[str, list[engine.Finding]], indent: str) -> Iterator[str]:
    name = next(iter(subject.part.values()), engine.name_of(subject.value))
    findings = found.get(subject.key, ())
    state = f"{len(run.rules.of[subject.kind.name])} rules, of which {len(findings)} hold"
    yield f"{indent}{subject.kind.name} {name}: {state}{', not of the current revision' if subject.blocked else ''}"
    for finding in findings:
        yield f"{indent}  {finding.verdict}: {finding.rule.id} ({finding.rule.where.rpartition(': ')[0]}): {finding.message}"
        yield from (f"{indent}      {line}" for line in read_by(finding))
    for child in subject.children:
        yield from explained_subject(run, child, found, f"{indent}  ")
    judged = {child.key for child in subject.children}
    for value in subject.old if len(subject.lineage) == 1 else ():
        if engine.identity(value) not in judged:
            yield f"{indent}  {engine.field_of(value, 'kind')} {engine.name_of(value)}: of another revision, not judged"


def read_by(finding: engine.Finding) -> Iterator[str]:
    """`path = value` for each path that the rule's expressions read, those of its `let` included."""
    seen: dict[str, Json] = {}
    rule = finding.rule
    queue = [each for each in (rule.when, rule.fail_when, rule.fail_after, rule.since) if isinstance(each, engine.Expression)]
    while queue:
        expression = queue.pop(0)
        for node in paths(expression.tree):
            text, root = engine.path_of(node), engine.path_of(node).partition(".")[0]
            if root in finding.rule.let and root not in seen:
                queue.append(finding.rule.let[root])
            if text not in seen:
                seen[text] = finding.scope.interpreter.visit(node, finding.scope)
    for text, value in seen.items():
        if text == "null" or (text in finding.scope.roots and text not in finding.rule.let):
            continue  # a whole object, above
        shown = json.dumps(value)
        yield f"{text} = {shown if len(shown) <= LONGEST_VALUE else shown[: LONGEST_VALUE - 3] + '...'}"


LONGEST_VALUE = 120  # characters


def paths(node: Json) -> Iterator[Json]:
    """The paths, from a root down, that a parsed expression reads; not those inside a filter, which begin elsewhere."""
    if node["type"] in ("field", "subexpression"):
        yield node
        return
    children = node["children"][:1] if "projection" in node["type"] or node["type"] in ("pipe", "flatten") else node["children"]
    for child in children:
        if isinstance(child, dict) and child["type"] != "expref":
            yield from paths(child)
