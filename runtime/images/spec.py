"""The image spec: size, channels and value range of the graphs' images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from infogan_tool.runtime.errors import BundleError
from infogan_tool.runtime.preprocessing.spec import Preprocessing
from infogan_tool.runtime.storage.json_fields import Fields

_MAX_SIZE: Final = 4096


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageSpec:
    """Images of the graphs: float32 NCHW, square, values from ``low`` to ``high``."""

    size: int
    """Height and width in pixels."""
    channels: int
    """1 (grey) or 3 (red, green, blue)."""
    low: float
    """Value of black."""
    high: float
    """Value of full intensity."""
    preprocessing: Preprocessing | None = None
    """Preprocessing of image files; None: images are only padded and resized."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """``(channels, height, width)``."""
        return (self.channels, self.size, self.size)

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready values, with dtype and layout for readers in other languages."""
        preprocessing = {"preprocessing": self.preprocessing.to_dict()} if self.preprocessing else {}
        return {
            "size": self.size,
            "channels": self.channels,
            "low": self.low,
            "high": self.high,
            "dtype": "float32",
            "layout": "NCHW",
            **preprocessing,
        }

    @classmethod
    def from_dict(cls, data: object) -> ImageSpec:
        """Read the output of :meth:`to_dict`.

        Raises:
            BundleError: A value is missing or not valid.
        """
        fields = Fields(data, "image")
        if fields.text("dtype") != "float32" or fields.text("layout") != "NCHW":
            raise BundleError("metadata image: only float32 in NCHW layout is supported")
        size = fields.integer("size", 1, _MAX_SIZE)
        declared = "preprocessing" in fields
        spec = cls(
            size=size,
            channels=fields.integer("channels", 1, 3),
            low=fields.number("low"),
            high=fields.number("high"),
            preprocessing=Preprocessing.from_dict(fields.table("preprocessing"), size) if declared else None,
        )
        if spec.channels not in (1, 3) or not spec.low < spec.high:
            raise BundleError("metadata image: channels must be 1 or 3, and low below high")
        if spec.preprocessing and spec.channels != 1:
            raise BundleError("metadata image: only grey images can have a preprocessing")
        return spec
