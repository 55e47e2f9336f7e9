"""The commands ``train`` and ``export``."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch
from jsonschema import Draft202012Validator
from waiting import wait_until

from infogan_tool.runtime.inference.device import default_threads
from infogan_tool.train.config.presets import PRESETS, resolve_config
from infogan_tool.train.run.checkpoint import read_checkpoint

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Result

EXAMPLES = Path(__file__).parents[3] / "examples"


def test_dry_run_prints_the_resolved_config_and_writes_nothing(
    cli: Callable[..., Result], config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = cli(
        "train", "--config", config, "--epochs", 3, "--categorical", 4, "--categorical", 5, "--dry-run"
    )
    assert (done.code, done.err) == (0, "")
    plan = json.loads(done.out)
    assert plan["config"]["latent"]["categorical"] == [4, 5]
    assert plan["config"]["data"] == {"source": "mnist", "size": 28, "channels": 1}
    assert plan["latent_dim"] == 62 + 9 + 2
    assert plan["steps"] == 3 * plan["steps_per_epoch"] == 3 * 600
    assert plan["parameters"]["generator"] > 0
    assert [p.name for p in tmp_path.iterdir()] == ["small.toml"]


def test_settings_override_file_and_preset(cli: Callable[..., Result], config: Path) -> None:
    settings = ["optimizer.g_lr=5e-4", "networks.architecture=dcgan", "latent.categorical=[4, 3]"]
    settings += ["schedule.steps=none", "schedule.epochs=null", "data={size = 32}", "networks.full_width=20"]
    options = [option for setting in settings for option in ("--set", setting)]
    done = cli("train", "--config", config, *options, "--continuous", 3, "--dry-run")
    assert (done.code, done.err) == (0, "")
    found = json.loads(done.out)["config"]
    assert found["optimizer"]["g_lr"] == 5e-4
    assert found["networks"]["architecture"] == "dcgan"
    assert found["networks"]["full_width"] == 20, "the file has 16"
    assert found["networks"]["base_width"] == 4, "from the file"
    assert found["latent"] == {
        "noise": 62,
        "noise_prior": "uniform",
        "categorical": [4, 3],
        "continuous": 3,
        "periodic": [],
    }
    assert found["data"]["size"] == 32
    assert found["schedule"]["steps"] is None


def test_named_codes_bring_what_they_need(cli: Callable[..., Result]) -> None:
    names = ["--transformation", "slant", "--transformation", "turn"]
    done = cli("train", *names, "--dry-run")
    assert (done.code, done.err) == (0, "")
    found = json.loads(done.out)["config"]
    assert found["objective"]["transformations"] == ["slant", "turn"]
    assert found["objective"]["information_update"] == found["networks"]["q"] == "shared"
    assert found["latent"]["periodic"] == ["c2"], "the code of an angle"
    done = cli("train", *names, "--set", "latent.periodic=[]", "--dry-run")
    assert (done.code, done.out) == (2, "")
    assert done.err == "error: --set latent.periodic and --transformation turn both set latent.periodic\n"
    done = cli("train", "--preset", "compact", *names, "--dry-run")
    assert done.code == 0
    assert done.err.startswith("warning: Q learns the angle of transformation 'turn', but G may never")


def test_schema_describes_every_key_and_accepts_what_train_accepts(cli: Callable[..., Result]) -> None:
    done = cli("train", "--schema")
    assert (done.code, done.err) == (0, "")
    schema = json.loads(done.out)
    validator = Draft202012Validator(schema)
    Draft202012Validator.check_schema(schema)
    for name in PRESETS:
        validator.validate({"preset": name, **PRESETS[name]()})
        validator.validate(resolve_config(preset=name).to_dict())
    validator.validate({"latent": {"continuous": 3}})
    for wrong in ({"seeed": 1}, {"optimizer": {"g_lr": -1}}, {"networks": {"q": "both"}}, {"preset": "papr"}):
        assert not validator.is_valid(wrong), wrong
    for table in [schema, *schema["$defs"].values()]:
        assert all(key.get("description") for key in table["properties"].values())


def test_train_resume_and_export(
    cli: Callable[..., Result], config: Path, idx_folder: Path, tmp_path: Path
) -> None:
    run, bundle = tmp_path / "run", tmp_path / "bundle"
    done = cli("train", "--config", config, "--data", idx_folder, "--steps", 8, "--out", run, "--tensorboard")
    assert (done.code, done.out) == (0, "")
    assert list((run / "tensorboard").iterdir())
    assert "step 8/8" in done.err
    assert f"infogan-tool export {run}" in done.err
    done = cli("train", "--resume", run)
    assert done.code == 1
    assert "finished (8 of 8 steps)" in done.err
    done = cli(
        "train", "--resume", run, "--steps", 12, "--data", shutil.copytree(idx_folder, tmp_path / "moved")
    )
    assert done.code == 0, done.err
    steps = [json.loads(line)["step"] for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert steps == [5, 10, 12]
    assert read_checkpoint(run / "checkpoints/last.safetensors").header.step == 12
    done = cli("export", run, "--out", bundle)
    assert done.code == 0, done.err
    assert "q_encoder.onnx" in done.out
    assert "test images" in done.out
    done = cli("export", run, "--out", bundle)
    assert done.code == 1
    assert "--force" in done.err
    done = cli("encode", EXAMPLES / "seven.png", "--bundle", bundle, "--json")
    assert done.code == 0, done.err
    assert json.loads(done.out)["categories"][0]["code"] == "k1"


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--preset", "papr"], 2, "did you mean 'paper'"),
        (["--epochs", "1", "--steps", "1"], 2, "--epochs and --steps set the length"),
        (["--resume", "run", "--seed", "1"], 2, "own config"),
        (["--resume", "run", "--preset", "paper"], 2, "own config"),
        (["--resume", "nothing"], 1, "not a folder"),
        (["--data", "mnits"], 1, "did you mean 'mnist'"),
        (["--size", "30"], 2, "use --size 28 or 32"),
        (["--channels", "2"], 2, "channels"),
        (["--batch-size", "100000"], 1, "--batch-size 60000 or less"),
        (["--categorical", "0", "--continuous", "0"], 2, "has no code"),
        (["--config", "nothing.toml"], 2, "cannot be read"),
        (["--epochs", "many"], 2, "epochs"),
        (["--epoch", "3"], 2, "--epochs"),
        (["--set", "optimiser.g_lr=1"], 2, "did you mean 'optimizer'"),
        (["--set", "optimizer.g_rl=1"], 2, "did you mean 'optimizer.g_lr'"),
        (["--set", "optimizer.g_lr=fast"], 2, "'optimizer.g_lr': input should be a valid number"),
        (["--set", "optimizer.g_lr=-1"], 2, "greater than 0"),
        (["--set", "optimizer.g_lr"], 2, "--set takes KEY=VALUE"),
        (["--set", "optimizer.g_lr=1,2"], 2, "takes one value, not 2"),
        (["--set", "optimizer.g_lr=[1"], 2, "is not a TOML value"),
        (["--set", "seed=1]\nb=[2"], 2, "is not a TOML value"),
        (["--set", "seed=1", "--set", "seed=2"], 2, "--set seed is given twice"),
        (["--set", "seed=1", "--seed", "2"], 2, "--set seed and --seed both set seed"),
        (["--set", "data={size = 28}", "--size", "32"], 2, "both set data.size"),
        (["--set", "schedule.steps=3", "--epochs", "1"], 2, "--set schedule.steps and --epochs"),
        (["--set", "schedule.steps=3", "--set", "schedule.epochs=1"], 2, "both set the length"),
        (["--set", "optimizer.g_lr=true"], 2, "'optimizer.g_lr': input should be a valid number (not True)"),
        (["--set", 'optimizer.g_lr="1"'], 2, "'optimizer.g_lr': input should be a valid number (not '1')"),
        (["--set", "networks.spectral_norm=1"], 2, "input should be true or false (not 1)"),
        (["--set", "optimizer=1"], 2, "'optimizer': input should be a table of keys (not 1)"),
        (["--set", "objective.terms.r1=x"], 2, "a term is a weight, or a table of weight and every"),
        (["--set", "optimizer.g_lr="], 2, "--set optimizer.g_lr has no value"),
        (["--set", "preset=paper", "--preset", "mnist"], 2, "two presets are given"),
        (["--set", "preset=papr"], 2, "did you mean 'paper'"),
        (["--set", "seed=1", "--resume", "run"], 2, "own config"),
    ],
)
def test_error_is_one_line_and_writes_nothing(
    cli: Callable[..., Result],
    empty_folder: Path,
    arguments: list[str],
    code: int,
    message: str,
) -> None:
    done = cli("train", *arguments)
    assert (done.code, done.out) == (code, "")
    assert message in done.err
    assert len(done.err.strip().splitlines()) == 1, done.err
    assert not list(empty_folder.iterdir())


def test_restart_by_torchrun_keeps_the_number_of_threads(
    cli: Callable[..., Result],
    config: Path,
    idx_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in {"RANK": "0", "WORLD_SIZE": "1", "TORCHELASTIC_RUN_ID": "job"}.items():
        monkeypatch.setenv(name, value)
    threads = default_threads() + 1
    command = ("train", "--config", config, "--data", idx_folder, "--steps", 2, "--threads", threads)
    seen: list[int] = []
    monkeypatch.setattr(torch, "set_num_threads", seen.append)
    for _ in range(2):  # the second start resumes the finished run of the first
        done = cli(*command, "--out", tmp_path / "run")
        assert done.code == 0, done.err
        assert seen[0] == threads
        seen.clear()


@pytest.mark.skipif(torch.cuda.is_available(), reason="the message is for machines without a GPU")
def test_missing_gpu_is_an_error(cli: Callable[..., Result]) -> None:
    done = cli("train", "--device", "cuda")
    assert done.code == 1
    assert "--device cpu" in done.err


@pytest.mark.parametrize(
    ("flag", "shown"),
    [
        (None, {"run: ", "step 3/3", "done: 3 steps"}),
        ("--quiet", set[str]()),
        (
            "--verbose",
            {"kept on cpu", "step 3/3", "stage adversarial: 3 steps of 100 images", "step 3: saved"},
        ),
    ],
)
def test_quiet_and_verbose(
    cli: Callable[..., Result], config: Path, idx_folder: Path, flag: str | None, shown: set[str]
) -> None:
    run = config.parent / "run"
    options = ["--config", config, "--data", idx_folder, "--steps", 3, "--out", run]
    done = cli("train", *options, *([flag] if flag else []))
    assert (done.code, done.out) == (0, "")
    assert {text for text in shown if text in done.err} == shown
    assert ("saved" in done.err) == (flag == "--verbose")
    assert bool(done.err) == (flag != "--quiet")
    assert (run / "checkpoints/last.safetensors").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_saves_prints_how_to_resume_and_exits_130(
    config: Path, idx_folder: Path, tmp_path: Path, number: signal.Signals
) -> None:
    run = tmp_path / "run"
    options = ["--config", str(config), "--data", str(idx_folder), "--epochs", "10000", "--out", str(run)]
    command = [sys.executable, "-m", "infogan_tool", "train", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        metrics = run / "metrics.jsonl"
        wait_until(lambda: metrics.exists() and metrics.stat().st_size, process)
        process.send_signal(number)
        out, err = process.communicate(timeout=600)
    assert (process.returncode, out) == (130, "")
    assert f"infogan-tool train --resume {run}" in err
    assert "Traceback" not in err
    assert read_checkpoint(run / "checkpoints/last.safetensors").header.step > 0
