"""Axes that the OOD score places images on, fitted on training images and synthetic outliers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import torch
from torch import nn
from torch.nn import functional as F

if TYPE_CHECKING:
    from torch import Tensor

    from infogan_tool.export.ood.head import Taps

ROUNDING: Final = 1e-4
"""Smallest variance along an axis, as a share of the mean square of the values there, which are rounded."""
_MAP_AXES: Final = 256
"""Principal axes of the maps that are used."""
_SMALLEST: Final = 1e-3
"""Smallest variance within a category where axes are chosen, as a share of the mean over all axes."""
_RIDGE: Final = 1e-5
"""The same, as a share of the mean square of the features."""
_CHUNK: Final = 1000


class Axes:
    """Places of images on few axes: principal axes of the maps, whitened, and standardised features.

    A row has the maps' part, the first branch's features and those of the other branches. The classifier is
    trained on rows several times faster than on maps. The fold methods move the axes into the weights.

    Args:
        taps: Where Q is read.
        sample: Maps and features of some training images ``(N, M + F)``; changed.
    """

    def __init__(self, taps: Taps, sample: Tensor) -> None:
        maps, features = sample.tensor_split([taps.map_size], dim=1)
        self.first_size = taps.first_size
        self.squared_length = float(maps.square().sum(1).mean())
        """Mean squared length of the maps."""
        self.feature_mean = features.mean(0)
        self.feature_std = features[:, : taps.first_size].std().clamp(min=1e-6)
        self.squared_feature = float((features / self.feature_std).square().mean())
        """Mean square of the features, not centred, in units of a row."""
        self.map_mean = maps.mean(0)
        maps.sub_(self.map_mean)
        self.count = min(_MAP_AXES, *maps.shape)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)  # the search for the first axes starts at random ones
            _, lengths, self.map_axes = torch.svd_lowrank(maps, q=self.count, niter=2)
        stds = lengths / len(maps) ** 0.5
        self.stds = stds.clamp(min=max(1e-6, 1e-3 * float(stds[0]), (ROUNDING * self.squared_length) ** 0.5))
        self.whiten = self.map_axes / self.stds
        self.width = self.count + taps.feature_size

    def place(self, maps: Tensor, features: Tensor) -> Tensor:
        """Return the rows ``(N, width)`` of maps ``(N, M)`` and features ``(N, F)``."""
        return torch.cat(
            [(maps - self.map_mean) @ self.whiten, (features - self.feature_mean) / self.feature_std], dim=1
        )

    def first_features(self, rows: Tensor) -> Tensor:
        """Return the first branch's features of rows, as they were read."""
        own = slice(self.count, self.count + self.first_size)
        return rows[:, own] * self.feature_std + self.feature_mean[: self.first_size]

    @torch.no_grad()
    def fold_features(self, project: Tensor, given: nn.Linear) -> None:
        """Set ``given``, of features as they are read, to the product of ``project`` and a row's features."""
        given.weight.copy_(project / self.feature_std)
        given.bias.copy_(-given.weight @ self.feature_mean)

    @torch.no_grad()
    def fold_maps(self, width: int, hidden: nn.Linear, given: nn.Linear) -> None:
        """Set ``given``, of maps and the first branch's features: principal axes, then ``hidden``."""
        of_hidden, of_features = hidden.weight.tensor_split([self.count], dim=1)
        of_maps = torch.cat([self.map_axes[:, :width].T, of_hidden @ self.whiten.T])
        of_features = torch.cat([torch.zeros(width, self.first_size), of_features / self.feature_std])
        bias = torch.cat([torch.zeros(width), hidden.bias])
        bias -= of_maps @ self.map_mean + of_features @ self.feature_mean[: self.first_size]
        given.weight.copy_(torch.cat([of_maps, of_features], dim=1))
        given.bias.copy_(bias)


@torch.no_grad()
def discriminant_axes(
    features: Tensor, categories: Tensor, outliers: Tensor, count: int, square: float
) -> Tensor:
    """Return axes ``(count, F)`` along which synthetic outliers differ most from their nearest category.

    Differences are relative to the variance within the categories, as in linear discriminant analysis. The
    first principal axes of the training images would miss directions in which images of a category hardly
    differ and outliers do. ``square`` is the mean square of the features before they were centred, to which
    their rounding is relative.
    """
    groups = [features[categories == k] for k in range(int(categories.max()) + 1)]
    means = torch.stack([group.mean(0) for group in groups])
    within = torch.stack([torch.cov(group.T) for group in groups]).mean(0).double()
    least = _SMALLEST * within.diagonal().mean() + _RIDGE * features.square().mean()
    within += least.clamp(min=ROUNDING * square) * torch.eye(len(within))
    whiten = torch.linalg.inv(torch.linalg.cholesky(within)).float()
    scatter = torch.zeros(len(within), len(within), dtype=torch.double)
    centres = means @ whiten.T
    for part in torch.split(outliers, _CHUNK):
        placed = part @ whiten.T
        away = F.normalize(placed - centres[torch.cdist(placed, centres).argmin(1)])
        scatter += (away.T @ away).double()
    axes = torch.linalg.eigh(scatter)[1][:, -count:].float()
    project: Tensor = axes.T @ whiten
    return project
