"""Gaussians on a square lattice."""

from typing import Any

import torch
from pydantic import PositiveFloat, PositiveInt

from gans.data.points import Mixture, PointData


class Grid(PointData):
    """Equal Gaussians on a square lattice around 0: the grid of Lin et al. 2018 (PacGAN), section 4.1."""

    source = "grid"

    def __init__(
        self, side: PositiveInt = 5, spacing: PositiveFloat = 2.0, deviation: PositiveFloat = 0.05, **options: Any
    ) -> None:
        super().__init__(**options)
        line = spacing * (torch.arange(side) - (side - 1) / 2)
        self.feature_extractor = Mixture(f"{self.source}1", torch.cartesian_prod(line, line), deviation)
        self.extent = spacing * (side + 1) / 2
