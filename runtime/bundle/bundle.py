"""Load a bundle and run it: images to codes, codes to images.

:func:`load_bundle` makes every check that needs no onnxruntime. A graph is opened on first use, so encoding
an image never opens the generator.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Final, get_args, overload

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
from infogan_tool.runtime.bundle.reading import (
    NOISE_SAMPLES,
    Posterior,
    Reading,
    edit_latents,
    find_code,
    make_posterior,
    make_readings,
    resolve_codes,
)
from infogan_tool.runtime.errors import BundleError, DeviceError, LatentError, did_you_mean
from infogan_tool.runtime.images.arrays import check_images, to_float, to_uint8
from infogan_tool.runtime.inference.device import Device, default_threads
from infogan_tool.runtime.inference.session import CUDA_PROVIDER, GraphSession
from infogan_tool.runtime.inference.shards import BATCH_ROWS, ShardPool, split
from infogan_tool.runtime.latents import sampling

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    import numpy.typing as npt
    from PIL.Image import Image

    from infogan_tool.runtime.bundle.metadata import BundleMetadata
    from infogan_tool.runtime.images.files import ImageLike
    from infogan_tool.runtime.images.spec import ImageSpec
    from infogan_tool.runtime.latents.sampling import Latents, Traversal
    from infogan_tool.runtime.latents.spec import LatentSpec

_MODELS: Final = Path(__file__).parent.parent / "models"
PRETRAINED_BUNDLE: Final = _MODELS / "mnist"
"""The pretrained bundle that the package contains; ``mnist-int8`` beside it is the same in int8."""


class Bundle:
    """A generator and its encoder, made by :func:`load_bundle`; thread-safe."""

    def __repr__(self) -> str:
        codes, image = ", ".join(self.latent.code_names), self.image
        return f"Bundle({str(self.path)!r}, {codes}; {image.size} x {image.size} x {image.channels})"

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
        """The bundle's folder."""
        self.metadata = metadata
        """The content of metadata.json."""
        self._contents = contents
        self._sessions: dict[str, GraphSession] = {}
        self._lock = Lock()
        self._device = device
        self._pool = ShardPool(threads or (1 if one_shot else default_threads()))
        self._one_shot = one_shot

    @property
    def latent(self) -> LatentSpec:
        """The latent spec, that of the generator's input and of the encoder's output."""
        return self.metadata.latent

    @property
    def image(self) -> ImageSpec:
        """The image spec, that of the generator's output and of the encoder's input."""
        return self.metadata.image

    @property
    def provider(self) -> str:
        """The execution provider in use, such as ``"CPUExecutionProvider"``. Opens a graph if none is."""
        return self._any_session().provider

    @property
    def fallback(self) -> str | None:
        """Why device ``"auto"`` runs on the CPU although there is a GPU; None otherwise."""
        return self._any_session().fallback

    # --- images to codes -----------------------------------------------------------------------------

    def encode(self, images: npt.NDArray[Any]) -> Posterior:
        """Return Q(c|x) of N images; N may be 0.

        Args:
            images: uint8 ``(N, H, W, C)``, or ``(N, H, W)`` where the bundle has one channel, from 0 (black)
                to 255; or float32 ``(N, C, H, W)`` in the bundle's range, as :meth:`generate` returns.

        Raises:
            ImageError: The array is neither.
            BundleError: The encoder cannot be opened or run.
            DeviceError: The requested device cannot be used.
        """
        images = check_images(images, self.image)
        outputs = self._run(
            ENCODER_FILE,
            len(images),
            lambda rows: {"images": to_float(images[rows], self.image)},
            encoder_outputs(self.latent, distance=self.metadata.ood is not None),
        )
        return make_posterior(self.metadata, outputs)

    @overload
    def read(  # type: ignore[overload-overlap]  # str is a sequence of str
        self, source: ImageLike, *, raw: bool = False
    ) -> Reading: ...
    @overload
    def read(self, source: Sequence[ImageLike], *, raw: bool = False) -> list[Reading]: ...
    def read(self, source: ImageLike | Sequence[ImageLike], *, raw: bool = False) -> Reading | list[Reading]:
        """Preprocess an image and infer its codes.

        Args:
            source: What :func:`~infogan_tool.runtime.images.files.load_image` takes: a path, content, an open
                file, a PIL image or an array. A list or tuple of them is read at once.
            raw: Only pad and resize, whatever preprocessing the bundle declares.

        Returns:
            The reading; a list of them for several images.

        Raises:
            ImageError: An image cannot be read.
            BundleError, DeviceError: As :meth:`encode`.
        """
        from infogan_tool.runtime.images.files import load_image  # noqa: PLC0415 - start-up time

        sources = source if isinstance(source, (list, tuple)) else [source]
        images = np.empty((len(sources), *self.image.shape), np.float32)
        for row, one in enumerate(sources):
            images[row] = load_image(one, self.image, raw=raw)
        readings = make_readings(self.metadata, self.encode(images), images)
        return readings if isinstance(source, (list, tuple)) else readings[0]

    def labels(self, posterior: Posterior, code: str | None = None) -> list[str | None]:
        """Return the label of each image's most probable category, such as ``["7", "2"]``.

        Args:
            posterior: What :meth:`encode` returned.
            code: The categorical code; None is the first one whose categories have labels.

        Returns:
            N labels; None for a category without a label.

        Raises:
            BundleError: The metadata has no labels, and ``code`` is None.
            LatentError: There is no such categorical code.
        """
        if code is None:
            code = self.metadata.labelled_code
            if code is None:
                raise BundleError(
                    f"{self.path} has no labels: use posterior.categories, the category indices"
                )
        column = self.latent.categorical_index(code)
        return [self.metadata.label(code, index) for index in posterior.categories[:, column].tolist()]

    def examples(self) -> npt.NDArray[np.uint8]:
        """Return the example images that the bundle carries: uint8 ``(N, H, W, C)``; N may be 0.

        Raises:
            BundleError: Their file is missing, damaged or another one.
        """
        from infogan_tool.runtime.bundle.example_images import read_examples  # noqa: PLC0415 - start-up time

        return read_examples(self.path, self.metadata)

    # --- codes to images -----------------------------------------------------------------------------

    def generate(self, latents: Latents) -> npt.NDArray[np.float32]:
        """Generate the image of each latent: float32 ``(N, C, H, W)`` in the bundle's range; N may be 0.

        On the CPU, an image is the same to the bit whatever else is in the batch.

        Raises:
            LatentError: The latents are not of the bundle's latent spec.
            BundleError: The generator cannot be opened or run.
            DeviceError: The requested device cannot be used.
        """
        if not isinstance(latents, sampling.Latents):
            raise LatentError(f"latents are a {type(latents).__name__}: give Latents, as sample returns them")
        latents.check(self.latent)
        names = generator_inputs(self.latent)
        return self._run(
            GENERATOR_FILE,
            len(latents),
            lambda rows: {name: getattr(latents, name)[rows] for name in names},
            generator_outputs(self.image),
        )["images"]

    @overload
    def edit(  # type: ignore[overload-overlap]  # str is a sequence of str
        self, source: ImageLike, *, seed: int = 0, raw: bool = False, **codes: float | str
    ) -> Image: ...
    @overload
    def edit(
        self, source: Sequence[ImageLike], *, seed: int = 0, raw: bool = False, **codes: float | str
    ) -> list[Image]: ...
    def edit(
        self,
        source: ImageLike | Sequence[ImageLike],
        *,
        seed: int = 0,
        raw: bool = False,
        **codes: float | str,
    ) -> Image | list[Image]:
        """Infer the codes of an image, change some of them, and generate.

        Q infers the codes and not the noise. Of 64 sampled noise vectors the one is used with which the
        generator, given the inferred codes, comes nearest to the image.

        Args:
            source: As in :meth:`read`.
            seed: Seed of the noise.
            raw: As in :meth:`read`.
            codes: New values: ``c1=1.0`` of a continuous code, which may also be called by its name
                (``slant=1.0``); ``k1=3``, a category, or ``k1="7"``, the label of one.

        Returns:
            The generated image as a PIL image; a list of them for several images.

        Raises:
            LatentError: There is no such code or label, or a value is out of range.
            ImageError, BundleError, DeviceError: As :meth:`read`.
        """
        from PIL.Image import fromarray  # noqa: PLC0415 - start-up time

        found = self.read(source, raw=raw)
        readings = found if isinstance(found, list) else [found]
        noise = self.sample(NOISE_SAMPLES, seed).noise
        images = to_uint8(
            self.generate(edit_latents(self.metadata, readings, codes, noise, self.generate)), self.image
        )
        edited = [fromarray(image[..., 0] if image.shape[2] == 1 else image) for image in images]
        return edited if isinstance(found, list) else edited[0]

    def sample(
        self,
        n: int,
        seed: int = 0,
        *,
        start: int = 0,
        categories: Mapping[str, int | str | Iterable[int | str]] | None = None,
        styles: Mapping[str, float] | None = None,
    ) -> Latents:
        """Sample latents from the prior; see :func:`infogan_tool.runtime.latents.sampling.sample`.

        Styles may be called by their names, and categories by their labels: ``{"k1": "7"}``.
        """
        chosen, fixed = resolve_codes(self.metadata, categories, styles)
        return sampling.sample(self.latent, n, seed, start=start, categories=chosen, styles=fixed)

    def traverse(
        self,
        code: str,
        *,
        seed: int = 0,
        low: float | None = None,
        high: float | None = None,
        steps: int = 10,
        rows: int = 10,
    ) -> Traversal:
        """Return latents that vary one code; see :func:`infogan_tool.runtime.latents.sampling.traversal`.

        A style may be called by its name.
        """
        code = find_code(self.metadata, code)
        return sampling.traversal(self.latent, code, seed=seed, low=low, high=high, steps=steps, rows=rows)

    # --- sessions --------------------------------------------------------------------------------------

    def open_graphs(self, files: Iterable[str] = GRAPH_FILES) -> None:
        """Open graphs now rather than on first use.

        Raises:
            BundleError, DeviceError: As :meth:`encode`.
        """
        for file in files:
            self._session(file)

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
        feeds_of: Callable[[slice], dict[str, npt.NDArray[Any]]],
        shapes: dict[str, tuple[int, ...]],
    ) -> dict[str, npt.NDArray[np.float32]]:
        """Run ``count`` rows through a graph in shards; return the outputs by name."""
        outputs = {name: np.empty((count, *shape), np.float32) for name, shape in shapes.items()}
        if not count:
            return outputs
        session = self._session(file)

        def run(rows: slice) -> None:
            feeds = feeds_of(rows)
            if rows.stop - rows.start == 1:
                # The matrix product of a single row sums in another order, which would change the last bits.
                feeds = {name: np.repeat(values, 2, axis=0) for name, values in feeds.items()}
            for name, values in session.run(feeds).items():
                outputs[name][rows] = values[: rows.stop - rows.start]

        if session.provider == CUDA_PROVIDER:
            for rows in split(count, rows=BATCH_ROWS):
                run(rows)
        else:
            self._pool.run(run, split(count, self._pool.workers))
        for name, values in outputs.items():
            if not np.isfinite(values).all():
                raise BundleError(f"{self.path / file}: output {name} is not finite; its weights are damaged")
        return outputs


