"""An output that a killed run leaves so that the next can go on: nothing lost, nothing doubled.

While a run is on its way, ``FILE.part`` is appended to, and ``FILE.part.journal`` says, about once a second,
how many inputs are done and how long the part was then, both on the disk for certain. What a killed run wrote
after that is cut off, and those inputs are done again. In the end the part is renamed, the journal removed.
The journal holds a digest of the names of all inputs done, so that a run with other inputs is refused.
"""

from __future__ import annotations

import json
import os
import time
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from infogan_tool.runtime.errors import OutputExistsError, UsageError
from infogan_tool.runtime.storage.atomic import printable, read_limited, write_atomic

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from infogan_tool.runtime.bulk.inputs.chunks import Chunk

__all__ = ["Resumable", "journal_path", "part_path", "unfinished"]

_VERSION: Final = 1
_SECONDS: Final = 1.0
"""Between two entries of the journal: what a killed run has to do again."""
_LARGEST_JOURNAL: Final = 1 << 20


def part_path(target: Path) -> Path:
    """Return where an output is while it is not whole."""
    return target.with_name(f"{target.name}.part")


def journal_path(target: Path) -> Path:
    """Return where the journal of an output is."""
    return target.with_name(f"{target.name}.part.journal")


def unfinished(targets: Sequence[Path], *, force: bool) -> None:
    """Refuse to begin where a run has left something unfinished; with ``force``, remove that.

    Raises:
        OutputExistsError: There is something and ``force`` is not set; the message names it.
    """
    journal = journal_path(targets[0])
    there = [path for path in (*map(part_path, targets), journal) if os.path.lexists(path)]
    if there and not force:
        ours = "--resume goes on with it" if journal in there else "it has no journal to go on by"
        raise OutputExistsError(there[0], f"a run left it unfinished; {ours}, --force begins anew")
    for path in there:
        path.unlink()


@dataclass(frozen=True, slots=True)
class _Entry:
    """What the journal holds."""

    identity: dict[str, str]
    """What must be the same for the parts to fit together: bundle, format, options."""
    targets: list[str]
    """Names of the outputs."""
    lengths: list[int]
    """Bytes of each part that are whole."""
    inputs: int = 0
    """Inputs that are done, failed ones too."""
    failed: int = 0
    digest: str = ""
    """Of the names of these inputs."""
    complete: bool = False
    """Whether there are no more inputs, and only renaming may be left."""
    version: int = field(default=_VERSION)


@dataclass(frozen=True, slots=True)
class _Done:
    """How far a run is; replaced as one, so that lengths and counts belong together whatever interrupts."""

    lengths: list[int]
    inputs: int
    failed: int
    digest: bytes


