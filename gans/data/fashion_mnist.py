"""Fashion-MNIST (Xiao et al. 2017): 60,000 training and 10,000 test images of ten kinds of clothing, 28x28."""

import torchvision

from gans.data.idx import IdxData


class FashionMNIST(IdxData):
    """What the classes 0 to 9 are: ``torchvision.datasets.FashionMNIST.classes``."""

    source = "fashion_mnist"
    original = torchvision.datasets.FashionMNIST
