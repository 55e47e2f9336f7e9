"""Inference with numpy, Pillow and onnxruntime: image to code, code to image. Never imports torch.

>>> from infogan_tool.runtime import load_bundle, to_uint8
>>> bundle = load_bundle()  # the bundle that ships
>>> images = bundle.generate(bundle.sample(16, seed=0))  # (16, 1, 28, 28) float32
>>> posterior = bundle.encode(images)
>>> posterior.categories[:, 0]  # the category that Q recovers from each picture
>>> to_uint8(images, bundle.image)  # (16, 28, 28, 1) uint8

The names are resolved when they are first used, so that importing one module never imports onnxruntime.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from infogan_tool.runtime.bundle import Bundle, Posterior, load_bundle
    from infogan_tool.runtime.contract import (
        BundleMetadata,
        Familiarity,
        ImageSpec,
        Preparation,
        read_metadata,
    )
    from infogan_tool.runtime.device import Device
    from infogan_tool.runtime.errors import (
        BundleError,
        DeviceError,
        InfoganError,
        LatentError,
        PictureError,
    )
    from infogan_tool.runtime.images import as_png, load_picture, read_picture, save_png
    from infogan_tool.runtime.latent import LatentSpec
    from infogan_tool.runtime.pixels import sheet, to_uint8
    from infogan_tool.runtime.sampling import Latents, Traversal

__all__ = [
    "Bundle",
    "BundleError",
    "BundleMetadata",
    "Device",
    "DeviceError",
    "Familiarity",
    "ImageSpec",
    "InfoganError",
    "LatentError",
    "LatentSpec",
    "Latents",
    "PictureError",
    "Posterior",
    "Preparation",
    "Traversal",
    "as_png",
    "load_bundle",
    "load_picture",
    "read_metadata",
    "read_picture",
    "save_png",
    "sheet",
    "to_uint8",
]

_HOMES: Final = {
    "bundle": ("Bundle", "Posterior", "load_bundle"),
    "contract": ("BundleMetadata", "Familiarity", "ImageSpec", "Preparation", "read_metadata"),
    "device": ("Device",),
    "errors": ("BundleError", "DeviceError", "InfoganError", "LatentError", "PictureError"),
    "images": ("as_png", "load_picture", "read_picture", "save_png"),
    "latent": ("LatentSpec",),
    "pixels": ("sheet", "to_uint8"),
    "sampling": ("Latents", "Traversal"),
}


def __getattr__(name: str) -> Any:  # noqa: ANN401 - whatever the name stands for
    for module, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
