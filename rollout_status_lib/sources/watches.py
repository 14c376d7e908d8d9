"""Watches resources, so that news is polled at once."""

from __future__ import annotations

import io
import json
import threading
import time
from collections.abc import Collection, Iterable
from typing import Any

from rollout_status_lib import Json
from rollout_status_lib.errors import UnreadableError
from rollout_status_lib.interrupts import INTERRUPTS
from rollout_status_lib.objects import get_controller, get_field, get_identity, get_version
from rollout_status_lib.sources.kubectl import Kubectl, extract_kubectl_words


class Watch:
    """Watches one resource through `kubectl get --raw ...?watch=1`. An event only triggers a poll; its content is never used."""

    SILENCE = 180.0  # seconds without a word after which it counts as dead: the API server sends a bookmark about every minute
    SHORT, OFTEN = 10.0, 5  # how many watches in a row may end within these seconds: a server drops those that lag behind
    # resourceVersion=0 reads the API server's cache, which alone sends bookmarks; that it may be old does no harm here
    URL = "%s?watch=1&allowWatchBookmarks=true&timeoutSeconds=300&resourceVersion=0"

    def __init__(self, kubectl: Kubectl, path: str, bell: Bell, *, short: int = 0) -> None:
        self.short = short  # how many watches before this one ended within SHORT
        self.bell, self.started, self.heard, self.err = bell, time.monotonic(), 0.0, io.BytesIO()
        self.ended = ""  # why it has ended; empty while it runs
        flags = [flag for flag in kubectl.flags if not flag.startswith("--request-timeout=")]
        arguments = (*flags, "get", "--raw", Watch.URL % path)
        streams: dict[str, Any] = {"_out": self.hear, "_err": self.err, "_done": self.end, "_no_out": True, "_decode_errors": "replace"}
        self.process: Any = None
        try:
            self.process = kubectl.start(*arguments, **streams)
        except UnreadableError as error:
            self.ended = str(error)

    def hear(self, line: str) -> None:
        """Called by a thread of `sh` for each line, which is an event {type, object}."""
        self.heard = time.monotonic()
        try:
            event = json.loads(line)
        except ValueError:
            event = None
        if self.bell.is_news(event):
            self.bell.rung.set()

    def end(self, *_: object) -> None:
        """Called by a thread of `sh` when it has ended. That triggers a poll: what happens before the next watch is not heard."""
        self.ended = extract_kubectl_words(self.err.getvalue().decode("utf-8", "replace")) or "it has ended"
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
        if self.process is not None and not self.ended:
            Kubectl.kill(self.process)

    def wait(self) -> None:
        """Waits until its process has ended."""
        if self.process is not None:
            self.process.wait()


class Bell:
    """Rings when something may have changed. It is alive while every resource that was seen is watched. Lists alone decide the verdict."""

    def __init__(self, kubectl: Kubectl) -> None:
        self.kubectl, self.rung = kubectl, threading.Event()
        self.known: Collection[str] = ()  # resourceVersions that the last poll has shown
        self.subjects: Collection[str] = ()  # identities of what was judged
        self.watches: dict[str, Watch] = {}  # path in the API -> its watch
        self.silent: dict[str, str] = {}  # path -> why it cannot be watched

    def listen(self, paths: Iterable[str]) -> None:
        """Watches these paths of the API from now on. A watch that has ended is started again, unless it was in vain."""
        for path in {*paths, *self.watches} - self.silent.keys():
            watch = self.watches.get(path)
            if watch and watch.was_in_vain:
                self.silent[path] = watch.ended or "nothing is heard of it"
                watch.kill()
                watch.wait()
                del self.watches[path]
            elif not watch or watch.ended:
                is_short = watch and time.monotonic() - watch.started < Watch.SHORT
                with INTERRUPTS.hold():
                    self.watches[path] = Watch(self.kubectl, path, self, short=watch.short + 1 if watch and is_short else 0)

    def is_news(self, event: Json) -> bool:
        """True if an event is worth a poll: it is not what the last poll has shown, and belongs to something that is judged."""
        changed = get_field(event, "object")
        kind, owner = get_field(event, "type"), get_field(changed, "involvedObject") or get_controller(changed)
        if kind == "BOOKMARK" or (kind != "DELETED" and get_version(changed) in self.known):
            return False
        return owner is None or get_field(owner, "uid") in self.subjects or get_identity(changed) in self.subjects

    @property
    def is_alive(self) -> bool:
        """True if every change would be heard."""
        return bool(self.watches) and not self.silent and all(watch.is_alive for watch in self.watches.values())

    def kill(self) -> None:
        """Ends all watches."""
        for watch in self.watches.values():
            watch.kill()
        for watch in self.watches.values():
            watch.wait()
