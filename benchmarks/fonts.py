"""Fonts that the benchmark of reading sets digits and letters in: files of Debian packages.

apt-get install fonts-humor-sans fonts-breip fonts-dkg-handwriting fonts-bwht fonts-klee fonts-rufscript
fonts-ecolier-court fonts-dejavu-core
"""

from __future__ import annotations

import sys
from pathlib import Path

__all__ = ["HANDWRITING", "PRINT", "find_fonts"]

_ROOT = Path("/usr/share/fonts")

HANDWRITING = {
    "Humor Sans": "truetype/humor-sans/Humor-Sans.ttf",
    "Breip": "truetype/breip/Breip.ttf",
    "DKG Handwriting": "truetype/fifthhorseman/dkg.ttf",
    "Because We Connect": "opentype/bwht/BecauseWeConnect-Regular.otf",
    "Klee One": "truetype/klee/KleeOne-Regular.ttf",
    "Rufscript": "truetype/rufscript/Rufscript010.ttf",
    "Ecolier": "truetype/ecolier-court/Ecolier-court.ttf",
}
PRINT = {
    "DejaVu Sans": "truetype/dejavu/DejaVuSans.ttf",
    "DejaVu Serif": "truetype/dejavu/DejaVuSerif.ttf",
    "DejaVu Sans Mono Bold": "truetype/dejavu/DejaVuSansMono-Bold.ttf",
}


def find_fonts(table: dict[str, str]) -> dict[str, Path]:
    """Return the files of fonts by name; ends the process where one is not installed."""
    found = {name: _ROOT / path for name, path in table.items()}
    missing = [name for name, path in found.items() if not path.is_file()]
    if missing:
        sys.exit(f"fonts that are not installed: {', '.join(missing)}; benchmarks/fonts.py says how")
    return found
