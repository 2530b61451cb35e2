"""Density and coverage (Naeem et al. 2020, equations 3 and 4)."""

import torch
from torch import Tensor

from gans.metrics.base import EvaluationData, Metric

NEIGHBOURS = 5
ROWS = 2000


class DensityCoverage(Metric):
    """``density``: the number of real images' balls that contain a generated image, divided by k; it may exceed 1.
    ``coverage``: the share of real images whose ball contains a generated image, in [0, 1].

    The radius of a ball is the distance to the k-th nearest other real image; k = 5, as in the paper.
    """

    minimum = NEIGHBOURS + 1

    def compute(self, data: EvaluationData) -> dict[str, float]:
        real, fake = data.real.features, data.fake.features
        balls_around_fake = torch.zeros(len(fake))
        covered = []
        for rows in real.split(ROWS):
            radii = torch.cdist(rows, real).kthvalue(NEIGHBOURS + 1, dim=1).values  # the nearest is the image itself
            inside: Tensor = torch.cdist(rows, fake) <= radii[:, None]
            balls_around_fake += inside.sum(0)
            covered.append(inside.any(1))
        return {
            "density": (balls_around_fake / NEIGHBOURS).mean().item(),
            "coverage": torch.cat(covered).float().mean().item(),
        }
