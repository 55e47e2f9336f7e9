"""Untrusted bundles are refused before onnxruntime is imported."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import struct
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from onnx_writer import block, model, node, tensor, value_info
from spoilt_bundles import edit

from infogan_tool.runtime import load_bundle
from infogan_tool.runtime.bundle.bundle import PRETRAINED_BUNDLE
from infogan_tool.runtime.errors import BundleError

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Result

DIGIT = min((Path(__file__).resolve().parents[2] / "examples").glob("*.png"))


@pytest.fixture
def copy(tiny: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny, tmp_path / "bundle"))


def refused_before_a_session(folder: Path) -> str:
    """Return the error of ``encode`` in a process in which onnxruntime cannot be imported."""
    code = (
        "import sys; sys.modules['onnxruntime'] = None\n"
        "from infogan_tool.cli.main import main; raise SystemExit(main(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", code, "encode", str(DIGIT), "--bundle", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert (done.returncode, done.stdout) == (1, ""), done.stderr
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert done.stderr.rstrip("\n").isprintable()
    assert "onnxruntime" not in done.stderr
    return done.stderr


# --- metadata.json -----------------------------------------------------------------------------------------


def test_a_metadata_file_of_a_gigabyte(copy: Path) -> None:
    os.truncate(copy / "metadata.json", 1 << 30)
    assert "larger than 1,000,000 bytes" in refused_before_a_session(copy)


@pytest.mark.parametrize(
    "content",
    [
        b"[" * 10_000 + b"]" * 10_000,
        b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
        b"[" * 500_000,
        b"[" * 65 + b"]" * 65,
    ],
)
def test_metadata_that_is_nested_deep(copy: Path, content: bytes) -> None:
    (copy / "metadata.json").write_bytes(content)
    with pytest.raises(BundleError, match=r"metadata\.json is not JSON"):
        load_bundle(copy)


@pytest.mark.parametrize("value", ["1e999", "-1e999", "NaN", '"\\ud800"', '{"\\udfff": 1}'])
def test_a_card_that_json_cannot_hold(copy: Path, value: str) -> None:
    edit(copy, lambda data: data.update(card={"a": "value"}))
    text = (copy / "metadata.json").read_text()
    (copy / "metadata.json").write_text(text.replace('"value"', value))
    with pytest.raises(BundleError, match=r"metadata\.json is not JSON"):
        load_bundle(copy)


def test_a_card_that_is_nested_deep(copy: Path) -> None:
    card: dict[str, Any] = {}
    for _ in range(100):
        card = {"a": [card]}
    edit(copy, lambda data: data.update(card=card))
    assert "nested too deep" in refused_before_a_session(copy)


@pytest.mark.parametrize(
    "change",
    [
        {"latent": {"noise": 10**9, "noise_prior": "normal", "categorical": [4, 3], "continuous": 3}},
        {"latent": {"noise": 5, "noise_prior": "normal", "categorical": [10**30], "continuous": 3}},
        {"latent": {"noise": 5, "noise_prior": "normal", "categorical": [2] * 100_000, "continuous": 3}},
        {"image": {"size": 10**6, "channels": 3, "low": 0, "high": 1, "dtype": "float32", "layout": "NCHW"}},
        {"image": {"size": 16, "channels": 3, "low": 0, "high": 1e400, "dtype": "float32", "layout": "NCHW"}},
        {
            "image": {
                "size": 16,
                "channels": 3,
                "low": -1e300,
                "high": 1,
                "dtype": "float32",
                "layout": "NCHW",
            }
        },
        {"graphs": {}},
        {"graphs": {"generator.onnx": [], "q_encoder.onnx": []}},
        {"bundle_id": "\x1b[31m"},
        {"labels": {"k1": ["a", "b\x07", "c", "d"]}},
        {"labels": {"k1": ["a" * 501, "b", "c", "d"]}},
        {"opset": 10**400},
    ],
)
def test_absurd_values_and_control_characters(copy: Path, change: dict[str, Any]) -> None:
    edit(copy, lambda data: data.update(change))
    with pytest.raises(BundleError) as caught:
        load_bundle(copy)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 500


def test_a_number_of_a_million_digits(copy: Path) -> None:
    text = (copy / "metadata.json").read_text()
    (copy / "metadata.json").write_text(text.replace('"opset": ', '"opset": ' + "9" * 900_000, 1))
    assert "is not JSON" in refused_before_a_session(copy)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes are POSIX's")
@pytest.mark.parametrize("name", ["metadata.json", "q_encoder.onnx"])
def test_a_pipe_or_a_device_in_place_of_a_file(copy: Path, name: str) -> None:
    (copy / name).unlink()
    os.mkfifo(copy / name)
    refused_before_a_session(copy)
    (copy / name).unlink()
    (copy / name).symlink_to("/dev/zero")
    refused_before_a_session(copy)


def test_metadata_with_control_characters_is_escaped(copy: Path, cli: Callable[..., Result]) -> None:
    text = "\x1b]0;title\x07\x1b[31m[red]bold[/red]\n\u202e"

    def change(data: dict[str, Any]) -> None:
        data["versions"] = {text: text}
        data["card"] = {text: text, "accuracy": {"test": text}}
        data["training"] = {"preset": text, "seed": text, "data": {"name": text}}
        data["parity"] = {text: [text]}

    edit(copy, change)
    for command in (["info", copy], ["info", copy, "--json"], ["doctor", "--bundle", copy]):
        done = cli(*command)
        assert done.code == 0, done.err
        assert not {"\x1b", "\x07", "\u202e"} & set(done.out + done.err)


# --- graphs ------------------------------------------------------------------------------------------------


def replaced(folder: Path, content: bytes) -> None:
    """Replace the encoder, and its digest in the metadata."""
    (folder / "q_encoder.onnx").write_bytes(content)
    digest = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    edit(folder, lambda data: data["graphs"].update({"q_encoder.onnx": digest}))


def encoder(folder: Path, *, op: bytes | None = None, weight: bytes | None = None, size: int = 16) -> bytes:
    """Return a graph with the right names and sizes, except for the arguments."""
    props = {
        "infogan.bundle_id": json.loads((folder / "metadata.json").read_text())["bundle_id"],
        "infogan.schema_version": "2",
    }
    widths = {"probabilities": 7, "style_mean": 3, "style_std": 3}
    return model(
        [op or node("Identity", ["w"], ["probabilities"])],
        [value_info("images", ("batch", 3, size, 16))],
        [value_info(name, ("batch", width)) for name, width in widths.items()],
        initializers=[weight or tensor("w", [1], struct.pack("<f", 1))],
        props=props,
    )


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"weight": tensor("w", [1], b"", external="/etc/passwd")}, "keeps weights in another file"),
        ({"weight": tensor("w", [1], b"", external="../../secret")}, "keeps weights in another file"),
        ({"weight": tensor("w", [2**40], b"")}, "has more elements than the file can hold"),
        (
            {"op": node("Evil", ["w"], ["probabilities"]) + block(7, "evil.example")},
            "operators of another domain",
        ),
        (
            {"op": node("Loop", ["w"], ["probabilities"], [block(1, "body") + block(6, b"")])},
            "graph within a graph",
        ),
        ({"size": 17}, "the contract has float32"),
        ({"size": 2**31}, "the contract has float32"),
    ],
)
def test_graphs_with_a_right_digest_are_scanned(copy: Path, parts: dict[str, Any], message: str) -> None:
    replaced(copy, encoder(copy, **parts))
    assert message in refused_before_a_session(copy)


def test_other_inputs_and_outputs(copy: Path) -> None:
    replaced(copy, encoder(copy).replace(b"style_std", b"style_xyz"))
    assert "the contract has probabilities, style_mean, style_std" in refused_before_a_session(copy)


@pytest.mark.parametrize("name", ["q_encoder.onnx", "generator.onnx"])
def test_digests_of_the_pretrained_bundle_are_checked(name: str, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(PRETRAINED_BUNDLE, tmp_path / "bundle"))
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 3] ^= 4
    (folder / name).write_bytes(content)
    with pytest.raises(BundleError, match=r"is not the file that metadata\.json describes"):
        load_bundle(folder)
    if name == "q_encoder.onnx":  # a short run reads only what it needs, and checks that
        assert "is not the file that metadata.json describes" in refused_before_a_session(folder)


def test_the_pretrained_bundle_has_the_digests_of_its_metadata() -> None:
    graphs = json.loads((PRETRAINED_BUNDLE / "metadata.json").read_text())["graphs"]
    for name, declared in graphs.items():
        content = (PRETRAINED_BUNDLE / name).read_bytes()
        assert declared == {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
