"""Forward passes that leave networks as they are: evaluation mode, and training mode without statistics.

Statistics are those of BatchNorm, and the estimates of spectral normalisation.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from torch import nn
from torch.nn.utils.parametrize import ParametrizationList

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def evaluation_mode(*modules: nn.Module) -> Iterator[None]:
    """Put modules into evaluation mode, and each part of them back into its own mode at the end."""
    modes = [(part, part.training) for module in modules for part in module.modules()]
    for part, _ in modes:
        part.training = False
    try:
        yield
    finally:
        for part, training in modes:
            part.training = training


@contextmanager
def frozen_statistics(*modules: nn.Module) -> Iterator[None]:
    """Normalise as in training, without updating running statistics or the estimates of singular vectors."""
    parts = [part for module in modules for part in module.modules()]
    norms = [p for p in parts if isinstance(p, (nn.BatchNorm1d, nn.BatchNorm2d)) and p.track_running_stats]
    spectral = [p for p in parts if isinstance(p, ParametrizationList) and p.training]
    for norm in norms:
        norm.track_running_stats = False
    for one in spectral:
        one.eval()
    try:
        yield
    finally:
        for norm in norms:
            norm.track_running_stats = True
        for one in spectral:
            one.train()
