"""Runs kubectl, and learns the cluster's time from it."""

from __future__ import annotations

import argparse
import io
import os
import re
import signal
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from rollout_status_lib.errors import RolloutError, UnreadableError
from rollout_status_lib.interrupts import INTERRUPTS


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

    def __init__(self, options: argparse.Namespace) -> None:
        import sh  # noqa: PLC0415, only here: it takes 70 ms, and a replay does without it

        try:
            self.command: Any = sh.Command(options.kubectl)
        except sh.CommandNotFound:
            hint = "install kubectl, or say where it is: --kubectl PATH"
            raise RolloutError("kubectl-not-found", f"There is no program {options.kubectl}", hint=hint) from None
        self.limit: float = options.request_timeout
        self.end = float("inf")  # time.monotonic() when --timeout is up: no call lasts longer
        # With such a flag kubectl does not use a pod's own service account (kubernetes/kubernetes#93474): there, a kill alone ends calls
        bound = "" if "KUBERNETES_SERVICE_HOST" in os.environ else f"{self.limit:g}s"
        flags = {"context": options.context, "kubeconfig": options.kubeconfig, "request-timeout": bound}
        self.flags = [f"--{flag}={value}" for flag, value in flags.items() if value]
        self.not_started = (sh.ForkException, OSError)

    def start(self, *arguments: str, **options: Any) -> Any:
        """Starts kubectl and returns the process of `sh`; UnreadableError if it cannot be started."""
        known: dict[str, Any] = {"_tty_out": False, "_bg": True, "_bg_exc": False, "_new_session": True, "_ok_code": range(-128, 256)}
        try:
            with Path(os.devnull).open("rb") as nothing:
                return self.command(*arguments, _in=nothing, _encoding="utf-8", **known, **options)
        except self.not_started as error:
            raise UnreadableError(f"kubectl could not be started: {str(error).strip().splitlines()[-1]}") from None

    @staticmethod
    def kill(process: Any) -> None:
        """Kills a process and everything that it has started. Does nothing if it has ended."""
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)

    def run(self, *calls: Sequence[str], meanwhile: Callable[[], None] = lambda: None) -> list[Answer]:
        """Runs calls side by side and returns their answers in order. `meanwhile` is called once while they run."""
        running: list[Started] = []
        try:
            for arguments in calls:
                with INTERRUPTS.hold():
                    running.append(Started(self, arguments))
            meanwhile()
            return [call.answer() for call in running]
        finally:
            for call in running:
                call.kill()


class Started:
    """A kubectl call that has been started."""

    # A call is over before Go's garbage collector pays off: without it a list takes a sixth less time, and hardly more memory than this
    LEAN = MappingProxyType({"GOGC": "off", "GOMEMLIMIT": "256MiB"})

    def __init__(self, kubectl: Kubectl, arguments: Sequence[str]) -> None:
        self.out, self.err = io.BytesIO(), io.BytesIO()
        self.started = time.monotonic()
        self.limit = min(kubectl.limit + Kubectl.EXTRA, max(Kubectl.LEAST, kubectl.end - self.started))
        self.killed = False
        self.process: Any = None
        self.problem = ""
        options: dict[str, Any] = {"_out": self.out, "_err": self.err, "_out_bufsize": 1 << 20, "_err_bufsize": 1 << 16}
        try:
            self.process = kubectl.start(*kubectl.flags, *arguments, _env={**self.LEAN, **os.environ}, **options)
        except UnreadableError as error:
            self.problem = str(error)

    def answer(self) -> Answer:
        """Waits until it has ended or was killed, and returns its answer."""
        if self.process is None:
            return Answer(127, "", self.problem)
        timer = threading.Timer(max(0.0, self.started + self.limit - time.monotonic()), self.time_is_up)
        timer.daemon = True
        timer.start()
        try:
            process, self.process = self.process.wait(), None
            answered = time.monotonic()
        finally:
            timer.cancel()
        log = self.err.getvalue().decode("utf-8", "replace")
        stdout = self.out.getvalue().decode("utf-8", "replace")
        return Answer(
            process.exit_code, stdout, f"{self.problem} {extract_kubectl_words(log)}".strip(), log, self.killed, self.started, answered
        )

    def time_is_up(self) -> None:
        self.killed = True
        asked = "does the API server answer? does a credential plugin wait for an input?"
        self.problem = f"no answer within {self.limit:.3g}s, so it was killed ({asked})"
        self.kill()

    def kill(self) -> None:
        if self.process is not None:  # its truth value would wait for its output
            Kubectl.kill(self.process)


class Clock:
    """The cluster's time: this machine's when the run began, corrected if it is wrong. Later jumps do not matter."""

    SLACK = 2.0  # seconds that both clocks may differ: the cluster tells whole seconds
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

        date = email.utils.parsedate_to_datetime(said[1]).timestamp() + 0.5
        skew = date - self.offset - (answer.asked + answer.answered) / 2
        if abs(skew) <= self.SLACK + (answer.answered - answer.asked) / 2:  # the header was written at some time in between
            return ""
        self.offset += skew
        return f"this machine's clock is {abs(skew):.0f}s {'behind' if skew > 0 else 'ahead of'} the cluster's, which counts"


# Lines that client-go logs among kubectl's own words: information, and errors
INFOS, ERRORS = (re.compile(rf"^[{letters}]\d{{4}} .*\n?(?:[\t ].*\n?)*", re.MULTILINE) for letters in ("I", "EW"))


def extract_kubectl_words(log: str) -> str:
    """What kubectl itself says. If that is nothing, the errors that client-go logs."""
    said = INFOS.sub("", log).strip()
    return ERRORS.sub("", said).strip() or said