def find_bundle(path: str | Path | None) -> Path:
    """Return a bundle's folder.

    Args:
        path: The folder; None is the pretrained MNIST bundle. ``"mnist"`` and ``"mnist-int8"`` are the
            pretrained bundles unless a file or folder of that name exists.
    """
    if path is None:
        return PRETRAINED_BUNDLE
    folder = Path(path)
    pretrained = _MODELS / folder.name
    is_name = folder.parts == (pretrained.name,)
    return pretrained if is_name and not folder.exists() and pretrained.is_dir() else folder


def load_bundle(
    path: str | Path | None = None,
    *,
    device: Device = "auto",
    threads: int | None = None,
    one_shot: bool = False,
) -> Bundle:
    """Load a bundle and check its files and metadata.

    Args:
        path: See :func:`find_bundle`.
        device: ``"cpu"``; ``"cuda"``, an error where CUDA does not work; or ``"auto"``, CUDA if there is a
            working GPU and the CPU otherwise.
        threads: CPU threads; None means every core that this process may use.
        one_shot: Minimise the time to the first result instead of the throughput, for a few images. Graph
            files are then read and checked on first use.

    Raises:
        BundleError: A file is missing or cannot be read, the schema is unknown, or a file is not the one
            that the metadata describes.
        DeviceError: There is no such device.
    """
    if device not in get_args(Device):
        raise DeviceError(f"unknown device '{device}'{did_you_mean(str(device), get_args(Device))}")
    folder = find_bundle(path)
    metadata = read_metadata(folder)
    contents = {file: read_graph(folder, file, metadata) for file in (() if one_shot else GRAPH_FILES)}
    return Bundle(folder, metadata, contents, device=device, threads=threads, one_shot=one_shot)
