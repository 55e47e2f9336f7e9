"""The page in a browser, answered by the server and as a static site: what people do with it."""

from __future__ import annotations

import base64
import json
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import pytest
from conftest import Explorer
from PIL import Image
from strokes import draw
from turning import TURN_FOR_SECONDS, processor_seconds

from infogan_tool.runtime import load_bundle, load_image

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

ROOT = Path(__file__).resolve().parents[2]
NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
DIGITS = {str(number): ROOT / "examples" / f"{name}.png" for number, name in enumerate(NAMES)}
AXE = ROOT / "tests/explorer/node_modules/axe-core/axe.min.js"
READY = "html[data-ready]"
MINUS = "\N{MINUS SIGN}"
CONTROLS = (
    *("undo", "clear", "choose", 'name="pen"', "category-0", 'type="range"', "new-noise", "hand-one"),
    *('data-part="handle"', 'data-part="play"', "save-gif", "open-card", "theme"),
)
ANSWERED_HERE = pytest.mark.parametrize("address", ["server"], indirect=True)
"""For what is the same whoever answers."""
TURN_TIMES = """async (times) => {
  const slider = document.querySelector(".track input");
  for (let i = 0; i < times; i++) {
    const drawn = new Promise((done) => document.addEventListener("drawn", done, { once: true }));
    slider.value = String(2 * Math.sin(i / 9));
    slider.dispatchEvent(new Event("input", { bubbles: true }));
    await drawn;
  }
}"""
LIKELY = """(wanted) => [...document.querySelectorAll(".category")].some(
  (row) => row.querySelector(".category-name").textContent === wanted
    && Number(row.style.getPropertyValue("--share")) > 0.5)"""
MOST_SURE = 8
"""Of ten drawn digits."""
DROP = """([name, content]) => {
  const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
  const data = new DataTransfer();
  data.items.add(new File([bytes], name, { type: "image/png" }));
  return data;
}"""


@pytest.fixture(scope="module", params=["server", "static"])
def address(request: pytest.FixtureRequest) -> str:
    """Return the page's address: answered by the Python server, or by the browser itself."""
    if request.param == "server":
        return str(request.getfixturevalue("explorer").address)
    return str(request.getfixturevalue("static_address"))


