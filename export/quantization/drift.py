"""Drift: how far a bundle of reduced precision is from the one in fp32, on real and on generated images.

Labels are used to measure the accuracy of both and to refuse a loss; nothing is tuned with them.
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

    from infogan_tool.export.evaluation.real_images import RealImages
    from infogan_tool.runtime.bundle.bundle import Bundle
    from infogan_tool.runtime.bundle.reading import Posterior

MAX_LOSS: Final = 0.001
"""Accuracy (or agreement, where there are no labels) that a bundle may lose: 0.1 percentage points."""
MAX_CHANGED: Final = 0.01
"""Share of real images that may change their category, of a code that does not follow the labels, and by
which the share in distribution may fall: 1 percentage point."""
MAX_STYLE_CHANGE: Final = 0.1
"""Mean change that a style may have on real images; the prior spans 2."""
MAX_IMAGE_CHANGE: Final = 0.1
"""Mean squared change that generated images may have, in parts of their variance."""
_GENERATED: Final = 1000
"""Generated images that are compared."""
_SEED: Final = 20_160_612
_SMALL: Final = 1e-9


@dataclass(frozen=True, kw_only=True, slots=True)
class Drift:
    """The measurements."""

    metrics: dict[str, Any]
    """JSON-ready; docs/reference/bundle.md describes them."""
    loss: float
    """Share of accuracy lost, or of agreement with fp32 where there are no labels; negative is a gain."""
    labelled_code: str | None
    """The code whose accuracy is lost; None without labels."""
    disagreement: dict[str, float]
    """Share of real images whose category is not that in fp32, by code, but for the labelled one."""
    flagged: float
    """Share of real images that are out of distribution, minus that in fp32; 0 without an OOD score."""
    style_change: dict[str, float]
    """Mean absolute change of each style on real images, by code."""
    image_change: float
    """Mean squared change of generated images, in parts of their variance."""

    def refuse_loss(self, precision: str) -> None:
        """Refuse a bundle that lost or changed more than is allowed.

        Raises:
            PrecisionError: It did.
        """
        images = f"on {self.metrics['images']:,} images"
        style = max(self.style_change, key=lambda code: self.style_change[code], default="")
        category = max(self.disagreement, key=lambda code: self.disagreement[code], default="")
        if self.loss > MAX_LOSS:
            what = "accuracy" if self.labelled_code else "agreement with fp32"
            lost = f"the encoder loses {100 * self.loss:.2f} percentage points of {what} {images}"
            allowed = f"{100 * MAX_LOSS:g}"
        elif category and self.disagreement[category] > MAX_CHANGED:
            lost = f"the encoder changes {category} of {100 * self.disagreement[category]:.1f} % {images}"
            allowed = f"{100 * MAX_CHANGED:g} %"
        elif self.flagged > MAX_CHANGED:
            lost = f"the encoder flags {100 * self.flagged:.1f} % more as out of distribution {images}"
            allowed = f"{100 * MAX_CHANGED:g} %"
        elif style and self.style_change[style] > MAX_STYLE_CHANGE:
            lost = f"the encoder changes {style} by {self.style_change[style]:.2f} on average {images}"
            allowed = f"{MAX_STYLE_CHANGE:g}"
        elif self.image_change > MAX_IMAGE_CHANGE:
            lost = f"the generator changes its images by {100 * self.image_change:.0f} % of their variance"
            allowed = f"{100 * MAX_IMAGE_CHANGE:g} %"
        else:
            return
        raise PrecisionError(f"in {precision} {lost} (at most {allowed} allowed); nothing was written")


def measure_drift(before: Bundle, after: Bundle, real: RealImages) -> Drift:
    """Compare two bundles of the same model.

    Args:
        before: In fp32.
        after: In reduced precision.
        real: The labels of its training images name the categories; everything is measured on its scored
            images.
    """
    precision = after.metadata.precision
    images = to_nhwc(real.scored)
    old, new = before.encode(images), after.encode(images)
    metrics: dict[str, Any] = {
        "data": real.scored.name,
        "split": "test" if real.test else "train",
        "images": len(images),
    }
    means = after.latent.nearest(new.style_mean, old.style_mean)
    columns = {"style_mean": (old.style_mean, means), "style_std": (old.style_std, new.style_std)}
    if old.probabilities:
        columns = {"probabilities": (np.hstack(old.probabilities), np.hstack(new.probabilities))} | columns
    metrics |= {name: _difference(*pair) for name, pair in columns.items() if pair[0].size}
    flagged = 0.0
    if old.distance is not None and new.distance is not None:
        metrics["distance"] = _difference(old.distance, new.distance)
        shares = _share_in_distribution(old.ood), _share_in_distribution(new.ood)
        metrics["in_distribution"] = {"fp32": shares[0], precision: shares[1]}
        flagged = shares[0] - shares[1]
    same = (old.most_probable == new.most_probable).mean(axis=0).tolist()
    agreement = dict(zip(before.latent.categorical_names, same, strict=True))
    metrics["agreement"] = {code: round(share, 6) for code, share in agreement.items()}
    code, scores = _accuracies(before, old, new, real)
    disagreement = {name: 1 - share for name, share in agreement.items() if name != code}
    loss = max(disagreement.values(), default=0.0)
    if scores:
        loss = scores[0] - scores[1]
        metrics["accuracy"] = {"fp32": round(scores[0], 6), precision: round(scores[1], 6)}
    latents = before.sample(_GENERATED, _SEED)
    generated = before.generate(latents), after.generate(latents)
    metrics["generated"] = {"images": _GENERATED, **_difference(*generated)}
    changes = np.abs(means - old.style_mean).mean(axis=0, dtype=np.float64)
    return Drift(
        metrics=metrics,
        loss=loss,
        labelled_code=code,
        disagreement=disagreement,
        flagged=flagged,
        style_change=dict(zip(before.latent.continuous_names, changes.tolist(), strict=True)),
        image_change=_share_changed(*generated),
    )


def _accuracies(
    bundle: Bundle, old: Posterior, new: Posterior, real: RealImages
) -> tuple[str | None, tuple[float, ...]]:
    """Return the code that follows the labels, if there are any, and its accuracy on the scored images.

    Categories are matched by the fp32 encoder.
    """
    latent = bundle.latent
    if real.train.labels is None or real.scored.labels is None or not latent.categorical:
        return None, ()
    categories = bundle.encode(to_nhwc(real.train)).most_probable
    best, match = match_best_code(categories, real.train.labels.numpy(), latent.categorical)
    labels, names = real.scored.labels.numpy(), match.label_of
    both = tuple(accuracy(part.most_probable[:, best], labels, names) for part in (old, new))
    return latent.categorical_names[best], both


def _share_changed(old: NDArray[np.float32], new: NDArray[np.float32]) -> float:
    changed = np.square(new - old).mean(dtype=np.float64)
    variance = np.square(old - old.mean(axis=0)).mean(dtype=np.float64)
    return float(changed / max(variance, _SMALL))


def _difference(old: NDArray[np.float32], new: NDArray[np.float32]) -> dict[str, float]:
    difference = np.abs(old.astype(np.float64) - new)
    return {"max": float(f"{difference.max():.3g}"), "mean": float(f"{difference.mean():.3g}")}


def _share_in_distribution(ood: NDArray[np.bool_] | None) -> float:
    assert ood is not None
    return round(float((~ood).mean()), 6)
