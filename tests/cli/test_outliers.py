"""``infogan-tool outliers`` and ``sort``: images like the training images, others, hostile names."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from infogan_tool.cli.commands.outliers import _find
from infogan_tool.cli.encode.collect import Collection
from infogan_tool.runtime import load_bundle, read_metadata
from infogan_tool.runtime.bundle.metadata import METADATA_FILE

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Result

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
HOSTILE = [
    "<img src=x onerror=alert(1)>.png",
    "a\nb.png",
    "\x1b[31mred.png",
    "=1+1.png",
    os.fsdecode(b"\xff.png"),
]


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten digits in one folder; another with a digit of the same name, noise, a text and a link."""
    folder = tmp_path_factory.mktemp("mixed")
    (folder / "a").mkdir()
    (folder / "b").mkdir()
    for name in DIGITS:
        shutil.copy(EXAMPLES / f"{name}.png", folder / "a")
    shutil.copy(EXAMPLES / "seven.png", folder / "b")
    noise = np.random.default_rng(0).integers(0, 256, (28, 28), np.uint8)
    Image.fromarray(noise).save(folder / "b" / "noise.png")
    (folder / "b" / "text.png").write_text("no image", "utf-8")
    (folder / "b" / "link.png").symlink_to("../a/one.png")
    return folder


def test_outliers_lists_the_odd_image_first(cli: Callable[..., Result], mixed: Path, tmp_path: Path) -> None:
    page = tmp_path / "odd.html"
    result = cli("outliers", mixed, "-n", "3", "--out", page)
    assert result.code == 3  # text.png cannot be read
    assert "text.png" in result.err
    first = result.out.splitlines()
    assert first[0] == "Least like the training images"
    assert first[1].split()[-1] == "flag"
    assert first[2].startswith(str(mixed / "b" / "noise.png"))
    assert first[2].endswith("ood")
    # Noise is flagged, and perhaps a digit.
    assert re.search(
        r"Out of distribution \(OOD score above 0.5\): [1-3] of 13 images \(\d+.\d %\)\.", result.out
    )
    spec = load_bundle().metadata.ood
    assert spec is not None
    rate = f"{100 * spec.metrics['false_flags_held_out']:.1f} % of training images"
    assert f"False flags: the threshold flags {rate}" in result.out
    html = page.read_text("utf-8")
    assert html.count("<img ") == 6
    assert html.count("data:image/png;base64,") == 6


def test_outliers_as_json(cli: Callable[..., Result], mixed: Path) -> None:
    result = cli("outliers", mixed, "-n", "2", "--json")
    found = json.loads(result.out)
    assert found["images"] == 13
    assert 1 <= found["ood"]["images"] <= 3
    assert 0 < found["ood"]["false_flags_held_out"] < 0.05
    odd = found["unlike_training"]
    assert [len(odd), len(found["uncertain"])] == [2, 2]
    assert odd[0]["path"].endswith("noise.png")
    assert odd[0]["ood"] is True
    assert odd[0]["distance"] >= odd[1]["distance"]
    confidence = [record["categories"][0]["confidence"] for record in found["uncertain"]]
    assert confidence == sorted(confidence)


def test_outliers_of_other_images_and_other_bundles(
    cli: Callable[..., Result], tiny: Path, continuous: Path, tmp_path: Path
) -> None:
    rng = np.random.default_rng(1)
    for index in range(3):
        Image.fromarray(rng.integers(0, 256, (40, 40), np.uint8)).save(tmp_path / f"{index}.png")
    result = cli("outliers", tmp_path)
    assert result.code == 0
    assert (
        "Most images are unlike those that the bundle was trained on; is it the right bundle?" in result.out
    )
    result = cli("outliers", tmp_path, "-b", tiny)  # has no OOD score
    assert result.code == 0
    assert "Least like the training images" not in result.out
    assert "The bundle has no OOD score" in result.out
    result = cli("outliers", tmp_path, "-b", continuous)  # has no category either
    assert (result.code, "neither an OOD score nor categories" in result.err) == (2, True)


def test_outliers_of_an_array_have_thumbnails(cli: Callable[..., Result], tmp_path: Path) -> None:
    array, page = tmp_path / "a.npy", tmp_path / "odd.html"
    np.save(array, np.random.default_rng(2).integers(0, 256, (5, 28, 28), np.uint8))
    assert cli("outliers", array, "-n", "2", "--out", page).code == 0
    assert page.read_text("utf-8").count("<img ") == 4


def test_the_listed_images_keep_no_chunk_in_memory(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros((40, 28, 28), np.uint8))
    found, _, _ = _find(Collection(load_bundle(), [str(tmp_path / "a.npy")], threads=1, progress=False), 2)
    for _, number, _, image, posterior in (row for rows in found.values() for row in rows):
        assert number < 2, "equals are in the order of the inputs"
        assert all(array.base is None or len(array.base) == 1 for array in (image, posterior.style_mean))


