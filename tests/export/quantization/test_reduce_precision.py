"""Bundles in fp16 and int8: files, drift from fp32, and refusals."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import pytest
import torch
from idx_files import write_digits
from onnx.numpy_helper import from_array, to_array

from infogan_tool.export.evaluation.real_images import load_real_images
from infogan_tool.export.outputs import export_outputs
from infogan_tool.export.quantization import graphs
from infogan_tool.export.quantization.drift import MAX_LOSS, Drift, measure_drift
from infogan_tool.export.quantization.graphs import to_int8
from infogan_tool.export.quantization.reduce import _images, reduce_precision
from infogan_tool.export.rewrite.polyphase_convolution import merge_phases
from infogan_tool.runtime import ImageSpec, load_bundle
from infogan_tool.runtime.bundle.bundle import PRETRAINED_BUNDLE
from infogan_tool.runtime.bundle.metadata import (
    ENCODER_FILE,
    GRAPH_FILES,
    PROP_METADATA,
    GraphFile,
    read_metadata,
)
from infogan_tool.runtime.errors import BundleError, OutputExistsError, PrecisionError, UsageError
from infogan_tool.train.data import ImageSet, load_test_images

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from infogan_tool.runtime.bundle.bundle import Bundle, Posterior
    from infogan_tool.runtime.latents.sampling import Latents


TRAIN, TEST = 4000, 2000
NO_DRIFT = Drift(
    metrics={"images": 10_000},
    loss=0.0,
    labelled_code="k1",
    disagreement={"k2": 0.0},
    flagged=0.0,
    style_change={"c1": 0.0},
    image_change=0.0,
)


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with some MNIST digits and their labels."""
    return write_digits(tmp_path_factory.mktemp("data") / "digits", TRAIN, TEST)


