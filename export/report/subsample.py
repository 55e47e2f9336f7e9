"""Some of many."""

from __future__ import annotations

import numpy as np

__all__ = ["evenly"]


def evenly(count: int, most: int) -> list[int]:
    """Return at most ``most`` of the indices below ``count``, evenly, with the first and the last."""
    if count < 1 or most < 1:
        return []
    return [int(i) for i in np.unique(np.linspace(0, count - 1, min(count, most)).round())]
