"""Export of a run to a bundle: content, refusals, and no partial output."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from infogan_tool.cli.commands.export import _parity_table
from infogan_tool.export import export_run, run_to_bundle
from infogan_tool.export.examples import choose_examples
from infogan_tool.export.run_to_bundle import ExportOutcome, _is_same, export_networks, write_bundle
from infogan_tool.runtime import Preprocessing, load_bundle
from infogan_tool.runtime.bundle.metadata import read_metadata
from infogan_tool.runtime.errors import BundleError, DataError, OutputExistsError, RunError, UsageError
from infogan_tool.train import fit, preset
from infogan_tool.train.config.schema import config_digest
from infogan_tool.train.data import load_test_images
from infogan_tool.train.run.folder import RunFolder

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from infogan_tool.train.infogan.networks import Networks


def digests(folder: Path) -> dict[str, str]:
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.iterdir()}


def test_metadata_describe_the_training(run_path: Path, bundle_path: Path) -> None:
    metadata = read_metadata(bundle_path)
    config = RunFolder.open(run_path).read_config()
    assert metadata.latent == config.latent
    assert metadata.training["config_digest"] == config_digest(config)
    assert metadata.training["steps"] == 30
    stage = {"name": "adversarial", "steps": 30, "batch_size": config.schedule.batch_size}
    assert metadata.training["stages"] == [stage]
    assert metadata.training["data"]["name"] == "mnist"
    assert metadata.parity["tolerance"] == 1e-5
    assert max(metadata.parity["max_abs_difference"].values()) <= 1e-5
    assert sorted(p.name for p in bundle_path.iterdir()) == [
        "generator.onnx",
        "metadata.json",
        "q_encoder.onnx",
    ]


def test_labels_and_accuracy_of_the_exported_encoder(bundle_path: Path) -> None:
    metadata = read_metadata(bundle_path)
    test = load_test_images("mnist")
    assert test is not None
    assert test.labels is not None
    found = load_bundle(bundle_path).encode(test.images.permute(0, 2, 3, 1).numpy()).categories[:, 0]
    card = metadata.card["accuracy"]
    assert 0 < card["test"] < 1
    named = [None if name is None else int(name) for name in metadata.labels["k1"]]
    assert len({n for n in named if n is not None}) == len([n for n in named if n is not None])
    truth = test.labels.numpy()
    agree = np.array([named[k] == label for k, label in zip(found, truth, strict=True)]).mean()
    assert agree <= card["test"] + 1e-4, "names are given to a subset of the matched categories"
    for name, share in zip(named, card["category_purity"], strict=True):
        assert (name is not None) == (share >= 0.5)


def test_bundle_flags_images_out_of_distribution(bundle_path: Path) -> None:
    bundle = load_bundle(bundle_path, device="cpu")
    assert bundle.metadata.ood is not None
    # Not 0: the distance of some compared images is below 1.
    assert 0 < bundle.metadata.parity["max_abs_difference"]["q_encoder.onnx:distance"] <= 1e-5
    assert bundle.image.preprocessing == Preprocessing(box=20, centre="mass", ink="light", stroke=2.0)
    test = load_test_images("mnist")
    assert test is not None
    posterior = bundle.encode(test.images.permute(0, 2, 3, 1).numpy())
    assert posterior.ood is not None
    assert posterior.distance is not None
    assert ((posterior.distance >= 0) & (posterior.distance <= 1)).all()
    false_flags = bundle.metadata.ood.metrics["false_flags_test"]
    assert false_flags == pytest.approx(posterior.ood.mean(), abs=1e-4)
    assert 0 < false_flags < 0.04
    blank = bundle.encode(np.full((1, 28, 28), 255, np.uint8))
    assert blank.ood is not None
    assert blank.ood.all()


def test_parity_table_shows_differences_and_limits_alike(bundle_path: Path) -> None:
    parity = {
        "max_abs_difference": {"q_encoder.onnx:style_mean": 1.31e-5},
        "tolerance": 1e-5,
        "tolerances": {"style_mean": 1.39e-5},
    }
    metadata = replace(read_metadata(bundle_path), parity=parity)
    table = _parity_table(ExportOutcome(metadata=metadata, notes=(), data_notes=()))
    assert [list(column.cells) for column in table.columns[2:4]] == [["1.3e-05"], ["1.4e-05"]]


def test_existing_output_needs_force_and_the_same_run_gives_the_same_bytes(
    run_path: Path, bundle_path: Path, tmp_path: Path
) -> None:
    out = tmp_path / "b"
    shutil.copytree(bundle_path, out)
    (out / "metadata.json").write_text("{}")
    with pytest.raises(OutputExistsError, match="--force"):
        write_bundle(run_path, out)
    assert (out / "metadata.json").read_text() == "{}"
    write_bundle(run_path, out, force=True)
    assert digests(out) == digests(bundle_path)
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.txt").write_text("keep")
    with pytest.raises(OutputExistsError, match="not a bundle"):
        write_bundle(run_path, mine, force=True)
    assert (mine / "thesis.txt").read_text() == "keep"


def test_failure_while_writing_leaves_the_old_bundle_alone(
    bundle_path: Path,
    make_networks: Callable[..., Networks],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out = tmp_path / "b"
    shutil.copytree(bundle_path, out)

    def full_disk(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(run_to_bundle, "write_metadata", full_disk)
    with pytest.raises(OSError, match="No space left"):
        export_networks(make_networks(), out, training={}, force=True)
    assert digests(out) == digests(bundle_path)
    assert [p.name for p in tmp_path.iterdir()] == ["b"]


def test_not_a_run(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="infogan-tool train"):
        write_bundle(tmp_path / "nothing", tmp_path / "b")
    with pytest.raises(RunError, match=r"no config\.json"):
        write_bundle(tmp_path, tmp_path / "b")
    assert not (tmp_path / "b").exists()


def test_run_without_checkpoint(run_path: Path, tmp_path: Path) -> None:
    shutil.copytree(run_path, tmp_path / "run")
    (tmp_path / "run/checkpoints/last.safetensors").unlink()
    with pytest.raises(RunError, match="no checkpoint yet"):
        write_bundle(tmp_path / "run", tmp_path / "b")


def test_checkpoint_of_another_config_is_refused(run_path: Path, tmp_path: Path) -> None:
    shutil.copytree(run_path, tmp_path / "run")
    config = json.loads((tmp_path / "run/config.json").read_text())
    config["networks"]["full_width"] = 24
    (tmp_path / "run/config.json").write_text(json.dumps(config))
    with pytest.raises(RunError, match="does not fit the run's config"):
        write_bundle(tmp_path / "run", tmp_path / "b")
    assert not (tmp_path / "b").exists()


def test_an_unfinished_training_is_told(run_path: Path, tmp_path: Path) -> None:
    shutil.copytree(run_path, tmp_path / "run")
    config = json.loads((tmp_path / "run/config.json").read_text())
    config["schedule"]["steps"] = 60  # of which the run has made 30
    (tmp_path / "run/config.json").write_text(json.dumps(config))
    outcome = write_bundle(tmp_path / "run", tmp_path / "b")
    told = "The training is unfinished: 30 of 60 steps."
    assert told in outcome.notes
    assert outcome.metadata.card["limitations"][0] == told


def train_on_shapes(folder: Path, run: Path) -> None:
    """Write twelve images of noise to a folder and train on them."""
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True)
    for i in range(12):
        Image.fromarray(rng.integers(0, 255, (16, 16), dtype=np.uint8)).save(folder / f"{i}.png")
    flags = {
        "data": {"source": str(folder)},
        "networks": {"base_width": 4, "full_width": 8, "q_width": 4},
        "schedule": {"batch_size": 6, "steps": 2},
    }
    fit(preset("paper", **flags), out=run, device="cpu")


def test_image_folder_has_no_path_in_the_bundle(tmp_path: Path) -> None:
    secret = tmp_path / "private name" / "shapes"
    train_on_shapes(secret, tmp_path / "run")
    outcome = write_bundle(tmp_path / "run", tmp_path / "b", examples=5)
    examples = load_bundle(tmp_path / "b").examples()
    assert len(examples) == 5
    images = {Image.open(file).tobytes() for file in secret.iterdir()}
    assert {image.tobytes() for image in examples} <= images
    assert any("no labels" in note for note in outcome.notes)
    assert outcome.metadata.labels == {}
    assert outcome.metadata.training["data"]["name"] == "shapes"
    for file in (tmp_path / "b").iterdir():
        assert b"private name" not in file.read_bytes()


def test_images_that_are_not_those_of_the_training_are_noted(tmp_path: Path) -> None:
    folder = tmp_path / "shapes"
    train_on_shapes(folder, tmp_path / "run")
    moved = shutil.copytree(folder, tmp_path / "moved")
    shutil.copy(folder / "0.png", folder / "1.png")
    (note, *_) = write_bundle(tmp_path / "run", tmp_path / "other").data_notes
    assert "shapes does not hold the images of the training" in note
    shutil.rmtree(folder)
    (note,) = write_bundle(tmp_path / "run", tmp_path / "missing").data_notes
    assert note.startswith("no names and no OOD score: ")
    assert write_bundle(tmp_path / "run", tmp_path / "b", data=str(moved)).data_notes == ()
    with pytest.raises(DataError, match="neither a built-in data set"):
        write_bundle(tmp_path / "run", tmp_path / "none", data=str(folder))
    image = read_metadata(tmp_path / "b").image
    for name, is_same in {"mnist": True, "shapes": False}.items():
        assert _is_same("mnist", image, {"name": name, "digest": "of other images"}) is is_same


def test_a_run_in_memory_is_exported(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (60, 28, 28), dtype=np.uint8)
    config = preset(
        "paper",
        networks={"base_width": 2, "full_width": 8, "q_width": 8},
        schedule={"batch_size": 20, "steps": 4},
    )
    run = fit(config, images, device="cpu", threads=1)
    assert run.path is None
    bundle = export_run(run, tmp_path / "bundle")
    latents = bundle.sample(3, seed=0)
    generated = bundle.generate(latents)
    np.testing.assert_allclose(generated, run.generate(latents), atol=1e-5)
    np.testing.assert_allclose(
        bundle.encode(generated).style_mean, run.infer(generated).mean.numpy(), atol=1e-5
    )
    run.checkpoint = None  # as of a training that failed before it saved anything
    with pytest.raises(RunError, match="no saved state"):
        export_run(run, tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_examples_cover_the_categories(bundle_path: Path) -> None:
    bundle = load_bundle(bundle_path, device="cpu")
    test = load_test_images("mnist")
    assert test is not None
    images = test.images[:600].permute(0, 2, 3, 1).numpy()
    found = bundle.encode(images).probabilities[0].argmax(axis=1)
    chosen = choose_examples(bundle, images, 20)
    np.testing.assert_array_equal(chosen, choose_examples(bundle, images, 20))
    counts = np.bincount(bundle.encode(chosen).probabilities[0].argmax(axis=1), minlength=10)
    available = np.bincount(found, minlength=10)
    # As many of each category as of the others, unless it has fewer.
    assert counts.sum() == 20
    for count, most in zip(counts, available, strict=True):
        assert count == most or count >= counts.max() - 1
    assert len({image.tobytes() for image in chosen}) == 20


def test_examples_need_images(make_networks: Callable[..., Networks], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="training images of the run cannot be read"):
        export_networks(make_networks(), tmp_path / "b", training={}, examples=3)
    assert not (tmp_path / "b").exists()


def test_networks_alone_can_be_exported(make_networks: Callable[..., Networks], tmp_path: Path) -> None:
    outcome = export_networks(make_networks(), tmp_path / "b", training={"note": "by hand"})
    assert all("is dead" in note for note in outcome.notes), "their weights are random"
    bundle = load_bundle(tmp_path / "b")
    assert bundle.generate(bundle.sample(2, seed=0)).shape == (2, 1, 16, 16)


def test_mixed_pair_is_refused(
    bundle_path: Path, tmp_path: Path, make_networks: Callable[..., Networks]
) -> None:
    export_networks(make_networks(size=28), tmp_path / "other", training={})
    shutil.copytree(bundle_path, tmp_path / "mixed")
    shutil.copy(tmp_path / "other/generator.onnx", tmp_path / "mixed/generator.onnx")
    with pytest.raises(BundleError):
        load_bundle(tmp_path / "mixed")
