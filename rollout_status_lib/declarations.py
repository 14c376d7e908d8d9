"""What rule files declare: codes, parameters, kinds, rules."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass

from rollout_status_lib import Json
from rollout_status_lib.errors import UnreadableError
from rollout_status_lib.expressions import Expression, Template
from rollout_status_lib.values import parse_boolean, parse_duration, parse_integer, parse_pairs


@dataclass(frozen=True, slots=True)
class Code:
    """A code of a result; `rank` orders causes before symptoms."""

    name: str
    rank: int
    type: str
    exit: int
    symptom: bool = False  # what a workload with it still waits for is the cause
    hint: str = ""  # what to do next, where an error with it has no hint of its own


# How a run ends when its rules cannot be read
FIRST_CODES = {
    "usage": Code("usage", 0, "program", 2, hint="rollout-status --help"),
    "invalid-rules": Code("invalid-rules", 0, "program", 2, hint="rollout-status lint"),
    "internal": Code("internal", 0, "program", 70),
    "interrupted": Code("interrupted", 0, "program", 130),
}

TYPES: dict[str, Callable[[str], Json]] = {
    "duration": parse_duration,
    "integer": parse_integer,
    "boolean": parse_boolean,
    "text": str,
    "pairs": parse_pairs,
}


@dataclass(frozen=True, slots=True)
class Parameter:
    """What rules read as `params.name`; a duration in seconds."""

    name: str
    type: str
    default: Json
    choices: tuple[str, ...]

    def parse_value(self, text: str) -> Json:
        """The value that a text stands for; UnreadableError when it is none of the parameter's type."""
        if self.choices and text not in self.choices:
            raise UnreadableError(f"{text!r} is none of {', '.join(self.choices)}")
        return TYPES[self.type](text)


@dataclass(frozen=True, slots=True, eq=False)
class Current:
    """One way to tell the children of the current revision: child's and parent's value at these paths are equal."""

    child: str
    of_child: Expression
    of_parent: Expression
    without: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """A list in an object whose members are subjects: their specs, their statuses (of the same name), fields to add."""

    spec: Expression
    status: Expression
    add: Mapping[str, Expression]


@dataclass(frozen=True, slots=True, eq=False)
class Revisions:
    """Where a kind keeps the templates that its objects have had, and the command that goes back to one."""

    kept_in: str  # the kind that keeps them: an object, which the workload owns, for each
    number: Expression  # of such an object: the newest has the highest
    template: Expression  # of such an object
    current: Expression  # of the workload: the template that it has now
    without: tuple[str, ...]  # what is in a kept template and not in the workload's
    makes: str  # the kind of which objects are made by the template
    serves: Expression | None  # of such an object: whether pods with its template are ready
    can_roll_back: Expression | None  # about `self`, what it has `owned` of the current revision and has of `old` ones
    rollback: Template | None  # the command: about the same, and the number of the `revision`


STAGE_MEANS = ("wait", "run", "good", "bad", "end", "note")  # a note changes nothing


@dataclass(frozen=True, slots=True, eq=False)
class Stage:
    """A step in the life of an object, for the timeline of a report: one for each entry (without `each`: for the object)."""

    name: str
    means: str  # what the object is from then on
    each: Expression | None
    at: Expression | None  # of the entry: the moment, or several; without it, when the entry is first seen
    message: Template | None  # about the entry


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """A step of an object's start, in the order of the others. It tells when an event about the object is history."""

    name: str
    of: str  # the kind whose objects take the step; if it is a part (a container), each of them takes it by itself
    begins: Expression | None  # of an event: true if it says that the step begins
    fails: Expression | None  # of an event: true if it says that the step fails
    passes: Expression | None  # of an event: true if it says that the step is done
    seen: Expression | None  # of the object: the moment, or several, at which the object itself shows that the step was done


