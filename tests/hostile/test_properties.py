"""Properties of latent specs, sampling, metadata and images, tested on random ones."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from infogan_tool.runtime.bundle.metadata import (
    GRAPH_FILES,
    BundleMetadata,
    GraphFile,
    OodSpec,
    encoder_outputs,
    generator_inputs,
    read_metadata,
)
from infogan_tool.runtime.errors import BundleError, LatentError
from infogan_tool.runtime.images.arrays import to_float, to_uint8
from infogan_tool.runtime.images.files import read_image
from infogan_tool.runtime.images.spec import ImageSpec
from infogan_tool.runtime.latents.sampling import sample, traversal
from infogan_tool.runtime.latents.spec import LatentSpec
from infogan_tool.runtime.preprocessing.spec import Preprocessing

EXAMPLES = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)


@st.composite
def specs(draw: st.DrawFn) -> LatentSpec:
    categorical = tuple(draw(st.lists(st.integers(2, 12), max_size=4)))
    least = 0 if categorical else 1
    return LatentSpec(
        noise=draw(st.integers(0, 20)),
        noise_prior=draw(st.sampled_from(["uniform", "normal"])),
        categorical=categorical,
        continuous=draw(st.integers(least, 5)),
    )


# --- latent spec -------------------------------------------------------------------------------------------


@EXAMPLES
@given(specs())
def test_a_latent_is_its_parts_in_order(spec: LatentSpec) -> None:
    places = [spec.noise_slice, *spec.categorical_slices, spec.continuous_slice]
    covered = [index for place in places for index in range(place.start, place.stop)]
    assert covered == list(range(spec.dim))
    logits = [index for place in spec.logit_slices for index in range(place.start, place.stop)]
    assert logits == list(range(spec.num_logits))
    assert spec.code_names == (*spec.categorical_names, *spec.continuous_names)
    assert len(set(spec.code_names)) == len(spec.categorical) + spec.continuous
    for index, name in enumerate(spec.categorical_names):
        assert spec.categorical_index(name) == index
        assert spec.entropies[name] == pytest.approx(math.log(spec.categorical[index]))
    for index, name in enumerate(spec.continuous_names):
        assert spec.continuous_index(name) == index
    assert sum(width for (width,) in generator_inputs(spec).values()) == (
        spec.noise + len(spec.categorical) + spec.continuous
    )
    assert encoder_outputs(spec).get("probabilities", (0,)) == (spec.num_logits,)


@EXAMPLES
@given(specs())
def test_a_spec_is_read_as_it_was_written(spec: LatentSpec) -> None:
    assert LatentSpec.from_dict(json.loads(json.dumps(spec.to_dict()))) == spec


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)


@EXAMPLES
@given(specs(), st.sampled_from(["noise", "noise_prior", "categorical", "continuous", "else"]), anything)
def test_any_other_spec_is_refused_in_one_way(spec: LatentSpec, key: str, value: Any) -> None:  # noqa: ANN401
    data = spec.to_dict() | {key: value}
    try:
        found = LatentSpec.from_dict(data)
    except LatentError:
        return
    assert found.to_dict() == data
    assert 1 <= found.dim <= 65_536


# --- sampling ----------------------------------------------------------------------------------------------


@EXAMPLES
@given(specs(), st.integers(0, 2**64 - 1), st.integers(0, 10**9), st.integers(0, 6), st.integers(0, 6))
def test_an_image_does_not_depend_on_the_others(
    spec: LatentSpec, seed: int, start: int, before: int, count: int
) -> None:
    many = sample(spec, before + count, seed, start=start)
    few = sample(spec, count, seed, start=start + before)
    for name in ("noise", "categories", "styles"):
        np.testing.assert_array_equal(getattr(many, name)[before:], getattr(few, name))
    few.check(spec)
    assert (np.abs(few.styles) <= 1).all()
    if spec.noise_prior == "uniform":
        assert (np.abs(few.noise) <= 1).all()
    for column, size in enumerate(spec.categorical):
        assert ((few.categories[:, column] >= 0) & (few.categories[:, column] < size)).all()


@EXAMPLES
@given(specs(), st.integers(0, 2**32), st.data())
def test_fixing_a_code_changes_no_other(spec: LatentSpec, seed: int, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(spec.code_names))
    free = sample(spec, 5, seed)
    if name in spec.categorical_names:
        column = spec.categorical_index(name)
        value: float = data.draw(st.integers(0, spec.categorical[column] - 1))
        fixed = sample(spec, 5, seed, categories={name: int(value)})
        changed, kept = (fixed.categories, free.categories), (fixed.styles, free.styles)
    else:
        column = spec.continuous_index(name)
        value = data.draw(st.floats(-10, 10, width=32))
        fixed = sample(spec, 5, seed, styles={name: value})
        changed, kept = (fixed.styles, free.styles), (fixed.categories, free.categories)
    assert (changed[0][:, column] == np.float32(value)).all()
    np.testing.assert_array_equal(np.delete(changed[0], column, 1), np.delete(changed[1], column, 1))
    np.testing.assert_array_equal(*kept)
    np.testing.assert_array_equal(fixed.noise, free.noise)


@EXAMPLES
@given(specs(), st.integers(0, 2**32), st.integers(1, 7), st.integers(1, 5), st.data())
def test_a_sheet_varies_one_code(
    spec: LatentSpec, seed: int, steps: int, rows: int, data: st.DataObject
) -> None:
    code = data.draw(st.sampled_from(spec.code_names))
    plan = traversal(spec, code, seed=seed, steps=steps, rows=rows)
    plan.latents.check(spec)
    assert len(plan.latents) == plan.rows * plan.columns
    styles = plan.latents.styles.reshape(plan.rows, plan.columns, -1)
    categories = plan.latents.categories.reshape(plan.rows, plan.columns, -1)
    noise = plan.latents.noise.reshape(plan.rows, plan.columns, -1)
    assert (noise == noise[:, :1]).all()  # one noise in a row
    varied = styles if code in spec.continuous_names else categories
    index = spec.continuous_index(code) if code in spec.continuous_names else spec.categorical_index(code)
    np.testing.assert_allclose(varied[..., index], np.broadcast_to(plan.values, varied.shape[:2]), rtol=1e-6)
    others = np.delete(varied, index, 2)
    assert (others == others[:, :1]).all()


# --- metadata ----------------------------------------------------------------------------------------------

word = st.text(st.characters(categories=["L", "N", "P"]), min_size=1, max_size=12).filter(str.isprintable)
tables = st.dictionaries(word, st.integers(-(10**9), 10**9) | st.floats(-1e6, 1e6) | word, max_size=3)


@st.composite
def metadatas(draw: st.DrawFn) -> BundleMetadata:
    latent = draw(specs())
    size, channels = draw(st.integers(1, 4096)), draw(st.sampled_from([1, 3]))
    low = draw(st.floats(-1000, 1000, width=32))
    box = draw(st.integers(1, size))
    preprocessing = Preprocessing(
        box=box,
        centre=draw(st.sampled_from(["mass", "box"])),
        ink=draw(st.sampled_from(["light", "dark"])),
        stroke=draw(st.floats(0, box / 2)),
    )
    precision = draw(st.sampled_from(["fp32", "fp16", "int8"]))
    return BundleMetadata(
        schema_version=2,
        bundle_id=draw(word),
        tool_version=draw(word),
        latent=latent,
        image=ImageSpec(
            size=size,
            channels=channels,
            low=low,
            high=low + draw(st.floats(0.1, 1000)),
            preprocessing=preprocessing if channels == 1 and draw(st.booleans()) else None,
        ),
        opset=draw(st.integers(1, 10_000)),
        graphs={
            name: GraphFile(sha256=draw(word), bytes=draw(st.integers(1, 2**31))) for name in GRAPH_FILES
        },
        versions=draw(st.dictionaries(word, word, max_size=3)),
        training=draw(tables),
        labels={
            code: tuple(draw(st.lists(st.none() | word, min_size=k, max_size=k)))
            for code, k in zip(latent.categorical_names, latent.categorical, strict=True)
            if draw(st.booleans())
        },
        style_names={code: draw(st.none() | word) for code in latent.continuous_names},
        parity=draw(tables),
        card=draw(tables),
        ood=draw(st.none() | st.builds(OodSpec, threshold=st.floats(-1e6, 1e6), metrics=tables)),
        precision=precision,
        drift=draw(tables) if precision != "fp32" else {},
    )


@EXAMPLES
@given(metadata=metadatas())
def test_metadata_are_read_as_they_were_written(
    metadata: BundleMetadata, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("bundle", numbered=True)
    (folder / "metadata.json").write_text(json.dumps(metadata.to_dict()), "utf-8")
    assert read_metadata(folder) == metadata
    assert read_metadata(folder).to_dict() == metadata.to_dict()


@EXAMPLES
@given(metadatas(), st.data(), anything)
def test_metadata_with_something_else_in_them_are_read_or_refused(
    metadata: BundleMetadata,
    data: st.DataObject,
    value: Any,  # noqa: ANN401
) -> None:
    data_of_metadata = json.loads(json.dumps(metadata.to_dict()))
    table = data_of_metadata
    while True:  # somewhere in it, at any depth
        key = data.draw(st.sampled_from(sorted(table)))
        if not isinstance(table[key], dict) or not table[key] or data.draw(st.booleans()):
            break
        table = table[key]
    if data.draw(st.booleans()):
        table[key] = value
    else:
        del table[key]
    try:
        found = BundleMetadata.from_dict(data_of_metadata)
    except BundleError:
        return
    json.dumps(found.to_dict())


# --- images ----------------------------------------------------------------------------------------------


@EXAMPLES
@given(st.integers(1, 12), st.sampled_from([1, 3]), st.floats(-5, 5, width=16), st.floats(0.5, 300, width=16))
def test_uint8_survives_the_conversion_to_floats_and_back(
    size: int, channels: int, low: float, width: float
) -> None:
    spec = ImageSpec(size=size, channels=channels, low=low, high=low + width)
    values = np.random.default_rng(size).integers(0, 256, (3, size, size, channels), np.uint8)
    np.testing.assert_array_equal(to_uint8(to_float(values, spec), spec), values)


@EXAMPLES
@given(st.integers(1, 60), st.integers(1, 60), st.integers(4, 40), st.binary(min_size=1, max_size=64))
def test_any_image_is_brought_to_size(width: int, height: int, size: int, values: bytes) -> None:
    content = f"P5 {width} {height} 255\n".encode() + (values * (width * height))[: width * height]
    centred = Preprocessing(box=max(1, size * 2 // 3), centre="mass", ink="light", stroke=1.5)
    for preprocessing in (None, centred):
        spec = ImageSpec(size=size, channels=1, low=0, high=1, preprocessing=preprocessing)
        found = read_image(content, spec)
        assert (found.dtype, found.shape) == (np.uint8, (size, size, 1))
        # What has been preprocessed is preprocessed.
        again = f"P5 {size} {size} 255\n".encode() + found.tobytes()
        if preprocessing is None:
            np.testing.assert_array_equal(read_image(again, spec), found)
