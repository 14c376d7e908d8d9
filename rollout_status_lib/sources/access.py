"""Which rights a run needs, which of them are missing, and the Roles that have those."""

from __future__ import annotations

import hashlib
import json
import shlex
import sys
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from rollout_status_lib import Json
from rollout_status_lib.clean import to_line
from rollout_status_lib.declarations import Kind
from rollout_status_lib.errors import RolloutError, UnreadableError, read_part
from rollout_status_lib.objects import get_field
from rollout_status_lib.source import Source
from rollout_status_lib.sources.kubectl import Answer
from rollout_status_lib.sources.live import Live

RBAC = Path(__file__).with_name("rbac.yaml")  # the Role and the ClusterRole with all rights, for people to copy


@dataclass(frozen=True, slots=True)
class Right:
    """A right: a verb on a resource like `deployments.apps` or `pods/log`."""

    verb: str
    resource: str
    where: tuple[str, ...]  # kubectl's arguments: -n NAME or -A; none is the namespace where kubectl looks by itself

    @property
    def question(self) -> tuple[str, ...]:
        """The arguments with which kubectl says whether it is there. To kubectl `pods/log` would be a pod named log."""
        resource, _, part = self.resource.partition("/")
        return ("auth", "can-i", self.verb, resource, *([f"--subresource={part}"] if part else ()), *self.where)

    def __str__(self) -> str:
        return " ".join([self.verb, self.resource, *self.where])


def check_access(source: Source, notes: list[str]) -> None:
    """Prints on stderr which rights are there, and a Role with those that are missing. All of stderr is YAML: the table is its comments.

    Adds each right to the notes. RolloutError `forbidden` when one that a verdict needs is missing.
    """
    if not isinstance(source, Live):
        raise RolloutError("usage", "--check-access needs a cluster: leave out --replay")
    missing: dict[Right, bool] = {}
    for right, needed, allowed in ask_rights(source):
        word = "yes" if allowed else f"no{'' if needed else ' (it works without)'}"
        say(source, f"# {right.verb:5} {right.resource:24} {' '.join(right.where) or 'here':24} {word}")
        notes.append(f"may {'' if allowed else 'not '}{right}")
        missing |= {} if allowed else {right: needed}
    for line in write_roles(source, missing):
        say(source, line)
    if fatal := [str(right) for right, needed in missing.items() if needed]:
        hint = "rollout-status --check-access 2>role.yaml # with the same arguments; an admin can apply that Role"
        raise RolloutError("forbidden", f"These rights are missing: {', '.join(fatal)}", hint=hint)


def say(source: Live, line: str) -> None:
    if not source.options.quiet:
        print(to_line(line), file=sys.stderr)


def ask_rights(source: Live) -> Iterator[tuple[Right, bool, bool]]:
    """Each right, whether a verdict needs it, and whether it is there: what `kubectl auth can-i` says."""
    rights = list_rights(source)
    answers = source.kubectl.run(*(right.question for right in rights))
    for (right, needed), answer in zip(rights.items(), answers, strict=True):
        if answer.exit and answer.stdout.strip() != "no":
            raise RolloutError("unreachable", f"kubectl could not say which rights you have: {answer.stderr}")
        yield right, needed, not answer.exit


def list_rights(source: Live) -> dict[Right, bool]:
    """The rights that a run uses, each with whether a verdict needs it."""
    if unread := source.read_manifests():
        raise RolloutError("usage", unread["stderr"])
    names, (in_no_namespace, known) = read_names(source), read_resources(source)
    rights: dict[Right, bool] = {}
    for namespace, kinds in source.plan.wanted.items():
        where = ("-A",) if source.selection.everywhere else ("-n", namespace) if namespace else ()
        wanted = [names.get(word, word) for word in source.plan.list_resources(namespace)]
        revisions = [source.rules.kinds[kind.revisions.kept_in] for kind in kinds if kind.revisions]
        uses = {(verb, resource): verb == "list" for resource in wanted for verb in ("list", "watch")}
        more = [("list", "events"), ("watch", "events"), ("get", "pods"), ("get", "pods/log")]
        more += [("get", resource) for resource in wanted] + [("list", kind.resource) for kind in revisions if not kind.listed]
        used = [kind for kind in list_used(source, kinds) if kind.resource in known or not known]
        more += [("get" if kind.is_named else "list", kind.resource) for kind in used if not kind.cluster]
        uses |= {use: False for use in more if use not in uses}
        for (verb, resource), needed in uses.items():
            rights[Right(verb, resource, ("-A",) if resource in in_no_namespace else where)] = needed
        for kind in (kind for kind in used if kind.cluster):
            rights.setdefault(Right("get", kind.resource, ("-A",)), False)
    return rights


