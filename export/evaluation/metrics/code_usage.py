"""Dead and duplicate continuous codes, and how many codes the data has used."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from infogan_tool.export.evaluation.metrics.agreement import (
    InferredCodes,
    association,
    orthonormal_features,
)
from infogan_tool.export.evaluation.metrics.correlation import code_correlation

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from numpy.typing import NDArray

DEAD_NATS: Final = 0.1
"""A code of which the encoder recovers less is dead; a correlation of .43."""
DUPLICATE: Final = 0.8
"""Association (rank correlation) from which the encoder's means of two codes are the same code."""
_LARGEST: Final = 1 - 1e-9


@dataclass(frozen=True, kw_only=True, slots=True)
class CodeUsage:
    """Which continuous codes are used, measured on generated images."""

    information: Mapping[str, float]
    """By code: the mutual information of a code and the encoder's mean in nats, if both were Gaussian."""
    dead: tuple[str, ...]
    """Codes that the encoder does not recover: G does not show them."""
    duplicates: tuple[tuple[str, str], ...]
    """Pairs of codes, neither dead, that the encoder infers alike although they were sampled independently:
    both change the same thing."""
    suggested: int
    """Number of codes without the dead ones and with duplicates counted once. If it is the number of codes,
    there may be room for more."""

    def describe(self, code: str) -> str:
        """Return ``used``, ``dead``, or of which other codes it is a duplicate."""
        others = [b if a == code else a for a, b in self.duplicates if code in (a, b)]
        if others:
            return f"duplicate of {', '.join(others)}"
        return "dead" if code in self.dead else "used"

    def to_dict(self) -> dict[str, Any]:
        """Return values as JSON has them."""
        return {
            "information": {name: round(nats, 3) for name, nats in self.information.items()},
            "dead": list(self.dead),
            "duplicates": [list(pair) for pair in self.duplicates],
            "suggested": self.suggested,
        }


def measure_code_usage(
    names: Sequence[str],
    codes: NDArray[np.floating],
    means: NDArray[np.floating],
    *,
    periodic: Collection[str] = (),
) -> CodeUsage:
    """Find dead and duplicate codes.

    Args:
        names: The continuous codes.
        codes: ``(N, C)``, sampled independently from the prior.
        means: ``(N, C)``, the encoder's mean of each code of the images that were generated with them.
        periodic: The codes whose ends are the same, compared as angles.
    """
    correlations = [
        code_correlation(codes[:, i], means[:, i], periodic=name in periodic) for i, name in enumerate(names)
    ]
    information = {
        name: float(-0.5 * np.log1p(-min(r * r, _LARGEST)))
        for name, r in zip(names, correlations, strict=True)
    }
    dead = tuple(name for name in names if information[name] < DEAD_NATS)
    live = [i for i, name in enumerate(names) if name not in dead]
    inferred = InferredCodes(
        continuous=means,
        categories=np.zeros((len(means), 0), np.int64),
        sizes=(),
        periodic=tuple(i for i, name in enumerate(names) if name in periodic),
    )
    features = orthonormal_features(inferred)
    alike = association(features, features) >= DUPLICATE
    pairs = [(i, j) for i, j in combinations(live, 2) if alike[i, j]]
    return CodeUsage(
        information=information,
        dead=dead,
        duplicates=tuple((names[i], names[j]) for i, j in pairs),
        suggested=len(live) - len({j for _, j in pairs}),
    )
