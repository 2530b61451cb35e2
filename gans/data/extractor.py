"""The interface of feature extractors."""

from typing import NamedTuple, Protocol

import torch
from torch import Tensor


class ExtractedFeatures(NamedTuple):
    features: Tensor
    """Shape (n, d), float32."""
    logits: Tensor
    """Shape (n, classes), float32, for all classes of the source, even if the run uses only some of them."""


class FeatureExtractor(Protocol):
    @property
    def name(self) -> str:
        """Its name in the names of metrics: mnist1."""

    @property
    def sha256(self) -> str:
        """A digest of everything that determines its features."""

    def extract(self, samples: Tensor) -> ExtractedFeatures:
        """Features of samples in metric format (``Source.to_metric_format``), on the host."""

    def to(self, device: torch.device) -> object:
        """Move its weights to a device."""
