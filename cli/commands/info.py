"""``infogan-tool info``: what a bundle says of itself."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from infogan_tool.cli import output
from infogan_tool.cli.options import JsonOption
from infogan_tool.runtime.storage.atomic import printable

if TYPE_CHECKING:
    from infogan_tool.runtime import Bundle, BundleMetadata

__all__ = ["info"]

_KEY_WIDTH: Final = 11
_MAX_DEPTH: Final = 6
_CONFIG_KEY: Final = "config"
_LIMITS_KEY: Final = "limitations"


def info(
    bundle: Annotated[
        Path | None,
        typer.Argument(
            metavar="[BUNDLE]",
            help="Folder made by export. Default: the MNIST bundle that ships.",
            show_default=False,
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show what a bundle says of itself: codes, images, figures, origin."""
    from infogan_tool.runtime import load_bundle

    opened = load_bundle(bundle)
    if as_json:
        output.emit(json.dumps({"path": str(opened.path), **opened.metadata.to_dict()}, indent=2))
        return
    for key, value in _lines(opened):
        output.emit(f"{key:<{_KEY_WIDTH}} {printable(value)}".rstrip())


def _lines(bundle: "Bundle") -> Iterator[tuple[str, str]]:
    metadata = bundle.metadata
    image = metadata.image
    yield "bundle", str(bundle.path)
    yield "id", metadata.bundle_id
    yield (
        "made by",
        f"infogan-tool {metadata.tool_version}, schema {metadata.schema_version}, opset {metadata.opset}",
    )
    colours = "grey" if image.channels == 1 else "colour"
    yield "images", f"{image.size} x {image.size}, {colours}, float32 from {image.low:g} to {image.high:g}"
    yield from _codes(metadata)
    yield "precision", metadata.precision
    for name, graph in metadata.graphs.items():
        yield "file", f"{name}, {graph.bytes:,} bytes, sha256 {graph.sha256[:16]}..."
    yield from _figures("card", {key: value for key, value in metadata.card.items() if key != _LIMITS_KEY})
    yield from _sentences(_LIMITS_KEY, metadata.card.get(_LIMITS_KEY))
    yield from _figures("drift", metadata.drift)
    yield from _figures("parity", metadata.parity)
    training = {key: value for key, value in metadata.training.items() if key != _CONFIG_KEY}
    yield from _figures("training", training)
    yield "versions", ", ".join(f"{name} {version}" for name, version in metadata.versions.items())


def _codes(metadata: "BundleMetadata") -> Iterator[tuple[str, str]]:
    latent = metadata.latent
    if latent.noise:
        prior = "uniform from -1 to 1" if latent.noise_prior == "uniform" else "normal, mean 0, std 1"
        yield "noise", f"{latent.noise} dimensions, {prior}"
    for code, size in zip(latent.categorical_names, latent.categorical, strict=True):
        names = metadata.labels.get(code)
        shown = ": " + ", ".join(f"#{i} = {n}" for i, n in enumerate(names) if n is not None) if names else ""
        yield code, f"{size} categories{shown}"
    for code in latent.continuous_names:
        name = metadata.style_names.get(code)
        yield code, "continuous, uniform from -1 to 1" + (f": {name}" if name else "")


def _figures(title: str, table: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Return an open table line by line, nested names joined by dots, with its title on the first."""
    for key, value in _flat(table, "", 0):
        yield title, f"{key} {value}"
        title = ""


def _sentences(title: str, found: object) -> Iterator[tuple[str, str]]:
    """Return what an open table has as a list of sentences, each on a line of its own."""
    for sentence in found if isinstance(found, list) else ():
        yield title, str(sentence)
        title = ""


def _flat(value: object, name: str, depth: int) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict) and depth < _MAX_DEPTH:
        for key, below in value.items():
            yield from _flat(below, f"{name}.{key}" if name else str(key), depth + 1)
    elif isinstance(value, list) and not any(isinstance(item, (dict, list)) for item in value):
        yield name, ", ".join(output.show_number(item) for item in value)
    elif isinstance(value, (dict, list)):
        yield name, f"({output.plural(len(value), 'entry' if len(value) == 1 else 'entrie')}, see --json)"
    else:
        yield name, output.show_number(value)
