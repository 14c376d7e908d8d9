"""What goes to stdout, stderr and into pipes, and what comes from stdin: nobody who does not read or write makes a run wait for ever."""

from __future__ import annotations

import errno
import os
import select
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from rollout_status_lib.interrupts import INTERRUPTS

PATIENCE = 5.0  # seconds in which somebody must take a part of what is written, once it cannot be waited for any longer
IMPATIENCE = 1.0  # the same for a line on stderr, and once a signal has come
PIECE = 512  # bytes that a pipe takes at once when it takes any
TICK = 0.5  # seconds after which a signal is noticed


class Deadline:
    """When --timeout is up, by time.monotonic()."""

    at = float("inf")


def set_deadline(timeout: float) -> None:
    """Lets the time of --timeout begin; 0 means that there is none."""
    Deadline.at = time.monotonic() + timeout if timeout else float("inf")


def write_all(descriptor: int, data: bytes, patience: float | None = None) -> None:
    """Writes all of it. TimeoutError if nobody takes any of it for `patience` seconds; without one, for PATIENCE after --timeout is up."""
    rest, taken = memoryview(data), time.monotonic()
    while rest:
        limit = IMPATIENCE if INTERRUPTS.pending else PATIENCE if patience is None else patience
        if select.select([], [descriptor], [], min(TICK, limit))[1]:
            with suppress(BlockingIOError):  # somebody has set it so, and what there was room for is taken
                rest, taken = rest[os.write(descriptor, rest[:PIECE]) :], time.monotonic()
            continue
        is_over = patience is not None or INTERRUPTS.pending or time.monotonic() >= Deadline.at + limit
        if is_over and time.monotonic() - taken >= limit:
            raise TimeoutError("nobody reads it")


def write_out(text: str) -> None:
    """Writes to stdout. If it is closed or full, or nobody reads it, neither the verdict nor the exit code changes."""
    try:
        descriptor = sys.stdout.fileno()
    except ValueError:  # what stands in for it in the same process
        sys.stdout.buffer.write(f"{text}\n".encode("utf-8", "replace"))
        sys.stdout.flush()
        return
    try:
        sys.stdout.flush()
        write_all(descriptor, f"{text}\n".encode("utf-8", "replace"))
    except OSError as error:
        say(sys.stderr, f"rollout-status: stdout cannot be written: {error}")


STUCK: set[int] = set()  # descriptors that nobody has read for a while


def say(stream: IO[str], text: str) -> None:
    """Writes lines for people. They are lost if the stream is closed or full, or nobody reads it: no reason to lose the verdict."""
    try:
        descriptor = stream.fileno()
    except (OSError, ValueError):
        with suppress(OSError, ValueError):
            print(text, file=stream, flush=True)
        return
    with suppress(OSError, ValueError):
        stream.flush()
        try:
            write_all(descriptor, f"{text}\n".encode("utf-8", "replace"), 0.0 if descriptor in STUCK else IMPATIENCE)
            STUCK.discard(descriptor)
        except TimeoutError:
            STUCK.add(descriptor)


@contextmanager
def open_to_write(path: Path) -> Iterator[int]:
    """The descriptor of a file that is added to; TimeoutError if it is a pipe that nobody opens to read within PATIENCE seconds."""
    end = time.monotonic() + PATIENCE
    while True:
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC, 0o666)
            break
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            if time.monotonic() > end or INTERRUPTS.pending:
                raise TimeoutError("nobody reads it") from None
            time.sleep(0.05)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def read_in(timeout: float) -> str:
    """All of stdin. TimeoutError if it does not end within that many seconds (0: whenever it ends), OSError if it is closed."""
    if sys.stdin is None:
        raise OSError("it is closed")
    try:
        descriptor = sys.stdin.fileno()
    except ValueError:  # what stands in for it in the same process
        return sys.stdin.read()
    end = time.monotonic() + timeout if timeout else float("inf")
    parts: list[bytes] = []
    while (left := end - time.monotonic()) > 0:
        if select.select([descriptor], [], [], min(left, TICK))[0]:
            parts.append(os.read(descriptor, 1 << 16))
            if not parts[-1]:
                return b"".join(parts).decode("utf-8")
    raise TimeoutError("the input of the pipe does not end")
