"""Length of a stage in steps."""

import pytest

from infogan_tool.runtime.errors import DataError
from infogan_tool.train.config.presets import PRESETS, resolve_config
from infogan_tool.train.config.schema import ScheduleConfig
from infogan_tool.train.engine.stage import count_steps
from infogan_tool.train.run.stages import steps_by_stage

COUNT_IMAGES = {"mnist", "compact", "cvae", "dsprites", "rooms"}
"""Presets whose lengths are counted in images."""


@pytest.mark.parametrize(
    ("length", "images", "steps"),
    [
        ({}, 1050, 1000),  # 100 epochs of 10 whole batches
        ({"epochs": 2.5}, 1050, 25),
        ({"epochs": 0.01}, 1050, 1),
        ({"steps": 7}, 1050, 7),
        ({"kimg": 2.44}, 1050, 24),
        ({"kimg": 2.44}, 1_000_000, 24),
        ({"kimg": 0.001}, 1050, 1),
        ({"kimg": 1000}, 1050, 5000),  # 500 epochs
        ({"epochs": 600}, 1050, 6000),
    ],
)
def test_length_in_steps(length: dict[str, float], images: int, steps: int) -> None:
    assert count_steps(ScheduleConfig.model_validate(length), images, 100) == steps


def test_fewer_images_than_a_batch() -> None:
    with pytest.raises(DataError, match="--batch-size 99 or less"):
        count_steps(ScheduleConfig(steps=5), 99, 100)


def test_default_on_mnist() -> None:
    steps = {stage.name: steps for stage, steps in steps_by_stage(resolve_config(), 60_000)}
    assert steps == {
        "contrastive": 3 * 117,
        "neighbours": 1,
        "grouping": 1,
        "refinement": 7 * 117,
        "adversarial": 16 * 468,
        "consolidation": 2000,
    }


@pytest.mark.parametrize("name", sorted(COUNT_IMAGES))
@pytest.mark.parametrize("images", [4000, 60_000, 700_000])
def test_length_does_not_depend_on_the_size_of_the_set(name: str, images: int) -> None:
    config = resolve_config(preset=name)
    assert steps_by_stage(config, images) == steps_by_stage(config, 60_000)


@pytest.mark.parametrize("name", sorted(set(PRESETS) - COUNT_IMAGES))
def test_presets_of_publications_count_epochs(name: str) -> None:
    assert resolve_config(preset=name).schedule.epochs is not None
