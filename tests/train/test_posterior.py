"""Finding categories without labels: each term, each stage, and pictures that are no digits."""

from __future__ import annotations

import math
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from rich.console import Console
from torch.nn import functional as F

from infogan_tool.export.labels import match_labels
from infogan_tool.runtime.errors import RunError
from infogan_tool.train import loop
from infogan_tool.train.checkpoint import read_checkpoint
from infogan_tool.train.config import TrainConfig, lay_over, validate_config
from infogan_tool.train.latents import sample_latents
from infogan_tool.train.losses import code_nll
from infogan_tool.train.meters import Meters
from infogan_tool.train.networks import build_networks
from infogan_tool.train.posterior.candidates import keep_candidate
from infogan_tool.train.posterior.grouping import neighbour_disagreement, view_information
from infogan_tool.train.posterior.neighbours import NEIGHBOURS, NeighboursStage, principal_directions
from infogan_tool.train.posterior.pretext import contrastive_loss
from infogan_tool.train.posterior.selection import SelectionStage, neighbour_information
from infogan_tool.train.presets import mnist as mnist_preset
from infogan_tool.train.run import RunFolder
from infogan_tool.train.stage import Session

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from torch import Tensor

QUIET = Console(quiet=True)
CPU = torch.device("cpu")


def small_preset(changes: dict[str, Any] | None = None) -> TrainConfig:
    small = {
        "latent": {"categorical": [3], "noise": 8},
        "data": {"size": 16, "channels": 3},
        "networks": {"base_width": 8, "full_width": 32, "q_width": 16, "q_features": 32},
        "precision": "fp32",
        "posterior": {
            "rounds": 2,
            "batch_size": 50,
            "pretext": {"epochs": 6},
            "neighbours": {"count": 5, "dimensions": 16},
            "consistency": {"epochs": 8, "learning_rate": 3e-3},
            "refinement": {"epochs": 4},
        },
        "consolidation": {"steps": 9},
        "schedule": {"batch_size": 50, "steps": 4, "log_every": 5},
    }
    return validate_config(lay_over(lay_over(mnist_preset(), small), changes or {}))


