"""What rule files declare: codes, parameters, kinds, rules."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field

from rollout_status_lib import Json
from rollout_status_lib.errors import EvaluationError, UnreadableError
from rollout_status_lib.expressions import Expression, Template
from rollout_status_lib.values import parse_boolean, parse_duration, parse_integer, parse_pairs, parse_words

ANNOTATION = "rollout-status/"  # begins annotations that set a workload's own parameters: rollout-status/retry-limit: "3"
TEAM_CODE = re.compile(r"[a-z][a-z0-9-]*/[a-z][a-z0-9-]*")  # acme/broken: a code or the id of a rule that a team adds

PARAMETER_TYPES: dict[str, Callable[[str], Json]] = {
    "duration": parse_duration,
    "integer": parse_integer,
    "boolean": parse_boolean,
    "text": str,
    "pairs": parse_pairs,
    "words": parse_words,
    "texts": parse_words,
}


@dataclass(frozen=True, slots=True)
class Code:
    """A code of a result. `rank` orders causes before symptoms: of several failures the lowest rank is reported first."""

    name: str
    rank: int
    type: str  # rollout: about what was applied; program: about the run
    exit: int
    symptom: bool = False  # if all failures of a workload are symptoms, what it still waits for is their cause
    hint: str = ""  # what to do next; for errors without a hint of their own
    written: str = ""  # what it is called in the JSON of another program; empty: the same


# The codes of a run whose rules could not be read
FIRST_CODES = {
    "usage": Code("usage", 0, "program", 2, hint="rollout-status --help"),
    "invalid-rules": Code("invalid-rules", 0, "program", 2, hint="rollout-status lint"),
    "internal": Code("internal", 0, "program", 70),
    "interrupted": Code("interrupted", 0, "program", 130),
}


@dataclass(frozen=True, slots=True)
class Parameter:
    """A setting that rules read as `params.name`. A duration is a number of seconds there."""

    name: str
    type: str
    default: Json
    choices: tuple[str, ...]  # empty: any value of the type

    def parse_value(self, text: str) -> Json:
        """The value that a text stands for. UnreadableError if it does not have the parameter's type, or is none of its choices."""
        for each in parse_words(text) if self.type in ("words", "texts") else [text]:
            if self.choices and each not in self.choices:
                raise UnreadableError(f"{each!r} is not one of {', '.join(self.choices)}")
        return PARAMETER_TYPES[self.type](text)

    def change(self, value: Json, setting: Json) -> Json:
        """The value after a setting, which replaces it, unless pairs or words are added to it; in a list of words `-word` removes one."""
        if self.type == "words":
            return [each for each in value if f"-{each}" not in setting] + [each for each in setting if not each.startswith("-")]
        return value + setting if self.type == "pairs" else setting


@dataclass(frozen=True, slots=True, eq=False)
class Current:
    """One way to find the children of the current revision: two expressions, of the child and of its parent, give equal values."""

    child: str  # its kind
    of_child: Expression
    of_parent: Expression
    without: tuple[str, ...]  # path of a field of the child's value that is not compared


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """A list in an object whose entries are subjects, like the containers of a pod."""

    spec: Expression  # the list of their specs
    status: Expression  # the list of their statuses; a status belongs to the spec of the same name
    add: Mapping[str, Expression]  # fields to add, computed from the spec


@dataclass(frozen=True, slots=True, eq=False)
class Revisions:
    """Where a kind keeps the templates that its objects have had, and the command that goes back to one of them."""

    kept_in: str  # the kind that keeps them, like replicaset: the workload owns one object of it for each template
    number: Expression  # of such an object; the newest has the highest
    template: Expression  # of such an object
    current: Expression  # of the workload: its template now
    without: tuple[str, ...]  # path of a field that a kept template has and the workload's has not
    makes: str  # the kind of the objects that are made from the template
    serves: Expression | None  # of such an object: true if pods made from its template are ready
    can_roll_back: Expression | None  # true if the command works; reads ROLLBACK_ROOTS
    rollback: Template | None  # the command; reads ROLLBACK_ROOTS


ROLLBACK_ROOTS = ("self", "owned", "old", "revision")  # revision: the number of the one to go back to


