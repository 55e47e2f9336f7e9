"""``infogan-tool encode``: pictures to codes."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from infogan_tool.cli import output
from infogan_tool.cli.failures import FAILED, SOME_FAILED
from infogan_tool.cli.options import BundleOption, DeviceOption, ForceOption, JsonOption

if TYPE_CHECKING:
    from infogan_tool.runtime import Bundle, Posterior

__all__ = ["encode"]

_CHUNK: Final = 64
"""Pictures in memory at a time."""
_FEW: Final = 64
"""Up to so many pictures, opening the graph faster gains more than running it faster."""
_DIGITS: Final = 6

Sink = Callable[[dict[str, Any]], None]


def encode(
    paths: Annotated[
        list[str],
        typer.Argument(metavar="PATH", help="Pictures, of any size and kind.", show_default=False),
    ],
    *,
    bundle: BundleOption = None,
    device: DeviceOption = "auto",
    as_json: JsonOption = False,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="FILE", help="Write JSON lines to FILE.", show_default=False),
    ] = None,
    force: ForceOption = False,
) -> None:
    """Recover the category and style codes of pictures.

    Prints a table, or with --json one object a line, in the order given.
    A picture that cannot be read is named on standard error; the others are done.

    Examples:
      infogan-tool encode digit.png

      infogan-tool encode *.png --out codes.jsonl
    """
    if out:
        output.check_target(out, force=force)
    from infogan_tool.runtime import load_bundle

    opened = load_bundle(bundle, device=device, one_shot=len(paths) <= _FEW)
    if opened.fallback:
        output.note(opened.fallback)
    with _sink(opened, paths, as_json=as_json, out=out) as sink:
        done = _encode_all(opened, paths, sink)
        if not done:
            raise typer.Exit(FAILED)
    if out:
        output.note(f"wrote the codes of {output.plural(done, 'picture')} to {out}")
    if done < len(paths):
        output.note(f"{len(paths) - done:,} of {output.plural(len(paths), 'picture')} failed")
        raise typer.Exit(SOME_FAILED)


def _encode_all(bundle: "Bundle", paths: list[str], sink: Sink) -> int:
    """Hand the record of each readable picture to ``sink``; return how many there were."""
    import numpy as np

    from infogan_tool.runtime import PictureError, load_picture

    done = 0
    for start in range(0, len(paths), _CHUNK):
        names, pictures = [], []
        for path in paths[start : start + _CHUNK]:
            try:
                pictures.append(load_picture(path, bundle.image))
                names.append(path)
            except PictureError as error:
                output.error(error)
        if not pictures:
            continue
        posterior = bundle.encode(np.stack(pictures))
        for row, name in enumerate(names):
            sink(_record(bundle, posterior, row, name))
        done += len(names)
    return done


def _record(bundle: "Bundle", posterior: "Posterior", row: int, path: str) -> dict[str, Any]:
    """Return the JSON object of one picture, as docs/cli.md describes it."""
    metadata, latent = bundle.metadata, bundle.latent
    categories = []
    for column, code in enumerate(latent.categorical_names):
        index = int(posterior.categories[row, column])
        categories.append(
            {
                "code": code,
                "index": index,
                "label": metadata.label(code, index),
                "confidence": _rounded(posterior.confidence[row, column]),
                "probabilities": [_rounded(p) for p in posterior.probabilities[column][row]],
            }
        )
    styles = [
        {
            "code": code,
            "name": metadata.style_names.get(code),
            "mean": _rounded(posterior.style_mean[row, column]),
            "std": _rounded(posterior.style_std[row, column]),
        }
        for column, code in enumerate(latent.continuous_names)
    ]
    return {
        "path": path,
        "categories": categories,
        "styles": styles,
        "bundle": metadata.bundle_id,
        "provider": bundle.provider,
    }


def _rounded(value: Any) -> float:  # noqa: ANN401 - a numpy float32
    return round(float(value), _DIGITS)


@contextmanager
def _sink(bundle: "Bundle", paths: list[str], *, as_json: bool, out: Path | None) -> Iterator[Sink]:
    if out:
        from infogan_tool.runtime.files import open_aside

        with open_aside(out, "w", encoding="utf-8", newline="\n") as file:
            yield lambda record: print(output.json_line(record), file=file)
    elif as_json:
        yield lambda record: output.emit(output.json_line(record))
    else:
        from infogan_tool.cli.table import CodesTable

        table = CodesTable(bundle.metadata, paths)
        yield lambda record: output.emit(table.line(record))
