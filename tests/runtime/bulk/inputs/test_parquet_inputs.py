"""Images in Parquet files; skipped without pyarrow."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from infogan_tool.runtime import load_bundle
from infogan_tool.runtime.bulk.decode.decoding import decode
from infogan_tool.runtime.bulk.inputs.sources import Inputs

if TYPE_CHECKING:
    from pathlib import Path

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

SPEC = load_bundle().image
IMAGES = np.random.default_rng(0).integers(0, 256, (300, 28, 28), np.uint8)


def png(image: np.ndarray) -> bytes:
    content = io.BytesIO()
    Image.fromarray(image).save(content, "PNG")
    return content.getvalue()


BYTES = [png(image) for image in IMAGES]


def write(path: Path, **columns: object) -> Path:
    pq.write_table(pa.table(columns), path, row_group_size=100)
    return path


def read(path: Path, column: str | None = None) -> tuple[Any, list[str]]:
    images, errors = [], []
    for chunk in Inputs([str(path)], SPEC, column=column).chunks():
        decoded = decode(chunk.names, chunk.sources(), SPEC, raw=True)
        images += list(decoded.images)
        errors += decoded.failures.values()
    return np.array(images), errors


def test_bytes_and_structs_of_bytes(tmp_path: Path) -> None:
    images, errors = read(write(tmp_path / "a.parquet", input_image=BYTES, label=list(range(300))))
    assert errors == []
    assert np.array_equal(images[..., 0], IMAGES)
    structs = [{"bytes": content, "path": f"{i}.png"} for i, content in enumerate(BYTES)]
    path = write(tmp_path / "b.parquet", image=structs, thumbnail=BYTES)
    assert np.array_equal(read(path)[0][..., 0], IMAGES)
    assert Inputs([str(path)], SPEC).count() == 300
    assert next(Inputs([str(path)], SPEC).chunks()).names[:2] == [f"{path}#0", f"{path}#1"]


def test_a_row_without_an_image_is_one_failed_image(tmp_path: Path) -> None:
    contents = [BYTES[0], None, b"no image", BYTES[3]]
    path = write(
        tmp_path / "a.parquet", image=[None if c is None else {"bytes": c, "path": None} for c in contents]
    )
    images, errors = read(path)
    assert len(images) == 2
    assert errors[0] == f"{path}#1: no image bytes in this row"
    assert errors[1].startswith(f"{path}#2: not an image of a known format")
    path = write(
        tmp_path / "b.parquet",
        image=pa.array(
            [{"bytes": None, "path": "x"}], pa.struct({"bytes": pa.binary(), "path": pa.string()})
        ),
    )
    assert read(path)[1] == [f"{path}#0: no image bytes in this row"]


def test_the_column_is_detected_or_named(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", left=BYTES[:3], right=BYTES[3:6], label=[1, 2, 3])
    assert read(path)[1] == [f"{path}: several columns have bytes (left, right): choose one with --column"]
    assert np.array_equal(read(path, "right")[0][..., 0], IMAGES[3:6])
    assert read(path, "label")[1] == [f"{path}: column label has no image bytes (with bytes: left, right)"]
    assert read(path, "none")[1] == [f"{path}: column none does not exist (with bytes: left, right)"]
    path = write(tmp_path / "b.parquet", label=[1, 2, 3])
    assert read(path)[1] == [f"{path}: no column has image bytes (columns: label)"]


def test_damaged_files(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", image=BYTES)
    content = path.read_bytes()
    for cut in (content[:100], content[:-20], b"PAR1" + bytes(50) + b"PAR1"):
        path.write_bytes(cut)
        images, (error,) = read(path)
        assert len(images) == 0
        assert error.startswith(f"{path}: ")
        assert "\n" not in error


def test_large_images_are_cut_into_chunks_by_their_bytes(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", image=[bytes(5 << 20)] * 9)
    assert [len(chunk.names) for chunk in Inputs([str(path)], SPEC).chunks()] == [4, 4, 1]
