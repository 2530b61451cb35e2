"""Fashion-MNIST (Xiao et al. 2017): 60,000 training and 10,000 test images of ten kinds of clothing, 28x28."""

import torchvision

from gans.data.idx import IdxData


class FashionMNIST(IdxData):
    """Its classes have names such as "Sandal"."""

    source = "fashion_mnist"
    original = torchvision.datasets.FashionMNIST

    @property
    def class_names(self) -> list[str]:
        return list(self.original.classes)
