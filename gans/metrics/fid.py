"""Fréchet distance between Gaussians fitted to the features (Heusel et al. 2017, equation 6)."""

import torch
from torch import nn
from torchmetrics.image.fid import FrechetInceptionDistance

from gans.features.network import FEATURES
from gans.metrics.base import EvaluationData, Metric


class FID(Metric):
    """``fid`` >= 0, 0 for equal means and covariances. The estimate is biased: compare equal numbers of images.

    With at most as many images as features, such as Inception's 2,048, covariances are singular and the bias is large.
    """

    values = ("fid",)
    minimum = FEATURES + 1  # of the package's own features, with regular covariances

    def compute(self, data: EvaluationData) -> dict[str, float]:
        identity = _Identity(data.real.features.shape[1])
        distance = FrechetInceptionDistance(feature=identity).set_dtype(torch.float64)
        distance.update(data.real.features.double(), real=True)
        distance.update(data.fake.features.double(), real=False)
        return {"fid": distance.compute().clamp(min=0).item()}


class _Identity(nn.Identity):
    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.num_features = num_features
