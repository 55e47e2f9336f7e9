"""The updates of an adversarial step: what each moves, schedules, and values that are not finite."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import torch
from adversarial_steps import make_batch, make_step, named
from torch import Tensor, nn

from infogan_tool.runtime.errors import NonFiniteError
from infogan_tool.train.infogan.latents import sample_latents
from infogan_tool.train.infogan.step import AdversarialStep, metric_names

if TYPE_CHECKING:
    from collections.abc import Callable

    from infogan_tool.train.config.schema import TrainConfig
    from infogan_tool.train.infogan.latents import LatentBatch

PARTS = ("generator", "trunk", "d_head", "q")


def g_losses(config: TrainConfig) -> tuple[Tensor, Tensor]:
    """The adversarial loss and -log Q(c|x) of the first update of G."""
    step, rng = make_step(config)
    latent = sample_latents(config.latent, 32, rng)
    scalars = step.update(named(step, "G"), make_batch(step, latent))
    nll = [scalars[f"Loss/Q/{name}"] for name in config.latent.code_names]
    return scalars["Loss/G/adv"], torch.stack(nll)


def snapshot(module: nn.Module) -> dict[str, Tensor]:
    return {name: p.detach().clone() for name, p in module.named_parameters()}


def moved_parts(step: AdversarialStep, before: dict[str, Tensor]) -> set[str]:
    changed = {name for name, p in step.networks.named_parameters() if not torch.equal(p, before[name])}
    return {part for part in PARTS if any(name.startswith(part + ".") for name in changed)}


@pytest.fixture
def real(mnist: Tensor) -> Tensor:
    return mnist[:32].float() / 255


def test_without_lambda_q_learns_and_does_not_change_g(small: Callable[..., TrainConfig]) -> None:
    config = small({"objective": {"lambda_categorical": 0.0, "lambda_continuous": 0.0}})
    step, rng = make_step(config)
    latent = sample_latents(config.latent, 32, rng)
    before = snapshot(step.networks)
    step.update(named(step, "G"), make_batch(step, latent))
    assert moved_parts(step, before) == {"generator", "q"}

    other, _ = make_step(config)  # the same weights, except those of Q
    with torch.no_grad():
        for parameter in other.networks.q.parameters():
            parameter.add_(0.5)
    other.update(named(other, "G"), make_batch(other, latent))
    ours, theirs = (s.networks.generator.state_dict() for s in (step, other))
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


@pytest.mark.parametrize(
    ("scheme", "moves"),
    [
        ("q_head", [("G", {"generator", "q"})]),
        ("shared", [("D", {"trunk", "d_head", "q"}), ("G", {"generator"})]),
        ("separate_step", [("L_I", {"q"})]),
    ],
)
def test_without_lambda_q_is_monitored_in_every_scheme(
    small: Callable[..., TrainConfig], real: Tensor, scheme: str, moves: list[tuple[str, set[str]]]
) -> None:
    trunks = []
    weights: dict[str, object] = {"lambda_categorical": 0.0, "lambda_continuous": 0.0}
    for shift in (0.0, 0.5):
        step, rng = make_step(small({"objective": {**weights, "information_update": scheme}}))
        with torch.no_grad():  # of another Q nothing but Q may depend
            for parameter in step.networks.q.parameters():
                parameter.add_(shift)
        latent = sample_latents(small().latent, 32, rng)
        for name, parts in moves:
            before = snapshot(step.networks)
            step.update(named(step, name), make_batch(step, latent, real))
            assert moved_parts(step, before) == parts, name
        trunks.append(snapshot(step.networks.trunk))
    assert all(torch.equal(trunks[0][name], trunks[1][name]) for name in trunks[0])


def test_lambdas_of_codes_that_there_are_decide_whether_l_i_is_used(
    small: Callable[..., TrainConfig],
) -> None:
    none = {"lambda_categorical": 0.0, "lambda_continuous": 0.0}
    assert not small({"objective": none}).uses_information
    assert small({"objective": {**none, "lambda_continuous_end": 1.0}}).uses_information
    only_styles = {"latent": {"categorical": []}, "objective": {"lambda_continuous": 0.0}}
    assert not small(only_styles).uses_information


@pytest.mark.parametrize(
    ("scheme", "moves"),
    [
        ("q_head", [("D", {"trunk", "d_head"}), ("G", {"generator", "q"})]),
        ("shared", [("D", {"trunk", "d_head", "q"}), ("G", {"generator"})]),
        (
            "separate_step",
            [("G", {"generator"}), ("D", {"trunk", "d_head"}), ("L_I", {"generator", "trunk", "q"})],
        ),
    ],
)
def test_each_update_moves_its_parameters_only(
    small: Callable[..., TrainConfig], real: Tensor, scheme: str, moves: list[tuple[str, set[str]]]
) -> None:
    step, rng = make_step(small({"objective": {"information_update": scheme}}))
    latent = sample_latents(small().latent, 32, rng)
    assert [update.name for update in step.scheme] == [name for name, _ in moves]
    for update, (_, parts) in zip(step.scheme, moves, strict=True):
        for parameter in step.networks.parameters():
            parameter.grad = None
        before = snapshot(step.networks)
        step.update(update, make_batch(step, latent, real))
        assert moved_parts(step, before) == parts
        got_gradient = {n.split(".")[0] for n, p in step.networks.named_parameters() if p.grad is not None}
        assert got_gradient == parts
        assert all(p.requires_grad for p in step.networks.parameters()), "nothing stays frozen"


@pytest.mark.parametrize("scheme", ["q_head", "shared", "separate_step"])
def test_an_encoder_from_clustering_is_beside_a_shared_q_and_does_not_move(
    small: Callable[..., TrainConfig], real: Tensor, scheme: str
) -> None:
    changes = {"clustering": {}, "latent": {"categorical": [4, 3]}, "networks": {"conditional": True}}
    config = small({**changes, "objective": {"information_update": scheme}})
    step, rng = make_step(config)
    first, second = step.networks.q_branches
    assert [first.reads_trunk, second.reads_trunk] == [False, True]
    latent = sample_latents(config.latent, 32, rng)
    before = snapshot(step.networks)
    losses = step.step(real, latent, torch.zeros(32, dtype=torch.int64))
    assert losses.isfinite().all()
    after = step.networks.state_dict()
    moved = {name for name, value in before.items() if not torch.equal(after[name], value)}
    assert not {name for name in moved if name.startswith("q.0.")}
    assert {"q.1.mean.weight", "q.1.logits.weight", "generator.layers.0.weight"} <= moved
    images = torch.rand(4, 1, 28, 28)
    step.networks.eval()
    posterior = step.networks.infer(images)
    assert torch.equal(posterior.logits[:, :4], first(images).logits)
    assert torch.equal(posterior.mean, second(step.networks.trunk(images)).mean)
    assert torch.equal(posterior.mean, step.networks.infer_styles(images))


def test_l_i_reaches_the_trunk_in_the_d_update_of_shared_only(
    small: Callable[..., TrainConfig], real: Tensor
) -> None:
    moved = {}
    for scheme in ("q_head", "shared"):
        for weight in (0.0, 1.0):
            config = small({"objective": {"information_update": scheme, "lambda_categorical": weight}})
            step, rng = make_step(config)
            latent = sample_latents(config.latent, 32, rng)
            step.update(named(step, "D"), make_batch(step, latent, real))
            moved[scheme, weight] = step.networks.trunk.layers[0].weight.detach()
    assert torch.equal(moved["q_head", 0.0], moved["q_head", 1.0])
    assert not torch.equal(moved["shared", 0.0], moved["shared", 1.0])


def test_running_statistics_are_those_of_real_images(small: Callable[..., TrainConfig], real: Tensor) -> None:
    step, rng = make_step(small())
    latent = sample_latents(small().latent, 32, rng)
    networks = step.networks
    norm = next(m for m in networks.trunk.modules() if isinstance(m, nn.BatchNorm2d))
    before = norm.running_mean.clone()  # type: ignore[union-attr]
    step.update(named(step, "G"), make_batch(step, latent))
    assert torch.equal(norm.running_mean, before)  # type: ignore[arg-type]
    conv_out = networks.trunk.layers[:3](real)  # Conv, LeakyReLU, Conv: what the first BatchNorm sees
    step.update(named(step, "D"), make_batch(step, latent, real))
    expected = 0.9 * before + 0.1 * conv_out.mean(dim=(0, 2, 3))
    torch.testing.assert_close(norm.running_mean, expected)
    assert norm.track_running_stats


def test_step_returns_a_scalar_per_name(small: Callable[..., TrainConfig], real: Tensor) -> None:
    config = small()
    step, rng = make_step(config)
    scalars = step.step(real, sample_latents(config.latent, 32, rng))
    record = dict(zip(metric_names(config), scalars.tolist(), strict=True))
    bounds = [record[f"MI/{name}"] for name in config.latent.code_names]
    assert record["MI/lower_bound"] == pytest.approx(sum(bounds), abs=1e-5)
    entropies = config.latent.entropies
    assert record["MI/k1"] == pytest.approx(entropies["k1"] - record["Loss/Q/categorical"], abs=1e-5)
    assert 0 < record["Scores/real"] < 1
    assert 0 < record["Scores/fake_before_g"] < 1


@pytest.mark.parametrize("scheme", ["q_head", "shared", "separate_step"])
def test_q_learns_the_codes_of_generated_images(
    small: Callable[..., TrainConfig], mnist: Tensor, scheme: str
) -> None:
    config = small(
        {
            "latent": {"categorical": [3]},
            "optimizer": {"g_lr": 1e-2, "d_lr": 5e-3 if scheme == "shared" else 2e-4},
            "objective": {"information_update": scheme},
        }
    )
    step, rng = make_step(config)
    names = metric_names(config)
    index = names.index("MI/k1")
    history = [
        step.step(mnist[i * 10 % 900 :][:32].float() / 255, sample_latents(config.latent, 32, rng))[
            index
        ].item()
        for i in range(80)
    ]
    assert sum(history[:10]) / 10 < 0.2
    assert sum(history[-10:]) / 10 > 0.7 * config.latent.entropies["k1"]


@pytest.mark.parametrize("poison", [float("nan"), float("inf")])
def test_non_finite_image_stops_before_d_moves(
    small: Callable[..., TrainConfig], real: Tensor, poison: float
) -> None:
    step, rng = make_step(small())
    before = snapshot(step.networks)
    real[3, 0, 5, 5] = poison
    with pytest.raises(NonFiniteError, match="Loss/D/adv"):
        step.step(real, sample_latents(small().latent, 32, rng))
    assert not moved_parts(step, before)


def test_non_finite_weight_stops_before_g_moves(small: Callable[..., TrainConfig]) -> None:
    step, rng = make_step(small())
    latent = sample_latents(small().latent, 32, rng)
    with torch.no_grad():
        step.networks.q_category.mean.bias[1] = float("nan")  # type: ignore[union-attr]
    before = snapshot(step.networks.generator)
    with pytest.raises(NonFiniteError, match="Loss/Q/c2 = nan") as error:
        step.update(named(step, "G"), make_batch(step, latent))
    assert "Loss/Q/c1" not in str(error.value)
    assert all(torch.equal(p, before[n]) for n, p in step.networks.generator.named_parameters())


def test_non_finite_gradient_stops_too(small: Callable[..., TrainConfig], real: Tensor) -> None:
    step, rng = make_step(small())
    before = snapshot(step.networks)
    step.networks.d_head.logit.weight.register_hook(lambda grad: grad * float("inf"))
    with pytest.raises(NonFiniteError, match="gradient of Loss/D/adv"):
        step.step(real, sample_latents(small().latent, 32, rng))
    assert not moved_parts(step, before)


def test_q_view_replaces_the_augmentation_for_q(small: Callable[..., TrainConfig]) -> None:
    separate = {"networks": {"q": "separate"}}
    shifted = {"affine": 1.0, "elastic": 0.0, "stroke": 0.0}
    changes: list[dict[str, object]] = [{}, {"q_view": shifted}, {"augment": shifted}]
    plain, own, both = (g_losses(small({**separate, **change})) for change in changes)
    assert torch.equal(own[0], plain[0]), "D's images are not augmented"
    assert not torch.equal(own[1], plain[1]), "Q's are"
    assert not torch.equal(both[0], plain[0])
    assert torch.equal(own[1], both[1]), "the same seed gives the same view"


@pytest.mark.parametrize("change", [{"q_view": {"affine": 1.0}}, {"q_noise": 0.5}])
def test_q_view_and_noise_are_in_the_separate_step_too(
    small: Callable[..., TrainConfig], change: dict[str, object]
) -> None:
    config = {"clustering": {}, "objective": {"information_update": "separate_step"}}
    losses = []
    for given in (config, {**config, **change}):
        step, rng = make_step(small(given))
        latent = sample_latents(small().latent, 32, rng)
        scalars = step.update(named(step, "L_I"), make_batch(step, latent))
        losses.append(scalars["Loss/Q/k1"])
    assert losses[0] != losses[1]


def test_q_noise_does_not_reach_d(small: Callable[..., TrainConfig]) -> None:
    clear, noisy = (
        g_losses(small({"networks": {"q": "separate"}, "q_noise": noise})) for noise in (0.0, 0.5)
    )
    assert torch.equal(noisy[0], clear[0])
    assert not torch.equal(noisy[1], clear[1])


def test_a_conditional_d_gets_both_categories(small: Callable[..., TrainConfig], real: Tensor) -> None:
    conditional = {"networks": {"q": "separate", "conditional": True}}
    config = small({**conditional, "clustering": {}})
    for category in (0, 3):
        step, rng = make_step(config)
        latent = sample_latents(config.latent, 32, rng)
        before = step.networks.d_head.logit.weight.detach().clone()
        batch = replace(make_batch(step, latent, real), real_categories=torch.full((32,), category))
        step.update(named(step, "D"), batch)
        after = step.networks.d_head.logit.weight.detach()
        moved = {i for i in range(11) if not torch.equal(after[i], before[i])}
        of_fakes = {1 + int(category) for category in latent.categories[:, 0]}
        assert moved == {0, 1 + category} | of_fakes, "those of D's images, and the unconditional logit"
    step, rng = make_step(config)
    latent = sample_latents(config.latent, 32, rng)
    fake = step.networks.generator(latent.vector())
    losses = []
    for shift in (0, 1):
        other = replace(latent, categories=(latent.categories + shift) % 10)
        with torch.no_grad():
            losses.append(step.networks.discriminate(fake, other.categories[:, 0]))
    assert not torch.equal(*losses)
    assert step.fake_score(latent).item() == pytest.approx(torch.sigmoid(losses[0]).mean().item(), abs=1e-5)


@pytest.mark.parametrize("changes", [{"augment": {"affine": 0.5}}, {"networks": {"spectral_norm": True}}])
def test_fake_score_changes_no_state(
    small: Callable[..., TrainConfig], changes: dict[str, dict[str, object]]
) -> None:
    step, rng = make_step(small(changes))
    latent = sample_latents(small().latent, 32, rng)
    state = {name: t.clone() for name, t in step.networks.state_dict().items()}
    randomness = rng.get_state()
    assert 0 < step.fake_score(latent).item() < 1
    assert torch.equal(rng.get_state(), randomness)
    assert all(torch.equal(step.networks.state_dict()[name], t) for name, t in state.items())


def test_a_conditional_d_comes_to_see_the_angle(small: Callable[..., TrainConfig], real: Tensor) -> None:
    config = small(
        {
            "networks": {"conditional": True},
            "clustering": {},
            "latent": {"periodic": ["c2"]},
            "objective": {"information_update": "shared", "transformations": ["scale", "turn"]},
        }
    )
    step, rng = make_step(config)
    latent = sample_latents(config.latent, 32, rng)
    turned = replace(latent, styles=latent.styles * torch.tensor([1.0, -1.0]))
    fake = step.networks.generator(latent.vector()).detach()

    def score(told: LatentBatch) -> Tensor:
        return step.networks.discriminate(fake, *step._fake_conditions(told)).detach()

    for progress, is_seen in ((0.0, False), (0.1, False), (0.3, True), (1.0, True)):
        step.set_schedules(progress)
        assert torch.equal(score(latent), score(turned)) is not is_seen
    before = step.networks.d_head.logit.weight.detach().clone()
    batch = replace(make_batch(step, latent, real), real_categories=torch.zeros(32, dtype=torch.long))
    step.update(named(step, "D"), batch)
    moved = (step.networks.d_head.logit.weight.detach() != before).flatten(1).any(dim=1)
    assert moved[-2:].all(), "D learns what the angle of an image looks like"
