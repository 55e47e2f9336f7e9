"""Optimizers, and the optimizer step with its check for values that are not finite."""

from __future__ import annotations

import inspect
import math
from typing import TYPE_CHECKING, Final

import torch
from torch import Tensor, nn

from infogan_tool.runtime.errors import NonFiniteError
from infogan_tool.train.distributed.process_group import SINGLE_PROCESS
from infogan_tool.train.engine.profiling import section

if TYPE_CHECKING:
    from infogan_tool.train.config.schema import OptimizerConfig
    from infogan_tool.train.distributed.process_group import ProcessGroup

_WARMUP: Final = 0.1
_FIRST_RATE: Final = 0.02
"""The learning rate rises over the first tenth of the steps, from a fiftieth, and falls as a cosine to 0."""


def trainable_parameters(*modules: nn.Module) -> list[nn.Parameter]:
    """Return the parameters of modules that are not frozen, in order."""
    return [p for module in modules for p in module.parameters() if p.requires_grad]


class _QuickStart(torch.optim.Optimizer):
    """Methods without torch's decorators, which import its compiler: a second of every start."""

    add_param_group = inspect.unwrap(torch.optim.Optimizer.add_param_group)
    zero_grad = inspect.unwrap(torch.optim.Optimizer.zero_grad)
    state_dict = inspect.unwrap(torch.optim.Optimizer.state_dict)
    load_state_dict = inspect.unwrap(torch.optim.Optimizer.load_state_dict)


class Adam(_QuickStart, torch.optim.Adam):
    """Adam."""

    step = torch.no_grad()(inspect.unwrap(torch.optim.Adam.step))


class AdamW(_QuickStart, torch.optim.AdamW):
    """Adam with decoupled weight decay."""

    step = torch.no_grad()(inspect.unwrap(torch.optim.AdamW.step))


def adam(parameters: list[nn.Parameter], rate: float, config: OptimizerConfig) -> Adam:
    """Return a fused Adam, on a GPU one that a CUDA graph can capture."""
    betas, device = (config.beta1, config.beta2), parameters[0].device
    capturable = device.type == "cuda"
    lr = torch.tensor(rate, device=device) if capturable else rate  # a float would be fixed by the capture
    return Adam(parameters, lr, betas, fused=True, capturable=capturable)


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Set the learning rate of an optimizer, in place where it is a tensor."""
    for group in optimizer.param_groups:
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(rate)
        else:
            group["lr"] = rate


class OptimizerStep:
    """Backward pass, sum of the gradients over processes, check that all is finite, optimizer step.

    Reading a value back from a GPU waits for it. There the check stays on the device: the fused optimizer
    skips a step whose values are not finite, and :meth:`check` raises, where the host waits anyway.

    Args:
        device: Where the parameters are.
        group: Processes whose gradients are summed; all have the same terms.
        waits: Whether :meth:`step` itself raises; default: on a CPU.
    """

    def __init__(
        self, device: torch.device, group: ProcessGroup = SINGLE_PROCESS, *, waits: bool | None = None
    ) -> None:
        self.group = group
        self._waits = device.type == "cpu" if waits is None else waits
        self._failed: dict[str, Tensor] = {}

    def step(
        self,
        optimizer: Adam | AdamW,
        loss: Tensor,
        terms: dict[str, Tensor],
        parameters: list[nn.Parameter],
    ) -> None:
        """Move ``parameters`` by the gradient of ``loss``.

        Args:
            optimizer: Fused, of ``parameters``.
            loss: A scalar.
            terms: The terms of the loss, by the names used in errors.
            parameters: Parameters whose gradient is checked.

        Raises:
            NonFiniteError: A term or a gradient is not finite; nothing was updated.
        """
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        self.group.sum_gradients(parameters)
        if self._waits:
            check_finite(terms, parameters)
        else:
            optimizer.found_inf = self._note(terms, parameters)  # type: ignore[union-attr]  # as torch's GradScaler
        with section("optimizer"):
            optimizer.step()

    def check(self) -> None:
        """Wait for the device, and raise if a step since the last call was skipped.

        Raises:
            NonFiniteError: Names the terms, or says that only the gradient was not finite.
        """
        failed = [name for name, flag in self._failed.items() if flag]
        for flag in self._failed.values():
            flag.zero_()
        if failed:
            terms = [name for name in failed if not name.startswith("the gradient")] or failed
            raise NonFiniteError(f"not finite, in a step since the last report: {', '.join(terms)}")

    def _note(self, terms: dict[str, Tensor], parameters: list[nn.Parameter]) -> Tensor:
        """Return, on the device, 1 if a step must be skipped, else 0; remember which terms caused it."""
        norm = _gradient_norm(parameters)
        named = {name: term.detach() for name, term in terms.items()}
        named[_gradient_of(terms)] = norm
        bad = ~torch.isfinite(torch.stack([value.float() for value in named.values()]))
        for name, flag in zip(named, bad, strict=True):
            if name not in self._failed:
                self._failed[name] = torch.zeros_like(flag)
            self._failed[name].logical_or_(flag)
        return bad.any().float()


class OneCycleAdamW:
    """AdamW with a one-cycle learning rate, which depends on the step alone and needs no checkpoint.

    Args:
        parameters: Parameters to update.
        rate: Greatest learning rate.
        steps: Steps of the cycle.
        optimizer_step: Computes the gradients and moves the parameters.
    """

    def __init__(
        self, parameters: list[nn.Parameter], rate: float, steps: int, optimizer_step: OptimizerStep
    ) -> None:
        self._parameters, self._rate, self._steps = parameters, rate, steps
        self._optimizer_step = optimizer_step
        self.optimizer = AdamW(parameters, rate, (0.9, 0.99), weight_decay=1e-4, fused=True)

    def step(self, index: int, terms: dict[str, Tensor]) -> None:
        """Do step number ``index`` on the sum of ``terms``.

        Raises:
            NonFiniteError: A term or a gradient is not finite; nothing was updated.
        """
        set_learning_rate(self.optimizer, self._rate * self._cycle(index / max(self._steps, 1)))
        loss = torch.stack(list(terms.values())).sum()
        self._optimizer_step.step(self.optimizer, loss, terms, self._parameters)

    @staticmethod
    def _cycle(progress: float) -> float:
        if progress < _WARMUP:
            return max(progress / _WARMUP, _FIRST_RATE)
        return 0.5 * (1 + math.cos(math.pi * (progress - _WARMUP) / (1 - _WARMUP)))


def check_finite(terms: dict[str, Tensor], parameters: list[nn.Parameter]) -> None:
    """Raise if a term or a gradient is not finite.

    Raises:
        NonFiniteError: Names the terms, or says that only the gradient is not finite.
    """
    norm = _gradient_norm(parameters)
    terms = {name: term.detach() for name, term in terms.items()}
    if torch.isfinite(norm + torch.stack(list(terms.values())).sum()):
        return
    bad = [f"{name} = {float(term):g}" for name, term in terms.items() if not torch.isfinite(term)]
    what = ", ".join(bad) or f"{_gradient_of(terms)} (norm {float(norm):g})"
    raise NonFiniteError(f"not finite: {what}")


def _gradient_norm(parameters: list[nn.Parameter]) -> Tensor:
    return nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])


def _gradient_of(terms: dict[str, Tensor]) -> str:
    return f"the gradient of {' + '.join(terms)}"
