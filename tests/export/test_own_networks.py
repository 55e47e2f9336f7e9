"""Own architectures, residual blocks and spectral normalisation as ONNX, and what ONNX cannot express."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor, nn

from infogan_tool.export.run_to_bundle import export_networks
from infogan_tool.runtime.bundle.bundle import load_bundle
from infogan_tool.runtime.errors import ExportError, ParityError
from infogan_tool.train.config.files import validate_config
from infogan_tool.train.infogan.architecture_registry import register_architecture
from infogan_tool.train.infogan.networks import Networks, build_networks

if TYPE_CHECKING:
    from pathlib import Path

    from infogan_tool.runtime.images.spec import ImageSpec
    from infogan_tool.train.config.schema import NetworkConfig


class Bessel(nn.Module):
    def forward(self, maps: Tensor) -> Tensor:
        return torch.special.bessel_j0(maps)


class Decides(nn.Module):
    def forward(self, maps: Tensor) -> Tensor:
        return maps if maps.sum() > 0 else -maps


class Noisy(nn.Module):
    def forward(self, maps: Tensor) -> Tensor:
        return maps + torch.rand_like(maps)


def trained(middle: nn.Module, **changes: Any) -> Networks:  # noqa: ANN401
    """Networks with weights as after some training: not small, and statistics that are not 0 and 1."""

    @register_architecture("exported")
    class Exported:
        def __init__(self, networks: NetworkConfig, latent_dim: int, image: ImageSpec) -> None:
            pixels = image.channels * image.size**2
            self.generator = nn.Sequential(
                nn.Linear(latent_dim, 8),
                nn.Unflatten(1, (8, 1, 1)),
                nn.ConvTranspose2d(8, 6, image.size // 2),
                nn.BatchNorm2d(6),
                nn.ReLU(),
                nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(6, image.channels, 3, padding=1)),
            )
            self.trunk = nn.Sequential(
                nn.Flatten(),
                nn.Linear(pixels, 9),
                nn.BatchNorm1d(9),
                middle,
                nn.Linear(9, networks.full_width),
            )

    nets = {"base_width": 4, "full_width": 16, "q_width": 8, **changes}
    config = validate_config({"networks": nets, "latent": {"categorical": [4], "noise": 3}})
    networks = build_networks(config, size=16, channels=1)
    rng = torch.Generator().manual_seed(0)
    for name, tensor in networks.state_dict().items():
        if "running_mean" in name:
            tensor.normal_(0, 0.3, generator=rng)
        elif "running_var" in name:
            tensor.uniform_(0.5, 2, generator=rng)
    return networks.eval()


@pytest.mark.parametrize(
    "changes",
    [
        {"architecture": "exported"},
        {"architecture": "exported", "q": "separate", "spectral_norm": True},
        {"architecture": "exported", "spectral_norm": True},
        {"architecture": "residual"},
        {"architecture": "residual", "spectral_norm": True, "dropout": 0.2},
        {"architecture": "residual", "q": "separate"},
        {"architecture": "infogan", "spectral_norm": True},
        {"architecture": "upsample", "spectral_norm": True},
    ],
)
def test_networks_are_exported_with_parity(tmp_path: Path, changes: dict[str, Any]) -> None:
    networks = trained(nn.LeakyReLU(0.1), **changes)
    before = {name: tensor.clone() for name, tensor in networks.state_dict().items()}
    outcome = export_networks(networks, tmp_path / "bundle", training={})
    assert max(outcome.metadata.parity["max_abs_difference"].values()) < 1e-5
    assert before.keys() == networks.state_dict().keys(), "the networks keep their parametrizations"
    bundle = load_bundle(tmp_path / "bundle", device="cpu")
    assert bundle.metadata.image.size == 16


@pytest.mark.parametrize(
    ("middle", "message"),
    [
        (Bessel(), "encoder: operation prims.bessel_j0.default of Bessel has no ONNX form"),
        (Decides(), "test_own_networks.py"),
    ],
)
def test_what_onnx_cannot_express_is_named(
    tmp_path: Path, middle: nn.Module, message: str, capfd: pytest.CaptureFixture[str]
) -> None:
    networks = trained(middle, architecture="exported")
    with pytest.raises(ExportError) as error:
        export_networks(networks, tmp_path / "bundle", training={})
    assert message in str(error.value)
    assert "\n" not in str(error.value)
    assert capfd.readouterr() == ("", ""), "the graphs that torch prints"
    assert not (tmp_path / "bundle").exists()


def test_networks_with_noise_of_their_own_do_not_pass(tmp_path: Path) -> None:
    with pytest.raises(ParityError):
        export_networks(trained(Noisy(), architecture="exported"), tmp_path / "bundle", training={})
    assert not (tmp_path / "bundle").exists()
