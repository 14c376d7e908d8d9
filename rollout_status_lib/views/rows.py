"""What a picture shows of a judgement: a row for each workload, and below it what is not well."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import NamedTuple

from rollout_status_lib import Json
from rollout_status_lib.clean import clean_line
from rollout_status_lib.errors import UnreadableError
from rollout_status_lib.findings import Finding, Judgement, Workload, count_ready, tell_lines
from rollout_status_lib.functions import Functions
from rollout_status_lib.objects import get_creation_time, get_name
from rollout_status_lib.story import STATUS
from rollout_status_lib.values import parse_timestamp


class Below(NamedTuple):
    """A pod or a container that is not well, and how many others are like it."""

    status: str
    name: str
    more: int
    born: float  # seconds since 1970; 0: unknown
    text: str  # empty if it is that of the workload


class Row(NamedTuple):
    """A workload."""

    status: str
    title: str
    counts: tuple[float, float] | None  # ready, wanted
    born: float  # seconds since 1970; 0: unknown
    text: str
    below: tuple[Below, ...]
    log: tuple[str, ...] = ()  # the last lines of the log, if a container has crashed


def make_rows(judgement: Judgement, tail: Callable[[Finding], Sequence[str]] = lambda _: ()) -> list[Row]:
    """The workloads: failed ones, then those that wait, then the others. Where there are several namespaces, the titles begin with them.

    `tail` gives the last lines of the log of a container that has crashed; that of a finding that comes first is shown.
    """
    several = len({workload.key[1] for workload in judgement.workloads}) > 1
    functions = Functions(judgement.at)
    rows = []
    workloads = sorted(judgement.workloads, key=lambda workload: STATUS[workload.status].rank)
    for workload, told in zip(workloads, tell_lines(workloads), strict=True):
        title = clean_line(f"{workload.key[1]}: {workload.title}" if several and workload.key[1] else workload.title)
        text = clean_line(told)
        counts = count_ready(workload, functions)
        log = tuple(map(clean_line, filter(None, tail(workload.findings[0])))) if workload.findings else ()
        rows.append(Row(workload.status, title, counts, get_birth(workload.value), text, tuple(find_below(workload, text)), log))
    return rows


def get_birth(value: Json) -> float:
    """When an object was created, in seconds since 1970; 0 if it does not say."""
    with suppress(UnreadableError):
        return parse_timestamp(get_creation_time(value))
    return 0.0


def find_below(workload: Workload, sentence: str) -> Iterator[Below]:
    """What has failed below a workload, or waits in a state that may become a failure. Findings of the same rule share one line,
    also if only some of them have failed already.
    """
    groups: dict[tuple[str, ...], list[Finding]] = {}
    for finding in workload.findings:
        if finding.subject is not workload.subject and finding.fill(finding.rule.code):
            groups.setdefault(finding.group(), []).append(finding)
    for findings in groups.values():
        subject, text = findings[0].subject, clean_line(findings[0].sentence)
        name = clean_line("/".join([get_name(subject.holder), *subject.part.values()]))
        status = "failed" if findings[0].verdict == "fail" else "waiting"
        yield Below(status, name, len(findings) - 1, get_birth(subject.holder), "" if text == sentence else text)
