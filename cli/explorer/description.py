"""What the page is told of a bundle before anything is drawn: ``model.json`` and the noise."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from infogan_tool import __version__
from infogan_tool.cli.explorer.api import most_images
from infogan_tool.runtime.bundle.bundle import PRETRAINED_BUNDLE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from infogan_tool.runtime import Bundle

__all__ = ["NOISE_SEED", "PAGE", "PAGE_FILES", "Inference", "content_policy", "describe", "noise_bytes"]

Inference = Literal["server", "browser"]
"""Who runs the graphs: the Python runtime behind the page, or the page itself."""

NOISE_SEED: Final = 0
"""The page's noise number i is the noise of image i of this seed, as ``generate --seed 0`` draws it."""

PAGE: Final = Path(__file__).parent / "page"
"""The folder of the page's files."""

PAGE_FILES: Final = (
    "index.html",
    "style.css",
    "icon.svg",
    "app.js",
    "backend_browser.js",
    "backend_server.js",
    "card.js",
    "codes.js",
    "drawing.js",
    "examples.js",
    "examples.png",
    "figure.js",
    "gif.js",
    "lab.js",
    "link.js",
    "numbers.js",
    "pad.js",
    "paper.js",
    "images.js",
    "prepare.js",
    "resample.js",
    "theme.js",
    "walk.js",
)
"""Every file of the page, so that nothing else of the folder is ever served or copied."""

_MAX_NOISES: Final = 256
_MAX_NOISE_BYTES: Final = 1 << 20


def content_policy(inference: Inference) -> str:
    """Return the page's content security policy: nothing from elsewhere, no script or style in the page."""
    scripts = "'self' 'wasm-unsafe-eval'" if inference == "browser" else "'self'"
    return (
        f"default-src 'none'; script-src {scripts}; style-src 'self'; img-src 'self' blob: data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'"
    )


def describe(bundles: Sequence[Bundle], inference: Inference) -> dict[str, Any]:
    """Return the content of ``model.json``: who answers, and what each bundle says of itself."""
    return {
        "inference": inference,
        "tool_version": __version__,
        "noise_seed": NOISE_SEED,
        "bundles": [_describe(bundle) for bundle in bundles],
    }


def noise_bytes(bundle: Bundle) -> bytes:
    """Return the noise of images 0, 1, ... of the seed: little-endian float32, a row for each image."""
    return bundle.sample(_noises(bundle), NOISE_SEED).noise.astype("<f4").tobytes()


def _noises(bundle: Bundle) -> int:
    """Return how many noise vectors the page gets: 256, fewer where they are very wide, 1 where empty."""
    if not bundle.latent.noise:
        return 1
    return max(1, min(_MAX_NOISES, _MAX_NOISE_BYTES // (4 * bundle.latent.noise)))


def _describe(bundle: Bundle) -> dict[str, Any]:
    shipped = bundle.path.resolve() == PRETRAINED_BUNDLE.resolve()
    return {
        "name": bundle.path.resolve().name,
        "shipped": shipped,
        "noises": _noises(bundle),
        "most_images": most_images(bundle),
        "codes": {
            "categorical": list(bundle.latent.categorical_names),
            "continuous": list(bundle.latent.continuous_names),
        },
        "metadata": bundle.metadata.to_dict(),
    }
