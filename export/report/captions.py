"""Titles and captions of the figures. docs/guide/report.md has the details."""

from __future__ import annotations

from typing import Final

TITLES: Final = {
    "training": "Training",
    "evolution": "Samples over training",
    "images": "Generated and real images",
    "codes": "Code traversals",
    "effects": "Strength, consistency and sharpness",
    "recovery": "Encoder and code recovery",
}
"""Headings of the sections, in order, by their anchors."""

CAPTIONS: Final[dict[str, tuple[str, str]]] = {
    "losses": (
        "Losses of D, G and Q",
        """Where D cannot tell real from generated images, its loss and G's are 1.39 and 0.69
        with bce, 0.25 and 0.125 with least_squares, and 2 and 0 with hinge. A loss of D near 0 means that G
        has stopped learning. The loss of a continuous code is a negative log density, so it may be negative.
        Faint: logged values; line: running mean.""",
    ),
    "probabilities": (
        "D's probability for real and generated images",
        """Mean over real images, and over the same generated images before and after the update of G. The
        update should raise it. In balanced training real is above fake, and neither stays at 1 or 0; the
        dotted line is chance. With hinge it is the share of images for which D's output is above 0.""",
    ),
    "information": (
        "Mutual information: L_I",
        """Lower bound of the mutual information between each code and the image, against the entropy H(c) of
        the code (dotted). A categorical code that reaches H(k) can be inferred from every image. A
        continuous code may exceed its H(c), because a density may exceed 1; near -0.18 it has no effect.""",
    ),
    "other-stages": (
        "Other stages",
        "Losses of the stages that do not train G.",
    ),
    "evolution": (
        "The same latents at several epochs",
        """Each column is one fixed latent, each row an epoch: differences between rows are due to training
        alone.""",
    ),
    "generated": (
        "Random latents, and real images",
        """The first images of the seed, not selected. Look for malformed images, for the same image again and
        again (mode collapse), and for kinds of real images that are missing.""",
    ),
    "category": (
        "categorical code",
        """One column for each category, one row for each noise. A meaningful category has the same content in
        its whole column.""",
    ),
    "style": (
        "continuous code",
        """The code varies from -2 to 2 from left to right, a periodic one from -1 to 1; all else is fixed.
        The bar marks -1 to 1, the range in training. A meaningful code has the same effect in every row.""",
    ),
    "effects": (
        "Strength and consistency of each code",
        """Each code is moved from -1 to 1 (a periodic one by half a turn, a categorical code to another
        category) while all else is fixed.
        Strength: change of the pixels. Consistency: similarity of the change for different noise. Grey:
        single noise dimensions, moved as far. A code among the grey points has no effect of its own.""",
    ),
    "comparison": (
        "Sharpness and correctness",
        """Sharpness: fine structure relative to contrast, where real images have 1 (dotted); below 1 is
        blurred, above 1 is grainy. Correctness: share of generated images that the evaluation classifier
        assigns to the label of their category.""",
    ),
    "confusion": (
        "Confusion matrix on real images",
        """Rows are labels; each cell is the percentage of the label's images in a category. With one full
        cell in each row and column the categories are the labels, although training uses no labels.""",
    ),
    "recovery": (
        "Recovery of continuous codes",
        """Each point is a generated image: its code, and the mean predicted by the encoder. Points on the
        dotted diagonal are recovered exactly; a horizontal cloud is a code that has no visible effect.""",
    ),
    "attributes": (
        "Attributes of the styles",
        """Pearson's r of each continuous code and attributes of the image, within categories: on generated
        images with the code itself, on real images with the encoder's mean.""",
    ),
    "categories": (
        "Labels of the categories",
        """The label that each category is matched to on real images, and the class that the evaluation
        classifier predicts most often for images generated with it. Both are computed after training.""",
    ),
}
"""Title and caption of a row of figures."""
