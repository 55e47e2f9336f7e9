"""The OOD output of a bundle, and its threshold."""

from __future__ import annotations

import copy
import hashlib
import json
import shutil
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from onnx_writer import INT64, int_attribute, model, node, tensor, value_info

from infogan_tool.runtime import load_bundle, load_image
from infogan_tool.runtime.bundle.metadata import (
    PROP_BUNDLE_ID,
    PROP_SCHEMA_VERSION,
    BundleMetadata,
    OodSpec,
    encoder_outputs,
)
from infogan_tool.runtime.errors import BundleError

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).resolve().parents[3]
TINY = ROOT / "tests" / "fixtures" / "tiny"
EXAMPLES = sorted((ROOT / "examples").glob("*.png"))


def telling(folder: Path, outputs: Mapping[str, int], ood: dict[str, Any] | None) -> Path:
    """Copy the tiny bundle, its encoder replaced by one whose distance is the mean of an image's values."""
    shutil.copytree(TINY, folder)
    data = json.loads((TINY / "metadata.json").read_text())
    biases = {
        "probabilities": [1 / 4] * 4 + [1 / 3] * 3,
        "style_mean": [0] * 3,
        "style_std": [1] * 3,
        "distance": [0],
    }
    weights = [
        tensor("first", [1], struct.pack("<q", 0), kind=INT64),
        tensor("flat", [1], struct.pack("<q", 768), kind=INT64),
    ]
    nodes = [
        node("Shape", ["images"], ["sizes"]),
        node("Gather", ["sizes", "first"], ["n"]),
        node("Concat", ["n", "flat"], ["shape"], [int_attribute("axis", 0)]),
        node("Reshape", ["images", "shape"], ["row"]),
    ]
    for name, width in outputs.items():
        slope = 1 / 768 if name == "distance" else 0
        matrix = np.full((768, width), slope, np.float32)
        weights += [
            tensor(f"{name}.w", [768, width], matrix.tobytes()),
            tensor(f"{name}.b", [width], np.array(biases[name], np.float32).tobytes()),
        ]
        nodes.append(node("Gemm", ["row", f"{name}.w", f"{name}.b"], [name]))
    content = model(
        nodes,
        [value_info("images", ("batch", 3, 16, 16))],
        [value_info(name, ("batch", width)) for name, width in outputs.items()],
        initializers=weights,
        props={PROP_BUNDLE_ID: data["bundle_id"], PROP_SCHEMA_VERSION: "2"},
    )
    (folder / "q_encoder.onnx").write_bytes(content)
    data["graphs"]["q_encoder.onnx"] = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    data.pop("ood", None)
    data |= {"ood": ood} if ood is not None else {}
    (folder / "metadata.json").write_text(json.dumps(data))
    return folder


WITHOUT = {"probabilities": 7, "style_mean": 3, "style_std": 3}
WITH = {**WITHOUT, "distance": 1}


def test_the_threshold_of_the_metadata_is_used(tmp_path: Path) -> None:
    bundle = load_bundle(telling(tmp_path / "b", WITH, {"threshold": 0.5, "metrics": {}}), device="cpu")
    levels = np.array([0, 100, 127, 128, 255], np.uint8)
    posterior = bundle.encode(np.broadcast_to(levels[:, None, None, None], (5, 16, 16, 3)))
    assert posterior.distance is not None
    assert posterior.ood is not None
    assert posterior.distance.dtype == np.float32
    np.testing.assert_allclose(posterior.distance, levels / 255, atol=1e-5)
    assert posterior.ood.tolist() == [False, False, False, True, True]
    empty = bundle.encode(np.empty((0, 16, 16, 3), np.uint8))
    assert empty.ood is not None
    assert empty.ood.shape == (0,)


def test_a_bundle_without_ood_output(tmp_path: Path) -> None:
    bundle = load_bundle(telling(tmp_path / "b", WITHOUT, None), device="cpu")
    posterior = bundle.encode(np.zeros((2, 16, 16, 3), np.uint8))
    assert posterior.ood is None
    assert posterior.distance is None


@pytest.mark.parametrize("declared", [True, False])
def test_graph_and_metadata_must_agree(tmp_path: Path, *, declared: bool) -> None:
    table = {"threshold": 0.5, "metrics": {}} if declared else None
    bundle = load_bundle(telling(tmp_path / "b", WITHOUT if declared else WITH, table), device="cpu")
    with pytest.raises(BundleError, match=r"outputs are .*; the contract has"):
        bundle.encode(np.zeros((2, 16, 16, 3), np.uint8))


def test_the_table_in_the_metadata() -> None:
    data = json.loads((TINY / "metadata.json").read_text())
    data.pop("ood", None)
    assert BundleMetadata.from_dict(data).ood is None
    table = data | {"ood": {"threshold": 0.5, "metrics": {"fitted_on": 7}}}
    metadata = BundleMetadata.from_dict(copy.deepcopy(table))
    assert metadata.ood == OodSpec(threshold=0.5, metrics={"fitted_on": 7})
    assert metadata.to_dict()["ood"] == table["ood"]
    assert list(encoder_outputs(metadata.latent, distance=True)) == list(WITH)
    good: dict[str, Any] = {"threshold": 0.5, "metrics": {}}
    changes = ({"threshold": w} for w in ("0.5", True, float("nan"), 1e30, None))
    for wrong in ({}, [], "yes", {"threshold": 0.5}, good | {"metrics": []}, *(good | c for c in changes)):
        with pytest.raises(BundleError, match="ood"):
            BundleMetadata.from_dict(data | {"ood": wrong})


def test_the_pretrained_bundle_detects_outliers() -> None:
    bundle = load_bundle(device="cpu")
    assert len(EXAMPLES) == 10
    digits = bundle.encode(np.stack([load_image(path, bundle.image) for path in EXAMPLES]))
    noise = bundle.encode(np.random.default_rng(0).integers(0, 256, (50, 28, 28), np.uint8))
    blank = bundle.encode(np.stack([np.full((28, 28), level, np.uint8) for level in (0, 128, 255)]))
    if bundle.metadata.ood is None:
        assert digits.ood is noise.ood is blank.ood is None
        return
    assert digits.ood is not None
    assert noise.ood is not None
    assert blank.ood is not None
    assert digits.ood.sum() <= 1
    assert noise.ood.mean() >= 0.98
    assert blank.ood.all()
