"""Comparisons of two run folders."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import torch

from infogan_tool.train.run.checkpoint import read_checkpoint

if TYPE_CHECKING:
    from pathlib import Path


def trace(run: Path) -> list[dict[str, Any]]:
    """Return the metrics of a run, without times."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if not k.startswith("Timing/")} for line in lines]


def assert_same_checkpoints(run: Path, other: Path) -> None:
    """Compare every tensor of two runs' last checkpoints to the bit."""
    ours, theirs = (read_checkpoint(path / "checkpoints/last.safetensors").tensors for path in (run, other))
    assert ours.keys() == theirs.keys()
    assert not [name for name in ours if not torch.equal(ours[name], theirs[name])]
