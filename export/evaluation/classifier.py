"""An independent classifier: a small supervised classifier of real images.

It shares nothing with the InfoGAN. It sees labels, so it is for reporting only: nothing that it says reaches
a training. Its classes say what a generated image shows, and its penultimate layer gives the features in
which sets of images are compared.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from infogan_tool.export.threads import one_thread

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from infogan_tool.train.data import ImageSet

__all__ = [
    "CLASSIFIER_VERSION",
    "ClassifierInfo",
    "ClassifierNetwork",
    "ClassifierSettings",
    "EvaluationClassifier",
    "train_classifier",
]

CLASSIFIER_VERSION: Final = 2
"""Raised whenever the network or its training changes: figures of different classifiers do not compare."""

FEATURES: Final = 128
_LEAST_SIDE: Final = 8
_SHIFT: Final = 2
_CHUNK: Final = 500
_HELD_OUT: Final = 10


@dataclass(frozen=True, kw_only=True, slots=True)
class ClassifierSettings:
    """How a classifier is trained."""

    seed: int = 0
    """Seed of its weights and of the order of images."""
    steps: int = 1400
    """Adam steps: three passes over 60,000 images, about a minute on one core."""
    batch_size: int = 128
    """Images per step."""
    learning_rate: float = 3e-3
    """Greatest learning rate of the one-cycle schedule."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ClassifierInfo:
    """What a report says of the classifier."""

    version: int
    """:data:`CLASSIFIER_VERSION`."""
    seed: int
    """Of its training."""
    steps: int
    """Of its training."""
    features: int
    """Width of its penultimate layer."""
    classes: int
    """Number of classes that it tells apart."""
    test_accuracy: float
    """Share of real images that it did not train on and gets right: the ceiling of what it can say."""
    test_count: int
    """Number of those: the test images, or where there are none a tenth of the training images held
    out."""


class ClassifierNetwork(nn.Module):
    """Convolutions with batch normalisation and pooling down to a side of at most 8, then two linear layers.

    Args:
        channels: Of the images.
        size: Their height and width.
        classes: Number of classes.
    """

    def __init__(self, channels: int, size: int, classes: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        width = 16
        while size > _LEAST_SIDE:
            layers += [*_convolution(channels, width), nn.MaxPool2d(2)]
            channels, width, size = width, min(2 * width, 64), size // 2
        layers += _convolution(channels, 64)
        self.trunk = nn.Sequential(*layers, nn.Flatten(), nn.Linear(64 * size * size, FEATURES), nn.ReLU())
        self.head = nn.Linear(FEATURES, classes)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits ``(N, classes)`` and features ``(N, 128)`` of uint8 images ``(N, C, H, W)``."""
        features = self.trunk(images.to(torch.float32) / 255)
        return self.head(features), features


def _convolution(channels: int, width: int) -> list[nn.Module]:
    return [nn.Conv2d(channels, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]


class EvaluationClassifier:
    """A trained classifier; made by :func:`train_classifier`."""

    def __init__(self, network: ClassifierNetwork, info: ClassifierInfo) -> None:
        self.network = network.eval()
        self.info = info
        """What a report says of it."""

    def classify(self, images: NDArray[np.uint8]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return the class ``(N,)`` and the features ``(N, 128)`` of images ``(N, H, W, C)``."""
        classes, features = [np.empty(0, np.int64)], [np.empty((0, FEATURES), np.float32)]
        with torch.inference_mode():
            for start in range(0, len(images), _CHUNK):
                part = np.ascontiguousarray(images[start : start + _CHUNK].transpose(0, 3, 1, 2))
                logits, seen = self.network(torch.from_numpy(part))
                classes.append(logits.argmax(dim=1).numpy())
                features.append(seen.numpy())
        return np.concatenate(classes), np.concatenate(features)


def train_classifier(
    train: ImageSet,
    test: ImageSet | None,
    settings: ClassifierSettings,
    progress: Callable[[str], None] = lambda _: None,
) -> EvaluationClassifier:
    """Train a classifier on labelled images.

    Cross-entropy with label indices, Adam under a one-cycle learning rate, each batch shifted by up to two
    pixels, on one thread: the classifier does not depend on the number of cores. torch's global random state
    is
    left as it was.

    Args:
        train: With labels, of at least two classes.
        test: With labels, for the classifier's own accuracy; None holds out a tenth of ``train``.
        settings: How to train.
        progress: Called now and then with a line for people.
    """
    assert train.labels is not None, "a classifier needs labels"
    rng = torch.Generator().manual_seed(settings.seed)
    images, labels = train.images, train.labels
    if test is None or test.labels is None:
        order = torch.randperm(len(images), generator=rng)
        held_out, kept = order[: max(1, len(order) // _HELD_OUT)], order[len(order) // _HELD_OUT :]
        own_images, own_labels = images[held_out], labels[held_out]
        images, labels = images[kept], labels[kept]
    else:
        own_images, own_labels = test.images, test.labels
    classes = int(train.labels.max()) + 1
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        network = ClassifierNetwork(train.channels, train.size, classes)
    # More threads add up in another order: another classifier, and a Frechet distance of 4.2 in place of 3.8.
    with one_thread():
        _fit(network, images, labels, settings, rng=rng, progress=progress)
    info = ClassifierInfo(
        version=CLASSIFIER_VERSION,
        seed=settings.seed,
        steps=settings.steps,
        features=FEATURES,
        classes=classes,
        test_accuracy=0.0,
        test_count=len(own_images),
    )
    seen, _ = EvaluationClassifier(network, info).classify(own_images.permute(0, 2, 3, 1).numpy())
    right = float((seen == own_labels.numpy()).mean())
    return EvaluationClassifier(network, replace(info, test_accuracy=right))


def _fit(
    network: ClassifierNetwork,
    images: Tensor,
    labels: Tensor,
    settings: ClassifierSettings,
    *,
    rng: torch.Generator,
    progress: Callable[[str], None],
) -> None:
    optimizer = torch.optim.Adam(network.parameters(), lr=settings.learning_rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=settings.learning_rate, total_steps=settings.steps
    )
    network.train()
    order, place = torch.empty(0, dtype=torch.int64), 0
    for step in range(settings.steps):
        if place + settings.batch_size > len(order):
            order, place = torch.randperm(len(images), generator=rng), 0
        rows = order[place : place + settings.batch_size]
        place += settings.batch_size
        logits, _ = network(_shifted(images[rows], rng))
        optimizer.zero_grad(set_to_none=True)
        F.cross_entropy(logits, labels[rows]).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
        if step % 50 == 0:
            progress(f"training the classifier: step {step:,} of {settings.steps:,}")


def _shifted(images: Tensor, rng: torch.Generator) -> Tensor:
    """Shift a batch by up to two pixels each way, its border repeated."""
    side = images.shape[-1]
    down, right = (int(n) for n in torch.randint(0, 2 * _SHIFT + 1, (2,), generator=rng))
    padded = F.pad(images.to(torch.float32), (_SHIFT,) * 4, mode="replicate")
    return padded[..., down : down + side, right : right + side]
