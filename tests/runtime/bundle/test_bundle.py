"""Bundles: results, their independence of batch and threads, and refused arguments."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from spoilt_bundles import edit

from infogan_tool.runtime import load_bundle, load_image, to_uint8
from infogan_tool.runtime.bundle.bundle import PRETRAINED_BUNDLE, Bundle
from infogan_tool.runtime.bundle.self_check import self_check
from infogan_tool.runtime.errors import BundleError, DeviceError, ImageError, LatentError
from infogan_tool.runtime.inference.shards import BATCH_ROWS

EXAMPLES = Path(__file__).parents[3] / "examples"
DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
TINY = Path(__file__).parents[2] / "fixtures" / "tiny"
CONTINUOUS = Path(__file__).parents[2] / "fixtures" / "continuous"
ALL = pytest.mark.parametrize("path", [TINY, CONTINUOUS, None], ids=["tiny", "continuous", "pretrained"])
ONE_SHOT = pytest.mark.parametrize("one_shot", [False, True], ids=["long", "one-shot"])


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return Path(shutil.copytree(TINY, tmp_path / "bundle"))


# --- what it computes --------------------------------------------------------------------------------------


@ALL
def test_generate_and_encode(path: Path | None) -> None:
    bundle = load_bundle(path, device="cpu")
    spec, image = bundle.latent, bundle.image
    latents = bundle.sample(5, seed=1)
    images = bundle.generate(latents)
    assert (images.dtype, images.shape) == (np.float32, (5, *image.shape))
    assert image.low <= images.min() < images.max() <= image.high
    posterior = bundle.encode(images)
    assert [p.shape for p in posterior.probabilities] == [(5, size) for size in spec.categorical]
    for table, chosen, sure in zip(
        posterior.probabilities, posterior.categories.T, posterior.confidence.T, strict=True
    ):
        np.testing.assert_allclose(table.sum(axis=1), 1, atol=1e-5)
        np.testing.assert_array_equal(table.argmax(axis=1), chosen)
        np.testing.assert_array_equal(table.max(axis=1), sure)
    assert posterior.categories.shape == posterior.confidence.shape == (5, len(spec.categorical))
    assert posterior.categories.dtype == np.int64
    assert posterior.style_mean.shape == posterior.style_std.shape == (5, spec.continuous)
    assert (posterior.style_std > 0).all()


@ALL
def test_codes_and_noise_reach_the_image(path: Path | None) -> None:
    bundle = load_bundle(path, device="cpu")
    for code in bundle.latent.code_names:
        plan = bundle.traverse(code, low=-1, high=1, steps=3)
        images = bundle.generate(plan.latents).reshape(plan.rows, plan.columns, -1)
        assert np.abs(images[:, 0] - images[:, -1]).max() > 1e-4, code
    if bundle.latent.noise:
        assert np.abs(np.diff(bundle.generate(bundle.sample(2, categories={}))[:, 0], axis=0)).max() > 1e-4


@ALL
def test_uint8_and_float_are_the_same_images(path: Path | None) -> None:
    bundle = load_bundle(path, device="cpu")
    pixels = to_uint8(bundle.generate(bundle.sample(6)), bundle.image)
    image = bundle.image
    floats = (pixels.transpose(0, 3, 1, 2) / 255 * (image.high - image.low) + image.low).astype(np.float32)
    np.testing.assert_allclose(bundle.encode(pixels).style_mean, bundle.encode(floats).style_mean, atol=1e-4)
    if image.channels == 1:
        squeezed = bundle.encode(pixels[..., 0])
        np.testing.assert_array_equal(squeezed.style_mean, bundle.encode(pixels).style_mean)


@ALL
def test_an_empty_batch(path: Path | None) -> None:
    bundle = load_bundle(path, device="cpu")
    assert bundle.generate(bundle.sample(0)).shape == (0, *bundle.image.shape)
    size, channels = bundle.image.size, bundle.image.channels
    posterior = bundle.encode(np.zeros((0, size, size, channels), np.uint8))
    assert posterior.categories.shape == (0, len(bundle.latent.categorical))
    assert posterior.style_mean.shape == (0, bundle.latent.continuous)


@ALL
@ONE_SHOT
def test_an_image_does_not_depend_on_its_batch(path: Path | None, one_shot: bool) -> None:
    """To the bit, at any batch size, start and number of threads."""
    many = BATCH_ROWS + 3  # the last chunk is short
    bundle = load_bundle(path, device="cpu", threads=1, one_shot=one_shot)
    images = bundle.generate(bundle.sample(many, seed=11))
    for n in (1, 2, 3, 7, 64, BATCH_ROWS, BATCH_ROWS + 1):
        np.testing.assert_array_equal(bundle.generate(bundle.sample(n, seed=11)), images[:n])
    for start, n in ((5, 1), (BATCH_ROWS, 1), (BATCH_ROWS - 1, 2), (100, 17)):
        again = bundle.generate(bundle.sample(n, seed=11, start=start))
        np.testing.assert_array_equal(again, images[start : start + n])
    other = load_bundle(path, device="cpu", threads=2, one_shot=one_shot)
    np.testing.assert_array_equal(other.generate(other.sample(9, seed=11)), images[:9])


@ALL
@ONE_SHOT
def test_a_posterior_does_not_depend_on_its_batch(path: Path | None, one_shot: bool) -> None:
    bundle = load_bundle(path, device="cpu", one_shot=one_shot)
    images = bundle.generate(bundle.sample(BATCH_ROWS + 1, seed=3))
    whole = bundle.encode(images)
    for rows in (slice(0, 1), slice(BATCH_ROWS, BATCH_ROWS + 1), slice(4, 6), slice(10, 50)):
        part = bundle.encode(images[rows])
        np.testing.assert_array_equal(part.style_mean, whole.style_mean[rows])
        np.testing.assert_array_equal(part.confidence, whole.confidence[rows])


def test_self_check() -> None:
    bundle = load_bundle(TINY, device="cpu")
    check = self_check(bundle, images=50)
    assert (check.images, check.provider) == (50, "CPUExecutionProvider")
    assert set(check.agreement) == {"k1", "k2"}
    assert set(check.correlation) == {"c1", "c2", "c3"}
    assert all(0 <= part <= 1 for part in check.agreement.values())
    assert all(-1 <= value <= 1 for value in check.correlation.values())
    assert check.seconds > 0


# --- the pretrained bundle ---------------------------------------------------------------------------------


def test_the_pretrained_bundle_is_of_mnist() -> None:
    bundle = load_bundle()
    assert bundle.path == PRETRAINED_BUNDLE
    assert bundle.latent.categorical == (10,)
    assert bundle.latent.continuous == 2
    assert (bundle.image.size, bundle.image.channels, bundle.image.low, bundle.image.high) == (28, 1, 0, 1)
    assert sum(graph.bytes for graph in bundle.metadata.graphs.values()) <= 10_000_000


def test_the_pretrained_bundle_infers_the_codes_of_its_images() -> None:
    bundle = load_bundle(device="cpu")
    if not bundle.metadata.labels:
        pytest.skip("a bundle without labels was not trained on digits")
    assert sorted(str(name) for name in bundle.metadata.labels["k1"]) == list("0123456789")
    check = self_check(bundle)
    assert check.agreement["k1"] > 0.9
    assert all(abs(value) > 0.5 for value in check.correlation.values())


def test_labels_of_a_posterior() -> None:
    bundle = load_bundle(device="cpu")
    posterior = bundle.encode(
        np.stack([load_image(EXAMPLES / f"{name}.png", bundle.image) for name in DIGITS])
    )
    assert bundle.labels(posterior) == list("0123456789")
    assert bundle.labels(posterior, "k1") == bundle.labels(posterior)
    assert bundle.labels(bundle.encode(np.empty((0, 28, 28), np.uint8))) == []
    with pytest.raises(LatentError, match="there is no categorical code 'k2'"):
        bundle.labels(posterior, "k2")


def test_labels_of_a_bundle_without_them(copy: Path) -> None:
    images = np.zeros((2, 16, 16, 3), np.uint8)
    edit(copy, lambda data: data.update(labels={}))
    bundle = load_bundle(copy, device="cpu")
    assert bundle.labels(bundle.encode(images), "k2") == [None, None]
    with pytest.raises(BundleError, match=r"has no labels: use posterior\.categories"):
        bundle.labels(bundle.encode(images))
    edit(copy, lambda data: data.update(labels={"k2": ["a", None, "c"]}))
    bundle = load_bundle(copy, device="cpu")
    posterior = bundle.encode(images)
    names = ("a", None, "c")
    assert bundle.labels(posterior) == [names[index] for index in posterior.categories[:, 1]]


# --- what is refused of arguments --------------------------------------------------------------------------


def test_wrong_arguments() -> None:
    bundle = load_bundle(TINY, device="cpu")
    with pytest.raises(ImageError, match=r"must be uint8 \(N, 16, 16, 3\) or float32 \(N, 3, 16, 16\)"):
        bundle.encode(np.zeros((1, 28, 28), np.uint8))
    with pytest.raises(ImageError, match="finite and from 0 to 1"):
        bundle.encode(np.full((1, 3, 16, 16), 255, np.float32))
    foreign = load_bundle(CONTINUOUS, device="cpu").sample(1)
    with pytest.raises(LatentError, match="the latent spec has 5 noise"):
        bundle.generate(foreign)


def test_a_device_that_does_not_exist() -> None:
    from infogan_tool.runtime.inference.device import gpu_present  # noqa: PLC0415 - asked only here

    if gpu_present():
        assert load_bundle(TINY, device="cuda").provider == "CUDAExecutionProvider"
        return
    bundle: Bundle = load_bundle(TINY, device="cuda")  # nothing is opened yet
    with pytest.raises(DeviceError, match="device cuda cannot be used"):
        bundle.generate(bundle.sample(1))
    assert load_bundle(TINY, device="auto").provider == "CPUExecutionProvider"
    assert load_bundle(TINY, device="auto").fallback is None
