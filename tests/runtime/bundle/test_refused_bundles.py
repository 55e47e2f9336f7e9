"""Bundles that are refused: before a graph is opened, and when it is."""

from __future__ import annotations

import hashlib
import json
import shutil
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx_writer import INT64, int_attribute, model, node, tensor, value_info
from spoilt_bundles import edit

from infogan_tool.runtime import load_bundle
from infogan_tool.runtime.bundle.metadata import PROP_BUNDLE_ID, PROP_SCHEMA_VERSION
from infogan_tool.runtime.errors import BundleError

TINY = Path(__file__).parents[2] / "fixtures" / "tiny"
CONTINUOUS = Path(__file__).parents[2] / "fixtures" / "continuous"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return Path(shutil.copytree(TINY, tmp_path / "bundle"))


# --- what is refused before a graph is opened --------------------------------------------------------------


def refusal(folder: Path | str) -> str:
    with pytest.raises(BundleError) as caught:
        load_bundle(folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_missing_parts(copy: Path, tmp_path: Path) -> None:
    assert refusal(tmp_path / "no").startswith(f"{tmp_path / 'no'} does not exist: a bundle is a folder")
    assert refusal(copy / "metadata.json").startswith(f"{copy / 'metadata.json'} is not a folder")
    assert refusal(tmp_path).startswith(f"{tmp_path} has no metadata.json")
    (copy / "q_encoder.onnx").unlink()
    assert refusal(copy) == f"{copy} has no q_encoder.onnx: export again"
    for name in ("q_encoder.onnx", "metadata.json"):
        (copy / name).unlink(missing_ok=True)
        (copy / name).symlink_to(name)
        assert refusal(copy).startswith(f"{copy / name} cannot be read: ")


def test_an_unknown_schema_names_the_tool_that_wrote_it(copy: Path) -> None:
    edit(copy, lambda data: data.update(schema_version=99, tool_version="7.1"))
    assert "bundle schema 99 is not supported (this version reads 2)" in refusal(copy)
    assert "7.1" in refusal(copy)


@pytest.mark.parametrize("file", ["generator.onnx", "q_encoder.onnx"])
@pytest.mark.parametrize("damage", ["flip", "cut", "grow", "empty"])
def test_a_graph_that_is_not_the_one_described(copy: Path, file: str, damage: str) -> None:
    content = bytearray((copy / file).read_bytes())
    if damage == "flip":
        content[len(content) // 2] ^= 1
    new = {"flip": content, "cut": content[:-1], "grow": content + b"\x00", "empty": b""}[damage]
    (copy / file).write_bytes(new)
    assert refusal(copy) == (
        f"{copy / file} is not the file that metadata.json describes: it is damaged, or the files of two "
        "bundles are mixed; export again"
    )


def test_a_mixed_pair_is_refused(copy: Path) -> None:
    shutil.copy(CONTINUOUS / "q_encoder.onnx", copy / "q_encoder.onnx")
    assert "the files of two bundles are mixed" in refusal(copy)


def test_a_graph_that_is_no_file(copy: Path) -> None:
    (copy / "generator.onnx").unlink()
    (copy / "generator.onnx").mkdir()
    assert "is not the file that metadata.json describes" in refusal(copy)


def test_absurd_sizes(copy: Path) -> None:
    edit(copy, lambda data: data["graphs"]["generator.onnx"].update(bytes=2**31))
    assert "bytes in the metadata, more than" in refusal(copy)
    (copy / "metadata.json").write_text(" " * 1_000_001)
    assert refusal(copy) == f"{copy / 'metadata.json'} is larger than 1,000,000 bytes"


# --- what is refused when a graph is opened ----------------------------------------------------------------


def replace_graph(folder: Path, file: str, content: bytes) -> None:
    """Replace a graph, and its digest in the metadata."""
    (folder / file).write_bytes(content)
    digest = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    edit(folder, lambda data: data["graphs"].update({file: digest}))


def fake_generator(
    folder: Path,
    *,
    images: tuple[int | str, ...] = ("batch", 3, 16, 16),
    noise: tuple[int | str, ...] = ("batch", 5),
    name: str = "images",
    props: dict[str, str] | None = None,
    value: float = 0.5,
) -> None:
    """Write a generator of one grey value that keeps the contract, except for the arguments."""
    bundle_id = json.loads((folder / "metadata.json").read_text())["bundle_id"]
    weights = [
        tensor("grey", [1, 1, 1, 1], struct.pack("<f", value)),
        tensor("zero", [5, 768], bytes(4 * 5 * 768)),
        tensor("first", [1], struct.pack("<q", 0), kind=INT64),
        tensor("chw", [3], struct.pack("<3q", 3, 16, 16), kind=INT64),
    ]
    nodes = [
        node("MatMul", ["noise", "zero"], ["flat"]),
        node("Shape", ["styles"], ["sizes"]),
        node("Gather", ["sizes", "first"], ["n"]),
        node("Concat", ["n", "chw"], ["nchw"], [int_attribute("axis", 0)]),
        node("Reshape", ["flat", "nchw"], ["black"]),
        node("Add", ["black", "grey"], [name]),
    ]
    inputs = [
        value_info("noise", noise),
        value_info("categories", ("batch", 2), INT64),
        value_info("styles", ("batch", 3)),
    ]
    content = model(
        nodes,
        inputs,
        [value_info(name, images)],
        initializers=weights,
        props={PROP_BUNDLE_ID: bundle_id, PROP_SCHEMA_VERSION: "2"} | (props or {}),
    )
    replace_graph(folder, "generator.onnx", content)


def generate(folder: Path) -> np.ndarray:
    bundle = load_bundle(folder, device="cpu")
    return bundle.generate(bundle.sample(3))


def test_the_fake_generator_keeps_the_contract(copy: Path) -> None:
    fake_generator(copy)
    assert (generate(copy) == 0.5).all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"props": {PROP_BUNDLE_ID: "other"}},
            "is of bundle other and metadata.json of .*are mixed; export again",
        ),
        ({"props": {PROP_SCHEMA_VERSION: "3"}}, "has schema 3 and metadata.json 2"),
        ({"images": (1, 3, 16, 16)}, r"output images is float32 .*has float32 \(N, 3, 16, 16\), any N"),
        (
            {"images": ("batch", 3, 16, 17)},
            r"output images is float32 .*has float32 \(N, 3, 16, 16\), any N",
        ),
        ({"noise": ("batch", "width")}, r"input noise is float32 .*has float32 \(N, 5\), any N"),
        ({"name": "pixels"}, "outputs are pixels; the contract has images"),
    ],
)
def test_a_graph_that_breaks_the_contract(copy: Path, changes: dict[str, Any], message: str) -> None:
    fake_generator(copy, **changes)
    with pytest.raises(BundleError, match=message) as caught:
        generate(copy)
    assert str(caught.value).startswith(str(copy / "generator.onnx"))
    assert "\n" not in str(caught.value)
    # The other graph is not to blame.
    assert load_bundle(copy, device="cpu").encode(np.zeros((1, 16, 16, 3), np.uint8)).categories.shape == (
        1,
        2,
    )


