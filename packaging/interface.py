"""What a release promises: rules, codes, parameters, kinds, flags, and schema.json. And which part of the version a change of it raises.

interface.py            says what has changed since the last release, and which version that wants
interface.py --write    what is now becomes the last release: packaging/released.json
"""

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
RELEASED = Path(__file__).with_name("released.json")
PARTS = ("patch", "minor", "major")
STRICTNESS = ("note", "ignore", "wait", "hold", "fail")  # of a rule, the strictest last
Change = tuple[str, str]  # part of the version, and a sentence


def read_version(root: Path = ROOT) -> str:
    """The version of a checkout."""
    (found,) = re.findall(r'^__version__ = "(.*)"', (root / "rollout_status_lib" / "__init__.py").read_text(), re.MULTILINE)
    return str(found)


def collect(root: Path, flags: list[str]) -> dict[str, Any]:
    """The interface of a checkout."""
    found: dict[str, Any] = {"version": read_version(root), "flags": sorted(flags)}
    found |= {section: {} for section in ("rules", "aliases", "codes", "params", "kinds")}
    folder = root / "rules"
    for path in [*folder.glob("*.yaml"), *folder.glob("packs/*.yaml"), *folder.glob("used/*.yaml")]:
        content = yaml.safe_load(path.read_text())
        for rule in content.get("rules", ()):
            found["rules"][rule["id"]] = rule.get("verdict", "wait") if "fail_when" not in rule and "fail_after" not in rule else "fail"
            aliases = rule.get("aliases", ())
            found["aliases"] |= dict.fromkeys([aliases] if isinstance(aliases, str) else aliases, rule["id"])
        found["codes"] |= {code["code"]: code.get("exit", 1) for code in content.get("codes", ())}
        found["kinds"] |= {kind["name"]: kind.get("resource", "") for kind in content.get("kinds", ())}
        for name, param in content.get("params", {}).items():
            found["params"][name] = {key: param[key] for key in ("type", "default", "choices") if key in param}
    found["schema"] = dict(flatten(json.loads((root / "schema.json").read_text())))
    return found


