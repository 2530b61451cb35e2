"""CIFAR-10 (Krizhevsky 2009): 50,000 training and 10,000 test photographs of ten kinds of things, 32x32, RGB."""

from typing import Any

import torchvision

from gans.data.torchvision_data import TorchvisionData

NAMES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]


class CIFAR10(TorchvisionData):
    """In torchvision's folder ``cifar-10-batches-py``."""

    verifies_files = True
    source = "cifar10"

    @property
    def class_names(self) -> list[str]:
        return NAMES

    def original(self, train: bool, download: bool) -> Any:
        return torchvision.datasets.CIFAR10(self.root, train=train, download=download)
