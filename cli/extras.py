"""The optional parts of an installation, looked for without importing them."""

from __future__ import annotations

from importlib.util import find_spec

from infogan_tool.runtime.errors import MissingExtraError

__all__ = [
    "REPORT_MODULES",
    "TRAIN_MODULES",
    "UI_MODULES",
    "require_report_extra",
    "require_train_extra",
    "require_ui_extra",
]

TRAIN_MODULES = ("torch", "torchvision", "onnx", "onnxscript", "pydantic", "safetensors", "scipy", "sklearn")
"""What the extra ``train`` installs."""

UI_MODULES = ("starlette", "uvicorn")
"""What the extra ``ui`` installs."""

REPORT_MODULES = ("matplotlib",)
"""What the extra ``report`` installs; the command needs ``train`` too."""


def require_train_extra(command: str) -> None:
    """Refuse a command that needs the extra ``train`` where it is not installed.

    Raises:
        MissingExtraError: One of its modules is missing; the message says how to install it.
    """
    if any(find_spec(name) is None for name in TRAIN_MODULES):
        raise MissingExtraError(f"infogan-tool {command}", "train")


def require_ui_extra(command: str) -> None:
    """Refuse a command that needs the extra ``ui`` where it is not installed.

    Raises:
        MissingExtraError: One of its modules is missing; the message says how to install it.
    """
    if any(find_spec(name) is None for name in UI_MODULES):
        raise MissingExtraError(f"infogan-tool {command}", "ui")


def require_report_extra(command: str) -> None:
    """Refuse a command that needs the extra ``report`` where it is not installed.

    Raises:
        MissingExtraError: One of its modules is missing; the message says how to install it.
    """
    if any(find_spec(name) is None for name in REPORT_MODULES):
        raise MissingExtraError(f"infogan-tool {command}", "report")
