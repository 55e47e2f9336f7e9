"""The preprocessing that a bundle's metadata declares."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Final, Literal, cast, get_args

from infogan_tool.runtime.storage.json_fields import Fields

PLAIN: Final = "plain"
CENTRED_FOREGROUND: Final = "centred_foreground"

Centre = Literal["mass", "box"]
Ink = Literal["light", "dark"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Preprocessing:
    """How a photograph, scan or drawing of one object becomes an image like those of the training set.

    In the metadata it is the table ``image.preprocessing`` of kind ``"centred_foreground"``. Without the
    table, images are only padded and resized.
    """

    box: int
    """Longer side of the foreground object in pixels; the rest of the image is an empty border."""
    centre: Centre
    """What lies at the image's centre: the object's centre of ``"mass"``, or the centre of its ``"box"``."""
    ink: Ink
    """Whether the object is ``"light"`` on a black background, or ``"dark"`` on white."""
    stroke: float
    """Least stroke width in pixels, to which thinner strokes are thickened; 0 leaves them."""

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready values."""
        return {"kind": CENTRED_FOREGROUND, **asdict(self)}

    @classmethod
    def from_dict(cls, data: object, size: int) -> Preprocessing | None:
        """Read the output of :meth:`to_dict`; None for kind ``"plain"``.

        Raises:
            BundleError: A value is missing or not valid for images of ``size``.
        """
        fields = Fields(data, "image.preprocessing")
        if fields.choice("kind", (PLAIN, CENTRED_FOREGROUND)) == PLAIN:
            return None
        box = fields.integer("box", 1, size)
        return cls(
            box=box,
            centre=cast("Centre", fields.choice("centre", get_args(Centre))),
            ink=cast("Ink", fields.choice("ink", get_args(Ink))),
            stroke=fields.number("stroke", 0, box / 2),
        )
