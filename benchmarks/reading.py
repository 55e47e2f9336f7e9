"""Accuracy on digits from outside of MNIST, and the share of non-digits that is flagged.

    python benchmarks/reading.py [--bundle BUNDLE] [--count 10000]

Every image takes the path of ``infogan-tool encode``: the content of an image file, :func:`load_image`, the
encoder. Prints Markdown tables: how digits are read, how many are misread of each font, and the share of each
group of non-digits that is flagged as out of distribution.
"""

from __future__ import annotations

import argparse
import io
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from fonts import HANDWRITING, PRINT, find_fonts
from outliers import outliers
from photographs import photograph
from PIL import Image, ImageDraw, ImageFont
from sklearn.datasets import load_digits

from infogan_tool.export.evaluation.metrics.calibration import expected_calibration_error
from infogan_tool.runtime import load_bundle, load_image
from infogan_tool.train.data import load_test_images

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy.typing as npt

    from infogan_tool.runtime import Bundle, Posterior

SEED = 20_160_614
OUTLIERS = 200
PHOTOGRAPHS_A_DIGIT = 5


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--bundle", type=Path, help="default: the pretrained bundle")
    parser.add_argument("--count", type=int, default=10_000, help="number of MNIST test digits")
    options = parser.parse_args()
    bundle = load_bundle(options.bundle, device="cpu")
    fonts = find_fonts(HANDWRITING), find_fonts(PRINT)
    print("| images | number | accuracy | mean confidence | ECE | flagged |")
    print("|---|---|---|---|---|---|")
    _digits(bundle, options.count, fonts[0])
    print("\n| not digits | number | flagged |")
    print("|---|---|---|")
    _others(bundle, [*fonts[0].values(), *fonts[1].values()])


def _digits(bundle: Bundle, count: int, fonts: dict[str, Path]) -> None:
    test = load_test_images("mnist", size=28, channels=1)
    assert test is not None
    assert test.labels is not None
    spread = slice(None, None, max(1, len(test) // count))
    images, labels = test.images[spread, 0][:count].numpy(), test.labels[spread][:count].numpy()
    _row(bundle, "MNIST's test digits", map(_png, images), labels)
    photographs = [photograph(p, np.random.default_rng([SEED, i])) for i, p in enumerate(images)]
    _row(bundle, "the same as photographs", photographs, labels)
    _row(bundle, "the same photographs, `--raw`", photographs, labels, raw=True)
    other = load_digits()
    small = (_png(np.rint(p * (255 / 16)).astype(np.uint8)) for p in other.images)
    _row(bundle, "scikit-learn's 8 x 8 digits", small, other.target)
    drawn = [_drawn(str(digit), font) for font in fonts.values() for digit in range(10)]
    truth = np.tile(np.arange(10), len(fonts))
    as_drawn = _row(
        bundle, f"digits in {len(fonts)} handwriting-like fonts", map(_png, (255 - d for d in drawn)), truth
    )
    taken = (
        photograph(d, np.random.default_rng([SEED, 1, i, turn]))
        for i, d in enumerate(drawn)
        for turn in range(PHOTOGRAPHS_A_DIGIT)
    )
    in_photographs = _row(bundle, "the same as photographs", taken, truth.repeat(PHOTOGRAPHS_A_DIGIT))
    print("\n| misread of font | as drawn, of 10 | in photographs, of 50 |")
    print("|---|---|---|")
    misread = [(~right).reshape(len(fonts), -1).sum(axis=1) for right in (as_drawn, in_photographs)]
    for name, few, many in zip(fonts, *misread, strict=True):
        print(f"| {name} | {few} | {many} |")


def _others(bundle: Bundle, fonts: list[Path]) -> None:
    shares = []
    for name, files in outliers(OUTLIERS, SEED, fonts).items():
        flagged = _flagged(_encoded(bundle, files))
        shares.append(flagged)
        print(f"| {name} | {len(files):,} | {_percent(flagged)} |")
    print(f"| **all** | {OUTLIERS * len(shares):,} | **{_percent(np.mean(shares))}** |")


def _row(
    bundle: Bundle, name: str, files: Iterable[bytes], labels: npt.NDArray[np.int64], *, raw: bool = False
) -> npt.NDArray[np.bool_]:
    """Print a row of the table and return which images were read right."""
    posterior = _encoded(bundle, files, raw=raw)
    names = np.array(bundle.metadata.labels["k1"], object)
    right = names[posterior.categories[:, 0]] == np.array([str(label) for label in labels], object)
    confidence = posterior.confidence[:, 0].astype(np.float64)
    cells = (
        f"{len(right):,}",
        _percent(right.mean(), 2),
        f"{confidence.mean():.3f}",
        f"{expected_calibration_error(confidence, right):.3f}",
        _percent(_flagged(posterior), 2),
    )
    print(f"| {name} | {' | '.join(cells)} |")
    sys.stdout.flush()
    return right


def _encoded(bundle: Bundle, files: Iterable[bytes], *, raw: bool = False) -> Posterior:
    return bundle.encode(np.stack([load_image(file, bundle.image, raw=raw) for file in files]))


def _flagged(posterior: Posterior) -> float:
    return float("nan") if posterior.ood is None else float(posterior.ood.mean())


def _percent(share: float, digits: int = 1) -> str:
    return "-" if np.isnan(share) else f"{100 * share:.{digits}f} %"


def _png(image: npt.NDArray[np.uint8]) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image).save(file, format="PNG")
    return file.getvalue()


def _drawn(digit: str, font: Path) -> npt.NDArray[np.uint8]:
    """Set a digit, light on black, in the middle of a square."""
    face = ImageFont.truetype(str(font), 120)
    left, top, right, bottom = face.getbbox(digit)
    page = Image.new("L", (200, 200), 0)
    place = (100 - (left + right) / 2, 100 - (top + bottom) / 2)
    ImageDraw.Draw(page).text(place, digit, fill=255, font=face)
    return np.asarray(page)


if __name__ == "__main__":
    main()
