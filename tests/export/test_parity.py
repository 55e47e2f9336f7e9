"""Parity of the ONNX files with torch: errors that are refused, and rounding that is accepted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnx
import pytest
import torch

from infogan_tool.export.graphs import EncoderGraph, GeneratorGraph, random_inputs
from infogan_tool.export.onnx_file import to_onnx
from infogan_tool.export.parity import BATCHES, TOLERANCE, check_parity, reference_outputs
from infogan_tool.runtime.bundle.metadata import (
    ENCODER_FILE,
    GENERATOR_FILE,
)
from infogan_tool.runtime.errors import ParityError

if TYPE_CHECKING:
    from collections.abc import Callable

    from infogan_tool.train.infogan.networks import Networks


def test_wrong_weight_is_refused_with_a_table(make_networks: Callable[..., Networks]) -> None:
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
    assert len(rows) == len(BATCHES), "every batch size that failed is listed"
    assert all("generator.onnx" in row and "images" in row for row in rows)


def _lifted(networks: Networks, by: float) -> EncoderGraph:
    """Add a constant to features that the heads subtract: the same function, but less exact."""
    branch = networks.q_category
    norm = next(layer for layer in reversed(branch.layers) if isinstance(layer, torch.nn.BatchNorm2d))
    with torch.no_grad():
        for head in (branch.logits, branch.mean, branch.log_var):
            assert head is not None
            assert head.bias is not None
            head.bias -= by * head.weight.sum(dim=(1, 2, 3))
        norm.bias += by
    return EncoderGraph(networks)


def test_tolerance_follows_the_rounding_of_torch(make_networks: Callable[..., Networks]) -> None:
    networks = make_networks()
    graph = _lifted(networks, 300.0)
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


def test_small_error_is_not_taken_for_rounding(make_networks: Callable[..., Networks]) -> None:
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


def test_wrong_output_name_and_nan_are_refused(make_networks: Callable[..., Networks]) -> None:
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


def test_reference_outputs_are_those_of_the_networks(make_networks: Callable[..., Networks]) -> None:
    networks = make_networks()
    graph = EncoderGraph(networks)
    inputs = random_inputs(graph, 4, seed=3)
    expected = reference_outputs(networks, graph, inputs)
    with torch.inference_mode():
        posterior = networks.infer(inputs[0])
    torch.testing.assert_close(expected["style_std"], torch.exp(posterior.log_var / 2))
    torch.testing.assert_close(expected["probabilities"], torch.softmax(posterior.logits, dim=1))
