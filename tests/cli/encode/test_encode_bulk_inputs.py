"""Bulk encoding: every kind of input, unreadable images among good ones, and hostile file names."""

from __future__ import annotations

import csv
import gzip
import io
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from bulk_helpers import COUNT, EXAMPLES, codes, lines, piped, pixels
from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture(scope="module")
def printed(folder: Path) -> list[dict[str, Any]]:
    """Return the records of the folder's images."""
    return lines(piped("encode", folder, "--json").stdout.decode())


@pytest.fixture(scope="module")
def expected(folder: Path) -> list[dict[str, Any]]:
    """Return the records of the folder's first images, encoded in one process."""
    names = sorted(str(path) for path in folder.rglob("*.png"))[:60]
    return lines(piped("encode", *names, "--json").stdout.decode())


def test_a_folder_gives_the_codes_of_its_images(
    folder: Path, printed: list[dict[str, Any]], expected: list[dict[str, Any]]
) -> None:
    assert [r["path"] for r in printed] == sorted(str(p) for p in folder.rglob("*.png"))
    for record, single in zip(printed, expected, strict=False):
        # Few images are encoded by the graph as it is, many by the graph that onnxruntime has optimised.
        found, wanted = record["categories"][0], single["categories"][0]
        assert found["index"] == wanted["index"]
        assert found["probabilities"] == pytest.approx(wanted["probabilities"], abs=1e-5)
        assert [s["mean"] for s in record["styles"]] == pytest.approx(
            [s["mean"] for s in single["styles"]], abs=1e-5
        )


@pytest.mark.parametrize("kind", ["npy", "npz", "idx", "idx.gz", "pattern", "list", "nul list"])
def test_every_kind_of_input_gives_the_same_codes(
    folder: Path, digits: np.ndarray, printed: list[dict[str, Any]], tmp_path: Path, kind: str
) -> None:
    path, stdin = tmp_path / "digits", None
    if kind == "npy":
        path = path.with_suffix(".npy")
        np.save(path, digits)
    elif kind == "npz":
        path = path.with_suffix(".npz")
        np.savez_compressed(path, x=digits[:, None], y=np.arange(COUNT))
    elif kind.startswith("idx"):
        content = (
            bytes((0, 0, 8, 3)) + b"".join(n.to_bytes(4, "big") for n in digits.shape) + digits.tobytes()
        )
        path.write_bytes(gzip.compress(content, 1) if kind == "idx.gz" else content)
    elif kind == "pattern":
        path = folder / "**" / "*.png"
    else:
        end = b"\0" if kind == "nul list" else b"\n"
        stdin = end.join(os.fsencode(p) for p in sorted(folder.rglob("*.png")))
        path = Path("-")
    done = piped("encode", path, "--json", stdin=stdin)
    assert (done.returncode, done.stderr.decode()) == (0, "")
    found = lines(done.stdout.decode())
    assert codes(found) == codes(printed)
    if kind in ("npy", "idx", "idx.gz"):
        assert [r["path"] for r in found] == [f"{path}#{i}" for i in range(COUNT)]


def test_an_image_on_standard_input() -> None:
    content = (EXAMPLES / "three.png").read_bytes()
    (record,) = lines(piped("encode", "-", "--json", stdin=content).stdout.decode())
    (named,) = lines(piped("encode", EXAMPLES / "three.png", "--json").stdout.decode())
    assert record["path"] == "-"
    assert codes([record]) == codes([named])


def test_empty_standard_input_is_a_failure() -> None:
    done = piped("encode", "-", "--json", stdin=b"")
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr == b"error: the inputs contain no image\n"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_unreadable_images_among_many(cli: Callable[..., Any], folder: Path, tmp_path: Path) -> None:
    mixed = shutil.copytree(folder, tmp_path / "mixed")
    (mixed / "0" / "0007.png").write_bytes(b"no image")
    (mixed / "3" / "0300.png").unlink()
    (mixed / "3" / "0300.png").symlink_to("gone")
    os.mkfifo(mixed / "4" / "pipe.png")
    out, errors = tmp_path / "codes.jsonl", tmp_path / "errors.jsonl"
    done = cli("encode", mixed, "--out", out, "--errors", errors)
    assert done.code == 3
    messages = done.err.splitlines()
    assert messages[0].startswith(f"error: {mixed}/0/0007.png: not an image")
    assert messages[1] == f"error: {mixed}/3/0300.png: No such file or directory"
    assert messages[2] == f"error: {mixed}/4/pipe.png is not a regular file"
    assert messages[3:] == [f"wrote the codes of 598 images to {out}", "3 of 601 images failed"]
    listed = lines(errors.read_text())
    assert [f"error: {line['error']}" for line in listed] == messages[:3]
    assert [line["path"] for line in listed] == [
        f"{mixed}/{n}" for n in ("0/0007.png", "3/0300.png", "4/pipe.png")
    ]
    good = set(map(str, mixed.rglob("*.png"))) - {line["path"] for line in listed}
    assert [line["path"] for line in lines(out.read_text())] == sorted(good)


def test_hostile_file_names(cli: Callable[..., Any], folder: Path, tmp_path: Path) -> None:
    hostile = tmp_path / "h"
    hostile.mkdir()
    source = next(folder.rglob("*.png"))
    names = [
        b"a\nb.png",
        b"\x1b]0;own\x07.png",
        b"\xff\xfe.png",
        "\u202egnp.png".encode(),
        b"%s{}.png",
        b"=1.png",
    ]
    for number, name in enumerate(names):
        shutil.copy(source, os.fsencode(hostile) + b"/" + name)
        (hostile / f"bad\x1b[{number}.png").write_bytes(b"")
    expected = {os.fsencode(hostile) + b"/" + name for name in names}
    for extra in (0, 100):  # in this process, and by the pipeline
        for number in range(extra):
            shutil.copy(source, hostile / f"z{number:03d}.png")
        table = cli("encode", hostile)
        assert table.code == 3
        assert all(c.isprintable() or c == "\n" for c in table.out + table.err)
        assert len(table.out.splitlines()) == 1 + len(names) + extra
        found = {os.fsencode(r["path"]) for r in lines(cli("encode", hostile, "--json").out)}
        assert {name for name in found if b"/z" not in name} == expected
        rows = list(csv.reader(io.StringIO(cli("encode", hostile, "--format", "csv").out)))
        assert len(rows) == 1 + len(names) + extra
        assert cli("encode", hostile, "--out", tmp_path / f"{extra}.csv").code == 3
        assert (tmp_path / f"{extra}.csv").read_bytes().decode().count("\\udcff\\udcfe.png") == 1


def test_raw_does_not_change_the_image(cli: Callable[..., Any], tmp_path: Path) -> None:
    dark = 255 - pixels(EXAMPLES / "three.png")
    Image.fromarray(dark).save(tmp_path / "dark.png")
    assert cli("encode", tmp_path / "dark.png", "--raw", "--show-input", tmp_path / "raw.png").code == 0
    assert np.array_equal(pixels(tmp_path / "raw.png"), dark)
