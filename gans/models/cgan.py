"""A conditional GAN that appends the class to what both networks take (Mirza and Osindero 2014): DCGAN's layers."""

from typing import Annotated

import torch
import torch.nn.functional as F
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from gans.gan import GAN
from gans.generator import Classes, ConditionalGenerator
from gans.models.dcgan import DCGANDiscriminator, DCGANGenerator
from gans.models.layers import Channels, Size
from gans.update import returned


class ConcatenatingGenerator(ConditionalGenerator):
    """Latents (n, latent_size) and class indices (n,) -> images (n, channels, size, size) in (-1, 1).

    The layers of ``DCGANGenerator``; their input is the latents and the class as a one-hot vector (section 3.2).
    """

    pixel_range = (-1.0, 1.0)

    def __init__(
        self,
        classes: Classes,
        latent_size: PositiveInt = 100,
        width: PositiveInt = 64,
        size: Size = 28,
        channels: Channels = 1,
    ) -> None:
        super().__init__()
        self.latent_size = latent_size
        self.class_count = len(classes)
        self.layers = DCGANGenerator(latent_size + self.class_count, width, size, channels).layers
        self.one_hot: Tensor
        self.register_buffer("one_hot", torch.eye(self.class_count), persistent=False)

    def embed(self, classes: Tensor) -> tuple[Tensor]:
        """The class as a one-hot vector."""
        return (F.embedding(classes, self.one_hot),)  # F.one_hot would wait for the device

    def generate(self, latents: Tensor, *embedded: Tensor) -> Tensor:
        return self.layers(torch.cat((latents, *embedded), 1))


class ConcatenatingDiscriminator(nn.Module):
    """Images (n, channels, size, size) in [-1, 1] and class indices (n,) -> scores (n, 1).

    The layers of ``DCGANDiscriminator``; the images have one more channel, a learned image of the class.
    """

    def __init__(
        self,
        classes: Classes,
        dropout: Annotated[float, Field(ge=0, lt=1)] = 0.3,
        width: PositiveInt = 64,
        size: Size = 28,
        channels: Channels = 1,
    ) -> None:
        super().__init__()
        self.class_images = nn.Embedding(len(classes), size**2)
        self.layers = DCGANDiscriminator(dropout, width, size, channels + 1).layers

    def forward(self, images: Tensor, classes: Tensor) -> Tensor:
        of_class = self.class_images(classes).unflatten(1, (1, *images.shape[2:]))
        return self.layers(torch.cat((images, of_class), 1))


class ConditionalGAN(GAN):
    """A GAN with a discriminator that takes each sample's class."""

    discriminator_takes_classes = True

    def discriminate(self, images: Tensor, labels: Tensor) -> Tensor:
        scores = self.discriminator(images, labels)
        return returned(scores, Tensor, self.discriminator, "forward", "scores, shape (n, 1)")
