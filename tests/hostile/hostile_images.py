"""Image files of every format, and reproducible mutations of them."""

from __future__ import annotations

import io
import struct
import zlib
from functools import cache
from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import Image, ImageCms

from infogan_tool.runtime.images.spec import ImageSpec
from infogan_tool.runtime.preprocessing.spec import Preprocessing

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["COLOUR", "MUTATIONS", "PREPROCESSED", "chunk", "mutated", "seeds"]

PREPROCESSED: Final = ImageSpec(
    size=28,
    channels=1,
    low=0,
    high=1,
    preprocessing=Preprocessing(box=20, centre="mass", ink="light", stroke=2.0),
)
COLOUR: Final = ImageSpec(size=16, channels=3, low=0, high=1)
"""Image specs with and without preprocessing."""

_SIZE: Final = (40, 32)
_EDGES: Final = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x100, 0x7FFF, 0x8000, 0xFFFF, 0x10000)
_LENGTHS: Final = (*_EDGES, 0xFFFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFF0, 0xFFFFFFFF)

MUTATIONS: Final = ("bits", "bytes", "cut", "splice", "length", "repeat", "remove", "swap", "chunk", "tail")
"""Kinds of mutation, chosen with equal probability."""


# --- good files --------------------------------------------------------------------------------------------


@cache
def seeds() -> Mapping[str, bytes]:
    """Return small good files by name, ``format/variant``: what Pillow writes of what is read."""
    found: dict[str, bytes] = {}
    modes = {mode: _image(mode) for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "I", "F")}
    frames = [modes["P"].rotate(angle) for angle in (90, 180, 270)]
    exif, icc = _exif(), _profile()

    def add(kind: str, name: str, image: Image.Image, **options: object) -> None:
        found[f"{kind.lower()}/{name}"] = _saved(image, kind, options)

    for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16"):
        add("PNG", mode, modes[mode])
    add("PNG", "transparent", modes["P"], transparency=bytes(range(0, 256, 2)))
    add("PNG", "animated", modes["P"], save_all=True, append_images=frames)
    add("PNG", "told", modes["L"], exif=exif, icc_profile=icc, dpi=(300, 300))
    for mode in ("L", "RGB", "CMYK"):
        add("JPEG", mode, modes[mode])
    add("JPEG", "progressive", modes["RGB"], progressive=True, restart_marker_blocks=2)
    add("JPEG", "told", modes["RGB"], exif=exif, icc_profile=icc, comment=b"a comment")
    add("MPO", "two", modes["RGB"], save_all=True, append_images=[modes["RGB"].rotate(90)])
    add("GIF", "plain", modes["L"], interlace=0)
    add("GIF", "interlaced", modes["P"], interlace=1, transparency=3)
    add("GIF", "animated", modes["P"], save_all=True, append_images=frames, loop=0, disposal=2)
    for mode in ("1", "L", "P", "RGB", "RGBA"):
        add("BMP", mode, modes[mode])
    add("WEBP", "lossy", modes["RGB"], quality=50)
    add("WEBP", "lossless", modes["RGBA"], lossless=True)
    add("WEBP", "told", modes["RGB"], exif=exif, icc_profile=icc)
    add("WEBP", "animated", modes["RGB"], save_all=True, append_images=frames)
    for mode in ("1", "L", "RGB", "F", "I;16"):
        add("PPM", mode, modes[mode])
    found |= _tiffs(modes, exif, icc) | _by_hand()
    return found


