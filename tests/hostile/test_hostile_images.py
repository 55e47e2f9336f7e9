"""Hostile image files: each gives an image or one line, quickly, in little memory, without other output."""

from __future__ import annotations

import hashlib
import io
import os
import struct
import subprocess
import sys
import time
import tracemalloc
import zlib
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hostile_images import COLOUR, PREPROCESSED, chunk, mutated, seeds
from PIL import Image

from infogan_tool.runtime.errors import ImageError
from infogan_tool.runtime.images.files import read_image
from infogan_tool.runtime.images.formats import FORMATS, MAX_BYTES, MAX_PIXELS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from infogan_tool.runtime.images.spec import ImageSpec

SPECS = (PREPROCESSED, COLOUR)
QUICK = 700
"""Mutations in the default tests; soak_images.py goes through any number."""
REFUSED_SEEDS = {"tiff/zstd", "tiff/lzma"}


def outcome(content: bytes | Path, spec: ImageSpec = PREPROCESSED) -> str:
    """Return why an image is refused, as one printable line; empty if it is read."""
    try:
        values = read_image(content, spec)
    except ImageError as error:
        answer = str(error)
    else:
        assert (values.dtype, values.shape) == (np.uint8, (spec.size, spec.size, spec.channels))
        return ""
    assert answer.isprintable()
    assert len(answer) < 600
    return answer


