"""Sample sheets: position of the images, selected epochs, and the animation."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image
from report_entries import CONFIG, SIDE, sheet_of, write_run

from infogan_tool.export.report import samples as samples_module
from infogan_tool.export.report.metrics_log import read_metrics_log
from infogan_tool.export.report.samples import (
    SampleSheets,
    Sheet,
    read_sheets,
    select_epochs,
    sheet_layout,
    to_animation,
)
from infogan_tool.runtime import load_bundle, save_png, to_uint8
from infogan_tool.runtime.latents.spec import LatentSpec

if TYPE_CHECKING:
    from pathlib import Path

SPEC = LatentSpec.from_dict(CONFIG["latent"])


def sheets_of(run: Path) -> SampleSheets:
    layout = sheet_layout(SPEC, SIDE)
    samples = read_sheets(run / "samples", layout, read_metrics_log(run / "metrics.jsonl").generator_stage())
    assert samples is not None
    return samples


def sheets_at(*epochs: float) -> SampleSheets:
    pixels = np.zeros((4, 4, 1), np.uint8)
    sheets = tuple(Sheet(step=round(100 * epoch), epoch=epoch, pixels=pixels) for epoch in epochs)
    return SampleSheets(sheets=sheets, layout=None, unread=0)


# --- layout ------------------------------------------------------------------------------------------------


def test_images_are_cropped_to_the_pixel(tmp_path: Path) -> None:
    samples = sheets_of(write_run(tmp_path / "run"))
    assert [sheet.caption for sheet in samples.sheets] == [f"epoch {i}" for i in range(5)]
    assert samples.layout is not None
    for number, sheet in enumerate(samples.sheets):
        cropped = sheet.crop(samples.layout)
        assert cropped.shape == (3, SIDE, SIDE, 1)
        np.testing.assert_array_equal(
            cropped, 10 * number + np.array([5, 15, 25])[:, None, None, None] + 0 * cropped
        )


def test_sheets_of_a_run_match_its_exported_generator(run_path: Path, bundle_path: Path) -> None:
    bundle = load_bundle(bundle_path, device="cpu")
    stage = read_metrics_log(run_path / "metrics.jsonl").generator_stage()
    layout = sheet_layout(bundle.latent, bundle.image.size)
    samples = read_sheets(run_path / "samples", layout, stage)
    assert samples is not None
    assert samples.layout is layout
    plan = bundle.traverse("c1", seed=0)
    generated = to_uint8(bundle.generate(plan.latents), bundle.image).reshape(10, 10, 28, 28, 1)
    cropped = samples.sheets[-1].crop(layout).astype(int)
    assert np.abs(cropped - generated[:, 5].astype(int)).max() <= 1


@pytest.mark.parametrize(
    ("categorical", "continuous", "noise", "rows", "columns", "cells"),
    [
        ([3], 2, 4, 3, 10, 3),
        ([4], 0, 4, 10, 4, 4),
        ([], 2, 4, 10, 10, 10),
        ([], 2, 0, 1, 10, 10),
        ([20, 5], 1, 4, 20, 10, 10),
    ],
)
def test_layouts(  # noqa: PLR0917
    categorical: list[int], continuous: int, noise: int, rows: int, columns: int, cells: int
) -> None:
    spec = LatentSpec(
        noise=noise, noise_prior="uniform", categorical=tuple(categorical), continuous=continuous
    )
    layout = sheet_layout(spec, 16)
    assert (layout.rows, layout.columns, len(layout.cells)) == (rows, columns, cells)
    assert all(row < rows and column < columns for row, column in layout.cells)


def test_sheets_with_another_layout_are_not_cropped(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", sheets=False)
    save_png(run / "samples" / "step-0.png", np.full((200, 300), 7, np.uint8))
    assert sheets_of(run).layout is None


# --- selection ---------------------------------------------------------------------------------------------


def test_damaged_and_foreign_files_are_skipped(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    folder = run / "samples"
    (folder / "step-00000500.png").write_bytes(b"\x89PNG\r\n\x1a\n damaged")
    (folder / "step-00000600.png").mkdir()
    save_png(folder / "step-00000700.png", np.zeros((20, 20), np.uint8))
    (folder / "notes.txt").write_text("not a sheet")
    samples = sheets_of(run)
    assert (len(samples.sheets), samples.unread) == (5, 3)


def test_missing_and_empty_folders(tmp_path: Path) -> None:
    assert read_sheets(tmp_path / "none", None, None) is None
    assert read_sheets(tmp_path, None, None) is None


def test_many_sheets_are_thinned_evenly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(samples_module, "MAX_SHEETS", 3)
    samples = sheets_of(write_run(tmp_path / "run"))
    assert [sheet.step for sheet in samples.sheets] == [0, 200, 400]


def test_sheets_of_large_images_are_read_fewer_at_once_and_reduced_in_the_animation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    height, width = 2 + 15 * 258, 2 + 10 * 258  # of 256 x 256 pixels
    for step in range(5):
        save_png(tmp_path / f"step-{step:08}.png", np.full((height, width), 50 * step, np.uint8))
    monkeypatch.setattr(samples_module, "_MAX_BYTES", 3 * height * width)
    samples = read_sheets(tmp_path, None, None)
    assert samples is not None
    assert [(sheet.step, int(sheet.pixels[0, 0, 0])) for sheet in samples.sheets] == [
        (0, 0),
        (2, 100),
        (4, 200),
    ]
    with Image.open(io.BytesIO(to_animation(samples, "GIF"))) as animation:
        assert (animation.width, animation.height) == (width // 2, height // 2 + 25)


@pytest.mark.parametrize(
    ("epochs", "wanted", "shown"),
    [
        (range(81), None, [0, 10, 20, 30, 40, 50, 60, 70, 80]),
        (range(80), None, [0, 10, 20, 30, 40, 50, 60, 70, 79]),
        (range(80), [0, 10, 79, 500], [0, 10, 79]),
        (range(4), None, [0, 1, 2, 3]),
        ([0, 0.25], None, [0, 0.25]),
    ],
)
def test_select_epochs(epochs: list[float], wanted: list[float] | None, shown: list[float]) -> None:
    assert [sheet.epoch for sheet in select_epochs(sheets_at(*epochs), wanted)] == shown


# --- the animation -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["GIF", "WEBP"])
def test_animation_has_a_captioned_frame_for_each_sheet(tmp_path: Path, kind: str) -> None:
    content = to_animation(sheets_of(write_run(tmp_path / "run")), kind)
    with Image.open(io.BytesIO(content)) as image:
        assert (image.format, image.n_frames) == (kind, 5)
        seen = []
        for number in range(5):
            image.seek(number)
            seen.append(np.asarray(image.convert("L")))
    scale = 400 // sheet_of(0).shape[1]
    height = scale * sheet_of(0).shape[0]
    for number, sheet in enumerate(seen):
        np.testing.assert_array_equal(sheet[-height::scale, ::scale], sheet_of(10 * number)[..., 0])
        assert sheet[:-height].min() < 100, "the caption"
    assert not np.array_equal(seen[0][:-height], seen[1][:-height]), "captions differ"


def test_animation_is_thinned_until_it_is_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    samples = sheets_of(write_run(tmp_path / "run"))
    whole = len(to_animation(samples, "GIF"))
    monkeypatch.setattr(samples_module, "MAX_ANIMATION_BYTES", whole - 1)
    with Image.open(io.BytesIO(to_animation(samples, "GIF"))) as image:
        assert image.n_frames == 3
