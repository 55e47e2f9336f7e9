"""Fit the OOD score of a bundle on its training images, and set the threshold on held-out ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import torch
from torch import nn
from torch.nn import functional as F

from infogan_tool.export.image_limit import SMALL, image_limit
from infogan_tool.export.ood.axes import ROUNDING, Axes, discriminant_axes
from infogan_tool.export.ood.batch_preprocessing import preprocess_batch
from infogan_tool.export.ood.drawings import make_drawings
from infogan_tool.export.ood.head import DistanceHead, Gaussians, Taps
from infogan_tool.export.ood.synthetic_outliers import make_noise, make_synthetic_outliers
from infogan_tool.export.threads import one_thread
from infogan_tool.runtime.bundle.metadata import OodSpec
from infogan_tool.runtime.inference.shards import ShardPool
from infogan_tool.train.config.tables import ViewConfig
from infogan_tool.train.engine.cpu_memory import release_freed_memory
from infogan_tool.train.infogan.augment import random_view

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from infogan_tool.runtime.preprocessing.spec import Preprocessing
    from infogan_tool.train.infogan.networks import Networks

MIN_IMAGES: Final = 500
"""With fewer training images a bundle has no OOD score."""
_FITTED: Final = 16_000
_HELD_OUT: Final = 10_000
_OUTLIERS: Final = 2.0
"""Synthetic outliers for each image that is fitted on."""
_DRAWN: Final = 0.75
"""Share of drawings among them, where the preprocessing segments one object."""
_NOISE: Final = 0.1
"""Images of noise for each synthetic outlier."""
_VIEW: Final = ViewConfig(affine=0.7, elastic=0.0, stroke=0.2)
"""Variation of images, real and synthetic alike, so that the blur of a photograph is not an outlier."""
_AXES: Final = 48, 24
"""Axes of the Gaussians, of features and of maps."""
_SAMPLE: Final = 6_000
"""Images that the principal axes of the maps are computed from."""
_HIDDEN: Final = 56
_SHRINKAGE: Final = 0.05
_MIN_OF_CATEGORY: Final = 32
_EPOCHS: Final = 5
_BATCH: Final = 256
_RATE: Final = 2e-3
_DECAY: Final = 1e-3
_FALSE_FLAGS: Final = 0.02
"""Share of held-out training images above the threshold."""
_LOWER_BOUND: Final = 0.05
"""Quantile of each part among held-out images that is its lower bound."""
_CHUNK: Final = 1000
"""Images that are computed at a time, up to 32 x 32; of larger ones a quarter of their pixels."""
_MAX_WORKERS: Final = 4
"""Chunks that are read at a time; each needs some hundred megabytes."""
_THRESHOLD: Final = 0.5
_WEIGHTS: Final = (1.0, 0.3, 1.0)
"""Of the features' part, the maps' part and the classifier, each relative to its spread."""
_MIN_SPREAD: Final = (4.0, 4.0, 0.1)
"""Smallest spread of each part: that of an untrained encoder is smaller, and rounding would be scaled up."""
_SHARPNESS: Final = 4.0


def fit_ood(
    networks: Networks, images: Tensor, preprocessing: Preprocessing | None
) -> tuple[DistanceHead, OodSpec] | None:
    """Fit the distance of images from a bundle's training images, without labels; each time the same.

    Args:
        networks: In evaluation mode, on the CPU.
        images: The training images, uint8 ``(N, C, H, W)``.
        preprocessing: Of the bundle; None: images fill the frame.

    Returns:
        The head and its metadata; None where there are too few images, or no layer of the encoder reduces a
        map to 1 x 1.
    """
    taps = Taps(networks)
    if len(images) < MIN_IMAGES or not taps.split:
        return None
    workers = min(_MAX_WORKERS, torch.get_num_threads())
    with one_thread():
        rng = torch.Generator().manual_seed(0)
        size = networks.image.size
        held_out = min(image_limit(size, _HELD_OUT), len(images) // 4)
        order = torch.randperm(len(images), generator=rng)
        held = _to_bytes(_to_floats(images[order[:held_out]], preprocessing))
        chosen = images[order[held_out : held_out + image_limit(size, _FITTED)]]
        fitted = _to_floats(chosen, preprocessing)
        real = torch.cat([_to_bytes(fitted), _vary(fitted, preprocessing, rng)])
        made = _make_outliers(fitted, preprocessing, rng)
        noise = make_noise(int(_NOISE * len(made)), networks.image.shape, rng)
        outliers = torch.cat([_vary(made, preprocessing, rng), _to_bytes(noise)])
        del fitted, made
        release_freed_memory()

        def read(batch: Tensor, function: Callable[[Tensor, Tensor], Tensor], into: Tensor) -> Tensor:
            chunk = _chunk(batch)

            @torch.no_grad()
            def read_rows(rows: slice) -> None:
                into[rows] = function(*taps.read(_to_inputs(batch[rows], preprocessing, networks)))

            ShardPool(workers).run(read_rows, [slice(i, i + chunk) for i in range(0, len(batch), chunk)])
            return into

        sample = real[torch.randperm(len(real), generator=rng)[: image_limit(size, _SAMPLE)]]
        both = torch.empty(len(sample), taps.map_size + taps.feature_size)
        axes = Axes(taps, read(sample, lambda *rows: torch.cat(rows, dim=1), both))
        del both
        # All maps together would be large, so only their places on the axes are kept.
        rows = torch.empty(len(real) + len(outliers), axes.width)
        of_real, of_outliers = rows[: len(real)], rows[len(real) :]
        read(real, axes.place, of_real)
        read(outliers, axes.place, of_outliers)
        categories = _categories(networks, taps, axes.first_features(of_real))
        widths = min(_AXES[0], taps.feature_size), min(_AXES[1], axes.count)
        head = DistanceHead(taps, widths, int(categories.max()) + 1, _HIDDEN)
        features = slice(axes.count, None)
        project = discriminant_axes(
            of_real[:, features], categories, of_outliers[:, features], widths[0], axes.squared_feature
        )
        axes.fold_features(project, head.project)
        rounding = ROUNDING * axes.squared_feature * project @ project.T
        _fit_gaussians(head.of_features, of_real[:, features] @ project.T, categories, rounding)
        of_maps = of_real[:, : widths[1]] * axes.stds[: widths[1]]
        rounding = ROUNDING * axes.squared_length * torch.eye(widths[1])
        _fit_gaussians(head.of_maps, of_maps, categories, rounding)
        hidden = nn.Linear(axes.count + taps.first_size, _HIDDEN)
        targets = (torch.arange(len(rows)) >= len(real)).float()
        _fit_classifier(hidden, head.decide, rows[:, : hidden.in_features], targets, rng)
        axes.fold_maps(widths[1], hidden, head.look)
        del rows, of_real, of_outliers
        _join_parts(head, read(held, head.parts, torch.empty(len(held), 3)))
    metrics = {
        "method": "Gaussians of the categories' features, and a classifier of real against synthetic images",
        "fitted_on": len(chosen),
        "synthetic_outliers": len(outliers),
        "held_out": len(held),
        "false_flags_held_out": _FALSE_FLAGS,
    }
    return head.eval(), OodSpec(threshold=_THRESHOLD, metrics=metrics)


# --- images ------------------------------------------------------------------------------------------


def _to_floats(images: Tensor, preprocessing: Preprocessing | None) -> Tensor:
    """Return uint8 images as floats from 0 to 1, inverted where ink is dark: a background of 1 becomes 0."""
    values = images.float() / 255
    return 1 - values if preprocessing is not None and preprocessing.ink == "dark" else values


def _to_bytes(values: Tensor) -> Tensor:
    """Return images from 0 (background) to 1, rounded to 8 bits, as uint8 with background 0."""
    return (values.clamp(0, 1) * 255).round().to(torch.uint8)


def _to_inputs(images: Tensor, preprocessing: Preprocessing | None, networks: Networks) -> Tensor:
    """Return uint8 images with background 0 as inputs of the encoder."""
    values = _to_floats(images, preprocessing)
    return values * (networks.image.high - networks.image.low) + networks.image.low


def _chunk(images: Tensor) -> int:
    """Return how many images to compute at a time."""
    size: int = images.shape[-1]
    return _CHUNK if size <= SMALL else max(1, _CHUNK * (SMALL // 2) ** 2 // size**2)


def _make_outliers(images: Tensor, preprocessing: Preprocessing | None, rng: torch.Generator) -> Tensor:
    """Return synthetic outliers for images ``(N, C, S, S)``, not preprocessed."""
    count = int(_OUTLIERS * len(images))
    if preprocessing is None:
        return make_synthetic_outliers(images, count, rng)
    drawn = make_drawings(int(_DRAWN * count), images.shape[3], rng)
    return torch.cat([make_synthetic_outliers(images, count - len(drawn), rng), drawn])


def _vary(images: Tensor, preprocessing: Preprocessing | None, rng: torch.Generator) -> Tensor:
    """Return a preprocessed random view of every image as uint8; views without a foreground are dropped."""
    parts = []
    for part in torch.split(images, _chunk(images)):
        views = random_view(part, _VIEW, rng)
        if preprocessing is not None:
            views, has_foreground = preprocess_batch(views, preprocessing)
            views = views[has_foreground]
        parts.append(_to_bytes(views))
    return torch.cat(parts)


@torch.no_grad()
def _categories(networks: Networks, taps: Taps, features: Tensor) -> Tensor:
    """Return each image's category of the first code; 0 for all if there is no code or a category is rare."""
    if not networks.latent.categorical or taps.branch.logits is None:
        return torch.zeros(len(features), dtype=torch.long)
    logits = taps.branch.logits(features[:, :, None, None]).flatten(1)
    categories = logits[:, : networks.latent.categorical[0]].argmax(1)
    dense: Tensor
    _, dense, counts = torch.unique(categories, return_inverse=True, return_counts=True)
    if int(counts.min()) < _MIN_OF_CATEGORY:
        return torch.zeros(len(features), dtype=torch.long)  # too few images of one category for a Gaussian
    return dense


