"""No graph may pull weights from another file; the scan reads the bytes before onnxruntime does."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import pytest
from onnx_writer import block, model, node, tensor, tensor_attribute, value_info

from infogan_tool.runtime.errors import BundleError
from infogan_tool.runtime.graph_scan import refuse_external_data
from infogan_tool.runtime.session import GraphSession

if TYPE_CHECKING:
    from pathlib import Path

ONES = struct.pack("<2f", 1, 1)
X, Y = value_info("x", ("batch", 2)), value_info("y", ("batch", 2))
ADD = node("Add", ["x", "w"], ["y"])


def constant(value: bytes) -> bytes:
    return node("Constant", [], ["w"], [tensor_attribute("value", value)])


def test_own_weights_pass_and_run() -> None:
    content = model([ADD], [X], [Y], initializers=[tensor("w", [2], ONES)])
    refuse_external_data(content, "graph")
    assert GraphSession(content, device="cpu").outputs["y"].shape == ("batch", 2)


@pytest.mark.parametrize("location", ["w.bin", "/etc/passwd", "../w.bin"])
@pytest.mark.parametrize("place", ["initializer", "constant"])
def test_external_weights_are_refused(
    location: str, place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The file is there and large enough, so that only the scan stands in the way.
    (tmp_path / "here").mkdir()
    for folder in (tmp_path, tmp_path / "here"):
        (folder / "w.bin").write_bytes(ONES)
    monkeypatch.chdir(tmp_path / "here")
    outside = tensor("w", [2], b"", external=location)
    if place == "initializer":
        content = model([ADD], [X], [Y], initializers=[outside])
    else:
        content = model([constant(outside), ADD], [X], [Y])
    with pytest.raises(BundleError, match=r"g\.onnx keeps weights in another file"):
        GraphSession(content, device="cpu", name="g.onnx")


def test_data_location_alone_is_refused() -> None:
    marked = tensor("w", [2], ONES) + b"\x70\x01"  # field 14, varint 1
    with pytest.raises(BundleError, match="another file"):
        refuse_external_data(model([ADD], [X], [Y], initializers=[marked]), "graph")
    harmless = tensor("w", [2], ONES) + b"\x70\x00"
    refuse_external_data(model([ADD], [X], [Y], initializers=[harmless]), "graph")


def test_a_second_graph_field_is_scanned_too() -> None:
    # Protobuf merges a message that comes twice.
    hidden = block(7, block(5, tensor("w", [2], b"", external="w.bin")))
    with pytest.raises(BundleError, match="another file"):
        refuse_external_data(model([ADD], [X], [Y]) + hidden, "graph")


@pytest.mark.parametrize(
    "content",
    [
        b"\x3a\xff",  # a length that is cut short
        b"\x3a\x10abc",  # a length past the end
        b"\x0d\x00",  # a fixed32 past the end
        b"\x0b",  # a group
        b"\xff" * 12,  # a varint without end
    ],
)
def test_broken_protobuf_is_refused(content: bytes) -> None:
    with pytest.raises(BundleError, match="is not an ONNX graph"):
        refuse_external_data(content, "graph")


def test_deep_nesting_is_refused_without_recursion_error() -> None:
    graph = b""
    for _ in range(5000):
        graph = block(1, block(5, block(6, graph)))
    with pytest.raises(BundleError, match="nested too deep"):
        refuse_external_data(block(7, graph), "graph")


def test_every_cut_of_a_real_graph_is_an_answer(tiny: Path) -> None:
    content = (tiny / "generator.onnx").read_bytes()
    refuse_external_data(content, "graph")
    for end in range(0, len(content), 97):
        try:
            refuse_external_data(content[:end], "graph")
        except BundleError:
            continue  # anything else, or a crash, is a failure
