"""onnxruntime: session options, execution providers, tensor types and exceptions. No other module imports it.

onnxruntime is imported when a session is opened, so importing this module is fast.
"""

# ruff: noqa: ANN401 - onnxruntime's type stubs differ from release to release, so its objects are Any here

from __future__ import annotations

import io
import re
import warnings
from contextlib import redirect_stdout
from typing import TYPE_CHECKING, Any, Final

from infogan_tool.runtime.errors import BundleError, DeviceError
from infogan_tool.runtime.inference.device import default_threads, gpu_present
from infogan_tool.runtime.inference.graph_scan import TensorInfo, scan_graph
from infogan_tool.runtime.storage.atomic import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy as np
    import numpy.typing as npt

    from infogan_tool.runtime.inference.device import Device
    from infogan_tool.runtime.inference.graph_scan import GraphInterface

CPU_PROVIDER: Final = "CPUExecutionProvider"
CUDA_PROVIDER: Final = "CUDAExecutionProvider"

_CUDA_OPTIONS: Final = {
    "use_tf32": "0",  # a mantissa of ten bits would exceed the parity tolerance
    # Choosing the algorithm by timing, the default, would make the last bits differ between processes.
    "cudnn_conv_algo_search": "DEFAULT",
}
_LOG_FATAL: Final = 4  # every other error arrives as an exception too
_MAX_REASON: Final = 300


class GraphSession:
    """An open ONNX graph; thread-safe.

    Args:
        content: The graph file's bytes. Never a path, so that the graph cannot load other files.
        device: See :data:`~infogan_tool.runtime.inference.device.Device`.
        threads: CPU threads; None means every core this process may use, or one if ``one_shot``.
        one_shot: Minimise the time to the first result instead of the throughput.
        name: The graph's name in error messages.
        check: Called with the graph's interface before onnxruntime opens it; may raise.

    Raises:
        BundleError: The graph cannot be opened, or has parts that are refused; see
            :func:`~infogan_tool.runtime.inference.graph_scan.scan_graph`.
        DeviceError: ``device`` is ``"cuda"`` and CUDA cannot be used, or onnxruntime cannot be imported.
    """

    inputs: dict[str, TensorInfo]
    """Inputs by name, in the graph's order."""
    outputs: dict[str, TensorInfo]
    """Outputs by name, in the graph's order."""
    metadata: dict[str, str]
    """The graph's metadata_props."""
    provider: str
    """The execution provider in use, such as ``"CPUExecutionProvider"``."""
    fallback: str | None
    """Why ``"auto"`` runs on the CPU although there is a GPU; None otherwise."""

    def __init__(
        self,
        content: bytes,
        *,
        device: Device = "auto",
        threads: int | None = None,
        one_shot: bool = False,
        name: str = "the graph",
        check: Callable[[GraphInterface], None] | None = None,
    ) -> None:
        scanned = scan_graph(content, name)
        if check is not None:
            check(scanned)
        ort = _onnxruntime()
        options = _options(ort, threads or (1 if one_shot else default_threads()), one_shot=one_shot)
        self._name = name
        self.fallback = None
        self._session = None
        if device == "cuda" or (device == "auto" and gpu_present()):
            self._session, reason = _open_on_cuda(ort, content, options)
            if reason and device == "auto":
                self.fallback = f"there is a GPU but it is not used: {reason}"
        if self._session is None:
            self._session = _open(ort, content, options, [CPU_PROVIDER], name)
            # Raised only now: if the CPU cannot open the graph either, the graph is at fault.
            if device == "cuda":
                raise DeviceError(f"device cuda cannot be used: {reason}")
        self.provider = self._session.get_providers()[0]
        self.inputs = _infos(self._session.get_inputs())
        self.outputs = _infos(self._session.get_outputs())
        self.metadata = dict(self._session.get_modelmeta().custom_metadata_map)

    def run(self, feeds: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[np.float32]]:
        """Run the graph on ``feeds`` (arrays by input name) and return its outputs by name.

        Raises:
            BundleError: The graph cannot be run on these feeds.
            DeviceError: The GPU failed, for example for lack of memory.
        """
        assert self._session is not None
        try:
            values = self._session.run(list(self.outputs), dict(feeds))
        except Exception as error:  # onnxruntime's exceptions share no base class
            if self.provider == CUDA_PROVIDER:
                raise DeviceError(
                    f"{self._name} failed on the GPU (try device cpu): {_reason(error)}"
                ) from error
            raise BundleError(f"{self._name} cannot be run: {_reason(error)}") from error
        return dict(zip(self.outputs, values, strict=True))


