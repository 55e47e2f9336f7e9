"""The controls of the page in a browser, with the server and as a static site."""

from __future__ import annotations

import io
import json
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import pytest
from explorer_helpers import AXE, READY, WITH_SERVER, Explorer, pixels, settle, wait_for_label
from PIL import Image
from strokes import DIGITS, draw
from turning import TURN_FOR_SECONDS, processor_seconds

from infogan_tool.runtime import load_bundle
from infogan_tool.runtime.images.files import read_image

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Route

MINUS = "\N{MINUS SIGN}"
CONTROLS = (
    *("undo", "clear", "choose", 'name="pen"', "category-0", 'type="range"', "new-noise", "category-image"),
    *('data-part="handle"', 'data-part="play"', "save-gif", "open-card", "theme"),
)
TURN_TIMES = """async (times) => {
  const slider = document.querySelector(".track input");
  for (let i = 0; i < times; i++) {
    const generated = new Promise((done) => document.addEventListener("generated", done, { once: true }));
    slider.value = String(2 * Math.sin(i / 9));
    slider.dispatchEvent(new Event("input", { bubbles: true }));
    await generated;
  }
}"""


def test_a_slider_changes_the_image(page: Page) -> None:
    before, steps, behind = pixels(page), pixels(page, "strip"), pixels(page, "map")
    slider = page.get_by_role("slider", name=re.compile(", c1$"))
    slider.focus()
    for _ in range(40):
        page.keyboard.press("ArrowRight")
    page.wait_for_function(
        "(before) => document.querySelector('[data-part=image]').toDataURL() !== before", arg=before
    )
    assert (pixels(page, "strip"), pixels(page, "map")) == (steps, behind)  # these do not depend on c1


def test_updates_a_second(page: Page, address: str, capsys: pytest.CaptureFixture[str]) -> None:
    found = page.evaluate(TURN_FOR_SECONDS, 3)
    before = processor_seconds()
    page.evaluate(TURN_TIMES, 100)
    each = (processor_seconds() - before) / 100
    with capsys.disabled():
        print(
            f"\n{address}: {found['updates']:.0f} updates a second in {found['frames']:.0f} frames a second; "
            f"{1000 * each:.1f} ms of processor for each, in the browser and the server together"
        )
    # The goal is 30 a second. It is not held against the clock, because the machine may have other things to
    # do, but against processor time, and with room, because that too grows where a core is shared.
    assert each <= 2 / 30


def test_categories_map_noise_and_interpolation(page: Page) -> None:
    before = pixels(page)
    page.get_by_role("button", name="8 in this style").click()
    assert page.get_by_role("radio", name="8").is_checked()
    page.wait_for_function(
        "() => document.querySelector('.category-image[aria-pressed=true]').textContent === '8'"
    )
    handle = page.get_by_role("slider", name="Place on the style map")
    handle.focus()
    page.keyboard.press("ArrowUp")
    assert page.locator(".style output").last.inner_text() == f"{MINUS}0.35"
    square, dot = page.locator(".map-square").bounding_box(), handle.bounding_box()
    assert square
    assert dot
    assert dot["width"] > 20
    assert dot["x"] + dot["width"] / 2 == pytest.approx(square["x"] + square["width"] * 0.4, abs=2)  # at -0.4
    page.mouse.click(square["x"] + square["width"] * 0.75, square["y"] + square["height"] * 0.25)
    assert [float(text.replace(MINUS, "-")) for text in page.locator(".style output").all_inner_texts()] == (
        pytest.approx([1, 1], abs=0.05)
    )
    page.keyboard.press("n")
    page.get_by_role("button", name="End here").click()
    page.get_by_role("button", name="Play").click()
    page.wait_for_function("() => Number(document.querySelector('[data-part=place]').value) > 0.6")
    page.get_by_role("button", name="Pause").click()
    assert pixels(page) != before


def test_files_can_be_saved(page: Page, tmp_path: Path) -> None:
    bundle = load_bundle(device="cpu")

    def saved(part: str) -> Path:
        with page.expect_download() as download:
            page.locator(f"[data-part={part}]").click()
        path = tmp_path / download.value.suggested_filename
        download.value.save_as(path)
        return path

    with Image.open(saved("save-png")) as image:
        assert image.size == (280, 280)
    with Image.open(saved("save-row")) as image:
        assert image.width > 9 * image.height
    with Image.open(saved("save-gif")) as gif:
        assert (gif.format, gif.size, getattr(gif, "n_frames", 1)) == ("GIF", (224, 224), 96)
        frames = []
        for index in range(96):
            gif.seek(index)
            frames.append(gif.convert("L").tobytes())
        assert frames[0] != frames[48]
        assert frames[1] == frames[95]
    codes = json.loads(saved("save-json").read_text())
    assert codes["bundle"] == bundle.metadata.bundle_id
    assert codes["categories"][0]["label"] == "3"
    steps = json.loads(saved("save-steps").read_text())
    assert len(steps["steps"]) == 49
    assert steps["steps"][0]["styles"] == steps["from"]["styles"]


