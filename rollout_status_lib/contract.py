"""The contract: each result satisfies schema.json before anybody sees it."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable

from rollout_status_lib import Json, find_data
from rollout_status_lib.clean import to_line
from rollout_status_lib.errors import RolloutError, describe_error, read_part
from rollout_status_lib.interrupts import Interrupted

LONGEST_PROBLEM = 300  # characters: jsonschema quotes what is wrong, and that may be the whole result


@functools.cache
def load_schema() -> Callable[[Json], str]:
    """A function that says where and how a document breaks schema.json; it returns an empty text for one that does not.

    The import of jsonschema takes 70 ms; a live run calls this while kubectl runs.
    RolloutError `internal` when jsonschema or schema.json is missing, or schema.json is no schema.
    """
    path = find_data("schema.json")
    text = read_part(path)
    try:
        from jsonschema import Draft7Validator, SchemaError  # noqa: PLC0415, see above
        from jsonschema.exceptions import best_match  # noqa: PLC0415
    except ImportError as error:
        raise RolloutError("internal", f"{error}; results are validated with jsonschema: python3 -m pip install jsonschema") from None
    try:
        schema = json.loads(text)
        Draft7Validator.check_schema(schema)
    except (ValueError, SchemaError) as error:
        reason = error.message if isinstance(error, SchemaError) else error
        raise RolloutError("internal", f"{path} is no JSON schema: {reason}") from None

    def find_breach(document: Json) -> str:
        error = best_match(Draft7Validator(schema).iter_errors(document))
        return f"{error.json_path}: {error.message}" if error else ""

    return find_breach


def enforce(document: dict[str, Json]) -> tuple[dict[str, Json], str]:
    """The document itself if it satisfies schema.json, and an empty text.

    Otherwise the smallest true document, and a sentence that says why, which stands in its notes too.
    """
    problem = find_problem(document)
    if not problem:
        return document, ""
    verdict = keep_verdict(document)
    if "error" in verdict and problem == f"could not be validated: {verdict['error']['message']}":
        return verdict, verdict["error"]["message"]
    sentence = f"The result is cut down to its verdict, since the whole one {to_line(problem)[:LONGEST_PROBLEM]}"
    return {**verdict, "notes": [sentence]}, sentence


def find_problem(document: Json) -> str:
    """What is wrong with a document, as the end of a sentence about it; empty if nothing is."""
    try:
        as_read = json.loads(json.dumps(document, allow_nan=False))  # a tuple is written as a list, a set cannot be written
        breach = load_schema()(as_read)
    except Interrupted:
        raise
    except Exception as error:  # noqa: BLE001, jsonschema stumbles in many ways over a wrong schema, and the verdict must not be lost
        return f"could not be validated: {describe_error(error)}"
    return f"does not satisfy schema.json: {breach}" if breach else ""


def keep_verdict(document: dict[str, Json]) -> dict[str, Json]:
    """The smallest document with the same verdict. What its error does not say is an `internal` error of the program."""
    error = document.get("error")
    if document.get("success") is True and error is None:
        return {"success": True}
    entry = error if isinstance(error, dict) else {}
    texts = {key: text for key, text in entry.items() if isinstance(text, str) and text}
    missing = {"code": "internal", "type": "program", "message": "The rollout did not succeed"}
    return {"success": False, "error": {key: texts.get(key, text) for key, text in missing.items()}}
