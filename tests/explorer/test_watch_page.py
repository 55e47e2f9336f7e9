"""The page of a training in a browser: while a real training runs, and after it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Literal

import numpy as np
import pytest
from explorer_helpers import ADDRESS, AXE, Explorer, recorded
from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Page

CONFIG = """
preset = "paper"
[networks]
base_width = 4
full_width = 16
q_width = 8
[schedule]
log_every = 2
sample_every = 10
keep_every = 20
[consolidation]
steps = 20
"""
EPOCHS = 100
"""Ten seconds or more, so that the page asks several times before the training ends."""
WAIT_MS = 120_000
TRAIN_SECONDS = 600
"""Guards against hanging only."""
pytestmark = pytest.mark.timeout(1200)
SHOWN = "() => document.getElementById('sheet').naturalWidth > 0"


@pytest.fixture(scope="module")
def watched(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """Train with --explore and a page open; return the run, and what the page showed of its progress."""
    folder = tmp_path_factory.mktemp("watched")
    (folder / "images").mkdir()
    y, x = np.mgrid[:28, :28]
    for number in range(200):
        disc = np.hypot(x - 14, y - 14) < 3 + number % 9
        Image.fromarray(np.uint8(255 * disc)).save(folder / f"images/{number:03d}.png")
    (folder / "small.toml").write_text(CONFIG)
    arguments = ["--config", "small.toml", "--data", "images", "--batch-size", "20", "--epochs", str(EPOCHS)]
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "infogan_tool",
            "train",
            *arguments,
            "--threads",
            "1",
            "--out",
            "run",
            "--explore",
        ],
        cwd=folder,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "BROWSER": "true", "CUDA_VISIBLE_DEVICES": "-1"},
    )
    assert process.stderr is not None
    found = None
    while not found:
        line = process.stderr.readline()
        assert line, "the training ended"
        found = ADDRESS.search(line)
    rest = threading.Thread(target=process.stderr.read)
    rest.start()
    page = browser.new_page()
    page.goto(found[0])
    shown = []
    for at_least in (1, 3):
        page.wait_for_function(
            "([least, before]) => Number(document.getElementById('epoch').max) >= least"
            " && document.getElementById('state-text').innerText !== before",
            arg=[at_least, shown[-1] if shown else ""],
            timeout=WAIT_MS,
        )
        shown.append(page.locator("#state-text").inner_text())
    assert process.wait(timeout=TRAIN_SECONDS) == 0
    rest.join()
    process.stderr.close()
    page.wait_for_selector("#state[data-state=lost]", timeout=WAIT_MS)
    shown.append(page.locator("#epoch-text").inner_text())
    page.close()
    return folder / "run", shown


@pytest.fixture
def page(browser: Browser, watched: tuple[Path, list[str]]) -> Iterator[Page]:
    """Open the page of the finished run; nothing is logged, asked of another machine, or written."""
    run, _ = watched
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*")}
    explorer = Explorer(run)
    opened = browser.new_page(viewport={"width": 1280, "height": 900}, color_scheme="light")
    logged, requested = recorded(opened)
    opened.goto(explorer.address)
    opened.wait_for_selector("#state[data-state=finished]", timeout=WAIT_MS)
    opened.wait_for_function(SHOWN, timeout=WAIT_MS)
    opened.wait_for_selector(".effect", timeout=WAIT_MS)
    yield opened
    opened.close()
    assert explorer.end(2)[0] == 0
    assert logged == []
    assert [url for url in requested if not url.startswith(explorer.address)] == []
    assert {path: path.stat().st_mtime_ns for path in run.rglob("*")} == before


def test_the_page_follows_a_training_to_its_end(watched: tuple[Path, list[str]]) -> None:
    run, (first, second, end) = watched
    epochs = [float(re.search(r"epoch ([\d.]+)", text)[1]) for text in (first, second)]  # type: ignore[index]
    assert epochs[0] < epochs[1]
    assert end == f"epoch {EPOCHS}"  # the last samples were shown before the server ended
    assert len(list((run / "samples").glob("codes-*.png"))) == EPOCHS + 1


def test_the_epoch_slider_shows_the_samples_of_an_epoch(page: Page) -> None:
    sheet = page.locator("#sheet")
    assert page.locator("#epoch-text").inner_text() == f"epoch {EPOCHS}"
    last = sheet.get_attribute("src")
    page.locator("#epoch").focus()
    page.keyboard.press("Home")
    assert page.locator("#epoch-text").inner_text() == "epoch 0"
    assert sheet.get_attribute("src") == "step/0.png"
    assert not page.locator("#follow").is_checked()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    assert (page.locator("#epoch-text").inner_text(), sheet.get_attribute("src")) == (
        "epoch 3",
        "step/30.png",
    )
    page.get_by_label("follow the newest samples").check()
    assert sheet.get_attribute("src") == last
    page.get_by_role("button", name="Play").click()
    page.wait_for_function(
        "() => document.getElementById('epoch-text').textContent === 'epoch 2'", timeout=WAIT_MS
    )
    page.get_by_role("button", name="Pause").click()
    assert not page.get_by_label("follow the newest samples").is_checked(), (
        "or the next poll would go to the end"
    )


def test_a_run_that_ends_with_consolidation_is_complete(page: Page, watched: tuple[Path, list[str]]) -> None:
    steps = 10 * EPOCHS + 20
    assert f"infogan-tool export {watched[0]} --out bundle" in page.locator("#next").inner_text()
    assert page.locator("#state-text").inner_text() == f"Training complete after {steps:,} steps."
    assert page.locator("#progress").is_hidden()
    assert page.locator("#stages svg[role=img]").count() == 1


def test_curves_and_the_information_of_each_code(page: Page) -> None:
    charts = page.locator(".curve svg[role=img]")
    assert charts.count() == 3
    assert re.search(r"last values: D \d+\.\d+, G \d", charts.nth(0).get_attribute("aria-label") or "")
    information = page.locator("#information li").all_inner_texts()
    assert [text.split()[0] for text in information] == ["k1", "c1", "c2"]
    assert [text.split(" of ")[1] for text in information] == ["2.30", "0.69", "0.69"]
    at_end = page.locator("#losses").inner_text()
    page.locator("#epoch").focus()
    page.keyboard.press("Home")
    page.wait_for_function("(before) => document.getElementById('losses').innerText !== before", arg=at_end)
    assert page.locator(".here").count() == 3
    assert page.locator(".effect-name").all_inner_texts() == ["k1", "c1", "c2"]
    assert page.locator(".effect canvas").count() == 6


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_the_page_is_accessible(page: Page, scheme: Literal["light", "dark"], width: int) -> None:
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 900})
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found = page.evaluate("() => axe.run()")
    assert [(one["id"], [node["target"] for node in one["nodes"]]) for one in found["violations"]] == []
    assert len(found["passes"]) > 15
    assert page.evaluate("() => document.documentElement.scrollWidth") <= width
