"""Kubernetes objects as `kubectl get -o json` shows them: fields, names, owners, times."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress

from rollout_status_lib import Json
from rollout_status_lib.errors import UnreadableError
from rollout_status_lib.values import TIMESTAMP, parse_timestamp


def get_field(owner: Json, *path: str) -> Json:
    """The value at a path of keys; null where there is none."""
    for name in path:
        owner = owner.get(name) if isinstance(owner, dict) else None
    return owner


def get_kind_key(resource: Json) -> tuple[str, str]:
    """Kind and API group of an object, or of an owner reference."""
    return (str(get_field(resource, "kind")).lower(), str(get_field(resource, "apiVersion")).rpartition("/")[0])


def split_path(path: str) -> tuple[str, ...]:
    """The keys of a path like metadata.labels."pod-template-hash"."""
    return tuple(quoted or word for quoted, word in re.findall(r'"([^"]*)"|([^."]+)', path))


def get_name(resource: Json) -> str:
    return str(get_field(resource, "metadata", "name") or "")


def get_namespace(resource: Json) -> str:
    return str(get_field(resource, "metadata", "namespace") or "default")


def get_version(resource: Json) -> str:
    return str(get_field(resource, "metadata", "resourceVersion") or "")


def get_creation_time(resource: Json) -> str:
    return str(get_field(resource, "metadata", "creationTimestamp") or "")


def get_identity(resource: Json) -> str:
    """What tells an object from all others, also from one of the same name that was there before it."""
    uid = get_field(resource, "metadata", "uid")
    return str(uid) if uid else "/".join((str(get_field(resource, "kind")), get_namespace(resource), get_name(resource)))


def get_controller(resource: Json) -> Json:
    """The owner reference of the object that controls this one; null when none does."""
    references = get_field(resource, "metadata", "ownerReferences")
    known = references if isinstance(references, list) else []
    return next((reference for reference in known if get_field(reference, "controller") is True), None)


def fill_zero(value: Json, path: tuple[str, ...]) -> Json:
    """The object with 0 at a path whose parent is there: Kubernetes leaves counters that are zero out of its JSON."""
    first, rest = path[0], path[1:]
    if not isinstance(value, dict) or (first in value) != bool(rest):
        return value
    return {**value, first: fill_zero(value[first], rest) if rest else 0}


def drop_field(value: Json, path: tuple[str, ...]) -> Json:
    """The value without the field at a path, and without all that is empty, which to the API server is not there either."""
    if isinstance(value, list):
        return [drop_field(entry, ()) for entry in value]
    if not isinstance(value, dict):
        return value
    rest = {key: drop_field(entry, path[1:] if path[:1] == (key,) else ()) for key, entry in value.items() if path != (key,)}
    return {key: entry for key, entry in rest.items() if entry not in (None, {}, [])}


def get_last_seen(event: Json) -> float:
    """When an event was last seen; 0, long ago, where it does not say so in a way that can be read."""
    try:
        return parse_timestamp(str(event["lastSeen"]))
    except UnreadableError:
        return 0.0


def summarize_event(event: Json) -> Json:
    """An event as rules see it: {type, reason, message, part, count, firstSeen, lastSeen}.

    `part` is the name of the container that it is about; null if it is about the object as a whole.
    """
    path = str(get_field(event, "involvedObject", "fieldPath"))
    first = get_field(event, "firstTimestamp") or get_field(event, "eventTime") or get_creation_time(event)
    return {
        **{key: get_field(event, key) for key in ("type", "reason", "message")},
        "part": path.rpartition("{")[2].removesuffix("}") if path.endswith("}") else None,
        "count": get_field(event, "series", "count") or get_field(event, "count") or 1,
        "firstSeen": first,
        "lastSeen": get_field(event, "series", "lastObservedTime") or get_field(event, "lastTimestamp") or first,
    }


def group_events(events: Iterable[Json]) -> dict[str, list[Json]]:
    """The events about each object, as rules see them, by the object's uid."""
    found: dict[str, list[Json]] = {}
    for event in events:
        found.setdefault(str(get_field(event, "involvedObject", "uid")), []).append(summarize_event(event))
    return found


def parse_objects(text: str, origin: str) -> tuple[Json, ...]:
    """The objects that `kubectl get -o json` printed, as a List or as one object; UnreadableError, naming the origin, otherwise."""
    try:
        contents = [json.loads(text)]
    except (ValueError, RecursionError):
        contents = list(parse_documents(text, origin))
    items: list[Json] = []
    for content in contents:
        entries, kind = get_field(content, "items"), get_field(content, "kind")
        is_raw = isinstance(kind, str) and kind.endswith("List") and kind != "List"  # kubectl has not touched it: entries lack these
        items += entries if isinstance(entries, list) else [content]
        for entry in entries if is_raw and isinstance(entries, list) else ():
            if isinstance(entry, dict):
                entry.setdefault("apiVersion", get_field(content, "apiVersion"))
                entry.setdefault("kind", kind.removesuffix("List"))
    for index, item in enumerate(items):
        texts = [get_field(item, key) for key in ("apiVersion", "kind")]
        if not (all(isinstance(text, str) for text in texts) and isinstance(get_field(item, "metadata"), dict)):
            raise UnreadableError(f"{origin} is not what `kubectl get ... -o json` prints: item {index} lacks apiVersion, kind or metadata")
    return tuple(items)


def parse_documents(text: str, origin: str) -> Iterator[Json]:
    """The JSON documents, at least one, that stand one after the other in a text; UnreadableError when one is not complete."""
    at, blank = 0, re.compile(r"\s*")
    try:
        while not at or at < len(text):
            document, at = json.JSONDecoder().raw_decode(text, blank.match(text, at).end())  # type: ignore[union-attr]
            yield document
            at = blank.match(text, at).end()  # type: ignore[union-attr]
    except (ValueError, RecursionError) as error:
        raise UnreadableError(f"{origin} is no complete JSON ({error}); it begins with {text[:60]!r}") from None


# The times that an object cannot have been seen before; others (a deletion, the end of a certificate) may lie ahead.
TIMES = ("lastTransitionTime", "lastUpdateTime", "startedAt", "finishedAt", "startTime", "completionTime")


EVENT_TIMES = ("firstTimestamp", "lastTimestamp", "eventTime", "lastObservedTime")


def find_newest_time(objects: Iterable[Json]) -> float:
    """The newest creation, condition, container or event time in the objects; 0 when there is none."""

    def times(value: Json, names: Collection[str]) -> Iterator[float]:
        for key, entry in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
            if key in names and isinstance(entry, str) and TIMESTAMP.fullmatch(entry):
                yield parse_timestamp(entry)
            yield from times(entry, names)

    moments = [0.0]
    for resource in objects:
        own = {"created": get_creation_time(resource), **{key: value for key, value in resource.items() if key in (*EVENT_TIMES, "series")}}
        moments += [*times(own, ("created", *EVENT_TIMES)), *times(resource.get("status"), TIMES)]
    return max(moments)


def make_reference(resource: Json) -> dict[str, str]:
    return {"kind": str(get_field(resource, "kind")), "namespace": get_namespace(resource), "name": get_name(resource)}


def get_creation_moment(value: Json) -> float:
    """When an object was created; 0, long ago, where that cannot be read."""
    with suppress(UnreadableError):
        return parse_timestamp(get_creation_time(value))
    return 0.0
