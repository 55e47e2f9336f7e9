"""Parity: the file that users will run, opened by the code that will run it, against torch.

Names, then shapes, then values, at batch sizes other than the traced one; every difference is collected
before the verdict.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import torch

from infogan_tool.export.graphs import EncoderGraph, GeneratorGraph, random_inputs
from infogan_tool.export.ood.head import Taps
from infogan_tool.runtime.errors import ParityError
from infogan_tool.runtime.inference.session import GraphSession
from infogan_tool.train.infogan.latents import LatentBatch, sample_latents

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray
    from torch import Tensor

    from infogan_tool.train.infogan.networks import Networks

__all__ = ["BATCHES", "TOLERANCE", "TOLERANCES", "Difference", "check_parity", "reference_outputs"]

BATCHES: Final = (1, 2, 7, 64, 256)
"""Batch sizes that are compared."""
TOLERANCE: Final = 1e-5
"""Greatest difference allowed in any output element: absolute up to 1, relative to larger values.

Style means go far beyond the codes' range on noise, where float32 itself is no finer."""
TOLERANCES: Final = {"distance": 1e-4}
"""Of outputs that are always allowed more. The distance is a sum of squares that directions of little
variance have been scaled up for, and decides by being above or below one half."""
_ROUNDED: Final = 2.0
_MOST: Final = 1e-4
"""Where torch itself is farther from exact than half of :data:`TOLERANCE`, because a network takes small
differences of large sums, a graph that adds up in another order may be off by twice as much as torch is, up
to a limit."""
_SEED: Final = 20_160_612


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """One output tensor at one batch size."""

    graph: str
    """File name of the graph."""
    tensor: str
    """Name of the output."""
    batch: int
    """Batch size."""
    max_abs: float
    """Greatest difference to torch, as :data:`TOLERANCE` counts it; infinite where names or shapes do."""
    allowed: float
    """How much of it is no fault."""
    note: str = ""
    """What differs, if not a value."""

    @property
    def figures(self) -> str:
        """The difference, and what is allowed."""
        return f"{self.max_abs:.3g} (allowed: {self.allowed:.3g})"

    @property
    def passed(self) -> bool:
        """Whether it is no more than that."""
        return self.max_abs <= self.allowed


def check_parity(
    networks: Networks,
    graphs: Mapping[str, tuple[GeneratorGraph | EncoderGraph, bytes]],
    images: Tensor | None = None,
) -> list[Difference]:
    """Compare each graph's file with the networks as trained, before any rewriting.

    Args:
        networks: In evaluation mode, on the CPU.
        graphs: File name to the graph (which knows its inputs and outputs) and its ONNX file's content.
        images: Real images for the encoder ``(N, C, H, W)`` in its range; of all others the distance is
            likely 1, which would prove little.

    Returns:
        Every comparison made.

    Raises:
        ParityError: A comparison failed; its details are the rows of all that did.
    """
    differences = [
        d
        for name, (graph, content) in graphs.items()
        for d in _compare(networks, name, graph, content, images)
    ]
    failed = [d for d in differences if not d.passed]
    if failed:
        raise ParityError(
            "the exported graphs differ from torch by more than is allowed; nothing was written",
            (f"{d.graph}  {d.tensor}  batch {d.batch}  {d.note or d.figures}" for d in failed),
        )
    return differences


