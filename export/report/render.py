"""Everything of a report that a bundle is asked for, beyond what ``evaluate`` measures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from infogan_tool.export.evaluation.metrics.round_trip import continuous_recovery
from infogan_tool.export.evaluation.real_images import to_nhwc
from infogan_tool.export.report.effects import measure_effects
from infogan_tool.export.report.entry import Grid, Model, Recovery
from infogan_tool.export.report.sharpness import sharpness
from infogan_tool.export.report.subsample import evenly
from infogan_tool.runtime.images.arrays import to_uint8
from infogan_tool.runtime.latents.sampling import Latents

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from infogan_tool.export.evaluation.real_images import RealImages
    from infogan_tool.export.evaluation.results import Results
    from infogan_tool.runtime.bundle.bundle import Bundle
    from infogan_tool.runtime.latents.spec import LatentSpec

__all__ = ["MAX_CODES", "render_model"]

MAX_CODES: Final = 12
"""Codes that are drawn and measured, of each kind half of them where there are more."""

_SHOWN: Final = 50
"""Images beside real ones."""
_SHARPNESS_IMAGES: Final = 2000
_RECOVERY_IMAGES: Final = 500
_STEPS: Final = 9
_NOISE_ROWS: Final = 8
_MAX_ROWS: Final = 12
_MAX_COLUMNS: Final = 12


def render_model(
    bundle: Bundle, real: RealImages | None, evaluation: Results | None, *, seed: int = 0
) -> Model:
    """Draw what a report shows of a bundle.

    Args:
        bundle: What was exported.
        real: Real images of its size and channels.
        evaluation: What ``evaluate`` found.
        seed: Of all latents, and of the choice of real images.
    """
    codes = _chosen_codes(bundle.latent)
    latents = bundle.sample(_SHARPNESS_IMAGES, seed)
    drawn = to_uint8(bundle.generate(latents), bundle.image)
    chosen = None if real is None else _some(to_nhwc(real.scored), _SHARPNESS_IMAGES, seed)
    return Model(
        metadata=bundle.metadata,
        drawn=drawn[:_SHOWN],
        real=None if chosen is None else chosen[:_SHOWN],
        grids=tuple(_grid(bundle, code, seed) for code in codes),
        left_out=len(bundle.latent.code_names) - len(codes),
        effects=measure_effects(bundle, codes, seed=seed),
        recoveries=_recoveries(bundle, [c for c in codes if c in bundle.latent.continuous_names], seed),
        sharpness=sharpness(drawn),
        real_sharpness=None if chosen is None else sharpness(chosen),
        evaluation=evaluation,
    )


def _chosen_codes(latent: LatentSpec) -> list[str]:
    categorical, continuous = latent.categorical_names, latent.continuous_names
    if len(categorical) + len(continuous) <= MAX_CODES:
        return [*categorical, *continuous]
    half = MAX_CODES // 2
    first = categorical[: max(half, MAX_CODES - len(continuous))]
    return [*first, *continuous[: MAX_CODES - len(first)]]


def _some(images: NDArray[np.uint8], most: int, seed: int) -> NDArray[np.uint8]:
    """Return at most so many images, in random order: those of a folder often lie class by class."""
    order = np.random.default_rng(seed).permutation(len(images))[:most]
    some: NDArray[np.uint8] = images[order]
    return some


def _grid(bundle: Bundle, code: str, seed: int) -> Grid:
    plan = bundle.traverse(code, seed=seed, steps=_STEPS, rows=_NOISE_ROWS)
    rows, columns = evenly(plan.rows, _MAX_ROWS), evenly(plan.columns, _MAX_COLUMNS)
    places = (np.array(rows)[:, None] * plan.columns + np.array(columns)).reshape(-1)
    whole = plan.latents
    latents = Latents(whole.noise[places], whole.categories[places], whole.styles[places])
    drawn = to_uint8(bundle.generate(latents), bundle.image)
    return Grid(
        code=code,
        images=drawn.reshape(len(rows), len(columns), *drawn.shape[1:]),
        values=tuple(plan.values[column] for column in columns),
        row_code=plan.row_code,
        row_values=tuple(rows),
    )


def _recoveries(bundle: Bundle, codes: Sequence[str], seed: int) -> dict[str, Recovery]:
    if not codes:
        return {}
    latents = bundle.sample(_RECOVERY_IMAGES, seed)
    read = bundle.encode(to_uint8(bundle.generate(latents), bundle.image))
    found = {}
    for code in codes:
        column = bundle.latent.continuous_index(code)
        drawn, mean = latents.styles[:, column], read.style_mean[:, column]
        figures = continuous_recovery(drawn, mean, read.style_std[:, column], {})
        found[code] = Recovery(drawn=drawn, mean=mean, figures=figures)
    return found
