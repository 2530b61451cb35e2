"""How many classes the generator reaches (Che et al. 2017; Lin et al. 2018, section 4.1)."""

import torch
from torch import Tensor

from gans.metrics.base import EvaluationData, ImageMetric


class ModeCount(ImageMetric):
    """``modes``, of the classes that the run is about: those that at least one generated image shows; ``mode_kl``,
    KL(generated images' classes || equal shares) in nats, as in the tables of stacked MNIST.
    """

    def compute(self, data: EvaluationData) -> dict[str, float]:
        counts = self._counts(data)
        shares = counts.double() / counts.sum().clamp(min=1)
        distance = torch.special.xlogy(shares, shares * len(counts)).sum()
        return {"modes": float(counts.count_nonzero()), "mode_kl": max(0.0, distance.item())}

    def artifacts(self, data: EvaluationData) -> dict[str, Tensor]:
        return {"counts": self._counts(data)}

    @staticmethod
    def _counts(data: EvaluationData) -> Tensor:
        """How many generated images are of each class."""
        return torch.bincount(data.fake.named, minlength=data.fake.logits.shape[1])[data.classes]
