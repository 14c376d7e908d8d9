"""Signals, held back while a process starts."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager


class Interrupted(Exception):  # noqa: N818, it is no error
    """A signal that ends the run."""

    def __init__(self, signum: int) -> None:
        super().__init__(signal.Signals(signum).name)
        self.signum = signum


class Interrupts:
    """Turns a signal into `Interrupted`, but not while a process is being started, which would be lost."""

    SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def __init__(self) -> None:
        self.held, self.pending = False, 0

    def listen(self) -> None:
        self.held, self.pending = False, 0
        for signum in self.SIGNALS:
            signal.signal(signum, self.arrived)

    def ignore(self) -> None:
        """Lets none come any more: the verdict is there, and must be told."""
        for signum in self.SIGNALS:
            signal.signal(signum, signal.SIG_IGN)

    def arrived(self, signum: int, _: object) -> None:
        self.ignore()  # one is enough: the end must not be interrupted
        self.pending = signum
        if not self.held:
            raise Interrupted(signum)

    @contextmanager
    def hold(self) -> Iterator[None]:
        before, self.held = self.pending, True
        try:
            yield
        finally:
            self.held = False
        if self.pending != before:
            raise Interrupted(self.pending)


INTERRUPTS = Interrupts()
