"""Runs and bundles for the tests of ``report``, written without a training."""

from __future__ import annotations

import json
import shutil
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import numpy as np

from infogan_tool.runtime import save_png, sheet

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

HOSTILE = "\"><script>alert(1)</script><img src=x onerror=alert(2)>&amp;'$\\frac{"
"""A hostile name: markup, the end of an attribute, an entity, and an incomplete formula."""
SIDE = 8
CONFIG: dict[str, Any] = {
    "preset": "paper",
    "latent": {"noise": 4, "noise_prior": "uniform", "categorical": [3], "continuous": 2},
    "data": {"source": "nowhere", "size": SIDE, "channels": 1},
}


def write_bundle(folder: Path, source: Path, **changes: Any) -> Path:  # noqa: ANN401 - JSON
    """Copy a fixture bundle with other metadata; by default without the name of its training data."""
    shutil.copytree(source, folder)
    metadata = json.loads((folder / "metadata.json").read_text())
    metadata["training"] = {}
    metadata |= changes
    (folder / "metadata.json").write_text(json.dumps(metadata))
    return folder


def metrics_line(step: int, *, per_epoch: int = 100, **scalars: float) -> dict[str, Any]:
    return {
        "step": step,
        "stage": "adversarial",
        "stage_step": step,
        "Progress/epoch": step / per_epoch,
        "Timing/sec_per_step": 0.5,
        "Timing/images_per_sec": 200.0,
        **scalars,
    }


def scalars_at(step: int) -> dict[str, float]:
    """Plausible scalars of a training; D(fake) after G's update is 0.1 above that before."""
    near = step / (step + 100)
    return {
        "Loss/D/adv": 1.4 - near / 2,
        "Loss/G/adv": 0.7 + near / 2,
        "Loss/Q/categorical": 1.1 - near,
        "Loss/Q/continuous": 0.5 - near,
        "MI/k1": near,
        "MI/c1": near / 2,
        "MI/c2": -0.18,
        "Scores/real": 0.5 + near / 4,
        "Scores/fake_before_g": 0.5 - near / 4,
        "Scores/fake_after_g": 0.6 - near / 4,
    }


def sheet_of(level: int, *, spec_rows: int = 3, columns: int = 10, channels: int = 1) -> np.ndarray:
    """A sample sheet as a run writes it: image (r, c) has the value ``level + 10 r + c``, real ones 200."""
    generated = np.array([level + 10 * r + c for r in range(spec_rows) for c in range(columns)], np.uint8)
    left = np.broadcast_to(generated[:, None, None, None], (len(generated), SIDE, SIDE, channels)).copy()
    right = np.full((spec_rows * 5, SIDE, SIDE, channels), 200, np.uint8)
    panels = [sheet(left, columns), sheet(right, 5)]
    line = np.full((len(panels[0]), 8, channels), 255, np.uint8)
    return np.concatenate([panels[0], line, panels[1]], axis=1)


def write_run(
    folder: Path,
    *,
    epochs: int = 4,
    config: Mapping[str, Any] | None = None,
    sheets: bool = True,
    tail: str = "",
) -> Path:
    """Write a run without a checkpoint: 100 steps per epoch, a line and a sheet for each epoch."""
    (folder / "samples").mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(CONFIG if config is None else config))
    info = {"device": "cpu", "device_name": "x86_64", "threads": 1}
    (folder / "run.json").write_text(json.dumps(info))
    lines = [metrics_line(step, **scalars_at(step)) for step in range(50, 100 * epochs + 1, 50)]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (folder / "metrics.jsonl").write_text(text + tail)
    if sheets:
        for epoch in range(epochs + 1):
            save_png(folder / "samples" / f"step-{100 * epoch:08d}.png", sheet_of(10 * epoch))
    return folder


class Tags(HTMLParser):
    """All tags of a page with their attributes, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.found if name == tag]
