"""In place of features where no metric uses them."""

from dataclasses import dataclass

import torch
from torch import Tensor

from gans.data.extractor import ExtractedFeatures


@dataclass(frozen=True)
class NoFeatures:
    """Features of length 0, and logits that are all 0."""

    class_names: list[str]
    name: str = "none"
    sha256: str = ""

    def to(self, device: torch.device) -> None:
        """There are no weights."""

    def extract(self, samples: Tensor) -> ExtractedFeatures:
        count = len(samples)
        return ExtractedFeatures(torch.zeros(count, 0), torch.zeros(count, len(self.class_names)))
