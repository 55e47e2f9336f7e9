"""Cutting metrics.jsonl for a resumed run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from infogan_tool.train.run.folder import RunFolder
from infogan_tool.train.run.resume import _cut_metrics

if TYPE_CHECKING:
    from pathlib import Path


def test_lines_are_kept_up_to_the_first_invalid_one(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    good = '{"step": 1, "stage": "a", "stage_step": 1}\n'
    for bad in (
        '{"stage": "a", "stage_step": 2}',
        "[1]",
        "7",
        '{"step": "x", "stage": "a", "stage_step": 2}',
        "\xff",
    ):
        run.metrics.write_bytes((good + bad + "\n" + good).encode("latin-1"))
        _cut_metrics(run.metrics, 5, None)
        assert run.metrics.read_text() == good
    _cut_metrics(run.metrics, 1, ("a", 1))
    assert run.metrics.read_text() == ""
