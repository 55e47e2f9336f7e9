from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from infogan_tool.runtime import load_bundle, sheet, to_uint8

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def test_a_continuous_code(cli: Callable[..., Any], tiny: Path, tmp_path: Path) -> None:
    out = tmp_path / "c2.png"
    options = ("--from", "-1", "--to", "1", "--steps", 5, "--seed", 4, "--scale", 3)
    done = cli("traverse", "--code", "c2", *options, "-b", tiny, "--out", out)
    assert (done.code, done.out) == (0, "")
    assert done.err.startswith(f"wrote {out}: columns are c2 from -1 to 1; rows are k1 = ")
    bundle = load_bundle(tiny, device="cpu")
    plan = bundle.traverse("c2", seed=4, low=-1, high=1, steps=5)
    images = to_uint8(bundle.generate(plan.latents), bundle.image)
    expected = sheet(images, 5, scale=3)
    height, width = expected.shape[:2]
    with Image.open(out) as image:
        found = np.asarray(image)
    np.testing.assert_array_equal(found[-height:, -width:], expected)
    assert (found[:-height] != 255).any(), "values of the columns"
    assert (found[-height:, :-width] != 255).any(), "labels of the rows"
    assert cli("traverse", "--code", "c2", *options, "-b", tiny, "--out", out, "--force", "--plain").code == 0
    with Image.open(out) as image:
        np.testing.assert_array_equal(np.asarray(image), expected)


def test_a_bar_marks_the_trained_range(cli: Callable[..., Any], tmp_path: Path) -> None:
    def bar(*options: object) -> list[int]:
        """The columns of pixels just above the images that are grey."""
        out = tmp_path / "c1.png"
        assert cli("traverse", "--code", "c1", *options, "--scale", 1, "--out", out, "--force").code == 0
        with Image.open(out) as image:
            above = np.asarray(image)[image.height - (10 * 30 + 2) - 1]
        return np.flatnonzero(above == 128).tolist()

    marked = bar()
    assert marked[-1] - marked[0] == 4 * 30, "from the middle of -1 to that of 1"
    assert bar("--from", 2, "--to", -2) == marked
    assert len(bar("--from", 0, "--to", 3, "--steps", 4)) == 30 + 1, "from the middle of 0 to that of 1"
    assert len(bar("--from", 0.5, "--to", -1, "--steps", 4)) == 3 * 30 + 1
    assert bar("--from", 1.5, "--to", 3) == []


def test_a_categorical_code(cli: Callable[..., Any], tiny: Path, tmp_path: Path) -> None:
    done = cli("traverse", "--code", "k2", "-b", tiny, "--out", tmp_path / "k2.png")
    assert done.code == 0
    assert "columns are k2 = #0, #1, #2; 10 rows of different noise" in done.err
    with Image.open(tmp_path / "k2.png") as image:
        assert image.size == (3 * 34 + 2, 10 * 34 + 2 + 39)


def test_without_categories(cli: Callable[..., Any], continuous: Path, tmp_path: Path) -> None:
    done = cli("traverse", "--code", "c1", "-b", continuous, "--out", tmp_path / "c1.png")
    assert done.err == f"wrote {tmp_path / 'c1.png'}: columns are c1 from -2 to 2\n"


def test_the_pretrained_bundle(cli: Callable[..., Any], tmp_path: Path) -> None:
    for code in ("k1", "c1", "c2"):
        assert cli("traverse", "--code", code, "--out", tmp_path / f"{code}.png").code == 0
        with Image.open(tmp_path / f"{code}.png") as image:
            assert image.height == 582 + 39


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--code", "c9"], "there is no code 'c9' (valid: k1, k2, c1, c2, c3)"),
        (["--code", "k1", "--steps", "3"], "are for continuous codes; k1 shows all categories"),
        (["--code", "k1", "--from", "0"], "are for continuous codes"),
        (["--code", "c1", "--steps", "0"], "'--steps'"),
        (["--code", "c1", "--steps", "1001"], "'--steps'"),
        (
            ["--code", "c1", "--from", "nan"],
            "the values of c1 must be finite and at most 1,000,000, not from nan to 2",
        ),
        (
            ["--code", "c1", "--to", "inf"],
            "the values of c1 must be finite and at most 1,000,000, not from -2 to inf",
        ),
        (["--code", "c1", "--steps", "1000", "--scale", "64"], "too many for one sheet"),
        ([], "Missing option '--code'"),
    ],
)
def test_usage_errors(
    cli: Callable[..., Any], tiny: Path, tmp_path: Path, options: list[str], message: str
) -> None:
    done = cli("traverse", *options, "-b", tiny, "--out", tmp_path / "x.png")
    assert (done.code, done.out) == (2, "")
    assert message in done.err
    assert len(done.err.splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_targets(cli: Callable[..., Any], tiny: Path, tmp_path: Path) -> None:
    out = tmp_path / "x.png"
    assert cli("traverse", "--code", "c1", "-b", tiny, "--out", out).code == 0
    done = cli("traverse", "--code", "c1", "-b", tiny, "--out", out)
    assert done.code == 1
    assert "already exists: use --force" in done.err
    assert cli("traverse", "--code", "c1", "-b", tiny, "--out", out, "--force").code == 0
    assert cli("traverse", "--code", "c1", "-b", tiny, "--out", tmp_path / "folder").code == 2
