"""A page of captioned images: one HTML file without requests to other files."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from PIL import Image

from infogan_tool.export.report.html import escaped, page

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import numpy.typing as npt

_STYLE: Final = """\
:root { color-scheme: light dark; font: 15px/1.45 system-ui, sans-serif; }
body { margin: 0 auto; max-width: 76rem; padding: 1rem; }
.images { display: flex; flex-wrap: wrap; gap: .75rem; }
figure { margin: 0; max-width: 100%; }
.small { width: 8.5rem; }
img { display: block; max-width: 100%; image-rendering: pixelated; border: 1px solid #8888; }
figcaption { font-size: .85rem; overflow-wrap: anywhere; }
"""


@dataclass(frozen=True, slots=True, eq=False)
class Captioned:
    """An image, uint8 ``(H, W)`` or ``(H, W, 1 or 3)``, with lines of untrusted text below it."""

    image: npt.NDArray[np.uint8]
    lines: Sequence[str]
    small: bool = False
    """A thumbnail: its caption is as narrow as the image."""


@dataclass(frozen=True, slots=True)
class ImageSection:
    """A heading, a sentence, and images."""

    title: str
    text: str
    images: Sequence[Captioned]


def make_image_page(title: str, introduction: str, sections: Sequence[ImageSection]) -> str:
    """Return the page as HTML; all text is escaped here."""
    body = "".join(_section(section) for section in sections)
    head = f"<h1>{escaped(title)}</h1>\n<p>{escaped(introduction, limit=None)}</p>\n"
    return page(escaped(title), _STYLE, head + body)


def _section(section: ImageSection) -> str:
    figures = "".join(_figure(item) for item in section.images)
    text = f"<p>{escaped(section.text, limit=None)}</p>" if section.text else ""
    title = escaped(section.title)
    return f'<section>\n<h2>{title}</h2>\n{text}<div class="images">{figures}</div>\n</section>\n'


def _figure(item: Captioned) -> str:
    content = io.BytesIO()
    flat = item.image[..., 0] if item.image.shape[2:] == (1,) else item.image
    Image.fromarray(flat).save(content, format="PNG")
    source = base64.b64encode(content.getvalue()).decode("ascii")
    caption = "<br>".join(escaped(line) for line in item.lines)
    alt = escaped(item.lines[0]) if item.lines else ""
    small = ' class="small"' if item.small else ""
    return (
        f'<figure{small}><img alt="{alt}" src="data:image/png;base64,{source}">'
        f"<figcaption>{caption}</figcaption></figure>\n"
    )
