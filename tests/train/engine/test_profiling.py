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


def test_a_profile_of_a_training(cli: Callable[..., Result], config: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    result = cli("train", "--config", config, "--steps", 20, "--out", run, "--profile")
    assert result.code == 0
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


def test_a_profile_changes_no_number(cli: Callable[..., Result], config: Path, tmp_path: Path) -> None:
    logs = []
    for name, flags in (("plain", []), ("profiled", ["--profile"])):
        run = tmp_path / name
        assert cli("train", "--config", config, "--steps", 12, "--out", run, *flags).code == 0
        logs.append(re.sub(r'"Timing/[^,}]*[,}]', "", (run / "metrics.jsonl").read_text()))
    assert logs[0] == logs[1]
    assert "5 steps, " in (tmp_path / "profiled/profile/adversarial.txt").read_text()


def test_a_stage_of_few_steps_has_no_profile(
    cli: Callable[..., Result], config: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    assert cli("train", "--config", config, "--steps", 4, "--out", run, "--profile").code == 0
    assert not (run / "profile").exists()
