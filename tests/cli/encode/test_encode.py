from __future__ import annotations

import dataclasses
import json
import os
import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime
import pytest
from bulk_helpers import EXAMPLES, lines
from PIL import Image

from infogan_tool.cli.encode.table import CodesTable
from infogan_tool.runtime import LatentSpec, Posterior, load_bundle, load_image

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def test_json_has_the_values_of_the_library(cli: Callable[..., Any], images: list[Path], tiny: Path) -> None:
    done = cli("encode", *images, "--bundle", tiny, "--device", "cpu", "--json")
    assert (done.code, done.err) == (0, "")
    records = lines(done.out)
    bundle = load_bundle(tiny, device="cpu", one_shot=True)
    posterior = bundle.encode(np.stack([load_image(path, bundle.image) for path in images]))
    assert [record["path"] for record in records] == [str(path) for path in images]
    for row, record in enumerate(records):
        assert list(record) == ["path", "categories", "styles", "low_confidence", "bundle", "provider"]
        assert record["bundle"] == bundle.metadata.bundle_id
        assert record["provider"] == "CPUExecutionProvider"
        assert record["low_confidence"] == any(c["confidence"] < 0.8 for c in record["categories"])
        assert [c["code"] for c in record["categories"]] == ["k1", "k2"]
        for column, category in enumerate(record["categories"]):
            assert list(category) == ["code", "index", "label", "confidence", "probabilities"]
            table = posterior.probabilities[column][row]
            assert category["index"] == table.argmax()
            assert category["label"] == bundle.metadata.label(category["code"], category["index"])
            assert category["probabilities"] == [round(float(p), 6) for p in table]
            assert category["confidence"] == max(category["probabilities"])
        assert [s["code"] for s in record["styles"]] == ["c1", "c2", "c3"]
        for column, style in enumerate(record["styles"]):
            assert list(style) == ["code", "name", "mean", "std"]
            assert style["mean"] == round(float(posterior.style_mean[row, column]), 6)
            assert style["std"] == round(float(posterior.style_std[row, column]), 6)


def test_a_bundle_without_categories_and_the_pretrained_one(
    cli: Callable[..., Any], images: list[Path], continuous: Path
) -> None:
    (record,) = lines(cli("encode", images[0], "-b", continuous, "--json").out)
    assert record["categories"] == []
    assert "low_confidence" not in record
    assert [s["code"] for s in record["styles"]] == ["c1", "c2"]
    (record,) = lines(cli("encode", images[0], "--json").out)
    assert len(record["categories"][0]["probabilities"]) == 10


def test_generated_images_are_encoded_without_change(
    cli: Callable[..., Any], tiny: Path, tmp_path: Path
) -> None:
    assert cli("generate", "--bundle", tiny, "--count", 3, "--out", tmp_path / "d").code == 0
    done = cli("encode", *sorted((tmp_path / "d").glob("*.png")), "-b", tiny, "--json")
    bundle = load_bundle(tiny, device="cpu")
    posterior = bundle.encode(bundle.generate(bundle.sample(3)))
    found = [[s["mean"] for s in record["styles"]] for record in lines(done.out)]
    np.testing.assert_allclose(found, posterior.style_mean, atol=0.05)  # the files hold 8 bits


def test_real_digits(cli: Callable[..., Any]) -> None:
    words = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
    paths = [EXAMPLES / f"{word}.png" for word in words]
    if not (load_bundle().metadata.labels and all(path.exists() for path in paths)):
        pytest.skip("needs the examples and a bundle whose categories are labelled")
    records = lines(cli("encode", *paths, "--json").out)
    right = [record["categories"][0]["label"] == str(digit) for digit, record in enumerate(records)]
    assert sum(right) >= 9


def test_names_and_labels_are_in_the_records(
    cli: Callable[..., Any], images: list[Path], tiny: Path, tmp_path: Path
) -> None:
    bundle = shutil.copytree(tiny, tmp_path / "bundle")
    data = json.loads((bundle / "metadata.json").read_text())
    data["labels"] = {"k2": ["round", "straight", None]}
    data["style_names"] = {"c2": "slant"}
    (bundle / "metadata.json").write_text(json.dumps(data))
    (record,) = lines(cli("encode", images[0], "-b", bundle, "--json").out)
    index = record["categories"][1]["index"]
    assert record["categories"][0]["label"] is None
    assert record["categories"][1]["label"] == ["round", "straight", None][index]
    assert [s["name"] for s in record["styles"]] == [None, "slant", None]
    table = cli("encode", images[0], "-b", bundle).out.splitlines()
    assert "c2 slant" in table[0]
    assert " #" in table[1]


