"""The Dirac-GAN, with one weight per player and known dynamics (Mescheder et al. 2018, definition 2.1)."""

import torch
from torch import Tensor, nn

from gans.generator import Generator


class DiracGenerator(Generator):
    """Latents (n, 1) -> points (n, 1), all equal to theta."""

    makes_points = True
    pixel_range = (0.0, 1.0)  # coordinates are not scaled
    latent_size = 1

    def __init__(self, theta: float = 1.0) -> None:
        super().__init__()
        self.theta = nn.Parameter(torch.tensor([theta]))

    def forward(self, latents: Tensor) -> Tensor:
        return self.theta + 0 * latents


class DiracDiscriminator(nn.Module):
    """D(x) = psi x: points (n, 1) -> scores (n, 1)."""

    def __init__(self, psi: float = 0.0) -> None:
        super().__init__()
        self.psi = nn.Parameter(torch.tensor([psi]))

    def forward(self, points: Tensor) -> Tensor:
        return self.psi * points
