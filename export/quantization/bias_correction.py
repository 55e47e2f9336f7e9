"""Bias correction: remove the mean error of each quantised layer.

Rounding errors of values that are the same in every image (an empty background, for example) add up to a
constant in the next layer, which can be subtracted: Nagel et al. 2019, "Data-Free Quantization Through Weight
Equalization and Bias Correction", section 4.2. Here the constants are means over calibration images, layer by
layer, each computed after the layers before it were corrected.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx.numpy_helper import from_array, to_array

from infogan_tool.runtime.inference.session import GraphSession

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    Feeds = Mapping[str, npt.NDArray[Any]]


def correct_biases(
    quantised: onnx.ModelProto, original: onnx.ModelProto, nodes: Sequence[str], batches: Sequence[Feeds]
) -> None:
    """Change the biases of ``nodes`` in ``quantised`` so that their outputs have the means of ``original``.

    Args:
        quantised: In QDQ form, with the names of nodes and tensors of ``original``.
        original: The same graph in float32.
        nodes: Names of quantised products, in the order of execution.
        batches: Inputs by name.
    """
    tensors = {tensor.name: tensor for tensor in quantised.graph.initializer}
    made_by = {name: node for node in quantised.graph.node for name in node.output}
    products = {node.name: node for node in quantised.graph.node}
    outputs = [products[name].output[0] for name in nodes]
    wanted = _means(original, outputs, batches)
    for name, output in zip(nodes, outputs, strict=True):
        bias = made_by.get(products[name].input[2]) if len(products[name].input) > 2 else None  # noqa: PLR2004
        if bias is None or bias.op_type != "DequantizeLinear":
            continue
        error = _means(quantised, [output], batches)[output] - wanted[output]
        steps, scale = tensors[bias.input[0]], to_array(tensors[bias.input[1]])
        corrected = to_array(steps) - np.rint(error / scale).astype(np.int64)
        steps.CopyFrom(from_array(corrected.astype(np.int32), steps.name))


def _means(
    model: onnx.ModelProto, outputs: Sequence[str], batches: Sequence[Feeds]
) -> dict[str, npt.NDArray[np.float64]]:
    """Return the mean of each channel of inner tensors ``(N, C, ...)`` by name."""
    probed = onnx.ModelProto()
    probed.CopyFrom(model)
    del probed.graph.output[:]
    probed.graph.output.extend(onnx.helper.make_empty_tensor_value_info(name) for name in outputs)
    session = GraphSession(probed.SerializeToString(), device="cpu")
    sums: dict[str, Any] = dict.fromkeys(outputs, 0.0)
    for batch in batches:
        for name, values in session.run(batch).items():
            axes = tuple(axis for axis in range(values.ndim) if axis != 1)
            sums[name] += values.mean(axis=axes, dtype=np.float64) / len(batches)
    return sums
