"""From images in [0, 1] to what files hold."""

import torch
from torch import Tensor


def to_pixels(images: Tensor) -> Tensor:
    """[0, 1] -> uint8, rounded, on the host; the same shape."""
    return images.mul(255).round().clamp(0, 255).to(torch.uint8).cpu()
