"""What the codes of an exported bundle turned out to mean, measured on its own graphs with real images.

Everything here is for people: it is found after training, and nothing of it reaches training.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from infogan_tool.export.evaluation.metrics.label_matching import MIN_PURITY, accuracy, match_best_code
from infogan_tool.export.evaluation.real_images import to_nhwc
from infogan_tool.export.evaluation.styles import measure_styles
from infogan_tool.runtime.bundle.bundle import load_bundle

if TYPE_CHECKING:
    from pathlib import Path

    from infogan_tool.export.evaluation.real_images import RealImages
    from infogan_tool.runtime.bundle.bundle import Bundle
    from infogan_tool.runtime.bundle.metadata import BundleMetadata
    from infogan_tool.train.data import ImageSet

__all__ = ["describe_codes"]


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
        styles = measure_styles(bundle, to_nhwc(test or train), seed=0)
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
    found, truth = bundle.encode(to_nhwc(train)).categories, train.labels.numpy()
    # With several codes, one of them may follow the labels; naming the others after it would mislead.
    best, match = match_best_code(found, truth, metadata.latent.categorical)
    code = metadata.latent.categorical_names[best]
    figures: dict[str, Any] = {
        "code": code,
        "data": train.name,
        "train": round(match.accuracy, 4),
        "train_count": len(train),
        "category_purity": [round(share, 4) for share in match.purity],
    }
    if test is not None and test.labels is not None:
        test_found = bundle.encode(to_nhwc(test)).categories[:, best]
        figures["test"] = round(accuracy(test_found, test.labels.numpy(), match.label_of), 4)
        figures["test_count"] = len(test)
    names = train.label_names or tuple(str(i) for i in range(int(truth.max()) + 1))
    named = zip(match.label_of, match.purity, strict=True)
    labels = {code: tuple(names[i] if i is not None and p >= MIN_PURITY else None for i, p in named)}
    return replace(metadata, labels=labels, card={"accuracy": figures, **metadata.card})


def _with_flags(bundle: Bundle, metadata: BundleMetadata, test: ImageSet | None) -> BundleMetadata:
    """Add the share of test images (all in distribution) that are flagged as out of distribution."""
    if metadata.ood is None or test is None:
        return metadata
    ood = bundle.encode(to_nhwc(test)).ood
    assert ood is not None
    share = {"false_flags_test": round(float(ood.mean()), 4), "test_count": len(test)}
    metrics = metadata.ood.metrics | share
    return replace(metadata, ood=replace(metadata.ood, metrics=metrics))
