"""Sphinx's settings for the documentation site, which `make docs` writes to build/site.

The pages are plain Markdown, to be read in the repository as well. Two things are added while Sphinx reads
them: the navigation, from the lists of links in docs/README.md, and the docstrings of a package where a page
has the comment ``<!-- docstrings of PACKAGE -->``.
"""

from __future__ import annotations

import re
from pathlib import Path
from posixpath import normpath
from typing import TYPE_CHECKING, Any

from infogan_tool import __version__

if TYPE_CHECKING:
    from sphinx.application import Sphinx

project = "infogan-tool"
version = release = __version__

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
root_doc = "README"
include_patterns = ["*.md", "docs/**.md", "examples/**.md", "examples/**.ipynb"]
exclude_patterns = [".*", "build", "runtime", "tests", "train", "**/node_modules"]  # not searched at all

myst_heading_anchors = 4
nb_execution_mode = "force"  # the notebooks are kept without outputs
nb_execution_raise_on_error = True
nb_execution_timeout = 1800
autodoc_default_options = {"members": True, "member-order": "bysource"}
autodoc_typehints_format = "short"

html_theme = "furo"
html_title = f"{project} {version}"
html_show_copyright = html_show_sphinx = html_copy_source = False


def _navigation() -> str:
    """Return a table of contents for each section of docs/README.md: the pages that it links to, in order."""
    tables = ["```{toctree}\n:hidden:\n\n/docs/README\n```\n"]
    for section in Path(__file__).with_name("README.md").read_text("utf-8").split("\n## ")[1:]:
        caption, _, links = section.partition("\n")
        pages = re.findall(r"\]\(([^)#]+\.(?:md|ipynb))\)", links)
        tables.append(f"```{{toctree}}\n:hidden:\n:caption: {caption.partition(':')[0]}\n\n")
        tables += [normpath(f"/docs/{page}") + "\n" for page in pages]
        tables.append("```\n")
    return "".join(tables)


def _complete(_app: Sphinx, page: str, source: list[str]) -> None:
    """Add the navigation to the first page, and docstrings where a comment asks for them."""
    if page == root_doc:
        source[0] += "\n" + _navigation()
    docstrings = r"## `\1`\n\n```{eval-rst}\n.. automodule:: \1\n```"
    source[0] = re.sub(r"<!-- docstrings of (\S+) -->", docstrings, source[0])


def _drop_module(_app: Sphinx, what: str, _name: str, _obj: object, _options: Any, lines: list[str]) -> None:  # noqa: ANN401
    """Drop the docstring of a package: it lists modules for contributors."""
    if what == "module":
        lines.clear()


def setup(app: Sphinx) -> None:
    """Register what is added and dropped."""
    app.connect("source-read", _complete)
    app.connect("autodoc-process-docstring", _drop_module)
