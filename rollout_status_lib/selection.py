"""Which workloads are judged."""

from __future__ import annotations

import argparse
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from rollout_status_lib import Json
from rollout_status_lib.declarations import Kind
from rollout_status_lib.errors import RolloutError, UnreadableError, describe_error, suggest_name
from rollout_status_lib.findings import get_key
from rollout_status_lib.objects import get_controller, get_field, get_kind_key, get_name, parse_objects
from rollout_status_lib.rules import Rules, split_kinds
from rollout_status_lib.source import Source
from rollout_status_lib.streams import read_in

NAMESPACE = re.compile("[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


@dataclass(frozen=True, slots=True, eq=False)
class Target:
    """A workload that is named. No namespace means any that is looked at.

    `manifest` is the object in a manifest or in what `kubectl apply` printed; None if the command line names the workload.
    """

    kind: Kind
    namespace: str
    name: str
    manifest: Json = None
    printed: bool = False  # True if `kubectl apply` printed it

    @property
    def applied(self) -> Json:
        """What was applied, with the uid and generation that the API server gave it; None if that is not known."""
        return self.manifest if self.printed and get_field(self.manifest, "metadata", "uid") is not None else None

    def is_key(self, key: tuple[str, str, str]) -> bool:
        """True if it is the workload with this key: resource, namespace, name."""
        return (self.kind.resource, self.name) == (key[0], key[2]) and self.namespace in ("", key[1])

    def describe_absence(self, rules: Rules, objects: Iterable[Json]) -> str:
        """That it is not there, and which of the objects may have been meant."""
        where = f' in namespace "{self.namespace}"' if self.namespace else ""
        there = [each for each in objects if rules.find_kind(each) is self.kind]
        names = [get_name(each) for each in there if self.namespace in ("", get_field(each, "metadata", "namespace"))]
        return f'{self.kind.resource} "{self.name}" not found{where}{"" if self.manifest else suggest_name(self.name, names)}'


@dataclass(slots=True, eq=False)
class Selection:
    """Which workloads are judged: the named ones, or all of these kinds. No namespace means the context's."""

    kinds: tuple[Kind, ...]
    targets: tuple[Target, ...] | None  # None: all; with -f and -k they are known once the manifests are read
    manifests: tuple[str, ...]  # the arguments with which kubectl reads them: -f FILE, -k DIR
    namespaces: tuple[str, ...]
    everywhere: bool
    selector: str
    by_default: bool  # True if nobody asked for these kinds
    unasked: bool = False  # True if all that is in the manifests is meant, whatever its kind
    skipped: tuple[str, ...] = ()  # the kinds of objects that have nothing to wait for
    may_be_empty: bool = False  # True if it is a success when there is nothing to judge
    nothing: str = ""  # what to say if there is nothing to judge; empty: nothing_found says it
    dropped: set[tuple[str, str]] = field(default_factory=set)  # namespace, if any are named, and resource of what may not be listed there

    def take(self, rules: Rules, objects: Collection[Json], *, printed: bool) -> list[str]:
        """Chooses the workloads among the objects of manifests, or of what `kubectl apply` printed. Others are left out, with a note."""
        targets: dict[tuple[str, str, str], Target] = {}
        passed = []
        uids = {get_field(each, "metadata", "uid") for each in objects}
        for each in objects:
            kind = rules.find_kind(each)
            namespace = str(get_field(each, "metadata", "namespace") or "")
            owner = self.find_owner(rules, kind, each) if printed else None
            if owner and get_field(owner, "uid") not in uids:
                refuse_owned(each, owner)
            if kind in self.kinds and not get_name(each):
                hint = "kubectl create -f ... -o json | rollout-status -f -"
                raise RolloutError("usage", f"{each['kind']} with generateName: only the command that creates it knows its name", hint=hint)
            if kind is None and self.unasked:
                kind = rules.find_kind_by_word(make_word(each))
                self.kinds = tuple(dict.fromkeys((*self.kinds, kind)))
            if owner or kind not in self.kinds:
                passed.append(each)
            elif self.namespaces and namespace not in ("", *self.namespaces):
                raise RolloutError("usage", f"{each['kind']} {get_name(each)} is in namespace {namespace}, not in {self.namespaces[0]}")
            else:
                assert kind
                targets[kind.resource, namespace, get_name(each)] = Target(kind, namespace, get_name(each), each, printed)
        self.targets = tuple(targets.values())
        names = {str(each["kind"]) for each in passed if rules.find_kind(each) is None}
        for word in (word for word, kind in rules.undeclared.items() if names and kind not in {target.kind for target in self.targets}):
            raise RolloutError("usage", f"--kinds {word}: the manifests have no such kind. Other kinds in them: {', '.join(sorted(names))}")
        if self.unasked:
            self.kinds = tuple(kind for kind in self.kinds if any(kind is target.kind for target in self.targets))
            return self.skip([str(each["kind"]) for each in passed])
        kinds = ", ".join(sorted({str(each["kind"]) for each in passed}))
        return [f"skipped {len(passed)} of {len(objects)} objects, which are of other kinds: {kinds}"] if passed else []

    def skip(self, kinds: Sequence[str]) -> list[str]:
        """Leaves out objects that have nothing to wait for, by their kinds. Returns the note about them."""
        self.skipped = tuple(kinds)
        some = f"{len(kinds)} objects that do" if kinds[1:] else "1 object that does"
        return [f"skipped {some} not roll out: {', '.join(sorted({*kinds}))}"] if kinds else []

    @property
    def is_settled(self) -> bool:
        """True if there were objects, and none of them has anything to wait for."""
        return self.targets == () and bool(self.skipped)

    def drop(self, resource: str, namespace: str) -> bool:
        """Takes back what was chosen of a resource in a namespace: it may not be listed there. False if nothing is left to judge."""
        if self.targets is not None:
            self.targets = tuple(each for each in self.targets if each.kind.resource != resource or each.namespace not in ("", namespace))
            return bool(self.targets)
        self.dropped.add((namespace if self.namespaces else "", resource))
        return any((space, kind.resource) not in self.dropped for space in self.namespaces or ("",) for kind in self.kinds)

    def find_owner(self, rules: Rules, kind: Kind | None, resource: Json) -> Json:
        """The owner reference of an object that is judged as a part of its owner, and not by itself; null if it is none."""
        owner = get_controller(resource)
        keeper = rules.find_kind(owner) if owner else None
        return owner if keeper in self.kinds and keeper and kind in self.kinds and kind and kind.name in keeper.owns else None

    def take_recorded(self, rules: Rules, objects: Collection[Json], skipped: Sequence[str] | None) -> list[str]:
        """Chooses what the recorded run chose by its manifests. Returns its note about what it left out.

        None is left out where kinds were asked for.
        """
        self.kinds = tuple(dict.fromkeys(rules.find_kind(each) or rules.find_kind_by_word(make_word(each)) for each in objects))
        self.take(rules, objects, printed=True)
        self.unasked = skipped is not None
        return self.skip(skipped or ())

    def wants(self, kind: Kind, resource: Json, owner: Kind | None) -> bool:
        """True if the object is judged by itself. One that is judged as part of its owner, or whose owner is never judged, counts only
        when it is named.
        """
        if self.targets is not None:
            return self.target(kind, resource) is not None
        return kind in self.kinds and (owner is None or (owner.waits and kind.name not in owner.owns))

    def target(self, kind: Kind, resource: Json) -> Target | None:
        key = get_key(kind, resource)
        return next((target for target in self.targets or () if target.is_key(key)), None)

    def list_unseen(self, rules: Rules, objects: Iterable[Json], keys: Collection[tuple[str, str, str]]) -> list[str]:
        """A message for each named workload whose key is not among these, and for each namespace that none of them is in."""
        absent = [target for target in self.targets or () if not any(map(target.is_key, keys))]
        unseen = [target.describe_absence(rules, objects) for target in absent]
        if self.targets is None and len(self.namespaces) > 1 and keys and not self.may_be_empty:
            unseen += [self.nothing_in(name) for name in self.namespaces if all(name != key[1] for key in keys)]
        return unseen

    def end_empty(self, source: Source, notes: list[str]) -> RolloutError | None:
        """How a run ends in which there is nothing to judge: with an error, or with a note."""
        message = self.explain_nothing(source)
        if not self.may_be_empty:
            return RolloutError("not-found", message)
        notes.append(message)
        return None

    def explain_nothing(self, source: Source) -> str:
        """What to say if there is nothing to judge."""
        if self.nothing:
            return self.nothing
        if self.manifests:
            return "There is no workload to judge in the manifests"
        if self.targets is not None:
            return "All workloads are ignored, by a rule or by their annotation"
        return self.nothing_in(*(self.namespaces or (source.namespace(),))) + self.explain_absence(source)

    def explain_absence(self, source: Source) -> str:
        """The end of a sentence about what is not there: the namespaces in which it was looked for and that are not there either."""
        if self.everywhere or not (there := source.namespaces()):
            return ""
        named = [target.namespace for target in self.targets or () if target.namespace]
        names = dict.fromkeys(named or self.namespaces or (source.namespace(),))
        return "".join(f'; there is no namespace "{name}"{suggest_name(name, there, "but ")}' for name in names if name not in there)

    def nothing_in(self, *namespaces: str) -> str:
        *most, last = [kind.plural for kind in self.kinds]
        kinds = f"{', '.join(most)} or {last}" if most else last
        where = "any namespace" if self.everywhere else "namespace " + " or ".join(f'"{name}"' for name in namespaces)
        if self.selector:
            return f'Selector "{self.selector}" did not match any {kinds} in {where}'
        return f"There are no {kinds} to judge in {where}"


def make_word(resource: Json) -> str:
    """The word by which the command line names the kind of an object: with its group, since other groups may have such a kind too."""
    return ".".join(filter(None, get_kind_key(resource)))


def make_selection(options: argparse.Namespace, rules: Rules) -> Selection:
    """What the arguments choose. RolloutError `usage` if they contradict each other, or name an unknown kind."""
    words = split_kinds(options)
    manifests = [("-f", name) for name in options.filename] + ([("-k", options.kustomize)] if options.kustomize else [])
    if options.names and (words or options.selector or manifests):
        raise RolloutError("usage", "KIND/NAME cannot be combined with --selector, --kinds or -f")
    if manifests and (options.selector or options.all_namespaces):
        raise RolloutError("usage", "-f and -k cannot be combined with --selector or --all-namespaces")
    if options.revision and not options.names:
        raise RolloutError("usage", "--revision needs KIND/NAME: each workload has revisions of its own")
    if options.kustomize and options.filename:
        raise RolloutError("usage", "-k cannot be combined with -f")
    if "-" in options.filename and len(options.filename) > 1:
        raise RolloutError("usage", "-f - cannot be combined with another -f")
    if options.all_namespaces and options.namespace:
        raise RolloutError("usage", "--all-namespaces cannot be combined with --namespace")
    if manifests and len(options.namespace) > 1:
        raise RolloutError("usage", "-f and -k take only one --namespace: the manifests name the others")
    for name in options.namespace:
        if not NAMESPACE.fullmatch(name):
            raise RolloutError("usage", f"--namespace {name}: invalid namespace: use a-z, 0-9 and -, at most 63 characters")
    if "" in words:
        raise RolloutError("usage", f"--kinds {','.join(options.kinds)}: there is a comma too many")
    spaces = options.namespace if len(options.namespace) > 1 else [""]
    targets = tuple(Target(rules.find_kind_by_word(kind), space, name) for kind, name in options.names for space in spaces)
    if options.revision:
        rules.list_revisions(target.kind for target in targets)
    kinds = [target.kind for target in targets] or [rules.find_kind_by_word(word) for word in words]
    by_default = not kinds and not manifests
    if not kinds:
        every = [kind for kind in rules.kinds.values() if kind.resource]
        kinds = [kind for kind in every if (is_judged_when_applied(rules, kind, options) if manifests else kind.watched)]
    return Selection(
        kinds=tuple(dict.fromkeys(kinds)),
        targets=targets or None,
        manifests=tuple(word for each in manifests for word in each),
        namespaces=tuple(dict.fromkeys(options.namespace)),
        everywhere=options.all_namespaces,
        selector=options.selector,
        by_default=by_default,
        unasked=bool(manifests) and not words and not options.compat,
        may_be_empty=options.allow_empty,
        nothing=options.nothing_found,
    )


def is_judged_when_applied(rules: Rules, kind: Kind, options: argparse.Namespace) -> bool:
    """True if objects of this kind are judged when they are in manifests and nobody asks for kinds."""
    return kind.waits and kind.listed and kind.resource != "*" and not (options.compat and kind.name in rules.files.pack_kinds)


def refuse_owned(resource: Json, owner: Json) -> NoReturn:
    """RolloutError `usage`: what rolls out is the owner, which nobody has printed."""
    meant = f"{get_field(owner, 'kind')}/{get_field(owner, 'name')}"
    why = f"{resource['kind']} {get_name(resource)} belongs to {meant}, which is what rolls out (`kubectl rollout history` prints such)"
    raise RolloutError("usage", why, hint=f"kubectl get {meant.lower()} -o json | rollout-status -f -")


# What kubectl prints that is no JSON, and what to write instead; docs/pipelines.md has the verbs
TEXTS = (
    (
        r"[a-z.]+/[^\s/]+\s*$|(customresourcedefinition|[a-z.]+)/\S+ [a-z -]+(\(.*\))?$",
        "these are lines for people: add -o json to that kubectl",
    ),
    (r'[a-z.]+ "[^"]+" .*deleted', "what was deleted does not roll out: pipe what is applied"),
    (r"NAME +[A-Z]", "this is a table: add -o json to that kubectl"),
    (r"---|apiVersion:|items:|kind:", "this is YAML: write -o json instead of -o yaml, or give a file of manifests: -f FILE"),
    (
        r"diff |Waiting for |deployment \"|daemon set \"|statefulset ",
        "these are lines for people: pipe the kubectl that makes the change, with -o json",
    ),
)


def describe_text(text: str) -> str:
    """What is wrong with the text of a pipe that is no JSON; empty if nobody can tell."""
    first = text.strip().partition("\n")[0]
    return next((f"{problem}; it begins with {first[:60]!r}" for pattern, problem in TEXTS if re.match(pattern, first)), "")


def read_applied(options: argparse.Namespace, rules: Rules, selection: Selection, source: Source) -> list[str]:
    """Chooses what the pipe (`-f -`) says was applied. In a replay there is no kubectl, so other files are read here too. Returns notes."""
    if options.replay:
        words = {word: rules.undeclared[word] for word in source.words if word in rules.undeclared}
        rules.kinds_of_objects.update((tuple(source.words[word]), kind) for word, kind in words.items())
    if options.replay and (source.applied or source.skipped is not None) and (selection.manifests or selection.by_default):
        return selection.take_recorded(rules, source.applied, source.skipped)
    if options.replay and options.kustomize:
        raise RolloutError("usage", "-k needs kubectl, which a replay does not run, and the recording does not have its result")
    notes = []
    for name in options.filename if options.replay else ["-"] if "-" in options.filename else []:
        try:
            text = read_in(options.timeout) if name == "-" else Path(name).read_text(encoding="utf-8")
            if not text.strip():
                raise UnreadableError("it is empty: did `kubectl apply` fail? Let the pipeline end then: set -o pipefail")
            if problem := describe_text(text):
                raise UnreadableError(problem)
            objects = parse_objects(text, "it")
        except TimeoutError as error:
            raise RolloutError("timeout", f"Timed out after {options.timeout:g}s: -f {name}: {error}") from None
        except (OSError, ValueError) as error:
            hint = "kubectl apply -f k8s/ -o json | rollout-status -f -"
            raise RolloutError("usage", f"-f {name}: {describe_error(error)}", hint=hint) from None
        notes += selection.take(rules, objects, printed=True)
    return notes
