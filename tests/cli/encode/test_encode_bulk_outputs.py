"""Bulk encoding: every kind of output, invalid options, and constant memory."""

from __future__ import annotations

import csv
import errno
import io
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from bulk_helpers import COUNT, EXAMPLES, inputs_done, lines, pixels

from infogan_tool.cli.encode import run
from infogan_tool.runtime.bulk.output import resumable
from infogan_tool.runtime.bulk.output.resumable import Resumable
from infogan_tool.runtime.bundle.bundle import load_bundle

if TYPE_CHECKING:
    from collections.abc import Callable


def test_csv_and_jsonl_files_are_the_printed_text(
    cli: Callable[..., Any], folder: Path, tmp_path: Path
) -> None:
    for suffix, option in ((".jsonl", ["--json"]), (".csv", ["--format", "csv"])):
        out = tmp_path / f"codes{suffix}"
        done = cli("encode", folder, "--out", out)
        assert (done.code, done.out) == (0, "")
        assert done.err == f"wrote the codes of 600 images to {out}\n"
        assert out.read_text() == cli("encode", folder, *option).out
        # The same for a few, which are encoded in this process.
        few = sorted(folder.rglob("*.png"))[:5]
        assert cli("encode", *few, "--out", out, "--force").code == 0
        assert out.read_text() == cli("encode", *few, *option).out
    assert sorted(p.name for p in tmp_path.iterdir()) == ["codes.csv", "codes.jsonl"]
    rows = list(csv.DictReader(io.StringIO((tmp_path / "codes.csv").read_text())))
    assert [row["path"] for row in rows] == [str(path) for path in few]


