"""Fit the distance of a bundle on its training images, and set the threshold on others of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import torch
from torch import nn
from torch.nn import functional as F

from infogan_tool.export.ood.head import DistanceHead, Gaussians, Taps
from infogan_tool.export.ood.preprocessing import apply_preprocessing_batch
from infogan_tool.export.ood.synthetic_outliers import make_synthetic_outliers
from infogan_tool.export.threads import one_thread
from infogan_tool.runtime.bundle.metadata import OodSpec
from infogan_tool.train.config.schema import ViewConfig
from infogan_tool.train.infogan.augment import random_view

if TYPE_CHECKING:
    from torch import Tensor

    from infogan_tool.runtime.preprocessing.spec import Preprocessing
    from infogan_tool.train.infogan.networks import Networks

__all__ = ["LEAST_IMAGES", "fit_ood"]

LEAST_IMAGES: Final = 500
"""With fewer training images a bundle does not say what it does not know."""
_FITTED: Final = 16_000
_HELD_OUT: Final = 5_000
_MADE_UP: Final = 2.0
"""Strangers for each image that is fitted on."""
_VIEW: Final = ViewConfig(affine=0.3, elastic=0.0, stroke=0.15)
"""How images are varied, real and made up alike, so that a photographed one is not strange for its blur."""
_AXES: Final = 64, 32
_HIDDEN: Final = 48
_SHRINKAGE: Final = 0.05
_LEAST_OF_CATEGORY: Final = 32
_EPOCHS: Final = 5
_BATCH: Final = 128
_RATE: Final = 2e-3
_DECAY: Final = 1e-3
_FALSE_FLAGS: Final = 0.018
"""Share of held-out training images beyond the threshold."""
_LEAST: Final = 0.05
"""Share of held-out images below what a part counts at least."""
_ROUNDING: Final = 1e-5
"""Of the rows' mean squared length: no variance counts as less."""
_CHUNK: Final = 1000
_THRESHOLD: Final = 0.5
_WEIGHTS: Final = (1.0, 0.5, 1.0)
"""Of the features' part, the maps' and the comparison, each as a part of what held-out images reach."""
_LEAST_SPREAD: Final = (4.0, 4.0, 0.1)
"""Of each part among held-out images: an encoder that has learned nothing yet has less, and rounding would
be scaled up."""
_SHARPNESS: Final = 4.0


