"""The evaluation classifier: a small supervised network, trained on real images and kept in a cache.

It is independent of the InfoGAN. It uses labels, so it is for reporting only: nothing of it reaches a
training. Its classes tell what a generated image shows, and its penultimate layer gives the features in
which sets of images are compared.

The cache is the folder ``classifiers`` beside the downloaded data sets (``INFOGAN_TOOL_DATA``, or the user's
cache folder): one safetensors file for each classifier, named by a digest of the images, the labels and the
settings. Deleting it costs one training of about a minute.
"""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn
from torch.nn import functional as F

from infogan_tool.export.threads import one_thread
from infogan_tool.runtime.errors import DataError
from infogan_tool.runtime.storage.atomic import write_atomic
from infogan_tool.train.data import default_root

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from infogan_tool.train.data import ImageSet

CLASSIFIER_VERSION: Final = 2
"""Raised whenever the network or its training changes: metrics of different classifiers do not compare."""

FEATURES: Final = 128
_MIN_SIDE: Final = 8
_MAX_SIDE: Final = 32
"""Images of a greater side are halved by the first convolution as well as by its pooling."""
_SHIFT: Final = 2
_CHUNK: Final = 500
_HELD_OUT: Final = 10
_HEADER_KEY: Final = "infogan.classifier"


@dataclass(frozen=True, kw_only=True, slots=True)
class ClassifierSettings:
    """How a classifier is trained."""

    seed: int = 0
    """Seed of the weights and of the order of images."""
    steps: int = 1400
    """Adam steps: three passes over 60,000 images, about a minute on one core."""
    batch_size: int = 128
    """Images per step."""
    learning_rate: float = 3e-3
    """Maximum learning rate of the one-cycle schedule."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ClassifierInfo:
    """Description of a trained classifier, for the results."""

    version: int
    """:data:`CLASSIFIER_VERSION`."""
    seed: int
    """Seed of the training."""
    steps: int
    """Steps of the training."""
    features: int
    """Width of the penultimate layer."""
    classes: int
    """Number of classes."""
    test_accuracy: float
    """Accuracy on real images that it was not trained on: an upper limit for what it can measure."""
    test_count: int
    """Number of these images: the test images, or a tenth of the training images where there are none."""


class ClassifierNetwork(nn.Module):
    """Convolutions with batch normalisation and pooling down to a side of at most 8, then two linear layers.

    Args:
        channels: Channels of the images.
        size: Height and width of the images.
        classes: Number of classes.
    """

    def __init__(self, channels: int, size: int, classes: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        width = 16
        while size > _MIN_SIDE:
            stride = 2 if size > _MAX_SIDE else 1
            layers += [*_convolution(channels, width, stride), nn.MaxPool2d(2)]
            channels, width, size = width, min(2 * width, 64), -(-size // stride) // 2
        layers += _convolution(channels, 64)
        self.trunk = nn.Sequential(*layers, nn.Flatten(), nn.Linear(64 * size * size, FEATURES), nn.ReLU())
        self.head = nn.Linear(FEATURES, classes)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits ``(N, classes)`` and features ``(N, 128)`` of uint8 images ``(N, C, H, W)``."""
        features = self.trunk(images.to(torch.float32) / 255)
        return self.head(features), features


def _convolution(channels: int, width: int, stride: int = 1) -> list[nn.Module]:
    convolution = nn.Conv2d(channels, width, 3, stride, padding=1, bias=False)
    return [convolution, nn.BatchNorm2d(width), nn.ReLU()]


