"""Inception Score with the digit classifier in Inception's place (Salimans et al. 2016, section 4)."""

import warnings

from torch import nn
from torchmetrics.image.inception import InceptionScore as TorchmetricsInceptionScore

from gans.metrics.base import EvaluationData, ImageMetric


class InceptionScore(ImageMetric):
    """``inception_score``, between 1 and the number of classes: exp of the mean KL(p(y|x) || p(y)) over all images.

    In one split, so that it does not depend on the images' order.
    """

    def compute(self, data: EvaluationData) -> dict[str, float]:
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore", UserWarning
            )  # that it keeps all logits, and that one split has no deviation
            score = TorchmetricsInceptionScore(feature=nn.Identity(), splits=1)
            score.update(data.fake.logits.double())
            return {"inception_score": score.compute()[0].item()}
