"""Each term of the objective against torch.distributions or its formula."""

from __future__ import annotations

import math

import pytest
import torch
from torch.distributions import Bernoulli, Categorical, Normal, Uniform

from infogan_tool.runtime.latents.spec import LatentSpec
from infogan_tool.train.config.objective import ObjectiveConfig
from infogan_tool.train.infogan.latents import sample_latents
from infogan_tool.train.infogan.objective import (
    coarse_moments,
    code_entropies,
    code_nll,
    code_weights,
    direction_penalty,
    discriminator_loss,
    effects_of_codes,
    gaussian_nll,
    generator_loss,
    hessian_penalty,
    information_loss,
    mutual_information_bound,
    probability_of_real,
    smoothed,
)
from infogan_tool.train.infogan.q_network import QPosterior, style_means

SPEC = LatentSpec(noise=2, noise_prior="uniform", categorical=(4, 3), continuous=3)


def test_gaussian_nll_is_the_normal_density() -> None:
    rng = torch.Generator().manual_seed(0)
    value, mean, log_var = (torch.randn(50, 3, generator=rng) for _ in range(3))
    expected = -Normal(mean, torch.exp(0.5 * log_var)).log_prob(value)
    torch.testing.assert_close(gaussian_nll(value, mean, log_var), expected)


def test_a_periodic_code_is_compared_the_short_way_round() -> None:
    spec = LatentSpec(noise=2, noise_prior="uniform", categorical=(), continuous=2, periodic=("c2",))
    latent = sample_latents(spec, 500, torch.Generator().manual_seed(0))
    mean = latent.styles + torch.tensor([0.3, 1.8])
    mean.requires_grad_()
    posterior = QPosterior(torch.zeros(500, 0), mean, torch.zeros(500, 2))
    nll = code_nll(posterior, latent)
    normal = math.log(2 * math.pi) / 2
    assert nll.tolist() == pytest.approx([normal + 0.3**2 / 2, normal + 0.2**2 / 2], abs=1e-5)
    nll.sum().backward()
    assert mean.grad is not None
    assert mean.grad.sum(dim=0).tolist() == pytest.approx([0.3, -0.2], abs=1e-5)


def test_the_mean_of_a_periodic_code_is_an_angle() -> None:
    outputs = torch.tensor([[7.0, 1.0, 9.0, 1.0], [7.0, -2.0, 9.0, 0.0], [7.0, 0.0, 9.0, -5.0]])
    expected = torch.tensor([[7.0, 0.25, 9.0], [7.0, 1.0, 9.0], [7.0, -0.5, 9.0]])
    torch.testing.assert_close(style_means(outputs, (1,)), expected)
    assert style_means(outputs, ()) is outputs


def test_adversarial_losses_are_bernoulli_likelihoods() -> None:
    rng = torch.Generator().manual_seed(1)
    real, fake = torch.randn(40, generator=rng) * 3, torch.randn(40, generator=rng) * 3
    ones, zeros = torch.ones(40), torch.zeros(40)
    d_loss = -Bernoulli(logits=real).log_prob(ones).mean() - Bernoulli(logits=fake).log_prob(zeros).mean()
    torch.testing.assert_close(discriminator_loss("bce", real, fake), d_loss)
    torch.testing.assert_close(generator_loss("bce", fake), -Bernoulli(logits=fake).log_prob(ones).mean())


@pytest.mark.parametrize("kind", ["bce", "least_squares", "hinge"])
def test_adversarial_losses_stay_finite_at_extreme_outputs(kind: str) -> None:
    far = torch.tensor([-1e4, 1e4])
    assert torch.isfinite(discriminator_loss(kind, far, far))
    assert torch.isfinite(generator_loss(kind, far))
    assert 0 <= probability_of_real(kind, far).item() <= 1


def test_least_squares_and_hinge_by_hand() -> None:
    real, fake = torch.tensor([1.0, 0.0, 3.0]), torch.tensor([0.0, 2.0, -3.0])
    assert discriminator_loss("least_squares", real, fake).item() == pytest.approx(0.5 * (5 / 3 + 13 / 3))
    assert generator_loss("least_squares", fake).item() == pytest.approx(0.5 * (1 + 1 + 16) / 3)
    assert discriminator_loss("hinge", real, fake).item() == pytest.approx(1 / 3 + (1 + 3) / 3)
    assert generator_loss("hinge", fake).item() == pytest.approx(1 / 3)
    assert probability_of_real("least_squares", real).item() == pytest.approx(2 / 3)
    assert probability_of_real("hinge", fake).item() == pytest.approx(1 / 3)


