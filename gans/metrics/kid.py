"""Kernel distance: the squared maximum mean discrepancy of the features (Bińkowski et al. 2018, section 4)."""

from typing import Annotated

import numpy
import torch
from pydantic import Field
from torch import Tensor
from torchmetrics.image.kid import poly_mmd

from gans.metrics.base import EvaluationData, Metric
from gans.randomness import derive_seed


class KID(Metric):
    """``kid``: unbiased, about 0 for equal distributions. ``kid_error``: its standard error.

    Both are computed from disjoint subsets, which are independent. The order of the images does not matter.

    Args:
        subset: number of images of each kind per subset; at most a tenth of all.
    """

    values = ("kid", "kid_error")
    minimum = 10 * 2

    def __init__(self, subset: Annotated[int, Field(ge=2)] = 1000, during_training: bool = False) -> None:
        super().__init__(during_training)
        self.subset = subset

    def compute(self, data: EvaluationData) -> dict[str, float]:
        count = min(len(data.real.features), len(data.fake.features))
        subsets = max(10, count // self.subset)
        reals = _shuffled(data.real.features, "kid/real").tensor_split(subsets)
        fakes = _shuffled(data.fake.features, "kid/fake").tensor_split(subsets)
        values = torch.stack([poly_mmd(real, fake) for real, fake in zip(reals, fakes, strict=True)])
        return {"kid": values.mean().item(), "kid_error": (values.std() / subsets**0.5).item()}


def _shuffled(features: Tensor, stream: str) -> Tensor:
    """The rows, float64, in a random order that does not depend on their original order.

    Real and generated images need different streams: the same one pairs images of equal rank, which are alike.
    """
    sorted_rows = features[torch.from_numpy(numpy.lexsort(features.numpy().T))].double()
    random = torch.Generator().manual_seed(derive_seed(0, stream))
    return sorted_rows[torch.randperm(len(features), generator=random)]
