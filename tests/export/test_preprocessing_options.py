"""``export --preprocessing``: the layout of the images of a folder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from infogan_tool.cli.main import main
from infogan_tool.export.outputs import export_outputs
from infogan_tool.export.preprocessing_options import PreprocessingOptions, preprocessing_note
from infogan_tool.runtime import ImageSpec, Preprocessing, read_metadata
from infogan_tool.runtime.errors import UsageError
from infogan_tool.train import fit, preset
from infogan_tool.train.data import load_test_images

if TYPE_CHECKING:
    from pathlib import Path

GREY = ImageSpec(size=28, channels=1, low=0, high=1)
SMALL = {"networks": {"base_width": 4, "full_width": 16, "q_width": 8}, "schedule": {"steps": 3}}


@pytest.fixture(scope="module")
def digits() -> np.ndarray:
    test = load_test_images("mnist")
    assert test is not None
    return test.images[:300, 0].numpy()


@pytest.fixture(scope="module")
def letters_run(digits: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of some steps on a folder of 300 images, bright on black in a box of 20."""
    folder = tmp_path_factory.mktemp("folder")
    (folder / "letters").mkdir()
    for number, image in enumerate(digits):
        Image.fromarray(image).save(folder / "letters" / f"{number:03d}.png")
    flags: dict[str, Any] = {**SMALL, "data": {"source": str(folder / "letters")}}
    fit(preset("paper", **flags), out=folder / "run", device="cpu")
    return folder / "run"


def off_centre_scan() -> Image.Image:
    """A dark stroke on light paper, in the upper left of an image that is not square."""
    image = Image.new("L", (300, 200), 235)
    ImageDraw.Draw(image).line([(40, 30), (80, 30), (50, 100)], fill=40, width=9)
    return image


def network_input(bundle: Path, folder: Path) -> np.ndarray:
    """Return the preprocessed scan."""
    off_centre_scan().save(folder / "scan.png")
    seen = folder / "seen.png"
    options = ["-b", str(bundle), "--device", "cpu", "--force", "--json", "--show-input", str(seen)]
    assert main(["encode", str(folder / "scan.png"), *options]) == 0
    with Image.open(seen) as image:
        return np.asarray(image, np.float64)


def test_scan_is_preprocessed_like_the_training_images(
    letters_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "bundle"
    options = ["--preprocessing", "centred-foreground", "--box", "20", "--ink", "light"]
    assert main(["export", str(letters_run), "--out", str(out), *options]) == 0
    assert "match this preprocessing" not in capsys.readouterr().err
    assert read_metadata(out).image.preprocessing == Preprocessing(
        box=20, centre="mass", ink="light", stroke=0
    )
    seen = network_input(out, tmp_path)
    assert seen.shape == (28, 28)
    assert seen[[0, -1]].max() == seen[:, [0, -1]].max() == 0, "light on black, with a border"
    middle = [(seen.sum(axis) @ np.arange(28)) / seen.sum() + 0.5 for axis in (0, 1)]
    np.testing.assert_allclose(middle, [14, 14], atol=1)
    rows, columns = np.flatnonzero(seen.max(1) >= 32), np.flatnonzero(seen.max(0) >= 32)
    assert abs(max(np.ptp(rows), np.ptp(columns)) + 1 - 20) <= 1


def test_note_on_training_images_of_another_layout(
    letters_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "bundle"
    options = ["--preprocessing", "centred-foreground", "--box", "12", "--ink", "dark", "--centre", "box"]
    assert main(["export", str(letters_run), "--out", str(out), *options, "--stroke", "1.5"]) == 0
    assert read_metadata(out).image.preprocessing == Preprocessing(
        box=12, centre="box", ink="dark", stroke=1.5
    )
    notes = [line for line in capsys.readouterr().err.splitlines() if "match this preprocessing" in line]
    expected = "only 0 % of the training images match this preprocessing; their foreground objects are"
    assert notes == [f"note: {expected} 20 pixels long (median), with light ink"]


def test_plain_preprocessing_of_a_known_data_set_in_fp16(style_run_path: Path, tmp_path: Path) -> None:
    export_outputs(
        style_run_path,
        out=tmp_path / "fp16",
        precision="fp16",
        preprocessing=PreprocessingOptions(preprocessing="plain"),
    )
    metadata = read_metadata(tmp_path / "fp16")
    assert (metadata.precision, metadata.image.preprocessing) == ("fp16", None)


def test_bundle_keeps_its_preprocessing(tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is a bundle and keeps its preprocessing"):
        export_outputs(
            tiny,
            out=tmp_path / "b",
            precision="fp16",
            preprocessing=PreprocessingOptions(preprocessing="plain"),
        )
    assert not (tmp_path / "b").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--box", "20"], "--box, --ink, --centre and --stroke need --preprocessing centred-foreground"),
        (["--stroke", "2"], "need --preprocessing centred-foreground"),
        (["--preprocessing", "plain", "--ink", "light"], "--preprocessing plain takes no --box"),
        (["--preprocessing", "centred-foreground", "--box", "20"], "needs --box PIXELS and --ink"),
        (["--preprocessing", "centred-foreground", "--ink", "light"], "needs --box PIXELS and --ink"),
        (
            ["--preprocessing", "centred-foreground", "--ink", "light", "--box", "29"],
            "--box 29: from 1 to 28",
        ),
        (["--preprocessing", "centred-foreground", "--ink", "light", "--box", "0"], "--box 0: from 1 to 28"),
        (["--preprocessing", "centred-foreground", "--ink", "grey", "--box", "20"], "'grey' is not one of"),
        (["--preprocessing", "centred_foreground"], "is not one of 'centred-foreground', 'plain'"),
    ],
)
def test_invalid_options_are_one_line_and_nothing_is_written(
    options: list[str], message: str, run_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", str(run_path), "--out", str(tmp_path / "bundle"), *options]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("stroke", [-1.0, 10.5, float("nan"), float("inf")])
def test_stroke_out_of_range(stroke: float) -> None:
    with pytest.raises(UsageError, match=r"--stroke .*: from 0 to 10, half the box"):
        PreprocessingOptions(preprocessing="centred-foreground", box=20, ink="light", stroke=stroke).resolve(
            GREY
        )


def test_colour_has_no_centred_foreground() -> None:
    colour = ImageSpec(size=28, channels=3, low=0, high=1)
    with pytest.raises(UsageError, match="--channels 1"):
        PreprocessingOptions(preprocessing="centred-foreground", box=20, ink="light").resolve(colour)
    assert PreprocessingOptions(preprocessing="plain").resolve(colour) is None


def test_preprocessing_note(digits: np.ndarray) -> None:
    preprocessing = Preprocessing(box=20, centre="mass", ink="light", stroke=0)
    inverted = 255 - digits
    assert (
        preprocessing_note(digits, None)
        == preprocessing_note(digits, preprocessing)
        == preprocessing_note(digits[:0], preprocessing)
        == ""
    )
    assert preprocessing_note(inverted, Preprocessing(box=20, centre="mass", ink="dark", stroke=0)) == ""
    assert preprocessing_note(inverted, preprocessing).endswith("20 pixels long (median), with dark ink")
    half = np.concatenate([digits[:150], np.roll(digits[:150], 4, 2)])
    assert preprocessing_note(half, preprocessing).startswith("only 50 % of the training images")
    assert "0 pixels long (median), with light ink" in preprocessing_note(
        np.zeros((5, 28, 28), np.uint8), preprocessing
    )
