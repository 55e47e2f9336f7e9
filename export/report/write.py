"""Write the page and its figures: collect the entries, draw the sections, write the files."""

from __future__ import annotations

import json
import re
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

from infogan_tool.export.atomic_folder import atomic_folder, refuse_taken
from infogan_tool.export.evaluation.measure import DEFAULT_SAMPLES, MIN_SAMPLES
from infogan_tool.export.report.collect import Collector, display_names
from infogan_tool.export.report.page import make_page
from infogan_tool.export.report.samples import to_animation
from infogan_tool.export.report.sections import make_sections
from infogan_tool.runtime.errors import OutputExistsError, UsageError
from infogan_tool.runtime.storage.atomic import write_atomic

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from infogan_tool.export.evaluation.classifier import ClassifierSettings
    from infogan_tool.export.report.entry import Entry
    from infogan_tool.export.report.panels import Section
    from infogan_tool.runtime.inference.device import Device

MAX_ENTRIES: Final = 6
"""Maximum number of runs and bundles side by side."""
_MARK: Final = "figures.json"
"""Alternative texts of the figures by file name; --force replaces only folders that contain it."""
_KIND: Final = "a folder of figures"


def write_report(
    paths: Sequence[Path],
    out: Path,
    *,
    figures: Path | None = None,
    data: str | None = None,
    samples: int = DEFAULT_SAMPLES,
    seed: int = 0,
    epochs: Sequence[float] | None = None,
    device: Device = "auto",
    force: bool = False,
    classifier: ClassifierSettings | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> list[Entry]:
    """Write the page of some runs and bundles, and optionally its figures.

    Args:
        paths: Run folders and bundles, at most six; none: the pretrained bundle.
        out: The HTML file.
        figures: Folder for each figure as PNG, and the samples over training as GIF and WebP.
        data: Real images, named as in ``train --data``; None is what each was trained on.
        samples: Number of generated images for the metrics.
        seed: Seed of all latents.
        epochs: Epochs of the samples over training; None selects at most nine.
        device: Device for the graphs.
        force: Replace existing outputs.
        classifier: Settings of the evaluation classifier.
        progress: Called with a line of text before each part of the work.

    Returns:
        The entries of the page; each has its notes.

    Raises:
        UsageError: There are too many paths, ``samples`` is too small, or ``out`` is in ``figures``.
        OutputExistsError: ``out`` or ``figures`` already exists.
        BundleError, RunError, DataError, DeviceError, ConfigError: As in opening, exporting and loading.
        OSError: An output cannot be written.
    """
    if len(paths) > MAX_ENTRIES:
        raise UsageError(f"a report shows at most {MAX_ENTRIES} runs and bundles, not {len(paths)}")
    if samples < MIN_SAMPLES:
        raise UsageError(f"samples must be at least {MIN_SAMPLES}, not {samples}")
    if out.exists() and not force:
        raise OutputExistsError(out)
    if figures is not None:
        if out.resolve().is_relative_to(figures.resolve()):
            raise UsageError(f"--out {out} is in the folder of --figures, which holds only figures")
        refuse_taken(figures, force=force, mark=_MARK, kind=_KIND)
    collector = Collector(
        data=data, samples=samples, seed=seed, device=device, classifier=classifier, progress=progress
    )
    given: list[Path | None] = list(paths) or [None]
    entries = [collector.collect(path, name) for path, name in zip(given, display_names(given), strict=True)]
    progress("drawing the figures")
    sections = make_sections(entries, epochs)
    content = make_page(entries, sections, dict(_animations(entries, "WEBP")))
    with ExitStack() as stack:
        if figures is not None:
            folder = stack.enter_context(atomic_folder(figures, force=force, mark=_MARK, kind=_KIND))
            for name, file in _files(entries, sections):
                write_atomic(folder / name, file)
        write_atomic(out, content)
    return entries


def _animations(entries: Sequence[Entry], kind: str) -> Iterable[tuple[str, bytes]]:
    """Yield name and animation of each entry with several sample sheets."""
    for entry in entries:
        if entry.samples and len(entry.samples.sheets) > 1:
            yield entry.name, to_animation(entry.samples, kind)


def _files(entries: Sequence[Entry], sections: Sequence[Section]) -> Iterable[tuple[str, bytes]]:
    """Yield name and content of every file of the figures' folder."""
    prefixes = {entry.name: f"{i}-{_slug(entry.name)}-" for i, entry in enumerate(entries, 1)}
    if len(entries) == 1:
        prefixes = {entries[0].name: ""}
    texts = {}
    for panel in (panel for section in sections for row in section.rows for panel in row.panels):
        file = f"{prefixes[panel.entry] if panel.entry else ''}{panel.key}.png"
        texts[file] = panel.alt
        yield file, panel.figure.png
    yield _MARK, json.dumps(texts, indent=2).encode()
    for kind in ("GIF", "WEBP"):
        for name, content in _animations(entries, kind):
            ending = "gif" if content[:3] == b"GIF" else "webp"
            yield f"{prefixes[name]}training.{ending}", content


def _slug(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-").lower()[:30] or "entry"
