"""What Q infers: the posterior of N images, the reading of one, and latents with changed codes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from infogan_tool.runtime.errors import LatentError, did_you_mean
from infogan_tool.runtime.latents.sampling import Latents, check_style

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy.typing as npt

    from infogan_tool.runtime.bundle.metadata import BundleMetadata

LOW_CONFIDENCE: Final = 0.8
"""A smaller confidence is flagged as low."""
NOISE_SAMPLES: Final = 64
"""Noise vectors that an edit chooses from."""


@dataclass(frozen=True, eq=False, slots=True)
class Posterior:
    """Q(c|x) of N images. K categorical codes, C continuous codes; either may be 0."""

    probabilities: tuple[npt.NDArray[np.float32], ...]
    """``(N, k)`` for each categorical code of k categories; each row sums to 1."""
    categories: npt.NDArray[np.int64]
    """``(N, K)``: index of the most probable category of each categorical code; see ``Bundle.labels``.
    Where categories share a label, the most probable one of the most probable label."""
    confidence: npt.NDArray[np.float32]
    """``(N, K)``: its probability; where categories share its label, the sum of theirs."""
    style_mean: npt.NDArray[np.float32]
    """``(N, C)``: mean of each continuous code."""
    style_std: npt.NDArray[np.float32]
    """``(N, C)``: standard deviation of each continuous code."""
    distance: npt.NDArray[np.float32] | None = None
    """``(N,)``: OOD score, the distance from the training images; None where the bundle has no OOD output."""
    ood: npt.NDArray[np.bool_] | None = None
    """``(N,)``: True where the distance is above the threshold (out of distribution); None likewise."""

    def __getitem__(self, rows: slice | npt.NDArray[np.intp]) -> Posterior:
        """Return the posterior of some of the images."""
        return Posterior(
            tuple(table[rows] for table in self.probabilities),
            self.categories[rows],
            self.confidence[rows],
            self.style_mean[rows],
            self.style_std[rows],
            None if self.distance is None else self.distance[rows],
            None if self.ood is None else self.ood[rows],
        )

    @property
    def most_probable(self) -> npt.NDArray[np.int64]:
        """``(N, K)``: index of the most probable category of each categorical code, whatever their labels."""
        tables = [table.argmax(axis=1) for table in self.probabilities]
        return np.stack(tables, axis=1) if tables else self.categories

    @property
    def low_confidence(self) -> npt.NDArray[np.bool_]:
        """``(N,)``: True where the confidence of a categorical code is below 0.8."""
        low: npt.NDArray[np.bool_] = np.any(self.confidence < LOW_CONFIDENCE, axis=1)
        return low


@dataclass(frozen=True, eq=False, slots=True)
class Reading:
    """The codes that Q infers from one image."""

    label: str | None
    """Label of the most probable category, of the first categorical code with labels; None without labels."""
    confidence: float | None
    """Probability of that category; without labels, of the first categorical code's; None without one."""
    categories: dict[str, int]
    """Index of the most probable category, by categorical code: ``{"k1": 8}``."""
    probabilities: dict[str, npt.NDArray[np.float32]] = field(repr=False)
    """Probability of each category ``(k,)``, by categorical code."""
    styles: dict[str, float]
    """Mean of each continuous code, by its name if it has one (``slant``), else by its code (``c1``)."""
    style_std: dict[str, float]
    """Standard deviation of each continuous code, likewise."""
    codes: dict[str, float]
    """All codes under ``k1``, ``c1`` and so on: category indices and style means."""
    distance: float | None
    """OOD score from 0 to 1; None where the bundle has none."""
    ood: bool | None
    """Whether the image is out of distribution, unlike the training images; None likewise."""
    image: npt.NDArray[np.float32] = field(repr=False)
    """The encoder's input: float32 ``(C, H, W)`` after preprocessing."""
    low_confidence: bool
    """Whether the confidence of a categorical code is below 0.8."""


