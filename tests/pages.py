"""Writes the pages that say what the program has: docs/reference.md from its command line (and docs/details.yaml), docs/codes.md from
rules/codes.yaml, docs/deadlines.md from the rules and from recordings.
"""

import argparse
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import yaml
from conftest import FIXTURES, ROOT, run

from rollout_status_lib.arguments import Parser, build_parser
from rollout_status_lib.rules import Rules
from rollout_status_lib.verbs.rules import describe_code
from rollout_status_start import VERBS

DOCS = ROOT / "docs"
RULES = Rules(ROOT / "rules", [], packs=None)
FOR_EVER = "; -1 = for ever"
Entries = Any  # entries of the rule files, by name: codes, kinds, params, rules

EXITS = {
    0: ("the rollout succeeded", "go on"),
    1: ("the rollout failed, or there is nothing to judge", "read `error`: its `code` is in the table below, `hint` is the next command"),
    2: ("what you wrote is wrong: a flag, a rule, a recording", "correct it; the message says where. The rollout itself goes on"),
    3: (
        "the time was up without a verdict: `--timeout`, `--once`, the end of a replay",
        "the rollout may still succeed: `waitingFor` says what was missing",
    ),
    4: ("the cluster or kubectl could not be asked", "check kubeconfig, login and rights; nothing is known about the rollout"),
    70: ("a bug of the tool, or a part of it is missing", "install it again, or report it"),
    130: (
        "interrupted before there was a verdict: 130 by SIGINT, 143 SIGTERM, 129 SIGHUP, 131 SIGQUIT",
        "run it again with the same arguments: it goes on from there",
    ),
}
# Failures that everybody meets. With a recording: when the verdict came after the start. With a parameter: its default is the time
USUAL: list[tuple[str, str, str]] = [
    ("no such image, tag or image name", "container/image-not-found", ""),
    ("a Secret or ConfigMap that an environment variable needs is missing", "container/missing-secret-env", ""),
    ("a container needs more memory than its limit, here after 12 s", "container/oom-later", ""),
    ("the command of a container cannot be started", "container/bad-command", ""),
    ("a policy or an admission webhook refuses the pods", "refused/policy-denied", ""),
    ("a container crashes: after `--retry-limit` restarts, whose back-off is Kubernetes' (here 2 s after each start)", "deployment/demo", ""),
    ("a startup or liveness probe kills the container: the same", "container/startup-probe-kills", ""),
    ("a Job that may not be tried again", "job/pod-failure-policy", ""),
    ("a StorageClass does not exist", "used/storage/class-missing", "missing_grace"),
    ("a registry that is down, busy or wants another login", "container/registry-503", "image_grace"),
    ("a Secret, ConfigMap or volume that cannot be mounted", "pod/missing-configmap-volume", "mount_grace"),
    ("a quota is used up", "refused/quota-exceeded", "quota_grace"),
    ("no node has room", "pod/unschedulable-memory", "pending_deadline"),
    ("a readiness probe never passes, in a workload without a deadline of its own", "deployment/progress-deadline-none-readiness", "progress_deadline"),
    ("the API server does not answer", "kubectl/down-for-good", "api_grace"),
]  # fmt: skip


def make_reference() -> str:
    """The flags, as the parser groups them, and the verbs."""
    details = yaml.safe_load((DOCS / "details.yaml").read_text())
    lines = ["# Reference of the command line", "", "<!-- make docs writes this page: tests/pages.py -->", ""]
    lines += [
        "`rollout-status [KIND/NAME ...] [flags]`. A flag takes one dash or two, `-flag value` or `-flag=value`. Times are `90s`, `1m30s`, `2h`,"
    ]
    lines += ["or a number of seconds. What exit codes mean is in [codes.md](codes.md)."]
    for group in build_parser()._action_groups:
        actions = [action for action in group._group_actions if action.help != argparse.SUPPRESS]
        if actions:
            lines += ["", f"## {str(group.title).capitalize()}", "", "| flag | meaning |", "|---|---|"]
            for action in actions:
                more = details.pop(action.option_strings[-1] if action.option_strings else str(action.metavar), "")
                lines.append(f"| {spell(action)} | {'. '.join(filter(None, [escape(str(action.help)), more.strip()]))} |")
    assert not details, f"docs/details.yaml has flags that there are not: {list(details)}"
    lines += ["", "## Verbs", "", "They print text. 2, 70 and 130 mean the same for each of them: [codes.md](codes.md)."]
    for verb in VERBS:
        lines += ["", f"### {verb}", "", *describe_verb(verb)]
    return "\n".join(lines) + "\n"


def spell(action: argparse.Action) -> str:
    value = "" if action.nargs == 0 or not action.option_strings else f" {action.metavar}"
    return ", ".join(
        f"`{name}{value if name.startswith('--') else ''}`" for name in action.option_strings or [str(action.metavar)]
    ).replace("|", "\\|")


