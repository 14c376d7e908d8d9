"""Values that no API server writes, at random places of the fixtures: never a crash, and never a success that was none.

A change is implausible when the value is of another JSON type than before (null, boolean, number, text, list, object).
Another number and another text may be what a cluster says at some other time, and so may make a success; an implausible
value must not. Some places are left out of that: null as a deletionTimestamp is none, and what has no owner whose uid can be read
is nobody's. An implausible value may end the run with `invalid-rules` (exit 2), where a rule orders it, takes it for a moment or gives it to
a function of another type: that is loud, and no guess.
"""

import copy
import functools
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from conftest import CASES, FIXTURES, SCHEMA
from hypothesis import given, note, settings
from hypothesis import strategies as st
from test_deleted_keys import Case, rules

import rollout_status
from rollout_status_lib.values import format_timestamp
from rollout_status_lib.views.text import render_text

VALUES = [
    *(None, True, False, 0, -1, 1, 0.5, 1e308, -1e308, 10**30, 10**400, float("inf"), float("nan")),
    *("", "x", " ", "0", "True", "\ud800", "2026-11-23T06:45:38Z", "9999-12-31T23:59:59Z", '{"a": ["', "x" * 5000),
    *([], {}, [[]], [None], [{}], ["x"], [0], [[["x"]]], [{"name": 5}], [{"type": []}], {"x": None}, {"name": []}, {"x": {"x": {}}}),
]
TIES = {("metadata", "deletionTimestamp"), ("metadata", "uid")}
REFUSED = re.compile("lacks apiVersion|it has a number that is out of range")
LOUD = re.compile(r"each must give a list|can be ordered, not|invalid type for value|\(\) takes |invalid time")

# Those that need nothing beside their objects
ALONE = [name for name in CASES if not (FIXTURES / name / "applied.json").exists()]


@dataclass
class Scene:
    """A moment of a fixture that is no success."""

    case: str
    arguments: tuple[str, ...]
    at: str
    objects: list[Any]
    read: list[tuple[int, tuple[Any, ...]]]  # places that are read in judging it
    every: list[tuple[int, tuple[Any, ...]]]


def places(value: Any, path: tuple[Any, ...]) -> Any:
    for key, entry in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield (*path, key)
        yield from places(entry, (*path, key))


@functools.cache
def scenes(name: str) -> list[Scene]:
    case = Case(name)
    found = []
    for moment in (each for each in case.moments if each.snapshot.objects):
        objects = list(moment.snapshot.objects)
        every = [(number, path) for number, each in enumerate(objects) for path in places(each, ())]
        read = [(number, path) for number, path, _ in case.read(moment) if path]
        found.append(Scene(name, case.arguments, format_timestamp(moment.snapshot.at), objects, read, every))
    return found


def type_of(value: Any) -> str:
    return "number" if type(value) in (int, float) else type(value).__name__


def ended(scene: Scene, objects: list[Any], folder: Path) -> tuple[dict[str, Any], int]:
    """What a run says of the objects, from their file to the JSON."""
    file = folder / "objects.json"
    file.write_text(json.dumps({"items": objects}))
    arguments = ["--replay", str(file), "--now", scene.at, "--quiet", *scene.arguments]
    run = rollout_status.run_to_end(arguments)
    result, exit_code = run.result, run.exit_code
    SCHEMA_OF_RESULTS.validate(json.loads(json.dumps(result)))
    assert render_text(result)
    return result, exit_code


SCHEMA_OF_RESULTS = jsonschema.Draft7Validator(SCHEMA)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A folder for the objects; the rules are only read once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rollout_status, "read_rules", lambda *_: rules())
        yield tmp_path_factory.mktemp("changed")


def change(objects: list[Any], number: int, path: tuple[Any, ...], value: Any) -> bool:
    """Changes a value in the objects; whether what has become of it is implausible."""
    owner = objects[number]
    try:
        for step in path[:-1]:
            owner = owner[step]
        old, owner[path[-1]] = owner[path[-1]], copy.deepcopy(value)
    except (TypeError, LookupError):  # what it was in has been changed too
        return True
    # what is null is left out, which tests/test_deleted_keys.py is about: without two of its fields, an object may rightly be ready
    return value is not None and type_of(value) != type_of(old) and path not in TIES and "ownerReferences" not in path


def check(result: dict[str, Any], exit_code: int, *, implausible: bool) -> None:
    assert exit_code in ((1, 2, 3) if implausible else (0, 1, 2, 3))
    if exit_code == 2:
        error = result["error"]
        assert (LOUD if error["code"] == "invalid-rules" else REFUSED).search(error["message"])


@settings(max_examples=2000, deadline=None, derandomize=True, database=None)
@given(data=st.data())
def test_changed_values(folder: Path, data: st.DataObject) -> None:
    scene = data.draw(st.sampled_from(ALONE).map(scenes).filter(bool).flatmap(st.sampled_from))
    place = st.sampled_from(scene.read) | st.sampled_from(scene.every)
    changes = data.draw(st.lists(st.tuples(place, st.sampled_from(VALUES)), min_size=1, max_size=3, unique_by=lambda each: each[0]))
    objects = copy.deepcopy(scene.objects)
    implausible = [change(objects, *where, value) for where, value in changes]
    result, exit_code = ended(scene, objects, folder)
    note(json.dumps(result, indent=2))
    check(result, exit_code, implausible=all(implausible))
