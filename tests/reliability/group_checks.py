"""Checks in each process of a small group; group_driver.py runs them, test_group_numbers.py asserts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import update_bn

from infogan_tool.runtime.errors import DataError, ReportedElsewhereError
from infogan_tool.train.config.files import validate_config
from infogan_tool.train.data import load_images
from infogan_tool.train.data.source import TrainingData
from infogan_tool.train.distributed.process_group import mixed_seed
from infogan_tool.train.distributed.sync_batchnorm import SyncBatchNorm, convert_sync_batchnorm
from infogan_tool.train.infogan.axes import align_codes, first_layer
from infogan_tool.train.infogan.networks import build_networks
from infogan_tool.train.run.folder import RunFolder
from infogan_tool.train.run.loop import train
from infogan_tool.train.run.plan import Plan

if TYPE_CHECKING:
    from infogan_tool.train.distributed.process_group import ProcessGroup

COUNT = 7
"""Images of a batch; 2 or 3 processes have shards of different sizes."""


def batchnorm(group: ProcessGroup) -> dict[str, float]:
    """Compare a network with a BatchNorm of one and of two dimensions to one that has the whole batch."""
    greatest: dict[str, float] = {}
    for dtype in (torch.float32, torch.bfloat16):
        alone, shared = _small_network(), _small_network()
        convert_sync_batchnorm(shared, group)
        assert sum(isinstance(part, SyncBatchNorm) for part in shared) == 2
        images = torch.randn(COUNT, 2, 8, 8, generator=torch.Generator().manual_seed(1)) + 3
        weights = torch.randn(COUNT, 180, generator=torch.Generator().manual_seed(2))
        rows = group.shard(COUNT)
        both = (images.clone().requires_grad_(), images[rows].clone().requires_grad_())
        for network, input_images in zip((alone, shared), both, strict=True):
            with torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
                out = network(input_images).float()
            (whole,) = (out,) if network is alone else group.all_gather(COUNT, out)
            torch.autograd.backward((whole * weights).square().sum())
            if network is shared:
                group.sum_gradients(shared.parameters())
            both += (out,)
        ours, theirs = shared.state_dict(), alone.state_dict()
        pairs = {name: (ours[name], theirs[name]) for name in theirs}
        for (name, mine), other in zip(shared.named_parameters(), alone.parameters(), strict=True):
            pairs[f"gradient of {name}"] = _gradient(mine), _gradient(other)
        pairs["gradient of input_images"] = _gradient(both[1]), _gradient(both[0])[rows]
        pairs["out"] = both[3], both[2][rows]
        for network, input_images in ((alone, images), (shared, images[rows])):
            update_bn([input_images, input_images.square()], network)
        ours, theirs = shared.state_dict(), alone.state_dict()
        pairs |= {f"taken anew: {name}": (ours[name], theirs[name]) for name in theirs if "running" in name}
        alone.eval(), shared.eval()
        pairs["evaluation"] = shared(images), alone(images)
        for name, pair in pairs.items():
            greatest[f"{dtype}: {name}"] = _distance(*pair)
    return greatest


def _small_network() -> nn.Sequential:
    torch.manual_seed(0)
    first = [nn.Conv2d(2, 5, 3, bias=False), nn.BatchNorm2d(5), nn.SiLU()]
    return nn.Sequential(*first, nn.Flatten(), nn.BatchNorm1d(180))


def communication(group: ProcessGroup) -> dict[str, Any]:
    """Say all kinds of things to each other."""
    rows = group.shard(COUNT)
    whole = torch.arange(COUNT * 3.0).reshape(COUNT, 3)
    gathered = group.all_gather(COUNT, whole[rows], whole[rows, 0], whole[rows, :0])
    given = {"a": torch.rand(2, 3), "none": torch.zeros(0, 4), "state": torch.get_rng_state()}
    got = group.broadcast_tensors(given if group.is_main else {})
    drawn = [torch.rand(4, 3, 2, 2, generator=torch.Generator().manual_seed(n)) for n in range(group.size)]
    layout = torch.channels_last if group.rank % 2 else torch.contiguous_format
    weight = drawn[group.rank].to(memory_format=layout)
    group.broadcast(weight)
    return {
        "shared": [torch.equal(weight, drawn[0]), weight.is_contiguous(memory_format=layout)],
        "rows": [rows.start, rows.stop],
        "gathered": [torch.equal(gathered[0], whole), torch.equal(gathered[1], whole[:, 0])],
        "widths": [list(part.shape) for part in gathered],
        "same": group.broadcast_json({"rank": group.rank, "ü": [1.5, None]}),
        "shapes": {name: [str(t.dtype), *t.shape] for name, t in got.items()},
        "any": [group.any(flag=False), group.any(flag=group.rank == group.size - 1)],
        "ends": _ends(group),
    }


def _ends(group: ProcessGroup) -> list[str]:
    """Fail together: no process, all of them, all but the first."""
    ends = []
    for failing in ([], range(group.size), range(1, group.size)):
        try:
            with group.fail_together():
                if group.rank in failing:
                    raise DataError(f"process {group.rank}")  # noqa: TRY301 - it is what the block is for
        except DataError as error:
            ends.append(str(error))
        except ReportedElsewhereError as error:
            ends.append(f"not reported, {error.exit_code}")
        else:
            ends.append("well")
    return ends


def other_images(group: ProcessGroup) -> str:
    """Train on images that differ between processes."""
    config = validate_config({"data": {"size": 28, "channels": 1}})
    images = load_images("mnist").images[:200].clone()
    images[3, 0, 14, 14] += group.rank
    data = TrainingData(images=images, name="mnist", block=None)
    try:
        train(Plan(config=config, data=data, device=group.device, group=group), RunFolder(Path("none")))
    except DataError as error:
        return str(error)
    except ReportedElsewhereError as error:
        return f"not reported, {error.exit_code}"
    return "well"


def rotation(group: ProcessGroup) -> list[float]:
    """Rotate codes by what each process measures on latents of its own; return a weight of G and one of Q."""
    config = validate_config({"networks": {"base_width": 2, "full_width": 8, "q_width": 4}})
    networks = build_networks(config, size=28, channels=1)
    weight = first_layer(networks.generator).weight
    with torch.no_grad():
        weight[-2:] *= 30
    align_codes(networks, [], seed=group.rank, free=[0, 1], group=group)
    assert networks.q_branches[-1].mean is not None
    return [*weight[-2:].flatten().tolist(), *networks.q_branches[-1].mean.weight.flatten().tolist()]


def dropout(group: ProcessGroup) -> list[float]:
    """Return the dropout of a process at a step."""
    torch.manual_seed(mixed_seed(f"dropout 0 3 {group.rank}"))
    return nn.functional.dropout(torch.ones(20)).tolist()


def _gradient(tensor: Tensor) -> Tensor:
    assert tensor.grad is not None
    return tensor.grad


def _distance(mine: Tensor, other: Tensor) -> float:
    """Return the relative distance."""
    return float(((mine.double() - other.double()).norm() / other.double().norm().clamp_min(1e-12)).detach())
