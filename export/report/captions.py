"""Titles and short captions of the figures; docs/guide/report.md explains each at length."""

from __future__ import annotations

from typing import Final

__all__ = ["CAPTIONS", "TITLES"]

TITLES: Final = {
    "training": "Training",
    "evolution": "From noise to images",
    "images": "Generated beside real",
    "codes": "What each code does",
    "effects": "How far, how consistently, how sharp",
    "reading": "Reading the codes back",
}
"""Headings of the chapters, in order, by their anchors."""

CAPTIONS: Final[dict[str, tuple[str, str]]] = {
    "losses": (
        "Losses of D, G and Q",
        """Two players: neither loss should run away to 0, which would be the other's defeat. A D that
        guesses has 2 log 2 = 1.39, G then log 2 = 0.69. A negative loss of a continuous code is right: it
        is minus a log density. Faint: as logged; line: running mean.""",
    ),
    "probabilities": (
        "What D gives real and generated images",
        """D's mean for real images, and for the same generated ones before and after G's update: after
        should be above before, which is what the update is for. Real above fake, neither stuck at 1 or 0,
        is a game that goes on; at the dotted line D guesses.""",
    ),
    "information": (
        "What the codes tell: L_I",
        """The lower bound of the mutual information between each code and the image, against the code's
        own entropy H(c), dotted. A category that reaches its H(k) can always be read from the image. A
        continuous code may go above its H(c), because a density may be above 1; near -0.18 it is dead.""",
    ),
    "other-stages": (
        "The stages before and after",
        "Figures of the stages in which G does not learn.",
    ),
    "evolution": (
        "The same latents at several epochs",
        """Each column is one fixed latent, each row an epoch. What changes from row to row is what G has
        learnt, since nothing else has changed.""",
    ),
    "generated": (
        "Random latents, and real images",
        """Not chosen: the first ones of the seed. Look for images that are nothing, for the same image
        again and again, and for kinds of real images that never come.""",
    ),
    "category": (
        "the category",
        """A column for each category, a row for each noise. A category that means something is the same
        thing all the way down its column.""",
    ),
    "style": (
        "a continuous code",
        """From left to right the code goes from -2 to 2, all else is held; the bar marks -1 to 1, which
        training draws. A code that means something does the same in every row.""",
    ),
    "effects": (
        "Strength and consistency",
        """Each code is moved from -1 to 1 (a category: to another one) while all else is held. Right: it
        changes pixels more. Up: it changes them alike whatever the noise. Grey: single noise dimensions,
        moved as far. A code that lies among the grey points is one more of them, and has no meaning of
        its own.""",
    ),
    "comparison": (
        "Sharp, and right?",
        """Sharpness: fine structure for the contrast that an image has, where real images have 1
        (dotted); below it is blurred, above it is grainy. Correctness: share of generated images in
        which an independent classifier sees what their category stands for.""",
    ),
    "confusion": (
        "Confusion on real images",
        """Rows are labels, cells the percentage of a label's images in each category. With one full cell
        in each row and column the categories are the labels, though training saw none of these.""",
    ),
    "recovery": (
        "Continuous codes read back",
        """Each point is a generated image: the code that it was drawn with, and the mean that the encoder
        reads from it. On the dotted diagonal it reads what was drawn; a flat cloud is a code that
        images do not show.""",
    ),
    "attributes": (
        "What the styles follow",
        """Pearson's r between each continuous code and what can be measured on an image, within categories:
        on images drawn with it, and on real ones as the encoder reads them.""",
    ),
    "looks": (
        "Which category looks like what",
        """The label that each category is matched to on real images, and what an independent classifier sees
        most often in images drawn with it. Both are found after training.""",
    ),
}
"""Title and reading of a row of figures."""
