"""Watches resources, so that news is polled at once."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from typing import Any

from rollout_status_lib import Json
from rollout_status_lib.errors import UnreadableError
from rollout_status_lib.interrupts import INTERRUPTS, Latch
from rollout_status_lib.objects import get_controller, get_field, get_identity, get_version
from rollout_status_lib.sources.kubectl import EXCERPT, Kubectl, extract_kubectl_words, shorten
from rollout_status_lib.sources.processes import Excerpt, kill_all


class Greeting(Excerpt):
    """What a watch says on stderr. With -v=6 kubectl tells there that the API server has begun to answer."""

    OK = b"200 OK"

    def __init__(self, greet: Callable[[], None]) -> None:
        super().__init__(EXCERPT)
        self.greet = greet

    def write(self, data: bytes) -> None:
        super().write(data)
        if self.OK in data:
            self.greet()


class Watch:
    """Watches one resource through `kubectl get --raw ...?watch=1`. An event only triggers a poll; its content is never used."""

    SILENCE = 180.0  # seconds without a word after which it counts as dead: the API server sends a bookmark about every minute
    SHORT, OFTEN = 10.0, 5  # how many watches in a row may end within these seconds: a server drops those that lag behind
    # The version of the list that was read there last: nothing is told again. Without one it is 0: the API server's cache, which
    # tells first what is there; that it may be old does no harm here
    ADDRESS = "%s%swatch=1&allowWatchBookmarks=true&timeoutSeconds=300&resourceVersion=%s"

    def __init__(self, kubectl: Kubectl, path: str, version: str, bell: Bell, *, short: int = 0) -> None:
        self.short = short  # how many watches before this one ended within SHORT
        self.bell, self.started, self.heard, self.err = bell, time.monotonic(), 0.0, Greeting(self.greet)
        self.ended, self.is_killed = "", False  # why it has ended; empty while it runs
        flags = [flag for flag in kubectl.flags if not flag.startswith("--request-timeout=")]
        arguments = (*flags, "-v=6", "get", "--raw", Watch.ADDRESS % (path, "&" if "?" in path else "?", version or "0"))
        streams: dict[str, Any] = {"_out": self.hear, "_err": self.err, "_done": self.end, "_no_out": True, "_decode_errors": "replace"}
        self.process: Any = None
        try:
            self.process, self.mark = kubectl.start(*arguments, **streams)
        except UnreadableError as error:
            self.ended = str(error)

    def hear(self, line: str) -> None:
        """Called by a thread of `sh` for each line, which is an event {type, object}; any other line says nothing."""
        with suppress(ValueError, RecursionError):
            event = json.loads(line)
            self.heard = time.monotonic()
            if self.bell.is_news(event):
                self.bell.rung.set()

    def greet(self) -> None:
        """Called when the API server has begun to answer: from now on all is heard, though there may be nothing to hear for long."""
        self.heard = self.heard or time.monotonic()

    def end(self, *_: object) -> None:
        """Called by a thread of `sh` when it has ended. That triggers a poll: what happens before the next watch is not heard."""
        self.ended = shorten(extract_kubectl_words(self.err.text)) or "it has ended"
        if not self.is_killed:
            self.bell.rung.set()

    @property
    def is_alive(self) -> bool:
        return not self.ended and self.heard > 0 and time.monotonic() - self.heard < Watch.SILENCE

    @property
    def was_in_vain(self) -> bool:
        """True if another watch would be no better: it hears nothing, or ended as soon as those before it."""
        if self.ended:
            return not self.heard or self.short >= Watch.OFTEN
        return time.monotonic() - (self.heard or self.started) >= Watch.SILENCE

    def kill(self) -> None:
        self.is_killed = True
        if self.process is not None and not self.ended:
            kill_all(self.process.pid, self.mark)

    def wait(self) -> None:
        """Waits until its process has ended."""
        if self.process is not None:
            self.process.wait()


class Bell:
    """Rings when something may have changed. It is alive while every resource that was seen is watched. Lists alone decide the verdict."""

    MOST = 12  # watches: each is a process

    def __init__(self, kubectl: Kubectl, is_wanted: Callable[[Json], bool]) -> None:
        self.kubectl, self.is_wanted, self.rung = kubectl, is_wanted, Latch()
        self.known: Collection[str] = ()  # resourceVersions that the last poll has shown
        self.subjects: Collection[str] = ()  # identities of what was judged
        self.watches: dict[str, Watch] = {}  # path in the API -> its watch
        self.silent: dict[str, str] = {}  # path -> why it cannot be watched
        self.polled = 0  # how many paths are not watched, since there are too many

    def listen(self, paths: Mapping[str, str]) -> None:
        """Watches these paths of the API from now on, and no others, each from a version on. A watch that has ended is started again,
        unless it was in vain.
        """
        with INTERRUPTS.hold():
            for path in self.watches.keys() - paths.keys():
                self.drop(path)
            for path in sorted(paths.keys() - self.silent.keys(), key=lambda path: (path not in self.watches, path)):
                self.watch(path, paths[path])
        self.polled = len(paths.keys() - self.silent.keys() - self.watches.keys())

    def watch(self, path: str, version: str) -> None:
        """Watches a path, unless there are too many watches already."""
        watch = self.watches.get(path)
        if watch and watch.was_in_vain:
            self.silent[path] = watch.ended or "nothing is heard of it"
            self.drop(path)
        elif watch and watch.ended:
            is_short = time.monotonic() - watch.started < Watch.SHORT
            self.watches[path] = Watch(self.kubectl, path, version, self, short=watch.short + 1 if is_short else 0)
        elif not watch and len(self.watches) < Bell.MOST:
            self.watches[path] = Watch(self.kubectl, path, version, self)

    def drop(self, path: str) -> None:
        """Ends a watch."""
        watch = self.watches.pop(path)
        watch.kill()
        watch.wait()

    def is_news(self, event: Json) -> bool:
        """True if an event is worth a poll: it is not what the last poll has shown, and belongs to something that is judged."""
        changed = get_field(event, "object")
        kind, owner = get_field(event, "type"), get_field(changed, "involvedObject") or get_controller(changed)
        if kind == "BOOKMARK" or (kind != "DELETED" and get_version(changed) in self.known):
            return False
        if get_field(owner, "uid") in self.subjects or get_identity(changed) in self.subjects:
            return True
        return owner is None and self.is_wanted(changed)

    @property
    def is_alive(self) -> bool:
        """True if every change would be heard."""
        return bool(self.watches) and not self.silent and not self.polled and all(watch.is_alive for watch in self.watches.values())

    def kill(self) -> None:
        """Ends all watches."""
        for watch in self.watches.values():
            watch.kill()
        for watch in self.watches.values():
            watch.wait()
