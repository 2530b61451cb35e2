"""Stacked MNIST (Metz et al. 2017, section 3.3.1; Srivastava et al. 2017, section 4.2)."""

from typing import Any

from gans.data.mnist import MNIST
from gans.data.stacked import Stacked


class StackedMNIST(Stacked):
    """Triples of MNIST's digits. Lin et al. 2018, section 4.2: 128,000 to train with, and 26,000 samples.

    Args:
        root: the data root, as of MNIST.

    Raises:
        InputError: as MNIST does.
    """

    source = "mnist"  # each channel is described by itself

    def __init__(self, root: str, **options: Any) -> None:
        super().__init__(MNIST(root, batch_size=1, digits=list(range(10))), **options)
