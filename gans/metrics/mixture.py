"""Modes and quality of samples of a mixture of Gaussians (Lin et al. 2018, section 4.1)."""

import torch
from scipy.stats import entropy
from torch import Tensor

from gans.metrics.base import EvaluationData, Metric, SampleFeatures

DEVIATIONS = 3


class Mixture(Metric):
    """``high_quality``: the share of samples within three standard deviations of the nearest mode.
    ``modes``: the number of modes with at least one such sample.
    ``mode_kl``: KL(nearest modes of the samples || uniform) in nats.

    In two dimensions, 1 - exp(-9/2) = 98.9 % of the true mixture's samples are of high quality.
    """

    values = ("modes", "high_quality", "mode_kl")
    minimum = 1

    def applies(self, data: EvaluationData) -> bool:
        return data.real.images.ndim == 2 and len(data.classes) > 1

    def compute(self, data: EvaluationData) -> dict[str, float]:
        fake = data.fake
        counts = torch.bincount(fake.predicted, minlength=fake.logits.shape[1]).numpy()
        return {
            "modes": float(self._high_quality_counts(fake).count_nonzero()),
            "high_quality": self._is_high_quality(fake).double().mean().item(),
            "mode_kl": float(entropy(counts, [1] * len(counts))),
        }

    def artifacts(self, data: EvaluationData) -> dict[str, Tensor]:
        return {"counts": self._high_quality_counts(data.fake)}

    @staticmethod
    def _is_high_quality(sample: SampleFeatures) -> Tensor:
        """Bool, shape (n,). A logit is minus half the squared distance, in standard deviations."""
        return sample.logits.amax(1) >= -(DEVIATIONS**2) / 2

    def _high_quality_counts(self, sample: SampleFeatures) -> Tensor:
        """The number of high-quality samples of each mode."""
        return torch.bincount(sample.predicted[self._is_high_quality(sample)], minlength=sample.logits.shape[1])
