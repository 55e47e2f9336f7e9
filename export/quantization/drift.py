"""How far a bundle of reduced precision is from the one in float32: measured on real images, for reporting.

The labels serve to say the accuracy of both, and to refuse a bundle that has lost some; they tune nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from infogan_tool.export.evaluation.metrics.label_matching import accuracy, match_best_code
from infogan_tool.export.evaluation.real_images import to_nhwc
from infogan_tool.runtime.errors import PrecisionError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from infogan_tool.runtime.bundle.bundle import Bundle, Posterior
    from infogan_tool.train.data import ImageSet

__all__ = ["MOST_LOST", "Drift", "measure_drift"]

MOST_LOST: Final = 0.001
"""Accuracy (or agreement, where there are no labels) that a bundle may lose: a tenth of a point."""
_DRAWN: Final = 1000
"""Generated images that are compared."""
_SEED: Final = 20_160_612


@dataclass(frozen=True, kw_only=True, slots=True)
class Drift:
    """What was measured."""

    figures: dict[str, Any]
    """JSON-ready, as docs/reference/bundle.md describes it."""
    lost: float
    """Accuracy lost, or where no labels are there agreement with float32, as a share; below 0 is gained."""
    by_labels: bool
    """Whether ``lost`` is accuracy."""

    def refuse_loss(self, precision: str) -> None:
        """Refuse a bundle that has lost more than :data:`MOST_LOST`.

        Raises:
            PrecisionError: It has.
        """
        if self.lost <= MOST_LOST:
            return
        what = "of its accuracy" if self.by_labels else "of its agreement with fp32"
        images = f"{self.figures['images']:,} images"
        raise PrecisionError(
            f"in {precision} the encoder loses {100 * self.lost:.2f} points {what} on {images}; "
            f"at most {100 * MOST_LOST:g} are allowed, so nothing was written"
        )


def measure_drift(before: Bundle, after: Bundle, train: ImageSet, test: ImageSet | None) -> Drift:
    """Compare two bundles of the same model.

    Args:
        before: In float32.
        after: In reduced precision.
        train: Training images: their labels name the categories.
        test: Test images, on which everything is measured; None: the training images.
    """
    real = test or train
    images = to_nhwc(real)
    old, new = before.encode(images), after.encode(images)
    figures: dict[str, Any] = {"data": real.name, "split": "test" if test else "train", "images": len(real)}
    columns = {
        "probabilities": (np.hstack(old.probabilities), np.hstack(new.probabilities))
        if old.probabilities
        else (),
        "style_mean": (old.style_mean, new.style_mean),
        "style_std": (old.style_std, new.style_std),
    }
    figures |= {name: _difference(*pair) for name, pair in columns.items() if pair and pair[0].size}
    if old.distance is not None and new.distance is not None:
        figures["distance"] = _difference(old.distance, new.distance)
        figures["in_distribution"] = {
            "fp32": _share_in_distribution(old.ood),
            after.metadata.precision: _share_in_distribution(new.ood),
        }
    same = (old.categories == new.categories).mean(axis=0)
    figures["agreement"] = {
        code: round(float(share), 6)
        for code, share in zip(before.latent.categorical_names, same, strict=True)
    }
    lost = float(1 - same.min()) if same.size else 0.0
    scores = _accuracies(before, old, new, train, real)
    if scores:
        lost = scores[0] - scores[1]
        figures["accuracy"] = {"fp32": round(scores[0], 6), after.metadata.precision: round(scores[1], 6)}
    latents = before.sample(_DRAWN, _SEED)
    figures["generated"] = {
        "images": _DRAWN,
        **_difference(before.generate(latents), after.generate(latents)),
    }
    return Drift(figures=figures, lost=lost, by_labels=scores is not None)


def _accuracies(
    bundle: Bundle, old: Posterior, new: Posterior, train: ImageSet, real: ImageSet
) -> tuple[float, float] | None:
    """Return the accuracy of both on ``real``, with the categories matched once, by the float32 encoder."""
    if train.labels is None or real.labels is None or not bundle.latent.categorical:
        return None
    found, truth = bundle.encode(to_nhwc(train)).categories, train.labels.numpy()
    best, match = match_best_code(found, truth, bundle.latent.categorical)
    labels, names = real.labels.numpy(), match.label_of
    return accuracy(old.categories[:, best], labels, names), accuracy(new.categories[:, best], labels, names)


def _difference(old: NDArray[np.float32], new: NDArray[np.float32]) -> dict[str, float]:
    difference = np.abs(old.astype(np.float64) - new)
    return {"max": float(f"{difference.max():.3g}"), "mean": float(f"{difference.mean():.3g}")}


def _share_in_distribution(ood: NDArray[np.bool_] | None) -> float:
    assert ood is not None
    return round(float((~ood).mean()), 6)