def test_unreadable_files_are_reported_and_skipped(
    cli: Callable[..., Any], images: list[Path], tiny: Path, tmp_path: Path
) -> None:
    bad = tmp_path / "bad\n\x1b[31m.png"
    bad.write_bytes(b"no image")
    empty = tmp_path / "empty"
    empty.mkdir()
    done = cli("encode", images[0], bad, empty, images[1], tmp_path / "no.png", "-b", tiny, "--json")
    assert done.code == 3
    assert [record["path"] for record in lines(done.out)] == [str(images[0]), str(images[1])]
    messages = done.err.splitlines()
    assert len(messages) == 4
    assert messages[0].startswith("error: ")
    assert "bad\\n\\x1b[31m.png: not an image" in messages[0]
    assert messages[1].startswith(f"error: {empty}: the folder has no image")
    assert messages[2] == f"error: {tmp_path / 'no.png'}: No such file or directory"
    assert messages[3] == "3 of 5 images failed"


def test_no_readable_image_is_a_failure(cli: Callable[..., Any], tiny: Path, tmp_path: Path) -> None:
    out = tmp_path / "codes.jsonl"
    for options in ((), ("--json",), ("--out", out)):
        done = cli("encode", "no.png", "neither.png", "-b", tiny, *options)
        assert (done.code, done.out) == (1, "")
        assert (
            done.err
            == "error: no.png: No such file or directory\nerror: neither.png: No such file or directory\n"
        )
    assert not out.exists()
    assert not list(tmp_path.iterdir())


def test_out_is_written_atomically_and_not_replaced(
    cli: Callable[..., Any], images: list[Path], tiny: Path, tmp_path: Path
) -> None:
    out = tmp_path / "codes.jsonl"
    done = cli("encode", *images, "-b", tiny, "--out", out)
    assert (done.code, done.out) == (0, "")
    assert done.err == f"wrote the codes of 5 images to {out}\n"
    first = out.read_text()
    assert first == cli("encode", *images, "-b", tiny, "--json").out
    done = cli("encode", images[0], "-b", tiny, "--out", out)
    assert done.code == 1
    assert done.err == f"error: {out} already exists: use --force to replace it, or give another name\n"
    assert out.read_text() == first
    assert cli("encode", images[0], "no.png", "-b", tiny, "--out", out, "--force").code == 3
    assert len(lines(out.read_text())) == 1
    assert cli("encode", "no.png", "-b", tiny, "--out", out, "--force").code == 1
    assert len(lines(out.read_text())) == 1  # a failure leaves what was there
    assert sorted(p.name for p in tmp_path.iterdir()) == ["codes.jsonl", "images"]


