"""The loggers of examples/loggers write what a training reports, with the real packages and no network."""

from __future__ import annotations

import importlib
import json
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from stopping import StopAfter

from infogan_tool.train import fit, preset

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infogan_tool.train import Run

pytestmark = [
    pytest.mark.loggers,
    pytest.mark.filterwarnings("default"),  # those of the packages' own dependencies
]

EXAMPLES = Path(__file__).parents[2] / "examples" / "loggers"
OFFLINE = {
    "HF_HUB_OFFLINE": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "WANDB_MODE": "offline",
    "WANDB_SILENT": "true",
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, which is empty; the packages write nowhere else."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(EXAMPLES))
    for name, value in (OFFLINE | {"TRACKIO_DIR": str(tmp_path / "trackio")}).items():
        monkeypatch.setenv(name, value)
    return tmp_path


def train(logger: object, *, stop_after: int = 0) -> Run:
    """Train 7 steps of 20 images, with a report every 3."""
    config = preset(
        "paper",
        networks={"base_width": 2, "full_width": 8, "q_width": 8},
        schedule={"batch_size": 20, "steps": 7, "log_every": 3},
    )
    images = np.random.default_rng(0).integers(0, 256, (60, 28, 28), dtype=np.uint8)
    return fit(config, images, callbacks=[logger, StopAfter(stop_after)], device="cpu", threads=1)


def scalars(run: Run) -> dict[int, dict[str, float]]:
    """Return the scalars of each report of a run, by step."""
    assert [record["step"] for record in run.records][:1] == [3]
    return {record["step"]: {k: v for k, v in record.items() if "/" in k} for record in run.records}


@pytest.mark.parametrize(("stop_after", "status"), [(0, "FINISHED"), (4, "KILLED")])
def test_mlflow(folder: Path, stop_after: int, status: str) -> None:
    import mlflow  # noqa: PLC0415 - of group loggers

    mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
    logger = importlib.import_module("mlflow_logger").MlflowLogger("digits")
    run = train(logger, stop_after=stop_after)
    client = mlflow.MlflowClient()
    experiment = client.get_experiment_by_name("digits")
    (logged,) = client.search_runs([experiment.experiment_id])
    assert logged.info.status == status
    found: dict[int, dict[str, float]] = {}
    for name in logged.data.metrics:
        for metric in client.get_metric_history(logged.info.run_id, name):
            found.setdefault(metric.step, {})[name] = metric.value
    assert found == scalars(run)
    assert mlflow.artifacts.load_dict(f"{logged.info.artifact_uri}/config.json") == run.config.to_dict()
    assert mlflow.active_run() is None


@pytest.mark.parametrize("stop_after", [0, 4])
def test_wandb(folder: Path, stop_after: int) -> None:
    import wandb  # noqa: PLC0415 - of group loggers

    logger = importlib.import_module("wandb_logger").WandbLogger(project="digits", dir=folder)
    run = train(logger, stop_after=stop_after)
    wandb.teardown()  # ends the process that writes the file, as the end of the program does
    (file,) = folder.glob("wandb/offline-run-*/run-*.wandb")
    found: dict[int, dict[str, float]] = {}
    config, codes = {}, []
    for record in wandb_records(file):
        if record.HasField("run"):
            config |= {item.key: json.loads(item.value_json) for item in record.run.config.update}
        if record.HasField("history"):
            items = record.history.item
            values = {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in items}
            found[values["_step"]] = {name: value for name, value in values.items() if name[0] != "_"}
        if record.HasField("exit"):
            codes.append(record.exit.exit_code)
    assert found == scalars(run)
    assert {name: value for name, value in config.items() if name[0] != "_"} == run.config.to_dict()
    assert codes == [int(run.interrupted)]


def wandb_records(file: Path) -> Iterator[Any]:
    """Yield the records of an offline run: LevelDB's log format after a header of 7 bytes."""
    from wandb.proto.wandb_internal_pb2 import Record  # noqa: PLC0415 - of group loggers

    data, position, parts = file.read_bytes(), 7, b""
    block, header = 32768, struct.Struct("<IHB")  # checksum, length, kind
    while position + header.size <= len(data):
        if block - position % block < header.size:
            position += block - position % block
            continue
        _, length, kind = header.unpack_from(data, position)
        position += header.size + length
        parts += data[position - length : position]
        if kind in {1, 4}:  # whole, or the last part
            yield Record.FromString(parts)
            parts = b""


def test_trackio(folder: Path) -> None:
    logger = importlib.import_module("trackio_logger").TrackioLogger("digits")
    from trackio import Api  # noqa: PLC0415 - of group loggers
    from trackio.sqlite_storage import SQLiteStorage  # noqa: PLC0415

    run = train(logger)
    assert (folder / "trackio").is_dir()
    (logged,) = Api().runs("digits")
    assert {name: logged.config[name] for name in run.config.to_dict()} == run.config.to_dict()
    found = {
        row["step"]: {name: value for name, value in row.items() if "/" in name}
        for row in SQLiteStorage.get_logs("digits", logged.name)
    }
    assert found == scalars(run)


def test_each_is_short() -> None:
    lengths = {path.name: len(path.read_text().splitlines()) for path in EXAMPLES.glob("*.py")}
    assert len(lengths) == 3
    assert max(lengths.values()) <= 30, lengths
