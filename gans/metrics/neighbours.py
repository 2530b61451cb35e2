"""Memorisation: are generated images nearer to training images than held-out images are? (Meehan et al. 2020)"""

from typing import NamedTuple
from weakref import WeakKeyDictionary

import torch
from scipy.stats import mannwhitneyu
from torch import Tensor

from gans.data.pixels import to_display
from gans.data.progress import ProgressBar
from gans.metrics.base import EvaluationData, ImageMetric

ROWS, OTHERS = 4000, 16_000
"""The size of a block of the distance matrix: a quarter of a GiB."""
PAIRS = 20
"""The number of pairs to draw."""


class NeighbourDistances(NamedTuple):
    """Euclidean distances in feature space to the nearest training image, shape (n,) each."""

    generated: Tensor
    indices: Tensor
    """The index of the training image that is nearest to each generated image."""
    held_out: Tensor


class Neighbours(ImageMetric):
    """``copying``: the probability that a generated image is nearer to its nearest training image than a held-out image
    is to its own. ``neighbour_distance``, ``held_out_neighbour_distance``: the medians of both distances.

    ``copying`` is the Mann-Whitney statistic, on which the paper's C_T is based (section 3), divided by the number of
    pairs: about 1/2 without memorisation, 1 for a generator that repeats training images.
    """

    values = ("copying", "neighbour_distance", "held_out_neighbour_distance")

    def compute(self, data: EvaluationData) -> dict[str, float]:
        fake, _, real = neighbour_distances(data)
        statistic = mannwhitneyu(real.numpy(), fake.numpy()).statistic  # number of pairs with a farther held-out image
        return {
            "copying": float(statistic) / (len(real) * len(fake)),
            "neighbour_distance": fake.median().item(),
            "held_out_neighbour_distance": real.median().item(),
        }

    def artifacts(self, data: EvaluationData) -> dict[str, Tensor]:
        """The nearest pairs, equally many of each predicted class if there are at most 20 classes; all distances."""
        distances, indices, held_out = neighbour_distances(data)
        order = distances.argsort()
        predicted, classes = data.fake.predicted[order], data.fake.predicted.unique()
        per_class = PAIRS // len(classes)
        nearest_of_each = [order[predicted == label][:per_class] for label in classes]
        shown = torch.cat(nearest_of_each) if per_class else order[:PAIRS]

        def seen_by_run(images: Tensor) -> Tensor:
            return 255 - images if data.inverted else images

        return {
            "images": to_display(seen_by_run(data.fake.images[shown])),
            "neighbours": to_display(seen_by_run(data.training().images[indices[shown]])),
            "distances": distances,
            "held_out_distances": held_out,
        }


_cache: WeakKeyDictionary[EvaluationData, NeighbourDistances] = WeakKeyDictionary()
"""``compute`` and ``artifacts`` share the distances, which are slow to compute."""


def neighbour_distances(data: EvaluationData) -> NeighbourDistances:
    if data not in _cache:
        features = data.training().features
        held_out, _ = nearest(data.real.features, features)
        _cache[data] = NeighbourDistances(*nearest(data.fake.features, features), held_out)
    return _cache[data]


def nearest(rows: Tensor, others: Tensor) -> tuple[Tensor, Tensor]:
    """For each row, the distance to the nearest of the others and its index, both of shape (n,)."""
    blocks = others.split(OTHERS)
    distances, indices = [], []
    with ProgressBar("nearest images", len(rows), "images") as bar:
        for part in rows.split(ROWS):
            found = [torch.cdist(part, block).min(1) for block in blocks]
            best = torch.stack([each.values for each in found]).min(0)
            within = torch.stack([each.indices for each in found]).gather(0, best.indices[None])[0]
            distances.append(best.values)
            indices.append(best.indices * OTHERS + within)
            bar.update(len(part))
    return torch.cat(distances), torch.cat(indices)
