"""The distribution of generated classes, compared with the data's."""

import torch
from scipy.stats import entropy

from gans.metrics.base import EvaluationData, Metric

MAX_CLASSES = 25


class ClassHistogram(Metric):
    """``class_kl``: KL(generated classes || held-out classes) of predicted classes, in nats as in PacGAN's tables.
    ``class_share_<c>``: the share of generated images of class c, if the run uses at most 25 classes.

    Laplace smoothing, one more count per class of the held-out images, keeps the KL divergence finite.
    """

    values = ("class_kl",)

    def applies(self, data: EvaluationData) -> bool:
        return super().applies(data) and data.classes_are_known

    def compute(self, data: EvaluationData) -> dict[str, float]:
        classes = data.real.logits.shape[1]
        fake, real = (torch.bincount(sample.predicted, minlength=classes).double() for sample in (data.fake, data.real))
        share = fake / fake.sum()
        listed = data.classes if len(data.classes) <= MAX_CLASSES else []
        shares = {f"class_share_{label}": share[label].item() for label in listed}
        return {"class_kl": float(entropy(fake.numpy(), real.numpy() + 1)), **shares}
