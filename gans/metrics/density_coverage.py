"""Density and coverage (Naeem et al. 2020, equations 3 and 4)."""

import torch
from torch import Tensor

from gans.metrics.base import EvaluationData, Metric

NEIGHBOURS = 5
ROWS = 2000


class DensityCoverage(Metric):
    """``density``, in how many real images' balls a generated one lies, relative to k, and ``coverage``, the share of
    real images whose ball holds a generated one.

    A ball reaches the fifth-nearest other real image, the paper's choice. Density can exceed 1; coverage can't.
    """

    minimum = NEIGHBOURS + 1

    def compute(self, data: EvaluationData) -> dict[str, float]:
        real, fake = data.real.features, data.fake.features
        inside_of_a_ball = torch.zeros(len(fake))
        covered = []
        for rows in real.split(ROWS):
            radii = torch.cdist(rows, real).kthvalue(NEIGHBOURS + 1, dim=1).values  # the first is the image itself
            inside: Tensor = torch.cdist(rows, fake) <= radii[:, None]
            inside_of_a_ball += inside.sum(0)
            covered.append(inside.any(1))
        return {
            "density": (inside_of_a_ball / NEIGHBOURS).mean().item(),
            "coverage": torch.cat(covered).float().mean().item(),
        }
