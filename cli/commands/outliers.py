"""``infogan-tool outliers``: the odd images of an unlabelled data set."""

import heapq
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from infogan_tool.cli import output
from infogan_tool.cli.options import (
    BundleOption,
    DeviceOption,
    ForceOption,
    JsonOption,
    ProgressOption,
    ThreadsOption,
)
from infogan_tool.runtime.errors import UsageError

if TYPE_CHECKING:
    from infogan_tool.cli.encode.collect import Collection
    from infogan_tool.export.image_page import Captioned, ImageSection
    from infogan_tool.runtime import Bundle, Posterior
    from infogan_tool.runtime.bulk.encode.encoded import Encoded

_MAX_COUNT: Final = 1000
_THUMBNAIL: Final = 96
_MOSTLY: Final = 0.5
"""Above this share of flagged images, the bundle is probably of other images."""

_LISTS: Final = {
    "unlike_training": "Least like the training images",
    "uncertain": "Least certain category",
}
"""Key in the JSON and title of each list."""

_Row = tuple[float, int, str, Any, Any]
"""Key to sort by, number of the image, name, network's input ``(H, W, C)``, posterior."""
_Found = dict[str, list[_Row]]
"""The images of each list."""


def outliers(
    paths: Annotated[
        list[str],
        typer.Argument(metavar="FOLDER", help="Folders, images, quoted patterns, or arrays, as in encode."),
    ],
    *,
    bundle: BundleOption = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="FILE.html", help="Also write a page with the images."),
    ] = None,
    count: Annotated[
        int, typer.Option("--count", "-n", min=1, max=_MAX_COUNT, metavar="N", help="Images in each list.")
    ] = 20,
    as_json: JsonOption = False,
    device: DeviceOption = "auto",
    threads: ThreadsOption = None,
    progress: ProgressOption = None,
    force: ForceOption = False,
) -> None:
    """List the odd images of a folder: unlike the training images, or of uncertain category.

    Two lists, the oddest images first: by the OOD score, which measures how
    unlike the bundle's training images an image is, and by the confidence of
    the category. Images of equal score, such as those rounded to 1, are in the
    order of the inputs. To clean an unlabelled data set, train on it and look at
    both.

    Examples:
      infogan-tool outliers scans --bundle bundle

      infogan-tool outliers scans --bundle bundle --count 100 --out odd.html
    """
    if out is not None:
        output.check_page(out, force=force)
    from infogan_tool.cli.encode.collect import Collection
    from infogan_tool.runtime import load_bundle

    opened = load_bundle(bundle, device=device, threads=1)
    if opened.metadata.ood is None and not opened.latent.categorical:
        raise UsageError(f"{opened.path} has neither an OOD score nor categories, so no image is an outlier")
    images = Collection(opened, paths, threads=threads, progress=progress)
    found, flagged, uncertain = _find(images, count)
    summary = _summary(opened, images.done, flagged, uncertain)
    if as_json:
        lists = {key: list(_records(opened, rows)) for key, rows in found.items()}
        output.emit(output.json_line(summary | lists))
    else:
        _print(opened, found, summary)
    if out is not None:
        from infogan_tool.export.image_page import make_image_page
        from infogan_tool.runtime.storage.atomic import write_atomic

        sections = list(_sections(opened, found))
        title = f"Outliers among {output.plural(images.done, 'image')}"
        write_atomic(out, make_image_page(title, " ".join(_sentences(summary)), sections))
        output.note(f"wrote {out}")
    code = images.exit_code
    if code:
        raise typer.Exit(code)


def _find(images: "Collection", count: int) -> tuple[_Found, int, int]:
    """Return the lists, and how many images are out of distribution and of low confidence."""
    found: _Found = {}
    flagged = uncertain = 0
    for encoded in images:
        posterior = encoded.posterior
        if posterior.distance is not None and posterior.ood is not None:
            _keep(found.setdefault("unlike_training", []), -posterior.distance, encoded, images.done, count)
            flagged += int(posterior.ood.sum())
        if posterior.confidence.shape[1]:
            keys = posterior.confidence.min(axis=1)
            _keep(found.setdefault("uncertain", []), keys, encoded, images.done, count)
            uncertain += int(posterior.low_confidence.sum())
    return found, flagged, uncertain


def _keep(rows: list[_Row], keys: Any, encoded: "Encoded", first: int, count: int) -> None:  # noqa: ANN401
    """Merge the images of a chunk with the smallest keys into a list of ``count``."""
    import numpy as np

    # Copies: a view of one image would keep its whole chunk in memory.
    new = [
        (
            float(keys[r]),
            first + r,
            encoded.names[r],
            encoded.images[r].copy(),
            encoded.posterior[np.array([r])],
        )
        for r in np.argsort(keys, kind="stable")[:count].tolist()
    ]
    rows[:] = heapq.nsmallest(count, [*rows, *new], key=lambda item: item[:2])


