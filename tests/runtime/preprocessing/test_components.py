from __future__ import annotations

import numpy as np
import pytest

from infogan_tool.runtime.preprocessing.components import label_components


def flooded(mask: np.ndarray) -> np.ndarray:
    """Label 8-connected components pixel by pixel."""
    labels = np.zeros(mask.shape, int)
    for start in zip(*np.nonzero(mask), strict=True):
        if labels[start]:
            continue
        number, left = labels.max() + 1, [start]
        while left:
            row, column = left.pop()
            inside = 0 <= row < mask.shape[0] and 0 <= column < mask.shape[1]
            if inside and mask[row, column] and not labels[row, column]:
                labels[row, column] = number
                left += [(row + a, column + b) for a in (-1, 0, 1) for b in (-1, 0, 1)]
    return labels


@pytest.mark.parametrize("seed", range(40))
def test_components_are_those_of_a_flood(seed: int) -> None:
    rng = np.random.default_rng(seed)
    mask = rng.random(rng.integers(1, 24, 2)) < rng.random()
    labels, count = label_components(mask)
    expected = flooded(mask)
    assert count == expected.max()
    assert ((labels > 0) == mask).all()
    pairs = {(int(a), int(b)) for a, b in zip(labels[mask], expected[mask], strict=True)}
    assert len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs}) == count


def test_a_winding_line_is_one_component_and_so_is_a_chessboard() -> None:
    assert label_components(np.ones((3, 3), bool))[1] == 1
    assert label_components(np.indices((8, 8)).sum(0) % 2 == 0)[1] == 1
    assert label_components(np.zeros((4, 4), bool))[1] == 0
    snake = np.ones((9, 9), bool)
    snake[1::4, :-1] = False
    snake[3::4, 1:] = False
    assert label_components(snake)[1] == 1
