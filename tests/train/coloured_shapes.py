"""Colour images of shapes, and preset `mnist` at a size that trains on them in seconds."""

from __future__ import annotations

import colorsys
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from infogan_tool.train.config.files import deep_merge, validate_config
from infogan_tool.train.config.presets import mnist as mnist_preset

if TYPE_CHECKING:
    from torch import Tensor

    from infogan_tool.train.config.schema import TrainConfig


def small_preset(changes: dict[str, Any] | None = None) -> TrainConfig:
    small = {
        "latent": {"categorical": [3], "noise": 8},
        "data": {"size": 16, "channels": 3},
        "networks": {"base_width": 8, "full_width": 32, "q_width": 16, "q_features": 32},
        "objective": {"axis_alignments": 2},
        "precision": "fp32",
        "clustering": {
            "batch_size": 50,
            "contrastive": {"epochs": 6},
            "neighbours": {"pca_components": 16, "candidates": 20},
            "grouping": {"eigenvectors": 12, "restarts": 2},
            "refinement": {"epochs": 8},
        },
        "consolidation": {"steps": 9},
        "schedule": {"batch_size": 50, "steps": 4, "log_every": 5},
    }
    return validate_config(deep_merge(deep_merge(mnist_preset(), small), changes or {}))


def shapes(count: int) -> tuple[Tensor, Tensor]:
    """Return images of bars, discs and crosses, uint8 ``(count, 3, 16, 16)``, and which shape each shows."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:16, :16]
    images, kinds = np.zeros((count, 3, 16, 16), np.uint8), rng.integers(0, 3, count)
    for image, kind in zip(images, kinds, strict=True):
        cx, cy = rng.uniform(6, 9, 2)
        dx, dy = np.abs(x - cx), np.abs(y - cy)
        inside = [  # signed distance to the shape's border; edges are antialiased
            np.minimum(rng.uniform(1, 2.5) - dx, 7 - dy),
            rng.uniform(3.5, 5.5) - np.hypot(dx, dy),
            np.minimum(1.5 - np.abs(dx - dy), 5.5 - dx),
        ][kind]
        # All shapes have one colour, so that only their shape differs.
        image[:] = np.array([240, 200, 90])[:, None, None] * (inside + 0.5).clip(0, 1)
    return torch.from_numpy(images), torch.from_numpy(kinds)


def recoloured(images: Tensor) -> Tensor:
    """Return the images of :func:`shapes` with a random hue for each shape and each background."""
    rng = np.random.default_rng(1)
    hues = rng.uniform(0, 1, (2, len(images)))
    colours = [
        [colorsys.hsv_to_rgb(hue, 0.8, value) for hue in row]
        for row, value in zip(hues, (1, 0.6), strict=True)
    ]
    shape, background = torch.tensor(colours, dtype=torch.float32)[..., None, None]
    inside = images[:, :1] / 240
    return ((inside * shape + (1 - inside) * background) * 255).round().to(torch.uint8)
