"""The data of the Dirac-GAN, whose training dynamics are known exactly."""

from typing import Any

import torch
from pydantic import NonNegativeInt, PositiveInt

from gans.data.points import Mixture, PointData


class Dirac(PointData):
    """All points are 0, in one dimension (Mescheder et al. 2018, definition 2.1)."""

    source = "dirac"
    extent = 2.0

    def __init__(
        self, train_size: PositiveInt = 100, val_size: NonNegativeInt = 0, test_size: PositiveInt = 1, **options: Any
    ) -> None:
        super().__init__(train_size=train_size, val_size=val_size, test_size=test_size, **options)
        self.feature_extractor = Mixture(f"{self.source}1", torch.zeros(1, 1), 0.0)
