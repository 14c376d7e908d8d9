"""When the tool asks: at once after news, seldom while nothing changes, and by the clock where nothing can be watched."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from conftest import ROOT, run, snapshot

import rollout_status
from rollout_status_lib.arguments import build_parser
from rollout_status_lib.errors import UnreadableError
from rollout_status_lib.objects import get_identity, parse_objects
from rollout_status_lib.rules import Rules
from rollout_status_lib.selection import make_selection
from rollout_status_lib.source import Hooks
from rollout_status_lib.sources.live import Live
from rollout_status_lib.sources.replay import Replay
from rollout_status_lib.sources.watches import Bell, Watch

pytestmark = pytest.mark.usefixtures("nothing_is_left_behind")

Program = Callable[..., str]
WAITING, READY = snapshot("container/slow-readiness", 1), snapshot("container/slow-readiness")
BOOKMARK = """echo '{"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "1"}}}'"""
# Answers with $DIR/now.json, which is what a watch that rings puts in its place
NOW = "[ -e $DIR/now.json ] || cp %s $DIR/now.json; cat $DIR/now.json"
NEWS = f"""cp {READY} $DIR/new.json; mv $DIR/new.json $DIR/now.json; echo '%s'; exec sleep 1000"""


@pytest.fixture
def no_polling(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pauses between polls are so long that only a bell, or time itself, brings a verdict before --timeout."""
    monkeypatch.setattr(Live, "FIRST_PAUSE", 600.0)


def watched(program: str) -> list[str]:
    return Path(program).with_name("watched").read_text().splitlines()


@pytest.mark.usefixtures("no_polling")
@pytest.mark.parametrize(
    "line",
    [
        '{"type": "MODIFIED", "object": {"metadata": {"resourceVersion": "new"}}}',
        '{"type": "DELETED", "object": {"metadata": {"resourceVersion": "1"}}}',
        '{"type": "ERROR", "object": {"code": 410}}',
        "what no API server says",
    ],
)
def test_news_is_judged_at_once(kubectl: Program, line: str) -> None:
    program = kubectl(NOW % WAITING, f"echo $2 >>$DIR/watched; {NEWS % line}")
    outcome = run("--kubectl", program, "-n", "r-deployment-slow-readiness", "--interval", "600s", "--timeout", "60s")
    assert (outcome.exit, outcome.result["polls"]) == (0, 2), outcome.result
    base, query = "/namespaces/r-deployment-slow-readiness/", "?watch=1&allowWatchBookmarks=true&timeoutSeconds=300&resourceVersion=0"
    assert set(watched(program)) == {
        f"{path}{query}" for path in (f"/apis/apps/v1{base}deployments", f"/apis/apps/v1{base}replicasets", f"/api/v1{base}pods")
    }


