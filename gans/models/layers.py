"""Sizes of feature maps; Keras's initialization, constants and order of values, which the reports' networks have."""

from typing import Annotated

from pydantic import Field
from torch import Tensor, nn

from gans.errors import InputError

Channels = Annotated[int, Field(ge=1)]
Size = Annotated[int, Field(ge=14)]
SMALLEST = (7, 8)
"""Sides of the smallest feature maps, in pixels."""


def halvings(size: int) -> tuple[int, int]:
    """The side of an image's smallest feature maps, 7 or 8 pixels, and how often they double up to ``size``.

    Raises:
        InputError: for a size that is neither 7 nor 8 times 2, 4, 8, ...
    """
    side, count = size, 0
    while side not in SMALLEST and side % 2 == 0:
        side, count = side // 2, count + 1
    if side not in SMALLEST:
        raise InputError(
            f"these networks make images of 14, 16, 28, 32, 56, 64, ... pixels (7 or 8 times a power of 2), not of "
            f"{size}: use data.size=32, for example"
        )
    return side, count


def halved_widths(width: int, levels: int) -> list[int]:
    """Channels of feature maps, the smallest maps first: width, width/2, ..., one number for each level.

    Raises:
        InputError: for a width that can't be halved so often.
    """
    if width % 2 ** (levels - 1):
        raise InputError(
            f"width={width} must be a multiple of {2 ** (levels - 1)} for images of this size: it is halved at each "
            "doubling of the side"
        )
    return [width // 2**level for level in range(levels)]


def batch_norm(channels: int) -> nn.BatchNorm2d:
    """BatchNorm with Keras's epsilon and momentum; Keras's 0.99 is 0.01 in PyTorch."""
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)


_WEIGHTED = (nn.Linear, nn.Conv2d, nn.ConvTranspose2d, nn.Embedding)


def glorot_uniform(network: nn.Module) -> None:
    """Glorot-uniform weights and zero biases, Keras's default (Glorot and Bengio 2010, equation 16)."""
    for module in network.modules():
        if isinstance(module, _WEIGHTED):
            nn.init.xavier_uniform_(module.weight)
            _zero_bias(module)


def normal(network: nn.Module, deviation: float) -> None:
    """N(0, deviation²) weights and zero biases (Radford et al. 2016, section 4, with deviation 0.02)."""
    for module in network.modules():
        if isinstance(module, _WEIGHTED):
            nn.init.normal_(module.weight, 0.0, deviation)
            _zero_bias(module)


def _zero_bias(module: nn.Module) -> None:
    if isinstance(bias := getattr(module, "bias", None), Tensor):
        nn.init.zeros_(bias)


class Flatten(nn.Flatten):
    """Images (n, c, h, w) -> (n, h w c), in Keras's order. Images in channels_last are not copied."""

    def forward(self, input: Tensor) -> Tensor:
        return input.permute(0, 2, 3, 1).flatten(1)


class Unflatten(nn.Module):
    """(n, h w c), in Keras's order -> images (n, c, h, w) in channels_last, without a copy."""

    def __init__(self, channels: int, height: int, width: int) -> None:
        super().__init__()
        self.size = (height, width, channels)

    def forward(self, values: Tensor) -> Tensor:
        return values.unflatten(1, self.size).permute(0, 3, 1, 2)
