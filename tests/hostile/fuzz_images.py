"""Coverage-guided fuzzing of reading and preprocessing: ``python tests/hostile/fuzz_images.py --seconds 60``.

Atheris (libFuzzer) changes files so that new branches of the runtime's and Pillow's Python code are reached.
What is neither an image nor a ImageError, takes longer than a minute or 2 GB ends it, with the file
kept as ``crash-*``. Needs the group ``fuzz`` (``pip install --group fuzz``); ``--corpus DIR`` keeps what was
found.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import atheris

# Not BMP's reader, whose loops over pixels would take minutes when every step is counted.
with atheris.instrument_imports(include=["infogan_tool.runtime", "PIL"], exclude=["PIL.BmpImagePlugin"]):
    from PIL import (  # noqa: F401 - instrumented
        BmpImagePlugin,
        GifImagePlugin,
        JpegImagePlugin,
        PngImagePlugin,
        PpmImagePlugin,
        TiffImagePlugin,
        WebPImagePlugin,
    )

    from infogan_tool.runtime.errors import ImageError
    from infogan_tool.runtime.images.files import read_image

from hostile_images import COLOUR, PREPROCESSED, seeds


def one(content: bytes) -> None:
    """Read one file in both ways."""
    for spec in (PREPROCESSED, COLOUR):
        try:
            values = read_image(content, spec)
        except ImageError as error:
            if not str(error).isprintable():
                raise
            continue
        if values.shape != (spec.size, spec.size, spec.channels):
            raise ValueError(values.shape)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--corpus", type=Path, metavar="DIR")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        start = Path(folder) / "seeds"
        start.mkdir()
        for number, content in enumerate(seeds().values()):
            (start / str(number)).write_bytes(content)
        found = options.corpus or Path(folder) / "found"
        found.mkdir(exist_ok=True)
        limits = [f"-max_total_time={options.seconds}", "-timeout=60", "-rss_limit_mb=2048", "-max_len=20000"]
        atheris.Setup([sys.argv[0], *limits, "-print_final_stats=1", str(found), str(start)], one)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
