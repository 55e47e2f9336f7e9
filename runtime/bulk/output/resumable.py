"""An output that a killed run leaves in a state from which the next run resumes.

During a run, ``FILE.part`` is appended to. About once a second the part is synced to disk, and then
``FILE.part.journal`` records how many inputs are done and how long the part was. A resumed run cuts the part
to that length and continues. At the end the part is renamed to FILE and the journal is removed.

The journal has a digest of the names of all inputs that are done, so a run with other inputs is refused.
"""

from __future__ import annotations

import json
import os
import time
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from infogan_tool.runtime.errors import OutputExistsError, UsageError
from infogan_tool.runtime.storage.atomic import printable, read_limited, write_atomic
from infogan_tool.runtime.storage.locks import only_writer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from infogan_tool.runtime.bulk.inputs.chunks import Chunk

_VERSION: Final = 2
_SAVE_SECONDS: Final = 1.0
"""Time between two entries of the journal: the most work that a killed run loses."""
_MAX_JOURNAL_BYTES: Final = 1 << 20


def part_path(target: Path) -> Path:
    """Return the path of an output while it is incomplete."""
    return target.with_name(f"{target.name}.part")


def journal_path(target: Path) -> Path:
    """Return the path of the journal of an output."""
    return target.with_name(f"{target.name}.part.journal")


def check_unfinished(targets: Sequence[Path]) -> None:
    """Refuse targets for which an unfinished run exists; nothing is changed.

    Raises:
        OutputExistsError: A part or journal exists; the message names it.
    """
    existing = _leftovers(targets)
    if existing:
        fix = "--resume continues it" if journal_path(targets[0]) in existing else "it cannot be resumed"
        raise OutputExistsError(existing[0], f"a run left it unfinished; {fix}, --force starts over")


def remove_unfinished(targets: Sequence[Path]) -> None:
    """Remove the parts and the journal of an unfinished run, if there is one.

    Raises:
        InUseError: The run is still writing them.
    """
    if _leftovers(targets):
        with _lock(targets):
            _unlink(targets)


def _unlink(targets: Sequence[Path]) -> None:
    for path in _leftovers(targets):
        path.unlink()


def _leftovers(targets: Sequence[Path]) -> list[Path]:
    return [path for path in (*map(part_path, targets), journal_path(targets[0])) if os.path.lexists(path)]


@contextmanager
def _lock(targets: Sequence[Path]) -> Iterator[None]:
    target = targets[0]
    with only_writer(target.with_name(f"{target.name}.part.lock"), printable(target)):
        yield


@dataclass(frozen=True, slots=True)
class _Entry:
    """Progress of a run, as the journal has it; replaced as one object, so an interrupt cannot split it."""

    identity: dict[str, str]
    """Bundle, format and options, which must be the same to resume."""
    targets: list[str]
    """Paths of the outputs."""
    lengths: list[int]
    """Bytes of each part."""
    inputs: int = 0
    """Number of inputs that are done, including those that failed."""
    failed: int = 0
    """Number of inputs that failed."""
    digest: str = ""
    """Digest of the names of these inputs."""
    complete: bool = False
    """Whether all inputs are done; then only the renaming is left."""
    version: int = _VERSION


