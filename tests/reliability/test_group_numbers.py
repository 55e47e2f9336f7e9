"""Several processes on one batch write the numbers of one process."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
import torch
from compare_runs import assert_same_checkpoints, trace

from infogan_tool.train.run.checkpoint import read_checkpoint

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Ranks = Callable[..., list[Any]]

ROUNDING: float = 2e-5
"""Between scalars of a first step: sums in another order. What Adam makes of it grows from step to step, as
it does between numbers of threads: 1e-3 after ten steps of networks as small as these."""
SCHEMES = {
    "q_head": "[augment]\naffine = 0.5\n",
    "shared": (
        '[augment]\naffine = 0.5\nelastic = 0.5\nstroke = 0.6\n[objective]\ninformation_update = "shared"\n'
    ),
    "separate_step": '[objective]\ninformation_update = "separate_step"\nadversarial_loss = "hinge"\n',
}


def config_of(one_stage: Path, folder: Path, more: str) -> Path:
    """Return a wider config of one stage that logs each step, with ``more`` added."""
    text = (
        one_stage.read_text()
        .replace("log_every = 7", "log_every = 1")
        .replace("base_width = 2", "base_width = 4")
    )
    file = folder / "more.toml"
    file.write_text(text + more)
    return file


def train(ranks: Ranks, size: int, out: Path, *arguments: str | Path) -> None:
    """Train in ``size`` processes, of which only the main one writes and prints."""
    place = [] if "--resume" in arguments else ["--out", out]
    ends = ranks(size, "train", "--threads", "1", *arguments, *place)
    assert [end.code for end in ends] == [0] * size, ends[0].err
    assert "done: " in ends[0].err
    assert not [end for end in ends[1:] if end.out or end.err]
    assert not ends[0].out


def greatest_difference(
    run: Path, other: Path, steps: slice = slice(None), *, without: tuple[str, ...] = ()
) -> float:
    """Return the greatest difference between any two scalars of two traces."""
    ours, theirs = trace(run), trace(other)
    assert [line["step"] for line in ours] == [line["step"] for line in theirs]
    pairs = list(zip(ours, theirs, strict=True))[steps]
    return max(abs(a[name] - b[name]) for a, b in pairs for name in a if name not in ("stage", *without))


def relative_difference(run: Path, other: Path, part: str) -> float:
    """Return the distance between tensors of two checkpoints whose names match, over their length."""
    tensors = [read_checkpoint(path / "checkpoints/last.safetensors").tensors for path in (run, other)]
    names = [name for name in tensors[0] if re.search(part, name)]
    assert names
    ours, theirs = (torch.cat([each[name].double().flatten() for name in names]) for each in tensors)
    return float((ours - theirs).norm() / theirs.norm())


@pytest.mark.parametrize(("scheme", "size"), [("q_head", 3), ("shared", 2), ("separate_step", 2)])
def test_first_step_equals_that_of_one_process(
    ranks: Ranks, one_stage: Path, tmp_path: Path, scheme: str, size: int
) -> None:
    config = config_of(one_stage, tmp_path, SCHEMES[scheme])
    runs = tmp_path / "one", tmp_path / "many"
    for run, count in zip(runs, (1, size), strict=True):
        train(ranks, count, run, "--config", config, "--steps", "1")
    assert greatest_difference(*runs) < ROUNDING
    # Adam's first step tells the sign of each gradient and not its size, which is in its moments. A sign may
    # be rounding's, so that what is computed after one optimizer's step is a little off, and after two more.
    assert relative_difference(*runs, "[dg]_optimizer/.*/exp_avg") < 1e-3
    if scheme == "separate_step":
        assert relative_difference(*runs, "i_optimizer/.*/exp_avg") < 0.03
    assert relative_difference(*runs, "running_") < ROUNDING
    assert json.loads((runs[1] / "run.json").read_text())["processes"] == size


def test_terms_of_the_loss_equal_those_of_one_process(ranks: Ranks, one_stage: Path, tmp_path: Path) -> None:
    more = "[objective]\nhessian_penalty = 0.1\ndirection_penalty = 0.1\n"
    more += "terms = { r1 = { weight = 1.0, every = 1 } }\n"
    more += "information_update = 'shared'\ntransformations = ['slant']\n"
    config = config_of(one_stage, tmp_path, more)
    options = "--config", config, "--steps", "1", "--set", "networks.spectral_norm=true"
    runs = tmp_path / "one", tmp_path / "two"
    for size, run in enumerate(runs, 1):
        train(ranks, size, run, *options)
    assert trace(runs[0])[0]["Loss/D/r1"] > 0
    assert trace(runs[0])[0]["Loss/Q/transformations"] > 0
    assert trace(runs[0])[0]["Loss/G/direction"] > 0
    assert greatest_difference(*runs) < ROUNDING
    assert relative_difference(*runs, "[dg]_optimizer/.*/exp_avg") < 1e-3
    ends = ranks(2, "train", "--threads", "1", "--config", config, "--steps", "1", "--out", tmp_path / "norm")
    assert "needs a D without BatchNorm" in ends[0].err


def test_a_restart_equals_that_of_one_process(ranks: Ranks, one_stage: Path, tmp_path: Path) -> None:
    more = "[objective]\nhessian_penalty = 0.1\nrestart = { above = 1e-9, after = 0.4, times = 1 }\n"
    config = config_of(one_stage, tmp_path, more)
    runs = tmp_path / "one", tmp_path / "two"
    for size, run in enumerate(runs, 1):
        train(ranks, size, run, "--config", config, "--steps", "3")
        assert [line["Progress/start"] for line in trace(run)] == [2, 2, 2]
    assert greatest_difference(*runs) < 1e-3


def test_all_stages_equal_those_of_one_process(ranks: Ranks, all_stages: Path, tmp_path: Path) -> None:
    config = tmp_path / "each.toml"
    # At the preset's own rates, rounding errors grow to 0.01 within the six adversarial steps.
    slower = "optimizer = { d_lr = 2e-5, g_lr = 2e-5 }\nconsolidation"
    text = (
        all_stages.read_text().replace("log_every = 4", "log_every = 1").replace("consolidation", slower, 1)
    )
    config.write_text(text)
    runs = tmp_path / "one", tmp_path / "two"
    for size, run in enumerate(runs, 1):
        # Of codes that hardly have an effect yet, rounding decides which way each one is turned.
        train(ranks, size, run, "--config", config, "--set", "objective.axis_alignments=0")
    assert len({line["stage"] for line in trace(runs[0])}) == 6
    assert greatest_difference(*runs, slice(0, 21)) < ROUNDING, "before adversarial training"
    # Second differences, divided by the square of a step of 0.25, amplify rounding errors.
    assert greatest_difference(*runs, without=("Loss/G/hessian",)) < 3e-4
    assert greatest_difference(*runs) < 1e-2


def test_autoencoder_equals_that_of_one_process(ranks: Ranks, all_stages: Path, tmp_path: Path) -> None:
    config = tmp_path / "cvae.toml"
    text = all_stages.read_text().replace('preset = "mnist"', 'preset = "cvae"')
    config.write_text(text.replace("consolidation = { steps = 4 }\n", ""))
    runs = tmp_path / "one", tmp_path / "two"
    for size, run in enumerate(runs, 1):
        train(ranks, size, run, "--config", config)
    assert trace(runs[0])[-1]["stage"] == "variational"
    assert greatest_difference(*runs) < 1e-3


@pytest.mark.parametrize(("before", "after"), [(2, 1), (1, 2)])
def test_another_number_of_processes_resumes(
    ranks: Ranks, one_stage: Path, tmp_path: Path, before: int, after: int
) -> None:
    config = config_of(one_stage, tmp_path, "")
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    train(ranks, 1, whole, "--config", config, "--steps", "5")
    train(ranks, before, cut, "--config", config, "--steps", "3")
    train(ranks, after, cut, "--resume", cut, "--steps", "5")
    assert greatest_difference(whole, cut) < 1e-3
    assert relative_difference(whole, cut, "running_") < 1e-3


def test_dropout_differs_between_processes_and_resumes_to_the_bit(
    ranks: Ranks, one_stage: Path, tmp_path: Path
) -> None:
    config = (
        config_of(one_stage, tmp_path, "").read_text().replace("q_width = 8", "q_width = 8, dropout = 0.3")
    )
    file = tmp_path / "drop.toml"
    file.write_text(config)
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    train(ranks, 2, whole, "--config", file, "--steps", "4")
    train(ranks, 2, cut, "--config", file, "--steps", "2")
    train(ranks, 2, cut, "--resume", cut, "--steps", "4")
    assert trace(cut) == trace(whole)
    assert_same_checkpoints(cut, whole)
    ends = ranks(2, check="dropout")
    assert [end.code for end in ends] == [0, 0], [end.err for end in ends]
    assert ends[0].out != ends[1].out


@pytest.mark.parametrize("late", [0, 1])
def test_a_process_that_ends_at_once_waits_for_those_that_still_join(ranks: Ranks, late: int) -> None:
    ends = ranks(2, check="dropout", late=late)
    assert [end.code for end in ends] == [0, 0], [end.err for end in ends]


@pytest.mark.parametrize("size", [2, 3])
def test_batch_norm_is_that_of_the_whole_batch(ranks: Ranks, size: int) -> None:
    for end in ranks(size, check="batchnorm"):
        assert end.code == 0, end.err
        found = json.loads(end.out)
        assert len(found) == 46
        assert not [f"{name} {v}" for name, v in found.items() if v > (1e-5 if "float32" in name else 0.01)]


def test_what_processes_tell_each_other(ranks: Ranks) -> None:
    ends = ranks(3, check="communication")
    assert [end.code for end in ends] == [0] * 3, ends[0].err
    answers = [json.loads(end.out) for end in ends]
    assert [each["rows"] for each in answers] == [[0, 2], [2, 4], [4, 7]]
    assert [each["ends"] for each in answers] == [
        ["well", "process 0", "not reported, 1"],
        ["well", "not reported, 1", "process 1"],
        ["well", "not reported, 1", "not reported, 1"],
    ]
    for each in answers:
        assert each["gathered"] == [True, True]
        assert each["shared"] == [True, True], "whatever lies how in whose memory"
        assert each["widths"] == [[7, 3], [7], [7, 0]]
        assert each["same"] == {"rank": 0, "ü": [1.5, None]}
        assert each["shapes"]["a"] == ["torch.float32", 2, 3]
        assert each["shapes"]["none"] == ["torch.float32", 0, 4]
        assert each["any"] == [False, True]


def test_codes_are_rotated_as_in_the_main_process(ranks: Ranks) -> None:
    ends = ranks(2, check="rotation")
    assert [end.code for end in ends] == [0, 0], [end.err for end in ends]
    assert ends[0].out == ends[1].out
    (alone,) = ranks(1, check="rotation")
    assert json.loads(alone.out) == json.loads(ends[0].out)


def test_other_images_in_one_process_are_refused(ranks: Ranks) -> None:
    ends = ranks(2, check="other_images")
    assert [json.loads(end.out) for end in ends] == [
        "not reported, 1",
        "not all processes have the same images: every machine needs the same --data",
    ]
