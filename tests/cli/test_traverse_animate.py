"""``traverse --animate``: the frames are the generated images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from infogan_tool.runtime import load_bundle, sheet, to_uint8

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def frames_of(path: Path) -> list[np.ndarray]:
    found = []
    with Image.open(path) as image:
        for number in range(image.n_frames):
            image.seek(number)
            found.append(np.asarray(image.convert("RGB")))
    return found


def test_a_continuous_code_loops(cli: Callable[..., Any], tiny: Path, tmp_path: Path) -> None:
    out = tmp_path / "c2.webp"
    given = ("--from", "-1", "--to", "1", "--steps", 5, "--seed", 4, "--scale", 3)
    done = cli("traverse", "--code", "c2", *given, "-b", tiny, "--animate", out)
    assert (done.code, done.out, done.err) == (0, "", f"wrote {out}: 8 frames\n")
    bundle = load_bundle(tiny, device="cpu")
    plan = bundle.traverse("c2", seed=4, low=-1, high=1, steps=5)
    images = to_uint8(bundle.generate(plan.latents), bundle.image).reshape(4, 5, 16, 16, 3)
    frames = frames_of(out)
    assert len(frames) == 8
    for frame, column in zip(frames, (0, 1, 2, 3, 4, 3, 2, 1), strict=True):
        drawn = sheet(images[:, column], 5, scale=3)
        np.testing.assert_array_equal(frame[-len(drawn) :], drawn)
    assert not np.array_equal(frames[0][:25], frames[1][:25]), "the caption has the value"


def test_a_categorical_code_has_a_frame_for_each_category(
    cli: Callable[..., Any], tiny: Path, tmp_path: Path
) -> None:
    out = tmp_path / "k1.GIF"
    assert cli("traverse", "--code", "k1", "-b", tiny, "--animate", out).code == 0
    with Image.open(out) as image:
        assert (image.format, image.n_frames, image.info["loop"]) == ("GIF", 4, 0)


def test_sheet_and_animation_together(cli: Callable[..., Any], continuous: Path, tmp_path: Path) -> None:
    sheet_out, out = tmp_path / "c1.png", tmp_path / "c1.gif"
    done = cli("traverse", "--code", "c1", "-b", continuous, "--out", sheet_out, "--animate", out)
    assert done.code == 0
    assert sorted(done.err.splitlines()) == [
        f"wrote {out}: 80 frames",
        f"wrote {sheet_out}: columns are c1 from -2 to 2",
    ]
    with Image.open(sheet_out) as image:
        assert image.size == (9 * 18 + 2, 20 + 39)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([], "nothing to write: give --out FILE.png for a sheet"),
        (["--animate", "x.mp4"], "give a name ending in .gif or .webp"),
        (["--animate", "no/such/x.gif"], "--animate no/such/x.gif: the folder no/such does not exist"),
        (["--animate", "x.gif", "--steps", "401"], "at most 400 steps"),
        (["--animate", "x.gif", "--steps", "400", "--scale", "64"], "too many pixels for an animation"),
        (
            ["--animate", "x.gif", "--out", "x.png", "--steps", "300", "--scale", "64"],
            "too many for one sheet",
        ),
    ],
)
def test_usage_errors(
    cli: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    done = cli("traverse", "--code", "c1", *given)
    assert (done.code, done.out) == (2, "")
    assert message in done.err
    assert len(done.err.splitlines()) == 1
    assert not list(tmp_path.iterdir()), "neither is written where one of them cannot be"


def test_nothing_is_replaced_without_force(cli: Callable[..., Any], continuous: Path, tmp_path: Path) -> None:
    out = tmp_path / "x.gif"
    out.write_bytes(b"mine")
    given = ("traverse", "--code", "c1", "-b", continuous, "--animate", out)
    assert cli(*given).code == 1
    assert out.read_bytes() == b"mine"
    assert cli(*given, "--force").code == 0
    assert out.read_bytes().startswith(b"GIF89a")