@pytest.mark.parametrize("kind", ["bce", "least_squares", "hinge"])
def test_d_and_g_have_opposite_gradients(kind: str) -> None:
    fake = torch.zeros(3, requires_grad=True)
    (for_d,) = torch.autograd.grad(discriminator_loss(kind, torch.ones(3), fake), fake)
    (for_g,) = torch.autograd.grad(generator_loss(kind, fake), fake)
    assert (for_d * for_g <= 0).all()
    assert (for_g < 0).all()


def test_code_nll_per_code() -> None:
    rng = torch.Generator().manual_seed(2)
    latent = sample_latents(SPEC, 64, rng)
    logits = torch.randn(64, 7, generator=rng)
    mean, log_var = torch.randn(64, 3, generator=rng), torch.randn(64, 3, generator=rng)
    nll = code_nll(QPosterior(logits, mean, log_var), latent)
    expected = [
        -Categorical(logits=logits[:, :4]).log_prob(latent.categories[:, 0]).mean(),
        -Categorical(logits=logits[:, 4:]).log_prob(latent.categories[:, 1]).mean(),
        *(-Normal(mean, torch.exp(0.5 * log_var)).log_prob(latent.styles).mean(dim=0)),
    ]
    torch.testing.assert_close(nll, torch.stack(expected))


def test_information_loss_is_the_weighted_sum() -> None:
    nll, weights = torch.tensor([2.0, -1.0, 0.5]), torch.tensor([1.0, 0.1, 0.0])
    assert information_loss(nll, weights).item() == pytest.approx(1.9)


def test_entropies_are_those_of_the_priors() -> None:
    expected = [
        Categorical(logits=torch.zeros(4)).entropy(),
        Categorical(logits=torch.zeros(3)).entropy(),
        *[Uniform(-1.0, 1.0).entropy()] * 3,
    ]
    torch.testing.assert_close(code_entropies(SPEC, torch.device("cpu")), torch.stack(expected))


def test_bound_of_a_perfect_and_of_an_uninformed_posterior() -> None:
    latent = sample_latents(SPEC, 4096, torch.Generator().manual_seed(3))
    entropies = code_entropies(SPEC, torch.device("cpu"))
    codes = latent.vector()[:, SPEC.noise :]
    perfect = QPosterior(codes[:, :7] * 50, latent.styles, torch.full((4096, 3), -4.0))
    bound = mutual_information_bound(code_nll(perfect, latent), entropies)
    torch.testing.assert_close(bound[:2], entropies[:2])
    # H(c) - h(N(0, exp(-4))) at the lower bound of the variance
    best = math.log(2) + 2 - 0.5 * math.log(2 * math.pi)
    torch.testing.assert_close(bound[2:], torch.full((3,), best))

    uninformed = QPosterior(
        torch.zeros(4096, 7), torch.zeros(4096, 3), torch.full((4096, 3), math.log(1 / 3))
    )
    bound = mutual_information_bound(code_nll(uninformed, latent), entropies)
    torch.testing.assert_close(bound[:2], torch.zeros(2), atol=1e-6, rtol=0)
    assert (bound[2:] < 0).all(), "no Gaussian equals the uniform prior"
    assert bound[2:].min().item() == pytest.approx(-0.176, abs=0.02)


def test_weights_are_in_the_order_of_the_codes() -> None:
    values = ObjectiveConfig(lambda_categorical=0.5, lambda_continuous=0.25)
    weights = code_weights(SPEC, values, torch.device("cpu"))
    assert weights.tolist() == [0.5, 0.5, 0.25, 0.25, 0.25]


def test_vectors_are_on_the_given_device() -> None:
    values = ObjectiveConfig()
    assert code_weights(SPEC, values, torch.device("meta")).is_meta
    assert code_entropies(SPEC, torch.device("meta")).is_meta


