"""Freed memory stays in the process."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

PAGES = """
import resource, torch
{before}
tensor = torch.ones(2**24)
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    tensor + tensor
start = faults()
for _ in range(10):
    tensor + tensor
print(faults() - start)
"""
CALL = "from infogan_tool.train.engine.cpu_memory import keep_freed_memory; keep_freed_memory()"


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries have no such setting")
def test_freed_memory_is_reused_without_page_faults() -> None:
    pages = {before: faults_after(before) for before in ("", CALL)}
    assert pages[""] > 1_000, "this machine does not need the setting"
    assert pages[CALL] < 100


RESIDENT = """
import pathlib, torch
from infogan_tool.train.engine.cpu_memory import release_freed_memory
def resident():
    return int(pathlib.Path("/proc/self/statm").read_text().split()[1])
blocks = [torch.ones(2**12) for _ in range(4096)]
last = blocks.pop()
blocks.clear()
before = resident()
release_freed_memory()
print(before - resident())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries have no such function")
def test_freed_memory_is_released() -> None:
    command = [sys.executable, "-c", RESIDENT]
    released = int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    assert released > 8_000  # of 16,384 pages that one block behind them kept in the process


def faults_after(before: str) -> int:
    command = [sys.executable, "-c", PAGES.format(before=before)]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
