"""Channels-last weights compute, save and resume as contiguous ones do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from torch import nn
from training_images import planned

from infogan_tool.train.engine import memory_format
from infogan_tool.train.engine.layers import MapToVector, VectorToMap
from infogan_tool.train.engine.memory_format import like_memory_format, to_memory_format
from infogan_tool.train.infogan.networks import Networks, build_networks
from infogan_tool.train.run import loop

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch import Tensor

    from infogan_tool.train.config.schema import TrainConfig

PRODUCTS = (MapToVector, VectorToMap)


@pytest.fixture
def cpu(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Make torch report another capability of the CPU, and Linux AMX or none."""

    def report(capability: str) -> None:
        name, *amx = capability.split(" and ")
        monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: name)
        monkeypatch.setattr(memory_format, "cpu_has", lambda flag: bool(amx) and flag == "amx_tile")

    return report


def is_channels_last(maps: Tensor) -> bool:
    return maps.is_contiguous(memory_format=torch.channels_last) and not maps.is_contiguous()


def through(layers: nn.Sequential, inputs: Tensor) -> Iterator[Tensor]:
    for layer in layers:
        inputs = layer(inputs)
        yield inputs


def both_formats(config: TrainConfig) -> tuple[Networks, Networks]:
    """Return the same networks as built, and in the memory format for this CPU."""
    plain, other = (build_networks(config, size=28, channels=1) for _ in range(2))
    return plain, to_memory_format(other)


@pytest.mark.parametrize("capability", ["AVX2", "AVX512 and AMX"])
def test_convolutions_only_are_channels_last_with_avx2_and_amx(
    small: Callable[..., TrainConfig], cpu: Callable[[str], None], capability: str
) -> None:
    cpu(capability)
    _, networks = both_formats(small())
    kinds = {type(module) for module in networks.modules()}
    assert {nn.Conv2d, nn.ConvTranspose2d, *PRODUCTS} <= kinds
    for module in networks.modules():
        if isinstance(module, PRODUCTS):
            assert module.weight.is_contiguous()
        elif isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
            assert module.weight.is_contiguous(memory_format=torch.channels_last)
    images = torch.zeros(2, 1, 28, 28)
    latent = torch.zeros(2, networks.latent.dim, 1, 1)
    for layers, inputs in ((networks.trunk.layers, images), (networks.generator.layers, latent)):
        maps = next(after for after in through(layers, inputs) if after.shape[2] == 14)
        assert is_channels_last(maps), "converting maps back would cost more than it saves"


@pytest.mark.parametrize("architecture", ["infogan", "dcgan", "upsample"])
def test_all_maps_of_a_generator_are_channels_last(
    small: Callable[..., TrainConfig], cpu: Callable[[str], None], architecture: str
) -> None:
    cpu("AVX2")
    _, networks = both_formats(small({"networks": {"architecture": architecture}}))
    maps = through(networks.generator.layers, torch.zeros(2, networks.latent.dim, 1, 1))
    assert all(after.is_contiguous(memory_format=torch.channels_last) for after in maps)


@pytest.mark.parametrize("capability", ["AVX512", "DEFAULT", "NO AVX"])
def test_other_cpus_keep_all_weights_contiguous(
    small: Callable[..., TrainConfig], cpu: Callable[[str], None], capability: str
) -> None:
    cpu(capability)
    _, networks = both_formats(small())
    assert all(parameter.is_contiguous() for parameter in networks.parameters())


@pytest.mark.parametrize("architecture", ["infogan", "upsample"])
def test_values_and_gradients_are_the_same(
    small: Callable[..., TrainConfig], cpu: Callable[[str], None], architecture: str
) -> None:
    cpu("AVX2")
    plain, other = both_formats(small({"networks": {"architecture": architecture}}))
    latent = torch.randn(6, plain.latent.dim, generator=torch.Generator().manual_seed(0))
    outputs = []
    for networks in (plain, other):
        images = networks.generator(latent)
        posterior = networks.infer(images)
        scores = networks.discriminate(images)
        (scores.sum() + posterior.logits.square().sum() + posterior.mean.square().sum()).backward()
        outputs.append([images, posterior.logits, posterior.mean, scores])
    torch.testing.assert_close(outputs[1], outputs[0], rtol=1e-4, atol=1e-5)
    for name, parameter in other.named_parameters():
        reference = plain.get_parameter(name)
        torch.testing.assert_close(parameter.data, reference.data, rtol=0, atol=0)
        if reference.grad is not None:
            torch.testing.assert_close(parameter.grad, reference.grad, rtol=1e-3, atol=1e-4)


def test_a_tensor_gets_its_parameters_format() -> None:
    parameter = torch.zeros(4, 3, 2, 2).contiguous(memory_format=torch.channels_last)
    tensor = torch.randn(4, 3, 2, 2)
    converted = like_memory_format(tensor, parameter)
    assert converted.stride() == parameter.stride()
    assert converted.equal(tensor)


def test_a_run_resumes_to_the_bit_and_its_checkpoint_is_contiguous(
    small: Callable[..., TrainConfig], mnist: Tensor, cpu: Callable[[str], None]
) -> None:
    cpu("AVX2")
    images = mnist[:300]
    whole = loop.train(planned(small(), images), None).checkpoint
    part = loop.train(planned(small({"schedule": {"steps": 7}}), images), None).checkpoint
    resumed = loop.train(planned(small(), images), None, resume=part).checkpoint
    assert whole is not None
    assert resumed is not None
    assert all(tensor.is_contiguous() for tensor in resumed.tensors.values())
    assert resumed.tensors.keys() == whole.tensors.keys()
    assert not [name for name, t in whole.tensors.items() if not torch.equal(t, resumed.tensors[name])]
