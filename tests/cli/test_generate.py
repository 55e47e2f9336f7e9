from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from bulk_helpers import pixels

from infogan_tool.runtime import load_bundle, save_png, sheet, to_uint8
from infogan_tool.runtime.bundle.bundle import Bundle
from infogan_tool.runtime.errors import DeviceError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def test_a_sheet(cli: Callable[..., Any], tiny: Path, tmp_path: Path) -> None:
    out = tmp_path / "sheet.png"
    done = cli("generate", "-b", tiny, "--count", 7, "--seed", 3, "--out", out)
    assert (done.code, done.out) == (0, "")
    assert done.err == f"wrote 7 images of seed 3 to {out}\n"
    bundle = load_bundle(tiny, device="cpu")
    images = to_uint8(bundle.generate(bundle.sample(7, 3)), bundle.image)
    np.testing.assert_array_equal(pixels(out), sheet(images, 3, scale=2))
    assert list(tmp_path.iterdir()) == [out]


def test_defaults_and_the_pretrained_bundle(cli: Callable[..., Any], tmp_path: Path) -> None:
    assert cli("generate", "--out", tmp_path / "x.PNG").code == 0
    assert pixels(tmp_path / "x.PNG").shape == (8 * 58 + 2, 8 * 58 + 2)


def test_a_folder(cli: Callable[..., Any], tiny: Path, tmp_path: Path) -> None:
    out = tmp_path / "new" / "folder"
    done = cli("generate", "-b", tiny, "-n", 5, "--seed", 2, "--out", out)
    assert (done.code, done.out) == (0, "")
    names = [f"{i:05d}.png" for i in range(5)]
    assert sorted(p.name for p in out.iterdir()) == [*names, "codes.jsonl"]
    bundle = load_bundle(tiny, device="cpu")
    latents = bundle.sample(5, 2)
    images = to_uint8(bundle.generate(latents), bundle.image)
    records = [json.loads(line) for line in (out / "codes.jsonl").read_text().splitlines()]
    for row, (name, record) in enumerate(zip(names, records, strict=True)):
        np.testing.assert_array_equal(pixels(out / name), images[row])
        assert list(record) == ["file", "seed", "image", "categories", "styles", "bundle", "provider"]
        assert (record["file"], record["seed"], record["image"]) == (name, 2, row)
        assert [c["index"] for c in record["categories"]] == latents.categories[row].tolist()
        assert [c["code"] for c in record["categories"]] == ["k1", "k2"]
        assert [s["value"] for s in record["styles"]] == [round(float(v), 6) for v in latents.styles[row]]


def test_images_do_not_depend_on_the_count(cli: Callable[..., Any], tiny: Path, tmp_path: Path) -> None:
    for count in (1, 2, 300):
        assert cli("generate", "-b", tiny, "-n", count, "--out", tmp_path / str(count)).code == 0
    for name in ("00000.png", "00001.png"):
        assert (tmp_path / "2" / name).read_bytes() == (tmp_path / "300" / name).read_bytes()
    assert (tmp_path / "1" / "00000.png").read_bytes() == (tmp_path / "300" / "00000.png").read_bytes()


def test_scale(cli: Callable[..., Any], tiny: Path, tmp_path: Path) -> None:
    for scale in (1, 3):
        assert (
            cli("generate", "-b", tiny, "-n", 1, "--scale", scale, "--out", tmp_path / str(scale)).code == 0
        )
    small, large = pixels(tmp_path / "1" / "00000.png"), pixels(tmp_path / "3" / "00000.png")
    np.testing.assert_array_equal(large, small.repeat(3, 0).repeat(3, 1))


def held(folder: Path) -> list[tuple[list[int], list[float]]]:
    records = [json.loads(line) for line in (folder / "codes.jsonl").read_text().splitlines()]
    return [([c["index"] for c in r["categories"]], [s["value"] for s in r["styles"]]) for r in records]


def test_fixed_codes(cli: Callable[..., Any], tiny: Path, tmp_path: Path) -> None:
    options = ("--category", "k1=3", "--category", "k2=0", "--style", "c3=-1.5")
    for name, given in (("free", ()), ("held", options)):
        assert cli("generate", "-b", tiny, "-n", 4, *given, "--out", tmp_path / name).code == 0
    for (_, free), (categories, styles) in zip(held(tmp_path / "free"), held(tmp_path / "held"), strict=True):
        assert categories == [3, 0]
        assert styles == [*free[:2], -1.5]


