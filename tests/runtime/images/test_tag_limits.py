"""The limit on tags, which Pillow has from version 13 on; with older ones test_hostile_images.py needs it."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
from PIL import Image

from infogan_tool.runtime.images import tag_limits
from infogan_tool.runtime.images.tag_limits import drop_exif, fit_into


def directory(order: str, *entries: tuple[int, int, int, int], big: bool = False) -> bytes:
    start = b"II" if order == "<" else b"MM"
    head = struct.pack(f"{order}HHHQQ", 43, 8, 0, 16, len(entries)) if big else b""
    head = head or struct.pack(f"{order}HIH", 42, 8, len(entries))
    return start + head + b"".join(struct.pack(f"{order}HH{'QQ' if big else 'II'}", *e) for e in entries)


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("order", ["<", ">"])
def test_data_must_fit_into_the_file(order: str, big: bool) -> None:
    one = directory(order, (1000, 1, 40, 8), big=big) + bytes(40)
    assert fit_into(io.BytesIO(one))
    shared = directory(order, *[(tag, 4, 10, 8) for tag in range(1000, 1020)], big=big)
    assert not fit_into(io.BytesIO(shared))
    assert not fit_into(io.BytesIO(shared[:-1])), "a directory that is cut off has the tags before the end"
    assert fit_into(io.BytesIO(directory(order, *[(tag, 3, 2, 8) for tag in range(1000, 1020)], big=big)))
    for length in range(len(one)):  # damaged: the reader says so
        fit_into(io.BytesIO(one[:length]))


def test_the_position_is_kept_and_too_many_tags_are_refused() -> None:
    file = io.BytesIO(b"II" + struct.pack("<HHHQQ", 43, 8, 0, 16, 2**40) + bytes(65_535 * 20))
    file.seek(7)
    assert not fit_into(file)
    assert file.tell() == 7
    assert fit_into(io.BytesIO(b"II" + struct.pack("<HHHQ", 43, 8, 0, 2**64 - 1)))


def test_good_exif_stays_and_exif_that_does_not_fit_goes() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    content = io.BytesIO()
    Image.new("RGB", (30, 20)).save(content, "JPEG", exif=exif)
    image = Image.open(content)
    drop_exif(image)
    assert image.getexif()[0x0112] == 6
    image.info["exif"] = b"Exif\0\0" + directory("<", *[(tag, 1, 1000, 8) for tag in range(1000, 1020)])
    drop_exif(image)
    assert "exif" not in image.info


def test_with_an_older_pillow_photographs_are_turned_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    from infogan_tool.runtime.images.formats import open_header  # noqa: PLC0415

    monkeypatch.setattr(tag_limits, "is_needed", lambda: True)
    for kind in ("JPEG", "PNG", "WEBP", "TIFF"):
        exif = Image.Exif()
        exif[0x0112] = 6
        content = io.BytesIO()
        Image.fromarray(np.zeros((20, 30, 3), np.uint8)).save(content, kind, exif=exif)
        content.seek(0)
        assert open_header(content).getexif()[0x0112] == 6, kind
