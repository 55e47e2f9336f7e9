"""Export a run or a bundle to the requested outputs: a bundle in any precision, a Triton model repository."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from infogan_tool.export.atomic_folder import refuse_taken
from infogan_tool.export.open_source import open_source, unknown_data
from infogan_tool.export.quantization.reduce import reduce_precision
from infogan_tool.export.run_to_bundle import write_bundle
from infogan_tool.export.triton import refuse_repository, write_repository
from infogan_tool.runtime.bundle.bundle import load_bundle
from infogan_tool.runtime.bundle.metadata import METADATA_FILE
from infogan_tool.runtime.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from infogan_tool.export.preprocessing_options import PreprocessingOptions
    from infogan_tool.export.quantization.reduce import PrecisionOutcome
    from infogan_tool.export.run_to_bundle import ExportOutcome
    from infogan_tool.runtime.bundle.metadata import Precision


@dataclass(frozen=True, kw_only=True, slots=True)
class Exported:
    """The outputs of one export."""

    bundle: ExportOutcome | None = None
    """The bundle in fp32, where one was written."""
    reduced: PrecisionOutcome | None = None
    """The bundle in reduced precision, where one was made."""
    triton: Path | None = None
    """The Triton model repository, where one was written."""
    notes: tuple[str, ...] = ()
    """For the user, on the run or bundle that was exported."""


def export_outputs(
    source: Path,
    *,
    out: Path | None,
    triton: Path | None = None,
    precision: Precision = "fp32",
    data: str | None = None,
    preprocessing: PreprocessingOptions | None = None,
    examples: int = 0,
    force: bool = False,
    progress: Callable[[str], None] = lambda _: None,
) -> Exported:
    """Export a run or a bundle.

    Args:
        source: A run folder, or a bundle.
        out: The bundle to write; None to write a model repository only.
        triton: The model repository to write, or None.
        precision: Of the graphs.
        data: The training images of a run, and real images to measure a reduced precision on, as ``train
            --data`` names them; None is what the model was trained on, where that is a built-in data set or
            the run still has its source.
        preprocessing: How a run's bundle preprocesses images; None is chosen by the data set.
        examples: Number of real images that a run's bundle carries.
        force: Replace existing outputs.
        progress: Called with a status line.

    Raises:
        UsageError: No output is named, one output is inside the other, the images are not known, or the
            preprocessing is not possible.
        InfoganError, OSError: As :func:`~infogan_tool.export.run_to_bundle.write_bundle`,
            :func:`~infogan_tool.export.quantization.reduce.reduce_precision` and
            :func:`~infogan_tool.export.triton.write_repository`.
    """
    _check(source, out, triton, precision=precision, data=data, preprocessing=preprocessing)
    if examples and (_is_bundle(source) or out is None or precision != "fp32"):
        raise UsageError("--examples goes with a run and --out: a bundle in fp16 or int8 has those of fp32")
    if out is not None:
        refuse_taken(out, force=force)
    if triton is not None:
        refuse_repository(triton, force=force)
    if out is not None and precision == "fp32":
        progress("exporting and comparing with torch")
        exported = write_bundle(
            source, out, force=force, data=data, preprocessing=preprocessing, examples=examples
        )
        repository = triton and write_repository(load_bundle(out, device="cpu"), triton, force=force)
        return Exported(bundle=exported, triton=repository, notes=exported.notes)
    with ExitStack() as stack:
        opened = stack.enter_context(
            open_source(source, "cpu", progress, data=data, preprocessing=preprocessing)
        )
        bundle, reduced = opened.bundle, None
        if precision != "fp32":
            images = data or opened.trained_on
            if images is None:
                raise UsageError(f"{unknown_data(bundle)}: name the images with --data")
            target = out or Path(stack.enter_context(tempfile.TemporaryDirectory())) / "bundle"
            reduced = reduce_precision(
                bundle, target, precision=precision, source=images, force=force, progress=progress
            )
            bundle = load_bundle(target, device="cpu")
        repository = triton and write_repository(bundle, triton, force=force)
        return Exported(reduced=reduced, triton=repository, notes=opened.notes)


def _check(
    source: Path,
    out: Path | None,
    triton: Path | None,
    *,
    precision: Precision,
    data: str | None,
    preprocessing: PreprocessingOptions | None,
) -> None:
    """Raise UsageError for options that do not fit together."""
    if out is None and triton is None:
        raise UsageError("name an output: --out BUNDLE, --triton DIR or both")
    if out is not None and precision == "fp32" and _is_bundle(source):
        raise UsageError(f"{source} is a bundle in fp32 already: --out goes with --precision fp16 or int8")
    if data is not None and precision == "fp32" and _is_bundle(source):
        raise UsageError("--data goes with a run, or with --precision fp16 or int8: a bundle is not changed")
    if preprocessing is not None and _is_bundle(source):
        raise UsageError(f"{source} is a bundle and keeps its preprocessing: --preprocessing is for a run")
    if out is not None and triton is not None:
        first, second = out.resolve(), triton.resolve()
        if first.is_relative_to(second) or second.is_relative_to(first):
            raise UsageError(f"--out {out} and --triton {triton} must be separate folders")


def _is_bundle(source: Path) -> bool:
    """Return whether a folder is a bundle."""
    return (source / METADATA_FILE).exists()
