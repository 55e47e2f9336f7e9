"""What the codes of an exported bundle turned out to mean, measured on its own graphs with real images.

Everything here is for people: it is found after training, and nothing of it reaches training.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from infogan_tool.export.evaluation.metrics.label_matching import LEAST_PURITY, accuracy, match_labels
from infogan_tool.export.evaluation.styles import name_styles
from infogan_tool.runtime.bundle.bundle import load_bundle
from infogan_tool.train.data import load_images, load_test_images

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from infogan_tool.runtime.bundle.bundle import Bundle
    from infogan_tool.runtime.bundle.metadata import BundleMetadata, ImageSpec
    from infogan_tool.train.config.tables import DataConfig
    from infogan_tool.train.data import ImageSet

__all__ = ["RealImages", "describe_codes", "load_real_images"]


@dataclass(frozen=True, kw_only=True, slots=True)
class RealImages:
    """What a run was trained on, as the bundle's graphs take it."""

    train: ImageSet
    """Training images."""
    test: ImageSet | None
    """Test images, where the data set has some."""


def load_real_images(data: DataConfig, image: ImageSpec) -> RealImages:
    """Load the images that a config names; nothing is downloaded.

    Raises:
        DataError: They are not there or cannot be used.
    """
    source, size, channels = data.source, image.size, image.channels
    return RealImages(
        train=load_images(source, size=size, channels=channels, download=False),
        test=load_test_images(source, size=size, channels=channels, download=False),
    )


def describe_codes(folder: Path, metadata: BundleMetadata, images: RealImages) -> tuple[BundleMetadata, str]:
    """Name the categories and the continuous codes of the bundle at ``folder``.

    Args:
        folder: The bundle, with ``metadata`` written.
        metadata: As it is so far.
        images: Real images.

    Returns:
        The metadata with labels, style names and the figures behind them in its card, and why some of it is
        missing, or an empty text.
    """
    train, test = images.train, images.test
    bundle = load_bundle(folder, device="cpu")
    metadata = _with_flags(bundle, metadata, test)
    if metadata.latent.continuous:
        styles = name_styles(bundle, _as_hwc(test or train), seed=0)
        card = {**metadata.card, "styles": styles.to_card()}
        metadata = replace(metadata, style_names=styles.names, card=card)
    if not metadata.latent.categorical:
        return metadata, ""
    if train.labels is None:
        return metadata, f"categories have no names: {train.name} has no labels"
    return _name_categories(bundle, metadata, train, test), ""


def _name_categories(
    bundle: Bundle, metadata: BundleMetadata, train: ImageSet, test: ImageSet | None
) -> BundleMetadata:
    assert train.labels is not None
    found, truth = bundle.encode(_as_hwc(train)).categories, train.labels.numpy()
    matches = [match_labels(found[:, i], truth, k) for i, k in enumerate(metadata.latent.categorical)]
    # With several codes, one of them may follow the labels; naming the others after it would mislead.
    best = max(range(len(matches)), key=lambda i: matches[i].accuracy)
    match, code = matches[best], metadata.latent.categorical_names[best]
    figures: dict[str, Any] = {
        "code": code,
        "data": train.name,
        "train": round(match.accuracy, 4),
        "train_count": len(train),
        "category_purity": [round(share, 4) for share in match.purity],
    }
    if test is not None and test.labels is not None:
        test_found = bundle.encode(_as_hwc(test)).categories[:, best]
        figures["test"] = round(accuracy(test_found, test.labels.numpy(), match.label_of), 4)
        figures["test_count"] = len(test)
    names = train.label_names or tuple(str(i) for i in range(int(truth.max()) + 1))
    named = zip(match.label_of, match.purity, strict=True)
    labels = {code: tuple(names[i] if i is not None and p >= LEAST_PURITY else None for i, p in named)}
    return replace(metadata, labels=labels, card={"accuracy": figures, **metadata.card})


def _with_flags(bundle: Bundle, metadata: BundleMetadata, test: ImageSet | None) -> BundleMetadata:
    """Add the share of test images (all in distribution) that are flagged as out of distribution."""
    if metadata.ood is None or test is None:
        return metadata
    ood = bundle.encode(_as_hwc(test)).ood
    assert ood is not None
    share = {"false_flags_test": round(float(ood.mean()), 4), "test_count": len(test)}
    metrics = metadata.ood.metrics | share
    return replace(metadata, ood=replace(metadata.ood, metrics=metrics))


def _as_hwc(images: ImageSet) -> NDArray[np.uint8]:
    hwc: NDArray[np.uint8] = images.images.permute(0, 2, 3, 1).numpy()
    return hwc
