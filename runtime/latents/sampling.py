"""Latents: sampled from the prior with one random stream per image, or traversed along one code.

Image ``i`` of a seed does not depend on the other images: each image has its own Philox stream, with the seed
as its key and ``i`` as its counter. From it are sampled, always and in this order: noise, one number for each
categorical code, one for each continuous code. docs/reference/bundle.md describes this for other languages.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from infogan_tool.runtime.errors import LatentError, did_you_mean
from infogan_tool.runtime.latents.spec import CONTINUOUS_HIGH, CONTINUOUS_LOW

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from infogan_tool.runtime.latents.spec import LatentSpec

_MAX_SEED: Final = 2**64 - 1
MAX_STYLE: Final = 1_000_000
"""Greatest absolute value of a style or of noise: far beyond it a generator's arithmetic overflows."""


@dataclass(frozen=True, eq=False, slots=True)
class Latents:
    """Input of the generator for N images; ``latents[2:5]`` is three of them.

    Raises:
        LatentError: An array is not two-dimensional, N differs, or categories are not whole numbers.
    """

    noise: npt.NDArray[np.float32]
    """``(N, Z)`` float32, the noise z."""
    categories: npt.NDArray[np.int64]
    """``(N, K)`` int64, the category of each categorical code."""
    styles: npt.NDArray[np.float32]
    """``(N, C)`` float32, the value of each continuous code; the prior is uniform on (-1, 1)."""

    def __post_init__(self) -> None:
        """Convert other float and integer types to those of the graph."""
        categories = np.asarray(self.categories)
        if categories.dtype.kind not in "iu" and categories.size:
            raise LatentError(f"categories must be whole numbers, not {categories.dtype}")
        for name, dtype in (("noise", np.float32), ("categories", np.int64), ("styles", np.float32)):
            object.__setattr__(self, name, np.ascontiguousarray(getattr(self, name), dtype))
        shapes = [a.shape for a in (self.noise, self.categories, self.styles)]
        if any(len(shape) != 2 for shape in shapes) or len({shape[0] for shape in shapes}) != 1:  # noqa: PLR2004
            raise LatentError(f"noise, categories and styles must be (N, width) with one N, not {shapes}")

    def __len__(self) -> int:
        return len(self.noise)

    def __getitem__(self, rows: slice) -> Latents:
        return Latents(self.noise[rows], self.categories[rows], self.styles[rows])

    def check(self, spec: LatentSpec) -> None:
        """Check the latents against ``spec``.

        Raises:
            LatentError: A width differs, a category is out of range, or a value is not finite.
        """
        widths = (self.noise.shape[1], self.categories.shape[1], self.styles.shape[1])
        expected = (spec.noise, len(spec.categorical), spec.continuous)
        if widths != expected:
            raise LatentError(f"latents have {_widths(*widths)}; the latent spec has {_widths(*expected)}")
        for column, (name, size) in enumerate(zip(spec.categorical_names, spec.categorical, strict=True)):
            _check_category(name, size, self.categories[:, column])
        if not (np.abs(self.noise) <= MAX_STYLE).all() or not (np.abs(self.styles) <= MAX_STYLE).all():
            raise LatentError(f"latents have values that are not finite, or above {MAX_STYLE:,}")


@dataclass(frozen=True, eq=False, slots=True)
class Traversal:
    """Latents of a sheet, row by row, in which one code varies along the columns."""

    latents: Latents
    """``rows * columns`` latents."""
    code: str
    """The code that varies along the columns."""
    values: tuple[float, ...]
    """Its value in each column; a whole number for a categorical code."""
    row_code: str | None
    """The categorical code that varies along the rows; None if only the noise does."""

    @property
    def columns(self) -> int:
        """Number of columns."""
        return len(self.values)

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(self.latents) // self.columns


