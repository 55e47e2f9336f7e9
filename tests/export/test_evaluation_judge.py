"""The judge: learns, repeats itself, is kept, and leaves random states alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from evaluation_stubs import bar_pictures

from infogan_tool.export.evaluation import judge_cache
from infogan_tool.export.evaluation.judge import FEATURES, JUDGE_VERSION, JudgeSettings, train_judge
from infogan_tool.export.evaluation.judge_cache import default_folder, find_judge
from infogan_tool.export.evaluation.measure import pixels

if TYPE_CHECKING:
    from pathlib import Path

SETTINGS = JudgeSettings(steps=60, batch_size=50)
TRAIN, TEST = bar_pictures(300, 1), bar_pictures(200, 2)


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def test_it_learns_and_says_how_well() -> None:
    judge = train_judge(TRAIN, TEST, SETTINGS)
    classes, features = judge.look(pixels(TEST))
    assert judge.record.test_accuracy == (classes == TEST.labels.numpy()).mean() > 0.95
    assert (judge.record.classes, judge.record.test_count) == (2, 200)
    assert (judge.record.version, judge.record.seed, judge.record.steps) == (JUDGE_VERSION, 0, 60)
    assert features.shape == (200, FEATURES) == (200, judge.record.features)
    assert features.min() == 0, "after the rectifier"


def test_same_seed_same_judge_and_global_random_state_untouched() -> None:
    torch.manual_seed(7)
    before = torch.get_rng_state()
    first, second = (train_judge(TRAIN, TEST, SETTINGS) for _ in range(2))
    assert torch.equal(torch.get_rng_state(), before)
    for name, tensor in first.network.state_dict().items():
        assert torch.equal(tensor, second.network.state_dict()[name]), name
    other = train_judge(TRAIN, TEST, JudgeSettings(steps=60, batch_size=50, seed=1))
    assert not torch.equal(other.network.head.weight, first.network.head.weight)


def test_the_number_of_threads_makes_no_other_judge() -> None:
    judges = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        judges.append(train_judge(TRAIN, TEST, JudgeSettings(steps=10, batch_size=50)))
        assert torch.get_num_threads() == threads
    first, second = (judge.network.state_dict() for judge in judges)
    for name, tensor in first.items():
        assert torch.equal(tensor, second[name]), name


def test_without_test_pictures_a_tenth_is_held_out() -> None:
    judge = train_judge(TRAIN, None, SETTINGS)
    assert judge.record.test_count == 30
    assert judge.record.test_accuracy > 0.9


def test_a_judge_sees_a_picture_alone_as_among_others() -> None:
    judge = train_judge(TRAIN, TEST, JudgeSettings(steps=2, batch_size=20))
    images = pixels(TEST)
    _, features = judge.look(images)
    np.testing.assert_allclose(judge.look(images[5:6])[1][0], features[5], atol=1e-4)
    assert judge.look(images[:0])[1].shape == (0, FEATURES)


def test_it_is_kept_and_found_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "judges"
    first = find_judge(TRAIN, TEST, SETTINGS, folder=folder)
    (file,) = folder.iterdir()
    monkeypatch.setattr(judge_cache, "train_judge", lambda *_: pytest.fail("trained again"))
    again = find_judge(TRAIN, TEST, SETTINGS, folder=folder)
    assert again.record == first.record
    np.testing.assert_array_equal(again.look(pixels(TEST))[1], first.look(pixels(TEST))[1])
    monkeypatch.undo()
    for train, test, settings in (
        (bar_pictures(300, 9), TEST, SETTINGS),
        (TRAIN, bar_pictures(200, 9), SETTINGS),
        (TRAIN, TEST, JudgeSettings(steps=59, batch_size=50)),
        (TRAIN, TEST, JudgeSettings(steps=60, batch_size=50, seed=1)),
    ):
        find_judge(train, test, settings, folder=folder)
    assert len(list(folder.iterdir())) == 5
    assert file.exists()


@pytest.mark.parametrize("content", [b"", b"not a judge", b"\x08\0\0\0\0\0\0\0{}      "])
def test_a_damaged_file_is_replaced(content: bytes, tmp_path: Path) -> None:
    quick = JudgeSettings(steps=2, batch_size=20)
    find_judge(TRAIN, TEST, quick, folder=tmp_path)
    (file,) = tmp_path.iterdir()
    file.write_bytes(content)
    find_judge(TRAIN, TEST, quick, folder=tmp_path)
    assert len(file.read_bytes()) > 10_000


def test_a_folder_that_cannot_be_written_is_no_failure(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    quick = JudgeSettings(steps=2, batch_size=20)
    assert find_judge(TRAIN, TEST, quick, folder=tmp_path / "file" / "judges").record.classes == 2
    assert find_judge(TRAIN, TEST, quick, folder=None).record.classes == 2


def test_default_folder_is_beside_the_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INFOGAN_TOOL_DATA", str(tmp_path))
    assert default_folder() == tmp_path / "judges"


def test_progress_is_told() -> None:
    said: list[str] = []
    train_judge(TRAIN, TEST, JudgeSettings(steps=3, batch_size=20), said.append)
    assert said == ["training the judge: step 0 of 3"]
