"""What a generator makes of a mixture of Gaussians with known modes (Lin et al. 2018, section 4.1)."""

import torch
from scipy.stats import entropy
from torch import Tensor

from gans.metrics.base import EvaluationData, Metric, SampleFeatures

DEVIATIONS = 3


class Mixture(Metric):
    """``modes``, those with at least one high-quality sample; ``high_quality``, the share of samples within three
    standard deviations of the nearest mode; ``mode_kl``, KL(samples' nearest modes || uniform) in nats.

    Of the true mixture, 1 - exp(-9/2) = 98.9 % of the samples are of high quality.
    """

    minimum = 1

    def applies(self, data: EvaluationData) -> bool:
        return data.real.images.ndim == 2 and len(data.classes) > 1

    def compute(self, data: EvaluationData) -> dict[str, float]:
        fake = data.fake
        counts = torch.bincount(fake.named, minlength=fake.logits.shape[1]).numpy()
        return {
            "modes": float(self._good_counts(fake).count_nonzero()),
            "high_quality": self._good(fake).double().mean().item(),
            "mode_kl": float(entropy(counts, [1] * len(counts))),
        }

    def artifacts(self, data: EvaluationData) -> dict[str, Tensor]:
        return {"counts": self._good_counts(data.fake)}

    @staticmethod
    def _good(sample: SampleFeatures) -> Tensor:
        """Which samples are of high quality: a logit is minus half the squared distance, in deviations."""
        return sample.logits.amax(1) >= -(DEVIATIONS**2) / 2

    def _good_counts(self, sample: SampleFeatures) -> Tensor:
        """How many high-quality samples each mode has."""
        return torch.bincount(sample.named[self._good(sample)], minlength=sample.logits.shape[1])
