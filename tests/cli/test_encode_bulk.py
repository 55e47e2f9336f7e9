"""Encode by the thousand: every kind of input, every kind of output, in order, and names that mean harm."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from infogan_tool.cli.progress import Progress
from infogan_tool.runtime import load_bundle

if TYPE_CHECKING:
    from collections.abc import Callable

EXAMPLES = Path(__file__).parents[2] / "examples"
COUNT = 600
"""More than two chunks."""


@pytest.fixture(scope="module")
def digits() -> np.ndarray:
    """Return pictures as the bundle that ships draws them, uint8 (600, 28, 28)."""
    bundle = load_bundle(device="cpu")
    images = bundle.generate(bundle.sample(COUNT, seed=1))
    low, high = bundle.image.low, bundle.image.high
    return np.rint((images[:, 0] - low) / (high - low) * 255).clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def folder(digits: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("digits")
    for number, digit in enumerate(digits):
        below = path / f"{number // 100}"
        below.mkdir(exist_ok=True)
        Image.fromarray(digit).save(below / f"{number:04d}.png", compress_level=1)
    return path


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as picture:
        return np.asarray(picture)


def codes(records: list[dict[str, Any]]) -> list[Any]:
    return [{key: value for key, value in record.items() if key != "path"} for record in records]


@pytest.fixture(scope="module")
def expected(folder: Path) -> list[dict[str, Any]]:
    """Return what the first of the folder's pictures are when they are encoded as a handful."""
    names = sorted(str(path) for path in folder.rglob("*.png"))[:60]
    return lines(piped("encode", *names, "--json").stdout.decode())


def test_a_folder_is_what_its_pictures_are(
    cli: Callable[..., Any], folder: Path, expected: list[dict[str, Any]]
) -> None:
    done = cli("encode", folder, "--json")
    assert (done.code, done.err) == (0, "")
    records = lines(done.out)
    assert [r["path"] for r in records] == sorted(str(p) for p in folder.rglob("*.png"))
    for record, single in zip(records, expected, strict=False):
        # A handful is encoded by the graph as it is written, many by what onnxruntime makes of it.
        found, wanted = record["categories"][0], single["categories"][0]
        assert found["index"] == wanted["index"]
        assert found["probabilities"] == pytest.approx(wanted["probabilities"], abs=1e-5)
        assert [s["mean"] for s in record["styles"]] == pytest.approx(
            [s["mean"] for s in single["styles"]], abs=1e-5
        )


@pytest.mark.parametrize("kind", ["npy", "npz", "idx", "idx.gz", "pattern", "list", "nul list"])
def test_every_kind_of_input_gives_the_same_codes(
    cli: Callable[..., Any], folder: Path, digits: np.ndarray, tmp_path: Path, kind: str
) -> None:
    plain = cli("encode", folder, "--json").out
    path, stdin = tmp_path / "digits", None
    if kind == "npy":
        path = path.with_suffix(".npy")
        np.save(path, digits)
    elif kind == "npz":
        path = path.with_suffix(".npz")
        np.savez_compressed(path, x=digits[:, None], y=np.arange(COUNT))
    elif kind.startswith("idx"):
        content = (
            bytes((0, 0, 8, 3)) + b"".join(n.to_bytes(4, "big") for n in digits.shape) + digits.tobytes()
        )
        path.write_bytes(gzip.compress(content, 1) if kind == "idx.gz" else content)
    elif kind == "pattern":
        path = folder / "**" / "*.png"
    else:
        end = b"\0" if kind == "nul list" else b"\n"
        stdin = end.join(os.fsencode(p) for p in sorted(folder.rglob("*.png")))
        path = Path("-")
    done = piped("encode", path, "--json", stdin=stdin)
    assert (done.returncode, done.stderr.decode()) == (0, "")
    found = lines(done.stdout.decode())
    assert codes(found) == codes(lines(plain))
    if kind in ("npy", "idx", "idx.gz"):
        assert [r["path"] for r in found] == [f"{path}#{i}" for i in range(COUNT)]


