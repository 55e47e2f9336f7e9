"""Names for continuous codes: correlation within groups, traversals, the rule, and all of it on bars."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, get_args

import numpy as np
import pytest
from evaluation_stubs import BarBundle, bar_images

from infogan_tool.export.evaluation.metrics.attributes import ATTRIBUTES, measure_attributes
from infogan_tool.export.evaluation.metrics.correlation import pearson, spearman, within_groups
from infogan_tool.export.evaluation.metrics.naming import (
    DERIVED,
    INDEPENDENT,
    NAMES,
    TRANSFORMATION_NAMES,
    name_by_training,
    name_code,
)
from infogan_tool.export.evaluation.real_images import to_nhwc
from infogan_tool.export.evaluation.styles import measure_styles
from infogan_tool.export.evaluation.traversals import MAX_COMBINATIONS, traverse_code
from infogan_tool.runtime.errors import LatentError
from infogan_tool.runtime.latents.sampling import Latents
from infogan_tool.runtime.latents.spec import LatentSpec
from infogan_tool.train.config.objective import Transformation

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from infogan_tool.runtime.bundle.reading import Posterior

RNG = np.random.default_rng(0)
X = RNG.standard_normal(600)
GROUPS = np.arange(600) % 3


# --- correlation -------------------------------------------------------------------------------------------


def test_correlation_of_the_same_the_unrelated_and_the_constant() -> None:
    assert pearson(X, 3 * X + 2) == pytest.approx(1)
    assert pearson(X, -X) == pytest.approx(-1)
    assert abs(pearson(X, RNG.standard_normal(600))) < 0.1
    assert pearson(X, np.full(600, 0.1)) == 0
    assert pearson(X[:1], X[:1]) == 0
    assert spearman(X, np.exp(5 * X)) == pytest.approx(1)
    assert pearson(X, np.exp(5 * X)) < 0.5


def test_what_differs_between_groups_does_not_count() -> None:
    between = GROUPS * 10.0
    assert within_groups(X + between, X, GROUPS) == pytest.approx(1)
    noise = RNG.standard_normal(600)
    assert abs(within_groups(X + between, noise + between, GROUPS)) < 0.1
    assert pearson(X + between, noise + between) > 0.9


def test_groups_weigh_by_their_images_and_small_ones_are_left_out() -> None:
    groups = np.repeat([0, 1, 2], [300, 291, 9])
    y = np.where(groups == 1, -X, X)
    assert within_groups(X, y, groups) == pytest.approx((300 - 291) / 591)
    assert within_groups(X[:9], X[:9], np.zeros(9, int)) is None


def test_what_is_not_a_number_is_left_out() -> None:
    y = X.copy()
    y[::2] = np.nan
    assert within_groups(X, y, GROUPS) == pytest.approx(1)
    assert within_groups(X, np.full(600, np.nan), GROUPS) is None


# --- traversals --------------------------------------------------------------------------------------------


def test_traversal_varies_one_code_and_fixes_the_rest() -> None:
    spec = LatentSpec(noise=3, noise_prior="normal", categorical=(2, 3), continuous=2)
    found = traverse_code(spec, "c2", seed=4, repeats=5, steps=7)
    assert len(found.latents) == 6 * 5 * 7
    found.latents.check(spec)
    rows = found.latents.styles.reshape(30, 7, 2)
    np.testing.assert_allclose(rows[:, :, 1], np.broadcast_to(np.linspace(-1, 1, 7), (30, 7)), atol=1e-7)
    np.testing.assert_allclose(found.values, found.latents.styles[:, 1], atol=1e-7)
    assert (rows[:, :, 0] == rows[:, :1, 0]).all()
    assert len(np.unique(rows[:, 0, 0])) == 30, "sampled for each traversal"
    noise = found.latents.noise.reshape(30, 7, 3)
    assert (noise == noise[:, :1]).all()
    assert len(np.unique(noise[:, 0, 0])) == 30
    assert np.unique(found.groups, return_counts=True)[1].tolist() == [35] * 6
    assert (found.latents.categories @ (3, 1) == found.groups).all()


def test_traversal_without_categories_and_with_too_many() -> None:
    plain = LatentSpec(noise=0, noise_prior="uniform", categorical=(), continuous=2)
    assert traverse_code(plain, "c1", seed=0, repeats=4, steps=5).groups.tolist() == [0] * 20
    many = LatentSpec(noise=1, noise_prior="uniform", categorical=(50, 40), continuous=1)
    found = traverse_code(many, "c1", seed=0, repeats=1, steps=2)
    assert len(np.unique(found.groups)) == MAX_COMBINATIONS
    assert (found.latents.categories @ (40, 1) == found.groups).all()
    with pytest.raises(LatentError, match="c3"):
        traverse_code(plain, "c3", seed=0, repeats=1, steps=2)


# --- the rule ----------------------------------------------------------------------------------------------


def table(**given: float) -> dict[str, float]:
    return dict.fromkeys(ATTRIBUTES, 0.0) | given


def test_every_attribute_has_a_name() -> None:
    assert set(INDEPENDENT) | set(DERIVED) == set(ATTRIBUTES) == set(NAMES)


def test_dominant_and_confirmed_gets_the_name() -> None:
    assert name_code(table(slant=-0.97, width=0.3), table(slant=-0.8)) == "slant"


@pytest.mark.parametrize(
    ("found", "real"),
    [
        ({"slant": 0.69}, {"slant": 0.9}),  # too weak on traversals
        ({"slant": 0.95}, {"slant": 0.49}),  # too weak on real images
        ({"slant": 0.95}, {"slant": -0.9}),  # the other way round there
        ({"slant": 0.95, "width": -0.86}, {"slant": 0.9}),  # not alone
        ({}, {}),
    ],
)
def test_no_name(found: dict[str, float], real: dict[str, float]) -> None:
    assert name_code(table(**found), table(**real)) is None


def test_derived_attributes_do_not_compete_with_independent_ones() -> None:
    found = table(stroke_width=0.93, area=0.97, intensity=0.98, width=0.5)
    assert name_code(found, table(stroke_width=0.7, area=0.8, intensity=0.8)) == "stroke_width"


def test_derived_attribute_names_a_code_where_no_independent_one_dominates() -> None:
    found = table(width=0.7, height=0.75, stroke_width=0.6, area=0.95, intensity=0.94)
    assert name_code(found, table(area=0.8, intensity=0.8)) == "area"


# --- all of it ---------------------------------------------------------------------------------------------


def test_perfect_bundle_is_named() -> None:
    found = measure_styles(BarBundle("perfect"), to_nhwc(bar_images(400, 3)), repeats=10, steps=9)
    assert found.names == {"c1": "slant", "c2": "stroke width", "c3": None}
    assert found.generated_images == 2 * 10 * 9
    assert found.real_images == 400
    slant = found.codes["c1"].attributes["slant"]
    assert slant.generated_pearson > 0.99
    assert slant.generated_spearman > 0.99
    assert slant.real_pearson > 0.99
    assert slant.real_spearman > 0.99
    assert found.codes["c1"].attribute == "slant"
    assert abs(found.codes["c3"].attributes["slant"].generated_pearson) < 0.2
    values = found.codes["c1"].real
    assert values.mean == pytest.approx(0, abs=0.1)
    assert values.std == pytest.approx(3**-0.5, abs=0.05), "that of the prior"
    assert values.outside_prior < 0.1
    idle = found.codes["c3"].real
    assert (idle.mean, idle.std, idle.outside_prior) == (0, 0, 0)
    card = found.to_card()
    assert card["correlation"]["c1"]["slant"] == [
        round(slant.generated_pearson, 3),
        round(slant.real_pearson, 3),
    ]
    assert (card["generated_images"], card["real_images"]) == (180, 400)


class ReversedBundle(BarBundle):
    """Many categories, in one of which c2 makes strokes thinner."""

    def __init__(self, categories: int) -> None:
        super().__init__("perfect")
        self.latent = replace(BarBundle.latent, categorical=(categories,))

    def generate(self, latents: Latents) -> NDArray[np.float32]:
        styles = latents.styles.copy()
        styles[latents.categories[:, 0] == 9, 1] *= -1
        return super().generate(Latents(latents.noise, latents.categories % 2, styles))


@pytest.mark.parametrize("categories", [10, MAX_COMBINATIONS + 6])
def test_a_style_that_runs_the_other_way_in_a_category_is_told(categories: int) -> None:
    found = measure_styles(ReversedBundle(categories), to_nhwc(bar_images(400, 3)), repeats=4, steps=9)
    assert found.names["c2"] == "stroke width"
    mean = 1 - 2 / min(categories, MAX_COMBINATIONS)
    assert found.codes["c2"].attributes["stroke_width"].generated_pearson == pytest.approx(mean, abs=0.05)
    assert {code: style.reversed_in for code, style in found.codes.items()} == {
        "c1": (),
        "c2": (9,),
        "c3": (),
    }
    assert found.to_card()["reversed"] == {"c2": [9]}


class ManyCodesBundle(BarBundle):
    """Four categorical codes, of which the last three are read at random; c3 is the last one."""

    latent = replace(BarBundle.latent, categorical=(2, 10, 10, 10))

    def encode(self, images: NDArray[np.uint8]) -> Posterior:
        posterior = super().encode(images)
        others = np.random.default_rng(0).integers(0, 10, (3, len(images)))
        tables = tuple(np.eye(10, dtype=np.float32)[other] for other in others)
        mean = posterior.style_mean.copy()
        mean[:, 2] = others[2]
        return replace(posterior, probabilities=(*posterior.probabilities, *tables), style_mean=mean)


def test_real_images_are_compared_whatever_the_number_of_categorical_codes() -> None:
    images = bar_images(400, 3)
    found = measure_styles(ManyCodesBundle("perfect"), to_nhwc(images), repeats=3, steps=5)
    assert found.names == {"c1": "slant", "c2": "stroke width", "c3": None}
    assert found.codes["c1"].attributes["slant"].real_pearson > 0.99
    repeats_a_category = found.codes["c3"].attributes.values()
    assert {row.real_pearson for row in repeats_a_category} == {0}


@pytest.mark.parametrize("kind", ["useless", "degenerate"])
def test_other_bundles_have_no_names(kind: str) -> None:
    found = measure_styles(BarBundle(kind), to_nhwc(bar_images(100, 3)), repeats=4, steps=5)
    assert set(found.names.values()) == {None}
    if kind == "degenerate":
        for name, row in found.codes["c1"].attributes.items():
            # Area and intensity of an empty image are 0, which correlates with nothing; the others are NaN.
            generated = 0 if name in ("area", "intensity") else None
            assert (row.generated_pearson, row.generated_spearman) == (generated, generated), name
            assert (row.real_pearson, row.real_spearman) == (0, 0), name


def test_too_few_real_images_give_no_correlation() -> None:
    found = measure_styles(BarBundle("perfect"), to_nhwc(bar_images(8, 3)), repeats=4, steps=5)
    assert found.codes["c1"].attributes["slant"].real_pearson is None
    assert found.names["c1"] is None


def test_every_transformation_has_a_name() -> None:
    assert set(TRANSFORMATION_NAMES) == set(get_args(Transformation))


def test_a_code_is_named_after_what_it_was_trained_for_if_it_is_recovered() -> None:
    recovered = {"c1": 0.95, "c2": 0.69, "c3": 0.7, "c4": 1.0}
    names = name_by_training(["shift_x", "scale", "turn"], recovered)
    assert names == {"c1": "horizontal position", "c3": "angle"}
    assert name_by_training([], recovered) == {}


def test_without_real_images_nothing_is_named() -> None:
    found = measure_styles(BarBundle("perfect"), None, repeats=4, steps=5)
    assert [row.real for row in found.codes.values()] == [None, None, None]
    assert set(found.names.values()) == {None}
    assert found.codes["c1"].attributes["slant"].real_pearson is None
    assert found.to_card()["correlation"]["c1"]["slant"][1] is None


def test_random_subset_of_many_real_images_depends_on_the_seed() -> None:
    images = to_nhwc(bar_images(100, 3))
    one, again, other = (
        measure_styles(BarBundle("perfect"), images, seed=seed, repeats=2, steps=3, max_real=40)
        for seed in (1, 1, 2)
    )
    assert one.real_images == 40
    assert one == again
    assert (
        one.codes["c1"].attributes["width"].real_pearson != other.codes["c1"].attributes["width"].real_pearson
    )


def test_values_outside_of_the_prior_on_real_images() -> None:
    every = to_nhwc(bar_images(200, 3))
    leaning = every[measure_attributes(every)["slant"] > 0]
    found = measure_styles(BarBundle("perfect"), leaning, repeats=4, steps=5).codes["c1"].real
    assert found.mean == pytest.approx(0.5, abs=0.1)
    assert found.std == pytest.approx(0.5 * 3**-0.5, abs=0.05)
