"""NaN and infinity in images, weights and gradients: stopped before the update, with the name of the term."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest
import torch

from infogan_tool.runtime.errors import NonFiniteError
from infogan_tool.train.clustering.contrastive import ContrastiveStage
from infogan_tool.train.clustering.grouping import GROUPS
from infogan_tool.train.clustering.neighbours import NeighboursStage
from infogan_tool.train.clustering.refinement import RefinementStage
from infogan_tool.train.config.presets import resolve_config
from infogan_tool.train.engine.stage import Session, Stage
from infogan_tool.train.infogan.adversarial import AdversarialStage
from infogan_tool.train.infogan.consolidation import ConsolidationStage
from infogan_tool.train.infogan.networks import build_networks
from infogan_tool.train.run.checkpoint import CheckpointHeader, take_checkpoint, write_checkpoint

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Result
    from torch import Tensor, nn

VALUES = (math.nan, math.inf, -math.inf)


@pytest.fixture
def session(all_stages: Path, digits: Tensor) -> Session:
    torch.manual_seed(0)
    config = resolve_config(file=all_stages, flags={"data": {"size": 28, "channels": 1}})
    networks = build_networks(config, size=28, channels=1)
    groups = torch.arange(300) % 10
    return Session(config=config, networks=networks, images=digits, artifacts={GROUPS: groups})


def moved(stage: Stage) -> dict[str, Tensor]:
    """Return a copy of every weight and every number of an optimizer."""
    found = dict(stage.session.networks.named_parameters())
    extra = stage.extra_state.state_dict().items()
    found |= {f"stage/{name}": tensor for name, tensor in extra if "num_batches" not in name}
    for name, optimizer in stage.optimizers.items():
        for index, state in optimizer.state_dict()["state"].items():
            found |= {f"{name}/{index}/{key}": value for key, value in state.items()}
    # BatchNorm's running statistics go with the forward pass; nothing reads them before the run ends.
    return {name: tensor.detach().clone() for name, tensor in found.items() if "running" not in name}


def refused(stage: Stage, message: str, index: int = 1) -> None:
    before = moved(stage)
    with pytest.raises(NonFiniteError, match=message):
        stage.step(index)
    after = moved(stage)
    assert before.keys() == after.keys()
    changed = [
        name for name in before if not torch.equal(before[name].nan_to_num(7), after[name].nan_to_num(7))
    ]
    assert not [name for name in changed if not name.startswith(("trunk.", "d_head.", "d_optimizer/"))]
    if isinstance(stage, AdversarialStage) and "Loss/D" not in message:
        assert changed, "D's update came before, and was sound"
    else:
        assert not changed


LOSSES = {
    ContrastiveStage: "not finite: Loss/contrastive = ",
    RefinementStage: "not finite: -MI/views = ",
    AdversarialStage: "not finite: Loss/D/adv = ",
    ConsolidationStage: "not finite: Loss/Q = ",
}


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("kind", [ContrastiveStage, RefinementStage, AdversarialStage])
def test_images(kind: type[Stage], value: float, session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    stage, whole = kind(session), Session.float_images
    stage.step(0)

    def spoiled(session: Session, index: Tensor) -> Tensor:
        images = whole(session, index)
        images[3, 0, 14, 14] = value
        return images

    monkeypatch.setattr(Session, "float_images", spoiled)
    refused(stage, LOSSES[kind])


def learned(stage: Stage) -> list[nn.Parameter]:
    """Return the parameters of the stage's last optimizer."""
    *_, optimizer = stage.optimizers.values()
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("kind", list(LOSSES))
def test_weights(kind: type[Stage], value: float, session: Session) -> None:
    stage = kind(session)
    stage.step(0)
    with torch.no_grad():
        learned(stage)[0].flatten()[0] = value
    refused(stage, LOSSES[kind])


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("kind", list(LOSSES))
def test_gradients(kind: type[Stage], value: float, session: Session) -> None:
    stage = kind(session)
    stage.step(0)

    def spoil(gradient: Tensor) -> Tensor:
        gradient = gradient.clone()
        gradient.flatten()[0] = value
        return gradient

    learned(stage)[-1].register_hook(spoil)
    refused(stage, r"not finite: the gradient of .* \(norm (nan|inf)\)")


