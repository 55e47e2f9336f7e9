"""Measure what the command line names: open it, load the real images, compute the metrics."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from infogan_tool.export.evaluation.classifier import default_folder
from infogan_tool.export.evaluation.measure import DEFAULT_SAMPLES, MIN_SAMPLES, measure_bundle
from infogan_tool.export.evaluation.real_images import load_real_images
from infogan_tool.export.open_source import open_source, unknown_data
from infogan_tool.runtime.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from infogan_tool.export.evaluation.classifier import ClassifierSettings
    from infogan_tool.export.evaluation.results import Results
    from infogan_tool.runtime.inference.device import Device

_log: Final = logging.getLogger(__name__)


def evaluate(
    path: Path | None,
    *,
    data: str | None = None,
    samples: int = DEFAULT_SAMPLES,
    seed: int = 0,
    device: Device = "auto",
    classifier: ClassifierSettings | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> Results:
    """Measure a bundle, or a run that is exported to a temporary bundle first.

    Args:
        path: A bundle, or a run folder; None is the pretrained bundle.
        data: Real images, as ``train --data`` names them; None is what the model was trained on, where that
            is a built-in data set or the run still has its source.
        samples: Generated images.
        seed: Of their latents.
        device: For the graphs.
        classifier: How to train the evaluation classifier.
        progress: Called with a status line.

    Raises:
        UsageError: ``samples`` is too small, or ``data`` is not given and not known.
        BundleError, RunError, DataError, DeviceError: As in opening, exporting and loading.
    """
    if samples < MIN_SAMPLES:
        raise UsageError(f"samples must be at least {MIN_SAMPLES}, not {samples}")
    with open_source(path, device, progress) as opened:
        for note in opened.notes:
            _log.info("note: %s", note)
        bundle, source = opened.bundle, data or opened.trained_on
        if source is None:
            raise UsageError(f"{unknown_data(bundle)}: name the images with --data")
        progress(f"loading {source}")
        return measure_bundle(
            bundle,
            load_real_images(source, bundle.image, factors=True),
            samples=samples,
            seed=seed,
            classifier=classifier,
            classifier_folder=default_folder(),
            progress=progress,
        )
