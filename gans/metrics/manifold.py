"""Manifolds of samples as unions of balls in feature space, for precision, recall, density and coverage."""

from collections.abc import Iterator

import torch
from torch import Tensor

from gans.data.progress import ProgressBar

ROWS = 2000
FEW = 8
"""Dimensions, such as those of points, for which exact distances cost little."""


def radii(features: Tensor, neighbours: int) -> Tensor:
    """Each sample's distance to its k-th nearest other sample, shape (n,)."""
    # the nearest is the sample itself; topk is many times faster than kthvalue
    return torch.cat(
        [distances.topk(neighbours + 1, dim=1, largest=False).values[:, -1] for distances in blocks(features, features)]
    )


def blocks(features: Tensor, others: Tensor) -> Iterator[Tensor]:
    """The Euclidean distances of all samples to all others, in blocks of rows.

    By a matrix product, which rounds small distances, or with few dimensions exactly.
    """
    is_exact = features.shape[1] <= FEW
    mode = "donot_use_mm_for_euclid_dist" if is_exact else "use_mm_for_euclid_dist_if_necessary"
    with ProgressBar("distances", len(features), "images") as bar:
        for rows in features.split(ROWS):
            yield torch.cdist(rows, others, compute_mode=mode)
            bar.update(len(rows))