def onnxruntime_version() -> str:
    """Return the version of onnxruntime.

    Raises:
        DeviceError: It is not installed, or its folder is damaged.
    """
    return str(_onnxruntime().__version__)


def available_providers() -> list[str]:
    """Return the providers that this onnxruntime was built with, whether or not the machine has the device.

    Raises:
        DeviceError: onnxruntime is not installed, or its folder is damaged.
    """
    return list(_onnxruntime().get_available_providers())


def _onnxruntime() -> Any:
    try:
        import onnxruntime as ort  # noqa: PLC0415

        ort.InferenceSession  # noqa: B018 - an uninstalled twin leaves an empty module behind
    except (ImportError, AttributeError) as error:
        raise DeviceError(
            f"onnxruntime cannot be imported ({error}): infogan-tool doctor suggests a fix"
        ) from error
    return ort


def _options(ort: Any, threads: int, *, one_shot: bool) -> Any:
    options = ort.SessionOptions()
    # Set explicitly: with its default, onnxruntime pins threads to cores, which fails in many containers.
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = _LOG_FATAL
    # Threads that spin while they wait halve the throughput of a busy machine.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.load_model_format", "ONNX")
    if one_shot:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.add_session_config_entry("session.disable_prepacking", "1")
    return options


def _open(ort: Any, content: bytes, options: Any, providers: list[Any], name: str) -> Any:
    try:
        # Without onnxruntime's own fallback, which prints to standard output and changes the provider.
        return ort.InferenceSession(content, options, providers=providers, enable_fallback=0)
    except Exception as error:  # onnxruntime's exceptions share no base class
        raise BundleError(f"{name} cannot be opened: {_reason(error)}") from error


def _open_on_cuda(ort: Any, content: bytes, options: Any) -> tuple[Any, str]:
    """Return the session and ``""``, or None and the reason with a suggested fix."""
    if CUDA_PROVIDER not in ort.get_available_providers():
        return (
            None,
            "the installed onnxruntime is built without CUDA; infogan-tool doctor suggests a fix",
        )
    ort.set_default_logger_severity(_LOG_FATAL)  # libraries that do not load are logged here
    printed = io.StringIO()
    try:
        with redirect_stdout(printed), warnings.catch_warnings(action="ignore"):
            ort.preload_dlls()
        session = _open(ort, content, options, [(CUDA_PROVIDER, _CUDA_OPTIONS), CPU_PROVIDER], "CUDA")
    except (BundleError, RuntimeError, OSError) as error:
        return None, _cuda_problem(_reason(error))
    # onnxruntime leaves out a provider that does not load, without an error.
    if session.get_providers()[0] == CUDA_PROVIDER:
        return session, ""
    return None, _cuda_problem(printed.getvalue())


def _cuda_problem(printed: str) -> str:
    if not gpu_present():
        return "no NVIDIA GPU is visible to this process; use device cpu or auto"
    detail = printable(printed.strip().partition("\n")[0]) or "its libraries do not load"
    return f"{detail}; pip install 'infogan-tool[cuda]' installs the libraries, nvidia-smi shows the driver"


def _reason(error: Exception) -> str:
    text = re.sub(r"^\[ONNXRuntimeError\] : \d+ : \w+ : ", "", str(error).strip())
    return printable(text.partition("\n")[0][:_MAX_REASON]) or type(error).__name__


def _infos(nodes: Any) -> dict[str, TensorInfo]:
    return {node.name: TensorInfo(tuple(node.shape), _dtype(node.type)) for node in nodes}


def _dtype(onnx_type: str) -> str:
    name = onnx_type.removeprefix("tensor(").removesuffix(")")
    return {"float": "float32", "double": "float64"}.get(name, name)
