"""The graphs of a bundle in torch, with the same weights: what the throughput benchmark compares with.

The layers are those of the trained networks: BatchNorm is folded, as in any deployment, and the pair of
convolutions that export writes as several is put back in both graphs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import onnx
import torch
from onnx.numpy_helper import to_array
from torch import Tensor, nn
from torch.nn import functional as F

from infogan_tool.export.rewrite.polyphase_convolution import merge_phases

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["GraphTwin", "generator_twin"]

_TAPS = ((3, 1), (2, 0))
"""See infogan_tool.export.rewrite.subpixel_deconvolution."""


class GraphTwin(nn.Module):
    """Any graph of the operators below, node by node."""

    def __init__(self, content: bytes) -> None:
        super().__init__()
        model = onnx.load_from_string(content)
        merge_phases(model)
        graph = model.graph
        self.inputs = [tensor.name for tensor in graph.input]
        self.outputs = [tensor.name for tensor in graph.output]
        self.constants: dict[str, Any] = {}
        for tensor in graph.initializer:
            value = torch.from_numpy(to_array(tensor).copy())
            # Shapes and axes are part of the program, not tensors that it reads.
            self.constants[tensor.name] = value if value.is_floating_point() else value.tolist()
        self.nodes = [
            (
                _OPERATORS[node.op_type],
                list(node.input),
                node.output[0],
                {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute},
            )
            for node in graph.node
        ]

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> GraphTwin:
        """Move the weights too, when it is moved to a device."""
        self.constants = {
            name: fn(value) if isinstance(value, Tensor) else value for name, value in self.constants.items()
        }
        return super()._apply(fn, recurse)

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Take the inputs and return the outputs in the order of the graph."""
        values = self.constants | dict(zip(self.inputs, inputs, strict=True))
        for operator, names, output, attributes in self.nodes:
            values[output] = operator(*(values[name] for name in names), **attributes)
        return tuple(values[name] for name in self.outputs)


def generator_twin(content: bytes) -> nn.Module:
    """Return the generator in products and transposed convolutions; of bundles with one code of 10 only."""
    graph = onnx.load_from_string(content).graph
    weights = {tensor.name: torch.from_numpy(to_array(tensor).copy()) for tensor in graph.initializer}
    layers: list[nn.Module] = []
    for node in graph.node:
        if node.op_type in ("Gemm", "ConvTranspose"):
            weight, bias = weights[node.input[1]], weights[node.input[2]]
            layers.append(_linear(weight, bias) if node.op_type == "Gemm" else _deconv(weight, bias))
        elif node.op_type == "Reshape":
            layers.append(nn.Unflatten(1, tuple(weights[node.input[1]].tolist()[1:])))
        elif node.op_type in ("Relu", "Sigmoid", "Tanh"):
            layers.append({"Relu": nn.ReLU, "Sigmoid": nn.Sigmoid, "Tanh": nn.Tanh}[node.op_type]())
        elif node.op_type == "Conv":
            layers.append(nn.Identity())
    convs = [weights[node.input[i]] for node in graph.node if node.op_type == "Conv" for i in (1, 2)]
    if convs:
        start = next(i for i, layer in enumerate(layers) if isinstance(layer, nn.Identity))
        layers = [*layers[:start], *_unpacked(convs), layers[-1]]
    return _Generator(nn.Sequential(*layers))


class _Generator(nn.Module):
    def __init__(self, layers: nn.Sequential) -> None:
        super().__init__()
        self.layers = layers

    def forward(self, *inputs: Tensor) -> Tensor:
        noise, categories, styles = inputs
        one_hot = F.one_hot(categories[:, 0], 10).float()
        images: Tensor = self.layers(torch.cat([noise, one_hot, styles], dim=1))
        return images


