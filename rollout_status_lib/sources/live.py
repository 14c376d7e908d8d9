"""Polls of a cluster, asked of kubectl."""

from __future__ import annotations

import argparse
import functools
import shlex
import time
import urllib.parse
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from rollout_status_lib import Json, source
from rollout_status_lib.declarations import Kind
from rollout_status_lib.errors import UnreadableError
from rollout_status_lib.objects import (
    get_continue,
    get_field,
    get_identity,
    get_list_version,
    get_version,
    guess_plural,
    is_same_state,
    parse_objects,
)
from rollout_status_lib.rules import Rules
from rollout_status_lib.selection import Selection
from rollout_status_lib.source import LOG_BYTES, LOG_LINES, Hooks, Lists, LogPlace, Poll, Snapshot
from rollout_status_lib.sources.kubectl import Answer, Clock, Kubectl
from rollout_status_lib.sources.requests import Found, Plan, Request, build_api_path
from rollout_status_lib.sources.watches import Bell


def read_names(kind: Kind, namespace: str, table: str) -> tuple[Json, ...]:
    """The objects that a table of kubectl's lists. Only their names are known."""
    names = [line.split()[0] for line in table.splitlines() if line.strip()]
    return tuple({"apiVersion": kind.api_version, "kind": kind.title, "metadata": {"name": name, "namespace": namespace}} for name in names)


