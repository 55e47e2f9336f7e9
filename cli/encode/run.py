"""What ``encode`` does with its options; nothing of the command line's own, so anything may call it.

A handful of image files is read, encoded and shown in this process, with nothing imported for more. All
else goes through :mod:`infogan_tool.cli.encode.bulk`.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from infogan_tool.cli import output
from infogan_tool.runtime.bulk.inputs.chunks import FileChunk
from infogan_tool.runtime.errors import ExitCode, UsageError
from infogan_tool.runtime.images.formats import IMAGE_SUFFIXES
from infogan_tool.runtime.storage.atomic import write_atomic

if TYPE_CHECKING:
    from collections.abc import Sequence

    from infogan_tool.runtime.bulk.inputs.chunks import Chunk
    from infogan_tool.runtime.bundle.bundle import Bundle
    from infogan_tool.runtime.inference.device import Device

__all__ = ["FEW", "EncodeOptions", "Engine", "OutFormat", "conclude", "encode_few", "encode_paths"]

FEW: Final = 64
"""Up to so many images, opening the graph faster gains more than running it faster."""

OutFormat = Literal["jsonl", "csv", "parquet"]
Engine = Literal["local", "ray"]

_BY_SUFFIX: Final[dict[str, OutFormat]] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".csv": "csv",
    ".parquet": "parquet",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class EncodeOptions:
    """The options of the command, each named as it is there; the defaults are the command's."""

    bundle: Path | None = None
    device: Device = "auto"
    as_json: bool = False
    out: Path | None = None
    out_format: OutFormat | None = None
    force: bool = False
    raw: bool = False
    show_input: Path | None = None
    resume: bool = False
    errors: Path | None = None
    column: str | None = None
    threads: int | None = None
    engine: Engine = "local"
    progress: bool | None = None


def encode_paths(paths: Sequence[str], options: EncodeOptions | None = None) -> int:
    """Encode what ``paths`` name and show it as the options say; return the exit code.

    Raises:
        InfoganError: An option is not possible, or the bundle cannot be used.
        OSError: An output cannot be written.
    """
    options = options or EncodeOptions()
    chosen = _check(options)
    if not _few_files(paths, options):
        from infogan_tool.cli.encode.bulk import encode_many

        return encode_many(paths, options, chosen)
    from infogan_tool.runtime.bundle.bundle import load_bundle

    bundle = load_bundle(options.bundle, device=options.device, threads=options.threads, one_shot=True)
    return encode_few(bundle, [FileChunk(paths, {})], options, chosen)


def encode_few(
    bundle: Bundle, chunks: Sequence[Chunk], options: EncodeOptions, chosen: OutFormat | None
) -> int:
    """Encode some chunks in this process, one after the other; return the exit code."""
    from infogan_tool.cli.encode.show import ErrorList, Printer, ShownInput, open_format
    from infogan_tool.runtime.bulk.decode.deadline import read_in_time
    from infogan_tool.runtime.bulk.decode.decoding import decode
    from infogan_tool.runtime.bulk.encode.encoded import encode_chunk

    if bundle.fallback:
        output.note(bundle.fallback)
    made = None if chosen is None else open_format(chosen, bundle)
    printer = None if options.out else Printer(bundle, made, [n for chunk in chunks for n in chunk.names])
    shown = ShownInput(options.show_input) if options.show_input else None
    errors = ErrorList()
    content = [made.head()] if made else []
    done = failed = 0
    for chunk in chunks:
        decoded = decode(chunk.names, chunk.sources(), bundle.image, raw=options.raw, read=read_in_time)
        errors.take(chunk, decoded.failures)
        encoded = encode_chunk(bundle, chunk, decoded)
        if printer:
            printer.take(encoded)
        elif made and encoded.posterior:
            content.append(made.block(encoded.names, encoded.posterior))
        if shown:
            shown.take(encoded)
        done, failed = done + len(encoded.names), failed + len(encoded.failures)
    if options.out and made and done:
        made.write(options.out, b"".join(content))
    if options.errors:
        write_atomic(options.errors, errors.lines)
    if shown:
        shown.finish()
    return conclude(options, done, failed, printer.num_ood if printer else 0)


def conclude(options: EncodeOptions, done: int, failed: int, num_ood: int) -> int:
    """Say on standard error how it went, and return the exit code."""
    if num_ood:
        output.note(
            f"{output.plural(num_ood, 'image')} out of distribution (unlike the training images); "
            "the codes may mean nothing"
        )
    if not done:
        if not failed:
            output.error("the inputs name no image")
        return ExitCode.FAILURE
    if options.out:
        output.note(f"wrote the codes of {output.plural(done, 'image')} to {options.out}")
    if failed:
        output.note(f"{failed:,} of {output.plural(done + failed, 'image')} failed")
        return ExitCode.SOME_FAILED
    return 0


def _few_files(paths: Sequence[str], options: EncodeOptions) -> bool:
    """Say whether the paths are a handful of image files and nothing else."""
    return (
        len(paths) <= FEW
        and options.engine == "local"
        and not options.resume
        and all(_is_file(path) for path in paths)
    )


def _is_file(path: str) -> bool:
    if not path.lower().endswith(IMAGE_SUFFIXES):
        return False
    # A name with these signs in it is a pattern unless there is such a file.
    return not os.path.isdir(path) and (os.path.lexists(path) or not any(sign in path for sign in "*?["))  # noqa: PTH112


def _check(options: EncodeOptions) -> OutFormat | None:
    """Refuse options before any work is done for them; return the format, None for the table."""
    chosen = _format(options)
    if options.resume and not options.out:
        raise UsageError("--resume goes on with the file that --out names: give --out")
    if options.show_input:
        from infogan_tool.cli.encode.show import check_shown

        check_shown(options.show_input, force=options.force)
    targets = [path for path in (options.out, options.errors) if path]
    if len({*targets, options.show_input} - {None}) < len(targets) + bool(options.show_input):
        raise UsageError("--out, --errors and --show-input must be different files")
    if targets:
        _check_targets(targets, options)
    return chosen


def _check_targets(targets: Sequence[Path], options: EncodeOptions) -> None:
    from infogan_tool.runtime.bulk.output.resumable import journal_path, unfinished

    if options.resume and os.path.lexists(journal_path(targets[0])):
        return  # what is there is this very run's
    for target, name in zip(targets, ("--out", "--errors") if options.out else ("--errors",), strict=False):
        output.check_target(target, force=options.force, option=name)
    if options.out and not options.resume:
        unfinished(targets, force=options.force)


def _format(options: EncodeOptions) -> OutFormat | None:
    chosen = options.out_format
    if chosen is None and options.out:
        chosen = _BY_SUFFIX.get(options.out.suffix.lower())
        if chosen is None and options.out.name and not options.out.is_dir():
            raise UsageError(
                f"--out {options.out}: end the name in .jsonl, .csv or .parquet, or say --format"
            )
    if options.as_json:
        if chosen not in (None, "jsonl"):
            raise UsageError(f"--json and format {chosen} do not go together")
        chosen = "jsonl"
    if chosen == "parquet" and not options.out:
        raise UsageError("Parquet needs a file: give --out")
    return chosen
