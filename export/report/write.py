"""From what the command line names to files: collect, draw, write."""

from __future__ import annotations

import re
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

from infogan_tool.export.atomic_folder import atomic_folder, refuse_taken
from infogan_tool.export.evaluation.measure import DEFAULT_SAMPLES, MIN_SAMPLES
from infogan_tool.export.report.collect import Collector, names_of
from infogan_tool.export.report.page import page
from infogan_tool.export.report.samples import to_animation
from infogan_tool.export.report.sections import sections_of
from infogan_tool.runtime.errors import OutputExistsError, UsageError
from infogan_tool.runtime.storage.atomic import write_atomic

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from infogan_tool.export.evaluation.classifier import ClassifierSettings
    from infogan_tool.export.report.entry import Entry
    from infogan_tool.export.report.panels import Section
    from infogan_tool.runtime.inference.device import Device

__all__ = ["MAX_ENTRIES", "write_report"]

MAX_ENTRIES: Final = 6
"""Runs and bundles side by side."""
_MARK: Final = "*.png"
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
    """Write the page of some runs and bundles, and their figures if wanted.

    Args:
        paths: Run folders and bundles, at most six; none: the bundle that ships.
        out: The HTML file.
        figures: Folder for each figure as PNG, and the trainings as GIF and WebP.
        data: Real images, as ``train --data`` names them; None is what each was trained on.
        samples: Generated images of the measurements.
        seed: Of all that is drawn.
        epochs: Of the evolution; None chooses about eight.
        device: For the graphs.
        force: Replace what is there.
        classifier: How to train the classifier.
        progress: Called with a line for people as the work goes on.

    Returns:
        What the page is about; each has its notes.

    Raises:
        UsageError: There are too many paths, or ``samples`` is too small.
        OutputExistsError: ``out`` or ``figures`` is there.
        BundleError, RunError, DataError, DeviceError, ConfigError: As in opening, exporting and loading.
        OSError: Something cannot be written.
    """
    if len(paths) > MAX_ENTRIES:
        raise UsageError(f"a report shows at most {MAX_ENTRIES} runs and bundles, not {len(paths)}")
    if samples < MIN_SAMPLES:
        raise UsageError(f"samples must be at least {MIN_SAMPLES}, not {samples}")
    if out.exists() and not force:
        raise OutputExistsError(out)
    if figures is not None:
        refuse_taken(figures, force=force, mark=_MARK, kind=_KIND)
    collector = Collector(
        data=data, samples=samples, seed=seed, device=device, classifier=classifier, progress=progress
    )
    given: list[Path | None] = list(paths) or [None]
    entries = [collector.collect(path, name) for path, name in zip(given, names_of(given), strict=True)]
    progress("drawing the figures")
    sections = sections_of(entries, epochs)
    moving = {
        s.name: to_animation(s.samples, "WEBP") for s in entries if s.samples and len(s.samples.sheets) > 1
    }
    content = page(entries, sections, moving)
    with ExitStack() as stack:
        if figures is not None:
            folder = stack.enter_context(atomic_folder(figures, force=force, mark=_MARK, kind=_KIND))
            for name, file in _files(entries, sections):
                write_atomic(folder / name, file)
        write_atomic(out, content)
    return entries


def _files(entries: Sequence[Entry], sections: Sequence[Section]) -> Iterable[tuple[str, bytes]]:
    """Give name and content of every file of the figures' folder."""
    prefixes = {s.name: f"{i}-{_slug(s.name)}-" for i, s in enumerate(entries, 1)}
    if len(entries) == 1:
        prefixes = {entries[0].name: ""}
    for panel in (panel for section in sections for row in section.rows for panel in row.panels):
        yield f"{prefixes[panel.entry] if panel.entry else ''}{panel.key}.png", panel.drawn.png
    for entry in entries:
        if entry.samples and len(entry.samples.sheets) > 1:
            for kind in ("GIF", "WEBP"):
                content = to_animation(entry.samples, kind)
                ending = "gif" if content[:3] == b"GIF" else "webp"
                yield f"{prefixes[entry.name]}training.{ending}", content


def _slug(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-").lower()[:30] or "entry"
