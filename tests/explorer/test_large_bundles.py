"""Bundles of 64 x 64 colour images on the page: served, as one file, and dropped on a static page."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from explorer_helpers import AXE, COMMAND, READY, Explorer, recorded

from infogan_tool.export import export_run
from infogan_tool.train import fit, preset

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Page

SIZE = 64
LATENTS: dict[str, tuple[list[int], int]] = {"both": ([3], 2), "category": ([3], 0), "styles": ([], 3)}
"""Categorical codes, and number of continuous codes."""
EXAMPLES = 6
FOREGROUND = {"kind": "centred_foreground", "box": 20, "centre": "mass", "ink": "light", "stroke": 0}
WAIT_MS = 120_000
"""A guard against hanging only."""
SHOWS = """(name) => document.querySelector(".bundle")?.getAttribute("aria-label") === `Bundle ${name}`
  && document.documentElement.dataset.ready && document.querySelector("[data-part=image]").width === 64"""
PROBLEM = """(reason) => !document.getElementById("problem").hidden
  && document.getElementById("problem").innerText.includes(reason)"""
PIXELS = """(part) => {
  const canvas = document.querySelector(`[data-part=${part}]`);
  return [...canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data];
}"""


@pytest.fixture(scope="module", params=LATENTS)
def large(request: pytest.FixtureRequest, browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train on coloured squares for some steps, and export with example images."""
    assert browser
    categorical, continuous = LATENTS[request.param]
    config = preset(
        "paper",
        latent={"noise": 4, "categorical": categorical, "continuous": continuous},
        networks={"base_width": 4, "full_width": 8, "q_width": 4},
        schedule={"batch_size": 8, "steps": 3},
    )
    images = np.full((40, SIZE, SIZE, 3), 20, np.uint8)
    for number, (top, left) in enumerate(np.random.default_rng(0).integers(0, 40, (40, 2))):
        images[number, top : top + 20, left : left + 20] = (250, 20 + 5 * number, 60)
    run = fit(config, images, device="cpu", threads=1)
    out: Path = tmp_path_factory.mktemp("large") / str(request.param)
    export_run(run, out, examples=EXAMPLES)
    return out


@pytest.fixture(params=["served", "file", "dropped"])
def page(
    request: pytest.FixtureRequest, browser: Browser, large: Path, tmp_path: Path, static_address: str
) -> Iterator[Page]:
    """Show the bundle in one of three ways; afterwards nothing was logged."""
    opened = browser.new_page(viewport={"width": 1280, "height": 900})
    opened.set_default_timeout(WAIT_MS)
    logged, _ = recorded(opened)
    explorer = None
    if request.param == "served":
        explorer = Explorer(large)
        opened.goto(explorer.address)
    elif request.param == "file":
        out = tmp_path / "page.html"
        subprocess.run([*COMMAND, large, "--export", out], check=True, capture_output=True)
        opened.goto(out.as_uri())
    else:
        opened.goto(static_address)
        opened.wait_for_selector(READY)
        opened.set_input_files("#bundle-folder", large)
    opened.wait_for_function(SHOWS, arg=large.name)
    yield opened
    opened.close()
    if explorer:
        assert explorer.end(2)[0] == 0
    assert logged == []