@pytest.mark.parametrize(
    ("kind", "probability"),
    [
        ("bce", sum(1 / (1 + math.exp(-x)) for x in (3.0, 0.5, 1.5, -2.0, -3.0)) / 5),
        ("least_squares", (1 + 0.5 + 1) / 5),
        ("hinge", 3 / 5),
    ],
)
def test_probability_of_real_of_outputs_beyond_its_range(kind: str, probability: float) -> None:
    outputs = torch.tensor([3.0, 0.5, 1.5, -2.0, -3.0])
    assert probability_of_real(kind, outputs).item() == pytest.approx(probability)


def test_an_output_of_exactly_0_is_not_real() -> None:
    assert probability_of_real("hinge", torch.tensor([0.0, 0.0, 0.5])).item() == pytest.approx(1 / 3)


# --- the Hessian penalty ------------------------------------------------------------------------------------

CODES = torch.rand(64, 2, generator=torch.Generator().manual_seed(3), dtype=torch.float64) * 1.5 - 0.75
BASES = torch.randn(4, 12, 12, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
STEP = 0.5


def rotated_images(codes: torch.Tensor, turn: torch.Tensor) -> torch.Tensor:
    """Images ``(N, 1, 12, 12)`` with two independent effects, of codes rotated against them by ``turn``."""
    x, y = codes.unbind(dim=-1)
    u, v = turn.cos() * x + turn.sin() * y, turn.cos() * y - turn.sin() * x
    weights = torch.stack([u, u.square(), v, 0.5 * v.square()], dim=-1)
    return torch.einsum("nk,khw->nhw", weights, BASES)[:, None]


def corners(turn: torch.Tensor) -> torch.Tensor:
    first, second = STEP / 2 * torch.eye(2, dtype=torch.float64)
    moves = (-first - second, first - second, second - first, first + second)
    return torch.cat([rotated_images(CODES + move, turn) for move in moves])


def exact_penalty(turn: torch.Tensor) -> torch.Tensor:
    """The same by torch's derivatives: finite differences of a polynomial of degree 2 are exact."""

    def image(code: torch.Tensor) -> torch.Tensor:
        return smoothed(rotated_images(code[None], turn)).flatten()

    first = torch.func.vmap(torch.func.jacfwd(image))(CODES)
    mixed = torch.func.vmap(torch.func.jacfwd(torch.func.jacfwd(image)))(CODES)[..., 0, 1]
    a, b = first.square().sum(dim=1).mean(dim=0)
    return mixed.square().sum(dim=1).mean() / (a * b).sqrt()


@pytest.mark.filterwarnings("ignore:.*torch.jit.script:FutureWarning")  # torch's own forward derivatives
@pytest.mark.parametrize("degrees", [-30.0, 0.0, 17.0, 45.0])
def test_hessian_penalty_and_its_gradient_are_those_of_autograd(degrees: float) -> None:
    turn = torch.tensor(math.radians(degrees), dtype=torch.float64, requires_grad=True)
    penalty, exact = hessian_penalty(effects_of_codes(corners(turn)), STEP), exact_penalty(turn)
    torch.testing.assert_close(penalty, exact)
    (gradient,), (expected,) = (torch.autograd.grad(value, turn) for value in (penalty, exact))
    torch.testing.assert_close(gradient, expected, atol=1e-8, rtol=1e-6)


@pytest.mark.parametrize(("degrees", "axis"), [(40.0, 0.0), (-43.0, 0.0), (20.0, 0.0), (50.0, 90.0)])
def test_training_turns_rotated_codes_back(degrees: float, axis: float) -> None:
    turn = torch.tensor(math.radians(degrees), dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.Adam([turn], lr=0.02)
    for _ in range(200):
        optimizer.zero_grad()
        hessian_penalty(effects_of_codes(corners(turn)), STEP).backward()
        optimizer.step()
    assert math.degrees(turn.item()) == pytest.approx(axis, abs=1)


def test_hessian_penalty_does_not_depend_on_contrast_and_is_0_without_effect() -> None:
    images = corners(torch.tensor(0.3, dtype=torch.float64))
    penalty = hessian_penalty(effects_of_codes(images), STEP)
    torch.testing.assert_close(hessian_penalty(effects_of_codes(0.01 * images), STEP), penalty)
    assert hessian_penalty(effects_of_codes(images[: len(CODES)].repeat(4, 1, 1, 1)), STEP) == 0


@pytest.mark.parametrize("contrast", [0.0, 1e-12])
def test_hessian_penalty_without_effects_has_a_gradient_of_0(contrast: float) -> None:
    images = (contrast * corners(torch.tensor(0.3))).requires_grad_()
    hessian_penalty(effects_of_codes(images), STEP).backward()
    assert images.grad is not None
    assert images.grad.isfinite().all()


# --- the direction penalty ----------------------------------------------------------------------------------


def bars(width: torch.Tensor, slant: float = 0.0) -> torch.Tensor:
    """Upright or slanted bars ``(N, 1, 16, 16)`` of these widths."""
    x = torch.linspace(-1, 1, 16, dtype=torch.float64)
    distance = (x + slant * x[:, None]).abs() / width[:, None, None]
    return torch.exp(-(distance**4))[:, None]


def test_coarse_moments_are_mass_position_and_shape() -> None:
    width = torch.tensor([0.2, 0.3], dtype=torch.float64)
    change = coarse_moments(bars(width)[1:] - bars(width)[:1]).squeeze()
    assert change[0] > 0, "thicker: more mass"
    assert change[1:4].tolist() == pytest.approx([0, 0, 0], abs=1e-9), "in its place, upright"
    leaning = coarse_moments(bars(width[:1], 0.5) - bars(width[:1], -0.5)).squeeze()
    assert leaning.argmax() == 3
    assert leaning[[1, 2, 4, 5]].tolist() == pytest.approx([0, 0, 0, 0], abs=1e-6)
    moved = bars(width[:1]).roll(3, dims=3) - bars(width[:1])
    assert coarse_moments(moved).squeeze()[1] > 0, "to the right"
    assert coarse_moments(moved.transpose(2, 3)).squeeze()[2] < 0, "down"
    two = coarse_moments(torch.cat([torch.zeros_like(moved), moved], dim=1)).squeeze()
    torch.testing.assert_close(two[6:], coarse_moments(moved).squeeze())


def test_direction_penalty_is_the_share_of_effects_that_cancel() -> None:
    effect = torch.tensor([[1.0, -2.0, 0.5]])
    signs = torch.tensor([1.0, 1, 1, 1, 1, 1, 1, -1])[:, None]
    assert direction_penalty(effect.expand(8, 3)).item() == pytest.approx(0, abs=1e-6)
    assert direction_penalty(signs * effect).item() == pytest.approx(1 - (6 / 8) ** 2)
    assert direction_penalty(7 * signs * effect).item() == pytest.approx(1 - (6 / 8) ** 2)
    assert direction_penalty(signs[4:].cumprod(dim=0) * torch.eye(4)).item() == pytest.approx(3 / 4)


def test_training_turns_a_code_of_two_directions() -> None:
    """Of eight categories one gets thinner by the code that makes the others thicker."""
    effects = torch.tensor([1.0] * 7 + [-1.0], dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.SGD([effects], lr=0.05)
    code = torch.tensor([-0.5, 0.5], dtype=torch.float64)

    def change() -> torch.Tensor:
        thin, thick = (bars(0.3 * (0.4 * effects * value).exp()) for value in code)
        return coarse_moments(thick - thin)

    for _ in range(400):
        optimizer.zero_grad()
        direction_penalty(change()).backward()
        optimizer.step()
    assert (effects > 0.3).all()


def test_direction_penalty_of_a_dead_code_has_a_gradient_of_0() -> None:
    effects = torch.zeros(8, 6, requires_grad=True)
    direction_penalty(effects).backward()
    assert effects.grad is not None
    assert not effects.grad.any()


def test_smoothing_keeps_means_and_sizes() -> None:
    image = torch.rand(2, 3, 28, 28)
    assert smoothed(image).shape == image.shape
    assert smoothed(torch.rand(2, 1, 64, 64)).shape == (2, 1, 32, 32)
    inner = torch.zeros(1, 1, 28, 28)
    inner[..., 10:18, 10:18] = torch.rand(8, 8)
    torch.testing.assert_close(smoothed(inner).sum(), inner.sum())
