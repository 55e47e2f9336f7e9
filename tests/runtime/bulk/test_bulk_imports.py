"""Modules that bulk encoding imports, tested in a new process."""

from __future__ import annotations

import subprocess
import sys


def modules_after(code: str) -> set[str]:
    script = f"{code}\nimport sys\nprint(*sys.modules, sep='\\n')"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, text=True)
    return set(done.stdout.split())


def test_no_module_imports_an_extra_or_onnxruntime() -> None:
    code = """
import pkgutil, infogan_tool.runtime.bulk as bulk
for module in pkgutil.walk_packages(bulk.__path__, "infogan_tool.runtime.bulk."):
    __import__(module.name)
"""
    found = {name.partition(".")[0] for name in modules_after(code)}
    assert not found & {"pyarrow", "ray", "pandas", "torch", "onnxruntime", "typer", "rich"}


def test_a_few_files_import_nothing_more() -> None:
    code = """
import contextlib, io
from infogan_tool.runtime.images.files import save_png
import numpy as np, tempfile, pathlib
with tempfile.TemporaryDirectory() as folder:
    path = pathlib.Path(folder) / "a.png"
    save_png(path, np.zeros((28, 28), np.uint8))
    from infogan_tool.cli.encode.run import encode_paths
    with contextlib.redirect_stdout(io.StringIO()):
        assert encode_paths([str(path)]) == 0
"""
    bulk = {
        name.rpartition(".")[2]
        for name in modules_after(code)
        if name.startswith("infogan_tool.runtime.bulk.")
    }
    assert bulk == {
        "decode",
        "encode",
        "inputs",
        "output",
        "chunks",
        "columns",
        "deadline",
        "decoding",
        "encoded",
        "formats",
    }
