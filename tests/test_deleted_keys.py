"""Every key, every entry of a list and every object of every fixture is left out once: none of it may make a success.

What is left out is missing in one of two ways: in one object at one moment of the recording, as if the API server had
stopped telling it then; or in all objects of the kind for one who begins to watch at that moment, as if it had never told
it. The second is what `--once` would say, and nothing that was seen before can hide a false success then.

Four things keep this fast:

- A key that is not read in judging a moment cannot change that judgement. Only those that are read are left out; that the
  others do not matter is tested too.
- A key of which neither the program nor a rule knows the name is only copied, or printed, or compared in a template.
- A template is only compared as a whole, so that its keys fall into two classes: it is another template without them, or not.
- The first of the moments at which the same rules hold stands for all, and so does the first of the objects of a kind about
  which the same rules hold and in which the same was read. In the second way it is each fixture's last moment that is tried.
"""

import copy
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
import yaml
from conftest import CASES, FIXTURES, ROOT

import rollout_status
from rollout_status import Judge
from rollout_status_lib.arguments import build_parser, collect_settings
from rollout_status_lib.errors import UnreadableError
from rollout_status_lib.findings import Judgement
from rollout_status_lib.logs import Logs
from rollout_status_lib.memory import Memory
from rollout_status_lib.objects import drop_field, get_identity, get_namespace, parse_objects
from rollout_status_lib.rules import Rules, make_expectation
from rollout_status_lib.selection import make_selection, read_applied
from rollout_status_lib.source import Hooks, Snapshot
from rollout_status_lib.sources.replay import Replay

RULES = Rules(ROOT / "rules", packs=None)


def rules() -> Rules:
    """The built-in rules as a run that has just begun has them: what its command line names is no other run's."""
    new = copy.copy(RULES)
    new.undeclared, new.kinds_of_objects = {}, {}
    return new


PROGRAM = [ROOT / "rollout_status.py", *sorted((ROOT / "rollout_status_lib").rglob("*.py"))]
TEXT = "\n".join(path.read_text() for path in [*PROGRAM, *sorted((ROOT / "rules").rglob("*.yaml"))])
# All words of the program and its rules: a key that is none of them is never asked for by its name
MENTIONED = {*re.findall(r"\w+", TEXT), *re.findall(r"[\w./-]+", TEXT)}
HOOKS = Hooks((), frozenset, lambda _: False)
EACH = "*"  # in a path: all entries of a list
TEMPLATE, HASH = ("spec", "template"), ("metadata", "labels", "pod-template-hash")

Path_ = tuple[str | int, ...]

OLD_PODS = {"deployment/old-pod-terminating", "deployment/slow-old-pod-termination", "deployment/unobserved-update"}
FAILED_POD = {"pod/evicted-then-ready"}  # its successor must outlive it
GONE = (OLD_PODS, "an old pod that is not there any more is what was waited for; one is found through its ReplicaSet")
NO_POD = (OLD_PODS | FAILED_POD, "a pod that is not there any more is what was waited for, or has not failed")
NOBODYS = (OLD_PODS, "absent: nothing controls it, so it is none of the Deployment's")
NOBODYS_POD = (OLD_PODS | FAILED_POD, "absent: nothing controls it, so it is none of the Deployment's pods, ended or not")
# What is no success is one without these, for Kubernetes defines what is meant when they are absent: (kind, path) -> where, why
EXCEPTIONS: dict[tuple[str, Path_], tuple[set[str], str]] = {
    ("Deployment", ("metadata", "deletionTimestamp")): ({"workload/being-deleted"}, "absent: it is not being deleted"),
    ("ReplicaSet", ("status", "readyReplicas")): ({"replicaset/pods-not-listed"}, "absent: 0, so that there is no pod to be missed"),
    ("Deployment", ()): (
        {"selection/release-finished-job-removed", "generic/owns-a-deployment"},
        "never listed: not known, unless by KIND/NAME; what is beside it succeeds",
    ),
    **{
        ("Deployment", ("metadata", "annotations", *path)): ({"selection/expect-image-ignored"}, "absent: it is judged, and ready")
        for path in ((), ("rollout-status/ignore",))
    },
    **{
        ("Service", ("spec", "selector", *path)): (
            {
                "packs/network/piped-crash",
                "packs/network/piped-not-serving",
                "packs/network/piped-with-a-deployment",
                "packs/network/service-leads-nowhere",
            },
            "absent: it selects nothing, and somebody else writes what is behind it",
        )
        for path in ((), ("app",))
    },
    ("Widget", ("status", "observedGeneration")): ({"generic/not-observed"}, "absent: its controller does not tell, as many do not"),
    ("Widget", ("status", "conditions", EACH)): ({"generic/moving"}, "absent: nothing says that its controller is at work"),
    ("Pod", ("spec", "containers", EACH, "image")): ({"selection/expect-image-of-pods"}, "absent: the status says which image runs"),
    ("Pod", ()): NO_POD,
    ("ReplicaSet", ()): GONE,
    ("ReplicaSet", ("metadata", "uid")): GONE,
    **{
        (kind, ("metadata", "ownerReferences", *path)): why
        for kind, why in (("Pod", NOBODYS_POD), ("ReplicaSet", NOBODYS))
        for path in ((), (EACH,), (EACH, "controller"), (EACH, "uid"))
    },
}


