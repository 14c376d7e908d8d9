"""The page of --report in a real Chromium: `make browser`. With SCREENSHOTS=DIR it leaves pictures there."""

import os
import sys
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parent.parent)]

import crowds  # noqa: E402
from chromium import Page  # noqa: E402
from conftest import FIXTURES, run  # noqa: E402

SIZES = {"5": {"web": (3, 1), "api": (2, 0)}, "500": {"web": (400, 7), "api": (60, 0), "cart": (20, 0), "mail": (20, 0)}}
HOSTILE = "</script><img src=x onerror=document.title='broken'><script>document.title='broken'</script>" + "x" * 5000


@pytest.fixture(scope="module")
def page():
    with Page() as opened:
        yield opened


@pytest.fixture(scope="module", params=["5", "500", "one", "hostile"])
def report(request, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    source, arguments = folder / "recording", ["--retry-limit", "1"]
    if request.param in SIZES:
        crowds.record(source, SIZES[request.param], FIXTURES, olds=int(request.param) // 2)
    elif request.param == "one":
        source = FIXTURES / "deployment/crash-loop"
    else:
        source.mkdir()
        for path in (FIXTURES / "container/image-not-found").iterdir():
            text = path.read_text().replace("app:does-not-exist", HOSTILE.replace('"', "'")) if path.suffix == ".json" else path.read_text()
            (source / path.name).write_text(text)
    assert run("report", str(source), "-o", str(folder / "r.html"), *arguments).exit == 0
    return folder / "r.html"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 400, 800, 1400])
def test_a_window(page: Page, report: Path, width: int, scheme: str, request: pytest.FixtureRequest) -> None:
    """Nothing is wider than the window, nothing is loaded, nothing is complained of, and the colours are of the scheme."""
    page.open(report, width, scheme)
    if folder := os.environ.get("SCREENSHOTS"):
        page.screenshot(Path(folder) / f"{request.node.callspec.params['report']}-{width}-{scheme}.png")
    assert page.value("document.documentElement.scrollWidth") <= width
    wide = page.value(
        "[...document.querySelectorAll('main *')].filter(each => !each.closest('.scroll,.name') && each.getClientRects().length"
        " && each.getBoundingClientRect().right > innerWidth + 1).map(each => each.outerHTML.slice(0, 200))"
    )
    assert wide == []
    assert (page.said, page.requests) == ([], [report.as_uri()])
    assert page.value("document.title").startswith("The rollout failed: ")
    assert page.value("document.images.length + document.scripts.length") == 0
    light = sum(map(int, page.value("getComputedStyle(document.body).backgroundColor").strip("rgb()").split(",")))
    assert (light > 600) == (scheme == "light")


CONTRAST = """(() => {
  const parts = text => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(v => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, index) => sum + v * [0.2126, 0.7152, 0.0722][index], 0);
  const behind = each => { for (; each; each = each.parentElement) {
    const colour = parts(getComputedStyle(each).backgroundColor); if (colour.length < 4 || colour[3] > 0) return colour } };
  const found = [];
  for (const each of document.querySelectorAll('main *')) {
    if (![...each.childNodes].some(node => node.nodeType === 3 && node.data.trim()) || !each.getClientRects().length) continue;
    const [a, b] = [light(parts(getComputedStyle(each).color)), light(behind(each))];
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (contrast < 4.5) found.push([each.outerHTML.slice(0, 120), contrast]);
  }
  return found;
})()"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_has_enough_contrast(page: Page, report: Path, scheme: str) -> None:
    page.open(report, 1400, scheme)
    assert page.value(CONTRAST) == []


def test_it_is_used_by_keyboard(page: Page, report: Path) -> None:
    """Tab goes through the rows, Enter opens one and shows what was said."""
    page.open(report, 1400)
    for _ in range(30):
        page.press("Tab")
        if page.value("document.activeElement.matches('.lane > summary, .alike > summary')"):
            break
    assert page.value("document.activeElement.matches('.lane > summary, .alike > summary')")
    assert page.value("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.press("Enter")
    assert page.value("document.activeElement.parentElement.open")
    assert page.value("document.activeElement.nextElementSibling.getClientRects().length") == 1
    assert page.value("document.querySelector('.lane i').title.length") > 5


def test_it_is_printed_light(page: Page, report: Path) -> None:
    page.open(report, 800, "dark", media="print")
    assert page.value("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.value("getComputedStyle(document.querySelector('pre')).maxHeight") == "none"


def test_everything_opened_fits_too(page: Page, report: Path) -> None:
    """All rows open, in a narrow window."""
    page.open(report, 400)
    page.value("document.querySelectorAll('details').forEach(each => each.open = true)")
    assert page.value("document.documentElement.scrollWidth") <= 400
