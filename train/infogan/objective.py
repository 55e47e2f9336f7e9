"""InfoGAN's objective: the adversarial losses, -log Q(c|x) and the mutual information lower bound L_I.

::

    min_{G, Q} max_D  V(D, G) - lambda L_I(G, Q)        (arXiv:1606.03657, equation 6)

All information is in nats. docs/explanation/objective.md derives the bound.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

if TYPE_CHECKING:
    from infogan_tool.runtime.latents.spec import LatentSpec
    from infogan_tool.train.config.schema import ObjectiveConfig
    from infogan_tool.train.infogan.latents import LatentBatch
    from infogan_tool.train.infogan.q_network import QPosterior


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

    The cross-entropy for a categorical code, :func:`gaussian_nll` for a continuous one.

    Returns:
        ``(number of codes,)`` in nats, in the order of ``code_names``.
    """
    terms = [
        F.cross_entropy(posterior.logits[:, part], latent.categories[:, i]).reshape(1)
        for i, part in enumerate(latent.spec.logit_slices)
    ]
    if latent.spec.continuous:
        terms.append(gaussian_nll(latent.styles, posterior.mean, posterior.log_var).mean(dim=0))
    return torch.cat(terms)


def gaussian_nll(value: Tensor, mean: Tensor, log_var: Tensor) -> Tensor:
    """Return -log N(value; mean, exp(log_var)), element by element; negative where the density is above 1."""
    return 0.5 * (math.log(2 * math.pi) + log_var + (value - mean).square() * torch.exp(-log_var))


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
