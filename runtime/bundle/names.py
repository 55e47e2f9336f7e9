"""Names of categories and styles that a user gives: checked here, whatever they come from."""

from __future__ import annotations

import json
import re
import unicodedata
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from infogan_tool.runtime.errors import UsageError, did_you_mean
from infogan_tool.runtime.storage.atomic import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from infogan_tool.runtime.bundle.metadata import BundleMetadata
    from infogan_tool.runtime.latents.spec import LatentSpec

MAX_NAME: Final = 60
"""Maximum number of characters of a name."""
_MAX_LISTED: Final = 40
_PLACEHOLDER: Final = re.compile(r"#\d+")
"""How a category without a name is shown."""
_UNSAFE: Final = re.compile(r'[<>:"/\\|?*\x00-\x1f\x7f]|^\.+|^~|[. ]+$')
"""What cannot be part of a file name on some system, hides a file, or has a meaning to a shell."""
_RESERVED: Final = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
"""Names of devices on Windows."""


@dataclass(frozen=True, slots=True)
class Names:
    """Names to give. What is not mentioned keeps its name; None removes one."""

    categories: Mapping[str, Mapping[int, str | None]] = field(default_factory=dict)
    """By categorical code and category index."""
    styles: Mapping[str, str | None] = field(default_factory=dict)
    """By continuous code."""


def clean_name(value: object, what: str, current: str | None = None) -> str | None:
    """Return a name in a normal form (NFC, single spaces); None for an empty one.

    Args:
        value: Untrusted.
        what: What it names, for the message.
        current: The present name, which is kept as it is: labels of a data set may be longer.

    Raises:
        UsageError: It is not a text, is longer than 60 characters, has a character that is not printable
            (such as a line break or an escape sequence), or looks like ``#3``, which means no name.
    """
    if value == current is not None:
        return current
    if not isinstance(value, str):
        raise UsageError(f"the name of {what} must be a text")
    name = " ".join(unicodedata.normalize("NFC", value).split(" ")).strip()
    name = re.sub(" +", " ", name)
    if len(name) > MAX_NAME:
        raise UsageError(f"the name of {what} has {len(name):,} characters; at most {MAX_NAME} are allowed")
    if not name.isprintable():
        raise UsageError(f"the name of {what}, {printable(name)}, has a character that cannot be printed")
    if _PLACEHOLDER.fullmatch(name):
        raise UsageError(
            f"the name of {what} cannot be {name}: that is how a category without a name is shown"
        )
    return name or None


def parse_names(data: object, latent: LatentSpec, current: BundleMetadata | None = None) -> Names:
    """Read names from a parsed TOML or JSON file, or a request.

    Args:
        data: Untrusted. ``{"categories": {"k1": {"0": "cat"}}, "styles": {"c1": "slant"}}``, each part
            optional; ``"k1"`` may also be a list with a name for every category. An empty text, or null,
            removes a name.
        latent: The bundle's latent spec.
        current: The bundle's metadata, with the names that may be kept; None: all are checked as new ones.

    Raises:
        UsageError: A key, code, category or name is not valid.
    """
    table = _table(data, "the file", ("categories", "styles"))
    sizes = dict(zip(latent.categorical_names, latent.categorical, strict=True))
    categories = {}
    for code, given in _table(table.get("categories", {}), "categories", sizes).items():
        if isinstance(given, list):
            if len(given) != sizes[code]:
                raise UsageError(f"categories.{code} lists {len(given):,} names; {code} has {sizes[code]:,}")
            given = {str(index): name for index, name in enumerate(given)}  # noqa: PLW2901
        indices = [str(index) for index in range(sizes[code])]
        categories[code] = {
            int(index): _name(name, f"{code} {index}", current.label(code, int(index)) if current else None)
            for index, name in _table(given, f"categories.{code}", indices).items()
        }
    styles = {
        code: _name(name, code, current.style_names.get(code) if current else None)
        for code, name in _table(table.get("styles", {}), "styles", latent.continuous_names).items()
    }
    return Names(categories, styles)


def _name(value: object, what: str, current: str | None) -> str | None:
    return None if value is None else clean_name(value, what, current)


def _table(data: object, what: str, keys: Iterable[str]) -> dict[str, Any]:
    if not isinstance(data, dict):
        raise UsageError(f"{what} must be a table")
    known = list(keys)
    for key in data:
        if key not in known:
            shown = printable(key, _MAX_LISTED)
            raise UsageError(f"{what} has no '{shown}'{did_you_mean(shown, known[:_MAX_LISTED])}")
    return data


def apply_names(
    metadata: BundleMetadata, names: Names
) -> tuple[dict[str, tuple[str | None, ...]], dict[str, str | None]]:
    """Return labels and style names of a bundle once names are given.

    Raises:
        UsageError: A style would get a name that another one has. Categories may: they are then merged.
    """
    labels = dict(metadata.labels)
    for code, given in names.categories.items():
        size = metadata.latent.categorical[metadata.latent.categorical_index(code)]
        old = labels.get(code) or (None,) * size
        labels[code] = tuple(given.get(index, name) for index, name in enumerate(old))
        if not any(labels[code]) and code not in metadata.labels:
            del labels[code]
    styles = {code: metadata.style_names.get(code) for code in metadata.latent.continuous_names}
    styles |= names.styles
    for changed, name in names.styles.items():
        if not name or name == metadata.style_names.get(changed):  # export may have given it to two styles
            continue
        codes = [code for code, given in styles.items() if given == name]
        if len(codes) > 1:
            raise UsageError(f"{' and '.join(codes)} cannot have the same name, '{name}'")
    return labels, styles


def to_toml(metadata: BundleMetadata, comments: Mapping[str, str] | None = None) -> str:
    """Return a TOML file of the current names, which :func:`parse_names` reads.

    Args:
        metadata: The bundle's.
        comments: A remark for each code, such as what was measured of a style.
    """
    comments = comments or {}
    latent = metadata.latent
    lines = [
        "# Names of categories and styles; an empty text is none. Categories with the same name are merged.",
        f"# infogan-tool name BUNDLE --names THIS_FILE   (bundle {metadata.bundle_id})",
    ]
    for code, size in zip(latent.categorical_names, latent.categorical, strict=True):
        lines += ["", f"[categories.{code}]"]
        lines += [f"{index} = {_quoted(metadata.label(code, index))}" for index in range(size)]
    if latent.continuous:
        lines += ["", "[styles]"]
        for code in latent.continuous_names:
            remark = f"  # {printable(comments[code])}" if comments.get(code) else ""
            lines.append(f"{code} = {_quoted(metadata.style_names.get(code))}{remark}")
    return "\n".join(lines) + "\n"


def _quoted(name: str | None) -> str:
    return json.dumps(name or "", ensure_ascii=False)  # a TOML basic string has the same escapes


def folder_names(names: Sequence[str]) -> list[str]:
    """Return a folder name for each different name: valid on every system, and different also without case.

    Names may come from an untrusted bundle. A character that a file name cannot have becomes ``_``; so does
    a leading dot. Folder names that would be equal get a number.
    """
    taken: set[str] = set()
    made = []
    for name in names:
        safe = _UNSAFE.sub("_", printable(unicodedata.normalize("NFC", name), MAX_NAME)) or "_"
        safe = f"_{safe}" if _RESERVED.fullmatch(safe) else safe
        unique, number = safe, 2
        while unique.casefold() in taken:
            unique, number = f"{safe} ({number})", number + 1
        taken.add(unique.casefold())
        made.append(unique)
    return made
