"""Open what the command line names: a bundle, or a run, which is exported to a temporary bundle first."""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from infogan_tool.export.limitations import describe_progress
from infogan_tool.export.run_files import is_run
from infogan_tool.export.run_to_bundle import write_bundle
from infogan_tool.runtime.bundle.bundle import load_bundle
from infogan_tool.runtime.bundle.metadata import METADATA_FILE, data_name
from infogan_tool.runtime.errors import RunError
from infogan_tool.runtime.storage.atomic import printable
from infogan_tool.train.data import BUILTIN_NAMES
from infogan_tool.train.run.folder import RunFolder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from infogan_tool.export.preprocessing_options import PreprocessingOptions
    from infogan_tool.runtime.bundle.bundle import Bundle
    from infogan_tool.runtime.inference.device import Device


@dataclass(frozen=True, kw_only=True, slots=True)
class OpenedSource:
    """A bundle to measure or convert."""

    bundle: Bundle
    """The bundle."""
    trained_on: str | None
    """Source of its training images as ``train --data`` names it; None where the bundle was not trained on a
    built-in data set."""
    notes: tuple[str, ...]
    """For the user: how far an unfinished training came, and what is wrong with a run's images."""


@contextmanager
def open_source(
    path: Path | None,
    device: Device,
    progress: Callable[[str], None],
    *,
    data: str | None = None,
    preprocessing: PreprocessingOptions | None = None,
) -> Iterator[OpenedSource]:
    """Open a bundle, or export a run to a temporary bundle that is removed when the block ends.

    Args:
        path: A bundle, or a run folder; None is the pretrained bundle.
        device: For the graphs.
        progress: Called with a status line.
        data: The training images of a run, as ``train --data`` names them; None: those that it records.
        preprocessing: Of a run's bundle; None is chosen by the data set.

    Raises:
        RunError: ``path`` is a folder, but neither a bundle nor a run.
        BundleError, DeviceError, InfoganError, OSError: As in opening and exporting.
    """
    if path is not None and is_run(path):
        config = RunFolder.open(path).read_config()
        with tempfile.TemporaryDirectory() as scratch:
            progress("exporting the run")
            outcome = write_bundle(path, Path(scratch) / "bundle", data=data, preprocessing=preprocessing)
            bundle = load_bundle(Path(scratch) / "bundle", device=device)
            notes = (*describe_progress(bundle.metadata.training), *outcome.data_notes)
            yield OpenedSource(bundle=bundle, trained_on=data or config.data.source, notes=notes)
        return
    if path is not None and path.is_dir() and not (path / METADATA_FILE).exists():
        raise RunError(f"{path} is neither a bundle (no {METADATA_FILE}) nor a run (no config.json)")
    bundle = load_bundle(path, device=device)
    name = _data_name(bundle)
    yield OpenedSource(
        bundle=bundle,
        trained_on=name if name in BUILTIN_NAMES else None,
        notes=tuple(describe_progress(bundle.metadata.training)),
    )


def unknown_data(bundle: Bundle) -> str:
    """Return the beginning of a message: that the training images of a bundle cannot be located."""
    name = _data_name(bundle)
    what = f"'{name}', which is not a built-in data set" if name else "a data set without a name"
    return f"the bundle was trained on {what}"


def _data_name(bundle: Bundle) -> str | None:
    name = data_name(bundle.metadata.training)
    return None if name is None else printable(name)
