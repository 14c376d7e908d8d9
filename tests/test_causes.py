"""The cause behind the cause: what is asked for while something waits, and how it is told. The cases are in fixtures/used/."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from conftest import FIXTURES, Outcome, run, snapshot

from rollout_status_lib.story import tell_story

Program = Callable[..., str]
CASE = "used/storage/class-missing"
# Answers like the cluster of a case; an object that is asked for by its name does not exist
CLUSTER = """
case "$*" in
  *"$FORBIDDEN"*) echo 'Error from server (Forbidden): it is forbidden' >&2; exit 1 ;;
  *--ignore-not-found*) ;;
  *) cat %s ;;
esac
"""
CHAIN = 'PersistentVolumeClaim "data" is not bound <- StorageClass "nope" does not exist'


def calls(program: str) -> list[str]:
    """What it was asked for beside the lists of a run that is well."""
    lines = Path(program).with_name("calls").read_text().splitlines()
    usual = re.compile("deployments|pods|events")
    return [line.partition(" get ")[2] for line in lines if not usual.search(line)]


def watch(kubectl: Program, *arguments: str, case: str = CASE, forbidden: str = "nothing") -> tuple[Outcome, list[str]]:
    program = kubectl(f"FORBIDDEN='{forbidden}'\n{CLUSTER % snapshot(case)}")
    patience = ("--pending-deadline=-1", "--set", "provision-grace=-1", "--set", "progress-deadline=-1")
    outcome = run("--kubectl", program, "-n", "i16", *patience, *arguments)
    return outcome, calls(program)


def test_one_list_a_kind_and_objects_in_no_namespace_by_name(kubectl: Program) -> None:
    """Two pods wait for one claim."""
    outcome, asked = watch(kubectl, "--once")
    assert asked == ["--raw /api/v1/namespaces/i16/persistentvolumeclaims", "storageclasses.storage.k8s.io nope --ignore-not-found -o json"]
    assert [each["name"] for each in outcome.error["causes"]] == ["data", "nope"]


def test_many_claims_are_one_list_and_their_class_one_call(kubectl: Program) -> None:
    """Three pods with a claim each, of two workloads."""
    program = kubectl(f"FORBIDDEN=nothing\n{CLUSTER % snapshot('used/storage/statefulset-class-missing')}")
    outcome = run("--kubectl", program, "-n", "i16-sts", "--once", "--pending-deadline=-1", "--set", "provision-grace=-1")
    assert outcome.exit == 3
    assert calls(program) == [
        "--raw /api/v1/namespaces/i16-sts/persistentvolumeclaims",
        "storageclasses.storage.k8s.io nope --ignore-not-found -o json",
    ]


def test_five_hundred_pods_with_a_claim_each_are_two_lists_more(kubectl: Program, tmp_path: Path) -> None:
    objects = json.loads(snapshot(CASE).read_text())["items"]
    (pod, *_), (claim, *_) = ([each for each in objects if each["kind"] == kind] for kind in ("Pod", "PersistentVolumeClaim"))
    for number in range(500):
        volumes = [{"name": "data", "persistentVolumeClaim": {"claimName": f"data-{number}"}}]
        names = [{"name": f"{each}-{number}", "uid": f"{each}-{number}"} for each in ("web", "data")]
        objects.append({**pod, "metadata": pod["metadata"] | names[0], "spec": pod["spec"] | {"volumes": volumes}})
        objects.append({**claim, "metadata": claim["metadata"] | names[1]})
    (tmp_path / "crowd.json").write_text(json.dumps({"kind": "List", "items": objects}))
    program = kubectl(f"FORBIDDEN=nothing\n{CLUSTER % (tmp_path / 'crowd.json')}")
    outcome = run("--kubectl", program, "-n", "i16", "--once", "--pending-deadline=-1", "--set", "provision-grace=-1")
    assert outcome.exit == 3
    assert calls(program) == [
        "--raw /api/v1/namespaces/i16/persistentvolumeclaims",
        "storageclasses.storage.k8s.io nope --ignore-not-found -o json",
    ]
    assert len(Path(program).with_name("calls").read_text().splitlines()) <= 6  # these, the workloads, the pods, the events, the version


def test_while_all_is_well_nothing_more_is_asked(kubectl: Program) -> None:
    program = kubectl(f"cat {snapshot('deployment/success')}")
    assert run("--kubectl", program, "-n", "r-deployment-success").exit == 0
    assert calls(program) == []


@pytest.mark.parametrize(
    ("forbidden", "seen", "note"),
    [
        ("persistentvolumeclaims", [], "persistentvolumeclaims of namespace i16 could not be read, so a cause may lie there: "),
        ("storageclasses", ["data"], "storageclasses.storage.k8s.io could not be read, so a cause may lie there: "),
    ],
)
def test_what_may_not_be_read_is_a_note(kubectl: Program, forbidden: str, seen: list[str], note: str) -> None:
    outcome, _ = watch(kubectl, "--once", forbidden=forbidden)
    assert outcome.exit == 3
    assert [each["name"] for each in outcome.error.get("causes", ())] == seen
    assert [each for each in outcome.result["notes"] if each.startswith(note)]


def test_a_recording_has_what_was_read_and_what_was_not_there(kubectl: Program, tmp_path: Path) -> None:
    outcome, _ = watch(kubectl, "--set", "missing-grace=0", "--record", str(tmp_path / "record"))
    assert outcome.exit == 1
    assert outcome.error["causes"][-1]["message"] == 'StorageClass "nope" does not exist'
    assert yaml.safe_load((tmp_path / "record/recording.yaml").read_text())["polls"][-1]["used"] == {
        "persistentvolumeclaims": ["i16"],
        "storageclasses.storage.k8s.io": ["nope"],
    }
    assert run("--set", "missing-grace=0", "--replay", str(tmp_path / "record")).error == outcome.error


def test_of_secrets_only_the_names_are_read(kubectl: Program, tmp_path: Path) -> None:
    """The table that people see; with -o json or -o name the API server would send what is in them, too."""
    table = "*' secrets '*) echo 'web-tls   kubernetes.io/tls   2   5m' ;; *) false ;;"
    program = kubectl(f'FORBIDDEN=nothing\ncase "$*" in {table} esac ||\n{CLUSTER % snapshot("packs/network/ingress-secret-missing")}')
    outcome = run("--kubectl", program, "-n", "shop", "--kinds", "ingress", "--once", "--record", str(tmp_path / "record"))
    assert [call for call in calls(program) if "secrets" in call] == ["secrets web-tls api-tls -n shop --ignore-not-found --no-headers"]
    assert outcome.result["notes"] == ['Ingress "web" has no certificate of its own: there is no Secret "api-tls"']
    recorded = json.loads((tmp_path / "record/001.json").read_text())["items"]
    assert [each for each in recorded if each["kind"] == "Secret"] == [
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "web-tls", "namespace": "shop"}}
    ]
    used = yaml.safe_load((tmp_path / "record/recording.yaml").read_text())["polls"][-1]["used"]
    assert used["secrets"] == ["shop/web-tls", "shop/api-tls"]
    assert run("--kinds", "ingress", "--replay", str(tmp_path / "record")).error["causes"] == outcome.error["causes"]


def test_a_kind_that_the_cluster_does_not_have_is_a_note(kubectl: Program) -> None:
    """cert-manager without its ACME issuers."""
    lacks = """*orders.acme*) echo "error: the server doesn't have a resource type \\"orders\\"" >&2; exit 1 ;; *) false ;;"""
    program = kubectl(f'FORBIDDEN=nothing\ncase "$*" in {lacks} esac ||\n{CLUSTER % snapshot("packs/cert-manager/certificate-challenge")}')
    outcome = run("--kubectl", program, "-n", "shop", "--kinds", "certificate", "--once")
    assert outcome.exit == 3
    assert [each["kind"] for each in outcome.error["causes"]] == ["CertificateRequest", "ClusterIssuer"]  # by its name there is none
    assert [note for note in outcome.result["notes"] if note.startswith("orders.acme.cert-manager.io of namespace shop could not be read")]


def test_what_a_recording_did_not_ask_for_is_not_missing(tmp_path: Path) -> None:
    """As in one of an earlier release."""
    shutil.copytree(FIXTURES / CASE, tmp_path / "old")
    path = tmp_path / "old/recording.yaml"
    content = yaml.safe_load(path.read_text())
    for poll in content["polls"]:
        del poll["used"]
    path.write_text(yaml.safe_dump(content))
    outcome = run("--replay", str(tmp_path / "old"))
    assert outcome.exit == 3
    assert [each["name"] for each in outcome.error["causes"]] == ["data"]


def test_the_last_cause_leads_and_the_chain_is_told_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reports = [tmp_path / name for name in ("report.md", "report.xml", "report.html")]
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    outcome = run("--replay", str(FIXTURES / CASE), *(f"--report={path}" for path in reports))
    text = run("--replay", str(FIXTURES / CASE), "-o", "text", "--quiet").stdout
    assert '\ncause: StorageClass "nope" does not exist (scheduling, since ' in text
    annotation = next(line for line in outcome.stderr.splitlines() if line.startswith("::error"))
    assert '::cause: StorageClass "nope" does not exist (scheduling, since ' in annotation
    plain = [path.read_text().replace("&lt;", "<").replace("&quot;", '"').replace("\\", "") for path in reports]
    for view in (text, annotation, *plain):
        assert view.count(CHAIN) == 1
        assert "kubectl get storageclasses" in view


def test_what_stops_several_workloads_is_told_once(tmp_path: Path) -> None:
    result = run("--replay", str(FIXTURES / "used/storage/statefulset-class-missing"), "--set", "missing-grace=5s").result
    (cause,) = tell_story(result).causes
    assert (cause.count, cause.others) == (3, (("StatefulSet", "i16-sts", "db"),))
    assert cause.details[-1] == "the same stops StatefulSet/i16-sts/db"
    assert cause.serving == ("Deployment/scratch: nothing serves", "StatefulSet/db: nothing serves")
    twice = {**result, "errors": [*result["errors"], result["error"]]}
    assert [each.others for each in tell_story(twice).causes] == [(("StatefulSet", "i16-sts", "db"),)]


def test_what_waits_has_its_causes_and_several_share_one(kubectl: Program) -> None:
    """Pods of two workloads, with claims of their own that name one StorageClass."""
    program = kubectl(f"FORBIDDEN=nothing\n{CLUSTER % snapshot('used/storage/statefulset-class-missing')}")
    patience = ("--pending-deadline=-1", "--set", "provision-grace=-1")
    outcome = run("--kubectl", program, "-n", "i16-sts", "--context", "prod", "--once", *patience)
    scratch, db = outcome.result["workloads"]
    for workload, claim in ((scratch, "scratch-657b96f774-"), (db, "data-db-0")):
        nearest, last = workload["causes"]
        assert nearest["name"].startswith(claim)
        assert (last["message"], last["hint"]) == (
            'StorageClass "nope" does not exist',
            "kubectl get storageclasses --context=prod # one of these names; or let an admin create nope",
        )
    line = 'statefulset/db: Pod "db-0" cannot be scheduled <- PersistentVolumeClaim "data-db-0" is not bound <- the same cause as for deployment/scratch'
    for told in (outcome.error["message"], outcome.stderr.partition("The rollout")[0]):
        assert told.count('<- StorageClass "nope" does not exist') == 1
        assert line in told
    first, second = tell_story(outcome.result).outcomes
    assert first.message == 'StorageClass "nope" does not exist'  # the error tells what leads to it
    assert second.message == line.partition(": ")[2].replace("deployment/scratch", "Deployment/scratch in i16-sts")
    beside = {**outcome.result, "error": {"code": "not-found", "type": "rollout", "message": "gone"}}
    assert [each.message.count(" <- ") for each in tell_story(beside).outcomes] == [2, 2]
    own = {name: scratch[name] for name in ("kind", "namespace", "name")}
    failed = {**outcome.result["error"], "message": "x", "workload": own, "resource": own | {"kind": "Pod"}}
    waits = tell_story({**outcome.result, "error": failed}).outcomes[1]
    assert waits.message.endswith("<- the same cause as for Deployment/scratch in i16-sts")


def test_a_cause_is_told_by_the_workload_that_it_is_about() -> None:
    """A Service waits for the pods of a Deployment."""
    outcome = run("--replay", str(FIXTURES / "packs/network/piped-not-serving"))
    assert 'service/web: Service "web" has no ready pod, of 2 <- the same cause as for deployment/web' in outcome.error["message"]


def test_a_slip_in_uses_is_told_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "team.yaml"
    path.write_text("version: 1\nkinds:\n- {name: pod, uses: [{kind: node}]}\n")
    outcome = run("--rules", str(path), "--replay", str(FIXTURES / CASE))
    assert outcome.error["message"] == f"{path}:3: write one of names, labels and owned: which objects are used"
