"""Animations: frames, captions, and what is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from infogan_tool.runtime.errors import ImageError
from infogan_tool.runtime.images import animation
from infogan_tool.runtime.images.animation import captioned, save_animation

if TYPE_CHECKING:
    from pathlib import Path

RNG = np.random.default_rng(0)
GREY = [RNG.integers(0, 256, (20, 30, 1), np.uint8) for _ in range(3)]
COLOUR = [frame.repeat(3, axis=2) for frame in GREY]


@pytest.mark.parametrize("ending", [".gif", ".webp", ".WEBP"])
@pytest.mark.parametrize("frames", [GREY, COLOUR], ids=["grey", "colour"])
def test_frames_come_back(tmp_path: Path, ending: str, frames: list[np.ndarray]) -> None:
    path = tmp_path / f"a{ending}"
    save_animation(path, frames, [100, 200, 40])
    with Image.open(path) as image:
        assert (image.n_frames, image.info["loop"]) == (3, 0)
        for number, frame in enumerate(frames):
            image.seek(number)
            np.testing.assert_array_equal(np.asarray(image.convert("L")), frame[..., 0])


def test_durations(tmp_path: Path) -> None:
    save_animation(tmp_path / "a.gif", GREY, [100, 200, 1])
    seen = []
    with Image.open(tmp_path / "a.gif") as image:
        for number in range(3):
            image.seek(number)
            seen.append(image.info["duration"])
    assert seen == [100, 200, 20]


def test_caption_is_above_and_the_bar_grows() -> None:
    frame = np.full((10, 200, 3), 7, np.uint8)
    drawn = [captioned(frame, text, share) for text, share in (("epoch 1", 0.25), ("epoch 12", 1.0))]
    for each in drawn:
        assert each.shape == (35, 200, 3)
        np.testing.assert_array_equal(each[-10:], frame)
        assert (each[:22] < 100).any(), "text is dark on white"
    assert [(each[24, :, 0] < 100).sum() for each in drawn] == [51, 200]
    assert captioned(frame, "\x1b\n" * 100, 7.0).shape == (35, 200, 3)


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        ([], "at least one frame"),
        ([GREY[0], COLOUR[0]], "of one shape"),
        ([GREY[0], GREY[0][:5]], "of one shape"),
        ([GREY[0].astype(float)], "uint8"),
        ([GREY[0][..., 0]], "a frame is uint8"),
        ([GREY[0][:0]], "a frame is uint8"),
        (GREY * 400, "too many"),
    ],
)
def test_invalid_frames_are_refused(tmp_path: Path, frames: list[np.ndarray], message: str) -> None:
    with pytest.raises(ImageError, match=message):
        save_animation(tmp_path / "a.gif", frames, 100)
    assert not list(tmp_path.iterdir())


def test_too_many_pixels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(animation, "MAX_TOTAL_PIXELS", 3 * 600 - 1)
    with pytest.raises(ImageError, match="3 frames of 30 x 20 pixels"):
        save_animation(tmp_path / "a.gif", GREY, 100)


def test_other_endings_and_durations(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"a \.gif or \.webp file"):
        save_animation(tmp_path / "a.png", GREY, 100)
    with pytest.raises(ImageError, match="need as many durations"):
        save_animation(tmp_path / "a.gif", GREY, [100])
