"""Small networks, data sets and runs to export."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import pytest
import torch
from rich.console import Console

from infogan_tool.export.ood import fitting
from infogan_tool.export.run_to_bundle import export_run
from infogan_tool.train.config.files import deep_merge, validate_config
from infogan_tool.train.data import load_images, load_test_images
from infogan_tool.train.infogan.networks import Networks, build_networks
from infogan_tool.train.run.folder import RunFolder
from infogan_tool.train.run.launch import plan_training, start_training

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from infogan_tool.train.data import ImageSet

SMALL = {"networks": {"base_width": 4, "full_width": 16, "q_width": 8}}


@pytest.fixture(scope="session")
def make_networks() -> Callable[..., Networks]:
    """A function that builds small networks with random weights and BatchNorm statistics."""

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
def _quick_ood() -> Iterator[None]:
    """Fit the OOD score on fewer images."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fitting, "_FITTED", 2000)
        patch.setattr(fitting, "_HELD_OUT", 1000)
        yield


@pytest.fixture(scope="session")
def write_digits() -> Callable[..., Path]:
    """A function that writes a folder with the first digits of MNIST as IDX files."""

    def write(folder: Path, *, train: int, test: int, labels: bool = True) -> Path:
        folder.mkdir()
        for prefix, data, count in (
            ("train", load_images("mnist"), train),
            ("t10k", load_test_images("mnist"), test),
        ):
            assert data is not None
            assert data.labels is not None
            parts = {"images-idx3": data.images[:count, 0], "labels-idx1": data.labels[:count]}
            for kind, values in parts.items():
                if labels or kind == "images-idx3":
                    head = struct.pack(f">HBB{values.ndim}I", 0, 8, values.ndim, *values.shape)
                    content = head + values.numpy().astype("uint8").tobytes()
                    (folder / f"{prefix}-{kind}-ubyte").write_bytes(content)
        return folder

    return write


@pytest.fixture(scope="session")
def digits(write_digits: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 300 training and 200 test digits."""
    return write_digits(tmp_path_factory.mktemp("data") / "digits", train=300, test=200)


@pytest.fixture(scope="session")
def run_path(write_digits: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of 30 steps on a folder named ``mnist`` with 6,000 training and 1,000 test digits."""
    data = write_digits(tmp_path_factory.mktemp("data") / "mnist", train=6000, test=1000)
    flags = {**SMALL, "data": {"source": str(data)}, "schedule": {"steps": 30}}
    plan = plan_training(preset="paper", config_file=None, flags=flags, device="cpu")
    out = tmp_path_factory.mktemp("runs") / "run"
    start_training(plan, out=out, console=Console(quiet=True))
    return out


@pytest.fixture(scope="session")
def bundle_path(run_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle of that run; not to be changed."""
    out = tmp_path_factory.mktemp("bundles") / "bundle"
    export_run(run_path, out)
    return out


@pytest.fixture(scope="session")
def scored(run_path: Path) -> ImageSet:
    """The test images of the run's data set."""
    images = load_test_images(RunFolder.open(run_path).read_config().data.source)
    assert images is not None
    return images
