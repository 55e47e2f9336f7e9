from __future__ import annotations

import sys

import pytest

from infogan_tool.runtime.inference import environment
from infogan_tool.runtime.inference.environment import (
    ONNXRUNTIME_PACKAGES,
    expected_onnxruntime,
    installed,
    suggested_fix,
)


def test_exactly_one_onnxruntime_is_installed_here() -> None:
    assert len(installed(ONNXRUNTIME_PACKAGES)) == 1
    assert installed(("no-such-distribution",)) == {}


@pytest.mark.parametrize(
    ("system", "machine", "package"),
    [
        ("linux", "x86_64", "onnxruntime-gpu"),
        ("linux", "aarch64", "onnxruntime"),
        ("win32", "AMD64", "onnxruntime-gpu"),
        ("win32", "ARM64", "onnxruntime"),
        ("darwin", "arm64", "onnxruntime"),
    ],
)
def test_the_package_of_each_platform(
    system: str, machine: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr(environment.platform, "machine", lambda: machine)
    assert expected_onnxruntime() == package
    assert suggested_fix({"onnxruntime": "1", "onnxruntime-gpu": "2"}) == [
        "pip uninstall -y onnxruntime onnxruntime-gpu",
        f"pip install {package}",
    ]
    assert suggested_fix({}) == [f"pip install {package}"]
