"""Choose the example images of a bundle."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from infogan_tool.export.evaluation.real_images import random_subset
from infogan_tool.export.image_limit import image_limit

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from infogan_tool.runtime.bundle.bundle import Bundle

_CANDIDATES: Final = 5_000
_SEED: Final = 0


def choose_examples(bundle: Bundle, images: NDArray[np.uint8], count: int) -> NDArray[np.uint8]:
    """Return at most ``count`` images that cover the categories of the first code, in their order.

    Of the images of each category that are in distribution, with seed 0, as many are chosen at random as of
    the others; a category with too few leaves its place to others.

    Args:
        bundle: Its encoder assigns the categories.
        images: Real images, uint8 ``(N, H, W, C)``.
        count: At least 1.
    """
    rng = np.random.default_rng(_SEED)
    images = random_subset(images, image_limit(bundle.image.size, _CANDIDATES), rng)
    posterior = bundle.encode(images)
    order = rng.permutation(len(images))
    if posterior.ood is not None:
        order = order[np.argsort(posterior.ood[order], kind="stable")]
    best = posterior.most_probable
    categories = best[:, 0] if best.shape[1] else np.zeros(len(images), np.int64)
    turn = np.empty(len(images), np.int64)  # the number of an image among those of its category
    for category in np.unique(categories):
        members = order[categories[order] == category]
        turn[members] = np.arange(len(members))
    chosen = order[np.argsort(turn[order], kind="stable")][:count]
    return images[chosen[np.lexsort((turn[chosen], categories[chosen]))]]