def fit_ood(
    networks: Networks, images: Tensor, preprocessing: Preprocessing | None, seed: int = 0
) -> tuple[DistanceHead, OodSpec] | None:
    """Fit the distance of images to a bundle's training images; no label takes part.

    Args:
        networks: In evaluation mode, on the CPU.
        images: The training images, uint8 ``(N, C, H, W)``.
        preprocessing: How images are laid out; None: they fill the frame.
        seed: Of the choice of images, their variation and the comparison's weights.

    Returns:
        The head and what the metadata say of it; None where there are too few images, or the encoder has no
        layer over a whole map to look at.
    """
    taps = Taps(networks)
    if len(images) < LEAST_IMAGES or not taps.place:
        return None
    with one_thread():
        rng = torch.Generator().manual_seed(seed)
        held_out = min(_HELD_OUT, len(images) // 4)
        order = torch.randperm(len(images), generator=rng)
        held = images[order[:held_out]]
        fitted = _as_figures(images[order[held_out : held_out + _FITTED]], preprocessing)
        real = torch.cat([fitted, _varied(fitted, preprocessing, rng)])
        made_up = make_synthetic_outliers(fitted, int(_MADE_UP * len(fitted)), rng)
        strange = _varied(made_up, preprocessing, rng)

        def read(metrics: Tensor) -> tuple[Tensor, Tensor]:
            return _read(taps, networks, _as_images(metrics, preprocessing, networks))

        maps, features = read(real)
        categories = _categories(networks, taps, features)
        axes = min(_AXES[0], taps.features), min(_AXES[1], taps.maps)
        head = DistanceHead(taps.features, taps.maps, axes, int(categories.max()) + 1, _HIDDEN)
        _fit_gaussians(head.project, head.of_features, features, categories)
        axes_of_maps, compared = nn.Linear(taps.maps, axes[1]), nn.Linear(taps.maps, _HIDDEN)
        _fit_gaussians(axes_of_maps, head.of_maps, maps, categories)
        _fit_comparison(compared, head.decide, maps, read(strange)[0], rng)
        for name in ("weight", "bias"):
            both = torch.cat([getattr(axes_of_maps, name), getattr(compared, name)])
            getattr(head.look, name).data.copy_(both)
        _join_parts(head, read(_as_figures(held, preprocessing)))
    metrics = {
        "method": "Gaussians of the categories' features, and a comparison of maps with made-up images",
        "fitted_on": len(fitted),
        "synthetic_outliers": len(strange),
        "held_out": len(held),
        "false_flags_held_out": _FALSE_FLAGS,
    }
    return head.eval(), OodSpec(threshold=_THRESHOLD, metrics=metrics)


# --- images ------------------------------------------------------------------------------------------


def _as_figures(images: Tensor, preprocessing: Preprocessing | None) -> Tensor:
    """Return uint8 images as floats from 0 (ground) to 1."""
    metrics = images.float() / 255
    return 1 - metrics if preprocessing is not None and preprocessing.ink == "dark" else metrics


def _as_images(metrics: Tensor, preprocessing: Preprocessing | None, networks: Networks) -> Tensor:
    """Return metrics as the encoder is given them: of 256 levels, in its range."""
    levels = (metrics.clamp(0, 1) * 255).round() / 255
    levels = 1 - levels if preprocessing is not None and preprocessing.ink == "dark" else levels
    return levels * (networks.image.high - networks.image.low) + networks.image.low


def _varied(metrics: Tensor, preprocessing: Preprocessing | None, rng: torch.Generator) -> Tensor:
    """Return a random view of every image, laid out again; what is left without a figure is dropped."""
    parts = []
    for part in torch.split(metrics, _CHUNK):
        views = random_view(part, _VIEW, rng)
        if preprocessing is not None:
            views, there = apply_preprocessing_batch(views, preprocessing)
            views = views[there]
        parts.append(views)
    return torch.cat(parts)


def _read(taps: Taps, networks: Networks, images: Tensor) -> tuple[Tensor, Tensor]:
    assert not networks.training
    maps, features = zip(*(taps.read(part) for part in torch.split(images, _CHUNK)), strict=True)
    return torch.cat(maps), torch.cat(features)


@torch.no_grad()
def _categories(networks: Networks, taps: Taps, features: Tensor) -> Tensor:
    """Return the category of the first code for each image's features; 0 where there is no such code."""
    if not networks.latent.categorical or taps.branch.logits is None:
        return torch.zeros(len(features), dtype=torch.long)
    logits = taps.branch.logits(features[:, :, None, None]).flatten(1)
    found = logits[:, : networks.latent.categorical[0]].argmax(1)
    dense: Tensor
    _, dense, counts = torch.unique(found, return_inverse=True, return_counts=True)
    if int(counts.min()) < _LEAST_OF_CATEGORY:
        return torch.zeros(len(features), dtype=torch.long)  # too few of one for a Gaussian: one for all
    return dense


# --- fitting -------------------------------------------------------------------------------------------


@torch.no_grad()
def _fit_gaussians(project: nn.Linear, gaussians: Gaussians, values: Tensor, categories: Tensor) -> None:
    """Set ``project`` to the first principal axes of ``values``, and a Gaussian for each category on them."""
    mean, count = values.mean(0), gaussians.axes
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)  # the search for the first axes starts at random ones
        axes = torch.svd_lowrank(values - mean, q=count, niter=4)[2]
    project.weight.copy_(axes.T)
    project.bias.copy_(-mean @ axes)
    placed = ((values - mean) @ axes).double()
    groups = [placed[categories == k] for k in range(len(gaussians.log_determinants))]
    covariances = [torch.cov(group.T).reshape(count, count) for group in groups]
    shared = torch.stack(covariances).mean(0)
    floor = 1e-4 * shared.diagonal().mean().clamp(min=1e-12) * torch.eye(count, dtype=torch.double)
    # Along an axis of hardly any variance float32's own rounding would be scaled up to a distance.
    least = _ROUNDING * values.square().sum(1).mean().double()
    log_determinants = torch.zeros(len(groups), dtype=torch.double)
    for k, (group, own) in enumerate(zip(groups, covariances, strict=True)):
        covariance = (1 - _SHRINKAGE) * own + _SHRINKAGE * shared + floor
        covariance += (least - torch.linalg.eigvalsh(covariance).min()).clamp(min=0) * torch.eye(count)
        inverse = torch.linalg.inv(torch.linalg.cholesky(covariance))
        rows = slice(k * count, (k + 1) * count)
        gaussians.whiten.weight[rows] = inverse.float()
        gaussians.whiten.bias[rows] = -(inverse @ group.mean(0)).float()
        log_determinants[k] = torch.logdet(covariance)
    # Only their differences count; what all have in common would take digits from the sum.
    gaussians.log_determinants.copy_(log_determinants - log_determinants.mean())


