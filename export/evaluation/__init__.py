"""Metrics of an exported bundle, computed on real and on generated images.

- ``measure``: run the bundle, compute all metrics; ``results``: the dataclasses that hold them.
- ``metrics``: one family of metrics in each file, pure functions of arrays.
- ``real_images``: training and test images at a bundle's size.
- ``classifier``: the independent evaluation classifier, and its cache.
- ``factor_scores``: the scores of codes against known factors.
- ``styles``: what each continuous code correlates with, and its name; ``traversals``: the latents for it.
- ``axes``: whether each continuous code has an independent effect of its own; needs no images.

Nothing here opens or exports anything: that is ``export.evaluate``. docs/reference/evaluation.md describes
each result.
"""
