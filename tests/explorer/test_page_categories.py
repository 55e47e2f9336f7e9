"""The page's choice of a category is the runtime's, also where categories share a label. Needs Node.js, as
test_page_preprocessing.py does.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from infogan_tool.runtime import load_bundle

pytestmark = pytest.mark.skipif(shutil.which("node") is None, reason="needs Node.js")

LABELS = ("cat", "dog", "cat", None)


def on_the_page(module: str, name: str, calls: list[list[Any]]) -> list[Any]:
    """Return what a function of the page returns for each list of arguments."""
    done = subprocess.run(
        ["node", "--experimental-default-type=module", Path(__file__).with_name("page_module.mjs")],
        input=json.dumps({"module": module, "name": name, "calls": calls}),
        capture_output=True,
        text=True,
        check=True,
    )
    found: list[Any] = json.loads(done.stdout)
    return found


def info(*labels: tuple[str | None, ...]) -> dict[str, Any]:
    """What the page knows of a bundle with a code of four categories for each row of labels."""
    codes = [f"k{place + 1}" for place in range(len(labels))]
    named = {code: list(row) for code, row in zip(codes, labels, strict=True) if any(row)}
    metadata = {"labels": named, "latent": {"categorical": [4] * len(labels)}}
    return {"codes": {"categorical": codes, "continuous": []}, "metadata": metadata}


def test_categories_are_those_of_the_runtime() -> None:
    bundle = load_bundle(device="cpu", threads=1)
    labels = {"k1": (*LABELS, *(None,) * 6)}
    merged = replace(bundle.metadata, labels=labels)
    tables = np.random.default_rng(0).dirichlet(np.full(10, 0.5), 200).astype(np.float32)
    by_label = merged.by_label(tables, "k1")
    expected = np.where(by_label == by_label.max(axis=1, keepdims=True), tables, -1).argmax(axis=1)
    calls = [[info((*LABELS, *(None,) * 6)), 0, row.tolist()] for row in tables]
    found = [ranked[0] for ranked in on_the_page("names.js", "byLabel", calls)]
    assert [one["index"] for one in found] == expected.tolist()
    assert [one["share"] for one in found] == pytest.approx(by_label.max(axis=1).tolist(), abs=1e-5)
    assert (expected != tables.argmax(axis=1)).any()


def test_prediction_is_of_the_first_code_with_labels() -> None:
    sure, unsure = [0.02, 0.95, 0.02, 0.01], [0.35, 0.4, 0.25, 0.0]
    nothing = (None,) * 4
    calls = [
        [info(LABELS), {"probabilities": [unsure], "ood": False}],
        [info(LABELS), {"probabilities": [sure], "ood": None}],
        [info(nothing, LABELS), {"probabilities": [sure, sure], "ood": False}],
        [info(nothing, LABELS), {"probabilities": [unsure, sure], "ood": False}],
        [info(LABELS), {"probabilities": [sure], "ood": True}],
    ]
    found = [
        (one["reliable"], one["label"], one["text"]) for one in on_the_page("names.js", "prediction", calls)
    ]
    assert found == [
        (False, "?", "Low confidence: cat (60 %) or dog (40 %)."),
        (True, "dog", "95 % confidence"),
        (True, "dog", "95 % confidence"),
        (False, "dog", "Low confidence in k1: #1 (40 %) or #0 (35 %)."),
        (False, "?", "Out of distribution: unlike the training images. Most probable: dog."),
    ]
