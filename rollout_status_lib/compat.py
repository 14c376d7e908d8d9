"""What --compat socialgouv changes: the defaults, and the JSON, are those of SocialGouv/rollout-status. Its rules are in rules/compat/."""

from __future__ import annotations

import argparse
import json
import os
import re
from collections.abc import Iterable, Mapping
from itertools import pairwise

from rollout_status_lib import Json
from rollout_status_lib.declarations import Code
from rollout_status_lib.errors import UnreadableError

VARIABLE = "ROLLOUT_STATUS_COMPAT"
MODES = ("socialgouv", "none")
KINDS = "deployment,statefulset,job"  # in the order in which it looks at them
NOTHING_FOUND = 'Selector "{}" did not match any deployments, statefulsets or jobs in namespace "{}"'
ESCAPES = {"\\b": "\\u0008", "\\f": "\\u000c"}  # Go's way of writing them


def parse_mode(text: str) -> str:
    """The mode that a text names; empty for none. UnreadableError if it names no mode."""
    if text and text not in MODES:
        raise UnreadableError(f"{text!r} is not one of {', '.join(MODES)} (it may come from the variable {VARIABLE})")
    return text if text != "none" else ""


def find_mode(argv: Iterable[str]) -> str:
    """The mode that the command line names, or else the environment, also where the rest of the command line is wrong."""
    words = list(argv)
    named = [word.partition("=")[2] for word in words if re.match("--?compat=", word)]
    named += [value for word, value in pairwise(words) if word in ("-compat", "--compat")]
    mode = named[-1] if named else os.environ.get(VARIABLE, "")
    return mode if mode in MODES and mode != "none" else ""


def apply_mode(options: argparse.Namespace) -> None:
    """Sets what the mode says where the arguments say nothing."""
    options.quiet, options.ci, options.output = True, options.ci or "none", options.output or "json"
    if not (options.names or options.filename or options.kustomize):
        options.all_namespaces = options.all_namespaces or not options.namespace
        options.kinds = options.kinds or [KINDS]
        options.nothing_found = NOTHING_FOUND.format(options.selector, ",".join(options.namespace))


def render_mode(result: Mapping[str, Json], codes: Mapping[str, Code]) -> str:
    """The result with the fields of that program alone, in their order, and written as Go writes JSON."""
    document: dict[str, Json] = {"success": result["success"]}
    if not result["success"]:
        error, code = result["error"], get_seed_code(result["error"], codes)
        document["error"] = {"code": code, "message": error["message"], "type": error["type"]}
        document["error"] |= {"log": error["log"]} if code == "process-crashing" and error.get("log") else {}
    text = re.sub(r"\\.", lambda match: ESCAPES.get(match[0], match[0]), json.dumps(document, indent=2, ensure_ascii=False))
    # and `##` as in to_json, for the log of a CI
    return re.sub("[<>&\u2028\u2029]|(?<=#)#", lambda match: f"\\u{ord(match[0]):04x}", text)


def get_seed_code(error: Mapping[str, Json], codes: Mapping[str, Code]) -> str:
    """The code of an error in that program's words: empty for one of the program, and a team's own code means that nothing goes on."""
    if error["type"] == "program":
        return ""
    return (codes[error["code"]].written or str(error["code"])) if error["code"] in codes else "not-progressing"
