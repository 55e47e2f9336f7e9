from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

import pytest

from infogan_tool.runtime.errors import OutputExistsError
from infogan_tool.runtime.storage.atomic import (
    atomic_open,
    open_regular,
    printable,
    read_limited,
    write_atomic,
)

if TYPE_CHECKING:
    from pathlib import Path


def test_a_reader_sees_the_old_file_or_the_new(tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    write_atomic(path, "old")
    with atomic_open(path, "w", encoding="utf-8") as file:
        file.write("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    write_atomic(path, b"\x00bytes")
    assert path.read_bytes() == b"\x00bytes"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_an_error_leaves_nothing(error: type[BaseException], tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    write_atomic(path, "old")
    with pytest.raises(error), atomic_open(path) as file:  # noqa: PT012 - the block is what is tested
        file.write(b"half")
        raise error
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_errors_name_the_target_not_the_temporary_file(tmp_path: Path) -> None:
    path = tmp_path / "no" / "x.txt"
    with pytest.raises(FileNotFoundError) as caught:
        write_atomic(path, "x")
    assert caught.value.filename == str(path)
    with pytest.raises(OSError, match="No space") as full, atomic_open(tmp_path / "y"):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert full.value.filename == str(tmp_path / "y")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_devices_pipes_and_folders_are_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "d", tmp_path / "pipe", "/dev/null"):
        with pytest.raises(OutputExistsError, match="it is not a file"):
            write_atomic(path, "x")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_open_regular_and_read_limited(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"12345")
    with open_regular(path) as file:
        assert file.read() == b"12345"
    assert read_limited(path, 5) == b"12345"
    with pytest.raises(ValueError, match=r"x is larger than 4 bytes$"):
        read_limited(path, 4)
    with pytest.raises(ValueError, match=r" is a folder$"):
        read_limited(tmp_path, 5)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError, match=r"pipe is not a regular file$"):
        read_limited(tmp_path / "pipe", 5)
    with pytest.raises(ValueError, match=r"/dev/zero is not a regular file$"):
        read_limited("/dev/zero", 5)
    with pytest.raises(FileNotFoundError):
        read_limited(tmp_path / "no", 5)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain ümlaut 数.png", "plain ümlaut 数.png"),
        ("a\nb\tc\x1b[31m", "a\\nb\\tc\\x1b[31m"),
        ("\udcff", "\\udcff"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
        ("\u200b\x7f\x9b", "\\u200b\\x7f\\x9b"),
        (7, "7"),
    ],
)
def test_printable(text: object, shown: str) -> None:
    assert printable(text) == shown
    assert printable(text).isprintable()
