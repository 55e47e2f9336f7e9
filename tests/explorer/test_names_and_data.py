"""Names given on the page, and the images of a folder in code space, in a browser."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import pytest
from explorer_helpers import AXE, READY, Explorer, recorded
from PIL import Image

from infogan_tool.runtime import load_bundle

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

ROOT = Path(__file__).resolve().parents[2]
WAIT_MS = 120_000
"""A guard against hanging only."""
A_POINT = """() => {
  const canvas = document.getElementById("scatter");
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  for (let at = 0; at < canvas.width * canvas.height; at++) {
    const [r, g, b, alpha] = data.slice(4 * at, 4 * at + 4);
    const spread = Math.max(r, g, b) - Math.min(r, g, b);
    if (alpha > 190 && spread > 40) {
      return [(at % canvas.width) / canvas.width, Math.floor(at / canvas.width) / canvas.height];
    }
  }
  return null;
}"""
"""The place of a coloured pixel on the plot, as shares of its width and height."""


@pytest.fixture(scope="module")
def named(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the colour bundle that a test may name."""
    assert browser
    return Path(shutil.copytree(ROOT / "tests/fixtures/tiny", tmp_path_factory.mktemp("named") / "tiny"))


@pytest.fixture(scope="module")
def served(named: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Explorer]:
    """Serve it with 40 generated images, and one that is plain."""
    folder = tmp_path_factory.mktemp("images")
    bundle = load_bundle(named, device="cpu")
    images = (bundle.generate(bundle.sample(40, seed=1)).transpose(0, 2, 3, 1) * 255).astype(np.uint8)
    for number, image in enumerate([*images, np.full_like(images[0], 255)]):
        Image.fromarray(image).save(folder / f"{number:02d}.png")
    running = Explorer(named, "--data", folder)
    yield running
    assert running.end(2)[0] == 0


@pytest.fixture
def page(browser: Browser, served: Explorer) -> Iterator[Page]:
    """Open the page; afterwards nothing was logged, and no other machine was asked."""
    opened = browser.new_page(viewport={"width": 1280, "height": 900}, color_scheme="light")
    logged, requested = recorded(opened)
    opened.goto(served.address)
    opened.wait_for_selector(READY, timeout=WAIT_MS)
    yield opened
    opened.close()
    assert [line for line in logged if "status of 422" not in line] == []
    assert [url for url in requested if not url.startswith((served.address, "blob:", "data:"))] == []


def open_names(page: Page) -> None:
    page.get_by_role("button", name="Name categories and styles").click()


def test_names_are_written_into_the_bundle(page: Page, named: Path) -> None:
    before = json.loads((named / "metadata.json").read_text("utf-8"))
    open_names(page)
    hostile = '<img src=x onerror="alert(1)">'
    page.get_by_label("Name of k1 2").fill("ring")
    page.get_by_label("Name of k1 3").fill(hostile)
    page.get_by_label("Name of c2").fill("redness")
    page.get_by_role("button", name="Save").click()
    page.wait_for_selector(".category-name >> text=ring", timeout=WAIT_MS)
    page.wait_for_selector(READY, timeout=WAIT_MS)
    assert page.get_by_role("slider", name="redness, c2").count() == 1
    assert page.locator(".category-name").all_inner_texts()[:4].count(hostile) == 1
    after = json.loads((named / "metadata.json").read_text("utf-8"))
    assert after["labels"]["k1"][2:] == ["ring", hostile]
    assert after["style_names"]["c2"] == "redness"
    assert (after["bundle_id"], after["graphs"]) == (before["bundle_id"], before["graphs"])
    open_names(page)
    assert page.get_by_label("Name of k1 2").input_value() == "ring"
    page.get_by_label("Name of k1 2").fill("")
    page.get_by_role("button", name="Save").click()
    page.wait_for_selector(".category-name >> text=ring", state="detached", timeout=WAIT_MS)
    assert json.loads((named / "metadata.json").read_text("utf-8"))["labels"]["k1"][2] is None


def test_a_name_that_is_not_valid_is_refused(page: Page, named: Path) -> None:
    before = (named / "metadata.json").read_bytes()
    open_names(page)
    page.get_by_label("Name of k1 0").fill("#7")
    page.get_by_role("button", name="Save").click()
    page.wait_for_selector("#naming-problem:not([hidden])", timeout=WAIT_MS)
    assert "cannot be #7" in page.locator("#naming-problem").inner_text()
    assert (named / "metadata.json").read_bytes() == before
    page.get_by_role("button", name="Cancel").click()
    assert page.locator("#naming").is_hidden()


def test_the_images_of_a_folder_are_points(page: Page) -> None:
    assert page.locator("#data-count").inner_text() == "41 images."
    scatter = page.locator("#scatter")
    lit = page.evaluate(A_POINT)
    assert lit
    scatter.scroll_into_view_if_needed()
    box = scatter.bounding_box()
    assert box
    page.mouse.move(box["x"] + lit[0] * box["width"], box["y"] + lit[1] * box["height"])
    page.wait_for_function(
        "() => document.getElementById('pointed-text').textContent.includes('.png')", timeout=WAIT_MS
    )
    page.mouse.down()
    page.mouse.up()
    page.wait_for_selector("[data-part=again]:not([hidden])", timeout=WAIT_MS)
    before = page.evaluate("() => document.getElementById('scatter').toDataURL()")
    page.locator("#data-axes select").first.select_option(label="difference from the reconstruction")
    assert page.evaluate("() => document.getElementById('scatter').toDataURL()") != before


@pytest.mark.parametrize("file", ["data.json", "data.bin"])
def test_a_page_whose_data_cannot_be_read_says_so(browser: Browser, served: Explorer, file: str) -> None:
    page = browser.new_page()
    page.route(f"**/{file}", lambda route: route.fulfill(status=500))
    page.goto(served.address)
    page.wait_for_function(
        "() => document.getElementById('boot').innerText.includes('cannot start')", timeout=WAIT_MS
    )
    assert page.locator("#boot").is_visible()
    assert page.locator("#main").is_hidden()
    page.close()


def test_the_worst_images_are_listed_and_open(page: Page) -> None:
    worst = page.locator("#gallery .gallery-row").last.locator("button")
    assert worst.count() == 12
    assert "40.png" in (worst.first.get_attribute("aria-label") or "")  # the plain one
    worst.first.focus()
    page.keyboard.press("Enter")
    page.wait_for_function(
        "() => document.getElementById('canvas').getAttribute('aria-label') === 'Your image'", timeout=WAIT_MS
    )


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_names_and_data_are_accessible(page: Page, scheme: Literal["light", "dark"], width: int) -> None:
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 900})
    page.evaluate(AXE.read_text(encoding="utf-8"))
    for naming in (False, True):
        if naming:
            open_names(page)
        found = page.evaluate("() => axe.run()")
        assert [(one["id"], [node["target"] for node in one["nodes"]]) for one in found["violations"]] == []
        assert page.evaluate("() => document.documentElement.scrollWidth") <= width
