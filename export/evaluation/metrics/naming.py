"""The rule by which a continuous code is named after an attribute.

The code is named after the attribute with which it correlates most on generated traversals if

1. its correlation on the traversals is at least 0.7 in absolute value: it explains half of the variance,
2. on real images the encoder's mean correlates with it by at least 0.5, with the same sign, and
3. on the traversals no other *independent* attribute comes within 0.1.

Slant, stroke width, width, height and the two positions are independent: on MNIST's test digits, within a
digit, no two of them correlate by more than 0.25. Aspect, area and intensity follow from them (area has 0.86
with stroke width and 0.51 with width), so they are not competitors: they name a code only where no
independent attribute does, by the same rule.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MIN_GENERATED: Final = 0.7
MIN_REAL: Final = 0.5
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
"""Display name of each attribute."""


def name_code(generated: Mapping[str, float], real: Mapping[str, float]) -> str | None:
    """Return the attribute that dominates a code, by the rule above, or None.

    Args:
        generated: Correlation of the code with each attribute on generated traversals.
        real: Correlation of the encoder's mean with each attribute on real images.

    Returns:
        A key of :data:`NAMES`.
    """
    return _dominant(INDEPENDENT, generated, real) or _dominant(DERIVED, generated, real)


def _dominant(
    candidates: Sequence[str], generated: Mapping[str, float], real: Mapping[str, float]
) -> str | None:
    best = max(candidates, key=lambda name: abs(generated[name]))
    second = max((abs(generated[name]) for name in INDEPENDENT if name != best), default=0.0)
    strong = abs(generated[best]) >= MIN_GENERATED
    confirmed = generated[best] * real[best] > 0 and abs(real[best]) >= MIN_REAL
    return best if strong and confirmed and abs(generated[best]) - second >= MARGIN else None