def test_a_graph_with_other_types_is_refused(copy: Path) -> None:
    content = model(
        [node("Cast", ["images"], ["probabilities"], [int_attribute("to", 1)])],
        [value_info("images", ("batch", 3, 16, 16), INT64)],
        [value_info("probabilities", ("batch", 3, 16, 16))],
        props={
            PROP_BUNDLE_ID: json.loads((copy / "metadata.json").read_text())["bundle_id"],
            PROP_SCHEMA_VERSION: "2",
        },
    )
    replace_graph(copy, "q_encoder.onnx", content)
    with pytest.raises(
        BundleError, match=r"input images is int64 .*the contract has float32 \(N, 3, 16, 16\)"
    ):
        load_bundle(copy, device="cpu").encode(np.zeros((1, 16, 16, 3), np.uint8))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_not_finite_are_reported(copy: Path, value: float) -> None:
    fake_generator(copy, value=value)
    with pytest.raises(BundleError, match="output images is not finite; its weights are damaged"):
        generate(copy)


def test_swapped_graphs_are_refused(copy: Path) -> None:
    for file, other in (("generator.onnx", "q_encoder.onnx"), ("q_encoder.onnx", "generator.onnx")):
        replace_graph(copy, file, (TINY / other).read_bytes())
    with pytest.raises(BundleError, match="the contract has"):
        generate(copy)
