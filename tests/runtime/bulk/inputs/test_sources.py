"""Command-line arguments to chunks: files, folders, patterns, lists."""

from __future__ import annotations

import gzip
import io
import os
from dataclasses import replace
from importlib.util import find_spec
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from infogan_tool.runtime import load_bundle
from infogan_tool.runtime.bulk.inputs.chunks import CHUNK_IMAGES, Failed
from infogan_tool.runtime.bulk.inputs.sources import Inputs
from infogan_tool.runtime.bulk.inputs.stdin_list import read_stdin
from infogan_tool.runtime.bulk.inputs.walk import match
from infogan_tool.runtime.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

SPEC = load_bundle().image


def listed(*arguments: str | Path, stdin: bytes | None = None) -> list[str]:
    """Return the names of the readable inputs, and ``!name`` for the failed ones."""
    stream = None if stdin is None else io.BytesIO(stdin)
    names = []
    for chunk in Inputs([str(a) for a in arguments], SPEC, stdin=stream).chunks():
        for name, source in zip(chunk.names, chunk.sources(), strict=True):
            names.append(f"!{name}" if isinstance(source, Failed) else name)
    return names


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("b.png", "a.JPG", "notes.txt", ".hidden.png", "sub/d.png", "sub/c.tiff", ".git/e.png"):
        (tmp_path / "t" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "t" / name).write_bytes(b"")
    return tmp_path / "t"


def test_folders_are_walked_in_order_and_other_files_skipped(tree: Path) -> None:
    assert listed("t") == ["t/a.JPG", "t/b.png", "t/sub/c.tiff", "t/sub/d.png"]
    assert Inputs(["t", "t/b.png"], SPEC).count() == 5


def test_circular_links_are_walked_once(tree: Path) -> None:
    (tree / "sub" / "up").symlink_to(tree)
    (tree / "sub" / "self").symlink_to(".")
    assert listed("t") == ["t/a.JPG", "t/b.png", "t/sub/c.tiff", "t/sub/d.png"]
    assert listed("t/**/*.png") == ["t/b.png", "t/sub/d.png"]


def test_a_folder_without_images_and_a_missing_file_fail(tree: Path) -> None:
    (tree / "empty").mkdir()
    assert listed("t/empty", "t/none", "t/none.png") == ["!t/empty", "!t/none", "t/none.png"]


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root reads everything")
def test_a_closed_folder_is_one_failed_input(tree: Path) -> None:
    (tree / "sub").chmod(0)
    assert listed("t") == ["t/a.JPG", "t/b.png", "!t/sub"]
    (tree / "sub").chmod(0o700)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_pipes_and_devices_do_not_block(tree: Path) -> None:
    os.mkfifo(tree / "pipe")
    os.mkfifo(tree / "pipe.png")
    # A pipe that is named as an image is refused when it is decoded; test_encode_bulk_inputs.py shows that.
    assert listed("t/pipe", "/dev/zero", "t/pipe.png") == ["!t/pipe", "!/dev/zero", "t/pipe.png"]


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("t/*.png", ["t/b.png"]),
        ("t/?.png", ["t/b.png"]),
        ("t/[ab].*", ["t/a.JPG", "t/b.png"]),
        ("t/*", ["t/a.JPG", "t/b.png"]),
        ("t/**", ["t/a.JPG", "t/b.png", "t/sub/c.tiff", "t/sub/d.png"]),
        ("**/*.png", ["t/b.png", "t/sub/d.png"]),
        ("t/**/d.png", ["t/sub/d.png"]),
        ("t/**/**/d.*", ["t/sub/d.png"]),
        ("./t/*.png", ["./t/b.png"]),
        ("t/no*", ["!t/notes.txt"]),
        ("t/none*", ["!t/none*"]),
    ],
)
def test_patterns(tree: Path, pattern: str, names: list[str]) -> None:
    # A file that the pattern names more closely than "*" is taken, and turns out to be no image.
    found = listed(pattern)
    assert [name for name in found if name != "t/notes.txt"] == [n for n in names if n != "!t/notes.txt"]
    assert ("t/notes.txt" in found) == ("!t/notes.txt" in names)


def test_a_pattern_from_the_root(tree: Path) -> None:
    assert [str(p) for p in match(f"{tree}/**/*.png")] == [f"{tree}/b.png", f"{tree}/sub/d.png"]


def test_a_file_whose_name_is_a_pattern_is_that_file(tree: Path) -> None:
    (tree / "[ab].png").write_bytes(b"")
    assert listed("t/[ab].png") == ["t/[ab].png"]


