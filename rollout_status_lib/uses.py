"""What subjects use: looked at while they wait, and judged by the rules of its kind. What is wrong there is the cause of a wait."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import replace

from rollout_status_lib import Json
from rollout_status_lib.declarations import Kind, Use
from rollout_status_lib.errors import EvaluationError
from rollout_status_lib.findings import Finding
from rollout_status_lib.functions import is_true
from rollout_status_lib.labels import find_nearest
from rollout_status_lib.objects import get_controller, get_field, get_identity, get_name, get_namespace
from rollout_status_lib.rules import Rules
from rollout_status_lib.source import Answer, Snapshot
from rollout_status_lib.subjects import Lineage, Subject, Tree


class Uses:
    """What the subjects of one snapshot use. Nothing is read before something about one of them waits.

    An object that many use is judged once, as that of the first.
    """

    def __init__(self, rules: Rules, snapshot: Snapshot, tree: Tree, find: Callable[[Subject], Iterable[Finding]]) -> None:
        self.rules, self.snapshot, self.tree, self.find = rules, snapshot, tree, find
        self.known: dict[str, Subject] = {}  # key -> a subject that is used
        self.used: dict[str, list[Subject]] = {}  # key of a subject -> what it uses
        self.by_name: dict[tuple[str, str], tuple[Answer | None, dict[str, Json]]] = {}
        self.doubts: dict[str, EvaluationError] = {}  # key of a subject -> why it is not known what it uses
        self.unmatched: dict[str, list[Json]] = {}  # key of a subject -> for each selector that matches nothing what it sees of that
        self.chains: dict[str, tuple[Finding, ...]] = {}  # key of what is used -> what is wrong with it, and with what it uses

    def gather(self, findings: Iterable[Finding]) -> None:
        """Reads all that findings may need, so that what is asked for by name is one call for each kind, and not one for each subject."""
        users = {user.key: user for finding in findings if is_stuck(finding) for user in [self.find_user(finding.subject)]}
        seen: set[str] = set()
        while users:
            seen |= users.keys()
            names: dict[tuple[str, str], dict[str, None]] = {}
            for user in users.values():
                for use in user.kind.uses:
                    if self.rules.kinds[use.kind].is_named:
                        with suppress(EvaluationError):  # `read` says it
                            names.setdefault((use.kind, self.find_space(use, user)), {}).update(dict.fromkeys(self.list_names(use, user)))
            for (kind, space), wanted in names.items():
                if wanted:
                    self.snapshot.used.look(self.rules.kinds[kind], space, list(wanted))
            users = {each.key: each for user in users.values() for each in self.read(user) if each.key not in seen}

    def explain(self, findings: Iterable[Finding]) -> list[Finding]:
        """The findings that fail or wait, with their causes. A wait whose cause has failed fails too, if it may become a failure at all."""
        return [self.add_causes(finding) for finding in findings if is_stuck(finding)]

    def add_causes(self, finding: Finding) -> Finding:
        causes = self.find_causes(finding.subject)
        is_over = any(cause.verdict == "fail" for cause in causes) and finding.verdict == "wait"
        may_fail = is_over and not finding.rule.endless and finding.code(self.rules.codes)
        return replace(finding, causes=causes, verdict="fail" if may_fail else finding.verdict) if causes else finding

    def find_causes(self, subject: Subject) -> tuple[Finding, ...]:
        """What is wrong with what a subject uses, the nearest first. Of several objects one that has failed counts, else the first."""
        chains = [chain for each in self.read(self.find_user(subject)) if (chain := self.judge(each))]
        return min(chains, key=lambda chain: all(cause.verdict != "fail" for cause in chain), default=())

    def judge(self, subject: Subject) -> tuple[Finding, ...]:
        """What is wrong with an object that is used, and below it the causes of that."""
        if subject.key not in self.chains:
            self.chains[subject.key] = ()  # for objects that use each other
            codes = self.rules.codes
            found = [finding for finding in self.find(subject) if is_stuck(finding)]
            found.sort(key=lambda finding: (finding.verdict != "fail", *finding.order(codes), finding.rule.id))
            self.chains[subject.key] = (found[0], *self.find_causes(found[0].subject)) if found else ()
        return self.chains[subject.key]

    def find_user(self, subject: Subject) -> Subject:
        """The object that a subject is, or that it is a part of: only objects use others."""
        if not subject.kind.part_of:
            return subject
        kind, lineage = self.rules.kinds[subject.lineage[-2][0]], subject.lineage[:-1]
        return Subject(kind, subject.holder, get_identity(subject.holder), lineage, (), (), (), None)

    def read(self, user: Subject) -> list[Subject]:
        """What an object uses, as far as it can be read; also what does not exist. Nothing, as a doubt, if a team's kind cannot tell."""
        if user.key not in self.used:
            try:
                self.used[user.key] = [each for use in user.kind.uses if self.is_needed(use, user) for each in self.find_used(use, user)]
            except EvaluationError as error:
                self.rules.doubt(error, self.tree.functions)
                self.used[user.key], self.doubts[user.key] = [], error
        return self.used[user.key]

    def read_values(self, user: Subject) -> list[Json]:
        """What an object uses, as rules see it: the kind by the name that rules know it by, whether it exists, and the object.

        Where no object has the labels that it selects, there is one that does not exist, with the `nearest` labels.
        EvaluationError if its kind cannot tell: a rule that asks is in doubt, too.
        """
        user = self.find_user(user)
        used = [{"kind": each.kind.name, "exists": each.exists, "object": each.value} for each in self.read(user)]
        if user.key in self.doubts:
            raise self.doubts[user.key]
        return used + self.unmatched.get(user.key, [])

    def is_needed(self, use: Use, user: Subject) -> bool:
        return use.when is None or is_true(use.when.evaluate(user.value, self.tree.functions))

    def list_names(self, use: Use, user: Subject) -> list[str]:
        """The names of the objects that an object uses; none if they are not needed, or not used by name."""
        if use.names is None or not self.is_needed(use, user):
            return []
        found = use.names.evaluate(user.value, self.tree.functions)
        return [str(name) for name in (found if isinstance(found, list) else [found]) if name]

    def find_space(self, use: Use, user: Subject) -> str:
        """The namespace of the objects that an object uses; empty if they are in none."""
        elsewhere: Json = use.namespace.evaluate(user.value, self.tree.functions) if use.namespace else None
        return "" if self.rules.kinds[use.kind].cluster else str(elsewhere or get_namespace(user.value))

    def find_used(self, use: Use, user: Subject) -> Iterator[Subject]:
        kind, names = self.rules.kinds[use.kind], self.list_names(use, user)
        labels: Json = use.labels.evaluate(user.value, self.tree.functions) if use.labels else None
        if not (names or labels or use.owned):
            return
        namespace = self.find_space(use, user)
        answer = self.snapshot.used.look(kind, namespace, names)
        if not answer:
            return
        by_name = self.index(kind, namespace, answer)
        for name in names:
            if name in by_name:
                yield self.make_subject(kind, by_name[name], user.lineage)
            elif answer.whole:
                yield self.make_missing(kind, namespace, name, user.lineage)
        matching = [each for each in by_name.values() if has_labels(each, labels)] if isinstance(labels, dict) else []
        if isinstance(labels, dict) and not matching and answer.whole:
            nearest = {"nearest": find_nearest(labels, by_name.values())}
            self.unmatched.setdefault(user.key, []).append({"kind": kind.name, "exists": False, "object": nearest})
        matching += (
            [each for each in by_name.values() if get_field(get_controller(each), "uid") == get_identity(user.value)] if use.owned else []
        )
        for each in matching:
            yield self.make_subject(kind, each, user.lineage)

    def index(self, kind: Kind, namespace: str, answer: Answer) -> dict[str, Json]:
        """The objects of a kind in a namespace, or in none, by their names."""
        key = (kind.resource, namespace)
        before, by_name = self.by_name.get(key, (None, {}))
        if before is not answer:
            there = [each for each in answer.objects if self.rules.find_kind(each) is kind]
            by_name = {get_name(each): each for each in there if not namespace or get_namespace(each) == namespace}
            self.by_name[key] = answer, by_name
        return by_name

    def make_subject(self, kind: Kind, value: Json, above: Lineage) -> Subject:
        key = get_identity(value)
        if key not in self.known:
            self.known[key] = self.tree.grow(kind, value, above)
            self.snapshot.used.taken[key] = value
        return self.known[key]

    def make_missing(self, kind: Kind, namespace: str, name: str, above: Lineage) -> Subject:
        """What an object refers to and what does not exist."""
        value = {"kind": kind.title, "metadata": {"name": name, **({"namespace": namespace} if namespace else {})}}
        key = f"{kind.resource}/{namespace}/{name}"
        return self.known.setdefault(key, Subject(kind, value, key, (*above, (kind.name, value)), (), (), (), None, exists=False))


def is_stuck(finding: Finding) -> bool:
    return finding.verdict in ("fail", "wait", "hold")


def has_labels(resource: Json, labels: dict[str, Json]) -> bool:
    """True if an object has all these labels."""
    own = get_field(resource, "metadata", "labels")
    return isinstance(own, dict) and all(own.get(name) == value for name, value in labels.items())