class Resumable:
    """One or more outputs that are written together; made by :meth:`open`."""

    def __init__(self, targets: Sequence[Path], entry: _Entry, *, resumed: bool) -> None:
        self._targets = targets
        self._entry = entry
        self._first = self._last_saved = entry
        self._started = resumed
        self._files: list[BinaryIO] = []
        self._saved = -_SAVE_SECONDS  # the first chunk is saved at once, so every run makes progress
        if resumed and not entry.complete:
            self._open_parts()

    @property
    def inputs(self) -> int:
        """Number of inputs that are done, including those that failed."""
        return self._entry.inputs

    @property
    def saved_inputs(self) -> int:
        """Number of inputs that the journal records, from which a resumed run continues."""
        return self._last_saved.inputs

    @property
    def failed(self) -> int:
        """Number of inputs that failed."""
        return self._entry.failed

    @property
    def complete(self) -> bool:
        """Whether the resumed run had done all inputs and not yet renamed the parts."""
        return self._entry.complete

    @classmethod
    @contextmanager
    def open(
        cls, targets: Sequence[Path], identity: Mapping[str, str], *, resume: bool, force: bool
    ) -> Iterator[Resumable]:
        """Open outputs for writing; unless :meth:`finish` is called, they stay unfinished.

        Nothing is written, and no earlier unfinished run is removed, before the first :meth:`add`.

        Args:
            targets: Paths of the finished outputs; the journal is beside the first.
            identity: What must be the same to resume an unfinished run.
            resume: Resume an unfinished run if there is one.
            force: Start over if there is an unfinished run.

        Raises:
            OutputExistsError: There is an unfinished run and neither flag is set, or it has no journal.
            InUseError: Another process is writing these outputs.
            UsageError: The unfinished run has another identity, or its journal or part is damaged.
            OSError: A file cannot be written.
        """
        with _lock(targets):
            entry = _Entry(dict(identity), [str(target) for target in targets], [0] * len(targets))
            resumed = resume and os.path.lexists(journal_path(targets[0]))
            if resumed:
                entry = _read(journal_path(targets[0]), entry)
            elif not force:
                check_unfinished(targets)
            output = cls(targets, entry, resumed=resumed)
            try:
                yield output
            finally:
                output._close()

    def _start(self) -> None:
        if self._started:
            return
        self._started = True
        _unlink(self._targets)
        write_atomic(journal_path(self._targets[0]), json.dumps(asdict(self._entry)))
        self._open_parts()

    def _open_parts(self) -> None:
        for target, length in zip(self._targets, self._entry.lengths, strict=True):
            part = part_path(target)
            if part.is_symlink():
                raise UsageError(f"{part} is a symbolic link, which is not written to: remove it")
            file = part.open("r+b" if length else "w+b")
            self._files.append(file)
            if file.seek(0, os.SEEK_END) < length:
                self._close()
                raise UsageError(f"{part} is shorter than its journal records: start over with --force")
            file.truncate(length)
            file.seek(length)

    def _close(self) -> None:
        for file in self._files:
            with suppress(OSError):  # it was raised when the file was written
                file.close()

    def remaining(self, chunks: Iterable[Chunk]) -> Iterator[Chunk]:
        """Yield the chunks that are still to do.

        Raises:
            UsageError: The first chunks are not those that the unfinished run has done.
        """
        digest, passed, chunks = "", 0, iter(chunks)
        while passed < self._first.inputs:
            chunk = next(chunks, None)
            if chunk is None:
                break
            digest, passed = _extend_digest(digest, chunk), passed + len(chunk.names)
        if (passed, digest) != (self._first.inputs, self._first.digest):
            raise UsageError(
                f"the inputs are not those of the unfinished run ({part_path(self._targets[0])}): "
                "give the same inputs, or start over with --force"
            )
        yield from chunks

    def add(self, chunk: Chunk, failed: int, *blocks: bytes) -> None:
        """Append the records of a chunk to each output and count its inputs as done.

        Args:
            chunk: The chunk.
            failed: How many of its inputs failed.
            *blocks: Bytes for each target, in order.
        """
        self._start()
        before = self._entry
        for file, block in zip(self._files, blocks, strict=True):
            file.write(block)
        self._entry = replace(
            before,
            lengths=[length + len(block) for length, block in zip(before.lengths, blocks, strict=True)],
            inputs=before.inputs + len(chunk.names),
            failed=before.failed + failed,
            digest=_extend_digest(before.digest, chunk),
        )
        if time.monotonic() - self._saved >= _SAVE_SECONDS:
            self.save()

    def save(self, *, complete: bool = False) -> None:
        """Sync the parts to disk, then record the progress in the journal."""
        self._start()
        for file in self._files:
            file.flush()
            os.fsync(file.fileno())
        self._entry = replace(self._entry, complete=complete)
        write_atomic(journal_path(self._targets[0]), json.dumps(asdict(self._entry)))
        self._last_saved, self._saved = self._entry, time.monotonic()

    def finish(self, convert: Callable[[Path, Path], None] | None = None) -> None:
        """Rename the parts to the outputs, and remove the journal.

        Args:
            convert: Function that writes the first output from its part; None renames the part.
        """
        if not self._entry.complete:
            self.save(complete=True)
        self._close()
        # The first output last: as long as its part exists, a resumed run can repeat this.
        for index, target in reversed(list(enumerate(self._targets))):
            part = part_path(target)
            if not part.exists():
                continue
            if convert is not None and index == 0:
                convert(part, target)
                part.unlink()
            else:
                part.replace(target)
        journal_path(self._targets[0]).unlink()

    def discard(self, *, keep_others: bool = False) -> None:
        """Remove the first output, which has no records; remove the others, or finish them."""
        if not self._started:
            return
        self._close()
        for index, target in enumerate(self._targets):
            if index and keep_others:
                part_path(target).replace(target)
            else:
                part_path(target).unlink(missing_ok=True)
        journal_path(self._targets[0]).unlink(missing_ok=True)


def _extend_digest(digest: str, chunk: Chunk) -> str:
    names = "\0".join(chunk.names).encode("utf-8", "surrogatepass")
    return blake2b(bytes.fromhex(digest) + chunk.fingerprint + b"\0" + names, digest_size=16).hexdigest()


def _read(journal: Path, fresh: _Entry) -> _Entry:
    """Read a journal and check that it fits the entry of the run that is to resume."""
    try:
        data: Any = json.loads(read_limited(journal, _MAX_JOURNAL_BYTES))
        entry = _Entry(**data)
        counts = [*entry.lengths, entry.inputs, entry.failed]
        valid = entry.version == _VERSION and len(entry.lengths) == len(entry.targets)
        valid &= isinstance(entry.identity, dict) and isinstance(entry.complete, bool)
        valid &= all(isinstance(count, int) and count >= 0 for count in counts)
        valid &= all(isinstance(target, str) for target in entry.targets)
        bytes.fromhex(entry.digest)
    except (ValueError, TypeError, RecursionError):
        valid = False
    if not valid:
        raise UsageError(f"{printable(journal)} is not a valid journal: start over with --force")
    if entry.targets != fresh.targets:
        raise UsageError(
            f"the unfinished run writes {printable(' and '.join(entry.targets))}: give the same outputs, or "
            "start over with --force"
        )
    for key, value in fresh.identity.items():
        if entry.identity.get(key) != value:
            raise UsageError(
                f"the unfinished run has another {key} ({printable(entry.identity.get(key))}, now "
                f"{printable(value)}): give the same, or start over with --force"
            )
    return entry
