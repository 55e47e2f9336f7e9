"""Resumable outputs: what is cut, what is refused, and which files remain."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from infogan_tool.runtime.bulk.inputs.chunks import FileChunk
from infogan_tool.runtime.bulk.output.resumable import Resumable, journal_path, part_path
from infogan_tool.runtime.errors import InUseError, OutputExistsError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CHUNKS = [FileChunk([f"{i}-{j}\udcff" for j in range(3)], {}) for i in range(5)]
SAME = {"bundle": "b"}


class Interrupting(FileChunk):
    """A chunk during which Ctrl-C is pressed: its records are written, but not yet counted."""

    @property
    def fingerprint(self) -> bytes:  # type: ignore[override]
        raise KeyboardInterrupt

    @fingerprint.setter
    def fingerprint(self, value: bytes) -> None: ...


def run(
    target: Path,
    stop: int | None = None,
    *,
    chunks: list[FileChunk] = CHUNKS,
    saved: bool = False,
    **options: bool,
) -> None:
    """Write each chunk's names; after ``stop`` of them end as a killed run does, with an incomplete line.

    ``saved`` is how an interrupted run ends, which saves what is done before it goes.
    """
    flags = {"resume": False, "force": False} | options
    with Resumable.open([target, target.with_suffix(".err")], SAME, **flags) as out:
        for number, chunk in enumerate(out.remaining(iter(chunks))):
            if number == stop:
                with suppress(KeyboardInterrupt):
                    out.add(Interrupting(chunk.names, {}), 1, b"torn li", b"{")
                if saved:
                    out.save()
                return
            out.add(chunk, 1, "".join(f"{name!a}\n" for name in chunk.names).encode(), b"e\n")
            out.save()
        out.finish()


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "out.jsonl"


@pytest.fixture
def uninterrupted(tmp_path: Path) -> tuple[bytes, bytes]:
    run(tmp_path / "uninterrupted.jsonl")
    return (tmp_path / "uninterrupted.jsonl").read_bytes(), (tmp_path / "uninterrupted.err").read_bytes()


def files(target: Path) -> Iterator[str]:
    return (path.name for path in target.parent.iterdir() if not path.name.startswith("uninterrupted"))


@pytest.mark.parametrize("saved", [False, True])
@pytest.mark.parametrize("stop", range(5))
def test_resumes_after_the_last_save(
    target: Path, uninterrupted: tuple[bytes, bytes], stop: int, *, saved: bool
) -> None:
    run(target, stop, saved=saved)
    assert sorted(files(target)) == ["out.err.part", "out.jsonl.part", "out.jsonl.part.journal"]
    assert part_path(target).read_bytes().endswith(b"torn li")
    run(target, 1, resume=True)
    run(target, resume=True)
    assert (target.read_bytes(), target.with_suffix(".err").read_bytes()) == uninterrupted
    assert sorted(files(target)) == ["out.err", "out.jsonl"]


def test_counts_are_resumed(target: Path) -> None:
    run(target, 3)
    with Resumable.open([target, target.with_suffix(".err")], SAME, resume=True, force=False) as out:
        assert (out.inputs, out.failed, out.complete) == (9, 3, False)


def test_starts_over_only_with_force(target: Path, uninterrupted: tuple[bytes, bytes]) -> None:
    run(target, 2)
    with pytest.raises(OutputExistsError, match=r"out\.jsonl\.part already exists: a run left it unfinished"):
        run(target)
    run(target, force=True)
    assert target.read_bytes() == uninterrupted[0]


def test_resume_without_an_unfinished_run_starts(target: Path, uninterrupted: tuple[bytes, bytes]) -> None:
    run(target, resume=True)
    assert target.read_bytes() == uninterrupted[0]


@pytest.mark.parametrize(
    "chunks",
    [
        CHUNKS[1:],
        CHUNKS[:1],
        [FileChunk(["x", *CHUNKS[0].names], {}), *CHUNKS[1:]],
        [FileChunk(CHUNKS[0].names, {}, b"another time"), *CHUNKS[1:]],
        [FileChunk([*CHUNKS[0].names, *CHUNKS[1].names, *CHUNKS[2].names], {}), *CHUNKS[3:]],
    ],
    ids=["less", "fewer", "more", "changed", "cut otherwise"],
)
def test_other_inputs_are_refused_and_nothing_is_changed(
    target: Path, uninterrupted: tuple[bytes, bytes], chunks: list[FileChunk]
) -> None:
    run(target, 2)
    with pytest.raises(UsageError, match="the inputs are not those of the unfinished run"):
        run(target, resume=True, chunks=chunks)
    run(target, resume=True)
    assert target.read_bytes() == uninterrupted[0]


def test_another_bundle_or_output_is_refused(target: Path) -> None:
    run(target, 2)
    for targets, identity, message in (
        ([target, target.with_suffix(".err")], {"bundle": "c"}, r"has another bundle \(b, now c\)"),
        ([target], SAME, "the unfinished run writes .*out.jsonl and .*out.err: give the same outputs"),
    ):
        with (
            pytest.raises(UsageError, match=message),
            Resumable.open(targets, identity, resume=True, force=False),
        ):
            pass


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"version": 2}', b"\xff", b"[" * 10**5])
def test_an_invalid_journal_is_refused(target: Path, content: bytes) -> None:
    run(target, 2)
    journal_path(target).write_bytes(content)
    with pytest.raises(UsageError, match="is not a valid journal: start over with --force"):
        run(target, resume=True)


def test_a_part_without_journal_or_truncated_is_refused(target: Path) -> None:
    run(target, 2)
    part_path(target).write_bytes(b"")
    with pytest.raises(UsageError, match="is shorter than its journal records"):
        run(target, resume=True)
    journal_path(target).unlink()
    with pytest.raises(OutputExistsError, match="it cannot be resumed"):
        run(target, resume=True)


def test_killed_between_the_last_save_and_the_last_rename(
    target: Path, uninterrupted: tuple[bytes, bytes]
) -> None:
    outputs = [target, target.with_suffix(".err")]
    for renamed in (0, 1, 2):
        run(target, 4)
        with Resumable.open(outputs, SAME, resume=True, force=False) as out:
            for chunk in out.remaining(iter(CHUNKS)):
                out.add(chunk, 1, "".join(f"{name!a}\n" for name in chunk.names).encode(), b"e\n")
            out.save(complete=True)
        for output in outputs[::-1][:renamed]:
            part_path(output).replace(output)
        with Resumable.open(outputs, SAME, resume=True, force=False) as out:
            assert out.complete
            out.finish()
        assert (target.read_bytes(), outputs[1].read_bytes()) == uninterrupted
        assert sorted(files(target)) == ["out.err", "out.jsonl"]
        for output in outputs:
            output.unlink()


def test_two_runs_at_once_are_refused(target: Path) -> None:
    with Resumable.open([target], SAME, resume=False, force=False) as out:
        out.save()
        with (
            pytest.raises(InUseError, match=r"out\.jsonl is being written by another infogan-tool"),
            Resumable.open([target], SAME, resume=True, force=False),
        ):
            pass


def test_the_journal_never_exceeds_the_part(target: Path) -> None:
    with Resumable.open([target], SAME, resume=False, force=False) as out:
        for chunk in CHUNKS:
            out.add(chunk, 0, b"x" * 1000)
            claimed = json.loads(journal_path(target).read_text())
            assert part_path(target).stat().st_size >= claimed["lengths"][0]
            assert claimed["inputs"] <= out.inputs
            assert claimed["lengths"][0] == 1000 * claimed["inputs"] // 3
