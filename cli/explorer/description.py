"""The page's static data: its files, its security policy, ``model.json`` and the noise of each bundle."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from infogan_tool.cli.explorer.api import max_images
from infogan_tool.runtime.bundle.bundle import PRETRAINED_BUNDLE
from infogan_tool.runtime.bundle.metadata import EXAMPLES_FILE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from infogan_tool.runtime import Bundle

Inference = Literal["server", "browser"]
"""Where the graphs run: in the server's runtime, or in the browser."""

NOISE_SEED: Final = 0
"""Noise number i of the page is the noise of image i of ``generate --seed 0``."""

PAGE: Final = Path(__file__).parent / "page"
"""The folder of the page's files."""

PAGE_TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
}
"""Media types of the page's files; nothing else of the folder is served or copied."""

PAGE_FILES: Final = tuple(sorted(path.name for path in PAGE.iterdir() if path.suffix in PAGE_TYPES))
"""Names of the page's files, and of those of the page of a training."""

SITE_FILES: Final = tuple(name for name in PAGE_FILES if not name.startswith(("watch", "charts", "effects")))
"""Those that a page without a server needs."""

_MAX_NOISE_COUNT: Final = 256
_MAX_NOISE_BYTES: Final = 1 << 20


def content_policy(inference: Inference) -> str:
    """Return the page's content security policy: its own files only, no inline script or style."""
    scripts = "'self' 'wasm-unsafe-eval'" if inference == "browser" else "'self'"
    return (
        f"default-src 'none'; script-src {scripts}; style-src 'self'; img-src 'self' blob: data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'"
    )


def describe(
    bundles: Sequence[Bundle], inference: Inference, *, data: bool = False, naming: bool = False
) -> dict[str, Any]:
    """Return the content of ``model.json``: where the graphs run, and the description of each bundle.

    Args:
        bundles: One, or two to compare.
        inference: Where the graphs run.
        data: Whether the page shows the images of a folder.
        naming: Whether the page may name categories and styles.
    """
    return {
        "inference": inference,
        "data": data,
        "noise_seed": NOISE_SEED,
        "bundles": [
            _describe(bundle) | {"nameable": naming and not _is_pretrained(bundle)} for bundle in bundles
        ],
    }


def noise_bytes(bundle: Bundle) -> bytes:
    """Return the noise of images 0, 1, ... of the seed: little-endian float32, a row for each image."""
    return bundle.sample(_noise_count(bundle), NOISE_SEED).noise.astype("<f4").tobytes()


def examples_png(bundle: Bundle) -> bytes | None:
    """Return the example images of a bundle, side by side; None where it has none.

    Raises:
        BundleError: Their file is missing, damaged or another one.
    """
    if not len(bundle.examples()):  # also checks the file
        return None
    return (bundle.path / EXAMPLES_FILE).read_bytes()


def _noise_count(bundle: Bundle) -> int:
    """Return how many noise vectors the page gets: 256, fewer where they are wide, 1 where they are empty."""
    if not bundle.latent.noise:
        return 1
    return max(1, min(_MAX_NOISE_COUNT, _MAX_NOISE_BYTES // (4 * bundle.latent.noise)))


def _describe(bundle: Bundle) -> dict[str, Any]:
    return {
        "name": bundle.path.resolve().name,
        "pretrained": _is_pretrained(bundle),
        "noise_count": _noise_count(bundle),
        "max_images": max_images(bundle),
        "codes": {
            "categorical": list(bundle.latent.categorical_names),
            "continuous": list(bundle.latent.continuous_names),
        },
        "metadata": bundle.metadata.to_dict(),
    }


def _is_pretrained(bundle: Bundle) -> bool:
    """Return whether a bundle is part of the installation."""
    return bundle.path.resolve().is_relative_to(PRETRAINED_BUNDLE.parent.resolve())
