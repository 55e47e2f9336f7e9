"""``--quiet`` and ``--verbose``: what each prints on standard error, and that data and errors stay."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest

from infogan_tool.cli import output

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def _normal_again() -> Iterator[None]:
    yield
    output.set_verbosity(output.Verbosity.NORMAL)


@pytest.mark.parametrize(
    ("flags", "lines"), [([], 1), (["--verbose"], 1), (["-v"], 1), (["--quiet"], 0), (["-q"], 0)]
)
def test_messages(cli: Callable[..., Any], tiny: Path, tmp_path: Path, flags: list[str], lines: int) -> None:
    out = tmp_path / "sheet.png"
    done = cli("generate", "-b", tiny, "-n", 4, "--out", out, *flags)
    assert (done.code, done.out) == (0, "")
    assert done.err.count("\n") == done.err.count("wrote 4 images") == lines
    assert out.exists()


def test_data_and_errors_are_printed_at_any_verbosity(
    cli: Callable[..., Any], tiny: Path, images: list[Path]
) -> None:
    missing = "no_such_image.png"
    results = {flag: cli("encode", images[0], missing, "-b", tiny, "--json", flag) for flag in ("-q", "-v")}
    assert [done.code for done in results.values()] == [3, 3]
    assert results["-q"].out == results["-v"].out
    assert str(images[0]) in results["-q"].out
    assert results["-q"].err.splitlines() == [f"error: {missing}: No such file or directory"]
    assert "1 of 2 images failed" in results["-v"].err


def test_both_are_refused(cli: Callable[..., Any], tiny: Path) -> None:
    done = cli("info", tiny, "--quiet", "--verbose")
    assert (done.code, done.out) == (2, "")
    assert done.err == "error: --quiet and --verbose exclude each other\n"


@pytest.mark.parametrize(
    ("flag", "printed"),
    [("-q", ["warning: c"]), (None, ["b", "warning: c"]), ("-v", ["a", "b", "warning: c"])],
)
def test_the_log_of_the_package(
    cli: Callable[..., Any],
    tiny: Path,
    capsys: pytest.CaptureFixture[str],
    flag: str | None,
    printed: list[str],
) -> None:
    assert cli("info", tiny, *([flag] if flag else [])).code == 0
    log = logging.getLogger("infogan_tool.train.run")
    log.debug("a")
    log.info("b")
    log.warning("c")
    assert capsys.readouterr().err.splitlines() == printed
