"""The exported files: names, axes, operators, no traces of the machine, parity with torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import onnx
import pytest
import torch

from infogan_tool.export.graphs import EncoderGraph, GeneratorGraph, random_inputs
from infogan_tool.export.onnx_file import OPSET, to_onnx
from infogan_tool.export.parity import BATCHES, check_parity
from infogan_tool.runtime.bundle.metadata import (
    ENCODER_FILE,
    GENERATOR_FILE,
    encoder_outputs,
    generator_inputs,
    generator_outputs,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from infogan_tool.train.infogan.networks import Networks

CASES: dict[str, tuple[dict[str, Any], int, int]] = {
    "paper": ({}, 28, 1),
    "no category": ({"latent": {"categorical": []}}, 16, 1),
    "no style, colour": ({"latent": {"continuous": 0, "categorical": [4, 3]}}, 32, 3),
    "no noise, tanh": ({"latent": {"noise": 0}, "networks": {"output": "tanh"}}, 16, 1),
    "separate Q": ({"networks": {"q": "separate"}, "latent": {"categorical": [4, 3]}}, 28, 1),
    "separate Q, one branch": (
        {"networks": {"q": "separate"}, "latent": {"continuous": 0}},
        16,
        1,
    ),
    "styles alone": ({"latent": {"noise": 0, "categorical": []}}, 8, 1),
}


@pytest.mark.parametrize("name", CASES)
def test_graphs_follow_the_format_and_agree_with_torch(
    make_networks: Callable[..., Networks], name: str
) -> None:
    changes, size, channels = CASES[name]
    networks = make_networks(changes, size=size, channels=channels)
    graphs: dict[str, Any] = {GENERATOR_FILE: GeneratorGraph(networks), ENCODER_FILE: EncoderGraph(networks)}
    files = {file: to_onnx(g, bundle_id="b" * 32, metadata_json="{}") for file, g in graphs.items()}
    differences = check_parity(networks, {file: (graphs[file], files[file]) for file in graphs})
    spec, image = networks.latent, networks.image
    outputs = len(generator_outputs(image)) + len(encoder_outputs(spec))
    assert len(differences) == outputs * len(BATCHES)
    assert max(d.max_abs for d in differences) <= 1e-5

    generator, encoder = (onnx.load_from_string(files[file]) for file in (GENERATOR_FILE, ENCODER_FILE))
    assert _shapes(generator.graph.input) == {n: ("batch", *s) for n, s in generator_inputs(spec).items()}
    assert _shapes(generator.graph.output) == {"images": ("batch", *image.shape)}
    assert _shapes(encoder.graph.input) == {"images": ("batch", *image.shape)}
    assert _shapes(encoder.graph.output) == {n: ("batch", *s) for n, s in encoder_outputs(spec).items()}
    for model, content in zip((generator, encoder), files.values(), strict=True):
        kinds = [node.op_type for node in model.graph.node]
        assert "BatchNormalization" not in kinds
        assert "Gemm" in kinds
        assert not {k for k in kinds if k.startswith("Random")}
        assert [o.version for o in model.opset_import if not o.domain] == [OPSET]
        assert {o.domain for o in model.opset_import} == {""}
        assert not any(t.data_location == onnx.TensorProto.EXTERNAL for t in model.graph.initializer)
        for trace in (b".py", b"/home", b"site-packages", b"pkg.torch", b"stack_trace"):
            assert trace not in content


def _shapes(values: Iterable[onnx.ValueInfoProto]) -> dict[str, tuple[int | str, ...]]:
    return {v.name: tuple(d.dim_param or d.dim_value for d in v.type.tensor_type.shape.dim) for v in values}


def test_encoder_reads_generated_images(
    make_networks: Callable[..., Networks],
) -> None:
    networks = make_networks()
    graph = GeneratorGraph(networks)
    with torch.inference_mode():
        images = graph(*random_inputs(graph, 3, seed=1))
        EncoderGraph(networks)(images)
    assert images.shape == (3, *networks.image.shape)


def test_probabilities_sum_to_one_for_each_code(make_networks: Callable[..., Networks]) -> None:
    networks = make_networks({"latent": {"categorical": [4, 3]}})
    graph = EncoderGraph(networks)
    with torch.inference_mode():
        probabilities = graph(*random_inputs(graph, 6, seed=2))[0]
    for part in networks.latent.logit_slices:
        torch.testing.assert_close(probabilities[:, part].sum(dim=1), torch.ones(6))
