"""Take the explorer's screenshots: python tests/explorer/make_screenshots.py [RUN] (needs chromium)."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image
from playwright.sync_api import sync_playwright

if TYPE_CHECKING:
    from playwright.sync_api import Browser

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(HERE))

from explorer_helpers import CHROMIUM, SWITCHES, Explorer  # noqa: E402
from strokes import draw  # noqa: E402

COLOURS = 256


def take(
    browser: Browser, name: str, *bundles: str, size: tuple[int, int] = (1240, 900), theme: str = "light"
) -> None:
    """Draw a 2 on the page of some bundles and write docs/images/explorer-*.png."""
    explorer = Explorer(*bundles)
    page = browser.new_page(viewport={"width": size[0], "height": size[1]}, color_scheme=theme)
    page.goto(explorer.address)
    page.wait_for_selector("html[data-ready]")
    draw(page, ROOT / "examples" / "two.png")
    page.wait_for_timeout(4000)
    target = ROOT / "docs" / "images" / f"explorer-{name}.png"
    row = page.locator(".all-categories").last.bounding_box() if bundles else None
    clip = {"x": 0, "y": 0, "width": size[0], "height": row["y"] + row["height"] + 20} if row else None
    page.screenshot(path=target, full_page=name != "phone", clip=clip)
    shrink(target)
    explorer.end(2)


def take_training(browser: Browser, run: str) -> None:
    """Write the page of a run to docs/images/explorer-watch.png."""
    explorer = Explorer(run)
    page = browser.new_page(viewport={"width": 1240, "height": 900}, color_scheme="light")
    page.goto(explorer.address)
    page.wait_for_selector(".effect")
    page.wait_for_timeout(2000)
    target = ROOT / "docs" / "images" / "explorer-watch.png"
    page.screenshot(path=target, full_page=True)
    shrink(target)
    explorer.end(2)


def shrink(path: Path) -> None:
    """Write an image again with fewer colours."""
    Image.open(path).convert("RGB").quantize(COLOURS).save(path, optimize=True)


def main() -> None:
    """Take all screenshots; that of a training only with a run."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=SWITCHES)
        take(browser, "light")
        take(browser, "dark", theme="dark")
        take(browser, "phone", size=(390, 844))
        take(browser, "compare", "mnist", "mnist-int8")
        for run in sys.argv[1:]:
            take_training(browser, run)
        browser.close()


if __name__ == "__main__":
    main()
