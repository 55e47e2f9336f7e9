"""Installed onnxruntime packages, from package metadata alone, and how to fix a broken installation."""

from __future__ import annotations

import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import Final

ONNXRUNTIME_PACKAGES: Final = (
    "onnxruntime",
    "onnxruntime-gpu",
    "onnxruntime-directml",
    "onnxruntime-openvino",
    "onnxruntime-qnn",
    "onnxruntime-training",
    "ort-nightly",
    "ort-nightly-gpu",
)
"""Distributions that all install the module ``onnxruntime``, so that only one may be installed."""


def installed(names: tuple[str, ...]) -> dict[str, str]:
    """Return the version of each distribution of ``names`` that is installed."""
    found = {}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def expected_onnxruntime() -> str:
    """Return the onnxruntime distribution that infogan-tool depends on, on this platform."""
    machine = platform.machine()
    on_linux = sys.platform == "linux" and machine == "x86_64"
    on_windows = sys.platform == "win32" and machine == "AMD64"
    return "onnxruntime-gpu" if on_linux or on_windows else "onnxruntime"


def suggested_fix(found: dict[str, str]) -> list[str]:
    """Return the commands that leave exactly one onnxruntime installed.

    Uninstalling one of two removes files of the other, so all are uninstalled first.
    """
    install = f"pip install {expected_onnxruntime()}"
    return [f"pip uninstall -y {' '.join(found)}", install] if found else [install]
