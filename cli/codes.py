"""Codes on the command line and in JSON lines: ``k1=7``, ``k1=label:seven``, ``c1=0.5``."""

from typing import TYPE_CHECKING, Any, Final

from infogan_tool.runtime.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from infogan_tool.runtime import BundleMetadata, Latents

__all__ = ["codes_of", "parse_categories", "parse_styles"]

_LABEL: Final = "label:"


def parse_categories(given: list[str], metadata: "BundleMetadata") -> dict[str, int]:
    """Return the category by code of options such as ``k1=7`` and ``k1=label:seven``.

    Raises:
        UsageError: An option is not of that form, names a code twice, or names a label that is not one.
        LatentError: There is no such categorical code.
    """
    held: dict[str, int] = {}
    for code, value in _pairs("--category", given):
        metadata.latent.categorical_index(code)
        if value.startswith(_LABEL):
            held[code] = _labelled(code, value.removeprefix(_LABEL), metadata)
            continue
        try:
            held[code] = int(value)
        except ValueError:
            known = value in (metadata.labels.get(code) or ())
            hint = f"; did you mean {code}={_LABEL}{value}?" if known else ""
            raise UsageError(f"--category {code}={value}: a category is a whole number{hint}") from None
    return held


def parse_styles(given: list[str]) -> dict[str, float]:
    """Return the value by code of options such as ``c1=0.5``.

    Raises:
        UsageError: An option is not of that form, or names a code twice.
    """
    held: dict[str, float] = {}
    for code, value in _pairs("--style", given):
        try:
            held[code] = float(value)
        except ValueError:
            raise UsageError(f"--style {code}={value}: a style is a number") from None
    return held


def codes_of(latents: "Latents", row: int, metadata: "BundleMetadata") -> dict[str, Any]:
    """Return the codes of one latent, as ``encode --json`` names them."""
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


def _pairs(option: str, given: list[str]) -> list[tuple[str, str]]:
    pairs: list[tuple[str, str]] = []
    for text in given:
        code, equals, value = text.partition("=")
        if not (code and equals and value):
            raise UsageError(f"{option} {text}: write it as CODE=VALUE")
        if code in (known for known, _ in pairs):
            raise UsageError(f"{option} names {code} twice")
        pairs.append((code, value))
    return pairs


def _labelled(code: str, label: str, metadata: "BundleMetadata") -> int:
    names = metadata.labels.get(code) or ()
    found = [index for index, name in enumerate(names) if name == label]
    if not names:
        raise UsageError(f"the categories of {code} have no labels in this bundle: use {code}=0 and so on")
    if len(found) != 1:
        what = "several categories have" if found else "no category has"
        raise UsageError(
            f"{what} the label '{label}'{did_you_mean(label, [name for name in names if name is not None])}"
        )
    return found[0]