@pytest.fixture
def labelled(tiny: Path, tmp_path: Path) -> Path:
    bundle = tmp_path / "bundle"
    shutil.copytree(tiny, bundle)
    data = json.loads((bundle / "metadata.json").read_text())
    data["labels"] = {"k1": ["7", "2", "round", "round"]}
    data["style_names"] = {"c1": "slant", "c2": "stroke width"}
    (bundle / "metadata.json").write_text(json.dumps(data))
    return bundle


def test_a_style_by_its_name(cli: Callable[..., Any], labelled: Path, tmp_path: Path) -> None:
    for name in ("stroke width", "stroke_width", "c2"):
        out = tmp_path / name
        assert cli("generate", "-b", labelled, "-n", 1, "--style", f"{name}=0.5", "--out", out).code == 0
        assert held(out)[0][1][1] == 0.5


def test_a_category_by_its_label(cli: Callable[..., Any], labelled: Path, tmp_path: Path) -> None:
    for option, index in (("k1=label:7", 0), ("k1=label:2", 1), ("k1=2", 2), ("7", 0)):
        out = tmp_path / str(index)
        again = ["--force"] if out.exists() else []
        assert cli("generate", "-b", labelled, "-n", 2, "--category", option, "--out", out, *again).code == 0
        assert [categories[0] for categories, _ in held(out)] == [index, index]
    for number, option in enumerate(("round", "k1=round", "k1=label:round")):
        out = tmp_path / f"round-{number}"
        assert cli("generate", "-b", labelled, "-n", 20, "--category", option, "--out", out).code == 0
        assert {categories[0] for categories, _ in held(out)} == {2, 3}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--category", "k1=label:9"], "no category of k1 has the label '9'"),
        (["--category", "k2=label:7"], "the categories of k2 have no labels in this bundle"),
        (["--category", "k1=roun"], "no category of k1 has the label 'roun' (did you mean 'round'?)"),
        (["--category", "roun"], "--category roun: no category has this label (did you mean 'round'?)"),
        (["--category", "=1"], "--category =1: write it as LABEL or CODE=INDEX"),
        (["--category", "k1="], "--category k1=: write it as LABEL or CODE=INDEX"),
        (["--category", "7", "--category", "k1=2"], "--category k1 is given twice"),
        (["--style", "c1="], "--style c1=: write it as CODE=VALUE"),
        (["--category", "k1=1", "--category", "k1=2"], "--category k1 is given twice"),
        (["--category", "k1=4"], "k1 has the categories 0 to 3, not 4"),
        (["--category", "k1=-1"], "k1 has the categories 0 to 3, not -1"),
        (["--category", "k7=1"], "there is no categorical code 'k7'"),
        (["--category", "c1=1"], "there is no categorical code 'c1'"),
        (["--category", "zzz"], "no category has this label (valid: 2, 7, round); write it as"),
        (["--style", "slnt=1"], "there is no code 'slnt' (did you mean 'slant'?)"),
        (["--style", "c1=x"], "--style c1=x: give a number"),
        (["--style", "c1=nan"], "c1 must be finite and at most 1,000,000"),
        (["--style", "k1=1"], "there is no continuous code 'k1'"),
        (["--style", "c1=1", "--style", "c1=1"], "--style c1 is given twice"),
        (["--count", "0"], "'--count'"),
        (["--count", "x"], "'--count'"),
        (["--seed", "-1"], "'--seed'"),
        (["--seed", str(2**64)], "the seed from 0 to 2**64 - 1"),
        (["--scale", "0"], "'--scale'"),
        (["--count", "1000000"], "too many for one sheet"),
        (["--device", "tpu"], "'tpu' is not one of 'auto', 'cpu', 'cuda'"),
    ],
)
def test_usage_errors_write_nothing(
    cli: Callable[..., Any], labelled: Path, tmp_path: Path, options: list[str], message: str
) -> None:
    targets = ["x.png"] if "1000000" in options else ["x.png", "folder"]
    for target in targets:
        done = cli("generate", "-b", labelled, *options, "--out", tmp_path / target)
        assert (done.code, done.out) == (2, "")
        assert message in done.err
        assert done.err.startswith("error: ")
        assert len(done.err.splitlines()) == 1
        assert not (tmp_path / target).exists()


