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
    """Turns signals into `Interrupted`. A signal that arrives while a process is being started waits: else nobody would end the process."""

    SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def __init__(self) -> None:
        self.is_holding, self.pending = False, 0  # pending: the signal that arrived, 0 before any did

    def listen(self) -> None:
        self.is_holding, self.pending = False, 0
        for signum in self.SIGNALS:
            signal.signal(signum, self.receive)

    def ignore(self) -> None:
        """Lets no more signals through: the verdict is there and must be printed."""
        for signum in self.SIGNALS:
            signal.signal(signum, signal.SIG_IGN)

    def receive(self, signum: int, _: object) -> None:
        self.ignore()  # one is enough: the end must not be interrupted
        self.pending = signum
        if not self.is_holding:
            raise Interrupted(signum)

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Holds signals back during the block. If one arrived in it, Interrupted is raised after it."""
        before, self.is_holding = self.pending, True
        try:
            yield
        finally:
            self.is_holding = False
        if self.pending != before:
            raise Interrupted(self.pending)


INTERRUPTS = Interrupts()
