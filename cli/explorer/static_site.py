"""The page as a folder for any file server: the browser preprocesses drawings and runs the graphs."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Final

from infogan_tool.cli.explorer.description import (
    PAGE,
    SITE_FILES,
    content_policy,
    describe,
    examples_png,
    noise_bytes,
)
from infogan_tool.cli.explorer.onnxruntime_web import ORT_PACKAGE, read_package
from infogan_tool.export.atomic_folder import atomic_folder, refuse_taken
from infogan_tool.runtime.bundle.metadata import EXAMPLES_FILE, GRAPH_FILES, METADATA_FILE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from infogan_tool.cli.explorer.data_set import DataSet
    from infogan_tool.runtime import Bundle

_ORT_FILES: Final = {
    "ort.wasm.min.mjs": "ort.js",
    "ort-wasm-simd-threaded.mjs": "ort-wasm.js",
    "ort-wasm-simd-threaded.wasm": "ort-wasm.wasm",
}
"""The files copied from onnxruntime-web; named .js because not every file server knows .mjs."""
_MARK: Final = "bundles/0/noise.bin"
"""A file that every page has and few other folders have; see :func:`refuse_taken`."""
_KIND: Final = "an explorer page"
NOTICE: Final = """\
ort/ is {package}, (c) Microsoft Corporation, MIT licence.
The page is part of infogan-tool, MIT licence.
examples.png holds ten images of the MNIST test set, CC BY-SA 3.0.
"""


def refuse_site(out: Path, *, force: bool) -> None:
    """Refuse an existing folder that may not be replaced; see :func:`refuse_taken`."""
    refuse_taken(out, force=force, mark=_MARK, kind=_KIND)


def write_site(bundles: Sequence[Bundle], out: Path, *, force: bool, data: DataSet | None = None) -> None:
    """Write the page, the bundles' own files and onnxruntime-web into a new folder.

    Args:
        bundles: One, or two to compare.
        out: The folder; it appears once it is complete.
        force: Replace an explorer page at ``out``.
        data: Images of a folder to show, encoded by the first bundle.

    Raises:
        OutputExistsError: ``out`` exists and may not be replaced.
        MissingToolError: npm is not installed, or cannot download the package.
        OSError: A file cannot be written.
    """
    refuse_site(out, force=force)
    with atomic_folder(out, force=force, mark=_MARK, kind=_KIND) as folder:
        (folder / "ort").mkdir()
        for name, content in read_package(_ORT_FILES).items():
            (folder / "ort" / _ORT_FILES[name]).write_bytes(content)
        for name in SITE_FILES:
            shutil.copyfile(PAGE / name, folder / name)
        _add_policy(folder / "index.html")
        for path, content in bundle_files(bundles).items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(content)
        (folder / "NOTICE.txt").write_text(NOTICE.format(package=ORT_PACKAGE), "utf-8")
        for name, content in page_data(bundles, data).items():
            (folder / name).write_bytes(content)


def bundle_files(bundles: Sequence[Bundle]) -> dict[str, bytes]:
    """Return the files of the bundles that a page without a server reads, by their place on it."""
    files: dict[str, bytes] = {}
    for index, bundle in enumerate(bundles):
        folder = f"bundles/{index}"
        files |= {
            f"{folder}/{name}": (bundle.path / name).read_bytes() for name in (*GRAPH_FILES, METADATA_FILE)
        }
        files[f"{folder}/noise.bin"] = noise_bytes(bundle)
        if (examples := examples_png(bundle)) is not None:
            files[f"{folder}/{EXAMPLES_FILE}"] = examples
    return files


def page_data(bundles: Sequence[Bundle], data: DataSet | None) -> dict[str, bytes]:
    """Return model.json, and the files of the images of a folder, where there are some."""
    model = describe(bundles, "browser", data=data is not None)
    files = {"model.json": json.dumps(model, allow_nan=False).encode()}
    return files if data is None else files | {"data.json": data.table, "data.bin": data.pixels}


def _add_policy(index: Path) -> None:
    """Put the content security policy into the page, because a file server sends no such header."""
    text = index.read_text("utf-8")
    first = '<meta charset="utf-8">'
    policy = content_policy("browser")
    index.write_text(
        text.replace(first, f'{first}\n  <meta http-equiv="Content-Security-Policy" content="{policy}">', 1),
        "utf-8",
    )