class EvaluationClassifier:
    """A trained classifier; made by :func:`train_classifier`."""

    def __init__(self, network: ClassifierNetwork, info: ClassifierInfo) -> None:
        self.network = network.eval()
        self.info = info
        """Description for the results."""

    def classify(self, images: NDArray[np.uint8]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return the class ``(N,)`` and the features ``(N, 128)`` of images ``(N, H, W, C)``."""
        classes, features = [np.empty(0, np.int64)], [np.empty((0, FEATURES), np.float32)]
        with torch.inference_mode():
            for start in range(0, len(images), _CHUNK):
                part = np.ascontiguousarray(images[start : start + _CHUNK].transpose(0, 3, 1, 2))
                logits, penultimate = self.network(torch.from_numpy(part))
                classes.append(logits.argmax(dim=1).numpy())
                features.append(penultimate.numpy())
        return np.concatenate(classes), np.concatenate(features)


# --- training --------------------------------------------------------------------------------------------


def train_classifier(
    train: ImageSet,
    test: ImageSet | None,
    settings: ClassifierSettings,
    progress: Callable[[str], None] = lambda _: None,
) -> EvaluationClassifier:
    """Train a classifier on labelled images.

    Cross-entropy, Adam with a one-cycle learning rate, each batch shifted by up to two pixels. It uses one
    thread, so that the classifier does not depend on the number of cores. torch's global random state is
    restored.

    Args:
        train: Labelled images of at least two classes.
        test: Labelled images for the classifier's own accuracy; None holds out a tenth of ``train``.
        settings: Settings of the training.
        progress: Called now and then with a line of text.
    """
    assert train.labels is not None, "a classifier needs labels"
    rng = torch.Generator().manual_seed(settings.seed)
    images, labels = train.images[:], train.labels
    if test is None or test.labels is None:
        order = torch.randperm(len(images), generator=rng)
        count = max(1, len(order) // _HELD_OUT)
        held_out, kept = order[:count], order[count:]
        test_images, test_labels = images[held_out], labels[held_out]
        images, labels = images[kept], labels[kept]
    else:
        test_images, test_labels = test.images[:], test.labels
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
        test_count=len(test_images),
    )
    predicted, _ = EvaluationClassifier(network, info).classify(test_images.permute(0, 2, 3, 1).numpy())
    accuracy = float((predicted == test_labels.numpy()).mean())
    return EvaluationClassifier(network, replace(info, test_accuracy=accuracy))


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
    order, start = torch.empty(0, dtype=torch.int64), 0
    for step in range(settings.steps):
        if start + settings.batch_size > len(order):
            order, start = torch.randperm(len(images), generator=rng), 0
        rows = order[start : start + settings.batch_size]
        start += settings.batch_size
        logits, _ = network(_shift(images[rows], rng))
        optimizer.zero_grad(set_to_none=True)
        F.cross_entropy(logits, labels[rows]).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
        if step % 50 == 0:
            progress(f"training the evaluation classifier: step {step:,} of {settings.steps:,}")


def _shift(images: Tensor, rng: torch.Generator) -> Tensor:
    """Shift a batch by up to two pixels each way, with the border repeated."""
    side = images.shape[-1]
    down, right = (int(n) for n in torch.randint(0, 2 * _SHIFT + 1, (2,), generator=rng))
    padded = F.pad(images.to(torch.float32), (_SHIFT,) * 4, mode="replicate")
    return padded[..., down : down + side, right : right + side]


# --- the cache -------------------------------------------------------------------------------------------


def default_folder() -> Path | None:
    """Return the folder of the cache, or None where there is no home folder for it."""
    try:
        return default_root() / "classifiers"
    except DataError:
        return None


def find_classifier(
    train: ImageSet,
    test: ImageSet | None,
    settings: ClassifierSettings,
    *,
    folder: Path | None,
    progress: Callable[[str], None] = lambda _: None,
) -> EvaluationClassifier:
    """Return the classifier of these images from ``folder``, or train it and write it there.

    A damaged file is replaced. If the folder cannot be written, the next evaluation trains again. The other
    arguments are those of :func:`train_classifier`; with ``folder`` None nothing is read or written.
    """
    if folder is None:
        return train_classifier(train, test, settings, progress)
    path = folder / f"{_digest(train, test, settings)}.safetensors"
    cached = _read(path, train)
    if cached is not None:
        return cached
    classifier = train_classifier(train, test, settings, progress)
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        tensors = {name: tensor.contiguous() for name, tensor in classifier.network.state_dict().items()}
        write_atomic(path, save(tensors, {_HEADER_KEY: json.dumps(asdict(classifier.info))}))
    return classifier


def _digest(train: ImageSet, test: ImageSet | None, settings: ClassifierSettings) -> str:
    digest = hashlib.sha256(json.dumps([CLASSIFIER_VERSION, asdict(settings)]).encode())
    for images in (train, test):
        if images is not None and images.labels is not None:
            digest.update(repr(tuple(images.images.shape)).encode())
            digest.update(images.images[:].numpy().data)
            digest.update(images.labels.contiguous().numpy().data)
    return digest.hexdigest()[:32]


def _read(path: Path, train: ImageSet) -> EvaluationClassifier | None:
    """Return the classifier in a file; None where the file does not exist or cannot be used."""
    try:
        with safe_open(path, framework="pt") as file:
            info = ClassifierInfo(**json.loads((file.metadata() or {})[_HEADER_KEY]))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
        network = ClassifierNetwork(train.channels, train.size, info.classes)
        network.load_state_dict(tensors)
    except (SafetensorError, OSError, ValueError, TypeError, KeyError, RuntimeError, RecursionError):
        return None
    return EvaluationClassifier(network, info)
