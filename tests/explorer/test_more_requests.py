"""Requests for names, example images, images of a folder, and a training, over a real connection."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image
from report_entries import write_run
from test_guard import post, send, serving

from infogan_tool.cli.encode.collect import Collection
from infogan_tool.cli.explorer import data_set
from infogan_tool.cli.explorer.data_set import read_data_set
from infogan_tool.cli.explorer.guard import BODY_TYPE
from infogan_tool.cli.explorer.server import make_app, make_watch_app
from infogan_tool.cli.explorer.watch import WatchedRun
from infogan_tool.runtime import load_bundle
from infogan_tool.runtime.bundle.bundle import PRETRAINED_BUNDLE
from infogan_tool.runtime.bundle.example_images import write_examples

if TYPE_CHECKING:
    from collections.abc import Iterator

NAMES = json.dumps({"categories": {"k1": {"0": "cat"}}, "styles": {"c1": "tilt"}}).encode()


@pytest.fixture
def bundle(tiny: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny, tmp_path / "bundle"))


@pytest.fixture
def port(bundle: Path) -> Iterator[int]:
    with serving(make_app([load_bundle(bundle, device="cpu")], naming=True)) as opened:
        yield opened


def test_names_are_written_and_described(bundle: Path, port: int) -> None:
    assert post(port, "/bundles/0/names", NAMES) == (200, "")
    metadata = json.loads((bundle / "metadata.json").read_text("utf-8"))
    assert (metadata["labels"]["k1"][0], metadata["style_names"]["c1"]) == ("cat", "tilt")
    described = json.loads(send(port, "GET", "/model.json")[2])["bundles"][0]
    assert described["nameable"]
    assert described["metadata"] == metadata


@pytest.mark.parametrize(
    ("body", "headers", "status", "reason"),
    [
        (NAMES, {"content_type": "application/json"}, 415, "a body is"),
        (NAMES, {"content_type": "text/plain"}, 415, "a body is"),
        (NAMES, {"sec_fetch_site": "cross-site"}, 403, "only the page itself"),
        (NAMES, {"sec_fetch_site": "same-site"}, 403, "only the page itself"),
        (NAMES, {"host": "evil.example"}, 400, ""),
        (b"{", {}, 422, "not JSON"),
        (b'{"categories": NaN}', {}, 422, "not JSON"),
        (b'{"categories": 1e999}', {}, 422, "not JSON"),
        (b'{"styles": {"\\ud800": "x"}}', {}, 422, "not JSON"),
        (b"[" * 100_000, {}, 422, "not JSON"),
        (b"\xff", {}, 422, "not JSON"),
        (b"[]", {}, 422, "must be a table"),
        (b'{"labels": {}}', {}, 422, "has no 'labels'"),
        (b'{"categories": {"k1": {"9": "x"}}}', {}, 422, "has no '9'"),
        (b'{"styles": {"c1": "\\u001b[2J"}}', {}, 422, "cannot be printed"),
        (b'{"styles": {"c1": 7}}', {}, 422, "must be a text"),
    ],
)
def test_other_names_are_refused(
    bundle: Path, port: int, *, body: bytes, headers: dict[str, str], status: int, reason: str
) -> None:
    before = (bundle / "metadata.json").read_bytes()
    given = {"content_type": BODY_TYPE, **headers}
    found, _, content = send(port, "POST", "/bundles/0/names", body, **given)
    assert found == status
    assert reason.encode() in content
    assert (bundle / "metadata.json").read_bytes() == before


def test_names_of_a_bundle_that_was_replaced_are_refused(bundle: Path, port: int) -> None:
    file = bundle / "metadata.json"
    metadata = json.loads(file.read_text("utf-8"))
    file.write_text(json.dumps(metadata | {"bundle_id": "f" * len(metadata["bundle_id"])}), "utf-8")
    status, reason = post(port, "/bundles/0/names", NAMES)
    assert (status, "was replaced" in reason) == (422, True)


def test_names_that_cannot_be_written_are_an_error_with_the_file(bundle: Path, port: int) -> None:
    lock = bundle.with_name(f".{bundle.name}.lock")
    lock.mkdir()
    status, reason = post(port, "/bundles/0/names", NAMES)
    assert (status, f"cannot be written: {lock}: " in reason) == (422, True)


def test_only_a_bundle_of_this_machine_is_named(tiny: Path) -> None:
    with serving(make_app([load_bundle(tiny, device="cpu")])) as port:
        assert not json.loads(send(port, "GET", "/model.json")[2])["bundles"][0]["nameable"]
        assert post(port, "/bundles/0/names", NAMES)[0] == 404
    with serving(make_app([load_bundle(PRETRAINED_BUNDLE, device="cpu")], naming=True)) as port:
        assert not json.loads(send(port, "GET", "/model.json")[2])["bundles"][0]["nameable"]
        status, reason = post(port, "/bundles/0/names", NAMES)
        assert (status, "belongs to the installation" in reason) == (422, True)


def test_example_images_of_a_bundle_are_served(bundle: Path) -> None:
    opened = load_bundle(bundle, device="cpu")
    images = np.random.default_rng(0).integers(0, 256, (3, 16, 16, 3), np.uint8)
    examples = write_examples(bundle, images)
    file = bundle / "metadata.json"
    entry = {"count": examples.count, "sha256": examples.sha256, "bytes": examples.bytes}
    file.write_text(json.dumps(opened.metadata.to_dict() | {"examples": entry}), "utf-8")
    with serving(make_app([load_bundle(bundle, device="cpu")])) as port:
        status, headers, content = send(port, "GET", "/bundles/0/examples.png")
    assert (status, headers["content-type"]) == (200, "image/png")
    with Image.open(io.BytesIO(content)) as strip:
        np.testing.assert_array_equal(np.asarray(strip), np.concatenate(list(images), axis=1))


def test_the_images_of_a_folder(tiny: Path, tmp_path: Path) -> None:
    bundle = load_bundle(tiny, device="cpu", threads=1)
    latents = bundle.sample(12, seed=3)
    for number, image in enumerate(bundle.generate(latents).transpose(0, 2, 3, 1)):
        Image.fromarray((image * 255).round().astype(np.uint8)).save(tmp_path / f"{number:02d}.png")
    data = read_data_set(bundle, Collection(bundle, [str(tmp_path)], threads=1, progress=False))
    table = json.loads(data.table)
    pixels = np.frombuffer(data.pixels, np.uint8).reshape(12, 16, 16, 3)
    posterior = bundle.encode(pixels)
    assert (table["total"], table["names"][3]) == (12, "03.png")
    np.testing.assert_array_equal(np.transpose(table["categories"]), posterior.categories)
    np.testing.assert_allclose(np.transpose(table["styles"]), posterior.style_mean, rtol=1e-3)
    np.testing.assert_allclose(table["confidence"], posterior.confidence.min(axis=1), rtol=1e-3)
    assert (table["ood"] is None) == (posterior.ood is None)
    assert all(0 <= error <= 1 for error in table["error"])
    with serving(make_app([bundle], data=data)) as port:
        assert send(port, "GET", "/data.json")[2] == data.table
        assert send(port, "GET", "/data.bin")[2] == data.pixels
        assert json.loads(send(port, "GET", "/model.json")[2])["data"] is True


def test_of_many_images_some_are_shown(
    continuous: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(data_set, "MAX_IMAGES", 60)
    bundle = load_bundle(continuous, device="cpu", threads=1)
    count = 100
    np.save(tmp_path / "images.npy", np.zeros((count, 8, 8), np.uint8))
    inputs = [str(tmp_path / "images.npy")]
    table = json.loads(read_data_set(bundle, Collection(bundle, inputs, threads=1, progress=False)).table)
    assert (table["total"], len(table["names"])) == (count, 60)
    numbers = [int("".join(filter(str.isdigit, name.partition("npy")[2]))) for name in table["names"]]
    assert numbers == sorted(set(numbers))
    assert max(numbers) >= 60  # not the first ones alone


def test_a_training_is_served(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", epochs=2)
    with serving(make_watch_app(WatchedRun(run))) as port:
        status, headers, content = send(port, "GET", "/run.json")
        assert (status, headers["content-type"]) == (200, "application/json")
        assert json.loads(content)["name"] == "run"
        assert b"watch.js" in send(port, "GET", "/")[2]
        status, headers, content = send(port, "GET", "/step/100.png")
        assert (status, headers["content-type"], content[:4]) == (200, "image/png", b"\x89PNG")
        for path in (
            "step/7.png",
            "step/..%2f.png",
            "codes/100.png",
            "effects/100.json",
            "config.json",
            "model.json",
        ):
            assert send(port, "GET", f"/{path}")[0] == 404, path
        assert post(port, "/run.json", b"")[0] == 405
        (run / "metrics.jsonl").unlink()
        (run / "metrics.jsonl").mkdir()
        status, _, content = send(port, "GET", "/run.json")
        assert (status, b"cannot be read" in content) == (422, True)
