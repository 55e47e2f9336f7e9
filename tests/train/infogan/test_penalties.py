"""The Hessian and the direction penalty in G's update; test_objective.py has their formulas."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from adversarial_steps import make_batch, make_step, named
from torch import Tensor

from infogan_tool.runtime.errors import NonFiniteError
from infogan_tool.train.distributed.process_group import ProcessGroup
from infogan_tool.train.infogan.latents import sample_latents
from infogan_tool.train.infogan.networks import build_networks
from infogan_tool.train.infogan.step import metric_names
from infogan_tool.train.infogan.terms import TERMS, TermInputs

if TYPE_CHECKING:
    from collections.abc import Callable

    from infogan_tool.train.config.schema import TrainConfig


@pytest.fixture
def real(mnist: Tensor) -> Tensor:
    return mnist[:32].float() / 255


@pytest.mark.parametrize("name", ["hessian", "direction"])
def test_a_penalty_changes_g_only_and_leaves_running_statistics(
    small: Callable[..., TrainConfig], real: Tensor, name: str
) -> None:
    weights = {}
    for weight in (0.0, 1.0):
        config = small({"latent": {"continuous": 3}, "objective": {f"{name}_penalty": weight}})
        step, rng = make_step(config)
        latent = sample_latents(config.latent, 32, rng)
        batch = make_batch(step, latent, real)
        statistics = {n: b.clone() for n, b in step.networks.generator.named_buffers()}
        scalars = step.update(named(step, "G"), batch)
        assert (f"Loss/G/{name}" in scalars) == bool(weight)
        assert all(torch.equal(b, statistics[n]) for n, b in step.networks.generator.named_buffers())
        weights[weight] = {n: p.detach().clone() for n, p in step.networks.named_parameters()}
    moved = {name.split(".")[0] for name, p in weights[0.0].items() if not torch.equal(p, weights[1.0][name])}
    assert moved == {"generator"}


class FirstOfMany(ProcessGroup):
    """The first of several processes, which returns its own shard as the whole batch."""

    def all_gather(self, count: int, *parts: Tensor) -> tuple[Tensor, ...]:
        assert len(parts[0]) == self.shard(count).stop
        return parts


@pytest.mark.parametrize("name", ["hessian", "direction"])
@pytest.mark.parametrize("size", [8, 9])
def test_every_process_has_a_latent_of_a_penalty(
    small: Callable[..., TrainConfig], real: Tensor, name: str, size: int
) -> None:
    config = small({"objective": {"hessian_latents": 8}})
    rng = torch.Generator().manual_seed(0)
    value = TERMS.get(name).compute(
        TermInputs(
            real,
            real,
            sample_latents(config.latent, len(real), rng),
            networks=build_networks(config, size=28, channels=1),
            config=config,
            rng=rng,
            progress=torch.ones(()),
            group=FirstOfMany(size=size),
        )
    )
    assert torch.isfinite(value)


@pytest.mark.parametrize("continuous", [0, 1])
def test_without_a_pair_of_codes_there_is_no_hessian_penalty(
    small: Callable[..., TrainConfig], real: Tensor, continuous: int
) -> None:
    config = small({"latent": {"continuous": continuous}, "objective": {"hessian_penalty": 1.0}})
    step, rng = make_step(config)
    scalars = step.step(real, sample_latents(config.latent, 32, rng))
    assert len(scalars) == len(metric_names(config))
    assert "Loss/G/hessian" not in metric_names(config)


@pytest.mark.parametrize(
    ("changes", "codes"),
    [
        ({"latent": {"continuous": 0}}, []),
        ({"latent": {"continuous": 2, "periodic": ["c1", "c2"]}}, []),
        ({"latent": {"continuous": 3, "periodic": ["c2"]}}, [0, 2]),
        ({"objective": {"transformations": ["slant"], "information_update": "shared"}}, [1]),
    ],
)
def test_the_direction_penalty_is_for_codes_without_a_meaning_of_their_own(
    small: Callable[..., TrainConfig], real: Tensor, changes: dict[str, dict[str, object]], codes: list[int]
) -> None:
    objective = {"direction_penalty": 1.0, **changes.get("objective", {})}
    config = small({**changes, "objective": objective})
    assert config.free_codes == codes
    assert ("Loss/G/direction" in metric_names(config)) == bool(codes)
    step, rng = make_step(config)
    assert len(step.step(real, sample_latents(config.latent, 32, rng))) == len(metric_names(config))


def test_a_hessian_penalty_that_is_not_finite_is_named(small: Callable[..., TrainConfig]) -> None:
    step, rng = make_step(small({"objective": {"hessian_penalty": 1.0}}))
    latent = sample_latents(small().latent, 32, rng)
    batch = make_batch(step, latent)
    with torch.no_grad():
        step.networks.generator.layers[0].weight[0] = float("nan")
    with pytest.raises(NonFiniteError, match="Loss/G/hessian"):
        step.update(named(step, "G"), batch)
