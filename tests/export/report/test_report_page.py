"""The page: its content, escaping of untrusted names, and sections that are omitted without data."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pytest
from PIL import Image
from report_entries import CONFIG, HOSTILE, Tags, metrics_line, write_bundle, write_run

from infogan_tool.export.report import curves, tables, write
from infogan_tool.export.report.canvas import mosaic
from infogan_tool.export.report.charts import comparison
from infogan_tool.export.report.collect import Collector, display_names
from infogan_tool.export.report.grids import real
from infogan_tool.export.report.html import format_duration
from infogan_tool.export.report.render import select_codes
from infogan_tool.export.report.write import write_report
from infogan_tool.runtime.errors import ConfigError, OutputExistsError, RunError, UsageError
from infogan_tool.runtime.latents.spec import LatentSpec

if TYPE_CHECKING:
    from infogan_tool.export.report.entry import Entry

FIXTURES = Path(__file__).parents[2] / "fixtures"
OPTIONS: dict[str, Any] = {"device": "cpu", "samples": 100}


def entry_of(path: Path) -> Entry:
    return Collector(device="cpu").collect(path, path.name)


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two bundles without the name of their training data; the names in one are hostile."""
    folder = tmp_path_factory.mktemp("bundles")
    hostile = write_bundle(
        folder / "hostile",
        FIXTURES / "tiny",
        labels={"k1": [HOSTILE, None, "b", "日本"], "k2": ["<b>", "&lt;", "c"]},
        style_names={"c1": HOSTILE, "c2": None, "c3": None},
        training={
            "preset": HOSTILE,
            "data": {"name": HOSTILE},
            "config": {HOSTILE: {"x": HOSTILE}},
        },
        tool_version=HOSTILE,
    )
    return hostile, write_bundle(folder / "plain", FIXTURES / "continuous")


