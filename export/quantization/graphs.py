"""An ONNX graph in 16-bit floats or 8-bit integers, by onnxruntime's own tools.

Inputs and outputs stay what the contract says, and every operator is a standard one, so that any reader of
the graph in float32 reads these too.
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

__all__ = ["to_fp16", "to_int8"]

_PRODUCTS: Final = ("Conv", "Gemm")
_LEAST_INPUTS: Final = 128
_LEAST_OUTPUTS: Final = 16
"""A product of fewer terms, or for fewer outputs, gains nothing in integers and loses the most: the
convolution that sees the image itself, and the heads that give logits, means and variances."""
_KEPT_FLOAT: Final = "distance"
"""An output that is held against a threshold; what serves it alone stays in floats."""
_KEPT_PROPS: Final = "infogan."


def to_fp16(content: bytes) -> bytes:
    """Return the graph with weights and arithmetic in 16-bit floats.

    A processor without such arithmetic computes in 32 bits, with weights rounded to 16.
    """
    from onnxruntime.transformers.float16 import convert_float_to_float16  # noqa: PLC0415 - slow to import
    from onnxruntime.transformers.onnx_model import OnnxModel  # noqa: PLC0415

    with _silence():
        model = convert_float_to_float16(onnx.load_from_string(content), keep_io_types=True)
        OnnxModel(model).topological_sort()  # the converter puts its casts at the end
    return _finished(model, content)


def to_int8(content: bytes, calibration: Sequence[Mapping[str, npt.NDArray[Any]]]) -> bytes:
    """Return the graph with its large products in 8-bit integers (QDQ form, static ranges).

    Weights are signed and scaled for each output channel, activations unsigned with the least and greatest
    value seen in calibration. Weights use 7 of their 8 bits: pairs of products then fit 16 bits on processors
    without VNNI, which would cut them off, so that the results do not depend on the processor.

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
                f"no layer of the bundle has {_LEAST_INPUTS} inputs and {_LEAST_OUTPUTS} outputs, so int8 "
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
    """Return the names of the nodes that integers are worth it for."""
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    serves = _outputs_served(model.graph)
    chosen = []
    for node in model.graph.node:
        weight = weights.get(node.input[1]) if node.op_type in _PRODUCTS else None
        if weight is None:
            continue
        transposed = node.op_type == "Conv" or any(a.name == "transB" and a.i for a in node.attribute)
        outputs = weight.dims[0] if transposed else weight.dims[1]
        inputs = to_array(weight).size // outputs
        if inputs >= _LEAST_INPUTS and outputs >= _LEAST_OUTPUTS and serves[node.name] != {_KEPT_FLOAT}:
            chosen.append(node.name)
    return chosen


def _outputs_served(graph: onnx.GraphProto) -> dict[str, set[str]]:
    """Return for each node the graph outputs that depend on it."""
    of_tensor = {output.name: {output.name} for output in graph.output}
    of_node: dict[str, set[str]] = {}
    for node in reversed(graph.node):  # a graph's nodes are in the order of their execution
        served: set[str] = set().union(*(of_tensor.get(name, set()) for name in node.output))
        of_node[node.name] = served
        for name in node.input:
            of_tensor[name] = of_tensor.get(name, set()) | served
    return of_node


def _finished(model: onnx.ModelProto, original: bytes) -> bytes:
    """Return the file of ``model``, with the original's own properties and nothing of the tools'."""
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
    """Take out the operator sets that no node is of: tools declare many, the runtime takes ONNX's only."""
    used = {node.domain for node in model.graph.node}
    kept = [entry for entry in model.opset_import if entry.domain in used | {""}]
    del model.opset_import[:]
    model.opset_import.extend(kept)


@contextmanager
def _silence() -> Iterator[None]:
    """Keep what the tools say to their developers off both streams."""
    disabled = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with redirect_stdout(io.StringIO()), warnings.catch_warnings(action="ignore"):
            yield
    finally:
        logging.disable(disabled)
