"""Entry point of ``encode``: checks the options, then encodes in this process or in bulk."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING, Final

from infogan_tool.cli.encode.options import EncodeOptions, check_options
from infogan_tool.runtime.bulk.inputs.chunks import FileChunk
from infogan_tool.runtime.bundle.bundle import load_bundle
from infogan_tool.runtime.images.formats import IMAGE_SUFFIXES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from infogan_tool.runtime.bulk.inputs.chunks import Chunk

_MAX_IN_PROCESS: Final = 64
"""Up to this many images, opening the graph fast gains more than running it fast."""


def encode_paths(paths: Sequence[str], options: EncodeOptions | None = None) -> int:
    """Encode images and show or write their codes; return the exit code.

    Up to 64 images are encoded in this process; more, and all with ``--resume`` or ``--engine ray``, in bulk.

    Raises:
        InfoganError: An option is not valid, or the bundle cannot be used.
        OSError: An output cannot be written.
    """
    options = options or EncodeOptions()
    format_name = check_options(options, paths)
    if options.engine == "ray" and options.device == "auto":  # only --device cuda requests GPUs of a cluster
        options = replace(options, device="cpu")
    may_be_few = options.engine == "local" and not options.resume
    if may_be_few and len(paths) <= _MAX_IN_PROCESS and all(map(_is_image_file, paths)):
        bundle = load_bundle(options.bundle, device=options.device, threads=options.threads, one_shot=True)
        chunks: list[Chunk] = [FileChunk(paths, {})]
    else:
        from infogan_tool.cli.encode.bulk import encode_in_bulk
        from infogan_tool.runtime.bulk.inputs.sources import Inputs
        from infogan_tool.runtime.bundle.bundle import find_bundle
        from infogan_tool.runtime.bundle.metadata import read_metadata

        spec = read_metadata(find_bundle(options.bundle)).image
        stdin = sys.stdin.buffer if sys.stdin is not None else None
        inputs = Inputs(paths, spec, column=options.column, stdin=stdin)
        chunks, rest = _first_chunks(inputs.chunks())
        few = may_be_few and sum(len(chunk.names) for chunk in chunks) <= _MAX_IN_PROCESS
        bundle = load_bundle(options.bundle, device=options.device, threads=1, one_shot=few)
        if not few:
            return encode_in_bulk(bundle, inputs, chain(chunks, rest), options, format_name)
    from infogan_tool.cli.encode.in_process import encode_in_process

    return encode_in_process(bundle, chunks, options, format_name)


def _is_image_file(path: str) -> bool:
    if not path.lower().endswith(IMAGE_SUFFIXES):
        return False
    # A name with these characters is a pattern, unless a file of that name exists.
    return not os.path.isdir(path) and (os.path.lexists(path) or not any(sign in path for sign in "*?["))  # noqa: PTH112


def _first_chunks(chunks: Iterator[Chunk]) -> tuple[list[Chunk], Iterator[Chunk]]:
    """Return chunks with more than 64 images in all, or all chunks; and the others."""
    first, count = [], 0
    for chunk in chunks:
        first.append(chunk)
        count += len(chunk.names)
        if count > _MAX_IN_PROCESS:
            break
    return first, chunks
