"""Convert the package animal-shape-mnist, 10,000 silhouettes of ten animals, to a folder of IDX files.

    pip download --no-deps animal-shape-mnist
    python examples/datasets/animal_shapes.py animal_shape_mnist-*.whl OUT
    infogan-tool train --data OUT --views objects --out run

The package stores its arrays as pickles, which can run any code when they are loaded. Here nothing is loaded:
the instructions of a pickle are listed, and of its values only the bytes of the array are used, after their
number has been checked. Each animal has 1,000 images of 28 x 28; there are no test images.
"""

from __future__ import annotations

import argparse
import gzip
import pickletools
import sys
import zipfile
from pathlib import Path

import numpy as np

COUNT, SIZE = 10_000, 28
FILES = {
    "train-images-idx3-ubyte": ("animal_data_version_3.gz", "u1", (COUNT, SIZE, SIZE)),
    "train-labels-idx1-ubyte": ("animal_label_version_3.gz", "<i8", (COUNT,)),
}
LARGEST = 20_000_000
"""Bytes of a pickle; more are refused."""


def array_bytes(pickle: bytes, expected: int) -> bytes:
    """Return the bytes of the array in a pickle of one array, without loading it."""
    values = [argument for _, argument, _ in pickletools.genops(pickle) if isinstance(argument, bytes)]
    found = [value for value in values if len(value) == expected]
    if len(found) != 1:
        raise ValueError(f"it has no array of {expected:,} bytes")
    return found[0]


def main() -> None:
    """Convert both files."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("wheel", type=Path)
    parser.add_argument("out", type=Path)
    options = parser.parse_args()
    converted = {}
    try:
        with zipfile.ZipFile(options.wheel) as wheel:
            members = {Path(name).name: name for name in wheel.namelist()}
            for name, (member, dtype, shape) in FILES.items():
                with wheel.open(members[member]) as packed, gzip.open(packed) as content:
                    pickle = content.read(LARGEST)
                values = np.frombuffer(array_bytes(pickle, np.dtype(dtype).itemsize * np.prod(shape)), dtype)
                header = bytes([0, 0, 8, len(shape)]) + np.array(shape, ">u4").tobytes()
                converted[name] = header + values.astype(np.uint8).tobytes()
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        sys.exit(f"{options.wheel} is not the wheel of animal-shape-mnist 0.39: {error}")
    options.out.mkdir(parents=True)
    for name, content in converted.items():
        (options.out / name).write_bytes(content)
    print(f"{COUNT:,} images in {options.out}")


if __name__ == "__main__":
    main()
