"""Options of ``encode`` and their checks."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from infogan_tool.cli import output
from infogan_tool.runtime.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from infogan_tool.runtime.bulk.output.formats import FormatName
    from infogan_tool.runtime.inference.device import Device

Engine = Literal["local", "ray"]

_FORMATS: Final[dict[str, FormatName]] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".csv": "csv",
    ".parquet": "parquet",
}
"""Format by the suffix of ``--out``."""


@dataclass(frozen=True, kw_only=True, slots=True)
class EncodeOptions:
    """Options of the command; names and defaults are the command's."""

    bundle: Path | None = None
    device: Device = "auto"
    as_json: bool = False
    out: Path | None = None
    out_format: FormatName | None = None
    force: bool = False
    raw: bool = False
    show_input: Path | None = None
    resume: bool = False
    errors: Path | None = None
    column: str | None = None
    threads: int | None = None
    engine: Engine = "local"
    progress: bool | None = None

    @property
    def targets(self) -> list[Path]:
        """The output files: ``out`` and ``errors``, as far as they are given."""
        return [path for path in (self.out, self.errors) if path]


def check_options(options: EncodeOptions, paths: Sequence[str]) -> FormatName | None:
    """Check the options before any work is done; return the output format, None for the table.

    Nothing is changed on disk, with ``force`` neither.

    Raises:
        UsageError: Options do not fit together, an output is one of the inputs ``paths`` or the folder of
            one, or it cannot be written.
        OutputExistsError: An output, or an unfinished run of it, exists and ``force`` is not set.
    """
    name = _format_name(options)
    if options.resume and not options.out:
        raise UsageError("--resume continues the file of --out: give --out")
    targets = options.targets
    if options.show_input:
        resumes = _resumes(options)
        if resumes and options.show_input.suffix.lower() == ".png":
            raise UsageError("a sheet shows the first images, which --resume leaves out: --show-input FOLDER")
        output.check_png_or_folder(options.show_input, force=options.force or resumes, option="--show-input")
    outputs = [*targets, *([options.show_input] if options.show_input else [])]
    if len(set(outputs)) < len(outputs):
        raise UsageError("--out, --errors and --show-input must be different files")
    if targets:
        _check_targets(targets, options)
    inputs = set(map(os.path.abspath, paths))
    folders = {os.path.dirname(path) for path in inputs if not os.path.isdir(path)}  # noqa: PTH112, PTH120
    for output_path in outputs:
        absolute = os.path.abspath(output_path)  # noqa: PTH100 - as the inputs, which are strings
        if absolute in inputs:
            raise UsageError(f"{output_path} is an input and an output: write to another name")
        if absolute in folders:
            raise UsageError(f"{output_path} is the folder of an input: write to another one")
    return name


def _resumes(options: EncodeOptions) -> bool:
    """Return whether there is an unfinished run to resume."""
    from infogan_tool.runtime.bulk.output.resumable import journal_path

    return bool(options.resume and options.out and os.path.lexists(journal_path(options.out)))


def _check_targets(targets: list[Path], options: EncodeOptions) -> None:
    from infogan_tool.runtime.bulk.output.resumable import check_unfinished

    if _resumes(options):
        return  # the run that is to resume may have put some of its outputs in place
    for target in targets:
        option = "--out" if target is options.out else "--errors"
        output.check_target(target, force=options.force, option=option)
    if options.out and not (options.resume or options.force):
        check_unfinished(targets)


def _format_name(options: EncodeOptions) -> FormatName | None:
    name, out = options.out_format, options.out
    if name is None and out:
        name = _FORMATS.get(out.suffix.lower())
        if name is None and out.name and not out.is_dir():
            raise UsageError(f"--out {out}: use a name ending in .jsonl, .csv or .parquet, or give --format")
    if options.as_json:
        if name not in (None, "jsonl"):
            raise UsageError(f"--json and format {name} exclude each other: leave out one")
        name = "jsonl"
    if name == "parquet" and not out:
        raise UsageError("--format parquet writes a file: give --out FILE.parquet")
    return name
