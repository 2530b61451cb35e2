"""A fully connected GAN whose generator is an autoencoder: its input is a digit's negative, its output the digit."""

from itertools import pairwise
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from gans.data.batches import Batch
from gans.errors import InputError
from gans.generator import Generator, Inputs
from gans.models.layers import glorot_uniform

Probability = Annotated[float, Field(ge=0, lt=1)]


class AutoencoderGenerator(Generator):
    """Images (n, 1, 28, 28) in [0, 1] -> images of the same shape in (0, 1); 1,153,712 parameters.

    Ten linear layers, 784-512-256-128-64-32-64-128-256-512-784, with LeakyReLU after each hidden layer, and dropout
    after each but the bottleneck. There is no noise: inputs are the negatives 1 - x of real images x, so the correct
    output is known for each input.
    """

    takes_images = True
    has_normal_latents = False
    pixel_range = (0.0, 1.0)

    def __init__(self, negative_slope: float = 0.2, dropout: Probability = 0.3) -> None:
        super().__init__()
        widths = (784, 512, 256, 128, 64, 32, 64, 128, 256, 512)
        layers: list[nn.Module] = [nn.Flatten()]
        for width_in, width_out in pairwise(widths):
            layers += [nn.Linear(width_in, width_out), nn.LeakyReLU(negative_slope)]
            if width_out > min(widths):
                layers.append(nn.Dropout(dropout))
        layers += [nn.Linear(512, 784), nn.Sigmoid(), nn.Unflatten(1, (1, 28, 28))]
        self.layers = nn.Sequential(*layers)
        glorot_uniform(self)

    def forward(self, images: Tensor) -> Tensor:
        return self.layers(images)

    def inputs(self, count: int, random: torch.Generator, batch: Batch | None, classes: Tensor | None = None) -> Inputs:
        if batch is None or count > len(batch.images):
            raise InputError(f"this generator needs one input image per sample: give at least {count} images")
        return Inputs((1 - batch.images[:count],), batch.labels[:count])


class DenseDiscriminator(nn.Module):
    """Images (n, 1, 28, 28) -> scores (n, 1): linear layers 784-512-256-1 with LeakyReLU; 533,505 parameters."""

    def __init__(self, negative_slope: float = 0.2) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Flatten(),
            nn.Linear(784, 512),
            nn.LeakyReLU(negative_slope),
            nn.Linear(512, 256),
            nn.LeakyReLU(negative_slope),
            nn.Linear(256, 1),
        )
        glorot_uniform(self)

    def forward(self, images: Tensor) -> Tensor:
        return self.layers(images)
