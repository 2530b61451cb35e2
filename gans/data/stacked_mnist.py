"""Stacked MNIST (Metz et al. 2017, section 3.3.1; Srivastava et al. 2017, section 4.2)."""

from functools import cached_property
from typing import Any

from gans.data.mnist import MNIST
from gans.data.stacked import Stacked


class StackedMNIST(Stacked):
    """Triples of MNIST's digits: 128,000 for training, 26,000 for test (Lin et al. 2018, section 4.2).

    ``root`` is the data root of ``MNIST``.
    """

    verifies_files = True
    source = "mnist"  # its network describes each channel

    def __init__(self, root: str, **options: Any) -> None:
        super().__init__(**options)
        self.root = root

    @cached_property
    def digits(self) -> MNIST:
        return MNIST(self.root, batch_size=1, classes=list(range(10)))
