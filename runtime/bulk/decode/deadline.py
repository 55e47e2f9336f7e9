"""A time limit per image, for files that make a decoder run for very long.

The limits on bytes and pixels already limit the time: the slowest known file, 134 MB of text, takes 15 s. In
bulk runs, the decoding process is ended; in a short run, the decoder is abandoned in its thread.
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

SECONDS: Final = 60.0
"""Time limit of one image."""


def timeout_message(name: str, seconds: float) -> str:
    """Return the error message of an image that exceeds the limit; ``name`` is printable."""
    return f"{name}: reading it takes longer than {seconds:g} seconds"


def read_with_timeout(
    source: str | Path | bytes | BinaryIO, spec: ImageSpec, *, raw: bool, seconds: float = SECONDS
) -> npt.NDArray[np.uint8]:
    """Call ``read_image`` in a thread, which is abandoned if it takes too long.

    Raises:
        ImageError: As in ``read_image``, or it takes longer than ``seconds``.
    """
    results: list[Any] = []

    def work() -> None:
        try:
            results.append(read_image(source, spec, raw=raw))
        except BaseException as error:  # noqa: BLE001 - raised again by the waiting thread
            results.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(seconds)
    if not results:
        raise ImageError(timeout_message(name_of(source), seconds))
    if isinstance(results[0], BaseException):
        raise results[0]
    image: npt.NDArray[np.uint8] = results[0]
    return image


class TimedReader:
    """Reads images in a process that a system timer ends if one takes too long.

    Args:
        seconds: Time limit of one image.
    """

    timeout_code: Final = -signal.SIGALRM if os.name == "posix" else 1
    """Return code of a process that the timer ended."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        if os.name == "posix":
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
        else:
            self._null = Path(os.devnull).open("w")  # noqa: SIM115 - open until the process ends

    def read(
        self, source: str | Path | bytes | BinaryIO, spec: ImageSpec, *, raw: bool
    ) -> npt.NDArray[np.uint8]:
        """Call ``read_image``."""
        self._set_timer(self._seconds)
        try:
            return read_image(source, spec, raw=raw)
        finally:
            self._set_timer(0)

    def _set_timer(self, seconds: float) -> None:
        if os.name == "posix":
            signal.setitimer(signal.ITIMER_REAL, seconds)
        elif seconds:
            faulthandler.dump_traceback_later(seconds, exit=True, file=self._null)
        else:
            faulthandler.cancel_dump_traceback_later()
