"""Judges, kept from one evaluation to the next: one safetensors file each, weights with a JSON header.

They lie in the folder ``classifiers`` beside the downloaded data sets (``INFOGAN_TOOL_DATA``, or the user's
cache
folder), under a digest of everything that decides their numbers but the versions of libraries. Deleting them
costs a minute.
"""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Final

from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from infogan_tool.export.evaluation.classifier import (
    CLASSIFIER_VERSION,
    ClassifierInfo,
    ClassifierNetwork,
    EvaluationClassifier,
    train_classifier,
)
from infogan_tool.runtime.errors import DataError
from infogan_tool.runtime.storage.atomic import write_atomic
from infogan_tool.train.data import default_root

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from infogan_tool.export.evaluation.classifier import ClassifierSettings
    from infogan_tool.train.data import ImageSet

__all__ = ["default_folder", "find_classifier"]

_HEADER_KEY: Final = "infogan.classifier"


def default_folder() -> Path | None:
    """Return the folder of classifiers, or None where there is no home folder to keep it in."""
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
    """Return the classifier of these images from ``folder``, or train it and keep it there.

    A file that is damaged is replaced; a folder that cannot be written costs the next evaluation a training.
    Arguments are those of :func:`~infogan_tool.export.evaluation.classifier.train_classifier`; ``folder``
    None keeps
    nothing.
    """
    if folder is None:
        return train_classifier(train, test, settings, progress)
    path = folder / f"{_digest(train, test, settings)}.safetensors"
    kept = _read(path, train)
    if kept is not None:
        return kept
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
            digest.update(images.images.numpy().data)
            digest.update(images.labels.contiguous().numpy().data)
    return digest.hexdigest()[:32]


def _read(path: Path, train: ImageSet) -> EvaluationClassifier | None:
    """Return the classifier in a file; None where there is none, or nothing that can be used."""
    try:
        with safe_open(path, framework="pt") as file:
            info = ClassifierInfo(**json.loads((file.metadata() or {})[_HEADER_KEY]))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
        network = ClassifierNetwork(train.channels, train.size, info.classes)
        network.load_state_dict(tensors)
    except (SafetensorError, OSError, ValueError, TypeError, KeyError, RuntimeError, RecursionError):
        return None
    return EvaluationClassifier(network, info)
