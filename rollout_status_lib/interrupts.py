"""Signals: they end a run until there is a verdict, and what keeps its result waiting from then on."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from rollout_status_start import SIGNALS


class Interrupted(Exception):  # noqa: N818, it is no error
    """A signal that ends the run."""

    def __init__(self, signum: int) -> None:
        super().__init__(signal.Signals(signum).name)
        self.signum = signum


class Interrupts:
    """Turns signals into `Interrupted`. A signal that arrives while a process is being started waits: else nobody would end the process.

    It could also come while `sh` or `logging` holds a lock, for which other threads would wait for ever: whatever calls `sh` holds it back.
    """

    def __init__(self) -> None:
        self.pending = 0  # the signal that arrived, 0 before any did
        self.is_holding = self.is_deferring = False
        self.stops: set[Callable[[], None]] = set()  # what ends that for which a deferred signal need not wait

    def forget(self) -> None:
        """Begins anew, for another command line in the same process."""
        self.pending, self.is_holding, self.is_deferring = 0, False, False

    def listen(self) -> None:
        """From now on a signal raises Interrupted; one that was deferred does so at once."""
        self.is_holding = self.is_deferring = False
        self.check()
        for signum in SIGNALS:
            signal.signal(signum, self.receive)

    def defer(self) -> None:
        """From now on a signal raises nothing: the verdict is there and must be printed. It ends what that waits for."""
        self.is_deferring = True

    def check(self) -> None:
        """Raises Interrupted if a signal has arrived, and somebody has caught it who should not have."""
        if self.pending and not self.is_deferring:
            raise Interrupted(self.pending)

    def receive(self, signum: int, _: object) -> None:
        for each in SIGNALS:
            signal.signal(each, signal.SIG_IGN)  # one is enough: the end must not be interrupted
        self.pending = signum
        if self.is_deferring:
            for stop in list(self.stops):
                stop()
        elif not self.is_holding:
            raise Interrupted(signum)

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Holds signals back during the block. If one arrived in it, Interrupted is raised after it."""
        before, outer, self.is_holding = self.pending, self.is_holding, True
        try:
            yield
        finally:
            self.is_holding = outer
        if self.pending != before and not outer:
            self.check()

    @contextmanager
    def stopping(self, stop: Callable[[], None]) -> Iterator[None]:
        """Lets a deferred signal call `stop` during the block."""
        self.stops.add(stop)
        try:
            yield
        finally:
            self.stops.discard(stop)


class Latch:
    """Lets the main thread wait for another one. Unlike a threading.Event it leaves no lock behind if a signal ends the waiting."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.lock.acquire()

    def set(self) -> None:
        with suppress(RuntimeError):  # it is set already
            self.lock.release()

    def wait(self, seconds: float) -> bool:
        """True, at once, if it was set since the last time; False if it is not within these seconds."""
        return self.lock.acquire(timeout=seconds)

    def clear(self) -> None:
        self.lock.acquire(blocking=False)


INTERRUPTS = Interrupts()
