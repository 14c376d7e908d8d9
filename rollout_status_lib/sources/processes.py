"""What is started ends when we do, with all that it has started itself; what it prints takes no more memory than it is worth."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

MARK = "ROLLOUT_STATUS_CALL"  # a variable of the environment: what a call has started, in whatever session, has inherited it
PR_SET_PDEATHSIG = 1


def make_tie() -> Callable[[], None]:
    """What a new process calls before it becomes another program: on Linux it is killed with us from then on, even by SIGKILL.

    The kernel sends that signal when the thread ends that has started the process: start them in the main thread.
    """
    if not sys.platform.startswith("linux"):
        return lambda: None
    import ctypes  # noqa: PLC0415, only here: a replay does without it

    prctl, parent = ctypes.CDLL(None).prctl, os.getpid()

    def tie() -> None:  # pragma: no cover, in the new process
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it has ended meanwhile
            os.kill(os.getpid(), signal.SIGKILL)

    return tie


def kill_all(group: int, mark: str) -> None:
    """Kills the processes of a group, and those with this mark, whatever they have made of themselves."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)
    left = 3  # one of them could start another meanwhile
    while left and (marked := list(find_marked(mark))):
        left -= 1
        for pid in marked:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)


def find_marked(mark: str) -> Iterator[int]:
    """The processes whose environment has this mark: those that we may look at, where there is a /proc."""
    wanted = f"{MARK}={mark}\0".encode()
    for path in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):
            if wanted in path.read_bytes():
                yield int(path.parent.name)


class Excerpt:
    """Takes what a process prints, and keeps its beginning and its end."""

    def __init__(self, size: int) -> None:
        self.size = size  # bytes of each
        self.head, self.tail, self.left_out = b"", b"", 0

    def write(self, data: bytes) -> None:
        room = self.size - len(self.head)
        self.head += data[:room] if room else b""
        self.tail += data[max(room, 0) :]
        if len(self.tail) > 2 * self.size:
            self.left_out += len(self.tail) - self.size
            self.tail = self.tail[-self.size :]

    @property
    def text(self) -> str:
        """All of it, or both ends and how much lay between."""
        between = f"\n... {self.left_out} bytes left out ...\n".encode() if self.left_out else b""
        return (self.head + between + self.tail).decode("utf-8", "replace")