@dataclass(frozen=True, slots=True, eq=False)
class Stage:
    """A step in the life of an object, for the timeline of a report."""

    name: str
    means: str  # what the object is from then on
    each: Expression | None  # a list: each entry is the stage once; None: the object itself is
    at: Expression | None  # the moment, or several, of an entry; None: when the entry is first seen
    message: Template | None  # reads the entry


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """A step of an object's start, in the order of the others. It tells which events about the object are history."""

    name: str
    of: str  # the kind whose objects take the step; if it is a part (a container), each of them takes it by itself
    begins: Expression | None  # of an event: true if it says that the step begins
    fails: Expression | None  # of an event: true if it says that the step fails
    passes: Expression | None  # of an event: true if it says that the step is done
    seen: Expression | None  # of the object: the moments at which the object itself shows that the step was done


@dataclass(frozen=True, slots=True, eq=False)
class Serving:
    """How an object serves users by itself: expressions of the object."""

    when: Expression  # true if it serves
    images: Expression  # what it runs
    revision: Expression  # of its workload, if no other object keeps that


@dataclass(frozen=True, slots=True, eq=False)
class Use:
    """Objects that those of a kind refer to. They are looked at only while something about the one that refers to them waits."""

    kind: str
    when: Expression | None  # of the object: true if they may be why it waits
    names: Expression | None  # of the object: the name of one, or a list of names; one that does not exist counts, too
    labels: Expression | None  # of the object: the labels that they have
    namespace: Expression | None  # of the object: where they are; None, or null: where the object itself is
    owned: bool  # they are those that it owns


@dataclass(frozen=True, slots=True, eq=False)
class Kind:
    """A kind of subject: of objects, or of parts of them. The kind with the resource `*` stands for all that no file declares."""

    name: str  # its root in expressions
    resource: str  # plural and API group, like deployments.apps; empty for a part
    title: str  # its kind in manifests, like Deployment, for messages about an object that does not exist
    short: tuple[str, ...]  # other words for it on the command line
    watched: bool  # judged without --kinds
    # API version; set for kinds with many objects (pods), which are read with `get --raw` so that kubectl does not decode them
    version: str
    listed: bool  # kubectl is asked for it; otherwise only a recording may have it
    cluster: bool  # its objects are in no namespace
    names_only: bool  # of its objects that others use only the names are read, and nothing that is in them: Secrets
    observes: bool  # the status of its objects has an observedGeneration, which tells whether it speaks about their spec of now
    waits: bool  # a rule must be able to wait for it; false only for a kind that has nothing to wait for
    deadline: Expression | None  # seconds that an object may go without progress; None, or null: the parameter progress_deadline
    finishes: Expression | None  # true if success is final: an object that is deleted afterwards has still succeeded
    owns: tuple[str, ...]  # the kinds of objects that it owns and that are judged with it
    selector: Expression | None  # the label selector that all that it owns matches; None, or null: nobody can tell
    current: tuple[Current, ...]  # ways to find the children of the current revision; the first that finds some counts
    blocked_by: Expression | None  # children of other revisions that are in the way: they are judged too
    blocked: Template | None  # the end of messages about those
    runs: Expression | None  # the names of its containers
    progress: tuple[Expression, ...]  # any change of these values is progress
    counts: tuple[Expression, ...]  # how many of what it wants are ready, and how many it wants; for people who watch
    zero: tuple[tuple[str, ...], ...]  # paths of counters that Kubernetes leaves out when they are 0
    part_of: str  # the kind that it is a part of; empty for an object
    parts: tuple[Part, ...]  # where that kind has such parts
    previous_log: Expression | None  # true if a part runs again: the run that failed is the one before
    ended: Expression | None  # what tells a part's last run that has ended from the others; null if none has
    facts: Mapping[str, Expression]  # numbers that the result tells of a part that has failed
    stages: tuple[Stage, ...]
    revisions: Revisions | None
    shown: Expression | None  # the values that may be printed when they have changed, at their places in the object
    uses: tuple[Use, ...]
    desired: Expression | None  # how many of its pods should serve; None: it serves nobody, or what it selects does
    serving: Serving | None  # if its objects serve by themselves

    def is_called(self, word: str) -> bool:
        """True if a word of the command line means it: deployment, deployments, deploy, deployment.apps, deployment.v1.apps."""
        return is_word_for(word, self.resource, (self.name, *self.short))

    @property
    def plural(self) -> str:
        return self.resource.partition(".")[0]

    @property
    def api_version(self) -> str:
        """Its API group and version: `v1`, `apps/v1`. One that says no version is taken for v1."""
        return "/".join([*self.resource.split(".", 1)[1:], self.version or "v1"])

    @property
    def is_named(self) -> bool:
        """True if those of its objects that others use are asked for by their names, and not by a list of all."""
        return self.cluster or self.names_only


