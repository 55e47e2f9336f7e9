"""Names written into a bundle: what changes, what stays, and what they mean to encode and generate."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import numpy as np
import pytest

from infogan_tool.export.atomic_folder import only_writer_of
from infogan_tool.export.save_names import save_names
from infogan_tool.runtime import load_bundle, read_metadata
from infogan_tool.runtime.bundle.bundle import PRETRAINED_BUNDLE
from infogan_tool.runtime.bundle.metadata import METADATA_FILE
from infogan_tool.runtime.bundle.names import Names
from infogan_tool.runtime.errors import BundleError, InUseError, UsageError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def bundle(tiny: Path, tmp_path: Path) -> Path:
    return shutil.copytree(tiny, tmp_path / "bundle")


def test_only_names_and_card_change(bundle: Path) -> None:
    before, files = read_metadata(bundle), {path.name: path.read_bytes() for path in bundle.iterdir()}
    written = save_names(bundle, Names({"k1": {0: "cat"}}, {"c2": "size"}), bundle_id=before.bundle_id)
    after = read_metadata(bundle)
    assert after == written
    assert after.labels == before.labels | {"k1": ("cat", None, None, None)}
    assert after.style_names == before.style_names | {"c2": "size"}
    assert after.card["named_by_hand"] == ["k1", "c2"]
    assert (
        "Names of k1, c2 were given by hand after training, which uses no labels."
        in after.card["limitations"]
    )
    changed = {"labels", "style_names", "card"}
    assert {k: v for k, v in after.to_dict().items() if k not in changed} == {
        k: v for k, v in before.to_dict().items() if k not in changed
    }
    assert {path.name for path in bundle.iterdir()} == files.keys()
    for name in files.keys() - {METADATA_FILE}:
        assert (bundle / name).read_bytes() == files[name]


def test_names_of_codes_that_do_not_change_are_not_by_hand(bundle: Path) -> None:
    assert save_names(bundle, Names({"k1": {0: None}}, {"c1": None})).card["named_by_hand"] == []


def test_refused_before_anything_is_written(bundle: Path, tmp_path: Path) -> None:
    before = (bundle / METADATA_FILE).read_bytes()
    names = Names({"k1": {0: "cat"}})
    with pytest.raises(BundleError, match="was replaced while it was named"):
        save_names(bundle, names, bundle_id="0" * 32)
    with only_writer_of(bundle), pytest.raises(InUseError):
        save_names(bundle, names)
    with pytest.raises(UsageError, match="not the folder of a bundle"):
        save_names(tmp_path, names)
    with pytest.raises(UsageError, match="copy it, and name the copy"):
        save_names(PRETRAINED_BUNDLE, names)
    assert (bundle / METADATA_FILE).read_bytes() == before


def test_categories_with_one_name_are_merged(bundle: Path) -> None:
    plain = load_bundle(bundle, device="cpu")
    images = plain.generate(plain.sample(200, seed=3))
    raw = plain.encode(images)
    save_names(bundle, Names({"k1": {0: "round", 2: "round", 1: "flat"}}))
    named = load_bundle(bundle, device="cpu")
    posterior = named.encode(images)
    table = raw.probabilities[0]
    np.testing.assert_array_equal(posterior.probabilities[0], table)
    summed = np.stack([table[:, 0] + table[:, 2], table[:, 1], table[:, 3]], axis=1)
    labels = [("round", "flat", None)[index] for index in summed.argmax(axis=1)]
    assert named.labels(posterior, "k1") == labels
    assert "round" in labels
    np.testing.assert_allclose(posterior.confidence[:, 0], summed.max(axis=1), atol=1e-6)
    is_round = np.array([label == "round" for label in labels])
    better = np.where(table[:, 0] >= table[:, 2], 0, 2)
    np.testing.assert_array_equal(posterior.categories[is_round, 0], better[is_round])
    np.testing.assert_array_equal(posterior.low_confidence, (posterior.confidence < 0.8).any(axis=1))
    np.testing.assert_array_equal(posterior.categories[:, 1], raw.categories[:, 1])
