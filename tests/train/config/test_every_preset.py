"""Every preset as it is, 200 steps of it, by the commands that a user types; `make test-presets`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from infogan_tool.train.config.presets import PRESETS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

OTHERS_IMAGES = ("svhn", "celeba", "faces", "chairs")
"""Presets whose images are not at hand everywhere."""


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", PRESETS)
def test_preset_at_full_width(
    name: str, photographs: Path, tmp_path: Path, spawn: Callable[..., Any]
) -> None:
    data = ("--data", photographs) if name in OTHERS_IMAGES else ()
    steps = ("train", "--preset", name, "--steps", "200", *data, "--out", tmp_path / "run")
    for arguments in (
        steps,
        ("export", tmp_path / "run", "--out", tmp_path / "bundle"),
        ("generate", "-b", tmp_path / "bundle", "-n", "16", "--out", tmp_path / "made"),
    ):
        done = spawn(*arguments, timeout=3000)
        assert done.code == 0, done.err
    made = sorted((tmp_path / "made").glob("*.png"))
    assert len(made) == 16
    images = []
    for path in made:
        with Image.open(path) as image:
            images.append(np.asarray(image, dtype=np.float64))
    # A generator averaged over a thousand steps has hardly left its beginning after 200 of them.
    averaged = json.loads((tmp_path / "run/config.json").read_text())["optimizer"]["ema_decay"] > 0
    assert np.std(images, axis=0).mean() > (0 if averaged else 1), "sixteen latents drew the same image"
