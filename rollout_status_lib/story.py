"""The story of a run: its result in the order in which people read it. Every view and every report lays out the same one."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from rollout_status_lib import Json
from rollout_status_lib.clean import clean_line, clean_log, clean_name
from rollout_status_lib.errors import UnreadableError
from rollout_status_lib.values import format_span, format_timestamp, parse_timestamp, trace_causes

NAMED = 3  # workloads in the first line
SERVING = 5  # workloads whose pods are told of in a cause that is about none of them
Key = tuple[str, ...]  # of a workload: kind, namespace, name


class Status(NamedTuple):
    """How views and reports show a status of a workload."""

    rank: int  # the lowest is shown first
    means: str  # one of STAGE_MEANS
    sign: str


STATUS = {
    "failed": Status(0, "bad", "✖"),
    "gone": Status(1, "bad", "✖"),
    "waiting": Status(2, "wait", "…"),
    "ready": Status(3, "good", "✔"),
    "ignored": Status(4, "end", "-"),
}


HEADLINES = {"interrupted": "The run was interrupted", "timeout": "The rollout is not done yet"}  # by the code of the first cause
QUOTED = re.compile('"[^"]*"')  # the names in a message
REPEATED = 40  # characters from which on a text is not told twice
SHOWN = 5  # of the last lines of a log, those that stand outside of a fold


class Sighting(NamedTuple):
    """The status and the sentence of a workload in the last poll that had it, and when they came: seconds after the first poll."""

    status: str
    sentence: str
    after: float


@dataclass(frozen=True, slots=True)
class Event:
    """An event about a cause; a text that it lacks is empty."""

    last_seen: str  # `8s into the run`; a timestamp where nobody knows when the run began
    count: int
    reason: str
    message: str

    @property
    def sentence(self) -> str:
        """The event in one line: `4x BackOff: restarting failed container (last seen 8s into the run)`."""
        message = f": {self.message}" if self.message else ""
        last_seen = f" (last seen {self.last_seen})" if self.last_seen else ""
        return f"{self.count}x {self.reason}{message}{last_seen}"


@dataclass(frozen=True, slots=True)
class Cause:
    """Why the rollout did not succeed: one error of the result. What the error does not say is empty."""

    code: str
    type: str  # program or rollout
    summary: str  # the sentence that people read first
    # further sentences: what leads from the error to its cause, and the message of the result where it is not the summary
    details: tuple[str, ...]
    workload: Key
    resource: Key  # the object that is broken; a container stands behind the name of its pod
    count: int  # how many objects are broken in the same way
    hint: str  # the command that shows more
    log: tuple[str, ...]  # the last lines
    events: tuple[Event, ...]
    since: str = ""  # when it began: `12s before the run began`
    serving: tuple[str, ...] = ()  # what serves now of the workloads that it is about
    others: tuple[Key, ...] = ()  # further workloads that have the same cause

    @property
    def sentence(self) -> str:
        """What is broken, and since when: `Container "main" exits with code 3 after 2s (process-crashing, since 8s into the run)`."""
        return f"{self.summary} ({self.code}{f', since {self.since}' if self.since else ''})"

    @property
    def path(self) -> str:
        """The broken object: `Pod/shop/web-1/main`."""
        return write_key(self.resource)

    @property
    def tail(self) -> tuple[str, ...]:
        """The last lines of the log, for where a whole log would be too long."""
        return self.log[-SHOWN:]

    @property
    def place(self) -> str:
        """The broken object, and how many others are broken in the same way."""
        return f"{self.path} and {self.count - 1} more like it" if self.count > 1 else self.path


@dataclass(frozen=True, slots=True)
class Outcome:
    """What has become of a workload."""

    key: Key
    status: str  # one of STATUS
    message: str  # its summary, or else the message of the result
    seconds: float  # from the first poll until it was so; if no timeline knows it, those of the run
    code: str = ""  # of the state that it waits in, if that may become a failure
    waiting_for: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()  # what differs from the revision before
    rollback: str = ""  # the command that goes back to it
    serving: str = ""  # what serves now, in a sentence

    @property
    def namespace(self) -> str:
        return self.key[1]

    @property
    def title(self) -> str:
        """The workload without its namespace: `Deployment/web`."""
        return f"{self.key[0]}/{self.key[2]}"

    @property
    def name(self) -> str:
        """The workload with its namespace: `Deployment/web in shop`."""
        return name_workloads([self.key])


@dataclass(frozen=True, slots=True)
class Story:
    """What people read of a run. No text in it has a password, or anything that a terminal or a CI would obey."""

    success: bool
    causes: tuple[Cause, ...]  # the most important one first
    outcomes: tuple[Outcome, ...]  # failed ones first
    notes: tuple[str, ...]
    elapsed: float | None  # seconds; None where the result does not say it
    polls: int | None
    began: float | None  # seconds since 1970; None if there was no snapshot
    ended: float | None  # the same; None without a timeline

    @property
    def headline(self) -> str:
        """How it ended. A run that was stopped, ran out of time or could not ask says nothing of the rollout itself."""
        if self.success:
            return "The rollout succeeded"
        first = self.causes[0]
        return HEADLINES.get(first.code, "The rollout could not be judged" if first.type == "program" else "The rollout failed")

    @property
    def lead(self) -> str:
        """How it ended and after which time, and who is affected: the line that each view begins with."""
        after = f" after {format_span(self.elapsed)}" if self.elapsed else ""
        affected = self.affected
        parts = [name_workloads(affected), *(self.causes[0].serving if len(affected) == 1 and self.causes else ())]
        parts += [self.counts] if len(self.outcomes) > 1 else []
        return f"{self.headline}{after}{': ' if any(parts) else ''}{'; '.join(filter(None, parts))}"

    def list_serving(self, cause: Cause) -> tuple[str, ...]:
        """What serves now of what a cause is about; nothing if the first line tells it already."""
        return cause.serving if len(self.affected) > 1 or cause is not self.causes[0] else ()

    @property
    def affected(self) -> tuple[Key, ...]:
        """The workloads that the causes are about; if they are about none, those that did not become ready; after a success all."""
        keys = [key for cause in self.causes for key in (cause.workload, *cause.others) if key]
        rank = STATUS["ready" if self.causes else "ignored"].rank
        return tuple(
            dict.fromkeys(
                keys or [outcome.key for outcome in self.outcomes if outcome.status != "ignored" and STATUS[outcome.status].rank < rank]
            )
        )

    @property
    def counts(self) -> str:
        """How many workloads have each status: `1 failed, 2 ready`."""
        numbers = {status: sum(outcome.status == status for outcome in self.outcomes) for status in STATUS}
        return ", ".join(f"{number} {status}" for status, number in numbers.items() if number)

    @property
    def facts(self) -> list[str]:
        """How long it took, how many polls, how many workloads with each status, when it ended; each in a few words."""
        facts = [format_span(self.elapsed)] if self.elapsed is not None else []
        facts += [f"{self.polls} poll{'s' * (self.polls != 1)}"] if self.polls is not None else []
        facts += [self.counts] if self.outcomes else []
        facts += [f"began {format_moment(self.began)} UTC"] if self.began is not None else []
        return facts + ([f"ended {format_moment(self.ended)} UTC"] if self.ended is not None else [])


def tell_story(result: Mapping[str, Json], sightings: Mapping[Key, Sighting] | None = None, ended: float | None = None) -> Story:
    """The story of a result. A timeline adds when the run ended, and sightings of workloads that the result may lack."""
    entries = [result["error"], *result.get("errors", ())] if "error" in result else []
    began = parse_timestamp(result["startedAt"]) if "startedAt" in result else None
    outcomes = {outcome.key: outcome for outcome in make_outcomes(result, entries)}
    for key, sighting in (sightings or {}).items():
        outcomes[key] = (
            replace(outcomes[key], seconds=sighting.after)
            if key in outcomes
            else Outcome(key, "gone" if "workloads" in result else sighting.status, sighting.sentence, sighting.after)
        )
    return Story(
        success=result["success"],
        causes=tuple(add_serving(cause, outcomes.values()) for cause in share_causes(entries, began)),
        outcomes=tuple(sorted(outcomes.values(), key=lambda outcome: STATUS[outcome.status].rank)),
        notes=tuple(map(clean_line, result.get("notes", ()))),
        elapsed=result.get("elapsedSeconds"),
        polls=result.get("polls"),
        began=began,
        ended=ended,
    )


def share_causes(entries: Sequence[Json], began: float | None) -> list[Cause]:
    """The causes that the errors of the result tell. What lies behind several errors is told once."""
    causes: dict[Json, Cause] = {}
    for number, entry in enumerate(entries):
        cause, last = make_cause(entry, began), [entry.get("resource"), *entry.get("causes", ())][-1]
        key: Json = (last["kind"], last["name"], cause.summary) if last else number
        key = (key, number) if key in causes and "causes" not in entry else key  # one that is told for itself
        first = causes.setdefault(key, cause)
        if first is not cause:
            others = first.others if cause.workload in (first.workload, *first.others) else (*first.others, cause.workload)
            causes[key] = replace(first, count=first.count + cause.count, others=others)
    return [replace(each, details=(*each.details, name_others(each))) if each.others else each for each in causes.values()]


def add_serving(cause: Cause, outcomes: Collection[Outcome]) -> Cause:
    """A cause with what serves now of its workload or workloads; with that of all, if it is about none."""
    keys = (cause.workload, *cause.others) if cause.workload else tuple(outcome.key for outcome in outcomes)
    told = [(outcome.title, outcome.serving) for outcome in outcomes if outcome.serving and outcome.key in keys][:SERVING]
    return replace(cause, serving=tuple(f"{title}: {serving}" if len(keys) > 1 else serving for title, serving in told))


def name_workloads(keys: Sequence[Key]) -> str:
    """The first workloads of many, each with its kind, and their namespaces: `Deployment/web and Job/migrate in shop`."""
    several = len({namespace for _, namespace, _ in keys}) > 1
    names = [f"{kind}/{name}{f' in {namespace}' if several and namespace else ''}" for kind, namespace, name in keys[:NAMED]]
    names += [f"{len(keys) - NAMED} more"] if keys[NAMED:] else []
    place = f" in {keys[0][1]}" if keys and keys[0][1] and not several else ""
    return f"{', '.join(names[:-1])}{' and ' if names[1:] else ''}{names[-1]}{place}" if names else ""


def name_others(cause: Cause) -> str:
    """A sentence with the further workloads that have the same cause."""
    return f"the same stops {', '.join(map(write_key, cause.others))}"


def make_cause(entry: Json, began: float | None) -> Cause:
    """The cause that an error of the result tells. Where an object behind it is the cause, what is wrong with that one is the summary."""
    if behind := entry.get("causes"):
        told = {key: value for key, value in entry.items() if key != "causes"}
        told |= {"hint": behind[-1].get("hint") or entry.get("hint", "")}
        if "resource" in entry:  # else the message is about all that waits, and tells the causes
            told |= {"message": behind[-1]["message"], "summary": behind[-1]["message"]}
            trace = trace_causes([entry.get("summary", entry["message"]), *(each["message"] for each in behind)])
            told |= {"details": [trace, *entry.get("details", ())]}
        return make_cause(told, began)
    return Cause(
        code=clean_line(entry["code"]),
        type=entry["type"],
        summary=(summary := clean_line(entry.get("summary", entry["message"]))),
        details=tuple(each for each in map(clean_line, (*entry.get("details", ()), entry["message"])) if each != summary),
        workload=make_key(entry.get("workload", {})),
        resource=make_key(entry.get("resource", {})),
        count=entry.get("count", 1),
        hint=clean_line(entry.get("hint", "")),
        log=tuple(clean_log(entry["log"]).split("\n")) if entry.get("log") else (),
        since=describe_since(entry, began),
        events=tuple(make_event(event, entry["message"], began) for event in share_events(entry.get("events", ()))),
    )


def describe_since(entry: Json, began: float | None) -> str:
    """When it began, of an error of the result; what does not tell its time was so as the run began, unless it is about the program."""
    if "since" not in entry and (began is None or entry["type"] == "program"):
        return ""
    return describe_moment(entry["since"], began) if "since" in entry else "the run began"


def describe_moment(text: str, began: float | None) -> str:
    """A timestamp for people: `12s before the run began`, `8s into the run`; as it is if nobody knows when the run began."""
    try:
        after = round(parse_timestamp(text) - (began or 0.0))
    except UnreadableError:
        return clean_line(text)
    if began is None:
        return clean_line(text)
    return (
        f"{format_span(after)} into the run" if after > 0 else f"{format_span(-after)} before the run began" if after else "the run began"
    )


def make_event(entry: Json, told: str, began: float | None) -> Event:
    """An event; what it repeats of a message that is told already is left out."""
    texts = {name: clean_line(entry[name] or "") for name in ("reason", "message")}
    last_seen = describe_moment(entry["lastSeen"], began) if entry["lastSeen"] else ""
    last_seen = f"as {last_seen}" if last_seen == "the run began" else last_seen
    return Event(last_seen, entry["count"], texts["reason"], leave_out(texts["message"], [told]))


def share_events(entries: Iterable[Json]) -> list[Json]:
    """Events that say the same of objects with other names are one; the first of them, which is the newest, tells it."""
    alike: dict[tuple[Json, str], Json] = {}
    for entry in entries:
        key = entry["reason"], QUOTED.sub("", entry["message"] or "")
        alike[key] = {**alike[key], "count": alike[key]["count"] + entry["count"]} if key in alike else entry
    return list(alike.values())


def leave_out(text: str, told: Iterable[str]) -> str:
    """A text without what it repeats of sentences that are told already: containerd says 210 characters again and again."""
    for each in told:
        said = clean_line(each).partition(": ")[2]
        text = text.replace(said, "…") if len(said) > REPEATED else text
    return text


def make_outcomes(result: Mapping[str, Json], errors: Sequence[Json]) -> Iterator[Outcome]:
    """The outcomes of the workloads of a result. What is wrong with an object is told with one of them, or with an error."""
    told: dict[Key, str] = {}  # namespace of a workload, kind and name of an object -> the workload with which that object is told
    for error in errors:
        for each in (error["resource"], *error.get("causes", ())) if "workload" in error else ():
            told[error["workload"]["namespace"], each["kind"], each["name"]] = name_workloads([make_key(error["workload"])])
    has_all = any("causes" in each and "workload" not in each for each in errors)  # an error that says of all what they wait for
    for entry in result.get("workloads", ()):
        message = tell_wait(entry, told, has_all=has_all) if "causes" in entry else find_behind(entry, errors)
        yield make_outcome(entry, result, message or entry.get("summary", entry["message"]))


def tell_wait(entry: Json, told: dict[Key, str], *, has_all: bool) -> str:
    """What a workload waits for, with its causes up to one that is told elsewhere. If an error has all that, the last cause alone."""
    title = name_workloads([make_key({name: entry[name] for name in ("kind", "namespace", "name")})])
    sentences = [entry.get("summary", entry["message"])]
    for each in entry["causes"]:
        if (teller := told.setdefault((entry["namespace"], each["kind"], each["name"]), title)) != title:
            return trace_causes([*sentences, f"the same cause as for {teller}"])
        sentences.append(each["message"])
    return str(sentences[-1]) if has_all else trace_causes(sentences)


def find_behind(entry: Json, errors: Sequence[Json]) -> str:
    """What is wrong with the object that is the cause of a workload's failure; empty if the workload itself says most."""
    own = {name: entry[name] for name in ("kind", "namespace", "name")} if entry["status"] == "failed" else {}
    return next((each["causes"][-1]["message"] for each in errors if each.get("workload") == own and each.get("causes")), "")