def _tiffs(modes: Mapping[str, Image.Image], exif: Image.Exif, icc: bytes) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    grey = ("tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg", "zstd", "lzma")
    options: dict[str, tuple[str, dict[str, object]]] = {name: ("L", {"compression": name}) for name in grey}
    options |= {name: ("1", {"compression": name}) for name in ("tiff_ccitt", "group3", "group4")}
    options |= {
        f"raw-{mode}": (mode, {}) for mode in ("1", "L", "P", "RGB", "RGBA", "CMYK", "I;16", "I", "F")
    }
    options |= {
        "lzw-16": ("I;16", {"compression": "tiff_lzw"}),
        "deflate-float": ("F", {"compression": "tiff_adobe_deflate"}),
        "jpeg-colour": ("RGB", {"compression": "jpeg"}),
        "big": ("L", {"big_tiff": True}),
        "told": ("L", {"exif": exif, "icc_profile": icc}),
        "pages": ("L", {"save_all": True, "append_images": [modes["RGB"], modes["1"]]}),
        "strips": ("L", {"compression": "tiff_lzw", "strip_size": 40}),
    }
    for name, (mode, given) in options.items():
        found[f"tiff/{name}"] = _saved(modes[mode], "TIFF", given)
    return found


def _by_hand() -> dict[str, bytes]:
    """Return what is read and what Pillow does not write."""
    bits = " ".join(str(n % 2) for n in range(12 * 9))
    values = " ".join(str(n * 7 % 256) for n in range(12 * 9))
    run_lengths = b"\x0c\x80\x00\x00" * 9 + b"\x00\x01"
    palette = b"".join(bytes((n, n, n, 0)) for n in range(256))
    header = struct.pack("<IiiHHIIiiII", 40, 12, 9, 1, 8, 1, len(run_lengths), 0, 0, 256, 0)
    start = 14 + len(header) + len(palette)
    rle = b"BM" + struct.pack("<IHHI", start + len(run_lengths), 0, 0, start) + header + palette + run_lengths
    rows = b"".join(bytes([0]) + bytes(range(12)) for _ in range(9))
    plain = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 12, 9, 8, 0, 0, 0, 0))
    plain += chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return {
        "ppm/P1": f"P1\n# a comment\n12 9\n{bits}\n".encode(),
        "ppm/P2": f"P2 12 9 255\n{values}\n".encode(),
        "ppm/P3": f"P3 12 3 255\n{values}\n".encode(),
        "bmp/rle": rle,
        "png/plain": plain,
    }


def _image(mode: str) -> Image.Image:
    width, height = _SIZE
    rows, columns = np.indices((height, width))
    values = ((rows * 5 + columns * 3) % 256).astype(np.uint8)
    values[8:24, 16:22] = 250
    if mode == "I;16":
        return Image.fromarray(values.astype(np.uint16) * 257)
    if mode in ("I", "F"):
        return Image.fromarray(values).convert(mode)
    image = Image.fromarray(np.stack([values, values[::-1], 255 - values, values.T.repeat(2)[: values.size]
                                        .reshape(values.shape)], axis=-1))  # fmt: skip
    return image if mode == "RGBA" else image.convert(mode)


def _exif() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112], exif[0x010F], exif[0x011A] = 6, "a maker", 72.0
    return exif


def _profile() -> bytes:
    """Return a colour profile without the time at which it was made."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    profile[24:36] = bytes(12)
    return bytes(profile)


def _saved(image: Image.Image, kind: str, options: Mapping[str, object]) -> bytes:
    content = io.BytesIO()
    image.save(content, kind, **options)  # type: ignore[arg-type]
    return content.getvalue()


def chunk(kind: bytes, content: bytes) -> bytes:
    """Return a chunk of a PNG."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


# --- bad files ---------------------------------------------------------------------------------------------


def mutated(number: int, seed: int = 0) -> tuple[str, bytes]:
    """Return mutation ``number`` of the corpus of a seed: what it is, and the file.

    Seeds take turns; one to three mutations are laid over each other.
    """
    names = sorted(seeds())
    name = names[number % len(names)]
    rng = np.random.default_rng((seed, number))
    content, steps = bytearray(seeds()[name]), [name]
    for _ in range(int(rng.integers(1, 4))):
        kind = MUTATIONS[int(rng.integers(len(MUTATIONS)))]
        steps.append(kind)
        content = bytearray(_KINDS[kind](content, rng))
    return f"{number}: {' '.join(steps)}", bytes(content)


