"""Shares near one hundred per cent, of more draws than `evaluate` makes.

    python benchmarks/generated_share.py [BUNDLE ...] [--rounds 10]

Draws 10,000 images a round, seeds 1000, 1001, ..., and prints the shares in which `evaluate`'s classifier
sees
the digit of the drawn category, and in which the bundle's own encoder reads that category. Of 100,000 draws a
share of 99.9 % has a standard error of 0.01 points; of 10,000 it has 0.03. For one categorical code.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from infogan_tool.export.evaluation.classifier import ClassifierSettings, default_folder, find_classifier
from infogan_tool.export.evaluation.metrics.label_matching import match_labels
from infogan_tool.export.evaluation.real_images import load_real_images, to_nhwc
from infogan_tool.runtime import load_bundle
from infogan_tool.runtime.images.arrays import to_uint8

DRAWS = 10_000
FIRST_SEED = 1000


def main() -> None:
    """Draw, classifier and print a line for each bundle."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("bundles", type=Path, nargs="*", metavar="BUNDLE")
    parser.add_argument("--data", default="mnist")
    parser.add_argument("--rounds", type=int, default=10)
    options = parser.parse_args()
    for path in options.bundles or [None]:
        bundle = load_bundle(path, device="cpu")
        (size,) = bundle.latent.categorical
        real = load_real_images(options.data, bundle.image)
        classifier = find_classifier(real.train, real.test, ClassifierSettings(), folder=default_folder())
        found = bundle.encode(to_nhwc(real.train)).categories[:, 0]
        assert real.train.labels is not None
        label_of = np.array(match_labels(found, real.train.labels.numpy(), size).label_of)
        judged, read = 0, 0
        for seed in range(FIRST_SEED, FIRST_SEED + options.rounds):
            latents = bundle.sample(DRAWS, seed)
            images = bundle.generate(latents)
            classes, _ = classifier.classify(to_uint8(images, bundle.image))
            wanted = latents.categories[:, 0]
            judged += int((classes == label_of[wanted]).sum())
            read += int((bundle.encode(images).categories[:, 0] == wanted).sum())
        count = options.rounds * DRAWS
        print(
            f"{path or 'what ships'}: {count:,} draws, judged {judged / count:.3%}, read {read / count:.3%}"
        )


if __name__ == "__main__":
    main()
