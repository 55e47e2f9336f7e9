"""Codes as command-line options (``k1=7``, ``k1=label:seven``, ``c1=0.5``) and as JSON."""

from typing import TYPE_CHECKING, Any, Final

from infogan_tool.runtime.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from infogan_tool.runtime import BundleMetadata, Latents

_LABEL: Final = "label:"


def parse_categories(given: list[str], metadata: "BundleMetadata") -> dict[str, int]:
    """Parse options such as ``k1=7`` and ``k1=label:seven``; return the category index by code.

    Raises:
        UsageError: An option has another form, a code is given twice, or a label does not exist.
        LatentError: A categorical code does not exist.
    """
    fixed: dict[str, int] = {}
    for code, value in _pairs("--category", given):
        metadata.latent.categorical_index(code)
        if value.startswith(_LABEL):
            fixed[code] = _labelled(code, value.removeprefix(_LABEL), metadata)
            continue
        try:
            fixed[code] = int(value)
        except ValueError:
            known = value in (metadata.labels.get(code) or ())
            hint = f"; did you mean {code}={_LABEL}{value}?" if known else ""
            raise UsageError(f"--category {code}={value}: give a category number{hint}") from None
    return fixed


def parse_styles(given: list[str]) -> dict[str, float]:
    """Parse options such as ``c1=0.5``; return the value by code.

    Raises:
        UsageError: An option has another form, or a code is given twice.
    """
    fixed: dict[str, float] = {}
    for code, value in _pairs("--style", given):
        try:
            fixed[code] = float(value)
        except ValueError:
            raise UsageError(f"--style {code}={value}: give a number") from None
    return fixed


def codes_of(latents: "Latents", row: int, metadata: "BundleMetadata") -> dict[str, Any]:
    """Return the codes of one latent, with the keys of ``encode --json``."""
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
            raise UsageError(f"{option} {code} is given twice")
        pairs.append((code, value))
    return pairs


def _labelled(code: str, label: str, metadata: "BundleMetadata") -> int:
    names = metadata.labels.get(code) or ()
    matches = [index for index, name in enumerate(names) if name == label]
    if not names:
        raise UsageError(f"the categories of {code} have no labels in this bundle: use {code}=0 and so on")
    if len(matches) != 1:
        what = "several categories have" if matches else "no category has"
        raise UsageError(
            f"{what} the label '{label}'{did_you_mean(label, [name for name in names if name is not None])}"
        )
    return matches[0]