@pytest.fixture(scope="module")
def reduced(digits: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The shipped bundle by precision."""
    folder = tmp_path_factory.mktemp("reduced")
    paths = {"fp32": PRETRAINED_BUNDLE}
    for precision in ("fp16", "int8"):
        exported = export_outputs(
            PRETRAINED_BUNDLE, out=folder / precision, precision=precision, data=str(digits)
        )
        assert exported.reduced is not None
        assert exported.reduced.metadata == read_metadata(folder / precision)
        paths[precision] = folder / precision
    return paths


def read_test_images(digits: Path) -> np.ndarray[Any, Any]:
    images = load_test_images(str(digits))
    assert images is not None
    return images.images[:, 0].numpy()


@pytest.mark.parametrize(("precision", "share"), [("fp16", 0.52), ("int8", 0.45)])
def test_files_are_smaller_and_consistent(precision: str, share: float, reduced: dict[str, Path]) -> None:
    before, after = read_metadata(PRETRAINED_BUNDLE), read_metadata(reduced[precision])
    assert after.precision == precision
    assert after.drift["fp32_bundle_id"] == before.bundle_id != after.bundle_id
    for file in GRAPH_FILES:
        assert after.graphs[file].bytes < share * before.graphs[file].bytes
        model = onnx.load(reduced[precision] / file)
        props = {p.key: p.value for p in model.metadata_props}
        embedded = json.loads(props[PROP_METADATA])
        assert (embedded["bundle_id"], embedded["precision"]) == (after.bundle_id, precision)
        assert all(key.startswith("infogan.") for key in props)
        # Readers in other languages have the standard operators only.
        assert {node.domain for node in model.graph.node} == {""}
        for tensor in (*model.graph.input, *model.graph.output):
            expected = onnx.TensorProto.INT64 if tensor.name == "categories" else onnx.TensorProto.FLOAT
            assert tensor.type.tensor_type.elem_type == expected
    kept = ("latent", "image", "labels", "style_names", "training", "versions")
    assert all(getattr(after, name) == getattr(before, name) for name in kept)
    # Parity and accuracy of the fp32 graphs do not apply to these.
    assert after.parity == {}
    assert after.card["accuracy"] == {
        "code": "k1",
        "data": "digits",
        "test": after.drift["accuracy"][precision],
        "test_count": TEST,
    }
    flags = 1 - after.drift["in_distribution"][precision]
    assert after.ood.metrics["false_flags_test"] == pytest.approx(flags, abs=1e-4)
    assert after.card["styles"]["correlation"] != before.card["styles"]["correlation"], "measured again"
    assert after.card["axes"] != before.card["axes"]


@pytest.mark.parametrize(("precision", "probability", "style"), [("fp16", 0.02, 0.005), ("int8", 0.4, 0.5)])
def test_drift_equals_the_measured_difference(
    precision: str, probability: float, style: float, reduced: dict[str, Path], digits: Path
) -> None:
    images = read_test_images(digits)
    old, new = (load_bundle(reduced[name], device="cpu") for name in ("fp32", precision))
    before, after = old.encode(images), new.encode(images)
    drift = new.metadata.drift
    assert (drift["data"], drift["split"], drift["images"]) == ("digits", "test", TEST)
    for name, pair, most in (
        ("probabilities", (before.probabilities[0], after.probabilities[0]), probability),
        ("style_mean", (before.style_mean, after.style_mean), style),
    ):
        difference = np.abs(pair[0] - pair[1])
        assert drift[name]["max"] == pytest.approx(difference.max(), rel=0.01)
        assert drift[name]["mean"] == pytest.approx(difference.mean(), rel=0.01)
        assert 0 < drift[name]["max"] < most
    assert drift["agreement"]["k1"] == pytest.approx((before.categories == after.categories).mean())
    assert drift["agreement"]["k1"] > 0.998
    assert drift["accuracy"]["fp32"] - drift["accuracy"][precision] <= MAX_LOSS
    latents = old.sample(50, seed=3)
    pixels = np.abs(old.generate(latents) - new.generate(latents))
    assert 0 < pixels.mean() < 3 * drift["generated"]["mean"]
    assert drift["generated"]["mean"] < 0.015


def test_large_layers_are_in_integers(reduced: dict[str, Path]) -> None:
    model = onnx.load(reduced["int8"] / ENCODER_FILE)
    made_by = {name: node.op_type for node in model.graph.node for name in node.output}
    of_weights = [
        (node.op_type, made_by.get(node.input[1], "a float weight"))
        for node in model.graph.node
        if node.op_type in ("Conv", "Gemm")
    ]
    weights = {tensor.name: to_array(tensor) for tensor in model.graph.initializer}
    # In each branch the convolution that reads the image, and the heads, stay in floats.
    assert of_weights.count(("Conv", "DequantizeLinear")) == of_weights.count(("Conv", "a float weight")) == 2
    assert of_weights.count(("Gemm", "DequantizeLinear")) == 2
    integers = [value for value in weights.values() if value.dtype == np.int8 and value.size > 1000]
    assert len(integers) == 4
    # Seven bits, so that a processor without VNNI computes the same.
    assert max(int(np.abs(value.astype(int)).max()) for value in integers) <= 64


@pytest.mark.parametrize(("count", "last"), [(50, 49), (4095, 4093), (60_000, 59_363)])
def test_calibration_images_are_spread_over_the_data_set(count: int, last: int) -> None:
    bundle: Any = SimpleNamespace(image=ImageSpec(size=1, channels=3, low=0.0, high=1.0))
    number = torch.arange(count)  # which each image shows
    images = torch.stack([0 * number, number // 256, number % 256], dim=1).to(torch.uint8)[..., None, None]
    batches = _images(bundle, ImageSet(images=images, labels=None, label_names=None, name="numbers"))
    found = np.concatenate([batch["images"] for batch in batches]).reshape(-1, 3)
    numbers = np.rint(255 * found).astype(int) @ [0, 256, 1]
    steps = np.diff(numbers)
    assert (len(numbers), numbers[0], numbers[-1]) == (min(count, 2048), 0, last)
    assert steps.max() - steps.min() <= 1


def test_bias_correction_removes_the_mean_error(digits: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = load_bundle(device="cpu")
    images = (read_test_images(digits)[:, None] / 255).astype(np.float32)
    batches = [{"images": images[start : start + 250]} for start in range(0, 1000, 250)]
    content = (PRETRAINED_BUNDLE / ENCODER_FILE).read_bytes()
    wanted = bundle.encode(images[1000:]).style_mean

    def offset() -> float:
        session = precision_session(to_int8(content, batches))
        return float(np.abs((session(images[1000:]) - wanted).mean(axis=0)).max())

    corrected = offset()
    monkeypatch.setattr(graphs, "correct_biases", lambda *_: None)
    assert corrected < 0.5 * offset()


def precision_session(content: bytes) -> Callable[[np.ndarray[Any, Any]], np.ndarray[Any, Any]]:
    from infogan_tool.runtime.inference.session import GraphSession  # noqa: PLC0415

    session = GraphSession(content, device="cpu")
    return lambda images: session.run({"images": images})["style_mean"]


# --- refusals ----------------------------------------------------------------------------------------------


def with_outlier(folder: Path) -> Path:
    """Write the shipped bundle with one channel scaled by 1000, and its readers by 1/1000.

    In float32 it computes the same; in 8 bits that channel takes the range of the others.
    """
    shutil.copytree(PRETRAINED_BUNDLE, folder, ignore=shutil.ignore_patterns("training"))
    model = onnx.load(folder / ENCODER_FILE)
    merge_phases(model)
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    conv = next(
        node for node in model.graph.node if node.op_type == "Conv" and weights[node.input[1]].dims[1] > 1
    )
    reader = next(
        node
        for node in model.graph.node
        if node.op_type == "Gemm"
        and weights[node.input[1]].dims[0] == 256  # of the branch of the categorical code
    )
    for tensor, change in (
        (conv.input[1], lambda w: np.concatenate([w[:1] * 1000, w[1:]])),
        (conv.input[2], lambda b: np.concatenate([b[:1] * 1000, b[1:]])),
        (reader.input[1], lambda w: np.concatenate([w[:, :49] / 1000, w[:, 49:]], axis=1)),
    ):
        weights[tensor].CopyFrom(from_array(change(to_array(weights[tensor])), tensor))
    content = model.SerializeToString()
    (folder / ENCODER_FILE).write_bytes(content)
    metadata = read_metadata(folder)
    graphs = metadata.graphs | {
        ENCODER_FILE: GraphFile(sha256=hashlib.sha256(content).hexdigest(), bytes=len(content))
    }
    (folder / "metadata.json").write_text(json.dumps(replace(metadata, graphs=graphs).to_dict()))
    return folder


@pytest.mark.parametrize("labels", [True, False])
def test_loss_of_accuracy_is_refused(labels: bool, tmp_path: Path) -> None:
    write_digits(tmp_path / "data", TRAIN, TEST, labels=labels)
    bundle = with_outlier(tmp_path / "outlier")
    images = read_test_images(tmp_path / "data")
    agreement = load_bundle(bundle).encode(images).categories == load_bundle().encode(images).categories
    assert agreement.mean() > 0.999
    what = "accuracy" if labels else "agreement with fp32"
    with pytest.raises(
        PrecisionError, match=rf"in int8 the encoder loses .* percentage points of {what} on 2,000"
    ):
        export_outputs(bundle, out=tmp_path / "int8", precision="int8", data=str(tmp_path / "data"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "outlier"]


def test_loss_of_a_tenth_of_a_point_is_allowed() -> None:
    for loss, allowed in ((-0.01, True), (0.0, True), (0.001, True), (0.0011, False)):
        drift = replace(NO_DRIFT, loss=loss)
        if allowed:
            drift.refuse_loss("fp16")
        else:
            with pytest.raises(
                PrecisionError, match=r"loses 0\.11 percentage points of accuracy on 10,000 images"
            ):
                drift.refuse_loss("fp16")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"style_change": {"c1": 0.01, "c2": 0.5}}, r"the encoder changes c2 by 0\.50 on average on 10,000"),
        (
            {"disagreement": {"k2": 0.002, "k3": 0.011}},
            r"the encoder changes k3 of 1\.1 % on 10,000 images \(at most 1 %",
        ),
        ({"flagged": 0.012}, r"the encoder flags 1\.2 % more as out of distribution on 10,000"),
        ({"image_change": 0.2}, "the generator changes its images by 20 % of their variance"),
    ],
)
def test_other_losses_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(PrecisionError, match=rf"^in int8 {message}.*; nothing was written$"):
        replace(NO_DRIFT, **change).refuse_loss("int8")


class Ruined:
    """A bundle with a constant first category, constant styles, all flagged, or with black images."""

    def __init__(self, what: str, path: Path | None = None) -> None:
        self.what, self.bundle = what, load_bundle(path, device="cpu")

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        return getattr(self.bundle, name)

    def encode(self, images: np.ndarray[Any, Any]) -> Posterior:
        posterior = self.bundle.encode(images)
        if self.what == "categories":
            first, *others = posterior.probabilities
            return replace(posterior, probabilities=(np.zeros_like(first), *others))
        if self.what == "flags":
            return replace(posterior, ood=np.ones_like(posterior.ood))
        means = np.full_like(posterior.style_mean, 0.5) if self.what == "styles" else posterior.style_mean
        return replace(posterior, style_mean=means)

    def generate(self, latents: Latents) -> np.ndarray[Any, Any]:
        return self.bundle.generate(latents) * (0 if self.what == "images" else 1)


def test_a_ruined_model_is_measured(digits: Path) -> None:
    before, real = load_bundle(device="cpu"), load_real_images(str(digits), load_bundle().image)
    whats = ("styles", "images", "flags", "nothing")
    drifts = {what: measure_drift(before, Ruined(what), real) for what in whats}
    assert {what: drift.loss for what, drift in drifts.items()} == dict.fromkeys(drifts, 0.0)
    assert min(drifts["styles"].style_change.values()) > 0.4
    assert drifts["images"].image_change > 1
    assert drifts["flags"].flagged > 0.9
    assert drifts["nothing"].flagged == 0
    assert drifts["nothing"].image_change == max(drifts["nothing"].style_change.values()) == 0


def test_a_ruined_category_is_measured_beside_labels(tiny: Path, digits: Path) -> None:
    before = load_bundle(tiny, device="cpu")
    drift = measure_drift(before, Ruined("categories", tiny), load_real_images(str(digits), before.image))
    assert drift.labelled_code == "k2"
    assert drift.loss == 0
    assert list(drift.disagreement) == ["k1"]
    assert drift.disagreement["k1"] > 0.1


def test_networks_too_small_for_int8_are_refused(tiny: Path, digits: Path, tmp_path: Path) -> None:
    bundle = load_bundle(tiny, device="cpu")
    with pytest.raises(BundleError, match="no layer of the bundle has 128 inputs"):
        reduce_precision(bundle, tmp_path / "int8", precision="int8", source=str(digits))
    assert not (tmp_path / "int8").exists()


def test_invalid_calls_are_refused(
    reduced: dict[str, Path], digits: Path, tiny: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    with pytest.raises(UsageError, match="is in fp16 already"):
        export_outputs(reduced["fp16"], out=out, precision="int8", data=str(digits))
    with pytest.raises(UsageError, match="is a bundle in fp32 already"):
        export_outputs(PRETRAINED_BUNDLE, out=out)
    with pytest.raises(UsageError, match="name an output"):
        export_outputs(PRETRAINED_BUNDLE, out=None)
    unknown = tmp_path / "unknown"
    shutil.copytree(tiny, unknown)
    data = json.loads((unknown / "metadata.json").read_text())
    data["training"]["data"] = {"name": "scans"}
    (unknown / "metadata.json").write_text(json.dumps(data))
    with pytest.raises(UsageError, match=r"'scans'.*name the images with --data"):
        export_outputs(unknown, out=out, precision="fp16")
    out.mkdir()
    (out / "mine.txt").touch()
    with pytest.raises(OutputExistsError, match="not a bundle"):
        export_outputs(PRETRAINED_BUNDLE, out=out, precision="fp16", data=str(digits), force=True)


# --- as a user ---------------------------------------------------------------------------------------------


def test_export_command(
    reduced: dict[str, Path], digits: Path, tmp_path: Path, cli: Callable[..., Any]
) -> None:
    out = tmp_path / "bundle"
    done = cli("export", PRETRAINED_BUNDLE, "--precision", "fp16", "--out", out, "--data", digits)
    assert done.code == 0, done.err
    assert f"wrote {out}" in done.err
    for file in (*GRAPH_FILES, "metadata.json"):
        assert (out / file).read_bytes() == (reduced["fp16"] / file).read_bytes(), "the same each time"
    for word in (
        "difference of fp16 from fp32",
        "probabilities",
        "style_mean",
        "2,000 test images",
        "accuracy",
    ):
        assert word in " ".join(done.out.split())
    assert "28 x 28 grey images, fp16" in cli("info", out).out
    assert "drift.agreement.k1 = " in cli("info", out, "--all").out
    codes = cli("encode", "examples/seven.png", "--bundle", out, "--json")
    assert json.loads(codes.out)["categories"][0]["label"] == "7"
    again = cli("export", PRETRAINED_BUNDLE, "--precision", "fp16", "--out", out, "--data", digits)
    assert (again.code, again.out) == (1, "")
    assert (
        again.err.splitlines()[-1]
        == f"error: {out} already exists: use --force to replace it, or give another name"
    )
    wrong = cli("export", PRETRAINED_BUNDLE, "--precision", "fp8", "--out", out)
    assert wrong.code == 2


def test_run_is_exported_first(style_run_path: Path, digits: Path, tmp_path: Path) -> None:
    exported = export_outputs(
        style_run_path, out=tmp_path / "half", precision="fp16", triton=tmp_path / "models", data=str(digits)
    )
    assert exported.bundle is None
    assert exported.reduced is not None
    assert exported.reduced.metadata.drift["data"] == "digits"
    assert exported.triton == tmp_path / "models"
    bundle: Bundle = load_bundle(tmp_path / "half")
    assert bundle.metadata.training["steps"] == 30
    assert sorted(path.name for path in tmp_path.iterdir()) == ["half", "models"]


def test_unknown_precision_is_refused_by_load_bundle(reduced: dict[str, Path], tmp_path: Path) -> None:
    folder = tmp_path / "odd"
    shutil.copytree(reduced["fp16"], folder)
    data = json.loads((folder / "metadata.json").read_text())
    (folder / "metadata.json").write_text(json.dumps(data | {"precision": "fp4"}))
    with pytest.raises(BundleError, match="fp4"):
        load_bundle(folder)
