from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def test_json_is_the_metadata(cli: Callable[..., Any], tiny: Path) -> None:
    done = cli("info", tiny, "--json")
    assert (done.code, done.err) == (0, "")
    shown = json.loads(done.out)
    assert shown.pop("path") == str(tiny)
    assert shown == json.loads((tiny / "metadata.json").read_text())


def test_text(cli: Callable[..., Any], tiny: Path, continuous: Path) -> None:
    done = cli("info", tiny)
    assert (done.code, done.err) == (0, "")
    shown = dict(line.split(maxsplit=1) for line in done.out.splitlines() if not line.startswith(" "))
    metadata = json.loads((tiny / "metadata.json").read_text())
    assert shown["id"] == metadata["bundle_id"]
    assert shown["images"] == "16 x 16, colour, float32 from 0 to 1"
    assert shown["noise"] == "5 dimensions, normal, mean 0, std 1"
    assert shown["k1"].startswith("4 categories")
    assert shown["k2"].startswith("3 categories")
    assert shown["c3"].startswith("continuous, uniform from -1 to 1")
    assert "generator.onnx" in done.out
    assert "q_encoder.onnx" in done.out
    assert "parity" in shown
    assert "training" in shown
    shown = dict(
        line.split(maxsplit=1) for line in cli("info", continuous).out.splitlines() if line[0] != " "
    )
    assert shown["images"] == "8 x 8, grey, float32 from -1 to 1"
    assert "noise" not in shown
    assert cli("info").code == 0


def test_open_tables_are_shown_and_escaped(cli: Callable[..., Any], tiny: Path, tmp_path: Path) -> None:
    bundle = shutil.copytree(tiny, tmp_path / "bundle")
    data = json.loads((bundle / "metadata.json").read_text())
    nested: dict[str, Any] = {"deep": 1}
    for _ in range(40):
        nested = {"deeper": nested}
    data["card"] = {
        "accuracy": {"test": 0.97654321, "seeds": [1, 2.5, None]},
        "a\x1b[2J": "evil\x1b[31m\nline",
        "rows": [{"a": 1}],
        "nested": nested,
    }
    data["labels"] = {"k1": ["one", None, "[bold]three[/bold]", "four"]}
    data["style_names"] = {"c1": "slant"}
    (bundle / "metadata.json").write_text(json.dumps(data))
    done = cli("info", bundle)
    assert done.code == 0
    assert "\x1b" not in done.out
    for piece in (
        "card        accuracy.test 0.9765",
        "accuracy.seeds 1, 2.5, None",
        "a\\x1b[2J evil\\x1b[31m\\nline",
        "rows (1 entry, see --json)",
        "k1          4 categories: #0 = one, #2 = [bold]three[/bold], #3 = four",
        "c1          continuous, uniform from -1 to 1: slant",
    ):
        assert piece in done.out
    assert json.loads(cli("info", bundle, "--json").out)["card"]["nested"] == nested


def test_refusals(cli: Callable[..., Any], tiny: Path, tmp_path: Path) -> None:
    bundle = shutil.copytree(tiny, tmp_path / "bundle")
    (bundle / "generator.onnx").write_bytes(b"x")
    for path, message in ((bundle, "is not the file that metadata.json describes"), ("no", "does not exist")):
        done = cli("info", path, "--json")
        assert (done.code, done.out) == (1, "")
        assert message in done.err
        assert len(done.err.splitlines()) == 1