def list_used(source: Live, kinds: Iterable[Kind]) -> list[Kind]:
    """The kinds of all that objects of these kinds, and what they own, may refer to. They are looked at while something waits."""
    found = dict.fromkeys(kinds)
    queue = list(found)
    for kind in queue:  # which grows
        below = [source.rules.kinds[name] for name in (*kind.owns, *(use.kind for use in kind.uses))]
        queue += [each for each in below if each not in found]
        found |= dict.fromkeys(below)
    return [kind for kind in found if any(kind.name == use.kind for each in found for use in each.uses)]


def read_names(source: Live) -> dict[str, str]:
    """What the words of the command line that no rule file declares are called in a Role: `widget` is `widgets.example.com`.

    kubectl knows it: it writes a Role for the word. RolloutError `usage` when the cluster has no such resource.
    """
    words = list(source.rules.undeclared)
    answers = source.kubectl.run(
        *(("create", "role", "any", "--verb=list", f"--resource={word}", "--dry-run=client", "-o", "json") for word in words)
    )
    return {word: read_resource(word, answer) for word, answer in zip(words, answers, strict=True)}


def read_resource(word: str, answer: Answer) -> str:
    """The resource in the only rule of the Role that kubectl has written for a word."""
    if answer.exit:
        raise RolloutError("usage", f"kubectl does not know what {word} is: {answer.stderr}")
    (rule,) = json.loads(answer.stdout)["rules"]
    return ".".join(part for part in (rule["resources"][0], rule["apiGroups"][0]) if part)


def read_resources(source: Live) -> list[Collection[str]]:
    """The resources whose objects are in no namespace, and all that the cluster has; none if kubectl cannot tell.

    A right to the former is one in the whole cluster, wherever the run looks. To what the cluster does not have no right is missing.
    """
    answers = source.kubectl.run(("api-resources", "--namespaced=false", "-o", "name"), ("api-resources", "-o", "name"))
    return [answer.stdout.split() for answer in answers]  # also those that it could find out when an API of the cluster is down


def write_roles(source: Live, missing: Collection[Right]) -> Iterator[str]:
    """The lines of a YAML file that has a Role for each namespace in which rights are missing, and a ClusterRole for -A."""
    for number, where in enumerate(dict.fromkeys(right.where for right in missing)):
        rights = [right for right in missing if right.where == where]
        namespace = "" if where == ("-A",) else where[1] if where else read_namespace(source)
        yield from ["---"] if number else []
        yield from write_role(rights, namespace)


def write_role(rights: Collection[Right], namespace: str) -> Iterator[str]:
    """The lines of a Role with these rights; of a ClusterRole when there is no namespace.

    Its name is made of its rules: applied, it replaces no Role that has others.
    """
    rules = make_rules(rights)
    name = f"rollout-status-{hashlib.sha256(json.dumps(rules).encode()).hexdigest()[:8]}"
    kind, in_namespace = ("Role", f" -n {shlex.quote(namespace)}") if namespace else ("ClusterRole", "")
    bind = f"kubectl{in_namespace} create {kind.lower()}binding {name} --{kind.lower()}={name} --serviceaccount=NAMESPACE:NAME"
    yield "# The missing rights, for an admin: kubectl apply -f this file, then bind them (or with --user=NAME, --group=NAME):"
    yield f"# {bind}"
    metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind, "metadata": metadata, "rules": rules}
    yield from yaml.safe_dump(role, sort_keys=False, default_flow_style=None, width=float("inf")).splitlines()


def make_rules(rights: Collection[Right]) -> list[Json]:
    """The rules of a Role that has exactly these rights: a rule for each API group and the verbs that are used on its resources."""
    verbs: dict[str, list[str]] = {}
    for right in rights:
        verbs.setdefault(right.resource, []).append(right.verb)
    resources: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for resource, used in verbs.items():
        plural, _, group = resource.partition(".")
        resources.setdefault((group, tuple(used)), []).append(plural)
    return [{"apiGroups": [group], "resources": names, "verbs": list(same)} for (group, same), names in resources.items()]


def read_namespace(source: Live) -> str:
    """The namespace where kubectl looks by itself: the context's, in a pod the pod's. kubectl writes it into a manifest that has none."""
    read_part(RBAC)  # so that it is not kubectl that misses it
    (answer,) = source.kubectl.run(("create", "--dry-run=client", "--validate=false", "-f", str(RBAC), "-o", "json"))
    try:
        role = source.objects(answer)[0]
    except UnreadableError as error:
        raise RolloutError("unreachable", f"kubectl could not say in which namespace the rights are missing: {error}") from None
    return str(get_field(role, "metadata", "namespace"))
