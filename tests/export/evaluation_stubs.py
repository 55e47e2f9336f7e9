"""Bars as images, and bundles of numpy alone that are perfect, useless or degenerate by construction."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch

from infogan_tool.export.evaluation.real_images import RealImages
from infogan_tool.runtime.bundle.reading import Posterior
from infogan_tool.runtime.images.arrays import to_uint8
from infogan_tool.runtime.images.spec import ImageSpec
from infogan_tool.runtime.latents.sampling import Latents, sample
from infogan_tool.runtime.latents.spec import LatentSpec
from infogan_tool.train.data import ImageSet

if TYPE_CHECKING:
    import numpy.typing as npt

SIZE = 24
HEIGHTS = (16.0, 8.0)
FAINT = 0.0009
"""Twice that, and half a step of 8 bits is not reached."""
FINE = 6
"""Points on a side of a pixel."""


def bars(
    slant_degrees: npt.ArrayLike,
    width: npt.ArrayLike,
    height: npt.ArrayLike,
    *,
    size: int = SIZE,
    centre: tuple[float, float] = (0.0, 0.0),
) -> npt.NDArray[np.float32]:
    """Draw leaning bars: float32 (N, H, W), each pixel the share of it that the bar covers."""
    lean, wide, high = (
        np.atleast_1d(np.asarray(v, float))[:, None, None] for v in (slant_degrees, width, height)
    )
    y = size / 2 - (np.arange(size * FINE)[:, None] + 0.5) / FINE - centre[1]
    middle = np.tan(np.radians(lean)) * y + size / 2 + centre[0]
    # The points of each row that the bar covers, counted by pixel.
    first = np.ceil((middle - wide / 2) * FINE - 0.5)
    last = np.floor((middle + wide / 2) * FINE - 0.5)
    start = np.arange(size) * FINE
    covered = (np.minimum(last, start + FINE - 1) - np.maximum(first, start) + 1).clip(0)
    inside = covered * (np.abs(y) <= high / 2) / FINE
    return inside.reshape(-1, size, FINE, size).mean(axis=2, dtype=np.float32)


def as_bytes(images: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    return np.rint(images * 255).astype(np.uint8)[..., None]


class BarBundle:
    """Two categories (tall and short bars), c1 slant, c2 stroke width; c3 does nothing.

    ``perfect``: the encoder reads all that can be read. ``useless``: images are noise and the encoder knows
    nothing. ``degenerate``: images are black and the encoder is sure of category 0 and of 0. ``hidden``: as
    perfect, and c3 is in a corner, too faint for an image file, and the encoder knows.
    """

    latent = LatentSpec(noise=2, noise_prior="uniform", categorical=(2,), continuous=3)
    image = ImageSpec(size=SIZE, channels=1, low=0.0, high=1.0)
    metadata = SimpleNamespace(bundle_id="0" * 32, training={})

    def __init__(self, kind: Literal["perfect", "useless", "degenerate", "hidden"]) -> None:
        self.kind = kind

    def sample(self, n: int, seed: int = 0) -> Latents:
        return sample(self.latent, n, seed)

    def generate(self, latents: Latents) -> npt.NDArray[np.float32]:
        n = len(latents)
        if self.kind == "degenerate":
            return np.zeros((n, 1, SIZE, SIZE), np.float32)
        if self.kind == "useless":
            return np.random.default_rng(0).random((n, 1, SIZE, SIZE), np.float32)
        heights = np.array(HEIGHTS)[latents.categories[:, 0]]
        drawn = bars(25 * latents.styles[:, 0], 3 + latents.styles[:, 1], heights)
        if self.kind == "hidden":
            drawn[:, 0, 0] = FAINT * (1 + latents.styles[:, 2])
        return drawn[:, None]

    def encode(self, images: npt.NDArray[Any]) -> Posterior:
        from infogan_tool.export.evaluation.metrics.attributes import measure_attributes  # noqa: PLC0415

        corner = images[:, 0, 0].reshape(-1) / 255 if images.dtype == np.uint8 else images[:, 0, 0, 0]
        if images.dtype != np.uint8:
            images = to_uint8(images, self.image)
        n = len(images)
        category, mean, std = np.zeros(n, np.int64), np.zeros((n, 3)), np.full((n, 3), 0.02)
        probabilities = np.full((n, 2), 0.5)
        if self.kind == "useless":
            std[:] = np.sqrt(1 / 3)
        if self.kind in {"perfect", "hidden"}:
            seen = measure_attributes(images)
            category = (seen["height"] < 12).astype(np.int64)
            mean[:, 0], mean[:, 1] = seen["slant"] / 25, seen["stroke_width"] - 3
            std[:, 0], std[:, 1], std[:, 2] = 0.05, 0.3, np.sqrt(1 / 3)
        if self.kind == "hidden":
            mean[:, 2] = corner / FAINT - 1
        if self.kind != "useless":
            probabilities = np.where(np.arange(2) == category[:, None], 0.999, 0.001)
        return Posterior(
            (probabilities.astype(np.float32),),
            category[:, None],
            probabilities.max(axis=1, keepdims=True).astype(np.float32),
            mean.astype(np.float32),
            std.astype(np.float32),
        )


def bar_images(n: int, seed: int, *, labels: bool = True) -> ImageSet:
    """Real input_images of the perfect bundle's kind; the label is 1 for tall bars."""
    latents = sample(BarBundle.latent, n, seed)
    input_images = to_uint8(BarBundle("perfect").generate(latents), BarBundle.image).transpose(0, 3, 1, 2)
    return ImageSet(
        images=torch.from_numpy(np.ascontiguousarray(input_images)),
        labels=torch.from_numpy(1 - latents.categories[:, 0]) if labels else None,
        label_names=("short", "tall") if labels else None,
        name="bars",
    )


def real_bars(*, labels: bool = True, test: bool = True) -> RealImages:
    return RealImages(
        train=bar_images(300, 1, labels=labels), test=bar_images(200, 2, labels=labels) if test else None
    )
