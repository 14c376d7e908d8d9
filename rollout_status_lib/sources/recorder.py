"""Writes the polls of a run to a folder, so that they can be replayed."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import yaml

from rollout_status_lib import Json
from rollout_status_lib.errors import RolloutError, describe_error
from rollout_status_lib.objects import get_controller, get_field, get_identity, get_namespace
from rollout_status_lib.rules import Rules
from rollout_status_lib.secrets import SECRETS, VARIABLES
from rollout_status_lib.selection import Selection, Target
from rollout_status_lib.source import Poll, Snapshot
from rollout_status_lib.sources.manifests import is_manifest
from rollout_status_lib.values import format_timestamp
from rollout_status_lib.whole import write_whole

RECORDED = re.compile(r"recording\.yaml|applied\.json|revisions\.json|\d{3,}\.json")  # the files of a recording


def refuse_shared(folder: Path, flag: str) -> None:
    """RolloutError `usage` if somebody else could read or change what is written to a folder: if it is a link, or is or lies in a folder
    in which others may replace files. A link further up counts where others may have made it.
    """
    try:
        for path in (folder, *folder.parents):
            if path.is_symlink() and (path == folder or not is_own(path, folder_of_link=True)):
                raise RolloutError("usage", f"{flag} {folder}: {path} is a link: name the folder itself")
        there = next(path for path in (folder, *folder.parents) if path.exists())
        if not is_own(there):
            remedy = "name another one, or take the right away (chmod go-w)"
            raise RolloutError("usage", f"{flag} {folder}: others may write to {there.absolute()} and change the recording: {remedy}")
    except OSError as error:
        raise RolloutError("usage", f"{flag} {folder}: {describe_error(error)}") from None


def is_own(path: Path, *, folder_of_link: bool = False) -> bool:
    """True if nobody else may replace files in a folder; of a link, if nobody else may have made it."""
    if folder_of_link:
        return path.lstat().st_uid in (0, os.geteuid()) and not path.parent.stat().st_mode & stat.S_IWOTH
    status = path.stat()
    by_others = status.st_mode & stat.S_IWOTH or (status.st_mode & stat.S_IWGRP and status.st_gid not in (0, os.getegid()))
    return not by_others or bool(status.st_mode & stat.S_ISVTX)


class Recorder:
    """Writes the polls of a run to a new folder, so that they can be replayed.

    Objects that the run does not judge are left out. Values of environment variables and all secrets are replaced; equal ones stay
    equal, since rules compare templates.
    """

    DROPPED = ("managedFields",)

    def __init__(self, folder: Path, selection: Selection, rules: Rules, *, only_failed: bool = False) -> None:
        flag = "--dump" if only_failed else "--record"
        refuse_shared(folder, flag)
        try:
            self.made = [
                path for path in (folder, *folder.parents) if not path.exists()
            ]  # folders that this run makes, the innermost first
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if only_failed and is_recording(folder):
                for path in folder.iterdir():
                    path.unlink()
            if any(folder.iterdir()):
                kept = ", and holds more than a recording that --dump wrote" if only_failed else ""
                raise RolloutError("usage", f"{flag}: {folder} is not empty{kept}: name a new folder")
            # --dump writes into a hidden folder inside until the run has failed, so that moving it out stays on one disk
            self.hidden = Path(tempfile.mkdtemp(prefix=".", dir=folder)) if only_failed else None
        except OSError as error:
            raise RolloutError("usage", f"{flag} {folder}: {describe_error(error)}") from None
        self.target, self.folder, self.selection, self.rules = folder, self.hidden or folder, selection, rules
        self.polls: list[Json] = []
        self.files: dict[bytes, str] = {}  # digest of the content -> name of the file
        self.has_applied = False  # True once applied.json is written
        self.notes: list[str] = []

    def end(self, logs: Mapping[str, str], revisions: Sequence[Json], exit_code: int) -> None:
        """Completes the recording. Nothing is left behind if there was no poll, and by --dump after a success."""
        if self.polls and (exit_code or not self.hidden):
            self.save(logs, revisions)
            if self.hidden:
                self.keep(self.hidden)
        else:
            if self.hidden:
                shutil.rmtree(self.hidden, ignore_errors=True)
            with suppress(OSError):  # it holds somebody else's files
                for path in self.made:
                    path.rmdir()

    def keep(self, hidden: Path) -> None:
        """Moves the hidden recording to its place."""
        try:
            for path in hidden.iterdir():
                path.rename(self.target / path.name)
            hidden.rmdir()
            self.folder, self.hidden = self.target, None
        except OSError as error:
            self.notes = [f"the recording is not complete: {error}"]

    def add(self, poll: Poll, roots: Iterable[Json]) -> None:
        """Writes the workloads of a poll and everything below them, or the calls that failed."""
        entry: dict[str, Json] = {"at": format_timestamp(poll.at)}
        if poll.snapshot:
            content = json.dumps({"kind": "List", "items": list(map(self.clean, self.kept(poll.snapshot, roots)))}, indent=1)
            digest = hashlib.sha256(content.encode()).digest()
            if digest not in self.files:
                self.files[digest] = f"{len(self.files) + 1:03}.json"
                self.write(self.files[digest], content)
            entry["objects"] = self.files[digest]
            entry |= {"used": {resource: list(names) for resource, names in asked.items()}} if (asked := poll.snapshot.used.asked) else {}
        else:
            entry["error"] = [{key: call[key] for key in sorted(call)} for call in poll.calls]
        self.polls.append(entry)
        self.save({})

    def save(self, logs: Mapping[str, str], revisions: Sequence[Json] = ()) -> None:
        """Writes recording.yaml: the polls so far, and what was read at the end."""
        words = {
            word: list(key)
            for key, kind in self.rules.kinds_of_objects.items()
            for word, each in self.rules.undeclared.items()
            if each is kind
        }
        # an error may have told a value before it was known for one
        polls = [self.redacted(each) if "error" in each else each for each in self.polls]
        content = {
            "exact": True,
            "polls": polls,
            **({"logs": self.redacted(dict(logs))} if logs else {}),
            **({"words": words} if words else {}),
        }
        if revisions:
            content["revisions"] = "revisions.json"
            self.write("revisions.json", json.dumps({"kind": "List", "items": list(map(self.clean, revisions))}, indent=1))
        content |= {"skipped": list(self.selection.skipped)} if self.selection.unasked else {}
        if self.selection.manifests and self.selection.targets:
            content["applied"] = "applied.json"
            if not self.has_applied:
                self.has_applied = True
                self.write("applied.json", json.dumps({"kind": "List", "items": list(map(self.applied, self.selection.targets))}, indent=1))
        self.write("recording.yaml", yaml.safe_dump(content, sort_keys=False))

    def applied(self, target: Target) -> Json:
        """A workload of the manifests: what `kubectl apply` printed, or else only its kind and name."""
        names = {"name": target.name, **({"namespace": target.namespace} if target.namespace else {})}
        named = {**{key: get_field(target.manifest, key) for key in ("apiVersion", "kind")}, "metadata": names}
        return self.clean(target.applied or named)

    def kept(self, snapshot: Snapshot, roots: Iterable[Json]) -> list[Json]:
        """The workloads, everything below them, what these use, and the events about all of it. Events that cannot be read are left out."""
        below: dict[str, list[Json]] = {}
        for each in snapshot.objects:
            below.setdefault(str(get_field(get_controller(each), "uid")), []).append(each)
        found = {get_identity(root): root for root in roots}
        queue = list(found.values())
        while queue:
            fresh = {get_identity(each): each for each in below.get(get_identity(queue.pop()), ()) if get_identity(each) not in found}
            found |= fresh
            queue += fresh.values()
        found |= {key: each for key, each in snapshot.used.taken.items() if key not in found}
        spaces = dict.fromkeys(get_namespace(each) for each in found.values())
        events = [event for namespace in spaces for event in snapshot.events(namespace) or ()]
        return [*found.values(), *(event for event in events if get_field(event, "involvedObject", "uid") in found)]

    def clean(self, value: Json) -> Json:
        """An object as it may be recorded: without the manifests that tools have left in its annotations, and without secrets."""
        annotations = get_field(value, "metadata", "annotations")
        if isinstance(annotations, dict):
            rest = {key: text for key, text in annotations.items() if not (isinstance(text, str) and is_manifest(key, text))}
            value = {**value, "metadata": {**value["metadata"], "annotations": rest}}
        return self.redacted(value)

    def redacted(self, value: Json, *, secret: bool = False) -> Json:
        """The same of any value. A manifest in the annotations of a template leaves its number: templates that differ still do."""
        if isinstance(value, list):
            return [self.redacted(entry, secret=secret) for entry in value]
        if not isinstance(value, dict):
            return SECRETS.mask(value) if isinstance(value, str) else value
        dropped = (*self.DROPPED, "data", "stringData") if value.get("kind") == "Secret" else self.DROPPED
        kept = {key: self.redacted(entry, secret=key in VARIABLES) for key, entry in value.items() if key not in dropped}
        if isinstance(kept.get("annotations"), dict):
            texts = {key: text for key, text in kept["annotations"].items() if isinstance(text, str) and is_manifest(key, text)}
            kept["annotations"] |= {key: SECRETS.number(text) for key, text in texts.items()}
        if secret and "value" in value:
            kept["value"] = SECRETS.number(str(value["value"]))
        return kept

    def write(self, name: str, text: str) -> None:
        """Writes a file so that it is there as a whole or not at all. If that fails there is a note: the verdict is never hidden."""
        try:
            write_whole(self.folder / name, text, private=True)
        except OSError as error:
            self.notes = [f"the recording is not complete: {error}"]


def is_recording(folder: Path) -> bool:
    """True if the folder holds a recording that this program has written, and nothing else."""
    names = {path.name for path in folder.iterdir() if path.is_file() and not path.is_symlink()}
    if len(names) != len(list(folder.iterdir())) or not all(RECORDED.fullmatch(name) for name in names):
        return False
    return "recording.yaml" in names and (folder / "recording.yaml").read_text(encoding="utf-8", errors="replace").startswith(
        "exact: true\n"
    )
