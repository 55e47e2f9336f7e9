"""Latents: drawn one seed per image, or laid out as a traversal.

Image ``i`` of a seed is the same whatever is drawn around it: each image has its own random stream, Philox
with the seed as its key and ``i`` as its counter, from which are taken, in this order and always all of them:
noise, one number for each categorical code, one for each continuous code. docs/reference/bundle.md says it
for readers in other languages.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from infogan_tool.runtime.errors import LatentError, did_you_mean
from infogan_tool.runtime.latents.spec import CONTINUOUS_HIGH, CONTINUOUS_LOW

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from infogan_tool.runtime.latents.spec import LatentSpec

__all__ = ["Latents", "Traversal", "sample", "traversal"]

_MAX_SEED: Final = 2**64 - 1
_ROWS: Final = 10
"""Rows of a traversal whose rows differ by their noise alone."""


@dataclass(frozen=True, eq=False, slots=True)
class Latents:
    """What the generator is given for N images; ``latents[2:5]`` is three of them.

    Raises:
        LatentError: An array is not two-dimensional, N differs, or categories are not whole numbers.
    """

    noise: npt.NDArray[np.float32]
    """``(N, Z)`` float32, drawn from the spec's noise prior."""
    categories: npt.NDArray[np.int64]
    """``(N, K)`` int64, one index for each categorical code."""
    styles: npt.NDArray[np.float32]
    """``(N, C)`` float32, one value for each continuous code; the prior is uniform on (-1, 1)."""

    def __post_init__(self) -> None:
        """Bring other float and integer types to the graph's."""
        given = np.asarray(self.categories)
        if given.dtype.kind not in "iu" and given.size:
            raise LatentError(f"categories must be whole numbers, not {given.dtype}")
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
        """Refuse latents that are not of ``spec``.

        Raises:
            LatentError: A width differs, a category is out of range, or a value is not finite.
        """
        widths = (self.noise.shape[1], self.categories.shape[1], self.styles.shape[1])
        expected = (spec.noise, len(spec.categorical), spec.continuous)
        if widths != expected:
            raise LatentError(f"latents have {_widths(*widths)}; the latent spec has {_widths(*expected)}")
        for column, (name, size) in enumerate(zip(spec.categorical_names, spec.categorical, strict=True)):
            _check_category(name, size, self.categories[:, column])
        if not (np.isfinite(self.noise).all() and np.isfinite(self.styles).all()):
            raise LatentError("latents hold values that are not finite")


@dataclass(frozen=True, eq=False, slots=True)
class Traversal:
    """Latents of a sheet, row by row: one code varies along the columns, the rest is held in each row."""

    latents: Latents
    """``rows * columns`` latents."""
    code: str
    """The code that varies along the columns."""
    values: tuple[float, ...]
    """Its value in each column; whole numbers where it is categorical."""
    row_code: str | None
    """The categorical code that varies along the rows; None where they differ by noise alone."""

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
    categories: Mapping[str, int] | None = None,
    styles: Mapping[str, float] | None = None,
) -> Latents:
    """Draw the latents of images ``start`` to ``start + n - 1`` of ``seed`` from the prior.

    Args:
        spec: The latent spec.
        n: How many; 0 is valid.
        seed: From 0 to 2**64 - 1.
        start: Index of the first image.
        categories: Category to hold, by categorical code; the other draws are as they would be without.
        styles: Value to hold, by continuous code, likewise; it may lie outside of the prior's (-1, 1).

    Raises:
        LatentError: A number is out of range, or there is no such code.
    """
    if n < 0 or start < 0 or start + n > _MAX_SEED or not 0 <= seed <= _MAX_SEED:
        raise LatentError("n and start must be at least 0, and the seed from 0 to 2**64 - 1")
    sizes = np.array(spec.categorical, dtype=np.float64)
    noise = np.empty((n, spec.noise), np.float32)
    chosen = np.empty((n, len(spec.categorical)), np.int64)
    values = np.empty((n, spec.continuous), np.float32)
    for row in range(n):
        stream = np.random.Generator(np.random.Philox(key=seed, counter=(0, 0, 0, start + row)))
        noise[row] = _draw_noise(spec, stream)
        chosen[row] = stream.random(len(sizes)) * sizes
        values[row] = CONTINUOUS_LOW + (CONTINUOUS_HIGH - CONTINUOUS_LOW) * stream.random(spec.continuous)
    _hold(spec, chosen, values, categories or {}, styles or {})
    return Latents(noise, chosen, values)