def test_a_link_restores_the_state(page: Page, address: str) -> None:
    draw(page, DIGITS["6"])
    wait_for_label(page, "6")
    page.get_by_role("button", name="2 in this style").click()
    page.wait_for_function("() => location.hash.includes('edited0') && location.hash.includes('strokes')")
    shown = (pixels(page), pixels(page, "preprocessed"), page.locator(".style output").all_inner_texts())
    link = page.url
    page.goto("about:blank")
    page.goto(link)
    page.wait_for_selector(READY)
    wait_for_label(page, "6")
    assert page.get_by_role("radio", name="2").is_checked()
    again = (pixels(page), pixels(page, "preprocessed"), page.locator(".style output").all_inner_texts())
    assert again[0] == shown[0]
    assert again[2] == shown[2]
    page.goto(f"{address}#codes0=99~x~-1&strokes=%%%&image=AAAA&from0=~~")  # invalid parts are ignored
    page.reload()
    page.wait_for_selector(READY)


@WITH_SERVER
def test_a_late_posterior_does_not_undo_edited_codes(page: Page) -> None:
    draw(page, DIGITS["6"])
    wait_for_label(page, "6")
    page.wait_for_function("() => location.hash.includes('strokes')")  # written after a pause
    page.evaluate(
        """() => {
            const sent = window.fetch;
            window.fetch = async (...given) => {
                const response = await sent(...given);
                const first = String(given[0]).includes("/encode") && !window.deliver;
                if (first) await new Promise((go) => (window.deliver = go));
                return response;
            };
        }"""
    )
    page.click("#canvas", position={"x": 20, "y": 20})  # a dot: another image, so it is encoded again
    page.wait_for_function("() => window.deliver")
    page.get_by_role("button", name="2 in this style").click()
    page.evaluate("() => window.deliver()")  # and those of later requests
    settle(page)
    page.wait_for_function("() => location.hash.includes('edited0')")
    assert page.get_by_role("radio", name="2").is_checked()
    page.get_by_role("button", name="Back to").click()  # the late posterior is kept


@WITH_SERVER
def test_the_model_card_has_accuracy_and_limitations(page: Page) -> None:
    page.get_by_role("button", name="Model card").click()
    card = page.get_by_role("dialog").inner_text()
    accuracy = load_bundle(device="cpu").metadata.card["accuracy"]["test"]
    assert f"{100 * accuracy:.2f} %" in card
    for word in ("mnist", "60,000", "Limitations", "slant", "Fréchet distance", "least accurate for"):
        assert word in card
    page.keyboard.press("Escape")
    assert page.get_by_role("dialog").count() == 0


@WITH_SERVER
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_accessible(page: Page, scheme: Literal["light", "dark"], width: int) -> None:
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 900})
    draw(page, DIGITS["7"])
    wait_for_label(page, "7")
    page.get_by_role("button", name="1 in this style").click()
    page.evaluate(AXE.read_text(encoding="utf-8"))
    for card in (False, True):
        if card:
            page.get_by_role("button", name="Model card").click()
        found = page.evaluate("() => axe.run()")
        problems = [(one["id"], [node["target"] for node in one["nodes"]]) for one in found["violations"]]
        assert problems == []
        assert len(found["passes"]) > 20
    wide = page.evaluate("() => document.documentElement.scrollWidth")
    assert wide <= width  # nothing is cut off or scrolls sideways


@WITH_SERVER
def test_every_control_is_reached_by_the_keyboard(page: Page) -> None:
    reached = set()
    for _ in range(80):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("() => document.activeElement.outerHTML.slice(0, 200)"))
    together = " ".join(reached)
    for word in CONTROLS:
        assert word in together, word


