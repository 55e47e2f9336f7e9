"""Rooms, rendered: 480,000 colour images of 64 x 64 with six known factors.

An object stands in the middle of a square room, and the camera turns around it. The factors are the hue of
the floor, of the walls and of the object, the object's scale and shape, and the camera's orientation; image i
has the factors ``numpy.unravel_index(i, (10, 10, 10, 8, 4, 15))``.

An image is the sum of its three materials, each the material's colour times its light. The light depends on
scale, shape and orientation alone, so the rays of these 480 views are cast once, when the first image is
needed. Lengths are in units of the room, z points up.
"""

from __future__ import annotations

import colorsys
import math
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch

from infogan_tool.train.data.computed import ComputedImages
from infogan_tool.train.data.factors import all_combinations, unravel
from infogan_tool.train.data.imageset import ImageSet

if TYPE_CHECKING:
    from numpy.typing import NDArray

    _Array = NDArray[np.floating[Any]]

SHAPES: Final = ("cube", "cylinder", "sphere", "cone")
SCALES: Final = tuple(round(0.7 + 0.09 * k, 2) for k in range(8))
ORIENTATIONS: Final = tuple(range(-35, 36, 5))
"""Degrees to the left or right of the middle of the back wall."""
HUES: Final = tuple(k / 10 for k in range(10))
SIZE: Final = 64

_SIZES: Final = (len(HUES),) * 3 + (len(SCALES), len(SHAPES), len(ORIENTATIONS))
_ROOM: Final = 4.0
"""Distance of each wall from the middle."""
_CAMERA: Final = 3.9, 2.3
"""Distance from the middle of the room, and height."""
_TARGET_HEIGHT: Final = 0.85
_FIELD_OF_VIEW: Final = 62.0
"""Degrees."""
_RAYS: Final = 2
"""Rays across a pixel, and down."""
_LIGHT: Final = (-0.4, -0.45, 0.8)
"""Direction to the light, of length 1."""
_AMBIENT: Final = 0.45
_SHADOW: Final = 0.55
"""Light of a floor in the shadow, relative to one in the light."""
_SATURATION: Final = 0.75


def load_rooms(*, size: int | None = None, channels: int | None = None) -> ImageSet:
    """Return the rooms with their factors, the object's shape as label; nothing is stored.

    Args:
        size: Height and width; None: 64. Resized with antialiasing.
        channels: 1 or 3; None: 3.
    """
    factors = all_combinations(
        {
            "floor_hue": HUES,
            "wall_hue": HUES,
            "object_hue": HUES,
            "scale": SCALES,
            "shape": SHAPES,
            "orientation": ORIENTATIONS,
        }
    )
    shape = (len(factors.values), 3, SIZE, SIZE)
    return ImageSet(
        images=ComputedImages(shape, render_rooms, size=size, channels=channels),
        labels=factors.values[:, 4].contiguous(),
        label_names=SHAPES,
        factors=factors,
        name="rooms",
    )


def render_rooms(index: torch.Tensor) -> torch.Tensor:
    """Return the images of an index ``(n,)`` int64 on its device: uint8 ``(n, 3, 64, 64)``."""
    light, colours = _tables(index.device)
    *hues, scale, shape, orientation = unravel(index, _SIZES)
    light = light[shape, scale, orientation]
    images = torch.zeros(len(index), 3, SIZE, SIZE, device=index.device)
    for material, hue in enumerate(hues):
        images += colours[hue][:, :, None, None] * light[:, material, None]
    return images.round_().to(torch.uint8)


