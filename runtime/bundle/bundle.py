"""A bundle on disk, opened: images to codes and codes to images.

Everything that can be refused without onnxruntime is refused by :func:`load_bundle`; each graph is opened
when it is first needed, so that encoding one image does not pay for the generator.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from infogan_tool.runtime.bundle.check_graphs import check_graph, read_graph
from infogan_tool.runtime.bundle.metadata import (
    ENCODER_FILE,
    GENERATOR_FILE,
    GRAPH_FILES,
    encoder_outputs,
    generator_inputs,
    generator_outputs,
    read_metadata,
)
from infogan_tool.runtime.errors import BundleError
from infogan_tool.runtime.images.arrays import check_images, to_float
from infogan_tool.runtime.inference.device import default_threads
from infogan_tool.runtime.inference.session import GraphSession
from infogan_tool.runtime.inference.shards import ShardPool, split
from infogan_tool.runtime.latents import sampling

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    import numpy.typing as npt

    from infogan_tool.runtime.bundle.metadata import BundleMetadata, ImageSpec
    from infogan_tool.runtime.inference.device import Device
    from infogan_tool.runtime.latents.sampling import Latents, Traversal
    from infogan_tool.runtime.latents.spec import LatentSpec

__all__ = ["CHUNK", "PRETRAINED_BUNDLE", "Bundle", "Posterior", "find_bundle", "load_bundle"]

_MODELS: Final = Path(__file__).parent.parent / "models"
PRETRAINED_BUNDLE: Final = _MODELS / "mnist"
"""The pretrained bundle that the package contains; ``mnist-int8`` beside it is the same in int8."""

CHUNK: Final = 256
"""Most images that go through a graph at once, so that memory does not grow with N; fewer on a CPU."""


@dataclass(frozen=True, eq=False, slots=True)
class Posterior:
    """Q(c|x) of N images. K categorical codes, C continuous codes; either may be 0."""

    probabilities: tuple[npt.NDArray[np.float32], ...]
    """``(N, k)`` for each categorical code of k categories; each row sums to 1."""
    categories: npt.NDArray[np.int64]
    """``(N, K)``: the most probable category of each categorical code."""
    confidence: npt.NDArray[np.float32]
    """``(N, K)``: its probability."""
    style_mean: npt.NDArray[np.float32]
    """``(N, C)``: mean of each continuous code."""
    style_std: npt.NDArray[np.float32]
    """``(N, C)``: standard deviation of each continuous code."""
    distance: npt.NDArray[np.float32] | None = None
    """``(N,)``: OOD score, the distance from the training images; None where the bundle has no OOD output."""
    ood: npt.NDArray[np.bool_] | None = None
    """``(N,)``: True where the distance is above the threshold (out of distribution); None likewise."""


class Bundle:
    """A generator and its encoder. Made by :func:`load_bundle`; usable from several threads."""

    def __init__(
        self,
        path: Path,
        metadata: BundleMetadata,
        contents: dict[str, bytes],
        *,
        device: Device,
        threads: int | None,
        one_shot: bool,
    ) -> None:
        self.path = path
        """The folder it was read from."""
        self.metadata = metadata
        """Everything that the bundle says of itself."""
        self._contents = contents
        self._sessions: dict[str, GraphSession] = {}
        self._lock = Lock()
        self._device = device
        self._pool = ShardPool(threads or (1 if one_shot else default_threads()))
        self._one_shot = one_shot

    @property
    def latent(self) -> LatentSpec:
        """What goes into the generator and comes out of the encoder."""
        return self.metadata.latent

    @property
    def image(self) -> ImageSpec:
        """What comes out of the generator and goes into the encoder."""
        return self.metadata.image

    @property
    def provider(self) -> str:
        """The execution provider in use, such as ``"CPUExecutionProvider"``; opens a graph to find out."""
        return self._any_session().provider

    @property
    def fallback(self) -> str | None:
        """Why device ``"auto"`` does not use the GPU that is there; None when it does or there is none."""
        return self._any_session().fallback

    # --- images to codes -----------------------------------------------------------------------------

    def encode(self, images: npt.NDArray[Any]) -> Posterior:
        """Recover the codes of N images; N may be 0.

        Args:
            images: uint8 ``(N, H, W, C)``, or ``(N, H, W)`` where the bundle has one channel, from 0 (black)
                to 255; or float32 ``(N, C, H, W)`` in the bundle's range, as :meth:`generate` returns.

        Raises:
            ImageError: The array is neither.
            BundleError: The encoder cannot be opened or run.
            DeviceError: The device asked for cannot be used.
        """
        images = check_images(images, self.image)

        def feed(rows: slice) -> dict[str, npt.NDArray[Any]]:
            return {"images": to_float(images[rows], self.image)}

        ood = self.metadata.ood
        shapes = encoder_outputs(self.latent, distance=ood is not None)
        found = self._run(ENCODER_FILE, len(images), feed, shapes)
        together, mean, std = (
            found.get(name, np.empty((len(images), 0), np.float32))
            for name in ("probabilities", "style_mean", "style_std")
        )
        probabilities = tuple(together[:, place] for place in self.latent.logit_slices)
        categories = np.empty((len(images), len(probabilities)), np.int64)
        confidence = np.empty(categories.shape, np.float32)
        for column, table in enumerate(probabilities):
            categories[:, column] = table.argmax(axis=1)
            confidence[:, column] = table.max(axis=1)
        distance = found["distance"][:, 0] if ood else None
        # Negated, so that a distance that is not a number counts as out of distribution.
        flags = ~(distance <= ood.threshold) if ood and distance is not None else None
        return Posterior(probabilities, categories, confidence, mean, std, distance, flags)

    # --- codes to images -----------------------------------------------------------------------------

    def generate(self, latents: Latents) -> npt.NDArray[np.float32]:
        """Draw the image of each latent: float32 ``(N, C, H, W)`` in the bundle's range; N may be 0.

        An image does not depend on what is drawn with it: on the CPU it is the same to the bit at any N.

        Raises:
            LatentError: The latents are not of the bundle's latent spec.
            BundleError: The generator cannot be opened or run.
            DeviceError: The device asked for cannot be used.
        """
        latents.check(self.latent)
        names = generator_inputs(self.latent)
        shapes = generator_outputs(self.image)

        def feed(rows: slice) -> dict[str, npt.NDArray[Any]]:
            return {name: getattr(latents, name)[rows] for name in names}

        return self._run(GENERATOR_FILE, len(latents), feed, shapes)["images"]

    def sample(
        self,
        n: int,
        seed: int = 0,
        *,
        start: int = 0,
        categories: Mapping[str, int] | None = None,
        styles: Mapping[str, float] | None = None,
    ) -> Latents:
        """Draw latents from the prior; see :func:`infogan_tool.runtime.latents.sampling.sample`."""
        return sampling.sample(self.latent, n, seed, start=start, categories=categories, styles=styles)

    def traverse(
        self,
        code: str,
        *,
        seed: int = 0,
        low: float = -2.0,
        high: float = 2.0,
        steps: int = 10,
        rows: int = 10,
    ) -> Traversal:
        """Return the latents of a sheet that varies one code."""
        return sampling.traversal(self.latent, code, seed=seed, low=low, high=high, steps=steps, rows=rows)

    # --- sessions --------------------------------------------------------------------------------------

    def warm_up(self, files: Iterable[str] = GRAPH_FILES) -> None:
        """Open graphs and, on a GPU, run each batch size once: the first of its size takes longest.

        Args:
            files: The graphs that will be used.

        Raises:
            BundleError, DeviceError: As :meth:`encode`.
        """
        for file in files:
            self._session(file).warm_up()

    def _any_session(self) -> GraphSession:
        return self._session(next(iter(self._sessions), ENCODER_FILE))

    def _session(self, file: str) -> GraphSession:
        with self._lock:
            if file not in self._sessions:
                content = self._contents.pop(file, None) or read_graph(self.path, file, self.metadata)
                session = GraphSession(
                    content,
                    device=self._device,
                    threads=1,  # each shard runs in a thread of its own
                    one_shot=self._one_shot,
                    name=str(self.path / file),
                    check=partial(check_graph, metadata=self.metadata, path=self.path / file),
                )
                check_graph(session, self.metadata, self.path / file)
                self._sessions[file] = session
            return self._sessions[file]

    def _run(
        self,
        file: str,
        count: int,
        feed: Callable[[slice], dict[str, npt.NDArray[Any]]],
        shapes: dict[str, tuple[int, ...]],
    ) -> dict[str, npt.NDArray[np.float32]]:
        """Run ``count`` rows through a graph in shards; return the outputs by name."""
        found = {name: np.empty((count, *shape), np.float32) for name, shape in shapes.items()}
        if not count:
            return found
        session = self._session(file)

        def run(rows: slice) -> None:
            feeds = feed(rows)
            if rows.stop - rows.start == 1:
                # A matrix product of one row adds in another order than the same row among others, so that
                # the last bits would depend on the batch size. Two rows do not.
                feeds = {name: np.repeat(values, 2, axis=0) for name, values in feeds.items()}
            for name, values in session.run(feeds).items():
                found[name][rows] = values[: rows.stop - rows.start]

        if session.bucketed:
            for start in range(0, count, CHUNK):
                run(slice(start, min(start + CHUNK, count)))
        else:
            self._pool.run(run, split(count, self._pool.workers))
        for name, values in found.items():
            if not np.isfinite(values).all():
                raise BundleError(f"{self.path / file}: output {name} is not finite; its weights are damaged")
        return found


def find_bundle(path: str | Path | None) -> Path:
    """Return a bundle's folder.

    Args:
        path: The folder; None is the MNIST bundle that ships with the package. ``"mnist"`` and
            ``"mnist-int8"`` are those that ship, unless there is a file or folder of that name.
    """
    if path is None:
        return PRETRAINED_BUNDLE
    folder = Path(path)
    shipped = _MODELS / folder.name
    return shipped if folder.parts == (shipped.name,) and not folder.exists() and shipped.is_dir() else folder


def load_bundle(
    path: str | Path | None = None,
    *,
    device: Device = "auto",
    threads: int | None = None,
    one_shot: bool = False,
) -> Bundle:
    """Read a bundle and check everything that can be checked without opening its graphs.

    Args:
        path: See :func:`find_bundle`.
        device: ``"cpu"``; ``"cuda"``, which is an error where CUDA does not work; or ``"auto"``, which uses
            CUDA where a GPU is there and falls back to the CPU.
        threads: CPU threads; None means every core that this process may use.
        one_shot: Open the graphs fast rather than run them fast: for a handful of images. Each is then read
            and checked when it is first needed.

    Raises:
        BundleError: A file is missing or cannot be read, the schema is not known, or a file is not the one
            that the metadata was written for.
    """
    folder = find_bundle(path)
    metadata = read_metadata(folder)
    # For a handful of images, a graph that may not be needed is read when it is.
    files = () if one_shot else GRAPH_FILES
    contents = {file: read_graph(folder, file, metadata) for file in files}
    return Bundle(folder, metadata, contents, device=device, threads=threads, one_shot=one_shot)