def _summary(bundle: "Bundle", images: int, flagged: int, uncertain: int) -> dict[str, Any]:
    summary: dict[str, Any] = {"bundle": bundle.metadata.bundle_id, "images": images}
    if bundle.metadata.ood is not None:
        metrics = bundle.metadata.ood.metrics
        rates = {
            key: metrics[key]
            for key in ("false_flags_held_out", "false_flags_test")
            if isinstance(metrics.get(key), float)
        }
        summary["ood"] = {"images": flagged, "threshold": bundle.metadata.ood.threshold, **rates}
    if bundle.latent.categorical:
        from infogan_tool.runtime.bundle.reading import LOW_CONFIDENCE

        summary["low_confidence"] = {"images": uncertain, "threshold": LOW_CONFIDENCE}
    return summary


def _sentences(summary: dict[str, Any]) -> Iterator[str]:
    total = summary["images"]

    def of(part: int) -> str:
        return f"{part:,} of {output.plural(total, 'image')} ({100 * part / total:.1f} %)"

    if ood := summary.get("ood"):
        yield f"Out of distribution (OOD score above {ood['threshold']:g}): {of(ood['images'])}."
        rates = [
            f"{100 * ood[key]:.1f} % of {what}"
            for key, what in (
                ("false_flags_held_out", "training images that it was not fitted on"),
                ("false_flags_test", "test images"),
            )
            if key in ood
        ]
        if rates:
            yield f"False flags: the threshold flags {' and '.join(rates)}."
        if ood["images"] > _MOSTLY * total:
            yield "Most images are unlike those that the bundle was trained on; is it the right bundle?"
    else:
        yield "The bundle has no OOD score; images are listed by the confidence of their category only."
    if low := summary.get("low_confidence"):
        yield f"Low confidence (below {low['threshold']:g}): {of(low['images'])}."


def _records(bundle: "Bundle", rows: list[_Row]) -> Iterator[dict[str, Any]]:
    """Yield the record of each image, as ``encode --json`` prints it."""
    from infogan_tool.runtime.bulk.output.formats import make_format

    record_format = make_format("jsonl", bundle)
    for _, _, name, _, posterior in rows:
        yield json.loads(record_format.rows([name], posterior))


def _print(bundle: "Bundle", found: _Found, summary: dict[str, Any]) -> None:
    from infogan_tool.cli.encode.table import CodesTable

    for key, title in _LISTS.items():
        if key in found:
            output.emit(title)
            table = CodesTable(bundle.metadata, [name for _, _, name, _, _ in found[key]], distance=True)
            for _, _, name, _, posterior in found[key]:
                for line in table.lines([name], posterior):
                    output.emit(line)
            output.emit("")
    for sentence in _sentences(summary):
        output.emit(sentence)


def _sections(bundle: "Bundle", found: _Found) -> Iterator["ImageSection"]:
    from infogan_tool.export.image_page import ImageSection

    for key, title in _LISTS.items():
        if key in found:
            yield ImageSection(title, "", [_captioned(bundle, *row[2:]) for row in found[key]])


def _captioned(bundle: "Bundle", name: str, image: Any, posterior: "Posterior") -> "Captioned":  # noqa: ANN401
    from infogan_tool.export.image_page import Captioned
    from infogan_tool.runtime import ImageSpec
    from infogan_tool.runtime.bulk.decode.deadline import read_with_timeout
    from infogan_tool.runtime.errors import ImageError

    thumbnail = ImageSpec(size=_THUMBNAIL, channels=3, low=0.0, high=1.0)
    try:
        image = read_with_timeout(name, thumbnail, raw=True)
    except ImageError:  # an image of an array, or a file that has gone: what the network has seen
        scale = max(1, _THUMBNAIL // bundle.image.size)
        image = image.repeat(scale, axis=0).repeat(scale, axis=1)
    lines = [name]
    for column, code in enumerate(bundle.latent.categorical_names):
        index = int(posterior.categories[0, column])
        label = bundle.metadata.shown_label(code, index)
        lines.append(f"{code}: {label}, {100 * posterior.confidence[0, column]:.1f} %")
    if posterior.distance is not None and posterior.ood is not None:
        flag = " (out of distribution)" if posterior.ood[0] else ""
        lines.append(f"OOD score {posterior.distance[0]:.3f}{flag}")
    return Captioned(image, lines, small=True)
