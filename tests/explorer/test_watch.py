"""What the page of a training reads from a run folder, of damaged and hostile runs too."""

from __future__ import annotations

import json
import threading
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image
from report_entries import CONFIG, HOSTILE, SIDE, scalars_at, write_run

from infogan_tool.cli.explorer.watch import WatchedRun
from infogan_tool.runtime import save_png, sheet
from infogan_tool.runtime.errors import RunError
from infogan_tool.runtime.latents.sampling import CODE_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run of four epochs with a sheet of codes: k1 and c1 change the image, c2 does not."""
    path = write_run(tmp_path / "run", epochs=4)
    images = np.zeros((3, CODE_COLUMNS, SIDE, SIDE, 1), np.uint8)
    images[0] += (np.arange(CODE_COLUMNS).clip(0, 2) * 40).astype(np.uint8)[:, None, None, None]
    for column in range(CODE_COLUMNS):  # a bar that becomes wider
        images[1, column, 1:7, : 1 + column // 2] = 255
    save_png(path / "samples/codes-00000200.png", sheet(images.reshape(-1, SIDE, SIDE, 1), CODE_COLUMNS))
    (path / "checkpoints").mkdir(exist_ok=True)
    for name in ("last", "step-00000200", "step-x", "step-00000400"):
        (path / f"checkpoints/{name}.safetensors").touch()
    return path


def described(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(WatchedRun(path).describe())
    return found


def test_curves_sheets_and_codes_of_a_run(run: Path) -> None:
    found = described(run)
    assert found["name"] == "run"
    assert [code["name"] for code in found["codes"]] == ["k1", "c1", "c2"]
    assert found["codes"][0]["entropy"] == pytest.approx(np.log(3))
    assert found["sheets"] == [[100 * epoch, epoch] for epoch in range(5)]
    assert found["code_sheets"] == [200]
    assert found["checkpoints"] == [200, 400]
    assert (found["layout"]["row_code"], found["layout"]["ends"]) == ("k1", [-2, 2])
    counts = {"k1": 3, "c1": CODE_COLUMNS, "c2": CODE_COLUMNS}
    assert {row["code"]: row["count"] for row in found["layout"]["code_rows"]} == counts
    stage = found["stages"][found["generator_stage"]]
    assert stage["epochs"] == [0.5 * number for number in range(1, 9)]
    for name, value in scalars_at(400).items():
        assert stage["scalars"][name][-1] == pytest.approx(value, rel=1e-4)
    assert not [name for name in stage["scalars"] if name.startswith("Timing")]


def test_new_lines_are_read(run: Path) -> None:
    watched = WatchedRun(run)
    before = json.loads(watched.describe())["stages"][0]["steps"]
    line = {"step": 450, "stage": "adversarial", "stage_step": 450, "Progress/epoch": 4.5, "Loss/D/adv": 1.0}
    with (run / "metrics.jsonl").open("a") as file:
        file.write(json.dumps(line) + "\n")
    assert (before, json.loads(watched.describe())["stages"][0]["steps"]) == (400, 450)


def test_sheets_are_written_anew(run: Path) -> None:
    watched = WatchedRun(run)
    content = watched.sheet("step", 300)
    assert content
    (run / "found.png").write_bytes(content)
    with Image.open(run / "found.png") as found, Image.open(run / "samples/step-00000300.png") as expected:
        assert found.tobytes() == expected.tobytes()
    assert watched.sheet("step", 301) is None
    (run / "samples/step-00000300.png").write_bytes(b"<script>")
    assert watched.sheet("step", 300) is None


def test_what_each_code_changes(run: Path) -> None:
    content = WatchedRun(run).effects(200)
    assert content
    k1, c1, c2 = json.loads(content)
    assert (k1["code"], c1["code"]) == ("k1", "c1")
    assert k1["strength"] == pytest.approx(np.std([0, 40, 80]) / 255, rel=1e-3)
    assert c2["strength"] == 0
    assert "attributes" not in c2
    assert {name for name, _ in c1["attributes"]} <= {"width", "horizontal position", "stroke width"}
    assert all(abs(correlation) > 0.9 for _, correlation in c1["attributes"])
    assert c1["attributes"]
    assert WatchedRun(run).effects(100) is None


def test_a_sheet_of_another_layout_has_no_effects(run: Path) -> None:
    save_png(run / "samples/codes-00000300.png", np.zeros((20, 30), np.uint8))
    assert WatchedRun(run).effects(300) is None


@pytest.mark.parametrize(
    "config",
    [
        {},
        CONFIG | {"latent": {"noise": -1}, "schedule": 7},
        CONFIG
        | {"data": {"size": 1e9}, "preset": HOSTILE, "schedule": {"epochs": "x", "steps": -1, "kimg": True}},
        CONFIG | {"latent": {**CONFIG["latent"], "categorical": [2] * 30, "continuous": 0}},
    ],
    ids=range(4),
)
def test_invalid_values_of_a_config_are_left_out(tmp_path: Path, config: dict[str, Any]) -> None:
    path = write_run(tmp_path / "run", config=config, tail='{"step": NaN}\n[1]\n{"step": 1e400')
    found = described(path)
    assert (found["plan"], found["finished"]) == ([], False)
    assert len(found["sheets"]) == 5
    if found["layout"]:
        assert len(found["layout"]["code_rows"]) == 16
        assert found["layout"]["left_out"] == 14
    assert found["unread"]


@pytest.mark.parametrize(
    "stages",
    [
        None,
        7,
        ["adversarial"],
        [{"name": "adversarial"}],
        [{"name": "adversarial", "steps": steps} for steps in (1, 1.5)],
        [{"name": "adversarial", "steps": True}],
        [{"name": "adversarial", "steps": -1}],
        [{"name": "adversarial", "steps": 10**16}],
        [{"name": 1, "steps": 1}],
        [{"name": "adversarial", "steps": 1}] * 21,
    ],
    ids=range(10),
)
def test_invalid_stages_are_left_out(run: Path, stages: object) -> None:
    (run / "run.json").write_text(json.dumps({"stages": stages}))
    found = described(run)
    assert (found["plan"], found["finished"]) == ([], False)


def test_a_training_is_finished_at_the_last_step_of_its_last_stage(run: Path) -> None:
    def planned(**stages: int) -> None:
        info = {"stages": [{"name": name, "steps": steps} for name, steps in stages.items()]}
        (run / "run.json").write_text(json.dumps(info))

    for steps, finished in ((400, True), (401, False)):
        planned(adversarial=steps)
        assert described(run)["finished"] is finished
    planned(adversarial=400, consolidation=10)
    assert not described(run)["finished"]
    line = {"step": 410, "stage": "consolidation", "stage_step": 10, "Progress/epoch": 1.0, "MI/k1": 1.0}
    with (run / "metrics.jsonl").open("a") as file:
        file.write(json.dumps(line) + "\n")
    found = described(run)
    assert (found["finished"], found["plan"]) == (True, [["adversarial", 400], ["consolidation", 10]])


def test_values_that_are_not_finite_are_null(run: Path) -> None:
    with (run / "metrics.jsonl").open("a") as file:
        file.write(
            '{"step": 500, "stage": "adversarial", "stage_step": 500, "Loss/D/adv": NaN, "Loss/x": 1e999}\n'
        )
    scalars = described(run)["stages"][0]["scalars"]
    assert scalars["Loss/D/adv"][-1] is None
    assert scalars["Loss/x"] == [None] * 9


def test_a_run_that_has_just_started(tmp_path: Path) -> None:
    path = tmp_path / "run"
    path.mkdir()
    (path / "config.json").write_text(json.dumps(CONFIG))
    found = described(path)
    assert (found["stages"], found["sheets"], found["generator_stage"], found["age"]) == ([], [], None, None)


def test_only_a_run_is_watched(cli: Callable[..., Any], run: Path, tiny: Path, tmp_path: Path) -> None:
    for path, reason in ((tmp_path / "nothing", "is not a folder"), (tmp_path, "has no config.json")):
        with pytest.raises(RunError, match=reason):
            WatchedRun(path)
    for arguments in ((run, tiny), (run, "--export", tmp_path / "site")):
        done = cli("explore", "--no-browser", *arguments)
        assert (done.code, done.out) == (2, "")
        assert "is a run, which is watched alone" in done.err
    (run / "config.json").write_text("{")
    done = cli("explore", "--no-browser", run)
    assert (done.code, done.out, len(done.err.splitlines())) == (1, "", 1)
    assert "config.json cannot be read" in done.err


def test_the_path_in_a_command_is_quoted_for_a_shell(cli: Callable[..., Any], tmp_path: Path) -> None:
    path = write_run(tmp_path / "my run", epochs=1)
    assert described(path)["path"] == f"'{path}'"
    assert f"infogan-tool export '{path}' --out BUNDLE" in cli("explore", path, "--data", tmp_path).err


def test_the_end_of_a_training_waits_for_an_open_page_only(run: Path) -> None:
    watched = WatchedRun(run)
    began = time.monotonic()
    watched.wait_until_shown()  # no page has ever asked
    assert time.monotonic() - began < 5
    watched.describe()
    shown = threading.Timer(0.2, watched.describe)
    shown.start()
    watched.wait_until_shown()
    assert not shown.is_alive()
