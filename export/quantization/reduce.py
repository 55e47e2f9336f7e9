"""Convert a bundle in fp32 to one in reduced precision, measure its drift, and refuse a loss of accuracy."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import onnx
import torch

from infogan_tool.export.atomic_folder import atomic_folder, write_metadata
from infogan_tool.export.evaluation.axes import measure_axes
from infogan_tool.export.evaluation.real_images import load_real_images, to_nhwc
from infogan_tool.export.evaluation.styles import measure_styles
from infogan_tool.export.image_limit import load_limit
from infogan_tool.export.limitations import describe_limitations
from infogan_tool.export.onnx_file import graph_file
from infogan_tool.export.quantization.drift import Drift, measure_drift
from infogan_tool.export.quantization.graphs import to_fp16, to_int8
from infogan_tool.runtime.bundle.bundle import load_bundle
from infogan_tool.runtime.bundle.example_images import write_examples
from infogan_tool.runtime.bundle.metadata import (
    ENCODER_FILE,
    GENERATOR_FILE,
    GRAPH_FILES,
    PROP_BUNDLE_ID,
    PROP_METADATA,
    generator_inputs,
)
from infogan_tool.runtime.errors import UsageError
from infogan_tool.runtime.images.arrays import to_float
from infogan_tool.runtime.storage.atomic import write_atomic

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import numpy.typing as npt

    from infogan_tool.export.evaluation.real_images import RealImages
    from infogan_tool.runtime.bundle.bundle import Bundle
    from infogan_tool.runtime.bundle.metadata import BundleMetadata, Precision
    from infogan_tool.train.data import ImageSet

_CALIBRATION: Final = 2048
"""Training images, and latents from the prior, that the value ranges of int8 are measured on."""
_WHOLE_STEPS: Final = 16
"""From this many images for each of them on, every k-th is taken, as for the pretrained bundle in int8."""
_BATCH: Final = 256
_SEED: Final = 20_160_613


@dataclass(frozen=True, kw_only=True, slots=True)
class PrecisionOutcome:
    """The result of a conversion."""

    metadata: BundleMetadata
    """As written."""
    bytes_before: dict[str, int]
    """Size of each graph in fp32."""


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
        bundle: In fp32.
        out: The new bundle's folder; must not exist, unless ``force``.
        precision: ``"fp16"`` or ``"int8"``.
        source: Real images, as ``train --data`` names them, for calibration and drift.
        force: Replace a bundle (or an empty folder) at ``out``.
        progress: Called with a status line.

    Raises:
        UsageError: ``bundle`` is of reduced precision already.
        PrecisionError: The encoder loses more than 0.1 percentage points of accuracy, or of agreement with
            fp32 where there are no labels; another category, the share in distribution, a style or the
            generated images change too much. Nothing was written.
        BundleError, DataError, OutputExistsError, InUseError, OSError: As in opening, loading and writing.
    """
    if bundle.metadata.precision != "fp32":
        raise UsageError(f"{bundle.path} is in {bundle.metadata.precision} already: name the bundle in fp32")
    with atomic_folder(out, force=force) as folder:  # locked: no other export writes to it
        progress(f"loading {source}")
        real = load_real_images(source, bundle.image, limit=load_limit(bundle.image.size))
        before = {file: (bundle.path / file).read_bytes() for file in GRAPH_FILES}
        progress(f"writing the graphs in {precision}")
        metadata, contents = _convert(bundle, before, precision, real.train)
        for name, content in contents.items():
            write_atomic(folder / name, content)
        if metadata.examples is not None:
            write_examples(folder, bundle.examples())
        write_metadata(folder, metadata)
        progress("measuring the drift on real images")
        reduced = load_bundle(folder, device="cpu")
        drift = measure_drift(bundle, reduced, real)
        drift.refuse_loss(precision)
        metadata = _with_drift(reduced, bundle.metadata.bundle_id, drift, real)
        write_metadata(folder, metadata)
    sizes = {name: len(content) for name, content in before.items()}
    return PrecisionOutcome(metadata=metadata, bytes_before=sizes)


