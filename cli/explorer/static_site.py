"""The page as a folder for any file server: the browser preprocesses drawings and runs the graphs."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from infogan_tool.cli.explorer.description import PAGE, PAGE_FILES, content_policy, describe, noise_bytes
from infogan_tool.export.atomic_folder import atomic_folder, refuse_taken
from infogan_tool.runtime.bundle.metadata import GRAPH_FILES, METADATA_FILE
from infogan_tool.runtime.errors import MissingToolError
from infogan_tool.runtime.storage.atomic import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from infogan_tool.runtime import Bundle

ORT_PACKAGE: Final = "onnxruntime-web@1.30.0"
"""The npm package that runs the graphs in the browser, by WebAssembly."""

_ORT_SHA512: Final = (
    "q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ=="
)
"""The package's digest, as in npm's lock files; a package with another digest is refused."""
_ORT_FILES: Final = {
    "package/dist/ort.wasm.min.mjs": "ort.js",
    "package/dist/ort-wasm-simd-threaded.mjs": "ort-wasm.js",
    "package/dist/ort-wasm-simd-threaded.wasm": "ort-wasm.wasm",
}
"""The files copied from it; named .js because not every file server knows .mjs."""
_MARK: Final = "bundles/0/noise.bin"
"""A file that every page has and few other folders have; see :func:`refuse_taken`."""
_NPM_SECONDS: Final = 300
_NOTICE: Final = """\
ort/ is {package}, (c) Microsoft Corporation, MIT licence.
The page is part of infogan-tool, MIT licence.
examples.png holds ten images of the MNIST test set, CC BY-SA 3.0.
"""


def write_site(bundles: Sequence[Bundle], out: Path, *, force: bool) -> None:
    """Write the page, the bundles' own files and onnxruntime-web into a new folder.

    Args:
        bundles: One, or two to compare.
        out: The folder; it appears once it is complete.
        force: Replace an explorer page at ``out``.

    Raises:
        OutputExistsError: ``out`` exists and may not be replaced.
        MissingToolError: npm is not installed, or cannot download the package.
        OSError: A file cannot be written.
    """
    kind = {"mark": _MARK, "kind": "an explorer page"}
    refuse_taken(out, force=force, **kind)
    with atomic_folder(out, force=force, **kind) as folder:
        _add_ort(folder / "ort")
        for name in PAGE_FILES:
            shutil.copyfile(PAGE / name, folder / name)
        _add_policy(folder / "index.html")
        for index, bundle in enumerate(bundles):
            place = folder / "bundles" / str(index)
            place.mkdir(parents=True)
            for file in (*GRAPH_FILES, METADATA_FILE):
                shutil.copyfile(bundle.path / file, place / file)
            (place / "noise.bin").write_bytes(noise_bytes(bundle))
        (folder / "NOTICE.txt").write_text(_NOTICE.format(package=ORT_PACKAGE), "utf-8")
        (folder / "model.json").write_text(json.dumps(describe(bundles, "browser"), allow_nan=False), "utf-8")


def _add_policy(index: Path) -> None:
    """Put the content security policy into the page, because a file server sends no such header."""
    text = index.read_text("utf-8")
    first = '<meta charset="utf-8">'
    policy = content_policy("browser")
    index.write_text(
        text.replace(first, f'{first}\n  <meta http-equiv="Content-Security-Policy" content="{policy}">', 1),
        "utf-8",
    )


def _add_ort(folder: Path) -> None:
    """Copy onnxruntime-web's files from its npm package; none of its scripts is run."""
    folder.mkdir()
    with tempfile.TemporaryDirectory() as scratch:
        archive = _download(Path(scratch))
        with tarfile.open(archive) as package:
            for name, as_name in _ORT_FILES.items():
                content = package.extractfile(name)
                if content is None:
                    raise MissingToolError(f"{ORT_PACKAGE} has no {name}")
                with content, (folder / as_name).open("wb") as file:
                    shutil.copyfileobj(content, file)


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
