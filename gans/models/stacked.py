"""Networks for stacked MNIST, full-size and small (Lin et al. 2018, PacGAN, section 4.2)."""

from itertools import pairwise
from typing import Annotated, Literal

import torch
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from gans.data.batches import Batch
from gans.generator import Generator, Inputs
from gans.models.layers import Flatten, Unflatten, normal
from gans.update import NO_CLASS

DEVIATION = 0.02
"""Standard deviation of the initial weights: Radford et al. 2016, section 4."""
SIZES = (2, 4, 7, 14, 28)
"""Sides of the feature maps, in pixels; networks with fewer layers use the last ones."""
CHANNELS = 3

Widths = Annotated[list[PositiveInt], Field(min_length=2, max_length=4)]


class StackedGenerator(Generator):
    """Latents (n, latent_size) -> images (n, 3, 28, 28) in (-1, 1).

    A linear layer, then transposed convolutions with stride 2; BatchNorm and ReLU precede each; tanh makes the image.

    Args:
        widths: channels at each size before 28x28, smallest size first. Four widths start at 2x2, two at 7x7.
        kernel: side of the kernels, in pixels.
        latents: "uniform", U(-1, 1), or "normal", N(0, 1).
        last_width: channels at 28x28, from which one more convolution makes the image; None for no such layer.
    """

    pixel_range = (-1.0, 1.0)

    def __init__(
        self,
        widths: Widths,
        latent_size: PositiveInt = 100,
        kernel: Literal[3, 5] = 5,
        latents: Literal["uniform", "normal"] = "uniform",
        last_width: PositiveInt | None = None,
    ) -> None:
        super().__init__()
        self.latent_size = latent_size
        self.has_normal_latents, self.has_uniform_latents = latents == "normal", latents == "uniform"
        first, *sizes = SIZES[-len(widths) - 1 :]
        padding = kernel // 2
        layers: list[nn.Module] = [nn.Linear(latent_size, widths[0] * first**2), Unflatten(widths[0], first, first)]
        channels = pairwise([*widths, last_width or CHANNELS])
        for (inputs, outputs), (small, large) in zip(channels, pairwise((first, *sizes)), strict=True):
            extra = large - (2 * (small - 1) - 2 * padding + kernel)
            upsample = nn.ConvTranspose2d(inputs, outputs, kernel, stride=2, padding=padding, output_padding=extra)
            layers += [nn.BatchNorm2d(inputs), nn.ReLU(), upsample]
        if last_width is not None:
            to_image = nn.Conv2d(last_width, CHANNELS, kernel, padding=padding)
            layers += [nn.BatchNorm2d(last_width), nn.ReLU(), to_image]
        self.layers = nn.Sequential(*layers, nn.Tanh())
        normal(self, DEVIATION)

    def forward(self, latents: Tensor) -> Tensor:
        return self.layers(latents)

    def inputs(self, count: int, random: torch.Generator, batch: Batch | None, classes: Tensor | None = None) -> Inputs:
        if self.has_normal_latents:
            return super().inputs(count, random, batch, classes)
        latents = 2 * torch.rand(count, self.latent_size, generator=random, device=random.device) - 1
        return Inputs((latents,), torch.full((count,), NO_CLASS, device=random.device))


class StackedDiscriminator(nn.Module):
    """Images (n, 3, 28, 28) in [-1, 1] -> scores (n, 1).

    Convolutions with stride 2, BatchNorm and LeakyReLU, then a linear layer.

    Args:
        widths: channels after each convolution, largest size first.
        first_norm: whether BatchNorm follows the first convolution too.
    """

    def __init__(
        self,
        widths: Widths,
        kernel: Literal[3, 5] = 5,
        negative_slope: Annotated[float, Field(ge=0, lt=1)] = 0.2,
        first_norm: bool = False,
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise([CHANNELS, *widths]):
            norm = [nn.BatchNorm2d(outputs)] if layers or first_norm else []
            downsample = nn.Conv2d(inputs, outputs, kernel, stride=2, padding=kernel // 2)
            layers += [downsample, *norm, nn.LeakyReLU(negative_slope)]
        side = SIZES[-len(widths) - 1]
        self.layers = nn.Sequential(*layers, Flatten(), nn.Linear(widths[-1] * side**2, 1))
        normal(self, DEVIATION)

    def forward(self, images: Tensor) -> Tensor:
        return self.layers(images)
