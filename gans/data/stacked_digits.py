"""Stacked MNIST's like, of the digits that ship inside scikit-learn: without a download."""

from typing import Any

from gans.data.digits import Digits
from gans.data.stacked import Stacked


class StackedDigits(Stacked):
    """Triples of ``data=digits``."""

    source = "digits"  # each channel is described by itself

    def __init__(self, **options: Any) -> None:
        super().__init__(Digits(batch_size=1, digits=list(range(10))), **options)
