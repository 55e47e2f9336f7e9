"""Convert a graph to one self-contained ONNX file without traces of the machine that made it."""

from __future__ import annotations

import hashlib
import io
import warnings
from contextlib import redirect_stdout
from typing import TYPE_CHECKING, Final

import onnx
import torch

from infogan_tool.export.graphs import random_inputs
from infogan_tool.export.rewrite.polyphase_convolution import split_phases
from infogan_tool.runtime.bundle.metadata import (
    BATCH_AXIS,
    PROP_BUNDLE_ID,
    PROP_METADATA,
    PROP_SCHEMA_VERSION,
    SCHEMA_VERSION,
    GraphFile,
)

if TYPE_CHECKING:
    from infogan_tool.export.graphs import EncoderGraph, GeneratorGraph

OPSET: Final = 20
"""The default of torch.onnx; onnxruntime 1.18 and later read it."""
_EXAMPLE_BATCH: Final = 3
"""Not 0 or 1, which torch.export may take for a constant."""


def to_onnx(graph: GeneratorGraph | EncoderGraph, *, bundle_id: str, metadata_json: str) -> bytes:
    """Return the ONNX file of ``graph``: dynamic batch axis, named tensors, weights inside, checked.

    Args:
        graph: In evaluation mode, on the CPU.
        bundle_id: For metadata_props.
        metadata_json: For metadata_props: latent spec, image, versions and training.
    """
    inputs = random_inputs(graph, _EXAMPLE_BATCH, seed=0)
    batch = torch.export.Dim(BATCH_AXIS, min=1, max=65_536)
    # A forward of *args gets its dynamic shapes as one tuple; one of a named argument gets them by position.
    per_input = tuple({0: batch} for _ in inputs)
    is_variadic = len(graph.input_shapes) > 1 or "images" not in graph.input_shapes
    # Older exporters print how many rewrite rules they applied; only results belong on standard output.
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
        # The inputs share one batch axis, which the exporter warns about once for each; users cannot act on
        # its announcements of later releases.
        warnings.filterwarnings(
            "ignore", message="# The axis name: .* will not be used", category=UserWarning
        )
        warnings.simplefilter("ignore", FutureWarning)
        warnings.simplefilter("ignore", DeprecationWarning)
        program = torch.onnx.export(
            graph,
            inputs,
            dynamo=True,
            verbose=False,
            opset_version=OPSET,
            input_names=list(graph.input_shapes),
            output_names=list(graph.output_shapes),
            dynamic_shapes=(per_input,) if is_variadic else per_input,
            external_data=False,
        )
    assert program is not None
    model = program.model_proto
    _strip(model)
    split_phases(model)
    onnx.helper.set_model_props(
        model,
        {
            PROP_BUNDLE_ID: bundle_id,
            PROP_SCHEMA_VERSION: str(SCHEMA_VERSION),
            PROP_METADATA: metadata_json,
        },
    )
    onnx.checker.check_model(model, full_check=True)
    content: bytes = model.SerializeToString(deterministic=True)
    return content


def _strip(model: onnx.ModelProto) -> None:
    """Remove source paths, stack traces and stale shapes, which the exporter adds for debugging."""
    graph = model.graph
    for item in (*graph.node, *graph.input, *graph.output, *graph.initializer, graph, model):
        del item.metadata_props[:]
        item.ClearField("doc_string")
    del graph.value_info[:]
    graph.name = "infogan"
    model.producer_name, model.producer_version = "infogan-tool", ""


def graph_file(content: bytes) -> GraphFile:
    """Return digest and size of an ONNX file."""
    return GraphFile(sha256=hashlib.sha256(content).hexdigest(), bytes=len(content))
