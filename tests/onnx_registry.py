"""The ONNX exporter's registry of operations, made once for all exports of a test process."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from torch.onnx._internal.exporter._registration import ONNXRegistry

if TYPE_CHECKING:
    import pytest


_MADE = functools.cache(ONNXRegistry.from_torchlib)


def share_registry(patch: pytest.MonkeyPatch) -> None:
    """Let torch.onnx keep its registry, which it makes again, and alike, for each graph."""
    patch.setattr(ONNXRegistry, "from_torchlib", staticmethod(_MADE))
