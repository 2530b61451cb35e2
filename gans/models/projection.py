"""A conditional GAN with a projection discriminator (Miyato and Koyama 2018), small."""

from itertools import pairwise
from typing import Annotated

import torch
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from gans.generator import Classes, ConditionalGenerator
from gans.models.cgan import ConditionalGAN
from gans.models.layers import Channels, Size, Unflatten, glorot_uniform, halved_widths, halvings

Width = Annotated[int, Field(ge=4, multiple_of=4)]


class ConditionalBatchNorm(nn.Module):
    """BatchNorm with a learned scale and shift for each class (Dumoulin et al. 2017, equation 4).

    Values (n, channels, height, width) and ``scale_and_shift`` of class indices (n,) -> values of the same shape.
    """

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, affine=False)
        self.scale_and_shift = nn.Embedding(classes, 2 * channels)
        with torch.no_grad():
            self.scale_and_shift.weight[:, :channels] = 1
            self.scale_and_shift.weight[:, channels:] = 0

    def forward(self, values: Tensor, scale_and_shift: Tensor) -> Tensor:
        scale, shift = scale_and_shift[:, :, None, None].chunk(2, 1)
        return torch.addcmul(shift, self.norm(values), scale)


class ProjectionGenerator(ConditionalGenerator):
    """Latents (n, latent_size) and class indices (n,) -> images (n, channels, size, size) in (-1, 1).

    ``width`` channels at 7x7 or 8x8, half of them at twice the side, and so on, by 4x4 transposed convolutions with
    stride 2. A 3x3 convolution with tanh makes the image. Conditional BatchNorm and ReLU precede each convolution.

    Raises:
        InputError: for a width that can't be halved so often.
    """

    pixel_range = (-1.0, 1.0)

    def __init__(
        self,
        classes: Classes,
        latent_size: PositiveInt = 64,
        width: Width = 128,
        size: Size = 28,
        channels: Channels = 1,
    ) -> None:
        super().__init__()
        self.latent_size = latent_size
        self.class_count = len(classes)
        side, count = halvings(size)
        widths = halved_widths(width, count + 1)
        self.dense = nn.Sequential(nn.Linear(latent_size, width * side**2), Unflatten(width, side, side))
        self.upward = nn.ModuleList(nn.ConvTranspose2d(*pair, 4, 2, padding=1) for pair in pairwise(widths))
        self.last = nn.Sequential(nn.Conv2d(widths[-1], channels, 3, padding=1), nn.Tanh())
        glorot_uniform(self)
        self.norms = nn.ModuleList(ConditionalBatchNorm(each, self.class_count) for each in widths)

    def embed(self, classes: Tensor) -> tuple[Tensor, ...]:
        """The scale and shift of each conditional BatchNorm."""
        return tuple(norm.get_submodule("scale_and_shift")(classes) for norm in self.norms)

    def generate(self, latents: Tensor, *embedded: Tensor) -> Tensor:
        values = self.dense(latents)
        for norm, layer, scale_and_shift in zip(self.norms, (*self.upward, self.last), embedded, strict=True):
            values = layer(norm(values, scale_and_shift).relu())
        return values


class ProjectionDiscriminator(nn.Module):
    """Images (n, channels, size, size) in [-1, 1] and class indices (n,) -> scores (n, 1).

    score = psi(features) + <embedding of the class, features> (equation 4). The features are the sums over all places
    of ``width`` channels, after convolutions with LeakyReLU 0.1, all but the last with stride 2.
    """

    def __init__(self, classes: Classes, width: Width = 128, size: Size = 28, channels: Channels = 1) -> None:
        super().__init__()
        widths = halved_widths(width, halvings(size)[1] + 1)
        self.body = nn.Sequential()
        for pair in pairwise([channels, *widths[:0:-1]]):
            self.body.extend([nn.Conv2d(*pair, 4, 2, padding=1), nn.LeakyReLU(0.1)])
        self.body.extend([nn.Conv2d(widths[1], width, 3, padding=1), nn.LeakyReLU(0.1)])
        self.embedding = nn.Embedding(len(classes), width)
        self.psi = nn.Linear(width, 1)
        glorot_uniform(self)

    def forward(self, images: Tensor, classes: Tensor) -> Tensor:
        features = self.body(images).sum((2, 3))
        return self.psi(features) + (self.embedding(classes) * features).sum(1, keepdim=True)


class ProjectionGAN(ConditionalGAN):
    """A conditional GAN with a projection discriminator."""