class Live:
    """A Source that asks a cluster: at once when a watch hears a change, otherwise with pauses that grow up to --interval."""

    FIRST_PAUSE, SLOWER = 0.5, 1.5  # seconds of the first pause, and how much longer each further one is
    IDLE = 30.0  # seconds between polls while everything that could change is watched
    MOST_WARNINGS = 50
    CROWDED, WARNED = f", since at most {Bell.MOST} are watched", ": the others are left out"
    GAP, LONGEST_GAP = 0.1, 0.5  # seconds between two polls while there is always news
    TICK = 0.5  # seconds after which the same snapshot is judged again, since time alone may bring a verdict

    def __init__(self, options: argparse.Namespace, rules: Rules, selection: Selection) -> None:
        self.options, self.rules, self.selection = options, rules, selection
        self.kubectl, self.clock = Kubectl(options), Clock()
        self.bell = Bell(self.kubectl, self.is_wanted)
        self.hooks = Hooks((), frozenset, lambda _: False)
        self.steps: list[Callable[..., object]] = []  # of hooks.prepare, those that are still to be done
        self.applied: Sequence[Json] = ()
        self.skipped: Sequence[str] | None = None
        self.words: Mapping[str, Json] = {}
        self.notes: list[str] = []
        self.warnings: list[str] = []  # what kubectl says beside its answers
        self.logs: dict[str, str] = {}  # name in a recording -> log that was read
        self.read: dict[LogPlace, Answer] = {}  # what kubectl said when it was asked for logs
        self.plan = Plan(rules, selection)
        self.last: dict[str, Json] = {}  # identity -> object of the last poll
        self.found: list[Found] = []  # what the last poll has read
        self.is_complete = True  # whether all that is named was there
        self.shown: set[tuple[str, str, str]] = set()  # API version, resource and namespace of what was ever seen
        self.versions: dict[str, str] = {}  # path in the API -> the version of the list that was read there last
        self.with_events: set[str] = set()  # namespaces whose events were read
        flags = {"context": options.context, "kubeconfig": options.kubeconfig}
        self.flags = " ".join(f"--{flag}={shlex.quote(value)}" for flag, value in flags.items() if value)  # for commands that people paste

    def polls(self, hooks: Hooks) -> Generator[Poll]:
        """A poll after each pause; the last one when --timeout is up."""
        self.hooks, self.steps, pause, gap = hooks, list(hooks.prepare), 0.0, 0.0
        if self.options.timeout:
            self.kubectl.end = time.monotonic() + self.options.timeout
        try:
            while True:
                began, before = time.monotonic(), self.bell.known
                poll = self.poll()
                yield poll
                took = time.monotonic() - began
                if poll.snapshot:
                    self.listen()
                pause = pause * self.SLOWER if self.bell.known == before and pause else self.FIRST_PAUSE
                # what is used is not watched, nor is what is not there yet
                is_heard = self.bell.is_alive and self.is_complete and poll.snapshot and not poll.snapshot.used.answers
                pause = self.IDLE if is_heard else min(pause, self.options.interval)
                waited = self.rest(poll, pause)
                gap = self.GAP if waited > self.LONGEST_GAP else min(self.LONGEST_GAP, gap * self.SLOWER)
                time.sleep(max(0.0, min(max(gap, took) - waited, self.kubectl.end - time.monotonic())))
        finally:
            self.bell.kill()

    def listen(self) -> None:
        """Watches every resource that the last poll has shown, and the events if it has read them."""
        self.bell.subjects = self.hooks.subjects()
        self.bell.listen({path: self.versions.get(path, "") for path in self.list_watched()})
        silent = {
            f"{path} cannot be watched, so it is polled every {self.options.interval:g}s: {why}" for path, why in self.bell.silent.items()
        }
        self.notes += sorted(silent - {*self.notes})
        if self.bell.polled:
            total = self.bell.polled + len(self.bell.watches)
            self.note(self.CROWDED, f"{self.bell.polled} of {total} lists are polled every {self.options.interval:g}s{self.CROWDED}")

    def list_watched(self) -> Iterator[str]:
        """The paths to watch. Where a part of a list is asked for, that part is watched."""
        yield from (build_api_path("v1", namespace, "events") for namespace in self.with_events)
        queries: dict[tuple[str, str], set[str]] = {}
        for request, _ in self.found:
            for resource in request.resources:
                queries.setdefault((resource, self.plan.find_space_of(request)), set()).add(request.query)
        for each in self.last.values():
            kind, namespace = self.rules.find_kind(each), str(get_field(each, "metadata", "namespace") or "")
            if kind:
                self.shown.add((each["apiVersion"], kind.resource, "" if self.selection.everywhere else namespace))
        for version, resource, namespace in self.shown:
            plural = resource.partition(".")[0]
            is_guess = self.selection.unasked and resource in self.rules.undeclared  # manifests tell a kind, and no plural
            path = build_api_path(version, namespace, guess_plural(plural) if is_guess else plural)
            parts = queries.get((resource, namespace), {""})
            yield from (path,) if "" in parts else (f"{path}?{part}" for part in parts)

    def is_wanted(self, changed: Json) -> bool:
        """True if an object that nobody owns may be a workload to judge."""
        kind = self.rules.find_kind(changed) if isinstance(get_field(changed, "kind"), str) else None
        return kind is None or self.selection.targets is None or self.selection.target(kind, changed) is not None

    def rest(self, poll: Poll, pause: float) -> float:
        """Waits until something has changed, time alone brings a verdict, or the pause is over. Returns the seconds that it took."""
        began = time.monotonic()
        tick, end = self.TICK, min(began + pause, self.kubectl.end)
        if not poll.snapshot:
            time.sleep(max(0.0, end - began))
            return pause
        while (left := end - time.monotonic()) > 0 and not self.bell.rung.wait(min(tick, left)):
            asked = time.monotonic()
            if self.hooks.is_due(replace(poll.snapshot, at=self.clock.now())):
                break
            tick = max(self.TICK, 10 * (time.monotonic() - asked))  # looking ahead takes a tenth of the time at most
        return time.monotonic() - began

    def poll(self) -> Poll:
        """What the cluster shows, or the calls that failed. Its time is when it was asked, so nothing in it is older than it seems."""
        if not self.plan.wanted and (unread := self.read_manifests()):
            return Poll(self.clock.now(), None, (unread,))
        asked = time.monotonic()
        self.bell.rung.clear()
        found, failed = self.read_lists()
        at = round(asked + self.clock.offset, 3)
        if failed:
            return Poll(at, None, tuple(failed))
        self.found = found
        objects: dict[str, Json] = {}
        chosen = set()
        for request, answer in found:
            for each in answer:
                key, kind = get_identity(each), self.rules.find_kind(each)
                before = self.last.get(key)
                objects[key] = before if before and is_same_state(before, each) else each
                if kind and kind.resource in request.workloads:
                    chosen.add(key)
        self.last, self.bell.known = objects, frozenset(map(get_version, objects.values()))
        used = Lists(functools.partial(self.look, found))
        return Poll(at, Snapshot(at, tuple(objects.values()), frozenset(chosen), functools.cache(self.events), used))

    def read_manifests(self) -> Json:
        """Reads -f and -k with kubectl and decides what to ask for. Returns the call if it failed, otherwise None."""
        if self.selection.targets is None and self.selection.manifests:
            where = [f"--namespace={name}" for name in self.selection.namespaces]
            call = ("create", "--dry-run=client", "--validate=false", *where, *self.selection.manifests, "-o", "json")
            answer = self.kubectl.run(call)[0]
            try:
                self.notes += self.selection.take(self.rules, self.objects(answer), printed=False)
            except UnreadableError as error:
                return {**self.failed(Request(("manifests",), frozenset(), ()), answer.exit, str(error)), "verb": "read"}
        self.plan.begin()
        return None

    def read_lists(self) -> tuple[list[Found], list[Json]]:
        """All that a poll asks for, and the calls that failed: workloads first, then what only they can tell how to ask for."""
        first = [request for namespace in self.plan.wanted for request in self.plan.list_first(namespace)]
        found, failed = self.lists(first, at_ease=not self.plan.is_settled)
        self.learn(found)
        if failed:
            return found, failed
        alike: list[Request] = []
        owned: list[Request] = []
        for namespace in self.plan.wanted:
            others, below = self.plan.list_rest(namespace, found)
            alike, owned = alike + others, owned + below
        self.is_complete = not alike
        rest, failed = self.lists(owned)
        return found + self.lists(alike)[0] + rest, failed  # who may not list others does without

    def learn(self, found: Iterable[Found]) -> None:
        """Learns from the first answers what words mean, and where kubectl looks by itself."""
        for request, answer in found:
            if request.resources[0] in self.rules.undeclared:
                self.rules.learn_kind(request.resources[0], answer)
            spaces = [space for each in answer if (space := get_field(each, "metadata", "namespace"))] if not request.where else ()
            if spaces:
                self.plan.space = str(spaces[0])

    def prepare(self, *, at_ease: bool) -> None:
        """Does what the run has to do before the first poll is judged; `at_ease` one part of it, since there will be more time."""
        while self.steps:
            self.steps.pop(0)()
            if at_ease:
                break

    def lists(self, requests: list[Request], *, at_ease: bool = False) -> tuple[list[Found], list[Json]]:
        """The objects, and the calls that failed. A request that fails is asked again one resource at a time, in kubectl's own way."""
        calls = [request.arguments for request in requests]
        if self.clock.is_unknown and calls:
            calls[0] = (*calls[0], "-v=8")  # which shows the cluster's time
        answers = self.kubectl.run(*calls, meanwhile=functools.partial(self.prepare, at_ease=at_ease))
        if self.clock.is_unknown and answers and (note := self.clock.correct(answers[0])):
            self.notes.append(note)
        found: list[Found] = []
        failed: list[Json] = []
        for request, answer in zip(requests, answers, strict=True):
            try:
                found.append((request, self.read_pages(request, answer)))
            except UnreadableError as error:
                simple = request.simplify()
                if answer.killed or simple == [request]:
                    failed.append(self.failed(request, answer.exit, str(error)))
                else:
                    more = self.lists(simple)
                    found, failed = found + more[0], failed + more[1]
                    self.plan.may_get &= not (request.names and more[0])
        return found, failed

    def read_pages(self, request: Request, answer: Answer) -> tuple[Json, ...]:
        """The objects of a list, also where the API server, or a proxy before it, gives it in pages that nobody has asked for."""
        if not (answer.exit or answer.stdout.strip()) and request.names:  # none of them is there
            return ()
        objects, tokens = self.objects(answer), [get_continue(answer.stdout)]
        address = request.arguments[-1]
        if request.path:
            self.versions[address] = get_list_version(answer.stdout)
        while tokens[-1]:
            if not request.path or tokens[-1] in tokens[:-1]:
                raise UnreadableError("the list is incomplete: its next pages could not be read")
            token = urllib.parse.quote(tokens[-1], safe="")
            page = self.kubectl.run(("get", "--raw", f"{address}{'&' if request.query else '?'}continue={token}"))[0]
            objects += self.objects(page)
            tokens.append(get_continue(page.stdout))
        return objects

    def objects(self, answer: Answer) -> tuple[Json, ...]:
        """The objects in an answer; UnreadableError with kubectl's words if the call failed."""
        if answer.exit:
            raise UnreadableError(answer.stderr or f"kubectl exited with {answer.exit} and said nothing")
        self.warn(answer.stderr)
        shim = "" if answer.stdout[:1] in ("{", "") else f" (is {self.options.kubectl} a shim that prints lines of its own?)"
        objects = parse_objects(answer.stdout, f"what kubectl printed{shim}")
        for each in objects:
            each["metadata"].pop("managedFields", None)  # nobody reads them; `kubectl get -o json` leaves them out too
        return objects

    def warn(self, said: str) -> None:
        """Keeps what kubectl says beside an answer: each line once, and not too many of them."""
        new = [line for line in dict.fromkeys(said.splitlines()) if line.strip() and line not in self.warnings]
        room = self.MOST_WARNINGS - len(self.warnings)
        self.warnings += new[:room]
        if new[room:]:
            self.note(self.WARNED, f"kubectl printed more than {self.MOST_WARNINGS} different warnings{self.WARNED}")

    def note(self, ending: str, note: str) -> None:
        """Puts a note into the place of the one with the same ending."""
        self.notes = [each for each in self.notes if not each.endswith(ending)] + [note]

    def failed(self, request: Request, exit: int, stderr: str) -> Json:
        """A call that failed, as rules/kubectl.yaml sees it."""
        namespace = request.where[1] if request.where[:1] == ("-n",) else None
        resource = request.resources[0]
        others = {kind.resource for kind in self.selection.kinds if kind.name in self.rules.files.pack_kinds}
        of_pipe = self.selection.unasked and resource in (*others, *self.rules.undeclared)
        optional = bool(request.workloads) and (self.selection.by_default or of_pipe)
        call = {"verb": "list", "resource": resource, "namespace": namespace, "exit": exit, "stderr": stderr}
        is_configured = exit < 0 or self.is_configured  # a call that was killed has nothing to say about it
        return {**call, "optional": optional, "applied": bool(self.selection.manifests), "configured": is_configured}

    @functools.cached_property
    def is_configured(self) -> bool:
        """True if kubectl has a context to use."""
        return not self.kubectl.run(("config", "view", "--minify"))[0].exit

    def drop(self, call: Json) -> bool:
        """Stops asking for the resource of a failed call in its namespace; False if nothing is left to ask for."""
        self.plan.drop(call["resource"], call["namespace"] or "")
        return self.selection.drop(call["resource"], call["namespace"] or "")

    def events(self, namespace: str) -> list[Json] | None:
        """The events of a namespace. None, and a note, while they cannot be read."""
        self.notes = [note for note in self.notes if not note.startswith(f"events of namespace {namespace} ")]
        try:
            path = build_api_path("v1", namespace, "events")
            events = list(self.read_pages(Request(("events",), frozenset(), (), path=path), self.kubectl.run(("get", "--raw", path))[0]))
        except UnreadableError as error:
            self.notes.append(f"events of namespace {namespace} could not be read: {error}")
            return None
        self.with_events.add(namespace)
        return events

    def look(self, found: Sequence[Found], kind: Kind, namespace: str, names: Collection[str]) -> source.Answer | None:
        """The objects that subjects use: those that were listed anyway, or what kubectl says. None, and a note, if they cannot be read."""
        for request, objects in found:
            is_there = self.selection.everywhere or self.plan.find_space_of(request) == namespace
            if kind.resource in request.resources and request.is_whole and is_there:
                return source.Answer(objects, whole=True)
        if kind.cluster:
            call: tuple[str, ...] = ("get", kind.resource, *names, "--ignore-not-found", "-o", "json")
        elif kind.names_only:  # as a table, of which the API server gives nothing but what people see
            call = ("get", kind.resource, *names, "-n", namespace, "--ignore-not-found", "--no-headers")
        elif kind.version:
            call = ("get", "--raw", build_api_path(kind.api_version, namespace, kind.plural))
        else:
            call = ("get", kind.resource, "-n", namespace, "-o", "json")
        note = f"{kind.resource}{'' if kind.cluster else f' of namespace {namespace}'} could not be read, so a cause may lie there: "
        self.notes = [each for each in self.notes if not each.startswith(note)]
        answer = self.kubectl.run(call)[0]
        try:
            if kind.names_only and not answer.exit:
                return source.Answer(read_names(kind, namespace, answer.stdout), whole=True)
            return source.Answer(self.objects(answer) if answer.exit or answer.stdout.strip() else (), whole=True)
        except UnreadableError as error:
            self.notes.append(f"{note}{error}")
            return None

    def kept(self, kind: Kind, namespace: str) -> Sequence[Json]:
        """The objects of a kind that is not listed with the others. None of them, and a note, if they cannot be read."""
        try:
            return self.objects(self.kubectl.run(("get", kind.resource, "-n", namespace, "-o", "json"))[0])
        except UnreadableError as error:
            self.notes.append(f"{kind.resource} of namespace {namespace} could not be read, so it is unknown what has changed: {error}")
            return ()

    def fetch_logs(self, places: Sequence[LogPlace]) -> None:
        """Reads the ends of logs, side by side. That and all that is read after it has the time of one call."""
        self.kubectl.end = min(self.kubectl.end, time.monotonic() + self.kubectl.limit)
        self.read_logs(places)

    def read_logs(self, places: Sequence[LogPlace]) -> None:
        bounds = (f"--tail={LOG_LINES}", f"--limit-bytes={LOG_BYTES}")
        calls = [
            ("logs", "-n", namespace, pod, "-c", container, *bounds, *(["--previous"] if previous else []))
            for namespace, pod, container, previous in places
        ]
        self.read |= zip(places, self.kubectl.run(*calls, waves=3), strict=True)

    def log(self, place: LogPlace) -> str:
        """The end of a container's log; UnreadableError if it cannot be read."""
        if place not in self.read:
            self.read_logs([place])
        answer = self.read.pop(place)  # the next time it may be that of another run
        if answer.exit:
            raise UnreadableError(answer.stderr)
        self.logs[place.name] = answer.stdout
        return answer.stdout

    def namespaces(self) -> Sequence[str]:
        """The names of all namespaces; none if they cannot be listed."""
        answer = self.kubectl.run(("get", "namespaces", "-o", "name"))[0]
        return [line.removeprefix("namespace/") for line in answer.stdout.splitlines() if line.startswith("namespace/")]

    def context(self) -> str:
        """The kubeconfig's context, for people; empty if it is not known."""
        if self.options.context:
            return str(self.options.context)
        answer = self.kubectl.run(("config", "current-context"))[0]
        return "" if answer.exit else answer.stdout.strip()

    def namespace(self) -> str:
        """The namespace that is used if none is named: the context's."""
        answer = self.kubectl.run(("config", "view", "--minify", "-o", "jsonpath={..namespace}"))[0]
        return answer.stdout.strip() or "default"
