"""Kuzushiji-MNIST (Clanuwat et al. 2018): 60,000 training and 10,000 test images of ten cursive hiragana, 28x28."""

import torchvision

from gans.data.idx import IdxData


class KMNIST(IdxData):
    """Its classes are named as they are read, such as "ki"."""

    source = "kmnist"
    original = torchvision.datasets.KMNIST

    @property
    def class_names(self) -> list[str]:
        return list(self.original.classes)
