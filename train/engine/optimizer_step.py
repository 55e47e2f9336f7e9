"""One descent of some parameters on a loss, with NaN and infinity kept out of the weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from infogan_tool.runtime.errors import NonFiniteError
from infogan_tool.train.distributed.process_group import SINGLE_PROCESS
from infogan_tool.train.engine.profiling import section

if TYPE_CHECKING:
    from torch.optim import Adam, AdamW

    from infogan_tool.train.config.schema import OptimizerConfig
    from infogan_tool.train.distributed.process_group import ProcessGroup

__all__ = ["Descent", "adam", "set_rate", "stop_if_not_finite"]


def adam(parameters: list[nn.Parameter], rate: float, config: OptimizerConfig) -> Adam:
    """Return the optimizer of an update: fused, and on a GPU such that a captured step can hold it."""
    betas, device = (config.beta1, config.beta2), parameters[0].device
    capturable = device.type == "cuda"
    lr = torch.tensor(rate, device=device) if capturable else rate  # a number would be part of the capture
    return torch.optim.Adam(parameters, lr, betas, fused=True, capturable=capturable)


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Give an optimizer of :func:`adam` another learning rate."""
    for group in optimizer.param_groups:
        if isinstance(group["lr"], torch.Tensor):
            group["lr"].fill_(rate)
        else:
            group["lr"] = rate


class Descent:
    """Where every update of a run goes through: gradients, check, optimizer.

    To look at a value of a GPU is to wait for it. There the check is left to the GPU: what is not finite
    makes the fused optimizer pass over its own update, and :meth:`check` tells, where the host waits anyhow.

    Args:
        device: Where the parameters live.
        group: Whose gradients are summed; all have the same terms.
        waits: Whether each update waits for its check and raises; by default on a CPU.
    """

    def __init__(
        self, device: torch.device, group: ProcessGroup = SINGLE_PROCESS, *, waits: bool | None = None
    ) -> None:
        self.group = group
        self._waits = device.type == "cpu" if waits is None else waits
        self._failed: dict[str, Tensor] = {}

    def update(
        self,
        optimizer: Adam | AdamW,
        loss: Tensor,
        terms: dict[str, Tensor],
        parameters: list[nn.Parameter],
    ) -> None:
        """Move ``parameters`` by the gradient of ``loss``.

        Args:
            optimizer: Fused, over ``parameters``.
            loss: A scalar.
            terms: What it is the sum of, by name.
            parameters: Whose gradients are new.

        Raises:
            NonFiniteError: A term or a gradient is not finite; nothing was updated.
        """
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        self.group.sum_gradients(parameters)
        if self._waits:
            stop_if_not_finite(terms, parameters)
        else:
            optimizer.found_inf = self._note(terms, parameters)  # type: ignore[union-attr]  # as torch's GradScaler
        with section("optimizer"):
            optimizer.step()

    def check(self) -> None:
        """Wait for the device, and stop if an update since the last call was passed over.

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
        """Return, on the device, 1 if an update must not be made, else 0; and remember why."""
        norm = _gradient_norm(parameters)
        named = {name: term.detach() for name, term in terms.items()}
        named[_gradient_of(terms)] = norm
        bad = ~torch.isfinite(torch.stack([value.float() for value in named.values()]))
        for name, flag in zip(named, bad, strict=True):
            if name not in self._failed:
                self._failed[name] = torch.zeros_like(flag)
            self._failed[name].logical_or_(flag)
        return bad.any().float()


def stop_if_not_finite(terms: dict[str, Tensor], parameters: list[nn.Parameter]) -> None:
    """Raise before an update that would spread NaN or infinity through the weights.

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