def make_posterior(metadata: BundleMetadata, outputs: Mapping[str, npt.NDArray[np.float32]]) -> Posterior:
    """Return the posterior that an encoder's outputs for N images stand for.

    Args:
        metadata: Of the bundle.
        outputs: ``(N, ...)`` by name: those of :func:`~infogan_tool.runtime.bundle.metadata.encoder_outputs`.
    """
    latent, ood = metadata.latent, metadata.ood
    count = len(next(iter(outputs.values())))
    empty = np.empty((count, 0), np.float32)
    all_probabilities = outputs.get("probabilities", empty)
    probabilities = tuple(all_probabilities[:, columns] for columns in latent.logit_slices)
    categories = np.empty((count, len(probabilities)), np.int64)
    confidence = np.empty(categories.shape, np.float32)
    for column, table in enumerate(probabilities):
        by_label = metadata.by_label(table, latent.categorical_names[column])
        confidence[:, column] = by_label.max(axis=1)
        if by_label is not table:  # of categories that share a label, the most probable one
            table = np.where(by_label == confidence[:, column, None], table, -1)  # noqa: PLW2901
        categories[:, column] = table.argmax(axis=1)
    distance = outputs["distance"][:, 0] if ood else None
    flags = distance > ood.threshold if ood and distance is not None else None
    mean, std = (outputs.get(name, empty) for name in ("style_mean", "style_std"))
    return Posterior(probabilities, categories, confidence, mean, std, distance, flags)


def make_readings(
    metadata: BundleMetadata, posterior: Posterior, images: npt.NDArray[np.float32]
) -> list[Reading]:
    """Return the reading of each of N images.

    Args:
        metadata: Of the bundle.
        posterior: Of the images.
        images: float32 ``(N, C, H, W)``, the encoder's inputs.
    """
    latent = metadata.latent
    labelled = metadata.labelled_code
    main = latent.categorical_index(labelled) if labelled else 0
    styles = _style_keys(metadata)
    low = posterior.low_confidence
    readings = []
    for row, image in enumerate(images):
        chosen = posterior.categories[row].tolist()
        categories = dict(zip(latent.categorical_names, chosen, strict=True))
        means = posterior.style_mean[row].tolist()
        readings.append(
            Reading(
                label=metadata.label(labelled, chosen[main]) if labelled else None,
                confidence=float(posterior.confidence[row, main]) if chosen else None,
                categories=categories,
                probabilities={
                    code: table[row]
                    for code, table in zip(latent.categorical_names, posterior.probabilities, strict=True)
                },
                styles=dict(zip(styles, means, strict=True)),
                style_std=dict(zip(styles, posterior.style_std[row].tolist(), strict=True)),
                codes={**categories, **dict(zip(latent.continuous_names, means, strict=True))},
                distance=None if posterior.distance is None else float(posterior.distance[row]),
                ood=None if posterior.ood is None else bool(posterior.ood[row]),
                image=image,
                low_confidence=bool(low[row]),
            )
        )
    return readings


def _style_keys(metadata: BundleMetadata) -> list[str]:
    """Return the key of each continuous code: its name, if no other code has it, else the code."""
    names = [metadata.style_names.get(code) for code in metadata.latent.continuous_names]
    return [
        name if name and names.count(name) == 1 and name not in metadata.latent.code_names else code
        for code, name in zip(metadata.latent.continuous_names, names, strict=True)
    ]


def find_code(metadata: BundleMetadata, name: str) -> str:
    """Return the code that is called ``name``: ``c1``, ``stroke width``, or ``stroke_width``.

    Raises:
        LatentError: There is no such code.
    """
    latent = metadata.latent
    names = dict(zip(_style_keys(metadata), latent.continuous_names, strict=True))
    code = name if name in latent.code_names else names.get(name, names.get(name.replace("_", " "), ""))
    if not code:
        known = list(dict.fromkeys([*latent.code_names, *names]))
        raise LatentError(f"there is no code '{name}'{did_you_mean(name, known)}")
    return code


