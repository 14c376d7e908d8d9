"""A real terminal: tmux, driven by its commands."""

import os
import shlex
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

DEADLINE = 60  # seconds for what is waited for


class Tmux:
    """A window of a tmux server of its own, in which a shell runs."""

    def __init__(self, folder: Path, width: int, height: int) -> None:
        program = shutil.which("tmux")
        assert program, "there is no tmux: apt-get install tmux"
        self.command = [program, "-S", str(folder / "tmux"), "-f", os.devnull]
        environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": str(width), "LINES": str(height)}
        for name in ("TMUX", "NO_COLOR", "PROMPT_COMMAND"):
            environment.pop(name, None)
        shell = ["new-session", "-d", "-x", str(width), "-y", str(height), "env PS1='$ ' bash --norc --noprofile"]
        subprocess.run([*self.command, "-u", *shell], check=True, env=environment)
        self.wait_for(lambda screen: "$" in screen)

    def __enter__(self):
        return self

    def __exit__(self, *_: object) -> None:
        self.do("kill-server")

    def do(self, *arguments: str) -> str:
        return subprocess.run([*self.command, *arguments], check=True, capture_output=True, text=True).stdout

    def screen(self, *options: str) -> str:
        """What is seen; with "-S", "-" also what was scrolled away, with "-e" its colours."""
        return self.do("capture-pane", "-p", *options)

    def told(self, name: str) -> str:
        """What tmux knows of the window: cursor_flag, alternate_on, ..."""
        return self.do("display-message", "-p", f"#{{{name}}}").strip()

    def type(self, *words: str) -> None:
        self.do("send-keys", "-l", shlex.join(words))
        self.do("send-keys", "Enter")

    def key(self, name: str) -> None:
        self.do("send-keys", name)

    def resize(self, width: int, height: int) -> None:
        self.do("resize-window", "-x", str(width), "-y", str(height))

    def wait_for(self, is_there: Callable[[str], bool]) -> str:
        """The screen, once it is as it should be."""
        end = time.monotonic() + DEADLINE
        while not is_there(screen := self.screen()):
            assert time.monotonic() < end, repr(screen)
            time.sleep(0.05)
        return screen
