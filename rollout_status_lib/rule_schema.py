"""What rules/rules.schema.json allows in a rule file: the keys of each part, and the values of some. Editors read the same file."""

from __future__ import annotations

import functools
import json

from rollout_status_lib import Json, find_data
from rollout_status_lib.errors import RolloutError, describe_error


@functools.cache
def read_schema() -> Json:
    """The schema, as JSON. RolloutError `invalid-rules` if it cannot be read, for example because the program was copied without it."""
    path = find_data("rules", "rules.schema.json")
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        problem = f"{path} cannot be read: {describe_error(error)}: rules/ and schema.json belong beside the program"
        raise RolloutError("invalid-rules", problem) from None


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