# --- fitting -------------------------------------------------------------------------------------------


@torch.no_grad()
def _fit_gaussians(gaussians: Gaussians, values: Tensor, categories: Tensor, rounding: Tensor) -> None:
    """Fit a Gaussian to the rows ``(N, axes)`` of each category, whose covariance is at least ``rounding``.

    Along an axis with almost no variance, the rounding of float32 would be scaled up to a distance.
    """
    count = gaussians.axes
    groups = [values[categories == k].double() for k in range(len(gaussians.log_determinants))]
    covariances = [torch.cov(group.T).reshape(count, count) for group in groups]
    shared = torch.stack(covariances).mean(0)
    floor = 1e-4 * shared.diagonal().mean().clamp(min=1e-12) * torch.eye(count, dtype=torch.double)
    of_rounding = torch.linalg.inv(torch.linalg.cholesky(rounding.double()))
    log_determinants = torch.zeros(len(groups), dtype=torch.double)
    for k, (group, own) in enumerate(zip(groups, covariances, strict=True)):
        covariance = (1 - _SHRINKAGE) * own + _SHRINKAGE * shared + floor
        ratio = torch.linalg.eigvalsh(of_rounding @ covariance @ of_rounding.T).min()
        covariance += (1 - ratio).clamp(min=0) * rounding
        inverse = torch.linalg.inv(torch.linalg.cholesky(covariance))
        rows = slice(k * count, (k + 1) * count)
        gaussians.whiten.weight[rows] = inverse.float()
        gaussians.whiten.bias[rows] = -(inverse @ group.mean(0)).float()
        log_determinants[k] = torch.logdet(covariance)
    # Only differences matter; a common constant would take digits from the sum.
    gaussians.log_determinants.copy_(log_determinants - log_determinants.mean())


