"""Conversion of samples between ranges, and for files and figures."""

import torch
import torch.nn.functional as F
from torch import Tensor

GREY = (0.299, 0.587, 0.114)
"""The weights of red, green and blue in a grey value (ITU-R BT.601)."""
ROWS = 1000
"""Images that are converted at once, to save memory."""

Range = tuple[float, float]
"""The lowest and the highest value of pixels."""
UNIT: Range = (0.0, 1.0)
"""The range of the data's pixels. Points are not scaled: their generators have this range too."""


def rescale(samples: Tensor, old: Range, new: Range) -> Tensor:
    """Map values linearly from one range to another."""
    if old == new:
        return samples
    scale = (new[1] - new[0]) / (old[1] - old[0])
    return new[0] - scale * old[0] + scale * samples


def to_pixels(images: Tensor) -> Tensor:
    """Images in [0, 1] -> uint8, rounded, on the host; same shape."""
    return images.mul(255).round().clamp(0, 255).to(torch.uint8).cpu()


def to_display(samples: Tensor) -> Tensor:
    """Images (n, channels, height, width) -> (n, height, width), or channels last if there are several.

    Points (n, dimensions) are returned unchanged.
    """
    if samples.ndim == 2:
        return samples
    return samples[:, 0] if samples.shape[1] == 1 else samples.movedim(1, 3)


def with_channels(images: Tensor, channels: int) -> Tensor:
    """Images, uint8 (n, c, height, width), with 1 (grey) or 3 (RGB) channels."""
    if images.shape[1] == channels:
        return images
    if images.shape[1] == 1:
        return images.expand(-1, channels, -1, -1).contiguous()
    weights = torch.tensor(GREY)[:, None, None]
    grey = [(part * weights).sum(1, keepdim=True).round() for part in images[:, :3].split(ROWS)]
    return torch.cat(grey).to(torch.uint8)


def resize(images: Tensor, size: int) -> Tensor:
    """Square images, uint8 (n, c, height, width), resized to size x size: bicubic, with antialiasing."""
    parts = (
        F.interpolate(part.float(), size=(size, size), mode="bicubic", antialias=True) for part in images.split(ROWS)
    )
    return torch.cat([part.round().clamp(0, 255).to(torch.uint8) for part in parts])
