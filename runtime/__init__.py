"""Inference with numpy, Pillow and onnxruntime: image to code, code to image. Never imports torch.

>>> from infogan_tool.runtime import load_bundle, to_uint8
>>> bundle = load_bundle()  # the pretrained MNIST bundle
>>> reading = bundle.read("examples/seven.png")
>>> reading.label, reading.confidence > 0.99, list(reading.styles), reading.ood
('7', True, ['slant', 'stroke width'], False)
>>> edited = bundle.edit("examples/seven.png", slant=1.0)  # a PIL image
>>> images = bundle.generate(bundle.sample(16, seed=0))
>>> images.shape, to_uint8(images, bundle.image).shape
((16, 1, 28, 28), (16, 28, 28, 1))
>>> len(bundle.labels(bundle.encode(images)))  # the digit of each image
16

Names are imported on first use, so that importing one module never imports onnxruntime.

bundle
    The bundle: its format, loading and checking it, encoding and generating.
latents
    The latent specification and sampling.
images
    Image files and arrays.
preprocessing
    Photographs, scans and drawings to images like the training images.
inference
    onnxruntime: sessions, devices, checks of untrusted graphs.
bulk
    Encoding of any number of images.
storage
    Atomic writes, locks, untrusted JSON.
lazy
    Public names of a package that are imported on first use.
errors
    Every error that is raised on purpose, and the exit codes.
models
    The pretrained bundles.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from infogan_tool.runtime.lazy import lazy_names

if TYPE_CHECKING:
    from infogan_tool.runtime.bundle.bundle import Bundle, load_bundle
    from infogan_tool.runtime.bundle.metadata import BundleMetadata, OodSpec, read_metadata
    from infogan_tool.runtime.bundle.reading import Posterior, Reading
    from infogan_tool.runtime.errors import (
        BundleError,
        DeviceError,
        ImageError,
        InfoganError,
        LatentError,
    )
    from infogan_tool.runtime.images.arrays import sheet, to_uint8
    from infogan_tool.runtime.images.files import as_png, load_image, read_image, save_png
    from infogan_tool.runtime.images.spec import ImageSpec
    from infogan_tool.runtime.inference.device import Device
    from infogan_tool.runtime.latents.sampling import Latents, Traversal
    from infogan_tool.runtime.latents.spec import LatentSpec
    from infogan_tool.runtime.preprocessing.spec import Preprocessing

__all__ = [
    "Bundle",
    "BundleError",
    "BundleMetadata",
    "Device",
    "DeviceError",
    "ImageError",
    "ImageSpec",
    "InfoganError",
    "LatentError",
    "LatentSpec",
    "Latents",
    "OodSpec",
    "Posterior",
    "Preprocessing",
    "Reading",
    "Traversal",
    "as_png",
    "load_bundle",
    "load_image",
    "read_image",
    "read_metadata",
    "save_png",
    "sheet",
    "to_uint8",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "bundle.bundle": ("Bundle", "load_bundle"),
        "bundle.metadata": ("BundleMetadata", "OodSpec", "read_metadata"),
        "bundle.reading": ("Posterior", "Reading"),
        "errors": ("BundleError", "DeviceError", "InfoganError", "LatentError", "ImageError"),
        "images.arrays": ("sheet", "to_uint8"),
        "images.files": ("as_png", "load_image", "read_image", "save_png"),
        "images.spec": ("ImageSpec",),
        "inference.device": ("Device",),
        "latents.sampling": ("Latents", "Traversal"),
        "latents.spec": ("LatentSpec",),
        "preprocessing.spec": ("Preprocessing",),
    },
)