@pytest.mark.parametrize("out", ["", ".", "no/codes.jsonl"])
def test_an_invalid_out_is_refused_first(
    cli: Callable[..., Any], out: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = cli("encode", "no.png", "--out", out)
    assert done.code == 2
    assert done.err.startswith("error: --out ")
    assert len(done.err.splitlines()) == 1


@pytest.mark.parametrize("option", ["--out", "--errors", "--show-input"])
def test_an_input_is_not_overwritten_even_with_force(
    cli: Callable[..., Any], images: list[Path], tiny: Path, monkeypatch: pytest.MonkeyPatch, option: str
) -> None:
    before = images[0].read_bytes()
    monkeypatch.chdir(images[0].parent)
    given = [option, images[0].name, "--format", "csv", "--force"]
    done = cli("encode", *images, "--bundle", tiny, *given)
    assert (done.code, done.out) == (2, "")
    assert "is an input and an output" in done.err
    assert images[0].read_bytes() == before


def test_the_folder_of_an_input_is_not_written_into(
    cli: Callable[..., Any], images: list[Path], tiny: Path, tmp_path: Path
) -> None:
    own = tmp_path / "own"
    own.mkdir()
    image = shutil.copy(images[0], own / "000000.png")
    for given in (image, own / "*.png", own):
        done = cli("encode", given, "--bundle", tiny, "--show-input", own, "--force")
        assert (done.code, done.out) == (2, "")
        assert ("is an input and" if given == own else "is the folder of an input") in done.err
    assert image.read_bytes() == images[0].read_bytes()
    assert cli("encode", own, "--bundle", tiny, "--show-input", tmp_path, "--force").code == 0


def test_more_images_than_a_chunk_are_in_order(
    cli: Callable[..., Any], images: list[Path], tiny: Path
) -> None:
    given = [images[i % 5] for i in range(150)]
    given[70] = given[0].parent / "no.png"
    done = cli("encode", *given, "-b", tiny, "--json")
    assert done.code == 3
    records = lines(done.out)
    assert [r["path"] for r in records] == [str(p) for p in given if p.name != "no.png"]
    # An image's codes do not depend on its place.
    assert all(r["styles"] == records[i % 5]["styles"] for i, r in enumerate(records[:70]))


def test_table(cli: Callable[..., Any], images: list[Path], tiny: Path, continuous: Path) -> None:
    done = cli("encode", *images, "-b", tiny)
    assert (done.code, done.err) == (0, "")
    head, *rows = done.out.splitlines()
    code = ["confidence", "runner-up"]
    assert head.split() == ["image", "k1", *code, "k2", *code, "c1", "c2", "c3", "flag"]
    assert len(rows) == 5
    (record,) = lines(cli("encode", images[0], "-b", tiny, "--json").out)
    assert rows[0].startswith(str(images[0]))
    category, style = record["categories"][0], record["styles"][0]
    name = category["label"] or f"#{category['index']}"
    for word in (name, f"{100 * category['confidence']:.1f} %", f"{style['mean']:+.2f} ± {style['std']:.2f}"):
        assert word in rows[0]
    runner_up = sorted(category["probabilities"])[-2]
    assert f"{100 * runner_up:.1f} %" in rows[0]
    place = head.index("c1")
    assert all(row[place] in "+-" for row in rows)  # the columns line up
    assert cli("encode", images[0], "-b", continuous).out.splitlines()[0].split() == ["image", "c1", "c2"]


def posterior_of(*tables: list[float], styles: int = 0, ood: bool | None = None) -> Posterior:
    """Return the posterior of one image with these category probabilities."""
    probabilities = tuple(np.array([table], np.float32) for table in tables)
    return Posterior(
        probabilities,
        np.array([[table.argmax() for table in probabilities]]),
        np.array([[table.max() for table in probabilities]], np.float32),
        np.full((1, styles), -0.31, np.float32),
        np.full((1, styles), 0.12, np.float32),
        None if ood is None else np.array([0.7], np.float32),
        None if ood is None else np.array([ood]),
    )


@pytest.mark.parametrize("ood", [False, True])
def test_table_fits_a_terminal_and_is_complete_in_a_pipe(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], ood: bool
) -> None:
    metadata = load_bundle().metadata
    long = "/very/long/path" * 10 + "/digit.png"
    posterior = posterior_of([0.0] * 3 + [1.0] + [0.0] * 6, styles=2, ood=ood)
    assert long in "".join(CodesTable(metadata, [long]).lines([long], posterior))
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "80")
    head, row = CodesTable(metadata, [long]).lines([long], posterior)
    assert max(len(head), len(row)) <= 80
    assert row.startswith("…")
    assert "/digit.png  " in row
    assert head.endswith("  flag")
    assert row.endswith("  ood") == ood


def test_table_leaves_out_a_runner_up_of_zero_percent() -> None:
    metadata = load_bundle().metadata
    table = CodesTable(metadata, ["a"])
    rest = [0.0] * 7
    rows = list(table.lines(["a"], posterior_of([0.856, 0.143, 0.001, *rest], styles=2, ood=False)))
    rows += table.lines(["b"], posterior_of([0.9996, 0.0004, 0.0, *rest], styles=2, ood=False))
    first, second = (metadata.label("k1", index) for index in (0, 1))
    assert rows[1].split()[:6] == ["a", first, "85.6", "%", second, "14.3"]
    assert rows[2].split()[:5] == ["b", first, "100.0", "%", "-0.31"]
    assert len(rows) == 3  # one header