def sample(
    spec: LatentSpec,
    n: int,
    seed: int = 0,
    *,
    start: int = 0,
    categories: Mapping[str, int | Sequence[int]] | None = None,
    styles: Mapping[str, float] | None = None,
) -> Latents:
    """Sample the latents of images ``start`` to ``start + n - 1`` of ``seed`` from the prior.

    Args:
        spec: The latent spec.
        n: Number of images; 0 is valid.
        seed: From 0 to 2**64 - 1.
        start: Index of the first image.
        categories: Fixed category by categorical code, or the categories to sample from. All other values are
            the same as without it.
        styles: Fixed value by continuous code, likewise; it may lie outside of the prior's (-1, 1).

    Raises:
        LatentError: A number is out of range, or there is no such code.
    """
    if n < 0 or start < 0 or start + n > _MAX_SEED or not 0 <= seed <= _MAX_SEED:
        raise LatentError("n and start must be at least 0, and the seed from 0 to 2**64 - 1")
    sizes = np.array(spec.categorical, dtype=np.float64)
    noise = np.empty((n, spec.noise), np.float32)
    uniform = np.empty((n, len(spec.categorical)))
    values = np.empty((n, spec.continuous), np.float32)
    for row in range(n):
        stream = np.random.Generator(np.random.Philox(key=seed, counter=(0, 0, 0, start + row)))
        if spec.noise_prior == "normal":
            noise[row] = stream.standard_normal(spec.noise)
        else:
            noise[row] = 2.0 * stream.random(spec.noise) - 1.0
        uniform[row] = stream.random(len(sizes))
        values[row] = CONTINUOUS_LOW + (CONTINUOUS_HIGH - CONTINUOUS_LOW) * stream.random(spec.continuous)
    chosen = (uniform * sizes).astype(np.int64)
    for name, given in (categories or {}).items():
        column = spec.categorical_index(name)
        some = np.atleast_1d(np.array(given))
        _check_category(name, spec.categorical[column], some)
        if not len(some):
            raise LatentError(f"categorical code {name} is given no category")
        chosen[:, column] = some[(uniform[:, column] * len(some)).astype(np.int64)]
    for name, value in (styles or {}).items():
        column = spec.continuous_index(name)
        check_style(name, value)
        values[:, column] = value
    return Latents(noise, chosen, values)


def traversal(
    spec: LatentSpec,
    code: str,
    *,
    seed: int = 0,
    low: float | None = None,
    high: float | None = None,
    steps: int = 10,
    rows: int = 10,
) -> Traversal:
    """Return the latents of a sheet in which ``code`` varies along the columns.

    A continuous code takes ``steps`` values from ``low`` to ``high``; None: -2 and 2, twice the prior's
    range, or of a periodic code -1 and 1, once round. There is a row for each category of the first
    categorical code, all with the noise of image 0 of the seed.

    A categorical code takes all its categories. There are ``rows`` rows, with the noise of images 0, 1, ...
    of the seed; likewise for a continuous code without any categorical code, and a single row without noise.

    The other continuous codes are 0; the other categorical codes are those of image 0 of the seed.

    Raises:
        LatentError: There is no such code, or a number is out of range.
    """
    if code not in spec.code_names:
        raise LatentError(f"there is no code '{code}'{did_you_mean(code, spec.code_names)}")
    if steps < 1 or rows < 1:
        raise LatentError("steps and rows must be at least 1")
    ends = traversal_ends(spec, code)
    low, high = (end if given is None else given for given, end in zip((low, high), ends, strict=True))
    if not (abs(low) <= MAX_STYLE and abs(high) <= MAX_STYLE):
        raise LatentError(
            f"the values of {code} must be finite and at most {MAX_STYLE:,}, not from {low:g} to {high:g}"
        )
    is_categorical = code in spec.categorical_names
    *shape, row_code = traversal_shape(spec, code, steps=steps, rows=rows)
    values = np.arange(shape[1], dtype=np.float64) if is_categorical else np.linspace(low, high, steps)
    sampled = sample(spec, 1 if row_code else shape[0], seed)
    noise = np.broadcast_to(sampled.noise[:, None], (*shape, spec.noise))
    categories = np.broadcast_to(sampled.categories[0], (*shape, len(spec.categorical))).copy()
    styles = np.zeros((*shape, spec.continuous), np.float32)
    if is_categorical:
        categories[..., spec.categorical_index(code)] = values
    else:
        styles[..., spec.continuous_index(code)] = values
    if row_code:
        categories[..., 0] = np.arange(shape[0])[:, None]
    count = math.prod(shape)
    latents = Latents(
        noise.reshape(count, spec.noise),
        categories.reshape(count, len(spec.categorical)),
        styles.reshape(count, spec.continuous),
    )
    return Traversal(latents, code, tuple(values.tolist()), row_code)


