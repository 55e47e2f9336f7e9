"""Parity: compare an ONNX file, run by the runtime that users run, with the networks in torch.

Names, then shapes, then values are compared, at several batch sizes.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch

from infogan_tool.export.graphs import EncoderGraph, GeneratorGraph, random_inputs
from infogan_tool.export.image_limit import SMALL
from infogan_tool.export.ood.head import Taps
from infogan_tool.runtime.errors import ParityError
from infogan_tool.runtime.inference.session import GraphSession
from infogan_tool.train.infogan.latents import LatentBatch, sample_latents

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from infogan_tool.train.infogan.networks import Networks

    Graph = GeneratorGraph | EncoderGraph

BATCHES: Final = (1, 2, 7, 64, 256)
"""Batch sizes that are compared."""
TOLERANCE: Final = 1e-5
"""Greatest difference allowed in an output element: absolute up to 1, relative for larger values.

Style means of noise images are far outside the codes' range, where float32 itself is no finer."""
_TOLERANCES: Final = {"distance": 1e-4}
"""Tolerances of other outputs. The distance is a sum of squares along directions that are scaled up because
they have little variance; only its threshold matters."""
_MAX_TOLERANCE: Final = 1e-4
_ROUNDING_FACTOR: Final = 4.0
"""Where torch in float32 differs from torch in float64 by more than a quarter of :data:`TOLERANCE` (a network
that subtracts large sums, or a probability that changes steeply), a graph may differ from torch by four times
as much, at most by ``_MAX_TOLERANCE``: it rounds otherwise, and the greatest of many errors varies."""
_SEED: Final = 20_160_612
_ROWS: Final = 64
"""Images of more than 32 x 32 that torch computes at a time."""


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
    """Greatest difference from torch, as :data:`TOLERANCE` defines it; infinite if names or shapes differ."""
    allowed: float
    """Tolerance."""
    note: str = ""
    """What differs, if not a value."""

    @property
    def passed(self) -> bool:
        """Whether the difference is within the tolerance."""
        return self.max_abs <= self.allowed

    def __str__(self) -> str:
        """Return a row of a table."""
        what = self.note or f"{self.max_abs:.3g} (allowed: {self.allowed:.3g})"
        return f"{self.graph}  {self.tensor}  batch {self.batch}  {what}"


def check_parity(
    networks: Networks, graphs: Mapping[str, tuple[Graph, bytes]], images: Tensor | None = None
) -> list[Difference]:
    """Compare the file of each graph with the networks as trained, before any rewriting.

    Args:
        networks: In evaluation mode, on the CPU.
        graphs: File name to the graph (for its inputs and outputs) and the content of its ONNX file.
        images: Real images for the encoder ``(N, C, H, W)`` in its range. The distance of all other images is
            close to 1, where a comparison shows little.

    Returns:
        Every comparison.

    Raises:
        ParityError: A comparison failed; its details are the rows of all that failed.
    """
    differences = [
        difference
        for name, (graph, content) in graphs.items()
        for difference in _compare(networks, name, graph, content, images)
    ]
    failed = [difference for difference in differences if not difference.passed]
    if failed:
        raise ParityError(
            "the exported graphs differ from torch by more than is allowed; nothing was written",
            map(str, failed),
        )
    return differences


def parity_metadata(differences: Sequence[Difference]) -> dict[str, Any]:
    """Return the tolerances, the batch sizes and the greatest difference of each output, JSON-ready."""

    def rounded(value: float) -> float:
        return float(f"{value:.3g}")

    allowed: dict[str, float] = {}
    greatest: dict[str, float] = {}
    for d in differences:
        key = f"{d.graph}:{d.tensor}"
        allowed[d.tensor] = max(allowed.get(d.tensor, 0.0), d.allowed)
        greatest[key] = max(greatest.get(key, 0.0), d.max_abs)
    return {
        "tolerance": TOLERANCE,
        "tolerances": {name: rounded(value) for name, value in allowed.items() if value > TOLERANCE},
        "batches": list(BATCHES),
        "max_abs_difference": {key: rounded(value) for key, value in greatest.items()},
    }


