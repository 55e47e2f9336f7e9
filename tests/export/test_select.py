"""Ranking of bundles without labels, with a planted bad one."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from infogan_tool.cli.comparison_tables import format_selection
from infogan_tool.export import select
from infogan_tool.export.select import find_bundles, select_bundles
from infogan_tool.runtime.bundle.bundle import Posterior
from infogan_tool.runtime.errors import UsageError
from infogan_tool.runtime.images.spec import ImageSpec
from infogan_tool.runtime.latents import sampling
from infogan_tool.runtime.latents.spec import LatentSpec

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Result
    from numpy.typing import NDArray

    from infogan_tool.runtime.latents.sampling import Latents

LATENT = LatentSpec(noise=2, noise_prior="uniform", categorical=(3,), continuous=3)


class LinearBundle:
    """A bundle whose pixels are its factors: a category, and continuous codes times a matrix.

    Where the user gave all categories the same name, they are read as one.
    """

    image = ImageSpec(size=3, channels=1, low=-4, high=4)
    latent = LATENT

    def __init__(self, matrix: NDArray[np.float64], *, one_name: bool = False) -> None:
        self.matrix, self.one_name = matrix, one_name

    def sample(self, n: int, seed: int) -> Latents:
        return sampling.sample(self.latent, n, seed)

    def factors(self, latents: Latents) -> NDArray[np.float64]:
        noise = 0.05 * latents.noise.sum(axis=1, keepdims=True)
        return np.hstack([latents.categories, latents.styles @ self.matrix + noise])

    def generate(self, latents: Latents) -> NDArray[np.float32]:
        factors = self.factors(latents)
        images = np.zeros((len(factors), 9), np.float32)
        images[:, : factors.shape[1]] = factors
        return images.reshape(-1, 1, 3, 3)

    def encode(self, images: NDArray[np.uint8]) -> Posterior:
        factors = images.reshape(-1, 9) * (8 / 255) - 4
        means = factors[:, 1:4] @ np.linalg.pinv(self.matrix)
        category = np.rint(factors[:, :1]).astype(np.int64)
        return Posterior(
            probabilities=(np.eye(3, dtype=np.float32)[category[:, 0]],),
            categories=0 * category if self.one_name else category,
            confidence=np.ones((len(images), 1), np.float32),
            style_mean=means.astype(np.float32),
            style_std=np.ones_like(means, np.float32),
        )


class TurningBundle(LinearBundle):
    """A bundle with an angle as its third code, which begins somewhere."""

    latent = replace(LATENT, periodic=("c3",))

    def __init__(self, start: float) -> None:
        super().__init__(np.eye(3))
        self.start = start

    def factors(self, latents: Latents) -> NDArray[np.float64]:
        angle = np.pi * (latents.styles[:, 2] + self.start + 0.02 * latents.noise.sum(axis=1))
        circle = np.stack([np.cos(angle), np.sin(angle)], axis=1)
        return np.hstack([latents.categories, latents.styles[:, :2], circle])

    def encode(self, images: NDArray[np.uint8]) -> Posterior:
        posterior, factors = super().encode(images), images.reshape(-1, 9) * (8 / 255) - 4
        angle = np.arctan2(factors[:, 4], factors[:, 3]) / np.pi - self.start
        means = np.stack([*factors[:, 1:3].T, angle - 2 * np.round(angle / 2)], axis=1)
        return replace(posterior, style_mean=means.astype(np.float32))


def test_an_angle_is_the_same_wherever_it_begins(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    starts = {"first": 0.0, "second": 0.5, "third": 0.95}
    monkeypatch.setattr(select, "load_bundle", lambda path, **_: TurningBundle(starts[path.name]))
    selection = select_bundles([tmp_path / name for name in starts], groups=40)
    for ranked in selection.ranking:
        assert ranked.model_centrality == 1.0
        assert ranked.udr > 0.85
        assert ranked.usage.dead == ()


def renamed_bundle(renamed: str, path: Path, **_: object) -> LinearBundle:
    return LinearBundle(np.eye(3), one_name=path.name == renamed)


def test_names_given_by_hand_change_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    scores = []
    for renamed in ("", "c"):
        monkeypatch.setattr(select, "load_bundle", partial(renamed_bundle, renamed))
        selection = select_bundles([tmp_path / name for name in "abc"], groups=20)
        scores.append({(ranked.bundle, ranked.model_centrality, ranked.udr) for ranked in selection.ranking})
    assert scores[0] == scores[1]


class OneCodeBundle(LinearBundle):
    """A bundle with one continuous code alone; the worse it is trained, the more noise."""

    latent = replace(LATENT, categorical=(), continuous=1)

    def __init__(self, noise: float) -> None:
        super().__init__(np.eye(1))
        self.noise = noise

    def factors(self, latents: Latents) -> NDArray[np.float64]:
        return latents.styles + self.noise * latents.noise[:, :1]

    def encode(self, images: NDArray[np.uint8]) -> Posterior:
        means = (images.reshape(-1, 9)[:, :1] * (8 / 255) - 4).astype(np.float32)
        empty = np.empty((len(images), 0))
        return Posterior((), empty.astype(np.int64), empty.astype(np.float32), means, np.ones_like(means))


def test_of_one_code_udr_decides_and_the_table_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(select, "load_bundle", lambda path, **_: OneCodeBundle(float(path.name)))
    selection = select_bundles([tmp_path / name for name in ("0.1", "3", "0.2")], groups=20)
    assert {ranked.model_centrality for ranked in selection.ranking} == {1.0}
    assert [ranked.udr for ranked in selection.ranking] == sorted(
        (ranked.udr for ranked in selection.ranking), reverse=True
    )
    assert "Selected by UDR" in format_selection(selection)
    assert "leads" not in format_selection(selection)


def test_what_no_file_can_hold_is_dead(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    matrix = np.diag([1, 1, 1e-3])
    monkeypatch.setattr(select, "load_bundle", lambda _, **__: LinearBundle(matrix))
    selection = select_bundles([tmp_path / name for name in "abc"], groups=20)
    assert [ranked.usage.dead for ranked in selection.ranking] == [("c3",)] * 3


def test_rotated_and_dead_models_come_last(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    turn = 0.5**0.5
    bundles = {
        "good-a": np.eye(3),
        "good-b": -np.eye(3)[[1, 2, 0]],
        "rotated": np.array([[turn, turn, 0], [-turn, turn, 0], [0, 0, 1]]),
        "good-c": np.diag([1, -1, 1.0]),
        "dead": np.diag([1, 1, 0.0]),
    }
    monkeypatch.setattr(
        select, "load_bundle", lambda path, **_: LinearBundle(np.asarray(bundles[path.name], np.float64))
    )
    lines: list[str] = []
    selection = select_bundles([tmp_path / name for name in bundles], groups=40, progress=lines.append)
    names = [ranked.bundle.rpartition("/")[2] for ranked in selection.ranking]
    assert set(names[:3]) == {"good-a", "good-b", "good-c"}
    assert {ranked.bundle[-4:]: ranked.usage.dead for ranked in selection.ranking}["dead"] == ("c3",)
    assert selection.ranking[0].model_centrality > selection.ranking[3].model_centrality + 0.05
    assert min(r.udr for r in selection.ranking[:3]) > max(r.udr for r in selection.ranking[3:])
    assert sum(ranked.first_share for ranked in selection.ranking) == pytest.approx(1)
    assert len(lines) == 5
    again = select_bundles([tmp_path / name for name in bundles], groups=40)
    assert again == selection


@pytest.fixture
def sweep_folder(tiny: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "sweep"
    for seed in (0, 1, 10):
        shutil.copytree(tiny, folder / f"bundle-{seed}")
    (folder / "seed-0").mkdir()
    return folder


def test_command_on_exported_bundles(cli: Callable[..., Result], sweep_folder: Path) -> None:
    done = cli("select", sweep_folder, "--groups", 10, "--device", "cpu", "--json")
    assert done.code == 0, done.err
    found: dict[str, Any] = json.loads(done.out)
    assert [r["bundle"].rpartition("-")[2] for r in found["ranking"]] == ["0", "1", "10"], "all the same"
    assert found["gap"] == 0
    for ranked in found["ranking"]:
        assert ranked["first_share"] == pytest.approx(1 / 3, abs=0.01)
        assert set(ranked["usage"]["information"]) == {"c1", "c2", "c3"}
    done = cli("select", *sweep_folder.glob("bundle-*"), "--groups", 10, "--device", "cpu")
    assert (done.code, done.err) == (0, "")
    assert "Selected: bundle-0. It leads by 0.000" in done.out
    assert "The lead is small" in done.out


def test_bundles_in_order_and_without_repetition(sweep_folder: Path) -> None:
    found = find_bundles([sweep_folder, sweep_folder / "bundle-1"])
    assert [path.name for path in found] == ["bundle-0", "bundle-1", "bundle-10"]


def test_bundles_of_a_grid_have_the_names_of_their_folders(
    cli: Callable[..., Result], sweep_folder: Path, tmp_path: Path
) -> None:
    for rate in ("1e-3", "2e-3", "4e-3"):
        shutil.copytree(sweep_folder / "bundle-0", tmp_path / f"optimizer.g_lr={rate}" / "bundle-0")
    done = cli("select", tmp_path, "--groups", 10, "--device", "cpu")
    assert done.code == 0, done.err
    assert "Selected: optimizer.g_lr=1e-3/bundle-0." in done.out


def test_refused_paths(cli: Callable[..., Result], sweep_folder: Path) -> None:
    for paths, message in (
        ([sweep_folder / "seed-0"], "is no bundle and holds none"),
        ([sweep_folder / "nothing"], "is no bundle and holds none"),
        ([sweep_folder / "bundle-0", sweep_folder / "bundle-1"], "3 to 100 bundles"),
    ):
        done = cli("select", *paths)
        assert (done.code, done.out) == (2, "")
        assert message in done.err
        assert len(done.err.splitlines()) == 1


def test_bundles_of_other_images_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def load(path: Path, **_: object) -> LinearBundle:
        bundle = LinearBundle(np.eye(3))
        bundle.image = ImageSpec(size=4 if path.name == "c" else 2, channels=1, low=0, high=1)
        return bundle

    monkeypatch.setattr(select, "load_bundle", load)
    with pytest.raises(UsageError, match=r"c has other images than .*a: size"):
        select_bundles([tmp_path / name for name in "abc"])
