from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING

import numpy as np
import pytest
from onnx_writer import INT64, model, node, tensor, value_info

from infogan_tool.runtime.errors import BundleError, DeviceError
from infogan_tool.runtime.inference import device, session
from infogan_tool.runtime.inference.session import CPU_PROVIDER, GraphSession, TensorInfo

if TYPE_CHECKING:
    from pathlib import Path

HAS_GPU = device.gpu_present()


def doubling(**props: str) -> bytes:
    weights = tensor("w", [2], struct.pack("<2f", 2, 2))
    return model(
        [node("Mul", ["x", "w"], ["y"])],
        [value_info("x", ("batch", 2))],
        [value_info("y", ("batch", 2))],
        initializers=[weights],
        props=props,
    )


def test_a_session_runs_and_has_its_interface() -> None:
    opened = GraphSession(doubling(a="1", b="zwei"), device="cpu")
    assert opened.inputs == {"x": TensorInfo(("batch", 2), "float32")}
    assert opened.outputs == {"y": TensorInfo(("batch", 2), "float32")}
    assert opened.metadata == {"a": "1", "b": "zwei"}
    assert (opened.provider, opened.fallback) == (CPU_PROVIDER, None)
    found = opened.run({"x": np.array([[1, 2], [3, 4]], np.float32)})
    assert list(found) == ["y"]
    np.testing.assert_array_equal(found["y"], [[2, 4], [6, 8]])


def test_other_types_are_named_as_numpy_names_them() -> None:
    graph = model(
        [node("Identity", ["x"], ["y"])], [value_info("x", (3,), INT64)], [value_info("y", (3,), INT64)]
    )
    assert GraphSession(graph, device="cpu").inputs["x"] == TensorInfo((3,), "int64")


@pytest.mark.parametrize("one_shot", [False, True])
@pytest.mark.parametrize("threads", [None, 1, 3])
def test_options_change_no_more_than_rounding(tiny: Path, one_shot: bool, threads: int | None) -> None:
    content = (tiny / "q_encoder.onnx").read_bytes()
    images = np.random.default_rng(0).random((5, 3, 16, 16), np.float32)
    plain = GraphSession(content, device="cpu").run({"images": images})
    other = GraphSession(content, device="cpu", threads=threads, one_shot=one_shot).run({"images": images})
    for name, values in plain.items():
        np.testing.assert_allclose(other[name], values, atol=1e-5)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "cannot be opened"),
        (b"not a graph at all", "is not an ONNX graph"),
        (b"\x00\x00\x00\x00ORTM" + b"\x00" * 64, "is not an ONNX graph|cannot be opened"),
        (
            model([node("NoSuchOperator", ["x"], ["y"])], [value_info("x", (1,))], [value_info("y", (1,))]),
            "NoSuchOp",
        ),
    ],
)
def test_invalid_graphs_are_refused(content: bytes, message: str) -> None:
    with pytest.raises(BundleError, match=message) as caught:
        GraphSession(content, device="cpu", name="g.onnx")
    assert str(caught.value).startswith("g.onnx ")
    assert "\n" not in str(caught.value)


def test_wrong_feeds_are_refused() -> None:
    opened = GraphSession(doubling(), device="cpu", name="g.onnx")
    for feeds in ({"x": np.zeros((1, 3), np.float32)}, {"x": np.zeros((1, 2), np.int64)}, {}):
        with pytest.raises(BundleError, match=r"g\.onnx cannot be run") as caught:
            opened.run(feeds)
        assert "\n" not in str(caught.value)


@pytest.mark.skipif(HAS_GPU, reason="asks what happens without a GPU")
def test_without_gpu_auto_is_silent_and_cuda_is_an_error(capfd: pytest.CaptureFixture[str]) -> None:
    opened = GraphSession(doubling(), device="auto")
    assert (opened.provider, opened.fallback) == (CPU_PROVIDER, None)
    has_cuda = session.CUDA_PROVIDER in session.available_providers()
    message = r"no NVIDIA GPU is visible.*use device cpu or auto" if has_cuda else "is built without CUDA"
    with pytest.raises(DeviceError, match=message):
        GraphSession(doubling(), device="cuda")
    assert capfd.readouterr() == ("", "")


@pytest.mark.skipif(HAS_GPU, reason="asks what happens when CUDA does not start")
def test_auto_reports_why_a_gpu_is_not_used(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(session, "gpu_present", lambda: True)  # a GPU whose driver does not work
    opened = GraphSession(doubling(), device="auto")
    assert opened.provider == CPU_PROVIDER
    assert opened.fallback is not None
    assert opened.fallback.startswith("there is a GPU but it is not used: ")
    assert "\n" not in opened.fallback
    with pytest.raises(DeviceError, match="device cuda cannot be used"):
        GraphSession(doubling(), device="cuda")
    assert capfd.readouterr() == ("", "")


@pytest.mark.skipif(HAS_GPU, reason="asks what happens without a GPU")
def test_a_damaged_graph_is_a_bundle_error_on_any_device() -> None:
    with pytest.raises(BundleError):
        GraphSession(b"\x08\x0a", device="cuda")


@pytest.mark.skipif(not HAS_GPU, reason="needs a GPU")
def test_with_gpu_cuda_gives_the_same_to_rounding(tiny: Path) -> None:
    content = (tiny / "q_encoder.onnx").read_bytes()
    images = np.random.default_rng(0).random((5, 3, 16, 16), np.float32)
    on_gpu = GraphSession(content, device="cuda")
    assert on_gpu.provider == session.CUDA_PROVIDER
    on_cpu = GraphSession(content, device="cpu").run({"images": images})
    for name, values in on_gpu.run({"images": images}).items():
        np.testing.assert_allclose(values, on_cpu[name], atol=1e-4)


@pytest.mark.parametrize("hidden", ["", "-1", "NoDevFiles"])
def test_a_hidden_gpu_is_not_present(hidden: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden)
    assert not device.gpu_present()


def test_threads_are_those_this_process_may_use() -> None:
    assert 1 <= device.default_threads() <= (os.cpu_count() or 1)


def test_gpu_names_is_a_list() -> None:
    assert all(isinstance(name, str) and name for name in device.gpu_names())


def test_versions() -> None:
    assert session.onnxruntime_version()[0].isdigit()
    assert CPU_PROVIDER in session.available_providers()
