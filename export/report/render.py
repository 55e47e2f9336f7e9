"""Generate the images of a report, and the metrics that ``evaluate`` does not compute."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from infogan_tool.export.evaluation.metrics.round_trip import continuous_recovery
from infogan_tool.export.evaluation.real_images import to_nhwc
from infogan_tool.export.evaluation.traversals import evenly
from infogan_tool.export.report.effects import measure_effects
from infogan_tool.export.report.entry import Grid, Model, Recovery
from infogan_tool.export.report.sharpness import sharpness
from infogan_tool.runtime.images.arrays import to_uint8
from infogan_tool.runtime.latents.sampling import Latents

if TYPE_CHECKING:
    from infogan_tool.export.evaluation.real_images import RealImages
    from infogan_tool.export.evaluation.results import Results
    from infogan_tool.runtime.bundle.bundle import Bundle
    from infogan_tool.runtime.latents.spec import LatentSpec

MAX_CODES: Final = 12
"""Maximum number of codes that are shown; of more, at least half are continuous where there are as many."""

_SHOWN: Final = 50
"""Generated images, and real images beside them."""
_SHARPNESS_IMAGES: Final = 2000
_RECOVERY_IMAGES: Final = 500
_STEPS: Final = 9
_NOISE_ROWS: Final = 8
_MAX_ROWS: Final = 12
_MAX_COLUMNS: Final = 12


def render_model(bundle: Bundle, real: RealImages | None, results: Results | None, *, seed: int = 0) -> Model:
    """Generate what a report shows of a bundle.

    Args:
        bundle: The bundle.
        real: Real images of its size and channels.
        results: The results of an evaluation.
        seed: Seed of all latents, and of the choice of real images.
    """
    codes = select_codes(bundle.latent)
    generated = to_uint8(bundle.generate(bundle.sample(_SHARPNESS_IMAGES, seed)), bundle.image)
    chosen = None
    if real is not None:  # in random order: the images of a folder are often sorted by class
        images = to_nhwc(real.scored)
        chosen = images[np.random.default_rng(seed).permutation(len(images))[:_SHARPNESS_IMAGES]]
    return Model(
        metadata=bundle.metadata,
        generated=generated[:_SHOWN],
        real=None if chosen is None else chosen[:_SHOWN],
        grids=tuple(_grid(bundle, code, seed) for code in codes),
        left_out=len(bundle.latent.code_names) - len(codes),
        effects=measure_effects(bundle, codes, seed=seed),
        recoveries=_recoveries(bundle, [c for c in codes if c in bundle.latent.continuous_names], seed),
        sharpness=sharpness(generated),
        real_sharpness=None if chosen is None else sharpness(chosen),
        results=results,
    )


def select_codes(latent: LatentSpec) -> list[str]:
    """Return the codes that a report shows: the first of each kind, at most :data:`MAX_CODES`."""
    half = MAX_CODES // 2
    first = latent.categorical_names[: max(half, MAX_CODES - latent.continuous)]
    return [*first, *latent.continuous_names[: MAX_CODES - len(first)]]


def _grid(bundle: Bundle, code: str, seed: int) -> Grid:
    plan = bundle.traverse(code, seed=seed, steps=_STEPS, rows=_NOISE_ROWS)
    rows, columns = evenly(plan.rows, _MAX_ROWS), evenly(plan.columns, _MAX_COLUMNS)
    cells = (np.array(rows)[:, None] * plan.columns + np.array(columns)).reshape(-1)
    whole = plan.latents
    latents = Latents(whole.noise[cells], whole.categories[cells], whole.styles[cells])
    images = to_uint8(bundle.generate(latents), bundle.image)
    return Grid(
        code=code,
        images=images.reshape(len(rows), len(columns), *images.shape[1:]),
        values=tuple(plan.values[column] for column in columns),
        row_code=plan.row_code,
        row_values=tuple(rows),
    )


def _recoveries(bundle: Bundle, codes: list[str], seed: int) -> dict[str, Recovery]:
    if not codes:
        return {}
    latents = bundle.sample(_RECOVERY_IMAGES, seed)
    posterior = bundle.encode(to_uint8(bundle.generate(latents), bundle.image))
    recoveries = {}
    for code in codes:
        column = bundle.latent.continuous_index(code)
        values, mean = latents.styles[:, column], posterior.style_mean[:, column]
        is_periodic = code in bundle.latent.periodic
        scores = continuous_recovery(values, mean, posterior.style_std[:, column], {}, periodic=is_periodic)
        recoveries[code] = Recovery(values=values, mean=mean, scores=scores)
    return recoveries
