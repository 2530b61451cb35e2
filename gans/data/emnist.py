"""EMNIST (Cohen et al. 2017): 124,800 training and 20,800 test images of handwritten letters, 28x28."""

from pathlib import Path
from string import ascii_lowercase
from typing import Any

import torchvision

from gans.data.batches import Dataset
from gans.data.torchvision_data import TorchvisionData


class EMNIST(TorchvisionData):
    """Its part "letters": a to z, upper and lower case together. In torchvision's folder ``EMNIST``."""

    source = "emnist"

    @property
    def folder(self) -> Path:
        return self.root / "EMNIST" / "raw"

    @property
    def class_names(self) -> list[str]:
        return list(ascii_lowercase)

    def original(self, train: bool, download: bool) -> Any:
        return torchvision.datasets.EMNIST(self.root, split="letters", train=train, download=download)

    def _part(self, original: Any) -> Dataset:
        content, labels = super()._part(original)
        return Dataset(content.transpose(2, 3).contiguous(), labels - 1)  # stored on their sides, and a is 1
