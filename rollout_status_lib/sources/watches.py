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
    """A `kubectl get --raw` of what changes in one resource. Nothing of it is believed but that there is news."""

    SILENCE = 180.0  # seconds; a live one hears a bookmark about each minute, the first one within two and a half
    SHORT, OFTEN = 10.0, 5  # seconds, and how many watches of a resource in a row may end so soon: a server drops those that lag behind
    # From the API server's cache (0), which alone sends bookmarks: what is old in it is no harm, as it only rings
    URL = "%s?watch=1&allowWatchBookmarks=true&timeoutSeconds=300&resourceVersion=0"

    def __init__(self, kubectl: Kubectl, path: str, bell: Bell, *, short: int = 0) -> None:
        self.short = short  # how many before it ended soon
        self.bell, self.started, self.heard, self.err = bell, time.monotonic(), 0.0, io.BytesIO()
        self.ended = ""  # why
        flags = [flag for flag in kubectl.flags if not flag.startswith("--request-timeout=")]
        arguments = (*flags, "get", "--raw", Watch.URL % path)
        streams: dict[str, Any] = {"_out": self.hear, "_err": self.err, "_done": self.end, "_no_out": True, "_decode_errors": "replace"}
        self.process: Any = None
        try:
            self.process = kubectl.start(*arguments, **streams)
        except UnreadableError as error:
            self.ended = str(error)

    def hear(self, line: str) -> None:
        """Takes an event, {type, object}, in a thread of sh."""
        self.heard = time.monotonic()
        try:
            event = json.loads(line)
        except ValueError:
            event = None
        if self.bell.is_news(event):
            self.bell.rung.set()

    def end(self, *_: object) -> None:
        """Notes, in a thread of sh, that it has ended: what happens until there is another one is not heard."""
        self.ended = extract_kubectl_words(self.err.getvalue().decode("utf-8", "replace")) or "it has ended"
        self.bell.rung.set()

    @property
    def is_alive(self) -> bool:
        return not self.ended and self.heard > 0 and time.monotonic() - self.heard < Watch.SILENCE

    @property
    def was_in_vain(self) -> bool:
        """Whether another one would be no better: nothing is heard of it, or it ended as soon as those before."""
        if self.ended:
            return not self.heard or self.short >= Watch.OFTEN
        return time.monotonic() - (self.heard or self.started) >= Watch.SILENCE

    def kill(self) -> None:
        if self.process is not None and not self.ended:
            Kubectl.kill(self.process)

    def wait(self) -> None:
        """Waits until it has ended, so that nothing is left of it."""
        if self.process is not None:
            self.process.wait()


class Bell:
    """Rings when something may have changed, as long as each resource that was seen can be watched. The lists stay the truth."""

    def __init__(self, kubectl: Kubectl) -> None:
        self.kubectl, self.rung = kubectl, threading.Event()
        self.known: Collection[str] = ()  # resourceVersions of what the last poll has shown
        self.subjects: Collection[str] = ()  # identities of what was judged
        self.watches: dict[str, Watch] = {}  # by the path of what they watch
        self.silent: dict[str, str] = {}  # path -> why it cannot be watched

    def listen(self, paths: Iterable[str]) -> None:
        """Watches what is at these paths of the API, and what it watches already; what has ended is watched anew."""
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
        """Whether an event of a watch is worth a poll: not what the last one has shown, nor what belongs to nothing that is judged."""
        changed = get_field(event, "object")
        kind, owner = get_field(event, "type"), get_field(changed, "involvedObject") or get_controller(changed)
        if kind == "BOOKMARK" or (kind != "DELETED" and get_version(changed) in self.known):
            return False
        return owner is None or get_field(owner, "uid") in self.subjects or get_identity(changed) in self.subjects

    @property
    def is_alive(self) -> bool:
        """Whether all is heard."""
        return bool(self.watches) and not self.silent and all(watch.is_alive for watch in self.watches.values())

    def kill(self) -> None:
        """Ends all watches."""
        for watch in self.watches.values():
            watch.kill()
        for watch in self.watches.values():
            watch.wait()
