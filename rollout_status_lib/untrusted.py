"""Files of a recording, which may come from anybody: nothing outside of its folder is read, and nothing that has no end."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from pathlib import Path

from rollout_status_lib import Json
from rollout_status_lib.errors import UnreadableError

LARGEST = 1 << 30  # bytes of a file
DEEPEST = 100  # objects within objects; those of Kubernetes have a few dozen
HIGHEST = 1 << 63  # no number of Kubernetes is as high
PIPES = ("/dev/fd/", "/dev/stdin", "/proc/self/fd/")  # what a shell makes of <(...)


def is_name(name: Json) -> bool:
    """True if it is the name of a file in the same folder."""
    return isinstance(name, str) and name not in ("", ".", "..") and not {"/", "\0"} & {*name}


def read_text(path: Path, *, may_be_link: bool = False) -> str:
    """The text of a file. UnreadableError if it is none: a device, a pipe or a folder, or a link unless that was named by the user."""
    flags = os.O_NONBLOCK | (0 if may_be_link else os.O_NOFOLLOW)
    try:
        with open(path, "rb", opener=lambda name, mode: os.open(name, mode | flags)) as file:
            status = os.fstat(file.fileno())
            if may_be_link and str(path).startswith(PIPES):
                os.set_blocking(file.fileno(), True)
            elif not stat.S_ISREG(status.st_mode):
                raise UnreadableError("it is not a file, but a pipe, a device or a socket")
            content = file.read(LARGEST + 1)
    except OSError as error:
        if path.is_symlink() and not may_be_link:
            raise UnreadableError("it is a link: put the file itself there") from None
        raise UnreadableError(error.strerror or str(error)) from None
    if len(content) > LARGEST:
        raise UnreadableError(f"it has more than {LARGEST >> 20} MiB")
    return content.decode("utf-8")


def check_values(objects: Iterable[Json]) -> None:
    """UnreadableError if objects are nested deeper, or have higher numbers, than those of Kubernetes."""
    level = list(objects)
    for _ in range(DEEPEST):
        entries = [entry for each in level for entry in (each.values() if isinstance(each, dict) else each)]
        if not all(-HIGHEST < entry < HIGHEST for entry in entries if isinstance(entry, (int, float))):  # NaN is not
            raise UnreadableError("it has a number that is out of range")
        level = [entry for entry in entries if isinstance(entry, (dict, list))]
        if not level:
            return
    raise UnreadableError(f"it is nested more than {DEEPEST} levels deep")
