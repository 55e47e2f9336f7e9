"""The first convolutions of an encoder, rewritten and put back: the same function, the same weights."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import pytest
import torch
from onnx.numpy_helper import to_array
from torch import nn

from infogan_tool.export.rewrite.polyphase_convolution import merge_phases, split_phases
from infogan_tool.export.run_to_bundle import export_networks
from infogan_tool.runtime.bundle.metadata import ENCODER_FILE
from infogan_tool.runtime.inference.session import GraphSession

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from infogan_tool.train.infogan.networks import Networks


def graph_of(layers: nn.Module, shape: tuple[int, ...]) -> onnx.ModelProto:
    program = torch.onnx.export(
        layers.eval(),
        (torch.zeros(3, *shape),),
        dynamo=True,
        verbose=False,
        input_names=["images"],
        dynamic_shapes=({0: torch.export.Dim("batch")},),
        external_data=False,
    )
    assert program is not None
    model: onnx.ModelProto = program.model_proto
    del model.graph.value_info[:]
    return model


def run(model: onnx.ModelProto, images: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    onnx.checker.check_model(model, full_check=True)
    session = GraphSession(model.SerializeToString(), device="cpu")
    (output,) = session.run({"images": images}).values()
    return output


def kinds(model: onnx.ModelProto) -> Counter[str]:
    return Counter(node.op_type for node in model.graph.node)


@pytest.mark.filterwarnings("ignore:.*:FutureWarning", "ignore:.*:DeprecationWarning")
@pytest.mark.parametrize(("channels", "size"), [(1, (28, 28)), (3, (16, 24))])
@pytest.mark.parametrize("activation", [nn.ReLU(), nn.LeakyReLU(0.1)], ids=["relu", "leaky"])
def test_the_same_function_and_back(channels: int, size: tuple[int, int], activation: nn.Module) -> None:
    torch.manual_seed(0)
    layers = nn.Sequential(
        nn.Conv2d(channels, 6, 4, 2, 1), activation, nn.Conv2d(6, 5, 4, 2, 1), activation, nn.Flatten()
    )
    model = graph_of(layers, (channels, *size))
    original = onnx.ModelProto()
    original.CopyFrom(model)
    images = np.random.default_rng(0).random((3, channels, *size), np.float32) * 2 - 1
    expected = run(model, images)
    split_phases(model)
    assert kinds(model)["Conv"] == 8
    assert kinds(model)["Add"] == 3
    np.testing.assert_allclose(run(model, images), expected, atol=1e-6, rtol=0)
    merge_phases(model)
    merge_phases(model)  # there is nothing left to put back
    assert kinds(model) == kinds(original)
    np.testing.assert_array_equal(run(model, images), expected)
    weights = [
        sorted(to_array(t).tobytes() for t in m.graph.initializer if t.dims and t.data_type == 1)
        for m in (model, original)
    ]
    assert weights[0] == weights[1]


@pytest.mark.filterwarnings("ignore:.*:FutureWarning", "ignore:.*:DeprecationWarning")
@pytest.mark.parametrize(
    "layers",
    [
        nn.Sequential(nn.Conv2d(4, 6, 4, 2, 1), nn.ReLU(), nn.Conv2d(6, 5, 4, 2, 1, groups=1, bias=False)),
        nn.Sequential(nn.Conv2d(4, 6, 4, 2, 1, groups=2), nn.ReLU(), nn.Conv2d(6, 5, 4, 2, 1)),
        nn.Sequential(nn.Conv2d(4, 6, 4, 2, 1), nn.Tanh(), nn.Conv2d(6, 5, 4, 2, 1)),
        nn.Sequential(nn.Conv2d(4, 6, 3, 1, 1), nn.ReLU(), nn.Conv2d(6, 5, 4, 2, 1)),
        nn.Sequential(nn.ReLU(), nn.Conv2d(4, 6, 4, 2, 1), nn.ReLU(), nn.Conv2d(6, 5, 4, 2, 1)),
    ],
    ids=["no bias", "groups", "another activation", "another kernel", "not at the input"],
)
def test_others_stay(layers: nn.Module) -> None:
    model = graph_of(layers, (4, 16, 16))
    before = model.SerializeToString(deterministic=True)
    split_phases(model)
    merge_phases(model)
    assert model.SerializeToString(deterministic=True) == before


@pytest.mark.filterwarnings("ignore:.*:FutureWarning", "ignore:.*:DeprecationWarning")
def test_a_size_that_does_not_halve_twice_stays() -> None:
    layers = nn.Sequential(nn.Conv2d(1, 6, 4, 2, 1), nn.ReLU(), nn.Conv2d(6, 5, 4, 2, 1))
    model = graph_of(layers, (1, 30, 30))
    split_phases(model)
    assert kinds(model)["Conv"] == 2


def test_an_exported_encoder_is_packed(make_networks: Callable[..., Networks], tmp_path: Path) -> None:
    # Parity with the networks as trained is part of every export.
    export_networks(make_networks(size=28), tmp_path / "bundle", training={})
    model = onnx.load(tmp_path / "bundle" / ENCODER_FILE)
    assert kinds(model)["Conv"] == 8
    merge_phases(model)
    assert kinds(model)["Conv"] == 2
