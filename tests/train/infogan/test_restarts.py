"""Restarts of adversarial training where continuous codes are mixed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest
import torch
from stopping import StopAfter
from torch import nn

from infogan_tool.runtime.errors import ConfigError, RunError
from infogan_tool.train import fit
from infogan_tool.train.config.objective import RestartConfig
from infogan_tool.train.distributed.process_group import SINGLE_PROCESS
from infogan_tool.train.engine.stage import Session
from infogan_tool.train.infogan.adversarial import AdversarialStage
from infogan_tool.train.infogan.networks import build_networks
from infogan_tool.train.infogan.restarts import Next, Restarts

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from torch import Tensor

    from infogan_tool.train.config.schema import TrainConfig
    from infogan_tool.train.infogan.networks import Networks

PENALISED = {"hessian_penalty": 0.1, "hessian_latents": 4}
ALWAYS = {"objective": {**PENALISED, "restart": {"above": 1e-9, "after": 0.25, "times": 2}}}
"""Two restarts, after a quarter and after a half."""


def outcomes(penalties: list[float], **config: Any) -> dict[int, Next]:  # noqa: ANN401 - as in a config
    """Return what happens after which of 40 steps; a start has 4 steps, and weights are the step's number."""
    networks = nn.Linear(1, 1, bias=False)
    restarts = Restarts(
        RestartConfig(**{"after": 0.1, "times": 3, **config}), 40, cast("Networks", networks), SINGLE_PROCESS
    )
    found = {}
    for index, penalty in enumerate(penalties):
        nn.init.constant_(networks.weight, index + 1)
        found[index + 1] = restarts.add(index, torch.tensor(penalty), cast("Networks", networks))
    assert all(not p.requires_grad for p in restarts.best.parameters())
    found[0] = restarts.best.state_dict()["weight"].item()
    return {step: what for step, what in found.items() if what is not Next.CONTINUE}


RESTART, BACK = Next.RESTART, Next.GO_BACK


@pytest.mark.parametrize(
    ("penalties", "config", "expected"),
    [
        ([9, 9, 0.1, 0.2] + [9] * 36, {}, {0: 4}),
        ([0, 0, 0.1, 0.4] + [0] * 36, {}, {4: RESTART, 0: 8}),
        ([0, 0, 0.1, 0.4] + [0] * 36, {"above": 0.3}, {0: 4}),
        ([1] * 6 + [0] * 34, {}, {4: RESTART, 0: 8}),
        ([4] * 4 + [3] * 4 + [2] * 4 + [1] * 28, {}, {4: RESTART, 8: RESTART, 12: RESTART, 0: 16}),
        ([4] * 4 + [1] * 4 + [2] * 4 + [3] * 28, {}, {4: RESTART, 8: RESTART, 12: RESTART, 16: BACK, 0: 8}),
        ([1] * 4 + [2] * 36, {"times": 1}, {4: RESTART, 8: BACK, 0: 4}),
    ],
)
def test_the_second_half_of_each_start_decides(
    penalties: list[float], config: dict[str, float], expected: dict[int, Next | int]
) -> None:
    assert outcomes(penalties, **config) == expected


def make_stage(config: TrainConfig, images: Tensor) -> AdversarialStage:
    networks = build_networks(config, size=28, channels=1)
    return AdversarialStage(Session(config=config, networks=networks, images=images))


def test_a_restart_has_other_weights_and_an_optimizer_without_memory(
    small: Callable[..., TrainConfig], mnist: Tensor
) -> None:
    changes: dict[str, Any] = {
        **ALWAYS,
        "clustering": {},
        "networks": {"mean_start": True},
        "optimizer": {"ema_decay": 0.9, "lr_decay_start": 0.5},
        "schedule": {"steps": 8},
    }
    changes["objective"] = {**ALWAYS["objective"], "lambda_categorical_end": 5.0}
    stage = make_stage(small(changes), mnist)
    networks, first = stage.session.networks, {}
    encoder = {name: t.clone() for name, t in networks.q_category.state_dict().items()}
    for index in range(2):
        first = {name: t.clone() for name, t in networks.generator.state_dict().items()}
        stage.step(index)
    scalars = stage.scalars()
    assert scalars["Progress/start"] == 2
    for optimizer in stage.optimizers.values():
        assert optimizer.state
        assert not any(value.any() for state in optimizer.state.values() for value in state.values())
    now = networks.generator.state_dict()
    average = networks.generator_ema
    assert average is not None
    assert all(torch.equal(value, now[name]) for name, value in average.state_dict().items())
    layer = "layers.0.weight"
    assert not torch.allclose(now[layer], first[layer], atol=0.01)
    assert now[layer].std() == pytest.approx(0.02, rel=0.2), "as G's weights are drawn"
    assert networks.generator.last_bias(1).item() == pytest.approx(-1.9, abs=0.3), "the digits' mean"
    for name, value in networks.q_category.state_dict().items():
        assert torch.equal(value, encoder[name]), "k1 from clustering stays"
    stage.step(2)
    step = stage.adversarial_step
    assert step._weights[0].item() == step._first_weights[0].item(), "schedules begin again"
    stage.step(3)
    assert stage.scalars()["Progress/start"] == 3
    for index in range(4, 8):
        stage.step(index)
    assert stage.scalars()["Progress/start"] == 3
    share = (7 - 4) / (8 - 4)
    assert step._weights[0].item() == pytest.approx(1 + share * 4)
    assert step.optimizers["G"].param_groups[0]["lr"] == pytest.approx(1e-3 * (1 - share) / 0.5)


