"""The data of the GAN that is solved exactly."""

from typing import Any

import torch
from pydantic import PositiveInt

from gans.data.points import Mixture, PointData


class Dirac(PointData):
    """All points are 0, in one dimension (Mescheder et al. 2018, definition 2.1)."""

    source = "dirac"
    extent = 2.0

    def __init__(self, train_size: PositiveInt = 100, **options: Any) -> None:
        super().__init__(train_size=train_size, val_size=0, test_size=1, **options)
        self.feature_extractor = Mixture(f"{self.source}1", torch.zeros(1, 1), 0.0)
