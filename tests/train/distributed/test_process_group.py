"""What a process does without communication: its shard, and a group of one process."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from infogan_tool.runtime.latents.spec import LatentSpec
from infogan_tool.train.distributed.process_group import SINGLE_PROCESS, ProcessGroup
from infogan_tool.train.distributed.sync_batchnorm import convert_sync_batchnorm
from infogan_tool.train.infogan.latents import sample_latents


@pytest.mark.parametrize("count", [1, 2, 50, 97])
@pytest.mark.parametrize("size", [1, 2, 3, 8])
def test_shards_cover_the_batch_and_differ_by_at_most_one_row(count: int, size: int) -> None:
    parts = [ProcessGroup(rank=rank, size=size).shard(count) for rank in range(size)]
    assert [row for part in parts for row in range(count)[part]] == list(range(count))
    lengths = {part.stop - part.start for part in parts}
    assert max(lengths) - min(lengths) <= 1


def test_shards_of_latents_are_rows_of_the_whole_batch() -> None:
    spec = LatentSpec(noise=3, noise_prior="uniform", categorical=(4, 2), continuous=2)
    latents = sample_latents(spec, 9, torch.Generator().manual_seed(0))
    assert len(latents) == 9
    assert torch.equal(latents[2:5].vector(), latents.vector()[2:5])


def test_a_single_process_communicates_nothing() -> None:
    tensor, layer = torch.rand(3, 2), torch.nn.Sequential(torch.nn.BatchNorm2d(2))
    norm = layer[0]
    convert_sync_batchnorm(layer, SINGLE_PROCESS)
    assert layer[0] is norm
    assert SINGLE_PROCESS.all_gather(3, tensor)[0] is tensor
    assert SINGLE_PROCESS.all_reduce(tensor) is tensor
    assert SINGLE_PROCESS.broadcast(tensor) is tensor
    assert [SINGLE_PROCESS.any(flag=flag) for flag in (True, False)] == [True, False]
    assert SINGLE_PROCESS.broadcast_json({"a": 1}) == {"a": 1}
    with pytest.raises(KeyError), SINGLE_PROCESS.fail_together():
        raise KeyError
    assert SINGLE_PROCESS.is_main


class Alone(ProcessGroup):
    """One of two processes, whose other one has no rows."""

    def all_reduce(self, values: Tensor) -> Tensor:
        return values


def test_batchnorm_without_parameters_is_synchronised() -> None:
    images = torch.rand(5, 2, 3, 3, generator=torch.Generator().manual_seed(0))
    weights = torch.rand(images.shape, generator=torch.Generator().manual_seed(1))
    found = []
    for group in (SINGLE_PROCESS, Alone(size=2)):
        layer, rows = torch.nn.Sequential(torch.nn.BatchNorm2d(2, affine=False)), images.clone()
        convert_sync_batchnorm(layer, group)
        out = layer(rows.requires_grad_())
        (gradient,) = torch.autograd.grad((out * weights).sum(), rows)
        found.append((out, gradient, layer[0].running_var, layer.eval()(images)))
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_gpus_check_for_a_stop_at_every_tenth_step_only() -> None:
    on_gpu = ProcessGroup(rank=0, size=2, device=torch.device("cuda", 0))
    assert not [step for step in range(1, 10) if on_gpu.any_at(step, flag=True)]
