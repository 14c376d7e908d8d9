"""The pictures in docs/: `make pictures`. They need Chromium and tmux, as the tests in tests/browser and tests/terminal do."""

import io
import os
import shlex
import sys
import tempfile
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent / folder) for folder in ("", "browser", "terminal")]

import crowds  # noqa: E402
from chromium import Page  # noqa: E402
from conftest import FIXTURES, ROOT, run  # noqa: E402
from markdown_it import MarkdownIt  # noqa: E402
from rich.console import Console  # noqa: E402
from rich.terminal_theme import TerminalTheme  # noqa: E402
from rich.text import Text  # noqa: E402
from tmux import Tmux  # noqa: E402

DOCS = ROOT / "docs"
COLORS = [(0x1B, 0x20, 0x29), (0xF0, 0x52, 0x66), (0x38, 0xB3, 0x74), (0xE5, 0xC0, 0x7B), *4 * [(0xD8, 0xDE, 0xE9)]]
THEME = TerminalTheme((0x11, 0x15, 0x1C), (0xD8, 0xDE, 0xE9), COLORS, COLORS)
FEW = {"web": (3, 1), "api": (2, 0)}
MANY = {"web": (160, 40), "api": (20, 0), "cart": (20, 0)}
TERMINAL = "<!DOCTYPE html><body style='margin:0;background:#11151c'><pre style='margin:0;padding:14px 18px;color:#d8dee9;font:14px/1.35 \"DejaVu Sans Mono\",monospace'>{}</pre>"
GITHUB = """<!DOCTYPE html><body style="margin:0;padding:16px 28px;background:#fff;color:#1f2328;font:15px/1.5 system-ui,'DejaVu Sans',sans-serif"><style>
h2{border-bottom:1px solid #d1d9e0;padding-bottom:.3em}pre{background:#f6f8fa;border-radius:6px;padding:12px}code{font:13px/1.45 "DejaVu Sans Mono",monospace}
table{border-collapse:collapse}td,th{border:1px solid #d1d9e0;padding:6px 13px}</style>"""


def take(page: Page, source: Path, name: str, width: int, *, scheme: str = "light", height: int = 900) -> None:
    """Shows a file as a window of this width does, and keeps the picture; `height` is the least."""
    page.open(source, width, scheme, height)
    whole = min(height, int(page.value("Math.ceil(document.body.getBoundingClientRect().bottom)")))
    page.open(source, width, scheme, whole)
    page.screenshot(DOCS / name, whole=False)
    print(f"docs/{name}")


def draw_pages(page: Page, folder: Path) -> None:
    """The page of a few pods and of many, light and dark."""
    for name, sizes, olds in (("report-few", FEW, 2), ("report", MANY, 20)):
        crowds.record(folder / name, sizes, FIXTURES, olds=olds)
        assert run("report", str(folder / name), "-o", str(folder / f"{name}.html"), "--retry-limit", "1").exit == 0
        for scheme in ("light", "dark"):
            take(page, folder / f"{name}.html", f"{name}-{scheme}.png", 1000, scheme=scheme, height=1150)


def draw_terminal(page: Page, folder: Path, width: int, name: str) -> None:
    """What a terminal shows at the end of a run."""
    (folder / name).mkdir()
    with Tmux(folder / name, width, 40) as window:
        command = [sys.executable, str(ROOT / "rollout_status.py"), "--replay", str(folder / "report-few"), "--retry-limit", "1"]
        window.do("send-keys", "-l", f"clear; {shlex.join(command)}; PS1=; echo end''ed")
        window.key("Enter")
        window.wait_for(lambda screen: "\nended" in screen)
        shown = window.screen("-e", "-S", "-").partition("\nended")[0]
    console = Console(record=True, width=width, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    picture = shown[shown.index("rollout-status  ") :].rstrip()
    console.print(Text.from_ansi(f"$ rollout-status -n shop\n\x1b[1m{picture}"), soft_wrap=True)
    code = console.export_html(inline_styles=True, code_format="{code}", theme=THEME)
    (folder / f"{name}.html").write_text(TERMINAL.format(code))
    take(page, folder / f"{name}.html", name, int(width * 8.45) + 36)


def draw_summary(page: Page, folder: Path) -> None:
    """The summary of a step of GitHub."""
    assert run("report", str(folder / "report-few"), "-o", str(folder / "summary.md"), "--retry-limit", "1").exit == 0
    markdown = MarkdownIt("commonmark", {"html": True}).enable("table").render((folder / "summary.md").read_text())
    (folder / "summary.html").write_text(GITHUB + markdown.replace("❌", "<span style='color:#cf222e'>✖</span>"))  # which is in every font
    take(page, folder / "summary.html", "summary.png", 900)


def main() -> None:
    os.environ["TERM"] = "xterm-256color"
    with tempfile.TemporaryDirectory() as name, Page() as page:
        folder = Path(name)
        draw_pages(page, folder)
        draw_terminal(page, folder, 110, "terminal.png")
        draw_terminal(page, folder, 50, "terminal-narrow.png")
        draw_summary(page, folder)


if __name__ == "__main__":
    main()