def test_what_the_last_poll_has_shown_is_no_news_and_what_is_watched_is_seldom_asked_for(
    kubectl: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Live, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(Live, "SLOWER", 1.0)
    shown = [each["metadata"]["resourceVersion"] for each in json.loads(WAITING.read_text())["items"] if each["kind"] != "Event"]
    known = "; ".join(f"""echo '{{"type": "ADDED", "object": {{"metadata": {{"resourceVersion": "{each}"}}}}}}'""" for each in shown)
    program = kubectl(f"cat {WAITING}", f"{known}; {BOOKMARK}; touch $DIR/heard; exec sleep 1000")
    outcome = run("--kubectl", program, "-n", "r-deployment-slow-readiness", "--timeout", "4s")
    assert outcome.exit == 3
    assert outcome.result["polls"] < 100  # until the bell is there; then, the last one
    assert outcome.result.get("notes") is None


@pytest.mark.parametrize(("pause", "watch"), [(0.01, "exec sleep 1000"), (0.01, "echo forbidden >&2; exit 1")])
def test_without_a_bell_it_polls(kubectl: Program, monkeypatch: pytest.MonkeyPatch, pause: float, watch: str) -> None:
    """Nobody hears anything, or may listen; what may not be watched is said."""
    monkeypatch.setattr(Live, "FIRST_PAUSE", pause)
    monkeypatch.setattr(Live, "IDLE", 600.0)
    program = kubectl(f'[ "$(wc -l <$DIR/calls)" -gt 12 ] && cat {READY} || cat {WAITING}', watch)
    outcome = run("--kubectl", program, "-n", "r-deployment-slow-readiness", "--interval", "100ms", "--timeout", "60s")
    assert outcome.exit == 0
    silent = [
        note for note in outcome.result.get("notes", ()) if re.search("pods cannot be watched, so it is polled every 0.1s: forbidden", note)
    ]
    assert len(silent) == ("forbidden" in watch)


def test_a_watch_that_ends_again_and_again_is_given_up(kubectl: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rollout succeeds some polls after the last watch has ended."""
    monkeypatch.setattr(Live, "FIRST_PAUSE", 0.1)
    # each that is watched has been so often, the events too, if they were read by now
    ended = f"sort $DIR/watched | uniq -c | awk '$1 != {Watch.OFTEN + 1} {{bad = 1}} END {{exit bad || NR < 3}}'"
    program = kubectl(
        f'touch $DIR/watched $DIR/late; {ended} && echo >>$DIR/late && [ "$(wc -l <$DIR/late)" -gt 30 ] && cat {READY} || cat {WAITING}',
        f"echo $2 >>$DIR/watched; {BOOKMARK}",
    )
    outcome = run("--kubectl", program, "-n", "r-deployment-slow-readiness", "--interval", "200ms", "--timeout", "90s")
    assert outcome.exit == 0
    assert any("pods cannot be watched, so it is polled every 0.2s: it has ended" in note for note in outcome.result["notes"])
    assert set(map(watched(program).count, set(watched(program)))) == {Watch.OFTEN + 1}


@pytest.mark.usefixtures("no_polling")
def test_a_watch_that_ends_is_begun_anew(kubectl: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Watch, "SHORT", 0.0)
    ends = f"echo $2 >>$DIR/watched; {BOOKMARK}; [ $(wc -l <$DIR/watched) -gt 9 ] || exit 0; cp {READY} $DIR/now.json"
    program = kubectl(NOW % WAITING, ends)
    outcome = run("--kubectl", program, "-n", "r-deployment-slow-readiness", "--timeout", "60s")
    assert (outcome.exit, outcome.result.get("notes")) == (0, None)
    assert len(watched(program)) > 9


def test_a_watch_of_which_nothing_is_heard_any_longer_is_given_up(kubectl: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Watch, "SILENCE", 0.3)
    monkeypatch.setattr(Live, "IDLE", 0.4)
    monkeypatch.setattr(Live, "FIRST_PAUSE", 0.1)
    program = kubectl(f'[ "$(wc -l <$DIR/calls)" -gt 60 ] && cat {READY} || cat {WAITING}', f"{BOOKMARK}; exec sleep 1000")
    outcome = run("--kubectl", program, "-n", "r-deployment-slow-readiness", "--interval", "200ms", "--timeout", "90s")
    assert outcome.exit == 0
    assert any("pods cannot be watched, so it is polled every 0.2s: nothing is heard of it" in note for note in outcome.result["notes"])


def test_a_watch_that_cannot_be_started(kubectl: Program) -> None:
    program = kubectl(f"cat {WAITING}; rm $0")
    outcome = run("--kubectl", program, "--timeout", "2s")
    assert (outcome.exit, outcome.error["code"]) == (3, "timeout")


@pytest.mark.usefixtures("no_polling")
def test_time_alone_brings_a_verdict(kubectl: Program, tmp_path: Path) -> None:
    """A container without a probe must have run for a while: no event says that it has."""
    content = json.loads(snapshot("container/crash-then-recover").read_text())
    began = (datetime.now(timezone.utc) - timedelta(seconds=20)).strftime("%Y-%m-%dT%H:%M:%SZ")
    for status in (status for each in content["items"] for status in each.get("status", {}).get("containerStatuses", ())):
        status |= {"state": {"running": {"startedAt": began}}, "restartCount": 0}
    (tmp_path / "objects.json").write_text(json.dumps(content))
    arguments = ("--kubectl", kubectl(f"cat {tmp_path}/objects.json"), "--interval", "600s", "--timeout", "60s")
    outcome = run(*arguments, "--set", "settle=22s")
    assert (outcome.exit, outcome.result["polls"]) == (0, 2)
    stable = run(*arguments, "--set", "settle=21s", "--stable-for", "2s")
    assert (stable.exit, stable.result["polls"]) == (0, 2)
    late = run(*arguments, "--set", "settle=21s", "--wait-for-create", "2s", "--kinds", "deployment", "deployment/none")
    assert late.exit == 2


@pytest.mark.usefixtures("no_polling")
def test_patience_ends_without_an_event(kubectl: Program) -> None:
    program = kubectl(f"cat {snapshot('seed/not-found')}")
    outcome = run("--kubectl", program, "deployment/web", "--wait-for-create", "1s", "--interval", "600s", "--timeout", "60s")
    assert (outcome.exit, outcome.error["code"], outcome.result["polls"]) == (1, "not-found", 2)
    outcome = run("--kubectl", program, "--wait-for-create", "1s", "--interval", "600s", "--timeout", "60s")
    assert (outcome.exit, outcome.error["code"], outcome.result["polls"]) == (1, "not-found", 2)


def test_a_list_that_kubectl_has_not_touched(kubectl: Program, tmp_path: Path) -> None:
    """Its items have no apiVersion and kind of their own; managedFields, which kubectl leaves out, are in it."""
    items = json.loads(READY.read_text())["items"]
    pods = [{**{key: each[key] for key in ("metadata", "spec", "status")}} for each in items if each["kind"] == "Pod"]
    for pod in pods:
        pod["metadata"]["managedFields"] = [{"manager": "kubelet"}]
    (tmp_path / "pods.json").write_text(
        json.dumps({"kind": "PodList", "apiVersion": "v1", "metadata": {"resourceVersion": "5"}, "items": pods})
    )
    others = json.dumps({"kind": "List", "apiVersion": "v1", "items": [each for each in items if each["kind"] != "Pod"]})
    (tmp_path / "others.json").write_text(others)
    program = kubectl(f'case "$*" in *--raw*) cat {tmp_path}/pods.json ;; *) cat {tmp_path}/others.json ;; esac')
    outcome = run("--kubectl", program, "-n", "r-deployment-slow-readiness", "--record", str(tmp_path / "recording"))
    assert (outcome.exit, outcome.result["polls"]) == (0, 1)
    recorded = json.loads((tmp_path / "recording" / "001.json").read_text())["items"]
    assert [(each["apiVersion"], "managedFields" in each["metadata"]) for each in recorded if each["kind"] == "Pod"] == [
        ("v1", False)
    ] * len(pods)
    for kind in ("List", None, 5):
        with pytest.raises(UnreadableError):
            parse_objects(json.dumps({"kind": kind, "apiVersion": "v1", "items": pods}), "it")


def test_the_timeout_counts_from_the_first_poll(kubectl: Program, tmp_path: Path) -> None:
    """Not from when the pipe is opened: a kubectl call would have less and less time."""
    program = kubectl(f"sleep 1.5; cat {READY}")
    applied = [each for each in json.loads(READY.read_text())["items"] if each["kind"] == "Deployment"]
    (tmp_path / "applied.json").write_text(json.dumps({"kind": "List", "items": applied}))
    tool = f"{sys.executable} {ROOT / 'rollout_status.py'} --kubectl {program} -f - --timeout 3s"
    done = subprocess.run(["bash", "-c", f"(sleep 2.5; cat {tmp_path}/applied.json) | {tool}"], capture_output=True, check=False)
    assert done.returncode == 0, done.stdout


NEW = {"metadata": {"uid": "new", "resourceVersion": "8"}}


@pytest.mark.parametrize(
    ("kind", "changed", "is_news"),
    [
        ("ADDED", NEW, True),
        ("ADDED", {**NEW, "kind": "Foreign"}, False),
        ("MODIFIED", {"kind": "Foreign", "metadata": {"uid": "pod", "resourceVersion": "8"}}, True),
        ("BOOKMARK", NEW, False),
        ("MODIFIED", {"metadata": {"uid": "pod", "resourceVersion": "7"}}, False),
        ("DELETED", {"metadata": {"uid": "pod", "resourceVersion": "7"}}, True),
        ("ADDED", {"metadata": {**NEW["metadata"], "ownerReferences": [{"controller": True, "uid": "rs"}]}}, True),
        ("ADDED", {"metadata": {**NEW["metadata"], "ownerReferences": [{"controller": True, "uid": "other"}]}}, False),
        ("MODIFIED", {"metadata": {"uid": "pod", "resourceVersion": "8", "ownerReferences": [{"controller": True, "uid": "other"}]}}, True),
        ("ADDED", {**NEW, "involvedObject": {"uid": "pod"}}, True),
        ("ADDED", {**NEW, "involvedObject": {"uid": "other"}}, False),
    ],
)
def test_what_belongs_to_nothing_that_is_judged_is_no_news(kind: str, changed: dict, is_news: bool) -> None:
    bell = Bell(None, lambda changed: "kind" not in changed)
    bell.known, bell.subjects = {"7"}, {"rs", "pod"}
    assert bell.is_news({"type": kind, "object": changed}) is is_news


def test_old_pods_are_among_what_is_judged(kubectl: Program) -> None:
    """For they are waited for."""
    case = ROOT / "fixtures/deployment/slow-old-pod-termination"
    options = build_parser().parse(["--replay", str(case)])
    rules = Rules(ROOT / "rules")
    selection = make_selection(options, rules)
    run, old = rollout_status.Run(), 0
    judge = rollout_status.Judge(rules, selection, [], 0.0, [])
    for poll in Replay(case, None, selection).polls(Hooks((), frozenset, lambda _: False)):
        _, run.memory = judge.judge(run.memory, poll.snapshot)
        pods = {get_identity(each) for each in poll.snapshot.objects if each["kind"] == "Pod"}
        old += len(pods - run.memory.grown.keys())
        assert pods <= run.get_judged()
    assert old > 0


USED_LATER = """case "$*" in
  *' services '*) [ $(grep -c ' services ' $DIR/calls) -ge %d ] && cat $DIR/service.json || echo '{"kind": "List", "items": []}' ;;
  *--ignore-not-found*) ;;
  *) cat $DIR/ingress.json ;;
