"""``encode`` of a few images, in this process and one chunk after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from infogan_tool.cli import output
from infogan_tool.cli.encode.show import InputImages, Printer, report_failures, report_result
from infogan_tool.runtime.bulk.decode.deadline import read_with_timeout
from infogan_tool.runtime.bulk.decode.decoding import decode
from infogan_tool.runtime.bulk.encode.encoded import encode_chunk
from infogan_tool.runtime.bulk.output.formats import make_format
from infogan_tool.runtime.storage.atomic import write_atomic

if TYPE_CHECKING:
    from collections.abc import Sequence

    from infogan_tool.cli.encode.options import EncodeOptions
    from infogan_tool.runtime.bulk.inputs.chunks import Chunk
    from infogan_tool.runtime.bulk.output.formats import FormatName
    from infogan_tool.runtime.bundle.bundle import Bundle


def encode_in_process(
    bundle: Bundle, chunks: Sequence[Chunk], options: EncodeOptions, format_name: FormatName | None
) -> int:
    """Encode chunks and show or write their codes; return the exit code."""
    if bundle.fallback:
        output.note(bundle.fallback)
    record_format = make_format(format_name, bundle) if format_name else None
    names = [name for chunk in chunks for name in chunk.names]
    printer = None if options.out else Printer(bundle, record_format, names)
    inputs = InputImages(options.show_input) if options.show_input else None
    content = [record_format.header()] if record_format else []
    errors = b""
    done = failed = 0
    for chunk in chunks:
        decoded = decode(chunk.names, chunk.sources(), bundle.image, raw=options.raw, read=read_with_timeout)
        errors += report_failures(chunk, decoded.failures)
        encoded = encode_chunk(bundle, chunk, decoded)
        if printer:
            printer.print(encoded)
        elif record_format and encoded.names:
            content.append(record_format.rows(encoded.names, encoded.posterior))
        if inputs:
            inputs.add(encoded)
        done, failed = done + len(encoded.names), failed + len(encoded.failures)
    if options.out and record_format and done:
        from infogan_tool.runtime.bulk.output.resumable import remove_unfinished

        remove_unfinished(options.targets)
        record_format.write(options.out, b"".join(content))
    if options.errors:
        write_atomic(options.errors, errors)
    if inputs:
        inputs.finish()
    return report_result(options, done, failed, printer.num_ood if printer else 0)
