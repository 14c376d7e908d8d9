"""The command line: its flags, in Go's way of writing them, and what they set."""

from __future__ import annotations

import argparse
import functools
import os
from collections.abc import Iterable, Iterator
from typing import Any, NoReturn

from rollout_status_lib import __version__
from rollout_status_lib.compat import VARIABLE, apply_mode, find_mode, parse_mode
from rollout_status_lib.errors import RolloutError, UnreadableError, suggest
from rollout_status_lib.values import (
    pair_names,
    parse_boolean,
    parse_duration,
    parse_name,
    parse_pattern,
    parse_setting,
    parse_timestamp,
    parse_word,
)
from rollout_status_start import VERBS

WATCHING = ("watch", "w", "wait")  # kubectl's and Helm's words for what is done anyway; without it, it is --once
# Flags of kubectl and Helm that are about what this does not do
INSTEAD = {
    "atomic": "it changes nothing; to roll back: rollout-status ... || kubectl rollout undo deployment/web",
    "cleanup-on-fail": "it changes nothing",
    "dry-run": "it changes nothing; what a dry run prints is never rolled out",
    "for": "write --expect EXPR for a condition of your own",
    "install": "it changes nothing: helm upgrade --install ..., and then rollout-status (docs/from-helm.md)",
    "to-revision": "it changes nothing: kubectl rollout undo ... --to-revision=N, and then rollout-status --revision",
    "wait-for-jobs": "leave it out: Jobs are waited for",
}


def parse_kubectl_word(text: str) -> str:
    """A word that is passed on to kubectl and must not be empty."""
    return parse_name(parse_word(text))


def parse_manifest(text: str) -> str:
    """A file, a folder or a URL with manifests; `-` is stdin."""
    return text if text == "-" else parse_kubectl_word(text)


class Parser(argparse.ArgumentParser):
    """An argparse parser that takes flags as Go writes them, and raises its errors."""

    def error(self, message: str) -> NoReturn:
        raise RolloutError("usage", message, hint="rollout-status --help")

    def flags(self) -> dict[str, tuple[str, argparse.Action]]:
        """For each flag, by its name without dashes: its spelling with dashes, and its action."""
        return {name.lstrip("-"): (name, action) for name, action in self._option_string_actions.items()}

    def go_style(self, argv: Iterable[str], *, skips_empty: bool = False) -> Iterator[str]:
        """The arguments as argparse wants them. A flag has one dash or two, and `-flag value` or `-flag=value`; a boolean only `=`.

        `skips_empty`: a flag whose value is empty is left out.
        """
        flags = self.flags()
        tokens = iter(argv)
        for token in tokens:
            name, equals, value = token.lstrip("-").partition("=")
            if token.startswith("-") and name in WATCHING and "once" in flags:
                yield from ["--once"] if equals and not parse_boolean(value) else []
            elif token.startswith("-") and name in INSTEAD and "once" in flags:
                self.error(f"{token}: {INSTEAD[name]}")
            elif not token.startswith("-") or name not in flags:
                if token.startswith("-") and (token[:2] == "--" or token[1:2] not in flags):
                    self.error(f"unknown flag {token}{suggest(f'--{name}', (f'--{flag}' for flag in flags if flag[1:]))}")
                yield token
            elif flags[name][1].nargs == 0:
                is_set = not equals or (not (skips_empty and not value) and parse_boolean(value))
                yield from [flags[name][0]] if is_set else []
            else:
                text = value if equals else next(tokens, None)
                if text in (None, "--"):  # argparse takes it for the end of all flags
                    self.error(f"{token} needs a value")
                if not text and skips_empty:
                    continue
                if not text and flags[name][1].metavar in ("DIR", "PATH"):
                    self.error(f"{token}: it is empty: is a variable unset?")
                yield f"{flags[name][0]}={text}"

    def parse(self, argv: Iterable[str]) -> argparse.Namespace:
        """The arguments by name. RolloutError `usage` if one is wrong; it says what may have been meant."""
        words = list(argv)
        mode = find_mode(words)
        options = argparse.Namespace()
        try:
            options = self.parse_intermixed_args(list(self.go_style(words, skips_empty=bool(mode))))
            options.names = pair_names(getattr(options, "names", ()))
        except UnreadableError as error:
            verb = next((each for each in getattr(options, "names", ()) if each in VERBS), "")
            self.error(f"{verb} stands first: write rollout-status {verb} ..." if verb else str(error))
        if mode:
            apply_mode(options)
        return options


