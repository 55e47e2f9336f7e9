"""The writer of strange graphs is the runtime tests' own."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent.parent / "runtime"))
