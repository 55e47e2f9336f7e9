"""The rewritten layers compute what the layers compute."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from infogan_tool.export.rewrite.layer_folding import fold_layers

CASES = {
    "full-map convolution": ([nn.Conv2d(3, 8, 7), nn.BatchNorm2d(8), nn.ReLU()], (3, 7, 7)),
    "convolution of a 1 x 1 map": ([nn.Conv2d(6, 4, 1)], (6, 1, 1)),
    "from 1 x 1 to a map": ([nn.ConvTranspose2d(6, 5, 7, bias=False), nn.BatchNorm2d(5)], (6, 1, 1)),
    "from 1 x 1 to 1 x 1": ([nn.ConvTranspose2d(6, 5, 1), nn.BatchNorm2d(5), nn.ReLU()], (6, 1, 1)),
    "strided": ([nn.ConvTranspose2d(6, 5, 4, 2, 1), nn.BatchNorm2d(5), nn.Tanh()], (6, 7, 7)),
    "chain": (
        [nn.ConvTranspose2d(6, 9, 1), nn.ConvTranspose2d(9, 5, 4), nn.BatchNorm2d(5), nn.Conv2d(5, 2, 4)],
        (6, 1, 1),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_same_function(name: str) -> None:
    layers, shape = CASES[name]
    torch.manual_seed(0)
    original = nn.Sequential(*layers)
    original(torch.randn(64, *shape) * 2 + 1)  # moves the running statistics away from 0 and 1
    original.eval()
    images = torch.randn(5, *shape)
    rewritten = fold_layers(original, images)
    kinds = {type(m) for m in rewritten}
    assert nn.BatchNorm2d not in kinds
    if name != "strided":
        assert not kinds & {nn.Conv2d, nn.ConvTranspose2d}
    flat = images.flatten(1) if shape[1:] == (1, 1) and name != "strided" else images
    with torch.inference_mode():
        expected = original(images)
        torch.testing.assert_close(rewritten(flat).reshape(expected.shape), expected, atol=1e-5, rtol=1e-5)


def test_original_is_left_alone() -> None:
    original = nn.Sequential(nn.Conv2d(2, 3, 4), nn.BatchNorm2d(3)).eval()
    before = {name: t.clone() for name, t in original.state_dict().items()}
    fold_layers(original, torch.zeros(2, 2, 4, 4))[1].weight.data.fill_(9)  # type: ignore[union-attr]
    assert all(torch.equal(original.state_dict()[name], t) for name, t in before.items())


def test_convolution_that_does_not_see_the_whole_map_stays() -> None:
    original = nn.Sequential(nn.Conv2d(2, 3, 3, padding=1), nn.Conv2d(3, 3, 4, groups=3)).eval()
    rewritten = fold_layers(original, torch.zeros(2, 2, 4, 4))
    assert [type(m) for m in rewritten] == [nn.Conv2d, nn.Conv2d, nn.Flatten]
    assert rewritten(torch.zeros(2, 2, 4, 4)).shape == (2, 3)
