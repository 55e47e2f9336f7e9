"""InfoGAN's objective: the adversarial losses, -log Q(c|x), the lower bound L_I, and penalties of G.

::

    min_{G, Q} max_D  V(D, G) - lambda L_I(G, Q)        (arXiv:1606.03657, equation 6)

All information is in nats. docs/explanation/objective.md derives the bound.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import torch
from torch import Tensor
from torch.nn import functional as F

from infogan_tool.train.infogan.augment import pixel_centres

if TYPE_CHECKING:
    from infogan_tool.runtime.latents.spec import LatentSpec
    from infogan_tool.train.config.objective import ObjectiveConfig
    from infogan_tool.train.infogan.latents import LatentBatch
    from infogan_tool.train.infogan.q_network import QPosterior


HESSIAN_STEP: Final = 0.5
"""Difference h of a code between the images of a finite difference; the prior's range is 2."""
_SMOOTHED_SIZE: Final = 28
"""Images are reduced to about this size before they are smoothed."""
_SMOOTHINGS: Final = 2


def mutual_information_bound(nll: Tensor, entropies: Tensor) -> Tensor:
    """Return L_I of each code, a lower bound of its mutual information with the generated image.

    ::

        L_I(G, Q) = E_{c ~ P(c), x ~ G(z, c)}[log Q(c|x)] + H(c)  <=  I(c; G(z, c))

    Equation 4 of arXiv:1606.03657 is the bound, equation 5 this form of it, which can be sampled.

    Args:
        nll: Mean of -log Q(c|x) of each code, from :func:`code_nll`.
        entropies: H(c) of each code, from :func:`code_entropies`.

    Returns:
        ``(number of codes,)`` in nats; close to H(c) for a categorical code that Q infers without error.
    """
    return entropies - nll


def information_loss(nll: Tensor, weights: Tensor) -> Tensor:
    """Return -lambda L_I summed over the codes, without the constant lambda H(c).

    Args:
        nll: Mean of -log Q(c|x) of each code, from :func:`code_nll`.
        weights: lambda of each code, from :func:`code_weights`.
    """
    return (weights * nll).sum()


def code_nll(posterior: QPosterior, latent: LatentBatch) -> Tensor:
    """Return the mean of -log Q(c|x) of each code.

    The cross-entropy for a categorical code, :func:`gaussian_nll` for a continuous one. A periodic one has
    many equal values, of which the nearest to the mean counts; L_I stays a lower bound, since the density of
    one period integrates to at most 1.

    Returns:
        ``(number of codes,)`` in nats, in the order of ``code_names``.
    """
    terms = [
        F.cross_entropy(posterior.logits[:, part], latent.categories[:, i]).reshape(1)
        for i, part in enumerate(latent.spec.logit_slices)
    ]
    if latent.spec.continuous:
        styles = latent.spec.nearest(latent.styles, posterior.mean.detach())
        terms.append(gaussian_nll(styles, posterior.mean, posterior.log_var).mean(dim=0))
    return torch.cat(terms)


def gaussian_nll(value: Tensor, mean: Tensor, log_var: Tensor) -> Tensor:
    """Return -log N(value; mean, exp(log_var)), element by element; negative where the density is above 1."""
    return 0.5 * (math.log(2 * math.pi) + log_var + (value - mean).square() * torch.exp(-log_var))


def effects_of_codes(images: Tensor) -> Tensor:
    """Return how much two codes change images, each alone and both together.

    ::

        a = G(c + h e_i) - G(c),  b = G(c + h e_j) - G(c),  each a mean over both values of the other code
        d = G(c + h e_i + h e_j) - G(c + h e_i) - G(c + h e_j) + G(c)

    Images are smoothed first: without it G meets a penalty of ``d`` by faint patterns of pixels that its EMA
    does not have.

    Args:
        images: ``(4 N, C, H, W)``: images of N latents at c, then at c + h e_i, c + h e_j, c + h e_i + h e_j.

    Returns:
        ``(N, 3)``: the squared norms of a, b and d.
    """
    base, first, second, both = smoothed(images).flatten(1).chunk(4)
    a, b = (first + both - base - second) / 2, (second + both - base - first) / 2
    return torch.stack([a, b, both - first - second + base]).square().sum(dim=2).T


def smoothed(images: Tensor) -> Tensor:
    """Return images ``(N, C, H, W)`` averaged to about 28 pixels, then twice over 3 x 3 pixels."""
    images = F.avg_pool2d(images, max(1, round(images.shape[-1] / _SMOOTHED_SIZE)))
    for _ in range(_SMOOTHINGS):
        images = F.avg_pool2d(images, 3, stride=1, padding=1)
    return images


