"""The two requests of the page, computed as the runtime computes them; and what is refused."""

from __future__ import annotations

import base64
from pathlib import Path

import numpy as np
import pytest

from infogan_tool.cli.explorer.api import encode, generate, latent_width, max_images
from infogan_tool.cli.explorer.description import describe, noise_bytes
from infogan_tool.runtime import Latents, load_bundle, load_image, to_uint8
from infogan_tool.runtime.errors import ImageError, LatentError

SEVEN = Path(__file__).resolve().parents[2] / "examples" / "seven.png"


def rows_of(latents: Latents) -> bytes:
    parts = (latents.noise, latents.categories.astype(np.float32), latents.styles)
    return np.concatenate(parts, axis=1).astype("<f4").tobytes()


@pytest.mark.parametrize("name", ["tiny", "continuous", "pretrained"])
def test_images_are_generated_as_by_the_runtime(name: str, tiny: Path, continuous: Path) -> None:
    bundle = load_bundle({"tiny": tiny, "continuous": continuous}.get(name), device="cpu")
    latents = bundle.sample(5, seed=3)
    shape = (5, bundle.image.size, bundle.image.size, bundle.image.channels)
    found = np.frombuffer(generate(bundle, rows_of(latents)), np.uint8).reshape(shape)
    np.testing.assert_array_equal(found, to_uint8(bundle.generate(latents), bundle.image))


def test_an_image_is_encoded_as_by_the_runtime() -> None:
    bundle = load_bundle(device="cpu")
    image = load_image(SEVEN, bundle.image)[None]
    expected = bundle.encode(image)
    found = encode(bundle, SEVEN.read_bytes(), raw=False)
    assert found["probabilities"] == [expected.probabilities[0][0].tolist()]
    assert found["mean"] == expected.style_mean[0].tolist()
    assert found["std"] == expected.style_std[0].tolist()
    assert base64.b64decode(found["preprocessed"]) == to_uint8(image, bundle.image).tobytes()
    assert found["ood"] is (None if expected.ood is None else bool(expected.ood[0]))


def test_a_preprocessed_image_is_encoded_as_it_is(tiny: Path) -> None:
    bundle = load_bundle(tiny, device="cpu")
    first = encode(bundle, SEVEN.read_bytes(), raw=False)
    size = bundle.image.size
    content = f"P6 {size} {size} 255\n".encode() + base64.b64decode(first["preprocessed"])
    assert encode(bundle, content, raw=True) == first


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"123",
        np.zeros(9, "<f4").tobytes(),
        np.zeros((257, 10), "<f4").tobytes(),
        np.full(10, np.nan, "<f4").tobytes(),
        np.array([0] * 5 + [0.5, 0] + [0] * 3, "<f4").tobytes(),
        np.array([0] * 5 + [4, 0] + [0] * 3, "<f4").tobytes(),
        np.array([0] * 5 + [-1, 0] + [0] * 3, "<f4").tobytes(),
        np.array([0] * 5 + [1e30, 0] + [0] * 3, "<f4").tobytes(),
        np.array([0] * 5 + [0, 0] + [np.inf] * 3, "<f4").tobytes(),
    ],
    ids=range(10),
)
def test_invalid_codes_are_refused(tiny: Path, body: bytes) -> None:
    bundle = load_bundle(tiny, device="cpu")
    assert (latent_width(bundle), max_images(bundle)) == (10, 256)
    with pytest.raises(LatentError):
        generate(bundle, body)


@pytest.mark.parametrize("content", [b"", b"nothing", b"\x89PNG\r\n\x1a\n", SEVEN.read_bytes()[:200]])
def test_files_that_are_no_images_are_refused(content: bytes) -> None:
    with pytest.raises(ImageError):
        encode(load_bundle(device="cpu"), content, raw=False)


def test_the_description_of_the_bundles(tiny: Path, continuous: Path) -> None:
    pretrained, small, without = (load_bundle(path, device="cpu") for path in (None, tiny, continuous))
    model = describe([pretrained, small, without], "server")
    assert [one["pretrained"] for one in model["bundles"]] == [True, False, False]
    assert [one["noise_count"] for one in model["bundles"]] == [256, 256, 1]
    assert model["bundles"][0]["metadata"] == pretrained.metadata.to_dict()
    assert noise_bytes(without) == b""
    table = np.frombuffer(noise_bytes(pretrained), "<f4").reshape(256, 62)
    np.testing.assert_array_equal(table, pretrained.sample(256, seed=0).noise)
