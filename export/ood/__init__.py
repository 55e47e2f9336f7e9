"""Whether an image is of the kind that a bundle knows: a distance that is fitted at export, without labels.

``strangers`` makes images that are not of the kind out of those that are, ``fitting`` fits a density of the
encoder's features and a comparison of its maps with strangers', ``head`` is the part of the encoder's graph
that computes the distance. docs/explanation/ood.md says why and how well it does.
"""
