"""Sharpness of images: the amount of fine structure relative to their contrast."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from infogan_tool.export.evaluation.metrics.attributes import luma

if TYPE_CHECKING:
    from numpy.typing import NDArray


def sharpness(images: NDArray[np.uint8]) -> float | None:
    """Return the energy of the Laplacian over the variance of the luma, over all images together.

    The Laplacian of a pixel is four times its luma minus those of its four neighbours. The variance removes
    the effect of contrast; blur lowers the result, grain raises it. Use it relative to that of real images.

    Args:
        images: uint8 ``(N, H, W, C)``, C 1 or 3.

    Returns:
        At least 0; None if there are no images, they are smaller than 3 x 3, or all are uniform.
    """
    if not len(images) or min(images.shape[1:3]) < 3:  # noqa: PLR2004 - a pixel with neighbours
        return None
    grey = luma(images)
    neighbours = grey[:, :-2, 1:-1] + grey[:, 2:, 1:-1] + grey[:, 1:-1, :-2] + grey[:, 1:-1, 2:]
    energy = float(np.mean((4 * grey[:, 1:-1, 1:-1] - neighbours) ** 2, dtype=np.float64))
    variance = float(grey.var(axis=(1, 2), dtype=np.float64).mean())
    return energy / variance if variance > 0 else None
