"""A small DCGAN for 28x28 images (after Radford et al. 2016)."""

from typing import Annotated

from pydantic import Field, PositiveInt
from torch import Tensor, nn

from gans.generator import Generator
from gans.models.layers import Flatten, Unflatten, batch_norm, glorot_uniform


class DCGANGenerator(Generator):
    """Latents (n, latent_size) -> images (n, 1, 28, 28) in (-1, 1); 840,705 parameters, moving averages included.

    Keras pads the other side of the images by the extra pixel, which is the same network with flipped kernels.
    """

    pixel_range = (-1.0, 1.0)

    def __init__(self, latent_size: PositiveInt = 100) -> None:
        super().__init__()
        self.latent_size = latent_size
        self.layers = nn.Sequential(
            nn.Linear(latent_size, 128 * 7 * 7),
            Unflatten(128, 7, 7),
            batch_norm(128),
            nn.ConvTranspose2d(128, 64, 5, stride=2, padding=2, output_padding=1),
            nn.SELU(),
            batch_norm(64),
            nn.ConvTranspose2d(64, 1, 5, stride=2, padding=2, output_padding=1),
            nn.Tanh(),
        )
        glorot_uniform(self)

    def forward(self, latents: Tensor) -> Tensor:
        return self.layers(latents)


class DCGANDiscriminator(nn.Module):
    """Images (n, 1, 28, 28) in [-1, 1] -> scores (n, 1), without output activation; 212,865 parameters."""

    def __init__(self, dropout: Annotated[float, Field(ge=0, lt=1)] = 0.3) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, 64, 5, stride=2, padding=2),
            nn.LeakyReLU(0.2),
            nn.Dropout(dropout),
            nn.Conv2d(64, 128, 5, stride=2, padding=2),
            nn.LeakyReLU(0.2),
            nn.Dropout(dropout),
            Flatten(),
            nn.Linear(128 * 7 * 7, 1),
        )
        glorot_uniform(self)

    def forward(self, images: Tensor) -> Tensor:
        return self.layers(images)
