"""Devices of the machine, detected without onnxruntime."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Final, Literal

Device = Literal["auto", "cpu", "cuda"]
"""``"cuda"`` is CUDA or an error; ``"auto"`` is CUDA if there is a working GPU, otherwise the CPU."""

_HIDDEN: Final = ("", "-1", "NoDevFiles")
"""Values of CUDA_VISIBLE_DEVICES that hide every GPU."""


def default_threads() -> int:
    """Return the number of cores that this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)  # not on macOS and Windows
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def gpu_present() -> bool:
    """Return whether an NVIDIA GPU is visible to this process.

    onnxruntime's list of available providers has CUDA on every machine.
    """
    if os.environ.get("CUDA_VISIBLE_DEVICES", "0").strip() in _HIDDEN:
        return False
    if sys.platform == "win32":
        import ctypes.util  # noqa: PLC0415 - Windows

        return ctypes.util.find_library("nvcuda") is not None
    under_wsl = Path("/dev/dxg").exists() and Path("/usr/lib/wsl/lib/libcuda.so.1").exists()
    return under_wsl or any(Path("/dev").glob("nvidia[0-9]*"))


def gpu_names() -> list[str]:
    """Return the model names of the NVIDIA GPUs, as listed by the Linux driver."""
    names = []
    for file in sorted(Path("/proc/driver/nvidia/gpus").glob("*/information")):
        for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "Model":
                names.append(value.strip())
    return names
