"""Images that are computed when they are needed, on the device that needs them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import torch
from torch.nn import functional as F

if TYPE_CHECKING:
    from collections.abc import Callable

_CHUNK: Final = 1024
_LUMA: Final = (0.299, 0.587, 0.114)


class ComputedImages:
    """An :class:`~infogan_tool.train.data.source.ImageSource` whose images need no memory.

    Args:
        shape: N, C, H and W as ``compute`` returns them.
        compute: Returns the images uint8 ``(n, C, H, W)`` of an index ``(n,)`` int64, on the device of the
            index. It may be captured in a CUDA graph, so it must not wait for the device.
        size: Height and width of the result; None: as computed.
        channels: 1 or 3; None: as computed.
        device: Device of the result.
    """

    def __init__(
        self,
        shape: tuple[int, int, int, int],
        compute: Callable[[torch.Tensor], torch.Tensor],
        *,
        size: int | None = None,
        channels: int | None = None,
        device: torch.device | None = None,
    ) -> None:
        self._own_shape, self._compute = shape, compute
        size, channels = size or shape[2], channels or shape[1]
        self.shape = torch.Size((shape[0], channels, size, size))
        # That of a tensor, which has a number.
        self.device = torch.empty(0, device=device or "cpu").device

    def to(self, device: torch.device) -> ComputedImages:
        """Return the images on another device."""
        return self.converted(device=device)

    def converted(
        self, *, size: int | None = None, channels: int | None = None, device: torch.device | None = None
    ) -> ComputedImages:
        """Return the images in another format or on another device; None: as here."""
        return ComputedImages(
            self._own_shape,
            self._compute,
            size=size or self.shape[2],
            channels=channels or self.shape[1],
            device=device or self.device,
        )

    def __len__(self) -> int:
        """Return the number of images."""
        return self.shape[0]

    def __getitem__(self, index: torch.Tensor | slice) -> torch.Tensor:
        """Return the images of an index ``(n,)`` int64 or of a slice, uint8 ``(n, C, H, W)``."""
        if isinstance(index, slice):
            index = torch.arange(*index.indices(len(self)), device=self.device)
        index = index.to(self.device)
        parts = [self._converted(self._compute(part)) for part in torch.split(index, _CHUNK)]
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def _converted(self, images: torch.Tensor) -> torch.Tensor:
        """Change size and channels as :func:`infogan_tool.runtime.images.convert.fit` does."""
        channels, size = self.shape[1], self.shape[2]
        for shape in ((images.shape[2], size), (size, size)):  # Pillow rounds between rows and columns
            if tuple(images.shape[2:]) != shape:
                resized = F.interpolate(images.float(), shape, mode="bicubic", antialias=True)
                images = resized.round_().clamp_(0, 255).to(torch.uint8)
        if channels < images.shape[1]:
            red, green, blue = (
                part.float() * weight for part, weight in zip(images.unbind(1), _LUMA, strict=True)
            )
            images = (red + green + blue).round_().to(torch.uint8)[:, None]
        return images.expand(-1, channels, -1, -1).contiguous()
