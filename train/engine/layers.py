"""Convolutions computed as one matrix product: from a whole map to a vector, and from a vector to a map.

Class, weights and state dict are those of convolutions. torch's convolutions would copy the weights, which
are most of a network's, into a format for small kernels and back in every pass (docs/results/speed.md).
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import linear


class MapToVector(nn.Conv2d):
    """A convolution over whole maps ``(N, C, M, M)``, with a kernel of M, to ``(N, F, 1, 1)``."""

    def forward(self, maps: Tensor) -> Tensor:
        """Return ``(N, F, 1, 1)``.

        Raises:
            RuntimeError: The maps are not of the kernel's size.
        """
        return linear(maps.flatten(1), *conv_product(self))[:, :, None, None]


class VectorToMap(nn.ConvTranspose2d):
    """A transposed convolution of vectors ``(N, C, 1, 1)``, with a kernel of M, to ``(N, F, M, M)``."""

    def forward(self, vectors: Tensor, output_size: list[int] | None = None) -> Tensor:  # noqa: ARG002 - torch's
        """Return ``(N, F, M, M)``.

        Raises:
            RuntimeError: The vectors have a width other than C.
        """
        return linear(vectors.flatten(1), *deconv_product(self)).view(len(vectors), *self.weight.shape[1:])


def conv_product(conv: nn.Conv2d) -> tuple[Tensor, Tensor | None]:
    """Return weight ``(F, C M M)`` and bias ``(F,)`` of a convolution over whole maps as a matrix product."""
    return conv.weight.flatten(1), conv.bias


def deconv_product(deconv: nn.ConvTranspose2d) -> tuple[Tensor, Tensor | None]:
    """Return weight ``(F M M, C)`` and bias ``(F M M,)`` of a transposed convolution of vectors likewise."""
    area = deconv.weight[0, 0].numel()
    bias = None if deconv.bias is None else deconv.bias.repeat_interleave(area)
    return deconv.weight.flatten(1).t(), bias