def _compare(
    networks: Networks, name: str, graph: Graph, content: bytes, images: Tensor | None
) -> list[Difference]:
    session = GraphSession(content, device="cpu")
    if list(session.outputs) != list(graph.output_shapes):
        note = f"outputs are {', '.join(session.outputs)}, not {', '.join(graph.output_shapes)}"
        return [Difference(graph=name, tensor="*", batch=0, max_abs=np.inf, allowed=0.0, note=note)]
    differences = []
    rounding: dict[str, float] = {}
    for batch in BATCHES:
        inputs = _inputs(networks, graph, batch, images)
        feeds = {key: tensor.numpy() for key, tensor in zip(graph.input_shapes, inputs, strict=True)}
        try:
            expected, outputs = reference_outputs(networks, graph, inputs), session.run(feeds)
        except Exception as error:  # noqa: BLE001 - an own architecture may work for some batch sizes only
            note = f"{type(error).__name__}: {' '.join(str(error).split()):.200}"
            differences.append(
                Difference(graph=name, tensor="*", batch=batch, max_abs=np.inf, allowed=0.0, note=note)
            )
            continue
        for tensor, got in outputs.items():
            want, note = expected[tensor].numpy(), ""
            allowed = _TOLERANCES.get(tensor, TOLERANCE)
            if got.shape != want.shape:
                value, note = np.inf, f"shape {got.shape}, not {want.shape}"
            else:
                value = _greatest(networks, tensor, got, want)
                if not np.isfinite(value):
                    value, note = np.inf, "not finite"
                elif allowed < value <= _MAX_TOLERANCE:
                    # Measured on many inputs: the rounding of a few may be small by chance.
                    rounding = rounding or _rounding(
                        networks, graph, _inputs(networks, graph, max(BATCHES), images)
                    )
                    allowed = max(allowed, min(_MAX_TOLERANCE, _ROUNDING_FACTOR * rounding[tensor]))
            differences.append(
                Difference(graph=name, tensor=tensor, batch=batch, max_abs=value, allowed=allowed, note=note)
            )
    return differences


@torch.inference_mode()
def _inputs(networks: Networks, graph: Graph, batch: int, images: Tensor | None) -> tuple[Tensor, ...]:
    """Return ``batch`` inputs; those of the encoder are generated images, noise and ``images`` if given.

    A good encoder saturates on noise, and equal saturated outputs show little.
    """
    inputs = random_inputs(graph, batch, _SEED + batch)
    if isinstance(graph, GeneratorGraph):
        return inputs
    latent = sample_latents(networks.latent, batch, torch.Generator().manual_seed(_SEED + batch))
    vectors = torch.split(latent.vector(), _rows(networks, batch))
    mixed = torch.cat([networks.export_generator(part) for part in vectors])
    mixed[1::2] = inputs[0][1::2]
    if images is not None:
        mixed[3::4] = images[: len(mixed[3::4])]
    return (mixed,)


def _greatest(
    networks: Networks, tensor: str, got: NDArray[np.floating], want: NDArray[np.floating]
) -> float:
    if tensor == "style_mean":
        got = networks.latent.nearest(got, want)
    return float((np.abs(got.astype(np.float64) - want) / np.abs(want).clip(1)).max(initial=0.0))


def _rounding(networks: Networks, graph: Graph, inputs: tuple[Tensor, ...]) -> dict[str, float]:
    """Return how far torch's outputs in single precision are from those in double precision."""
    exact = copy.deepcopy(networks).double()
    doubled = tuple(part.double() if part.is_floating_point() else part for part in inputs)
    wants, exacts = _network_outputs(networks, graph, inputs), _network_outputs(exact, graph, doubled)
    return {
        name: _greatest(networks, name, want.numpy(), exacts[name].numpy()) for name, want in wants.items()
    }


@torch.inference_mode()
def reference_outputs(networks: Networks, graph: Graph, inputs: tuple[Tensor, ...]) -> dict[str, Tensor]:
    """Return what the networks as trained compute for a graph's inputs, by output name.

    Large images are computed a part at a time, to save memory; an image does not depend on the others.
    """
    count = inputs[0].shape[0]
    rows = _rows(networks, count)
    parts = [
        _reference_outputs(networks, graph, tuple(given[start : start + rows] for given in inputs))
        for start in range(0, count, rows)
    ]
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


def _rows(networks: Networks, count: int) -> int:
    return count if networks.image.size <= SMALL else min(count, _ROWS)


def _reference_outputs(networks: Networks, graph: Graph, inputs: tuple[Tensor, ...]) -> dict[str, Tensor]:
    outputs = _network_outputs(networks, graph, inputs)
    if isinstance(graph, EncoderGraph) and graph.head:
        outputs["distance"] = graph.head(*Taps(networks).read(inputs[0]))
    return outputs


@torch.inference_mode()
def _network_outputs(networks: Networks, graph: Graph, inputs: tuple[Tensor, ...]) -> dict[str, Tensor]:
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
