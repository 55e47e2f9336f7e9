"""The first two convolutions of an encoder as several that onnxruntime runs faster, exactly; and back.

Two convolutions in a row that halve the map (kernel 4, stride 2, padding 1) are written phase by phase. With
p the phase of a row, row 2 i + p of the first map comes from rows 4 i + 2 p - 1 to 4 i + 2 p + 2 of the
image, so that a convolution of stride 4 gives the map of one phase. Row i of the second map comes from rows
i and i + 1 of phase 0, and i - 1 and i of phase 1: convolutions of 2 x 2 with stride 1, whose weights stay in
the first cache, added up. The mirror of it in a generator is ``packed_deconv``.

Done on the ONNX graph, so that it can be undone there: in 8-bit integers one large convolution is better.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import onnx
from onnx import helper
from onnx.numpy_helper import from_array, to_array

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

__all__ = ["merge_phases", "split_phases"]

_PHASES: Final = ((0, 0), (0, 1), (1, 0), (1, 1))
_TAPS: Final = ((1, 3), (0, 2))
"""For each phase the rows of the second kernel that meet its two rows, in the order of the rows."""
_KERNEL: Final = 4
_ACTIVATIONS: Final = ("Relu", "LeakyRelu")
_MARK: Final = "@packed"
_ROLES: Final = {f".{kind}{p}{q}" for kind in ("a", "act", "b") for p, q in _PHASES} | {
    f".sum{p}{q}" for p, q in _PHASES[1:]
}
"""Ends of the names of all nodes that a pair is rewritten to."""
_NAME: Final = re.compile(r"(?P<first>.+)\+(?P<second>.+)@packed(?P<role>\.\w+)")


@dataclass(frozen=True, slots=True)
class _Pair:
    first: onnx.NodeProto
    activation: onnx.NodeProto
    second: onnx.NodeProto


def split_phases(model: onnx.ModelProto) -> None:
    """Rewrite each such pair that reads an input of the graph; others stay as they are."""
    weights = {tensor.name: to_array(tensor) for tensor in model.graph.initializer}
    for pair in list(_pairs(model.graph, weights)):
        nodes, tensors = _packed(pair, weights)
        _replace(model.graph, [pair.first, pair.activation, pair.second], nodes, tensors)


def merge_phases(model: onnx.ModelProto) -> None:
    """Write what :func:`split_phases` has rewritten as the two convolutions that it was."""
    weights = {tensor.name: to_array(tensor) for tensor in model.graph.initializer}
    groups: dict[tuple[str, str], dict[str, onnx.NodeProto]] = {}
    for node in model.graph.node:
        found = _NAME.fullmatch(node.name)
        if found:
            groups.setdefault((found["first"], found["second"]), {})[found["role"]] = node
    for names, group in groups.items():
        if group.keys() != _ROLES:
            continue
        nodes, tensors = _unpacked(names, group, weights)
        _replace(model.graph, list(group.values()), nodes, tensors)


def _pairs(graph: onnx.GraphProto, weights: dict[str, npt.NDArray[Any]]) -> Iterator[_Pair]:
    readers: dict[str, list[onnx.NodeProto]] = {}
    for node in graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    shapes = {tensor.name: [d.dim_value for d in tensor.type.tensor_type.shape.dim] for tensor in graph.input}
    for first in graph.node:
        shape = shapes.get(first.input[0], []) if first.input else []
        if not (shape and _halves(first, weights) and not any(side % _KERNEL for side in shape[2:])):
            continue
        (activation, *more) = readers.get(first.output[0], [None])
        if more or activation is None or activation.op_type not in _ACTIVATIONS:
            continue
        (second, *more) = readers.get(activation.output[0], [None])
        if not more and second is not None and _halves(second, weights):
            yield _Pair(first, activation, second)


def _halves(node: onnx.NodeProto, weights: dict[str, npt.NDArray[Any]]) -> bool:
    if (
        node.op_type != "Conv"
        or not node.name
        or len(node.input) != 3  # noqa: PLR2004 - with a bias
        or any(n not in weights for n in node.input[1:])
    ):
        return False
    given = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    return (
        weights[node.input[1]].shape[2:] == (_KERNEL, _KERNEL)
        and given.get("strides") == [2, 2]
        and given.get("pads") == [1, 1, 1, 1]
        and given.get("dilations", [1, 1]) == [1, 1]
        and given.get("group", 1) == 1
    )


def _packed(
    pair: _Pair, weights: dict[str, npt.NDArray[Any]]
) -> tuple[list[onnx.NodeProto], dict[str, npt.NDArray[Any]]]:
    first, second = weights[pair.first.input[1]], weights[pair.second.input[1]]
    mark = f"{pair.first.name}+{pair.second.name}{_MARK}"
    nodes: list[onnx.NodeProto] = []
    tensors: dict[str, npt.NDArray[Any]] = {}
    total = ""
    for p, q in _PHASES:
        role = f"{mark}.{{}}{p}{q}".format
        # The rows of phase 1 begin one below the image's first, which is no padding but a row of zeros.
        kernel = np.pad(first, ((0, 0), (0, 0), (p, 0), (q, 0)))
        tensors[role("weights_a")] = kernel
        tensors[role("weights_b")] = np.ascontiguousarray(second[:, :, _TAPS[p]][:, :, :, _TAPS[q]])
        biases = (pair.first.input[2], "" if total else pair.second.input[2])
        nodes.append(
            _conv(
                pair.first.input[0],
                role("weights_a"),
                biases[0],
                role("a"),
                pads=[1 - p, 1 - q, p, q],
                stride=4,
            )
        )
        activation = onnx.NodeProto()
        activation.CopyFrom(pair.activation)
        activation.name, activation.input[0], activation.output[0] = role("act"), role("a"), role("act")
        last = (p, q) == _PHASES[-1]
        nodes += [
            activation,
            _conv(role("act"), role("weights_b"), biases[1], role("b"), pads=[p, q, 1 - p, 1 - q], stride=1),
        ]
        if total:
            output = pair.second.output[0] if last else role("sum")
            nodes.append(helper.make_node("Add", [total, role("b")], [output], name=role("sum")))
        total = role("sum") if total else role("b")
    return nodes, tensors


def _unpacked(
    names: tuple[str, str], group: dict[str, onnx.NodeProto], weights: dict[str, npt.NDArray[Any]]
) -> tuple[list[onnx.NodeProto], dict[str, npt.NDArray[Any]]]:
    start, activation, end = group[".a00"], group[".act00"], group[".b00"]
    parts = {(p, q): weights[group[f".b{p}{q}"].input[1]] for p, q in _PHASES}
    outputs, channels = parts[0, 0].shape[:2]
    second = np.zeros((outputs, channels, _KERNEL, _KERNEL), parts[0, 0].dtype)
    for (p, q), part in parts.items():
        for i, row in enumerate(_TAPS[p]):
            for j, column in enumerate(_TAPS[q]):
                second[:, :, row, column] = part[:, :, i, j]
    tensors = {f"{names[0]}.weight": weights[start.input[1]], f"{names[1]}.weight": second}
    middle = onnx.NodeProto()
    middle.CopyFrom(activation)
    first_output = f"{names[0]}.output"
    middle.name = middle.output[0] = f"{names[0]}.activation"
    middle.input[0] = first_output
    halving: dict[str, Any] = {"pads": [1, 1, 1, 1], "stride": 2}
    first = _conv(start.input[0], f"{names[0]}.weight", start.input[2], first_output, **halving)
    output = group[".sum11"].output[0]
    last = _conv(middle.output[0], f"{names[1]}.weight", end.input[2], output, **halving)
    first.name, last.name = names
    return [first, middle, last], tensors


def _conv(
    source: str, weight: str, bias: str, output: str, *, pads: list[int], stride: int
) -> onnx.NodeProto:
    inputs = [name for name in (source, weight, bias) if name]
    return helper.make_node("Conv", inputs, [output], name=output, pads=pads, strides=[stride, stride])


def _replace(
    graph: onnx.GraphProto,
    old: list[onnx.NodeProto],
    new: list[onnx.NodeProto],
    tensors: dict[str, npt.NDArray[Any]],
) -> None:
    """Put ``new`` nodes in the place of the last of ``old``, and leave out weights that nobody reads now."""
    gone = {node.name for node in old}
    kept = list(graph.node)
    place = max(index for index, node in enumerate(kept) if node.name in gone)
    nodes = [node for node in kept[:place] if node.name not in gone] + new
    nodes += [node for node in kept[place + 1 :] if node.name not in gone]
    copies = [onnx.NodeProto() for _ in nodes]
    for copy, node in zip(copies, nodes, strict=True):
        copy.CopyFrom(node)
    del graph.node[:]
    graph.node.extend(copies)
    read = {name for node in graph.node for name in node.input}
    left = [from_array(to_array(t), t.name) for t in graph.initializer if t.name in read]
    del graph.initializer[:]
    graph.initializer.extend(left)
    graph.initializer.extend(from_array(np.ascontiguousarray(array), name) for name, array in tensors.items())