def hessian_penalty(effects: Tensor, step: float = HESSIAN_STEP) -> Tensor:
    """Return how much one code changes the effect of another: a mixed second derivative of G.

    ::

        E|d|^2 / (h^2 sqrt(E|a|^2 E|b|^2))  ~  E|d^2 G / dc_i dc_j|^2 / sqrt(E|dG / dc_i|^2 E|dG / dc_j|^2)

    The off-diagonal part of the Hessian penalty (Peebles et al., arXiv:2008.10599, equation 2), with finite
    differences, relative to the first derivatives so that it does not shrink them. If G depends on two
    independent factors and two codes are a rotation of them, it is least where each code is one factor, and
    greatest at 45 degrees. See docs/explanation/objective.md.

    Args:
        effects: From :func:`effects_of_codes`.
        step: h.

    Returns:
        A scalar; 0 if the effects of the codes add up.
    """
    a, b, d = effects.mean(dim=0)
    least = torch.finfo(effects.dtype).tiny ** 0.5  # the square root of 0 has no gradient
    first = (a.clamp_min(least) * b.clamp_min(least)).sqrt()
    penalty: Tensor = d / (step * step * first)
    return penalty


def coarse_moments(images: Tensor) -> Tensor:
    """Return what an image shows at its coarsest: mass, position and shape.

    Args:
        images: ``(N, C, H, W)``, or changes of images.

    Returns:
        ``(N, 6 C)``: of each channel the products with 1, x, y, xy, (3 x^2 - 1) / 2 and (3 y^2 - 1) / 2, each
        scaled to a norm of 1. x points to the right and y up, and the image spans [-1, 1].
    """
    height, width = images.shape[2:]
    y, x = -pixel_centres(height, images.device)[:, None], pixel_centres(width, images.device)[None]
    ones = torch.ones(height, width, device=images.device, dtype=images.dtype)
    polynomials = torch.stack(
        [part * ones for part in (ones, x, y, x * y, (3 * x * x - 1) / 2, (3 * y * y - 1) / 2)]
    )
    polynomials = polynomials / polynomials.flatten(1).norm(dim=1)[:, None, None]
    return torch.einsum("nchw,mhw->ncm", images, polynomials).flatten(1)


def direction_penalty(effects: Tensor) -> Tensor:
    """Return how much the direction of a code's effect differs from latent to latent.

    ::

        1 - |E v|^2 / E|v|^2,  v = coarse moments of G(c + h e_i) - G(c)

    It is 0 if the code has the same effect in all images, and 1 if the effects cancel: if strokes get thicker
    in half of the categories and thinner in the others. See docs/explanation/objective.md.

    Args:
        effects: ``(N, M)``: v of N latents.
    """
    mean, whole = effects.mean(dim=0).square().sum(), effects.square().sum(dim=1).mean()
    penalty: Tensor = 1 - mean / whole.clamp_min(torch.finfo(effects.dtype).tiny ** 0.5)
    return penalty


def code_entropies(spec: LatentSpec, device: torch.device) -> Tensor:
    """Return H(c) of each code under its prior, in nats, in the order of ``code_names``."""
    return torch.tensor(list(spec.entropies.values()), device=device)


def code_weights(spec: LatentSpec, objective: ObjectiveConfig, device: torch.device) -> Tensor:
    """Return lambda of each code, in the order of ``code_names``."""
    weights = [objective.lambda_categorical] * len(spec.categorical)
    weights += [objective.lambda_continuous] * spec.continuous
    return torch.tensor(weights, device=device)


def discriminator_loss(kind: str, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """Return the loss of D, given its outputs ``(N,)`` for real and for generated images.

    =================  ======================================================================================
    ``bce``            -E[log D(x)] - E[log(1 - D(G(z, c)))], D the sigmoid of the output (arXiv:1406.2661)
    ``least_squares``  (E[(D(x) - 1)^2] + E[D(G(z, c))^2]) / 2 (arXiv:1611.04076, a = 0, b = c = 1)
    ``hinge``          E[max(0, 1 - D(x))] + E[max(0, 1 + D(G(z, c)))] (arXiv:1802.05957, equation 16)
    =================  ======================================================================================
    """
    if kind == "least_squares":
        return 0.5 * ((real_logits - 1).square().mean() + fake_logits.square().mean())
    if kind == "hinge":
        return F.relu(1 - real_logits).mean() + F.relu(1 + fake_logits).mean()
    return F.softplus(-real_logits).mean() + F.softplus(fake_logits).mean()


def generator_loss(kind: str, fake_logits: Tensor) -> Tensor:
    """Return the adversarial loss of G, given D's outputs ``(N,)`` for generated images.

    For ``bce`` it is -E[log D(G(z, c))], the non-saturating form.
    """
    if kind == "least_squares":
        return 0.5 * (fake_logits - 1).square().mean()
    if kind == "hinge":
        return -fake_logits.mean()
    return F.softplus(-fake_logits).mean()


def probability_of_real(kind: str, logits: Tensor) -> Tensor:
    """Return D's mean probability that images are real, 0 to 1, given its outputs ``(N,)``.

    With ``least_squares`` D's output itself estimates that probability. With ``hinge`` there is no
    probability: it is the share of outputs above 0.
    """
    if kind == "least_squares":
        return logits.clamp(0, 1).mean()
    if kind == "hinge":
        return (logits > 0).float().mean()
    return torch.sigmoid(logits).mean()
