"""Stacked MNIST with scikit-learn's digits: no download."""

from functools import cached_property

from gans.data.digits import Digits
from gans.data.stacked import Stacked


class StackedDigits(Stacked):
    """Triples of ``data=digits``."""

    source = "digits"  # its network describes each channel

    @cached_property
    def digits(self) -> Digits:
        return Digits(batch_size=1, classes=list(range(10)))
