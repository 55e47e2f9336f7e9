"""Fold layers for inference: BatchNorm into convolutions, full-map convolutions into matrix products.

A convolution whose kernel covers the whole map, and a transposed convolution of a 1 x 1 map, are each one
matrix product. onnxruntime runs a product (Gemm) several times faster than the same operation as Conv or
ConvTranspose, and Conv faster than ConvTranspose; for two transposed convolutions in a row see
``subpixel_deconvolution``.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Final

import torch
from torch import nn
from torch.nn.utils import parametrize
from torch.nn.utils.fusion import fuse_conv_bn_eval

from infogan_tool.export.rewrite.subpixel_deconvolution import SubpixelPair, is_subpixel_pair
from infogan_tool.train.engine.layers import MeanConv, UpsampledConv, conv_product, deconv_product

if TYPE_CHECKING:
    from torch import Tensor

_ACTIVATIONS = (nn.ReLU, nn.LeakyReLU, nn.Sigmoid, nn.Tanh)
"""Element-wise activations."""
_FLAT: Final = 2
"""Dimensions of a batch of vectors."""


def fold_layers(layers: nn.Sequential, example: Tensor) -> nn.Sequential:
    """Return a copy of ``layers`` that computes the same in evaluation mode with fewer, faster operations.

    Args:
        layers: In evaluation mode. Convolutions, transposed convolutions and BatchNorm are rewritten, dropout
            is left out, and other modules stay as they are, without parametrizations.
        example: An input ``(N, C, H, W)`` or ``(N, C)``; its map size decides which convolutions are matrix
            products.

    Returns:
        Layers whose input is ``(N, C, H, W)``, or ``(N, C)`` where the example's map is 1 x 1, and whose
        output is that of ``layers``, as ``(N, F)`` where its map is 1 x 1.
    """
    modules = [
        part
        for module in layers
        if not isinstance(module, nn.Dropout2d)
        for part in _standard_layers(_without_parametrizations(copy.deepcopy(module).eval()))
    ]
    result: list[nn.Module] = []
    flat = _is_vector(example)
    with torch.no_grad():
        for module in _fold_batch_norm(modules):
            output = module(example)
            is_product = isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)) and _is_matrix_product(
                module, example, output
            )
            if isinstance(module, nn.Conv2d) and is_product:
                result += [*([] if flat else [nn.Flatten()]), _as_linear(*conv_product(module))]
                flat = True
            elif isinstance(module, nn.ConvTranspose2d) and is_product:
                result += [*([] if flat else [nn.Flatten()]), _as_linear(*deconv_product(module))]
                flat = _is_vector(output)
                if not flat:
                    result.append(nn.Unflatten(1, output.shape[1:]))
            else:
                if flat and example.ndim > _FLAT and not isinstance(module, _ACTIVATIONS):
                    result.append(nn.Unflatten(1, example.shape[1:]))
                flat = output.ndim == _FLAT or (flat and isinstance(module, _ACTIVATIONS))
                result.append(module)
            example = output
        if _is_vector(example) and not flat:
            result.append(nn.Flatten())
        result = _pair_deconvolutions(_activate_early(result))
    return nn.Sequential(*result).eval()


def _is_vector(maps: Tensor) -> bool:
    return maps.ndim == _FLAT or maps.shape[2:] == (1, 1)


def _without_parametrizations(module: nn.Module) -> nn.Module:
    """Replace each parametrization, such as spectral normalisation, by the weights that it computes."""
    for part in list(module.modules()):
        if parametrize.is_parametrized(part):
            values = {name: getattr(part, name).detach() for name in part.parametrizations}  # type: ignore[union-attr]
            # torch's function for this would change the class, which copies share with the original.
            part.__class__ = parametrize.type_before_parametrizations(part)
            del part.parametrizations
            for name, value in values.items():
                part.register_parameter(name, nn.Parameter(value))
    return module


def _standard_layers(module: nn.Module) -> list[nn.Module]:
    """Return ``module`` as layers of torch that onnxruntime is fast at; those within it are replaced."""
    if isinstance(module, UpsampledConv):
        return [nn.Upsample(scale_factor=2), _as_convolution(module, module.weight, stride=1)]
    if isinstance(module, MeanConv):
        return [_as_convolution(module, module.kernel(), stride=2)]
    for name, child in module.named_children():
        layers = _standard_layers(child)
        if layers != [child]:
            setattr(module, name, layers[0] if len(layers) == 1 else nn.Sequential(*layers))
    return [module]


def _as_convolution(module: nn.Conv2d, kernel: Tensor, stride: int) -> nn.Conv2d:
    conv = nn.Conv2d(
        module.in_channels, module.out_channels, kernel.shape[2], stride, 1, bias=module.bias is not None
    )
    conv.weight = nn.Parameter(kernel.detach())
    conv.bias = module.bias
    return conv.eval()


def _fold_batch_norm(modules: list[nn.Module]) -> list[nn.Module]:
    folded: list[nn.Module] = []
    for module in modules:
        before = folded[-1] if folded else None
        if isinstance(module, nn.BatchNorm2d) and isinstance(before, (nn.Conv2d, nn.ConvTranspose2d)):
            folded[-1] = fuse_conv_bn_eval(before, module, transpose=isinstance(before, nn.ConvTranspose2d))
        else:
            folded.append(module)
    return folded


def _activate_early(modules: list[nn.Module]) -> list[nn.Module]:
    """Move an activation before the reshaping that it follows, where it can be part of the product."""
    moved: list[nn.Module] = []
    for module in modules:
        early = isinstance(module, _ACTIVATIONS) and moved and isinstance(moved[-1], nn.Unflatten)
        moved.insert(len(moved) - 1 if early else len(moved), module)
    return moved


def _pair_deconvolutions(modules: list[nn.Module]) -> list[nn.Module]:
    for start in range(len(modules) - 2):
        first, activation, second, *rest = modules[start:]
        if is_subpixel_pair(first, activation, second):
            assert isinstance(first, nn.ConvTranspose2d)
            assert isinstance(second, nn.ConvTranspose2d)
            after = rest.pop(0) if rest and isinstance(rest[0], _ACTIVATIONS) else None
            pair = SubpixelPair(first, activation, second, after)
            return [*modules[:start], pair, *_pair_deconvolutions(rest)]
    return modules


def _is_matrix_product(conv: nn.Conv2d | nn.ConvTranspose2d, example: Tensor, output: Tensor) -> bool:
    if conv.groups != 1 or set(conv.dilation) != {1} or set(conv.padding) != {0}:
        return False
    if isinstance(conv, nn.Conv2d):
        return tuple(conv.kernel_size) == tuple(example.shape[2:]) and output.shape[2:] == (1, 1)
    return _is_vector(example) and set(conv.output_padding) == {0}


def _as_linear(weight: Tensor, bias: Tensor | None) -> nn.Linear:
    outputs, inputs = weight.shape
    linear = nn.Linear(inputs, outputs)
    linear.weight.copy_(weight)
    linear.bias.copy_(torch.zeros(outputs) if bias is None else bias)
    return linear