def is_word_for(word: str, resource: str, names: Collection[str]) -> bool:
    """True if a word of the command line is the plural or one of the names: alone, with its group, or with version and group."""
    plural, _, group = resource.partition(".")
    name, _, rest = word.lower().partition(".")
    return name in (plural, *names) and (rest in ("", group) or bool(re.fullmatch(r"v\d+((alpha|beta)\d+)?\." + re.escape(group), rest)))


DECISIONS = ("verdict", "fail_when", "fail_after")  # a rule has one of them; one with verdict `hold` may have a second


@dataclass(frozen=True, slots=True, eq=False)
class Rule:
    """A statement about the subjects of some kinds. Its fields are those of the rule file."""

    id: str
    where: str  # file, line and id, for errors
    subjects: tuple[str, ...]  # names of kinds, or `workload`
    when: Expression
    each: Expression | None = None  # a list: the rule is judged once for each entry
    given: Expression | None = None  # the same as `when`, but may read events; evaluated once `when` is true
    unless: Expression | None = None
    verdict: str = "wait"  # fail, wait, hold, ignore or note; wait if fail_when or fail_after decides
    fail_when: Expression | None = None
    fail_after: Expression | float | None = None  # seconds
    since: Expression | None = None
    endless: bool = False  # its wait may rightly last for ever
    gone: bool = False  # it speaks about workloads that are not there any more, as they were last seen or as they were applied
    let: Mapping[str, Expression] = field(default_factory=dict)  # of the rule, and of the files that it is written in
    common: frozenset[str] = frozenset()  # the names in `let` whose values are the same for all rules about a subject
    code: Template | None = None
    message: Template | None = None
    summary: Template | None = None  # what people read first; without it, that is the message
    details: tuple[Template, ...] = ()
    hint: Template | None = None
    logs: bool = False
    teams: tuple[str, ...] = ()  # the teams' files, each with a colon, as places begin

    def forgives(self, error: EvaluationError) -> bool:
        """True if a team wrote what has no value: that is no reason to end the runs of all others. An error in a built-in file is."""
        return error.where.startswith(self.teams)

    @property
    def can_wait(self) -> bool:
        return self.verdict in ("wait", "hold") and not self.gone

    def walk_expressions(self) -> Iterator[Expression]:
        """All its expressions, also those in its templates."""
        for each in (self.each, self.when, self.given, self.unless, self.fail_when, self.fail_after, self.since, *self.let.values()):
            yield from [each] if isinstance(each, Expression) else []
        for template in (self.code, self.message, self.summary, *self.details, self.hint):
            yield from (part for part in (template.parts if template else ()) if isinstance(part, Expression))


VARYING = ("each", "events", "history", "time")  # roots that differ between the rules about a subject


def find_common(let: Mapping[str, Expression], varying: Collection[str]) -> frozenset[str]:
    """The names in a `let` that have the same value for all rules about a subject: nothing that they read varies, or reads itself."""
    read = {name: find_read(name, let) for name in let}
    others = {*varying, *(name for name in let if name in read[name])}
    return frozenset(name for name in let if name not in others and not read[name] & others)


def find_read(name: str, let: Mapping[str, Expression]) -> set[str]:
    """All roots and names that a name in a `let` reads, also through others."""
    found: set[str] = set()
    queue = [name]
    while queue:
        new = let[queue.pop()].roots - found
        found |= new
        queue += sorted(new & let.keys())
    return found


def describe_cycle(name: str, let: Mapping[str, Expression]) -> str:
    """The end of a sentence about a name in a `let` that reads itself, and no root is called so: the way back to it."""
    ways: list[list[str]] = [[name]]
    seen: set[str] = set()
    while name not in (found := let[ways[0][-1]].roots & let.keys() - seen):
        way, seen = ways.pop(0), seen | found
        ways += [[*way, root] for root in sorted(found)]
    return f": the let {name} is made of itself, {' -> '.join([*ways[0], name])}; write out what one of them means"


def find_code(codes: Mapping[str, Code], name: str) -> Code | None:
    """The code of this name; None if there is none. One with a prefix is a team's: it needs no declaration and ranks as a cause."""
    return codes.get(name) or (Code(name, -1, "rollout", 1) if TEAM_CODE.fullmatch(name) else None)


def get_code(codes: Mapping[str, Code], name: str) -> Code:
    """The code of this name, also when the rules could not be read."""
    return find_code(codes, name) or FIRST_CODES[name]
