"""Bilinear sampling against torch's."""

import pytest
import torch
from torch.nn import functional as F

from infogan_tool.train.infogan.interpolation import DeterministicGridSample, grid_sample


@pytest.mark.parametrize("channels", [1, 3])
def test_deterministic_gradient_equals_torchs(channels: int) -> None:
    rng = torch.Generator().manual_seed(0)
    images = torch.rand(5, channels, 9, 7, generator=rng, dtype=torch.float64, requires_grad=True)
    # Some points are outside of the image, and some exactly on its border.
    grid = torch.rand(5, 6, 8, 2, generator=rng, dtype=torch.float64) * 3 - 1.5
    grid[0, 0, :4] = torch.tensor([[-1.0, -1], [1, 1], [0, 1], [-1, 0]])
    weights = torch.rand(5, channels, 6, 8, generator=rng, dtype=torch.float64)
    ours, theirs = DeterministicGridSample.apply(images, grid), grid_sample(images, grid)
    assert torch.equal(ours, theirs)
    (gradient,) = torch.autograd.grad((ours * weights).sum(), images)
    (expected,) = torch.autograd.grad((theirs * weights).sum(), images)
    assert torch.allclose(gradient, expected, rtol=1e-12, atol=1e-12)


def test_a_cpu_uses_torchs_function() -> None:
    images = torch.rand(2, 1, 8, 8, requires_grad=True)
    grid = F.affine_grid(torch.eye(2, 3).repeat(2, 1, 1), [2, 1, 8, 8], align_corners=False)
    sampled = grid_sample(images, grid)
    assert torch.allclose(sampled, images, atol=1e-6)
    assert sampled.grad_fn is not None
    assert "GridSampler" in sampled.grad_fn.name()
