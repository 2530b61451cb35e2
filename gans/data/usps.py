"""USPS (Hull 1994): 7,291 training and 2,007 test images of handwritten digits of postal codes, 16x16."""

from typing import Any

import torchvision

from gans.data.torchvision_data import TorchvisionData


class USPS(TorchvisionData):
    """In torchvision's files ``usps.bz2`` and ``usps.t.bz2``; enlarged by ``size``."""

    source = "usps"

    def original(self, train: bool, download: bool) -> Any:
        return torchvision.datasets.USPS(str(self.root), train=train, download=download)
