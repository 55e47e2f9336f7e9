"""Helpers of the tests of bulk encoding."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

__all__ = ["COUNT", "EXAMPLES", "codes", "inputs_done", "lines", "piped", "pixels"]

EXAMPLES = Path(__file__).parents[2] / "examples"
COUNT = 600
"""More than two chunks."""


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


def codes(records: list[dict[str, Any]]) -> list[Any]:
    return [{key: value for key, value in record.items() if key != "path"} for record in records]


def inputs_done(out: Path) -> int:
    """Return the number of inputs in the journal of an unfinished output; -1 without a journal."""
    try:
        return int(json.loads(Path(f"{out}.part.journal").read_text())["inputs"])
    except FileNotFoundError:
        return -1


def piped(*arguments: str | Path, stdin: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "infogan_tool", *map(str, arguments)]
    environment = os.environ | {"CUDA_VISIBLE_DEVICES": "-1"}
    return subprocess.run(command, input=stdin, capture_output=True, check=False, env=environment)
