"""The page as one file, opened from disk: of the pretrained bundle, in colour, and without categories."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pytest
from explorer_helpers import AXE, COMMAND, READY, recorded
from PIL import Image

from infogan_tool.cli.explorer.description import SITE_FILES
from infogan_tool.runtime.bundle.bundle import PRETRAINED_BUNDLE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Browser, Page

ROOT = Path(__file__).resolve().parents[2]
BUNDLES = {
    "mnist": PRETRAINED_BUNDLE,
    "tiny": ROOT / "tests/fixtures/tiny",  # 16 x 16, colour, two categorical codes
    "continuous": ROOT / "tests/fixtures/continuous",  # no category, no noise
}
SEVEN = ROOT / "examples/seven.png"
WAIT_MS = 120_000
"""A guard against hanging only."""
LABEL_IS = "(label) => document.querySelector('[data-part=label]').textContent === label"


@pytest.fixture(scope="module", params=BUNDLES)
def file(request: pytest.FixtureRequest, browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the page of a bundle as one file."""
    assert browser
    out: Path = tmp_path_factory.mktemp("file") / f"{request.param}.html"
    subprocess.run([*COMMAND, BUNDLES[request.param], "--export", out], check=True, capture_output=True)
    return out


@pytest.fixture
def page(browser: Browser, file: Path) -> Iterator[Page]:
    """Open the file from disk without a network; afterwards it has asked for nothing else."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, color_scheme="light", offline=True)
    opened = context.new_page()
    logged, requested = recorded(opened)
    opened.goto(file.as_uri())
    opened.wait_for_selector(READY, timeout=WAIT_MS)
    yield opened
    context.close()
    assert logged == []
    asked = {re.split("[?#]", url)[0] for url in requested if not url.startswith("blob:")}
    assert asked == {file.as_uri()}


def colours(page: Page, part: str) -> set[tuple[int, ...]]:
    """Return the differences of red from green and blue in a canvas; only (0, 0) where it is grey."""
    rgba = page.evaluate(
        "(part) => { const canvas = document.querySelector(`[data-part=${part}]`);"
        " return [...canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data]; }",
        part,
    )
    pixels = np.reshape(rgba, (-1, 4)).astype(int)
    return {(int(r - g), int(r - b)) for r, g, b, _ in pixels}


def test_an_image_is_encoded_and_generated_again(page: Page, file: Path, tmp_path: Path) -> None:
    Image.open(SEVEN).convert("RGB").save(tmp_path / "seven.png")
    page.set_input_files("#file", tmp_path / "seven.png")
    page.wait_for_selector("[data-part=again]:not([hidden])", timeout=WAIT_MS)
    assert re.search(r"Mean difference \d+\.\d %", page.locator("[data-part=again-text]").inner_text())
    grey = colours(page, "image") == {(0, 0)}
    assert grey == (file.stem != "tiny")
    groups = {"mnist": 1, "tiny": 2, "continuous": 0}[file.stem]
    assert page.locator("fieldset.categories").count() == groups
    assert page.locator(".all-categories").is_visible() == bool(groups)
    if file.stem == "mnist":
        page.wait_for_function(LABEL_IS, arg="7", timeout=WAIT_MS)
    before = page.evaluate("() => document.querySelector('[data-part=image]').toDataURL()")
    page.locator(".track input").first.focus()
    for _ in range(3):
        page.keyboard.press("PageUp")
    page.wait_for_function(
        "(before) => document.querySelector('[data-part=image]').toDataURL() !== before",
        arg=before,
        timeout=WAIT_MS,
    )
    page.wait_for_selector("[data-part=again]", state="hidden", timeout=WAIT_MS)


def test_another_bundle_is_opened_from_its_folder(page: Page, file: Path, tmp_path: Path) -> None:
    other = "continuous" if file.stem == "tiny" else "tiny"
    page.set_input_files("#bundle-folder", BUNDLES[other])
    page.wait_for_function(
        "(name) => document.querySelector('.bundle').getAttribute('aria-label') === `Bundle ${name}`"
        " && document.documentElement.dataset.ready"
        " && document.querySelector('[data-part=image]').width < 20",
        arg=other,
        timeout=WAIT_MS,
    )
    assert page.locator("fieldset.categories").count() == (2 if other == "tiny" else 0)
    shutil.copytree(BUNDLES[other], tmp_path / "broken")
    (tmp_path / "broken/metadata.json").write_text('{"schema_version": 2, "latent": {"noise": 1e99}}')
    page.set_input_files("#bundle-folder", tmp_path / "broken")
    page.wait_for_function(
        "() => document.getElementById('problem').innerText.includes('is damaged')", timeout=WAIT_MS
    )


@pytest.mark.parametrize("file", ["tiny"], indirect=True)
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_the_tour_and_the_page_are_accessible(
    page: Page, scheme: Literal["light", "dark"], width: int
) -> None:
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    page.set_viewport_size({"width": width, "height": 900})
    page.get_by_role("button", name="Tour").click()
    titles = []
    for number in range(6):
        titles.append(page.locator("#tour-title").inner_text())
        assert page.locator(".tour-target").count() == 1
        if number < 2:  # what to press is not behind the panel
            button = page.get_by_role("button", name=("New noise", "Random codes")[number]).bounding_box()
            panel = page.locator("#tour").bounding_box()
            assert button
            assert panel
            beside = button["x"] >= panel["x"] + panel["width"] or button["x"] + button["width"] <= panel["x"]
            assert beside or button["y"] + button["height"] <= panel["y"]
        if number in (0, 5):
            # Chromium opens the page from disk with the policy in it; axe is not part of that.
            found: dict[str, Any] = page.evaluate(
                f"() => {{ {AXE.read_text(encoding='utf-8')}; return axe.run(); }}"
            )
            assert [
                (one["id"], [node["target"] for node in one["nodes"]]) for one in found["violations"]
            ] == []
        page.locator("#tour-next").click()
    assert titles == [f"{number} of 6: {title.split(': ')[1]}" for number, title in enumerate(titles, 1)]
    assert page.locator("#tour").is_hidden()
    assert page.evaluate("() => document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("file", ["tiny"], indirect=True)
def test_embedded_it_has_no_header(page: Page, file: Path) -> None:
    assert page.locator(".top").is_visible()
    page.goto(f"{file.as_uri()}?embed")
    page.wait_for_selector(READY, timeout=WAIT_MS)
    assert page.locator(".top").is_hidden()
    assert page.locator(".bottom").is_hidden()
    page.goto(file.as_uri())


@pytest.mark.browser
def test_every_module_and_file_is_inside(tiny: Path, cli: Callable[..., Any], tmp_path: Path) -> None:
    out = tmp_path / "page.html"
    done = cli("explore", tiny, "--export", out)
    assert (done.code, done.out) == (0, "")
    text = out.read_text("utf-8")
    found = re.search(r'<script type="importmap">(.*?)</script>', text)
    assert found
    imports = json.loads(found[1])["imports"]
    assert set(imports) == {name for name in SITE_FILES if name.endswith(".js")} | {"onnxruntime-web"}
    assert not re.findall(r'(?:src|href)="(?!data:|#)[^"]*"', text)
    done = cli("explore", tiny, "--export", out)
    assert (done.code, "already exists" in done.err) == (1, True)
    assert cli("explore", tiny, "--export", out, "--force").code == 0
    done = cli("explore", tiny, "--export", tmp_path / "no" / "page.html")
    assert (done.code, len(done.err.splitlines())) == (2, 1)
