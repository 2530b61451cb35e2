"""A small DCGAN (after Radford et al. 2016)."""

from itertools import pairwise
from typing import Annotated

from pydantic import Field, PositiveInt
from torch import Tensor, nn

from gans.generator import Generator
from gans.models.layers import Channels, Flatten, Size, Unflatten, batch_norm, glorot_uniform, halvings


class DCGANGenerator(Generator):
    """Latents (n, latent_size) -> images (n, channels, size, size) in (-1, 1).

    It has 840,705 parameters for 28x28x1, moving averages included. A linear layer makes the smallest feature maps, 7x7
    or 8x8; each 5x5 transposed convolution with stride 2 doubles their side, and halves the channels down to ``width``.

    Keras pads the other side of the images by the extra pixel, which is the same network with flipped kernels.
    """

    pixel_range = (-1.0, 1.0)

    def __init__(
        self, latent_size: PositiveInt = 100, width: PositiveInt = 64, size: Size = 28, channels: Channels = 1
    ) -> None:
        super().__init__()
        self.latent_size = latent_size
        side, count = halvings(size)
        widths = [width * 2**level for level in reversed(range(count))]
        self.layers = nn.Sequential(
            nn.Linear(latent_size, widths[0] * side**2), Unflatten(widths[0], side, side), batch_norm(widths[0])
        )
        for wide, narrow in pairwise(widths):
            self.layers.extend([upward(wide, narrow), nn.SELU(), batch_norm(narrow)])
        self.layers.extend([upward(widths[-1], channels), nn.Tanh()])
        glorot_uniform(self)

    def forward(self, latents: Tensor) -> Tensor:
        return self.layers(latents)


class DCGANDiscriminator(nn.Module):
    """Images (n, channels, size, size) in [-1, 1] -> scores (n, 1), without output activation.

    It has 212,865 parameters for 28x28x1. Each 5x5 convolution with stride 2 halves the side; the first makes ``width``
    channels, each other one twice as many as it gets.
    """

    def __init__(
        self,
        dropout: Annotated[float, Field(ge=0, lt=1)] = 0.3,
        width: PositiveInt = 64,
        size: Size = 28,
        channels: Channels = 1,
    ) -> None:
        super().__init__()
        side, count = halvings(size)
        widths = [channels, *(width * 2**level for level in range(count))]
        self.layers = nn.Sequential()
        for narrow, wide in pairwise(widths):
            convolution = nn.Conv2d(narrow, wide, 5, stride=2, padding=2)
            self.layers.extend([convolution, nn.LeakyReLU(0.2), nn.Dropout(dropout)])
        self.layers.extend([Flatten(), nn.Linear(widths[-1] * side**2, 1)])
        glorot_uniform(self)

    def forward(self, images: Tensor) -> Tensor:
        return self.layers(images)


def upward(channels_in: int, channels_out: int) -> nn.ConvTranspose2d:
    """A 5x5 transposed convolution that doubles the side."""
    return nn.ConvTranspose2d(channels_in, channels_out, 5, stride=2, padding=2, output_padding=1)
