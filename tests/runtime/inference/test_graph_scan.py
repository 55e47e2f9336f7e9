"""The scan of untrusted graphs."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from onnx_writer import block, model, node, number, tensor, tensor_attribute, value_info

from infogan_tool.runtime.bundle.bundle import PRETRAINED_BUNDLE
from infogan_tool.runtime.errors import BundleError
from infogan_tool.runtime.inference.graph_scan import scan_graph
from infogan_tool.runtime.inference.session import GraphSession

FIXTURES = Path(__file__).parents[2] / "fixtures"
ONES = struct.pack("<2f", 1, 1)
X, Y = value_info("x", ("batch", 2)), value_info("y", ("batch", 2))
ADD = node("Add", ["x", "w"], ["y"])


def constant(value: bytes) -> bytes:
    return node("Constant", [], ["w"], [tensor_attribute("value", value)])


def test_own_weights_pass_and_run() -> None:
    content = model([ADD], [X], [Y], initializers=[tensor("w", [2], ONES)])
    scan_graph(content, "graph")
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
        scan_graph(model([ADD], [X], [Y], initializers=[marked]), "graph")
    harmless = tensor("w", [2], ONES) + b"\x70\x00"
    scan_graph(model([ADD], [X], [Y], initializers=[harmless]), "graph")


def test_a_second_graph_field_is_scanned_too() -> None:
    # Protobuf merges a message that comes twice.
    hidden = block(7, block(5, tensor("w", [2], b"", external="w.bin")))
    with pytest.raises(BundleError, match="another file"):
        scan_graph(model([ADD], [X], [Y]) + hidden, "graph")


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
        scan_graph(content, "graph")


@pytest.mark.parametrize(
    ("part", "message"),
    [
        (node("If", ["x"], ["y"], [block(1, "then_branch") + block(6, b"")]), "a graph within a graph"),
        (node("Loop", ["x"], ["y"], [block(1, "body") + block(11, b"")]), "a graph within a graph"),
        (node("Add", ["x", "x"], ["y"]) + block(7, "com.microsoft"), "operators of another domain"),
        (node("Add", ["x", "x"], ["y"]) + block(7, "evil.example"), "operators of another domain"),
    ],
)
def test_unneeded_parts_are_refused(part: bytes, message: str) -> None:
    with pytest.raises(BundleError, match=message):
        scan_graph(model([part], [X], [Y]), "graph")


def test_other_domains_functions_and_training_are_refused() -> None:
    good = model([ADD], [X], [Y], initializers=[tensor("w", [2], ONES)])
    for more, message in (
        (block(8, block(1, "evil.example") + number(2, 1)), "operators of another domain"),
        (block(25, block(1, "f")), "defines functions"),
        (block(20, b""), "holds training steps"),
    ):
        with pytest.raises(BundleError, match=message):
            scan_graph(good + more, "graph")


@pytest.mark.parametrize("dims", [[2**20], [2**33], [2**32, 2**32], [2**63], [2**64 - 1]])
def test_a_tensor_larger_than_the_file(dims: list[int]) -> None:
    huge = tensor("w", dims, ONES)
    with pytest.raises(BundleError, match="has more elements than the file can hold"):
        scan_graph(model([ADD], [X], [Y], initializers=[huge]), "graph")


@pytest.mark.parametrize("size", [b"\x01", b"\x00", b"\x7f"])
def test_a_tensor_of_very_many_axes_is_refused_soon(size: bytes) -> None:
    packed = block(1, size * 4_000_000) + tensor("w", [], bytes(32))
    with pytest.raises(BundleError, match="has more elements than the file can hold"):
        scan_graph(model([ADD], [X], [Y], initializers=[packed]), "graph")


def test_sizes_may_be_packed_as_newer_writers_do() -> None:
    packed = block(1, b"\x02\x04") + tensor("w", [], bytes(32))
    scan_graph(model([ADD], [X], [Y], initializers=[packed]), "graph")
    huge = block(1, b"\x80\x80\x80\x08\x04") + tensor("w", [], bytes(32))  # 2**24 and 4
    with pytest.raises(BundleError, match="has more elements than the file can hold"):
        scan_graph(model([ADD], [X], [Y], initializers=[huge]), "graph")


def test_a_graph_of_very_many_parts_is_refused_soon() -> None:
    nodes = block(7, block(1, b"") * 300_000)
    in_graphs = block(7, block(1, b"") * 1_000) * 300
    for content in (nodes, in_graphs, b"\x08\x01" * 300_000):
        with pytest.raises(BundleError, match="too many parts"):
            scan_graph(content, "graph")


@pytest.mark.parametrize("file", ["generator.onnx", "q_encoder.onnx"])
@pytest.mark.parametrize("bundle", ["tiny", "continuous", "pretrained"])
def test_the_interface_equals_that_of_onnxruntime(bundle: str, file: str) -> None:
    folder = PRETRAINED_BUNDLE if bundle == "pretrained" else FIXTURES / bundle
    content = (folder / file).read_bytes()
    found, opened = scan_graph(content, file), GraphSession(content, device="cpu")
    assert found.inputs == opened.inputs
    assert found.outputs == opened.outputs
    assert found.metadata == opened.metadata


def test_every_cut_of_a_real_graph_is_an_answer(tiny: Path) -> None:
    content = (tiny / "generator.onnx").read_bytes()
    scan_graph(content, "graph")
    for end in range(0, len(content), 97):
        try:
            scan_graph(content[:end], "graph")
        except BundleError:
            continue  # anything else, or a crash, is a failure
