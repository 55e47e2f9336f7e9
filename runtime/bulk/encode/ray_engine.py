"""Encoding on Ray Data: one encoder for each actor, on as many machines as the cluster has.

The chunks travel as names and places, so files must be readable under the same path on every machine, and the
bundle too. What an actor was at when it died is done again; results come back in the order of the inputs.
"""

from __future__ import annotations

import logging
import os
import pickle
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from infogan_tool.runtime.bulk.decode.deadline import read_in_time
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

__all__ = ["encode_on_ray"]

_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",  # nothing phones home
    "RAY_DATA_DISABLE_PROGRESS_BARS": "1",
    "RAY_DATA_LOG_LEVEL": "ERROR",
    "RAY_BACKEND_LOG_LEVEL": "fatal",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # its coming default; unset, Ray warns of the change
}


def encode_on_ray(
    bundle: Bundle, chunks: Iterable[Chunk], *, device: Device, raw: bool, workers: int | None
) -> Generator[Encoded]:
    """Encode chunks on the cluster that ``RAY_ADDRESS`` names, or on one started here for the while.

    Args:
        bundle: The opened bundle; each actor opens it by its path.
        chunks: All of them are listed before the first is encoded.
        device: Where each actor's encoder runs; ``"cuda"`` asks the cluster for a GPU for each.
        raw: Leave images unpreprocessed but for their size.
        workers: Actors; None is one for each core of the cluster, or each GPU with ``"cuda"``.

    Yields:
        Each chunk, in order.

    Raises:
        MissingExtraError: Ray is not installed.
        DeviceError: The cluster has no core or GPU for an actor.
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
    there = int(ray.cluster_resources().get(kind, 0))
    if there < 1:
        raise DeviceError(f"the Ray cluster has no {kind} for an encoder")
    actors = max(1, min(workers or there, there, len(listed)))
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
    """Keep to itself what Ray's own processes and libraries say of their start; errors are raised."""
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
    """What runs in each actor: one bundle with one thread; Ray starts as many actors as there are cores."""

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
        decoded = decode(chunk.names, chunk.sources(), self._bundle.image, raw=self._raw, read=read_in_time)
        return encode_chunk(self._bundle, chunk, decoded)