def _compare(
    networks: Networks,
    name: str,
    graph: GeneratorGraph | EncoderGraph,
    content: bytes,
    images: Tensor | None,
) -> list[Difference]:
    session = GraphSession(content, device="cpu")
    if list(session.outputs) != list(graph.output_shapes):
        note = f"outputs are {', '.join(session.outputs)}, not {', '.join(graph.output_shapes)}"
        return [Difference(graph=name, tensor="*", batch=0, max_abs=np.inf, allowed=0.0, note=note)]
    differences = []
    rounding: dict[str, float] = {}
    for batch in BATCHES:
        inputs = _inputs(networks, graph, batch, images)
        expected = reference_outputs(networks, graph, inputs)
        feeds = {key: tensor.numpy() for key, tensor in zip(graph.input_shapes, inputs, strict=True)}
        for tensor, got in session.run(feeds).items():
            want = expected[tensor].numpy()
            allowed = TOLERANCES.get(tensor, TOLERANCE)
            if got.shape != want.shape:
                value, note = np.inf, f"shape {got.shape}, not {want.shape}"
            else:
                value = _greatest(got, want)
                note = "" if np.isfinite(value) else "not finite"
                value = value if np.isfinite(value) else np.inf
                if allowed < value <= _MOST:
                    # Of many inputs: a few may happen to be rounded well.
                    rounding = rounding or _rounding(
                        networks, graph, _inputs(networks, graph, max(BATCHES), images)
                    )
                    allowed = max(allowed, min(_MOST, _ROUNDED * rounding[tensor]))
            differences.append(
                Difference(graph=name, tensor=tensor, batch=batch, max_abs=value, allowed=allowed, note=note)
            )
    return differences


def _inputs(
    networks: Networks, graph: GeneratorGraph | EncoderGraph, batch: int, images: Tensor | None
) -> tuple[Tensor, ...]:
    inputs = random_inputs(graph, batch, _SEED + batch)
    if isinstance(graph, EncoderGraph):
        return (_mixed(networks, inputs[0], images, _SEED + batch),)
    return inputs


def _greatest(got: NDArray[np.floating], want: NDArray[np.floating]) -> float:
    return float((np.abs(got.astype(np.float64) - want) / np.abs(want).clip(1)).max())


def _rounding(
    networks: Networks, graph: GeneratorGraph | EncoderGraph, inputs: tuple[Tensor, ...]
) -> dict[str, float]:
    """Return how far torch's own outputs are from those that it computes in double precision."""
    exact = copy.deepcopy(networks).double()
    doubled = tuple(part.double() if part.is_floating_point() else part for part in inputs)
    wants, exacts = _network_outputs(networks, graph, inputs), _network_outputs(exact, graph, doubled)
    return {name: _greatest(want.numpy(), exacts[name].numpy()) for name, want in wants.items()}


@torch.inference_mode()
def _mixed(networks: Networks, noise: Tensor, input_images: Tensor | None, seed: int) -> Tensor:
    """Put input_images that G draws, and real ones if given, in the place of most of noise ``(N, C, H, W)``.

    On noise a good encoder saturates, and equal certainties prove little; the others are what it knows.
    """
    latent = sample_latents(networks.latent, len(noise), torch.Generator().manual_seed(seed))
    images: Tensor = networks.export_generator(latent.vector())
    images[1::2] = noise[1::2]
    if input_images is not None:
        images[3::4] = input_images[: len(images[3::4])]
    return images


@torch.inference_mode()
def reference_outputs(
    networks: Networks, graph: GeneratorGraph | EncoderGraph, inputs: tuple[Tensor, ...]
) -> dict[str, Tensor]:
    """Return what the networks as trained compute for a graph's inputs, by output name."""
    outputs = _network_outputs(networks, graph, inputs)
    if isinstance(graph, EncoderGraph) and graph.head:
        outputs["distance"] = graph.head(*Taps(networks).read(inputs[0]))
    return outputs


@torch.inference_mode()
def _network_outputs(
    networks: Networks, graph: GeneratorGraph | EncoderGraph, inputs: tuple[Tensor, ...]
) -> dict[str, Tensor]:
    given = dict(zip(graph.input_shapes, inputs, strict=True))
    if isinstance(graph, EncoderGraph):
        posterior = networks.infer(given["images"])
        codes = [torch.softmax(posterior.logits[:, part], dim=1) for part in networks.latent.logit_slices]
        return {
            "probabilities": torch.cat(codes, dim=1) if codes else posterior.logits,
            "style_mean": posterior.mean,
            "style_std": torch.exp(0.5 * posterior.log_var),
        }
    count = inputs[0].shape[0]
    latent = LatentBatch(
        networks.latent,
        given.get("noise", torch.zeros(count, 0)),
        given.get("categories", torch.zeros(count, 0, dtype=torch.long)),
        given.get("styles", torch.zeros(count, 0)),
    )
    return {"images": networks.export_generator(latent.vector())}
