"""What serves now, while a rollout waits or has failed: the pods that are ready, and of which revision they are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from rollout_status_lib import Json
from rollout_status_lib.findings import Workload
from rollout_status_lib.functions import Functions, is_true
from rollout_status_lib.objects import get_controller, get_field, get_identity, get_namespace
from rollout_status_lib.rules import Rules
from rollout_status_lib.source import Snapshot
from rollout_status_lib.subjects import walk_subjects
from rollout_status_lib.uses import has_labels


def find_serving(workload: Workload, rules: Rules, snapshot: Snapshot) -> dict[str, Json]:
    """The field `serving` for a workload: how many pods are ready and wanted, and which revision they run.

    Of several revisions the one with the most pods that are ready counts. Nothing for a workload that is ready, or that serves nobody.
    """
    if workload.status not in ("waiting", "failed"):
        return {}
    functions = Functions(snapshot.at)
    pods = list(find_pods(workload, rules, functions) if workload.kind.desired else find_selected(workload, rules, snapshot, functions))
    desired: Json = workload.kind.desired.evaluate(workload.value, functions) if workload.kind.desired else len(pods)
    if type(desired) is not int or desired < 1:
        return {}
    by_revision: dict[str, list[Json]] = {}
    for pod in pods:
        serving = rules.kinds[pod["kind"]].serving
        if serving and is_true(serving.when.evaluate(pod["object"], functions)):
            revision = pod["revision"] or serving.revision.evaluate(pod["object"], functions)
            images = serving.images.evaluate(pod["object"], functions)
            by_revision.setdefault(str(revision or ""), []).append(images if isinstance(images, list) else [])
    revision = max(by_revision, key=lambda name: len(by_revision[name]), default="")
    images = sorted({str(image) for each in by_revision.get(revision, ()) for image in each})
    return {
        "serving": {
            **({"revision": revision} if revision and workload.kind.desired else {}),
            "ready": len(by_revision.get(revision, ())),
            "desired": desired,
            **({"images": images} if images else {}),
        }
    }


def find_pods(workload: Workload, rules: Rules, functions: Functions) -> Iterator[Json]:
    """The objects of a workload that could serve, each as {kind, object, revision}; null for a revision that the object itself tells."""
    current = [subject.value for subject in walk_subjects(workload.subject) if not subject.kind.part_of]
    values = {get_identity(each): each for each in (*current, *workload.subject.old)}
    numbers = dict(number_revisions(workload, rules, values, functions))
    for each in values.values():
        kind = rules.find_kind(each)
        if kind and kind.serving:
            yield {"kind": kind.name, "object": each, "revision": numbers.get(str(get_field(get_controller(each), "uid")))}


def number_revisions(workload: Workload, rules: Rules, values: Mapping[str, Json], functions: Functions) -> Iterator[tuple[str, Json]]:
    """For each object that keeps a revision its identity, and the number of the revision."""
    revisions = workload.kind.revisions
    for identity, each in values.items() if revisions else ():
        kind = rules.find_kind(each)
        if revisions and kind and kind.name == revisions.kept_in:
            yield identity, revisions.number.evaluate(each, functions)


def find_images(workload: Workload, rules: Rules, functions: Functions) -> Iterator[str]:
    """What a workload is to run: the images of its template, or else those of its pods of now."""
    revisions = workload.kind.revisions
    template = [(rules.kinds[revisions.makes], revisions.current.evaluate(workload.value, functions))] if revisions else []
    for kind, value in template or [(subject.kind, subject.value) for subject in walk_subjects(workload.subject)]:
        images = kind.serving.images.evaluate(value, functions) if kind.serving else None
        yield from map(str, images if isinstance(images, list) else ())


def find_selected(workload: Workload, rules: Rules, snapshot: Snapshot, functions: Functions) -> Iterator[Json]:
    """What a workload selects by labels, as far as it was read: the pods behind a Service, as `find_pods` gives them."""
    namespace = get_namespace(workload.value)
    for use in workload.kind.uses:
        kind = rules.kinds[use.kind]
        labels: Json = use.labels.evaluate(workload.value, functions) if use.labels else None
        answer = snapshot.used.answers.get((kind.resource, namespace))
        for each in answer.objects if answer and isinstance(labels, dict) and labels and kind.serving else ():
            if rules.find_kind(each) is kind and get_namespace(each) == namespace and has_labels(each, labels):
                yield {"kind": kind.name, "object": each, "revision": None}
