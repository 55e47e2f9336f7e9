"""Convert an ONNX graph to 16-bit floats or 8-bit integers, with onnxruntime's own tools.

Inputs and outputs keep the types of the bundle format and all operators are standard ones, so that every
program that reads the graph in fp32 also reads these.
"""

from __future__ import annotations

import io
import logging
import tempfile
import warnings
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import onnx
from onnx.numpy_helper import to_array

from infogan_tool.export.quantization.bias_correction import correct_biases
from infogan_tool.export.rewrite.polyphase_convolution import merge_phases
from infogan_tool.runtime.errors import BundleError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import numpy.typing as npt

_PRODUCTS: Final = ("Conv", "Gemm")
_MIN_INPUTS: Final = 128
_MIN_OUTPUTS: Final = 16
"""Products of fewer terms or with fewer outputs stay in floats: the convolution that reads the image, and the
heads of logits, means and variances. In integers they gain no speed and lose the most accuracy."""
_FLOAT_OUTPUT: Final = "distance"
"""Nodes that only this output depends on stay in floats, because it is compared with a threshold."""
_KEPT_PROPS: Final = "infogan."


def to_fp16(content: bytes) -> bytes:
    """Return the graph with weights and arithmetic in 16-bit floats.

    Processors without 16-bit arithmetic compute in 32 bits, with weights rounded to 16.
    """
    from onnxruntime.transformers.float16 import convert_float_to_float16  # noqa: PLC0415 - slow to import
    from onnxruntime.transformers.onnx_model import OnnxModel  # noqa: PLC0415

    with _silence():
        model = convert_float_to_float16(onnx.load_from_string(content), keep_io_types=True)
        OnnxModel(model).topological_sort()  # the converter appends its casts at the end
    return _finished(model, content)


def to_int8(content: bytes, calibration: Sequence[Mapping[str, npt.NDArray[Any]]]) -> bytes:
    """Return the graph with its large products in 8-bit integers (QDQ form, static ranges).

    Weights are signed, with a scale for each output channel; activations are unsigned, with the range seen in
    calibration. Weights use 7 of their 8 bits: sums of two products then fit into 16 bits on processors
    without VNNI, which saturate, so that results do not depend on the processor.

    Args:
        content: The graph in float32.
        calibration: Batches of inputs by name, from training images or the prior.

    Raises:
        BundleError: No product of the graph is large enough.
    """
    from onnxruntime import quantization as q  # noqa: PLC0415 - slow to import
    from onnxruntime.quantization.shape_inference import quant_pre_process  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as scratch, _silence():
        original, preprocessed, quantised = (
            Path(scratch) / name for name in ("in.onnx", "preprocessed.onnx", "out.onnx")
        )
        model = onnx.load_from_string(content)
        merge_phases(model)
        onnx.save(model, original)
        quant_pre_process(original, preprocessed, skip_symbolic_shape=True)
        chosen = _large_products(onnx.load(preprocessed))
        if not chosen:
            raise BundleError(
                f"no layer of the bundle has {_MIN_INPUTS} inputs and {_MIN_OUTPUTS} outputs, so int8 "
                "gains nothing: use fp16, or the bundle as it is"
            )
        q.quantize_static(
            preprocessed,
            quantised,
            _reader(calibration),
            quant_format=q.QuantFormat.QDQ,
            nodes_to_quantize=chosen,
            op_types_to_quantize=list(_PRODUCTS),
            per_channel=True,
            reduce_range=True,
            activation_type=q.QuantType.QUInt8,
            weight_type=q.QuantType.QInt8,
        )
        model, before = onnx.load(quantised), onnx.load(preprocessed)
        for each in (model, before):
            _drop_unused_domains(each)
        correct_biases(model, before, chosen, calibration)
    return _finished(model, content)


def _reader(batches: Sequence[Mapping[str, npt.NDArray[Any]]]) -> Any:  # noqa: ANN401 - onnxruntime's own type
    from onnxruntime.quantization import CalibrationDataReader  # noqa: PLC0415 - slow to import

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        left = iter(batches)

        def get_next(self) -> Mapping[str, npt.NDArray[Any]] | None:
            return next(self.left, None)

    return Reader()


def _large_products(model: onnx.ModelProto) -> list[str]:
    """Return the names of the products that are large enough for integers."""
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    dependents = _dependent_outputs(model.graph)
    chosen = []
    for node in model.graph.node:
        weight = weights.get(node.input[1]) if node.op_type in _PRODUCTS else None
        if weight is None:
            continue
        transposed = node.op_type == "Conv" or any(a.name == "transB" and a.i for a in node.attribute)
        outputs = weight.dims[0] if transposed else weight.dims[1]
        inputs = to_array(weight).size // outputs
        if inputs >= _MIN_INPUTS and outputs >= _MIN_OUTPUTS and dependents[node.name] != {_FLOAT_OUTPUT}:
            chosen.append(node.name)
    return chosen


def _dependent_outputs(graph: onnx.GraphProto) -> dict[str, set[str]]:
    """Return for each node the graph outputs that depend on it."""
    of_tensor = {output.name: {output.name} for output in graph.output}
    of_node: dict[str, set[str]] = {}
    for node in reversed(graph.node):  # a graph's nodes are in the order of their execution
        outputs: set[str] = set().union(*(of_tensor.get(name, set()) for name in node.output))
        of_node[node.name] = outputs
        for name in node.input:
            of_tensor[name] = of_tensor.get(name, set()) | outputs
    return of_node


def _finished(model: onnx.ModelProto, original: bytes) -> bytes:
    """Return the file of ``model`` with the names and properties of the original instead of the tools'."""
    before = onnx.load_from_string(original)
    model.graph.name = before.graph.name
    model.producer_name, model.producer_version = before.producer_name, before.producer_version
    props = {p.key: p.value for p in before.metadata_props if p.key.startswith(_KEPT_PROPS)}
    del model.metadata_props[:]
    onnx.helper.set_model_props(model, props)
    del model.graph.value_info[:]
    _drop_unused_domains(model)
    onnx.checker.check_model(model, full_check=True)
    content: bytes = model.SerializeToString(deterministic=True)
    return content


def _drop_unused_domains(model: onnx.ModelProto) -> None:
    """Remove operator sets that no node uses: the tools declare many, and the runtime accepts ONNX's only."""
    used = {node.domain for node in model.graph.node}
    kept = [entry for entry in model.opset_import if entry.domain in used | {""}]
    del model.opset_import[:]
    model.opset_import.extend(kept)


@contextmanager
def _silence() -> Iterator[None]:
    """Suppress the output, warnings and log lines of the tools."""
    disabled = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with redirect_stdout(io.StringIO()), warnings.catch_warnings(action="ignore"):
            yield
    finally:
        logging.disable(disabled)