def _fit_classifier(
    hidden: nn.Linear, decide: nn.Linear, values: Tensor, targets: Tensor, rng: torch.Generator
) -> None:
    """Train a network of one hidden layer to classify rows as those of real images or synthetic outliers."""
    parameters = [*hidden.parameters(), *decide.parameters()]
    for layer in (hidden, decide):
        for parameter in layer.parameters():
            bound = layer.in_features**-0.5
            parameter.data.copy_((2 * torch.rand(parameter.shape, generator=rng) - 1) * bound)
    batches = len(values) // _BATCH
    optimizer = torch.optim.AdamW(parameters, _RATE, weight_decay=_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, _RATE, total_steps=_EPOCHS * batches)
    for _ in range(_EPOCHS):
        order = torch.randperm(len(values), generator=rng)[: batches * _BATCH]
        for rows in torch.split(order, _BATCH):
            logits = decide(torch.relu(hidden(values[rows])))[:, 0]
            loss = F.binary_cross_entropy_with_logits(logits, targets[rows])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()


@torch.no_grad()
def _join_parts(head: DistanceHead, parts: Tensor) -> None:
    """Weight the parts ``(N, 3)`` of held-out images by their spread, and set the threshold."""
    head.least.copy_(parts.quantile(_LOWER_BOUND, dim=0))
    parts = torch.maximum(parts, head.least)
    middle = parts.quantile(0.5, dim=0)
    spread = torch.maximum(parts.quantile(1 - _FALSE_FLAGS, dim=0) - middle, torch.tensor(_MIN_SPREAD))
    weights = torch.tensor(_WEIGHTS) / spread
    threshold = ((parts - middle) @ weights).quantile(1 - _FALSE_FLAGS)
    head.join.weight.copy_(_SHARPNESS * weights[None])
    head.join.bias.copy_(-_SHARPNESS * (middle @ weights + threshold)[None])
