"""Records as bytes: JSON lines as json.dumps would write them, CSV that a spreadsheet cannot run."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from infogan_tool.runtime import load_bundle
from infogan_tool.runtime.bulk.output.formats import CsvFormat, JsonFormat, error_line, records

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


def with_ood(posterior: Posterior) -> Posterior:
    distance = np.linspace(0, 2, len(HOSTILE)).astype(np.float32)
    return dataclasses.replace(posterior, distance=distance, ood=distance > 1)


def one_by_one(bundle: Bundle, posterior: Posterior, row: int, name: str) -> dict[str, Any]:
    """Return a record as docs/guide/bulk.md describes it, made the plain way."""

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
    return record | {"bundle": metadata.bundle_id, "provider": bundle.provider}


@pytest.mark.parametrize("declared", [False, True])
@pytest.mark.parametrize("which", ["tiny", "continuous", None])
def test_json_lines_are_what_json_dumps_writes(
    which: str | None, declared: bool, request: pytest.FixtureRequest
) -> None:
    bundle, posterior = encoded(request.getfixturevalue(which) if which else None)
    posterior = with_ood(posterior) if declared else dataclasses.replace(posterior, distance=None, ood=None)
    expected = [one_by_one(bundle, posterior, row, name) for row, name in enumerate(HOSTILE)]
    block = JsonFormat(bundle).block(HOSTILE, posterior)
    assert block.decode() == "".join(json.dumps(record) + "\n" for record in expected)
    assert list(records(bundle, HOSTILE, posterior)) == expected
    assert block.isascii()


def test_csv(tiny: Path) -> None:
    bundle, posterior = encoded(tiny)
    made = CsvFormat(bundle)
    text = (made.head() + made.block(HOSTILE, posterior)).decode()
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert list(rows[0]) == [
        *("path", "k1", "k1_label", "k1_confidence", "k1_p0", "k1_p1", "k1_p2", "k1_p3"),
        *("k2", "k2_label", "k2_confidence", "k2_p0", "k2_p1", "k2_p2"),
        *("c1", "c1_std", "c2", "c2_std", "c3", "c3_std"),
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
    made = CsvFormat(bundle)
    rows = list(
        csv.DictReader(io.StringIO((made.head() + made.block(HOSTILE, posterior)).decode(), newline=""))
    )
    names = ["'=cmd()", '"', "a,b", ""]
    assert [row["k1_label"] for row in rows] == [names[i] for i in posterior.categories[:, 0]]


def test_an_error_is_a_line_of_json() -> None:
    line = error_line("a\n\udcff.png", "a\\n\\udcff.png: damaged")
    assert json.loads(line) == {"path": "a\n\udcff.png", "error": "a\\n\\udcff.png: damaged"}
    assert line.count(b"\n") == 1
