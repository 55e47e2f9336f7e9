"""The decoding process: pickled chunks on standard input, pickled images on standard output.

It ends at the end of its standard input, so it does not outlive the run that started it.
"""

from __future__ import annotations

import os
import pickle
import sys
from functools import partial
from typing import TYPE_CHECKING

from infogan_tool.runtime.bulk.decode.deadline import TimedReader
from infogan_tool.runtime.bulk.decode.decoding import decode, decode_each

if TYPE_CHECKING:
    from infogan_tool.runtime.images.spec import ImageSpec


def main() -> None:
    """Read the settings, then decode chunks until standard input ends.

    The settings are the image spec, ``raw``, ``each`` (images are decoded one by one, because the caller has
    read the small PNG files), and the time limit of an image. A chunk is its names and its sources.
    """
    tasks, results = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    # Anything that is printed must not get between the results.
    os.dup2(2, 1)
    spec: ImageSpec
    # Both ends are the same program, and no other process has the pipe.
    spec, raw, each, seconds = pickle.load(tasks)  # noqa: S301
    read = partial(decode_each if each else decode, read=TimedReader(seconds).read)
    pickle.dump("ready", results)
    results.flush()
    while True:
        try:
            names, sources = pickle.load(tasks)  # noqa: S301
        except EOFError:
            return
        pickle.dump(read(names, sources, spec, raw=raw), results, protocol=pickle.HIGHEST_PROTOCOL)
        results.flush()