def _convert(
    bundle: Bundle, before: dict[str, bytes], precision: Precision, train: ImageSet
) -> tuple[BundleMetadata, dict[str, bytes]]:
    if precision == "fp16":
        contents = {file: to_fp16(content) for file, content in before.items()}
    else:
        feeds = {ENCODER_FILE: _images(bundle, train), GENERATOR_FILE: _latents(bundle)}
        contents = {file: to_int8(content, feeds[file]) for file, content in before.items()}
    # A new id, because the codes are not equal to those of the bundle in fp32.
    digest = hashlib.sha256(json.dumps([bundle.metadata.bundle_id, precision]).encode())
    for file in GRAPH_FILES:
        digest.update(contents[file])
    bundle_id = digest.hexdigest()[:32]
    contents = {file: _set_id(content, bundle_id, precision) for file, content in contents.items()}
    graphs = {name: graph_file(content) for name, content in contents.items()}
    return replace(bundle.metadata, bundle_id=bundle_id, graphs=graphs, precision=precision), contents


def _set_id(content: bytes, bundle_id: str, precision: Precision) -> bytes:
    """Return the ONNX file with another bundle id and precision in its metadata_props."""
    model = onnx.load_from_string(content)
    props = {p.key: p.value for p in model.metadata_props}
    metadata = json.loads(props[PROP_METADATA]) | {"bundle_id": bundle_id, "precision": precision}
    props |= {PROP_BUNDLE_ID: bundle_id, PROP_METADATA: json.dumps(metadata, sort_keys=True)}
    onnx.helper.set_model_props(model, props)
    changed: bytes = model.SerializeToString(deterministic=True)
    return changed


def _images(bundle: Bundle, train: ImageSet) -> list[dict[str, npt.NDArray[Any]]]:
    """Return batches of training images, spread evenly over the data set."""
    total, count = len(train), min(len(train), _CALIBRATION)
    if total >= _WHOLE_STEPS * count:  # the images after the last step, fewer than count, are left out
        total -= total % count
    chosen = train.images[torch.arange(count) * total // count]
    images = to_float(chosen.permute(0, 2, 3, 1).numpy(), bundle.image)
    return [{"images": images[start : start + _BATCH]} for start in range(0, len(images), _BATCH)]


def _latents(bundle: Bundle) -> list[dict[str, npt.NDArray[Any]]]:
    latents = bundle.sample(_CALIBRATION, _SEED)
    return [
        {name: getattr(latents, name)[start : start + _BATCH] for name in generator_inputs(bundle.latent)}
        for start in range(0, _CALIBRATION, _BATCH)
    ]


def _with_drift(bundle: Bundle, reference_id: str, drift: Drift, real: RealImages) -> BundleMetadata:
    """Return the metadata of a bundle with its drift, and with its own metrics in place of those in fp32."""
    metadata, metrics = bundle.metadata, drift.metrics
    split, count, precision = metrics["split"], metrics["images"], metadata.precision
    card = {key: value for key, value in metadata.card.items() if key not in {"evaluation", "accuracy"}}
    if drift.labelled_code:
        accuracy = {split: metrics["accuracy"][precision], f"{split}_count": count}
        card["accuracy"] = {"code": drift.labelled_code, "data": metrics["data"], **accuracy}
    axes = measure_axes(bundle)
    if axes.effects:
        card["axes"] = axes.to_card()
    if "styles" in card:
        card["styles"] = measure_styles(bundle, to_nhwc(real.scored), seed=0).to_card()
    if metadata.ood is not None:
        flags = {key: value for key, value in metadata.ood.metrics.items() if "_test" not in key}
        if split == "test":
            share = round(1 - metrics["in_distribution"][precision], 4)
            flags |= {"false_flags_test": share, "test_count": count}
        metadata = replace(metadata, ood=replace(metadata.ood, metrics=flags))
    metadata = replace(metadata, card=card, drift={"fp32_bundle_id": reference_id, **metrics}, parity={})
    return replace(metadata, card=card | {"limitations": describe_limitations(metadata, axes=axes)})
