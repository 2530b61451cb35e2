"""From samples to what files hold and figures show."""

import torch
from torch import Tensor


def to_pixels(images: Tensor) -> Tensor:
    """[0, 1] -> uint8, rounded, on the host; the same shape."""
    return images.mul(255).round().clamp(0, 255).to(torch.uint8).cpu()


def as_shown(samples: Tensor) -> Tensor:
    """Images (n, channels, height, width) -> (n, height, width), or (n, height, width, channels) if they have several;
    points (n, dimensions) stay."""
    if samples.ndim == 2:
        return samples
    return samples[:, 0] if samples.shape[1] == 1 else samples.movedim(1, 3)
