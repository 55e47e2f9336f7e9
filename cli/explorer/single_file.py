"""The page as one HTML file that opens from disk.

Its modules are ``data:`` addresses in an import map, because a browser loads no module beside a page that has
no server. onnxruntime-web, the graphs and all else are base64 in elements that ``readFile`` of ``files.js``
reads in place of a request, so that the file makes none.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
from typing import TYPE_CHECKING, Final

from infogan_tool.cli.explorer.description import PAGE, SITE_FILES
from infogan_tool.cli.explorer.onnxruntime_web import ORT_PACKAGE, read_package
from infogan_tool.cli.explorer.static_site import NOTICE, bundle_files, page_data
from infogan_tool.runtime.storage.atomic import write_atomic

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from infogan_tool.cli.explorer.data_set import DataSet
    from infogan_tool.runtime import Bundle

_ORT: Final = "ort.wasm.bundle.min.mjs"
_WASM: Final = "ort-wasm-simd-threaded.wasm"
_IMPORT: Final = re.compile(r"""(?<=[\s(])(["'])\./([\w.]+\.js)\1(?=[;)\n])""")
"""A module of the page where another one imports it."""


def write_single_file(bundles: Sequence[Bundle], out: Path, data: DataSet | None = None) -> None:
    """Write the page as one HTML file; ``out`` is replaced.

    Args:
        bundles: One, or two to compare.
        out: The file; its folder must exist.
        data: Images of a folder to show, encoded by the first bundle.

    Raises:
        MissingToolError: npm is not installed, or cannot download onnxruntime-web.
        OSError: The file cannot be written.
    """
    ort = read_package([_ORT, _WASM])
    modules = {
        name: _as_bare((PAGE / name).read_text("utf-8")) for name in SITE_FILES if name.endswith(".js")
    }
    imports = {name: _data("text/javascript", text.encode()) for name, text in modules.items()}
    imports["onnxruntime-web"] = _data("text/javascript", ort[_ORT])
    import_map = json.dumps({"imports": imports})
    start = 'import "theme.js";\nimport "app.js";'
    style = (PAGE / "style.css").read_text("utf-8")
    icon = _data("image/svg+xml", (PAGE / "icon.svg").read_bytes())
    policy = (
        f"default-src 'none'; script-src {_hash(import_map)} {_hash(start)} data: 'wasm-unsafe-eval'; "
        f"style-src {_hash(style)}; img-src data: blob:; base-uri 'none'; form-action 'none'"
    )
    text = (PAGE / "index.html").read_text("utf-8")
    for tag, replacement in {
        '<meta charset="utf-8">': (
            f'<meta charset="utf-8">\n  <meta http-equiv="Content-Security-Policy" content="{policy}">'
        ),
        '<link rel="stylesheet" href="style.css">': f"<style>{style}</style>",
        '<script type="module" src="theme.js"></script>': f'<script type="importmap">{import_map}</script>',
        '<script type="module" src="app.js"></script>': f'<script type="module">{start}</script>',
        'href="icon.svg"': f'href="{icon}"',
        'src="icon.svg"': f'src="{icon}"',
        "</body>": f"{_files(bundles, data, ort[_WASM])}</body>",
    }.items():
        if text.count(tag) != 1:
            raise AssertionError(f"index.html has {text.count(tag)} of {tag}")
        text = text.replace(tag, replacement)
    write_atomic(out, text)


def _files(bundles: Sequence[Bundle], data: DataSet | None, wasm: bytes) -> str:
    """Return the elements that hold what the page reads."""
    files = {
        **page_data(bundles, data),
        "examples.png": (PAGE / "examples.png").read_bytes(),
        "ort/ort-wasm.wasm": wasm,
        **bundle_files(bundles),
    }
    notice = NOTICE.format(package=ORT_PACKAGE).replace("ort/", "onnxruntime-web in this file")
    parts = {path: _base64(gzip.compress(content, mtime=0)) for path, content in files.items()}
    elements = [
        f'<script type="application/octet-stream" id="file:{path}">{part}</script>'
        for path, part in parts.items()
    ]
    return "\n".join([f"<!--\n{notice}-->", *elements, ""])


def _as_bare(module: str) -> str:
    """Return a module whose imports name other modules as the import map does."""
    return _IMPORT.sub(r"\1\2\1", module)


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")


def _data(media_type: str, content: bytes) -> str:
    return f"data:{media_type};base64,{_base64(content)}"


def _hash(script: str) -> str:
    """Return the source of an inline script or style in a content security policy."""
    return f"'sha256-{_base64(hashlib.sha256(script.encode()).digest())}'"
