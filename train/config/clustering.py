"""The tables of clustering: contrastive learning, neighbours, grouping and refinement."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from infogan_tool.train.config.tables import LengthTable, Table, ViewConfig


class ContrastiveConfig(LengthTable):
    """Clustering, stage 1: contrastive learning (NT-Xent) of features."""

    default_length: ClassVar = {"kimg": 179.7}

    learning_rate: float = Field(default=3e-3, gt=0)
    """Peak of the one-cycle learning rate."""
    temperature: float = Field(default=0.2, gt=0)
    """Temperature of the softmax over similarities."""
    view: ViewConfig | None = None
    """Augmentation of both views; strong. None: that of ``clustering.views``."""


class NeighboursConfig(Table):
    """Clustering, stage 2: the nearest neighbours of each image."""

    images: int = Field(default=100_000, ge=1000)
    """Most images whose neighbours are searched, among each other: of a larger data set a random sample. Only
    images of the sample get pseudo-labels."""
    pca_components: int = Field(default=64, ge=1)
    """Principal components of the features that candidates are searched in."""
    candidates: int = Field(default=60, ge=1, le=1000)
    """Nearest images by features that are compared by the image distortion model."""
    count: int = Field(default=5, ge=1, le=1000)
    """Candidates that are kept as neighbours."""
    compare: Literal["deformation", "features"] | None = None
    """What makes a candidate a neighbour: ``deformation`` is the image distortion model; ``features`` keeps
    the nearest by features. None: as ``clustering.views`` says."""
    averaged_views: int | None = Field(default=None, ge=0, le=100)
    """Strong views of an image, whose mean feature is its feature; 0: the feature of the image itself. None:
    as ``clustering.views`` says."""
    displacement: int = Field(default=2, ge=0, le=8)
    """Greatest displacement of a pixel in the comparison, across plus down, in pixels."""


class GroupingConfig(Table):
    """Clustering, stage 3: partition of the neighbour graph into one group per category."""

    eigenvectors: int = Field(default=40, ge=2, le=1000)
    """Dimensions of the graph's spectral embedding."""
    clusters: int = Field(default=250, ge=2, le=2000)
    """Small clusters that are merged into groups. Fewer are used with few images."""
    restarts: int = Field(default=3, ge=1, le=100)
    """Partitions from different initial clusters; the one of the greatest information is kept."""


class RefinementConfig(LengthTable):
    """Clustering, stage 4: Q learns the groups as pseudo-labels, and to be invariant to augmentation."""

    default_length: ClassVar = {"kimg": 419.3}

    learning_rate: float = Field(default=1e-3, gt=0)
    """Peak of the one-cycle learning rate."""
    ema_decay: float = Field(default=0.98, ge=0, lt=1)
    """Decay per step of the exponential moving average of Q's weights."""
    pseudo_label_weight: float = Field(default=0.5, ge=0)
    """Weight of the cross-entropy with the pseudo-labels, beside the mutual information of two views."""
    view: ViewConfig | None = None
    """Augmentation of the first view; weak. None: that of ``clustering.views``."""
    second_view: ViewConfig | None = None
    """Augmentation of the second view; weaker. None: that of ``clustering.views``."""


class ClusteringConfig(Table):
    """Training of Q(k1|x) on real images without labels. Q(k1|x) is frozen in adversarial training."""

    views: Literal["strokes", "silhouettes", "objects", "shapes", "none"] = "strokes"
    """The random changes that do not alter what an image shows, by name. ``strokes``: slant, size, position
    and stroke width of characters and drawings. ``silhouettes``: pose of one object on an even background.
    ``objects``: crop, mirror image and colours of photographs. ``shapes``: crop, mirror image and hues, each
    changed on its own: objects of any colour before any background. ``none``: no change."""
    batch_size: int = Field(default=512, ge=2)
    """Images per step of contrastive learning and refinement; all images where there are fewer."""
    contrastive: ContrastiveConfig = ContrastiveConfig()
    """Stage 1."""
    neighbours: NeighboursConfig = NeighboursConfig()
    """Stage 2."""
    grouping: GroupingConfig = GroupingConfig()
    """Stage 3."""
    refinement: RefinementConfig = RefinementConfig()
    """Stage 4."""