def make_outcome(entry: Json, result: Mapping[str, Json], message: str) -> Outcome:
    """The outcome of a workload of the result, about which there is this to say."""
    return Outcome(
        key=make_key({name: entry[name] for name in ("kind", "namespace", "name")}),
        status=entry["status"],
        message=clean_line(message),
        seconds=result.get("elapsedSeconds", 0.0),
        code=clean_line(entry.get("code", "")),
        waiting_for=tuple(map(clean_line, entry.get("waitingFor", ()))),
        changes=tuple(map(clean_line, entry.get("changes", ()))),
        rollback=clean_line(entry.get("rollback", "")),
        serving=clean_line(describe_serving(entry.get("serving"))),
    )


def describe_serving(serving: Json) -> str:
    """`still serving: 3 of 3 pods of revision 41 (app:v1)`; empty where that is not known."""
    if not serving:
        return ""
    if not serving["ready"]:
        return "nothing serves"
    revision = f" of revision {serving['revision']}" if "revision" in serving else ""
    images = f" ({', '.join(serving['images'])})" if "images" in serving else ""
    return f"still serving: {serving['ready']} of {serving['desired']} pods{revision}{images}"


def make_key(reference: Mapping[str, Json]) -> Key:
    """The values of a reference, in their order; empty for no reference."""
    return tuple(map(clean_name, reference.values()))


def write_key(key: Key) -> str:
    """A key as one word: `Pod/shop/web-1/main`, or `Node/node-7` for what is in no namespace."""
    return "/".join(filter(None, key))


def format_moment(moment: float) -> str:
    """A time in seconds since 1970 as people read it: `2026-11-23 06:37:44`, in UTC."""
    return format_timestamp(moment)[:19].replace("T", " ")
