"""What takes long to read, kept beside the compiled program: built-in rule files, and their expressions, as they were read last."""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import json
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from rollout_status_lib import Json
from rollout_status_lib.whole import write_whole

READERS = ("expressions.py", "functions.py", "interpreter.py", "rulefile.py", "slips.py")  # what is kept is made by these
LARGEST = 1 << 22  # bytes of the file; with more it begins anew, so that it does not grow with each change of a rule


class Kept:
    """Values by their sources, in a file of __pycache__. Nothing is kept where Python keeps nothing, or where we may not write."""

    def __init__(self) -> None:
        self.is_changed = False

    @functools.cached_property
    def path(self) -> Path:
        """The file. Its name changes with the program, as what it holds might."""
        import jmespath  # noqa: PLC0415, it is needed anyway

        digest = hashlib.sha256(jmespath.__version__.encode())
        for name in READERS:
            digest.update(Path(__file__).with_name(name).read_bytes())
        return Path(importlib.util.cache_from_source(__file__)).with_name(f"rules.{digest.hexdigest()[:16]}.json")

    @functools.cached_property
    def values(self) -> dict[str, Json]:
        """What is kept, by its sources; nothing if there is no such file, or it is broken."""
        with suppress(OSError, ValueError):
            if self.path.stat().st_size < LARGEST:
                values = json.loads(self.path.read_bytes())
                return values if isinstance(values, dict) else {}
        return {}

    def find(self, source: str, make: Callable[[], Json]) -> Json:
        """What a source gives: as it is kept, or else made, and kept from then on."""
        if source not in self.values:
            self.values[source] = make()
            self.is_changed = True
        return self.values[source]

    def save(self) -> None:
        """Writes what is new, so that other runs have all of it or nothing."""
        if not self.is_changed or sys.dont_write_bytecode:
            return
        self.is_changed = False
        with suppress(OSError):
            self.path.parent.mkdir(exist_ok=True)
            write_whole(self.path, json.dumps(self.values))


KEPT = Kept()
