"""Inception Score (Salimans et al. 2016, section 4), of the data's own feature network, or of Inception."""

import warnings

from torch import nn
from torchmetrics.image.inception import InceptionScore as TorchmetricsInceptionScore

from gans.metrics.base import EvaluationData, ImageMetric


class InceptionScore(ImageMetric):
    """``inception_score``: exp of the mean KL(p(y|x) || p(y)), between 1 and the number of classes.

    All images form one split, so that their order does not matter.
    """

    values = ("inception_score",)

    def compute(self, data: EvaluationData) -> dict[str, float]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # about memory, and that one split has no standard deviation
            score = TorchmetricsInceptionScore(feature=nn.Identity(), splits=1)
            score.update(data.fake.logits.double())
            return {"inception_score": score.compute()[0].item()}