@pytest.mark.parametrize("value", VALUES)
def test_gradient_of_d_alone(value: float, session: Session) -> None:
    stage = AdversarialStage(session)
    stage.step(0)
    d = stage.optimizers["d_optimizer"].param_groups[0]["params"][0]
    d.register_hook(lambda gradient: torch.full_like(gradient, value))
    refused(stage, r"not finite: the gradient of Loss/D/adv \(norm")


@pytest.mark.parametrize("value", VALUES)
def test_features_of_the_neighbours_stage(value: float, session: Session) -> None:
    with torch.no_grad():
        next(session.networks.q_category.parameters()).flatten()[0] = value
    with pytest.raises(NonFiniteError, match="Neighbours/features = "):
        NeighboursStage(session).step(0)


def header() -> CheckpointHeader:
    return CheckpointHeader(
        schema_version=1,
        stage="adversarial",
        stage_step=1,
        step=1,
        meter_count=0,
        data_digest="x",
        device="cpu",
        tool_version="x",
    )


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("where", ["weight", "statistic", "optimizer"])
def test_no_checkpoint_holds_it(where: str, value: float, session: Session, tmp_path: Path) -> None:
    path = tmp_path / "last.safetensors"
    stage = AdversarialStage(session)
    stage.step(0)
    write_checkpoint(take_checkpoint(path, stage, header()), path)
    before = path.read_bytes()
    with torch.no_grad():
        if where == "weight":
            name, weight = next(session.networks.named_parameters())
            weight.flatten()[0] = value
            name = f"networks/{name}"
        elif where == "statistic":
            name = next(n for n, _ in session.networks.named_buffers() if n.endswith("running_var"))
            session.networks.get_buffer(name)[0] = value
            name = f"networks/{name}"
        else:
            stage.optimizers["g_optimizer"].state_dict()["state"][0]["exp_avg"].flatten()[0] = value
            name = "g_optimizer/0/exp_avg"
    with pytest.raises(NonFiniteError, match=f"not finite: {name}"):
        write_checkpoint(take_checkpoint(path, stage, header()), path)
    assert path.read_bytes() == before
    assert [found.name for found in tmp_path.iterdir()] == ["last.safetensors"]


def test_weights_that_the_last_step_spoiled_are_not_saved(
    cli: Callable[..., Result], half: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    last = half / "checkpoints/last.safetensors"
    before = last.read_bytes()
    step = AdversarialStage.step

    def spoiling(stage: AdversarialStage, index: int) -> None:
        step(stage, index)
        if index == 11:
            with torch.no_grad():
                next(stage.session.networks.d_head.parameters()).fill_(math.inf)

    monkeypatch.setattr(AdversarialStage, "step", spoiling)
    monkeypatch.setattr(AdversarialStage, "write_samples", lambda *_: None)
    done = cli("train", "--resume", half, "--epochs", 2, "--device", "cpu")
    assert done.code == 1
    message = done.err.splitlines()[-1]
    assert message.startswith("error: step 12: not finite: networks/d_head.")
    assert "; it was not saved, the last good checkpoint" in message
    assert f"({last}, step 6) is kept" in message
    assert last.read_bytes() == before


def test_training_that_diverges_ends_with_one_line(
    cli: Callable[..., Result], one_stage: Path, tmp_path: Path
) -> None:
    config = tmp_path / "wild.toml"
    config.write_text(one_stage.read_text() + "\n[optimizer]\nd_lr = 1e30\n")
    done = cli("train", "--config", config, "--device", "cpu", "--out", tmp_path / "run")
    assert done.code == 1
    message = done.err.splitlines()[-1]
    assert message.startswith("error: step ")
    assert ": not finite: Loss/" in message
    assert "stopped before the update, there is no checkpoint" in message
    assert not (tmp_path / "run/checkpoints/last.safetensors").exists()
