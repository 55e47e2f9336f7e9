"""The example of a service with FastAPI, over a real connection."""

from __future__ import annotations

import json
import socket
import sys
import threading
import urllib.error
import urllib.request
from contextlib import contextmanager
from importlib import import_module, reload
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import uvicorn
from waiting import wait_until

from infogan_tool.runtime import load_bundle

if TYPE_CHECKING:
    from collections.abc import Iterator


DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@contextmanager
def serving(monkeypatch: pytest.MonkeyPatch, bundle: Path | None = None) -> Iterator[str]:
    """Serve the example from this process; yield its address."""
    monkeypatch.syspath_prepend(EXAMPLES / "service")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    if bundle is not None:
        monkeypatch.setenv("BUNDLE", str(bundle))
    app = (reload(sys.modules["service"]) if "service" in sys.modules else import_module("service")).app
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off"))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        wait_until(lambda: server.started)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        server.should_exit = True
        thread.join(300)
        assert not thread.is_alive()


def post(address: str, content: bytes) -> tuple[int, Any]:
    request = urllib.request.Request(f"{address}/encode", content, {"Content-Type": "image/png"})
    try:
        with urllib.request.urlopen(request, timeout=300) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def test_digits_and_bad_bodies(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(monkeypatch) as address:
        bundle = load_bundle()
        for digit, name in enumerate(DIGITS):
            status, found = post(address, (EXAMPLES / f"{name}.png").read_bytes())
            assert (status, found["categories"]["k1"]["label"]) == (200, str(digit))
            reading = bundle.read(EXAMPLES / f"{name}.png")
            assert found["ood"] is reading.ood
            assert found["categories"]["k1"]["probability"] == pytest.approx(reading.confidence, abs=1e-5)
            assert set(found["styles"]) == {"c1", "c2"}
        for content in (b"", b"nothing", (EXAMPLES / "six.png").read_bytes()[:100]):
            status, found = post(address, content)
            assert status == 422
            assert "\n" not in found["detail"]
        status, found = post(address, bytes((16 << 20) + 1))
        assert (status, found["detail"]) == (413, "an image file has at most 16,777,216 bytes")
        with urllib.request.urlopen(f"{address}/openapi.json", timeout=300) as response:
            assert "image/*" in json.load(response)["paths"]["/encode"]["post"]["requestBody"]["content"]


def test_a_bundle_without_labels(monkeypatch: pytest.MonkeyPatch, continuous: Path) -> None:
    with serving(monkeypatch, continuous) as address:
        status, found = post(address, (EXAMPLES / "one.png").read_bytes())
    assert status == 200
    assert found["categories"] == {}
    assert list(found["styles"]) == ["c1", "c2"]
