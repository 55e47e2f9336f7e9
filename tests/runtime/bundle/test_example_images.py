"""Example images of a bundle: a round trip, and files that are refused."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from infogan_tool.runtime import BundleError, load_bundle
from infogan_tool.runtime.bundle.example_images import max_examples, write_examples
from infogan_tool.runtime.bundle.metadata import EXAMPLES_FILE, METADATA_FILE

if TYPE_CHECKING:
    from pathlib import Path


def png(width: int, height: int, mode: str = "RGB", kind: str = "PNG") -> bytes:
    content = io.BytesIO()
    Image.new(mode, (width, height)).save(content, kind)
    return content.getvalue()


def declare(bundle: Path, content: bytes, **changes: object) -> None:
    """Write a file of examples and its entry in the metadata, with changed values."""
    (bundle / EXAMPLES_FILE).write_bytes(content)
    entry = {"count": 2, "sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)} | changes
    data = json.loads((bundle / METADATA_FILE).read_text("utf-8")) | {"examples": entry}
    (bundle / METADATA_FILE).write_text(json.dumps(data), "utf-8")


@pytest.fixture
def bundle(tiny: Path, tmp_path: Path) -> Path:
    return shutil.copytree(tiny, tmp_path / "bundle")


@pytest.mark.parametrize("name", ["tiny", "continuous"])  # colour and grey
def test_round_trip(request: pytest.FixtureRequest, name: str, tmp_path: Path) -> None:
    folder = shutil.copytree(request.getfixturevalue(name), tmp_path / "bundle")
    spec = load_bundle(folder).image
    assert load_bundle(folder).examples().shape == (0, spec.size, spec.size, spec.channels)
    shape = (3, spec.size, spec.size, spec.channels)
    images = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    entry = write_examples(folder, images)
    declare(folder, (folder / EXAMPLES_FILE).read_bytes(), count=entry.count)
    opened = load_bundle(folder)
    assert opened.metadata.examples == entry
    np.testing.assert_array_equal(opened.examples(), images)


@pytest.mark.parametrize(
    ("content", "changes"),
    [
        (png(32, 16), {"sha256": "0" * 64}),
        (png(32, 16), {"bytes": 10}),
        (png(48, 16), {}),
        (png(32, 17), {}),
        (png(32, 16, "L"), {}),
        (png(32, 16, "RGBA"), {}),
        (png(32, 16, kind="JPEG"), {}),
        (png(32, 16)[:-30], {}),
        (png(32, 16)[:20], {}),
        (b"", {"bytes": 1}),
    ],
)
def test_other_files_are_refused(bundle: Path, content: bytes, changes: dict[str, object]) -> None:
    declare(bundle, content, **changes)
    with pytest.raises(BundleError, match=EXAMPLES_FILE) as error:
        load_bundle(bundle).examples()
    assert str(error.value).isprintable()
    (bundle / EXAMPLES_FILE).unlink()
    with pytest.raises(BundleError, match=EXAMPLES_FILE):
        load_bundle(bundle).examples()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"count": 0}, "examples.count"),
        ({"count": 101}, "examples.count"),
        ({"bytes": 2**40}, "examples.bytes"),
        ({"sha256": "\x1b[2J"}, "examples.sha256"),
        ({"sha256": None}, "examples.sha256"),
    ],
)
def test_entries_out_of_range_are_refused(bundle: Path, changes: dict[str, object], message: str) -> None:
    declare(bundle, png(32, 16), **changes)
    with pytest.raises(BundleError, match=message):
        load_bundle(bundle)


def test_fewer_examples_where_images_are_large(bundle: Path) -> None:
    spec = load_bundle(bundle).image
    assert max_examples(spec) == 100
