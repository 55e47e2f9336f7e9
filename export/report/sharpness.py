"""How sharp images are: a blurred image has little fine structure for the contrast that it has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["sharpness"]

_LUMA: Final = (0.299, 0.587, 0.114)


def sharpness(images: NDArray[np.uint8]) -> float | None:
    """Return the energy of the images' Laplacian over their variance, of all images together.

    The Laplacian of a pixel is four times its luma less those of its four neighbours. Dividing by the
    variance makes it the same for thick and thin, bright and faint drawings alike as far as edges go; blur
    lowers it, grain raises it. Use it as a ratio to what real images have.

    Args:
        images: uint8 ``(N, H, W, C)``, C 1 or 3.

    Returns:
        At least 0; None where there is no image of three pixels each way, or nothing but even ones.
    """
    if not len(images) or min(images.shape[1:3]) < 3:  # noqa: PLR2004 - a pixel with neighbours
        return None
    luma = images.astype(np.float32) @ np.array(
        _LUMA if images.shape[3] == len(_LUMA) else (1.0,), np.float32
    )
    inner = luma[:, 1:-1, 1:-1]
    neighbours = luma[:, :-2, 1:-1] + luma[:, 2:, 1:-1] + luma[:, 1:-1, :-2] + luma[:, 1:-1, 2:]
    energy = float(np.mean((4 * inner - neighbours) ** 2, dtype=np.float64))
    variance = float(luma.var(axis=(1, 2), dtype=np.float64).mean())
    return energy / variance if variance > 0 else None
