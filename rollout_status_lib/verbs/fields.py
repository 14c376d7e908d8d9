"""The fields that the objects of each kind can have, for lint. They are collected from the API's schema and from the fixtures."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

from rollout_status_lib import Json, find_data
from rollout_status_lib.errors import read_part
from rollout_status_lib.functions import Functions
from rollout_status_lib.objects import parse_objects
from rollout_status_lib.rules import Rules
from rollout_status_lib.source import Snapshot
from rollout_status_lib.subjects import Tree, walk_subjects

FIELDS = Path(__file__).with_name("fields.json")
ALWAYS = "!"  # stands beside the kinds, for the paths that each object of a kind has
ENOUGH = 20  # objects of a kind that tell what each has
NEARLY_ALL = 0.97
FREE = ("labels", "annotations", "matchLabels", "limits", "requests", "data", "hard", "used", "parameters")  # fields with any keys


def read_fields() -> Json:
    """The fields of each kind, from the file that `make docs` writes."""
    return json.loads(read_part(FIELDS))


def collect_fields() -> Json:
    """For each kind the tree of the fields that its objects have in the API's schema or in a fixture.

    Some keys are no fields: `*`: it has any keys; `{}`: it may be an empty object; `[]`: it is a list, and the fields are those of
    its entries; `$pod`: it has the fields of a pod, being a template; `?`: there may be other fields, since only fixtures say what
    the kind has. Beside the kinds, `!` has the paths that each of their objects has.
    """
    rules = Rules(find_data("rules"), packs=None)
    trees: dict[str, Json] = json.loads(find_data("tests", "api-fields.json").read_text(encoding="utf-8"))
    complete = {*trees, "container"}
    present: dict[str, list[set[str]]] = {}  # kind -> the paths in each of its objects
    for path in sorted(find_data("fixtures").rglob("*.json")):
        objects = parse_objects(path.read_text(encoding="utf-8"), str(path))
        snapshot = Snapshot(0.0, objects, None, lambda _: None)
        tree = Tree(rules, snapshot, Functions(0.0), {})
        for each in objects:
            kind = rules.find_kind(each)
            for subject in walk_subjects(tree.grow(kind, each)) if kind else ():
                add_fields(trees.setdefault(subject.kind.name, {}), subject.value, trees)
                present.setdefault(subject.kind.name, []).append(set(list_present(subject.value)))
    known = {name: tree if name in complete else open_tree(tree) for name, tree in trees.items()}
    always = {name: sorted(find_always(each)) for name, each in present.items() if len(each) >= ENOUGH}
    return {**known, ALWAYS: {name: paths for name, paths in always.items() if paths}}


def find_always(objects: Sequence[Collection[str]]) -> Iterator[str]:
    """The paths that nearly all objects have: a few fixtures are of objects that an API server would not take."""
    counts = Counter(path for paths in objects for path in paths)
    return (path for path, count in counts.items() if count >= NEARLY_ALL * len(objects))


def list_present(value: Json, path: str = "") -> Iterator[str]:
    """The paths of the numbers, lists and objects in an object; not of those in lists."""
    for key, child in value.items():
        if isinstance(child, (dict, list)) or type(child) in (int, float):
            yield f"{path}{key}"
        if isinstance(child, dict) and key not in FREE:
            yield from list_present(child, f"{path}{key}.")


def open_tree(tree: Json) -> Json:
    """The tree with a `?` at each level."""
    return {**{name: open_tree(below) for name, below in tree.items()}, "?": {}} if tree else tree


def write_fields(path: Path = FIELDS) -> None:
    """Writes fields.json again."""
    path.write_text(json.dumps(collect_fields(), sort_keys=True, separators=(",", ":")) + "\n", encoding="utf-8")


def add_fields(tree: dict[str, Json], value: Json, trees: Mapping[str, Json]) -> None:
    """Adds the fields of a value to a tree. The fields of a list's entries count as the list's."""
    for entry in value if isinstance(value, list) else [value]:
        for key, child in entry.items() if isinstance(entry, dict) else ():
            below = tree.setdefault(key, {})
            if isinstance(child, list):
                below["[]"] = {}
            if child == {}:
                below["{}"] = {}
            elif key in FREE:
                below["*"] = {}
            else:
                add_fields(next((trees[name[1:]] for name in below if name.startswith("$")), below), child, trees)