def test_many_files_are_cut_into_chunks(tree: Path) -> None:
    names = [f"{i}.png" for i in range(2 * CHUNK_IMAGES + 3)]
    sizes = [len(chunk.names) for chunk in Inputs(names, SPEC).chunks()]
    assert sizes == [CHUNK_IMAGES, CHUNK_IMAGES, 3]
    assert listed(*names) == names


def test_large_inputs_of_the_network_limit_the_chunks_of_every_kind(tmp_path: Path) -> None:
    spec = replace(SPEC, size=1024)  # 16 of them have CHUNK_BYTES
    images = np.zeros((40, 8, 8), np.uint8)
    np.save(tmp_path / "a.npy", images)
    np.savez(tmp_path / "a.npz", x=images)
    head = bytes((0, 0, 8, 3)) + b"".join(size.to_bytes(4, "big") for size in images.shape)
    (tmp_path / "a-idx3-ubyte").write_bytes(head + images.tobytes())
    (tmp_path / "a-idx3-ubyte.gz").write_bytes(gzip.compress(head + images.tobytes()))
    files = sorted(tmp_path.iterdir())
    if find_spec("pyarrow"):
        pq = pytest.importorskip("pyarrow.parquet")
        pa = pytest.importorskip("pyarrow")
        pq.write_table(pa.table({"image": [b"png"] * 40}), tmp_path / "a.parquet")
        files.append(tmp_path / "a.parquet")
    for file in files:
        assert [len(chunk.names) for chunk in Inputs([str(file)], spec).chunks()] == [16, 16, 8], file


# --- standard input --------------------------------------------------------------------------------------


def test_a_list_one_a_line(tree: Path) -> None:
    assert listed("-", stdin=b"t/b.png\r\n\nt/sub\nlast.png") == [
        *("t/b.png", "t/sub/c.tiff", "t/sub/d.png"),
        "last.png",
    ]
    assert listed("a.png", "-", "b.png", stdin=b"x.png\n") == ["a.png", "x.png", "b.png"]
    assert listed("-", stdin=b"") == []
    for names in (["BMW/1.png", "BMW/2.png"], ["PAR1/a.png"], ["P5/1.png"]):  # as BMP, Parquet and PGM begin
        assert listed("-", stdin="\n".join(names).encode()) == names
        assert listed("-", stdin=b"".join(name.encode() + b"\0" for name in names)) == names


def test_a_list_with_nul_bytes() -> None:
    assert listed("-", stdin=b"a\nb.png\0[c]*.png\0") == ["a\nb.png", "[c]*.png"]
    assert listed("-", stdin=b"\xff\xfe.png\0b.png") == ["\udcff\udcfe.png", "b.png"]


def test_a_list_may_arrive_in_parts() -> None:
    class Slow(io.BytesIO):
        def read1(self, size: int = -1, /) -> bytes:
            return super().read1(min(size, 3))

    found = read_stdin(Slow(b"first.png\nsecond.png\nthird.png"))
    assert list(found) == ["first.png", "second.png", "third.png"]


def test_a_line_that_is_too_long_is_not_a_name() -> None:
    (failed,) = read_stdin(io.BytesIO(b"a" * 10**6))
    assert isinstance(failed, Failed)
    assert "a name of more than 32,768 bytes" in failed.message
    names = list(read_stdin(io.BytesIO(b"a.png\n" + b"b.png\n" * 20_000 + b"c\0d.png\n")))
    assert len(names) == 20_002
    assert isinstance(names[-1], Failed)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM"])
def test_an_image_is_distinguished_from_a_list(kind: str) -> None:
    content = io.BytesIO()
    Image.fromarray(np.zeros((9, 9), np.uint8)).save(content, kind)
    assert read_stdin(io.BytesIO(content.getvalue())) == content.getvalue()
    assert listed("-", stdin=content.getvalue()) == ["-"]


def test_names_that_begin_like_images_are_names() -> None:
    for name in ("P5 copy.png", "BIG.png", "GIFs/a.png", "P5.png"):
        assert listed("-", stdin=f"{name}\n".encode()) == [name]


@pytest.mark.parametrize("head", [b"\x93NUMPY", b"PK\x03\x04", b"PAR1", b"\x1f\x8b", b"\0\0\x08\x03"])
def test_an_array_on_standard_input_is_refused(head: bytes) -> None:
    with pytest.raises(UsageError, match="give its name"):
        listed("-", stdin=head + bytes(20))


def test_invalid_arguments() -> None:
    with pytest.raises(UsageError, match="is given twice"):
        Inputs(["-", "-"], SPEC)
    with pytest.raises(UsageError, match="an argument is empty"):
        Inputs([""], SPEC)
    with pytest.raises(UsageError, match="standard input is closed"):
        list(Inputs(["-"], SPEC).chunks())
