"""Every regular expression of the program takes linear time: each is tried on hostile texts of a megabyte, with a limit on the time of the CPU."""

import ast
import importlib
import inspect
import json
import os
import pkgutil
import re
import resource
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT

import rollout_status_lib
from rollout_status_lib.clean import clean_log, to_line
from rollout_status_lib.commands import add_kubectl_flags
from rollout_status_lib.secrets import SECRETS, load_shapes
from rollout_status_lib.slips import QUOTED, SLIPS, find_slip
from rollout_status_lib.sources.manifests import is_manifest
from rollout_status_lib.values import PART

LENGTH = 1_000_000
SECONDS = 60  # of the CPU, for all texts of one pattern: what takes the square of the time takes hours
METHODS = ("match", "fullmatch", "search", "sub", "findall", "finditer", "split")
UNITS = ["a", "-", " ", "\\", "'", '"', "\n", "/", "\x1b[0", "eyJ", "//a:b", "&a"]
SLOW = {QUOTED.pattern, PART.pattern, *(pattern for pattern, _ in SLIPS)}  # which are only looked for in a short text


def child(do: Callable[[], object]) -> int:
    """Calls a function in a process of its own, with a limit on its time; the number of the signal that has ended it, or 0."""
    pid = os.fork()
    if not pid:
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
        try:
            do()
        except BaseException:  # noqa: BLE001, it is the end of a process
            os._exit(1)
        os._exit(0)
    return os.waitpid(pid, 0)[1]


def list_modules() -> Iterator[Any]:
    for each in pkgutil.walk_packages(rollout_status_lib.__path__, "rollout_status_lib."):
        yield importlib.import_module(each.name)
    for name in ("rollout_status", "rollout_status_start"):
        yield importlib.import_module(name)


def walk_patterns(value: Any, depth: int = 0) -> Iterator[re.Pattern[str]]:
    """The patterns in a value: a constant of a module or of a class, or in a tuple, a list or a mapping."""
    if isinstance(value, re.Pattern):
        yield value
    elif isinstance(value, (list, tuple, dict)) and depth < 4:
        for each in [*value, *value.values()] if isinstance(value, dict) else value:
            yield from walk_patterns(each, depth + 1)


def collect() -> dict[str, set[str]]:
    """Each pattern of the program's modules and data, with the methods by which it is used."""
    found: dict[str, set[str]] = {}
    for module in list_modules():
        tree = ast.parse(Path(str(module.__file__)).read_text())
        named: dict[str, set[str]] = {}
        for node in ast.walk(tree):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in METHODS):
                continue
            owner = node.func.value
            if isinstance(owner, ast.Name) and owner.id == "re" and isinstance(node.args[0], ast.Constant):
                found.setdefault(str(node.args[0].value), set()).add(node.func.attr)
            elif isinstance(owner, (ast.Name, ast.Attribute)):
                named.setdefault(owner.id if isinstance(owner, ast.Name) else owner.attr, set()).add(node.func.attr)
        owners = [
            vars(module),
            *(vars(each) for each in vars(module).values() if inspect.isclass(each) and each.__module__ == module.__name__),
        ]
        for name, value in (pair for owner in owners for pair in owner.items()):
            for pattern in walk_patterns(value):
                found.setdefault((pattern.pattern, pattern.flags), set()).update(named.get(name, {"finditer"}))
    for _, pattern in load_shapes():
        found[pattern.pattern, pattern.flags] = {"finditer"}
    for path in (ROOT / "schema.json", ROOT / "rules" / "rules.schema.json"):
        for text in re.findall(r'"pattern": ("(?:[^"\\]|\\.)*")', path.read_text()):
            found.setdefault(json.loads(text), set()).add("search")
    return found


FOUND = sorted(((key if isinstance(key, tuple) else (key, 0)), sorted(methods)) for key, methods in collect().items())


def test_all_patterns_are_found() -> None:
    assert len(FOUND) > 60
    texts = {pattern for (pattern, _), _ in FOUND}
    assert len(texts & {pattern.pattern for _, pattern in load_shapes()}) == len(load_shapes())


def make_texts(pattern: str) -> Iterator[str]:
    """Hostile texts: one thing again and again, also the words of the pattern itself, with and without what may follow them."""
    words = [word for word in re.findall(r"[A-Za-z][\w -]{2,}", pattern) if len(word) < 30][:4]
    for unit in [*UNITS, *words, *(f"{word}{more}" for word in words for more in ("=", ": ", '="', "=)", " ", "-", "\\"))]:
        yield unit * (LENGTH // len(unit))
    for word in words:
        yield f"{word}=" + "a" * LENGTH
        yield f"{word}-----" + "a \n" * (LENGTH // 3)
        yield word + " " * LENGTH + "x"


@pytest.mark.parametrize(("key", "methods"), FOUND, ids=[f"{pattern[:40]!r}" for (pattern, _), _ in FOUND])
def test_a_pattern_takes_linear_time(key: tuple[str, int], methods: list[str]) -> None:
    if key[0] in SLOW:
        return
    pattern = re.compile(key[0], key[1] & ~re.UNICODE if key[1] else 0)

    def use() -> None:
        for text in make_texts(key[0]):
            for method in methods:
                if method in ("match", "fullmatch", "search"):
                    getattr(pattern, method)(text)
                else:
                    for _ in pattern.finditer(text):
                        pass

    assert child(use) == 0


HOSTILE = [
    "https://" * (LENGTH // 8),
    "//a:b" * (LENGTH // 5) + "@",
    "x://a:b@sha256:" * (LENGTH // 15),
    "//a@" * (LENGTH // 4),
    "://" + "@" * LENGTH,
    "://" + "a:" * (LENGTH // 2),
    "a:b@" * (LENGTH // 4),
    "/" * LENGTH + "@",
    "\\/" * (LENGTH // 2) + "@",
    "://a:b@h," * (LENGTH // 9),
    "password=" * (LENGTH // 9),
    "secret-value" * (LENGTH // 12),
    "secret" * (LENGTH // 6),
]


@pytest.mark.parametrize("text", HOSTILE, ids=[text[:20] for text in HOSTILE])
def test_what_cleans_a_text_takes_linear_time(text: str) -> None:
    SECRETS.begin()
    values = [f"secret{'x' * number}" for number in range(200)]
    item = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"}}
    SECRETS.learn([item | {"spec": {"env": [{"name": "X", "value": value} for value in values]}}])
    for use in (SECRETS.hide, SECRETS.mask, to_line, clean_log, find_slip):
        assert child(lambda use=use: use(text)) == 0
    assert child(lambda: add_kubectl_flags(text, "--context=x")) == 0
    assert child(lambda: is_manifest("x", text)) == 0
    SECRETS.forget()