def settle(page: Page) -> None:
    """Wait until the images that a page begins with have all been drawn, which is after it can be used."""
    deadline, shown = time.monotonic() + 20, ""
    while time.monotonic() < deadline:
        before, shown = shown, pixels(page, "map") + pixels(page, "strip") + pixels(page)
        # A canvas that nothing was drawn on yet is 300 pixels wide.
        if shown == before and page.evaluate("() => document.querySelector('[data-part=map]').width !== 300"):
            return
        page.wait_for_timeout(400)
    raise AssertionError("the page goes on drawing")


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    """Open the page; afterwards nothing was asked of another machine and the console is empty."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, color_scheme="light")
    opened = context.new_page()
    said: list[str] = []
    asked: list[str] = []
    opened.on("console", lambda message: said.append(message.text))
    opened.on("pageerror", lambda error: said.append(str(error)))
    opened.on("request", lambda request: asked.append(request.url))
    opened.goto(address)
    opened.wait_for_selector(READY)
    settle(opened)
    yield opened
    context.close()
    # The browser itself notes an answer such as 422, which is how the server refuses a file.
    assert [line for line in said if "the server responded with a status of 422" not in line] == []
    assert asked
    assert [url for url in asked if not url.startswith((address, "blob:", "data:"))] == []


def answer(page: Page, wanted: str) -> None:
    page.wait_for_function(
        "(wanted) => document.querySelector('[data-part=answer]').textContent === wanted", arg=wanted
    )


def handed(path: Path) -> list[str]:
    return [path.name, base64.b64encode(path.read_bytes()).decode()]


def pixels(page: Page, part: str = "image") -> str:
    """Return what a canvas shows."""
    return str(page.evaluate("(part) => document.querySelector(`[data-part=${part}]`).toDataURL()", part))


def test_drawn_digits_are_read(page: Page) -> None:
    answers = []
    for digit, path in DIGITS.items():
        draw(page, path)
        page.wait_for_function(LIKELY, arg=digit)
        answers.append(page.locator("[data-part=answer]").inner_text())
    # A thin line along the middle of strokes is not quite a digit of MNIST's: one may look strange.
    assert sum(answer == digit for answer, digit in zip(answers, DIGITS, strict=True)) >= MOST_SURE
    assert set(answers) <= {*DIGITS, "?"}


def test_dropped_and_pasted_and_chosen_digits_are_read(page: Page) -> None:
    for digit in ("7", "2"):
        data = page.evaluate_handle(DROP, handed(DIGITS[digit]))
        page.dispatch_event("#drop", "drop", {"dataTransfer": data})
        answer(page, digit)
    data = page.evaluate_handle(DROP, handed(DIGITS["4"]))
    page.evaluate(
        "(data) => document.dispatchEvent(new ClipboardEvent('paste', { clipboardData: data }))", data
    )
    answer(page, "4")
    page.set_input_files("#file", DIGITS["9"])
    answer(page, "9")
    page.get_by_role("button", name="A real 5").click()
    answer(page, "5")


def test_the_codes_are_those_of_the_runtime(page: Page) -> None:
    bundle = load_bundle(device="cpu")
    page.set_input_files("#file", DIGITS["5"])
    answer(page, "5")
    expected = bundle.encode(load_image(DIGITS["5"], bundle.image)[None])
    shown = page.locator(".style output").all_inner_texts()
    values = [float(text.replace(MINUS, "-")) for text in shown]
    assert values == pytest.approx(expected.style_mean[0], abs=0.006)


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


def test_categories_map_noise_and_walk(page: Page) -> None:
    before = pixels(page)
    page.get_by_role("button", name="8 in this style").click()
    assert page.get_by_role("radio", name="8").is_checked()
    page.wait_for_function("() => document.querySelector('.hand-one[aria-pressed=true]').textContent === '8'")
    handle = page.get_by_role("slider", name="Place on the map")
    handle.focus()
    page.keyboard.press("ArrowUp")
    assert page.locator(".style output").last.inner_text() == f"{MINUS}0.35"
    square = page.locator(".map-square").bounding_box()
    assert square
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
    with Image.open(saved("save-hand")) as image:
        assert image.width > 9 * image.height
    with Image.open(saved("save-gif")) as walk:
        assert (walk.format, walk.size, getattr(walk, "n_frames", 1)) == ("GIF", (224, 224), 96)
        frames = []
        for index in range(96):
            walk.seek(index)
            frames.append(walk.convert("L").tobytes())
        assert frames[0] != frames[48]
        assert frames[1] == frames[95]
    codes = json.loads(saved("save-json").read_text())
    assert codes["bundle"] == bundle.metadata.bundle_id
    assert codes["categories"][0]["label"] == "3"
    walked = json.loads(saved("save-walk").read_text())
    assert len(walked["steps"]) == 49
    assert walked["steps"][0]["styles"] == walked["from"]["styles"]


def test_a_link_restores_the_state(page: Page, address: str) -> None:
    draw(page, DIGITS["6"])
    answer(page, "6")
    page.get_by_role("button", name="2 in this style").click()
    page.wait_for_function("() => location.hash.includes('turned0') && location.hash.includes('ink')")
    shown = (pixels(page), pixels(page, "seen"), page.locator(".style output").all_inner_texts())
    link = page.url
    page.goto("about:blank")
    page.goto(link)
    page.wait_for_selector(READY)
    answer(page, "6")
    assert page.get_by_role("radio", name="2").is_checked()
    again = (pixels(page), pixels(page, "seen"), page.locator(".style output").all_inner_texts())
    assert again[0] == shown[0]
    assert again[2] == shown[2]
    page.goto(f"{address}#codes0=99~x~-1&ink=%%%&seen=AAAA&from0=~~")  # nonsense is no error
    page.reload()
    page.wait_for_selector(READY)


@ANSWERED_HERE
def test_an_answer_that_comes_late_does_not_turn_the_codes_back(page: Page) -> None:
    draw(page, DIGITS["6"])
    answer(page, "6")
    page.wait_for_function("() => location.hash.includes('ink')")  # written when all is quiet
    page.evaluate(
        """() => {
            const sent = window.fetch;
            window.fetch = async (...given) => {
                const response = await sent(...given);
                const first = String(given[0]).includes("/read") && !window.deliver;
                if (first) await new Promise((go) => (window.deliver = go));
                return response;
            };
        }"""
    )
    page.click("#ink", position={"x": 20, "y": 20})  # a speck: another image, so it is read again
    page.wait_for_function("() => window.deliver")
    page.get_by_role("button", name="2 in this style").click()
    page.evaluate("() => window.deliver()")  # and whatever was to be read after it
    settle(page)
    page.wait_for_function("() => location.hash.includes('turned0')")
    assert page.get_by_role("radio", name="2").is_checked()
    page.get_by_role("button", name="Back to").click()  # the late answer is there to go back to


@ANSWERED_HERE
def test_the_model_card_tells_accuracy_and_limits(page: Page) -> None:
    page.get_by_role("button", name="Model card").click()
    card = page.get_by_role("dialog").inner_text()
    accuracy = load_bundle(device="cpu").metadata.card["accuracy"]["test"]
    assert f"{100 * accuracy:.2f} %" in card
    for word in ("mnist", "60,000", "Where it ends", "slant", "Fréchet distance", "least right for"):
        assert word in card
    page.keyboard.press("Escape")
    assert page.get_by_role("dialog").count() == 0


@ANSWERED_HERE
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_accessible(page: Page, scheme: Literal["light", "dark"], width: int) -> None:
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 900})
    draw(page, DIGITS["7"])
    answer(page, "7")
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


@ANSWERED_HERE
def test_every_control_is_reached_by_the_keyboard(page: Page) -> None:
    reached = set()
    for _ in range(80):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("() => document.activeElement.outerHTML.slice(0, 200)"))
    together = " ".join(reached)
    for word in CONTROLS:
        assert word in together, word


def test_what_cannot_be_read_is_told(page: Page, tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("not an image")
    page.set_input_files("#file", tmp_path / "text.png")
    page.wait_for_selector("#problem:not([hidden])")
    assert re.search(r"not an image|does not know", page.locator("#problem").inner_text())
    page.set_input_files("#file", DIGITS["0"])
    answer(page, "0")
    page.wait_for_selector("#problem", state="hidden")


def test_two_bundles_are_compared(browser: Browser, tiny: Path) -> None:
    both = Explorer(load_bundle(device="cpu").path, tiny)
    page = browser.new_page()
    page.goto(both.address)
    page.wait_for_selector(READY)
    assert page.locator(".lab-title").all_inner_texts() == ["mnist", "tiny"]
    draw(page, DIGITS["7"])
    answer(page, "7")
    # Another number of codes and colours: two groups, three sliders, and a choice of axes for the map.
    other = page.locator(".lab").last
    assert other.locator("fieldset").count() == 2
    assert other.locator(".style").count() == 3
    assert other.locator("select").count() == 2
    assert page.locator("#together-line").is_hidden()
    page.close()
    assert both.end(2)[0] == 0


COMPUTE = """async ([rows, images]) => {
  const { openGraphs } = await import("./backend_browser.js");
  const { bundles } = await (await fetch("model.json")).json();
  const [graphs] = await openGraphs(bundles);
  const noise = new Float32Array(await (await fetch("bundles/0/noise.bin")).arrayBuffer());
  const drawn = Array.from(await graphs.generate(Float32Array.from(rows)));
  const read = [];
  for (const image of images) {
    const found = await graphs.encode(Float32Array.from(image));
    read.push(Object.fromEntries(Object.entries(found).map(([name, values]) => [name, Array.from(values)])));
  }
  return { noise: Array.from(noise), drawn, read };
}"""


@pytest.mark.parametrize("address", ["static"], indirect=True)
def test_the_browser_computes_what_the_runtime_computes(page: Page) -> None:
    bundle = load_bundle(device="cpu")
    latents = bundle.sample(12, seed=0)
    images = bundle.generate(latents)
    expected = bundle.encode(images)
    rows = np.concatenate([latents.noise, latents.categories, latents.styles], axis=1)
    found = page.evaluate(COMPUTE, [rows.ravel().tolist(), images.reshape(12, -1).tolist()])
    np.testing.assert_array_equal(np.reshape(found["noise"], (-1, 62))[:12], latents.noise)
    np.testing.assert_allclose(np.reshape(found["drawn"], images.shape), images, atol=1e-4)
    for name, wanted in {
        "probabilities": expected.probabilities[0],
        "style_mean": expected.style_mean,
        "style_std": expected.style_std,
    }.items():
        np.testing.assert_allclose([one[name] for one in found["read"]], wanted, atol=1e-4)