def _places(content: bytes, rng: np.random.Generator) -> tuple[int, int]:
    # Headers are short and decide most, so that half of all places are near the beginning.
    end = len(content) if rng.random() < 0.5 else min(len(content), 128)
    start, stop = sorted(int(n) for n in rng.integers(0, end + 1, 2))
    return start, stop


def _bits(content: bytearray, rng: np.random.Generator) -> bytes:
    for _ in range(int(rng.integers(1, 9))):
        if content:
            content[_places(content[1:], rng)[0]] ^= 1 << int(rng.integers(8))
    return content


def _bytes(content: bytearray, rng: np.random.Generator) -> bytes:
    for _ in range(int(rng.integers(1, 9))):
        if content:
            content[_places(content[1:], rng)[0]] = int(
                rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.integers(256)))
            )
    return content


def _cut(content: bytearray, rng: np.random.Generator) -> bytes:
    return content[: _places(content, rng)[1]]


def _splice(content: bytearray, rng: np.random.Generator) -> bytes:
    names = sorted(seeds())
    other = seeds()[names[int(rng.integers(len(names)))]]
    start, stop = _places(content, rng)
    begin, end = _places(other, rng)
    return content[:start] + other[begin:end] + content[stop:]


def _length(content: bytearray, rng: np.random.Generator) -> bytes:
    """Write a number that is at the edge of something where a length may be."""
    for _ in range(int(rng.integers(1, 4))):
        width = int(rng.choice((2, 4)))
        value = int(rng.choice(_EDGES if width == 2 else _LENGTHS)) & (256**width - 1)
        place = _places(content, rng)[0]
        content[place : place + width] = value.to_bytes(width, "big" if rng.random() < 0.5 else "little")
    return content


def _repeat(content: bytearray, rng: np.random.Generator) -> bytes:
    start, stop = _places(content, rng)
    return content[:stop] + content[start:stop] * int(rng.integers(1, 20)) + content[stop:]


def _remove(content: bytearray, rng: np.random.Generator) -> bytes:
    start, stop = _places(content, rng)
    return content[:start] + content[stop:]


def _swap(content: bytearray, rng: np.random.Generator) -> bytes:
    start, stop = _places(content, rng)
    middle = (start + stop) // 2
    return content[:start] + content[middle:stop] + content[start:middle] + content[stop:]


def _chunk(content: bytearray, rng: np.random.Generator) -> bytes:
    """Recompute the checksums of a PNG's chunks, so that a mutated one is read, and add a random chunk."""
    if not content.startswith(b"\x89PNG\r\n\x1a\n"):
        return _bytes(content, rng)
    whole, place = bytearray(content[:8]), 8
    while place + 12 <= len(content):
        size = int.from_bytes(content[place : place + 4], "big")
        if size > len(content):
            break
        whole += chunk(bytes(content[place + 4 : place + 8]), bytes(content[place + 8 : place + 8 + size]))
        if rng.random() < 0.1:
            kind = (b"tRNS", b"PLTE", b"eXIf", b"iCCP", b"zTXt", b"fcTL", b"acTL", b"fdAT")[
                int(rng.integers(8))
            ]
            whole += chunk(kind, rng.bytes(int(rng.integers(40))))
        place += 12 + size
    return whole + content[place:]


def _tail(content: bytearray, rng: np.random.Generator) -> bytes:
    return content + rng.bytes(int(rng.integers(1, 2000)))


_KINDS: Final[Mapping[str, Callable[[bytearray, np.random.Generator], bytes]]] = {
    "bits": _bits,
    "bytes": _bytes,
    "cut": _cut,
    "splice": _splice,
    "length": _length,
    "repeat": _repeat,
    "remove": _remove,
    "swap": _swap,
    "chunk": _chunk,
    "tail": _tail,
}
