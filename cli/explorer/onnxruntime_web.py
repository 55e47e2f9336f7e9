"""onnxruntime-web, which runs the graphs in the browser: its files, taken from its npm package."""

from __future__ import annotations

import base64
import hashlib
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from infogan_tool.runtime.errors import MissingToolError
from infogan_tool.runtime.storage.atomic import printable

if TYPE_CHECKING:
    from collections.abc import Iterable

ORT_PACKAGE: Final = "onnxruntime-web@1.30.0"
"""The npm package that runs the graphs in the browser, by WebAssembly."""

_ORT_SHA512: Final = (
    "q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ=="
)
"""The package's digest, as in npm's lock files; a package with another digest is refused."""
_NPM_SECONDS: Final = 300


def read_package(names: Iterable[str]) -> dict[str, bytes]:
    """Return files of the package's folder ``dist`` by name; none of its scripts is run.

    Raises:
        MissingToolError: npm is not installed, or cannot download the package.
    """
    found = {}
    with tempfile.TemporaryDirectory() as scratch:
        archive = _download(Path(scratch))
        with tarfile.open(archive) as package:
            for name in names:
                content = package.extractfile(f"package/dist/{name}")
                if content is None:
                    raise MissingToolError(f"{ORT_PACKAGE} has no {name}")
                with content:
                    found[name] = content.read()
    return found


def _download(scratch: Path) -> Path:
    """Return the package's archive, its digest checked."""
    npm = shutil.which("npm")
    if npm is None:
        raise MissingToolError(
            f"--export needs {ORT_PACKAGE} from npm, which is not installed: install Node.js"
        )
    command = [npm, "pack", ORT_PACKAGE, "--loglevel=error", "--pack-destination", str(scratch)]
    try:
        done = subprocess.run(  # noqa: S603 - npm itself, with arguments of ours
            command, cwd=scratch, capture_output=True, text=True, timeout=_NPM_SECONDS, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise MissingToolError(f"npm could not download {ORT_PACKAGE} within {_NPM_SECONDS} s") from error
    archives = list(scratch.glob("*.tgz"))
    if done.returncode or len(archives) != 1:
        lines = [line for line in done.stderr.splitlines() if line.startswith("npm error")]
        reason = printable((lines or ["no reason given"])[0].removeprefix("npm error").strip())
        raise MissingToolError(f"npm cannot download {ORT_PACKAGE}: {reason}")
    digest = base64.b64encode(hashlib.sha512(archives[0].read_bytes()).digest()).decode("ascii")
    if digest != _ORT_SHA512:
        raise MissingToolError(f"the digest of the downloaded {ORT_PACKAGE} differs from the expected one")
    return archives[0]
