"""Write a bundle as a model repository of the Triton Inference Server: one model for each graph.

    DIR/mnist_generator/config.pbtxt    DIR/mnist_encoder/config.pbtxt
    DIR/mnist_generator/1/model.onnx    DIR/mnist_encoder/1/model.onnx
                                        DIR/mnist_encoder/labels.txt

The server batches requests, so dimensions exclude the batch axis.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final

from infogan_tool.export.atomic_folder import atomic_folder, refuse_taken
from infogan_tool.runtime.bundle.metadata import (
    ENCODER_FILE,
    GENERATOR_FILE,
    data_name,
    encoder_inputs,
    encoder_outputs,
    generator_inputs,
    generator_outputs,
)
from infogan_tool.runtime.errors import OutputExistsError
from infogan_tool.runtime.inference.shards import BATCH_ROWS
from infogan_tool.runtime.storage.atomic import read_limited, write_atomic

if TYPE_CHECKING:
    from pathlib import Path

    from infogan_tool.runtime.bundle.bundle import Bundle
    from infogan_tool.runtime.bundle.metadata import BundleMetadata

CONFIG_FILE: Final = "config.pbtxt"
MODEL_FILES: Final = {"generator": GENERATOR_FILE, "encoder": ENCODER_FILE}
"""End of a model's name, and the graph in it."""

_MARK: Final = f"*/{CONFIG_FILE}"
_KIND: Final = "a model repository"
_LABELS_FILE: Final = "labels.txt"
_TYPES: Final = {"categories": "TYPE_INT64"}
"""Every other tensor is TYPE_FP32."""
_MAX_NAME: Final = 60
_MAX_CONFIG: Final = 1 << 20
_BUNDLE_ID: Final = b'"infogan.bundle_id"'
_QUEUE_DELAY: Final = 200
"""Microseconds that a request waits for others; about the run time of a small batch."""


def refuse_repository(out: Path, *, force: bool) -> None:
    """Refuse an existing repository folder that must not be replaced; see :func:`write_repository`."""
    refuse_taken(out, force=force, mark=_MARK, kind=_KIND)
    others = sorted(path.name for path in out.glob("*") if not _is_ours(path))
    if others:
        raise OutputExistsError(
            out, f"it has other entries ({others[0]}), so --force does not replace it; choose another path"
        )


def _is_ours(model: Path) -> bool:
    """Return whether :func:`write_repository` wrote a model: its configuration names a bundle."""
    try:
        return _BUNDLE_ID in read_limited(model / CONFIG_FILE, _MAX_CONFIG)
    except (OSError, ValueError):
        return False


def write_repository(bundle: Bundle, out: Path, *, force: bool = False) -> Path:
    """Write the model repository ``out``.

    Args:
        bundle: Its graphs are copied unchanged.
        out: The repository's folder; must not exist, unless ``force``.
        force: Replace a repository of such models alone (or an empty folder) at ``out``.

    Returns:
        ``out``.

    Raises:
        OutputExistsError: ``out`` exists.
        OSError: It cannot be written.
    """
    refuse_repository(out, force=force)
    with atomic_folder(out, force=force, mark=_MARK, kind=_KIND) as folder:
        for part, name in model_names(bundle.metadata).items():
            model = folder / name
            (model / "1").mkdir(parents=True)
            write_atomic(model / "1" / "model.onnx", (bundle.path / MODEL_FILES[part]).read_bytes())
            write_atomic(model / CONFIG_FILE, _config(bundle.metadata, part, name))
            if part == "encoder" and bundle.latent.categorical:
                write_atomic(model / _LABELS_FILE, "".join(f"{line}\n" for line in _labels(bundle.metadata)))
    return out


def model_names(metadata: BundleMetadata) -> dict[str, str]:
    """Return the models' names by part: the data set, and ``generator`` or ``encoder``."""
    name = data_name(metadata.training) or ""
    plain = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")[:_MAX_NAME]
    return {part: f"{plain or 'infogan'}_{part}" for part in MODEL_FILES}


def _config(metadata: BundleMetadata, part: str, name: str) -> str:
    """Return the text of config.pbtxt (message ModelConfig of Triton's model_config.proto)."""
    if part == "generator":
        inputs, outputs = generator_inputs(metadata.latent), generator_outputs(metadata.image)
    else:
        inputs = encoder_inputs(metadata.image)
        outputs = encoder_outputs(metadata.latent, distance=metadata.ood is not None)
    lines = [
        f'name: "{name}"',
        'backend: "onnxruntime"',
        'default_model_filename: "model.onnx"',
        f"max_batch_size: {BATCH_ROWS}",
        *(_tensor("input", tensor, shape) for tensor, shape in inputs.items()),
        *(_tensor("output", tensor, shape) for tensor, shape in outputs.items()),
        f"dynamic_batching {{ max_queue_delay_microseconds: {_QUEUE_DELAY} }}",
        *(_warm_up(size, inputs) for size in (1, BATCH_ROWS)),
        *(_parameter(key, getattr(metadata, key)) for key in ("bundle_id", "precision", "tool_version")),
    ]
    return "\n".join(lines) + "\n"


def _tensor(kind: str, name: str, shape: tuple[int, ...]) -> str:
    dims = ", ".join(map(str, shape))
    labels = f' label_filename: "{_LABELS_FILE}"' if name == "probabilities" else ""
    return f'{kind} [ {{ name: "{name}" data_type: {_dtype(name)} dims: [ {dims} ]{labels} }} ]'


def _warm_up(size: int, inputs: dict[str, tuple[int, ...]]) -> str:
    """Return the field that makes the server run the model once before it accepts requests."""
    fields = " ".join(
        f'inputs {{ key: "{name}" value {{ data_type: {_dtype(name)} '
        f"dims: [ {', '.join(map(str, shape))} ] zero_data: true }} }}"
        for name, shape in inputs.items()
    )
    return f'model_warmup [ {{ name: "batch of {size}" batch_size: {size} {fields} }} ]'


def _dtype(name: str) -> str:
    return _TYPES.get(name, "TYPE_FP32")


def _parameter(key: str, value: str) -> str:
    # A JSON string in ASCII without line breaks is also a string of the protobuf text format.
    return f'parameters {{ key: "infogan.{key}" value {{ string_value: {json.dumps(value)} }} }}'


def _labels(metadata: BundleMetadata) -> list[str]:
    """Return a name for each probability: its category's label or number, with the code if there are more."""
    latent = metadata.latent
    several = len(latent.categorical) > 1
    return [
        f"{code}={name}" if several else name
        for code, size in zip(latent.categorical_names, latent.categorical, strict=True)
        for index in range(size)
        for name in [metadata.label(code, index) or f"#{index}"]
    ]
