"""Memorisation: are generated images nearer to training images than held-out ones are? (Meehan et al. 2020)"""

from typing import NamedTuple
from weakref import WeakKeyDictionary

import torch
from scipy.stats import mannwhitneyu
from torch import Tensor

from gans.data.pixels import as_shown
from gans.metrics.base import EvaluationData, ImageMetric

ROWS, OTHERS = 4000, 16_000
"""Of which all distances are found at once, a quarter of a GiB."""
SHOWN = 20


class Found(NamedTuple):
    generated: Tensor
    """The distance of each generated image to the nearest training image, shape (n,)."""
    indices: Tensor
    """Which training image that is."""
    held_out: Tensor
    """The distance of each held-out image to the nearest training image."""


class Neighbours(ImageMetric):
    """``copying``, the probability that a generated image is nearer to its nearest training image than a held-out one
    is to its own, and the medians of both distances, ``neighbour_distance`` and ``held_out_neighbour_distance``.

    Distances are Euclidean, of features. ``copying`` is the Mann-Whitney statistic over the number of pairs, the one
    behind that paper's C_T (section 3): about 1/2 without memorisation, 1 for a generator that repeats training images.
    """

    def compute(self, data: EvaluationData) -> dict[str, float]:
        fake, _, real = find(data)
        statistic = mannwhitneyu(real.numpy(), fake.numpy()).statistic  # pairs in which the held-out one is farther
        return {
            "copying": float(statistic) / (len(real) * len(fake)),
            "neighbour_distance": fake.median().item(),
            "held_out_neighbour_distance": real.median().item(),
        }

    def artifacts(self, data: EvaluationData) -> dict[str, Tensor]:
        """The nearest pairs of each class, as the classifier sees the generated image, or where classes are many of
        all; and all distances."""
        distances, indices, held_out = find(data)
        order = distances.argsort()
        named, classes = data.fake.named[order], data.fake.named.unique()
        each = SHOWN // len(classes)
        shown = torch.cat([order[named == one][:each] for one in classes]) if each else order[:SHOWN]
        return {
            "images": as_shown(data.fake.images[shown]),
            "neighbours": as_shown(data.training().images[indices[shown]]),
            "distances": distances,
            "held_out_distances": held_out,
        }


_kept: WeakKeyDictionary[EvaluationData, Found] = WeakKeyDictionary()
"""The figures and the artifacts are of the same distances, which take long to find."""


def find(data: EvaluationData) -> Found:
    if data not in _kept:
        features = data.training().features
        held_out, _ = nearest(data.real.features, features)
        _kept[data] = Found(*nearest(data.fake.features, features), held_out)
    return _kept[data]


def nearest(rows: Tensor, others: Tensor) -> tuple[Tensor, Tensor]:
    """The distance of each row to the nearest of the others, and which that is; both of shape (n,)."""
    blocks = others.split(OTHERS)
    distances, indices = [], []
    for part in rows.split(ROWS):
        found = [torch.cdist(part, block).min(1) for block in blocks]
        best = torch.stack([each.values for each in found]).min(0)
        within = torch.stack([each.indices for each in found]).gather(0, best.indices[None])[0]
        distances.append(best.values)
        indices.append(best.indices * OTHERS + within)
    return torch.cat(distances), torch.cat(indices)
