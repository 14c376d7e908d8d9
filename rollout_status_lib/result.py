"""The result: a document, and the entries that it is made of."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from rollout_status_lib import Json
from rollout_status_lib.commands import add_kubectl_flags, quote_word
from rollout_status_lib.declarations import Code, get_code
from rollout_status_lib.errors import RolloutError
from rollout_status_lib.findings import NO_PROGRESS, Finding, Judgement, Workload
from rollout_status_lib.logs import Logs
from rollout_status_lib.objects import get_field, get_identity, get_name, make_reference
from rollout_status_lib.values import format_timestamp

BELOW = 3  # sentences about objects below a workload in its own error


def make_document(
    errors: Sequence[Json], workloads: Sequence[Json] | None, notes: Collection[str], *, started: float, elapsed: float, polls: int
) -> dict[str, Json]:
    """The result. `errors` are in order, the first is its `error`; without errors it is a success.

    `started` is the moment of the first snapshot, -1 if there was none; `elapsed` is in seconds.
    """
    result: dict[str, Json] = {"success": not errors}
    result |= {"error": errors[0]} if errors else {}
    result |= {"errors": list(errors[1:])} if errors[1:] else {}
    result |= {"workloads": list(workloads)} if workloads is not None else {}
    result |= {"notes": list(dict.fromkeys(notes))} if notes else {}
    result |= {"startedAt": format_timestamp(started)} if started >= 0 else {}
    return result | {"elapsedSeconds": round(elapsed, 3), "polls": polls}


def make_workload_entry(workload: Workload, codes: Mapping[str, Code], flags: str) -> dict[str, Json]:
    """A workload's entry: its status, what it waits for, and the causes of that. What several pods wait for is one sentence.

    `flags` are those of kubectl.
    """
    code = workload.findings[0].code(codes) if workload.status == "waiting" else None
    groups: dict[tuple[str, ...], list[Finding]] = {}
    for finding in workload.findings:
        groups.setdefault((finding.message,) if finding.rule.each else finding.group(), []).append(finding)
    waits = [group for group in list(groups.values())[workload.status == "waiting" :] if group[0].verdict != "fail"]
    more = [f"{group[0].sentence}{f' (and {len(group) - 1} more)' if group[1:] else ''}" for group in waits]
    return {
        **make_reference(workload.value),
        "status": workload.status,
        **({"code": code.name} if code else {}),
        "message": workload.sentence,
        **({"summary": workload.summary} if workload.summary != workload.sentence else {}),
        **({"waitingFor": list(dict.fromkeys(more))} if more else {}),
        **(make_causes(workload.findings[:1], codes, flags) if workload.status == "waiting" else {}),
    }


def make_error_entries(
    end: RolloutError | None, judgement: Judgement | None, codes: Mapping[str, Code], logs: Logs | None, absence: str = ""
) -> list[dict[str, Json]]:
    """The errors of the result: what ended the run, or else the failures of the last judgement. Each has a hint if its code has one.

    `absence` ends what is said of workloads that are not there.
    """
    entries: list[dict[str, Json]] = []
    source = logs.source if logs else None
    if end:
        entries = [{"code": end.code, "type": get_code(codes, end.code).type, "message": end.message}]
        entries[0] |= {key: text for key, text in (("rule", end.rule), ("hint", end.hint)) if text}
        waiting = judgement.get_waiting(codes)[:1] if judgement and end.code == "timeout" else []
        first = [finding for workload in waiting for finding in workload.findings[:1]]
        entries[0] |= make_causes(first, codes, source.flags if source else "")
        found = logs.read(first[0]) if logs and first else None
        entries[0] |= {"log": found} if found else {}
        entries[0] |= find_since(first)
    elif judgement and logs:
        owners = {get_identity(each.value): each for each in judgement.workloads}
        entries = [
            make_error_entry(findings, owners[get_identity(findings[0].subject.workload)], codes, logs) for findings in judgement.failures
        ]
        entries += [{"code": "not-found", "type": "rollout", "message": f"{message}{absence}"} for message in judgement.missing]
    for entry in entries:
        if "hint" not in entry and (hint := get_code(codes, entry["code"]).hint):
            entry["hint"] = add_kubectl_flags(hint, source.flags if source else "")
    return entries


def make_error_entry(findings: Sequence[Finding], workload: Workload, codes: Mapping[str, Code], logs: Logs) -> dict[str, Json]:
    """The entry for findings that are the same error. Reads the log if the rule wants one.

    For an error of the whole workload, what the objects below it wait for says more. Where nothing else has failed, people read
    it first.
    """
    first, source = findings[0], logs.source
    code, subject = first.code(codes), first.subject
    assert code  # a rule that can fail has one
    entry: dict[str, Json] = {"code": code.name, "type": code.type, "message": first.message}
    waits = [each for each in workload.findings if each.verdict == "wait" and each.subject is not workload.subject]
    below = waits if subject is workload.subject else []
    lead = below[0] if below and code.name == NO_PROGRESS and first is workload.findings[0] else first
    entry |= {"summary": lead.summary} if lead.summary != first.message else {}
    others = dict.fromkeys(each.sentence for each in below if lead is first or each.sentence != lead.sentence)
    details = [*first.details, *(lead.details if lead is not first else ()), *list(others)[:BELOW]]
    entry |= {"details": details} if details else {}
    facts = {name: first.read(expression, source.notes) for name, expression in subject.kind.facts.items() if name != "since"}
    entry |= {name: value for name, value in facts.items() if type(value) is int}
    if (log := logs.read(first)) is not None:
        entry["log"] = log
    entry |= find_since(findings)
    entry |= {"rule": first.rule.id, "workload": make_reference(subject.workload)}
    entry |= {"resource": {**make_reference(subject.holder), **subject.part}, "count": len(findings)}
    entry |= make_causes(findings, codes, source.flags)
    if first.scope.seen_events:
        entry["events"] = list(map(make_event_entry, first.scope.seen_events[:5]))
    hint = lead.hint or first.hint
    if not hint and (first.idle is not None or first.rule.verdict == "wait"):  # a rule that only waits may have none
        space = get_field(subject.holder, "metadata", "namespace")
        kind, name = quote_word(get_field(subject.holder, "kind")), quote_word(get_name(subject.holder))
        hint = f"kubectl {f'-n {quote_word(space)} ' if space else ''}describe {kind} {name}"
    hint = add_kubectl_flags(hint, source.flags)
    return entry | ({"hint": hint} if hint else {})


def find_since(findings: Sequence[Finding]) -> dict[str, Json]:
    """When what these findings are about began, as a field of its entry: as the objects tell it, or else as it was first seen."""
    return {"since": format_timestamp(min(each.began for each in findings))} if findings else {}


def make_causes(findings: Sequence[Finding], codes: Mapping[str, Code], flags: str) -> dict[str, Json]:
    """The causes of findings that are the same error, the nearest first, as a field of its entry; those of one of them stand for all."""
    causes = next((finding.causes for finding in findings if finding.causes), ())
    return {"causes": [make_cause_entry(cause, codes, flags) for cause in causes]} if causes else {}


def make_cause_entry(finding: Finding, codes: Mapping[str, Code], flags: str) -> dict[str, Json]:
    """The entry of a cause; `flags` are those of kubectl."""
    holder, code = finding.subject.holder, finding.code(codes)
    hint = add_kubectl_flags(finding.hint, flags)
    return {
        "kind": str(get_field(holder, "kind")),
        "name": get_name(holder),
        **({"code": code.name} if code else {}),
        "message": finding.summary,
        **({"hint": hint} if hint else {}),
    }


def make_event_entry(event: Json) -> dict[str, Json]:
    """An event's entry."""
    seen = event["lastSeen"]
    return {
        "reason": event["reason"],
        "message": event["message"],
        "lastSeen": seen if seen is None else str(seen),
        "count": event["count"],
    }
