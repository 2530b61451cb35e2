"""Kuzushiji-MNIST (Clanuwat et al. 2018): 60,000 training and 10,000 test images of ten cursive hiragana, 28x28."""

import torchvision

from gans.data.idx import IdxData


class KMNIST(IdxData):
    """``torchvision.datasets.KMNIST.classes`` names the classes 0 to 9."""

    source = "kmnist"
    original = torchvision.datasets.KMNIST
