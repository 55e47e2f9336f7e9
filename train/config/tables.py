"""What the tables of a config have in common, and the table of random augmentation."""

from __future__ import annotations

from typing import Annotated, ClassVar, Final, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

NAME_PATTERN: Final = r"^[A-Za-z_][\w.-]*(:[A-Za-z_]\w*)?$"
"""A registered name, or ``module:attribute``."""


Name = Annotated[str, Field(pattern=NAME_PATTERN, max_length=200)]
"""The name of a registered object, or ``module:attribute`` of a module that the user has named."""


class Table(BaseModel):
    """A table of a config: frozen, with known keys and finite numbers only."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _refuse_conversions(cls, value: object, info: ValidationInfo) -> object:
        """Raise for values that pydantic would convert: text or a bool to a number, others to a bool."""
        kind = cls.model_fields[str(info.field_name)].annotation
        if isinstance(value, bool | str) and {*(get_args(kind) or (kind,))} <= {int, float, type(None)}:
            raise ValueError(f"input should be a valid number (not {value!r:.60})")
        if kind is bool and not isinstance(value, bool):
            raise ValueError(f"input should be true or false (not {value!r:.60})")
        return value


LENGTH_KEYS: Final = ("kimg", "epochs", "steps")
"""Keys that set the length of a stage; one of them counts."""


class LengthTable(Table):
    """A table with the length of a stage: one of three keys."""

    default_length: ClassVar[dict[str, float]]
    """The key and value that apply where none is given."""

    kimg: float | None = Field(default=None, gt=0)
    """Length of the stage in thousands of images, counted each time they are used, for data sets of every
    size; but no more than 500 passes over the data."""
    epochs: float | None = Field(default=None, gt=0)
    """Length in passes over the data, in place of ``kimg``. The last, partial batch of each is dropped."""
    steps: int | None = Field(default=None, ge=1)
    """Length in steps, in place of ``kimg``."""

    @model_validator(mode="before")
    @classmethod
    def _set_default_length(cls, values: object) -> object:
        if isinstance(values, dict) and all(values.get(key) is None for key in LENGTH_KEYS):
            return values | cls.default_length
        return values

    @model_validator(mode="after")
    def _check_length(self) -> Self:
        given = [key for key in LENGTH_KEYS if getattr(self, key) is not None]
        if len(given) > 1:
            raise ValueError(f"{' and '.join(given)} both set the length: give one")
        return self


class ViewConfig(Table):
    """Strength of each kind of random augmentation; 0 disables it."""

    affine: float = Field(default=0.0, ge=0, le=4)
    """Factor of: rotation +-23 degrees, scale +-25 %, shear +-0.4, aspect +-20 %, shift +-15 %."""
    elastic: float = Field(default=0.0, ge=0, le=4)
    """Factor of an elastic deformation: 5 x 5 knots displaced with a standard deviation of a twentieth of the
    image, interpolated smoothly."""
    pose: float = Field(default=0.0, ge=0, le=1)
    """Another pose of one object on an even background: rotation of up to +-180 degrees times this; a size
    that moves so far to a random one, from a fifth of the largest that fits to all of it; and a random
    position. The object stays within the image."""
    centred: bool = False
    """Whether ``pose`` puts the object into the middle, in place of a random position, and moves its size to
    the largest that fits."""
    blur: float = Field(default=0.0, ge=0, le=0.5)
    """Greatest standard deviation of a Gaussian blur, in parts of the image's width; uniform from 0."""
    mirror: float = Field(default=0.0, ge=0, le=1)
    """Share of images for which a random half is mirrored left to right."""
    crop: float = Field(default=0.0, ge=0, lt=1)
    """Greatest share of the area that a random crop cuts off; the rest is enlarged to the whole image."""
    colour: float = Field(default=0.0, ge=0, le=1)
    """Random factors of brightness, contrast and saturation, each from 1 - this to 1 + this; grey images have
    no saturation. Values stay within the range of their image."""
    hue: float = Field(default=0.0, ge=0, le=1)
    """Other hues: each of 12 round the colour circle moves by up to half a turn times this, those between
    likewise. Lightness and saturation stay, and so do grey images."""
    stroke: float = Field(default=0.0, ge=0, le=1)
    """How far images move towards a 3 x 3 filter: a quarter of them each to maximum, minimum and mean; a
    quarter stay unchanged."""