def shapes(count: int) -> tuple[Tensor, Tensor]:
    """Colour pictures of bars, discs and crosses, uint8 (count, 3, 16, 16), and which is which."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:16, :16]
    pictures, kinds = np.zeros((count, 3, 16, 16), np.uint8), rng.integers(0, 3, count)
    for picture, kind in zip(pictures, kinds, strict=True):
        cx, cy = rng.uniform(6, 9, 2)
        dx, dy = np.abs(x - cx), np.abs(y - cy)
        mask = [
            (dx < rng.uniform(1, 2.5)) & (dy < 7),
            np.hypot(dx, dy) < rng.uniform(3.5, 5.5),
            (np.abs(dx - dy) < 1.5) & (dx < 5.5),
        ][kind]
        picture[:, mask] = np.array([[240], [200], [90]])  # one colour: what differs is the shape
    return torch.from_numpy(pictures), torch.from_numpy(kinds)


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


def test_neighbour_disagreement_is_zero_for_the_same_category_only() -> None:
    a = F.one_hot(torch.arange(10), 10).float()
    assert neighbour_disagreement(a, a).item() == pytest.approx(0)
    assert neighbour_disagreement(a, a.roll(1, 0)).item() > 10
    assert neighbour_disagreement(a, torch.full((10, 10), 0.1)).item() == pytest.approx(math.log(10))


def test_principal_directions_keep_what_varies() -> None:
    rng = torch.Generator().manual_seed(0)
    plane = torch.randn(200, 2, generator=rng) @ torch.randn(2, 12, generator=rng)
    reduced = principal_directions(plane, 2)
    assert reduced.shape == (200, 2)
    torch.testing.assert_close(reduced.norm(dim=1), torch.ones(200))
    centred = F.normalize(plane, dim=1) - F.normalize(plane, dim=1).mean(0)
    unit = F.normalize(centred, dim=1)
    torch.testing.assert_close(reduced @ reduced.T, unit @ unit.T)


def test_neighbours_are_the_nearest_and_never_the_picture_itself() -> None:
    images, _ = shapes(60)
    config = small_preset()
    session = Session(config=config, networks=build_networks(config, size=16, channels=3), images=images)
    stage = NeighboursStage(session)
    stage.step(0)
    stage.finish()
    near = session.artifacts[f"{NEIGHBOURS}.0"]
    encoder = session.networks.branches[0].layers.eval()
    with torch.no_grad():
        features = principal_directions(encoder(session.pictures(torch.arange(60))).flatten(1), 16)
    similarity = (features @ features.T).fill_diagonal_(-9)
    # Equally near ones may come in any order, so what is compared is how near they are.
    found = similarity.gather(1, near.long())
    torch.testing.assert_close(found, similarity.topk(5).values)
    assert not (near == torch.arange(60)[:, None]).any()


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
        logits = networks.recognise(images.float() / 255).logits
    match = match_labels(logits.argmax(1).numpy(), kinds.numpy(), 3)
    assert match.accuracy > 0.95, match


def test_neighbour_information_of_perfect_useless_and_degenerate_categories() -> None:
    categories = torch.arange(100) % 5
    same = torch.stack([(torch.arange(100) + 5 * step) % 100 for step in (1, 2, 3)], dim=1)
    assert neighbour_information(categories, same, 5).item() == pytest.approx(math.log(5), abs=1e-3)
    every = torch.arange(100).expand(100, 100)
    assert neighbour_information(categories, every, 5).item() == pytest.approx(0, abs=1e-4)
    assert neighbour_information(torch.zeros(100, dtype=torch.long), same, 5).item() == pytest.approx(
        0, abs=1e-4
    )
    merged = torch.where(categories == 4, 3, categories)
    assert neighbour_information(merged, same, 5).item() < math.log(5) - 0.2


def test_best_candidate_is_kept_whichever_round_it_is_of() -> None:
    images, _ = shapes(200)
    config = small_preset()
    for best in (0, 1):
        session = Session(config=config, networks=build_networks(config, size=16, channels=3), images=images)
        branch = session.networks.branches[0]
        assert branch.logits is not None
        for session.round in (0, 1):  # the worse one puts everything into one category
            torch.nn.init.constant_(branch.logits.bias, 0.0 if session.round == best else 0.1)
            torch.nn.init.zeros_(branch.logits.weight)
            if session.round == best:
                torch.nn.init.orthogonal_(branch.logits.weight)
            else:
                branch.logits.bias.data[0] = 5
            keep_candidate(session)
            session.artifacts[f"{NEIGHBOURS}.{session.round}"] = torch.arange(200, dtype=torch.int32)[:, None]
        stage = SelectionStage(session)
        stage.step(0)
        stage.step(1)
        stage.finish()
        assert not session.artifacts
        assert (branch.logits.bias[0].item() == 0) is True


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


@pytest.mark.parametrize("cut", [7, 36, 37, 60, 109, 120, 219, 220, 222, 230])
def test_cut_in_any_stage_and_resumed_is_the_same_to_the_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cut: int
) -> None:
    images, _ = shapes(300)
    config = small_preset()
    whole = RunFolder.create(tmp_path / "whole", config, "shapes")
    total = loop.train(config, images, whole, device=CPU, console=QUIET).step
    assert total == 2 * (36 + 1 + 48 + 24) + 2 + 4 + 9
    part = RunFolder.create(tmp_path / "part", config, "shapes")
    with monkeypatch.context() as patch:
        patch.setattr(loop, "_stop_signals", lambda: stop_after(cut))
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


@pytest.mark.parametrize("lost", ["meters/sums", "rng/stage", "stage/losses"])
def test_checkpoint_that_lacks_a_tensor_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lost: str
) -> None:
    images, _ = shapes(300)
    run = RunFolder.create(tmp_path / "run", small_preset(), "shapes")
    with monkeypatch.context() as patch:
        patch.setattr(loop, "_stop_signals", lambda: stop_after(50))  # in the consistency stage
        loop.train(small_preset(), images, run, device=CPU, console=QUIET)
    checkpoint = read_checkpoint(run.last_checkpoint)
    del checkpoint.tensors[lost]
    with pytest.raises(RunError, match="does not fit the run's config"):
        loop.train(small_preset(), images, run, device=CPU, console=QUIET, resume=checkpoint)


def test_consolidation_makes_q_read_what_is_drawn(tmp_path: Path) -> None:
    images, _ = shapes(600)
    found = []
    for steps in (1, 150):
        config = small_preset({"schedule": {"steps": 60}, "consolidation": {"steps": steps}})
        run = RunFolder.create(tmp_path / str(steps), config, "shapes")
        loop.train(config, images, run, device=CPU, console=QUIET)
        networks = build_networks(config, size=16, channels=3)
        networks.load_state_dict(read_checkpoint(run.last_checkpoint).part("networks"))
        networks.eval()
        latent = sample_latents(config.latent, 1000, torch.Generator().manual_seed(9))
        with torch.no_grad():
            nll = code_nll(networks.recognise(networks.drawing(latent.vector())), latent)
        found.append(nll[1:].sum().item())
    assert found[1] < found[0] - 0.1


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
