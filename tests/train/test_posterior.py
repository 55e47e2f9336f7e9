"""Finding categories without labels: each term, each stage, and images that are no digits."""

from __future__ import annotations

import math
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from rich.console import Console
from torch.nn import functional as F

from infogan_tool.export.evaluation.metrics.label_matching import match_labels
from infogan_tool.runtime.errors import RunError
from infogan_tool.train.clustering.contrastive import contrastive_loss
from infogan_tool.train.clustering.deformation import DeformableMatcher
from infogan_tool.train.clustering.grouping import GROUPS, GroupingStage
from infogan_tool.train.clustering.neighbours import NEIGHBOURS, NeighboursStage, principal_directions
from infogan_tool.train.clustering.refinement import view_information
from infogan_tool.train.config.files import deep_merge, validate_config
from infogan_tool.train.config.presets import mnist as mnist_preset
from infogan_tool.train.engine.meters import Meters
from infogan_tool.train.engine.stage import Session
from infogan_tool.train.infogan.consolidation import ConsolidationStage
from infogan_tool.train.infogan.latents import sample_latents
from infogan_tool.train.infogan.networks import build_networks
from infogan_tool.train.infogan.objective import code_nll
from infogan_tool.train.run import loop
from infogan_tool.train.run.checkpoint import read_checkpoint
from infogan_tool.train.run.folder import RunFolder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from torch import Tensor

    from infogan_tool.train.config.schema import TrainConfig
    from infogan_tool.train.infogan.networks import Networks

QUIET = Console(quiet=True)
CPU = torch.device("cpu")


def small_preset(changes: dict[str, Any] | None = None) -> TrainConfig:
    small = {
        "latent": {"categorical": [3], "noise": 8},
        "data": {"size": 16, "channels": 3},
        "networks": {"base_width": 8, "full_width": 32, "q_width": 16, "q_features": 32},
        "precision": "fp32",
        "clustering": {
            "batch_size": 50,
            "contrastive": {"epochs": 6},
            "neighbours": {"pca_components": 16, "candidates": 20},
            "grouping": {"eigenvectors": 12, "restarts": 2},
            "refinement": {"epochs": 8},
        },
        "consolidation": {"steps": 9},
        "schedule": {"batch_size": 50, "steps": 4, "log_every": 5},
    }
    return validate_config(deep_merge(deep_merge(mnist_preset(), small), changes or {}))


