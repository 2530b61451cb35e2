"""Fully connected networks for points in the plane."""

from itertools import pairwise

from pydantic import PositiveFloat, PositiveInt
from torch import Tensor, nn

from gans.generator import Generator
from gans.models.layers import normal


class MLPGenerator(Generator):
    """Latents (n, latent_size) -> points (n, dimensions); 486,402 parameters by default.

    Hidden layers are linear, BatchNorm and ReLU; the last is linear: Lin et al. 2018 (PacGAN), section 4.1.

    Args:
        depth: number of hidden layers.
        initial_deviation: standard deviation of the initial weights; None for PyTorch's own initialization.
    """

    makes_points = True
    pixel_range = (0.0, 1.0)  # coordinates are not scaled

    def __init__(
        self,
        latent_size: PositiveInt = 2,
        width: PositiveInt = 400,
        depth: PositiveInt = 4,
        batch_norm: bool = True,
        dimensions: PositiveInt = 2,
        initial_deviation: PositiveFloat | None = None,
    ) -> None:
        super().__init__()
        self.latent_size = latent_size
        widths = [latent_size] + [width] * depth
        hidden = [
            layer
            for inputs, outputs in pairwise(widths)
            for layer in (nn.Linear(inputs, outputs), *([nn.BatchNorm1d(outputs)] if batch_norm else []), nn.ReLU())
        ]
        self.layers = nn.Sequential(*hidden, nn.Linear(width, dimensions))
        if initial_deviation is not None:
            normal(self, initial_deviation)

    def forward(self, latents: Tensor) -> Tensor:
        return self.layers(latents)


class Maxout(nn.Module):
    """Each output is the largest of ``pieces`` linear functions (Goodfellow et al. 2013, section 3)."""

    def __init__(self, inputs: int, outputs: int, pieces: int) -> None:
        super().__init__()
        self.outputs, self.pieces = outputs, pieces
        self.linear = nn.Linear(inputs, outputs * pieces)

    def forward(self, values: Tensor) -> Tensor:
        return self.linear(values).unflatten(1, (self.pieces, self.outputs)).amax(1)


class MaxoutDiscriminator(nn.Module):
    """Points (n, dimensions) -> scores (n, 1); 405,201 parameters by default.

    Hidden layers of maxout units, and a linear layer: Lin et al. 2018 (PacGAN), section 4.1.
    """

    def __init__(
        self,
        width: PositiveInt = 200,
        depth: PositiveInt = 3,
        pieces: PositiveInt = 5,
        dimensions: PositiveInt = 2,
        initial_deviation: PositiveFloat | None = None,
    ) -> None:
        super().__init__()
        widths = [dimensions] + [width] * depth
        hidden = [Maxout(inputs, outputs, pieces) for inputs, outputs in pairwise(widths)]
        self.layers = nn.Sequential(*hidden, nn.Linear(width, 1))
        if initial_deviation is not None:
            normal(self, initial_deviation)

    def forward(self, points: Tensor) -> Tensor:
        return self.layers(points)
