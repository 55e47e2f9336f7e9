"""The optimizer step: values that are not finite move no weight, on a CPU and on a GPU."""

from __future__ import annotations

import math
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import torch
from torch import nn

from infogan_tool.runtime.errors import NonFiniteError
from infogan_tool.train.engine.optimizer_step import Adam, AdamW, OptimizerStep
from infogan_tool.train.engine.stage import Session
from infogan_tool.train.infogan.adversarial import AdversarialStage
from infogan_tool.train.infogan.networks import build_networks

if TYPE_CHECKING:
    from collections.abc import Callable

    from infogan_tool.train.config.schema import TrainConfig

CPU = torch.device("cpu")


class Line:
    """y = w x, with its optimizer."""

    def __init__(self, *, waits: bool) -> None:
        self.weight = nn.Parameter(torch.tensor([1.0, 2.0]))
        self.adam = torch.optim.Adam([self.weight], 0.1, fused=True)
        self.optimizer_step = OptimizerStep(CPU, waits=waits)

    def update(self, factor: float, of_gradient: float = 1.0) -> None:
        loss = (self.weight * factor).sum()
        # If of_gradient is not finite, the loss is and its gradient is not.
        self.weight.register_hook(lambda gradient: gradient * of_gradient)
        self.optimizer_step.step(self.adam, loss, {"Loss/line": loss}, [self.weight])

    def update_and_check(self, factor: float, of_gradient: float = 1.0) -> None:
        self.update(factor, of_gradient)
        self.optimizer_step.check()

    def state(self) -> list[float]:
        state = self.adam.state[self.weight]
        return [*self.weight.tolist(), *(x for t in state.values() for x in t.flatten().tolist())]


@pytest.mark.parametrize("factor", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("waits", [True, False])
def test_a_value_that_is_not_finite_moves_nothing(factor: float, *, waits: bool) -> None:
    line = Line(waits=waits)
    line.update(1.0)
    before = line.state()
    with pytest.raises(NonFiniteError, match=r"not finite.*: Loss/line"):
        line.update_and_check(factor)
    assert line.state() == before


@pytest.mark.parametrize("waits", [True, False])
def test_a_gradient_that_is_not_finite_is_reported(*, waits: bool) -> None:
    line = Line(waits=waits)
    line.update(1.0)
    before = line.state()
    with pytest.raises(NonFiniteError, match="the gradient of Loss/line"):
        line.update_and_check(1.0, of_gradient=math.nan)
    assert line.state() == before


def test_a_failure_is_reported_once_and_later_steps_are_made() -> None:
    line = Line(waits=False)
    line.update(math.nan)
    with pytest.raises(NonFiniteError, match="since the last report"):
        line.optimizer_step.check()
    line.optimizer_step.check()
    line.update(1.0)
    line.optimizer_step.check()
    assert line.weight.tolist() == pytest.approx([0.9, 1.9])


def test_training_without_waiting_has_the_same_numbers(
    mnist: torch.Tensor, small: Callable[..., TrainConfig]
) -> None:
    config = small()
    results = []
    for waits in (True, False):
        torch.manual_seed(0)
        networks = build_networks(config, size=28, channels=1)
        stage = AdversarialStage(Session(config=config, networks=networks, images=mnist))
        stage.adversarial_step._optimizer_step = stage.optimizer_step = OptimizerStep(CPU, waits=waits)
        for index in range(4):
            stage.step(index)
        results.append([stage.scalars(), *(p.tolist() for p in networks.parameters())])
    assert results[0] == results[1]


def test_training_without_waiting_stops_at_its_report(
    mnist: torch.Tensor, small: Callable[..., TrainConfig]
) -> None:
    config = small()
    networks = build_networks(config, size=28, channels=1)
    stage = AdversarialStage(Session(config=config, networks=networks, images=mnist))
    stage.adversarial_step._optimizer_step = stage.optimizer_step = OptimizerStep(CPU, waits=False)
    with torch.no_grad():
        networks.d_head.logit.weight[0, 0, 0, 0] = math.nan
    before = [p.detach().clone() for p in networks.generator.parameters()]
    stage.step(0)
    assert all(torch.equal(a, b) for a, b in zip(before, networks.generator.parameters(), strict=True))
    with pytest.raises(NonFiniteError, match="Loss/D/adv, Loss/G/adv"):
        stage.scalars()


def test_a_training_imports_neither_torch_s_compiler_nor_scikit_learn() -> None:
    code = """
import sys
from infogan_tool.train import fit, preset
run = fit(preset("mlp", schedule={"steps": 2}), data="mnist", device="cpu")
found = {"torch._dynamo", "sklearn", "scipy", "torchvision"} & set(sys.modules)
assert not found, found
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(("fast", "usual"), [(Adam, torch.optim.Adam), (AdamW, torch.optim.AdamW)])
def test_optimizers_compute_what_torch_s_do(
    fast: type[torch.optim.Optimizer], usual: type[torch.optim.Optimizer]
) -> None:
    states = []
    for kind in (fast, usual):
        torch.manual_seed(0)
        layer = torch.nn.Linear(4, 3)
        optimizer = kind(layer.parameters(), lr=0.01, fused=True)  # type: ignore[call-arg]
        for _ in range(3):
            optimizer.zero_grad()
            layer(torch.randn(5, 4)).square().mean().backward()
            optimizer.step()
        optimizer.load_state_dict(optimizer.state_dict())
        states.append([*layer.state_dict().values(), *(v["exp_avg"] for v in optimizer.state.values())])
        assert all(not p.grad_fn and p.requires_grad for p in layer.parameters())
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(*states, strict=True))
