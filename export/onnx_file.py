"""Convert a graph to one self-contained ONNX file without traces of the machine that made it."""

from __future__ import annotations

import hashlib
import io
import logging
import re
import sys
import warnings
from contextlib import redirect_stderr, redirect_stdout, suppress
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
from infogan_tool.runtime.errors import ExportError

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
    level = logging.root.manager.disable
    logging.disable(logging.CRITICAL)  # where torch cannot trace a module, it logs the whole graph
    try:
        model = _convert(graph)
    except torch.onnx.OnnxExporterError as error:
        raise ExportError(_describe(graph, error)) from error
    finally:
        logging.disable(level)
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


def _convert(graph: GeneratorGraph | EncoderGraph) -> onnx.ModelProto:
    inputs = random_inputs(graph, _EXAMPLE_BATCH, seed=0)
    batch = torch.export.Dim(BATCH_AXIS, min=1, max=65_536)
    # A forward of *args gets its dynamic shapes as one tuple; one of a named argument gets them by position.
    per_input = tuple({0: batch} for _ in inputs)
    is_variadic = len(graph.input_shapes) > 1 or "images" not in graph.input_shapes
    # Older exporters print how many rewrite rules they applied; only results belong on standard output. Where
    # a module cannot be traced, torch prints whole graphs as errors.
    printed = io.StringIO()
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()), redirect_stderr(printed):
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
    sys.stderr.write(printed.getvalue())
    return program.model_proto


def _describe(graph: GeneratorGraph | EncoderGraph, error: BaseException) -> str:
    """Return one line with the operation that was not converted, and the module that uses it."""
    chain = [error]
    while (cause := chain[-1].__cause__) is not None:
        chain.append(cause)
    where = type(graph).__name__.removesuffix("Graph").lower()
    text = "\n".join(map(str, chain))
    operation = re.search(r"target=torch\.ops\.([\w.]+)", text)
    if operation:
        module = _module_of(graph, operation[1])
        what = f"operation {operation[1]} of {module}" if module else f"operation {operation[1]}"
        return f"{where}: {what} has no ONNX form: replace it by operations that have one"
    line = re.search(r'File "([^"]+)", line (\d+), in (\w+)\s+(.+)', text)
    place = f" at {line[1]}:{line[2]}: {line[4].strip():.80}" if line else ""
    reason = " ".join(str(chain[-1]).split("\n", maxsplit=1)[0].split())
    what = f"its forward pass cannot be traced for ONNX{place}"
    return f"{where}: {what} ({type(chain[-1]).__name__}: {reason:.200})"


def _module_of(graph: GeneratorGraph | EncoderGraph, operation: str) -> str:
    """Return the class of the module that uses an operation; empty if it is not found."""
    name = operation.split(".")[1]
    with suppress(Exception):
        program = torch.export.export(graph, random_inputs(graph, _EXAMPLE_BATCH, seed=0))
        for node in program.graph.nodes:
            if name in str(node.target):
                _, kind = list(node.meta["nn_module_stack"].values())[-1]
                return str(kind).rpartition(".")[2].removesuffix("'>")
    return ""


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
