"""Measure a bundle: run its exported graphs on real and on generated images, and compute all metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from infogan_tool.export.evaluation.axes import measure_axes
from infogan_tool.export.evaluation.classifier import ClassifierSettings, find_classifier
from infogan_tool.export.evaluation.factor_scores import encoder_codes, score_factors
from infogan_tool.export.evaluation.metrics.calibration import (
    best_temperature,
    category_of_label,
    expected_calibration_error,
    share_below,
    temper,
)
from infogan_tool.export.evaluation.metrics.clustering import score_categories
from infogan_tool.export.evaluation.metrics.coverage import NEIGHBOURS, density_and_coverage
from infogan_tool.export.evaluation.metrics.distances import frechet_distance, kernel_distance
from infogan_tool.export.evaluation.metrics.information import (
    categorical_log_likelihood,
    gaussian_log_likelihood,
    information_bound,
)
from infogan_tool.export.evaluation.metrics.label_matching import match_labels
from infogan_tool.export.evaluation.metrics.purity import generator_purity
from infogan_tool.export.evaluation.metrics.round_trip import categorical_recovery, continuous_recovery
from infogan_tool.export.evaluation.real_images import random_subset, to_nhwc
from infogan_tool.export.evaluation.results import (
    RESULTS_SCHEMA,
    Calibration,
    Confidence,
    Distances,
    EncoderResults,
    GeneratorResults,
    InformationResults,
    Results,
    RoundTripResults,
)
from infogan_tool.export.evaluation.styles import measure_styles
from infogan_tool.runtime.images.arrays import to_uint8

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from infogan_tool.export.evaluation.classifier import EvaluationClassifier
    from infogan_tool.export.evaluation.metrics.label_matching import LabelMatch
    from infogan_tool.export.evaluation.real_images import RealImages
    from infogan_tool.runtime.bundle.bundle import Bundle
    from infogan_tool.runtime.bundle.reading import Posterior
    from infogan_tool.runtime.latents.sampling import Latents
    from infogan_tool.runtime.latents.spec import LatentSpec

_Match = tuple["LabelMatch", float | None]
"""A categorical code matched to labels on training images, and its best temperature."""

DEFAULT_SAMPLES: Final = 10_000
MIN_SAMPLES: Final = 100
"""With fewer generated images the distances are meaningless."""
_MIN_CLASSES: Final = 2


def measure_bundle(
    bundle: Bundle,
    real: RealImages,
    *,
    samples: int = DEFAULT_SAMPLES,
    seed: int = 0,
    classifier: ClassifierSettings | None = None,
    classifier_folder: Path | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> Results:
    """Compute every metric that the bundle and the images allow.

    Args:
        bundle: The bundle to measure.
        real: Images of the bundle's size and channels.
        samples: Number of generated images; at least 100.
        seed: Seed of their latents, and of the random subset where there are more real images than
            ``samples``.
        classifier: Settings of the evaluation classifier.
        classifier_folder: Cache of evaluation classifiers; None keeps none.
        progress: Called with a line of text before each part of the work.
    """
    progress("encoding real images")
    posterior = bundle.encode(to_nhwc(real.scored))
    matches = _match(bundle, real)
    encoder = _encoder(bundle.latent, real, posterior, matches)
    factor_scores = None
    if real.scored.factors is not None and bundle.latent.code_names:
        progress("scoring the known factors")
        codes = encoder_codes(bundle.latent, posterior)
        factor_scores = score_factors(codes, real.scored.factors, seed=seed)
    progress(f"generating {samples:,} images")
    latents = bundle.sample(samples, seed)
    generated = to_uint8(bundle.generate(latents), bundle.image)  # rounded to 8 bits, as in an image file
    posterior = bundle.encode(generated)
    progress("measuring styles")
    styles = measure_styles(bundle, to_nhwc(real.scored), seed=seed)
    evaluator, generator = None, None
    if real.label_names is not None and len(real.label_names) >= _MIN_CLASSES:
        progress("preparing the evaluation classifier")
        settings = classifier or ClassifierSettings()
        evaluator = find_classifier(
            real.train, real.test, settings, folder=classifier_folder, progress=progress
        )
        progress("comparing generated and real images")
        generator = _generator(bundle.latent, evaluator, real, latents, generated, matches=matches, seed=seed)
    return Results(
        schema_version=RESULTS_SCHEMA,
        bundle_id=bundle.metadata.bundle_id,
        samples=samples,
        seed=seed,
        data=real.describe(),
        encoder=encoder,
        information=_information(bundle.latent, latents, posterior),
        round_trip=_round_trip(bundle.latent, latents, posterior),
        styles=styles,
        axes=measure_axes(bundle, seed=seed),
        factor_scores=factor_scores,
        classifier=evaluator.info if evaluator else None,
        generator=generator,
    )


# --- real images, encoded --------------------------------------------------------------------------------


def _match(bundle: Bundle, real: RealImages) -> dict[str, _Match]:
    latent, names = bundle.latent, real.label_names
    if names is None or not latent.categorical:
        return {}
    assert real.train.labels is not None, "label names imply labels"
    labels = real.train.labels.numpy()
    posterior = bundle.encode(to_nhwc(real.train))
    best = posterior.most_probable
    matches: dict[str, _Match] = {}
    for column, (code, size) in enumerate(zip(latent.categorical_names, latent.categorical, strict=True)):
        match = match_labels(best[:, column], labels, size)
        target = category_of_label(match.label_of, len(names))[labels]
        temperature = best_temperature(posterior.probabilities[column], target)
        matches[code] = match, temperature
    return matches


def _encoder(
    latent: LatentSpec, real: RealImages, posterior: Posterior, matches: Mapping[str, _Match]
) -> dict[str, EncoderResults]:
    results, best = {}, posterior.most_probable
    for column, code in enumerate(latent.categorical_names):
        confidence = posterior.probabilities[column].max(axis=1)
        clustering, calibration = None, None
        if code in matches and real.label_names is not None and real.scored.labels is not None:
            labels, categories = real.scored.labels.numpy(), best[:, column]
            match, temperature = matches[code]
            clustering = score_categories(
                categories, labels, label_of=match.label_of, label_names=real.label_names
            )
            correct = category_of_label(match.label_of, len(real.label_names))[labels] == categories
            calibration = _calibration(posterior.probabilities[column], correct, temperature)
        results[code] = EncoderResults(
            confidence=Confidence(
                mean=float(confidence.mean(dtype=np.float64)),
                below_half=share_below(confidence, 0.5),
                below_nine_tenths=share_below(confidence, 0.9),
            ),
            clustering=clustering,
            calibration=calibration,
        )
    return results


def _calibration(
    probabilities: NDArray[np.float32], correct: NDArray[np.bool_], temperature: float | None
) -> Calibration:
    tempered = None
    if temperature is not None:
        tempered = expected_calibration_error(temper(probabilities, temperature).max(axis=1), correct)
    return Calibration(
        ece=expected_calibration_error(probabilities.max(axis=1), correct),
        temperature=temperature,
        ece_tempered=tempered,
    )


# --- generated images, encoded ---------------------------------------------------------------------------


def _information(latent: LatentSpec, latents: Latents, posterior: Posterior) -> InformationResults:
    likelihood = {
        code: categorical_log_likelihood(posterior.probabilities[column], latents.categories[:, column])
        for column, code in enumerate(latent.categorical_names)
    }
    means = latent.nearest(posterior.style_mean, latents.styles)
    for column, code in enumerate(latent.continuous_names):
        std = posterior.style_std[:, column]
        likelihood[code] = gaussian_log_likelihood(latents.styles[:, column], means[:, column], std)
    codes = {code: information_bound(likelihood[code], entropy) for code, entropy in latent.entropies.items()}
    return InformationResults(
        codes=codes,
        lower_bound_nats=sum(code.lower_bound_nats for code in codes.values()),
        entropy_nats=sum(code.entropy_nats for code in codes.values()),
    )


def _round_trip(latent: LatentSpec, latents: Latents, posterior: Posterior) -> RoundTripResults:
    sizes, best = (
        list(zip(latent.categorical_names, latent.categorical, strict=True)),
        posterior.most_probable,
    )
    groups = {code: (latents.categories[:, i], size) for i, (code, size) in enumerate(sizes)}
    categorical = {
        code: categorical_recovery(latents.categories[:, i], best[:, i], size)
        for i, (code, size) in enumerate(sizes)
    }
    continuous = {
        code: continuous_recovery(
            latents.styles[:, i],
            posterior.style_mean[:, i],
            posterior.style_std[:, i],
            groups,
            periodic=code in latent.periodic,
        )
        for i, code in enumerate(latent.continuous_names)
    }
    return RoundTripResults(categorical=categorical, continuous=continuous)


# --- generated images, classified ------------------------------------------------------------------------


def _generator(
    latent: LatentSpec,
    classifier: EvaluationClassifier,
    real: RealImages,
    latents: Latents,
    generated: NDArray[np.uint8],
    *,
    matches: Mapping[str, _Match],
    seed: int,
) -> GeneratorResults | None:
    assert real.label_names is not None, "a classifier implies labels"
    if len(real.scored) <= NEIGHBOURS:
        return None
    rng = np.random.default_rng(seed)
    count = len(generated)
    classes, features = classifier.classify(generated)
    _, real_features = classifier.classify(random_subset(to_nhwc(real.scored), count, rng))
    real_vs_real, train_features = None, features[:0]
    if real.test is not None and len(real.train) >= _MIN_CLASSES:
        _, train_features = classifier.classify(random_subset(to_nhwc(real.train), count, rng))
        real_vs_real = _distances(real_features, train_features)
    purity = {
        code: generator_purity(
            latents.categories[:, column],
            classes,
            num_categories=size,
            class_names=real.label_names,
            label_of=matches[code][0].label_of if code in matches else None,
        )
        for column, (code, size) in enumerate(zip(latent.categorical_names, latent.categorical, strict=True))
    }
    return GeneratorResults(
        purity=purity,
        distances=_distances(real_features, features),
        real_vs_real=real_vs_real,
        generated_count=count,
        real_count=len(real_features),
        real_vs_real_count=len(train_features),
    )


def _distances(real: NDArray[np.float32], other: NDArray[np.float32]) -> Distances:
    density, coverage = density_and_coverage(real, other)
    return Distances(
        frechet=frechet_distance(real, other),
        kernel=kernel_distance(real, other),
        density=density,
        coverage=coverage,
    )
