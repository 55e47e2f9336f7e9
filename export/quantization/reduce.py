"""A bundle in float32 to one in reduced precision: its drift is measured, and a loss of accuracy refused."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import onnx

from infogan_tool.export.atomic_folder import atomic_folder, write_metadata
from infogan_tool.export.limitations import with_limitations
from infogan_tool.export.quantization.drift import Drift, measure_drift
from infogan_tool.export.quantization.graphs import to_fp16, to_int8
from infogan_tool.runtime.bundle.bundle import load_bundle
from infogan_tool.runtime.bundle.metadata import (
    ENCODER_FILE,
    GENERATOR_FILE,
    GRAPH_FILES,
    PROP_BUNDLE_ID,
    PROP_METADATA,
    GraphFile,
    generator_inputs,
)
from infogan_tool.runtime.errors import UsageError
from infogan_tool.runtime.images.arrays import to_float
from infogan_tool.runtime.storage.atomic import write_atomic
from infogan_tool.train.data import load_images, load_test_images

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import numpy.typing as npt

    from infogan_tool.runtime.bundle.bundle import Bundle
    from infogan_tool.runtime.bundle.metadata import BundleMetadata, Precision
    from infogan_tool.train.data import ImageSet

__all__ = ["PrecisionOutcome", "reduce_precision"]

_CALIBRATION: Final = 2048
"""Training images, and latents of the prior, that the ranges of int8 are taken from."""
_BATCH: Final = 256
_SEED: Final = 20_160_613


@dataclass(frozen=True, kw_only=True, slots=True)
class PrecisionOutcome:
    """What was written and measured."""

    path: Path
    """The bundle."""
    metadata: BundleMetadata
    """As written."""
    bytes_before: dict[str, int]
    """Size of each graph in float32."""


def reduce_precision(
    bundle: Bundle,
    out: Path,
    *,
    precision: Precision,
    source: str,
    force: bool = False,
    progress: Callable[[str], None] = lambda _: None,
) -> PrecisionOutcome:
    """Write the bundle ``out``, which computes what ``bundle`` does in ``precision``.

    Args:
        bundle: In float32.
        out: The new bundle's folder; must not exist, unless ``force``.
        precision: ``"fp16"`` or ``"int8"``.
        source: Real images, as ``train --data`` names them, for the ranges of int8 and the drift.
        force: Replace a bundle (or an empty folder) that is at ``out``.
        progress: Called with a line for people as the work goes on.

    Raises:
        UsageError: ``bundle`` is of reduced precision already.
        PrecisionError: The encoder loses more than a tenth of a point of accuracy, or where there are no
            labels of agreement with float32. Nothing was written.
        BundleError, DataError, OutputExistsError, InUseError, OSError: As in opening, loading and writing.
    """
    if bundle.metadata.precision != "fp32":
        had = bundle.metadata.precision
        raise UsageError(f"{bundle.path} is in {had} already: name the bundle in fp32 that it is made of")
    with atomic_folder(out, force=force) as folder:  # from here on no other export writes to it
        progress(f"loading {source}")
        size, channels = bundle.image.size, bundle.image.channels
        train = load_images(source, size=size, channels=channels)
        test = load_test_images(source, size=size, channels=channels)
        before = {file: (bundle.path / file).read_bytes() for file in GRAPH_FILES}
        progress(f"writing the graphs in {precision}")
        metadata, contents = _convert(bundle, before, precision, train)
        for name, content in contents.items():
            write_atomic(folder / name, content)
        write_metadata(folder, metadata)
        progress("measuring the drift on real images")
        drift = measure_drift(bundle, load_bundle(folder, device="cpu"), train, test)
        drift.refuse_loss(precision)
        metadata = _with_figures(metadata, bundle.metadata, drift)
        write_metadata(folder, metadata)
    sizes = {name: len(content) for name, content in before.items()}
    return PrecisionOutcome(path=out, metadata=metadata, bytes_before=sizes)


def _convert(
    bundle: Bundle, before: dict[str, bytes], precision: Precision, train: ImageSet
) -> tuple[BundleMetadata, dict[str, bytes]]:
    if precision == "fp16":
        contents = {file: to_fp16(content) for file, content in before.items()}
    else:
        feeds = {ENCODER_FILE: _images(bundle, train), GENERATOR_FILE: _latents(bundle)}
        contents = {file: to_int8(content, feeds[file]) for file, content in before.items()}
    # Other numbers come out than of the bundle in float32, so that the codes must not pass for its codes.
    digest = hashlib.sha256(json.dumps([bundle.metadata.bundle_id, precision]).encode())
    for file in GRAPH_FILES:
        digest.update(contents[file])
    bundle_id = digest.hexdigest()[:32]
    contents = {file: _renamed(content, bundle_id, precision) for file, content in contents.items()}
    graphs = {n: GraphFile(sha256=hashlib.sha256(c).hexdigest(), bytes=len(c)) for n, c in contents.items()}
    return replace(bundle.metadata, bundle_id=bundle_id, graphs=graphs, precision=precision), contents


def _renamed(content: bytes, bundle_id: str, precision: Precision) -> bytes:
    model = onnx.load_from_string(content)
    props = {p.key: p.value for p in model.metadata_props}
    said = json.loads(props[PROP_METADATA]) | {"bundle_id": bundle_id, "precision": precision}
    props |= {PROP_BUNDLE_ID: bundle_id, PROP_METADATA: json.dumps(said, sort_keys=True)}
    onnx.helper.set_model_props(model, props)
    renamed: bytes = model.SerializeToString(deterministic=True)
    return renamed


def _images(bundle: Bundle, train: ImageSet) -> list[dict[str, npt.NDArray[Any]]]:
    """Return batches of training images, spread evenly over the data set."""
    chosen = train.images[:: max(1, len(train) // _CALIBRATION)][:_CALIBRATION]
    images = to_float(chosen.permute(0, 2, 3, 1).numpy(), bundle.image)
    return [{"images": images[start : start + _BATCH]} for start in range(0, len(images), _BATCH)]


def _latents(bundle: Bundle) -> list[dict[str, npt.NDArray[Any]]]:
    latents = bundle.sample(_CALIBRATION, _SEED)
    return [
        {name: getattr(latents, name)[start : start + _BATCH] for name in generator_inputs(bundle.latent)}
        for start in range(0, _CALIBRATION, _BATCH)
    ]


def _with_figures(metadata: BundleMetadata, before: BundleMetadata, drift: Drift) -> BundleMetadata:
    """Put the measured figures in, and take out those that are of the graphs in float32."""
    card = {key: figures for key, figures in metadata.card.items() if key != "evaluation"}
    found = drift.figures.get("accuracy")
    if "accuracy" in card:
        kept = {key: card["accuracy"][key] for key in ("code", "data") if key in card["accuracy"]}
        counts = {drift.figures["split"]: found[metadata.precision]} if found else {}
        card["accuracy"] = kept | counts | {f"{drift.figures['split']}_count": drift.figures["images"]}
    figures = {"of": before.bundle_id, **drift.figures}
    metadata = replace(metadata, card=card, drift=figures, parity={})
    return replace(metadata, card=with_limitations(metadata))
