"""What is asked of a cluster where few are judged: these and what they select; and what is watched then."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import run, snapshot
from test_both_ways import copy_objects

from rollout_status_lib.sources.live import Live
from rollout_status_lib.sources.selectors import join_selectors, read_selector, write_selector

CASE, SPACE = "deployment/success", "r-deployment-success"
Cluster = Callable[..., str]


@pytest.fixture
def seldom(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is watched is polled so seldom that only a bell would tell of a change in time."""
    monkeypatch.setattr(Live, "IDLE", 600.0)


def calls(program: str) -> list[str]:
    return Path(program).with_name("calls").read_text().splitlines()


def items(case: str = CASE) -> list[dict]:
    return [each for each in json.loads(snapshot(case).read_text())["items"] if each["kind"] in ("Deployment", "ReplicaSet", "Pod")]


def others(count: int) -> list[dict]:
    return [each for number in range(count) for each in copy_objects(items(), f"other{number}-", relabel=True)]


def applied(objects: list[dict], *kinds: str) -> str:
    return json.dumps(
        {"kind": "List", "items": [{key: each[key] for key in each if key != "status"} for each in objects if each["kind"] in kinds]}
    )


def test_one_that_is_named_is_read_without_the_others(api: Cluster) -> None:
    program = api(items() + others(3))
    assert run("--kubectl", program, "-n", SPACE, "deployment/web").exit == 0
    assert calls(program) == [
        f"get deployments.apps -n {SPACE} --field-selector metadata.name=web -o json # 1",
        f"get replicasets.apps,pods -n {SPACE} -l app=web -o json # {len(items()) - 1}",
    ]


def test_what_comes_through_the_pipe_is_asked_for_at_once(api: Cluster) -> None:
    """Two Deployments of which others have nothing: one list for what both own."""
    mine = items() + copy_objects(items(), "my-", relabel=True)
    program = api(mine + others(3))
    assert run("--kubectl", program, "-f", "-", stdin=applied(mine, "Deployment")).exit == 0
    assert sorted(calls(program)) == [
        f"get deployments.apps/web deployments.apps/my-web -n {SPACE} --ignore-not-found -o json # 2",
        f"get replicasets.apps,pods -n {SPACE} -l app in (my-web,web) -o json # {len(mine) - 2}",
    ]


def test_who_may_not_get_lists_from_then_on(api: Cluster) -> None:
    """Two that are named, with the rights of the Role that we had before."""
    mine = items() + copy_objects(items(), "my-", relabel=True)
    mine[0]["metadata"]["generation"] += 1
    program = api(mine)
    text = Path(program).read_text().replace("exec", 'case "$*" in *deployments.apps/*) echo >>$0.refused; exit 1 ;; esac; exec')
    Path(program).write_text(text)
    outcome = run("--kubectl", program, "-n", SPACE, "deployment/web", "deployment/my-web", "--timeout", "3s", "--interval", "200ms")
    assert (outcome.exit, outcome.result["polls"] > 1) == (3, True)
    assert len(Path(f"{program}.refused").read_text().splitlines()) == 1
    assert f"get deployments.apps -n {SPACE} -o json # 2" in calls(program)


def test_a_selector_that_the_api_server_makes_is_read_from_it(api: Cluster) -> None:
    """As a Job's: what is piped is what `kubectl create --dry-run=client -o json` prints."""
    mine = [each for each in json.loads(snapshot("job/success").read_text())["items"] if each["kind"] in ("Job", "Pod")]
    manifest = json.loads(applied(mine, "Job"))["items"][0]
    del manifest["spec"]["selector"], manifest["metadata"]["uid"]
    program = api(mine + others(2))
    assert run("--kubectl", program, "-f", "-", stdin=json.dumps(manifest)).exit == 0
    assert ["pods?labelSelector=batch.kubernetes.io%2Fcontroller-uid%3D" in call for call in calls(program)] == [False, True]


def test_what_a_selector_matches(api: Cluster) -> None:
    program = api(items() + others(3))
    assert run("--kubectl", program, "-n", SPACE, "-l", "app=web").exit == 0
    assert [call.partition(" -n ")[2] for call in calls(program)] == [
        f"{SPACE} -l app=web -o json # 1",
        f"{SPACE} -l app=web -o json # {len(items()) - 1}",
    ]


def test_more_names_than_kubectl_gets_at_once_are_listed(api: Cluster) -> None:
    """kubectl would wait between them. What they own is still asked for by itself."""
    mine = others(9)
    program = api(mine + items())
    assert run("--kubectl", program, "-f", "-", stdin=applied(mine, "Deployment")).exit == 0
    first, second = sorted(calls(program))
    assert first == f"get deployments.apps -n {SPACE} -o json # 10"
    assert second.startswith(f"get replicasets.apps,pods -n {SPACE} -l app in (other0-web,")


