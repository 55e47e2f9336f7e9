"""From a run or bundle on disk to a :class:`~infogan_tool.export.report.entry.Entry`."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from infogan_tool.export.evaluation.classifier import default_folder
from infogan_tool.export.evaluation.measure import DEFAULT_SAMPLES, measure_bundle
from infogan_tool.export.evaluation.real_images import RealImages, load_real_images
from infogan_tool.export.open_source import open_source, unknown_data
from infogan_tool.export.report.entry import Entry
from infogan_tool.export.report.metrics_log import History, read_history
from infogan_tool.export.report.render import render_model
from infogan_tool.export.report.samples import read_sheets, sheet_layout
from infogan_tool.runtime.bundle.metadata import METADATA_FILE
from infogan_tool.runtime.errors import ConfigError, DataError, LatentError, RunError
from infogan_tool.runtime.latents.spec import LatentSpec
from infogan_tool.runtime.storage.atomic import printable, read_limited
from infogan_tool.runtime.storage.json_fields import refuse_constant
from infogan_tool.train.run.folder import RunFolder

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from infogan_tool.export.evaluation.classifier import ClassifierSettings
    from infogan_tool.export.report.entry import Model
    from infogan_tool.runtime.bundle.bundle import Bundle
    from infogan_tool.runtime.bundle.metadata import BundleMetadata
    from infogan_tool.runtime.images.spec import ImageSpec
    from infogan_tool.runtime.inference.device import Device

__all__ = ["Collector", "names_of"]

_MAX_JSON: Final = 1_000_000
_MAX_NAME: Final = 40
_MAX_SIZE: Final = 4096


@dataclass(kw_only=True, slots=True)
class Collector:
    """Gathers entries, and keeps what several of them share."""

    data: str | None = None
    """Real images as ``train --data`` names them; None: what each entry was trained on."""
    samples: int = DEFAULT_SAMPLES
    """Generated images of the measurements."""
    seed: int = 0
    """Of all that is drawn."""
    device: Device = "auto"
    """For the graphs."""
    classifier: ClassifierSettings | None = None
    """How to train the classifier."""
    progress: Callable[[str], None] = lambda _: None
    """Called with a line for people as the work goes on."""
    _real: dict[tuple[str, int, int], RealImages] = field(default_factory=dict)

    def collect(self, path: Path | None, name: str) -> Entry:
        """Return what can be known of the run or bundle at ``path``; None is the bundle that ships.

        Raises:
            BundleError, RunError, DataError, DeviceError, ConfigError: As in opening, exporting and loading.
        """
        if path is not None and not (path / METADATA_FILE).exists() and (path / "config.json").exists():
            return self._run(RunFolder(path), name)
        model, notes = self._open(path, name)
        training = model.metadata.training
        config = training.get("config")
        return Entry(
            name=name,
            kind="bundle",
            preset=_text(training.get("preset")),
            facts=_model_facts(model.metadata),
            config=config if isinstance(config, dict) else {},
            latent=model.metadata.latent,
            history=History(),
            samples=None,
            model=model,
            notes=notes,
        )

    def _run(self, run: RunFolder, name: str) -> Entry:
        config, info = _read_json(run.path / "config.json"), _read_json(run.path / "run.json")
        history = read_history(run.metrics)
        latent, size = _latent_of(config), _size_of(config)
        layout = sheet_layout(latent, size) if latent and size else None
        samples = read_sheets(run.samples, layout, history.generator_stage())
        notes = [f"{history.unread} lines of metrics.jsonl could not be read"] if history.unread else []
        if samples is not None and samples.unread:
            notes.append(f"{samples.unread} files in samples are no sheets of this run")
        model = None
        try:
            model, more = self._open(run.path, name)
            notes += more
        except (RunError, ConfigError) as error:  # a run that broke off early has its curves all the same
            if not history.stages and samples is None:
                raise
            notes.append(f"nothing can be drawn with the run: {error}")
        return Entry(
            name=name,
            kind="run",
            preset=_text(config.get("preset")),
            facts=_run_facts(info) | (_model_facts(model.metadata) if model else {}),
            config=config,
            latent=model.metadata.latent if model else latent,
            history=history,
            samples=samples,
            model=model,
            notes=tuple(notes),
        )

    def _open(self, path: Path | None, name: str) -> tuple[Model, tuple[str, ...]]:
        """Open the bundle, or export the run to one; measure it and draw from it."""

        def progress(line: str) -> None:
            self.progress(f"{name}: {line}")

        with open_source(path, self.device, progress) as (bundle, trained_on):
            real, notes = self._real_images(bundle, self.data or trained_on, progress)
            evaluation = None
            if real is not None:
                evaluation = measure_bundle(
                    bundle,
                    real,
                    samples=self.samples,
                    seed=self.seed,
                    classifier=self.classifier,
                    classifier_folder=default_folder(),
                    progress=progress,
                )
            progress("drawing")
            return render_model(bundle, real, evaluation, seed=self.seed), notes

    def _real_images(
        self, bundle: Bundle, source: str | None, progress: Callable[[str], None]
    ) -> tuple[RealImages | None, tuple[str, ...]]:
        if source is None:
            what = f"{unknown_data(bundle)}: with --data FOLDER there would be real images to compare with"
            return None, (what,)
        image: ImageSpec = bundle.image
        key = (source, image.size, image.channels)
        if key not in self._real:
            progress(f"loading {source}")
            try:
                self._real[key] = load_real_images(source, image)
            except DataError as error:
                if self.data is not None:
                    raise
                return None, (f"no real images to compare with: {error}",)
        return self._real[key], ()


def names_of(paths: list[Path | None]) -> list[str]:
    """Return a short, printable name for each path, all different."""
    plain = ["the bundle that ships" if p is None else _shown(p.resolve().name or "run") for p in paths]
    longer = [
        name if p is None or plain.count(name) == 1 else _shown(f"{p.resolve().parent.name}/{name}")
        for p, name in zip(paths, plain, strict=True)
    ]
    return [name if longer.count(name) == 1 else f"{name} ({i})" for i, name in enumerate(longer, 1)]


# --- what files say ----------------------------------------------------------------------------------------


def _read_json(path: Path) -> dict[str, Any]:
    """Return a table from a run's own file; empty where it is not there.

    Raises:
        RunError: It is damaged.
    """
    try:
        values = json.loads(read_limited(path, _MAX_JSON), parse_constant=refuse_constant)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise RunError(f"{path} cannot be read: {error}") from error
    if not isinstance(values, dict):
        raise RunError(f"{path} must hold a table")
    return values


def _latent_of(config: dict[str, Any]) -> LatentSpec | None:
    try:
        return LatentSpec.from_dict(config.get("latent"))
    except LatentError:
        return None


def _size_of(config: dict[str, Any]) -> int | None:
    data = config.get("data")
    size = data.get("size") if isinstance(data, dict) else None
    return size if isinstance(size, int) and not isinstance(size, bool) and 0 < size <= _MAX_SIZE else None


def _run_facts(info: dict[str, Any]) -> dict[str, str]:
    facts = {}
    device, threads = _text(info.get("device_name")), info.get("threads")
    kind = _text(info.get("device"))
    if kind:
        with_threads = f", {threads} threads" if kind == "cpu" and isinstance(threads, int) else ""
        processes = info.get("processes")
        many = f"{processes} x " if isinstance(processes, int) and processes > 1 else ""
        facts["trained on"] = many + (f"{kind} ({device}{with_threads})" if device else kind)
    return facts


def _model_facts(metadata: BundleMetadata) -> dict[str, str]:
    training, image = metadata.training, metadata.image
    data = training.get("data")
    facts = {}
    if isinstance(data, dict) and _text(data.get("name")):
        images = data.get("images")
        count = f", {images:,} images" if isinstance(images, int) else ""
        facts["data"] = f"{_text(data.get('name'))}{count}"
    for key in ("seed", "steps"):
        value = training.get(key)
        if isinstance(value, int):
            facts[key] = f"{value:,}"
    facts["latent"] = _described(metadata.latent)
    facts["image"] = f"{image.size} x {image.size}, {'grey' if image.channels == 1 else 'colour'}"
    facts["graphs"] = (
        f"{sum(file.bytes for file in metadata.graphs.values()) / 1e6:.2g} MB, {metadata.precision}"
    )
    facts["bundle"] = _shown(metadata.bundle_id)
    facts["exported by"] = f"infogan-tool {_shown(metadata.tool_version)}"
    return facts


def _described(latent: LatentSpec) -> str:
    parts = [f"{latent.noise} {latent.noise_prior} noise"] if latent.noise else []
    sizes = latent.categorical
    if sizes:
        same = len(set(sizes)) == 1 and len(sizes) > 1
        parts.append(f"{len(sizes)} x {sizes[0]} categories" if same else f"{_listed(sizes)} categories")
    if latent.continuous:
        parts.append(f"{latent.continuous} continuous")
    return " + ".join(parts)


def _listed(sizes: tuple[int, ...]) -> str:
    most = 6
    return " and ".join(str(size) for size in sizes[:most]) + (" ..." if len(sizes) > most else "")


def _text(value: object) -> str | None:
    return _shown(value) if isinstance(value, str) and value else None


def _shown(text: str) -> str:
    clean = printable(text)
    return clean if len(clean) <= _MAX_NAME else f"{clean[: _MAX_NAME - 1]}…"
