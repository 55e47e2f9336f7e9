"""Bundle.read and Bundle.edit."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from infogan_tool.runtime import ImageError, LatentError, load_bundle, load_image
from infogan_tool.runtime.errors import BundleError, DeviceError

if TYPE_CHECKING:
    from infogan_tool.runtime.latents.sampling import Latents

EXAMPLES = Path(__file__).parents[3] / "examples"


def test_reading_has_label_styles_and_flag() -> None:
    bundle = load_bundle(threads=1)
    reading = bundle.read(EXAMPLES / "seven.png")
    assert reading.label == "7"
    assert reading.confidence is not None
    assert reading.confidence > 0.9
    assert set(reading.styles) == set(reading.style_std) == {"slant", "stroke width"}
    assert reading.codes["c1"] == reading.styles["slant"]
    assert reading.ood is False
    posterior = bundle.encode(load_image(EXAMPLES / "seven.png", bundle.image)[None])
    assert reading.codes["c1"] == posterior.style_mean[0, 0]
    assert np.array_equal(reading.probabilities["k1"], posterior.probabilities[0][0])


def test_every_kind_of_source_is_read_alike() -> None:
    bundle = load_bundle(threads=1)
    path = EXAMPLES / "three.png"
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGB"))
        sources = [path, str(path), path.read_bytes(), image, pixels, load_image(path, bundle.image)]
        readings = bundle.read(sources)
    assert [reading.label for reading in readings] == ["3"] * len(sources)
    assert all(np.array_equal(reading.image, readings[0].image) for reading in readings)
    assert bundle.read([]) == []


def test_edit_changes_the_requested_codes() -> None:
    bundle = load_bundle(threads=1)
    path = EXAMPLES / "seven.png"
    plain, other = bundle.edit(path), bundle.edit(path, k1="2")
    assert plain.size == (28, 28)
    assert [bundle.read(image).label for image in (plain, other)] == ["7", "2"]
    low, high = (
        bundle.read(bundle.edit(path, stroke_width=value)).styles["stroke width"] for value in (-1, 1)
    )
    assert high - low > 1
    assert bundle.edit(path, c1=0.5).tobytes() == bundle.edit(path, slant=0.5).tobytes()
    assert len(bundle.edit([path, path], c1=0.5)) == 2


def test_bundle_of_several_codes_without_labels(tiny: Path) -> None:
    bundle = load_bundle(tiny, threads=1)
    image = bundle.generate(bundle.sample(1))[0]
    reading = bundle.read(image)
    assert reading.label is None
    assert set(reading.styles) == {"c1", "c2", "c3"}
    assert np.asarray(bundle.edit(image, k2=2, c3=-1.0)).shape == (16, 16, 3)


def test_bundle_without_categories_and_noise(continuous: Path) -> None:
    bundle = load_bundle(continuous, threads=1)
    reading = bundle.read(bundle.generate(bundle.sample(1))[0])
    assert (reading.label, reading.confidence, reading.categories) == (None, None, {})
    assert bundle.edit(np.zeros((8, 8), np.uint8), c2=1.0).size == (8, 8)


@pytest.mark.parametrize(
    ("codes", "message"),
    [
        ({"c9": 1}, "there is no code 'c9'"),
        ({"slan": 1}, "did you mean 'slant'"),
        ({"k1": "x"}, "no category of k1 has the label 'x'"),
        ({"k1": 11}, "categories 0 to 9, not 11"),
        ({"k1": 1.5}, "a category index or a label"),
        ({"c1": "a"}, "c1 is a number, not 'a'"),
        ({"c1": float("nan")}, "c1 must be finite"),
        ({"c1": 1e39}, "c1 must be finite and at most 1,000,000"),
        ({"c1": 1, "slant": -1}, "c1 is given twice, once as 'slant'"),
    ],
)
def test_wrong_codes(codes: dict[str, float | str], message: str) -> None:
    with pytest.raises(LatentError, match=message):
        load_bundle(threads=1).edit(EXAMPLES / "seven.png", **codes)


@pytest.mark.parametrize(
    "image", [np.zeros((3, 3, 2), np.uint8), np.zeros((0, 5), np.uint8), np.zeros((4, 4))]
)
def test_wrong_arrays(image: np.ndarray) -> None:
    with pytest.raises(ImageError, match="image"):
        load_bundle(threads=1).read(image)


@pytest.mark.parametrize("source", [None, 7, {"a": 1}])
def test_what_is_no_image(source: Any) -> None:  # noqa: ANN401
    with pytest.raises(ImageError, match=f"an image is a path, bytes, .*, not {type(source).__name__}"):
        load_bundle(threads=1).read(source)


def test_no_images_and_views_of_bytes() -> None:
    bundle, content = load_bundle(threads=1), (EXAMPLES / "seven.png").read_bytes()
    assert bundle.read([]) == bundle.edit([], c1=1.0) == []
    for view in (bytearray(content), memoryview(content)):
        assert bundle.read(view).label == "7"


def test_an_unknown_device() -> None:
    with pytest.raises(DeviceError, match="unknown device 'CUDA'"):
        load_bundle(device="CUDA")  # type: ignore[arg-type]


def test_codes_may_be_named_wherever_they_are_given() -> None:
    bundle = load_bundle("mnist", threads=1)
    seven = bundle.metadata.labels["k1"].index("7")
    by_name = bundle.sample(3, categories={"k1": "7"}, styles={"stroke_width": 0.5})
    by_code = bundle.sample(3, categories={"k1": np.int64(seven)}, styles={"c2": 0.5})
    for one, other in zip(vars_of(by_name), vars_of(by_code), strict=True):
        np.testing.assert_array_equal(one, other)
    some = bundle.sample(50, categories={"k1": ["7", 0]}).categories
    assert set(some.ravel().tolist()) == {seven, 0}
    assert bundle.traverse("slant").code == "c1"
    with pytest.raises(LatentError, match="no category of k1 has the label '11'"):
        bundle.sample(1, categories={"k1": "11"})
    with pytest.raises(LatentError, match="c1 is given twice"):
        bundle.sample(1, styles={"c1": 0, "slant": 0})
    with pytest.raises(LatentError, match="latents are a ndarray: give Latents"):
        bundle.generate(np.zeros((1, 64)))  # type: ignore[arg-type]


def vars_of(latents: Latents) -> tuple[np.ndarray[Any, Any], ...]:
    return latents.noise, latents.categories, latents.styles


def test_a_reading_is_short_and_tells_low_confidence() -> None:
    bundle = load_bundle("mnist", threads=1)
    seven, three = bundle.read([EXAMPLES / "seven.png", EXAMPLES / "three.png"])
    assert (seven.low_confidence, three.low_confidence) == (False, True)
    assert len(repr(seven)) < 500
    assert repr(bundle).startswith("Bundle(")


def test_a_run_in_place_of_a_bundle_is_told(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(BundleError, match="is a run: export it first: infogan-tool export"):
        load_bundle(tmp_path)
