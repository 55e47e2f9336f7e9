"""Compute the first two convolutions of an encoder phase by phase (polyphase decomposition), and undo it.

Both convolutions halve the map (kernel 4, stride 2, padding 1). With p the phase of a row, row 2 i + p of the
first map is computed from rows 4 i + 2 p - 1 to 4 i + 2 p + 2 of the image: a convolution of stride 4 gives
the map of one phase. Row i of the second map is computed from rows i and i + 1 of phase 0 and i - 1 and i of
phase 1: the sum of convolutions of 2 x 2 with stride 1, whose weights fit the first-level cache. In fp32 the
encoder gains a tenth to a sixth of its speed (docs/results/speed.md).

The rewriting is done on the ONNX graph, so that ``int8``, where one large convolution is faster, can undo it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import onnx
from onnx import helper
from onnx.numpy_helper import from_array, to_array

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    Node = onnx.NodeProto
    Weights = dict[str, npt.NDArray[Any]]

_PHASES: Final = ((0, 0), (0, 1), (1, 0), (1, 1))
_TAPS: Final = ((1, 3), (0, 2))
"""For each phase the rows of the second kernel that meet its two rows, in the order of the rows."""
_KERNEL: Final = 4
_ACTIVATIONS: Final = ("Relu", "LeakyRelu")
_MARK: Final = "@packed"
_ROLES: Final = {f".{kind}{p}{q}" for kind in ("a", "act", "b") for p, q in _PHASES} | {
    f".sum{p}{q}" for p, q in _PHASES[1:]
}
"""Ends of the names of all nodes that replace a pair."""
_NAME: Final = re.compile(rf"(?P<first>.+)\+(?P<second>.+){_MARK}(?P<role>\.\w+)")


def split_phases(model: onnx.ModelProto) -> None:
    """Rewrite each such pair of convolutions that reads an input of the graph; leave other nodes."""
    weights = {tensor.name: to_array(tensor) for tensor in model.graph.initializer}
    for pair in list(_pairs(model.graph, weights)):
        _replace(model.graph, {node.name for node in pair}, *_split(*pair, weights))


def merge_phases(model: onnx.ModelProto) -> None:
    """Replace what :func:`split_phases` wrote by the original pairs of convolutions."""
    weights = {tensor.name: to_array(tensor) for tensor in model.graph.initializer}
    pairs: dict[tuple[str, str], dict[str, Node]] = {}
    for node in model.graph.node:
        parts = _NAME.fullmatch(node.name)
        if parts:
            pairs.setdefault((parts["first"], parts["second"]), {})[parts["role"]] = node
    for names, nodes in pairs.items():
        if nodes.keys() == _ROLES:
            _replace(model.graph, {node.name for node in nodes.values()}, *_merge(*names, nodes, weights))


def _pairs(graph: onnx.GraphProto, weights: Weights) -> Iterator[tuple[Node, Node, Node]]:
    """Yield each first convolution, its activation and the second convolution."""
    readers: dict[str, list[Node]] = {}
    for node in graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)

    def only_reader(node: Node) -> Node | None:
        found = readers.get(node.output[0], [])
        return found[0] if len(found) == 1 else None

    shapes = {tensor.name: [d.dim_value for d in tensor.type.tensor_type.shape.dim] for tensor in graph.input}
    for first in graph.node:
        shape = shapes.get(first.input[0]) if first.input else None
        if not shape or not _halves(first, weights) or any(side % _KERNEL for side in shape[2:]):
            continue
        activation = only_reader(first)
        if activation is not None and activation.op_type in _ACTIVATIONS:
            second = only_reader(activation)
            if second is not None and _halves(second, weights):
                yield first, activation, second


def _halves(node: Node, weights: Weights) -> bool:
    """Return whether a node is a convolution with kernel 4, stride 2, padding 1 and a bias."""
    if node.op_type != "Conv" or not node.name or len(node.input) != 3:  # noqa: PLR2004 - image, weight, bias
        return False
    if any(name not in weights for name in node.input[1:]):
        return False
    given = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    return (
        weights[node.input[1]].shape[2:] == (_KERNEL, _KERNEL)
        and given.get("strides") == [2, 2]
        and given.get("pads") == [1, 1, 1, 1]
        and given.get("dilations", [1, 1]) == [1, 1]
        and given.get("group", 1) == 1
    )


def _split(first: Node, activation: Node, second: Node, weights: Weights) -> tuple[list[Node], Weights]:
    """Return the nodes that replace a pair, in the order of execution, and their weights."""
    image, weight, bias = first.input
    nodes: list[Node] = []
    tensors: Weights = {}
    total = ""
    for p, q in _PHASES:
        name = f"{first.name}+{second.name}{_MARK}.{{}}{p}{q}".format
        # The rows of phase 1 start one below the image's first: a row of zeros in the kernel, not padding.
        tensors[name("weights_a")] = np.pad(weights[weight], ((0, 0), (0, 0), (p, 0), (q, 0)))
        taps = weights[second.input[1]][:, :, _TAPS[p]][:, :, :, _TAPS[q]]
        tensors[name("weights_b")] = np.ascontiguousarray(taps)
        inputs = (image, name("weights_a"), bias)
        nodes += [
            _conv(inputs, name("a"), pads=[1 - p, 1 - q, p, q], stride=4),
            _activation(activation, name("a"), name("act")),
        ]
        inputs = (name("act"), name("weights_b"), "" if total else second.input[2])
        nodes.append(_conv(inputs, name("b"), pads=[p, q, 1 - p, 1 - q], stride=1))
        if total:
            output = second.output[0] if (p, q) == _PHASES[-1] else name("sum")
            nodes.append(helper.make_node("Add", [total, name("b")], [output], name=name("sum")))
        total = name("sum") if total else name("b")
    return nodes, tensors


def _merge(first: str, second: str, nodes: dict[str, Node], weights: Weights) -> tuple[list[Node], Weights]:
    """Return the pair of convolutions that ``nodes``, by role, replace, and its weights."""
    image, weight, bias = nodes[".a00"].input
    parts = {(p, q): weights[nodes[f".b{p}{q}"].input[1]] for p, q in _PHASES}
    kernel = np.zeros((*parts[0, 0].shape[:2], _KERNEL, _KERNEL), parts[0, 0].dtype)
    for (p, q), part in parts.items():
        for i, row in enumerate(_TAPS[p]):
            for j, column in enumerate(_TAPS[q]):
                kernel[:, :, row, column] = part[:, :, i, j]
    tensors = {f"{first}.weight": weights[weight], f"{second}.weight": kernel}
    halving: dict[str, Any] = {"pads": [1, 1, 1, 1], "stride": 2}
    output, activated = nodes[".sum11"].output[0], f"{first}.activation"
    inputs = (activated, f"{second}.weight", nodes[".b00"].input[2])
    pair = [
        _conv((image, f"{first}.weight", bias), f"{first}.output", **halving, name=first),
        _activation(nodes[".act00"], f"{first}.output", activated),
        _conv(inputs, output, **halving, name=second),
    ]
    return pair, tensors


def _conv(inputs: tuple[str, ...], output: str, *, pads: list[int], stride: int, name: str = "") -> Node:
    strides = [stride, stride]
    return helper.make_node(
        "Conv", list(filter(None, inputs)), [output], name=name or output, pads=pads, strides=strides
    )


def _activation(original: Node, source: str, output: str) -> Node:
    """Return a copy of an activation between other tensors, named after its output."""
    node = onnx.NodeProto()
    node.CopyFrom(original)
    node.name, node.input[0], node.output[0] = output, source, output
    return node


def _replace(graph: onnx.GraphProto, old: set[str], new: list[Node], tensors: Weights) -> None:
    """Put ``new`` nodes in the place of the last of the ``old``, and drop weights that no node reads now."""
    last = max(index for index, node in enumerate(graph.node) if node.name in old)
    nodes: list[Node] = []
    for index, node in enumerate(graph.node):
        nodes += new if index == last else [] if node.name in old else [node]
    read = {name for node in nodes for name in node.input}
    kept = [tensor for tensor in graph.initializer if tensor.name in read]
    added = [from_array(np.ascontiguousarray(array), name) for name, array in tensors.items()]
    graph.CopyFrom(
        helper.make_graph(
            nodes, graph.name, graph.input, graph.output, kept + added, value_info=graph.value_info
        )
    )