class Screen(argparse.HelpFormatter):
    """Help with one line for each flag, so that all of them fit on a screen."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=30, width=100)

    def _format_action_invocation(self, action: argparse.Action) -> str:
        """`-n, --namespace NAME`, as Python 3.13 writes it; older ones repeat NAME after each spelling."""
        value = "" if not action.option_strings or action.nargs == 0 else f" {action.metavar}"
        return (", ".join(action.option_strings) or str(action.metavar)) + value

    def format_help(self) -> str:
        """The help without blank lines between the groups."""
        head, *groups = super().format_help().split("\n\n")
        return "\n".join([head, *groups])


parse_seconds, parse_some_seconds = (functools.partial(parse_duration, least=least) for least in (0, 0.001))


def build_parser() -> Parser:
    """The command line: its flags, in Go's way of writing them, and what they set."""
    several: Any = {"action": "append", "default": []}
    flags = Parser(
        prog="rollout-status",
        usage="rollout-status [explain] [KIND/NAME ... | KIND NAME ...] [flags]\n"
        "       rollout-status query|new-rule|lint|test|fixtures|rules|report|completion, with --help; demo",
        description="Waits until a rollout has succeeded or failed, prints one JSON verdict and exits.",
        epilog="Flags take one dash or two; times are like 90s or 1m30s. Exit codes: 0 success, 1 failed, 2 wrong input, "
        "3 time was up, 4 the cluster or kubectl could not be asked, 70 a bug, 130/143 interrupted.",
        allow_abbrev=False,
        add_help=False,
        formatter_class=Screen,
    )
    add = flags.add_argument_group("what to judge").add_argument
    add("names", nargs="*", metavar="KIND/NAME", help="the workloads; default: all in the namespace")
    add("-n", "--namespace", **several, type=parse_kubectl_word, metavar="NAME", help="repeatable; default: the context's")
    add("-A", "--all-namespaces", action="store_true", help="all namespaces")
    add("-l", "--selector", default="", type=parse_name, metavar="LABELS", help="only workloads with these labels")
    kinds = "any that kubectl knows (deployment,statefulset,daemonset,job)"
    add("--kinds", **several, type=parse_kubectl_word, metavar="KIND,...", help=kinds)
    add("--kind-filter", **several, type=parse_kubectl_word, metavar="KIND,...", dest="kinds", help=argparse.SUPPRESS)
    add(
        "-f",
        "--filename",
        **several,
        type=parse_manifest,
        metavar="FILE",
        help="the objects in these manifests; -: the output of kubectl apply -o json",
    )
    add("-k", "--kustomize", default="", type=parse_name, metavar="DIR", help="the objects in this kustomization")
    add = flags.add_argument_group("what counts as failure").add_argument
    add("--retry-limit", metavar="N", help="restarts before a crash is fatal; -1: no limit (3)")
    add("--pending-deadline", metavar="TIME", help="how long a pod may stay unschedulable; -1: no limit (180s)")
    add("--ignore-secret-not-found", action="store_true", help="wait for a missing Secret instead of failing")
    add("--on-superseded", metavar="note|fail", help="how it counts if something else has been applied since (note)")
    add("--revision", metavar="N", help="fail if a named workload has another revision")
    add("--expect-image", **several, metavar="NAME=IMAGE", help="wait until container NAME runs this image; repeatable")
    add("--expect", **several, metavar="EXPR", help="wait until this is true of each workload; repeatable")
    add("--rules", **several, type=parse_word, metavar="PATH", help="rules of your own: a file or a folder; repeatable")
    add("--set", **several, type=parse_setting, metavar="NAME=VALUE", help="any parameter of the rules; repeatable")
    add_time_flags(flags)
    add_source_flags(flags)
    add_output_flags(flags)
    flags.set_defaults(nothing_found="")
    return flags


def add_time_flags(flags: Parser) -> None:
    """Adds the flags about how long it waits, and for what."""
    add = flags.add_argument_group("how long").add_argument
    add("--interval", default=5.0, type=parse_some_seconds, metavar="TIME", help="longest time between polls (5s)")
    add("--timeout", default=0.0, type=parse_seconds, metavar="TIME", help="limit for the whole run; 0: none (0)")
    add("--stable-for", default=0.0, type=parse_seconds, metavar="TIME", help="how long the success must last (0)")
    add("--wait-for-create", default=0.0, type=parse_seconds, metavar="TIME", help="how long to wait for workloads to be created (0)")
    add("--wait-for-all", action="store_true", help="do not stop at the first failure, wait for all verdicts")
    add("--allow-empty", action="store_true", help="succeed if there is nothing to judge")
    add("--once", action="store_true", help="judge the current state and do not wait")
    add("--check-access", action="store_true", help="only print which rights you have, and a Role with the missing ones")