def test_the_best_start_is_continued_where_it_ended(
    small: Callable[..., TrainConfig], mnist: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    restart = {"above": 1e-9, "after": 0.25, "times": 2}
    stage = make_stage(
        small({"objective": {**PENALISED, "restart": restart}, "schedule": {"steps": 8}}), mnist
    )
    networks, after = stage.session.networks, {}
    penalties = iter([3.0, 3.0, 1.0, 1.0, 2.0, 2.0, 0.0, 0.0])
    add = Restarts.add

    def add_planted(self: Restarts, index: int, _: Tensor, state: Networks) -> Next:
        after[index] = {name: value.clone() for name, value in networks.state_dict().items()}
        return add(self, index, torch.tensor(next(penalties)), state)

    monkeypatch.setattr(Restarts, "add", add_planted)
    for index in range(6):
        stage.step(index)
    for name, value in networks.state_dict().items():
        assert torch.equal(value, after[3][name]), "the second start had the least penalty"
    for optimizer in stage.optimizers.values():
        assert not any(value.any() for state in optimizer.state.values() for value in state.values())
    stage.step(6)
    assert stage.adversarial_step._progress.item() == pytest.approx((6 - 4) / (8 - 4)), "two steps of four"
    assert stage.scalars()["Progress/start"] == 3


def test_without_restarts_nothing_is_stored(small: Callable[..., TrainConfig], mnist: Tensor) -> None:
    stage = make_stage(small({"objective": PENALISED}), mnist)
    assert not stage.extra_state.state_dict()
    stage.step(0)
    assert "Progress/start" not in stage.scalars()


@pytest.mark.parametrize("cut", [1, 2, 5])
def test_resumed_around_a_restart_is_the_same_to_the_bit(
    small: Callable[..., TrainConfig], mnist: Tensor, tmp_path: Path, cut: int
) -> None:
    config = small({**ALWAYS, "schedule": {"steps": 8, "log_every": 1}})
    runs = [fit(config, data=mnist, out=None, device="cpu", threads=1)]
    part = fit(config, data=mnist, out=tmp_path / "run", device="cpu", threads=1, callbacks=[StopAfter(cut)])
    assert part.step == cut
    runs.append(fit(resume=part, device="cpu", threads=1))
    numbers = [
        [{key: value for key, value in record.items() if "Timing" not in key} for record in run.records]
        for run in runs
    ]
    assert numbers[0] == numbers[1]
    assert [record["Progress/start"] for record in numbers[0]] == [1, 2, 2, 3, 3, 3, 3, 3]
    one, other = (run.networks.state_dict() for run in runs)
    assert all(torch.equal(value, other[name]) for name, value in one.items())


def test_a_start_that_cannot_be_is_refused(small: Callable[..., TrainConfig], mnist: Tensor) -> None:
    stage = make_stage(small(ALWAYS), mnist)
    for begun in (-1, 3):
        stage.extra_state.load_state_dict({**stage.extra_state.state_dict(), "begun": torch.tensor(begun)})
        with pytest.raises(RunError, match="the checkpoint is damaged: step 2 is not after a start"):
            stage.step(2)


@pytest.mark.parametrize(
    ("objective", "message"),
    [
        ({"restart": {}}, "objective.restart needs objective.hessian_penalty"),
        ({**PENALISED, "restart": {"after": 0.25}}, "5 restarts after 0.25 leave nothing of the training"),
        ({**PENALISED, "restart": {"above": 0}}, "objective.restart.above"),
    ],
)
def test_wrong_restarts_are_refused(
    small: Callable[..., TrainConfig], objective: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        small({"objective": objective})
