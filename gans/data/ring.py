"""Gaussians on a circle."""

from math import tau
from typing import Any

import torch
from pydantic import PositiveFloat, PositiveInt

from gans.data.points import Mixture, PointData


class Ring(PointData):
    """Equal Gaussians evenly spaced on a circle: the ring of Lin et al. 2018 (PacGAN), section 4.1."""

    source = "ring"

    def __init__(
        self, modes: PositiveInt = 8, radius: PositiveFloat = 1.0, deviation: PositiveFloat = 0.01, **options: Any
    ) -> None:
        super().__init__(**options)
        angles = tau * torch.arange(modes) / modes
        centres = radius * torch.stack((angles.cos(), angles.sin()), 1)
        self.feature_extractor = Mixture(f"{self.source}1", centres, deviation)
        self.extent = 1.5 * radius
