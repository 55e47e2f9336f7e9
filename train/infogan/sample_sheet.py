"""Sheets of fixed latents that a training writes: a traversal beside real images, and a row for each code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import torch

from infogan_tool.runtime.images.arrays import sheet, to_uint8
from infogan_tool.runtime.images.files import save_png
from infogan_tool.runtime.latents.sampling import code_row_length, code_rows, sheet_code, traversal

if TYPE_CHECKING:
    from pathlib import Path

    from infogan_tool.train.data.source import ImageSource
    from infogan_tool.train.infogan.networks import Networks

_REAL_COLUMNS: Final = 5
_WHITE: Final = 255
_GAP: Final = 8


def write_sample_sheet(path: Path, networks: Networks, images: ImageSource, *, seed: int) -> None:
    """Write a PNG: images of the exported generator on the left, real ones on the right.

    Rows are the categories of the first categorical code and columns the first continuous code from -2 to 2
    (for other latents see :func:`infogan_tool.runtime.latents.sampling.traversal`). The latents are the same
    each time, so that the sheets of a run show its progress.

    Args:
        path: File to write.
        networks: In training mode; their state does not change.
        images: Real images; some are shown, spread evenly over them.
        seed: Of the fixed noise.
    """
    spec = networks.latent
    plan = traversal(spec, sheet_code(spec), seed=seed)
    generated = to_uint8(networks.generate(plan.latents), networks.image)
    device, count = next(networks.parameters()).device, plan.rows * _REAL_COLUMNS
    chosen = torch.arange(0, len(images), max(1, len(images) // count), device=device)[:count]
    real = images[chosen].cpu().permute(0, 2, 3, 1).numpy()
    left, right = sheet(generated, plan.columns), sheet(real, _REAL_COLUMNS)
    height = max(len(left), len(right))
    left, right = (
        np.pad(panel, ((0, height - len(panel)), (0, 0), (0, 0)), constant_values=_WHITE)
        for panel in (left, right)
    )
    gap = np.full((height, _GAP, left.shape[2]), _WHITE, np.uint8)
    save_png(path, np.concatenate([left, gap, right], axis=1))


def write_code_sheet(path: Path, networks: Networks, *, seed: int) -> None:
    """Write a PNG with a row for each code, in which that code alone varies over its trained range.

    The row of a code with fewer than ten categories ends in white.

    Args:
        path: File to write.
        networks: In training mode; their state does not change.
        seed: Of the fixed latent; see :func:`infogan_tool.runtime.latents.sampling.code_rows`.
    """
    latents, columns = code_rows(networks.latent, seed=seed)
    images = to_uint8(networks.generate(latents), networks.image)
    for row, code in enumerate(networks.latent.code_names[: len(images) // columns]):
        images[row * columns + code_row_length(networks.latent, code) : (row + 1) * columns] = _WHITE
    save_png(path, sheet(images, columns))
