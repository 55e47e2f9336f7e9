"""The exported files: names, axes, operations, nothing of this machine, same numbers as torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import pytest
import torch

from infogan_tool.export.graphs import EncoderGraph, GeneratorGraph, random_inputs
from infogan_tool.export.onnx_file import OPSET, to_onnx
from infogan_tool.export.parity import BATCHES, TOLERANCE, check_parity, reference_outputs
from infogan_tool.runtime.bundle.metadata import (
    ENCODER_FILE,
    GENERATOR_FILE,
    encoder_outputs,
    generator_inputs,
    generator_outputs,
)
from infogan_tool.runtime.errors import ParityError

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
    "shared Q, k1 by clustering": ({"clustering": {}, "latent": {"categorical": [4, 3]}}, 28, 1),
    "periodic styles": ({"latent": {"continuous": 3, "periodic": ["c1", "c3"]}}, 16, 1),
    "styles alone": ({"latent": {"noise": 0, "categorical": []}}, 8, 1),
}


@pytest.mark.parametrize("name", CASES)
def test_graphs_keep_the_contract_and_agree_with_torch(
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


def test_generator_of_the_encoder_and_back_use_the_same_images(
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


def test_wrong_weight_is_caught_with_a_table(make_networks: Callable[..., Networks]) -> None:
    networks = make_networks()
    graph = GeneratorGraph(networks)
    model = onnx.load_from_string(to_onnx(graph, bundle_id="b", metadata_json="{}"))
    weight = next(t for t in model.graph.initializer if t.name.endswith(".weight"))
    values = onnx.numpy_helper.to_array(weight).copy()
    values.flat[0] += 0.5
    weight.CopyFrom(onnx.numpy_helper.from_array(values, weight.name))
    with pytest.raises(ParityError, match=r"nothing was written") as error:
        check_parity(networks, {GENERATOR_FILE: (graph, model.SerializeToString())})
    rows = error.value.details
    assert len(rows) == len(BATCHES), "every batch size that failed is told"
    assert all("generator.onnx" in row and "images" in row for row in rows)


class _Clamped(GeneratorGraph):
    """A generator that is right for noise and styles from -1 to 1 only."""

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        return super().forward(*(part.clamp(-1, 1) if part.is_floating_point() else part for part in inputs))


@pytest.mark.parametrize(
    "latent", [{"noise_prior": "normal", "continuous": 0}, {"noise": 0, "categorical": []}], ids=str
)
def test_a_generator_is_compared_wherever_it_is_used(
    make_networks: Callable[..., Networks], latent: dict[str, Any]
) -> None:
    networks = make_networks({"latent": latent})
    content = to_onnx(_Clamped(networks), bundle_id="b", metadata_json="{}")
    with pytest.raises(ParityError):
        check_parity(networks, {GENERATOR_FILE: (GeneratorGraph(networks), content)})


def _lifted(networks: Networks, by: float) -> EncoderGraph:
    """Add to features what the heads take off again: the same function, by differences of large sums."""
    branch = networks.q_category
    norm = next(layer for layer in reversed(branch.layers) if isinstance(layer, torch.nn.BatchNorm2d))
    with torch.no_grad():
        for head in (branch.logits, branch.mean, branch.log_var):
            if head is None:
                continue
            assert head.bias is not None
            head.bias -= by * head.weight.sum(dim=(1, 2, 3))
        norm.bias += by
    return EncoderGraph(networks)


@pytest.mark.parametrize(("categorical", "by"), [([10], 300.0), ([], 1000.0)])
def test_a_graph_need_not_be_nearer_than_torch_itself_is(
    categorical: list[int], by: float, make_networks: Callable[..., Networks]
) -> None:
    networks = make_networks({"latent": {"categorical": categorical}})
    graph = _lifted(networks, by)
    content = to_onnx(graph, bundle_id="b", metadata_json="{}")
    differences = check_parity(networks, {ENCODER_FILE: (graph, content)})
    wide = [d for d in differences if d.max_abs > TOLERANCE]
    assert wide
    assert all(d.max_abs <= d.allowed <= 1e-4 for d in wide)
    assert all(d.allowed == TOLERANCE for d in differences if d.max_abs <= TOLERANCE)

    networks = make_networks()
    graph = _lifted(networks, 30_000.0)
    content = to_onnx(graph, bundle_id="b", metadata_json="{}")
    with pytest.raises(ParityError, match="nothing was written"):
        check_parity(networks, {ENCODER_FILE: (graph, content)})


def test_a_small_fault_is_told_from_rounding(make_networks: Callable[..., Networks]) -> None:
    networks = make_networks()
    graph = EncoderGraph(networks)
    content = to_onnx(graph, bundle_id="b", metadata_json="{}")
    with torch.no_grad():
        mean = networks.q_category.mean
        assert mean is not None
        assert mean.bias is not None
        mean.bias += 5e-5
    with pytest.raises(ParityError) as error:
        check_parity(networks, {ENCODER_FILE: (graph, content)})
    assert all("style_mean" in row and "(allowed: 1e-05)" in row for row in error.value.details)


def test_wrong_output_name_and_nan_are_caught(make_networks: Callable[..., Networks]) -> None:
    networks = make_networks()
    graph = GeneratorGraph(networks)
    content = to_onnx(graph, bundle_id="b", metadata_json="{}")
    renamed = onnx.load_from_string(content)
    renamed.graph.output[0].name = "samples"
    renamed.graph.node[-1].output[0] = "samples"
    with pytest.raises(ParityError) as error:
        check_parity(networks, {GENERATOR_FILE: (graph, renamed.SerializeToString())})
    assert "outputs are samples, not images" in error.value.details[0]
    poisoned = onnx.load_from_string(content)
    bias = next(t for t in poisoned.graph.initializer if t.name.endswith(".bias"))
    values = np.full_like(onnx.numpy_helper.to_array(bias), np.nan)
    bias.CopyFrom(onnx.numpy_helper.from_array(values, bias.name))
    with pytest.raises(ParityError) as error:
        check_parity(networks, {GENERATOR_FILE: (graph, poisoned.SerializeToString())})
    assert "not finite" in error.value.details[0]


def test_reference_is_the_networks_as_trained(make_networks: Callable[..., Networks]) -> None:
    networks = make_networks()
    graph = EncoderGraph(networks)
    inputs = random_inputs(graph, 4, seed=3)
    expected = reference_outputs(networks, graph, inputs)
    with torch.inference_mode():
        posterior = networks.infer(inputs[0])
    torch.testing.assert_close(expected["style_std"], torch.exp(posterior.log_var / 2))
    torch.testing.assert_close(expected["probabilities"], torch.softmax(posterior.logits, dim=1))
