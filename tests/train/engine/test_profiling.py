"""``train --profile``: a trace that viewers open, and the time of sections and operators."""

from __future__ import annotations

import gzip
import json
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Result


def test_a_profile_of_a_training_changes_no_number(
    cli: Callable[..., Result], config: Path, tmp_path: Path
) -> None:
    plain, run = tmp_path / "plain", tmp_path / "profiled"
    arguments = ("--config", config, "--steps", 20, "--batch-size", 16, "--threads", 1)
    assert cli("train", *arguments, "--out", plain).code == 0
    result = cli("train", *arguments, "--out", run, "--profile")
    assert result.code == 0
    logs = [re.sub(r'"Timing/[^,}]*[,}]', "", (path / "metrics.jsonl").read_text()) for path in (plain, run)]
    assert logs[0] == logs[1]
    screen = (run / "profile/adversarial.txt").read_text()
    assert screen in result.err
    sections, operators = screen.split("Name", 1)
    assert "10 steps, " in sections
    shares = {name: float(x) for x, name in re.findall(r"^ +([\d.]+)%  (.+)$", sections, re.MULTILINE)}
    assert shares.keys() == {"D", "G", "data", "optimizer", "metrics"}
    assert 50 < shares["D"] + shares["G"] + shares["data"] + shares["metrics"] <= 100
    assert shares["D"] > shares["data"]
    assert "aten::convolution_backward" in operators
    trace = json.loads(gzip.decompress((run / "profile/adversarial.json.gz").read_bytes()))
    assert [event.get("name") for event in trace["traceEvents"]].count("train: D") == 10
    assert sorted(path.name for path in (run / "profile").iterdir()) == [
        "adversarial.json.gz",
        "adversarial.txt",
    ]


def test_a_stage_of_few_steps_has_a_short_profile_or_none(
    cli: Callable[..., Result], config: Path, tmp_path: Path
) -> None:
    for steps, kept in ((4, False), (7, False), (9, True)):
        run = tmp_path / str(steps)
        arguments = ("--config", config, "--steps", steps, "--batch-size", 16, "--threads", 1)
        assert cli("train", *arguments, "--out", run, "--profile").code == 0
        assert (run / "profile").exists() == kept
    assert "2 steps, " in (run / "profile/adversarial.txt").read_text()
