"""Which lists a poll asks for: all of a namespace; or, where few workloads are judged, these and what their selectors match."""

from __future__ import annotations

import urllib.parse
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from rollout_status_lib import Json
from rollout_status_lib.declarations import Kind
from rollout_status_lib.functions import Functions
from rollout_status_lib.objects import get_field, get_name
from rollout_status_lib.rules import Rules
from rollout_status_lib.selection import Selection, Target
from rollout_status_lib.sources.selectors import Labels, join_selectors, read_selector, write_selector

# benchmarks/README.md has the figures
FEW = 100  # workloads of a namespace until which what they own is asked for by itself
MOST_NAMES = 8  # that kubectl is asked for in one call: it gets them one after the other, and after ten waits a fifth of a second for each
MOST_LISTS = 4  # of one kind: if the labels of the workloads have less in common, all of the namespace is listed
LONGEST_SELECTOR = 4_000  # characters: proxies refuse long addresses
SMALL = 50  # pods until which kubectl may decode them: one process less


@dataclass(frozen=True, slots=True)
class Request:
    """Objects to ask kubectl for. With a `path` the API's own answer is read, which kubectl neither decodes nor formats: that is faster."""

    resources: tuple[str, ...]
    workloads: frozenset[str]  # the resources among them that are asked for because workloads are of this kind
    where: tuple[str, ...]
    selector: tuple[str, ...] = ()  # the user's
    path: str = ""
    names: tuple[str, ...] = ()  # those of these names alone, each as RESOURCE/NAME
    labels: str = ""  # those alone that these workloads' own selectors match

    @property
    def arguments(self) -> tuple[str, ...]:
        if self.path:
            return ("get", "--raw", f"{self.path}{'?' if self.query else ''}{self.query}")
        if self.names:
            return ("get", *self.names, *self.where, "--ignore-not-found", "-o", "json")
        labels = ("-l", self.labels) if self.labels else ()
        return ("get", ",".join(self.resources), *self.where, *self.selector, *labels, "-o", "json")

    @property
    def query(self) -> str:
        """The same choice, in the words of the API; empty if all objects are meant, or some by their names."""
        flag, text = ("-l", self.labels) if self.labels else self.selector or ("", "")
        parameter = {"-l": "labelSelector", "--field-selector": "fieldSelector"}.get(flag)
        return f"{parameter}={urllib.parse.quote(text, safe='')}" if parameter else ""

    @property
    def is_whole(self) -> bool:
        """True if the answer has all objects of these resources."""
        return not (self.selector or self.names or self.labels)

    def simplify(self) -> list[Request]:
        """The same, or more, asked for one resource at a time, in kubectl's own way."""
        return [replace(self, resources=(each,), workloads=self.workloads & {each}, path="", names=()) for each in self.resources]


def build_api_path(version: str, namespace: str, plural: str) -> str:
    """The path of a resource in the API. An empty namespace means all namespaces, or that the resource is in none."""
    return f"/{'apis' if '/' in version else 'api'}/{version}{f'/namespaces/{namespace}' if namespace else ''}/{plural}"


Found = tuple[Request, tuple[Json, ...]]


