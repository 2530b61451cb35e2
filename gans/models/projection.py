"""A conditional GAN with a projection discriminator (Miyato and Koyama 2018), small and for 28x28 images."""

from typing import Annotated

import torch
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from gans.gan import GAN
from gans.generator import ConditionalGenerator
from gans.models.layers import Unflatten, glorot_uniform

Width = Annotated[int, Field(ge=4, multiple_of=4)]


class ConditionalBatchNorm(nn.Module):
    """BatchNorm with a learned scale and shift for each class (Dumoulin et al. 2017, equation 4).

    Values (n, channels, height, width) and class indices (n,) -> values of the same shape.
    """

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, affine=False)
        self.scale_and_shift = nn.Embedding(classes, 2 * channels)
        with torch.no_grad():
            self.scale_and_shift.weight[:, :channels] = 1
            self.scale_and_shift.weight[:, channels:] = 0

    def forward(self, values: Tensor, classes: Tensor) -> Tensor:
        scale, shift = self.scale_and_shift(classes)[:, :, None, None].chunk(2, 1)
        return torch.addcmul(shift, self.norm(values), scale)


class ProjectionGenerator(ConditionalGenerator):
    """Latents (n, latent_size) and class indices (n,) -> images (n, 1, 28, 28) in (-1, 1).

    ``width`` channels at 7x7, half of them at 14x14 and a quarter at 28x28, by 4x4 transposed convolutions with stride
    2. A 3x3 convolution with tanh makes the image. Conditional BatchNorm and ReLU precede each convolution.
    """

    pixel_range = (-1.0, 1.0)

    def __init__(self, classes: list[int], latent_size: PositiveInt = 64, width: Width = 128) -> None:
        super().__init__()
        self.latent_size = latent_size
        self.class_count = len(classes)
        widths = (width, width // 2, width // 4)
        self.dense = nn.Sequential(nn.Linear(latent_size, width * 7 * 7), Unflatten(width, 7, 7))
        self.upward = nn.ModuleList(nn.ConvTranspose2d(widths[i], widths[i + 1], 4, 2, padding=1) for i in range(2))
        self.last = nn.Sequential(nn.Conv2d(widths[2], 1, 3, padding=1), nn.Tanh())
        glorot_uniform(self)
        self.norms = nn.ModuleList(ConditionalBatchNorm(channels, self.class_count) for channels in widths)

    def forward(self, latents: Tensor, classes: Tensor) -> Tensor:
        values = self.dense(latents)
        for norm, layer in zip(self.norms, (*self.upward, self.last), strict=True):
            values = layer(norm(values, classes).relu())
        return values


class ProjectionDiscriminator(nn.Module):
    """Images (n, 1, 28, 28) in [-1, 1] and class indices (n,) -> scores (n, 1).

    score = psi(features) + <embedding of the class, features> (equation 4). The features are the sums over all places
    of ``width`` channels, after three convolutions with LeakyReLU 0.1.
    """

    def __init__(self, classes: list[int], width: Width = 128) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, width // 4, 4, 2, padding=1),
            nn.LeakyReLU(0.1),
            nn.Conv2d(width // 4, width // 2, 4, 2, padding=1),
            nn.LeakyReLU(0.1),
            nn.Conv2d(width // 2, width, 3, padding=1),
            nn.LeakyReLU(0.1),
        )
        self.embedding = nn.Embedding(len(classes), width)
        self.psi = nn.Linear(width, 1)
        glorot_uniform(self)

    def forward(self, images: Tensor, classes: Tensor) -> Tensor:
        features = self.body(images).sum((2, 3))
        return self.psi(features) + (self.embedding(classes) * features).sum(1, keepdim=True)


class ProjectionGAN(GAN):
    """A GAN with a discriminator that takes each sample's class."""

    discriminator_takes_classes = True

    def discriminate(self, images: Tensor, labels: Tensor) -> Tensor:
        return self.discriminator(images, labels)
