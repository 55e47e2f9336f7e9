"""Small networks and runs to export."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import pytest
import torch
from idx_files import write_digits
from onnx_registry import share_registry

from infogan_tool.export import model_card
from infogan_tool.export.evaluation.styles import measure_styles
from infogan_tool.export.ood import fitting
from infogan_tool.export.quantization import reduce
from infogan_tool.export.run_to_bundle import write_bundle
from infogan_tool.train import fit, preset
from infogan_tool.train.config.files import deep_merge, validate_config
from infogan_tool.train.distributed import device
from infogan_tool.train.infogan.networks import Networks, build_networks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SMALL = {"networks": {"base_width": 4, "full_width": 16, "q_width": 8}}


@pytest.fixture(scope="session")
def make_networks() -> Callable[..., Networks]:
    """A function that builds small networks whose weights and statistics are far from their start values."""

    def make(changes: dict[str, Any] | None = None, *, size: int = 16, channels: int = 1) -> Networks:
        config = validate_config(deep_merge(SMALL, changes or {}))
        networks = build_networks(config, size=size, channels=channels)
        rng = torch.Generator().manual_seed(5)
        with torch.no_grad():
            for parameter in networks.parameters():
                parameter.add_(torch.randn(parameter.shape, generator=rng) * 0.1)
            for _ in range(20):
                networks.infer(networks.generator(torch.randn(32, config.latent.dim, generator=rng)))
        return networks.eval()

    return make


@pytest.fixture(scope="session", autouse=True)
def _quick() -> Iterator[None]:
    """Train on one thread, and measure and fit on fewer images than users do."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fitting, "_FITTED", 2000)
        patch.setattr(fitting, "_HELD_OUT", 1000)
        for module in (model_card, reduce):
            few = functools.partial(measure_styles, repeats=2, max_real=1000)
            patch.setattr(module, "measure_styles", few)
        share_registry(patch)
        patch.setattr(device, "default_threads", lambda: 1)
        yield


@pytest.fixture
def _bare_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without a GPU or cached classifiers, and with a terminal of 80 columns."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    monkeypatch.setenv("INFOGAN_TOOL_DATA", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "80")


@pytest.fixture(scope="session")
def run_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of some real steps on MNIST."""
    config = preset("paper", **{**SMALL, "schedule": {"steps": 30}})
    out = tmp_path_factory.mktemp("runs") / "run"
    fit(config, out=out, device="cpu")
    return out


@pytest.fixture(scope="session")
def style_run_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same without a categorical code, to be exported in fp16.

    After so few steps many images are between two categories: whether rounding costs accuracy is chance.
    """
    config = preset("paper", **{**SMALL, "schedule": {"steps": 30}, "latent": {"categorical": []}})
    out = tmp_path_factory.mktemp("runs") / "style-run"
    fit(config, out=out, device="cpu")
    return out


@pytest.fixture(scope="session")
def bundle_path(run_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle of that run; not to be changed."""
    out = tmp_path_factory.mktemp("bundles") / "bundle"
    write_bundle(run_path, out)
    return out


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with some hundred real digits in IDX files."""
    return write_digits(tmp_path_factory.mktemp("data") / "digits", 300, 200)