class Plan:
    """The requests of a poll, for each namespace. What workloads own is found by their own selectors once these are known."""

    def __init__(self, rules: Rules, selection: Selection) -> None:
        self.rules, self.selection, self.functions = rules, selection, Functions(0.0)
        self.wanted: dict[str, list[Kind]] = {}  # namespace -> kinds of workloads; "" is the namespace in which kubectl looks by itself
        self.space = ""  # the namespace in which kubectl looks by itself, once it is known
        self.selectors: dict[str, dict[tuple[Kind, Labels], None]] = {}  # namespace -> the selectors of its workloads
        self.may_get = True  # objects by their names; who may not lists them
        self.sizes: dict[str, float] = {}  # workload -> how many pods it should have; infinity if it does not say

    def begin(self) -> None:
        """Decides what to ask for, now that it is known what is chosen."""
        namespaces = self.selection.namespaces or ("",)
        if self.selection.targets is None:
            self.wanted = {namespace: list(self.selection.kinds) for namespace in namespaces}
        chosen: dict[str, dict[Kind, None]] = {}
        for target in self.selection.targets or ():
            for namespace in [target.namespace] if target.namespace else namespaces:
                chosen.setdefault(namespace, {})[target.kind] = None
        for namespace, kinds in chosen.items():
            self.wanted[namespace] = list(kinds)
            if self.is_narrow(namespace):
                targets = [(each.kind, each.manifest) for each in self.find_targets(namespace) if each.manifest]
                self.learn(namespace, [each for each in targets if self.read_labels(*each)])  # the API server may add what is not told

    def drop(self, resource: str, namespace: str) -> None:
        """Asks no more for a resource in a namespace; for that in which kubectl looks by itself a call may have its name or none."""
        for space, kinds in self.wanted.items():
            if namespace in (space, self.find_space(space)):
                kinds[:] = [kind for kind in kinds if kind.resource != resource]

    def find_targets(self, namespace: str) -> list[Target]:
        """What is chosen by its name in a namespace, and whose kind may be read."""
        kinds = self.wanted.get(namespace, ())
        return [each for each in self.selection.targets or () if each.kind in kinds and each.namespace in ("", namespace)]

    def list_names(self, namespace: str) -> dict[tuple[str, str], None]:
        """The resource and the name of each of these."""
        return dict.fromkeys((each.kind.resource, each.name) for each in self.find_targets(namespace))

    def is_narrow(self, namespace: str) -> bool:
        """True if few workloads of a namespace are judged, as far as it is known."""
        if self.selection.everywhere and not self.selection.selector:
            return False
        if self.selection.targets is not None:
            return len(self.find_targets(namespace)) <= FEW
        return bool(self.selection.selector)

    @property
    def is_settled(self) -> bool:
        """True if all is asked for at once, as far as it is known."""
        return all(self.selectors.get(namespace) or not self.is_narrow(namespace) for namespace in self.wanted)

    def list_resources(self, namespace: str) -> list[str]:
        """The resources of the workloads of a namespace, and of what they own."""
        kinds = self.wanted[namespace]
        return [kind.resource for kind in dict.fromkeys([*kinds, *self.list_below(kinds)])]

    def find_space(self, namespace: str) -> str:
        """The namespace that is meant; empty if that is all, or not known."""
        return "" if self.selection.everywhere else namespace or self.space

    def find_space_of(self, request: Request) -> str:
        """The namespace that a request asks about; empty if that is all, or not known."""
        return self.find_space("".join(request.where[1:]))

    def list_first(self, namespace: str) -> list[Request]:
        """What to ask for at once: workloads, and what they own, unless only they can tell what that is."""
        kinds = self.wanted[namespace]
        declared = [kind for kind in kinds if kind.resource not in self.rules.undeclared]
        where, selector = self.find_where(namespace), ("-l", self.selection.selector) if self.selection.selector else ()
        unknown = [Request((kind.resource,), frozenset([kind.resource]), where, selector) for kind in kinds if kind not in declared]
        resources = tuple(kind.resource for kind in declared)
        workloads = Request(resources, frozenset(resources), where, selector)
        if not self.is_narrow(namespace):
            return [*unknown, *self.list_all(namespace, kinds, workloads)]
        first = [self.choose(workloads, self.list_names(namespace))] if resources else []
        return [*unknown, *first, *(self.list_owned(namespace) if self.selectors.get(namespace) else ())]

    def choose(self, workloads: Request, named: Iterable[tuple[str, str]]) -> Request:
        """The request for these workloads alone, if they are named."""
        names = tuple(f"{resource}/{name}" for resource, name in named if resource in workloads.resources)
        if len(names) == 1:  # a list of one: nobody needs the right to get
            return replace(workloads, selector=("--field-selector", f"metadata.name={names[0].rpartition('/')[2]}"))
        return replace(workloads, names=names if self.may_get and len(names) <= MOST_NAMES else ())

    def find_where(self, namespace: str) -> tuple[str, ...]:
        """Kubectl's arguments for a namespace; none if it is not known where kubectl looks by itself."""
        space = self.find_space(namespace)
        return ("-A",) if self.selection.everywhere else ("-n", space) if space else ()

    def list_below(self, kinds: Iterable[Kind]) -> list[Kind]:
        """The kinds of what these kinds own that are listed."""
        return [kind for kind in dict.fromkeys(self.rules.kinds[name] for kind in kinds for name in kind.owns) if kind.listed]

    def list_all(self, namespace: str, kinds: Collection[Kind], workloads: Request) -> Iterator[Request]:
        """All workloads of these kinds, and all that is of a kind that they own."""
        owned = [kind for kind in self.list_below(kinds) if kind not in kinds]
        direct = [kind for kind in owned if self.find_path(kind, namespace)]
        together = replace(workloads, resources=(*workloads.resources, *(kind.resource for kind in owned if kind not in direct)))
        yield from [together] if together.resources else []
        yield from (Request((kind.resource,), frozenset(), workloads.where, path=self.find_path(kind, namespace)) for kind in direct)

    def find_path(self, kind: Kind, namespace: str) -> str:
        """The path in the API by which the objects of a kind are read; empty if kubectl is to find it."""
        space = self.find_space(namespace)
        is_known = kind.version and (space or self.selection.everywhere)
        return build_api_path(kind.api_version, space, kind.plural) if is_known else ""

    def learn(self, namespace: str, workloads: Iterable[tuple[Kind, Json]]) -> None:
        """Takes note of what workloads select. What one has selected before counts on: it may still own that."""
        known = self.selectors.setdefault(namespace, {})
        for kind, value in workloads:
            if self.list_below([kind]):
                known.setdefault((kind, self.read_labels(kind, value)))
                size: Json = self.rules.read(kind.desired, value, self.functions)
                self.sizes[f"{kind.resource}/{get_name(value)}"] = size if type(size) is int else float("inf")

    def read_labels(self, kind: Kind, workload: Json) -> Labels:
        """What a workload selects; nothing if nobody can tell."""
        return read_selector(self.rules.read(kind.selector, workload, self.functions))

    def list_owned(self, namespace: str) -> list[Request]:
        """What the workloads of a namespace own, by what they select, in as few lists as can be."""
        wanted: dict[Kind, list[Labels]] = {}
        for kind, labels in self.selectors.get(namespace, ()):
            for below in self.list_below([kind]):
                wanted.setdefault(below, []).append(labels)
        lists: dict[tuple[str, str], list[Kind]] = {}  # selector, path -> the kinds of which it lists objects
        is_large = sum(self.sizes.values()) > SMALL
        for kind, several in wanted.items():
            for text in narrow(several):
                path = self.find_path(kind, namespace) if is_large or not text else ""
                lists.setdefault((text, path), []).append(kind)
        where = self.find_where(namespace)
        return [
            Request(tuple(kind.resource for kind in kinds), frozenset(), where, path=path, labels=text)
            for (text, path), kinds in lists.items()
        ]

    def list_rest(self, namespace: str, found: Sequence[Found]) -> tuple[list[Request], list[Request]]:
        """What else to ask for, once the workloads of a namespace are read: others that a name may mean, and what the workloads own."""
        if not self.is_narrow(namespace):
            return [], []
        workloads, asked = self.find_workloads(namespace, found), [request for request, _ in found]
        self.learn(namespace, workloads)
        return self.list_alike(namespace, workloads, asked), [each for each in self.list_owned(namespace) if each not in asked]

    def find_workloads(self, namespace: str, found: Sequence[Found]) -> list[tuple[Kind, Json]]:
        """The workloads of a namespace that are meant, among what was read for their sake, each with its kind."""
        spaces, names = ("", self.find_space(namespace)), self.list_names(namespace)
        return [
            (kind, each)
            for request, objects in found
            for each in objects
            if (self.selection.everywhere or (get_field(each, "metadata", "namespace") or "") in spaces)
            and (kind := self.rules.find_kind(each))
            and kind.resource in request.workloads
            and (self.selection.targets is None or (kind.resource, get_name(each)) in names)
        ]

    def list_alike(self, namespace: str, workloads: Sequence[tuple[Kind, Json]], asked: Sequence[Request]) -> list[Request]:
        """All of the kinds of what was asked for by its name and is not there: another one may be meant."""
        there = {(kind.resource, get_name(each)) for kind, each in workloads}
        absent = {resource for resource, _ in self.list_names(namespace).keys() - there}
        whole = {resource for request in asked if request.is_whole for resource in request.resources}
        resources = tuple(sorted(absent - whole - self.rules.undeclared.keys()))
        return [Request(resources, frozenset(resources), self.find_where(namespace))] if resources else []


def narrow(selectors: Sequence[Labels]) -> list[str]:
    """The selectors by which a kind is listed, as texts; an empty one means all of it."""
    joined = [write_selector(each) for each in join_selectors(selectors)] if all(selectors) else []
    is_good = joined and len(selectors) <= FEW and len(joined) <= MOST_LISTS and max(map(len, joined)) <= LONGEST_SELECTOR
    return joined if is_good else [""]