def traversal_ends(spec: LatentSpec, code: str) -> tuple[float, float]:
    """Return the values between which :func:`traversal` varies a continuous code where none are given."""
    reach = 1 if code in spec.periodic else 2
    return reach * CONTINUOUS_LOW, reach * CONTINUOUS_HIGH


def traversal_shape(
    spec: LatentSpec, code: str, *, steps: int = 10, rows: int = 10
) -> tuple[int, int, str | None]:
    """Return the rows, columns and ``row_code`` of :func:`traversal`; no latents are made."""
    if code in spec.categorical_names:
        return rows if spec.noise else 1, spec.categorical[spec.categorical_index(code)], None
    if spec.categorical:
        return spec.categorical[0], steps, spec.categorical_names[0]
    return rows if spec.noise else 1, steps, None


def sheet_code(spec: LatentSpec) -> str:
    """Return the code that the sheets of a training vary."""
    return (spec.continuous_names or spec.categorical_names)[0]


CODE_ROWS: Final = 16
"""Maximum number of rows of :func:`code_rows`; further codes are left out."""
CODE_COLUMNS: Final = 10
"""Number of columns of :func:`code_rows`."""


def code_row_length(spec: LatentSpec, code: str) -> int:
    """Return how many columns of a code's row of :func:`code_rows` differ: at most one for each category."""
    if code in spec.categorical_names:
        return min(CODE_COLUMNS, spec.categorical[spec.categorical_index(code)])
    return CODE_COLUMNS


def code_rows(spec: LatentSpec, *, seed: int = 0) -> tuple[Latents, int]:
    """Return latents of a sheet with a row for each code, in which that code alone varies.

    All else is that of image 0 of the seed. A continuous code takes ten values from -1 to 1. A categorical
    code takes its categories, of more than ten so many evenly; the columns after its last one repeat that.

    Returns:
        The latents, row by row, and the number of columns.
    """
    codes = spec.code_names[:CODE_ROWS]
    base = sample(spec, 1, seed)
    count = len(codes) * CODE_COLUMNS
    noise, styles = np.repeat(base.noise, count, axis=0), np.repeat(base.styles, count, axis=0)
    categories = np.repeat(base.categories, count, axis=0)
    for row, code in enumerate(codes):
        columns = slice(row * CODE_COLUMNS, (row + 1) * CODE_COLUMNS)
        if code in spec.categorical_names:
            index = spec.categorical_index(code)
            last, length = spec.categorical[index] - 1, code_row_length(spec, code)
            categories[columns, index] = last
            categories[columns.start : columns.start + length, index] = np.rint(np.linspace(0, last, length))
        else:
            values = np.linspace(CONTINUOUS_LOW, CONTINUOUS_HIGH, CODE_COLUMNS)
            styles[columns, spec.continuous_index(code)] = values
    return Latents(noise, categories, styles), CODE_COLUMNS


def check_style(name: str, value: float) -> None:
    """Check the value of a continuous code.

    Raises:
        LatentError: It is not finite, or too large.
    """
    if not abs(value) <= MAX_STYLE:
        raise LatentError(f"continuous code {name} must be finite and at most {MAX_STYLE:,}, not {value:g}")


def _check_category(name: str, size: int, chosen: npt.NDArray[Any]) -> None:
    wrong = chosen[(chosen < 0) | (chosen >= size)] if chosen.dtype.kind in "iu" else chosen
    if len(wrong):
        raise LatentError(f"categorical code {name} has the categories 0 to {size - 1}, not {wrong[0]}")


def _widths(noise: int, categorical: int, continuous: int) -> str:
    return f"{noise} noise, {categorical} categorical and {continuous} continuous values"