class Resumable:
    """One or more outputs that are written together; made by :meth:`open`."""

    def __init__(self, targets: Sequence[Path], entry: _Entry) -> None:
        self._targets = targets
        self._entry = entry
        self._files: list[BinaryIO] = []
        self._done = _Done(entry.lengths, entry.inputs, entry.failed, bytes.fromhex(entry.digest))
        self._resumed_from = entry.inputs
        self._saved = -_SECONDS  # the first chunk at once: however often a run is killed, it gets further

    @property
    def inputs(self) -> int:
        """Inputs that are done, failed ones too."""
        return self._done.inputs

    @property
    def failed(self) -> int:
        """Inputs that failed."""
        return self._done.failed

    @property
    def complete(self) -> bool:
        """Whether the run that left this had only the renaming before it."""
        return self._entry.complete

    @property
    def resumed_from(self) -> int:
        """Inputs that an earlier run did."""
        return self._resumed_from

    @classmethod
    @contextmanager
    def open(
        cls, targets: Sequence[Path], identity: Mapping[str, str], *, resume: bool, force: bool
    ) -> Iterator[Resumable]:
        """Begin outputs, or go on with those of an unfinished run; left open, they stay unfinished.

        Args:
            targets: Where the outputs go in the end; the first has the journal beside it.
            identity: What must be the same for an unfinished run to be gone on with.
            resume: Go on with an unfinished run; begin if there is none.
            force: Begin anew over an unfinished run.

        Raises:
            OutputExistsError: There is an unfinished run and neither is set, or it is not one of ours.
            UsageError: The unfinished run is another's: another bundle, format or option.
            OSError: A file cannot be written.
        """
        journal = journal_path(targets[0])
        fresh = _Entry(dict(identity), [str(target) for target in targets], [0] * len(targets))
        entry = fresh
        if os.path.lexists(journal) and resume:
            entry = _read(journal, fresh)
        else:
            unfinished(targets, force=force)
            write_atomic(journal, json.dumps(asdict(entry)))
        self = cls(targets, entry)
        try:
            if not entry.complete:
                self._open_parts()
            yield self
        finally:
            for file in self._files:
                with suppress(OSError):  # told when it was written
                    file.close()

    def _open_parts(self) -> None:
        for target, length in zip(self._targets, self._entry.lengths, strict=True):
            part = part_path(target)
            if part.is_symlink():
                raise UsageError(f"{part} is a link, and what it leads to is not written: remove it")
            file = part.open("r+b" if length else "w+b")
            self._files.append(file)
            _lock(file, part)
            if file.seek(0, os.SEEK_END) < length:
                raise UsageError(f"{part} is shorter than its journal says: --force begins anew")
            file.truncate(length)
            file.seek(length)

    def rest(self, chunks: Iterable[Chunk]) -> Iterator[Chunk]:
        """Yield the chunks that are still to do.

        Raises:
            UsageError: The inputs that should be done already are not those that were done.
        """
        digest, passed, chunks = b"", 0, iter(chunks)
        while passed < self._entry.inputs:
            chunk = next(chunks, None)
            if chunk is None:
                break
            digest, passed = _chain(digest, chunk), passed + len(chunk.names)
        if passed != self._entry.inputs or digest != self._done.digest:
            raise UsageError(
                f"the inputs are not those of the unfinished run ({part_path(self._targets[0])}): "
                "give the same again, or begin anew with --force"
            )
        yield from chunks

    def add(self, chunk: Chunk, failed: int, *blocks: bytes) -> None:
        """Append what comes of a chunk to each output, in the order of the targets, and count it as done.

        Args:
            chunk: What was read.
            failed: How many of its inputs failed.
            *blocks: One for each target.
        """
        before = self._done
        for file, block in zip(self._files, blocks, strict=True):
            file.write(block)
        self._done = _Done(
            [length + len(block) for length, block in zip(before.lengths, blocks, strict=True)],
            before.inputs + len(chunk.names),
            before.failed + failed,
            _chain(before.digest, chunk),
        )
        if time.monotonic() - self._saved >= _SECONDS:
            self.save()

    def save(self, *, complete: bool = False) -> None:
        """Make certain that all that is done is on the disk, then say so in the journal."""
        done = self._done
        for file in self._files:
            file.flush()
            os.fsync(file.fileno())
        self._entry = replace(
            self._entry,
            lengths=done.lengths,
            inputs=done.inputs,
            failed=done.failed,
            digest=done.digest.hex(),
            complete=complete,
        )
        write_atomic(journal_path(self._targets[0]), json.dumps(asdict(self._entry)))
        self._saved = time.monotonic()

    def finish(self, convert: Callable[[Path, Path], None] | None = None) -> None:
        """Put the outputs in their places.

        Args:
            convert: Writes the first output from its part; None renames it.
        """
        if not self._entry.complete:
            self.save(complete=True)
        for file in self._files:
            file.close()
        # The journal's own output last: while its part is there, this can be done again.
        for place, target in reversed(list(enumerate(self._targets))):
            part = part_path(target)
            if not part.exists():
                continue
            if convert is not None and place == 0:
                convert(part, target)
                part.unlink()
            else:
                part.replace(target)
        journal_path(self._targets[0]).unlink()

    def discard(self, *, keep_others: bool = False) -> None:
        """Remove the first output, of which nothing came; the others too, or put them in their places."""
        for file in self._files:
            file.close()
        for place, target in enumerate(self._targets):
            if place and keep_others:
                part_path(target).replace(target)
            else:
                part_path(target).unlink(missing_ok=True)
        journal_path(self._targets[0]).unlink()


def _chain(digest: bytes, chunk: Chunk) -> bytes:
    names = "\0".join(chunk.names).encode("utf-8", "surrogatepass")
    return blake2b(digest + chunk.fingerprint + b"\0" + names, digest_size=16).digest()


def _read(journal: Path, fresh: _Entry) -> _Entry:
    try:
        data: Any = json.loads(read_limited(journal, _LARGEST_JOURNAL))
        entry = _Entry(**data)
        counts = [*entry.lengths, entry.inputs, entry.failed]
        sound = entry.version == _VERSION and len(entry.lengths) == len(entry.targets)
        sound &= isinstance(entry.identity, dict) and isinstance(entry.complete, bool)
        sound &= all(isinstance(count, int) and count >= 0 for count in counts)
        sound &= all(isinstance(target, str) for target in entry.targets)
        bytes.fromhex(entry.digest)
    except (ValueError, TypeError, RecursionError):
        sound = False
    if not sound:
        raise UsageError(f"{printable(journal)} is no journal of this version: --force begins anew")
    if entry.targets != fresh.targets:
        raise UsageError(
            f"the unfinished run writes {printable(' and '.join(entry.targets))}: name the same, or begin "
            "anew with --force"
        )
    for key, value in fresh.identity.items():
        if entry.identity.get(key) != value:
            raise UsageError(
                f"the unfinished run has another {key} ({printable(entry.identity.get(key))}, now "
                f"{printable(value)}): give the same, or begin anew with --force"
            )
    return entry


def _lock(file: BinaryIO, part: Path) -> None:
    """Refuse a part that another run is writing; the lock ends with its process."""
    try:
        import fcntl  # noqa: PLC0415 - not on Windows
    except ImportError:
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise OutputExistsError(part, "another run is writing it now") from error
    except OSError:
        return  # a file system without locks