def test_many_are_listed_with_all_others(api: Cluster) -> None:
    mine = others(101)
    program = api(mine)
    assert run("--kubectl", program, "-f", "-", stdin=applied(mine, "Deployment")).exit == 0
    assert sorted(call.partition(" # ")[0] for call in calls(program)) == [
        f"get --raw /api/v1/namespaces/{SPACE}/pods",
        f"get deployments.apps,replicasets.apps -n {SPACE} -o json",
    ]


def test_many_pods_are_not_decoded_by_kubectl(api: Cluster) -> None:
    mine = items()
    mine[0]["spec"]["replicas"] = 51
    program = api(mine)
    run("--kubectl", program, "-n", SPACE, "deployment/web", "--once")
    assert f"get --raw /api/v1/namespaces/{SPACE}/pods?labelSelector=app%3Dweb # {len(mine) - 2}" in calls(program)


def test_a_name_that_is_not_there_may_be_meant_for_another(api: Cluster) -> None:
    program = api(items())
    outcome = run("--kubectl", program, "-n", SPACE, "deployment/wbe")
    assert (outcome.exit, outcome.error["code"]) == (1, "not-found")
    assert "did you mean web?" in outcome.error["message"]


def test_who_may_not_list_others_is_told_that_it_is_not_there(api: Cluster) -> None:
    program = api(items())
    refused = 'case "$*" in *field-selector*) ;; *"get deployments"*) echo "Error from server (Forbidden)" >&2; exit 1 ;; esac; exec'
    Path(program).write_text(Path(program).read_text().replace("exec", refused))
    outcome = run("--kubectl", program, "-n", SPACE, "deployment/wbe")
    assert (outcome.exit, outcome.error["code"], outcome.error["message"]) == (1, "not-found", 'deployments.apps "wbe" not found')


def test_what_is_in_no_namespace_does_not_hide_the_namespace(api: Cluster) -> None:
    """Without -n; the first answer begins with an object that is in none."""
    ready = {"type": "Ready", "status": "True", "reason": "ACMEAccountRegistered", "message": "", "observedGeneration": 1}
    issuer = {"apiVersion": "cert-manager.io/v1", "kind": "ClusterIssuer", "metadata": {"name": "acme", "uid": "issuer", "generation": 1}}
    program = api([issuer | {"status": {"conditions": [ready]}}, *items()])
    assert run("--kubectl", program, "clusterissuer/acme", "deployment/web", "--timeout", "20s").exit == 0


@pytest.mark.usefixtures("seldom")
def test_what_is_not_there_yet_is_asked_for_often(api: Cluster, tmp_path: Path) -> None:
    """What is there is watched; what is not there cannot be."""
    job = {**next(each for each in json.loads(snapshot("job/success").read_text())["items"] if each["kind"] == "Job")}
    job["metadata"] = {**job["metadata"], "namespace": SPACE, "name": "migrate"}
    program = api(items())
    (tmp_path / "later.json").write_text(json.dumps({"kind": "List", "items": [*items(), job]}))
    later = f'[ "$(grep -c jobs.batch/migrate {tmp_path}/calls 2>/dev/null)" -gt 3 ] && cp {tmp_path}/later.json {tmp_path}/now.json; exec'
    Path(program).write_text(Path(program).read_text().replace("exec", later))
    words = ("deployment/web", "job/migrate", "--wait-for-create", "60s", "--timeout", "60s", "--interval", "300ms")
    assert run("--kubectl", program, "-n", SPACE, *words).exit == 0


def test_an_owner_whose_labels_say_nothing_is_read_with_all(api: Cluster) -> None:
    mine = items()
    mine[0]["spec"]["selector"] = {}
    program = api(mine + others(1))
    assert run("--kubectl", program, "-n", SPACE, "deployment/web").exit == 0
    assert sorted(calls(program)[1:]) == [
        f"get --raw /api/v1/namespaces/{SPACE}/pods # {2 * (len(mine) - 2)}",
        f"get replicasets.apps -n {SPACE} -o json # 2",
    ]


def test_what_was_selected_before_still_counts(api: Cluster, tmp_path: Path) -> None:
    """The selector of a Deployment has changed since it was applied; its old pods have the old labels."""
    mine = items()
    text = applied(mine, "Deployment")
    mine[0]["spec"]["selector"]["matchLabels"] = {"app": "new"}
    program = api(mine)
    assert run("--kubectl", program, "-f", "-", stdin=text).exit == 0
    assert sorted(call.partition(" -l ")[2] for call in calls(program)) == [
        "",
        f"app in (new,web) -o json # {len(mine) - 1}",
        f"app=web -o json # {len(mine) - 1}",
    ]