@cache
def _tables(device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the light of each view and the colour of each hue ``(hues, 3)``, from 0 to 1."""
    light = _cast_views() if device.type == "cpu" else _tables(torch.device("cpu"))[0]
    colours = torch.tensor([colorsys.hsv_to_rgb(hue, _SATURATION, 1) for hue in HUES])
    return light.to(device), colours.to(device)


# --- ray casting -----------------------------------------------------------------------------------------


def _cast_views() -> torch.Tensor:
    """Return the light of floor, walls and object in each pixel of each view, from 0 to 255.

    Returns:
        uint8 ``(shapes, scales, orientations, 3, 64, 64)``; the sum over the three is at most 255.
    """
    views = torch.empty(len(SHAPES), len(SCALES), len(ORIENTATIONS), 3, SIZE, SIZE, dtype=torch.uint8)
    for third, angle in enumerate(ORIENTATIONS):
        origin, rays = _camera_rays(math.radians(angle))
        floor, walls, points = _cast_room(origin, rays)
        sun = np.broadcast_to(np.asarray(_LIGHT, np.float32), points.shape)
        for first, shape in enumerate(SHAPES):
            for second, scale in enumerate(SCALES):
                distance, normal = _INTERSECT[shape](origin, rays, np.float32(scale))
                hit = np.isfinite(distance)
                shaded = np.isfinite(_INTERSECT[shape](points, sun, np.float32(scale))[0])
                light = np.where(shaded, floor * _SHADOW, floor), walls, _lambert(normal)
                parts = [np.where(hit, 0, part) for part in light[:2]] + [np.where(hit, light[2], 0)]
                grid = np.stack(parts).reshape(3, SIZE, _RAYS, SIZE, _RAYS).mean(axis=(2, 4))
                views[first, second, third] = torch.from_numpy((255 * grid).astype(np.uint8))
    return views


def _camera_rays(angle: float) -> tuple[_Array, _Array]:
    """Return the camera's position and the directions of its rays ``(rays, 3)``, row by row from the top."""
    distance, height = _CAMERA
    origin = np.array([distance * math.sin(angle), -distance * math.cos(angle), height])
    forward = np.array([0, 0, _TARGET_HEIGHT]) - origin
    forward /= np.linalg.norm(forward)
    right = np.cross(forward, [0, 0, 1])
    right /= np.linalg.norm(right)
    up = np.cross(right, forward)
    half, count = math.tan(math.radians(_FIELD_OF_VIEW / 2)), SIZE * _RAYS
    across = half * ((np.arange(count) + 0.5) * 2 / count - 1)
    rays = forward + across[None, :, None] * right - across[:, None, None] * up
    rays /= np.linalg.norm(rays, axis=-1, keepdims=True)
    return origin.astype(np.float32), rays.reshape(-1, 3).astype(np.float32)


def _cast_room(origin: _Array, rays: _Array) -> tuple[_Array, _Array, _Array]:
    """Return the light of floor and of walls for each ray, one of them 0, and the points that rays meet."""
    with np.errstate(divide="ignore"):
        to_walls = (np.sign(rays[:, :2]) * _ROOM - origin[:2]) / rays[:, :2]
        to_floor = np.where(rays[:, 2] < 0, -origin[2] / rays[:, 2], np.inf)
    nearest = np.where(np.isfinite(to_walls), to_walls, np.inf)
    axis = nearest.argmin(axis=1)
    is_floor = to_floor < nearest.min(axis=1)
    normal = np.zeros_like(rays)
    normal[np.arange(len(rays)), axis] = -np.sign(rays[np.arange(len(rays)), axis])
    points = origin + np.minimum(to_floor, nearest.min(axis=1))[:, None] * rays
    floor = np.where(is_floor, _lambert(np.array([[0, 0, 1]], np.float32)), 0)
    return (
        floor,
        np.where(is_floor, 0, _lambert(normal)),
        points + np.float32(1e-4) * np.eye(3, dtype=np.float32)[2],
    )


def _lambert(normal: _Array) -> _Array:
    """Return the light of surfaces with normals ``(n, 3)``, from 0 to 1."""
    light: _Array = _AMBIENT + (1 - _AMBIENT) * np.maximum(normal @ np.asarray(_LIGHT, np.float32), 0)
    return light


def _cube(origin: _Array, rays: _Array, scale: np.float32) -> tuple[_Array, _Array]:
    """Return the distance ``(n,)`` of each ray to a cube on the floor, inf without a hit, and the normals."""
    half = np.float32(0.8) * scale
    centre = np.array([0, 0, half], np.float32)
    with np.errstate(divide="ignore", invalid="ignore"):
        ends = (np.array([[-half], [half]]) + (centre - origin)[..., None, :]) / rays[:, None, :]
    near, far = ends.min(axis=1), ends.max(axis=1)
    axis = near.argmax(axis=1)
    distance = near.max(axis=1)
    normal = np.zeros_like(rays)
    normal[np.arange(len(rays)), axis] = -np.sign(rays[np.arange(len(rays)), axis])
    return np.where((distance < far.min(axis=1)) & (distance > 0), distance, np.inf), normal


def _sphere(origin: _Array, rays: _Array, scale: np.float32) -> tuple[_Array, _Array]:
    """As :func:`_cube`, for a sphere."""
    radius = scale
    start = origin - np.array([0, 0, radius], np.float32)
    half = (start * rays).sum(axis=-1)
    root = half**2 - ((start * start).sum(axis=-1) - radius**2)
    distance = -half - np.sqrt(np.maximum(root, 0))
    distance = np.where((root > 0) & (distance > 0), distance, np.inf)
    return distance, (start + np.where(np.isfinite(distance), distance, 0)[:, None] * rays) / radius


def _cylinder(origin: _Array, rays: _Array, scale: np.float32) -> tuple[_Array, _Array]:
    """As :func:`_cube`, for an upright cylinder."""
    return _turned(
        origin, rays, bottom=np.float32(0.8) * scale, top=np.float32(0.8) * scale, height=1.7 * scale
    )


def _cone(origin: _Array, rays: _Array, scale: np.float32) -> tuple[_Array, _Array]:
    """As :func:`_cube`, for an upright cone."""
    return _turned(origin, rays, bottom=np.float32(1.05) * scale, top=np.float32(0), height=2.0 * scale)


def _turned(
    origin: _Array, rays: _Array, *, bottom: np.float32, top: np.float32, height: np.float32
) -> tuple[_Array, _Array]:
    """As :func:`_cube`, for an upright body whose radius changes linearly from bottom to top."""
    slope = (top - bottom) / height
    x, y, z = np.moveaxis(np.broadcast_to(origin, rays.shape), 1, 0)
    along_x, along_y, along_z = rays.T
    # |(x, y) + t (along_x, along_y)| = bottom + slope (z + t along_z)
    radius, change = bottom + slope * z, slope * along_z
    a = along_x**2 + along_y**2 - change**2
    b = x * along_x + y * along_y - radius * change
    c = x**2 + y**2 - radius**2
    with np.errstate(divide="ignore", invalid="ignore"):
        root = np.sqrt(b**2 - a * c)
        sides = np.stack([(-b - root) / a, (-b + root) / a])
        at = z + sides * along_z
        sides = np.where((sides > 0) & (at >= 0) & (at <= height), sides, np.inf)  # NaN compares as False
        side = sides.min(axis=0)
        lid = (height - z) / along_z
        across = (x + lid * along_x) ** 2 + (y + lid * along_y) ** 2
    lid = np.where((lid > 0) & (across <= top**2), lid, np.inf)
    distance = np.minimum(side, lid)
    reach = np.where(np.isfinite(side), side, 0)
    outward = np.stack([x + reach * along_x, y + reach * along_y], axis=1)
    outward /= np.linalg.norm(outward, axis=1, keepdims=True) + np.float32(1e-9)
    normal = np.concatenate([outward, np.full((len(rays), 1), -slope)], axis=1) / np.hypot(1, slope)
    return distance, np.where((lid < side)[:, None], np.array([0, 0, 1], np.float32), normal)


_INTERSECT: Final = {"cube": _cube, "cylinder": _cylinder, "sphere": _sphere, "cone": _cone}