def traversal(
    spec: LatentSpec,
    code: str,
    *,
    seed: int = 0,
    low: float = -2.0,
    high: float = 2.0,
    steps: int = 10,
    rows: int = _ROWS,
) -> Traversal:
    """Lay out a sheet in which ``code`` varies along the columns.

    A continuous code goes from ``low`` to ``high`` in ``steps``; there is a row for each category of the
    first categorical code, all with the noise of image 0 of the seed. A categorical code goes through its
    categories; there are ``rows`` rows, with the noise of images 0, 1, ... of the seed, and so too for a
    continuous code where there is no categorical one. Without noise either, one row says all. The other
    continuous codes are held at 0, the other categorical codes at what image 0 of the seed has.

    Raises:
        LatentError: There is no such code, or a number is out of range.
    """
    if code not in spec.code_names:
        raise LatentError(f"there is no code '{code}'{did_you_mean(code, spec.code_names)}")
    if steps < 1 or rows < 1 or not (math.isfinite(low) and math.isfinite(high)):
        raise LatentError("steps and rows must be at least 1, and the ends finite")
    along_categories = code in spec.categorical_names
    row_code = spec.categorical_names[0] if spec.categorical and not along_categories else None
    values = np.linspace(low, high, steps)
    if along_categories:
        values = np.arange(spec.categorical[spec.categorical_index(code)], dtype=np.float64)
    streams = 1 if row_code or not spec.noise else rows
    count = spec.categorical[0] if row_code else streams
    drawn = sample(spec, streams, seed)
    sheet = _Sheet(spec, drawn, count, len(values))
    sheet.vary_columns(code, values)
    if row_code:
        sheet.vary_rows(row_code)
    return Traversal(sheet.latents(), code, tuple(float(v) for v in values), row_code)


class _Sheet:
    """Latents as ``(rows, columns, width)`` while they are being filled."""

    def __init__(self, spec: LatentSpec, drawn: Latents, rows: int, columns: int) -> None:
        def spread(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
            return np.broadcast_to(values[:, None], (rows, columns, values.shape[1])).copy()

        self._spec = spec
        self._noise = spread(drawn.noise)
        self._categories = spread(drawn.categories[:1])
        self._styles = np.zeros((rows, columns, spec.continuous), np.float32)

    def vary_columns(self, code: str, values: npt.NDArray[np.float64]) -> None:
        if code in self._spec.categorical_names:
            self._categories[:, :, self._spec.categorical_index(code)] = values.astype(np.int64)
        else:
            self._styles[:, :, self._spec.continuous_index(code)] = values

    def vary_rows(self, code: str) -> None:
        index = self._spec.categorical_index(code)
        self._categories[:, :, index] = np.arange(self._spec.categorical[index])[:, None]

    def latents(self) -> Latents:
        def flat(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
            rows, columns, width = values.shape
            return values.reshape(rows * columns, width)

        return Latents(flat(self._noise), flat(self._categories), flat(self._styles))


def _draw_noise(spec: LatentSpec, stream: np.random.Generator) -> npt.NDArray[np.float64]:
    if spec.noise_prior == "normal":
        return stream.standard_normal(spec.noise)
    return 2.0 * stream.random(spec.noise) - 1.0


def _hold(
    spec: LatentSpec,
    chosen: npt.NDArray[np.int64],
    values: npt.NDArray[np.float32],
    categories: Mapping[str, int],
    styles: Mapping[str, float],
) -> None:
    for name, category in categories.items():
        column = spec.categorical_index(name)
        _check_category(name, spec.categorical[column], np.array([category]))
        chosen[:, column] = category
    for name, value in styles.items():
        column = spec.continuous_index(name)
        if not math.isfinite(value):
            raise LatentError(f"continuous code {name} must be finite, not {value}")
        values[:, column] = value


def _check_category(name: str, size: int, chosen: npt.NDArray[Any]) -> None:
    if chosen.dtype.kind not in "iu" or ((chosen < 0) | (chosen >= size)).any():
        wrong = chosen[(chosen < 0) | (chosen >= size)] if chosen.dtype.kind in "iu" else chosen
        raise LatentError(f"categorical code {name} has the categories 0 to {size - 1}, not {wrong[0]}")


def _widths(noise: int, categorical: int, continuous: int) -> str:
    return f"{noise} noise, {categorical} categorical and {continuous} continuous values"
