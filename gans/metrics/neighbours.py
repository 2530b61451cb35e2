"""Memorisation: are generated images nearer to training images than held-out ones are? (Meehan et al. 2020)"""

import torch
from scipy.stats import mannwhitneyu
from torch import Tensor

from gans.metrics.base import Evidence, ImageMetric

ROWS = 2000
SHOWN = 20


class Neighbours(ImageMetric):
    """``copying``, the probability that a generated image is nearer to its nearest training image than a held-out one
    is to its own, and the medians of both distances, ``neighbour_distance`` and ``held_out_neighbour_distance``.

    Distances are Euclidean, of features. ``copying`` is the Mann-Whitney statistic over the number of pairs, the one
    behind that paper's C_T (section 3): about 1/2 without memorisation, 1 for a generator that repeats training images.
    """

    def compute(self, evidence: Evidence) -> dict[str, float]:
        fake, _ = nearest(evidence.fake.features, evidence.training().features)
        real, _ = nearest(evidence.real.features, evidence.training().features)
        statistic = mannwhitneyu(real.numpy(), fake.numpy()).statistic  # pairs in which the held-out one is farther
        return {
            "copying": float(statistic) / (len(real) * len(fake)),
            "neighbour_distance": fake.median().item(),
            "held_out_neighbour_distance": real.median().item(),
        }

    def exhibit(self, evidence: Evidence) -> dict[str, Tensor]:
        """The nearest pairs of each class, as the classifier sees the generated image; and all distances."""
        training = evidence.training()
        distances, indices = nearest(evidence.fake.features, training.features)
        held_out, _ = nearest(evidence.real.features, training.features)
        order = distances.argsort()
        named, classes = evidence.fake.named[order], evidence.fake.named.unique()
        shown = torch.cat([order[named == one][: SHOWN // len(classes)] for one in classes])
        return {
            "images": evidence.fake.images[shown, 0],
            "neighbours": training.images[indices[shown], 0],
            "distances": distances,
            "held_out_distances": held_out,
        }


def nearest(rows: Tensor, others: Tensor) -> tuple[Tensor, Tensor]:
    """The distance of each row to the nearest of the others, and which that is; both of shape (n,)."""
    parts = [torch.cdist(part, others).min(1) for part in rows.split(ROWS)]
    return torch.cat([part.values for part in parts]), torch.cat([part.indices for part in parts])
