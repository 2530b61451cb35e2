"""Which classes the images show, and how far that is from the data's."""

import torch
from scipy.stats import entropy

from gans.metrics.base import EvaluationData, Metric

SHOWN = 25


class ClassHistogram(Metric):
    """``class_kl``, KL(generated classes || held-out classes) in nats, both as the classifier names them, and
    ``class_share_<c>``, the share of generated images of each class c that the run is about, where these are 25 or
    fewer.

    Where generated images show a class that no held-out one does, KL is infinite: one count is added to each class of
    the held-out images, as by Laplace, to keep it finite. Natural logarithm, as in PacGAN's tables.
    """

    def compute(self, data: EvaluationData) -> dict[str, float]:
        classes = data.real.logits.shape[1]
        fake, real = (torch.bincount(sample.named, minlength=classes).double() for sample in (data.fake, data.real))
        share = fake / fake.sum()
        shown = data.classes if len(data.classes) <= SHOWN else []
        shares = {f"class_share_{each}": share[each].item() for each in shown}
        return {"class_kl": float(entropy(fake.numpy(), real.numpy() + 1)), **shares}
