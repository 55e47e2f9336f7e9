"""A step captured as a CUDA graph gives the numbers of an eager one to the bit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch

from infogan_tool.train.config.presets import resolve_config
from infogan_tool.train.engine.cuda_graph import CudaGraphStep
from infogan_tool.train.engine.stage import Session, use_precision
from infogan_tool.train.infogan.adversarial import AdversarialStage
from infogan_tool.train.infogan.networks import build_networks

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from infogan_tool.train.config.schema import TrainConfig

STEPS = 12


def trace(
    images: torch.Tensor,
    preset: str,
    precision: str,
    *,
    cuda_graphs: bool,
    changes: Mapping[str, Any] | None = None,
    steps: int = STEPS,
) -> list[dict[str, float]]:
    flags = {
        **(changes or {}),
        "precision": precision,
        "schedule": {"batch_size": 32, "steps": STEPS},
        "data": {"size": 28, "channels": 1},
    }
    config, device = resolve_config(preset=preset, flags=flags), torch.device("cuda")
    use_precision(precision)
    networks = build_networks(config, size=28, channels=1).to(device)
    session = Session(config=config, networks=networks, images=images.to(device), cuda_graphs=cuda_graphs)
    stage, scalars = AdversarialStage(session), []
    for index in range(steps):
        stage.step(index)
        scalars.append(stage.scalars())
        stage.meters.reset()
    return scalars


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("preset", ["paper", "compact", "gan", "mnist"])
def test_captured_and_eager_steps_agree(mnist: torch.Tensor, preset: str, precision: str) -> None:
    eager = trace(mnist, preset, precision, cuda_graphs=False)
    captured = trace(mnist, preset, precision, cuda_graphs=True)
    assert captured == eager


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_terms_of_some_steps_only_are_graphs_of_their_own(mnist: torch.Tensor) -> None:
    changes = {
        "objective": {
            "terms": {"r1": {"weight": 1.0, "every": 2}},
            "hessian_penalty": 0.1,
            "direction_penalty": 0.1,
            "information_update": "shared",
            "transformations": ["slant"],
        },
        "networks": {"spectral_norm": True},
    }
    eager = trace(mnist, "compact", "fp32", cuda_graphs=False, changes=changes, steps=20)
    captured = trace(mnist, "compact", "fp32", cuda_graphs=True, changes=changes, steps=20)
    assert captured == eager
    assert [record["Loss/D/r1"] > 0 for record in captured[:4]] == [True, False, True, False]


def test_on_a_cpu_nothing_is_captured(mnist: torch.Tensor, small: Callable[..., TrainConfig]) -> None:
    config = small()
    networks = build_networks(config, size=28, channels=1)
    stage = AdversarialStage(Session(config=config, networks=networks, images=mnist))
    stage.step(0)
    assert not any(isinstance(step, CudaGraphStep) for step in stage._steps_by_terms.values())