def flatten(schema: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """What schema.json says, by its place: of each field its type, which of its fields are required, which values it may have."""
    for key, value in schema.items() if isinstance(schema, dict) else enumerate(schema) if isinstance(schema, list) else ():
        if key in ("type", "required", "enum", "const", "pattern"):
            yield f"{path}/{key}", sorted(value, key=str) if isinstance(value, list) else value
        elif key not in ("description", "title", "$id", "$schema", "examples"):
            yield from flatten(value, f"{path}/{key}")


def list_flags() -> list[str]:
    """The flags of this checkout."""
    sys.path.insert(0, str(ROOT))
    from rollout_status_lib.arguments import build_parser  # noqa: PLC0415, only of this one

    return [name for name in build_parser().flags() if len(name) > 1]


def compare(old: dict[str, Any], new: dict[str, Any]) -> Iterator[Change]:
    """Each change of the interface, with the part of the version that it raises."""
    for section, word in (("rules", "rule"), ("codes", "code"), ("params", "parameter"), ("kinds", "kind")):
        for name in sorted(old[section].keys() - new[section].keys()):
            if section == "rules" and name in new["aliases"]:
                yield "minor", f"the rule {name} is called {new['aliases'][name]} now"
            else:
                yield "major", f"the {word} {name} is gone"
        yield from (("minor", f"there is a new {word} {name}") for name in sorted(new[section].keys() - old[section].keys()))
    yield from (("major", f"the flag --{name} is gone") for name in sorted({*old["flags"]} - {*new["flags"]}))
    yield from (("minor", f"there is a new flag --{name}") for name in sorted({*new["flags"]} - {*old["flags"]}))
    for name in sorted(old["rules"].keys() & new["rules"].keys()):
        before, after = (each["rules"][name] for each in (old, new))
        if STRICTNESS.index(after) > STRICTNESS.index(before):
            yield "major", f"the rule {name} is stricter: {after}, and {before} before"
        elif before != after:
            yield "minor", f"the rule {name} is milder: {after}, and {before} before"
    for name in sorted(old["codes"].keys() & new["codes"].keys()):
        if old["codes"][name] != new["codes"][name]:
            yield "major", f"the exit code of {name} is {new['codes'][name]}, and {old['codes'][name]} before"
    yield from compare_params(old["params"], new["params"])
    yield from compare_schemas(old["schema"], new["schema"])


def compare_params(old: dict[str, Any], new: dict[str, Any]) -> Iterator[Change]:
    for name in sorted(old.keys() & new.keys()):
        before, after = old[name], new[name]
        if before.get("type") != after.get("type") or set(before.get("choices", ())) - set(after.get("choices", before.get("choices", ()))):
            yield "major", f"the parameter {name} takes other values"
        elif before.get("default") != after.get("default"):
            seconds = [read_seconds(each.get("default")) for each in (before, after)]
            is_longer = None not in seconds and (seconds[1] < 0 or 0 <= seconds[0] < seconds[1])  # type: ignore[operator]
            is_added = isinstance(after.get("default"), list) and set(map(str, before.get("default", ()))) <= set(
                map(str, after["default"])
            )
            yield "minor" if is_longer or is_added else "major", f"the default of the parameter {name} is another"


def read_seconds(value: Any) -> float | None:
    """The seconds in a default; None if it is no duration and no number."""
    found = re.fullmatch(r"(-?\d+(?:\.\d+)?)(s|m|h|)", str(value))
    return float(found[1]) * {"s": 1, "m": 60, "h": 3600, "": 1}[found[2]] if found else None


def compare_schemas(old: dict[str, Any], new: dict[str, Any]) -> Iterator[Change]:
    """What readers of the result notice: a field or a value that is gone breaks them, and what is new does not."""
    for place in sorted(old.keys() | new.keys()):
        before, after = old.get(place), new.get(place)
        if before == after:
            continue
        if place.endswith("/required"):
            is_broken = not set(before or ()) <= set(after or ())  # what was always there
        elif isinstance(before, list) and isinstance(after, list):
            is_broken = not set(before) <= set(after)
        else:
            is_broken = before is not None
        yield "major" if is_broken else "minor", f"schema.json: {place} is {json.dumps(after)}, and {json.dumps(before)} before"


def raise_version(version: str, part: str) -> tuple[int, int, int]:
    """The lowest version that a change wants after another one. Before 1.0.0 a major change raises the second number, as SemVer allows."""
    first, second, third = map(int, version.split("."))
    if part == "major" and first:
        return first + 1, 0, 0
    return (first, second, third + 1) if part == "patch" else (first, second + 1, 0)


def find_lack(old: dict[str, Any], new: dict[str, Any]) -> str:
    """Why a version is not high enough for what has changed since the last release; empty if it is."""
    changes = sorted(compare(old, new), key=lambda change: -PARTS.index(change[0]))
    if not changes:
        return ""
    wanted = raise_version(old["version"], changes[0][0])
    if tuple(map(int, new["version"].split("."))) >= wanted:
        return ""
    return f"the version must be {'.'.join(map(str, wanted))} at least, since {changes[0][1]}"


def main() -> int:
    current, released = collect(ROOT, list_flags()), json.loads(RELEASED.read_text())
    if sys.argv[1:] == ["--write"]:
        RELEASED.write_text(json.dumps(current, indent=1, sort_keys=True) + "\n")
        return 0
    print(*(f"{part}: {sentence}" for part, sentence in compare(released, current)), sep="\n")
    lack = find_lack(released, current)
    print(lack or f"{current['version']} is high enough after {released['version']}")
    return int(bool(lack))


if __name__ == "__main__":
    sys.exit(main())
