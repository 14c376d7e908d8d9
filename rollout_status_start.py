"""Where the program begins: it listens for signals before anything is imported that takes its time, and ends what cannot begin.

It imports next to nothing (`signal` and `json` take longer than all else that happens until it listens), and any Python 3 can read it:
an old one is told which one is needed.
"""

from __future__ import annotations

import _signal as signal  # type: ignore[import-not-found]
import os
import select
import sys

# A module of verbs/ each; all else is a run
VERBS = ("completion", "explain", "fixtures", "lint", "new-rule", "query", "report", "rules", "test")
SIGNALS = {signal.SIGINT: "SIGINT", signal.SIGTERM: "SIGTERM", signal.SIGHUP: "SIGHUP", signal.SIGQUIT: "SIGQUIT"}
PATIENCE = 5.0  # seconds within which somebody must take what is written
LAST_WISHES = []  # type: ignore[var-annotated]  # functions to call when a signal ends what has not begun


def main() -> int:
    """Runs the command line and returns the exit code."""
    listen()
    import rollout_status  # noqa: PLC0415, now it may take its time

    return rollout_status.main()


def listen() -> None:
    """Takes signals from now on. Until the program does so itself, each of them ends it with a document."""
    for signum in SIGNALS:
        signal.signal(signum, end_early)


def end_early(signum: int, _: object) -> None:
    """Ends as a run ends at a signal: with a document, for a verb with a line on stderr, and with 128 and the signal's number."""
    for each in SIGNALS:
        signal.signal(each, signal.SIG_IGN)
    for wish in LAST_WISHES:
        wish()
    why = f"Interrupted by {SIGNALS[signum]}"
    if is_run(sys.argv[1:]):  # an import could be interrupted that json needs
        error = f'{{"code": "interrupted", "type": "program", "message": "{why}: it had only just been started"}}'
        put("stdout", f'{{"success": false, "error": {error}}}')
    else:
        put("stderr", f"rollout-status {sys.argv[1]}: {why}")
    os._exit(128 + signum)


def is_run(argv: object) -> bool:
    """True if a command line asks for a run, which prints a document; a verb does not."""
    return not (argv and argv[0] in VERBS)  # type: ignore[index]


def refuse(argv: object, why: str, hint: str = "") -> int:
    """Ends what cannot begin: with a line on stderr, with a document on stdout if it is a run, and with exit code 70."""
    if is_run(argv):
        import json  # noqa: PLC0415, only here

        error = {"code": "internal", "type": "program", "message": why}
        put("stdout", json.dumps({"success": False, "error": {**error, "hint": hint} if hint else error}, indent=2))
    put("stderr", f"rollout-status: {why}{f' ({hint})' if hint else ''}")
    return 70


def put(stream: str, text: str) -> None:
    """Writes a short text and a newline to stdout or stderr. One that is closed or full, or that nobody reads, changes nothing."""
    target, rest = getattr(sys, stream), f"{text}\n".encode("utf-8", "replace")
    try:
        target.flush()
        while rest and select.select([], [target], [], PATIENCE)[1]:
            rest = rest[os.write(target.fileno(), rest[:512]) :]
    except ValueError:  # what stands in for it is no file
        target.write(f"{text}\n")
    except OSError:
        pass


def describe_fault(error: Exception, file: str = __file__) -> tuple[str, str]:
    """What is wrong with the program, in a sentence, and the command that puts it right; an empty one for a bug. `file` is the script."""
    if isinstance(error, ImportError) and not (error.name or "").startswith("rollout_status"):
        return f"{error}; install what the program needs", "python3 -m pip install jmespath PyYAML sh jsonschema"
    if isinstance(error, (ImportError, SyntaxError)):
        folder = os.path.dirname(os.path.abspath(file))  # noqa: PTH100, PTH120, pathlib takes its time
        import shlex  # noqa: PLC0415, only for this

        return f"{error}; copy the whole program", f"cp -r rollout_status* rules schema.json {shlex.quote(str(folder))}"
    return f"This is a bug of rollout-status: {type(error).__name__}: {error}", ""


def prepare() -> None:
    """Makes sure of stdout, stderr and Python: what is closed is replaced, and a Python that is too old is refused."""
    for stream in ("stdout", "stderr"):
        if getattr(sys, stream) is None:  # closed before we began; else what is for the one could come to the other
            setattr(sys, stream, open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123, SIM115, until the end
    if sys.version_info < (3, 10):  # noqa: UP036, a copied script is started with whatever python3 there is
        raise SystemExit(refuse(sys.argv[1:], f"Python 3.10 or later is needed; this is {sys.version.split()[0]}"))
