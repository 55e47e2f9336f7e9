"""Contact sheets of a bundle's categories and styles, to find names for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from infogan_tool.export.evaluation.metrics.naming import NAMES
from infogan_tool.export.image_page import Captioned, ImageSection, make_image_page
from infogan_tool.runtime.images.arrays import sheet, to_uint8
from infogan_tool.runtime.latents.spec import CONTINUOUS_HIGH, CONTINUOUS_LOW

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from infogan_tool.runtime.bundle.bundle import Bundle
    from infogan_tool.runtime.bundle.metadata import BundleMetadata

_COLUMNS: Final = 12
_SHOWN: Final = 24
"""Images on the sheet of a category."""
_ROWS: Final = 6
_PIXELS: Final = 64
"""Least width of an image on a sheet, about."""
_MAX_CATEGORIES: Final = 200
"""Categories that get a sheet."""


def make_contact_sheets(bundle: Bundle, images: NDArray[np.uint8] | None) -> str:
    """Return a page, as HTML, with a section for each category and each style.

    Args:
        bundle: The bundle.
        images: Real images, uint8 ``(N, H, W, C)``; None for generated ones only.
    """
    metadata = bundle.metadata
    real = None if images is None else f"{len(images):,} real images"
    introduction = (
        "What do the images of a category have in common, and what does a style change? Give them names with "
        f"infogan-tool name. Bundle {metadata.bundle_id}; generated images have seed 0."
    )
    if real:
        introduction += f" The most and least typical images are those among {real}, by {_measure(bundle)}."
    sections = [*_categories(bundle, images), *_styles(bundle)]
    return make_image_page("Categories and styles", introduction, sections)


def style_remarks(metadata: BundleMetadata) -> dict[str, str]:
    """Return, for each continuous code, the attribute of images that it changes most, as measured at export.

    Args:
        metadata: Of a bundle; it may come from an untrusted file.
    """
    styles = metadata.card.get("styles")
    measured = styles.get("correlation") if isinstance(styles, dict) else None
    remarks = {}
    for code in metadata.latent.continuous_names:
        attributes = measured.get(code) if isinstance(measured, dict) else None
        pairs = {
            name: values
            for name, values in (attributes.items() if isinstance(attributes, dict) else ())
            if name in NAMES and isinstance(values, list) and values and isinstance(values[0], float)
        }
        if pairs:
            # The name that export gave: an attribute that follows from it may correlate a little more.
            named = next((name for name in pairs if NAMES[name] == metadata.style_names.get(code)), None)
            name = named or max(pairs, key=lambda key: abs(pairs[key][0]))
            generated, real = (*pairs[name], None)[:2]
            on_real = f", {real:+.2f} on real ones" if isinstance(real, float) else ""
            remarks[code] = f"changes {NAMES[name]}: r = {generated:+.2f} on generated images{on_real}"
    return remarks


def _measure(bundle: Bundle) -> str:
    if bundle.metadata.ood is not None:
        return "the OOD score, the distance of Q's features from the category's centre"
    return "the confidence of the category"


def _categories(bundle: Bundle, images: NDArray[np.uint8] | None) -> Iterator[ImageSection]:
    latent = bundle.latent
    posterior = None if images is None else bundle.encode(images)
    best = None if posterior is None else posterior.most_probable
    for column, (code, size) in enumerate(zip(latent.categorical_names, latent.categorical, strict=True)):
        for index in range(min(size, _MAX_CATEGORIES)):
            shown: list[Captioned] = []
            text = ""
            if posterior is not None and best is not None and images is not None:
                members = np.flatnonzero(best[:, column] == index)
                confidence = posterior.probabilities[column][members, index]
                distance = -confidence if posterior.distance is None else posterior.distance[members]
                order = members[np.lexsort((-confidence, distance))]
                share = 100 * len(members) / len(images)
                text = f"The encoder assigns {len(members):,} of {len(images):,} real images ({share:.1f} %)."
                sheets = {"real images, most typical first": order[:_SHOWN]}
                if len(order) > _SHOWN:
                    sheets["real images, least typical first"] = order[::-1][:_SHOWN]
                shown = [_sheet(images[rows], line) for line, rows in sheets.items() if len(rows)]
            latents = bundle.sample(_SHOWN, categories={code: index})
            shown.append(_sheet(to_uint8(bundle.generate(latents), bundle.image), "generated images"))
            label = bundle.metadata.label(code, index)
            yield ImageSection(_heading(f"Category #{index} of {code}", label), text, shown)
        if size > _MAX_CATEGORIES:
            yield ImageSection(f"{size - _MAX_CATEGORIES:,} more categories of {code} are not shown", "", [])


def _styles(bundle: Bundle) -> Iterator[ImageSection]:
    remarks = style_remarks(bundle.metadata)
    for code in bundle.latent.continuous_names:
        traversal = bundle.traverse(
            code, low=CONTINUOUS_LOW, high=CONTINUOUS_HIGH, steps=_COLUMNS, rows=_ROWS
        )
        images = to_uint8(bundle.generate(traversal.latents), bundle.image)
        name = bundle.metadata.style_names.get(code)
        line = f"from {CONTINUOUS_LOW:g} (left) to {CONTINUOUS_HIGH:g} (right)"
        remark = remarks.get(code)
        text = f"{remark[0].upper()}{remark[1:]}." if remark else ""
        yield ImageSection(_heading(f"Style {code}", name), text, [_sheet(images, line)])


def _heading(code: str, name: str | None) -> str:
    return f"{code}: {name}" if name else f"{code}, without a name"


def _sheet(images: NDArray[np.uint8], line: str) -> Captioned:
    scale = max(1, round(_PIXELS / 2 / images.shape[1]))
    return Captioned(sheet(images, _COLUMNS, scale=scale), [line])