def add_source_flags(flags: Parser) -> None:
    """Adds the flags about where it looks, and what it keeps of that."""
    add = flags.add_argument_group("where from").add_argument
    add("--context", default="", type=parse_name, metavar="NAME", help="passed to kubectl")
    add("--kubecontext", default="", type=parse_name, metavar="NAME", dest="context", help=argparse.SUPPRESS)
    add("--kubeconfig", default="", type=parse_name, metavar="FILE", help="passed to kubectl")
    add("--kubectl", default=os.environ.get("KUBECTL") or "kubectl", metavar="PATH", help="default: $KUBECTL, else kubectl on PATH")
    add("--request-timeout", default=30.0, type=parse_some_seconds, metavar="TIME", help="limit for each kubectl call (30s)")
    add("--record", default="", metavar="DIR", help="record the run into this new folder, for --replay")
    add("--dump", default="", metavar="DIR", help="the same, but only if the exit code is not 0")
    add("--replay", default="", metavar="PATH", help="a recording, or a file with the output of `kubectl get ... -o json`")
    add("--now", type=parse_timestamp, metavar="TIME", help="when that file was taken; default: the newest time in it")


def add_output_flags(flags: Parser) -> None:
    """Adds the flags about what is printed and written."""
    several: Any = {"action": "append", "default": []}
    add = flags.add_argument_group("output").add_argument
    add("-o", "--output", choices=["json", "text"], metavar="json|text", help="format of stdout (json; text in a terminal)")
    add("--report", **several, type=parse_word, metavar="FILE", help="write a report: .html, .md, .xml (JUnit), .json; repeatable")
    add("--redact", **several, type=parse_pattern, metavar="REGEX", help="hide what matches, line by line; repeatable")
    add("--ci", choices=["none", "github", "gitlab"], metavar="none|github|gitlab", help="format of stderr; default: by the environment")
    add("--quiet", action="store_true", help="no progress on stderr")
    mode = os.environ.get(VARIABLE, "")
    add("--compat", default=mode, type=parse_mode, metavar="socialgouv|none", help=f"its defaults and JSON; also ${VARIABLE}")
    add("--version", action="version", version=f"rollout-status {__version__}", help="print the version")
    add("-h", "--help", action="help", help="print this")


def build_verb_parser(usage: str, description: str, exits: str) -> Parser:
    """The command line of a verb. `exits`: what its exit codes mean, of describe_exits."""
    prog = f"rollout-status {usage.split(maxsplit=1)[0]}"
    return Parser(prog=prog, usage=f"rollout-status {usage}", description=description, epilog=exits, allow_abbrev=False)


def describe_exits(zero: str, one: str = "", more: str = "") -> str:
    """The exit codes of a verb, for its help: what its 0 and its 1 mean, if it has that, and any that are not those of all verbs."""
    codes = [f"0 {zero}", one and f"1 {one}", "2 wrong input", more, "70 a bug or a missing part of the program", "130/143 interrupted"]
    return f"Exit codes: {', '.join(filter(None, codes))}."


def refuse_contradictions(options: argparse.Namespace) -> None:
    """RolloutError `usage` if a flag for a cluster comes with a replay, or the other way round."""
    if options.now is not None and not options.replay:
        raise RolloutError("usage", "--now needs --replay FILE")
    if (options.record or options.dump) and options.replay:
        flag = "--record" if options.record else "--dump"
        raise RolloutError("usage", f"{flag} needs a cluster: a replay is recorded already")
    if options.record and options.dump:
        raise RolloutError("usage", "write either --record or --dump: --record keeps the recording however the run ends")


def collect_settings(options: argparse.Namespace) -> list[tuple[str, str]]:
    """The parameters that the arguments set, in the order in which they win: --set first, then the flags of their own."""
    own = {"retry_limit": options.retry_limit, "pending_deadline": options.pending_deadline}
    own["ignore_secret_not_found"] = "true" if options.ignore_secret_not_found else None
    own["on_superseded"], own["revision"] = options.on_superseded, options.revision
    images = [("expect_image", image) for image in options.expect_image]
    return [*options.set, *images, *((name, value) for name, value in own.items() if value is not None)]
