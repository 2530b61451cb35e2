"""Density and coverage (Naeem et al. 2020, equations 3 and 4)."""

import torch

from gans.metrics.base import EvaluationData, Metric
from gans.metrics.manifold import ROWS, blocks, radii

NEIGHBOURS = 5


class DensityCoverage(Metric):
    """``density``: the number of real images' balls that contain a generated image, divided by k; it may exceed 1.
    ``coverage``: the share of real images whose ball contains a generated image, in [0, 1].

    The radius of a ball is the distance to the k-th nearest other real image; k = 5, as in the paper.
    """

    values = ("density", "coverage")
    minimum = NEIGHBOURS + 1

    def compute(self, data: EvaluationData) -> dict[str, float]:
        real, fake = data.real.features, data.fake.features
        balls_around_fake = torch.zeros(len(fake))
        covered = []
        for distances, radius in zip(blocks(real, fake), radii(real, NEIGHBOURS).split(ROWS), strict=True):
            inside = distances <= radius[:, None]
            balls_around_fake += inside.sum(0)
            covered.append(inside.any(1))
        return {
            "density": (balls_around_fake / NEIGHBOURS).mean().item(),
            "coverage": torch.cat(covered).float().mean().item(),
        }
