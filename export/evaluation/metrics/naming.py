"""The rule by which a continuous code is named after an attribute.

The code is named after the attribute with which it correlates most on generated traversals if

1. its correlation on the traversals is at least 0.7 in absolute value: it explains half of the variance,
2. on real images the encoder's mean correlates with it by at least 0.5, with the same sign, and
3. on the traversals no other *independent* attribute comes within 0.1.

Slant, stroke width, width, height and the two positions are independent: on MNIST's test digits, within a
digit, no two of them correlate by more than 0.25. Aspect, area and intensity follow from them (area has 0.86
with stroke width and 0.51 with width), so they are not competitors: they name a code only where no
independent attribute does, by the same rule.

A code that no attribute names, but that was trained to stand for a transformation, is named after that, if
the encoder recovers it from generated images with a correlation of at least 0.7.
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

TRANSFORMATION_NAMES: Final = {
    "shift_x": NAMES["centre_x"],
    "shift_y": NAMES["centre_y"],
    "scale": "size",
    "rotation": "rotation",
    "slant": NAMES["slant"],
    "aspect": NAMES["aspect"],
    "stroke_width": NAMES["stroke_width"],
    "turn": "angle",
}
"""Display name of what a code stands for that was trained with each transformation."""


def name_code(generated: Mapping[str, float], real: Mapping[str, float]) -> str | None:
    """Return the attribute that dominates a code, by the rule above, or None.

    Args:
        generated: Correlation of the code with each attribute on generated traversals.
        real: Correlation of the encoder's mean with each attribute on real images.

    Returns:
        A key of :data:`NAMES`.
    """
    return _dominant(INDEPENDENT, generated, real) or _dominant(DERIVED, generated, real)


def name_by_training(transformations: Sequence[str], recovered: Mapping[str, float]) -> dict[str, str]:
    """Return names of codes that were trained to stand for a transformation, and that the encoder recovers.

    Args:
        transformations: Those of c1, c2 and so on.
        recovered: By code, its correlation with the encoder's mean on generated images.
    """
    named = {f"c{i}": TRANSFORMATION_NAMES[name] for i, name in enumerate(transformations, 1)}
    return {code: name for code, name in named.items() if recovered[code] >= MIN_GENERATED}


def _dominant(
    candidates: Sequence[str], generated: Mapping[str, float], real: Mapping[str, float]
) -> str | None:
    best = max(candidates, key=lambda name: abs(generated[name]))
    second = max((abs(generated[name]) for name in INDEPENDENT if name != best), default=0.0)
    strong = abs(generated[best]) >= MIN_GENERATED
    confirmed = generated[best] * real[best] > 0 and abs(real[best]) >= MIN_REAL
    return best if strong and confirmed and abs(generated[best]) - second >= MARGIN else None
