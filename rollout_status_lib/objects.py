"""Kubernetes objects as `kubectl get -o json` shows them: fields, names, owners, times."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress

from rollout_status_lib import Json
from rollout_status_lib.errors import UnreadableError
from rollout_status_lib.values import TIMESTAMP, parse_timestamp

# Times that have passed when an object is seen. Others, like a deletion or the end of a certificate, may lie ahead.
STATUS_TIMES = ("lastTransitionTime", "lastUpdateTime", "startedAt", "finishedAt", "startTime", "completionTime")
PAGE, PAGE_HEAD = re.compile(r'"metadata":\s*\{[^{}]*"continue":\s*"([^"]+)"'), 4096  # a list begins with what it says of itself
VERSION = re.compile(r'"metadata":\s*\{[^{}]*"resourceVersion":\s*"(\d+)"')
EVENT_TIMES = ("firstTimestamp", "lastTimestamp", "eventTime", "lastObservedTime")


def get_field(owner: Json, *path: str) -> Json:
    """The value at a path of keys; null if there is none."""
    for name in path:
        owner = owner.get(name) if isinstance(owner, dict) else None
    return owner


def get_kind_key(resource: Json) -> tuple[str, str]:
    """Kind, in small letters, and API group of an object or of an owner reference."""
    return (str(get_field(resource, "kind")).lower(), str(get_field(resource, "apiVersion")).rpartition("/")[0])


def split_path(path: str) -> tuple[str, ...]:
    """The keys in a path like metadata.labels."pod-template-hash"."""
    return tuple(quoted or word for quoted, word in re.findall(r'"([^"]*)"|([^."]+)', path))


def get_name(resource: Json) -> str:
    return str(get_field(resource, "metadata", "name") or "")


def get_namespace(resource: Json) -> str:
    """The namespace where its events are: its own, or `default` for one that is in none."""
    return str(get_field(resource, "metadata", "namespace") or "default")


def get_version(resource: Json) -> str:
    return str(get_field(resource, "metadata", "resourceVersion") or "")


def is_same_state(one: Json, other: Json) -> bool:
    """True if two answers show the same state of an object."""
    generations = [get_field(each, "metadata", "generation") for each in (one, other)]
    return get_version(one) == get_version(other) != "" and generations[0] == generations[1]


def get_creation_time(resource: Json) -> str:
    """The timestamp as it is written in the object; empty if it has none."""
    return str(get_field(resource, "metadata", "creationTimestamp") or "")


def get_identity(resource: Json) -> str:
    """What tells an object from all others: its uid, which one that is created again does not share. Without a uid, kind and name."""
    uid = get_field(resource, "metadata", "uid")
    return str(uid) if uid else "/".join((str(get_field(resource, "kind")), get_namespace(resource), get_name(resource)))


def get_controller(resource: Json) -> Json:
    """The owner reference of the object that controls this one; null if none does."""
    references = get_field(resource, "metadata", "ownerReferences")
    references = references if isinstance(references, list) else []
    return next((reference for reference in references if get_field(reference, "controller") is True), None)


def fill_zero(value: Json, path: tuple[str, ...]) -> Json:
    """The object with 0 at the path, if only the last key is missing: Kubernetes leaves counters that are zero out of its JSON."""
    first, rest = path[0], path[1:]
    if not isinstance(value, dict) or (first in value) != bool(rest):
        return value
    return {**value, first: fill_zero(value[first], rest) if rest else 0}


def drop_field(value: Json, path: tuple[str, ...]) -> Json:
    """The value without the field at the path, and without empty fields: the API server does not tell them from missing ones."""
    if isinstance(value, list):
        return [drop_field(entry, ()) for entry in value]
    if not isinstance(value, dict):
        return value
    rest = {key: drop_field(entry, path[1:] if path[:1] == (key,) else ()) for key, entry in value.items() if path != (key,)}
    return {key: entry for key, entry in rest.items() if entry not in (None, {}, [])}


def get_last_seen(event: Json) -> float:
    """When an event, as rules see it, was last seen: seconds since 1970, 0 if that cannot be read."""
    try:
        return parse_timestamp(str(event["lastSeen"]))
    except UnreadableError:
        return 0.0


def summarize_event(event: Json) -> Json:
    """An event as rules see it: {type, reason, message, part, count, firstSeen, lastSeen}, from the fields of either events API.

    `part` is the name of the container that it is about; null if it is about the object as a whole. Reason and message are texts or
    null, and the count is a number, whatever the event has there.
    """
    path = str(get_field(event, "involvedObject", "fieldPath"))
    first = get_field(event, "firstTimestamp") or get_field(event, "eventTime") or get_creation_time(event)
    texts = {key: get_field(event, key) for key in ("type", "reason", "message")}
    count = get_field(event, "series", "count") or get_field(event, "count")
    return {
        **{key: None if text is None else str(text) for key, text in texts.items()},  # rules look for words in them
        "part": path.rpartition("{")[2].removesuffix("}") if path.endswith("}") else None,
        "count": count if type(count) is int else 1,
        "firstSeen": first,
        "lastSeen": get_field(event, "series", "lastObservedTime") or get_field(event, "lastTimestamp") or first,
    }


def group_events(events: Iterable[Json]) -> dict[str, list[Json]]:
    """The events about each object, as rules see them, by the object's uid."""
    by_object: dict[str, list[Json]] = {}
    for event in events:
        by_object.setdefault(str(get_field(event, "involvedObject", "uid")), []).append(summarize_event(event))
    return by_object