def escape(text: str) -> str:
    return text.replace("|", "\\|")


def describe_verb(verb: str) -> Iterator[str]:
    """What a verb is for, its flags and its exit codes, from its --help."""
    done = subprocess.run([sys.executable, "rollout_status.py", verb, "--help"], capture_output=True, text=True, check=True, cwd=ROOT)
    usage, about, *_, exits = [" ".join(part.split()) for part in done.stdout.strip().split("\n\n")]
    yield f"`{usage.removeprefix('usage: ')}`"
    yield ""
    yield about
    actions = [action for action in find_actions(verb) if action.dest != "help"]
    if actions:
        yield from ("", "| | |", "|---|---|")
        yield from (f"| {spell(action)} | {escape(str(action.help))} |" for action in actions)
    codes = re.sub(r", 2 wrong input|, 70 a bug.*", "", exits.removeprefix("Exit codes: "))
    yield ""
    yield f"Exit codes: {codes}."


class Found(BaseException):
    """Carries the parser of a verb."""


def find_actions(verb: str) -> list[argparse.Action]:
    """The arguments of a verb that has a parser of its own."""
    module = __import__(f"rollout_status_lib.verbs.{verb.replace('-', '_')}", fromlist=["main"])

    if not hasattr(module, "build_verb_parser"):
        return []

    def stop(parser: Parser, _: object) -> None:
        raise Found(parser)

    original, Parser.parse = Parser.parse, stop  # type: ignore[assignment, method-assign]
    try:
        module.main(["x"], None)
    except Found as found:
        return found.args[0]._actions
    finally:
        Parser.parse = original  # type: ignore[method-assign]
    return []


def make_codes() -> str:
    """The exit codes, and the codes from cause to symptom."""
    codes: Entries = RULES.files.entries["codes"]
    assert {entry.get("exit") for entry in codes.values()} | {0} == EXITS.keys()
    lines = ["# Exit codes and codes", "", "<!-- make docs writes this page from rules/codes.yaml: tests/pages.py -->", ""]
    lines += ["## Exit codes", "", "| exit | meaning | what to do |", "|---|---|---|"]
    lines += [f"| {'130, 143, 129, 131' if code == 130 else code} | {meaning} | {advice} |" for code, (meaning, advice) in EXITS.items()]
    lines += [
        "",
        "With `--compat socialgouv` it is 0 or 1 only. Verbs print text, and their exit codes are in [reference.md](reference.md#verbs).",
    ]
    lines += [
        "Whatever happens, stdout has exactly one JSON document that satisfies [schema.json](../schema.json), and no kubectl is left behind. A result that"
    ]
    lines += ["would not satisfy it, which is a bug, is cut down to its verdict, and the exit code is 70."]
    lines += [
        "",
        "## Codes",
        "",
        "`error.code` of the result, from cause to symptom: of several failures the one that stands first here is `error`, the others are in `errors`.",
    ]
    lines += [
        "A *symptom* (a deadline has passed) is only reported where nothing is known that explains it. Which rules use a code: [rules.md](rules.md). A team's"
    ]
    lines += [
        "rules may have codes of their own, like `acme/broken`, with exit 1.",
        "",
        "| code | exit | meaning | what to do |",
        "|---|---|---|---|",
    ]
    for name, entry in codes.items():
        meaning = f"{escape(entry.get('text'))}{' *Symptom*' if entry.get('symptom') else ''}"
        lines.append(f"| `{name}` | {entry.get('exit')} | {meaning} | {escape(entry.get('docs'))}{show_hint(entry.get('hint'))} |")
    return "\n".join(lines) + "\n"


def show_hint(hint: str | None) -> str:
    """The command of a hint; what stands behind its # is for whoever reads it in a result."""
    return f" `{hint.partition(' # ')[0]}`" if hint else ""


