"""``infogan-tool info``: description of a bundle."""

import json
import textwrap
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from infogan_tool.cli import output
from infogan_tool.cli.options import BundleArgument, JsonOption
from infogan_tool.runtime.storage.atomic import printable

if TYPE_CHECKING:
    from infogan_tool.runtime import Bundle, BundleMetadata

_KEY_WIDTH: Final = 12
_WIDTH: Final = 80
_LINES: Final = 24
"""Lines of the summary."""
_MAX_CODES: Final = 6
_MAX_TEXT: Final = 400
"""Longest text of a summary; a sentence of a card is far shorter."""
_MAX_DEPTH: Final = 6
_LIMITATIONS: Final = "limitations"


def info(
    bundle: BundleArgument = None,
    *,
    show_all: Annotated[bool, typer.Option("--all", help="Print all metadata, as text.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Print what a bundle is: its codes, accuracy, limitations and files.

    The summary fits a screen; --all and --json print all metadata.

    Examples:
      infogan-tool info

      infogan-tool info bundle --json
    """
    from infogan_tool.runtime import load_bundle

    opened = load_bundle(bundle)
    everything = {"path": str(opened.path), **opened.metadata.to_dict()}
    if as_json:
        output.emit(json.dumps(everything, indent=2))
    elif show_all:
        for key, value in _flatten(everything, ""):
            output.emit(printable(f"{key} = {value}"))
    else:
        output.emit("\n".join(_summary(opened)))


# --- the summary -------------------------------------------------------------------------------------------


def _summary(bundle: "Bundle") -> list[str]:
    """Return at most 24 lines of at most 80 columns."""
    metadata = bundle.metadata
    lines = [*_wrapped("bundle", _cut_start(printable(bundle.path), _WIDTH - _KEY_WIDTH))]
    lines += _wrapped("model", f"{_trained(metadata.training)}, {_images(metadata)}, {metadata.precision}")
    lines += _code_lines(metadata)
    for key, text in (("accuracy", _accuracy(metadata.card)), ("ood", _ood(metadata))):
        lines += _wrapped(key, text) if text else []
    files = ", ".join(f"{name} ({_size(graph.bytes)})" for name, graph in metadata.graphs.items())
    end = [*_wrapped("files", files), *_wrapped("more", "infogan-tool info --all, or --json")]
    return lines + _limitations(metadata.card, _LINES - len(lines) - len(end)) + end


def _wrapped(key: str, text: str) -> list[str]:
    """Return lines of a text, with the key on the first."""
    first, rest = f"{key:<{_KEY_WIDTH}}", " " * _KEY_WIDTH
    shown = printable(text, _MAX_TEXT)
    return textwrap.wrap(shown, _WIDTH, initial_indent=first, subsequent_indent=rest) or [key]


def _cut_start(text: str, width: int) -> str:
    return text if len(text) <= width else "…" + text[1 - width :]


def _size(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 100_000 else f"{count / 1e3:.1f} kB"  # noqa: PLR2004


def _trained(training: dict[str, Any]) -> str:
    from infogan_tool.runtime.bundle.metadata import data_name

    name = data_name(training)
    preset = training.get("preset")
    of_preset = f"preset {preset}" if preset else "InfoGAN"
    return f"{of_preset}, trained on {name}" if name else of_preset


def _images(metadata: "BundleMetadata") -> str:
    image = metadata.image
    return f"{image.size} x {image.size} {'grey' if image.channels == 1 else 'colour'} images"


def _code_lines(metadata: "BundleMetadata") -> Iterator[str]:
    latent = metadata.latent
    codes: list[tuple[str, str]] = []
    for code, size in zip(latent.categorical_names, latent.categorical, strict=True):
        names = metadata.labels.get(code) or ()
        labels = ", ".join(f"#{index}={name}" for index, name in enumerate(names) if name is not None)
        codes.append((code, f"{size} categories{f': {labels}' if labels else ', without labels'}"))
    for code in latent.continuous_names:
        name = metadata.style_names.get(code)
        kind = "periodic" if code in latent.periodic else "continuous"
        meaning = f"{name}{_direction(metadata.card, code, name)}" if name else "without a name"
        codes.append((code, f"{kind}, from -1 to 1: {meaning}"))
    for code, meaning in codes[:_MAX_CODES]:
        yield from _wrapped(code, meaning)[:3]
    if len(codes) > _MAX_CODES:
        yield from _wrapped("", f"({len(codes) - _MAX_CODES} more codes)")


def _direction(card: dict[str, Any], code: str, name: str) -> str:
    """Return how a style's code runs along the attribute that it is named after, if that was measured."""
    try:
        r = float(card["styles"]["correlation"][code][name.replace(" ", "_")][0])
    except (KeyError, IndexError, TypeError, ValueError):  # another name, or a card of other values
        return ""
    return f"{', decreasing' if r < 0 else ''} (r = {r:+.2f})"


def _accuracy(card: dict[str, Any]) -> str:
    accuracy = card.get("accuracy")
    if not isinstance(accuracy, dict):
        return ""
    shares = [
        f"{100 * accuracy[split]:.2f} % of {accuracy[f'{split}_count']:,} {name}"
        for split, name in (("test", "test images"), ("train", "training images"))
        if isinstance(accuracy.get(split), float) and isinstance(accuracy.get(f"{split}_count"), int)
    ]
    return f"{accuracy.get('code')}: {', '.join(shares)}" if shares else ""


def _ood(metadata: "BundleMetadata") -> str:
    if metadata.ood is None:
        return "no output: images unlike the training images are not flagged"
    share = metadata.ood.metrics.get("false_flags_test")
    also = f", and {100 * share:.1f} % of the test images" if isinstance(share, float) else ""
    return f"flags images unlike the training images{also}"


def _limitations(card: dict[str, Any], room: int) -> list[str]:
    """Return the limitations that fit into so many lines, and how many do not."""
    sentences = card.get(_LIMITATIONS)
    sentences = sentences if isinstance(sentences, list) else []
    lines: list[str] = []
    for number, sentence in enumerate(sentences):
        wrapped = _wrapped("" if number else _LIMITATIONS, f"- {sentence}")
        left = number < len(sentences) - 1
        if len(lines) + len(wrapped) + left > room:
            return [*lines, *_wrapped("" if number else _LIMITATIONS, f"({len(sentences) - number} more)")]
        lines += wrapped
    return lines


# --- all metadata ------------------------------------------------------------------------------------------


def _flatten(value: object, name: str, depth: int = 0) -> Iterator[tuple[str, str]]:
    """Yield the entries of a nested table, names joined by dots."""
    if isinstance(value, dict) and depth < _MAX_DEPTH:
        for key, inner in value.items():
            yield from _flatten(inner, f"{name}.{key}" if name else str(key), depth + 1)
    elif isinstance(value, list) and not any(isinstance(item, (dict, list)) for item in value):
        yield name, ", ".join(output.show_number(item) for item in value)
    elif isinstance(value, (dict, list)):
        yield name, f"({len(value):,} {'entry' if len(value) == 1 else 'entries'}, see --json)"
    else:
        yield name, output.show_number(value)
