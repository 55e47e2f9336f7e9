"""Axes of the continuous codes: measure derivatives by the codes, and rotate the codes to diagonalise them.

If an image depends on independent factors, the mixed second derivatives of G by two factors are small. L_I
hardly distinguishes such factors from a rotation of them. The rotation that leads back to the factors is the
joint approximate diagonalisation of the Hessians of all pixels and latents by Jacobi rotations (Cardoso and
Souloumiac, SIAM J. Matrix Anal. Appl. 17(1), 1996). No real image and no label is used. Order and signs of
the axes, which are chance as well, are those of :func:`ordered_axes`.
docs/explanation/objective.md derives it.

Shapes: N latents, K continuous codes, P values of a smoothed image.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Final

import torch
from torch import Tensor

from infogan_tool.runtime.errors import UsageError
from infogan_tool.train.distributed.process_group import SINGLE_PROCESS
from infogan_tool.train.engine.layers import VectorToMap
from infogan_tool.train.engine.statistics import evaluation_mode
from infogan_tool.train.infogan.latents import PeriodicInputs, first_layer_rows, sample_latents
from infogan_tool.train.infogan.objective import HESSIAN_STEP, coarse_moments, smoothed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from infogan_tool.train.distributed.process_group import ProcessGroup
    from infogan_tool.train.infogan.networks import Generator, Networks

MIN_CONTRAST: Final = 1.5
"""Below it the mixed derivative of two codes hardly depends on their angle, which is then unknown."""
_MAX_LATENTS: Final = 400
_MIN_LATENTS: Final = 10
_MAX_IMAGES: Final = 20_000
"""With many codes there are fewer latents."""
_ROUNDING: Final = 1e-8
"""Products of second derivatives that are this small relative to the first ones are rounding errors."""
_MIN_ANGLE: Final = 0.1
"""Degrees; smaller rotations are not made."""
_MAX_SWEEPS: Final = 20


@dataclass(frozen=True, slots=True)
class Derivatives:
    """First and second derivatives of G's images by the continuous codes, averaged over latents."""

    products: Tensor
    """``(K, K)``: the mean scalar product ``E<G_i, G_j>`` of first derivatives."""
    coarse: Tensor
    """``(K, M)``: the means of the first derivatives' coarse moments."""
    moments: Tensor
    """``(K, K, K, K)``: the mean scalar product ``E<G_ij, G_kl>`` of second derivatives."""

    @property
    def sizes(self) -> Tensor:
        """``(K,)``: root mean square, over the latents, of the norm of the first derivative."""
        return self.products.diagonal().sqrt()


