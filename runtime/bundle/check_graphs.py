"""Hold the files of a bundle against its metadata and the contract, before and after a graph is opened."""

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
    from infogan_tool.runtime.inference.graph_scan import Scanned, TensorInfo
    from infogan_tool.runtime.inference.session import GraphSession

__all__ = ["check_graph", "read_graph"]

_MAX_GRAPH_BYTES: Final = 1 << 30
_DTYPES: Final = {"categories": "int64"}
"""Every other tensor is float32."""


def read_graph(folder: Path, file: str, metadata: BundleMetadata) -> bytes:
    """Return the content of a graph file that is, to the byte, the one the metadata was written for.

    Raises:
        BundleError: It is missing, cannot be read, is absurdly large, or is another file.
    """
    path = folder / file
    expected = metadata.graphs[file]
    if expected.bytes > _MAX_GRAPH_BYTES:
        raise BundleError(f"{path} is said to have {expected.bytes:,} bytes, more than any bundle needs")
    try:
        content = read_limited(path, expected.bytes)
    except FileNotFoundError as error:
        raise BundleError(f"{folder} has no {file}: export again") from error
    except OSError as error:
        raise BundleError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError:
        content = b""  # larger than it should be, or not a regular file
    if len(content) != expected.bytes or hashlib.sha256(content).hexdigest() != expected.sha256:
        raise BundleError(
            f"{path} is not the file that metadata.json describes: it is damaged, or the files of two "
            "bundles are mixed; export again"
        )
    return content


def check_graph(graph: Scanned | GraphSession, metadata: BundleMetadata, path: Path) -> None:
    """Hold what a graph says of itself against the metadata and the contract.

    Raises:
        BundleError: It is of another bundle, or its inputs and outputs are not those of the contract.
    """
    said = graph.metadata.get(PROP_BUNDLE_ID)
    if said != metadata.bundle_id:
        raise BundleError(
            f"{path} is of bundle {said} and metadata.json of {metadata.bundle_id}: the files of two "
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


def _check_tensors(what: str, found: dict[str, TensorInfo], expected: dict[str, tuple[int, ...]]) -> None:
    if found.keys() != expected.keys():
        raise BundleError(f"{what}s are {', '.join(found)}; the contract says {', '.join(expected)}")
    for name, shape in expected.items():
        dtype = _DTYPES.get(name, "float32")
        have = found[name]
        batch = have.shape[0] if have.shape else 0
        if isinstance(batch, int) or have.shape[1:] != shape or have.dtype != dtype:
            axes = ", ".join(str(n) for n in shape)
            raise BundleError(
                f"{what} {name} is {have.dtype} {have.shape}; the contract says {dtype} (N, {axes}), any N"
            )