def shapes(count: int) -> tuple[Tensor, Tensor]:
    """Colour images of bars, discs and crosses, uint8 (count, 3, 16, 16), and which is which."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:16, :16]
    images, kinds = np.zeros((count, 3, 16, 16), np.uint8), rng.integers(0, 3, count)
    for image, kind in zip(images, kinds, strict=True):
        cx, cy = rng.uniform(6, 9, 2)
        dx, dy = np.abs(x - cx), np.abs(y - cy)
        inside = [  # how far inside the shape a pixel is; edges are soft, as in a photograph
            np.minimum(rng.uniform(1, 2.5) - dx, 7 - dy),
            rng.uniform(3.5, 5.5) - np.hypot(dx, dy),
            np.minimum(1.5 - np.abs(dx - dy), 5.5 - dx),
        ][kind]
        # One colour: what differs is the shape.
        image[:] = np.array([240, 200, 90])[:, None, None] * (inside + 0.5).clip(0, 1)
    return torch.from_numpy(images), torch.from_numpy(kinds)


def test_contrastive_loss_is_the_formula_written_out() -> None:
    rng = torch.Generator().manual_seed(0)
    z = torch.randn(8, 5, generator=rng)
    expected = []
    for i in range(8):
        j = (i + 4) % 8
        similarity = [F.cosine_similarity(z[i], z[k], dim=0) / 0.3 for k in range(8)]
        others = torch.stack([similarity[k] for k in range(8) if k != i])
        expected.append(torch.logsumexp(others, 0) - similarity[j])
    torch.testing.assert_close(contrastive_loss(z, 0.3), torch.stack(expected).mean())


def test_view_information_of_perfect_useless_and_degenerate_categories() -> None:
    perfect = F.one_hot(torch.arange(100) % 10, 10).float()
    assert view_information(perfect, perfect).item() == pytest.approx(math.log(10), abs=1e-3)
    flat = torch.full((100, 10), 0.1)
    assert view_information(flat, flat).item() == pytest.approx(0, abs=1e-5)
    one = F.one_hot(torch.zeros(100, dtype=torch.long), 10).float()
    assert view_information(one, one).item() == pytest.approx(0, abs=1e-4)
    shuffled = perfect[torch.randperm(100, generator=torch.Generator().manual_seed(0))]
    assert view_information(perfect, shuffled).item() < 0.7


def test_principal_directions_keep_what_varies() -> None:
    rng = torch.Generator().manual_seed(0)
    plane = torch.randn(200, 2, generator=rng) @ torch.randn(2, 12, generator=rng)
    reduced = principal_directions(plane, 2)
    assert reduced.shape == (200, 2)
    torch.testing.assert_close(reduced.norm(dim=1), torch.ones(200))
    centred = F.normalize(plane, dim=1) - F.normalize(plane, dim=1).mean(0)
    unit = F.normalize(centred, dim=1)
    torch.testing.assert_close(reduced @ reduced.T, unit @ unit.T)


def cost_written_out(fixed: Tensor, moving: Tensor, displacement: int) -> int:
    """The image distortion model pixel by pixel, on gradients (C, H, W) of whole numbers."""
    channels, height, width = fixed.shape

    def at(gradients: Tensor, y: int, x: int) -> Tensor:
        inside = 0 <= y < height and 0 <= x < width
        return gradients[:, y, x].long() if inside else torch.zeros(channels, dtype=torch.long)

    total = 0
    for y in range(height):
        for x in range(width):
            options = []
            for down in range(-displacement, displacement + 1):
                for across in range(-displacement, displacement + 1):
                    if abs(down) + abs(across) > displacement:
                        continue
                    cost = 0
                    for v in (-1, 0, 1):
                        for u in (-1, 0, 1):
                            if 0 <= y + v < height and 0 <= x + u < width:
                                there = at(moving, y + v + down, x + u + across)
                                cost += int((at(fixed, y + v, x + u) - there).square().sum())
                    options.append(cost)
            total += min(options)
    return total


@pytest.mark.parametrize(("channels", "displacement"), [(1, 1), (3, 2)])
def test_deformation_costs_are_the_model_written_out(channels: int, displacement: int) -> None:
    rng = torch.Generator().manual_seed(channels)
    images = torch.randint(0, 256, (4, channels, 9, 9), generator=rng, dtype=torch.uint8)
    matcher = DeformableMatcher(images, displacement, 5, 1)
    fixed, moving = torch.tensor([0, 1, 2]), torch.tensor([[3], [0], [2]])
    gradients = matcher._gradients
    expected = [
        [cost_written_out(gradients[i], gradients[j], displacement)]
        for i, [j] in zip(fixed, moving, strict=True)
    ]
    assert matcher.costs(fixed, moving).tolist() == expected
    assert expected[2] == [0]


def test_deformation_forgives_a_small_shift_and_nothing_else() -> None:
    images = torch.zeros(4, 1, 28, 28, dtype=torch.uint8)
    images[0, 0, 6:22, 8:10] = 255
    images[1, 0, 7:23, 9:11] = 255  # down and to the right
    images[2, 0, 6:22, 13:15] = 255  # far to the right
    images[3, 0, 6:8, 8:20] = 255  # lying
    (costs,) = DeformableMatcher(images, 2, 1, 4).costs(torch.tensor([0]), torch.arange(4)[None])
    assert costs[0] == costs[1] == 0
    assert (costs[2:] > 1000).all()


def test_deformation_costs_do_not_overflow_at_the_greatest_contrast() -> None:
    board = (torch.arange(12)[:, None] + torch.arange(12)) // 2 % 2
    images = torch.stack([board * 255, 255 - board * 255]).to(torch.uint8)[:, None].expand(-1, 3, -1, -1)
    matcher = DeformableMatcher(images, 0, 1, 1)
    gradients = matcher._gradients
    expected = cost_written_out(gradients[0], gradients[1], 0)
    assert matcher.costs(torch.tensor([0]), torch.tensor([[1]])).item() == expected > 0


def test_neighbours_are_the_best_explained_of_the_nearest_and_never_the_image_itself() -> None:
    images, _ = shapes(60)
    config = small_preset()
    session = Session(config=config, networks=build_networks(config, size=16, channels=3), images=images)
    stage = NeighboursStage(session)
    stage.step(0)
    stage.finish()
    near = session.artifacts[NEIGHBOURS].long()
    assert near.shape == (60, 5)
    assert not (near == torch.arange(60)[:, None]).any()
    encoder = session.networks.branches[0].layers.eval()
    with torch.no_grad():
        features = principal_directions(encoder(session.float_images(torch.arange(60))).flatten(1), 16)
    candidates = (features @ features.T).fill_diagonal_(-9).topk(20).indices
    costs = DeformableMatcher(images, 2, 60, 20).costs(torch.arange(60), candidates)
    found = DeformableMatcher(images, 2, 60, 5).costs(torch.arange(60), near)
    # Equally good ones may come in any order, so what is compared is how good they are.
    assert found.tolist() == costs.sort(dim=1).values[:, :5].tolist()


def test_categories_of_colour_shapes_are_found_without_labels(tmp_path: Path) -> None:
    images, kinds = shapes(1500)
    config = small_preset()
    run = RunFolder.create(tmp_path / "run", config, "shapes")
    loop.train(config, images, run, device=CPU, console=QUIET)
    networks = build_networks(config, size=16, channels=3)
    state = read_checkpoint(run.last_checkpoint).part("networks")
    networks.load_state_dict(state)
    networks.eval()
    with torch.no_grad():
        logits = networks.infer(images.float() / 255).logits
    match = match_labels(logits.argmax(1).numpy(), kinds.numpy(), 3)
    assert match.accuracy > 0.95, match


def test_best_cut_of_all_tries_stays() -> None:
    images, kinds = shapes(600)
    config = small_preset({"clustering": {"grouping": {"restarts": 4}}})
    session = Session(config=config, networks=build_networks(config, size=16, channels=3), images=images)
    rng = torch.Generator().manual_seed(0)
    same = torch.stack(
        [torch.nonzero(kinds == kind)[:, 0][torch.randint(150, (5,), generator=rng)] for kind in kinds]
    )
    noise = torch.randint(600, (600, 5), generator=rng)
    session.artifacts[NEIGHBOURS] = torch.where(torch.rand(600, 5, generator=rng) < 0.3, noise, same).int()
    stage = GroupingStage(session)
    found = []
    for index in range(4):
        before = stage.meters.sums.clone()
        stage.step(index)
        found.append((stage.meters.sums - before).item())
    assert stage.tensors()["information"].item() == pytest.approx(max(found))
    stage.finish()
    assert list(session.artifacts) == [GROUPS]
    assert match_labels(session.artifacts[GROUPS].numpy(), kinds.numpy(), 3).accuracy > 0.95


def test_found_posterior_stands_still_in_the_game(tmp_path: Path) -> None:
    images, _ = shapes(300)
    states = []
    for steps in (1, 6):
        config = small_preset({"schedule": {"steps": steps}})
        run = RunFolder.create(tmp_path / str(steps), config, "shapes")
        loop.train(config, images, run, device=CPU, console=QUIET)
        states.append(read_checkpoint(run.last_checkpoint).part("networks"))
    before, after = states
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    parts = {".".join(name.split(".")[:2]) for name in moved}
    assert "q.0" not in parts
    assert {"q.1", "generator.layers", "averaged.layers", "trunk.layers", "d_head.logit"} <= parts


def test_the_average_of_g_draws_by_its_own_statistics() -> None:
    images, _ = shapes(300)
    config = small_preset()
    networks = build_networks(config, size=images.shape[2], channels=images.shape[1])
    averaged = networks.averaged
    assert averaged is not None
    norm = next(layer for layer in averaged.layers if isinstance(layer, torch.nn.BatchNorm2d))
    assert norm.running_mean is not None
    norm.running_mean.fill_(7.0)
    weights = {name: p.clone() for name, p in averaged.named_parameters()}
    ConsolidationStage(Session(config=config, networks=networks, images=images))
    latents = sample_latents(config.latent, 20_000, torch.Generator().manual_seed(99)).vector()
    with torch.no_grad():
        first = averaged.layers[0](latents[:, :, None, None]).flatten(1)
    assert torch.allclose(norm.running_mean, first.mean(dim=0), atol=0.05 * float(first.std()))
    assert not averaged.training
    assert all(torch.equal(p, weights[name]) for name, p in averaged.named_parameters())


@pytest.mark.parametrize("cut", [7, 36, 37, 38, 39, 40, 60, 87, 89, 95])
def test_cut_in_any_stage_and_resumed_is_the_same_to_the_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cut: int
) -> None:
    images, _ = shapes(300)
    config = small_preset()
    whole = RunFolder.create(tmp_path / "whole", config, "shapes")
    total = loop.train(config, images, whole, device=CPU, console=QUIET).step
    assert total == 36 + 1 + 2 + 48 + 4 + 9
    part = RunFolder.create(tmp_path / "part", config, "shapes")
    with monkeypatch.context() as patch:
        patch.setattr(loop, "stop_signals", lambda: stop_after(cut))
        assert loop.train(config, images, part, device=CPU, console=QUIET).step == cut
    checkpoint = read_checkpoint(part.last_checkpoint)
    assert checkpoint.header.step == cut
    loop.train(config, images, part, device=CPU, console=QUIET, resume=checkpoint)
    ours, theirs = (read_checkpoint(run.last_checkpoint).tensors for run in (part, whole))
    assert ours.keys() == theirs.keys()
    assert not [name for name in ours if not torch.equal(ours[name], theirs[name])]
    lines = [
        [line.split('"Timing')[0] for line in run.metrics.read_text().splitlines()] for run in (part, whole)
    ]
    assert lines[0] == lines[1]


def test_longer_game_after_consolidation_is_refused(tmp_path: Path) -> None:
    images, _ = shapes(300)
    run = RunFolder.create(tmp_path / "run", small_preset(), "shapes")
    loop.train(small_preset(), images, run, device=CPU, console=QUIET)
    longer = small_preset({"schedule": {"steps": 40}})
    metrics = run.metrics.read_bytes()
    with pytest.raises(RunError, match="earlier stages"):
        loop.train(
            longer, images, run, device=CPU, console=QUIET, resume=read_checkpoint(run.last_checkpoint)
        )
    assert run.read_config() == small_preset(), "a refused run is as it was"
    assert run.metrics.read_bytes() == metrics


@pytest.mark.parametrize("lost", ["meters/sums", "rng/stage", "stage/layers.0.weight"])
def test_checkpoint_that_lacks_a_tensor_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lost: str
) -> None:
    images, _ = shapes(300)
    run = RunFolder.create(tmp_path / "run", small_preset(), "shapes")
    with monkeypatch.context() as patch:
        patch.setattr(loop, "stop_signals", lambda: stop_after(50))  # in the refinement stage
        loop.train(small_preset(), images, run, device=CPU, console=QUIET)
    checkpoint = read_checkpoint(run.last_checkpoint)
    del checkpoint.tensors[lost]
    with pytest.raises(RunError, match="does not fit the run's config"):
        loop.train(small_preset(), images, run, device=CPU, console=QUIET, resume=checkpoint)


def trained(config: TrainConfig, images: Tensor, path: Path) -> Networks:
    """Train on colour images of 16 x 16 and return the networks as they are exported."""
    run = RunFolder.create(path, config, "shapes")
    loop.train(config, images, run, device=CPU, console=QUIET)
    networks = build_networks(config, size=16, channels=3)
    networks.load_state_dict(read_checkpoint(run.last_checkpoint).part("networks"))
    return networks.eval()


def test_consolidation_makes_q_read_what_is_drawn(tmp_path: Path) -> None:
    images, _ = shapes(600)
    found = []
    for steps in (1, 150):
        config = small_preset({"schedule": {"steps": 60}, "consolidation": {"steps": steps}})
        networks = trained(config, images, tmp_path / str(steps))
        latent = sample_latents(config.latent, 1000, torch.Generator().manual_seed(9))
        with torch.no_grad():
            nll = code_nll(networks.infer(networks.drawing(latent.vector())), latent)
        found.append(nll[1:].sum().item())
    assert found[1] < found[0] - 0.1


def test_noise_makes_q_read_what_can_be_seen(tmp_path: Path) -> None:
    images, _ = shapes(600)
    lost = []
    for noise in (0.0, 0.2):
        changes = {"q_noise": noise, "consolidation": {"steps": 150}, "schedule": {"steps": 60}}
        config = small_preset(changes)
        networks = trained(config, images, tmp_path / str(noise))
        rng = torch.Generator().manual_seed(9)
        latent = sample_latents(config.latent, 1000, rng)
        with torch.no_grad():
            clear = networks.drawing(latent.vector())
            noisy = (clear + 0.1 * torch.randn(clear.shape, generator=rng)).clamp(0, 1)
            of_clear, of_noisy = (code_nll(networks.infer(p), latent)[1:].sum() for p in (clear, noisy))
        lost.append((of_noisy - of_clear).item())
    assert lost[1] < 0.5 * lost[0]


class StopAfter:
    """Stands for a signal that comes during step number ``count``."""

    def __init__(self, count: int) -> None:
        self.left = count

    def is_set(self) -> bool:
        return self.left <= 0


@contextmanager
def stop_after(count: int) -> Iterator[StopAfter]:
    stop = StopAfter(count)
    original = Meters.add

    def counted(meters: Meters, scalars: Tensor) -> None:  # every stage adds once a step
        stop.left -= 1
        original(meters, scalars)

    Meters.add = counted  # type: ignore[method-assign]
    try:
        yield stop
    finally:
        Meters.add = original  # type: ignore[method-assign]
