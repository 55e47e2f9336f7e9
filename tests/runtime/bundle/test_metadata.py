"""metadata.json is untrusted."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from infogan_tool.runtime.bundle.metadata import (
    BundleMetadata,
    encoder_inputs,
    encoder_outputs,
    generator_inputs,
    generator_outputs,
    read_metadata,
)
from infogan_tool.runtime.errors import BundleError
from infogan_tool.runtime.images.spec import ImageSpec
from infogan_tool.runtime.latents.spec import LatentSpec

if TYPE_CHECKING:
    from collections.abc import Callable

FIXTURES = Path(__file__).parents[2] / "fixtures"
GOOD = json.loads((FIXTURES / "tiny" / "metadata.json").read_text())


@pytest.mark.parametrize("name", ["tiny", "continuous"])
def test_round_trip(name: str) -> None:
    metadata = read_metadata(FIXTURES / name)
    data = json.loads(json.dumps(metadata.to_dict()))
    assert BundleMetadata.from_dict(data) == metadata
    assert data == json.loads((FIXTURES / name / "metadata.json").read_text())


def changed(change: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    data = copy.deepcopy(GOOD)
    change(data)
    return data


@pytest.mark.parametrize("key", sorted(set(GOOD) - {"ood"}))
def test_every_key_is_needed_and_typed(key: str) -> None:
    with pytest.raises(BundleError, match=key):
        BundleMetadata.from_dict(changed(lambda data: data.pop(key)))
    with pytest.raises(BundleError, match=key.rstrip("s")):
        BundleMetadata.from_dict(changed(lambda data: data.update({key: [[]]})))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.update(schema_version=3), "schema 3 is not supported"),
        (lambda d: d.update(schema_version=True), "whole number"),
        (lambda d: d.update(bundle_id="a\x1b[31m"), "'bundle_id' must be a short printable text"),
        (lambda d: d.update(bundle_id="a\nb"), "'bundle_id' must be a short printable text"),
        (lambda d: d.update(bundle_id="x" * 501), "'bundle_id' must be a short printable text"),
        (lambda d: d["latent"].update(noise=-1), "metadata latent: .*at least 0"),
        (lambda d: d["latent"].update(categorical=[1]), "metadata latent: .*at least 2"),
        (lambda d: d["latent"].update(continuous=10**9), "metadata latent: .*wide"),
        (lambda d: d["latent"].update(extra=1), "metadata latent: unknown latent key"),
        (lambda d: d["image"].update(size=0), "image.size"),
        (lambda d: d["image"].update(size=10**6), "image.size"),
        (lambda d: d["image"].update(channels=2), "channels must be 1 or 3"),
        (lambda d: d["image"].update(low=1, high=1), "low below high"),
        (lambda d: d["image"].update(high=float("inf")), "image.high"),
        (lambda d: d["image"].update(layout="NHWC"), "NCHW"),
        (lambda d: d["image"].update(dtype="uint8"), "float32"),
        (lambda d: d["graphs"].pop("generator.onnx"), "graphs.generator.onnx"),
        (lambda d: d["graphs"]["q_encoder.onnx"].update(bytes="1"), "graphs.q_encoder.onnx.bytes"),
        (lambda d: d["labels"].update(k1=["a"]), "labels.k1"),
        (lambda d: d["labels"].update(k9=["a"]), "labels.k9"),
        (lambda d: d["labels"].update(k2=["a", "b", "\x07"]), "labels.k2"),
        (lambda d: d["labels"].update(k2=["a", "b", 3]), "labels.k2"),
        (lambda d: d["style_names"].update(c9="x"), "style_names.c9"),
        (lambda d: d["style_names"].update(c1="\u202e"), "style_names.c1"),
    ],
)
def test_impossible_values(change: Callable[[dict[str, Any]], object], message: str) -> None:
    with pytest.raises(BundleError, match=message) as caught:
        BundleMetadata.from_dict(changed(change))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"a": NaN}', b"[" * 100_000, b"1" * 5000, b'"\\ud800"'],
)
def test_invalid_metadata_is_one_line_that_names_the_file(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "metadata.json").write_bytes(content)
    with pytest.raises(BundleError) as caught:
        read_metadata(tmp_path)
    assert str(caught.value).startswith(str(tmp_path / "metadata.json"))
    assert "\n" not in str(caught.value)


def test_labels() -> None:
    metadata = BundleMetadata.from_dict(changed(lambda d: d.update(labels={"k2": ["a", None, "c"]})))
    assert [metadata.label("k2", index) for index in range(3)] == ["a", None, "c"]
    assert metadata.label("k1", 0) is None


def test_tensors_of_width_zero_are_left_out() -> None:
    image = ImageSpec(size=8, channels=1, low=-1, high=1)
    full = LatentSpec(noise=5, noise_prior="normal", categorical=(4, 3), continuous=3)
    bare = LatentSpec(noise=0, noise_prior="normal", categorical=(), continuous=2)
    assert generator_inputs(full) == {"noise": (5,), "categories": (2,), "styles": (3,)}
    assert generator_inputs(bare) == {"styles": (2,)}
    assert encoder_outputs(full) == {"probabilities": (7,), "style_mean": (3,), "style_std": (3,)}
    assert encoder_outputs(bare) == {"style_mean": (2,), "style_std": (2,)}
    assert generator_outputs(image) == encoder_inputs(image) == {"images": (1, 8, 8)}