def test_several_of_which_none_is_there(api: Cluster) -> None:
    outcome = run("--kubectl", api(items()), "-n", SPACE, "deployment/one", "deployment/two")
    assert (outcome.exit, outcome.error["code"]) == (1, "not-found")


def test_a_selector_that_changes_changes_what_is_watched(api: Cluster, tmp_path: Path) -> None:
    mine = items()
    mine[0]["metadata"]["generation"] += 1
    program = api(mine)
    mine[0]["spec"]["selector"]["matchLabels"] = {"app": "new"}
    (tmp_path / "later.json").write_text(json.dumps({"kind": "List", "items": mine}))
    later = f'[ "$(grep -c watch=1 {tmp_path}/calls 2>/dev/null)" -ge 3 ] && cp {tmp_path}/later.json {tmp_path}/now.json; exec'
    Path(program).write_text(Path(program).read_text().replace("exec", later))
    assert run("--kubectl", program, "-n", SPACE, "deployment/web", "--timeout", "5s", "--interval", "300ms").exit == 3
    watched = [call for call in calls(program) if "pods?" in call and "watch=1" in call]
    assert ["app%20in%20%28new%2Cweb%29" in call for call in watched] == [False, True]


def test_what_is_watched_is_as_narrow(api: Cluster) -> None:
    mine = items()
    mine[0]["metadata"]["generation"] += 1  # nobody has observed it
    program = api(mine + others(2))
    assert run("--kubectl", program, "-n", SPACE, "deployment/web", "--timeout", "3s").exit == 3
    query = "watch=1&allowWatchBookmarks=true&timeoutSeconds=300&resourceVersion=0"
    watched = {call.removeprefix("get --raw ") for call in calls(program) if "watch=1" in call}
    assert watched == {
        f"/apis/apps/v1/namespaces/{SPACE}/deployments?fieldSelector=metadata.name%3Dweb&{query}",
        f"/apis/apps/v1/namespaces/{SPACE}/replicasets?labelSelector=app%3Dweb&{query}",
        f"/api/v1/namespaces/{SPACE}/pods?labelSelector=app%3Dweb&{query}",
    }


def test_a_watch_begins_where_the_list_has_ended(api: Cluster) -> None:
    mine = items()
    mine[0]["metadata"]["generation"] += 1
    program = api(mine)
    assert run("--kubectl", program, "-n", SPACE, "--timeout", "3s").exit == 3
    assert any("/pods?watch=1" in call and call.endswith("resourceVersion=4711") for call in calls(program))


@pytest.mark.parametrize(
    ("selector", "written"),
    [
        ({"matchLabels": {"tier": "web", "app": "a"}}, "app=a,tier=web"),
        ({"matchExpressions": [{"key": "a", "operator": "In", "values": ["x", "y"]}]}, "a in (x,y)"),
        ({"matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["x", "y"]}]}, "a notin (x,y)"),
        ({"matchExpressions": [{"key": "a", "operator": "Exists"}, {"key": "b", "operator": "DoesNotExist", "values": []}]}, "a,!b"),
        ({"matchLabels": {"app": ""}}, "app="),
        ({"matchLabels": {"app": 3}}, ""),
        ({"matchLabels": {"app": "a,b"}}, ""),
        ({"matchExpressions": [{"key": "a", "operator": "Near", "values": ["x"]}]}, ""),
        ({"matchExpressions": [{"key": "a", "operator": "In", "values": []}]}, ""),
        ({"matchExpressions": [3]}, ""),
        ({}, ""),
        (None, ""),
    ],
)
def test_a_selector_is_written_as_the_api_reads_it(selector: dict, written: str) -> None:
    assert write_selector(read_selector(selector)) == written


@pytest.mark.parametrize(
    ("selectors", "written"),
    [
        ([{"app": "a"}, {"app": "b"}], ["app in (a,b)"]),
        ([{"app": "a", "tier": "x"}, {"app": "b", "tier": "x"}, {"app": "a"}], ["app in (a,b)"]),
        ([{"name": "a", "instance": "i"}, {"name": "b", "instance": "i"}], ["instance=i,name in (a,b)"]),
        ([{"app": "a"}, {"job": "b"}, {"app": "c"}], ["app in (a,c)", "job=b"]),
    ],
)
def test_selectors_are_joined_to_what_matches_all_that_they_match(selectors: list[dict], written: list[str]) -> None:
    assert [write_selector(each) for each in join_selectors(read_selector({"matchLabels": each}) for each in selectors)] == written
