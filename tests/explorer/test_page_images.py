"""Images on the page in a browser: drawn, dropped, opened, preprocessed and encoded."""

from __future__ import annotations

import base64
import io
import re
from typing import TYPE_CHECKING

import numpy as np
import pytest
from explorer_helpers import WITH_SERVER, pixels, wait_for_label
from PIL import Image
from strokes import DIGITS, draw

from infogan_tool.runtime import load_bundle, load_image

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Page

MINUS = "\N{MINUS SIGN}"
IS_LIKELY = """(wanted) => [...document.querySelectorAll(".category")].some(
  (row) => row.querySelector(".category-name").textContent === wanted
    && Number(row.style.getPropertyValue("--probability")) > 0.5)"""
LEAST_RELIABLE = 8
"""Of ten drawn digits."""
DROP = """([name, content]) => {
  const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
  const data = new DataTransfer();
  data.items.add(new File([bytes], name, { type: "image/png" }));
  return data;
}"""
COMPUTE = """async ([rows, images]) => {
  const { openGraphs } = await import("./backend_browser.js");
  const { bundles } = await (await fetch("model.json")).json();
  const [graphs] = await openGraphs(bundles);
  const noise = new Float32Array(await (await fetch("bundles/0/noise.bin")).arrayBuffer());
  const generated = Array.from(await graphs.generate(Float32Array.from(rows)));
  const encoded = [];
  for (const image of images) {
    const found = Object.entries(await graphs.encode(Float32Array.from(image)));
    encoded.push(Object.fromEntries(found.map(([name, values]) => [name, Array.from(values)])));
  }
  return { noise: Array.from(noise), generated, encoded };
}"""


def as_argument(path: Path) -> list[str]:
    return [path.name, base64.b64encode(path.read_bytes()).decode()]


def test_drawn_digits_are_encoded(page: Page) -> None:
    labels = []
    for digit, path in DIGITS.items():
        draw(page, path)
        page.wait_for_function(IS_LIKELY, arg=digit)
        labels.append(page.locator("[data-part=label]").inner_text())
    # A thin line along the middle of strokes is not quite an MNIST digit: some may be out of distribution.
    assert sum(label == digit for label, digit in zip(labels, DIGITS, strict=True)) >= LEAST_RELIABLE
    assert set(labels) <= {*DIGITS, "?"}


def test_dropped_and_pasted_and_opened_digits_are_encoded(page: Page) -> None:
    for digit in ("7", "2"):
        data = page.evaluate_handle(DROP, as_argument(DIGITS[digit]))
        page.dispatch_event("#drop", "drop", {"dataTransfer": data})
        wait_for_label(page, digit)
    data = page.evaluate_handle(DROP, as_argument(DIGITS["4"]))
    page.evaluate(
        "(data) => document.dispatchEvent(new ClipboardEvent('paste', { clipboardData: data }))", data
    )
    wait_for_label(page, "4")
    page.set_input_files("#file", DIGITS["9"])
    wait_for_label(page, "9")
    before = pixels(page, "preprocessed")
    page.locator("#example-row button").nth(5).click()
    page.wait_for_function(
        "(before) => document.querySelector('[data-part=preprocessed]').toDataURL() !== before", arg=before
    )


def test_the_codes_are_those_of_the_runtime(page: Page) -> None:
    bundle = load_bundle(device="cpu")
    images = np.stack([load_image(path, bundle.image) for path in DIGITS.values()])
    expected = bundle.encode(images)
    assert expected.ood is not None
    unreliable = expected.ood | expected.low_confidence
    for row, (digit, path) in enumerate(DIGITS.items()):
        page.set_input_files("#file", path)
        wait_for_label(page, "?" if unreliable[row] else digit)
        page.wait_for_function(IS_LIKELY, arg=digit)
        shown = page.locator(".style output").all_inner_texts()
        values = [float(text.replace(MINUS, "-")) for text in shown]
        assert values == pytest.approx(expected.style_mean[row], abs=0.006), digit


def test_unreadable_files_are_reported(page: Page, tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("not an image")
    page.set_input_files("#file", DIGITS["3"])
    page.wait_for_selector("[data-part=preprocessed-figure]:not([hidden])")
    page.set_input_files("#file", tmp_path / "text.png")
    page.wait_for_selector("#problem:not([hidden])")
    for part in ("label", "preprocessed-figure", "again"):  # nothing is left of the image before
        assert page.locator(f"[data-part={part}]").is_hidden(), part
    assert re.search(r"not an image|does not know", page.locator("#problem").inner_text())
    page.set_input_files("#file", DIGITS["0"])
    wait_for_label(page, "0")
    page.wait_for_selector("#problem", state="hidden")


@pytest.mark.parametrize("address", ["static"], indirect=True)
def test_the_browser_computes_as_the_runtime(page: Page) -> None:
    bundle = load_bundle(device="cpu")
    latents = bundle.sample(12, seed=0)
    images = bundle.generate(latents)
    expected = bundle.encode(images)
    rows = np.concatenate([latents.noise, latents.categories, latents.styles], axis=1)
    found = page.evaluate(COMPUTE, [rows.ravel().tolist(), images.reshape(12, -1).tolist()])
    np.testing.assert_array_equal(np.reshape(found["noise"], (-1, 62))[:12], latents.noise)
    np.testing.assert_allclose(np.reshape(found["generated"], images.shape), images, atol=1e-4)
    for name, wanted in {
        "probabilities": expected.probabilities[0],
        "style_mean": expected.style_mean,
        "style_std": expected.style_std,
    }.items():
        np.testing.assert_allclose([one[name] for one in found["encoded"]], wanted, atol=1e-4)


@pytest.mark.parametrize("address", ["static"], indirect=True)
def test_the_static_page_says_that_photographs_need_the_server(page: Page, tmp_path: Path) -> None:
    assert "Photographs need the server" in page.locator("#static-note").inner_text()
    Image.radial_gradient("L").save(tmp_path / "uneven.png")
    page.set_input_files("#file", tmp_path / "uneven.png")
    page.wait_for_selector("#problem:not([hidden])")
    assert "even background" in page.locator("#problem").inner_text()


@WITH_SERVER
def test_the_server_preprocesses_photographs(page: Page) -> None:
    assert page.locator("#static-note").is_hidden()
    ink = np.asarray(Image.open(DIGITS["7"]).convert("L").resize((280, 280)), np.float64) / 255
    light = np.linspace(230, 130, 280)
    photograph = Image.fromarray((light * (1 - 0.8 * ink)).astype(np.uint8))
    content = io.BytesIO()
    photograph.save(content, "PNG")
    page.set_input_files("#file", {"name": "7.png", "mimeType": "image/png", "buffer": content.getvalue()})
    wait_for_label(page, "7")
