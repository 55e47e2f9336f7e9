"""Several seeds: trained, exported, summarised and resumed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tracemalloc
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from waiting import wait_until

from infogan_tool.export.sweep import (
    SeedScore,
    Sweep,
    Trial,
    _command,
    parse_grid,
    parse_seeds,
    run_sweep,
    usable_gpus,
)
from infogan_tool.runtime.errors import RunError, UsageError
from infogan_tool.train.config.presets import resolve_config

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Result

SMALL = 'preset = "paper"\n[networks]\nbase_width = 4\nfull_width = 16\nq_width = 8\n[schedule]\nsteps = 6\n'


@pytest.fixture
def config(tmp_path: Path, digits: Path) -> str:
    """A config of a short training on a few hundred digits."""
    file = tmp_path / "small.toml"
    file.write_text(f'{SMALL}[data]\nsource = "{digits}"\n')
    return str(file)


@pytest.mark.parametrize(
    ("text", "seeds"), [("0-4", [0, 1, 2, 3, 4]), ("3", [3]), ("0,2,7", [0, 2, 7]), ("0-1,9", [0, 1, 9])]
)
def test_parse_seeds(text: str, seeds: list[int]) -> None:
    assert parse_seeds(text) == seeds


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a",
        "1-",
        "-3",
        "4-2",
        "0,9-5",
        "1,1",
        "0-99999",
        "5000000000",
        "1,5000000000",
        "0-4000000000",
        "0-" + "9" * 19,
        "9" * 30,
    ],
)
def test_invalid_seeds_are_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_seeds(text)


@pytest.mark.parametrize("text", ["0-4000000000", "1,5000000000", "0-4294967296", "0-" + "9" * 18])
def test_long_ranges_are_refused_before_they_are_expanded(text: str) -> None:
    tracemalloc.start()
    with pytest.raises(UsageError, match="at most 1000"):
        parse_seeds(text)
    assert tracemalloc.get_traced_memory()[1] < 100_000
    tracemalloc.stop()


def test_summary_covers_the_seeds_with_labels() -> None:
    scores = [
        SeedScore(seed=i, bundle="b", accuracy=a, misalignment=None, bounds={}, seconds=1.0)
        for i, a in enumerate([0.9, 0.7, None, 0.8])
    ]
    summary = Sweep(scores=tuple(scores)).to_dict()["accuracy"]
    assert summary == pytest.approx({"mean": 0.8, "standard_deviation": 0.1, "worst": 0.7, "best": 0.9})
    assert Sweep(scores=(scores[2],)).to_dict()["accuracy"] is None


def test_sweep_trains_exports_and_skips_complete_seeds(
    cli: Callable[..., Result], tmp_path: Path, config: str
) -> None:
    out = tmp_path / "sweep"
    done = cli("sweep", "--seeds", "1", "--out", out, "--json", "--", "--config", config)
    assert done.code == 0, done.err
    result = json.loads(done.out)
    assert [score["seed"] for score in result["seeds"]] == [1]
    assert result == json.loads((out / "sweep.json").read_text())
    assert all(0 < score["accuracy"] < 1 and score["seconds"] > 0 for score in result["seeds"])
    first = (out / "bundle-1" / "metadata.json").read_bytes()
    done = cli("sweep", "--seeds", "0-1", "--out", out, "--jobs", 2, "--", "--config", config)
    assert done.code == 0, done.err
    assert "seed 1: already trained" in done.err
    lines = done.out.splitlines()
    assert lines[1].split() == ["seed", "accuracy", "k1", "c1", "c2", "degrees", "minutes"]
    assert [line.split()[0] for line in lines[2:4]] == ["0", "1"]
    assert lines[4].startswith("mean 0.")
    assert (out / "bundle-1" / "metadata.json").read_bytes() == first
    done = cli("sweep", "--seeds", "1", "--out", out, "--", "--config", config, "--batch-size", 30)
    assert (done.code, done.out) == (2, "")
    assert "seed-1 was trained with other options (schedule): use another --out" in done.err
    assert json.loads((out / "sweep.json").read_text())["accuracy"]["worst"] > 0


def test_grid_trains_every_combination_and_prints_one_table(
    cli: Callable[..., Result], tmp_path: Path, config: str
) -> None:
    out = tmp_path / "sweep"
    grid = ["--grid", "optimizer.g_lr=1e-3,0.002", "--grid", "latent.categorical=[10],[4, 3]"]
    options = ["--config", config, "--steps", 2, "--set", "augment.affine=0.5"]
    done = cli("sweep", "--seeds", "3", *grid, "--out", out, "--jobs", 2, "--", *options)
    assert done.code == 0, done.err
    lines = done.out.splitlines()
    assert lines[1].split()[:4] == ["g_lr", "categorical", "seed", "accuracy"]
    assert [line.split()[0] for line in lines[2:6]] == ["0.001", "0.001", "0.002", "0.002"]
    assert "Accuracy of the seeds of each combination" in lines[6:8]
    result = json.loads((out / "sweep.json").read_text())
    assert len(result["seeds"]) == len(result["grid"]) == 4
    assert result["accuracy"] is None
    assert result["grid"][1]["settings"] == {"optimizer.g_lr": 0.001, "latent.categorical": [4, 3]}
    for score in result["seeds"]:
        run = Path(score["bundle"]).parent / "seed-3" / "config.json"
        trained = json.loads(run.read_text())
        assert trained["optimizer"]["g_lr"] == score["settings"]["optimizer.g_lr"]
        assert trained["latent"]["categorical"] == score["settings"]["latent.categorical"]
        assert trained["augment"]["affine"] == 0.5
    done = cli("sweep", "--seeds", "3", *grid, "--out", out, "--json", "--", *options)
    assert done.err.count("already trained") == 4
    assert json.loads(done.out) == result


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--grid", "optimizer.g_lr"], "KEY=VALUE"),
        (["--grid", "optimizer.g_lr=1,1"], "different values"),
        (["--grid", "optimizer.g_lr="], "different values"),
        (["--grid", "optimizer.g_lr=1e-3,[fast"], "TOML value"),
        (["--grid", "optimizer.g_lr=1e-3,fast"], "'optimizer.g_lr'"),
        (["--grid", "optimiser.g_lr=1e-3,1"], "did you mean 'optimizer'"),
        (["--grid", "seed=1,2", "--grid", "seed=3"], "--grid seed is given twice"),
        (["--grid", "data.size=28,32", "--", "--size", "32"], "both set data.size"),
        (["--grid", "augment.affine=0,1", "--", "--set", "augment={affine = 1}"], "both set augment.affine"),
        (
            ["--grid", "networks.q=shared,separate", "--", "--preset", "paper", "--set", "q_noise=0.1"],
            "needs networks.q",
        ),
        (
            ["--grid", "schedule.steps=1,2", "--", "--epochs", "3"],
            "steps and --epochs both set",
        ),
        (["--grid", "schedule.steps=1,2", "--grid", "schedule.epochs=1,2"], "both set the length"),
        (["--grid", "preset=paper,mnist", "--", "--preset", "mnist"], "two presets are given"),
        (["--grid", "seed=1,2"], "its seeds are those of --seeds"),
        (["--", "--set", "seed=1"], "its seeds are those of --seeds"),
        (["--", "--epochs", "many"], "epochs"),
        (["--", "--preset", "papr"], "did you mean 'paper'"),
    ],
)
def test_wrong_grid_or_option_is_refused_before_training(
    cli: Callable[..., Result], tmp_path: Path, arguments: list[str], message: str
) -> None:
    done = cli("sweep", "--out", tmp_path / "s", *arguments)
    assert done.code == 2
    assert message in done.err
    assert len(done.err.splitlines()) == 1
    assert not (tmp_path / "s").exists()


def test_every_combination_has_a_folder_of_its_own(tmp_path: Path) -> None:
    texts = ['data.source="a/b","a_b",a', "optimizer.g_lr=1e-3", "consolidation=none,{steps = 3}"]
    trials = [Trial(seed=0, settings=some) for some in parse_grid(texts)]
    paths = [trial.path(tmp_path, "seed") for trial in trials]
    assert len(set(paths)) == len(trials) == 6
    assert all(path.parent.parent == tmp_path and len(path.parent.name) < 130 for path in paths)
    assert "consolidation=none" in trials[0].texts
    assert 'consolidation={"steps" = 3}' in trials[1].texts


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_sweep_is_resumed(
    cli: Callable[..., Result],
    start: Callable[..., subprocess.Popen[bytes]],
    tmp_path: Path,
    number: signal.Signals,
) -> None:
    config, out = tmp_path / "small.toml", tmp_path / "sweep"
    config.write_text(SMALL.replace("steps = 6", "steps = 80\nbatch_size = 10\nlog_every = 1"))
    metrics = out / "seed-5" / "metrics.jsonl"
    command = ("sweep", "--seeds", "5", "--out", out, "--", "--config", config)
    with start(*command, process_group=0) as process:
        wait_until(metrics.exists, process)
        os.killpg(process.pid, number)  # as a terminal does
        _, errors = process.communicate(timeout=600)
    assert process.returncode == 130, errors
    assert len(metrics.read_text().splitlines()) < 80
    assert "; the state is saved" in (out / "seed-5.log").read_text()
    *command, option, run = _command(out, Trial(seed=5), [], ["train", "--threads", "1"])
    assert (option, run) == ("--resume", str(out / "seed-5"))
    done = cli(*command, option, run)
    assert done.code == 0, done.err
    steps = [json.loads(line)["step"] for line in metrics.read_text().splitlines()]
    assert steps == list(range(1, 81))
    assert _command(out, Trial(seed=5), [], []) == [], "the training is complete"
    saved = out / "seed-5" / "checkpoints" / "last.safetensors"
    saved.rename(saved.with_name("step-00000080.safetensors"))
    assert _command(out, Trial(seed=5), [], []) == [], "a checkpoint that is kept serves as well"


def test_seeds_are_spread_over_the_gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[str] = []

    class Spied(subprocess.Popen[bytes]):
        def __init__(self, command: list[str], *, env: dict[str, str], **options: int) -> None:
            assert options["process_group"] == 0, "Ctrl-C must not reach it beside the sweep's own signal"
            given.append(env["CUDA_VISIBLE_DEVICES"])
            super().__init__(command, env=env, **options)

    monkeypatch.setattr(subprocess, "Popen", Spied)
    lines: list[str] = []
    options: dict[str, Any] = {"jobs": 3, "threads": 1, "gpus": ["4", "GPU-7f"]}
    with pytest.raises(RunError, match="did you mean 'paper'"):  # each started, none trains
        run_sweep(
            [Trial(seed=i) for i in range(3)],
            ["--preset", "papr"],
            tmp_path / "s",
            report=lines.append,
            **options,
        )
    assert given == ["4", "GPU-7f", "4"]
    assert lines[:2] == ["seed 0: training on GPU 4", "seed 1: training on GPU GPU-7f"]


def test_gpus_have_the_names_of_cuda_visible_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)  # of a machine that has two
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert usable_gpus("auto") == ["0", "1"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3, GPU-7f,9")
    assert usable_gpus("auto") == usable_gpus("cuda") == ["3", "GPU-7f"]
    assert usable_gpus("cpu") == []


def test_resumed_training_gets_the_options_that_go_with_resume(
    cli: Callable[..., Result], tmp_path: Path, config: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands: list[list[str]] = []

    class Spied(subprocess.Popen[bytes]):
        def __init__(self, command: list[str], **_: object) -> None:
            commands.append(command)
            raise OSError("not started")

    monkeypatch.setattr(subprocess, "Popen", Spied)
    (tmp_path / "seed-3").mkdir()
    resolved = resolve_config(file=Path(config), flags={"seed": 3, "schedule": {"epochs": 2}})
    (tmp_path / "seed-3" / "config.json").write_text(json.dumps(resolved.to_dict()))
    values = ["--device", "cpu", "--threads=3"]
    flags = ["--tensorboard", "--profile", "--no-capture", "--no-stream", "--quiet"]
    for seed in (3, 4):
        options = ["--config", config, "--epochs", "2", *values, *flags]
        done = cli("sweep", "--seeds", seed, "--out", tmp_path, "--", *options)
        assert done.err.endswith("error: not started\n")
    resumed, started = (command[command.index("--device") :] for command in commands)
    run = str(tmp_path / "seed-3")
    assert resumed == ["--device", "cpu", "--threads", "3", *flags[:4], "--quiet", "--resume", run]
    assert started[:-4] == [*values, *flags]


def test_error_of_a_training_is_reported(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"seed 4 failed with exit code 2: .*did you mean 'paper'"):
        run_sweep([Trial(seed=4)], ["--preset", "papr"], tmp_path / "s", jobs=1, threads=1, report=print)


@pytest.mark.parametrize("option", ["--seed", "--out=x", "-o", "--resume", "--dry-run"])
def test_options_that_a_sweep_sets_are_refused(tmp_path: Path, option: str) -> None:
    with pytest.raises(UsageError, match="cannot be used in a sweep"):
        run_sweep([Trial(seed=0)], [option, "5"], tmp_path / "s", jobs=1, threads=1, report=print)
    assert not (tmp_path / "s").exists()
