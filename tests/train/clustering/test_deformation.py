"""The deformation cost against its definition, computed in loops."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from infogan_tool.train.clustering.deformation import DeformableMatcher, _gradients


def digits(count: int, channels: int, size: int) -> torch.Tensor:
    rng = torch.Generator().manual_seed(count + channels + size)
    return torch.randint(0, 256, (count, channels, size, size), generator=rng, dtype=torch.uint8)


def cost_in_loops(fixed: np.ndarray, moving: np.ndarray, displacement: int) -> int:
    """Sum over pixels of the least squared difference of 3 x 3 neighbourhoods within the window."""
    channels, height, width = fixed.shape
    margin = displacement
    wide = np.zeros((channels, height + 2 * margin, width + 2 * margin), np.int64)
    wide[:, margin : margin + height, margin : margin + width] = moving
    best = np.full((height, width), 2**15 - 1)
    for down in range(-margin, margin + 1):
        for across in range(-margin, margin + 1):
            if abs(down) + abs(across) > displacement:
                continue
            moved = wide[:, margin + down : margin + down + height, margin + across : margin + across + width]
            energy = np.pad(((moved - fixed.astype(np.int64)) ** 2).sum(axis=0), 1)
            around = sum(energy[y : y + height, x : x + width] for y in range(3) for x in range(3))
            best = np.minimum(best, around)
    return int(best.sum())


@pytest.mark.parametrize(
    ("channels", "size", "displacement"),
    [(1, 12, 0), (1, 12, 1), (1, 12, 2), (3, 10, 1), (1, 10, 2), (1, 28, 3)],
)
def test_costs_equal_the_loops(channels: int, size: int, displacement: int) -> None:
    images = digits(5, channels, size)
    matcher = DeformableMatcher(images, displacement, 3, 2)
    gradients = _gradients(images).numpy()
    fixed, moving = torch.tensor([0, 1, 3]), torch.tensor([[1, 4], [2, 0], [0, 3]])
    expected = [
        [cost_in_loops(gradients[i], gradients[j], displacement) for j in candidates]
        for i, candidates in zip(fixed, moving, strict=True)
    ]
    found = matcher.costs(fixed, moving)
    assert found.dtype == torch.int64
    assert found.tolist() == expected
    assert matcher.costs(fixed[:2], moving[:2]).tolist() == expected[:2], (
        "buffers keep nothing of the call before"
    )
    assert matcher.costs(torch.tensor([3]), torch.tensor([[3, 1]])).tolist()[0][0] == 0


@pytest.mark.parametrize(("channels", "level"), [(1, 21), (3, 12)])
def test_gradients_are_sobels_and_use_their_range(channels: int, level: int) -> None:
    images = torch.zeros(1, channels, 8, 8, dtype=torch.uint8)
    images[..., 4:] = 255
    gradients = _gradients(images)
    assert gradients.dtype == torch.int16
    assert gradients.shape == (1, 2 * channels, 8, 8)
    across, down = gradients[0, 0], gradients[0, 1]
    assert across[3].tolist() == [0, 0, 0, level, level, 0, 0, -level]
    assert across[0, 3] == round(0.75 * level), "outside of the image is 0"
    assert down[3].abs().max() == 0
    assert _gradients(images.transpose(2, 3))[0, 1].T.equal(across)
    # Summed over a neighbourhood, the greatest squared differences still fit.
    assert 2 * channels * 9 * (2 * level) ** 2 <= 2**15 - 1
    assert 2 * channels * 9 * (2 * (level + 1)) ** 2 > 2**15 - 1


@pytest.mark.parametrize(("size", "left"), [(28, 28), (55, 55), (56, 28), (64, 32), (128, 32)])
def test_large_images_are_halved(size: int, left: int) -> None:
    images = digits(2, 1, size)
    assert _gradients(images).shape == (2, 2, left, left)
    if left == size // 2:
        halved = torch.nn.functional.avg_pool2d(images.float(), 2).round().to(torch.uint8)
        # Halving first gives the same up to rounding to integers.
        assert (_gradients(images) - _gradients(halved)).abs().max() <= 1


def test_more_images_than_a_chunk() -> None:
    images = digits(1003, 1, 4)
    assert _gradients(images).shape == (1003, 2, 4, 4)
    assert _gradients(images)[1001].equal(_gradients(images[1001:1002])[0])


def test_a_small_shift_costs_nothing_and_other_differences_do() -> None:
    images = torch.zeros(4, 1, 28, 28, dtype=torch.uint8)
    images[0, 0, 6:22, 8:10] = 255
    images[1, 0, 7:23, 9:11] = 255  # shifted by one pixel down and to the right
    images[2, 0, 6:22, 13:15] = 255  # shifted by five
    images[3, 0, 6:8, 8:20] = 255  # horizontal
    (costs,) = DeformableMatcher(images, 2, 1, 4).costs(torch.tensor([0]), torch.arange(4)[None])
    assert costs[0] == costs[1] == 0
    assert (costs[2:] > 1000).all()


def test_costs_do_not_overflow_at_the_greatest_contrast() -> None:
    board = (torch.arange(12)[:, None] + torch.arange(12)) // 2 % 2
    images = torch.stack([board * 255, 255 - board * 255]).to(torch.uint8)[:, None].expand(-1, 3, -1, -1)
    gradients = _gradients(images).numpy()
    cost = DeformableMatcher(images, 0, 1, 1).costs(torch.tensor([0]), torch.tensor([[1]])).item()
    assert cost == cost_in_loops(gradients[0], gradients[1], 0) > 0
