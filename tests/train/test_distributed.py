"""What a process of a group does without speaking to the others: its rows, and its place."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from infogan_tool.runtime.errors import UsageError
from infogan_tool.runtime.latents.spec import LatentSpec
from infogan_tool.train.config.schema import ViewConfig
from infogan_tool.train.distributed.process_group import SINGLE_PROCESS, ProcessGroup
from infogan_tool.train.distributed.sync_batchnorm import convert_sync_batchnorm
from infogan_tool.train.distributed.torchrun import Place, read_place, restarts
from infogan_tool.train.infogan.augment import sample_augmentation
from infogan_tool.train.infogan.latents import sample_latents

PLACE = {
    "RANK": "3",
    "WORLD_SIZE": "4",
    "LOCAL_RANK": "1",
    "LOCAL_WORLD_SIZE": "2",
    "MASTER_ADDR": "node0",
    "MASTER_PORT": "29500",
    "TORCHELASTIC_RUN_ID": "job-7",
}


@pytest.mark.parametrize("count", [1, 2, 50, 97])
@pytest.mark.parametrize("size", [1, 2, 3, 8])
def test_rows_are_the_whole_batch_and_nearly_as_many_for_each(count: int, size: int) -> None:
    parts = [ProcessGroup(rank=rank, size=size).shard(count) for rank in range(size)]
    assert [row for part in parts for row in range(count)[part]] == list(range(count))
    lengths = {part.stop - part.start for part in parts}
    assert max(lengths) - min(lengths) <= 1


@pytest.mark.parametrize(
    "view",
    [
        ViewConfig(affine=1, elastic=0, stroke=0),
        ViewConfig(affine=0, elastic=1, stroke=0),
        ViewConfig(affine=0, elastic=0, stroke=1),
        ViewConfig(affine=0.5, elastic=0.5, stroke=0.5),
        ViewConfig(affine=0, elastic=0, stroke=0),
    ],
)
def test_part_of_the_images_changes_as_in_the_whole(view: ViewConfig) -> None:
    images = torch.rand(11, 1, 20, 20, generator=torch.Generator().manual_seed(0))
    changes = sample_augmentation(11, view, torch.Generator().manual_seed(1))
    whole = changes.apply(images)
    assert changes.select(slice(0, 11)) is changes
    for parts in ([slice(0, 4)], [slice(4, 11)], [slice(10, 11)], [slice(1, 3), slice(7, 9)]):
        mine = torch.cat([images[part] for part in parts])
        expected = torch.cat([whole[part] for part in parts])
        torch.testing.assert_close(changes.select(*parts).apply(mine), expected)


def test_rows_of_latents_are_those_of_the_whole() -> None:
    spec = LatentSpec(noise=3, noise_prior="uniform", categorical=(4, 2), continuous=2)
    latents = sample_latents(spec, 9, torch.Generator().manual_seed(0))
    assert len(latents) == 9
    assert torch.equal(latents[2:5].vector(), latents.vector()[2:5])


def test_alone_nothing_is_said_and_nothing_changes() -> None:
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


def test_gpus_ask_at_every_tenth_step_only() -> None:
    on_gpu = ProcessGroup(rank=0, size=2, device=torch.device("cuda", 0))
    assert not [step for step in range(1, 10) if on_gpu.any_at(step, flag=True)]


def test_place_is_what_torchrun_says() -> None:
    assert read_place(PLACE) == Place(rank=3, size=4, local_rank=1, local_size=2, job="job-7")
    assert read_place({}) is None
    assert read_place({"LOCAL_RANK": "0", "MASTER_ADDR": "left over"}) is None
    single = read_place({"RANK": "0", "WORLD_SIZE": "1"})
    assert single == Place(rank=0, size=1, local_rank=0, local_size=1, job=None)
    unnamed = read_place(PLACE | {"TORCHELASTIC_RUN_ID": "none"})
    assert unnamed is not None
    assert unnamed.job not in (None, "none"), "every run is called none"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"RANK": "4"}, "RANK is '4', not a number from 0 to 3"),
        ({"RANK": "\u0663"}, "RANK is"),
        ({"RANK": "0000000002"}, "RANK is"),
        ({"WORLD_SIZE": "0"}, "not a number from 1"),
        ({"LOCAL_WORLD_SIZE": "5"}, "LOCAL_WORLD_SIZE is '5', not a number from 1 to 4"),
        ({"LOCAL_RANK": ""}, "LOCAL_RANK is ''"),
        ({"MASTER_PORT": "70000"}, "MASTER_PORT"),
        ({"MASTER_ADDR": ""}, "MASTER_ADDR is not set"),
    ],
)
def test_place_that_makes_no_sense_is_refused(changes: dict[str, str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        read_place(PLACE | changes)
    missing = {name: value for name, value in PLACE.items() if name not in changes}
    if not {"LOCAL_WORLD_SIZE"} & changes.keys():
        with pytest.raises(UsageError, match="is not set"):
            read_place(missing)


def test_restarts_are_seen() -> None:
    assert [restarts(env) for env in ({}, {"TORCHELASTIC_MAX_RESTARTS": "0"})] == [False, False]
    assert restarts({"TORCHELASTIC_MAX_RESTARTS": "2"})


def test_a_process_of_several_does_not_wait_for_gloo_to_be_taken_apart() -> None:
    # Its threads outlive the process group, and abort Python's ending now and then: so there is none.
    program = """
import atexit, sys
from infogan_tool.cli.main import entry
from infogan_tool.train.distributed import torchrun
atexit.register(print, "taken apart")
torchrun._joined.extend([None] * int(sys.argv.pop(1)))
entry()
"""
    for others, said in ((0, "taken apart"), (1, "")):
        command = [sys.executable, "-c", program, str(others), "train", "--preset", "paper", "--dry-run"]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
        assert done.stdout.rpartition("}\n")[2].strip() == said
        assert done.stdout.startswith("{")
