"""Runs kubectl, and learns the cluster's time from it."""

from __future__ import annotations

import argparse
import io
import os
import re
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from rollout_status_lib.errors import RolloutError, UnreadableError
from rollout_status_lib.interrupts import INTERRUPTS
from rollout_status_lib.sources.processes import MARK, Excerpt, kill_all, make_tie


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to a kubectl call. The exit code is negative if a signal ended it."""

    exit: int
    stdout: str
    stderr: str  # kubectl's own words
    log: str = ""  # all of stderr, with what client-go logs
    killed: bool = False  # True if it took too long
    asked: float = 0.0  # time.monotonic() when it was started, and when it had ended
    answered: float = 0.0


class Kubectl:
    """Runs kubectl: without stdin, in a session of its own, and killed with all its processes when its time is up."""

    LEAST = 1.0  # seconds that each call gets, even when --timeout is nearly up
    EXTRA = 5.0  # seconds after --request-timeout until a call is killed: that flag does not bound a credential plugin
    ABREAST = 8  # calls side by side

    def __init__(self, options: argparse.Namespace) -> None:
        import sh  # noqa: PLC0415, only here: it takes 70 ms, and a replay does without it

        try:
            self.command: Any = sh.Command(options.kubectl)
        except sh.CommandNotFound:
            hint = "install kubectl, or say where it is: --kubectl PATH"
            raise RolloutError("kubectl-not-found", f"{options.kubectl} was not found", hint=hint) from None
        self.limit: float = options.request_timeout
        self.end = float("inf")  # time.monotonic() when --timeout is up: no call lasts longer
        # With such a flag kubectl does not use a pod's own service account (kubernetes/kubernetes#93474): there, a kill alone ends calls
        bound = "" if "KUBERNETES_SERVICE_HOST" in os.environ else f"{self.limit:g}s"
        flags = {"context": options.context, "kubeconfig": options.kubeconfig, "request-timeout": bound}
        self.flags = [f"--{flag}={value}" for flag, value in flags.items() if value]
        self.not_started = (sh.ForkException, OSError)
        self.tie, self.name, self.calls = make_tie(), f"{os.getpid()}-{time.time_ns()}", 0

    def start(self, *arguments: str, env: Mapping[str, str] = os.environ, **options: Any) -> tuple[Any, str]:
        """Starts kubectl. Returns the process of `sh`, and the mark of all that it will start; UnreadableError if it cannot be started."""
        self.calls += 1
        mark = f"{self.name}-{self.calls}"
        known: dict[str, Any] = {"_tty_out": False, "_bg": True, "_bg_exc": False, "_new_session": True, "_ok_code": range(-128, 256)}
        known |= {"_no_pipe": True, "_preexec_fn": self.tie, "_env": {**env, MARK: mark}, "_encoding": "utf-8"}
        try:
            with Path(os.devnull).open("rb") as nothing:
                return self.command(*arguments, _in=nothing, **known, **options), mark
        except self.not_started as error:
            raise UnreadableError(f"kubectl could not be started: {str(error).strip().splitlines()[-1]}") from None

    def run(self, *calls: Sequence[str], meanwhile: Callable[[], None] = lambda: None, waves: int = 1) -> list[Answer]:
        """Runs calls, some of them side by side, and returns their answers in order. `meanwhile` is called once while they run.

        With several `waves` a call gets only that part of the time that is left, so that some that hang do not take that of all others.
        Once a signal has come that no longer ends the run, they are killed, and no more are begun.
        """
        INTERRUPTS.check()
        if not calls:
            meanwhile()
        running: list[Started] = []
        left = self.end - time.monotonic()
        part = max(self.LEAST, left if waves == 1 else min(left, self.limit) / waves)
        try:
            with INTERRUPTS.stopping(lambda: stop_all(running)):
                for number in range(len(calls)):
                    for arguments in calls[len(running) : number + self.ABREAST]:
                        with INTERRUPTS.hold():
                            running.append(Started(self, arguments, part))
                    if not number:
                        meanwhile()
                    running[number].wait()
            return [call.answer for call in running]
        finally:
            for call in running:
                call.kill()


EXCERPT = 1 << 16  # bytes of the beginning and of the end of stderr that are kept
MOST = 1 << 29  # bytes of an answer
LONGEST_WORDS = 2_000  # characters of the beginning and of the end of what kubectl says
INTERRUPTED = "it was not waited for, since a signal came"


def shorten(text: str) -> str:
    """A text that is not too long for a message: if it is, its beginning and its end, and how much lies between."""
    left_out = len(text) - 2 * LONGEST_WORDS
    return f"{text[:LONGEST_WORDS]} ... ({left_out} characters left out) ... {text[-LONGEST_WORDS:]}" if left_out > 0 else text


class Output(Excerpt):
    """Takes an answer: all of a document; of anything else, which may have no end, its beginning and its end."""

    def __init__(self) -> None:
        super().__init__(EXCERPT << 6)
        self.whole, self.problem = io.BytesIO(), ""

    def write(self, data: bytes) -> None:
        if self.whole.tell() + len(data) > MOST:
            self.problem = f"the answer is longer than {MOST >> 20} MiB"
        elif self.whole.tell() or (not self.head and data.lstrip()[:1] == b"{"):
            self.whole.write(data)
        else:
            super().write(data)

    @property
    def text(self) -> str:
        return self.whole.getvalue().decode("utf-8", "replace") or super().text


class Started:
    """A kubectl call that has been started."""

    problem = ""  # why it was killed

    # A call is over before Go's garbage collector pays off: without it a list takes a sixth less time, and hardly more memory than this
    LEAN = MappingProxyType({"GOGC": "off", "GOMEMLIMIT": "256MiB"})

    def __init__(self, kubectl: Kubectl, arguments: Sequence[str], longest: float) -> None:
        self.out, self.err = Output(), Excerpt(EXCERPT)
        self.started = time.monotonic()
        self.limit = min(kubectl.limit + Kubectl.EXTRA, longest, max(Kubectl.LEAST, kubectl.end - self.started))
        self.killed = False
        self.process: Any = None
        self.answer = Answer(127, "", INTERRUPTED)
        if INTERRUPTS.pending:
            return
        options: dict[str, Any] = {"_out": self.out, "_err": self.err, "_out_bufsize": 1 << 20, "_err_bufsize": 1 << 16}
        try:
            self.process, self.mark = kubectl.start(*kubectl.flags, *arguments, env={**self.LEAN, **os.environ}, **options)
        except UnreadableError as error:
            self.answer = Answer(127, "", str(error))
            return
        self.timer = threading.Timer(self.limit, self.time_is_up)
        self.timer.daemon = True
        self.timer.start()

    def wait(self) -> None:
        """Waits until it has ended or was killed; then its answer is there."""
        if self.process is None:
            return
        if INTERRUPTS.pending:
            self.stop()
        with suppress(ChildProcessError, AttributeError):  # `sh` has seen its end already; or there is no such call here
            os.waitid(os.P_PID, self.process.pid, os.WEXITED | os.WNOWAIT)
        with INTERRUPTS.hold():
            process, self.process = self.process.wait(), None
            self.timer.cancel()
        answered, log = time.monotonic(), self.err.text
        stderr = f"{self.out.problem} {self.problem} {shorten(extract_kubectl_words(log))}".strip()
        self.answer = Answer(process.exit_code, self.out.text, stderr, log, self.killed, self.started, answered)

    def time_is_up(self) -> None:
        self.killed = True
        asked = "does the API server answer? does a credential plugin wait for an input?"
        self.problem = f"no answer within {self.limit:.3g}s, so it was killed ({asked})"
        self.kill()

    def stop(self) -> None:
        """Kills it for a signal."""
        self.problem = INTERRUPTED
        self.kill()

    def kill(self) -> None:
        """Kills it with everything that it has started; does nothing if it has ended."""
        process = self.process  # the timer's thread comes here too, and it may end meanwhile
        if process is not None:  # its truth value would wait for its output
            self.timer.cancel()
            kill_all(process.pid, self.mark)


def stop_all(calls: Iterable[Started]) -> None:
    for call in calls:
        call.stop()


class Clock:
    """The cluster's time: this machine's when the run began, corrected if it is wrong. Later jumps do not matter."""

    SLACK = 2.0  # seconds that both clocks may differ: the cluster tells whole seconds
    SENSIBLE = (1.4e9, 4.1e9)  # from 2014, when Kubernetes began, to 2099: any other date is that of a server that has no clock
    DATE = re.compile(r"\bDate: (\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT)")

    def __init__(self) -> None:
        self.offset = time.time() - time.monotonic()
        self.is_unknown = True

    def now(self) -> float:
        """Seconds since 1970, to the millisecond."""
        return round(time.monotonic() + self.offset, 3)

    def correct(self, answer: Answer) -> str:
        """Corrects the clock by the Date header of an answer, which `kubectl -v=8` shows. Returns a note if ours was wrong."""
        self.is_unknown = bool(answer.exit)
        said = self.DATE.search(answer.log)
        if not said:
            return ""
        import email.utils  # noqa: PLC0415, only here: it takes 18 ms, and a replay does without it

        try:
            date = email.utils.parsedate_to_datetime(said[1]).timestamp() + 0.5
        except (ValueError, TypeError, OverflowError):
            return ""
        if not self.SENSIBLE[0] < date < self.SENSIBLE[1]:
            return ""
        skew = date - self.offset - (answer.asked + answer.answered) / 2
        if abs(skew) <= self.SLACK + (answer.answered - answer.asked) / 2:  # the header was written at some time in between
            return ""
        self.offset += skew
        return f"this machine's clock is {abs(skew):.0f}s {'behind' if skew > 0 else 'ahead of'} the cluster's, which counts"


# Lines that client-go logs among kubectl's own words: information, and errors
INFOS, ERRORS = (re.compile(rf"^[{letters}]\d{{4}} .*\n?(?:[\t }}\]].*\n?)*", re.MULTILINE) for letters in ("I", "EW"))


def extract_kubectl_words(log: str) -> str:
    """What kubectl itself says. If that is nothing, the errors that client-go logs."""
    said = INFOS.sub("", log).strip()
    return ERRORS.sub("", said).strip() or said
