"""Take the screenshots of the explorer: python tests/explorer/make_screenshots.py (needs chromium)."""

from __future__ import annotations

import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(HERE))

from conftest import CHROMIUM, SWITCHES, Explorer  # noqa: E402
from strokes import draw  # noqa: E402

COLOURS = 256
VIEWS = {
    "light": {"viewport": {"width": 1240, "height": 900}, "color_scheme": "light"},
    "dark": {"viewport": {"width": 1240, "height": 900}, "color_scheme": "dark"},
    "phone": {"viewport": {"width": 390, "height": 844}, "color_scheme": "light"},
}


def main() -> None:
    """Write docs/images/explorer-light.png, -dark.png and -phone.png."""
    explorer = Explorer()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=SWITCHES)
        for name, view in VIEWS.items():
            page = browser.new_page(**view)
            page.goto(explorer.address)
            page.wait_for_selector("#canvas")
            page.wait_for_timeout(3000)
            draw(page, ROOT / "examples" / "two.png")
            page.wait_for_timeout(4000)
            target = ROOT / "docs" / "images" / f"explorer-{name}.png"
            page.screenshot(path=target, full_page=name != "phone")
            Image.open(target).convert("RGB").quantize(COLOURS).save(target, optimize=True)
        browser.close()
    explorer.end(2)


if __name__ == "__main__":
    main()
