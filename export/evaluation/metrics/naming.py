"""When a continuous code may be called by an attribute's name.

The rule: the code is named after the attribute that it moves most on generated traversals if

1. its correlation on the traversals is at least 0.7 in size: it explains half of the variance,
2. on real images the encoder's mean has at least 0.5 with it, of the same sign, and
3. on the traversals no other *independent* attribute comes within 0.1 of it.

Slant, stroke width, width, height and the two positions are independent: on MNIST's test digits, within a
digit, no two of them correlate by more than 0.25. Aspect, area and intensity follow from them (area has 0.86
with stroke width and 0.51 with width), so they are no rivals: they give a name only where no independent
attribute does, and by the same rule.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["LEAST_GENERATED", "LEAST_REAL", "MARGIN", "NAMES", "name_code"]

LEAST_GENERATED: Final = 0.7
LEAST_REAL: Final = 0.5
MARGIN: Final = 0.1

INDEPENDENT: Final = ("slant", "stroke_width", "width", "height", "centre_x", "centre_y")
DERIVED: Final = ("aspect", "area", "intensity")

NAMES: Final = {
    "slant": "slant",
    "stroke_width": "stroke width",
    "width": "width",
    "height": "height",
    "centre_x": "horizontal position",
    "centre_y": "vertical position",
    "aspect": "aspect",
    "area": "ink area",
    "intensity": "brightness",
}
"""What people call each attribute."""


def name_code(drawn: Mapping[str, float], real: Mapping[str, float]) -> str | None:
    """Return the attribute that dominates a code, by the module's rule, or None.

    Args:
        drawn: Correlation of the code with each attribute on generated traversals.
        real: Correlation of the encoder's mean with each attribute on real images.

    Returns:
        A key of :data:`NAMES`.
    """
    return _dominant(INDEPENDENT, drawn, real) or _dominant(DERIVED, drawn, real)


def _dominant(candidates: Sequence[str], drawn: Mapping[str, float], real: Mapping[str, float]) -> str | None:
    best = max(candidates, key=lambda name: abs(drawn[name]))
    rival = max((abs(drawn[name]) for name in INDEPENDENT if name != best), default=0.0)
    strong = abs(drawn[best]) >= LEAST_GENERATED
    confirmed = drawn[best] * real[best] > 0 and abs(real[best]) >= LEAST_REAL
    return best if strong and confirmed and abs(drawn[best]) - rival >= MARGIN else None
