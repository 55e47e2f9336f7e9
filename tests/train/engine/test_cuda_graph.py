"""A step captured as a CUDA graph gives the numbers of an eager one to the bit."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING, Any, Final, Self

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from infogan_tool.train.config.presets import PRESETS, resolve_config
from infogan_tool.train.engine.cuda_graph import CudaGraphStep
from infogan_tool.train.engine.optimizer_step import OptimizerStep
from infogan_tool.train.engine.stage import Session, use_precision
from infogan_tool.train.infogan import step as infogan_step
from infogan_tool.train.infogan.adversarial import AdversarialStage
from infogan_tool.train.infogan.networks import build_networks

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from infogan_tool.train.config.schema import TrainConfig

STEPS = 12


def trace(
    images: torch.Tensor,
    preset: str,
    precision: str,
    *,
    cuda_graphs: bool,
    changes: Mapping[str, Any] | None = None,
    steps: int = STEPS,
) -> list[dict[str, float]]:
    flags = {
        **(changes or {}),
        "precision": precision,
        "schedule": {"batch_size": 32, "steps": STEPS},
        "data": {"size": 28, "channels": 1},
    }
    config, device = resolve_config(preset=preset, flags=flags), torch.device("cuda")
    use_precision(precision)
    networks = build_networks(config, size=28, channels=1).to(device)
    session = Session(config=config, networks=networks, images=images.to(device), cuda_graphs=cuda_graphs)
    stage, scalars = AdversarialStage(session), []
    for index in range(steps):
        stage.step(index)
        scalars.append(stage.scalars())
        stage.meters.reset()
    return scalars


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("preset", ["paper", "compact", "gan", "mnist"])
def test_captured_and_eager_steps_agree(mnist: torch.Tensor, preset: str, precision: str) -> None:
    eager = trace(mnist, preset, precision, cuda_graphs=False)
    captured = trace(mnist, preset, precision, cuda_graphs=True)
    assert captured == eager


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_terms_of_some_steps_only_are_graphs_of_their_own(mnist: torch.Tensor) -> None:
    changes = {
        "objective": {
            "terms": {"r1": {"weight": 1.0, "every": 2}},
            "hessian_penalty": 0.1,
            "direction_penalty": 0.1,
            "information_update": "shared",
            "transformations": ["slant"],
        },
        "networks": {"spectral_norm": True},
    }
    eager = trace(mnist, "compact", "fp32", cuda_graphs=False, changes=changes, steps=20)
    captured = trace(mnist, "compact", "fp32", cuda_graphs=True, changes=changes, steps=20)
    assert captured == eager
    assert [record["Loss/D/r1"] > 0 for record in captured[:4]] == [True, False, True, False]


class HostAccess(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch's
    """Records where a step waits for the device or copies from the host, which no capture allows."""

    FORBIDDEN: Final = (
        *("_local_scalar_dense", "_unique2", "bincount", "is_nonzero", "lift_fresh"),
        *("masked_select", "nonzero", "repeat_interleave"),
    )
    INDEXING: Final = frozenset({"index", "index_put", "index_put_"})
    """Forbidden with masks, whose number of True values is read."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch's
        self.found: set[str | None] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:  # noqa: ANN401 - torch's
        name = func.overloadpacket.__name__
        masks = name in self.INDEXING and any(
            one is not None and one.dtype in (torch.bool, torch.uint8) for one in args[1]
        )
        if masks or name in self.FORBIDDEN:
            frames = reversed(traceback.extract_stack(limit=30)[:-1])
            self.found.add(next(frame.line for frame in frames if "site-packages" not in frame.filename))
        return func(*args, **(kwargs or {}))


def one_hot(values: torch.Tensor, classes: int) -> torch.Tensor:
    """Return what torch's returns, which on a CPU alone reads the values to check them."""
    return (values[..., None] == torch.arange(classes)).long()


