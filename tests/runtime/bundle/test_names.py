"""Names that a user gives: what is refused, what is made harmless, and TOML."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from infogan_tool.runtime import read_metadata
from infogan_tool.runtime.bundle.names import (
    MAX_NAME,
    Names,
    apply_names,
    clean_name,
    folder_names,
    parse_names,
    to_toml,
)
from infogan_tool.runtime.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

UNPRINTABLE = ["a\nb", "\x1b[31mred", "\x07", "right\u202eto left", "\udcff", "a\tb", "a\u2028b"]


@pytest.mark.parametrize("name", [*UNPRINTABLE, "x" * (MAX_NAME + 1), "#3", 7, True, ["cat"]])
def test_hostile_names_are_refused_on_one_printable_line(name: object) -> None:
    with pytest.raises(UsageError) as error:
        clean_name(name, "k1 0")
    assert "k1 0" in str(error.value)
    assert str(error.value).isprintable()


def test_names_are_normalised() -> None:
    assert clean_name("  a   cat ", "k1 0") == "a cat"
    assert clean_name("e\u0301", "k1 0") == clean_name("\u00e9", "k1 0") == "\u00e9"
    assert clean_name("   ", "k1 0") is None
    assert clean_name("<b>T-shirt/top</b>", "k1 0") == "<b>T-shirt/top</b>"  # every page escapes it


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([], "the file must be a table"),
        ({"category": {}}, "the file has no 'category' (did you mean 'categories'?)"),
        ({"categories": {"k9": {}}}, "categories has no 'k9'"),
        ({"categories": {"k1": {"4": "x"}}}, "categories.k1 has no '4'"),
        ({"categories": {"k1": {"00": "x"}}}, "categories.k1 has no '00'"),
        ({"categories": {"k1": ["x"]}}, "categories.k1 lists 1 names; k1 has 4"),
        ({"categories": {"k1": "x"}}, "categories.k1 must be a table"),
        ({"styles": {"c4": "x"}}, "styles has no 'c4'"),
        ({"styles": {"c1": 1}}, "the name of c1 must be a text"),
        ({"\x1b[2J": 1}, "the file has no '\\x1b[2J'"),
    ],
)
def test_wrong_names_are_refused(tiny: Path, data: object, message: str) -> None:
    with pytest.raises(UsageError) as error:
        parse_names(data, read_metadata(tiny).latent)
    assert message in str(error.value)


def test_toml_round_trip(tiny: Path) -> None:
    metadata = read_metadata(tiny)
    labels = {"k1": ('a "quoted" \\ name', None, "é", "cat"), "k2": (None, None, None)}
    named = replace(metadata, labels=labels, style_names={"c1": "slant", "c2": None, "c3": None})
    text = to_toml(named, {"c2": "most correlated with\nwidth"})
    names = parse_names(tomllib.loads(text), metadata.latent)
    assert apply_names(metadata, names) == (labels, named.style_names)
    assert "# most correlated with\\nwidth" in text


def test_names_that_are_not_given_stay(tiny: Path) -> None:
    metadata = replace(read_metadata(tiny), labels={"k1": ("a", "b", None, None)})
    labels, styles = apply_names(metadata, Names({"k1": {1: None, 2: "c"}}, {"c3": "size"}))
    assert labels == {"k1": ("a", None, "c", None)}
    assert styles == {"c1": None, "c2": None, "c3": "size"}
    with pytest.raises(UsageError, match="c1 and c2 cannot have the same name, 'size'"):
        apply_names(metadata, Names(styles={"c1": "size", "c2": "size"}))


def test_styles_that_have_the_same_name_may_keep_it(tiny: Path) -> None:
    metadata = replace(read_metadata(tiny), style_names={"c1": "slant", "c2": "slant", "c3": None})
    names = parse_names(tomllib.loads(to_toml(metadata)), metadata.latent, metadata)
    assert apply_names(metadata, names)[1] == metadata.style_names
    with pytest.raises(UsageError, match="cannot have the same name, 'slant'"):
        apply_names(metadata, Names(styles={"c3": "slant"}))


def test_folder_names_are_valid_everywhere_and_differ() -> None:
    given = [
        "../up",
        "/etc",
        "..",
        "",
        "a/b",
        "a\\b",
        "A_b",
        "con",
        "nul.txt",
        "~",
        "end. ",
        "\x1b[2J",
        "x" * 500,
    ]
    made = folder_names(given)
    assert len({name.casefold() for name in made}) == len(given)
    for name in made:
        assert name.isprintable()
        assert not set(name) & set('<>:"/\\|?*')
        assert not name.startswith((".", "~"))
        assert not name.endswith((".", " "))
        assert len(name) < 80
        assert name.split(".")[0].casefold() not in ("con", "nul")
    assert folder_names(["cat", "dog 2"]) == ["cat", "dog 2"]
