"""Runtimes that the throughput benchmark compares with: onnxruntime with its defaults, and OpenVINO."""

from __future__ import annotations

import io
import logging
import warnings
from contextlib import redirect_stdout
from typing import TYPE_CHECKING, Any, Final

import onnxruntime as ort
import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy as np
    import numpy.typing as npt
    from torch import nn

    Feeds = Mapping[str, npt.NDArray[Any]]
    """Inputs by name."""
    Run = Callable[[Feeds], Sequence[npt.NDArray[np.float32]]]
    """Returns the outputs in the order of the graph. They may be overwritten by the next call."""

__all__ = ["export_plainly", "has_bf16", "open_onnxruntime", "open_openvino"]

_MISSING: Final = (
    "OpenVINO is missing, which this benchmark compares with: "
    "pip install --constraint constraints.txt --group inference"
)


def export_plainly(network: nn.Module, feeds: Feeds, outputs: Sequence[str]) -> bytes:
    """Return a network as ``torch.onnx.export`` writes it, for any number of rows.

    Args:
        network: In eval mode, with a forward of ``*inputs``.
        feeds: Its inputs.
        outputs: Names of its outputs.
    """
    rows = torch.export.Dim("rows", min=2)
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with redirect_stdout(io.StringIO()), warnings.catch_warnings(action="ignore"):
            program = torch.onnx.export(
                network,
                tuple(torch.from_numpy(array) for array in feeds.values()),
                dynamo=True,
                verbose=False,
                input_names=list(feeds),
                output_names=list(outputs),
                dynamic_shapes=(tuple({0: rows} for _ in feeds),),
                external_data=False,
            )
    finally:
        logging.disable(level)
    assert program is not None
    content: bytes = program.model_proto.SerializeToString()
    return content


def open_onnxruntime(content: bytes, threads: int) -> Run:
    """Open a graph on the CPU with onnxruntime's defaults, but for the number of threads."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3  # errors
    session = ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    return lambda feeds: session.run(None, dict(feeds))


def open_openvino(content: bytes, threads: int, precision: str | None = None) -> Run:
    """Open a graph on the CPU with OpenVINO's defaults, but for the number of threads.

    Args:
        content: The graph file.
        threads: CPU threads.
        precision: ``"fp32"`` or ``"bf16"``; None is OpenVINO's choice.

    Raises:
        SystemExit: OpenVINO is not installed; the message says what to install.
    """
    config: dict[str, Any] = {"INFERENCE_NUM_THREADS": threads}
    if precision:
        config["INFERENCE_PRECISION_HINT"] = {"fp32": "f32"}.get(precision, precision)
    core = _core()
    request = core.compile_model(core.read_model(content), "CPU", config).create_infer_request()
    return lambda feeds: list(request.infer(dict(feeds), share_inputs=True, share_outputs=True).values())


def has_bf16() -> bool:
    """Return whether OpenVINO can use bf16 on this CPU.

    Raises:
        SystemExit: OpenVINO is not installed; the message says what to install.
    """
    return "BF16" in _core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def _core() -> Any:  # noqa: ANN401 - OpenVINO is not always there
    try:
        import openvino  # noqa: PLC0415 - the message, and the benchmark on a GPU needs none
    except ImportError as error:
        raise SystemExit(_MISSING) from error
    return openvino.Core()
