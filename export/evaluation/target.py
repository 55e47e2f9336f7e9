"""From what the command line names to a report: open or export, load the images, measure."""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from infogan_tool.export.evaluation.classifier_cache import default_folder
from infogan_tool.export.evaluation.measure import (
    DEFAULT_SAMPLES,
    LEAST_SAMPLES,
    measure_bundle,
)
from infogan_tool.export.evaluation.real_images import load_real_images
from infogan_tool.export.preprocessing_options import data_name
from infogan_tool.export.run_to_bundle import export_run
from infogan_tool.runtime.bundle.bundle import load_bundle
from infogan_tool.runtime.bundle.metadata import METADATA_FILE
from infogan_tool.runtime.errors import RunError, UsageError
from infogan_tool.runtime.storage.atomic import printable
from infogan_tool.train.data import BUILTIN_NAMES
from infogan_tool.train.run.folder import RunFolder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from infogan_tool.export.evaluation.classifier import ClassifierSettings
    from infogan_tool.export.evaluation.results import Results
    from infogan_tool.export.preprocessing_options import PreprocessingOptions
    from infogan_tool.runtime.bundle.bundle import Bundle
    from infogan_tool.runtime.inference.device import Device

__all__ = ["evaluate", "opened", "unknown_data"]


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
        path: A bundle, or a run folder; None is the bundle that ships.
        data: Real images, as ``train --data`` names them; None is what the model was trained on, where that
            is a
            built-in data set or the run still says where it is.
        samples: Generated images.
        seed: Of their latents.
        device: For the graphs.
        classifier: How to train the classifier.
        progress: Called with a line for people as the work goes on.

    Raises:
        UsageError: ``samples`` is too small, or ``data`` is not given and not known.
        BundleError, RunError, DataError, DeviceError: As in opening, exporting and loading.
    """
    if samples < LEAST_SAMPLES:
        raise UsageError(f"samples must be at least {LEAST_SAMPLES}, not {samples}")
    with opened(path, device, progress) as (bundle, trained_on):
        source = data or trained_on
        if source is None:
            raise UsageError(f"{unknown_data(bundle)}: say where images are with --data")
        progress(f"loading {source}")
        real = load_real_images(source, bundle.image)
        return measure_bundle(
            bundle,
            real,
            samples=samples,
            seed=seed,
            classifier=classifier,
            classifier_folder=default_folder(),
            progress=progress,
        )


def unknown_data(bundle: Bundle) -> str:
    """Return the beginning of a message: what is known of images that cannot be found."""
    name = _data_name(bundle)
    what = f"'{name}', which is not a built-in data set" if name else "images that it does not name"
    return f"the bundle was trained on {what}"


def _data_name(bundle: Bundle) -> str | None:
    name = data_name(bundle.metadata.training)
    return None if name is None else printable(name)


@contextmanager
def opened(
    path: Path | None,
    device: Device,
    progress: Callable[[str], None],
    *,
    choice: PreprocessingOptions | None = None,
) -> Iterator[tuple[Bundle, str | None]]:
    """Open a bundle or a run; yields the bundle and the source of what it was trained on, where known."""
    if path is not None and not (path / METADATA_FILE).exists() and (path / "config.json").exists():
        config = RunFolder.open(path).read_config()
        with tempfile.TemporaryDirectory() as scratch:
            progress("exporting the run")
            export_run(path, Path(scratch) / "bundle", choice=choice)
            yield load_bundle(Path(scratch) / "bundle", device=device), config.data.source
        return
    if path is not None and path.is_dir() and not (path / METADATA_FILE).exists():
        raise RunError(f"{path} is neither a bundle (no {METADATA_FILE}) nor a run (no config.json)")
    bundle = load_bundle(path, device=device)
    name = _data_name(bundle)
    yield bundle, name if name in BUILTIN_NAMES else None
