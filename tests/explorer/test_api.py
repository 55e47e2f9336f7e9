"""The two questions of the page, answered as the runtime answers them; and what is refused."""

from __future__ import annotations

import base64
from pathlib import Path

import numpy as np
import pytest

from infogan_tool.cli.explorer.api import draw, most_images, read, row_width
from infogan_tool.cli.explorer.description import describe, noise_bytes
from infogan_tool.runtime import Latents, load_bundle, load_image, to_uint8
from infogan_tool.runtime.errors import ImageError, LatentError

SEVEN = Path(__file__).resolve().parents[2] / "examples" / "seven.png"


def rows_of(latents: Latents) -> bytes:
    parts = (latents.noise, latents.categories.astype(np.float32), latents.styles)
    return np.concatenate(parts, axis=1).astype("<f4").tobytes()


@pytest.mark.parametrize("name", ["tiny", "continuous", "shipped"])
def test_codes_are_drawn_as_the_runtime_draws_them(name: str, tiny: Path, continuous: Path) -> None:
    bundle = load_bundle({"tiny": tiny, "continuous": continuous}.get(name), device="cpu")
    latents = bundle.sample(5, seed=3)
    shape = (5, bundle.image.size, bundle.image.size, bundle.image.channels)
    found = np.frombuffer(draw(bundle, rows_of(latents)), np.uint8).reshape(shape)
    np.testing.assert_array_equal(found, to_uint8(bundle.generate(latents), bundle.image))


def test_an_image_is_read_as_the_runtime_reads_it() -> None:
    bundle = load_bundle(device="cpu")
    image = load_image(SEVEN, bundle.image)[None]
    expected = bundle.encode(image)
    found = read(bundle, SEVEN.read_bytes(), raw=False)
    assert found["probabilities"] == [expected.probabilities[0][0].tolist()]
    assert found["mean"] == expected.style_mean[0].tolist()
    assert found["std"] == expected.style_std[0].tolist()
    assert base64.b64decode(found["seen"]) == to_uint8(image, bundle.image).tobytes()
    assert found["ood"] is (None if expected.ood is None else bool(expected.ood[0]))


def test_what_was_seen_is_read_again_as_it_is(tiny: Path) -> None:
    bundle = load_bundle(tiny, device="cpu")
    first = read(bundle, SEVEN.read_bytes(), raw=False)
    size = bundle.image.size
    again = read(bundle, f"P6 {size} {size} 255\n".encode() + base64.b64decode(first["seen"]), raw=True)
    assert again == first


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
)
def test_codes_that_cannot_be_are_refused(tiny: Path, body: bytes) -> None:
    bundle = load_bundle(tiny, device="cpu")
    assert (row_width(bundle), most_images(bundle)) == (10, 256)
    with pytest.raises(LatentError):
        draw(bundle, body)


@pytest.mark.parametrize("content", [b"", b"nothing", b"\x89PNG\r\n\x1a\n", SEVEN.read_bytes()[:200]])
def test_files_that_are_no_images_are_refused(content: bytes) -> None:
    with pytest.raises(ImageError):
        read(load_bundle(device="cpu"), content, raw=False)


def test_the_page_is_told_what_the_bundle_says(tiny: Path, continuous: Path) -> None:
    shipped, small, without = (load_bundle(path, device="cpu") for path in (None, tiny, continuous))
    told = describe([shipped, small, without], "server")
    assert [one["shipped"] for one in told["bundles"]] == [True, False, False]
    assert [one["noises"] for one in told["bundles"]] == [256, 256, 1]
    assert told["bundles"][0]["metadata"] == shipped.metadata.to_dict()
    assert noise_bytes(without) == b""
    table = np.frombuffer(noise_bytes(shipped), "<f4").reshape(256, 62)
    np.testing.assert_array_equal(table, shipped.sample(256, seed=0).noise)
