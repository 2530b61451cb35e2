"""Fashion-MNIST (Xiao et al. 2017): 60,000 training and 10,000 test images of ten kinds of clothing, 28x28."""

import torchvision

from gans.data.idx import IdxData


class FashionMNIST(IdxData):
    """``torchvision.datasets.FashionMNIST.classes`` names the classes 0 to 9."""

    source = "fashion_mnist"
    original = torchvision.datasets.FashionMNIST