def _unpacked(convs: list[Tensor]) -> list[nn.Module]:
    """Return the two transposed convolutions that a SubpixelPair was made of."""
    *phases, blocks, blocks_bias = convs
    bias, kernels = phases[1], phases[::2]
    first = torch.zeros(kernels[0].shape[1], kernels[0].shape[0], 4, 4)
    for index, kernel in enumerate(kernels):
        rows, columns = _TAPS[index // 2], _TAPS[index % 2]
        for i, row in enumerate(rows):
            for j, column in enumerate(columns):
                first[:, :, row, column] = kernel[:, :, i, j].T
    channels, outputs = blocks.shape[1] // 4, blocks.shape[0] // 16
    parts = blocks.reshape(outputs, 4, 4, 2, 2, channels, 2, 2)
    second = torch.zeros(channels, outputs, 4, 4)
    for row in range(
        4
    ):  # the second row of a block (u = 1) and the fourth (u = 3) meet all rows of the kernel
        for column in range(4):
            (u, p, s), (v, q, t) = (_place(tap) for tap in (row, column))
            second[:, :, row, column] = parts[:, u, v, p, q, :, s, t].T
    return [_deconv(first, bias), nn.ReLU(), _deconv(second, blocks_bias[::16])]


def _place(tap: int) -> tuple[int, int, int]:
    """Return a block's row, a phase and a place that meet in row ``tap`` of the kernel."""
    return next(
        (u, p, s) for u in range(4) for p in (0, 1) for s in (0, 1) if u - 2 * (2 * (s - 1) + p) == tap
    )


def _linear(weight: Tensor, bias: Tensor) -> nn.Linear:
    linear = nn.Linear(weight.shape[1], weight.shape[0])
    linear.load_state_dict({"weight": weight, "bias": bias})
    return linear


def _deconv(weight: Tensor, bias: Tensor) -> nn.ConvTranspose2d:
    deconv = nn.ConvTranspose2d(weight.shape[0], weight.shape[1], 4, 2, 1)
    deconv.load_state_dict({"weight": weight, "bias": bias})
    return deconv


def _conv(x: Tensor, weight: Tensor, bias: Tensor, **attributes: Any) -> Tensor:  # noqa: ANN401
    top, left, bottom, right = attributes.get("pads", [0, 0, 0, 0])
    assert (top, left) == (bottom, right)
    return F.conv2d(x, weight, bias, attributes.get("strides", [1, 1]), (top, left))


def _gemm(x: Tensor, weight: Tensor, bias: Tensor | None = None, **attributes: Any) -> Tensor:  # noqa: ANN401
    return F.linear(x, weight if attributes.get("transB") else weight.T, bias)


def _reduce(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    return lambda x, axes=None, **a: function(x, dim=axes or a["axes"], keepdim=bool(a.get("keepdims", 1)))


def _slice(x: Tensor, starts: list[int], ends: list[int], axes: list[int], steps: list[int]) -> Tensor:
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        assert step == 1
        x = x.narrow(axis, start, min(end, x.shape[axis]) - start)
    return x


_OPERATORS: dict[str, Callable[..., Any]] = {
    "Conv": _conv,
    "Gemm": _gemm,
    "MatMul": lambda x, y: x @ y,
    "Relu": F.relu,
    "LeakyRelu": lambda x, alpha=0.01: F.leaky_relu(x, alpha),
    "Sigmoid": torch.sigmoid,
    "Tanh": torch.tanh,
    "Softmax": lambda x, axis=-1: torch.softmax(x, axis),
    "LogSoftmax": lambda x, axis=-1: torch.log_softmax(x, axis),
    "Exp": torch.exp,
    "Log": torch.log,
    "Sqrt": torch.sqrt,
    "Neg": torch.neg,
    "Add": lambda x, y: x + y,
    "Sub": lambda x, y: x - y,
    "Mul": lambda x, y: x * y,
    "Div": lambda x, y: x / y,
    "Pow": lambda x, y: x**y,
    "ReduceSum": _reduce(torch.sum),
    "ReduceMean": _reduce(torch.mean),
    "ReduceMin": _reduce(torch.amin),
    "ReduceMax": _reduce(torch.amax),
    "ReduceL2": _reduce(torch.linalg.vector_norm),
    "ReduceLogSumExp": _reduce(torch.logsumexp),
    "Reshape": lambda x, shape, **_: x.reshape([x.shape[i] if n == 0 else n for i, n in enumerate(shape)]),
    "Flatten": lambda x, axis=1: x.flatten(axis),
    "Concat": lambda *xs, axis: torch.cat(xs, axis),
    "Unsqueeze": lambda x, axes: x.unsqueeze(*axes),
    "Max": torch.maximum,
    "Slice": _slice,
    "Clip": lambda x, low=None, high=None: torch.clamp(x, low, high),
}
