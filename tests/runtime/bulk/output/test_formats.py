"""JSON lines with the values of the posterior, CSV that a spreadsheet does not evaluate."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from infogan_tool.runtime import OodSpec, load_bundle
from infogan_tool.runtime.bulk.output.formats import error_line, make_format
from infogan_tool.runtime.bundle.reading import LOW_CONFIDENCE

if TYPE_CHECKING:
    from pathlib import Path

    from infogan_tool.runtime import Bundle, Posterior

HOSTILE = [
    "plain.png",
    "=1+1.png",
    "@x",
    "-x",
    "+x",
    "\tx",
    "\rx",
    'a,"b"\nc.png',
    "100%s.png",
    "\udcff.png",
    "é",
    "\x1b[2J",
]


def encoded(path: Path) -> tuple[Bundle, Posterior]:
    bundle = load_bundle(path, device="cpu", threads=1)
    return bundle, bundle.encode(bundle.generate(bundle.sample(len(HOSTILE), seed=3)))


def one_by_one(bundle: Bundle, posterior: Posterior, row: int, name: str) -> dict[str, Any]:
    """Return a record as docs/guide/bulk.md describes it, built value by value."""

    def number(value: float) -> float:
        return round(float(value), 6)

    metadata, latent = bundle.metadata, bundle.latent
    record: dict[str, Any] = {"path": name, "categories": [], "styles": []}
    for column, code in enumerate(latent.categorical_names):
        index = int(posterior.categories[row, column])
        record["categories"].append(
            {
                "code": code,
                "index": index,
                "label": metadata.label(code, index),
                "confidence": number(posterior.confidence[row, column]),
                "probabilities": [number(p) for p in posterior.probabilities[column][row]],
            }
        )
    for column, code in enumerate(latent.continuous_names):
        mean, std = (number(values[row, column]) for values in (posterior.style_mean, posterior.style_std))
        record["styles"].append(
            {"code": code, "name": metadata.style_names.get(code), "mean": mean, "std": std}
        )
    if posterior.ood is not None and posterior.distance is not None:
        record |= {"ood": bool(posterior.ood[row]), "distance": number(posterior.distance[row])}
    if latent.categorical:
        record["low_confidence"] = bool((posterior.confidence[row] < LOW_CONFIDENCE).any())
    return record | {"bundle": metadata.bundle_id, "provider": bundle.provider}


@pytest.mark.parametrize("with_ood", [False, True])
@pytest.mark.parametrize("which", ["tiny", "continuous", None])
def test_json_lines_hold_the_values_with_six_decimals(
    which: str | None, with_ood: bool, request: pytest.FixtureRequest
) -> None:
    bundle, posterior = encoded(request.getfixturevalue(which) if which else None)
    distance = np.linspace(0, 2, len(HOSTILE)).astype(np.float32)
    bundle.metadata = dataclasses.replace(bundle.metadata, ood=OodSpec(threshold=1.0) if with_ood else None)
    posterior = dataclasses.replace(
        posterior, distance=distance if with_ood else None, ood=distance > 1 if with_ood else None
    )
    expected = [one_by_one(bundle, posterior, row, name) for row, name in enumerate(HOSTILE)]
    rows = make_format("jsonl", bundle).rows(HOSTILE, posterior)
    assert rows.isascii()
    lines = rows.decode().splitlines()
    # Compared as text, so that the order of the keys is too.
    assert [json.dumps(json.loads(line)) for line in lines] == [json.dumps(record) for record in expected]
    for line, record in zip(lines, expected, strict=True):
        numbers = re.findall(r"-?\d+\.\d+", line.removeprefix(f'{{"path": {json.dumps(record["path"])}'))
        assert numbers
        assert all(len(number.partition(".")[2]) == 6 for number in numbers)


@pytest.mark.parametrize(
    "value", [0.0, -0.0, 1.0, -1.0, 4.9e-7, 9.95e-5, 1e-45, 999.99999, -12345.678, 3.4e38]
)
def test_numbers_of_any_size_are_valid_json(continuous: Path, value: float) -> None:
    bundle, posterior = encoded(continuous)
    number = np.float32(value)
    posterior.style_mean[:] = number
    (line, *_) = make_format("jsonl", bundle).rows(HOSTILE, posterior).decode().splitlines()
    assert json.loads(line)["styles"][0]["mean"] == round(float(number), 6)


def test_percent_signs_and_quotes_of_a_bundle_are_written_as_they_are(tiny: Path) -> None:
    bundle, posterior = encoded(tiny)
    bundle.metadata.labels["k1"] = ('%s "a"',) * 4
    bundle.metadata.style_names["c1"] = "50 %d"
    (line, *_) = make_format("jsonl", bundle).rows(["100%s.png"] * len(HOSTILE), posterior).splitlines()
    record = json.loads(line)
    assert (record["path"], record["categories"][0]["label"]) == ("100%s.png", '%s "a"')
    assert record["styles"][0]["name"] == "50 %d"


def test_csv(tiny: Path) -> None:
    bundle, posterior = encoded(tiny)
    csv_format = make_format("csv", bundle)
    text = (csv_format.header() + csv_format.rows(HOSTILE, posterior)).decode()
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert list(rows[0]) == [
        *("path", "k1", "k1_label", "k1_confidence", "k1_p0", "k1_p1", "k1_p2", "k1_p3"),
        *("k2", "k2_label", "k2_confidence", "k2_p0", "k2_p1", "k2_p2"),
        *("c1", "c1_std", "c2", "c2_std", "c3", "c3_std"),
        "low_confidence",
    ]
    safe = [
        "plain.png",
        "'=1+1.png",
        "'@x",
        "'-x",
        "'+x",
        "\\tx",
        "\\rx",
        'a,"b"\\nc.png',
        "100%s.png",
        "\\udcff.png",
        "é",
        "\\x1b[2J",
    ]
    assert [row["path"] for row in rows] == safe
    for number, row in enumerate(rows):
        record = one_by_one(bundle, posterior, number, HOSTILE[number])
        first = record["categories"][0]
        assert (int(row["k1"]), row["k1_label"]) == (first["index"], first["label"] or "")
        assert [float(row[f"k1_p{i}"]) for i in range(4)] == first["probabilities"]
        assert [float(row[f"c{i}"]) for i in (1, 2, 3)] == [style["mean"] for style in record["styles"]]
        assert [float(row[f"c{i}_std"]) for i in (1, 2, 3)] == [style["std"] for style in record["styles"]]


def test_a_label_cannot_be_a_formula(tiny: Path) -> None:
    bundle, posterior = encoded(tiny)
    bundle.metadata.labels["k1"] = ("=cmd()", '"', "a,b", None)
    csv_format = make_format("csv", bundle)
    rows = list(
        csv.DictReader(
            io.StringIO((csv_format.header() + csv_format.rows(HOSTILE, posterior)).decode(), newline="")
        )
    )
    names = ["'=cmd()", '"', "a,b", ""]
    assert [row["k1_label"] for row in rows] == [names[i] for i in posterior.categories[:, 0]]


def test_an_error_line_is_json() -> None:
    line = error_line("a\n\udcff.png", "a\\n\\udcff.png: damaged")
    assert json.loads(line) == {"path": "a\n\udcff.png", "error": "a\\n\\udcff.png: damaged"}
    assert line.count(b"\n") == 1