class Noting(dict):
    """A dict that notes which of its keys were read."""

    def __init__(self, content: dict[str, Any]) -> None:
        super().__init__(content)
        self.read: set[str] = set()

    def all(self) -> None:
        self.read.update(dict.keys(self))

    def get(self, key, default=None):
        self.read.add(key)
        return super().get(key, default)

    def __getitem__(self, key):
        self.read.add(key)
        return super().__getitem__(key)

    def __contains__(self, key) -> bool:
        self.read.add(key)
        return super().__contains__(key)

    def __iter__(self):
        self.all()
        return super().__iter__()

    def __len__(self) -> int:
        self.all()
        return super().__len__()

    def keys(self):
        self.all()
        return super().keys()

    def values(self):
        self.all()
        return super().values()

    def items(self):
        self.all()
        return super().items()

    def __eq__(self, other: object) -> bool:
        if isinstance(other, dict):
            self.all()
        return super().__eq__(other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = None


Noting.__name__ = "dict"  # JMESPath tells types by their names


def noting(value: Any) -> Any:
    if isinstance(value, dict):
        return Noting({key: noting(entry) for key, entry in value.items()})
    return [noting(entry) for entry in value] if isinstance(value, list) else value


def read(value: Any, path: Path_ = ()) -> Iterator[Path_]:
    """The paths of all keys that were read and, in the lists among them, of all entries."""
    if isinstance(value, Noting):
        for key in dict.keys(value):
            alone = dict.__len__(value) == 1  # without it, its owner would be empty, which can be told
            if key in value.read and (key in MENTIONED or alone or path[:2] == TEMPLATE):
                yield (*path, key)
                yield from read(dict.__getitem__(value, key), (*path, key))
    elif isinstance(value, list):
        for index, entry in enumerate(value):
            yield (*path, index)
            yield from read(entry, (*path, index))


def less(value: Any, path: Path_) -> Any:
    """The value without what is at a path."""
    first, *rest = path
    if isinstance(value, list):
        chosen = [first in (EACH, index) for index in range(len(value))]
        if rest:
            return [less(entry, rest) if yes else entry for entry, yes in zip(value, chosen, strict=True)]
        return [entry for entry, yes in zip(value, chosen, strict=True) if not yes]
    if not isinstance(value, dict) or first not in value:
        return value
    if rest:
        return {**value, first: less(value[first], rest)}
    return {key: entry for key, entry in value.items() if key != first}


def general(path: Path_) -> Path_:
    return tuple(EACH if isinstance(step, int) else step for step in path)


def shape(paths: list[Path_]) -> frozenset[Path_]:
    """All that was read in an object; entries of lists, and keys of templates, are not told apart."""
    return frozenset(general(path) for path in paths if path[:2] != TEMPLATE)


def titled(resource: Any, path: Path_) -> Path_:
    """The path with the type of a condition instead of its number, and with the class of a key of a template."""
    if path[:2] == TEMPLATE and path[2:]:
        whole, part = (drop_field(each["spec"]["template"], HASH) for each in (resource, less(resource, path)))
        return (*TEMPLATE, whole == part)
    steps: list[str | int] = []
    for step in path:
        resource = resource[step]
        steps.append(resource.get("type", EACH) if isinstance(step, int) and isinstance(resource, dict) else general((step,))[0])
    return tuple(steps)


@dataclass
class Moment:
    """A moment that is no success."""

    snapshot: Snapshot
    memory: Memory  # before it
    held: frozenset[tuple[str, str]]  # rules and verdicts
    judgement: Judgement

    def is_wrong(self, other: Judgement, *, success: bool) -> bool:
        """Whether another judgement of it is a success, or has a workload ready that is not."""
        unready = {workload.key for workload in self.judgement.workloads if workload.status != "ready"}
        return success or any(workload.status == "ready" and workload.key in unready for workload in other.workloads)


def seen(snapshot: Snapshot, objects: list[Any]) -> Snapshot:
    """The snapshot with other objects."""
    events = [each for each in objects if dict.get(each, "kind") == "Event"]
    return replace(
        snapshot,
        objects=tuple(objects),
        events=lambda namespace: [event for event in events if get_namespace(event) == namespace],
    )


class Case:
    """A fixture with its moments, up to its verdict."""

    def __init__(self, name: str) -> None:
        case = yaml.safe_load((FIXTURES / name / "case.yaml").read_text())
        self.arguments = tuple(case["args"])
        options = build_parser().parse(["--replay", str(FIXTURES / name), *self.arguments])
        self.rules = rules()
        selection = make_selection(options, self.rules)
        if "stdin" in case:
            selection.take(self.rules, parse_objects((FIXTURES / name / case["stdin"]).read_text(), "it"), printed=True)
        self.source = Replay(FIXTURES / name, None, selection)
        if "stdin" not in case:
            read_applied(options, self.rules, selection, self.source)
        expected = [make_expectation(text, self.rules) for text in options.expect]
        self.judge = Judge(self.rules, selection, collect_settings(options), options.wait_for_create, expected)
        self.moments = list(self.distinct())

    def distinct(self) -> Iterator[Moment]:
        """The first of the moments at which the same rules hold, and the last of all."""
        known, last = set(), None
        for moment in self.until_verdict():
            last = moment
            if moment.held not in known:
                known.add(moment.held)
                yield moment
                last = None
        yield from [last] if last else []

    def until_verdict(self) -> Iterator[Moment]:
        memory = Memory()
        for poll in self.source.polls(HOOKS):
            for call in poll.calls:
                finding, memory = self.judge.judge_call(memory, call, poll.at, again=poll.again)
                if finding.verdict == "fail":
                    return
            if poll.snapshot:
                before = memory
                judgement, success = self.judged(memory, poll.snapshot)
                _, memory = self.judge.judge(memory, poll.snapshot)
                if success:
                    return
                findings = [finding for workload in judgement.workloads for finding in workload.findings]
                yield Moment(poll.snapshot, before, frozenset((finding.rule.id, finding.verdict) for finding in findings), judgement)
                if judgement.failed or judgement.ready:
                    return

    def read(self, moment: Moment) -> list[tuple[int, Path_, tuple[Any, ...]]]:
        """Number of the object, path, and what stands for all that are like it, of all that is read at a moment."""
        objects = [noting(each) for each in moment.snapshot.objects]
        about: dict[str, set[str]] = {}
        for finding in (each for workload in moment.judgement.workloads for each in workload.findings):
            about.setdefault(get_identity(finding.subject.holder), set()).add(finding.rule.id)
        _, result = self.told(moment.memory, seen(moment.snapshot, objects))
        for others in (moment.snapshot.objects, map(unread_left_out, objects)):  # what is not read does not matter
            assert self.told(moment.memory, seen(moment.snapshot, list(others)))[1] == result
        found: list[tuple[int, Path_, tuple[Any, ...]]] = []
        for number, (resource, noted) in enumerate(zip(moment.snapshot.objects, objects, strict=True)):
            paths = list(read(noted))
            known = resource["kind"], frozenset(about.get(get_identity(resource), ())), shape(paths)
            if resource["kind"] != "Event" or "involvedObject" in noted.read:
                found.append((number, (), (*known, ())))
            found += [(number, path, (*known, titled(resource, path))) for path in paths]
        return found

    def judged(self, memory: Memory, snapshot: Snapshot) -> tuple[Judgement, bool]:
        """The judgement, and whether it is a success."""
        judgement, (_, exit_code) = self.told(memory, snapshot)
        return judgement, (judgement.failed or judgement.ready) and exit_code == 0

    def is_wrong_without(self, moment: Moment, memory: Memory, chosen: int | str, path: Path_) -> bool:
        """Whether what is at the path in one object, or in all of a kind, is all that keeps a moment from a success."""
        objects = left_out(moment.snapshot, chosen, path)
        if path in {("apiVersion",), ("kind",), ("metadata",)}:
            whole = set(map(id, moment.snapshot.objects))
            assert refused(each for each in objects if id(each) not in whole)
            return False
        judgement, success = self.judged(memory, seen(moment.snapshot, objects))
        return moment.is_wrong(judgement, success=success)

    def told(self, memory: Memory, snapshot: Snapshot) -> Any:
        """The judgement, and all that a run tells of it: an error may come from there too."""
        self.source.notes.clear()
        run = rollout_status.Run()
        run.rules, run.source, run.judge, run.snapshot = self.rules, self.source, self.judge, snapshot
        run.logs = Logs(self.source)
        run.judgement, run.memory = self.judge.judge(memory, snapshot)
        run.conclude(None)
        return run.judgement, (run.result, run.exit_code)


def left_out(snapshot: Snapshot, chosen: int | str, path: Path_) -> list[Any]:
    """The objects of a snapshot, one of them or all of a kind without what is at a path."""
    objects = []
    for number, resource in enumerate(snapshot.objects):
        if chosen not in (number, resource["kind"]):
            objects.append(resource)
        elif path:
            objects.append(less(resource, path))
    return objects


def unread_left_out(value: Any) -> Any:
    if isinstance(value, Noting):
        return {key: unread_left_out(entry) for key, entry in dict.items(value) if key in value.read}
    return [unread_left_out(entry) for entry in value] if isinstance(value, list) else value


DONE: set[tuple[Any, ...]] = set()


@pytest.mark.parametrize("name", CASES)
def test_nothing_that_is_left_out_makes_a_success(name: str) -> None:
    case = Case(name)
    excepted = {what for what, (cases, _) in EXCEPTIONS.items() if name in cases}
    found = set()
    for moment in case.moments:
        everything = case.read(moment)
        often = Counter((alike[0], general(path)) for _, path, alike in everything)
        last = moment is case.moments[-1]
        for number, path, alike in everything:
            key = (repr(case.judge.params), moment.held, alike)
            what = alike[0], general(path)
            if (key not in DONE or what in excepted) and not (last and moment.memory.started < 0 and often[what] == 1):
                DONE.add(key)
                found |= {what} if case.is_wrong_without(moment, moment.memory, number, path) else set()
        for what in often if last else ():
            if what[1][:2] != TEMPLATE or not what[1][2:]:
                found |= {what} if case.is_wrong_without(moment, Memory(), *what) else set()
    assert found == excepted


def refused(objects: Iterable[Any]) -> bool:
    """Whether neither a replay nor a poll takes the objects, as one does not say what it is."""
    try:
        return not parse_objects(json.dumps({"items": list(objects)}), "it")
    except UnreadableError:
        return True
