"""The optional extras of the installation, detected without importing them."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Final, Literal

from infogan_tool.runtime.errors import MissingExtraError

EXTRA_MODULES: Final[dict[str, tuple[str, ...]]] = {
    "train": (
        *("torch", "torchvision", "onnx", "onnxscript"),
        *("pydantic", "safetensors", "scipy", "sklearn"),
    ),
    "report": ("matplotlib",),
    "ui": ("starlette", "uvicorn"),
}
"""Modules that each extra installs."""


def require_extras(command: str, *extras: Literal["train", "report", "ui"]) -> None:
    """Raise if an extra that ``command`` needs is not installed.

    Raises:
        MissingExtraError: A module of an extra is missing; the message has the pip command.
    """
    for extra in extras:
        if any(find_spec(name) is None for name in EXTRA_MODULES[extra]):
            raise MissingExtraError(f"infogan-tool {command}", extra)
