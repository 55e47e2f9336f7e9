"""examples/photographs: credits, reading, random crops and their factors."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from infogan_tool.runtime.errors import DataError
from infogan_tool.train.data import load_images

sys.path.insert(0, str(Path(__file__).parents[2] / "examples" / "photographs"))

import crops

COPYRIGHT = """\
Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/

Files: *
Copyright: nobody
License: GPL-2+

Files: 16.04/sea.jpg nature/*.png
 nature/sky.jpg
Copyright: 2018, Ada
           2019, Bo <bo@example.org>
License: CC-BY-4.0
 The whole text
 .
 of the licence.

Files: nature/owner.jpg
License: CC-BY-4.0
"""


def photograph(path: Path, seed: int = 0, size: tuple[int, int] = (120, 80)) -> Path:
    """Red grows from left to right, blue from top to bottom."""
    ramps = [np.linspace(0, 255, length).astype(np.uint8) for length in size]
    pixels = np.zeros((size[1], size[0], 3), np.uint8)
    pixels[:, :, 0] = ramps[0]
    pixels[:, :, 1] = 50 * seed
    pixels[:, :, 2] = ramps[1][:, None]
    Image.fromarray(pixels).save(path)
    return path


def test_credits_of_a_file_of_copyright() -> None:
    (credit,) = crops.parse_copyright(COPYRIGHT)
    assert credit.names == ("sea.jpg", "*.png", "sky.jpg")
    assert credit.copyright == "2018, Ada 2019, Bo <bo@example.org>"
    assert credit.licence == "CC-BY-4.0"
    assert [credit.covers(Path("a") / name) for name in ("sea.jpg", "b.png", "sky.jpeg")] == [
        True,
        True,
        False,
    ]


@given(st.text(alphabet="Files:Copyright:License: *.\n\t\x00\ud7ff", max_size=200))
@settings(deadline=None)
def test_any_file_of_copyright_is_read(text: str) -> None:
    for credit in crops.parse_copyright(text):
        assert all(name.strip("*") for name in credit.names)
        crops.attribution({Path("a.jpg"): credit}).encode()


def test_a_folder_of_crops_with_factors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "copyright").write_text(COPYRIGHT)
    files = [
        photograph(tmp_path / name, seed) for seed, name in enumerate(("sea.jpg", "b.png", "unnamed.jpg"))
    ]

    def make(out: str, *options: str) -> Path:
        arguments = [
            *map(str, files),
            "--copyright",
            str(tmp_path / "copyright"),
            "--out",
            str(tmp_path / out),
        ]
        monkeypatch.setattr(sys, "argv", ["crops.py", *arguments, "--images", "300", *options])
        crops.main()
        return tmp_path / out

    first, again, other = make("first"), make("again"), make("other", "--seed", "1")
    for path in sorted(first.iterdir()):
        assert path.read_bytes() == (again / path.name).read_bytes()
    assert (first / "factors.csv").read_text() != (other / "factors.csv").read_text()
    found = load_images(str(first), factors=True)
    images = found.images[:].numpy()
    assert images.shape == (300, 3, 32, 32)
    assert found.factors is not None
    assert found.factors.levels[0] == ("b", "sea")
    values = {
        name: np.array(levels)[found.factors.values[:, column].numpy()]
        for column, (name, levels) in enumerate(zip(found.factors.names, found.factors.levels, strict=True))
        if column
    }
    assert np.corrcoef(values["horizontal"], images[:, 0].mean(axis=(1, 2)))[0, 1] > 0.95
    assert np.corrcoef(values["vertical"], images[:, 2].mean(axis=(1, 2)))[0, 1] > 0.95
    warmth = images[:, 0].mean(axis=(1, 2)) - images[:, 2].mean(axis=(1, 2))
    assert np.corrcoef(values["warmth"], warmth)[0, 1] > 0.95
    assert np.corrcoef(values["zoom"], np.ptp(images[:, 2].mean(axis=2), axis=1))[0, 1] < -0.9
    # Half of the crops are mirrored: there red falls from left to right.
    rising = images[:, 0, :, -1].mean(axis=1) > images[:, 0, :, 0].mean(axis=1)
    assert 0.4 < rising.mean() < 0.6
    text = (first / "ATTRIBUTION.txt").read_text()
    assert "- sea.jpg: 2018, Ada 2019, Bo <bo@example.org>; CC-BY-4.0" in text
    assert "unnamed" not in text
    with pytest.raises(SystemExit) as ended:
        make("first")
    assert ended.value.code == 1
    assert "already exists" in capsys.readouterr().err


@pytest.mark.parametrize("content", [b"no image", b"\xff\xd8\xff\xe0 damaged", b""])
def test_damaged_photographs_are_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(content)
    with pytest.raises(DataError, match="cannot be read"):
        crops.read_photograph(path)


def test_huge_photographs_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = photograph(tmp_path / "a.png")
    assert crops.read_photograph(path).size == (600, 400)
    monkeypatch.setattr(crops, "_MAX_PIXELS", 120 * 80 - 1)
    with pytest.raises(DataError, match="larger than"):
        crops.read_photograph(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "cannot be read"), (b"", "no photograph is named"), (b"\xff", "no photograph")],
)
def test_photographs_without_a_licence_are_refused(
    content: bytes | None, message: str, tmp_path: Path
) -> None:
    if content is not None:
        (tmp_path / "copyright").write_bytes(content)
    with pytest.raises(DataError, match=message):
        crops.find_credits([Path("a.jpg")], [tmp_path / "copyright"])