@pytest.fixture(scope="module")
def hostile_page(bundles: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("hostile")
    config = CONFIG | {"preset": HOSTILE, HOSTILE: [HOSTILE]}
    run = write_run(folder / "r&<i>", config=config, tail='{"step": 1')
    write_report([run, *bundles], folder / "page.html", **OPTIONS)
    return (folder / "page.html").read_text(encoding="utf-8")


# --- untrusted names ---------------------------------------------------------------------------------------


def test_untrusted_names_are_escaped(hostile_page: str) -> None:
    tags = Tags(hostile_page)
    assert not tags.named("script")
    assert not tags.named("b")
    assert all(not key.startswith("on") for _, attributes in tags.found for key in attributes)
    assert HOSTILE in tags.text, "a name is shown as it is"
    assert "r&<i>" in tags.text
    assert "日本" in tags.text


def test_page_has_no_external_references(hostile_page: str) -> None:
    tags = Tags(hostile_page)
    for _, attributes in tags.found:
        for key in ("href", "src", "xlink:href", "action", "data", "srcset"):
            assert (attributes.get(key) or "#").startswith(("#", "data:"))
    assert not re.search(r"@import|url\((?!#)", hostile_page)
    policy = [m for m in tags.named("meta") if m.get("http-equiv") == "Content-Security-Policy"]
    assert "default-src 'none'" in (policy[0]["content"] or "")
    assert {name for name, _ in tags.found} & {"script", "iframe", "object", "embed", "form", "base"} == set()


def test_every_figure_has_a_description_and_ids_are_unique(hostile_page: str) -> None:
    tags = Tags(hostile_page)
    figures = [a for a in tags.named("div") if a.get("role") == "img"]
    assert len(figures) == len(tags.named("svg")) > 10
    assert all(len(a.get("aria-label") or "") > 10 for a in figures)
    assert all(a.get("alt") for a in tags.named("img"))
    ids = [a["id"] for _, a in tags.found if "id" in a]
    assert len(ids) == len(set(ids))
    used = re.findall(r'(?:url\(|xlink:href="|href=")#([\w-]+)', hostile_page)
    assert used
    assert set(used) <= set(ids)


def test_figures_use_the_colours_of_the_page(hostile_page: str) -> None:
    figures = re.findall(r"<svg.*?</svg>", hostile_page, re.DOTALL)
    named = {colour for figure in figures for colour in re.findall(r"#[0-9a-f]{6}\b", figure)}
    assert named == set(), "a colour without a variable would not follow the page into the dark"


def test_same_input_gives_the_same_page(bundles: tuple[Path, Path], tmp_path: Path) -> None:
    for name in ("a.html", "b.html"):
        write_report([bundles[1]], tmp_path / name, **OPTIONS)
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()


# --- sections and notes ------------------------------------------------------------------------------------


def headings(page: str) -> list[str]:
    return re.findall(r"<h[23][^>]*>(.*?)</h[23]>", page)


def test_bundle_has_no_curves_and_a_note_on_real_images(bundles: tuple[Path, Path], tmp_path: Path) -> None:
    (entry,) = write_report([bundles[1]], tmp_path / "page.html", **OPTIONS)
    found = headings((tmp_path / "page.html").read_text(encoding="utf-8"))
    assert "Training" not in found
    assert "Timing" not in found
    assert "Strength and consistency of each code" in found
    assert "c1: continuous code" in found
    assert not any("categorical" in heading for heading in found)
    assert any("--data" in note for note in entry.notes)


def test_run_without_checkpoint_has_curves(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", tail='{"step": 401, "st')
    (entry,) = write_report([run], tmp_path / "page.html", **OPTIONS)
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert {"Losses of D, G and Q", "Mutual information: L_I", "The same latents at several epochs"} <= set(
        headings(page)
    )
    assert "Code traversals" not in headings(page)
    assert len(entry.notes) == 2
    assert "unreadable lines in metrics.jsonl: 1" in entry.notes[0]
    assert "Play the samples of run over training" in page


def test_run_without_sheets_has_no_samples_over_training(tmp_path: Path) -> None:
    write_report([write_run(tmp_path / "run", sheets=False)], tmp_path / "page.html", **OPTIONS)
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "Samples over training" not in headings(page)
    assert "Losses of D, G and Q" in headings(page)


def test_folder_that_is_neither_run_nor_bundle_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    with pytest.raises((RunError, ConfigError)):
        entry_of(tmp_path)
    (tmp_path / "config.json").write_text("[" * 10_000)
    with pytest.raises((RunError, ConfigError), match=r"config\.json"):
        entry_of(tmp_path)


@pytest.mark.parametrize("name", ["run.json", "config.json"])
@pytest.mark.parametrize("content", ["{", "[1]", "[" * 100_000, '{"device": NaN}', '{"a": 1e999}', "\x00"])
def test_error_names_the_damaged_file_of_a_run(tmp_path: Path, name: str, content: str) -> None:
    run = write_run(tmp_path / "run", sheets=False)
    (run / name).write_text(content)
    with pytest.raises((RunError, ConfigError), match=re.escape(name)) as error:
        entry_of(run)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("categorical", "continuous", "shown"),
    [(3, 9, (3, 9)), (10, 9, (6, 6)), (2, 20, (2, 10)), (20, 3, (9, 3))],
)
def test_of_many_codes_some_of_each_kind_are_shown(
    categorical: int, continuous: int, shown: tuple[int, int]
) -> None:
    spec = LatentSpec(noise=1, noise_prior="normal", categorical=(2,) * categorical, continuous=continuous)
    assert select_codes(spec) == [
        *spec.categorical_names[: shown[0]], *spec.continuous_names[: shown[1]]
    ]  # fmt: skip


def test_large_images_are_reduced_by_block_means() -> None:
    images = np.random.default_rng(0).integers(0, 256, (2, 3, 200, 151, 3), np.uint8)
    mosaic_pixels, gap = mosaic(images)
    assert mosaic_pixels.shape == (2 * 66 + gap, 3 * 50 + 2 * gap, 4)
    image = mosaic_pixels[66 + gap :, 50 + gap : 100 + gap]
    assert (image[..., 3] == 255).all()
    expected = images[1, 1, 30:33, 60:63].mean((0, 1)).round()
    np.testing.assert_array_equal(image[10, 20, :3], expected)
    assert not mosaic_pixels[66 : 66 + gap, :, 3].any()


def test_the_description_of_real_images_counts_those_that_are_drawn() -> None:
    entry, model = SimpleNamespace(name="a"), SimpleNamespace(real=np.zeros((15, 8, 8, 1), np.uint8))
    panel = cast("Any", real)(entry, model)
    assert panel.alt == "10 real images, chosen at random."


def test_display_names_are_unique(tmp_path: Path) -> None:
    paths = [tmp_path / "a" / "run", tmp_path / "b" / "run", tmp_path / "c" / "other", None]
    assert display_names([*paths, paths[0]]) == [
        "a/run (1)",
        "b/run",
        "other",
        "pretrained bundle",
        "a/run (5)",
    ]
    assert display_names([tmp_path / "x\x1b[31m"]) == [r"x\x1b[31m"]
    assert len(display_names([tmp_path / ("y" * 200)])[0]) == 40


# --- curves with known values ------------------------------------------------------------------------------


def test_curves_end_at_the_logged_values(tmp_path: Path) -> None:
    entry = entry_of(write_run(tmp_path / "run"))
    near = 400 / 500
    panel = curves.losses(entry)
    assert panel is not None
    assert f"D ends at {1.4 - near / 2:.3g}; G ends at {0.7 + near / 2:.3g}" in panel.alt
    assert f"Q, categorical ends at {1.1 - near:.3g}" in panel.alt
    panel = curves.probabilities(entry)
    assert panel is not None
    assert panel.alt == (
        "Probabilities of D over training: D(real) ends at 0.7; D(fake) before G ends at 0.3; "
        "D(fake) after G ends at 0.4."
    )
    panel = curves.information(entry)
    assert panel is not None
    assert "k1 ends at 0.8 of H = 1.10; c1 ends at 0.4 of H = 0.69; c2 ends at -0.18" in panel.alt
    assert "H(k) = 1.10" in panel.figure.svg
    assert curves.other_stages(entry) is None


def test_curve_passes_through_the_logged_values(tmp_path: Path) -> None:
    """The line of D's loss, identified by its colour, falls like the loss: y of SVG grows downwards."""
    entry = entry_of(write_run(tmp_path / "run"))
    panel = curves.losses(entry)
    assert panel is not None
    lines = re.findall(r'<path d="(M[^"]*)"[^>]*stroke: var\(--series-0\)', panel.figure.svg)
    line = max(lines, key=len)  # the other is the legend's
    numbers = [float(n) for n in re.findall(r"-?\d+\.?\d*", line)]
    across, down = np.array(numbers[::2]), np.array(numbers[1::2])
    near = np.arange(50, 401, 50) / (np.arange(50, 401, 50) + 100)
    assert len(across) == len(near) == 8
    np.testing.assert_allclose(np.diff(across), np.diff(across)[0], rtol=1e-3)
    fall = (down - down[0]) / (down[-1] - down[0])
    np.testing.assert_allclose(fall, (near - near[0]) / (near[-1] - near[0]), atol=0.02)


def test_other_stages_have_a_figure_and_their_duration(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", sheets=False)
    before = [
        {"step": start + step, "stage": stage, "stage_step": step, f"Loss/{stage}": 5.0 - step / 8}
        | {"Timing/sec_per_step": 30.0, "Timing/images_per_sec": 4.0}
        for start, stage in ((0, "contrastive"), (20, "refinement"))
        for step in range(1, 21)
    ]
    after = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    lines = [*before, *(line | {"step": line["step"] + 40} for line in after)]
    (run / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    entry = entry_of(run)
    panel = curves.other_stages(entry)
    assert panel is not None
    ends = "contrastive Loss/contrastive ends at 2.5; refinement Loss/refinement ends at 2.5."
    assert panel.alt == f"Other stages over training: {ends}"
    # One after the other, each falling alike: the second begins where the first has ended.
    paths = [
        max(re.findall(rf'<path d="(M[^"]*)"[^>]*stroke: var\(--series-{i}\)', panel.figure.svg), key=len)
        for i in (0, 1)
    ]
    first, second = (
        np.array([float(n) for n in re.findall(r"-?\d+\.?\d*", path)]).reshape(-1, 2) for path in paths
    )
    np.testing.assert_allclose(second[:, 1], first[:, 1], atol=0.01)
    step = first[1, 0] - first[0, 0]
    np.testing.assert_allclose(second[:, 0] - first[:, 0], 20 * step, rtol=1e-2)
    found = tables.timing([entry])
    assert re.search(r"contrastive</td><td>20</td><td>4</td><td>30,000\.0</td><td>10 min", found)
    assert re.search(r"all</td><td>440</td><td></td><td></td><td>23 min", found)
    assert format_duration(3600 * 2 + 60 * 5) == "2 h 05 min"


def test_long_curve_has_a_running_mean(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", sheets=False)
    rng = np.random.default_rng(0)
    lines = [
        metrics_line(step, **{"Loss/D/adv": 1 + rng.normal(0, 0.2), "Loss/G/adv": float("nan")})
        for step in range(1, 201)
    ]
    (run / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    panel = curves.losses(entry_of(run))
    assert panel is not None
    assert "G ends at nothing" in panel.alt
    paths = re.findall(r'<path d="(M[^"]*)"[^>]*stroke: var\(--series-0\)', panel.figure.svg)
    raw, mean = sorted(
        (
            np.array([float(n) for n in re.findall(r"-?\d+\.?\d*", path)][1::2])
            for path in paths
            if len(path) > 500
        ),
        key=np.std,
        reverse=True,
    )
    assert raw.std() > 2 * mean.std(), "the mean of eleven neighbours"
    assert raw.mean() == pytest.approx(mean.mean(), rel=0.05)


def test_losses_of_an_autoencoder(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", sheets=False)
    text = (run / "metrics.jsonl").read_text()
    text = re.sub(r'"Loss/[DG]/adv": [^,]*, |"Scores/[^,}]*, |, "Scores[^}]*', "", text)
    (run / "metrics.jsonl").write_text(text.replace("Loss/Q/categorical", "Loss/VAE/reconstruction"))
    entry = entry_of(run)
    panel = curves.losses(entry)
    assert panel is not None
    assert "VAE, reconstruction ends at 0.3" in panel.alt
    assert curves.probabilities(entry) is None


# --- files -------------------------------------------------------------------------------------------------


def test_legend_names_what_only_the_second_of_two_has() -> None:
    entries = [
        SimpleNamespace(name=name, model=SimpleNamespace(relative_sharpness=1.1, correctness=correctness))
        for name, correctness in (("without", None), ("with", 0.9))
    ]
    panel = comparison(cast("list[Entry]", entries))
    assert panel is not None
    assert {"sharpness", "correctness"} <= set(Tags(panel.figure.svg).text.split())


def test_each_figure_is_written_as_png(bundles: tuple[Path, Path], tmp_path: Path) -> None:
    run = write_run(tmp_path / "my run")
    write_report([run, bundles[1]], tmp_path / "page.html", figures=tmp_path / "figures", **OPTIONS)
    names = {path.name for path in (tmp_path / "figures").iterdir()}
    assert {
        f"1-my-run-{name}.png" for name in ("losses", "probabilities", "information", "evolution")
    } <= names
    assert {"1-my-run-training.gif", "1-my-run-training.webp"} <= names
    assert {
        f"2-plain-{name}.png" for name in ("traversal-c1", "effects", "recovery-c2", "generated")
    } <= names
    for path in (tmp_path / "figures").glob("*.png"):
        with Image.open(path) as image:
            assert image.format == "PNG"
            assert min(image.size) > 60
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    drawn = {name for name in names if name.endswith(".png")}
    assert page.count("<svg") == len(drawn)
    texts = json.loads((tmp_path / "figures" / "figures.json").read_text(encoding="utf-8"))
    assert set(texts) == drawn
    assert all(html.escape(text)[:100] in page for text in texts.values())
    figures = tmp_path / "figures"
    write_report([bundles[1]], tmp_path / "page.html", figures=figures, force=True, **OPTIONS)
    assert not (figures / "1-my-run-losses.png").exists()


def test_existing_outputs_need_force(bundles: tuple[Path, Path], tmp_path: Path) -> None:
    page, figures = tmp_path / "page.html", tmp_path / "figures"
    page.write_text("existing")
    with pytest.raises(OutputExistsError):
        write_report([bundles[1]], page, **OPTIONS)
    figures.mkdir()
    (figures / "photo.png").write_text("existing too")
    with pytest.raises(OutputExistsError, match="a folder of figures"):
        write_report([bundles[1]], page, figures=figures, force=True, **OPTIONS)
    assert page.read_text() == "existing"
    assert [path.name for path in figures.iterdir()] == ["photo.png"]
    with pytest.raises(UsageError, match="in the folder of --figures"):
        write_report([bundles[1]], figures / "page.html", figures=figures, force=True, **OPTIONS)
    write_report([bundles[1]], page, force=True, **OPTIONS)
    assert page.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")


def test_failure_leaves_no_output(
    bundles: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, content: object) -> None:
        if path.name.startswith("recovery"):
            raise OSError(28, "No space left on device", str(path))
        path.write_bytes(content if isinstance(content, bytes) else str(content).encode())

    monkeypatch.setattr(write, "write_atomic", full)
    with pytest.raises(OSError, match="No space"):
        write_report([bundles[1]], tmp_path / "page.html", figures=tmp_path / "figures", **OPTIONS)
    left = [path.name for path in tmp_path.iterdir() if not path.name.endswith(".lock")]
    assert left == []


def test_limits_of_paths_and_samples(bundles: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="at most 6"):
        write_report([bundles[0]] * 7, tmp_path / "page.html")
    with pytest.raises(UsageError, match="at least 100"):
        write_report([bundles[0]], tmp_path / "page.html", samples=99)