# --- what is read ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(seeds()))
def test_the_seeds_are_good(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    for spec in SPECS:
        answer = outcome(seeds()[name], spec)
        assert not answer if name not in REFUSED_SEEDS else "which is not supported" in answer
    assert capfd.readouterr() == ("", "")


def test_the_seeds_are_of_every_format() -> None:
    kinds = {name.partition("/")[0].upper() for name in seeds()}
    assert kinds == {*FORMATS, "MPO"}  # which is a JPEG with more behind it


def test_all_else_that_pillow_writes_is_refused_and_its_reader_not_even_loaded(tmp_path: Path) -> None:
    Image.init()
    others = []
    for kind in sorted(set(Image.SAVE) - {*FORMATS, "MPO"}):
        content = io.BytesIO()
        for mode in ("RGB", "L", "P", "1", "RGBA"):
            try:
                Image.new(mode, (32, 32), 1).save(content, kind)
            except Exception:  # noqa: BLE001 - it cannot be written in this mode, or without a helper
                content = io.BytesIO()
                continue
            break
        if content.tell():
            others.append((kind, content.getvalue()))
    answer = {kind: outcome(content) for kind, content in others}
    # A DIB is a BMP without its first bytes, and so on: what is no known format by its first bytes is none.
    assert {
        kind for kind, reason in answer.items() if "not an image of a known format" not in reason
    } == set()
    assert {"ICO", "JPEG2000", "TGA", "PDF", "AVIF", "DDS", "PCX"} <= answer.keys()
    for index, (_, content) in enumerate(others):
        (tmp_path / f"{index}.png").write_bytes(content)
    (tmp_path / "mpo.jpg").write_bytes(seeds()["mpo/two"])
    (tmp_path / "good.tif").write_bytes(seeds()["tiff/jpeg"])
    code = (
        "import sys, pathlib; from infogan_tool.runtime import read_image, load_bundle\n"
        "for path in pathlib.Path(sys.argv[1]).iterdir():\n"
        "    try: read_image(path, load_bundle().image)\n"
        "    except ValueError: pass\n"
        "print(*sorted(n for n in sys.modules if n.startswith('PIL.') and n.endswith('ImagePlugin')))"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=600)
    # TIFF's reader builds on none; JPEG's is for the one good file of each.
    assert set(done.stdout.split()) <= {f"PIL.{kind}ImagePlugin" for kind in ("Jpeg", "Tiff")}
    assert done.stderr == ""


def test_unsupported_compressions_of_tiff_are_reported() -> None:
    raw = bytearray(seeds()["tiff/raw-L"])
    place = raw.index(struct.pack("<HHI", 259, 3, 1)) + 8  # the tag of the compression
    names = {6: "tiff_jpeg", 32809: "tiff_thunderscan", 34676: "tiff_sgilog", 34925: "lzma", 50001: "webp"}
    for number, name in names.items():
        raw[place : place + 2] = struct.pack("<H", number)
        assert f"a TIFF with compression {name}, which is not supported" in outcome(bytes(raw))


# --- spoiled files -----------------------------------------------------------------------------------------


def test_mutations_are_images_or_one_line(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "x.png"
    read = slowest = 0.0
    for number in range(QUICK):
        answer, content = mutated(number)
        source: bytes | Path = content
        if number % 2:  # libtiff reads files and memory in different ways
            path.write_bytes(content)
            source = path
        began = time.process_time()
        try:
            read += outcome(source, SPECS[number // 2 % 2]) == ""
        except Exception as error:
            raise AssertionError(answer) from error
        slowest = max(slowest, time.process_time() - began)
    assert 0.1 * QUICK < read < 0.7 * QUICK  # otherwise the mutations are too strong, or too weak
    assert slowest < 60
    assert capfd.readouterr() == ("", "")  # neither Pillow nor libtiff says anything


def test_the_corpus_is_the_same_in_every_process() -> None:
    # By its number a failure of the soak is found again.
    code = (
        "import sys; sys.path.append(sys.argv[1]); import hashlib; from hostile_images import mutated\n"
        "print(hashlib.sha256(b''.join(mutated(n)[1] for n in range(300))).hexdigest())"
    )
    time.sleep(1.1)  # nor does it depend on when
    command = [sys.executable, "-c", code, os.path.dirname(__file__)]  # noqa: PTH120
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=600)
    here = hashlib.sha256(b"".join(mutated(number)[1] for number in range(300))).hexdigest()
    assert done.stdout.strip() == here
    assert mutated(5) != mutated(5, seed=1)
    assert mutated(63)[0].startswith("63: bmp/1 ")


# --- bombs and other headers that lie ----------------------------------------------------------------------


def png(width: int, height: int, *chunks: bytes, depth: int = 8, colour: int = 0) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + b"".join(chunks) + chunk(b"IEND", b"")


def tiff(*entries: tuple[int, int, int, int], tail: bytes = b"", following: int = 0) -> bytes:
    """Return a TIFF of one directory; entries are tag, type, count, value or place."""
    rows = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    directory = struct.pack("<H", len(entries)) + rows + struct.pack("<I", following)
    return b"II*\0" + struct.pack("<I", 8) + directory + tail


def plain_tiff(width: int, height: int, *more: tuple[int, int, int, int], tail: bytes = bytes(64)) -> bytes:
    place = 8 + 2 + 12 * (8 + len(more)) + 4
    entries = [(256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1)]
    entries += [(273, 4, 1, place), (278, 4, 1, height), (279, 4, 1, len(tail)), *more]
    return tiff(*entries, tail=tail)


def webp(width: int, height: int) -> bytes:
    size = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    body = b"VP8X" + struct.pack("<I", 10) + b"\x02\0\0\0" + size + b"ANIM" + struct.pack("<IIH", 6, 0, 0)
    good = seeds()["webp/lossy"]
    frame = bytes(6) + bytes([39, 0, 0, 31, 0, 0]) + bytes(4) + good[12:]
    body += b"ANMF" + struct.pack("<I", len(frame)) + frame
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


def bombs() -> Iterator[tuple[str, bytes]]:
    """Yield files that announce more pixels than are read."""
    for side in (8193, 30_000, 2**31 - 1):
        yield "png", png(side, side, chunk(b"IDAT", zlib.compress(b"")))
        yield "ppm", f"P5 {side} {side} 255\n".encode()
        yield "ppm plain", f"P3 {side} {side} 255\n".encode()
        yield "tiff", plain_tiff(side, side)
        yield "bmp", b"BM" + struct.pack("<IHHIIiiHHIIiiII", 0, 0, 0, 54, 40, side, side, 1, 24, *[0] * 6)
    for side in (8193, 65_535):
        gif = seeds()["gif/plain"]
        yield "gif", gif[:6] + struct.pack("<HH", side, side) + gif[10:]
    for side in (8193, 13_000, 16_383):
        yield "webp", webp(side, side)
    head = seeds()["jpeg/L"]
    frame = head.index(b"\xff\xc0") + 5
    yield "jpeg", head[:frame] + struct.pack(">HH", 65_500, 65_500) + head[frame + 4 :]
    yield (
        "progressive",
        seeds()["jpeg/progressive"].replace(
            struct.pack(">HH", 32, 40), struct.pack(">HH", 65_500, 65_500), 1
        ),
    )


def test_bombs_are_refused_by_their_headers() -> None:
    pixels = f"pixels; at most {MAX_PIXELS:,} are read"
    for name, content in bombs():
        answer = outcome(content)
        assert pixels in answer or "exceeds limit" in answer or "Image size" in answer, (name, answer)


def test_no_pixels() -> None:
    for content in (
        png(0, 5, chunk(b"IDAT", zlib.compress(b""))),
        png(5, 0, chunk(b"IDAT", zlib.compress(b""))),
        b"P5 0 5 255\n",
        b"P5 5 0 255\n",
        plain_tiff(0, 5),
        plain_tiff(5, 0),
        b"GIF89a" + bytes(7) + b";",
        b"BM" + struct.pack("<IHHIIiiHHIIiiII", 0, 0, 0, 54, 40, 0, 0, 1, 24, *[0] * 6),
        seeds()["jpeg/L"].replace(struct.pack(">HH", 32, 40), bytes(4), 1),
    ):
        assert outcome(content)


@pytest.mark.parametrize("size", [(65_535, 1), (1, 65_535), (65_535, 1000), (1000, 65_535), (1, 1), (2, 1)])
def test_thin_and_wide(size: tuple[int, int]) -> None:
    width, height = size
    levels = np.zeros((height, width), np.uint8)
    levels[:, : max(1, width // 3)] = 200
    for kind, spec in zip(("PPM", "PNG"), SPECS, strict=True):
        content = io.BytesIO()
        Image.fromarray(levels).save(content, kind)
        assert outcome(content.getvalue(), spec) == ""


def test_a_file_larger_than_any_image_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "x.webp"
    with path.open("wb") as file:
        file.write(seeds()["webp/lossy"])
        file.truncate(MAX_BYTES + 1)  # with a hole in it: it takes no room
    tracemalloc.start()
    try:
        assert outcome(path) == f"{path}: more than {MAX_BYTES:,} bytes"
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def hostile_tags() -> Iterator[tuple[str, bytes]]:
    """Yield files whose tags go in circles, or announce far more than is there."""
    yield "a directory that follows itself", tiff((256, 4, 1, 5), following=8)
    yield "a directory of itself", plain_tiff(5, 5, (34665, 4, 1, 8), (330, 4, 1, 8), tail=bytes(25))
    same = [(tag, 1, 1_000_000, 8) for tag in range(1000, 40_000)]  # 39 GB of tags in 1.5 MB
    yield "tags that share their data", plain_tiff(5, 5, *same, tail=bytes(1_000_000))
    yield "a tag of 4 GB", plain_tiff(5, 5, (1000, 1, 2**32 - 1, 8))
    exif = b"II*\0\x08\0\0\0" + struct.pack("<H", 65_535)
    exif += b"".join(struct.pack("<HHII", tag, 1, 500_000, 8) for tag in range(1000, 60_000))
    yield (
        "EXIF that shares its data",
        png(5, 5, chunk(b"eXIf", exif), chunk(b"IDAT", zlib.compress(bytes(30)))),
    )
    jpeg = seeds()["jpeg/L"]
    parts = [exif[place : place + 65_000] for place in range(0, len(exif), 65_000)]
    segments = b"".join(b"\xff\xe1" + struct.pack(">H", len(p) + 8) + b"Exif\0\0" + p for p in parts)
    yield "EXIF in many segments", jpeg[:2] + segments + jpeg[2:]
    yield (
        "text that unpacks to a gigabyte",
        png(
            5,
            5,
            chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(bytes(1 << 28), 9)),
            chunk(b"IDAT", zlib.compress(bytes(30))),
        ),
    )
    yield (
        "a profile that unpacks to a gigabyte",
        png(
            5,
            5,
            chunk(b"iCCP", b"x\0\0" + zlib.compress(bytes(1 << 28), 9)),
            chunk(b"IDAT", zlib.compress(bytes(30))),
        ),
    )
    for name, profile in (("short", b"x"), ("nonsense", os.urandom(400)), ("long", bytes(1 << 20))):
        content = io.BytesIO()
        Image.new("RGB", (30, 30)).save(content, "JPEG", icc_profile=profile)
        yield f"a {name} colour profile", content.getvalue()
    for orientation in (0, 9, 65_535):
        exif_ = Image.Exif()
        exif_[0x0112] = orientation
        content = io.BytesIO()
        Image.new("RGB", (30, 30)).save(content, "JPEG", exif=exif_)
        yield f"orientation {orientation}", content.getvalue()


def deep_animations() -> Iterator[tuple[str, bytes]]:
    """Yield animations of very many frames, of which one is read."""
    gif = seeds()["gif/plain"]
    image = gif[gif.index(b",") : -1]
    yield "gif", gif[:-1] + image * 20_000 + b";"
    frames = [chunk(b"fcTL", struct.pack(">IIIIIHHBB", n, 5, 5, 0, 0, 1, 1, 0, 0)) for n in range(20_000)]
    yield (
        "png",
        png(
            5,
            5,
            chunk(b"acTL", struct.pack(">II", 20_000, 0)),
            chunk(b"IDAT", zlib.compress(bytes(30))),
            *frames,
        ),
    )
    yield (
        "png that announces",
        png(5, 5, chunk(b"acTL", struct.pack(">II", 2**31, 0)), chunk(b"IDAT", zlib.compress(bytes(30)))),
    )
    one = len(plain_tiff(5, 5))
    pages = bytearray()
    for page in range(20_000):
        here = bytearray(plain_tiff(5, 5)[8:])
        rest = 8 + (page + 1) * (one - 8)
        struct.pack_into("<I", here, 2 + 12 * 8, rest if page < 19_999 else 8)  # and the last to the first
        struct.pack_into("<I", here, 2 + 12 * 5 + 8, rest - 64)
        pages += here
    yield "tiff", b"II*\0\x08\0\0\0" + bytes(pages)


def test_each_has_an_answer_soon_and_memory_is_bounded(tmp_path: Path) -> None:
    """Everything above in a process of its own, which on Linux may have 2 GiB in all."""
    good = [*hostile_tags(), *deep_animations()]
    cases = [*good, *bombs()]
    for index, (_, content) in enumerate(cases):
        (tmp_path / f"{index:03d}.png").write_bytes(content)
    code = (
        "import sys, pathlib, time\n"
        "from infogan_tool.runtime import read_image, load_bundle\n"
        "spec = load_bundle().image\n"
        "if sys.platform == 'linux':\n"
        "    import resource; resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))\n"
        "for path in sorted(pathlib.Path(sys.argv[1]).iterdir()):\n"
        "    began = time.process_time()\n"
        "    try: answer = str(read_image(path, spec).shape)\n"
        "    except ValueError as error: answer = str(error)\n"
        "    print(f'{time.process_time() - began:.1f}', answer)\n"
        "if sys.platform == 'linux':\n"
        "    print(pathlib.Path('/proc/self/status').read_text().split('VmHWM:')[1].split()[0])\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    answers = done.stdout.splitlines()
    assert (done.returncode, done.stderr) == (0, ""), cases[len(answers)][0]
    if sys.platform == "linux":
        assert int(answers.pop()) < 500_000  # kilobytes
    read = ("a short", "a nonsense", "a long", "orientation", "gif", "tiff", "png")
    for number, ((name, _), line) in enumerate(zip(cases, answers, strict=True)):
        seconds, _, answer = line.partition(" ")
        assert float(seconds) < 60, name
        assert "enough memory" not in answer, name
        assert answer.isprintable(), name
        if number < len(good) and name.startswith(read):
            assert answer == "(28, 28, 1)", name
