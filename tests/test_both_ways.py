"""Each case once more, told by names in a namespace of others, from a cluster: the verdict is that of a replay, which reads all."""

import json
import re
from datetime import datetime
from pathlib import Path

import pytest
import yaml
from conftest import CASES, FIXTURES, ROOT, Outcome, Program, run

from rollout_status_lib.rules import Rules
from rollout_status_lib.values import format_timestamp

RULES = Rules(ROOT / "rules")


def last_poll(case: str) -> tuple[Path, datetime]:
    """The last snapshot of a case, and its time."""
    polls = [each for each in yaml.safe_load((FIXTURES / case / "recording.yaml").read_text())["polls"] if "objects" in each]
    at = polls[-1]["at"]
    return FIXTURES / case / polls[-1]["objects"], at if isinstance(at, datetime) else datetime.fromisoformat(at.replace("Z", "+00:00"))


def is_listed(each: dict) -> bool:
    """True for what a live run lists: the recording may have more."""
    kind = RULES.find_kind(each)
    return bool(each.get("metadata", {}).get("name")) and (kind is None or kind.listed)


def copy_objects(objects: list[dict], prefix: str, *, relabel: bool) -> list[dict]:
    """The same objects once more, as if they were others': with names and uids of their own, and with other labels if wanted."""
    text = json.dumps(objects)
    for uid in {each["metadata"].get("uid") for each in objects} - {None}:
        text = text.replace(json.dumps(uid), json.dumps(f"{prefix}{uid}"))
    copies = json.loads(text)
    for each in copies:
        each["metadata"]["name"] = f"{prefix}{each['metadata']['name']}"
        for selector in [each["metadata"], each.get("spec", {}).get("selector", {})] if relabel else []:
            for field in ("labels", "matchLabels"):
                if isinstance(selector, dict) and selector.get(field):
                    selector[field] = {key: f"{prefix}{value}" for key, value in selector[field].items()}
    return copies


def told(outcome: Outcome) -> tuple:
    """What must be the same both ways. Only a cluster tells what is used and not there, so the words may differ."""
    error = outcome.result.get("error") or {}
    workloads = [{key: each[key] for key in ("kind", "name", "status")} for each in outcome.result.get("workloads", ())]
    return outcome.exit, outcome.result["success"], error.get("code"), error.get("resource"), workloads


@pytest.mark.parametrize("case", [case for case in CASES if (FIXTURES / case / "001.json").exists()])
def test_the_verdict_is_the_same(case: str, api: Program, tmp_path: Path) -> None:
    file, moment = last_poll(case)
    objects = [each for each in json.loads(file.read_text())["items"] if is_listed(each)]
    everything = copy_objects(objects, "same-", relabel=False) + objects + copy_objects(objects, "far-", relabel=True)
    program, now = api(everything, moment.timestamp()), int(moment.timestamp()) + 0.5  # as the clock reads the date
    for each in objects:
        kind, owners = RULES.find_kind(each), each["metadata"].get("ownerReferences")
        if kind and kind.selector and not owners:
            where = ("-n", each["metadata"].get("namespace", "default"), f"{kind.name}/{each['metadata']['name']}", "--once")
            replayed = run("--replay", str(tmp_path / "now.json"), "--now", format_timestamp(now), *where)
            assert told(run("--kubectl", program, *where)) == told(replayed)
            assert not re.search(r"get (\S+,)?pods -n \S+ -o", (tmp_path / "calls").read_text())
