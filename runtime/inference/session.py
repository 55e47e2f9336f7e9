"""The one file that knows onnxruntime: session options, execution providers, tensor types, its exceptions.

onnxruntime is imported when a session is opened, so that importing this module costs nothing.
"""

# ruff: noqa: ANN401 - onnxruntime's type stubs differ from release to release, so its objects are Any here

from __future__ import annotations

import io
import re
import warnings
from contextlib import contextmanager, redirect_stdout
from typing import TYPE_CHECKING, Any, Final

from infogan_tool.runtime.errors import BundleError, DeviceError
from infogan_tool.runtime.inference.device import Device, default_threads, gpu_present
from infogan_tool.runtime.inference.graph_scan import TensorInfo, scan_graph
from infogan_tool.runtime.storage.atomic import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import numpy as np
    import numpy.typing as npt

    from infogan_tool.runtime.inference.buckets import BucketedGraph
    from infogan_tool.runtime.inference.graph_scan import Scanned

__all__ = [
    "CPU_PROVIDER",
    "CUDA_PROVIDER",
    "Device",
    "GraphSession",
    "TensorInfo",
    "available_providers",
    "onnxruntime_version",
]

CPU_PROVIDER: Final = "CPUExecutionProvider"
CUDA_PROVIDER: Final = "CUDAExecutionProvider"

_CUDA_OPTIONS: Final = {
    "use_tf32": "0",  # ten bits of mantissa would show against the parity tolerance
    # By its own rules, once for each batch size, of which there are few (buckets.py): a choice by trial would
    # not be the same in the next process, nor then the last bits.
    "cudnn_conv_algo_search": "DEFAULT",
}
_QUIET: Final = 4  # fatal only: everything else arrives as an exception
_MAX_REASON: Final = 300


class GraphSession:
    """One ONNX graph, opened and ready to run; :meth:`run` may be called from several threads.

    Args:
        content: The graph file's bytes. Never a path: a graph must not pull in other files.
        device: See :data:`~infogan_tool.runtime.inference.device.Device`.
        threads: CPU threads; None means every core this process may use, or one where ``one_shot``.
        one_shot: Open fast rather than run fast: for a handful of images in a short process.
        name: How error messages name the graph.
        check: Called with what the graph says of itself, before onnxruntime sees it; may raise.
        bucketed: Run batches of a few sizes only, through buffers on the device; None: where CUDA is used.

    Raises:
        BundleError: The graph cannot be opened, or holds what no bundle's graph has.
        DeviceError: ``device`` is ``"cuda"`` and CUDA cannot be used, or onnxruntime itself cannot.
    """

    inputs: dict[str, TensorInfo]
    """Inputs by name, in the graph's order."""
    outputs: dict[str, TensorInfo]
    """Outputs by name, in the graph's order."""
    metadata: dict[str, str]
    """The graph's metadata_props."""
    provider: str
    """The execution provider that the session got, such as ``"CPUExecutionProvider"``."""
    fallback: str | None
    """Why ``"auto"`` fell back to the CPU although a GPU is there; None when it did not."""

    def __init__(
        self,
        content: bytes,
        *,
        device: Device = "auto",
        threads: int | None = None,
        one_shot: bool = False,
        name: str = "the graph",
        check: Callable[[Scanned], None] | None = None,
        bucketed: bool | None = None,
    ) -> None:
        said = scan_graph(content, name)
        if check is not None:
            check(said)
        ort = _onnxruntime()
        options = _options(ort, threads or (1 if one_shot else default_threads()), one_shot=one_shot)
        self._name = name
        self.fallback = None
        self._session = None
        if device == "cuda" or (device == "auto" and gpu_present()):
            self._session, reason = _open_on_cuda(ort, content, options)
            if reason and device == "auto":
                self.fallback = f"a GPU is there but was not used: {reason}"
        if self._session is None:
            self._session = _open(ort, content, options, [CPU_PROVIDER], name)
            # Only now: a graph that the CPU refuses too is the graph's fault, not the device's.
            if device == "cuda":
                raise DeviceError(f"device cuda cannot be used: {reason}")
        self.provider = self._session.get_providers()[0]
        self.inputs = _infos(self._session.get_inputs())
        self.outputs = _infos(self._session.get_outputs())
        self.metadata = dict(self._session.get_modelmeta().custom_metadata_map)
        self._buckets: BucketedGraph | None = None
        if bucketed or (bucketed is None and self.provider == CUDA_PROVIDER):
            from infogan_tool.runtime.inference.buckets import BucketedGraph  # noqa: PLC0415 - not on a CPU

            device_name = "cuda" if self.provider == CUDA_PROVIDER else "cpu"
            self._buckets = BucketedGraph(ort, self._session, self.inputs, self.outputs, device=device_name)

    @property
    def bucketed(self) -> bool:
        """Whether batches go to the device one at a time, filled up to one of a few sizes."""
        return self._buckets is not None

    def warm_up(self) -> None:
        """Where batches are bucketed, run each bucket once: the first of its size takes longest.

        Raises:
            DeviceError: The GPU failed, for example for lack of memory.
            BundleError: The graph cannot be run.
        """
        if self._buckets is not None:
            with self._failures():
                self._buckets.warm_up()

    def run(self, feeds: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[np.float32]]:
        """Run the graph on ``feeds`` (arrays by input name) and return its outputs by name.

        Raises:
            BundleError: The graph cannot be run on these feeds.
            DeviceError: The GPU failed, for example for lack of memory.
        """
        assert self._session is not None
        with self._failures():
            if self._buckets is not None:
                return self._buckets.run(feeds)
            values = self._session.run(list(self.outputs), dict(feeds))
            return dict(zip(self.outputs, values, strict=True))

    @contextmanager
    def _failures(self) -> Iterator[None]:
        """Turn what running raises into this package's errors."""
        try:
            yield
        except Exception as error:  # onnxruntime's exceptions share no base class
            if self.provider == CUDA_PROVIDER:
                raise DeviceError(
                    f"{self._name} failed on the GPU (device cpu may do): {_reason(error)}"
                ) from error
            raise BundleError(f"{self._name} cannot be run: {_reason(error)}") from error


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
            f"onnxruntime cannot be imported ({error}): infogan-tool doctor tells the cure"
        ) from error
    return ort


