"""The device of a process, its CPU threads, and the precision that the device is fast in."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Final, Literal

import torch

from infogan_tool.runtime.errors import DeviceError, UsageError
from infogan_tool.runtime.inference.device import default_threads

_log: Final = logging.getLogger(__name__)

_forked: Final[list[bool]] = []
"""Not empty in a process that was forked from one with torch."""
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=lambda: _forked.append(True))


def select_device(name: str, threads: int | None = None) -> torch.device:
    """Return the torch device, and set the number of CPU threads.

    Args:
        name: ``auto``, ``cpu`` or ``cuda``.
        threads: Threads on a CPU; None: one for every core that this process may use.

    Raises:
        DeviceError: ``cuda`` is not available.
        UsageError: Another name, or less than one thread.
    """
    if name not in {"auto", "cpu", "cuda"}:
        raise UsageError(f"device is auto, cpu or cuda, not {name!r:.60}; CUDA_VISIBLE_DEVICES selects a GPU")
    if threads is not None and threads < 1:
        raise UsageError(f"threads is at least 1, not {threads}")
    if name == "cuda" and not torch.cuda.is_available():
        reason = "this torch has no CUDA" if torch.version.cuda is None else "torch sees no usable NVIDIA GPU"
        raise DeviceError(f"--device cuda: {reason}; use --device cpu, or fix the driver (nvidia-smi)")
    if name == "cuda" or (name == "auto" and torch.cuda.is_available()):
        if torch.cuda._is_in_bad_fork():  # noqa: SLF001 - it has no public name
            raise DeviceError(
                "CUDA cannot be used in a forked process: start it with multiprocessing's method 'spawn'"
            )
        return torch.device("cuda")
    threads = threads or default_threads()
    if _forked and threads > 1:
        # OpenMP's threads do not survive a fork: the child would wait for them forever.
        _log.warning("this is a forked process, in which torch can use only one thread: training with one")
        threads = 1
    torch.set_num_threads(threads)
    return torch.device("cpu")


def fast_precision(device: torch.device) -> Literal["fp32", "bf16"]:
    """Return bf16 where the device computes in it faster than in fp32."""
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported() else "fp32"
    return "bf16" if cpu_has("avx512_bf16") or cpu_has("amx_bf16") else "fp32"


def cpu_has(flag: str) -> bool:
    """Return whether the processor has a feature, by Linux's name; elsewhere it is not known, and False."""
    try:
        return flag in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
