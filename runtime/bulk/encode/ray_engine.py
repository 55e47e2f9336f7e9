"""Encoding on a Ray cluster: one encoder per actor, results in the order of the inputs.

Chunks are sent as paths and positions, so files and the bundle must be readable under the same path on every
machine. The chunk of an actor that died is encoded again by another.
"""

from __future__ import annotations

import logging
import os
import pickle
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from infogan_tool.runtime.bulk.decode.deadline import read_with_timeout
from infogan_tool.runtime.bulk.decode.decoding import Decoded, decode
from infogan_tool.runtime.bulk.encode.encoded import encode_chunk
from infogan_tool.runtime.bundle.bundle import load_bundle
from infogan_tool.runtime.bundle.metadata import ENCODER_FILE
from infogan_tool.runtime.errors import DeviceError, MissingExtraError
from infogan_tool.runtime.storage.atomic import printable

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator

    from infogan_tool.runtime.bulk.encode.encoded import Encoded
    from infogan_tool.runtime.bulk.inputs.chunks import Chunk
    from infogan_tool.runtime.bundle.bundle import Bundle
    from infogan_tool.runtime.inference.device import Device

_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",  # send no usage reports
    "RAY_DATA_DISABLE_PROGRESS_BARS": "1",
    "RAY_DATA_LOG_LEVEL": "ERROR",
    "RAY_BACKEND_LOG_LEVEL": "fatal",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # the future default; Ray warns if it is unset
}


def encode_on_ray(
    bundle: Bundle, chunks: Iterable[Chunk], *, device: Device, raw: bool, workers: int | None
) -> Generator[Encoded]:
    """Encode chunks, in order, on the cluster that ``RAY_ADDRESS`` names, or on a temporary local one.

    Args:
        bundle: The opened bundle; each actor opens it again by its path.
        chunks: They are listed completely before the first is encoded.
        device: Device of each actor's encoder; ``"cuda"`` requests a GPU from the cluster for each.
        raw: Pad and resize images, without other preprocessing.
        workers: Number of actors; None: one per core of the cluster, or per GPU with ``"cuda"``.

    Raises:
        MissingExtraError: Ray is not installed.
        DeviceError: The cluster failed, or has no core or GPU for an actor.
    """
    os.environ.update({name: value for name, value in _QUIET.items() if name not in os.environ})
    try:
        import ray  # noqa: PLC0415
        import ray.data  # noqa: PLC0415
    except ImportError as error:
        raise MissingExtraError("engine ray", "ray") from error
    listed = [{"chunk": pickle.dumps(chunk)} for chunk in chunks]
    if not listed:
        return
    started = not ray.is_initialized()
    try:
        if started:
            logging.getLogger("ray").setLevel(logging.ERROR)
            with _without_stderr():
                ray.init(include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
        yield from _run(ray, bundle, listed, device=device, raw=raw, workers=workers)
    except (ray.exceptions.RayError, ConnectionError) as error:
        reason = printable(str(error).strip().rpartition("\n")[2][:300])
        raise DeviceError(f"the Ray cluster failed: {reason}") from error
    finally:
        if started:
            ray.shutdown()


def _run(
    ray: Any,  # noqa: ANN401 - a module without types
    bundle: Bundle,
    listed: list[dict[str, bytes]],
    *,
    device: Device,
    raw: bool,
    workers: int | None,
) -> Generator[Encoded]:
    needs = {"num_gpus": 1} if device == "cuda" else {"num_cpus": 1}
    kind = "GPU" if device == "cuda" else "CPU"
    available = int(ray.cluster_resources().get(kind, 0))
    if available < 1:
        raise DeviceError(f"the Ray cluster has no {kind} for an encoder: add one, or use --engine local")
    actors = max(1, min(workers or available, available, len(listed)))
    context = ray.data.DataContext.get_current()
    context.execution_options.preserve_order = True
    context.enable_progress_bars = False
    rows = ray.data.from_items(listed, override_num_blocks=len(listed))
    encoded = rows.map_batches(
        _Encoder,
        batch_size=1,
        compute=ray.data.ActorPoolStrategy(size=actors),
        fn_constructor_args=(str(bundle.path), device, raw),
        **needs,
    )
    for row in encoded.iter_rows():
        result: Encoded = pickle.loads(row["encoded"])  # noqa: S301 - the program's own actor wrote it
        yield result


@contextmanager
def _without_stderr() -> Iterator[None]:
    """Discard what Ray and its processes print while they start; errors are raised."""
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


class _Encoder:
    """An actor: one bundle, with one thread."""

    def __init__(self, path: str, device: Device, raw: bool) -> None:
        self._bundle = load_bundle(path, device=device, threads=1)
        self._bundle.open_graphs([ENCODER_FILE])
        self._raw = raw

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[bytes]]:
        """Decode and encode the chunks of a batch."""
        return {"encoded": [pickle.dumps(self._encode(pickle.loads(item))) for item in batch["chunk"]]}  # noqa: S301

    def _encode(self, chunk: Chunk) -> Encoded:
        ready = chunk.ready(self._bundle.image, raw=self._raw)
        if ready is not None:
            return encode_chunk(self._bundle, chunk, Decoded(ready, {}))
        decoded = decode(
            chunk.names, chunk.sources(), self._bundle.image, raw=self._raw, read=read_with_timeout
        )
        return encode_chunk(self._bundle, chunk, decoded)
