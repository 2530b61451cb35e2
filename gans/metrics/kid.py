"""Kernel distance: the squared maximum mean discrepancy of the features (Bińkowski et al. 2018, section 4)."""

import numpy
import torch
from pydantic import PositiveInt
from torch import Tensor
from torchmetrics.image.kid import poly_mmd

from gans.metrics.base import EvaluationData, Metric
from gans.randomness import derive_seed


class KID(Metric):
    """``kid``, unbiased, about 0 for equal distributions, and ``kid_error``, its standard error.

    Both come from disjoint subsets, so that the error is that of a mean of independent values. Which image is in which
    subset depends on the images alone, not on their order.

    Args:
        subset: images of each kind in a subset; a tenth of them all where that is less.
    """

    minimum = 10 * 2

    def __init__(self, subset: PositiveInt = 1000, during_training: bool = False) -> None:
        super().__init__(during_training)
        self.subset = subset

    def compute(self, data: EvaluationData) -> dict[str, float]:
        count = min(len(data.real.features), len(data.fake.features))
        subsets = max(10, count // self.subset)
        parts = (_shuffled(sample.features).tensor_split(subsets) for sample in (data.real, data.fake))
        values = torch.stack([poly_mmd(real, fake) for real, fake in zip(*parts, strict=True)])
        return {"kid": values.mean().item(), "kid_error": (values.std() / subsets**0.5).item()}


def _shuffled(features: Tensor) -> Tensor:
    """The same rows in an order that looks random and does not depend on the order they came in."""
    sorted_rows = features[torch.from_numpy(numpy.lexsort(features.numpy().T))].double()
    random = torch.Generator().manual_seed(derive_seed(0, "kid"))
    return sorted_rows[torch.randperm(len(features), generator=random)]
