"""Every preset, small, through the same commands: train on real images, resume, export, generate, encode."""

from __future__ import annotations

import functools
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from onnx_registry import share_registry
from PIL import Image
from typer.testing import CliRunner

from infogan_tool.cli.app import app
from infogan_tool.cli.commands.train import _PRESET_HELP
from infogan_tool.export import model_card
from infogan_tool.export.evaluation.styles import measure_styles
from infogan_tool.export.ood import fitting
from infogan_tool.train.config.files import deep_merge
from infogan_tool.train.config.presets import DEFAULT_PRESET, PRESETS, resolve_config

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SMALL: dict[str, Any] = {
    "networks": {"base_width": 4, "full_width": 16, "q_width": 8, "q_features": 8},
    "schedule": {"batch_size": 16, "steps": 6, "log_every": 2},
}
CLUSTERING: dict[str, Any] = {
    "batch_size": 64,
    "contrastive": {"epochs": 0.2},
    "neighbours": {"candidates": 8, "pca_components": 8},
    "grouping": {"clusters": 20, "eigenvectors": 8, "restarts": 1},
    "refinement": {"epochs": 0.2},
}


def small_config(name: str, path: Path) -> Path:
    preset = resolve_config(preset=name)
    values = deep_merge(SMALL, {"clustering": CLUSTERING}) if preset.clustering else SMALL
    if preset.consolidation:
        values = deep_merge(values, {"consolidation": {"steps": 3}})
    path.write_text(json.dumps(values))
    return path


@pytest.mark.parametrize("name", PRESETS)
def test_preset_trains_resumes_exports_generates_and_encodes(
    name: str, photographs: Path, tmp_path: Path, cli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fitting, "_FITTED", 400)
    monkeypatch.setattr(fitting, "_HELD_OUT", 100)
    few = functools.partial(measure_styles, repeats=2, max_real=500)
    monkeypatch.setattr(model_card, "measure_styles", few)
    share_registry(monkeypatch)
    config = small_config(name, tmp_path / "config.json")
    run, bundle = tmp_path / "run", tmp_path / "bundle"
    own_size = resolve_config(preset=name).data.size
    size = () if own_size else ("--size", "28")
    arguments = ("--preset", name, "--config", config, "--data", photographs, *size, "--threads", "1")
    done = cli("train", *arguments, "--out", run)
    assert done.code == 0, done.err
    assert cli("train", "--resume", run, "--steps", "9").code == (1 if name == "mnist" else 0)
    records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert all(np.isfinite(v) for record in records for v in record.values() if isinstance(v, float))
    assert len(list((run / "samples").iterdir())) >= 2

    done = cli("export", run, "--out", bundle)
    assert done.code == 0, done.err
    metadata = json.loads((bundle / "metadata.json").read_text())
    spec, image = resolve_config(preset=name).latent, metadata["image"]
    assert metadata["latent"] == spec.to_dict()
    assert metadata["training"]["preset"] == name
    assert image["size"] == (own_size or 28)

    assert cli("generate", "-b", bundle, "-n", "3", "--out", tmp_path / "made").code == 0
    generated = sorted((tmp_path / "made").glob("*.png"))
    for path in generated:
        with Image.open(path) as input_image:
            assert input_image.size == (image["size"], image["size"])
            assert len(input_image.getbands()) == image["channels"]
    done = cli("encode", *generated, "-b", bundle, "--json")
    assert done.code == 0, done.err
    rows = [json.loads(line) for line in done.out.splitlines()]
    assert len(generated) == len(rows) == 3
    for row in rows:
        assert [len(code["probabilities"]) for code in row["categories"]] == list(spec.categorical)
        assert len(row["styles"]) == spec.continuous


def test_help_names_all_presets() -> None:
    named = _PRESET_HELP.split(": ", 1)[1].rstrip(".").replace(" or ", ", ").replace(" (default)", "")
    assert list(PRESETS) == named.split(", ")
    assert named.startswith(DEFAULT_PRESET)
    assert "faces" in CliRunner().invoke(app, ["train", "--help"]).output


@pytest.mark.parametrize("name", ["faces", "chairs"])
def test_preset_without_images_names_data(name: str, cli: Callable[..., Any], tmp_path: Path) -> None:
    done = cli("train", "--preset", name, "--out", tmp_path / "run")
    assert done.code == 1
    assert "--data takes a folder of your own" in done.err
    assert len(done.err.splitlines()) == 1
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("name", "latent", "count", "term"),
    [
        (
            "dsprites",
            {"noise": 5, "categorical": [3], "continuous": 4, "periodic": ["c4"]},
            "737,280",
            "Loss/Q/transformations",
        ),
        (
            "rooms",
            {"noise": 5, "categorical": [4], "continuous": 5, "periodic": ["c1", "c2", "c3"]},
            "480,000",
            "Loss/G/hessian",
        ),
    ],
)
def test_preset_with_known_factors_trains_on_its_own_images(
    name: str, latent: dict[str, Any], count: str, term: str, *, cli: Callable[..., Any], tmp_path: Path
) -> None:
    """A category and styles; all stages run on all images, here with a sample of 1,000 clustered."""
    config = resolve_config(preset=name)
    assert config.uses_clustering
    assert config.latent.to_dict() == {"noise_prior": "uniform", **latent}
    assert config.objective.turn_column == (3 if name == "dsprites" else None)
    assert (config.data.source, config.data.size) == (name, 32)
    run = tmp_path / "run"
    short = ["batch_size=64", "neighbours.images=1000", "contrastive.steps=2", "refinement.steps=2"]
    options = [word for key in short for word in ("--set", f"clustering.{key}")]
    done = cli("train", "--preset", name, "--steps", "3", *options, "--out", run, "--threads", "1")
    assert done.code == 0, done.err
    assert count in done.err
    written = json.loads((run / "run.json").read_text())
    assert name in json.dumps(written["data"])
    scalars = json.loads((run / "metrics.jsonl").read_text().splitlines()[-1])
    assert {f"MI/{code}" for code in config.latent.code_names} <= set(scalars)
    assert scalars[term] > 0


def test_gan_is_paper_except_for_lambda() -> None:
    gan, paper = (resolve_config(preset=name).to_dict() for name in ("gan", "paper"))
    for config in (gan, paper):
        for key in ("lambda_categorical", "lambda_continuous"):
            del config["objective"][key]
        del config["preset"]
    assert gan == paper