def test_table_merges_categories_with_one_label_and_flags_low_confidence() -> None:
    metadata = load_bundle().metadata
    labels = {"k1": ("cat", "cat", "dog", *[None] * 7)}
    table = CodesTable(dataclasses.replace(metadata, labels=labels), ["a"])
    merged = posterior_of([0.4, 0.35, 0.25, *[0.0] * 7], styles=2, ood=False)
    rows = list(table.lines(["a"], merged))
    assert rows[1].split()[1:7] == ["cat", "40.0", "%", "dog", "25.0", "%"]
    assert rows[1].endswith("  low confidence")
    assert metadata.by_label(merged.probabilities[0], "k1") is merged.probabilities[0]
    summed = dataclasses.replace(metadata, labels=labels).by_label(merged.probabilities[0], "k1")
    np.testing.assert_allclose(summed[0, :4], [0.75, 0.75, 0.25, 0.0])


def test_many_categorical_codes_leave_out_the_runner_up() -> None:
    spec = LatentSpec(noise=0, noise_prior="normal", categorical=(2, 2, 2), continuous=0)
    metadata = dataclasses.replace(load_bundle().metadata, latent=spec, labels={}, style_names={}, ood=None)
    head, row = CodesTable(metadata, ["a"]).lines(["a"], posterior_of(*[[0.25, 0.75]] * 3))
    assert head.split() == ["image", "k1", "confidence", "k2", "confidence", "k3", "confidence", "flag"]
    assert row.split() == ["a", *["#1", "75.0", "%"] * 3, "low", "confidence"]


def test_images_that_are_out_of_distribution_are_counted(cli: Callable[..., Any], tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (28, 28), np.uint8)
    Image.fromarray(noise).save(tmp_path / "noise.png")
    done = cli("encode", tmp_path / "noise.png", EXAMPLES / "one.png", "--raw")
    assert [line.endswith("  ood") for line in done.out.splitlines()] == [False, True, False]
    assert done.err == (
        "ood: 1 image is out of distribution (unlike the training images); do not rely on its codes\n"
    )
    assert (done.code, cli("encode", tmp_path / "noise.png", "--raw", "--json").err) == (0, "")


def test_escapes_of_names_and_labels(cli: Callable[..., Any], images: list[Path], tiny: Path) -> None:
    odd = images[0].with_name("[red]a\x1b[2J\tb.png")
    shutil.copy(images[0], odd)
    table = cli("encode", odd, "-b", tiny).out
    assert "[red]a\\x1b[2J\\tb.png" in table
    assert "\x1b" not in table
    (record,) = lines(cli("encode", odd, "-b", tiny, "--json").out)
    assert record["path"] == str(odd)


@pytest.mark.skipif(os.name == "nt", reason="names are text there")
def test_a_name_that_is_not_unicode(spawn: Callable[..., Any], images: list[Path], tiny: Path) -> None:
    odd = os.fsencode(images[0].parent) + b"/\xff\xfe.png"
    shutil.copy(images[0], odd)
    done = spawn("encode", os.fsdecode(odd), "-b", tiny, "--json")
    assert (done.code, done.err) == (0, "")
    assert os.fsencode(json.loads(done.out)["path"]) == odd
    assert "\\udcff\\udcfe.png" in spawn("encode", os.fsdecode(odd), "-b", tiny).out


def test_devices(cli: Callable[..., Any], images: list[Path], tiny: Path) -> None:
    done = cli("encode", images[0], "-b", tiny, "--device", "cuda", "--json")
    assert (done.code, done.out) == (1, "")
    built = "CUDAExecutionProvider" in onnxruntime.get_available_providers()
    reason = "no NVIDIA GPU is visible" if built else "the installed onnxruntime is built without CUDA"
    assert done.err.startswith(f"error: device cuda cannot be used: {reason}")
    assert len(done.err.splitlines()) == 1
    done = cli("encode", images[0], "-b", tiny, "--device", "auto", "--json")
    assert (done.code, done.err) == (0, "")


def test_a_fallback_is_reported_on_standard_error(
    cli: Callable[..., Any], images: list[Path], tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "infogan_tool.runtime.inference.session.gpu_present", lambda: True
    )  # one that does not work
    done = cli("encode", images[0], "-b", tiny, "--json")
    assert done.code == 0
    assert done.err.startswith("there is a GPU but it is not used: ")
    assert len(done.err.splitlines()) == len(lines(done.out)) == 1
