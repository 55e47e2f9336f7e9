"""Measure what the codes of an exported bundle mean, on its own graphs and with real images.

All of it is computed after training and does not influence training.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from infogan_tool.export.evaluation.metrics.label_matching import MIN_PURITY, accuracy, match_best_code
from infogan_tool.export.evaluation.metrics.naming import name_by_training
from infogan_tool.export.evaluation.real_images import to_nhwc
from infogan_tool.export.evaluation.styles import measure_styles
from infogan_tool.runtime.bundle.bundle import load_bundle
from infogan_tool.runtime.bundle.self_check import self_check

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from infogan_tool.export.evaluation.real_images import RealImages
    from infogan_tool.runtime.bundle.bundle import Bundle
    from infogan_tool.runtime.bundle.metadata import BundleMetadata
    from infogan_tool.train.data import ImageSet


def describe_codes(folder: Path, metadata: BundleMetadata, images: RealImages) -> tuple[BundleMetadata, str]:
    """Name the categories and the continuous codes of the bundle at ``folder``.

    Args:
        folder: The bundle, with ``metadata`` written.
        metadata: The metadata so far.
        images: Real images.

    Returns:
        The metadata with labels, style names and the metrics behind them in its card; and a note why names
        are missing, or an empty string.
    """
    train, test = images.train, images.test
    bundle = load_bundle(folder, device="cpu")
    posterior = bundle.encode(to_nhwc(test)) if test else None
    if metadata.ood and posterior is not None and posterior.ood is not None:
        # All test images are in distribution.
        share = {"false_flags_test": round(float(posterior.ood.mean()), 4), "test_count": len(posterior.ood)}
        metadata = replace(metadata, ood=replace(metadata.ood, metrics=metadata.ood.metrics | share))
    if metadata.latent.continuous:
        styles = measure_styles(bundle, to_nhwc(test or train), seed=0)
        card = {**metadata.card, "styles": styles.to_card()}
        trained = _names_by_training(bundle, styles.names)
        if trained:
            card["named_by_training"] = list(trained)
        metadata = replace(metadata, style_names={**styles.names, **trained}, card=card)
    if not metadata.latent.categorical:
        return metadata, ""
    if train.labels is None:
        return metadata, f"categories have no names: {train.name} has no labels"
    categories = bundle.encode(to_nhwc(train)).categories
    test_categories = None if posterior is None else posterior.categories
    return _name_categories(metadata, train, categories, test, test_categories), ""


def _names_by_training(bundle: Bundle, names: Mapping[str, str | None]) -> dict[str, str]:
    """Return names of codes that no attribute names."""
    objective = bundle.metadata.training.get("config", {}).get("objective", {})
    if not objective.get("transformations") or not objective["transformations_weight"]:
        return {}
    found = name_by_training(objective["transformations"], self_check(bundle).correlation)
    return {code: name for code, name in found.items() if names[code] is None}


def _name_categories(
    metadata: BundleMetadata,
    train: ImageSet,
    categories: NDArray[np.int64],
    test: ImageSet | None,
    test_categories: NDArray[np.int64] | None,
) -> BundleMetadata:
    assert train.labels is not None
    labels = train.labels.numpy()
    # At most one of several codes follows the labels; names of labels would mislead for the others.
    best, match = match_best_code(categories, labels, metadata.latent.categorical)
    code = metadata.latent.categorical_names[best]
    metrics: dict[str, Any] = {
        "code": code,
        "data": train.name,
        "train": round(match.accuracy, 4),
        "train_count": len(train),
        "category_purity": [round(share, 4) for share in match.purity],
    }
    if test is not None and test.labels is not None and test_categories is not None:
        metrics["test"] = round(accuracy(test_categories[:, best], test.labels.numpy(), match.label_of), 4)
        metrics["test_count"] = len(test)
    names = train.label_names or tuple(str(i) for i in range(int(labels.max()) + 1))
    matched = zip(match.label_of, match.purity, strict=True)
    named = {code: tuple(names[i] if i is not None and p >= MIN_PURITY else None for i, p in matched)}
    return replace(metadata, labels=named, card={"accuracy": metrics, **metadata.card})
