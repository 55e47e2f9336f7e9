"""The terms of the objective, each named after what it computes.

The bound, in nats (docs/explanation/objective.md derives it)::

    L_I(G, Q) = E[log Q(c|x)] + H(c)  <=  I(c; G(z, c))

so for one code: bound = H(c) - mean negative log-likelihood. H(c) is that of the true prior.
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

__all__ = [
    "code_nll",
    "code_weights",
    "discriminator_loss",
    "entropy_vector",
    "gaussian_nll",
    "generator_loss",
    "probability_of_real",
]


def discriminator_loss(kind: str, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """What D minimises, of its outputs ``(N,)``.

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
    """What G minimises, of D's outputs ``(N,)``: for ``bce`` -E[log D(G(z, c))], the non-saturating form."""
    if kind == "least_squares":
        return 0.5 * (fake_logits - 1).square().mean()
    if kind == "hinge":
        return -fake_logits.mean()
    return F.softplus(-fake_logits).mean()


def probability_of_real(kind: str, logits: Tensor) -> Tensor:
    """Return D's mean probability that images are real, 0 to 1, of its outputs ``(N,)``.

    ``least_squares`` aims D itself at that probability; ``hinge`` gives none, so it is the share above 0.
    """
    if kind == "least_squares":
        return logits.clamp(0, 1).mean()
    if kind == "hinge":
        return (logits > 0).float().mean()
    return torch.sigmoid(logits).mean()


def gaussian_nll(value: Tensor, mean: Tensor, log_var: Tensor) -> Tensor:
    """-log N(value; mean, exp(log_var)), element by element; negative where the density is above 1."""
    return 0.5 * (math.log(2 * math.pi) + log_var + (value - mean).square() * torch.exp(-log_var))


def code_nll(posterior: QPosterior, latent: LatentBatch) -> Tensor:
    """Mean of -log Q(c|x) for each code, ``(number of codes,)`` in the order of ``code_names``, in nats."""
    terms = [
        F.cross_entropy(posterior.logits[:, part], latent.categories[:, i]).reshape(1)
        for i, part in enumerate(latent.spec.logit_slices)
    ]
    if latent.spec.continuous:
        terms.append(gaussian_nll(latent.styles, posterior.mean, posterior.log_var).mean(dim=0))
    return torch.cat(terms)


def code_weights(spec: LatentSpec, objective: ObjectiveConfig, device: torch.device) -> Tensor:
    """Return lambda of each code, in the order of ``code_names``."""
    weights = [objective.lambda_categorical] * len(spec.categorical)
    weights += [objective.lambda_continuous] * spec.continuous
    return torch.tensor(weights, device=device)


def entropy_vector(spec: LatentSpec, device: torch.device) -> Tensor:
    """Return H(c) of each code in nats, in the order of ``code_names``."""
    return torch.tensor(list(spec.entropies.values()), device=device)
