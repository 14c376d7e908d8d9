"""The fields that objects of each kind can have, for lint; collected from the API and the fixtures."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from rollout_status_lib import Json, find_data
from rollout_status_lib.errors import read_part
from rollout_status_lib.functions import Functions
from rollout_status_lib.objects import parse_objects
from rollout_status_lib.rules import Rules
from rollout_status_lib.source import Snapshot
from rollout_status_lib.subjects import Tree, walk_subjects

FIELDS = Path(__file__).with_name("fields.json")
FREE = ("labels", "annotations", "matchLabels", "limits", "requests", "data", "hard", "used", "parameters")  # their keys are anybody's


def read_fields() -> Json:
    """The fields of each kind, as `make docs` has written them."""
    return json.loads(read_part(FIELDS))


def collect_fields() -> Json:
    """For each kind the tree of fields that its objects have, by the API and in the fixtures.

    `*`: any key; `{}`: it may be an empty object; `$pod`: those of a pod, of which this is a template;
    `?`: there may be others, where no fixture shows all that the API has.
    """
    rules = Rules(find_data("rules"), packs=None)
    found: dict[str, Json] = json.loads(find_data("tests", "api-fields.json").read_text(encoding="utf-8"))
    whole = {*found, "container"}
    for path in sorted(find_data("fixtures").rglob("*.json")):
        objects = parse_objects(path.read_text(encoding="utf-8"), str(path))
        snapshot = Snapshot(0.0, objects, None, lambda _: None)
        tree = Tree(rules, snapshot, Functions(0.0), {})
        for each in objects:
            kind = rules.find_kind(each)
            for subject in walk_subjects(tree.grow(kind, each)) if kind else ():
                merge_fields(found.setdefault(subject.kind.name, {}), subject.value, found)
    return {name: tree if name in whole else open_tree(tree) for name, tree in found.items()}


def open_tree(tree: Json) -> Json:
    """A tree of fields that may have more than those."""
    return {**{name: open_tree(below) for name, below in tree.items()}, "?": {}} if tree else tree


def write_fields(path: Path = FIELDS) -> None:
    """Writes fields.json anew."""
    path.write_text(json.dumps(collect_fields(), sort_keys=True, separators=(",", ":")) + "\n", encoding="utf-8")


def merge_fields(level: dict[str, Json], value: Json, found: Mapping[str, Json]) -> None:
    """Adds the fields of a value to a tree of fields; those of a list's entries are the list's."""
    for entry in value if isinstance(value, list) else [value]:
        for key, child in entry.items() if isinstance(entry, dict) else ():
            below = level.setdefault(key, {})
            if child == {}:
                below["{}"] = {}
            elif key in FREE:
                below["*"] = {}
            else:
                merge_fields(next((found[name[1:]] for name in below if name.startswith("$")), below), child, found)
