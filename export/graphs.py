"""The two graphs of a bundle as torch modules, with the inputs and outputs of the bundle format."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from infogan_tool.export.ood.head import Taps
from infogan_tool.export.rewrite.layer_folding import fold_layers
from infogan_tool.runtime.bundle.metadata import (
    encoder_inputs,
    encoder_outputs,
    generator_inputs,
    generator_outputs,
)
from infogan_tool.train.infogan.q_network import style_means

if TYPE_CHECKING:
    from collections.abc import Iterable

    from infogan_tool.export.ood.head import DistanceHead
    from infogan_tool.train.infogan.networks import Networks
    from infogan_tool.train.infogan.q_network import QBranch

_STYLE_END: Final = 2.0
"""Styles are compared from minus to plus this: traversals leave the prior's range."""


class GeneratorGraph(nn.Module):
    """generator.onnx: noise, category indices and styles to images. It contains no random operation."""

    def __init__(self, networks: Networks) -> None:
        super().__init__()
        self.spec = networks.latent
        self.input_shapes = generator_inputs(networks.latent)
        self.output_shapes = generator_outputs(networks.image)
        example = torch.zeros(2, networks.latent.dim)
        self.layers = fold_layers(networks.export_generator.layers, example)
        self.eval()

    def forward(self, *inputs: Tensor) -> Tensor:
        """Take the inputs in the order of ``input_shapes``; return images ``(N, C, H, W)``."""
        given = dict(zip(self.input_shapes, inputs, strict=True))
        parts = [given["noise"]] if "noise" in given else []
        if "categories" in given:
            indices = given["categories"]
            parts += [F.one_hot(indices[:, i], size).float() for i, size in enumerate(self.spec.categorical)]
        if "styles" in given:
            parts.append(given["styles"])
        images: Tensor = self.layers(torch.cat(parts, dim=1) if len(parts) > 1 else parts[0])
        return images


class EncoderGraph(nn.Module):
    """q_encoder.onnx: images to category probabilities, style means and deviations, and the OOD distance.

    Args:
        networks: The trained networks.
        head: Computes the distance from the training images; None: the graph has no such output.
    """

    def __init__(self, networks: Networks, head: DistanceHead | None = None) -> None:
        super().__init__()
        self.spec = networks.latent
        self.image = networks.image
        self.input_shapes = encoder_inputs(networks.image)
        self.output_shapes = encoder_outputs(networks.latent, distance=head is not None)
        example = torch.zeros(2, *networks.image.shape)
        self.head = head
        # The head reads the encoder's last feature maps, so the encoder is split there.
        taps = Taps(networks)
        cut = taps.split if head is not None else 0
        self.body = fold_layers(taps.encoder[:cut], example) if cut else None
        with torch.no_grad():
            maps = taps.encoder[:cut](example)
            features = taps.encoder[cut:](maps)
        self.top = fold_layers(taps.encoder[cut:], maps)
        self.first = _BranchGraph(networks.q_category, nn.Sequential(), features)
        self.others = nn.ModuleList(
            _BranchGraph(branch, networks.layers_of(branch), example) for branch in networks.q_branches[1:]
        )
        self.eval()

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Return the outputs in the order of ``output_shapes``."""
        maps = images if self.body is None else self.body(images)
        branches = [self.first(self.top(maps)), *(branch(images) for branch in self.others)]
        features, *columns = zip(*branches, strict=True)
        logits, means, stds = (_join(column) for column in columns)
        outputs = []
        if logits is not None:
            codes = [torch.softmax(logits[:, part], dim=1) for part in self.spec.logit_slices]
            outputs.append(torch.cat(codes, dim=1) if len(codes) > 1 else codes[0])
        if means is not None and stds is not None:
            outputs += [means, stds]
        if self.head is not None:
            joined = torch.cat([part.flatten(1) for part in features], dim=1)
            outputs.append(self.head(maps.flatten(1), joined))
        return tuple(outputs)


class _BranchGraph(nn.Module):
    """One branch of Q: inputs to features, logits, means and deviations; None for outputs it lacks."""

    def __init__(self, branch: QBranch, layers: nn.Sequential, inputs: Tensor) -> None:
        super().__init__()
        with torch.no_grad():
            features = layers(inputs)
        self.layers = fold_layers(layers, inputs)
        self.logits, self.mean, self.log_var = (
            fold_layers(nn.Sequential(head), features) if head is not None else None
            for head in (branch.logits, branch.mean, branch.log_var)
        )
        self.low, self.high, self.periodic = branch.low, branch.high, branch.periodic

    def forward(self, inputs: Tensor) -> tuple[Tensor, Tensor | None, Tensor | None, Tensor | None]:
        features = self.layers(inputs)
        logits = self.logits(features) if self.logits is not None else None
        if self.mean is None:
            return features, logits, None, None
        mean = style_means(self.mean(features), self.periodic)
        if self.log_var is None:
            return features, logits, mean, torch.full_like(mean, math.exp(0.5 * self.low))
        log_var = self.low + (self.high - self.low) * torch.sigmoid(self.log_var(features))
        return features, logits, mean, torch.exp(0.5 * log_var)


def _join(parts: Iterable[Tensor | None]) -> Tensor | None:
    given = [part for part in parts if part is not None]
    if len(given) > 1:
        return torch.cat(given, dim=1)
    return given[0] if given else None


def random_inputs(graph: GeneratorGraph | EncoderGraph, count: int, seed: int) -> tuple[Tensor, ...]:
    """Return ``count`` random inputs of a graph.

    Categories and noise are of the prior, styles uniform from -2 to 2, and images uniform noise.
    """
    rng = torch.Generator().manual_seed(seed)
    inputs: list[Tensor] = []
    for name, shape in graph.input_shapes.items():
        if name == "categories":
            codes = [torch.randint(size, (count, 1), generator=rng) for size in graph.spec.categorical]
            inputs.append(torch.cat(codes, dim=1))
        elif name == "noise" and graph.spec.noise_prior == "normal":
            inputs.append(torch.randn(count, *shape, generator=rng))
        else:
            image = graph.image if isinstance(graph, EncoderGraph) else None
            end = _STYLE_END if name == "styles" else 1.0
            low, high = (image.low, image.high) if image else (-end, end)
            inputs.append(low + (high - low) * torch.rand(count, *shape, generator=rng))
    return tuple(inputs)