def _fit_comparison(
    hidden: nn.Linear, decide: nn.Linear, real: Tensor, strange: Tensor, rng: torch.Generator
) -> None:
    """Teach a network of one hidden layer to tell made-up images' maps from real ones'."""
    maps = torch.cat([real, strange])
    targets = torch.cat([torch.zeros(len(real)), torch.ones(len(strange))])
    mean, scale = real.mean(0), real.std().clamp(min=1e-6)
    maps = (maps - mean) / scale
    parameters = [*hidden.parameters(), *decide.parameters()]
    for layer in (hidden, decide):
        for parameter in layer.parameters():
            bound = layer.in_features**-0.5
            parameter.data.copy_((2 * torch.rand(parameter.shape, generator=rng) - 1) * bound)
    batches = len(maps) // _BATCH
    optimizer = torch.optim.AdamW(parameters, _RATE, weight_decay=_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, _RATE, total_steps=_EPOCHS * batches)
    for _ in range(_EPOCHS):
        order = torch.randperm(len(maps), generator=rng)[: batches * _BATCH]
        for rows in torch.split(order, _BATCH):
            logits = decide(torch.relu(hidden(maps[rows])))[:, 0]
            loss = F.binary_cross_entropy_with_logits(logits, targets[rows])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
    with torch.no_grad():  # the maps' own scale goes into the weights
        hidden.bias.sub_(hidden.weight @ mean / scale)
        hidden.weight.div_(scale)


@torch.no_grad()
def _join_parts(head: DistanceHead, held: tuple[Tensor, Tensor]) -> None:
    """Weigh the parts by what held-out images reach, and put the threshold where few of them are beyond."""
    parts = torch.cat(
        [head.parts(*rows) for rows in zip(*(torch.split(t, _CHUNK) for t in held), strict=True)]
    )
    head.least.copy_(parts.quantile(_LEAST, dim=0))
    parts = torch.maximum(parts, head.least)
    middle = parts.quantile(0.5, dim=0)
    spread = torch.maximum(parts.quantile(1 - _FALSE_FLAGS, dim=0) - middle, torch.tensor(_LEAST_SPREAD))
    weights = torch.tensor(_WEIGHTS) / spread
    threshold = ((parts - middle) @ weights).quantile(1 - _FALSE_FLAGS)
    head.join.weight.copy_(_SHARPNESS * weights[None])
    head.join.bias.copy_(-_SHARPNESS * (middle @ weights + threshold)[None])