def piped(*arguments: str | Path, stdin: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "infogan_tool", *map(str, arguments)]
    environment = os.environ | {"CUDA_VISIBLE_DEVICES": "-1"}
    return subprocess.run(command, input=stdin, capture_output=True, check=False, env=environment)


def test_a_picture_on_standard_input() -> None:
    content = (EXAMPLES / "three.png").read_bytes()
    (record,) = lines(piped("encode", "-", "--json", stdin=content).stdout.decode())
    (named,) = lines(piped("encode", EXAMPLES / "three.png", "--json").stdout.decode())
    assert record["path"] == "-"
    assert codes([record]) == codes([named])


def test_nothing_on_standard_input_is_failure() -> None:
    done = piped("encode", "-", "--json", stdin=b"")
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr == b"error: the inputs name no picture\n"


def test_csv_and_jsonl_files_are_what_is_printed(
    cli: Callable[..., Any], folder: Path, tmp_path: Path
) -> None:
    for suffix, option in ((".jsonl", ["--json"]), (".csv", ["--format", "csv"])):
        out = tmp_path / f"codes{suffix}"
        done = cli("encode", folder, "--out", out)
        assert (done.code, done.out) == (0, "")
        assert done.err == f"wrote the codes of 600 pictures to {out}\n"
        assert out.read_text() == cli("encode", folder, *option).out
        # The same for a handful, which go another way.
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
            assert row["c1"] == pytest.approx(record["styles"][0]["mean"], abs=1e-6)
            assert row["c2_std"] == pytest.approx(record["styles"][1]["std"], abs=1e-6)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["5.parquet", "600.parquet"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--out", "codes.xlsx"], "end the name in .jsonl, .csv or .parquet, or say --format"),
        (["--format", "parquet"], "Parquet needs a file"),
        (["--json", "--out", "codes.csv"], "--json and format csv do not go together"),
        (["--resume"], "--resume goes on with the file that --out names"),
        (["--show-input", "x.jpg"], "a .png file, or a folder"),
        (["--out", "a.csv", "--errors", "a.csv"], "must be different files"),
        (["--threads", "0"], "Invalid value for '--threads'"),
        (["--engine", "spark"], "Invalid value for '--engine'"),
    ],
)
def test_options_that_cannot_be_are_refused_first(
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
def test_a_part_that_is_not_installed_is_named(
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


def test_bad_pictures_among_many(cli: Callable[..., Any], folder: Path, tmp_path: Path) -> None:
    mixed = shutil.copytree(folder, tmp_path / "mixed")
    (mixed / "0" / "0007.png").write_bytes(b"no picture")
    (mixed / "3" / "0300.png").unlink()
    (mixed / "3" / "0300.png").symlink_to("gone")
    os.mkfifo(mixed / "4" / "pipe.png")
    out, errors = tmp_path / "codes.jsonl", tmp_path / "errors.jsonl"
    done = cli("encode", mixed, "--out", out, "--errors", errors)
    assert done.code == 3
    told = done.err.splitlines()
    assert told[0].startswith(f"error: {mixed}/0/0007.png: not a picture")
    assert told[1] == f"error: {mixed}/3/0300.png: No such file or directory"
    assert told[2] == f"error: {mixed}/4/pipe.png is not a regular file"
    assert told[3:] == [f"wrote the codes of 598 pictures to {out}", "3 of 601 pictures failed"]
    listed = lines(errors.read_text())
    assert [f"error: {line['error']}" for line in listed] == told[:3]
    assert [line["path"] for line in listed] == [
        f"{mixed}/{n}" for n in ("0/0007.png", "3/0300.png", "4/pipe.png")
    ]
    good = set(map(str, mixed.rglob("*.png"))) - {line["path"] for line in listed}
    assert [line["path"] for line in lines(out.read_text())] == sorted(good)


def test_all_failed(cli: Callable[..., Any], tmp_path: Path) -> None:
    for number in range(100):
        (tmp_path / f"{number:03d}.png").write_bytes(b"")
    out, errors = tmp_path / "codes.csv", tmp_path / "errors.jsonl"
    done = cli("encode", tmp_path, "--out", out, "--errors", errors)
    assert (done.code, done.out) == (1, "")
    assert len(done.err.splitlines()) == 100
    assert len(lines(errors.read_text())) == 100
    assert sorted(p.name for p in tmp_path.iterdir() if p.suffix != ".png") == ["errors.jsonl"]


def test_names_that_mean_harm(cli: Callable[..., Any], folder: Path, tmp_path: Path) -> None:
    hostile = tmp_path / "h"
    hostile.mkdir()
    source = next(folder.rglob("*.png"))
    names = [
        b"a\nb.png",
        b"\x1b]0;own\x07.png",
        b"\xff\xfe.png",
        "\u202egnp.png".encode(),
        b"%s{}.png",
        b"=1.png",
    ]
    for number, name in enumerate(names):
        shutil.copy(source, os.fsencode(hostile) + b"/" + name)
        (hostile / f"bad\x1b[{number}.png").write_bytes(b"")
    expected = {os.fsencode(hostile) + b"/" + name for name in names}
    for extra in (0, 100):  # in this process, and by the pipeline
        for number in range(extra):
            shutil.copy(source, hostile / f"z{number:03d}.png")
        table = cli("encode", hostile)
        assert table.code == 3
        assert all(c.isprintable() or c == "\n" for c in table.out + table.err)
        assert len(table.out.splitlines()) == 1 + len(names) + extra
        found = {os.fsencode(r["path"]) for r in lines(cli("encode", hostile, "--json").out)}
        assert {name for name in found if b"/z" not in name} == expected
        rows = list(csv.reader(io.StringIO(cli("encode", hostile, "--format", "csv").out)))
        assert len(rows) == 1 + len(names) + extra
        assert cli("encode", hostile, "--out", tmp_path / f"{extra}.csv").code == 3
        assert (tmp_path / f"{extra}.csv").read_bytes().decode().count("\\udcff\\udcfe.png") == 1


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
    for there in ("one.png", "all"):
        done = cli("encode", one, "--show-input", tmp_path / there)
        assert done.code == 1
        assert "is already there" in done.err


def test_raw_leaves_the_picture_as_it_is(cli: Callable[..., Any], tmp_path: Path) -> None:
    dark = 255 - pixels(EXAMPLES / "three.png")
    Image.fromarray(dark).save(tmp_path / "dark.png")
    assert cli("encode", tmp_path / "dark.png", "--raw", "--show-input", tmp_path / "raw.png").code == 0
    assert np.array_equal(pixels(tmp_path / "raw.png"), dark)


def test_memory_does_not_grow_with_the_number(tmp_path: Path) -> None:
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
        bundle = Path(__file__).parents[1] / "fixtures" / "continuous"
        command = [
            sys.executable,
            "-c",
            code,
            "encode",
            str(path),
            "-b",
            str(bundle),
            "--json",
            "--device",
            "cpu",
        ]
        done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=True)
        code, peak = done.stderr.split()
        assert code == b"0"
        peaks.append(int(peak) / 1024)
    assert peaks[1] - peaks[0] < 8  # MB; the records alone would be 5 MB, the pictures 1 MB, the floats 5 MB


def test_interrupted_leaves_what_is_done(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "codes.jsonl"
    command = [sys.executable, "-m", "infogan_tool", "encode", "-", "--out", str(out)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as run:
        assert run.stdin is not None
        assert run.stderr is not None
        names = b"\n".join(os.fsencode(p) for p in sorted(folder.rglob("*.png")))
        feeding = threading.Thread(target=_feed_for_ever, args=(run.stdin, names + b"\n"), daemon=True)
        feeding.start()
        part = tmp_path / "codes.jsonl.part"
        assert _until(lambda: (part.exists() and part.stat().st_size) or run.poll() is not None)
        assert run.poll() is None
        run.send_signal(signal.SIGINT)
        told = run.stderr.read().decode().splitlines()
        with suppress(OSError):
            run.stdin.close()
    assert run.returncode == 130
    assert re.fullmatch(
        rf"[\d,]+ pictures are done and kept in {part}: the same command with --resume goes on", told[0]
    )
    assert told[1] == "interrupted"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["codes.jsonl.part", "codes.jsonl.part.journal"]


def _feed_for_ever(pipe: IO[bytes], names: bytes) -> None:
    """Write names without an end, as long as somebody reads them: several chunks are on the way at a time."""
    with suppress(OSError, ValueError):
        while True:
            pipe.write(names)


def test_a_reader_that_goes_away_ends_the_run(start: Callable[..., Any], folder: Path) -> None:
    with start("encode", folder, folder, folder, folder, "--json", CUDA_VISIBLE_DEVICES="-1") as run:
        assert run.stdout.readline()
        run.stdout.close()
        assert run.stderr.read() == b""
    assert run.returncode == 141


# --- progress --------------------------------------------------------------------------------------------


def test_progress_in_words() -> None:
    progress = Progress(lambda: 70_000, done=10_000, wanted=True, bar=False)
    progress._start -= 10
    progress.update(30_000)
    assert _until(lambda: progress._total) == 70_000
    words = progress.line(progress._start + 10)
    assert words == "30,000 of 70,000 pictures, 2,000 a second, 20 s left"
    progress._total = None
    assert progress.line(progress._start + 10) == "30,000 pictures, 2,000 a second"
    progress._total = 20_000_000
    assert progress.line(progress._start + 10).endswith("2 h 46 min left")


def test_progress_is_told_now_and_then(capsys: pytest.CaptureFixture[str]) -> None:
    for wanted, seconds, told in ((None, 29, 0), (None, 31, 1), (True, 6, 1), (False, 99, 0)):
        with Progress(lambda: None, done=0, wanted=wanted, bar=False) as progress:
            progress._start -= seconds
            progress._told -= seconds
            progress.update(500)
            progress.update(501)
        assert len(capsys.readouterr().err.splitlines()) == told


def test_a_count_that_fails_is_no_error() -> None:
    def fail() -> int:
        raise OSError

    progress = Progress(fail, done=0, wanted=True, bar=False)
    progress._start -= 10
    progress.update(10)
    assert progress.line(progress._start + 10).startswith("10 pictures, 1 a second")


def _until(found: Callable[[], Any]) -> Any:  # noqa: ANN401
    deadline = time.monotonic() + 60
    while not (value := found()) and time.monotonic() < deadline:
        time.sleep(0.01)
    return value


@pytest.mark.skipif(sys.platform != "linux", reason="needs a pseudo-terminal")
def test_a_bar_on_a_terminal_leaves_standard_output_alone(folder: Path, tmp_path: Path) -> None:
    import pty  # noqa: PLC0415

    leader, terminal = pty.openpty()
    command = [sys.executable, "-m", "infogan_tool", "encode", "-", "--json"]
    names = b"".join(os.fsencode(p) + b"\n" for p in sorted(folder.rglob("*.png"))) + b"no.png\n"
    with (
        (tmp_path / "out").open("wb") as out,
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=out, stderr=terminal) as run,
    ):
        os.close(terminal)
        assert run.stdin is not None
        feeder = threading.Thread(target=_feed, args=(run.stdin, names))
        feeder.start()
        shown = b""
        while more := _read(leader):
            shown += more
            if b"a second" in shown:
                feeder.stop = True
        feeder.join()
    os.close(leader)
    assert run.returncode == 3
    assert len(lines((tmp_path / "out").read_text())) % COUNT == 0
    assert re.search(rb"[\d,]+ pictures, [\d,]+ a second", shown)
    assert b"error: no.png: No such file" in shown


def _feed(stream: Any, names: bytes) -> None:  # noqa: ANN401 - a pipe
    """Write the list again and again until the thread is told to stop."""
    thread = threading.current_thread()
    with stream:
        while not getattr(thread, "stop", False):
            stream.write(names)


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 1 << 16)
    except OSError:  # the other end is closed
        return b""
