"""The process that decodes: chunks come in on standard input, arrays go out on standard output, pickled.

It ends when its standard input does, so it never outlives the run that started it, however that ends.
"""

from __future__ import annotations

import os
import pickle
import sys
from typing import TYPE_CHECKING

from infogan_tool.runtime.bulk.decoding import decode

if TYPE_CHECKING:
    from infogan_tool.runtime.contract import ImageSpec

__all__ = ["main"]


def main() -> None:
    """Answer until standard input ends: first the spec and ``raw``, then names and sources of each chunk."""
    tasks, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    # Whatever prints must not get between the answers.
    os.dup2(2, 1)
    spec: ImageSpec
    # Both ends are the same program, and nobody else has the pipe.
    spec, raw = pickle.load(tasks)  # noqa: S301
    pickle.dump("ready", answers)
    answers.flush()
    while True:
        try:
            names, sources = pickle.load(tasks)  # noqa: S301
        except EOFError:
            return
        pickle.dump(decode(names, sources, spec, raw=raw), answers, protocol=pickle.HIGHEST_PROTOCOL)
        answers.flush()