def parse_objects(text: str, origin: str) -> tuple[Json, ...]:
    """The objects that `kubectl get -o json` printed, as a List or as single objects. UnreadableError, naming the origin, otherwise."""
    try:
        documents = [json.loads(text)]
    except (ValueError, RecursionError):
        documents = list(parse_documents(text, origin))
    objects = [resource for document in documents for resource in unpack_list(document)]
    for index, resource in enumerate(objects):
        texts = [get_field(resource, key) for key in ("apiVersion", "kind")]
        if not (all(isinstance(text, str) for text in texts) and isinstance(get_field(resource, "metadata"), dict)):
            raise UnreadableError(
                f"{origin} is not the output of `kubectl get ... -o json`: item {index} lacks apiVersion, kind or metadata"
            )
    return tuple(objects)


def get_continue(text: str) -> str:
    """The token by which the next page of a list of the API is asked for; empty if there is none."""
    return found[1] if '"continue":' in text[:PAGE_HEAD] and (found := PAGE.search(text, 0, PAGE_HEAD)) else ""


def get_list_version(text: str) -> str:
    """The version of a list that the API itself has written; empty if it does not say."""
    found = VERSION.search(text[:PAGE_HEAD].partition('"items"')[0])
    return found[1] if found else ""


def unpack_list(document: Json) -> list[Json]:
    """The objects in a list; the document alone if it is none. In the API's own lists (PodList) each object gets kind and version."""
    items, kind = get_field(document, "items"), get_field(document, "kind")
    if not isinstance(items, list):
        return [document]
    if isinstance(kind, str) and kind.endswith("List") and kind != "List":  # from `get --raw`: kubectl itself adds them
        for item in items:
            if isinstance(item, dict):
                item.setdefault("apiVersion", get_field(document, "apiVersion"))
                item.setdefault("kind", kind.removesuffix("List"))
    return items


def parse_documents(text: str, origin: str) -> Iterator[Json]:
    """The JSON documents, at least one, that follow each other in a text. UnreadableError, naming the origin, when one is broken."""
    at, blank = 0, re.compile(r"\s*")
    try:
        while not at or at < len(text):
            document, at = json.JSONDecoder().raw_decode(text, blank.match(text, at).end())  # type: ignore[union-attr]
            yield document
            at = blank.match(text, at).end()  # type: ignore[union-attr]
    except (ValueError, RecursionError) as error:
        raise UnreadableError(f"{origin} is not complete JSON ({error}); it begins with {text[:60]!r}") from None


def find_newest_time(objects: Iterable[Json]) -> float:
    """The newest creation, condition, container or event time in the objects, in seconds since 1970; 0 if they have none."""
    moments = [0.0]
    for resource in objects:
        own = {"created": get_creation_time(resource), **{key: value for key, value in resource.items() if key in (*EVENT_TIMES, "series")}}
        moments += [*find_times(own, ("created", *EVENT_TIMES)), *find_times(resource.get("status"), STATUS_TIMES)]
    return max(moments)


def find_times(value: Json, names: Collection[str]) -> Iterator[float]:
    """The timestamps in fields of these names, anywhere in the value, in seconds since 1970."""
    for key, entry in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        if key in names and isinstance(entry, str) and TIMESTAMP.fullmatch(entry):
            yield parse_timestamp(entry)
        yield from find_times(entry, names)


def make_reference(resource: Json) -> dict[str, str]:
    """Kind, namespace and name of an object, as the result names it. The namespace is empty for one that is in none, as in Kubernetes."""
    return {
        "kind": str(get_field(resource, "kind")),
        "namespace": str(get_field(resource, "metadata", "namespace") or ""),
        "name": get_name(resource),
    }


def guess_plural(kind: str) -> str:
    """The plural of a kind in small letters, as Kubernetes itself guesses it."""
    return f"{kind[:-1]}ies" if kind.endswith("y") else f"{kind}es" if kind.endswith("s") else f"{kind}s"


def get_creation_moment(resource: Json) -> float:
    """When an object was created: seconds since 1970, 0 if that cannot be read."""
    with suppress(UnreadableError):
        return parse_timestamp(get_creation_time(resource))
    return 0.0