def test_outputs_are_not_overwritten(cli: Callable[..., Any], tiny: Path, tmp_path: Path) -> None:
    sheet_file, folder = tmp_path / "x.png", tmp_path / "folder"
    for out in (sheet_file, folder):
        assert cli("generate", "-b", tiny, "-n", 2, "--out", out).code == 0
        done = cli("generate", "-b", tiny, "-n", 3, "--out", out)
        assert done.code == 1
        assert f"{out} already exists: use --force" in done.err
    assert len(held(folder)) == 2
    for out in (sheet_file, folder):
        assert cli("generate", "-b", tiny, "-n", 3, "--out", out, "--force").code == 0
    assert len(held(folder)) == 3
    empty = tmp_path / "empty"
    empty.mkdir()
    assert cli("generate", "-b", tiny, "-n", 1, "--out", empty).code == 0


def test_an_image_that_no_list_has_is_not_overwritten(
    cli: Callable[..., Any], tiny: Path, tmp_path: Path
) -> None:
    out = tmp_path / "folder"
    assert cli("generate", "-b", tiny, "-n", 2, "--out", out).code == 0
    (out / "00002.png").write_text("mine")
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    done = cli("generate", "-b", tiny, "-n", 3, "--seed", 1, "--out", out, "--force")
    assert done.code == 1
    assert "00002.png already exists: codes.jsonl does not list it" in done.err
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    assert cli("generate", "-b", tiny, "-n", 2, "--seed", 1, "--out", out, "--force").code == 0
    assert (out / "00002.png").read_text() == "mine"


def test_nothing_is_removed_or_made_where_nothing_can_be_generated(
    cli: Callable[..., Any], tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = tmp_path / "old"
    assert cli("generate", "-b", tiny, "-n", 2, "--out", old).code == 0
    before = sorted(old.iterdir())

    def fail(*_: object) -> None:
        raise DeviceError("no memory")

    monkeypatch.setattr(Bundle, "generate", fail)
    for out in (old, tmp_path / "new"):
        done = cli("generate", "-b", tiny, "-n", 2, "--out", out, "--force")
        assert (done.code, done.err) == (1, "error: no memory\n")
    assert sorted(old.iterdir()) == before
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("is_new", [True, False])
def test_an_interrupted_output_can_be_repeated(
    cli: Callable[..., Any], tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_new: bool
) -> None:
    out = tmp_path / "folder"
    if not is_new:
        out.mkdir()
        (out / "mine.txt").touch()
    before = sorted(tmp_path.rglob("*"))

    def interrupt(path: Path, image: np.ndarray[Any, Any]) -> None:
        if path.name == "00002.png":
            raise KeyboardInterrupt
        save_png(path, image)

    command = ("generate", "-b", tiny, "-n", 4, "--out", out, "--force")
    with monkeypatch.context() as patch:
        patch.setattr("infogan_tool.runtime.save_png", interrupt)
        assert cli(*command).code == 130
    assert sorted(tmp_path.rglob("*")) == before
    assert cli(*command).code == 0
    assert len(held(out)) == 4


def test_invalid_targets(cli: Callable[..., Any], tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "d.png").mkdir()
    (tmp_path / "file").write_text("mine")
    for out, code, message in (
        (tmp_path / "d.png", 2, "is a folder: give a file name"),
        (tmp_path / "no" / "x.png", 2, "does not exist; create it first"),
        (tmp_path / "x.jpg", 2, "give a name ending in .png, or a folder"),
        (tmp_path / "file", 1, "it is not a folder"),
        ("/dev/null", 1, "it is not a folder"),
    ):
        done = cli("generate", "-b", tiny, "-n", 1, "--out", out, "--force")
        assert done.code == code
        assert message in done.err
        assert len(done.err.splitlines()) == 1
    assert (tmp_path / "file").read_text() == "mine"
    assert cli("generate", "-b", tiny).code == 2


def test_a_folder_that_cannot_be_written_is_one_line(
    cli: Callable[..., Any], tiny: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    done = cli("generate", "-b", tiny, "-n", 1, "--out", tmp_path / "file" / "below")
    assert done.code == 1
    assert done.err.startswith("error: ")
    assert len(done.err.splitlines()) == 1
