"""Small configs on real MNIST images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from idx_files import write_digits
from PIL import Image
from sklearn.datasets import load_sample_images

from infogan_tool.train.config.files import deep_merge, validate_config
from infogan_tool.train.data import load_images
from infogan_tool.train.distributed import device

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import torch

    from infogan_tool.train.config.schema import TrainConfig


SMALL = """
preset = "paper"
[networks]
base_width = 4
full_width = 16
q_width = 8
[schedule]
log_every = 5
"""


@pytest.fixture(autouse=True)
def _one_thread_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "default_threads", lambda: 1)


@pytest.fixture(scope="session")
def mnist() -> torch.Tensor:
    """A thousand real digits, uint8 (1000, 1, 28, 28)."""
    return load_images("mnist").images[:1000]


@pytest.fixture(scope="session")
def idx_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of IDX files of real digits: 1000 to train on, 200 to test with."""
    return write_digits(tmp_path_factory.mktemp("idx"), 1000, 200)


@pytest.fixture(scope="session")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 640 patches of two photographs."""
    folder = tmp_path_factory.mktemp("photographs")
    for number, photograph in enumerate(load_sample_images().images):
        side = 24
        for row in range(16):
            for column in range(20):
                patch = photograph[row * side :, column * side :][:side, :side]
                Image.fromarray(patch).save(folder / f"{number}-{row:02d}-{column:02d}.png")
    return folder


@pytest.fixture(scope="session")
def small() -> Callable[..., TrainConfig]:
    """A function that returns preset `paper` at tiny widths, with changes."""

    def make(changes: dict[str, Any] | None = None) -> TrainConfig:
        small = {
            "data": {"size": 28, "channels": 1},
            "networks": {"base_width": 4, "full_width": 16, "q_width": 8},
            "schedule": {
                "batch_size": 50,
                "epochs": 2,
                "log_every": 7,
                "sample_every": 6,
                "checkpoint_every": 6,
            },
        }
        return validate_config(deep_merge(small, changes or {}))

    return make


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A config file of an adversarial training of a second."""
    file = tmp_path / "small.toml"
    file.write_text(SMALL)
    return file