def test_examples_codes_and_layout(page: Page, large: Path) -> None:
    categorical, continuous = LATENTS[large.name]
    examples = page.locator("#example-row button")
    assert examples.count() == EXAMPLES
    examples.last.click()
    page.wait_for_selector("[data-part=again]:not([hidden])")
    shown = np.reshape(page.evaluate(PIXELS, "again-input"), (SIZE, SIZE, 4))
    assert {20, 250} <= set(shown[:, :, 0].ravel().tolist())  # an image that it was trained on, in colour
    assert not (shown[:, :, 0] == shown[:, :, 2]).all()
    assert page.locator("fieldset.categories").count() == len(categorical)
    assert page.locator(".all-categories").is_visible() == bool(categorical)
    assert page.locator(".category-image").count() == sum(categorical)
    assert page.locator(".track input").count() == continuous
    assert page.locator(".map").is_visible() == (continuous > 1)
    page.get_by_role("button", name="Random codes").click()
    page.get_by_role("button", name="Tour").click()
    texts = []
    for _ in range(5):
        texts.append(page.locator("#tour-text").inner_text())
        page.locator("#tour-next").click()
    assert ("This bundle has no styles." in texts[3]) == (not continuous)
    assert ("This bundle has no categories." in texts[4]) == (not categorical)
    # In a function, because the policy of the page is no obstacle to that.
    axe = f"() => {{ {AXE.read_text(encoding='utf-8')}; return axe.run(); }}"
    for width in (390, 1280):
        page.set_viewport_size({"width": width, "height": 900})
        found: dict[str, Any] = page.evaluate(axe)
        assert [(one["id"], [node["target"] for node in one["nodes"]]) for one in found["violations"]] == []
        assert page.evaluate("() => document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("large", ["both"], indirect=True)
@pytest.mark.parametrize("page", ["dropped"], indirect=True)
def test_damaged_examples_of_a_dropped_bundle_are_refused(page: Page, large: Path, tmp_path: Path) -> None:
    broken = shutil.copytree(large, tmp_path / "broken")
    file = broken / "examples.png"
    for content, reason in ((b"{}", "is damaged"), (file.read_bytes()[:200], "is damaged"), (None, "has no")):
        file.unlink()
        if content is not None:
            file.write_bytes(content)
        page.evaluate("() => { document.getElementById('problem').hidden = true; }")
        page.set_input_files("#bundle-folder", broken)
        page.wait_for_function(PROBLEM, arg=reason)
        file.touch()
    assert page.locator("#example-row button").count() == EXAMPLES  # the bundle before it is still shown


@pytest.mark.parametrize("large", ["both"], indirect=True)
@pytest.mark.parametrize("page", ["dropped"], indirect=True)
@pytest.mark.parametrize(
    ("table", "key", "value"),
    [
        ("latent", "periodic", 5),
        ("image", "preprocessing", None),
        ("image", "preprocessing", {**FOREGROUND, "box": 1e9}),
        ("image", "preprocessing", {**FOREGROUND, "kind": "other"}),
        ("image", "preprocessing", FOREGROUND),  # of colour images
    ],
)
def test_damaged_metadata_of_a_dropped_bundle_are_refused(
    page: Page, large: Path, tmp_path: Path, *, table: str, key: str, value: object
) -> None:
    broken = shutil.copytree(large, tmp_path / "broken")
    metadata = json.loads((broken / "metadata.json").read_text("utf-8"))
    metadata[table][key] = value
    (broken / "metadata.json").write_text(json.dumps(metadata), "utf-8")
    page.set_input_files("#bundle-folder", broken)
    page.wait_for_function(PROBLEM, arg="is damaged")
    assert page.locator("#example-row button").count() == EXAMPLES


@pytest.mark.parametrize("large", ["both"], indirect=True)
@pytest.mark.parametrize("page", ["dropped"], indirect=True)
def test_a_dropped_bundle_of_plain_preprocessing_is_shown(page: Page, large: Path, tmp_path: Path) -> None:
    plain = shutil.copytree(large, tmp_path / "plain")
    metadata = json.loads((plain / "metadata.json").read_text("utf-8"))
    metadata["image"]["preprocessing"] = {"kind": "plain"}
    (plain / "metadata.json").write_text(json.dumps(metadata), "utf-8")
    page.set_input_files("#bundle-folder", plain)
    page.wait_for_function(SHOWS, arg="plain")
    assert page.locator("#static-note").is_hidden()


@pytest.mark.parametrize("large", ["both"], indirect=True)
@pytest.mark.parametrize("page", ["dropped"], indirect=True)
def test_a_bundle_that_is_still_being_shown_hides_no_later_problem(
    page: Page, large: Path, tmp_path: Path
) -> None:
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken/metadata.json").write_text("{}")
    for folder in (large, tmp_path / "broken"):
        page.set_input_files("#bundle-folder", folder)
    page.wait_for_function(PROBLEM, arg="it has no")
    page.wait_for_selector(READY)
    assert page.locator("#problem").is_visible()