def _options(ort: Any, threads: int, *, one_shot: bool) -> Any:
    options = ort.SessionOptions()
    # Said explicitly: onnxruntime's own guess pins threads to cores, which fails in many containers.
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = _QUIET
    # Threads that spin while they wait halve the throughput of a machine that has other work.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.load_model_format", "ONNX")
    if one_shot:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.add_session_config_entry("session.disable_prepacking", "1")
    return options


def _open(ort: Any, content: bytes, options: Any, providers: list[Any], name: str) -> Any:
    try:
        # Without its own fallback, which would print on standard output and change the provider unasked.
        return ort.InferenceSession(content, options, providers=providers, enable_fallback=0)
    except Exception as error:  # onnxruntime's exceptions share no base class
        raise BundleError(f"{name} cannot be opened: {_reason(error)}") from error


def _open_on_cuda(ort: Any, content: bytes, options: Any) -> tuple[Any, str]:
    """Return the session and no reason, or no session and the reason with its remedy."""
    if CUDA_PROVIDER not in ort.get_available_providers():
        return (
            None,
            "the onnxruntime installed here is built without CUDA; infogan-tool doctor tells the cure",
        )
    ort.set_default_logger_severity(_QUIET)  # a library that cannot be loaded is logged there
    said = io.StringIO()
    try:
        with redirect_stdout(said), warnings.catch_warnings(action="ignore"):
            ort.preload_dlls()
        session = _open(ort, content, options, [(CUDA_PROVIDER, _CUDA_OPTIONS), CPU_PROVIDER], "CUDA")
    except (BundleError, RuntimeError, OSError) as error:
        return None, _cuda_remedy(_reason(error))
    # A provider that cannot be loaded is left out without an error.
    if session.get_providers()[0] == CUDA_PROVIDER:
        return session, ""
    return None, _cuda_remedy(said.getvalue())


def _cuda_remedy(said: str) -> str:
    if not gpu_present():
        return "no NVIDIA GPU is visible to this process; use device cpu or auto"
    detail = printable(said.strip().partition("\n")[0]) or "its libraries did not load"
    return f"{detail}; pip install 'infogan-tool[cuda]' brings the libraries, nvidia-smi shows the driver"


def _reason(error: Exception) -> str:
    text = re.sub(r"^\[ONNXRuntimeError\] : \d+ : \w+ : ", "", str(error).strip())
    return printable(text.partition("\n")[0][:_MAX_REASON]) or type(error).__name__


def _infos(nodes: Any) -> dict[str, TensorInfo]:
    return {node.name: TensorInfo(tuple(node.shape), _dtype(node.type)) for node in nodes}


def _dtype(onnx_type: str) -> str:
    name = onnx_type.removeprefix("tensor(").removesuffix(")")
    return {"float": "float32", "double": "float64"}.get(name, name)
