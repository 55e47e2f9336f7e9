"""Which parameters each update moves, and what stops it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import torch
from torch import Tensor, nn

from infogan_tool.runtime.errors import NonFiniteError
from infogan_tool.train.engine.optimizer_step import Descent
from infogan_tool.train.infogan.latents import sample_latents
from infogan_tool.train.infogan.networks import build_networks
from infogan_tool.train.infogan.step import Updates, metric_names

if TYPE_CHECKING:
    from collections.abc import Callable

    from infogan_tool.train.config.schema import TrainConfig

PARTS = ("generator", "trunk", "d_head", "q")


def make(config: TrainConfig) -> tuple[Updates, torch.Generator]:
    rng = torch.Generator().manual_seed(0)
    networks = build_networks(config, size=28, channels=1)
    return Updates(networks, config, rng, Descent(rng.device)), rng


def snapshot(module: nn.Module) -> dict[str, Tensor]:
    return {name: p.detach().clone() for name, p in module.named_parameters()}


def moved_parts(updates: Updates, before: dict[str, Tensor]) -> set[str]:
    changed = {name for name, p in updates.networks.named_parameters() if not torch.equal(p, before[name])}
    return {part for part in PARTS if any(name.startswith(part + ".") for name in changed)}


@pytest.fixture
def real(mnist: Tensor) -> Tensor:
    return mnist[:32].float() / 255


def test_d_step_moves_trunk_and_d_head_only(small: Callable[..., TrainConfig], real: Tensor) -> None:
    updates, rng = make(small())
    latent = sample_latents(small().latent, 32, rng)
    fake = updates.networks.generator(latent.vector())
    before = snapshot(updates.networks)
    updates.d_step(real, fake, latent)
    assert moved_parts(updates, before) == {"trunk", "d_head"}
    assert all(p.grad is None for p in updates.networks.generator.parameters())


def test_g_step_moves_generator_and_q_head_only(small: Callable[..., TrainConfig]) -> None:
    updates, rng = make(small())
    latent = sample_latents(small().latent, 32, rng)
    before = snapshot(updates.networks)
    updates.g_step(updates.networks.generator(latent.vector()), latent)
    assert moved_parts(updates, before) == {"generator", "q"}
    assert all(p.requires_grad for p in updates.networks.parameters()), "D must be able to learn again"


def test_without_lambda_q_looks_on_and_g_hears_nothing_of_it(small: Callable[..., TrainConfig]) -> None:
    silent = {"lambda_categorical": 0.0, "lambda_continuous": 0.0}
    config = small({"objective": silent})
    updates, rng = make(config)
    latent = sample_latents(config.latent, 32, rng)
    before = snapshot(updates.networks)
    updates.g_step(updates.networks.generator(latent.vector()), latent)
    assert moved_parts(updates, before) == {"generator", "q"}

    other, _ = make(config)  # the same weights, but for a Q that reads something else
    with torch.no_grad():
        for parameter in other.networks.q.parameters():
            parameter.add_(0.5)
    other.g_step(other.networks.generator(latent.vector()), latent)
    ours, theirs = (u.networks.generator.state_dict() for u in (updates, other))
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


@pytest.mark.parametrize(
    ("scheme", "d_moves", "g_moves"),
    [
        ("trunk", {"trunk", "d_head", "q"}, {"generator"}),
        ("apart", {"trunk", "d_head"}, {"generator"}),
    ],
)
def test_other_schemes_move_what_they_say(
    small: Callable[..., TrainConfig], real: Tensor, scheme: str, d_moves: set[str], g_moves: set[str]
) -> None:
    updates, rng = make(small({"objective": {"updates": scheme}}))
    latent = sample_latents(small().latent, 32, rng)
    before = snapshot(updates.networks)
    updates.d_step(real, updates.networks.generator(latent.vector()), latent)
    assert moved_parts(updates, before) == d_moves
    before = snapshot(updates.networks)
    updates.g_step(updates.networks.generator(latent.vector()), latent)
    assert moved_parts(updates, before) == g_moves
    if scheme == "apart":
        before = snapshot(updates.networks)
        updates.i_step(latent)
        assert moved_parts(updates, before) == {"generator", "trunk", "q"}


def test_l_i_reaches_the_trunk_in_d_step_of_that_scheme_alone(
    small: Callable[..., TrainConfig], real: Tensor
) -> None:
    moved = {}
    for scheme in ("head", "trunk"):
        for weight in (0.0, 1.0):
            config = small({"objective": {"updates": scheme, "lambda_categorical": weight}})
            updates, rng = make(config)
            latent = sample_latents(config.latent, 32, rng)
            updates.d_step(real, updates.networks.generator(latent.vector()), latent)
            moved[scheme, weight] = updates.networks.trunk.layers[0].weight.detach()
    assert torch.equal(moved["head", 0.0], moved["head", 1.0])
    assert not torch.equal(moved["trunk", 0.0], moved["trunk", 1.0])


def test_running_statistics_are_those_of_real_images(small: Callable[..., TrainConfig], real: Tensor) -> None:
    updates, rng = make(small())
    latent = sample_latents(small().latent, 32, rng)
    networks = updates.networks
    norm = next(m for m in networks.trunk.modules() if isinstance(m, nn.BatchNorm2d))
    before = norm.running_mean.clone()  # type: ignore[union-attr]
    updates.g_step(networks.generator(latent.vector()), latent)
    assert torch.equal(norm.running_mean, before)  # type: ignore[arg-type]
    conv_out = networks.trunk.layers[:3](real)  # Conv, LeakyReLU, Conv: what the first BatchNorm sees
    updates.d_step(real, networks.generator(latent.vector()), latent)
    expected = 0.9 * before + 0.1 * conv_out.mean(dim=(0, 2, 3))
    torch.testing.assert_close(norm.running_mean, expected)
    assert norm.track_running_stats


def test_step_returns_a_scalar_per_name(small: Callable[..., TrainConfig], real: Tensor) -> None:
    config = small()
    updates, rng = make(config)
    scalars = updates.step(real, sample_latents(config.latent, 32, rng))
    record = dict(zip(metric_names(config.latent), scalars.tolist(), strict=True))
    bounds = [record[f"MI/{name}"] for name in config.latent.code_names]
    assert record["MI/lower_bound"] == pytest.approx(sum(bounds), abs=1e-5)
    entropies = config.latent.entropies
    assert record["MI/k1"] == pytest.approx(entropies["k1"] - record["Loss/Q/categorical"], abs=1e-5)
    assert 0 < record["Scores/real"] < 1
    assert 0 < record["Scores/fake_before_g"] < 1


@pytest.mark.parametrize("scheme", ["head", "trunk", "apart"])
def test_learns_the_codes_of_its_own_images(
    small: Callable[..., TrainConfig], mnist: Tensor, scheme: str
) -> None:
    config = small(
        {
            "latent": {"categorical": [3]},
            "optimizer": {"g_lr": 5e-3, "d_lr": 2e-3 if scheme == "trunk" else 2e-4},
            "objective": {"updates": scheme},
        }
    )
    updates, rng = make(config)
    names = metric_names(config.latent)
    index = names.index("MI/k1")
    history = [
        updates.step(mnist[i * 10 % 900 :][:32].float() / 255, sample_latents(config.latent, 32, rng))[
            index
        ].item()
        for i in range(150)
    ]
    assert sum(history[:10]) / 10 < 0.2
    assert sum(history[-10:]) / 10 > 0.8 * config.latent.entropies["k1"]


@pytest.mark.parametrize("poison", [float("nan"), float("inf")])
def test_bad_image_stops_before_d_moves(
    small: Callable[..., TrainConfig], real: Tensor, poison: float
) -> None:
    updates, rng = make(small())
    before = snapshot(updates.networks)
    real[3, 0, 5, 5] = poison
    with pytest.raises(NonFiniteError, match="Loss/D/adv"):
        updates.step(real, sample_latents(small().latent, 32, rng))
    assert not moved_parts(updates, before)


def test_bad_weight_of_g_stops_before_g_moves(small: Callable[..., TrainConfig]) -> None:
    updates, rng = make(small())
    latent = sample_latents(small().latent, 32, rng)
    with torch.no_grad():
        updates.networks.branches[0].mean.bias[1] = float("nan")  # type: ignore[union-attr]
    before = snapshot(updates.networks.generator)
    with pytest.raises(NonFiniteError, match="Loss/Q/c2 = nan") as error:
        updates.g_step(updates.networks.generator(latent.vector()), latent)
    assert "Loss/Q/c1" not in str(error.value)
    assert all(torch.equal(p, before[n]) for n, p in updates.networks.generator.named_parameters())


def test_bad_gradient_alone_stops_too(small: Callable[..., TrainConfig], real: Tensor) -> None:
    updates, rng = make(small())
    before = snapshot(updates.networks)
    updates.networks.d_head.logit.weight.register_hook(lambda grad: grad * float("inf"))
    with pytest.raises(NonFiniteError, match="gradient of Loss/D/adv"):
        updates.step(real, sample_latents(small().latent, 32, rng))
    assert not moved_parts(updates, before)


def test_rates_fall_in_a_straight_line_from_where_the_config_says(small: Callable[..., TrainConfig]) -> None:
    rates = {"d_lr": 4e-4, "g_lr": 1e-3, "lr_decay_start": 0.5}
    updates, _ = make(small({"optimizer": rates, "objective": {"information_update": "separate_step"}}))

    def paced(place: float) -> dict[str, float]:
        updates.pace(place)
        return {name: float(o.param_groups[0]["lr"]) for name, o in updates.optimizers.items()}

    whole = {"d_optimizer": 4e-4, "g_optimizer": 1e-3, "i_optimizer": 1e-3}
    assert paced(0.0) == paced(0.49) == paced(0.5) == pytest.approx(whole)
    assert paced(0.75) == pytest.approx({name: rate / 2 for name, rate in whole.items()})
    assert paced(0.99) == pytest.approx({name: rate / 50 for name, rate in whole.items()})


def test_rates_stay_where_the_config_does_not_say(small: Callable[..., TrainConfig]) -> None:
    updates, _ = make(small())
    updates.pace(0.999)
    assert updates.g_optimizer.param_groups[0]["lr"] == small().optimizer.g_lr


def test_lambda_goes_where_the_config_says(small: Callable[..., TrainConfig]) -> None:
    weights = {"lambda_categorical": 0.5, "lambda_categorical_end": 4.5, "lambda_continuous": 0.1}
    updates, _ = make(small({"objective": weights}))
    for place, expected in ((0.0, 0.5), (0.25, 1.5), (1.0, 4.5)):
        updates.pace(place)
        assert updates._weights.tolist() == pytest.approx([expected, 0.1, 0.1])


def test_q_may_have_a_view_of_its_own(small: Callable[..., TrainConfig]) -> None:
    apart = {"networks": {"q": "separate"}}
    shifted = {"affine": 1.0, "elastic": 0.0, "stroke": 0.0}

    def losses(changes: dict[str, object]) -> tuple[Tensor, Tensor]:
        updates, rng = make(small({**apart, **changes}))
        latent = sample_latents(small().latent, 32, rng)
        adversarial, nll, _ = updates.g_step(updates.networks.generator(latent.vector()), latent)
        return adversarial, nll

    plain, own, both = losses({}), losses({"q_view": shifted}), losses({"augment": shifted})
    assert torch.equal(own[0], plain[0]), "D sees the images as they are"
    assert not torch.equal(own[1], plain[1]), "Q does not"
    assert not torch.equal(both[0], plain[0])
    assert torch.equal(own[1], both[1]), "the same changes are drawn for the same view"


def test_noise_on_what_q_reads_is_not_seen_by_d(small: Callable[..., TrainConfig]) -> None:
    def losses(noise: float) -> tuple[Tensor, Tensor]:
        updates, rng = make(small({"networks": {"q": "separate"}, "q_noise": noise}))
        latent = sample_latents(small().latent, 32, rng)
        adversarial, nll, _ = updates.g_step(updates.networks.generator(latent.vector()), latent)
        return adversarial, nll

    clear, noisy = losses(0.0), losses(0.5)
    assert torch.equal(noisy[0], clear[0])
    assert not torch.equal(noisy[1], clear[1])


def test_a_conditional_d_is_told_both_categories(small: Callable[..., TrainConfig], real: Tensor) -> None:
    told = {"networks": {"q": "separate", "conditional": True}}
    config = small({**told, "clustering": {}})
    for found in (0, 3):
        updates, rng = make(config)
        latent = sample_latents(config.latent, 32, rng)
        before = updates.networks.d_head.logit.weight.detach().clone()
        updates.d_step(real, updates.networks.generator(latent.vector()), latent, torch.full((32,), found))
        after = updates.networks.d_head.logit.weight.detach()
        moved = {i for i in range(11) if not torch.equal(after[i], before[i])}
        drawn = {1 + int(category) for category in latent.categories[:, 0]}
        assert moved == {0, 1 + found} | drawn, "those of images that D saw, and what all share"
    updates, rng = make(config)
    latent = sample_latents(config.latent, 32, rng)
    fake = updates.networks.generator(latent.vector())
    losses = []
    for shift in (0, 1):
        other = replace(latent, categories=(latent.categories + shift) % 10)
        with torch.no_grad():
            losses.append(updates.networks.discriminate(fake, other.categories[:, 0]))
    assert not torch.equal(*losses)
    assert updates.fake_score(latent).item() == pytest.approx(
        torch.sigmoid(losses[0]).mean().item(), abs=1e-5
    )


def test_fake_score_leaves_everything_as_it_is(small: Callable[..., TrainConfig]) -> None:
    updates, rng = make(small({"augment": {"affine": 0.5}}))
    latent = sample_latents(small().latent, 32, rng)
    state = {name: t.clone() for name, t in updates.networks.state_dict().items()}
    randomness = rng.get_state()
    assert 0 < updates.fake_score(latent).item() < 1
    assert torch.equal(rng.get_state(), randomness)
    assert all(torch.equal(updates.networks.state_dict()[name], t) for name, t in state.items())
