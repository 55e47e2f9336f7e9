"""Edit a bundle's metadata."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["edit"]


def edit(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Rewrite a bundle's metadata by ``change``."""
    path = folder / "metadata.json"
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))
