"""Collect the data of a report: from a run or bundle on disk to an entry."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from infogan_tool.export.evaluation.classifier import default_folder
from infogan_tool.export.evaluation.measure import DEFAULT_SAMPLES, measure_bundle
from infogan_tool.export.evaluation.real_images import RealImages, load_real_images
from infogan_tool.export.open_source import open_source, unknown_data
from infogan_tool.export.report.entry import Entry
from infogan_tool.export.report.facts import model_facts, run_facts, shown
from infogan_tool.export.report.metrics_log import MetricsLog, read_metrics_log
from infogan_tool.export.report.render import render_model
from infogan_tool.export.report.samples import read_sheets, sheet_layout
from infogan_tool.export.run_files import is_run, latent_of, read_json, size_of
from infogan_tool.runtime.errors import ConfigError, DataError, RunError
from infogan_tool.train.run.folder import RunFolder

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from infogan_tool.export.evaluation.classifier import ClassifierSettings
    from infogan_tool.export.report.entry import Model
    from infogan_tool.runtime.bundle.bundle import Bundle
    from infogan_tool.runtime.inference.device import Device


@dataclass(kw_only=True, slots=True)
class Collector:
    """Collects entries, and keeps the real images that several of them share."""

    data: str | None = None
    """Real images, named as in ``train --data``; None: the data set that each entry was trained on."""
    samples: int = DEFAULT_SAMPLES
    """Number of generated images for the metrics."""
    seed: int = 0
    """Seed of all latents."""
    device: Device = "auto"
    """Device for the graphs."""
    classifier: ClassifierSettings | None = None
    """Settings of the evaluation classifier."""
    progress: Callable[[str], None] = lambda _: None
    """Called with a line of text before each part of the work."""
    _real: dict[tuple[str, int, int], RealImages] = field(default_factory=dict)

    def collect(self, path: Path | None, name: str) -> Entry:
        """Return the entry of the run or bundle at ``path``; None is the pretrained bundle.

        Raises:
            BundleError, RunError, DataError, DeviceError, ConfigError: As in opening, exporting and loading.
        """
        if path is not None and is_run(path):
            return self._run(RunFolder(path), name)
        model, notes = self._model(path, name)
        config = model.metadata.training.get("config")
        return Entry(
            name=name,
            kind="bundle",
            preset=shown(model.metadata.training.get("preset")),
            facts=model_facts(model.metadata),
            config=config if isinstance(config, dict) else {},
            latent=model.metadata.latent,
            log=MetricsLog(),
            samples=None,
            model=model,
            notes=notes,
        )

    def _run(self, run: RunFolder, name: str) -> Entry:
        config, info = read_json(run.path / "config.json"), read_json(run.path / "run.json")
        log = read_metrics_log(run.metrics)
        latent, size = latent_of(config), size_of(config)
        layout = sheet_layout(latent, size) if latent and size else None
        samples = read_sheets(run.samples, layout, log.generator_stage())
        notes = [f"unreadable lines in metrics.jsonl: {log.unread}"] if log.unread else []
        if samples is not None and samples.unread:
            notes.append(f"files in samples that are not sample sheets of this run: {samples.unread}")
        model = None
        try:
            model, more = self._model(run.path, name)
            notes += more
        except (RunError, ConfigError) as error:  # a run that stopped before its first checkpoint has curves
            if not log.stages and samples is None:
                raise
            notes.append(f"the run cannot generate images: {error}")
        return Entry(
            name=name,
            kind="run",
            preset=shown(config.get("preset")),
            facts=run_facts(info) | (model_facts(model.metadata) if model else {}),
            config=config,
            latent=model.metadata.latent if model else latent,
            log=log,
            samples=samples,
            model=model,
            notes=tuple(notes),
        )

    def _model(self, path: Path | None, name: str) -> tuple[Model, tuple[str, ...]]:
        """Open the bundle, or export the run to one; measure it and generate its images."""

        def progress(line: str) -> None:
            self.progress(f"{name}: {line}")

        with open_source(path, self.device, progress) as opened:
            bundle = opened.bundle
            real, notes = self._real_images(bundle, self.data or opened.trained_on, progress)
            results = None
            if real is not None:
                results = measure_bundle(
                    bundle,
                    real,
                    samples=self.samples,
                    seed=self.seed,
                    classifier=self.classifier,
                    classifier_folder=default_folder(),
                    progress=progress,
                )
            progress("generating images")
            return render_model(bundle, real, results, seed=self.seed), (*opened.notes, *notes)

    def _real_images(
        self, bundle: Bundle, source: str | None, progress: Callable[[str], None]
    ) -> tuple[RealImages | None, tuple[str, ...]]:
        """Return the real images, or None and a note with the reason."""
        if source is None:
            return None, (f"{unknown_data(bundle)}: to compare with real images, name them with --data",)
        key = (source, bundle.image.size, bundle.image.channels)
        if key not in self._real:
            progress(f"loading {source}")
            try:
                self._real[key] = load_real_images(source, bundle.image)
            except DataError as error:
                if self.data is not None:
                    raise
                return None, (f"there are no real images to compare with: {error}",)
        return self._real[key], ()


def display_names(paths: list[Path | None]) -> list[str]:
    """Return a short, printable name for each path, all different."""
    plain = ["pretrained bundle" if p is None else shown(p.resolve().name) or "run" for p in paths]
    longer = [
        name if p is None or plain.count(name) == 1 else shown(f"{p.resolve().parent.name}/{name}") or "run"
        for p, name in zip(paths, plain, strict=True)
    ]
    return [name if longer.count(name) == 1 else f"{name} ({i})" for i, name in enumerate(longer, 1)]
