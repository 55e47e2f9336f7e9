"""``info``: a summary that fits a screen, and all metadata as text or JSON."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from infogan_tool.runtime import load_bundle

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def changed(source: Path, folder: Path, **keys: object) -> Path:
    """Return a copy of a bundle with other values of some metadata keys."""
    bundle = shutil.copytree(source, folder / "bundle")
    data = json.loads((bundle / "metadata.json").read_text())
    (bundle / "metadata.json").write_text(json.dumps(data | keys))
    return bundle


def test_json_is_the_metadata(cli: Callable[..., Any], tiny: Path) -> None:
    done = cli("info", tiny, "--json")
    assert (done.code, done.err) == (0, "")
    shown = json.loads(done.out)
    assert shown.pop("path") == str(tiny)
    assert shown == json.loads((tiny / "metadata.json").read_text())


@pytest.mark.parametrize("which", ["tiny", "continuous", "mnist", "mnist-int8"])
def test_the_summary_fits_a_screen(
    cli: Callable[..., Any], which: str, request: pytest.FixtureRequest
) -> None:
    bundle = which if which.startswith("mnist") else request.getfixturevalue(which)
    done = cli("info", bundle)
    assert (done.code, done.err) == (0, "")
    lines = done.out.splitlines()
    assert len(lines) <= 24
    assert max(map(len, lines[1:])) <= 80
    keys = [line.split()[0] for line in lines if not line.startswith(" ")]
    assert {"bundle", "model", "c1", "c2", "ood", "limitations", "files", "more"} <= set(keys)
    assert ("accuracy" in keys) == (which != "continuous")


def test_the_summary_of_the_pretrained_bundle(cli: Callable[..., Any]) -> None:
    shown = cli("info").out
    labels = load_bundle().metadata.labels["k1"]
    for part in (
        "preset mnist, trained on mnist, 28 x 28 grey images, fp32",
        f"k1          10 categories: #0={labels[0]}, #1={labels[1]}, ",
        "c1          continuous, from -1 to 1: slant",
        " of 10,000 test images, ",
        "flags images unlike the training images, and ",
        "files       generator.onnx (3.5 MB), q_encoder.onnx (6.4 MB)",
    ):
        assert part in shown


def test_a_summary_of_hostile_metadata_fits_a_screen(
    cli: Callable[..., Any], tiny: Path, tmp_path: Path
) -> None:
    bundle = changed(
        tiny,
        tmp_path,
        card={"accuracy": "none", "limitations": ["word " * 10_000, "x\x1b[2J" * 500, *["more"] * 1000]},
        labels={"k1": ["a" * 500, None, "[bold]three[/bold]", "four"]},
        training={"preset": "p\n" * 5000, "data": 7},
    )
    done = cli("info", bundle)
    assert (done.code, done.err) == (0, "")
    assert "\x1b" not in done.out
    assert len(done.out.splitlines()) <= 24
    assert max(map(len, done.out.splitlines())) <= 80
    assert " more)" in done.out


def test_all_metadata_as_text(cli: Callable[..., Any], tiny: Path) -> None:
    done = cli("info", tiny, "--all")
    assert (done.code, done.err) == (0, "")
    shown = dict(line.split(" = ", maxsplit=1) for line in done.out.splitlines())
    metadata = json.loads((tiny / "metadata.json").read_text())
    assert {key.partition(".")[0] for key in shown} >= {key for key, value in metadata.items() if value != {}}
    assert shown["path"] == str(tiny)
    assert shown["bundle_id"] == metadata["bundle_id"]
    assert (shown["image.size"], shown["image.channels"]) == ("16", "3")
    assert (shown["latent.noise"], shown["latent.noise_prior"]) == ("5", "normal")
    assert shown["latent.categorical"] == "4, 3"
    assert shown["graphs.generator.onnx.bytes"] == str(metadata["graphs"]["generator.onnx"]["bytes"])
    assert shown["training.preset"] == "paper"
    assert metadata["card"]["limitations"][0] in shown["card.limitations"]


def test_all_metadata_is_escaped(cli: Callable[..., Any], tiny: Path, tmp_path: Path) -> None:
    nested: dict[str, Any] = {"deep": 1}
    for _ in range(40):
        nested = {"deeper": nested}
    card = {
        "accuracy": {"test": 0.97654321, "seeds": [1, 2.5, None]},
        "a\x1b[2J": "evil\x1b[31m\nline",
        "rows": [{"a": 1}],
        "nested": nested,
    }
    labels = {"k1": ["one", None, "[bold]three[/bold]", "four"]}
    bundle = changed(tiny, tmp_path, card=card, labels=labels, style_names={"c1": "slant"})
    done = cli("info", bundle, "--all")
    assert done.code == 0
    assert "\x1b" not in done.out
    for part in (
        "card.accuracy.test = 0.9765\n",
        "card.accuracy.seeds = 1, 2.5, None\n",
        "card.a\\x1b[2J = evil\\x1b[31m\\nline\n",
        "card.rows = (1 entry, see --json)\n",
        "labels.k1 = one, None, [bold]three[/bold], four\n",
        "style_names.c1 = slant\n",
    ):
        assert part in done.out
    assert json.loads(cli("info", bundle, "--json").out)["card"]["nested"] == nested
    summary = cli("info", bundle).out
    assert "k1          4 categories: #0=one, #2=[bold]three[/bold], #3=four\n" in summary
    assert "c1          continuous, from -1 to 1: slant\n" in summary


def test_refusals(cli: Callable[..., Any], tiny: Path, tmp_path: Path) -> None:
    bundle = shutil.copytree(tiny, tmp_path / "bundle")
    (bundle / "generator.onnx").write_bytes(b"x")
    for path, message in (
        (bundle, "is not the file that metadata.json describes"),
        ("no", "a bundle is a folder made by infogan-tool export"),
    ):
        done = cli("info", path, "--json")
        assert (done.code, done.out) == (1, "")
        assert message in done.err
        assert len(done.err.splitlines()) == 1
