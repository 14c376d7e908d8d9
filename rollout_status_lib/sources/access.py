"""Which rights a run needs, and which of them are there."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from rollout_status_lib.clean import to_line
from rollout_status_lib.errors import RolloutError
from rollout_status_lib.source import Source
from rollout_status_lib.sources.kubectl import Answer
from rollout_status_lib.sources.live import Live

Right = tuple[str, str, tuple[str, ...]]  # verb, resource, where


def check_access(source: Source, notes: list[str]) -> None:
    """Says on stderr, and in notes, which rights are there; RolloutError `forbidden` when one that a verdict needs is missing."""
    if not isinstance(source, Live):
        raise RolloutError("usage", "--check-access asks a cluster: leave out --replay")
    missing = []
    for (verb, resource, where), needed, answer in ask_rights(source):
        allowed = answer.exit == 0
        said = "yes" if allowed else f"no{'' if needed else ' (it works without, with a note)'}"
        print(to_line(f"{verb:5} {resource:24} {' '.join(where) or 'here':24} {said}"), file=sys.stderr)
        notes += [f"may {'' if allowed else 'not '}{verb} {resource} {' '.join(where)}".strip()]
        missing += [f"{verb} {resource} {' '.join(where)}".strip()] if needed and not allowed else []
    if missing:
        hint = "rbac.yaml has all that is needed"
        raise RolloutError("forbidden", f"These rights are missing: {', '.join(missing)}", hint=hint)


def ask_rights(source: Live) -> Iterator[tuple[Right, bool, Answer]]:
    """Each right, whether it is needed, and what `kubectl auth can-i` says of it."""
    rights = list_rights(source)
    answers = source.kubectl.run(*(("auth", "can-i", verb, resource, *where) for verb, resource, where in rights))
    for (right, needed), answer in zip(rights.items(), answers, strict=True):
        if answer.exit and answer.stdout.strip() != "no":
            raise RolloutError("unreachable", f"kubectl cannot tell which rights there are: {answer.stderr}")
        yield right, needed, answer


def list_rights(source: Live) -> dict[Right, bool]:
    """The rights that a run uses, each with whether it is needed."""
    if unread := source.read_manifests():
        raise RolloutError("usage", unread["stderr"])
    rights: dict[Right, bool] = {}
    for namespace, kinds in source.wanted.items():
        where = ("-A",) if source.selection.everywhere else ("-n", namespace) if namespace else ()
        for request in source.requests(namespace):
            rights |= {(verb, resource, where): verb == "list" for resource in request.resources for verb in ("list", "watch")}
        kept = [source.rules.kinds[kind.revisions.kept_in] for kind in kinds if kind.revisions]
        rights |= {("list", kind.resource, where): False for kind in kept if not kind.listed}
        more = (("list", "events"), ("watch", "events"), ("get", "pods"), ("get", "pods/log"))
        rights |= {(verb, resource, where): False for verb, resource in more}
    return rights
