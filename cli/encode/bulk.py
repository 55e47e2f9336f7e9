"""``encode`` of many images, or with ``--resume`` or ``--engine ray``: several chunks at a time."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from contextlib import ExitStack, closing, redirect_stdout, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from infogan_tool.cli import output
from infogan_tool.cli.encode.show import InputImages, Printer, report_failures, report_result
from infogan_tool.cli.progress import Progress
from infogan_tool.runtime.bulk.output.formats import make_format
from infogan_tool.runtime.bulk.output.resumable import Resumable, part_path
from infogan_tool.runtime.bundle.metadata import ENCODER_FILE
from infogan_tool.runtime.errors import UsageError
from infogan_tool.runtime.storage.atomic import atomic_open

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

    from infogan_tool.cli.encode.options import EncodeOptions
    from infogan_tool.runtime.bulk.encode.encoded import Encoded
    from infogan_tool.runtime.bulk.inputs.chunks import Chunk
    from infogan_tool.runtime.bulk.inputs.sources import Inputs
    from infogan_tool.runtime.bulk.output.formats import FormatName, RecordFormat
    from infogan_tool.runtime.bundle.bundle import Bundle


def encode_in_bulk(
    bundle: Bundle,
    inputs: Inputs,
    chunks: Iterable[Chunk],
    options: EncodeOptions,
    format_name: FormatName | None,
) -> int:
    """Encode all chunks of the inputs and show or write their codes; return the exit code."""
    if bundle.fallback and options.engine == "local":
        output.note(bundle.fallback)
    record_format = make_format(format_name, bundle) if format_name else None
    if record_format and options.out:
        return _write(bundle, record_format, inputs, chunks, options)
    return _print(bundle, record_format, inputs, chunks, options)


def _encode(bundle: Bundle, chunks: Iterable[Chunk], options: EncodeOptions) -> Generator[Encoded]:
    if options.engine == "ray":
        from infogan_tool.runtime.bulk.encode.ray_engine import encode_on_ray

        return encode_on_ray(bundle, chunks, device=options.device, raw=options.raw, workers=options.threads)
    from infogan_tool.runtime.bulk.encode.pipeline import encode_chunks

    return encode_chunks(bundle, chunks, raw=options.raw, processes=options.threads)


def _print(
    bundle: Bundle,
    record_format: RecordFormat | None,
    inputs: Inputs,
    chunks: Iterable[Chunk],
    options: EncodeOptions,
) -> int:
    done = failed = 0
    printer, stream = None, sys.stdout
    with ExitStack() as stack:
        error_file = stack.enter_context(atomic_open(options.errors)) if options.errors else None
        images = InputImages(options.show_input) if options.show_input else None
        rows_on_screen = sys.stdout is not None and sys.stdout.isatty()
        progress = stack.enter_context(
            Progress(inputs.count, done=0, wanted=options.progress, bar=not rows_on_screen)
        )
        if options.engine == "ray":  # it prints on standard output
            stack.enter_context(redirect_stdout(stack.enter_context(Path(os.devnull).open("w"))))
        for encoded in stack.enter_context(closing(_encode(bundle, chunks, options))):
            errors = report_failures(encoded.chunk, encoded.failures)
            if error_file:
                error_file.write(errors)
            printer = printer or Printer(bundle, record_format, encoded.chunk.names, stream)
            printer.print(encoded)
            if images:
                images.add(encoded)
            done, failed = done + len(encoded.names), failed + len(encoded.failures)
            progress.update(done + failed)
        if images:
            images.finish()
    return report_result(options, done, failed, printer.num_ood if printer else 0)


def _write(
    bundle: Bundle,
    record_format: RecordFormat,
    inputs: Inputs,
    chunks: Iterable[Chunk],
    options: EncodeOptions,
) -> int:
    identity = _identity(bundle, record_format, options)
    with Resumable.open(options.targets, identity, resume=options.resume, force=options.force) as result:
        try:
            if not result.complete:
                _write_rows(bundle, record_format, result, chunks, inputs=inputs, options=options)
        except UsageError:  # other inputs: the unfinished run is not changed
            raise
        except BaseException:
            _keep_part(result, options.targets[0])
            raise
        done = result.inputs - result.failed
        if done:
            result.finish(record_format.convert)
        else:
            result.discard(keep_others=True)
    return report_result(options, done, result.failed, 0)


def _write_rows(
    bundle: Bundle,
    record_format: RecordFormat,
    result: Resumable,
    chunks: Iterable[Chunk],
    *,
    inputs: Inputs,
    options: EncodeOptions,
) -> None:
    """Append the records of all chunks that are still to do."""
    images = InputImages(options.show_input, result.inputs) if options.show_input else None
    header = b"" if result.inputs else record_format.header()
    resumed_from = result.inputs
    progress = Progress(inputs.count, done=resumed_from, wanted=options.progress, bar=True)
    with progress, closing(_encode(bundle, result.remaining(chunks), options)) as encoding:
        for encoded in encoding:
            if result.inputs == resumed_from > 0:
                output.note(f"resuming after {resumed_from:,} images")
            errors = report_failures(encoded.chunk, encoded.failures)
            rows = record_format.rows(encoded.names, encoded.posterior) if encoded.names else b""
            blocks = (header + rows, errors) if options.errors else (header + rows,)
            if images:  # first: a run that is resumed continues after the records that it finds
                images.add(encoded)
            result.add(encoded.chunk, len(encoded.failures), *blocks)
            header = b""
            progress.update(result.inputs)
    if images:
        images.finish()


def _identity(bundle: Bundle, record_format: RecordFormat, options: EncodeOptions) -> dict[str, str]:
    """Return what must be the same for a run to resume; the keys are for messages."""
    graph = bundle.metadata.graphs[ENCODER_FILE]
    return {
        "bundle": f"{bundle.metadata.bundle_id} {graph.sha256}",
        "names of the codes": _digest([bundle.metadata.labels, bundle.metadata.style_names]),
        "format": type(record_format).__name__,
        "setting of --raw": str(options.raw),
        "setting of --column": str(options.column),
        "provider": bundle.provider,
    }


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def _keep_part(result: Resumable, target: Path) -> None:
    """Save the records of a run that ends early and print how to resume it; without records, remove it."""
    if result.inputs:
        with suppress(OSError):  # the disk may be full; what was saved before is not lost
            result.save()
    if not result.saved_inputs:
        result.discard()
        return
    output.note(
        f"{result.saved_inputs:,} images are done and kept in {part_path(target)}: "
        "the same command with --resume continues"
    )
