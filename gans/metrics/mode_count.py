"""The number of classes that the generator reaches (Che et al. 2017; Lin et al. 2018, section 4.1)."""

import math

import torch
from scipy.stats import entropy
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
        even = torch.ones(len(counts))
        # where no image shows one of the run's classes: as if all showed the same one, the worst value
        divergence = entropy(counts, even) if counts.any() else math.log(len(counts))
        return {"modes": float(counts.count_nonzero()), "mode_kl": float(divergence)}

    def artifacts(self, data: EvaluationData) -> dict[str, Tensor]:
        return {"counts": self._counts(data)}

    @staticmethod
    def _counts(data: EvaluationData) -> Tensor:
        """The number of generated images of each class."""
        return torch.bincount(data.fake.predicted, minlength=data.fake.logits.shape[1])[data.classes]
