"""Weights that lie channels last compute, save and resume as those in the order of their dimensions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from rich.console import Console
from torch import nn

from infogan_tool.train.engine.memory_format import like_memory_format, to_memory_format
from infogan_tool.train.infogan.layers import MapToVector, VectorToMap
from infogan_tool.train.infogan.networks import Networks, build_networks
from infogan_tool.train.run import loop
from infogan_tool.train.run.checkpoint import read_checkpoint
from infogan_tool.train.run.folder import RunFolder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from torch import Tensor

    from infogan_tool.train.config.schema import TrainConfig

PRODUCTS = (MapToVector, VectorToMap)


@pytest.fixture
def cpu(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Have torch say what the CPU is capable of; what it computes with stays what it is."""

    def says(capability: str) -> None:
        monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)

    return says


def last(maps: Tensor) -> bool:
    return maps.is_contiguous(memory_format=torch.channels_last) and not maps.is_contiguous()


def through(layers: nn.Sequential, inputs: Tensor) -> Iterator[Tensor]:
    for layer in layers:
        inputs = layer(inputs)
        yield inputs


def laid_out(config: TrainConfig) -> tuple[Networks, Networks]:
    """Return the same networks as they are built and as they are laid out."""
    plain, other = (build_networks(config, size=28, channels=1) for _ in range(2))
    return plain, to_memory_format(other)


def test_convolutions_and_nothing_else_are_laid_out_with_avx2(
    small: Callable[..., TrainConfig], cpu: Callable[[str], None]
) -> None:
    cpu("AVX2")
    _, networks = laid_out(small())
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
        assert last(maps), "maps that any of the layers has put back would cost more than they save"


@pytest.mark.parametrize("capability", ["AVX512", "DEFAULT", "NO AVX"])
def test_elsewhere_nothing_is(
    small: Callable[..., TrainConfig], cpu: Callable[[str], None], capability: str
) -> None:
    cpu(capability)
    _, networks = laid_out(small())
    assert all(parameter.is_contiguous() for parameter in networks.parameters())


def test_values_and_gradients_are_the_same(
    small: Callable[..., TrainConfig], cpu: Callable[[str], None]
) -> None:
    cpu("AVX2")
    plain, other = laid_out(small())
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


def test_a_tensor_is_laid_out_as_its_parameter() -> None:
    parameter = torch.zeros(4, 3, 2, 2).contiguous(memory_format=torch.channels_last)
    tensor = torch.randn(4, 3, 2, 2)
    found = like_memory_format(tensor, parameter)
    assert found.stride() == parameter.stride()
    assert found.equal(tensor)


def test_a_run_that_is_cut_goes_on_to_the_bit_and_its_checkpoint_tells_nothing_of_it(
    small: Callable[..., TrainConfig], mnist: Tensor, tmp_path: Path, cpu: Callable[[str], None]
) -> None:
    cpu("AVX2")
    images, quiet, device = mnist[:300], Console(quiet=True), torch.device("cpu")
    runs = {}
    for name, steps in (("whole", None), ("part", 7)):
        config = small({"schedule": {"steps": steps}} if steps else {})
        runs[name] = RunFolder.create(tmp_path / name, config, "mnist")
        loop.train(config, images, runs[name], device=device, console=quiet)
    part = runs["part"]
    checkpoint = read_checkpoint(part.last_checkpoint)
    assert all(tensor.is_contiguous() for tensor in checkpoint.tensors.values())
    loop.train(small(), images, part, device=device, console=quiet, resume=checkpoint)
    ours, theirs = (read_checkpoint(run.last_checkpoint).tensors for run in (part, runs["whole"]))
    assert ours.keys() == theirs.keys()
    assert not [name for name in ours if not torch.equal(ours[name], theirs[name])]
