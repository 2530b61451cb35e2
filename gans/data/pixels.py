"""Conversion of samples for files and figures."""

import torch
from torch import Tensor


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
