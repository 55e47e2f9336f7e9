"""Check a bundle's graph files: digest, bundle id, inputs and outputs."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from infogan_tool.runtime.bundle.metadata import (
    GENERATOR_FILE,
    PROP_BUNDLE_ID,
    PROP_SCHEMA_VERSION,
    encoder_inputs,
    encoder_outputs,
    generator_inputs,
    generator_outputs,
)
from infogan_tool.runtime.errors import BundleError
from infogan_tool.runtime.storage.atomic import read_limited

if TYPE_CHECKING:
    from pathlib import Path

    from infogan_tool.runtime.bundle.metadata import BundleMetadata
    from infogan_tool.runtime.inference.graph_scan import GraphInterface, TensorInfo
    from infogan_tool.runtime.inference.session import GraphSession

_MAX_GRAPH_BYTES: Final = 1 << 30
_DTYPES: Final = {"categories": "int64"}
"""Every other tensor is float32."""


def read_graph(folder: Path, file: str, metadata: BundleMetadata) -> bytes:
    """Return the content of a graph file after checking its size and SHA-256 against the metadata.

    Raises:
        BundleError: The file is missing, cannot be read, is too large, or is not the one of the metadata.
    """
    path = folder / file
    expected = metadata.graphs[file]
    if expected.bytes > _MAX_GRAPH_BYTES:
        raise BundleError(
            f"{path} has {expected.bytes:,} bytes in the metadata, more than the {_MAX_GRAPH_BYTES:,} allowed"
        )
    try:
        content = read_limited(path, expected.bytes)
    except FileNotFoundError as error:
        raise BundleError(f"{folder} has no {file}: export again") from error
    except OSError as error:
        raise BundleError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError:
        content = b""  # larger than declared, or not a regular file
    if len(content) != expected.bytes or hashlib.sha256(content).hexdigest() != expected.sha256:
        raise BundleError(
            f"{path} is not the file that metadata.json describes: it is damaged, or the files of two "
            "bundles are mixed; export again"
        )
    return content


def check_graph(graph: GraphInterface | GraphSession, metadata: BundleMetadata, path: Path) -> None:
    """Check that a graph belongs to the bundle and has the inputs and outputs of the contract.

    Raises:
        BundleError: The bundle id, schema version or tensors differ.
    """
    bundle_id = graph.metadata.get(PROP_BUNDLE_ID)
    if bundle_id != metadata.bundle_id:
        raise BundleError(
            f"{path} is of bundle {bundle_id} and metadata.json of {metadata.bundle_id}: the files of two "
            "bundles are mixed; export again"
        )
    schema = graph.metadata.get(PROP_SCHEMA_VERSION)
    if schema != str(metadata.schema_version):
        raise BundleError(f"{path} has schema {schema} and metadata.json {metadata.schema_version}")
    if path.name == GENERATOR_FILE:
        inputs, outputs = generator_inputs(metadata.latent), generator_outputs(metadata.image)
    else:
        inputs = encoder_inputs(metadata.image)
        outputs = encoder_outputs(metadata.latent, distance=metadata.ood is not None)
    _check_tensors(f"{path}: input", graph.inputs, inputs)
    _check_tensors(f"{path}: output", graph.outputs, outputs)


def _check_tensors(what: str, tensors: dict[str, TensorInfo], expected: dict[str, tuple[int, ...]]) -> None:
    if tensors.keys() != expected.keys():
        raise BundleError(f"{what}s are {', '.join(tensors)}; the contract has {', '.join(expected)}")
    for name, shape in expected.items():
        dtype = _DTYPES.get(name, "float32")
        tensor = tensors[name]
        batch = tensor.shape[0] if tensor.shape else 0
        if isinstance(batch, int) or tensor.shape[1:] != shape or tensor.dtype != dtype:
            axes = ", ".join(str(n) for n in shape)
            raise BundleError(
                f"{what} {name} is {tensor.dtype} {tensor.shape}; the contract has {dtype} (N, {axes}), any N"
            )
