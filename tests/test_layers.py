"""The house: which module may import which, and how long one may be. The graph is read from the code, annotations included."""

import ast
import re
from pathlib import Path

import pytest
from conftest import ROOT

PACKAGE = "rollout_status_lib"
# From the ground up: a module imports only from layers above its own line, and from modules before it in its layer
LAYERS = """
    # The ground: no knowledge of rules
    errors values untrusted objects whole kept secrets clean interrupts streams
    # The expressions of rules: JMESPath, and what we add
    functions interpreter slips expressions commands
    # From rule files to the effective rules
    rulefile rule_schema declarations rule_merge rule_load rules
    # What is seen, and what is said of it
    source subjects events scope findings labels uses memory selection serving
    # What goes out, what comes in
    changes logs result contract progress compat arguments story lines
    # Where polls come from: one of them for each run
    sources.replay sources.processes sources.kubectl sources.watches sources.selectors sources.requests sources.live sources.manifests sources.recorder sources.access sources
    # What --report writes
    reports.timeline reports.markup reports.chart reports.markdown reports.junit reports.page reports.files
    # What people see of a run
    views.text views.ci views.rows views.terminal views
    # The verbs: a module each, and what only they need
    verbs verbs.explain verbs.query verbs.fields verbs.crds verbs.lint_types verbs.lint_expression verbs.lint_null verbs.lint_command verbs.lint_rule verbs.lint_kind verbs.lint verbs.test verbs.new_rule verbs.fixtures verbs.rules verbs.report verbs.completion
"""
ORDER = {name: number for number, name in enumerate(re.sub("#.*", "", LAYERS).split(), start=1)} | {"": 0, "reports": 0}
FILES = sorted((ROOT / PACKAGE).rglob("*.py"))
LONGEST, LONGEST_ENGINE = 450, 700  # lines
CONTRIBUTING = ROOT / "CONTRIBUTING.md"
TABLE = re.compile(r"(?<=each module -->\n).*(?=<!-- end of the table)", re.DOTALL)


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT / PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def first_line_of(path: Path) -> str:
    return (ast.get_docstring(ast.parse(path.read_text())) or "").split("\n", maxsplit=1)[0]


def make_table() -> str:
    """The modules in the order of their layers, each with its first line, as Markdown."""
    rows = []
    for line in LAYERS.strip().splitlines():
        if "#" in line:
            rows.append(f"| **{line.strip('# ')}** | |\n")
            continue
        for name in line.split():
            path = f"{PACKAGE}/{name.replace('.', '/')}"
            path += "/__init__.py" if (ROOT / path).is_dir() else ".py"
            rows.append(f"| [{path.removeprefix(f'{PACKAGE}/')}]({path}) | {first_line_of(ROOT / path)} |\n")
    return "".join(["\n| module | what it is for |\n|---|---|\n", *rows])


def imports_of(path: Path) -> set[str]:
    """The modules that a file imports, anywhere in it: at its head, in a function, for annotations only."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {each.name for each in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            modules = {f"{node.module}.{each.name}" for each in node.names}
            found |= {module if (ROOT / module.replace(".", "/")).with_suffix(".py").exists() else str(node.module) for module in modules}
    return found


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_a_module_knows_nothing_of_the_layers_above(path: Path) -> None:
    own = name_of(path)
    assert own in ORDER, f"{own} has no place in LAYERS"
    for module in imports_of(path):
        assert module.partition(".")[0] != "rollout_status", f"{own} imports the engine"
        if module.partition(".")[0] == PACKAGE:
            assert ORDER[module.removeprefix(PACKAGE).lstrip(".")] < ORDER[own], f"{own} imports {module}, which is not below it"


def test_each_layer_is_there() -> None:
    assert {name_of(path) for path in FILES} == set(ORDER)


@pytest.mark.parametrize("path", [ROOT / "rollout_status.py", *FILES], ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_module_is_longer_than_a_reader_takes(path: Path) -> None:
    longest = LONGEST_ENGINE if path.parent == ROOT else LONGEST
    assert len(path.read_text().splitlines()) <= longest


@pytest.mark.parametrize("path", [ROOT / "rollout_status.py", *FILES], ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_module_says_what_it_is_for(path: Path) -> None:
    """In its first line, in a sentence."""
    first = first_line_of(path)
    assert len(first) > 20
    assert first[-1] in ".:,;" or len(first) > 60


def test_contributing_has_each_module_with_its_first_line() -> None:
    """`make docs` writes the table."""
    (table,) = TABLE.findall(CONTRIBUTING.read_text())
    assert table == make_table()


if __name__ == "__main__":
    CONTRIBUTING.write_text(TABLE.sub(lambda _: make_table(), CONTRIBUTING.read_text()))