EVERY_VIEW = {
    "augment": dict.fromkeys(
        ("pose", "blur", "crop", "mirror", "colour", "hue", "elastic", "affine", "stroke"), 0.3
    )
}
EVERY_CHANGE = {
    **EVERY_VIEW,
    "objective": {"terms": {"r1": 1.0}, "hessian_penalty": 0.1, "direction_penalty": 0.1},
    "networks": {"spectral_norm": True},
}


@pytest.mark.parametrize(
    ("preset", "changes"), [*((name, {}) for name in PRESETS if name != "cvae"), ("compact", EVERY_CHANGE)]
)
def test_a_step_neither_waits_nor_copies_from_the_host(
    mnist: torch.Tensor, preset: str, changes: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(F, "one_hot", one_hot)
    flags = {
        **changes,
        "precision": "fp32",
        "schedule": {"batch_size": 8, "steps": 4},
        "data": {"size": 32, "channels": 3},
    }
    config = resolve_config(preset=preset, flags=flags)
    networks = build_networks(config, size=32, channels=3)
    images = F.pad(mnist[:32], (2, 2, 2, 2)).expand(-1, 3, -1, -1)
    stage = AdversarialStage(Session(config=config, networks=networks, images=images))
    step = stage.adversarial_step
    step._optimizer_step = OptimizerStep(torch.device("cpu"), waits=False)
    stage.step(0)  # the optimizers create their states
    with HostAccess() as access:
        stage._step(torch.arange(8), frozenset(term.name for term in step.terms))
    assert access.found == set()


class GpuGenerator(torch.Generator):
    """Says that it is on a GPU, where there is none."""

    device = torch.device("cuda", 0)

    def __new__(cls, _device: object = None) -> Self:
        return super().__new__(cls)


def move_to_pretended_gpu(module: torch.nn.Module) -> None:
    """Replace parameters and buffers by tensors without values on a GPU; call it in a FakeTensorMode."""
    moved: dict[torch.Tensor, torch.Tensor] = {}
    tables: list[dict[str, Any]] = [t for part in module.modules() for t in (part._parameters, part._buffers)]
    for table in tables:
        for name, value in table.items():
            if value is not None and value not in moved:
                empty = torch.empty(value.shape, dtype=value.dtype, device="cuda")
                is_parameter = isinstance(value, torch.nn.Parameter)
                moved[value] = torch.nn.Parameter(empty, value.requires_grad) if is_parameter else empty
            table[name] = None if value is None else moved[value]


@pytest.mark.skipif(torch.cuda.is_available(), reason="the other tests use the GPU")
@pytest.mark.parametrize(
    ("preset", "changes"), [("mnist", {}), ("dsprites", {}), ("upsample", {}), ("compact", EVERY_VIEW)]
)
def test_losses_of_a_step_mix_no_devices(
    preset: str, changes: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Shapes and devices alone are computed; backward passes and Adam would need a GPU."""
    flags = {**changes, "precision": "fp32", "data": {"size": 32, "channels": 3}}
    config = resolve_config(preset=preset, flags={**flags, "schedule": {"batch_size": 8, "steps": 400}})
    networks = build_networks(config, size=32, channels=3)
    monkeypatch.setattr(torch, "Generator", GpuGenerator)
    monkeypatch.setattr(infogan_step, "adam", lambda parameters, rate, _: torch.optim.SGD(parameters, rate))
    monkeypatch.setattr(OptimizerStep, "step", lambda *_: None)
    with FakeTensorMode():
        move_to_pretended_gpu(networks)
        images = torch.zeros((32, 3, 32, 32), dtype=torch.uint8, device="cuda")
        stage = AdversarialStage(Session(config=config, networks=networks, images=images))
        stage.step(0)
    assert stage.session.device.type == "cuda"


def test_on_a_cpu_nothing_is_captured(mnist: torch.Tensor, small: Callable[..., TrainConfig]) -> None:
    config = small()
    networks = build_networks(config, size=28, channels=1)
    stage = AdversarialStage(Session(config=config, networks=networks, images=mnist))
    stage.step(0)
    assert not any(isinstance(step, CudaGraphStep) for step in stage._steps_by_terms.values())