def test_parquet_file(cli: Callable[..., Any], folder: Path, tmp_path: Path) -> None:
    pq = pytest.importorskip("pyarrow.parquet")
    records = lines(cli("encode", folder, "--json").out)
    for inputs, count in (([folder], COUNT), (sorted(folder.rglob("*.png"))[:5], 5)):
        out = tmp_path / f"{count}.parquet"
        assert cli("encode", *inputs, "--out", out).code == 0
        rows = pq.read_table(out).to_pylist()
        assert [row["path"] for row in rows] == [r["path"] for r in records[:count]]
        for row, record in zip(rows, records, strict=False):
            (category,) = record["categories"]
            assert (row["k1"], row["k1_label"]) == (category["index"], category["label"])
            assert row["k1_confidence"] == pytest.approx(category["confidence"], abs=1e-6)
            found = [row[f"k1_p{i}"] for i in range(10)]
            assert found == pytest.approx(category["probabilities"], abs=1e-6)
            # A few images are encoded in-process; the sixth decimal may differ: docs/guide/bulk.md.
            assert row["c1"] == pytest.approx(record["styles"][0]["mean"], abs=3e-6)
            assert row["c2_std"] == pytest.approx(record["styles"][1]["std"], abs=1e-6)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["5.parquet", "600.parquet"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--out", "codes.xlsx"], "use a name ending in .jsonl, .csv or .parquet, or give --format"),
        (["--format", "parquet"], "--format parquet writes a file: give --out FILE.parquet"),
        (["--json", "--out", "codes.csv"], "--json and format csv exclude each other"),
        (["--resume"], "--resume continues the file of --out: give --out"),
        (["--show-input", "x.jpg"], "give a name ending in .png, or a folder"),
        (["--out", "a.csv", "--errors", "a.csv"], "must be different files"),
        (["--threads", "0"], "Invalid value for '--threads'"),
        (["--engine", "spark"], "Invalid value for '--engine'"),
    ],
)
def test_invalid_options_are_refused_first(
    cli: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    done = cli("encode", "no.png", *options)
    assert (done.code, done.out) == (2, "")
    assert message in done.err
    assert len(done.err.splitlines()) == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("module", "arguments"),
    [
        ("pyarrow", ["--out", "codes.parquet"]),
        ("pyarrow", ["table.parquet"]),
        ("ray", ["--engine", "ray"]),
    ],
)
def test_a_missing_extra_is_named(
    cli: Callable[..., Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    module: str,
    arguments: list[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "table.parquet").write_bytes(b"PAR1" + bytes(9) + b"PAR1")
    monkeypatch.setitem(sys.modules, module, None)  # importing it is an error
    done = cli("encode", EXAMPLES / "one.png", *arguments)
    assert (done.code, done.out) == (1, "")
    extra = "ray" if module == "ray" else "parquet"
    assert done.err.endswith(f"needs more packages: pip install 'infogan-tool[{extra}]'\n")
    assert len(done.err.splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["table.parquet"]


def test_all_failed(cli: Callable[..., Any], tmp_path: Path) -> None:
    for number in range(100):
        (tmp_path / f"{number:03d}.png").write_bytes(b"")
    out, errors = tmp_path / "codes.csv", tmp_path / "errors.jsonl"
    done = cli("encode", tmp_path, "--out", out, "--errors", errors)
    assert (done.code, done.out) == (1, "")
    assert len(done.err.splitlines()) == 100
    assert len(lines(errors.read_text())) == 100
    assert sorted(p.name for p in tmp_path.iterdir() if p.suffix != ".png") == ["errors.jsonl"]


def test_errors_are_written_when_codes_are_printed(
    cli: Callable[..., Any], folder: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no image")
    errors = tmp_path / "errors.jsonl"
    done = cli("encode", broken, folder, broken, "--json", "--errors", errors)
    assert done.code == 3
    assert [record["path"] for record in lines(errors.read_text())] == [str(broken)] * 2
    assert [record["path"] for record in lines(done.out)] == [
        str(path) for path in sorted(folder.rglob("*.png"))
    ]
    # Where the run ends early there is none: half a list says nothing.
    errors.unlink()
    assert cli("encode", folder, tmp_path / "no*.png", "--json", "--errors", errors / "x").code != 0
    assert not errors.exists()


def test_a_sheet_of_inputs_has_a_limit(cli: Callable[..., Any], folder: Path, tmp_path: Path) -> None:
    shown = tmp_path / "seen.png"
    done = cli("encode", folder, folder, "--json", "--raw", "--show-input", shown)
    assert done.code == 0
    assert done.err == f"{shown} shows the first 1,024 images; a folder gets them all\n"
    assert pixels(shown).shape == (32 * 30 + 2, 32 * 30 + 2)


def test_show_input(cli: Callable[..., Any], tmp_path: Path, folder: Path, digits: np.ndarray) -> None:
    one = EXAMPLES / "one.png"
    assert cli("encode", one, "--show-input", tmp_path / "one.png").code == 0
    assert np.array_equal(pixels(tmp_path / "one.png"), pixels(one))
    assert cli("encode", *sorted(EXAMPLES.glob("*.png")), "--show-input", tmp_path / "ten.png").code == 0
    assert pixels(tmp_path / "ten.png").shape == (3 * 30 + 2, 4 * 30 + 2)
    assert cli("encode", folder, "--json", "--raw", "--show-input", tmp_path / "all").code == 0
    shown = sorted((tmp_path / "all").iterdir())
    assert [path.name for path in shown] == [f"{i:06d}.png" for i in range(COUNT)]
    assert all(np.array_equal(pixels(p), d) for p, d in zip(shown, digits, strict=True))
    (tmp_path / "file").write_text("mine")
    for there in ("one.png", "all", "file"):
        done = cli("encode", one, "--show-input", tmp_path / there)
        assert done.code == 1
        assert "already exists" in done.err


def test_memory_does_not_grow_with_the_number_of_images(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    assert resource
    peaks = []
    for count in (2_000, 20_000):
        path = tmp_path / f"{count}.npy"
        np.save(path, np.zeros((count, 8, 8, 1), np.uint8))
        code = (
            "import resource, sys; from infogan_tool.cli.main import main; "
            "code = main(sys.argv[1:]); "
            "print(code, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)"
        )
        bundle = Path(__file__).parents[2] / "fixtures" / "continuous"
        command = [
            sys.executable,
            "-c",
            code,
            "encode",
            str(path),
            "-b",
            str(bundle),
            "--json",
            "--raw",
            "--no-progress",
            "--device",
            "cpu",
        ]
        done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=True)
        code, peak = done.stderr.split()
        assert code == b"0"
        peaks.append(int(peak) / 1024)
    assert peaks[1] - peaks[0] < 8  # MB; the records alone would be 5 MB, the images 1 MB, the floats 5 MB


def test_only_saved_images_are_reported_when_the_disk_is_full(
    cli: Callable[..., Any], folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, save = tmp_path / "codes.jsonl", Resumable.save

    def save_once(result: Resumable, **options: bool) -> None:
        if result.saved_inputs:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        save(result, **options)

    monkeypatch.setattr(resumable, "_SAVE_SECONDS", 0.0)
    monkeypatch.setattr(Resumable, "save", save_once)
    done = cli("encode", folder, "--out", out)
    assert done.code == 1
    assert inputs_done(out) == 256
    assert f"256 images are done and kept in {out}.part" in done.err


def test_encoders_on_ray_are_on_the_cpu_unless_asked(
    cli: Callable[..., Any], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    devices = []

    def load(*arguments: Any, device: str, **options: Any) -> Any:  # noqa: ANN401
        devices.append(device)
        return load_bundle(*arguments, device="cpu", **options)

    monkeypatch.setattr(run, "load_bundle", load)
    monkeypatch.setattr(
        "infogan_tool.cli.encode.bulk.encode_in_bulk", lambda *a: devices.append(a[3].device) or 0
    )
    for given in ((), ("--device", "cuda")):
        assert cli("encode", folder, "--engine", "ray", *given).code == 0
    assert devices == ["cpu", "cpu", "cuda", "cuda"]
