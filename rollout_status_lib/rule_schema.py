"""What rules/rules.schema.json allows in a rule file: the keys of each part, and the values of some. Editors read the same file."""

from __future__ import annotations

import functools
import json

from rollout_status_lib import Json, find_data
from rollout_status_lib.errors import make_missing, read_part


@functools.cache
def read_schema() -> Json:
    """The schema, as JSON. RolloutError `internal` if it cannot be read, for example because the program was copied without it."""
    path = find_data("rules", "rules.schema.json")
    text = read_part(path)
    try:
        return json.loads(text)
    except ValueError as error:
        raise make_missing(path, str(error)) from None


def get_part(*path: str) -> Json:
    """The schema of a part: of a file without a path, of a `rule` or a `kind`, or of an entry of a field: `kind`, `stages`."""
    schema = part = read_schema()
    for name in path:
        part = (schema["definitions"] if part is schema else part["properties"])[name]
        part = part.get("items", part)
    return part


@functools.cache
def get_keys(*path: str) -> tuple[str, ...]:
    """The keys that a part may have, in the order of the schema."""
    return tuple(get_part(*path)["properties"])


@functools.cache
def get_required(*path: str) -> tuple[str, ...]:
    """The keys that a part must have."""
    return tuple(get_part(*path)["required"])


@functools.cache
def get_choices(*path: str) -> tuple[str, ...]:
    """The values that a field may have, like the verdicts of a rule."""
    return tuple(get_part(*path)["enum"])