esac"""


@pytest.mark.parametrize(("comes", "exit_code", "polls"), [(5, 0, range(5, 6)), (99, 3, range(5, 12))], ids=["later", "never"])
def test_what_is_used_and_not_watched_is_seen_at_the_next_poll(
    kubectl: Program, tmp_path: Path, comes: int, exit_code: int, polls: range
) -> None:
    """An Ingress does not change when the Service comes that it names: all that is watched is quiet, and it is polled as without a bell."""
    backend = {"service": {"name": "web", "port": {"number": 80}}}
    names = {
        "ingress": ("networking.k8s.io/v1", "Ingress", {"defaultBackend": backend}),
        "service": ("v1", "Service", {"type": "ClusterIP"}),
    }
    for file, (version, kind, spec) in names.items():
        metadata = {"name": "web", "namespace": "shop", "uid": file, "resourceVersion": "1"}
        thing = {"apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec, "status": {"loadBalancer": {}}}
        (tmp_path / f"{file}.json").write_text(json.dumps({"kind": "List", "items": [thing]}))
    program = kubectl(USED_LATER % comes, watch=f"{BOOKMARK}; exec sleep 1000")
    applied = (tmp_path / "ingress.json").read_text()
    outcome = run("--kubectl", program, "-f", "-", "--interval", "1s", "--timeout", "8s", stdin=applied)
    assert (outcome.exit, outcome.result["workloads"][0]["status"]) == (exit_code, "waiting" if exit_code else "ready")
    assert outcome.result["polls"] in polls
