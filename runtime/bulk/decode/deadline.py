"""No image is waited for longer than a minute, whatever its decoder does with it.

What bounds an image's bytes and pixels bounds its time too (the worst of the known formats, text of 134 MB,
takes a quarter of that); this is for what nobody knows yet. In a process of its own a decoder that does not
come back is ended with it; in the process of a short run it is left behind in its thread.
"""

from __future__ import annotations

import faulthandler
import os
import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from infogan_tool.runtime.errors import ImageError
from infogan_tool.runtime.images.files import read_image
from infogan_tool.runtime.images.formats import name_of

if TYPE_CHECKING:
    from typing import BinaryIO

    import numpy as np
    import numpy.typing as npt

    from infogan_tool.runtime.images.spec import ImageSpec

__all__ = ["SECONDS", "EndsInTime", "read_in_time", "too_slow"]

SECONDS: Final = 60.0
"""What reading one image may take."""


def too_slow(name: str, seconds: float) -> str:
    """Return the line for an image that was given up; ``name`` is printable."""
    return f"{name}: reading it takes longer than {seconds:g} seconds"


def read_in_time(
    source: str | Path | bytes | BinaryIO, spec: ImageSpec, *, raw: bool, seconds: float = SECONDS
) -> npt.NDArray[np.uint8]:
    """Return what ``read_image`` returns, from a thread that is left behind if it takes too long.

    Raises:
        ImageError: As there, or it takes longer than ``seconds``.
    """
    found: list[Any] = []

    def work() -> None:
        try:
            found.append(read_image(source, spec, raw=raw))
        except BaseException as error:  # noqa: BLE001 - raised again by the thread that waits
            found.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(seconds)
    if not found:
        raise ImageError(too_slow(name_of(source), seconds))
    if isinstance(found[0], BaseException):
        raise found[0]
    image: npt.NDArray[np.uint8] = found[0]
    return image


class EndsInTime:
    """Reads images in a process that dies of one which takes too long: a timer of the system's ends it.

    Args:
        seconds: What one image may take.
    """

    died_of: Final = -signal.SIGALRM if os.name == "posix" else 1
    """The return code of such a process."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        if os.name == "posix":
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
        else:
            self._nowhere = Path(os.devnull).open("w")  # noqa: SIM115 - as long as the process

    def read(
        self, source: str | Path | bytes | BinaryIO, spec: ImageSpec, *, raw: bool
    ) -> npt.NDArray[np.uint8]:
        """Return what ``read_image`` returns."""
        self._begin(self._seconds)
        try:
            return read_image(source, spec, raw=raw)
        finally:
            self._begin(0)

    def _begin(self, seconds: float) -> None:
        if os.name == "posix":
            signal.setitimer(signal.ITIMER_REAL, seconds)
        elif seconds:
            faulthandler.dump_traceback_later(seconds, exit=True, file=self._nowhere)
        else:
            faulthandler.cancel_dump_traceback_later()
