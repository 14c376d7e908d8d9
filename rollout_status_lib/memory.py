"""What must be remembered from one judgement to the next."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from rollout_status_lib import Json
from rollout_status_lib.findings import Workload
from rollout_status_lib.objects import get_field, get_identity, get_name, get_version
from rollout_status_lib.scope import Reads
from rollout_status_lib.subjects import Subject


@dataclass(frozen=True, slots=True)
class Pace:
    """How a workload has moved. Progress is a state of its `progress` values that it has not been in before."""

    values: Json
    changed: float = 0.0  # when they changed last, by the cluster's clock; 0: not since the workload is watched
    idle_since: float = 0.0  # the last progress, by a clock that stands still while polls fail
    states: frozenset[str] = frozenset()  # that it has been in; one that comes again is no progress: a crash loop moves for ever

    @staticmethod
    def begin(values: Json, now: float) -> Pace:
        """The pace of a workload that is seen for the first time; `now` is by the clock that stands still."""
        return Pace(values, idle_since=now, states=frozenset([json.dumps(values, default=str)]))

    def move(self, values: Json, now: float, at: float) -> Pace:
        """The pace with the values of now; `at` is by the cluster's clock."""
        if values == self.values:
            return self
        state = json.dumps(values, default=str)
        return Pace(values, at, self.idle_since if state in self.states else now, self.states | {state})


@dataclass(frozen=True, slots=True)
class Memory:
    """The judge's memory. All moments are seconds since 1970; -1: there is none."""

    started: float = -1.0  # of the first poll
    failing_since: float = -1.0
    outage: float = 0.0  # seconds in which polls failed
    since: Mapping[tuple[str, str], float] = field(default_factory=dict)  # rule and subject -> when its state began
    paces: Mapping[str, Pace] = field(default_factory=dict)  # workload -> how it has moved
    seen: Mapping[tuple[str, str, str], Workload] = field(default_factory=dict)  # every workload that was ever judged
    first: Mapping[Json, Json] = field(default_factory=dict)  # kind, namespace and name of a workload -> the first object seen there
    failed_calls: Mapping[str, tuple[int, float]] = field(default_factory=dict)  # resource -> failed polls in a row, and the last of them
    grown: Mapping[str, tuple[Json, Subject]] = field(default_factory=dict)  # the subjects of the last snapshot
    settled: Mapping[str, tuple[Json, Reads]] = field(default_factory=dict)  # subject without findings -> what that depends on


def keep_newest(objects: Sequence[Json], before: Mapping[str, tuple[Json, Subject]]) -> tuple[tuple[Json, ...], list[str]]:
    """The objects, with what was seen of them before in the place of an older state; and a note for each of these.

    An API server may answer from a cache that lags behind. What it has shown once cannot become untrue in that way.
    """
    kept: list[Json] = []
    notes = []
    for each in objects:
        newest = before.get(get_identity(each), (each,))[0]
        is_older = newest is not each and is_older_state(each, newest)
        kept.append(newest if is_older else each)
        if is_older:
            notes.append(
                f"{str(each['kind']).lower()}/{get_name(each)}: the API server shows an older state than before, which does not count"
            )
    return tuple(kept), notes


def is_older_state(one: Json, other: Json) -> bool:
    """True if one of two states of an object comes before the other: by its generation, or else by its version."""
    generations = [get_field(each, "metadata", "generation") for each in (one, other)]
    if all(type(each) is int for each in generations) and generations[0] != generations[1]:
        return bool(generations[0] < generations[1])
    versions = [get_version(each) for each in (one, other)]
    # as Kubernetes itself compares them; a recording may have more digits than Python reads
    return all(map(str.isdecimal, versions)) and (len(versions[0]), versions[0]) < (len(versions[1]), versions[1])
