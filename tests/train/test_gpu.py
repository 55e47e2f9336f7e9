"""What a GPU makes of a training; a CPU cannot show it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch

from infogan_tool.train import RunOptions, fit, preset
from infogan_tool.train.run.checkpoint import read_checkpoint

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")

SHORT: dict[str, Any] = {
    "clustering": {"contrastive": {"epochs": 0.2}, "refinement": {"epochs": 0.2}},
    "consolidation": {"steps": 20},
    "schedule": {"steps": 60},
}


def last_tensors(out: Path, name: str, changes: dict[str, Any], *, capture: bool) -> dict[str, Any]:
    run = fit(preset(name, **changes), out=out, device="cuda", options=RunOptions(capture=capture))
    assert not run.interrupted
    assert list((out / "samples").iterdir())
    return read_checkpoint(out / "checkpoints/last.safetensors").tensors


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("mnist", SHORT),
        ("compact", {"schedule": {"steps": 60}}),
        ("paper", {"schedule": {"steps": 60}}),
        ("compact", {"data": {"source": "dsprites", "size": 32}, "schedule": {"steps": 60}}),
        ("compact", {"data": {"source": "rooms", "size": 32}, "schedule": {"steps": 60}}),
    ],
)
def test_a_seed_gives_the_same_run_captured_or_not(
    tmp_path: Path, name: str, changes: dict[str, Any]
) -> None:
    first, second, eager = (
        last_tensors(tmp_path / variant, name, changes, capture=variant != "eager")
        for variant in ("first", "second", "eager")
    )
    assert [name for name in first if not torch.equal(first[name], second[name])] == []
    assert [name for name in first if not torch.equal(first[name], eager[name])] == []
