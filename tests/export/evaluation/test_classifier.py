"""The evaluation classifier: its training is deterministic, and it is cached."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from evaluation_stubs import bar_images

from infogan_tool.export.evaluation import classifier as classifier_module
from infogan_tool.export.evaluation.classifier import (
    CLASSIFIER_VERSION,
    FEATURES,
    ClassifierNetwork,
    ClassifierSettings,
    default_folder,
    find_classifier,
    train_classifier,
)
from infogan_tool.export.evaluation.real_images import to_nhwc

if TYPE_CHECKING:
    from pathlib import Path

SETTINGS = ClassifierSettings(steps=60, batch_size=50)
TRAIN, TEST = bar_images(300, 1), bar_images(200, 2)


def test_training_and_its_reported_accuracy() -> None:
    classifier = train_classifier(TRAIN, TEST, SETTINGS)
    classes, features = classifier.classify(to_nhwc(TEST))
    assert classifier.info.test_accuracy == (classes == TEST.labels.numpy()).mean() > 0.95
    assert (classifier.info.classes, classifier.info.test_count) == (2, 200)
    assert (classifier.info.version, classifier.info.seed, classifier.info.steps) == (
        CLASSIFIER_VERSION,
        0,
        60,
    )
    assert features.shape == (200, FEATURES) == (200, classifier.info.features)
    assert features.min() == 0, "after the rectifier"


@pytest.mark.parametrize("size", [4, 28, 32, 33, 64, 127, 128])
def test_network_ends_with_a_map_of_at_most_8_whatever_the_size(size: int) -> None:
    network = ClassifierNetwork(3, size, 5)
    logits, features = network(torch.zeros(2, 3, size, size, dtype=torch.uint8))
    assert (logits.shape, features.shape) == ((2, 5), (2, FEATURES))
    convolutions = [layer for layer in network.trunk if isinstance(layer, torch.nn.Conv2d)]
    assert [layer.stride[0] for layer in convolutions].count(2) == (size > 32)
    linear = [layer for layer in network.trunk if isinstance(layer, torch.nn.Linear)]
    assert linear[0].in_features <= 64 * 8 * 8


def test_same_seed_gives_the_same_classifier_and_keeps_the_global_random_state() -> None:
    torch.manual_seed(7)
    before = torch.get_rng_state()
    settings = ClassifierSettings(steps=10, batch_size=50)
    first, second = (train_classifier(TRAIN, TEST, settings) for _ in range(2))
    assert torch.equal(torch.get_rng_state(), before)
    for name, tensor in first.network.state_dict().items():
        assert torch.equal(tensor, second.network.state_dict()[name]), name
    other = train_classifier(TRAIN, TEST, ClassifierSettings(steps=10, batch_size=50, seed=1))
    assert not torch.equal(other.network.head.weight, first.network.head.weight)


def test_number_of_threads_does_not_change_the_classifier() -> None:
    classifiers = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        classifiers.append(train_classifier(TRAIN, TEST, ClassifierSettings(steps=10, batch_size=50)))
        assert torch.get_num_threads() == threads
    first, second = (classifier.network.state_dict() for classifier in classifiers)
    for name, tensor in first.items():
        assert torch.equal(tensor, second[name]), name


def test_without_test_images_a_tenth_is_held_out() -> None:
    classifier = train_classifier(TRAIN, None, SETTINGS)
    assert classifier.info.test_count == 30
    assert classifier.info.test_accuracy > 0.9


def test_the_image_that_is_held_out_of_a_few_is_not_trained_on(monkeypatch: pytest.MonkeyPatch) -> None:
    trained: list[int] = []
    monkeypatch.setattr(classifier_module, "_fit", lambda _, images, *__, **___: trained.append(len(images)))
    assert train_classifier(bar_images(6, 1), None, SETTINGS).info.test_count == 1
    assert trained == [5]


def test_features_of_an_image_do_not_depend_on_its_batch() -> None:
    classifier = train_classifier(TRAIN, TEST, ClassifierSettings(steps=2, batch_size=20))
    images = to_nhwc(TEST)
    _, features = classifier.classify(images)
    np.testing.assert_allclose(classifier.classify(images[5:6])[1][0], features[5], atol=1e-4)
    assert classifier.classify(images[:0])[1].shape == (0, FEATURES)


def test_classifier_is_cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "classifiers"
    quick = ClassifierSettings(steps=2, batch_size=20)
    first = find_classifier(TRAIN, TEST, quick, folder=folder)
    (file,) = folder.iterdir()
    monkeypatch.setattr(classifier_module, "train_classifier", lambda *_: pytest.fail("trained again"))
    again = find_classifier(TRAIN, TEST, quick, folder=folder)
    assert again.info == first.info
    np.testing.assert_array_equal(again.classify(to_nhwc(TEST))[1], first.classify(to_nhwc(TEST))[1])
    monkeypatch.undo()
    for train, test, settings in (
        (bar_images(300, 9), TEST, quick),
        (TRAIN, bar_images(200, 9), quick),
        (TRAIN, TEST, ClassifierSettings(steps=3, batch_size=20)),
        (TRAIN, TEST, ClassifierSettings(steps=2, batch_size=20, seed=1)),
    ):
        find_classifier(train, test, settings, folder=folder)
    assert len(list(folder.iterdir())) == 5
    assert file.exists()


@pytest.mark.parametrize("content", [b"", b"not a classifier", b"\x08\0\0\0\0\0\0\0{}      "])
def test_damaged_file_is_replaced(content: bytes, tmp_path: Path) -> None:
    quick = ClassifierSettings(steps=2, batch_size=20)
    find_classifier(TRAIN, TEST, quick, folder=tmp_path)
    (file,) = tmp_path.iterdir()
    file.write_bytes(content)
    find_classifier(TRAIN, TEST, quick, folder=tmp_path)
    assert len(file.read_bytes()) > 10_000


def test_unwritable_folder_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    quick = ClassifierSettings(steps=2, batch_size=20)
    assert find_classifier(TRAIN, TEST, quick, folder=tmp_path / "file" / "classifiers").info.classes == 2
    assert find_classifier(TRAIN, TEST, quick, folder=None).info.classes == 2


def test_default_folder_is_in_the_data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INFOGAN_TOOL_DATA", str(tmp_path))
    assert default_folder() == tmp_path / "classifiers"


def test_progress_is_reported() -> None:
    lines: list[str] = []
    train_classifier(TRAIN, TEST, ClassifierSettings(steps=3, batch_size=20), lines.append)
    assert lines == ["training the evaluation classifier: step 0 of 3"]
