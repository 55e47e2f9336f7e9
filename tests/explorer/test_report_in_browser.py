"""The page that ``report`` writes, in a browser without network."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from explorer_helpers import AXE, recorded
from report_entries import HOSTILE, write_bundle, write_run

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

ROOT = Path(__file__).resolve().parents[2]
FIXTURES = ROOT / "tests/fixtures"
LOOKS = [(1280, "light"), (1280, "dark"), (360, "light"), (360, "dark")]


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a page about a run that has curves and sheets, and two bundles, one with hostile names."""
    from infogan_tool.export.report.write import write_report  # noqa: PLC0415 - only where a browser is

    folder = tmp_path_factory.mktemp("report")
    run = write_run(folder / "run", epochs=12)
    labels = {"k1": [HOSTILE, "7", None, "a longer name than fits"], "k2": ["x", "y", "z"]}
    training = {"preset": HOSTILE, "config": {"a": HOSTILE}}
    hostile = write_bundle(folder / "bundle", FIXTURES / "tiny", labels=labels, training=training)
    other = write_bundle(folder / "other", FIXTURES / "continuous")
    write_report([run, hostile, other], folder / "page.html", device="cpu")
    return folder / "page.html"


@pytest.fixture(params=LOOKS, ids=[f"{width}-{scheme}" for width, scheme in LOOKS])
def page(request: pytest.FixtureRequest, browser: Browser, report: Path) -> Iterator[Page]:
    """Open the page with every other request refused; afterwards there was none, and nothing was logged."""
    width, scheme = request.param
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True)
    context.set_default_timeout(120_000)
    opened = context.new_page()
    logged, _ = recorded(opened)
    asked: list[str] = []  # what is refused included
    opened.on("dialog", lambda dialog: (logged.append("a dialog"), dialog.dismiss()))

    def only_itself(route: Any) -> None:  # noqa: ANN401 - Playwright's
        asked.append(route.request.url)
        if route.request.url == report.as_uri():
            route.continue_()
        else:
            route.abort()

    opened.route(lambda url: not url.startswith("data:"), only_itself)
    opened.goto(report.as_uri())
    yield opened
    context.close()
    assert asked == [report.as_uri()]
    assert logged == []


def test_the_page_is_accessible_and_fits(page: Page) -> None:
    wide = page.evaluate("() => document.documentElement.scrollWidth - innerWidth")
    assert wide <= 0
    page.evaluate(AXE.read_text(encoding="utf-8"))
    for summary in page.locator("summary").all():
        summary.click()
    found = page.evaluate("() => axe.run()")
    assert [(v["id"], [node["target"] for node in v["nodes"]]) for v in found["violations"]] == []
    assert len(found["passes"]) > 15


def test_figures_are_seen(page: Page) -> None:
    figures = page.locator("figure svg")
    assert figures.count() > 15
    for box in (figure.bounding_box() for figure in figures.all()):
        assert box is not None
        assert box["width"] > 100
        assert box["height"] > 40
    sizes = page.evaluate(
        "() => Promise.all([...document.querySelectorAll('image')].map(async (one) => {"
        "  const image = new Image(); image.src = one.href.baseVal; await image.decode();"
        "  return image.naturalWidth; }))"
    )
    assert len(sizes) > 5
    assert min(sizes) > 20


def test_figures_have_the_colours_of_the_page(page: Page) -> None:
    """Text of a figure stands out from what is behind it, in the dark too."""
    ink, panel = page.evaluate(
        "() => { const text = [...document.querySelectorAll('figure svg text')][0];"
        "  return [getComputedStyle(text).fill, getComputedStyle(text.closest('.row')).backgroundColor]; }"
    )
    light = [sum(int(n) for n in colour[4:-1].split(",")) / 3 for colour in (ink, panel)]
    dark_scheme = page.evaluate("() => matchMedia('(prefers-color-scheme: dark)').matches")
    assert (light[0] > light[1]) == dark_scheme
    assert abs(light[0] - light[1]) > 80


def test_the_animation_waits_to_be_played(page: Page) -> None:
    moving = page.locator("details img")
    assert moving.count() == 1
    assert not moving.is_visible()
    page.get_by_text("Play the samples of run").click()
    assert moving.is_visible()
    moving.evaluate("(one) => one.decode()")
    assert moving.evaluate("(one) => one.naturalWidth") >= 200


def test_names_are_shown_as_they_are(page: Page) -> None:
    assert page.get_by_text(HOSTILE).count() > 0
    assert page.evaluate("() => document.scripts.length") == 0
