"""Kill this process, as with ``kill -9``, at its n-th change of the files under a folder.

Calls that change files are counted on their way to the system; no code of the tool is replaced.
"""

from __future__ import annotations

import builtins
import io
import os
import signal
import sys
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

_CHANGES = ("os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.symlink", "os.truncate")


class Faults:
    """Counts changes of files under ``folder``; before number ``fatal`` the process is killed.

    Half of a fatal write is written, so that the file has a part of it.
    """

    def __init__(self, folder: Path, fatal: int | None) -> None:
        self.seen: list[str] = []
        self._folder, self._fatal = f"{folder.absolute()}{os.sep}", fatal
        self._open, self._fsync = io.open, os.fsync

    def install(self) -> None:
        """Start to count; this cannot be undone."""
        sys.addaudithook(self._audit)
        os.fsync = self._counted_fsync  # type: ignore[assignment]
        io.open = builtins.open = self._counted_open  # type: ignore[assignment]

    def count(self, what: str, half: Callable[[], None] | None = None) -> None:
        """Count one change, and kill this process if it is the fatal one."""
        self.seen.append(what)
        if len(self.seen) == self._fatal:
            if half is not None:
                half()
            os.kill(os.getpid(), signal.SIGKILL)

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event in _CHANGES:
            path, in_folder = arguments[0], -1
            if event in ("os.remove", "os.rmdir"):
                in_folder = arguments[1]
            if in_folder != -1 or self._is_watched(path):
                self.count(f"{event.removeprefix('os.')} {named(path)}")
        elif event == "open":
            path, _, flags = arguments
            if flags & (os.O_WRONLY | os.O_RDWR) and self._is_watched(path):
                self.count(f"open {named(path)}")
        elif event == "ctypes.dlsym" and arguments[1] == "renameat2":
            self.count("renameat2")

    def _is_watched(self, path: object) -> bool:
        if not isinstance(path, (str, bytes, os.PathLike)):
            return False
        return os.path.abspath(os.fsdecode(path)).startswith(self._folder)  # noqa: PTH100 - as the system has it

    def _counted_fsync(self, descriptor: int) -> None:
        self.count("fsync")
        self._fsync(descriptor)

    def _counted_open(self, file: Any, mode: str = "r", *args: Any, **more: Any) -> Any:  # noqa: ANN401 - open()
        opened = self._open(file, mode, *args, **more)
        return _Counted(opened, self) if set(mode) & set("wax+") and self._is_watched(file) else opened


class _Counted:
    """A file whose writes are counted."""

    def __init__(self, file: Any, faults: Faults) -> None:  # noqa: ANN401 - any file
        self._file, self._faults = file, faults

    def __getattr__(self, name: str) -> object:
        return getattr(self._file, name)

    def __enter__(self) -> Self:
        self._file.__enter__()
        return self

    def __exit__(self, *error: object) -> object:
        return self._file.__exit__(*error)

    def write(self, data: bytes | str) -> object:
        def half() -> None:
            self._file.write(data[: len(data) // 2])
            self._file.flush()

        self._faults.count("write", half)
        return self._file.write(data)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)


def named(path: str | bytes) -> str:
    return os.fsdecode(path).rpartition(os.sep)[2]
