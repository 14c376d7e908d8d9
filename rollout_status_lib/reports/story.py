"""What all reports and views tell: the result in a reader's order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rollout_status_lib import Json
from rollout_status_lib.clean import clean_line
from rollout_status_lib.reports.timeline import STATUS, Key, Lane, Mark, Timeline
from rollout_status_lib.values import format_span, format_timestamp


@dataclass
class Group:
    """A workload with its lanes, failing ones first. `entry` is that of the result."""

    key: Key
    entry: Mapping[str, Json]
    lanes: list[Lane]
    history: list[Mark]

    @property
    def status(self) -> str:
        return str(self.entry["status"])

    @property
    def title(self) -> str:
        return clean_line(f"{self.key[0]}/{self.key[2]}")


class Story:
    """What all reports tell: the result, and the groups in order."""

    def __init__(self, result: Mapping[str, Json], timeline: Timeline | None = None) -> None:
        self.result, self.timeline = result, timeline or Timeline()
        self.causes: list[Json] = [result["error"], *result.get("errors", ())] if "error" in result else []
        lanes: dict[Key, list[Lane]] = {}
        for lane in self.timeline.lanes.values():
            lanes.setdefault(lane.owner, []).append(lane)
        entries = {tuple(entry[name] for name in ("kind", "namespace", "name")): entry for entry in result.get("workloads", ())}
        for key, history in self.timeline.history.items():
            last = history[-1]
            entries.setdefault(key, {"status": last.name if "workloads" not in result else "gone", "message": last.text})
        order = {key: number for number, key in enumerate(entries)}
        self.groups = [
            Group(
                key,
                entry,
                sorted(lanes.get(key, []), key=lambda lane: (lane.rank, lane.old, lane.born, lane.name)),
                self.timeline.history.get(key, []),
            )
            for key, entry in sorted(entries.items(), key=lambda each: (STATUS[each[1]["status"]].rank, order[each[0]]))
        ]

    @property
    def success(self) -> bool:
        return bool(self.result["success"])

    @property
    def headline(self) -> str:
        return "The rollout succeeded" if self.success else "The rollout did not succeed"

    @property
    def counts(self) -> str:
        """How many workloads are what."""
        numbers = {status: sum(group.status == status for group in self.groups) for status in STATUS}
        return ", ".join(f"{number} {status}" for status, number in numbers.items() if number)

    @property
    def facts(self) -> list[str]:
        """In a few words: how long, how many polls, how many workloads, when."""
        last, result = self.timeline.last, self.result
        facts = [format_span(result["elapsedSeconds"])] if "elapsedSeconds" in result else []
        facts += [f"{result['polls']} poll{'s' * (result['polls'] != 1)}"] if "polls" in result else []
        facts += [self.counts] if self.groups else []
        return facts + ([f"ended {format_timestamp(last)[:19].replace('T', ' ')} UTC"] if last >= 0 else [])

    @staticmethod
    def place(cause: Json) -> str:
        """Where a cause is."""
        where = clean_line("/".join(cause["resource"].values())) if "resource" in cause else ""
        more = cause.get("count", 1) - 1
        return f"{where} and {more} more like it" if more else where
