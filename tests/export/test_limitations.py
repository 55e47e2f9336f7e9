"""The limitations of a bundle, from its metadata and from an evaluation."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
from evaluation_stubs import BarBundle, real_bars

from infogan_tool.export.evaluation.classifier import ClassifierSettings
from infogan_tool.export.evaluation.measure import measure_bundle
from infogan_tool.export.limitations import describe_limitations
from infogan_tool.runtime.bundle.metadata import OodSpec, read_metadata
from infogan_tool.runtime.preprocessing.spec import Preprocessing

if TYPE_CHECKING:
    from infogan_tool.export.evaluation.results import Results

TINY: Final = Path(__file__).parent.parent / "fixtures" / "tiny"
QUICK: Final = ClassifierSettings(steps=20, batch_size=50)


@pytest.fixture(scope="module")
def results() -> Results:
    """Results with the id of the bundle TINY."""
    measured = measure_bundle(BarBundle("useless"), real_bars(), samples=200, classifier=QUICK)
    return replace(measured, bundle_id=read_metadata(TINY).bundle_id)


def test_limitations_from_metadata() -> None:
    metadata = read_metadata(TINY)
    text = " ".join(describe_limitations(metadata))
    assert "with the layout of mnist" in text
    assert "are not flagged" in text
    assert "describes c1, c2 and c3." in text
    assert "fp32" not in text

    preprocessing = Preprocessing(box=20, centre="mass", ink="light", stroke=2.0)
    known = OodSpec(threshold=0.5, metrics={"false_flags_test": 0.0312})
    other = replace(
        metadata,
        image=replace(metadata.image, preprocessing=preprocessing),
        ood=known,
        style_names={"c1": "slant", "c2": None, "c3": "width"},
        precision="int8",
        card={"accuracy": {}, "limitations": ["older"]},
    )
    text = " ".join(describe_limitations(other))
    assert "one foreground object per image" in text
    assert "and so are 3.1 % of the test images" in text
    assert "describes c2." in text
    assert "Computes in int8" in text
    assert "older" not in text


@pytest.mark.parametrize("data", [None, [], {"name": ["x"]}, {"name": 1}])
def test_limitations_from_untrusted_metadata(data: object) -> None:
    metadata = replace(
        read_metadata(TINY),
        training={"data": data},
        ood=OodSpec(threshold=0.5, metrics={"false_flags_test": "many"}),
    )
    text = " ".join(describe_limitations(metadata))
    assert "layout of the training images" in text
    assert "many" not in text


def test_limitations_from_results(results: Results) -> None:
    rows = results.encoder["k1"].clustering
    assert rows is not None
    assert results.generator is not None
    label, share = max(((r.label, 1 - (r.recall or 0)) for r in rows.categories), key=lambda pair: pair[1])
    text = " ".join(describe_limitations(read_metadata(TINY), results))
    assert f"k1 is least accurate for {label}: {100 * share:.1f} % of its test images" in text
    assert f"coverage {results.generator.distances.coverage:.2f}, real-vs-real baseline" in text
    perfect = measure_bundle(BarBundle("perfect"), real_bars(), samples=200, classifier=QUICK)
    assert "least accurate" not in " ".join(describe_limitations(read_metadata(TINY), perfect))
