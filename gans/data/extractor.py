"""How samples are described for metrics that compare sets of them."""

from typing import NamedTuple, Protocol

import torch
from torch import Tensor


class ExtractedFeatures(NamedTuple):
    features: Tensor
    """Shape (n, d), float32."""
    logits: Tensor
    """Shape (n, classes), float32: of each class of the source, whatever classes a run is about."""


class FeatureExtractor(Protocol):
    @property
    def name(self) -> str:
        """As it appears in the names of figures: mnist1."""

    @property
    def sha256(self) -> str:
        """Of all that its descriptions depend on."""

    def extract(self, samples: Tensor) -> ExtractedFeatures:
        """Of canonical samples, see ``Source``; on the host."""

    def to(self, device: torch.device) -> object:
        """Move what computes descriptions to a device."""
