"""The part of the encoder's graph that says how far an image is from the training images."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

if TYPE_CHECKING:
    from torch import Tensor

    from infogan_tool.train.infogan.networks import Networks

__all__ = ["DistanceHead", "Taps"]


class Taps:
    """Where the head looks into the encoder: its last maps ``(N, M)``, and its features ``(N, F)``.

    The encoder here is Q's first branch, on the trunk where Q shares that.
    """

    def __init__(self, networks: Networks) -> None:
        branch = networks.q_category
        trunk = networks.trunk.layers if networks.shares_trunk else nn.Sequential()
        self.encoder = nn.Sequential(*trunk, *branch.layers)
        self.branch = branch
        self.place = 0
        """How many of the encoder's layers come before the one that covers the whole map."""
        maps = torch.zeros(2, *networks.image.shape)
        with torch.no_grad():
            for index, layer in enumerate(self.encoder):
                after = layer(maps)
                if after.shape[2:] == (1, 1):
                    self.place = index
                    break
                maps = after
            self.maps = maps[0].numel()
            """M."""
            self.features = self.read(torch.zeros(2, *networks.image.shape))[1].shape[1]
            """F."""

    @torch.no_grad()
    def read(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return maps and features of images ``(N, C, H, W)``; networks must be in evaluation mode."""
        maps = self.encoder[: self.place](images)
        features = self.encoder[self.place :](maps)
        return maps.flatten(1), features.flatten(1)


class Gaussians(nn.Module):
    """How far rows ``(N, axes)`` are from the nearest of K Gaussians.

    Args:
        axes: Width of the rows.
        categories: K.
    """

    def __init__(self, axes: int, categories: int) -> None:
        super().__init__()
        self.axes = axes
        self.whiten = nn.Linear(axes, categories * axes)
        self.log_determinants = nn.Parameter(torch.zeros(categories))

    def forward(self, rows: Tensor) -> Tensor:
        """Return -2 log of the density of the nearest ``(N, 1)``, but for a constant."""
        white = self.whiten(rows).reshape(-1, len(self.log_determinants), self.axes)
        nearest: Tensor = ((white * white).sum(2) + self.log_determinants).amin(1, keepdim=True)
        return nearest


class DistanceHead(nn.Module):
    """Maps and features to a distance from 0 to 1; :mod:`.fitting` sets its weights.

    Three parts: how far the features are from the nearest category's Gaussian, how far the maps are, and the
    logit of maps like these being made up. Their weighted sum goes through a sigmoid that is 0.5 at the
    threshold.

    Args:
        features: F.
        maps: M.
        axes: Principal axes of features and of maps that the Gaussians live on.
        categories: Gaussians of each.
        hidden: Width of the comparison's hidden layer.
    """

    def __init__(self, features: int, maps: int, axes: tuple[int, int], categories: int, hidden: int) -> None:
        super().__init__()
        self.axes = axes
        self.project = nn.Linear(features, axes[0])
        self.look = nn.Linear(maps, axes[1] + hidden)  # one product for both that look at the maps
        self.of_features, self.of_maps = (Gaussians(width, categories) for width in axes)
        self.decide = nn.Linear(hidden, 1)
        self.least = nn.Parameter(torch.zeros(3))
        self.join = nn.Linear(3, 1)

    def parts(self, maps: Tensor, features: Tensor) -> Tensor:
        """Return the three parts ``(N, 3)``."""
        seen = self.look(maps)
        far = self.of_features(self.project(features)), self.of_maps(seen[:, : self.axes[1]])
        return torch.cat([*far, self.decide(torch.relu(seen[:, self.axes[1] :]))], dim=1)

    def forward(self, maps: Tensor, features: Tensor) -> Tensor:
        """Return the distance ``(N, 1)`` of maps ``(N, M)`` and features ``(N, F)``."""
        # No part may make up for another: what is far off in one is far off.
        bounded = torch.maximum(self.parts(maps, features), self.least)
        distance: Tensor = torch.sigmoid(self.join(bounded))
        return distance
