"""Improved precision and recall (Kynkäänniemi et al. 2019, equation 2)."""

import torch

from gans.metrics.base import EvaluationData, Metric
from gans.metrics.manifold import ROWS, blocks, radii

NEIGHBOURS = 3


class PrecisionRecall(Metric):
    """``precision``: the share of generated images inside the real manifold. ``recall``: the reverse.

    A manifold is a union of balls around its images. The radius is the distance to the third-nearest neighbour, as in
    the paper.
    """

    values = ("precision", "recall")
    minimum = NEIGHBOURS + 1

    def compute(self, data: EvaluationData) -> dict[str, float]:
        real, fake = data.real.features, data.fake.features
        real_radii, fake_radii = radii(real, NEIGHBOURS), radii(fake, NEIGHBOURS)
        is_precise = torch.zeros(len(fake), dtype=torch.bool)
        is_recalled = []
        for distances, radius in zip(blocks(real, fake), real_radii.split(ROWS), strict=True):
            is_precise |= (distances <= radius[:, None]).any(0)
            is_recalled.append((distances <= fake_radii).any(1))
        return {
            "precision": is_precise.float().mean().item(),
            "recall": torch.cat(is_recalled).float().mean().item(),
        }
