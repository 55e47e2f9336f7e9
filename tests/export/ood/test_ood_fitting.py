"""The OOD distance fitted at export: flagged images, and images in distribution."""

from __future__ import annotations

import dataclasses
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from infogan_tool.export.ood import fitting
from infogan_tool.export.ood.batch_preprocessing import preprocess_batch
from infogan_tool.export.ood.drawings import make_drawings
from infogan_tool.export.ood.fitting import fit_ood
from infogan_tool.export.ood.head import Taps
from infogan_tool.export.ood.synthetic_outliers import make_noise, make_synthetic_outliers
from infogan_tool.export.preprocessing_options import preprocessing_for
from infogan_tool.export.run_to_bundle import export_networks
from infogan_tool.runtime import ImageSpec, Preprocessing, load_bundle
from infogan_tool.runtime.preprocessing.matches import matches_preprocessing
from infogan_tool.train.data import load_images, load_test_images

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from infogan_tool.export.ood.head import DistanceHead
    from infogan_tool.runtime.bundle.metadata import OodSpec
    from infogan_tool.train.infogan.networks import Networks

PREPROCESSING = Preprocessing(box=20, centre="mass", ink="light", stroke=2.0)


@pytest.fixture(scope="module")
def digits() -> torch.Tensor:
    return load_images("mnist").images[:4000]


KINDS: dict[str, dict[str, Any]] = {
    "shared": {},
    "separate": {"networks": {"q": "separate", "q_features": 24}},
    "clustered": {"networks": {"q_features": 24}, "clustering": {}},
    "continuous": {"latent": {"categorical": [], "continuous": 2}},
}


@pytest.fixture(scope="module")
def fitted(
    make_networks: Callable[..., Networks], digits: torch.Tensor
) -> Callable[[str], tuple[Networks, DistanceHead, OodSpec]]:
    """A function of one of KINDS that returns networks, and what was fitted to them."""

    @cache
    def fit(kind: str) -> tuple[Networks, DistanceHead, OodSpec]:
        networks = make_networks(KINDS[kind], size=28)
        found = fit_ood(networks, digits, PREPROCESSING)
        assert found is not None
        return networks, *found

    return fit


# Untrained networks: a separate Q of 24 random features separates noise poorly.
@pytest.mark.parametrize(
    ("kind", "least"), [("shared", 0.95), ("separate", 0.3), ("clustered", 0.3), ("continuous", 0.95)]
)
def test_noise_is_flagged_and_digits_are_not(
    kind: str, least: float, fitted: Callable[[str], tuple[Networks, DistanceHead, OodSpec]]
) -> None:
    networks, head, ood = fitted(kind)
    taps, rng = Taps(networks), np.random.default_rng(0)

    def flagged(images: np.ndarray) -> float:
        given = torch.from_numpy(images.astype(np.float32) / 255)[:, None]
        with torch.no_grad():
            return float((head(*taps.read(given)) > ood.threshold).float().mean())

    test = load_test_images("mnist")
    assert test is not None
    assert 0 < flagged(test.images[:, 0].numpy()) < 0.04
    assert flagged(rng.integers(0, 256, (200, 28, 28))) > least
    assert flagged(np.full((1, 28, 28), 255)) == 1
    assert flagged(test.images[:1000, 0].numpy()[:, ::-1, ::-1].transpose(0, 2, 1)) > 0.08
    assert ood.metrics["fitted_on"] == 2000


def test_large_images_are_fitted_on_fewer(
    make_networks: Callable[..., Networks], digits: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fitting, "_FITTED", 16_000)
    networks = make_networks(size=64)
    large = torch.nn.functional.interpolate(digits.float(), size=64).to(torch.uint8)
    fitted = fit_ood(networks, large, None)
    assert fitted is not None
    head, ood = fitted
    assert ood.metrics["fitted_on"] == 2000
    assert ood.metrics["held_out"] == 1000
    test = load_test_images("mnist", size=64, limit=1000)
    assert test is not None
    with torch.no_grad():
        distances = head(*Taps(networks).read(test.images.float() / 255))
        noise = head(
            *Taps(networks).read(torch.rand(100, 1, 64, 64, generator=torch.Generator().manual_seed(0)))
        )
    assert float((distances > ood.threshold).float().mean()) < 0.06
    assert float((noise > ood.threshold).float().mean()) > 0.95


def test_the_same_images_give_the_same_distance(
    fitted: Callable[[str], tuple[Networks, DistanceHead, OodSpec]], digits: torch.Tensor
) -> None:
    networks, head, _ = fitted("shared")
    torch.rand(7)  # the state of the global generator has no effect
    again = fit_ood(networks, digits, PREPROCESSING)
    assert again is not None
    weights = again[0].state_dict()
    assert all(torch.equal(weights[name], weight) for name, weight in head.state_dict().items())