@dataclass(frozen=True, slots=True, eq=False)
class Kind:
    """A kind of subject. `name` is its root in expressions; what has a `resource` is an object, the others are parts.

    The kind whose resource is `*` stands for all that nothing declares.
    """

    name: str
    resource: str
    short: tuple[str, ...]
    watched: bool  # without --kinds
    version: str  # of its API, when there may be so many of it that kubectl should not decode them
    listed: bool  # kubectl is asked for it; else only a recording may show it
    waits: bool
    deadline: Expression | None  # seconds that its objects may go without progress; None, or null: progress_deadline
    finishes: Expression | None  # whether its success is final: deleted after it, it has still succeeded
    owns: tuple[str, ...]
    current: tuple[Current, ...]
    blocked_by: Expression | None  # of what it owns in other revisions, that which is judged too, since it is in the way
    blocked: Template | None  # what messages about that have at their end
    runs: Expression | None  # the names of the containers that it runs
    progress: tuple[Expression, ...]
    counts: tuple[Expression, ...]  # how many of what it wants are ready, and how many it wants, for those who look on
    zero: tuple[tuple[str, ...], ...]
    part_of: str
    parts: tuple[Part, ...]
    previous_log: Expression | None  # whether the run of a part that failed is no longer its last one
    stages: tuple[Stage, ...]
    revisions: Revisions | None
    shown: Expression | None  # what of it may be told when it has changed, at the places where it is

    def is_called(self, word: str) -> bool:
        """True if a word of the command line means it: deployment, deployments, deploy, deployment.apps, deployment.v1.apps."""
        return is_word_for(word, self.resource, (self.name, *self.short))

    @property
    def plural(self) -> str:
        return self.resource.partition(".")[0]


def is_word_for(word: str, resource: str, names: Collection[str]) -> bool:
    """Whether a word of the command line is the resource or one of the names, with its group, with version and group, or with neither."""
    plural, _, group = resource.partition(".")
    name, _, rest = word.lower().partition(".")
    return name in (plural, *names) and (rest in ("", group) or bool(re.fullmatch(r"v\d+((alpha|beta)\d+)?\." + re.escape(group), rest)))


@dataclass(frozen=True, slots=True, eq=False)
class Rule:
    """A statement about the subjects of some kinds; the fields are those of the rule file."""

    id: str
    where: str
    subjects: tuple[str, ...]
    each: Expression | None  # the rule is judged once for each entry of this list
    when: Expression
    unless: Expression | None
    verdict: str
    fail_when: Expression | None
    fail_after: Expression | float | None
    since: Expression | None
    endless: bool  # True if its wait may rightly last for ever
    let: Mapping[str, Expression]
    common: frozenset[str]  # those of `let` that give the same for all rules about a subject
    code: Template | None
    message: Template | None
    hint: Template | None
    logs: bool

    @property
    def can_wait(self) -> bool:
        return self.verdict in ("wait", "hold")

    def expressions(self) -> Iterator[Expression]:
        """All its expressions."""
        for each in (self.each, self.when, self.unless, self.fail_when, self.fail_after, self.since, *self.let.values()):
            yield from [each] if isinstance(each, Expression) else []
        for template in (self.code, self.message, self.hint):
            yield from (part for part in (template.parts if template else ()) if isinstance(part, Expression))


VERDICTS = ("fail", "wait", "hold", "ignore", "note")


SILENT = ("fail", "ignore", "note")  # verdicts that do not wait


DECISIONS = ("verdict", "fail_when", "fail_after")  # a rule has one of them; one that holds may have a clock as well


CODE_TYPES = ("rollout", "program")


CODE_NEEDS = ("code", "type", "exit", "text")


CODE_KEYS = (*CODE_NEEDS, "symptom", "hint")


PARAM_KEYS = ("type", "default", "choices", "doc")


RULE_KEYS = (
    "id",
    "aliases",
    "subject",
    "each",
    "when",
    "unless",
    *DECISIONS,
    "since",
    "endless",
    "let",
    "code",
    "message",
    "hint",
    "logs",
    "docs",
)


FILE_KEYS = ("version", "extends", "codes", "kinds", "params", "let", "steps", "rules", "disable", "override", "annotations")


ANNOTATION = "rollout-status/"  # a workload's own parameters: rollout-status/retry-limit: "3"
TEAM_CODE = re.compile(r"[a-z][a-z0-9-]*/[a-z][a-z0-9-]*")


REVISIONS_KEYS = ("kept_in", "number", "template", "current", "makes", "except", "serves", "can_roll_back", "rollback")


ROLLBACK = ("self", "owned", "old", "revision")  # names that a rollback may read


VARYING = ("each", "events", "time")  # names that do not mean the same to all rules about a subject


def is_common(name: str, let: Mapping[str, Expression], varying: Collection[str]) -> bool:
    """Whether a `let` of a file, or another root, depends on nothing that varies, nor on itself."""
    return name not in varying and (name not in let or all(is_common(each, let, {*varying, name}) for each in let[name].roots))


def find_code(codes: Mapping[str, Code], name: str) -> Code | None:
    """The code of this name. One with a prefix is a team's, needs no declaration, and is taken for a cause."""
    return codes.get(name) or (Code(name, -1, "rollout", 1) if TEAM_CODE.fullmatch(name) else None)
