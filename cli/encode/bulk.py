"""``encode`` of many images, or of images that are not plain files."""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack, closing, redirect_stdout, suppress
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from infogan_tool.cli import output
from infogan_tool.cli.encode.run import FEW, conclude, encode_few
from infogan_tool.cli.encode.show import ErrorList, Printer, ShownInput, open_format
from infogan_tool.cli.progress import Progress
from infogan_tool.runtime.bulk.inputs.sources import Inputs
from infogan_tool.runtime.bulk.output.resumable import Resumable, part_path
from infogan_tool.runtime.bundle.bundle import find_bundle, load_bundle
from infogan_tool.runtime.bundle.metadata import ENCODER_FILE, read_metadata
from infogan_tool.runtime.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Sequence

    from infogan_tool.cli.encode.run import EncodeOptions, OutFormat
    from infogan_tool.runtime.bulk.encode.encoded import Encoded
    from infogan_tool.runtime.bulk.inputs.chunks import Chunk
    from infogan_tool.runtime.bulk.output.formats import Format
    from infogan_tool.runtime.bundle.bundle import Bundle

__all__ = ["encode_many"]


def encode_many(paths: Sequence[str], options: EncodeOptions, chosen: OutFormat | None) -> int:
    """Encode what the paths name; return the exit code."""
    spec = read_metadata(find_bundle(options.bundle)).image
    stdin = sys.stdin.buffer if sys.stdin is not None else None
    inputs = Inputs(paths, spec, column=options.column, stdin=stdin)
    first, few = _first(inputs.chunks(), FEW)
    few = few and options.engine == "local" and not options.resume
    # Many: several batches at once, a thread each; see runtime/bulk/encode/pipeline.py.
    bundle = load_bundle(options.bundle, device=options.device, threads=1, one_shot=few)
    if few:
        return encode_few(bundle, list(first), options, chosen)
    if bundle.fallback and options.engine == "local":
        output.note(bundle.fallback)
    made = None if chosen is None else open_format(chosen, bundle)
    if made and options.out:
        return _to_file(bundle, made, inputs, first, options)
    return _to_stdout(bundle, made, inputs, first, options)


def _first(chunks: Iterator[Chunk], most: int) -> tuple[Iterator[Chunk], bool]:
    """Return all chunks, and whether they come to no more than ``most`` images."""
    seen, count = [], 0
    for chunk in chunks:
        seen.append(chunk)
        count += len(chunk.names)
        if count > most:
            return chain(seen, chunks), False
    return iter(seen), True


def _encode(
    bundle: Bundle, made: Format | None, chunks: Iterable[Chunk], options: EncodeOptions
) -> Generator[Encoded]:
    if options.engine == "ray":
        from infogan_tool.runtime.bulk.encode.ray_engine import encode_on_ray

        return encode_on_ray(bundle, chunks, device=options.device, raw=options.raw, workers=options.threads)
    from infogan_tool.runtime.bulk.encode.pipeline import encode_chunks

    return encode_chunks(bundle, chunks, raw=options.raw, processes=options.threads, made=made)


def _to_stdout(
    bundle: Bundle, made: Format | None, inputs: Inputs, chunks: Iterator[Chunk], options: EncodeOptions
) -> int:
    done = failed = 0
    errors, printer, stream = ErrorList(), None, sys.stdout
    with ExitStack() as stack:
        error_file = None
        if options.errors:
            from infogan_tool.runtime.storage.atomic import atomic_open

            error_file = stack.enter_context(atomic_open(options.errors))
        shown = ShownInput(options.show_input) if options.show_input else None
        rows_on_screen = sys.stdout is not None and sys.stdout.isatty()
        progress = Progress(inputs.count, done=0, wanted=options.progress, bar=not rows_on_screen)
        stack.enter_context(progress)
        if options.engine == "ray":  # it prints on standard output what it thinks of its workers
            stack.enter_context(redirect_stdout(stack.enter_context(Path(os.devnull).open("w"))))
        for encoded in stack.enter_context(closing(_encode(bundle, made, chunks, options))):
            errors.take(encoded.chunk, encoded.failures)
            if error_file:
                error_file.write(errors.lines)
            errors.lines = b""
            printer = printer or Printer(bundle, made, encoded.chunk.names, stream)
            printer.take(encoded)
            if shown:
                shown.take(encoded)
            done, failed = done + len(encoded.names), failed + len(encoded.failures)
            progress.update(done + failed)
        if shown:
            shown.finish()
    return conclude(options, done, failed, printer.num_ood if printer else 0)


def _to_file(
    bundle: Bundle, made: Format, inputs: Inputs, chunks: Iterator[Chunk], options: EncodeOptions
) -> int:
    assert options.out is not None
    targets = [options.out, options.errors] if options.errors else [options.out]
    with Resumable.open(
        targets, _identity(bundle, made, options), resume=options.resume, force=options.force
    ) as result:
        try:
            if not result.complete:
                _fill(bundle, made, result, chunks, inputs=inputs, options=options)
        except UsageError:  # other inputs: the unfinished run stays as it is
            raise
        except BaseException:
            _leave(result, options.out)
            raise
        done = result.inputs - result.failed
        if done:
            result.finish(made.convert)
        else:
            result.discard(keep_others=True)
    return conclude(options, done, result.failed, 0)


def _fill(
    bundle: Bundle,
    made: Format,
    result: Resumable,
    chunks: Iterator[Chunk],
    *,
    inputs: Inputs,
    options: EncodeOptions,
) -> None:
    """Write all that is still to do."""
    errors = ErrorList()
    shown = ShownInput(options.show_input, result.inputs) if options.show_input else None
    progress = Progress(inputs.count, done=result.inputs, wanted=options.progress, bar=True)
    head = b"" if result.resumed_from else made.head()
    with progress, closing(_encode(bundle, made, result.rest(chunks), options)) as encoding:
        for encoded in encoding:
            if result.inputs == result.resumed_from > 0:
                output.note(f"going on after {result.resumed_from:,} images")
            errors.take(encoded.chunk, encoded.failures)
            blocks = [head + encoded.block(made), *([errors.lines] if options.errors else [])]
            result.add(encoded.chunk, len(encoded.failures), *blocks)
            errors.lines, head = b"", b""
            if shown:
                shown.take(encoded)
            progress.update(result.inputs)
    if shown:
        shown.finish()


def _identity(bundle: Bundle, made: Format, options: EncodeOptions) -> dict[str, str]:
    graph = bundle.metadata.graphs[ENCODER_FILE]
    return {
        "bundle": f"{bundle.metadata.bundle_id} {graph.sha256}",
        "format": type(made).__name__.removesuffix("Format").lower(),
        "setting of --raw": str(options.raw),
        "setting of --column": str(options.column),
        "provider": bundle.provider,
    }


def _leave(result: Resumable, target: Path) -> None:
    """Save what a run that ends early has done, and say how to go on; if that is nothing, leave no trace."""
    if not result.inputs:
        result.discard()
        return
    with suppress(OSError):  # the disk may be full; what was saved before holds
        result.save()
    output.note(
        f"{result.inputs:,} images are done and kept in {part_path(target)}: "
        "the same command with --resume goes on"
    )
