"""The part of the encoder's graph that computes the distance of an image from the training images."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

if TYPE_CHECKING:
    from torch import Tensor

    from infogan_tool.train.infogan.networks import Networks


class Taps:
    """Where the head reads Q: the last maps of its first branch ``(N, M)``, and its features ``(N, F)``.

    The first branch is the encoder of categories, after the trunk where Q shares that. The features are those
    of all branches, the first branch's first.
    """

    def __init__(self, networks: Networks) -> None:
        self.branch = networks.q_category
        self.encoder, *self.others = (networks.layers_of(branch) for branch in networks.q_branches)
        self.split = 0
        """Number of the encoder's layers before the one that reduces the map to 1 x 1."""
        images = torch.zeros(2, *networks.image.shape)
        maps = images
        with torch.no_grad():
            for index, layer in enumerate(self.encoder):
                after = layer(maps)
                if after.shape[2:] == (1, 1):
                    self.split = index
                    break
                maps = after
            self.map_size = maps[0].numel()
            """M."""
            self.first_size = self.encoder[self.split :](maps)[0].numel()
            """Number of features of the first branch."""
            self.feature_size = self.read(images)[1].shape[1]
            """F."""

    @torch.no_grad()
    def read(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return maps and features of images ``(N, C, H, W)``; networks must be in evaluation mode."""
        maps = self.encoder[: self.split](images)
        features = [self.encoder[self.split :](maps), *(layers(images) for layers in self.others)]
        return maps.flatten(1), torch.cat([values.flatten(1) for values in features], dim=1)


class Gaussians(nn.Module):
    """Negative log-density of rows ``(N, axes)`` under the nearest of K Gaussians.

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
        """Return -2 log of the density under the nearest Gaussian ``(N, 1)``, up to a constant."""
        white = self.whiten(rows).reshape(-1, len(self.log_determinants), self.axes)
        nearest: Tensor = ((white * white).sum(2) + self.log_determinants).amin(1, keepdim=True)
        return nearest


class DistanceHead(nn.Module):
    """Maps and features to a distance from 0 to 1; :mod:`.fitting` sets its weights.

    It has three parts: the distance of all features from the nearest category's Gaussian, that of the maps,
    and the logit of a classifier of training images against synthetic outliers, which reads the maps and the
    first branch's features. Their weighted sum is passed through a sigmoid that is 0.5 at the threshold.

    Args:
        taps: Where the head reads Q.
        axes: Axes of features and of maps that the Gaussians use.
        categories: Gaussians of each.
        hidden: Width of the outlier classifier's hidden layer.
    """

    def __init__(self, taps: Taps, axes: tuple[int, int], categories: int, hidden: int) -> None:
        super().__init__()
        self.axes, self.first_size = axes, taps.first_size
        self.project = nn.Linear(taps.feature_size, axes[0])
        # One product for both parts that read the maps.
        self.look = nn.Linear(taps.map_size + taps.first_size, axes[1] + hidden)
        self.of_features, self.of_maps = (Gaussians(width, categories) for width in axes)
        self.decide = nn.Linear(hidden, 1)
        self.least = nn.Parameter(torch.zeros(3))
        self.join = nn.Linear(3, 1)

    def parts(self, maps: Tensor, features: Tensor) -> Tensor:
        """Return the three parts ``(N, 3)``."""
        read = self.look(torch.cat([maps, features[:, : self.first_size]], dim=1))
        distances = self.of_features(self.project(features)), self.of_maps(read[:, : self.axes[1]])
        return torch.cat([*distances, self.decide(torch.relu(read[:, self.axes[1] :]))], dim=1)

    def forward(self, maps: Tensor, features: Tensor) -> Tensor:
        """Return the distance ``(N, 1)`` of maps ``(N, M)`` and features ``(N, F)``."""
        # With a lower bound, no part can compensate for another: a large part is a large distance.
        bounded = torch.maximum(self.parts(maps, features), self.least)
        distance: Tensor = torch.sigmoid(self.join(bounded))
        return distance