def latents_for(codes: int) -> int:
    """Return the number of latents that derivatives by so many codes are averaged over."""
    return max(_MIN_LATENTS, min(_MAX_LATENTS, _MAX_IMAGES // (1 + 2 * codes * codes)))


def measure_derivatives(generate: Callable[[Tensor], Tensor], styles: Tensor) -> Derivatives:
    """Return the derivatives by central differences of smoothed images.

    Args:
        generate: Returns images ``(N, C, H, W)`` of N latents with these styles ``(N, K)``.
        styles: ``(N, K)``, from the prior. They are moved by 0.25 to each side, within the prior's range.
    """
    step, codes = HESSIAN_STEP / 2, styles.shape[1]
    centre = styles * (1 - step)

    def at(move: Tensor) -> Tensor:
        return smoothed(generate(centre + move)).double()

    moves = step * torch.eye(codes, dtype=styles.dtype, device=styles.device)
    base, first, coarse, second = at(0 * moves[0]), [], [], {}
    for i in range(codes):
        up, down = at(moves[i]), at(-moves[i])
        change = (up - down) / (2 * step)
        first.append(change.flatten())
        coarse.append(coarse_moments(change).mean(dim=0))
        second[i, i] = (up + down - 2 * base) / step**2
    for i, j in combinations(range(codes), 2):
        same = at(moves[i] + moves[j]) + at(-moves[i] - moves[j])
        other = at(moves[i] - moves[j]) + at(moves[j] - moves[i])
        second[i, j] = second[j, i] = (same - other) / (4 * step**2)
    rows = torch.stack([second[i, j].flatten() for i in range(codes) for j in range(codes)])
    changes = torch.stack(first)
    products, moments = changes @ changes.T / len(styles), rows @ rows.T / len(styles)
    moments[moments.abs() < _ROUNDING * products.diagonal().max()] = 0
    return Derivatives(products, torch.stack(coarse), moments.view((codes,) * 4))


def plane_angle(moments: Tensor, i: int, j: int) -> tuple[float, float]:
    """Return the rotation in the plane of codes i and j that makes their mixed second derivative least.

    By axes rotated by phi that derivative is ``m = (G_jj - G_ii) / 2 sin 2 phi + G_ij cos 2 phi``, and
    ``E|m|^2 = (p + q) / 2 + (q - p) / 2 cos 4 phi + r sin 4 phi`` with ``p = E|(G_jj - G_ii) / 2|^2``,
    ``q = E|G_ij|^2`` and ``r = E<(G_jj - G_ii) / 2, G_ij>``.

    Returns:
        The angle in degrees, from -45 to 45, and the greatest E|m|^2 divided by the least, at least 1.
    """
    chosen = torch.stack([moments[i, i], moments[j, j], moments[i, j]])
    products = torch.stack([chosen[:, i, i], chosen[:, j, j], chosen[:, i, j]], dim=1).tolist()
    (ii_ii, ii_jj, ii_ij), (_, jj_jj, jj_ij), (_, _, q) = products
    p, r = (ii_ii + jj_jj - 2 * ii_jj) / 4, (jj_ij - ii_ij) / 2
    mean, amplitude = (p + q) / 2, math.hypot((p - q) / 2, r)
    if mean <= 0:
        return 0.0, 1.0
    angle = math.degrees(math.atan2(-2 * r, p - q)) / 4
    return angle, (mean + amplitude) / max(mean - amplitude, 1e-6 * mean)


def aligning_rotation(moments: Tensor) -> Tensor:
    """Return the rotation that makes mixed second derivatives least.

    Jacobi rotations: each pair of codes in turn is rotated by :func:`plane_angle`, until none moves any more.
    A rotation in the plane of two codes does not change the sum of their mixed derivatives with the others.

    Args:
        moments: From :func:`measure_derivatives`.

    Returns:
        ``(K, K)``; row i is the new axis of code i.
    """
    codes = len(moments)
    rotation = torch.eye(codes, dtype=moments.dtype, device=moments.device)
    for _ in range(_MAX_SWEEPS):
        moved = False
        for i, j in combinations(range(codes), 2):
            angle, contrast = plane_angle(moments, i, j)
            if contrast < MIN_CONTRAST or abs(angle) < _MIN_ANGLE:
                continue
            plane, turn = torch.eye(codes, dtype=moments.dtype, device=moments.device), math.radians(angle)
            plane[i, i] = plane[j, j] = math.cos(turn)
            plane[i, j], plane[j, i] = math.sin(turn), -math.sin(turn)
            moments = torch.einsum("ai,bj,ck,dl,ijkl->abcd", plane, plane, plane, plane, moments)
            rotation, moved = plane @ rotation, True
        if not moved:
            break
    return rotation


def ordered_axes(derivatives: Derivatives, rotation: Tensor) -> tuple[Tensor, list[int]]:
    """Return a rotation's axes in order and direction: the code that changes images most comes first.

    Each axis points to where the greatest coarse moment of its effect grows: to thicker strokes, not thinner.

    Args:
        derivatives: By the codes before the rotation.
        rotation: ``(K, K)``; row i is the new axis of code i.

    Returns:
        ``(K, K)``, an orthogonal matrix, and the code that each one's axis was that of.
    """
    sizes = (rotation @ derivatives.products @ rotation.T).diagonal()
    order: list[int] = sizes.argsort(descending=True, stable=True).tolist()
    effects = (rotation @ derivatives.coarse)[order]
    signs = effects.gather(1, effects.abs().argmax(dim=1, keepdim=True)).sign()
    signs[signs == 0] = 1  # without any effect
    return signs * rotation[order], order


@torch.no_grad()
def align_codes(
    networks: Networks,
    optimizers: Iterable[torch.optim.Optimizer],
    seed: int,
    free: list[int],
    group: ProcessGroup = SINGLE_PROCESS,
) -> None:
    """Rotate continuous codes in place, so that each has one independent effect on the image.

    With R the :func:`aligning_rotation` of the exported generator, its axes ordered, ``G(z, c)`` becomes what
    ``G(z, c R)`` was, and Q's mean ``m`` becomes ``m R^T``. Q's variances follow the order, and are left to
    adapt to the rest.

    Args:
        networks: On their device.
        optimizers: Adam; their running means of gradients are rotated with the weights, and those of squares
            follow the order.
        seed: Seed of the latents that the derivatives are averaged over.
        free: Positions of the codes that are rotated, none of them periodic. The others stay as they are.
        group: The processes of the training. All of them make the rotation of the main one: others may round
            differently.
    """
    spec, generator = networks.latent, networks.export_generator
    device = first_layer(generator).weight.device
    columns = [spec.continuous_slice.start + code for code in free]
    vectors = sample_latents(spec, latents_for(len(free)), torch.Generator().manual_seed(seed)).vector()
    vectors = vectors.to(device)

    def generate(moved: Tensor) -> Tensor:
        latents = vectors.clone()
        latents[:, columns] = moved
        images: Tensor = generator(latents)
        return images

    with evaluation_mode(generator):
        derivatives = measure_derivatives(generate, vectors[:, columns])
    axes, codes = ordered_axes(derivatives, aligning_rotation(derivatives.moments))
    rotation = group.broadcast(axes.float())
    order = group.broadcast(torch.tensor(codes, device=device)).tolist()

    inputs = first_layer_rows(spec, free)
    generators = [networks.generator, *([networks.generator_ema] if networks.generator_ema else [])]
    rotated: list[tuple[Tensor, list[int]]] = [(first_layer(each).weight, inputs) for each in generators]
    ordered: list[tuple[Tensor, list[int]]] = []
    for branch in networks.q_branches:
        if branch.mean is not None:
            rotated += [(parameter, free) for parameter in branch.mean.parameters()]
        if branch.log_var is not None:
            ordered += [(parameter, free) for parameter in branch.log_var.parameters()]
    states = [optimizer.state for optimizer in optimizers]  # several optimizers may move one weight
    of_rotated, of_ordered = (
        [(state[tensor], rows) for state in states for tensor, rows in tensors if tensor in state]
        for tensors in (rotated, ordered)
    )
    rotated += [(state["exp_avg"], rows) for state, rows in of_rotated]
    ordered += [(state["exp_avg"], rows) for state, rows in of_ordered]
    ordered += [(state["exp_avg_sq"], rows) for state, rows in of_rotated + of_ordered]
    for tensor, rows in rotated:
        tensor[rows] = torch.tensordot(rotation, tensor[rows], dims=1)
    for tensor, rows in ordered:
        tensor[rows] = tensor[[rows[i] for i in order]]


def first_layer(generator: Generator) -> VectorToMap:
    """Return the layer of G that the codes enter; :func:`first_layer_rows` says which row is whose.

    Raises:
        UsageError: The architecture begins with another layer.
    """
    layer = next(layer for layer in generator.layers if not isinstance(layer, PeriodicInputs))
    if not isinstance(layer, VectorToMap):
        raise UsageError(
            "this architecture's first layer has no row for each code, so that codes cannot be rotated: add "
            "--set objective.axis_alignments=0"
        )
    return layer
