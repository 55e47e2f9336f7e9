"""Ask a bundle, and fill the report. Everything here goes through the exported graphs and onnxruntime."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from infogan_tool.export.evaluation.classifier import ClassifierSettings
from infogan_tool.export.evaluation.classifier_cache import find_classifier
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
from infogan_tool.export.evaluation.styles import name_styles
from infogan_tool.runtime.images.arrays import to_uint8

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from infogan_tool.export.evaluation.classifier import EvaluationClassifier
    from infogan_tool.export.evaluation.metrics.label_matching import LabelMatch
    from infogan_tool.export.evaluation.real_images import RealImages
    from infogan_tool.runtime.bundle.bundle import Bundle, Posterior
    from infogan_tool.runtime.latents.sampling import Latents
    from infogan_tool.runtime.latents.spec import LatentSpec

__all__ = ["DEFAULT_SAMPLES", "LEAST_SAMPLES", "measure_bundle"]

DEFAULT_SAMPLES: Final = 10_000
LEAST_SAMPLES: Final = 100
"""With fewer generated images the distances say nothing."""
_HALF: Final = 0.5
_NINE_TENTHS: Final = 0.9
_LEAST_CLASSES: Final = 2


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
    """Measure everything that the bundle and the images allow.

    Args:
        bundle: What was exported.
        real: Images of the bundle's size and channels.
        samples: Generated images; at least 100.
        seed: Of their latents, and of the choice where there are more real images than ``samples``.
        classifier: How to train the classifier.
        classifier_folder: Where classifiers are kept; None keeps none.
        progress: Called with a line for people as the work goes on.
    """
    progress("encoding real images")
    posterior = bundle.encode(to_nhwc(real.scored))
    matches = _match(bundle, real)
    encoder = _encoder(bundle.latent, real, posterior, matches)
    progress(f"generating {samples:,} images")
    latents = bundle.sample(samples, seed)
    drawn = to_uint8(bundle.generate(latents), bundle.image)  # as an image file holds them
    read_back = bundle.encode(drawn)
    progress("measuring styles")
    styles = name_styles(bundle, to_nhwc(real.scored), seed=seed)
    found, generator = None, None
    names = real.label_names
    if names is not None and len(names) >= _LEAST_CLASSES:
        progress("preprocessing the classifier")
        found = find_classifier(
            real.train,
            real.test,
            classifier or ClassifierSettings(),
            folder=classifier_folder,
            progress=progress,
        )
        progress("comparing generated and real images")
        generator = _generator(bundle.latent, found, real, latents, drawn, matches=matches, seed=seed)
    return Results(
        schema_version=RESULTS_SCHEMA,
        bundle_id=bundle.metadata.bundle_id,
        samples=samples,
        seed=seed,
        data=real.describe(),
        encoder=encoder,
        information=_information(bundle.latent, latents, read_back),
        round_trip=_round_trip(bundle.latent, latents, read_back),
        styles=styles,
        classifier=found.info if found else None,
        generator=generator,
    )


# --- real images through the encoder -------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Match:
    """One categorical code, matched to labels on training images."""

    labels: LabelMatch
    temperature: float | None


def _match(bundle: Bundle, real: RealImages) -> dict[str, _Match]:
    latent, names = bundle.latent, real.label_names
    if names is None or not latent.categorical:
        return {}
    assert real.train.labels is not None, "there are no names without labels"
    labels = real.train.labels.numpy()
    posterior = bundle.encode(to_nhwc(real.train))
    found = {}
    for column, (code, size) in enumerate(zip(latent.categorical_names, latent.categorical, strict=True)):
        match = match_labels(posterior.categories[:, column], labels, size)
        wanted = category_of_label(match.label_of, len(names))[labels]
        temperature = best_temperature(posterior.probabilities[column], wanted)
        found[code] = _Match(labels=match, temperature=temperature)
    return found


def _encoder(
    latent: LatentSpec, real: RealImages, posterior: Posterior, matches: Mapping[str, _Match]
) -> dict[str, EncoderResults]:
    found = {}
    for column, code in enumerate(latent.categorical_names):
        confidence = posterior.confidence[:, column]
        clustering, calibration = None, None
        if code in matches and real.label_names is not None and real.scored.labels is not None:
            labels, categories = real.scored.labels.numpy(), posterior.categories[:, column]
            label_of = matches[code].labels.label_of
            clustering = score_categories(categories, labels, label_of=label_of, label_names=real.label_names)
            right = category_of_label(label_of, len(real.label_names))[labels] == categories
            calibration = _calibration(posterior.probabilities[column], right, matches[code].temperature)
        found[code] = EncoderResults(
            confidence=Confidence(
                mean=float(confidence.mean(dtype=np.float64)),
                below_half=share_below(confidence, _HALF),
                below_nine_tenths=share_below(confidence, _NINE_TENTHS),
            ),
            clustering=clustering,
            calibration=calibration,
        )
    return found


def _calibration(
    probabilities: NDArray[np.float32], right: NDArray[np.bool_], temperature: float | None
) -> Calibration:
    after = None
    if temperature is not None:
        after = expected_calibration_error(temper(probabilities, temperature).max(axis=1), right)
    return Calibration(
        ece=expected_calibration_error(probabilities.max(axis=1), right),
        temperature=temperature,
        ece_tempered=after,
    )


# --- generated images through the encoder ----------------------------------------------------------------


def _information(latent: LatentSpec, latents: Latents, posterior: Posterior) -> InformationResults:
    likelihood = {
        code: categorical_log_likelihood(posterior.probabilities[column], latents.categories[:, column])
        for column, code in enumerate(latent.categorical_names)
    }
    for column, code in enumerate(latent.continuous_names):
        mean, std = posterior.style_mean[:, column], posterior.style_std[:, column]
        likelihood[code] = gaussian_log_likelihood(latents.styles[:, column], mean, std)
    codes = {code: information_bound(likelihood[code], entropy) for code, entropy in latent.entropies.items()}
    return InformationResults(
        codes=codes,
        lower_bound_nats=sum(code.lower_bound_nats for code in codes.values()),
        entropy_nats=sum(code.entropy_nats for code in codes.values()),
    )


def _round_trip(latent: LatentSpec, latents: Latents, posterior: Posterior) -> RoundTripResults:
    names = list(zip(latent.categorical_names, latent.categorical, strict=True))
    groups = {code: (latents.categories[:, i], size) for i, (code, size) in enumerate(names)}
    categorical = {
        code: categorical_recovery(latents.categories[:, i], posterior.categories[:, i], size)
        for i, (code, size) in enumerate(names)
    }
    continuous = {
        code: continuous_recovery(
            latents.styles[:, i], posterior.style_mean[:, i], posterior.style_std[:, i], groups
        )
        for i, code in enumerate(latent.continuous_names)
    }
    return RoundTripResults(categorical=categorical, continuous=continuous)


# --- generated images through the classifier --------------------------------------------------------------


def _generator(
    latent: LatentSpec,
    classifier: EvaluationClassifier,
    real: RealImages,
    latents: Latents,
    drawn: NDArray[np.uint8],
    *,
    matches: Mapping[str, _Match],
    seed: int,
) -> GeneratorResults | None:
    names = real.label_names
    assert names is not None, "there is no classifier without labels"
    rng = np.random.default_rng(seed)
    count = len(drawn)
    if len(real.scored) <= NEIGHBOURS:
        return None
    classes, features = classifier.classify(drawn)
    _, real_features = classifier.classify(random_subset(to_nhwc(real.scored), count, rng))
    real_vs_real, baseline_features = None, features[:0]
    if real.test is not None and len(real.train) >= _LEAST_CLASSES:
        _, baseline_features = classifier.classify(random_subset(to_nhwc(real.train), count, rng))
        real_vs_real = _distances(real_features, baseline_features)
    purity = {
        code: generator_purity(
            latents.categories[:, column],
            classes,
            num_categories=size,
            class_names=names,
            label_of=matches[code].labels.label_of if code in matches else None,
        )
        for column, (code, size) in enumerate(zip(latent.categorical_names, latent.categorical, strict=True))
    }
    return GeneratorResults(
        purity=purity,
        distances=_distances(real_features, features),
        real_vs_real=real_vs_real,
        generated_count=count,
        real_count=len(real_features),
        real_vs_real_count=len(baseline_features),
    )


def _distances(real: NDArray[np.float32], other: NDArray[np.float32]) -> Distances:
    density, coverage = density_and_coverage(real, other)
    return Distances(
        frechet=frechet_distance(real, other),
        kernel=kernel_distance(real, other),
        density=density,
        coverage=coverage,
    )