def test_too_few_images_give_no_distance(
    make_networks: Callable[..., Networks], digits: torch.Tensor
) -> None:
    assert fit_ood(make_networks(size=28), digits[:499], PREPROCESSING) is None


def test_missing_images_give_no_distance(make_networks: Callable[..., Networks], tmp_path: Path) -> None:
    outcome = export_networks(make_networks(), tmp_path / "b", training={}, data=str(tmp_path / "gone"))
    assert outcome.metadata.ood is None
    assert "no names and no OOD score" in outcome.notes[0]
    assert load_bundle(tmp_path / "b", device="cpu").encode(np.zeros((1, 16, 16), np.uint8)).ood is None


def test_preprocessing_follows_the_data_set() -> None:
    image = ImageSpec(size=28, channels=1, low=0, high=1)
    assert preprocessing_for("mnist", image) == PREPROCESSING
    double = preprocessing_for("mnist", ImageSpec(size=56, channels=1, low=0, high=1))
    assert double == Preprocessing(box=40, centre="mass", ink="light", stroke=4.0)
    assert preprocessing_for("mnist", ImageSpec(size=28, channels=3, low=0, high=1)) is None
    assert preprocessing_for("my images", image) is None
    assert preprocessing_for(None, image) is None


# --- synthetic outliers -----------------------------------------------------------------------------


def test_batch_preprocessing_matches_the_preprocessing(digits: torch.Tensor) -> None:
    values = digits[:200].float() / 255
    centred, has_foreground = preprocess_batch(values, PREPROCESSING)
    assert has_foreground.all()
    torch.testing.assert_close(centred, values, atol=1e-5, rtol=0)  # they match already
    moved = torch.nn.functional.interpolate(values[..., 3:25, 3:25], size=28, mode="bilinear").clamp(0, 1)
    back, _ = preprocess_batch(moved.roll((2, -3), (2, 3)), PREPROCESSING)
    values = (back * 255).round().to(torch.uint8)[:, 0].numpy()
    assert matches_preprocessing(values, PREPROCESSING).mean() > 0.9
    assert not preprocess_batch(torch.zeros(1, 1, 28, 28), PREPROCESSING)[1].any()
    boxed = dataclasses.replace(PREPROCESSING, box=16, centre="box")
    values = (preprocess_batch(moved, boxed)[0] * 255).round().to(torch.uint8)[:, 0].numpy()
    assert matches_preprocessing(values, boxed).mean() > 0.9
    assert matches_preprocessing(values, PREPROCESSING).mean() < 0.1


def test_synthetic_outliers_differ_from_the_images(digits: torch.Tensor) -> None:
    values = digits[:300].float() / 255
    made = make_synthetic_outliers(values, 600, torch.Generator().manual_seed(0))
    again = make_synthetic_outliers(values, 600, torch.Generator().manual_seed(0))
    assert made.shape == (600, 1, 28, 28)
    assert torch.equal(made, again)
    assert 0 <= made.min() <= made.max() <= 1
    own = {image.numpy().tobytes() for image in values}
    assert sum(image.numpy().tobytes() in own for image in made) < 30
    colour = make_synthetic_outliers(torch.rand(8, 3, 10, 10), 40, torch.Generator().manual_seed(0))
    assert colour.shape == (40, 3, 10, 10)
    odd = make_synthetic_outliers(torch.rand(8, 1, 13, 13), 40, torch.Generator().manual_seed(0))
    assert odd.shape == (40, 1, 13, 13)


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 13, 13), (1, 5, 5)])
def test_noise_fills_the_image(shape: tuple[int, int, int]) -> None:
    noise = make_noise(22, shape, torch.Generator().manual_seed(0))
    assert noise.shape == (22, *shape)
    assert 0 <= noise.min() <= noise.max() <= 1
    assert float(noise.std((1, 2, 3)).min()) > 0.02
    assert torch.equal(noise, make_noise(22, shape, torch.Generator().manual_seed(0)))


@pytest.mark.parametrize("size", [16, 28, 45])
def test_drawings_are_centred_and_differ(size: int) -> None:
    drawn = make_drawings(300, size, torch.Generator().manual_seed(0))
    assert drawn.shape == (300, 1, size, size)
    assert torch.equal(drawn, make_drawings(300, size, torch.Generator().manual_seed(0)))
    assert 0 <= drawn.min() <= drawn.max() <= 1
    ink = drawn.mean((1, 2, 3))
    assert ink.min() > 0.005
    assert ink.max() < 0.5
    assert len({image.numpy().tobytes() for image in drawn}) == 300
    edge = max(1, size // 14)
    inside = drawn[..., edge:-edge, edge:-edge]
    assert float((drawn > 0.5).sum()) == float((inside > 0.5).sum())