def edit_latents(
    metadata: BundleMetadata,
    readings: list[Reading],
    codes: Mapping[str, float | str],
    noise: npt.NDArray[np.float32],
    generate: Callable[[Latents], npt.NDArray[np.float32]],
) -> Latents:
    """Return latents of the images with some codes changed.

    Args:
        metadata: Of the bundle.
        readings: Of N images.
        codes: The changes; see :meth:`Bundle.edit`.
        noise: Noise vectors ``(n, Z)``; for each image the one is used whose image is nearest to it.
        generate: :meth:`Bundle.generate`.

    Raises:
        LatentError: There is no such code or label, or a value is not a number.
    """
    changes: dict[str, float] = {}
    for name, given in codes.items():
        code, value = _resolve(metadata, name, given)
        if code in changes:
            raise LatentError(f"{code} is given twice, once as '{name}'")
        changes[code] = value
    latent, count = metadata.latent, len(readings)
    categories = np.array([[r.codes[c] for c in latent.categorical_names] for r in readings], np.int64)
    styles = np.array([[r.codes[c] for c in latent.continuous_names] for r in readings], np.float32)
    categories = categories.reshape(count, len(latent.categorical))
    styles = styles.reshape(count, latent.continuous)
    nearest = np.empty((count, latent.noise), np.float32)
    for row, reading in enumerate(readings):
        same = np.full(len(noise), row)
        images = generate(Latents(noise, categories[same], styles[same]))
        nearest[row] = noise[np.square(images - reading.image).mean(axis=(1, 2, 3)).argmin()]
    for code, value in changes.items():
        if code in latent.categorical_names:
            categories[:, latent.categorical_index(code)] = value
        else:
            styles[:, latent.continuous_index(code)] = value
    return Latents(nearest, categories, styles)


def resolve_codes(
    metadata: BundleMetadata,
    categories: Mapping[str, int | str | Iterable[int | str]] | None,
    styles: Mapping[str, float] | None,
) -> tuple[dict[str, list[int]], dict[str, float]]:
    """Return fixed categories, by index, and fixed styles by code; they may be given by labels and names.

    Categories that share a label are all meant.

    Raises:
        LatentError: There is no such code or label, a code is given twice, or a value is not a number.
    """
    chosen: dict[str, list[int]] = {}
    for name, given in (categories or {}).items():
        code = find_code(metadata, name)
        some = given if isinstance(given, Iterable) and not isinstance(given, str) else [given]
        chosen[code] = [index for one in some for index in _categories_of(metadata, code, one)]
    values: dict[str, float] = {}
    for name, value in (styles or {}).items():
        code, number = _resolve(metadata, name, value)
        if code in values:
            raise LatentError(f"{code} is given twice, once as '{name}'")
        values[code] = number
    return chosen, values


def _categories_of(metadata: BundleMetadata, code: str, given: int | str) -> list[int]:
    """Return a category, or all that share a label."""
    index = int(_resolve(metadata, code, given)[1])
    return metadata.merged(code).get(given, [index]) if isinstance(given, str) else [index]


def _resolve(metadata: BundleMetadata, name: str, value: Any) -> tuple[str, float]:  # noqa: ANN401 - a user's
    """Return the code and its value of a keyword such as ``c1=1.0``, ``stroke_width=1.0`` or ``k1="7"``.

    Raises:
        LatentError: There is no such code or label, or the value is not a number.
    """
    latent = metadata.latent
    code = find_code(metadata, name)
    if isinstance(value, str) and code in latent.categorical_names:
        labels = [label for label in metadata.labels.get(code, ()) if label is not None]
        if value not in labels:
            raise LatentError(f"no category of {code} has the label '{value}'{did_you_mean(value, labels)}")
        return code, metadata.labels[code].index(value)
    is_number = isinstance(value, (int, float, np.integer, np.floating))
    if not is_number or (code in latent.categorical_names and not float(value).is_integer()):
        what = "a category index or a label" if code in latent.categorical_names else "a number"
        raise LatentError(f"{code} is {what}, not {value!r:.40}")
    if code in latent.continuous_names:
        check_style(code, value)
    return code, value