@pytest.mark.skipif(os.name != "posix", reason="names of POSIX")
def test_hostile_names_are_harmless(cli: Callable[..., Result], tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    for name in HOSTILE:
        shutil.copy(EXAMPLES / "five.png", folder / name)
    page, out = tmp_path / "odd.html", tmp_path / "sorted"
    result = cli("outliers", folder, "--out", page)
    assert result.code == 0
    html = page.read_text("utf-8")
    assert "<img src=x" not in html
    assert "&lt;img src=x onerror=alert(1)&gt;.png" in html
    assert not set(html + result.out) & {"\x1b", "\udcff"}
    assert cli("sort", folder, "--out", out, "--apply").code == 0
    assert sorted(path.name for path in (out / "5").iterdir()) == sorted(HOSTILE)
    with (out / "codes.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(HOSTILE)
    assert not any(row["path"].startswith("=") or row["file"].startswith("=") for row in rows)
    assert (out / "codes.csv").read_text("utf-8").count("\n") == len(HOSTILE) + 1


# --- sort --------------------------------------------------------------------------------------------------


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_sort_shows_first_and_then_copies(cli: Callable[..., Result], mixed: Path, tmp_path: Path) -> None:
    before, out = tree(mixed), tmp_path / "sorted"
    dry = cli("sort", mixed, "--out", out)
    assert dry.code == 3
    assert not out.exists()
    assert "nothing was written: --apply writes" in dry.err
    flagged = re.search(r"(\d+) of 13 images (is|are) out of distribution", dry.err)
    assert flagged
    assert (flagged[1] == "1") == (flagged[2] == "is")
    done = cli("sort", mixed, "--out", out, "--apply")
    assert done.code == 3
    assert done.out == dry.out
    assert flagged[0] in done.err
    assert tree(mixed) == before
    for digit, name in enumerate(DIGITS):
        assert (out / str(digit) / f"{name}.png").read_bytes() == (EXAMPLES / f"{name}.png").read_bytes()
    assert sorted(path.name for path in (out / "7").iterdir() if "seven" in path.name) == [
        "seven (2).png",
        "seven.png",
    ]
    assert not (out / "1" / "link.png").is_symlink()
    with (out / "codes.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["file"] for row in rows} == tree(out).keys() - {"codes.csv"}
    assert {row["path"] for row in rows} == {str(mixed / name) for name in before} - {
        str(mixed / "b/text.png")
    }
    again = cli("sort", mixed, "--out", out, "--apply")
    assert (again.code, "already exists" in again.err) == (1, True)


@pytest.mark.skipif(os.name != "posix", reason="links of POSIX")
def test_sort_by_link_and_with_names(cli: Callable[..., Result], mixed: Path, tmp_path: Path) -> None:
    bundle = shutil.copytree(load_bundle().path, tmp_path / "bundle")
    data = json.loads((bundle / METADATA_FILE).read_text("utf-8"))
    label = {name: name for name in data["labels"]["k1"]} | {
        "7": "../up",
        "1": "../up",
        "5": "ood",
        "3": None,
    }
    data["labels"]["k1"] = [label[name] for name in data["labels"]["k1"]]
    (bundle / METADATA_FILE).write_text(json.dumps(data), "utf-8")
    index = read_metadata(bundle).labels["k1"].index(None)
    out = tmp_path / "sorted"
    shown = cli("sort", mixed, "-b", bundle, "--out", out, "--separate-ood").out
    assert re.search(r"^ood +[1-3]$", shown, re.MULTILINE)
    result = cli("sort", mixed, "-b", bundle, "--out", out, "--apply", "--mode", "symlink")
    assert result.code == 3
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bundle", "sorted"]
    assert {path.name for path in out.iterdir()} == {
        *("codes.csv", "ood (2)", "__up", f"k1-{index}"),
        *("0", "2", "4", "6", "8", "9"),
    }
    assert (out / "__up" / "one.png").is_symlink()
    assert (out / "__up" / "one.png").resolve() == (mixed / "a" / "one.png").resolve()
    assert {path.name for path in (out / "__up").iterdir()} >= {"one.png", "seven.png", "seven (2).png"}


def test_sort_refuses(
    cli: Callable[..., Result], mixed: Path, continuous: Path, tiny: Path, tmp_path: Path
) -> None:
    for arguments, message in (
        ([mixed / "a" / "one.png", "--out", tmp_path / "x"], "one.png is not a folder"),
        ([mixed, "--out", mixed / "sorted"], "is inside of"),
        ([mixed, "--out", tmp_path / "x", "-b", continuous], "no categorical code to sort by"),
        ([mixed, "--out", tmp_path / "x", "-b", tiny, "--code", "k3"], "no such categorical code"),
        ([mixed, "--out", tmp_path / "x", "-b", tiny, "--separate-ood"], "has no OOD score"),
    ):
        result = cli("sort", *arguments, "--apply")
        assert result.code == 2, result.err
        assert message in result.err
    (tmp_path / "empty").mkdir()
    assert cli("sort", tmp_path / "empty", "--out", tmp_path / "x", "--apply").code == 1
    assert [path.name for path in tmp_path.iterdir()] == ["empty"]