def make_deadlines() -> str:
    """What failures everybody meets, all graces and deadlines, and the deadlines that kinds have of their own."""
    lines = ["# How long do failures take", "", "<!-- make docs writes this page from rules/ and fixtures/: tests/pages.py -->", ""]
    lines += [
        "What can never succeed fails at once. What may pass by itself (a registry that is away, a quota that is freed) is given a grace, and fails when that"
    ]
    lines += [
        "is over. Almost everything else ends with the deadline of the workload. `--timeout` ends all of it earlier, with exit 3: no verdict.",
        "",
    ]
    lines += [
        "## Usual failures",
        "",
        "Seconds are those of a recording in [fixtures/](../fixtures), from the start of the run to its verdict.",
        "",
    ]
    lines += ["| failure | ends after | code |", "|---|---|---|", *map(describe_failure, USUAL)]
    lines += [
        "",
        "## All graces and deadlines",
        "",
        "`--set NAME=VALUE` sets one for a run, `params` in a team's rule file for all runs, the annotation `rollout-status/NAME` for",
    ]
    params: Entries = RULES.files.entries["params"]
    limited = [
        f"`{name}`" for name, entry in sorted(params.items()) if entry.get("type") == "duration" and FOR_EVER not in entry.get("doc")
    ]
    lines += [f"one workload. `-1` means for ever; {', '.join(limited[:-1])} and {limited[-1]} need a time.", ""]
    lines += ["| parameter | default | what it limits | rules |", "|---|---|---|---|"]
    readers = {name: read_params(rule) for name, rule in RULES.files.entries["rules"].items()}
    for name, entry in sorted(params.items()):
        if entry.get("type") == "duration" or name == "retry_limit":
            rules = ", ".join(f"`{rule}`" for rule, read in readers.items() if name in read)
            flag = {"pending_deadline": " (`--pending-deadline`)", "retry_limit": " (`--retry-limit`)"}.get(name, "")
            rules = f"every workload; {rules}" if name == "progress_deadline" else rules
            lines.append(f"| `{name}`{flag} | {entry.get('default')} | {entry.get('doc').replace(FOR_EVER, '')} | {rules} |")
    lines += [
        "",
        "## Deadlines of the workload itself",
        "",
        "A workload that makes no progress for its deadline fails with what it waited for.",
        "",
    ]
    lines += ["| kind | its own deadline | without one |", "|---|---|---|"]
    for name, kind in sorted(RULES.files.entries["kinds"].items()):
        if kind.get("deadline"):
            own = re.match(r"[\w.]+", str(kind.get("deadline")))
            lines.append(f"| {name} | `{own[0] if own else kind.get('deadline')}` | `progress_deadline` |")
    lines += [
        "| all others | | `progress_deadline` |",
        "| Job | `spec.activeDeadlineSeconds`, `spec.backoffLimit`: the Job fails by itself | while its containers run: for ever |",
        "",
    ]
    lines += ["## At once", "", "These rules fail when they see the state, without a grace:", "", "| code | rules |", "|---|---|"]
    at_once: dict[str, list[str]] = {}
    for name, rule in RULES.files.entries["rules"].items():
        if rule.get("verdict") == "fail":
            at_once.setdefault(describe_code(RULES.rules[name]), []).append(f"`{name}`")
    lines += [f"| {code or 'that of its cause'} | {', '.join(names)} |" for code, names in sorted(at_once.items())]
    endless = [f"`{name}`" for name, rule in RULES.files.entries["rules"].items() if rule.get("endless")]
    lines += [
        "",
        "## Without a limit",
        "",
        "What these rules wait for may rightly last: containers of a Job that run, a queue, a pause on purpose. Only `--timeout` ends it:",
    ]
    lines += [f"{', '.join(endless)}."]
    lines += ["", "A rule that both waits and fails has its condition in [rules.md](rules.md); `rollout-status rules ID` shows it."]
    return "\n".join(lines) + "\n"


def describe_failure(row: tuple[str, str, str]) -> str:
    """A row of the table: the time of the recording's verdict, or a parameter that the rule of the recording's error reads."""
    failure, case, param = row
    if param:
        expected = yaml.safe_load((FIXTURES / case / "case.yaml").read_text())["expect"]
        rules: Entries = RULES.files.entries["rules"]
        assert any(param in read_params(rules[name]) for name in expected["rules"]), f"no rule of {case} reads {param}"
        ended, workloads = expected["result"].get("error", {}), expected["result"].get("workloads", ())
        told = [each.get("code", "timeout") for each in (ended, *workloads)]  # one that waits has its code too
        codes = [code for code in told if code != "timeout"]
        default = RULES.files.entries["params"][param].get("default")
        return f"| {failure} | {default} (`{param}`) | {f'`{codes[0]}`' if codes else ''} |"
    outcome = run("--replay", str(FIXTURES / case), "--quiet")
    assert outcome.exit == 1, case
    return f"| {failure} | {max(1, round(outcome.result['elapsedSeconds']))} s | `{outcome.error['code']}` |"


def read_params(rule: Any) -> set[str]:
    """The parameters that a rule reads, also in what is named by `let`, of the rule or of its file."""
    names = rule.document.get(("let",), {}) | rule.get("let", {})
    texts, seen = [str(rule.get(key)) for key in rule.fields if key not in ("let", "docs")], set()
    found: set[str] = set()
    while texts:
        text = texts.pop()
        found.update(re.findall(r"params\.(\w+)", text))
        for name in set(re.findall(r"\w+", text)) & names.keys() - seen:
            seen.add(name)
            texts.append(str(names[name]))
    return found


PAGES = {"reference.md": make_reference, "codes.md": make_codes, "deadlines.md": make_deadlines}

if __name__ == "__main__":
    for file, make in PAGES.items():
        (DOCS / file).write_text(make())
