"""``factors.csv`` beside a folder of images."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from data_fixtures import random_images, write_flat, write_image

from infogan_tool.runtime.errors import DataError, ExitCode
from infogan_tool.train.data import Factors, factors_file, load_images, load_test_images

if TYPE_CHECKING:
    from pathlib import Path

COUNT = 24
PIXELS = random_images(COUNT, 8, 8)


def line(index: int) -> str:
    return f"p{index}.png,{index % 2},{'ab'[index // 12]}"


LINES = ["path,width,letter", *(line(index) for index in range(COUNT))]


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shapes")
    write_flat(folder, PIXELS)
    return folder


@pytest.fixture
def folder(images: Path) -> Path:
    (images / "factors.csv").unlink(missing_ok=True)
    return images


def read(folder: Path, text: str | bytes) -> Factors:
    (folder / "factors.csv").write_bytes(text.encode() if isinstance(text, str) else text)
    factors = load_images(str(folder), factors=True).factors
    assert factors is not None
    return factors


def order(folder: Path) -> list[int]:
    return [int(path.stem[1:]) for path in sorted(folder.glob("*.png"), key=lambda path: path.name)]


def test_factors_are_those_of_the_images_in_their_order(folder: Path) -> None:
    shuffled = [LINES[0], *reversed(LINES[1:])]
    factors = read(folder, "\ufeff" + "\r\n".join(shuffled) + "\r\n\r\n")
    assert factors.names == ("width", "letter")
    assert factors.levels == ((0.0, 1.0), ("a", "b"))
    assert factors.ordered == (True, False)
    expected = [[index % 2, index // 12] for index in order(folder)]
    assert factors.values.tolist() == expected


def test_training_does_not_read_them(folder: Path) -> None:
    (folder / "factors.csv").write_bytes(b"\xff")
    assert load_images(str(folder)).factors is None


def test_folder_without_a_file_has_none(folder: Path) -> None:
    assert load_images(str(folder), factors=True).factors is None


def test_many_numbers_are_cut_into_levels_and_few_are_not() -> None:
    values = np.random.default_rng(0).permutation(np.repeat(np.arange(60.0), 10))
    levels, index = factors_file._levels("size", [str(value) for value in values])
    assert len(levels) == 20
    assert list(levels) == sorted(levels)
    assert np.bincount(index).tolist() == [30] * 20
    assert all(abs(levels[i] - value) <= 1.5 for i, value in zip(index, values, strict=True))
    levels, index = factors_file._levels("size", [str(value % 50) for value in values])
    assert levels == tuple(np.arange(50.0))


def test_rare_values_are_no_variation() -> None:
    column = ["a"] * 3980 + ["b"] * 20
    assert factors_file._levels("kind", column)[0] == ("a", "b")
    with pytest.raises(factors_file._FileError, match="factor kind does not vary: two values need 20 images"):
        factors_file._levels("kind", ["a", *column[:-1]])


def test_splits_share_one_file(tmp_path: Path) -> None:
    lines = ["letter,path"]
    for split in ("train", "test"):
        for index, pixels in enumerate(PIXELS):
            write_image(tmp_path / split / f"p{index}.png", pixels)
            lines.append(f"{'ab'[index % 2]},{split}/p{index}.png")
    (tmp_path / "factors.csv").write_text("\n".join(lines))
    test = load_test_images(str(tmp_path), factors=True)
    assert test is not None
    assert test.factors is not None
    assert test.factors.values[:, 0].tolist() == [index % 2 for index in order(tmp_path / "test")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("\n".join(LINES[:-2]), r"2 of 24 images have no line, such as p2[23]\.png"),
        ("\n".join([*LINES, "q.png,1,a"]), r"there is no image q\.png, which has a line"),
        ("\n".join([*LINES, "../factors.csv,1,a"]), r"there is no image \.\./factors\.csv"),
        ("\n".join([*LINES, "a\0b.png,1,a"]), r"there is no image a\\x00b\.png"),
        ("\n".join([*LINES, "x" * 5000 + ",1,a"]), "there is no image x+…, which has a line"),
        ("\n".join([*LINES, LINES[3]]), r"line 26 repeats p2\.png"),
        ("\n".join([*LINES[:5], "p4.png,1"]), "line 6 has 2 values for 3 columns"),
        ("\n".join([*LINES[:5], "p4.png,,a"]), "line 6 has no width"),
        ("\n".join([*LINES[:5], 'p4.png,1,"a']), "line 6 is not CSV: unexpected end of data"),
        (
            "\n".join([*LINES[:5], f"p4.png,1,{'x' * 200_000}"]),
            "line 6 is not CSV: field larger than field limit",
        ),
        ("", "the first line must name one column path"),
        ("file,width\n", "the first line must name one column path"),
        ("path,path,width\n", "the first line must name one column path"),
        ("path\n", "there must be 1 to 50 factors, not 0"),
        (",".join(["path", *(f"f{i}" for i in range(51))]), "there must be 1 to 50 factors, not 51"),
        ("path,width,width\n", "two factors have the same name"),
        ("path,\x1b[31m\n", r"'\\x1b\[31m' is no name for a factor"),
        ("path,a,\n", "'' is no name for a factor"),
        ("\n".join(LINES).replace(",b", ",a"), "factor letter does not vary: two values need 10 images each"),
        ("\n".join(LINES).replace("p3.png,1", "p3.png,inf"), "factor width has a number that is not finite"),
        ("\n".join(LINES).replace("p3.png,1", "p3.png,nan"), "factor width has a number that is not finite"),
        ("\n".join(LINES).encode() + b"\np9\xff.png,1,a", "line 26 is not UTF-8"),
    ],
)
def test_file_is_refused_in_one_line(folder: Path, text: str | bytes, message: str) -> None:
    with pytest.raises(DataError, match=f"factors.csv: {message}") as caught:
        read(folder, text)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 400
    assert caught.value.exit_code == ExitCode.FAILURE


def test_other_refusals(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(factors_file._FileError, match="101 different texts, more than 100: leave it out"):
        factors_file._levels("name", [f"v{index % 101}" for index in range(2020)])
    monkeypatch.setattr(factors_file, "_MAX_BYTES", 100)
    with pytest.raises(DataError, match="is larger than 100 bytes"):
        read(folder, "\n".join(LINES))
    (folder / "factors.csv").unlink()
    (folder / "factors.csv").mkdir()
    with pytest.raises(DataError, match=r"factors.csv cannot be read"):
        load_images(str(folder), factors=True)
    (folder / "factors.csv").rmdir()
