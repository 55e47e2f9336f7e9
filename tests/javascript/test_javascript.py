"""The example without Python in examples/javascript: it computes what the runtime computes."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from infogan_tool.runtime import Bundle, load_bundle, save_png, to_uint8

pytestmark = pytest.mark.javascript

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "javascript"
PRETRAINED = ROOT / "runtime" / "models" / "mnist"
TOLERANCE = 1e-4
GENERATE = """
import { openBundle } from "./bundle.mjs";
const [folder, latents] = process.argv.slice(2);
const bundle = await openBundle(folder);
console.log(JSON.stringify(Array.from(await bundle.generate(JSON.parse(latents)))));
"""


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the example with its packages, as `npm install` gives them."""
    for program in ("node", "npm"):
        assert shutil.which(program), f"this test needs {program}: install Node.js 20 or later"
    folder = tmp_path_factory.mktemp("javascript") / "example"
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("node_modules"))
    done = run("npm", "install", "--prefer-offline", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert not (folder / "package-lock.json").exists()
    (folder / "generate.mjs").write_text(GENERATE)
    return folder


def run(*command: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, timeout=600)


def encode(installed: Path, *arguments: str | Path) -> dict[str, Any]:
    done = run("node", "encode.mjs", *arguments, cwd=installed)
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)  # type: ignore[no-any-return]


def assert_same_codes(found: dict[str, Any], bundle: Bundle, pixels: np.ndarray[Any, Any]) -> None:
    posterior = bundle.encode(pixels[None])
    names = bundle.latent.categorical_names
    assert [c["code"] for c in found["categories"]] == list(names)
    for place, (code, category) in enumerate(zip(names, found["categories"], strict=True)):
        expected = posterior.probabilities[place][0]
        np.testing.assert_allclose(category["probabilities"], expected, atol=TOLERANCE, rtol=0)
        assert category["index"] == posterior.categories[0, place]
        assert category["label"] == bundle.metadata.label(code, category["index"])
        assert category["confidence"] == max(category["probabilities"])
    assert [s["code"] for s in found["styles"]] == list(bundle.latent.continuous_names)
    for place, style in enumerate(found["styles"]):
        assert style["mean"] == pytest.approx(posterior.style_mean[0, place], abs=TOLERANCE)
        assert style["std"] == pytest.approx(posterior.style_std[0, place], abs=TOLERANCE)
        assert style["name"] == bundle.metadata.style_names.get(style["code"])


@pytest.mark.parametrize("digit", ["zero", "three", "seven", "nine"])
def test_a_digit_and_the_image_generated_from_its_codes(digit: str, installed: Path, tmp_path: Path) -> None:
    bundle = load_bundle(device="cpu")
    image, output = ROOT / "examples" / f"{digit}.png", tmp_path / "generated.png"
    pixels = np.asarray(Image.open(image))
    found = encode(installed, PRETRAINED, image, output)
    assert_same_codes(found, bundle, pixels)
    latents = bundle.sample(
        1,
        categories={c["code"]: c["index"] for c in found["categories"]},
        styles={s["code"]: s["mean"] for s in found["styles"]},
    )
    latents.noise[:] = 0
    expected = to_uint8(bundle.generate(latents), bundle.image)[0, :, :, 0]
    got = np.asarray(Image.open(output).convert("L"))
    # A value between two levels may fall to either side.
    assert np.abs(got.astype(int) - expected).max() <= 1


@pytest.mark.parametrize("name", ["tiny", "continuous"])
def test_other_codes_and_colours(name: str, installed: Path, tmp_path: Path) -> None:
    folder = ROOT / "tests" / "fixtures" / name
    bundle = load_bundle(folder, device="cpu")
    size, channels = bundle.image.size, bundle.image.channels
    pixels = np.random.default_rng(0).integers(0, 256, (size, size, channels), np.uint8)
    save_png(tmp_path / "p.png", pixels)
    assert_same_codes(encode(installed, folder, tmp_path / "p.png"), bundle, pixels)


@pytest.mark.parametrize("name", ["pretrained", "tiny", "continuous"])
def test_generated_images(name: str, installed: Path) -> None:
    folder = PRETRAINED if name == "pretrained" else ROOT / "tests" / "fixtures" / name
    bundle = load_bundle(folder, device="cpu")
    latents = bundle.sample(3, seed=1)
    given = {part: getattr(latents, part).tolist() for part in ("noise", "categories", "styles")}
    done = run("node", "generate.mjs", folder, json.dumps(given), cwd=installed)
    assert (done.returncode, done.stderr) == (0, "")
    got = np.array(json.loads(done.stdout), np.float32).reshape(3, *bundle.image.shape)
    np.testing.assert_allclose(got, bundle.generate(latents), atol=TOLERANCE, rtol=0)


def test_an_error_is_one_line(installed: Path, tmp_path: Path) -> None:
    save_png(tmp_path / "large.png", np.zeros((30, 30), np.uint8))
    mixed = tmp_path / "mixed"
    shutil.copytree(PRETRAINED, mixed)
    shutil.copy(mixed / "generator.onnx", mixed / "q_encoder.onnx")
    seven = ROOT / "examples" / "seven.png"
    for arguments, message in (
        ((PRETRAINED, tmp_path / "large.png"), "30 x 30 pixels; the bundle takes 28 x 28"),
        ((PRETRAINED, tmp_path / "none.png"), "no such file"),
        ((mixed, seven), "q_encoder.onnx is not the file that metadata.json describes"),
        ((PRETRAINED,), "usage: node encode.mjs"),
    ):
        done = run("node", "encode.mjs", *arguments, cwd=installed)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith("error: ")
        assert message in done.stderr
        assert len(done.stderr.splitlines()) == 1