def test_two_bundles_are_compared(browser: Browser, tiny: Path) -> None:
    both = Explorer(load_bundle(device="cpu").path, tiny)
    page = browser.new_page()
    page.set_default_timeout(120_000)
    page.goto(both.address)
    page.wait_for_selector(READY)
    assert page.locator(".bundle-title").all_inner_texts() == ["mnist", "tiny"]
    draw(page, DIGITS["7"])
    wait_for_label(page, "7")
    # Another number of codes and colours: two groups, three sliders, and a choice of axes for the map.
    other = page.locator(".bundle").last
    assert other.locator("fieldset").count() == 2
    assert other.locator(".style").count() == 3
    assert other.locator("select").count() == 2
    assert page.locator("#linked-line").is_hidden()
    # An image of a link is preprocessed for the first bundle, and preprocessed again for one of another size.
    page.set_input_files("#file", DIGITS["7"])
    page.wait_for_function("() => location.hash.includes('image=')")
    link = page.url
    page.goto("about:blank")
    page.goto(link)
    page.wait_for_selector(READY)
    first, spec = load_bundle(device="cpu").image, load_bundle(tiny, device="cpu").image
    given = io.BytesIO()
    Image.fromarray(read_image(DIGITS["7"], first)[..., 0]).save(given, "PNG")
    expected = read_image(given.getvalue(), spec)
    shown = other.locator("[data-part=preprocessed]").evaluate(
        "(canvas) => [...canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data]"
    )
    found = np.array(shown).reshape(spec.size, spec.size, 4)[..., : spec.channels]
    np.testing.assert_array_equal(found, expected)
    page.close()
    assert both.end(2)[0] == 0


def test_a_bundle_that_succeeds_hides_no_problem_of_the_other(browser: Browser, tiny: Path) -> None:
    both = Explorer(load_bundle(device="cpu").path, tiny)
    page = browser.new_page()
    page.set_default_timeout(120_000)
    page.goto(both.address)
    page.wait_for_selector(READY)
    settle(page)
    failing = {"0", "1"}

    def answer(route: Route) -> None:
        bundle = route.request.url.split("/")[-2]
        if bundle in failing:
            route.fulfill(status=422, json={"error": f"bundle {bundle} fails"})
        else:
            route.continue_()

    page.route("**/generate", answer)
    shows = "(text) => document.getElementById('problem').textContent === text"
    buttons = page.get_by_role("button", name="Random codes")
    buttons.last.click()
    page.wait_for_function(shows, arg="bundle 1 fails")
    buttons.first.click()
    page.wait_for_function(shows, arg="bundle 0 fails")
    failing.remove("0")
    buttons.first.click()
    page.wait_for_function(shows, arg="bundle 1 fails")
    failing.clear()
    buttons.last.click()
    page.wait_for_selector("#problem", state="hidden")
    page.close()
    assert both.end(2)[0] == 0


def test_a_periodic_code_goes_once_round(browser: Browser, tiny: Path, tmp_path: Path) -> None:
    bundle = Path(shutil.copytree(tiny, tmp_path / "turning"))
    metadata = json.loads((bundle / "metadata.json").read_text("utf-8"))
    metadata["latent"]["periodic"] = ["c2"]
    (bundle / "metadata.json").write_text(json.dumps(metadata), "utf-8")
    running = Explorer(bundle)
    page = browser.new_page()
    page.set_default_timeout(120_000)
    page.goto(running.address)
    page.wait_for_selector(READY)
    sliders = page.locator(".track input")
    assert [sliders.nth(i).get_attribute("max") for i in range(3)] == ["2", "1", "2"]
    assert page.locator(".prior").evaluate_all("(all) => all.map((one) => one.hidden)") == [
        False,
        True,
        False,
    ]
    assert "ends show the same" in page.locator(".style-note").nth(1).inner_text()
    # c1 goes from left to right with its trained range framed, c2 upwards, all of it trained.
    square, frame = page.locator(".map-square").bounding_box(), page.locator(".trained").bounding_box()
    assert square
    assert frame
    assert frame["width"] / square["width"] == pytest.approx(0.5, abs=0.01)
    assert frame["height"] / square["height"] == pytest.approx(1, abs=0.01)
    handle = page.get_by_role("slider", name="Place on the style map")
    handle.focus()
    for _ in range(10):
        page.keyboard.press("Shift+ArrowUp")
    assert page.locator(".style output").nth(1).inner_text() == "+1.00"
    # From -0.4 to 0.8 the way across the ends is the shorter one.
    with page.expect_download() as download:
        page.locator("[data-part=save-steps]").click()
    steps = json.loads(Path(download.value.path()).read_text("utf-8"))["steps"]
    values = [[step["styles"][code]["value"] for step in steps] for code in (0, 1)]
    assert [values[0][i] for i in (0, 24, 48)] == pytest.approx([-0.4, 0.2, 0.8])
    assert [values[1][i] for i in (0, 24, 48)] == pytest.approx([-0.4, -0.8, 0.8])
    assert all(-1 <= value <= 1 for value in values[1])
    page.close()
    assert running.end(2)[0] == 0
