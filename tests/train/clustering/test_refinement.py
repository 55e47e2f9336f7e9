"""The mutual information between the categories of two views."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional as F

from infogan_tool.train.clustering.refinement import view_information


def test_view_information_of_perfect_constant_and_independent_categories() -> None:
    perfect = F.one_hot(torch.arange(100) % 10, 10).float()
    assert view_information(perfect, perfect).item() == pytest.approx(math.log(10), abs=1e-3)
    uniform = torch.full((100, 10), 0.1)
    assert view_information(uniform, uniform).item() == pytest.approx(0, abs=1e-5)
    constant = F.one_hot(torch.zeros(100, dtype=torch.long), 10).float()
    assert view_information(constant, constant).item() == pytest.approx(0, abs=1e-4)
    shuffled = perfect[torch.randperm(100, generator=torch.Generator().manual_seed(0))]
    assert view_information(perfect, shuffled).item() < 0.7
