"""The product of two large matrices in torch: what the cores can do, for comparison."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import torch

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["GFLOP", "matrix_product"]

_SIZE: Final = 2048
GFLOP: Final = 2 * _SIZE**3 / 1e9
"""Operations of one product."""


def matrix_product(precision: str) -> Callable[[], object]:
    """Return a function that computes the product in ``"fp32"`` or ``"bf16"``."""
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    left, right = (torch.randn(_SIZE, _SIZE).to(dtype) for _ in range(2))
    return lambda: left @ right
