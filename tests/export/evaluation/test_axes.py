"""Effects and angles of the continuous codes of a bundle, and how they are described."""

from __future__ import annotations

from infogan_tool.export.evaluation.axes import AxesTable, PairAxes, measure_axes
from infogan_tool.export.evaluation.metrics.code_usage import CodeUsage
from infogan_tool.export.limitations import describe_axes
from infogan_tool.runtime.bundle.bundle import load_bundle


def test_pretrained_bundle() -> None:
    axes = measure_axes(load_bundle(), seed=1)
    assert list(axes.effects) == ["c1", "c2"]
    assert max(axes.effects.values()) == 1
    assert (axes.usage.dead, axes.usage.duplicates, axes.usage.suggested) == ((), (), 2)
    assert min(axes.usage.information.values()) > 1
    (pair,) = axes.pairs
    assert pair.codes == ("c1", "c2")
    assert pair.contrast > 1.5
    assert axes.misalignment == abs(pair.angle or 0) < 10
    assert axes.mixed == []
    assert describe_axes(axes) == []


def test_dead_and_mixed_codes_are_described() -> None:
    table = AxesTable(
        latents=10,
        effects={"c1": 1.0, "c2": 0.8, "c3": 0.03},
        pairs=(
            PairAxes(codes=("c1", "c2"), angle=-42.3, contrast=3.0),
            PairAxes(codes=("c1", "c3"), angle=44.0, contrast=3.0),
            PairAxes(codes=("c2", "c3"), angle=None, contrast=1.1),
        ),
        usage=CodeUsage(
            information={"c1": 1.5, "c2": 1.4, "c3": 0.01}, dead=("c3",), duplicates=(), suggested=2
        ),
    )
    assert table.misalignment == 42.3
    assert describe_axes(table) == [
        "c3 is dead: images hardly show it, and the encoder cannot infer it.",
        "c1 and c2 are mixed: the axes of independent effects are rotated by 42 degrees.",
    ]
    assert table.to_card()["pairs"][2] == {"codes": ["c2", "c3"], "angle": None, "contrast": 1.1}
