"""Codes as command-line options (``k1=7``, ``cat``, ``c1=0.5``) and as JSON."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from infogan_tool.cli import output
from infogan_tool.runtime.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from infogan_tool.runtime import BundleMetadata, Latents

_LABEL: Final = "label:"
"""Prefix of a label that could be read as a category number."""


def parse_categories(given: list[str], metadata: "BundleMetadata") -> dict[str, tuple[int, ...]]:
    """Parse options such as ``k1=7``, ``k1=label:7``, ``k1=cat`` and ``cat``.

    Returns:
        For each code the category, or the categories that share the label.

    Raises:
        UsageError: An option has another form, a code is given twice, or a label does not exist.
        LatentError: A categorical code does not exist.
    """
    fixed: dict[str, tuple[int, ...]] = {}
    for text in given:
        code, equals, value = text.partition("=")
        if not code or (equals and not value):
            raise UsageError(f"--category {text}: write it as LABEL or CODE=INDEX")
        if not equals:
            code, chosen = _find_label(text, metadata)
        else:
            metadata.latent.categorical_index(code)
            try:
                chosen = (int(value),)
            except ValueError:
                chosen = _labelled(code, value.removeprefix(_LABEL), metadata)
        if code in fixed:
            raise UsageError(f"--category {code} is given twice")
        fixed[code] = chosen
    return fixed


def parse_styles(given: list[str], metadata: "BundleMetadata") -> dict[str, float]:
    """Parse options such as ``c1=0.5`` and ``slant=0.5``; return the value by code.

    Raises:
        UsageError: An option has another form, or a code is given twice.
        LatentError: There is no such code.
    """
    from infogan_tool.runtime.bundle.reading import find_code

    fixed: dict[str, float] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not (name and equals and value):
            raise UsageError(f"--style {text}: write it as CODE=VALUE")
        code = find_code(metadata, name)
        if code in fixed:
            raise UsageError(f"--style {code} is given twice")
        try:
            fixed[code] = float(value)
        except ValueError:
            raise UsageError(f"--style {code}={value}: give a number") from None
    return fixed


def note_extrapolated(styles: dict[str, float], metadata: "BundleMetadata") -> None:
    """Print a note for style values outside of those in training."""
    for code, value in styles.items():
        if abs(value) > 1 and code not in metadata.latent.periodic:
            output.note(
                f"{code} = {value:g} is outside the trained range, -1 to 1: the images are extrapolated"
            )


def codes_of(latents: "Latents", row: int, metadata: "BundleMetadata") -> dict[str, Any]:
    """Return the codes of one latent, as in ``codes.jsonl``."""
    latent = metadata.latent
    return {
        "categories": [
            {"code": code, "index": int(index), "label": metadata.label(code, int(index))}
            for code, index in zip(latent.categorical_names, latents.categories[row], strict=True)
        ],
        "styles": [
            {"code": code, "name": metadata.style_names.get(code), "value": round(float(value), 6)}
            for code, value in zip(latent.continuous_names, latents.styles[row], strict=True)
        ],
    }


def _labelled(code: str, label: str, metadata: "BundleMetadata") -> tuple[int, ...]:
    names = metadata.labels.get(code) or ()
    matches = tuple(index for index, name in enumerate(names) if name == label)
    if not names:
        raise UsageError(f"the categories of {code} have no labels in this bundle: use {code}=0 and so on")
    if not matches:
        near = did_you_mean(label, _different(names))
        raise UsageError(f"no category of {code} has the label '{label}'{near}")
    return matches


def _find_label(label: str, metadata: "BundleMetadata") -> tuple[str, tuple[int, ...]]:
    """Return the code and the categories of a label that is given without its code."""
    codes = [code for code, names in metadata.labels.items() if label in names]
    if len(codes) > 1:
        raise UsageError(
            f"--category {label}: {' and '.join(codes)} have this label; write {codes[0]}={label}"
        )
    if not codes:
        near = did_you_mean(label, _different(name for names in metadata.labels.values() for name in names))
        raise UsageError(
            f"--category {label}: no category has this label{near}; write it as CODE=INDEX or LABEL"
        )
    return codes[0], _labelled(codes[0], label, metadata)


def _different(labels: Iterable[str | None]) -> list[str]:
    """Return the labels in alphabetical order, each once."""
    return sorted({label for label in labels if label is not None})
