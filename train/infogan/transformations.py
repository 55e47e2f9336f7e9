"""Codes that stand for known transformations: c1 for the first of ``objective.transformations``, and so on.

An image is transformed at random, and Q infers the codes of both. Q is trained so that the change of each
code's mean follows the parameter of its transformation and nothing else. G follows Q through L_I. No label is
used: what a transformation does to an image is known, and what the image shows is not. To predict
transformations from the features of both images is the idea of arXiv:1901.04596.

Shapes: N images, K continuous codes, T transformations, the first T codes are theirs.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import torch
from torch import Tensor
from torch.nn import functional as F

from infogan_tool.train.engine.statistics import frozen_statistics
from infogan_tool.train.infogan.augment import change_pose, foreground, foreground_circle, pixel_centres, warp

if TYPE_CHECKING:
    from collections.abc import Sequence

    from infogan_tool.train.config.schema import TrainConfig
    from infogan_tool.train.infogan.networks import Networks

TURN: Final = "turn"
"""The transformation of a periodic code: any angle."""
GREATEST: Final = {
    "shift_x": 0.5,
    "shift_y": 0.5,
    "scale": math.log(1.4),
    "rotation": math.radians(30),
    "slant": 0.4,
    "aspect": math.log(1.4),
    "stroke_width": 1.0,
}
"""Greatest parameter of each transformation, either way: a shift to the right or up, the image spans 2; the
log of a factor of size; radians clockwise; a shear to the right; the log of a factor of width / height; a
share of a 3 x 3 maximum (thicker) or minimum. All but shifts are about the centre of the foreground."""
BEGINNING: Final = 0.0, 0.1
"""Shares of adversarial training between which the initial blur, and the initial weight of the Hessian
penalty, fall to 0."""
TURN_LEARNED: Final = 0.1, 0.15
"""Shares of adversarial training between which :func:`turn_loss` gets its weight. With it from the start it
was chance whether G came to make objects."""
ANGLE_SHOWN: Final = 0.2, 0.5
"""Those between which a conditional D comes to see the angle, after Q has learned it."""
_MOST_ROUNDS: Final = 4
"""Of a code for :data:`TURN` in a whole turn of an object: a square looks the same four times."""
_COST_OF_THREE: Final = 0.3
"""Added to the loss of three rounds: a heart is nearly the same after a third of a turn. Where two or four
are possible, a code is the direction of an axis, in one category as in another."""
_SOFTNESS: Final = 0.1
"""Of the choice of the rounds: where the loss of one number is lower by more, the others hardly count."""
_LEAST_SIZE: Final = 0.4
"""Of :func:`turned`, in parts of the greatest that fits into the image."""
_LEAST_SPREAD: Final = 1e-3
"""Standard deviations below it are not scaled up to 1."""


def transform(images: Tensor, names: Sequence[str], amounts: Tensor) -> Tensor:
    """Transform the foreground of each image.

    Args:
        images: ``(N, C, H, W)``, any range. The background is the median of the border.
        names: T keys of :data:`GREATEST`.
        amounts: ``(T, N)``, from -1 to 1: the share of the greatest parameter.

    Returns:
        ``(N, C, H, W)``; what comes from outside of an image is background.
    """
    given = {name: amount * GREATEST[name] for name, amount in zip(names, amounts, strict=True)}
    background, centre_x, centre_y, _ = foreground_circle(images)
    if "stroke_width" in given:
        images = _change_strokes(images, background, given.pop("stroke_width"))
    if not given:
        return images
    zero = torch.zeros_like(centre_x)
    shift_x, shift_y, size, angle, slant, aspect = (
        given.get(name, zero) for name in ("shift_x", "shift_y", "scale", "rotation", "slant", "aspect")
    )
    cos, sin = torch.cos(angle), torch.sin(angle)
    across, down = torch.exp(-size - aspect / 2), torch.exp(-size + aspect / 2)
    # The source of each output pixel: the inverse of a change of size, then a shear, a rotation and a shift.
    rows = (
        (across * (cos - slant * sin), across * (sin + slant * cos), centre_x),
        (-down * sin, down * cos, centre_y),
    )
    new_x, new_y = centre_x + shift_x, centre_y - shift_y
    theta = torch.stack(
        [torch.stack([by_x, by_y, centre - by_x * new_x - by_y * new_y], 1) for by_x, by_y, centre in rows], 1
    )
    return warp(images, theta, background)


def _change_strokes(images: Tensor, background: Tensor, amount: Tensor) -> Tensor:
    """Make strokes thicker (``amount`` above 0) or thinner, in each channel whether bright or dark."""
    sign = torch.where((images - background).mean(dim=(2, 3), keepdim=True) < 0, -1.0, 1.0)
    strokes, amount = sign * images, amount[:, None, None, None]
    thicker, thinner = F.max_pool2d(strokes, 3, 1, 1), -F.max_pool2d(-strokes, 3, 1, 1)
    return sign * torch.lerp(strokes, torch.where(amount > 0, thicker, thinner), amount.abs())


def soften(images: Tensor, shares: Tensor, size: tuple[int, int] = (3, 3)) -> Tensor:
    """Replace a share ``(N,)``, from 0 to 1, of each image by its mean over ``size``: rows, columns."""
    down, across = (side // 2 for side in size)
    blurred = F.avg_pool2d(F.pad(images, (across, across, down, down), mode="replicate"), size, 1)
    return torch.lerp(images, blurred, shares[:, None, None, None])


def turned(images: Tensor, angles: Tensor, sizes: Tensor) -> Tensor:
    """Move the object of each image into the middle, by its centre of mass, and turn it.

    Nothing else may tell how far it has been turned. Were it moved by its bounding box, whose centre does not
    turn with the object, the place of a triangle or a heart in the middle would; and so would a background
    that is turned too, which is therefore made even.

    Args:
        images: ``(N, C, H, W)``, any range.
        angles: ``(N,)``: clockwise, in half turns.
        sizes: ``(N,)``, from 0 to 1: the size, from :data:`_LEAST_SIZE` to the greatest that fits.
    """
    zero = torch.zeros_like(angles)
    log_sizes = (1 - sizes) * math.log(_LEAST_SIZE)
    pose = torch.stack([-math.pi * angles, log_sizes, zero + 1, zero, zero], 1)
    background, inside = foreground(images)
    near = F.max_pool2d(inside[:, None].to(images.dtype), 3, 1, 1) > 0
    return change_pose(torch.where(near, images, background), pose, by_mass=True)


def share_by(progress: Tensor, between: tuple[float, float]) -> Tensor:
    """Return how much of something is there at a share of the training: 0 before ``between``, 1 after it."""
    start, end = between
    return ((progress - start) / (end - start)).clamp(0, 1)


def shown_angle(turns: Tensor, progress: Tensor) -> Tensor:
    """Return what a conditional D is told of angles ``(N,)`` in half turns.

    It is their cosine and sine ``(N, 2)``, times the share of :data:`ANGLE_SHOWN`.
    """
    angle = math.pi * turns.float()
    return share_by(progress, ANGLE_SHOWN) * torch.stack([torch.cos(angle), torch.sin(angle)], 1)


@torch.no_grad()
def shown_angle_of_real(
    networks: Networks, config: TrainConfig, images: Tensor, features: Tensor, progress: Tensor
) -> Tensor | None:
    """Return what a conditional D is told of the angles of real images: what Q infers; None: nothing."""
    if config.condition_column is None:
        return None
    with frozen_statistics(networks.q):
        return shown_angle(networks.infer_styles(images, features)[:, config.condition_column], progress)


def angular_moments(images: Tensor) -> Tensor:
    """Return how the object of each image is spread round its centre of mass.

    ::

        m_n = sum of w r^3 exp(i n phi) / sum of w r^3

    over pixels at a distance r from the centre in the direction phi, clockwise from the right, that differ
    from the background by w. arg m_2 / 2 is the direction of the longer axis.

    Args:
        images: ``(N, C, H, W)``, any range. The background is the median of the border.

    Returns:
        ``(N, R, 2)``: real and imaginary part of m_1 to m_R, R = :data:`_MOST_ROUNDS`; 0 for a plain image.
    """
    background, centre_x, centre_y, _ = foreground_circle(images, by_mass=True)
    weights = (images - background).abs().mean(dim=1)
    y, x = (pixel_centres(size, images.device) for size in images.shape[2:])
    across = (x - centre_x[:, None])[:, None].expand_as(weights)
    down = (y - centre_y[:, None])[:, :, None].expand_as(weights)
    weights = weights * torch.hypot(across, down) ** 3
    phi = _rounds(images.device) * torch.atan2(down, across)[..., None]
    sums = [(weights[..., None] * part).sum(dim=(1, 2)) for part in (torch.cos(phi), torch.sin(phi))]
    total = weights.sum(dim=(1, 2)).clamp_min(torch.finfo(weights.dtype).tiny)
    return torch.stack(sums, 2) / total[:, None, None]


def turn_loss(
    codes: Tensor, middle: Tensor, after: Tensor, *, angles: Tensor, members: Tensor, moments: Tensor
) -> Tensor:
    """Return how far a periodic code is from standing for the angle of an object.

    ::

        sum over categories k of  P(k) (softmin over n of L_kn  -  sum over n of W_kn A_kn)
            +  E[1 - cos pi(code - middle)]
        L_kn = E_k[1 - cos pi(after - middle - n angle)], and a cost if n is 3 (:data:`_COST_OF_THREE`)
        A_kn = E_k[|m_n| cos(pi middle - arg m_n)]

    The first part is learned in the middle of the image, where an angle is all that differs; the last one
    carries it to objects anywhere. Learned at once, as one comparison of moved objects, neither is found.

    In a whole turn a code goes round n times, up to :data:`_MOST_ROUNDS`, as often as suits the objects of a
    category. The softmin is -s log(sum of exp(-loss / s)) with s = :data:`_SOFTNESS`. The moments m_n say
    where a round begins: of two rounds, where the longer axis lies across the image. Without them it would
    be chance, and another place in each category. Their weight W = max(0, 1 - L)^2, a constant, is that of
    the rounds that are found already, so that moments do not decide how many there are.

    Args:
        codes: ``(N,)``: the code's means of images.
        middle: ``(N,)``: those of the same images with the object in the middle.
        after: ``(N,)``: also turned by ``angles``.
        angles: ``(N,)``, clockwise, from -1 to 1, in half turns.
        members: ``(N, k)``: 1 in the column of an image's category, else 0.
        moments: ``(N, R, 2)``: :func:`angular_moments` of the images of ``middle``.

    Returns:
        A scalar from about -E|m_n|, if the code follows the angle, to 5.
    """
    rounds = _rounds(angles.device)
    differences = (after - middle)[:, None] - rounds * angles[:, None]
    direction = torch.stack([torch.cos(math.pi * middle), torch.sin(math.pi * middle)], 1)
    each = 1 - torch.cos(math.pi * differences)
    counts = members.sum(dim=0)
    losses = (members.T @ each) / counts.clamp_min(1)[:, None] + _COST_OF_THREE * (rounds == 3)  # noqa: PLR2004
    softmin = -_SOFTNESS * torch.logsumexp(-losses / _SOFTNESS, dim=1)
    weights = (1 - losses.detach()).clamp_min(0).square()
    beginnings = (members @ weights * (moments * direction[:, None]).sum(dim=2)).sum(dim=1)
    carried = 1 - torch.cos(math.pi * (codes - middle.detach()))
    return (counts * softmin).sum() / len(codes) + (carried - beginnings).mean()


def _rounds(device: torch.device) -> Tensor:
    return torch.arange(1, _MOST_ROUNDS + 1, device=device)


def transformation_loss(changes: Tensor, amounts: Tensor) -> Tensor:
    """Return how far codes are from standing for their transformations and for nothing else.

    With r[i, j] the correlation of the change of code i and the amount of transformation j::

        sum over i <= T of (1 - r[i, i])  +  sum over i > T, j of r[i, j]^2

    Whatever else changes a code, another transformation or the image, makes r[i, i] smaller.

    Args:
        changes: ``(N, K)``: the change of each code's mean by the transformation of an image.
        amounts: ``(N, T)``, as in :func:`transform`.

    Returns:
        A scalar; 0 if each of the first T codes changes in proportion to its own amount alone, and the
        other codes with none. A constant code counts 1.
    """
    correlations = _standardised(changes).T @ _standardised(amounts) / len(changes)
    named = amounts.shape[1]
    return (1 - correlations[:named].diagonal()).sum() + correlations[named:].square().sum()


def explained_by_category(codes: Tensor, members: Tensor) -> Tensor:
    """Return the share of each code's variance that lies between categories (eta squared), summed over codes.

    In the prior styles are independent of the category. What a transformation changes does not show where a
    code's zero is, and Q would have another one for each category.

    Args:
        codes: ``(N, K)``: means of the codes of N images.
        members: ``(N, k)``: 1 in the column of an image's category, else 0.

    Returns:
        A scalar from 0, if codes do not depend on the category, to K, if they depend on nothing else.
    """
    sums = members.T @ _standardised(codes)
    return (sums.square() / members.sum(dim=0).clamp_min(1)[:, None]).sum() / len(codes)


def _standardised(values: Tensor) -> Tensor:
    centred = values - values.mean(dim=0)
    # In this order: the square root has no finite gradient at 0.
    return centred / centred.square().mean(dim=0).clamp_min(_LEAST_SPREAD**2).sqrt()
