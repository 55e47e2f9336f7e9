"""Reading of metrics.jsonl."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
from report_entries import metrics_line

from infogan_tool.export.report.metrics_log import MAX_POINTS, read_metrics_log
from infogan_tool.runtime.errors import RunError

if TYPE_CHECKING:
    from pathlib import Path


def written(path: Path, *lines: object) -> Path:
    path.write_text("".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines))
    return path


def test_stages_with_known_values(tmp_path: Path) -> None:
    first = [
        {"step": step, "stage": "contrastive", "stage_step": step, "Loss/contrastive": 5.0 - step}
        for step in (1, 2)
    ]
    second = [
        metrics_line(step, per_epoch=40, **{"Loss/D/adv": step / 10})
        | {"step": 2 + step, "Timing/sec_per_step": seconds, "Timing/images_per_sec": 64 / seconds}
        for step, seconds in ((20, 0.5), (40, 0.25), (50, 0.1))
    ]
    log = read_metrics_log(written(tmp_path / "m.jsonl", *first, *second))
    assert log.unread == 0
    contrastive, adversarial = log.stages
    assert (contrastive.name, contrastive.first_step, contrastive.steps, contrastive.steps_per_epoch) == (
        "contrastive",
        0,
        2,
        1.0,
    )
    assert (adversarial.name, adversarial.first_step, adversarial.steps, adversarial.steps_per_epoch) == (
        "adversarial",
        2,
        50,
        40.0,
    )
    np.testing.assert_allclose(adversarial.epochs, [0.5, 1.0, 1.25])
    np.testing.assert_allclose(adversarial.scalars["Loss/D/adv"], [2.0, 4.0, 5.0])
    assert adversarial.seconds == pytest.approx(20 * 0.5 + 20 * 0.25 + 10 * 0.1)
    assert adversarial.images_per_second == pytest.approx(256.0)
    assert adversarial.epoch_of(2 + 80) == 2.0
    assert log.generator_stage() is adversarial


def test_missing_scalars_become_gaps(tmp_path: Path) -> None:
    lines = [metrics_line(1, **{"A/x": 1.0}), metrics_line(2), metrics_line(3, **{"A/x": 3.0})]
    (stage,) = read_metrics_log(written(tmp_path / "m.jsonl", *lines)).stages
    np.testing.assert_allclose(stage.scalars["A/x"], [1.0, np.nan, 3.0])


@pytest.mark.parametrize(
    "line",
    [
        '{"step": 200, "stage": "adversarial", "stage_st',
        "[1, 2]",
        '{"step": -1, "stage_step": 0}',
        '{"step": true, "stage_step": true}',
        '{"step": 1, "stage_step": 2}',
        '{"step": 5, "stage_step": 5, "stage": ["x"]}',
        "[" * 60_000,
        '{"step": ' + "9" * 5_000 + ', "stage_step": 1}',
        "\x00\xff",
    ],
)
def test_damaged_lines_are_skipped_and_counted(tmp_path: Path, line: str) -> None:
    log = read_metrics_log(written(tmp_path / "m.jsonl", metrics_line(100), line))
    (stage,) = log.stages
    assert (stage.steps, log.unread) == (100, 1)


def test_numbers_that_are_not_finite_become_gaps(tmp_path: Path) -> None:
    line = json.dumps(metrics_line(100, **{"Loss/D/adv": 1.0}))
    lines = [line, line.replace("1.0}", "NaN}"), line.replace("1.0}", "1" + "0" * 400 + "}")]
    (stage,) = read_metrics_log(written(tmp_path / "m.jsonl", *lines)).stages
    np.testing.assert_array_equal(np.isnan(stage.scalars["Loss/D/adv"]), [False, True, True])


def test_many_points_are_averaged(tmp_path: Path) -> None:
    count = 10 * MAX_POINTS
    lines = [metrics_line(step, **{"Loss/D/adv": float(step)}) for step in range(1, count + 1)]
    (stage,) = read_metrics_log(written(tmp_path / "m.jsonl", *lines)).stages
    values = stage.scalars["Loss/D/adv"]
    assert len(values) == len(stage.epochs) == MAX_POINTS
    assert values[0] == pytest.approx(np.mean(np.arange(1, 11)))
    assert values.mean() == pytest.approx((count + 1) / 2)
    assert stage.seconds == pytest.approx(0.5 * count)


def test_untrusted_names_are_short_and_printable(tmp_path: Path) -> None:
    line = metrics_line(1, **{"Loss/\x1b[31m" + "x" * 500: 1.0}) | {"stage": "\x1b[2J" + "s" * 500}
    (stage,) = read_metrics_log(written(tmp_path / "m.jsonl", line)).stages
    assert stage.name.isprintable()
    assert len(stage.name) <= 60
    assert all(name.isprintable() and len(name) <= 60 for name in stage.scalars)


def test_missing_file_and_folder(tmp_path: Path) -> None:
    assert read_metrics_log(tmp_path / "missing").stages == ()
    with pytest.raises(RunError, match="cannot be read"):
        read_metrics_log(tmp_path)
