"""The number of classes that the generator reaches (Che et al. 2017; Lin et al. 2018, section 4.1)."""

import torch
from torch import Tensor

from gans.metrics.base import EvaluationData, ImageMetric


class ModeCount(ImageMetric):
    """``modes``: the number of the run's classes with at least one generated image.
    ``mode_kl``: KL(predicted classes || uniform) in nats, as in the papers' tables of stacked MNIST.
    """

    values = ("modes", "mode_kl")

    def applies(self, data: EvaluationData) -> bool:
        return super().applies(data) and data.classes_are_known

    def compute(self, data: EvaluationData) -> dict[str, float]:
        counts = self._counts(data)
        shares = counts.double() / counts.sum().clamp(min=1)
        distance = torch.special.xlogy(shares, shares * len(counts)).sum()
        return {"modes": float(counts.count_nonzero()), "mode_kl": max(0.0, distance.item())}

    def artifacts(self, data: EvaluationData) -> dict[str, Tensor]:
        return {"counts": self._counts(data)}

    @staticmethod
    def _counts(data: EvaluationData) -> Tensor:
        """The number of generated images of each class."""
        return torch.bincount(data.fake.predicted, minlength=data.fake.logits.shape[1])[data.classes]
