"""Small residual networks, after R3GAN (Huang et al. 2024, section 4 and appendix D)."""

from itertools import pairwise
from math import sqrt
from typing import Annotated, TypeVar

import torch
import torch.nn.functional as F
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from gans.errors import InputError
from gans.generator import Generator
from gans.models.layers import Channels, Size

Widths = Annotated[list[Annotated[int, Field(ge=8, multiple_of=8)]], Field(min_length=2)]

Weighted = TypeVar("Weighted", nn.Linear, nn.Conv2d)

SLOPE = 0.2
LINEAR = sqrt((1 + SLOPE**2) / 2)
"""The gain of layers without an activation after them."""
EXPANSION = 2
GROUP = 8
"""Channels per group of the 3x3 convolutions."""


class Block(nn.Module):
    """values + f(values), where f is a 1x1 convolution to more channels, a grouped 3x3 and a 1x1 back.

    There is no normalization. The last layer's weights are initially 0, so that a block is initially the identity. The
    others have the variance that keeps the gradient's size over all blocks (Zhang et al. 2019, Fixup, section 3).

    Args:
        blocks: number of blocks in the network.
    """

    def __init__(self, channels: int, blocks: int) -> None:
        super().__init__()
        inner, gain = EXPANSION * channels, blocks**-0.25
        last = nn.Conv2d(inner, channels, 1, bias=False)
        nn.init.zeros_(last.weight)
        self.layers = nn.Sequential(
            scaled(nn.Conv2d(channels, inner, 1, bias=False), gain),
            Activation(inner),
            scaled(nn.Conv2d(inner, inner, 3, padding=1, groups=inner // GROUP, bias=False), gain),
            Activation(inner),
            last,
        )

    def forward(self, values: Tensor) -> Tensor:
        return values + self.layers(values)


class Activation(nn.Module):
    """A learned shift of each channel, and LeakyReLU."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.shift = nn.Parameter(torch.zeros(channels, 1, 1))

    def forward(self, values: Tensor) -> Tensor:
        return F.leaky_relu(values + self.shift, SLOPE)


def scaled(layer: Weighted, gain: float) -> Weighted:
    """Initialize a layer's weights: N(0, gain² 2 / ((1 + slope²) inputs)), He et al. 2015, equation 15, times gain."""
    nn.init.kaiming_normal_(layer.weight, a=SLOPE)
    with torch.no_grad():
        layer.weight.mul_(gain)
    return layer


class ResidualGenerator(Generator):
    """Latents (n, latent_size) -> images (n, channels, size, size), not bounded; data are in [-1, 1].

    A linear function of the latents weights a learned basis, 7x7 for three widths and 28 pixels. At each size there are
    residual blocks; a 1x1 convolution and bilinear upsampling lead to the next size. A 1x1 convolution makes the image.

    Args:
        widths: channels at each size, the smallest first; each size is twice the one before.
        blocks: residual blocks at each size.

    Raises:
        InputError: for a size that can't be halved as often as the widths say.
    """

    pixel_range = (-1.0, 1.0)

    def __init__(
        self,
        widths: Widths,
        latent_size: PositiveInt = 64,
        blocks: PositiveInt = 2,
        channels: Channels = 1,
        size: Size = 28,
    ) -> None:
        super().__init__()
        self.latent_size = latent_size
        count = blocks * len(widths)
        side = _smallest_side(size, widths)
        self.basis = nn.Parameter(torch.randn(widths[0], side, side))
        self.weighting = scaled(nn.Linear(latent_size, widths[0], bias=False), LINEAR)
        stages: list[nn.Module] = [Block(widths[0], count) for _ in range(blocks)]
        for wide, narrow in pairwise(widths):
            upsample = nn.Upsample(scale_factor=2, mode="bilinear")
            stages += [nn.Sequential(linear(wide, narrow), upsample), *(Block(narrow, count) for _ in range(blocks))]
        self.stages = nn.Sequential(*stages)
        self.last = linear(widths[-1], channels, bias=True)

    def forward(self, latents: Tensor) -> Tensor:
        return self.last(self.stages(self.basis * self.weighting(latents)[:, :, None, None]))


class ResidualDiscriminator(nn.Module):
    """Images (n, channels, size, size) in [-1, 1] -> scores (n, 1): the generator's layers in reverse order.

    Args:
        widths: channels at each size, the largest first; each size is half of the one before.
    """

    def __init__(self, widths: Widths, blocks: PositiveInt = 2, channels: Channels = 1, size: Size = 28) -> None:
        super().__init__()
        count = blocks * len(widths)
        stages: list[nn.Module] = [linear(channels, widths[0], bias=True)]
        stages += [Block(widths[0], count) for _ in range(blocks)]
        for narrow, wide in pairwise(widths):
            downsample = nn.AvgPool2d(2)  # bilinear, by a factor of 2
            stages += [nn.Sequential(downsample, linear(narrow, wide)), *(Block(wide, count) for _ in range(blocks))]
        self.stages = nn.Sequential(*stages)
        side = _smallest_side(size, widths)
        self.basis = scaled(nn.Conv2d(widths[-1], widths[-1], side, groups=widths[-1], bias=False), LINEAR)
        self.last = scaled(nn.Linear(widths[-1], 1, bias=False), LINEAR)

    def forward(self, images: Tensor) -> Tensor:
        return self.last(self.basis(self.stages(images)).flatten(1))


def linear(inputs: int, outputs: int, bias: bool = False) -> nn.Module:
    """A 1x1 convolution without an activation after it."""
    return scaled(nn.Conv2d(inputs, outputs, 1, bias=bias), LINEAR)


def _smallest_side(size: int, widths: list[int]) -> int:
    side, rest = divmod(size, 2 ** (len(widths) - 1))
    if rest or side < 2:
        raise InputError(f"model widths={widths} halve the size {len(widths) - 1} times, but it is {size}: use fewer")
    return side
