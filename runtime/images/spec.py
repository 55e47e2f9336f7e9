"""What images are to the graphs, and how an image from elsewhere is brought there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal, cast, get_args

from infogan_tool.runtime.errors import BundleError
from infogan_tool.runtime.storage.json_fields import Fields

__all__ = ["ImageSpec", "Preprocessing"]

_MAX_SIZE: Final = 4096

Centre = Literal["mass", "box"]
Ink = Literal["light", "dark"]

PLAIN: Final = "plain"
CENTRED_FOREGROUND: Final = "centred_foreground"


@dataclass(frozen=True, kw_only=True, slots=True)
class Preprocessing:
    """How a photograph, scan or drawing of one figure becomes an image like those of the training set.

    :mod:`infogan_tool.runtime.preprocessing.centred_foreground` does it. In the metadata it is the table
    ``image.preprocessing``
    with ``kind`` ``"centred_foreground"``; a bundle without the table only pads and resizes images.
    """

    box: int
    """The figure's longer side in pixels; the rest is an empty border."""
    centre: Centre
    """What lies in the image's middle: the figure's centre of ``"mass"``, or its bounding ``"box"``."""
    ink: Ink
    """Whether the figure is ``"light"`` on the lowest value, or ``"dark"`` on the highest."""
    stroke: float
    """Least width of a stroke in pixels, to which thinner ones are thickened; 0 leaves them."""

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready values."""
        return {
            "kind": CENTRED_FOREGROUND,
            "box": self.box,
            "centre": self.centre,
            "ink": self.ink,
            "stroke": self.stroke,
        }

    @classmethod
    def from_dict(cls, data: object, size: int) -> Preprocessing | None:
        """Read what :meth:`to_dict` wrote; None for kind ``"plain"``.

        Raises:
            BundleError: A value is missing or not possible for images of ``size``.
        """
        fields = Fields(data, "image.preprocessing")
        if fields.choice("kind", (PLAIN, CENTRED_FOREGROUND)) == PLAIN:
            return None
        box = fields.whole("box", 1, size)
        return cls(
            box=box,
            centre=cast("Centre", fields.choice("centre", get_args(Centre))),
            ink=cast("Ink", fields.choice("ink", get_args(Ink))),
            stroke=fields.number("stroke", 0, box / 2),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageSpec:
    """Images as the graphs see them: float32 NCHW, square, values from ``low`` to ``high``."""

    size: int
    """Height and width in pixels."""
    channels: int
    """1 (grey) or 3 (red, green, blue)."""
    low: float
    """Value of black."""
    high: float
    """Value of full intensity."""
    preprocessing: Preprocessing | None = None
    """How images from elsewhere are brought to this; None: padded and resized."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """``(channels, height, width)``."""
        return (self.channels, self.size, self.size)

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready values, with the layout spelled out for readers in other languages."""
        preprocessed = {"preprocessing": self.preprocessing.to_dict()} if self.preprocessing else {}
        return {
            "size": self.size,
            "channels": self.channels,
            "low": self.low,
            "high": self.high,
            "dtype": "float32",
            "layout": "NCHW",
            **preprocessed,
        }

    @classmethod
    def from_dict(cls, data: object) -> ImageSpec:
        """Read what :meth:`to_dict` wrote.

        Raises:
            BundleError: A value is missing or not possible.
        """
        fields = Fields(data, "image")
        if fields.text("dtype") != "float32" or fields.text("layout") != "NCHW":
            raise BundleError("metadata image: only float32 in NCHW layout is known")
        size = fields.whole("size", 1, _MAX_SIZE)
        declared = "preprocessing" in fields
        spec = cls(
            size=size,
            channels=fields.whole("channels", 1, 3),
            low=fields.number("low"),
            high=fields.number("high"),
            preprocessing=Preprocessing.from_dict(fields.table("preprocessing"), size) if declared else None,
        )
        if spec.channels not in (1, 3) or not spec.low < spec.high:
            raise BundleError("metadata image: channels must be 1 or 3, and low below high")
        if spec.preprocessing and spec.channels != 1:
            raise BundleError("metadata image: only grey images can have a preprocessing")
        return spec
