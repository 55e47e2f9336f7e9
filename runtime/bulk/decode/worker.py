"""The process that decodes: chunks come in on standard input, arrays go out on standard output, pickled.

It ends when its standard input does, so it never outlives the run that started it, however that ends.
"""

from __future__ import annotations

import os
import pickle
import sys
from functools import partial
from typing import TYPE_CHECKING

from infogan_tool.runtime.bulk.decode.deadline import EndsInTime
from infogan_tool.runtime.bulk.decode.decoding import decode, decode_each

if TYPE_CHECKING:
    from infogan_tool.runtime.images.spec import ImageSpec

__all__ = ["main"]


def main() -> None:
    """Answer until standard input ends: first how to read, then names and sources of each chunk.

    How is the spec, ``raw``, ``each`` (what can be read at once has been read already), and the seconds that
    one image may take.
    """
    tasks, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    # Whatever prints must not get between the answers.
    os.dup2(2, 1)
    spec: ImageSpec
    # Both ends are the same program, and nobody else has the pipe.
    spec, raw, each, seconds = pickle.load(tasks)  # noqa: S301
    read = partial(decode_each if each else decode, read=EndsInTime(seconds).read)
    pickle.dump("ready", answers)
    answers.flush()
    while True:
        try:
            names, sources = pickle.load(tasks)  # noqa: S301
        except EOFError:
            return
        pickle.dump(read(names, sources, spec, raw=raw), answers, protocol=pickle.HIGHEST_PROTOCOL)
        answers.flush()
