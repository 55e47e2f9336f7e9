"""Rank bundles of one data set without labels: ModelCentrality and UDR."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from infogan_tool.export.evaluation.metrics.agreement import (
    InferredCodes,
    association,
    first_shares,
    group_variances,
    model_centrality,
    orthonormal_features,
    relative_strength,
    unsupervised_ranking,
    vote_accuracy,
)
from infogan_tool.export.evaluation.metrics.code_usage import CodeUsage, measure_code_usage
from infogan_tool.runtime.bundle.bundle import load_bundle
from infogan_tool.runtime.bundle.metadata import METADATA_FILE
from infogan_tool.runtime.errors import UsageError
from infogan_tool.runtime.images.arrays import to_uint8
from infogan_tool.runtime.latents.sampling import Latents

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from infogan_tool.runtime.bundle.bundle import Bundle
    from infogan_tool.runtime.inference.device import Device

_GROUP: Final = 50
"""Images of a group, which share the value of one code."""
_MIN_BUNDLES: Final = 3
_MAX_BUNDLES: Final = 100


@dataclass(frozen=True, kw_only=True, slots=True)
class Ranked:
    """The scores of one bundle, none of which needs labels or real images."""

    bundle: str
    """Path."""
    model_centrality: float
    """Mean agreement with the other bundles, 0 to 1 (arXiv:1906.06034)."""
    udr: float
    """Unsupervised disentanglement ranking, 0 to 1 (arXiv:1905.12614)."""
    first_share: float
    """How often the bundle is first by ModelCentrality if the others are resampled."""
    usage: CodeUsage
    """Its dead and duplicate codes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Selection:
    """Bundles from best to worst by ModelCentrality."""

    ranking: tuple[Ranked, ...]
    """Best first."""
    gap: float
    """ModelCentrality of the first minus that of the second."""
    same_by_udr: bool
    """Whether UDR has the same bundle first."""
    one_code: bool
    """Whether every bundle has a single code, of which ModelCentrality tells nothing."""

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready values."""
        return asdict(self)


def find_bundles(paths: Sequence[Path]) -> list[Path]:
    """Return the bundles among ``paths``; a folder that is none itself stands for those in it.

    Raises:
        UsageError: A path holds no bundle, or there are fewer than 3 or more than 100.
    """
    found: list[Path] = []
    for path in paths:
        inside = [path] if (path / METADATA_FILE).is_file() else _bundles_in(path)
        if not inside:
            raise UsageError(f"{path} is no bundle and holds none: give the folder of a sweep, or bundles")
        found += inside
    bundles = list({path.resolve(): path for path in found}.values())
    if not _MIN_BUNDLES <= len(bundles) <= _MAX_BUNDLES:
        raise UsageError(
            f"select compares {_MIN_BUNDLES} to {_MAX_BUNDLES} bundles with each other, not {len(bundles)}"
        )
    return bundles


def _bundles_in(folder: Path) -> list[Path]:
    """Return the bundles in a folder, or in the folders of a grid in it; bundle-2 before bundle-10."""
    try:
        found = [
            path.parent for pattern in ("*", "*/*") for path in folder.glob(f"{pattern}/{METADATA_FILE}")
        ]
    except OSError:
        return []
    return sorted(found, key=lambda path: (path.parent, len(path.name), path.name))


def select_bundles(
    paths: Sequence[Path],
    *,
    groups: int = 100,
    seed: int = 0,
    device: Device = "auto",
    progress: Callable[[str], None] = lambda _: None,
) -> Selection:
    """Rank bundles by their agreement with each other, on images that they generate.

    Every bundle in turn is the truth: groups of its images share the value of one of its codes, and the
    FactorVAE score says how well the codes that another bundle infers tell which code it was.

    Args:
        paths: 3 to 100 bundles of the same images; their codes may differ.
        groups: Groups of 50 images for each code.
        seed: Seed of the latents.
        device: As in :func:`load_bundle`.
        progress: Called with a line for each bundle.

    Raises:
        UsageError: The bundles have images of different kinds.
        BundleError: A bundle cannot be used.
    """
    bundles = [load_bundle(path, device=device) for path in paths]
    for path, bundle in zip(paths, bundles, strict=True):
        if _kind(bundle) != _kind(bundles[0]):
            raise UsageError(f"{path} has other images than {paths[0]}: size, channels or range differ")
    count = len(bundles)
    scores, pooled = np.zeros((count, count)), [list[InferredCodes]() for _ in bundles]
    usages: list[CodeUsage] = []
    for j, truth in enumerate(bundles):
        progress(f"bundle {j + 1} of {count}: {paths[j].name}")
        votes = [list[np.ndarray]() for _ in bundles]
        for code in range(len(truth.latent.code_names)):
            images = _generate(truth, _with_fixed_code(truth, code, groups, seed + code))
            for i, model in enumerate(bundles):
                votes[i].append(group_variances(_infer(model, images), _GROUP))
        factors = np.repeat(np.arange(len(truth.latent.code_names)), groups)
        scores[:, j] = [vote_accuracy(np.concatenate(votes[i]), factors) for i in range(count)]
        free = truth.sample(groups * _GROUP // 5, seed)
        images = _generate(truth, free)
        inferred = [_infer(model, images) for model in bundles]
        for i in range(count):
            pooled[i].append(inferred[i])
        usages.append(
            measure_code_usage(
                truth.latent.continuous_names,
                free.styles,
                inferred[j].continuous,
                periodic=truth.latent.periodic,
            )
        )
    udr = unsupervised_ranking(_pairwise_strength([_joined(codes) for codes in pooled], usages))
    central, similarity = model_centrality(scores), (scores + scores.T) / 2
    firsts = first_shares(similarity, np.random.default_rng(seed))
    order = sorted(range(count), key=lambda i: (-central[i], -udr[i]))
    ranking = tuple(
        Ranked(
            bundle=str(paths[i]),
            model_centrality=float(central[i]),
            udr=udr[i],
            first_share=float(firsts[i]),
            usage=usages[i],
        )
        for i in order
    )
    return Selection(
        ranking=ranking,
        gap=ranking[0].model_centrality - ranking[1].model_centrality,
        same_by_udr=int(np.argmax(udr)) == order[0],
        one_code=all(len(bundle.latent.code_names) == 1 for bundle in bundles),
    )


def _kind(bundle: Bundle) -> tuple[int, int, float, float]:
    image = bundle.image
    return image.size, image.channels, image.low, image.high


def _generate(bundle: Bundle, latents: Latents) -> np.ndarray:
    """Return images as a file holds them: what is finer than 8 bits would tell codes that nobody sees."""
    return to_uint8(bundle.generate(latents), bundle.image)


def _with_fixed_code(bundle: Bundle, code: int, groups: int, seed: int) -> Latents:
    """Return latents in groups whose images share the value of one code."""
    latents = bundle.sample(groups * _GROUP, seed)
    categories, styles = latents.categories.copy(), latents.styles.copy()
    number = categories.shape[1]
    column = categories[:, code] if code < number else styles[:, code - number]
    column[:] = np.repeat(column[::_GROUP], _GROUP)
    return Latents(latents.noise, categories, styles)


def _infer(bundle: Bundle, images: np.ndarray) -> InferredCodes:
    posterior = bundle.encode(images)
    return InferredCodes(
        continuous=posterior.style_mean,
        categories=posterior.most_probable,
        sizes=bundle.latent.categorical,
        periodic=bundle.latent.periodic_columns,
    )


def _joined(parts: Sequence[InferredCodes]) -> InferredCodes:
    return replace(
        parts[0],
        continuous=np.concatenate([part.continuous for part in parts]),
        categories=np.concatenate([part.categories for part in parts]),
    )


def _pairwise_strength(codes: Sequence[InferredCodes], usages: Sequence[CodeUsage]) -> np.ndarray:
    informative = [
        np.array(
            [*(len(np.unique(column)) > 1 for column in own.categories.T)]
            + [name not in usage.dead for name in usage.information]
        )
        for own, usage in zip(codes, usages, strict=True)
    ]
    features = [orthonormal_features(own) for own in codes]
    table = np.zeros((len(codes), len(codes)))
    for i in range(len(codes)):
        for j in range(i):
            pair = association(features[i], features[j])
            table[i, j] = table[j, i] = relative_strength(pair, (informative[i], informative[j]))
    return table
