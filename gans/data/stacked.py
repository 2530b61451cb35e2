"""What stacked data sets share: random digits in three channels, a thousand modes."""

from typing import Any

import torch
from pydantic import NonNegativeInt, PositiveInt
from torch import Tensor

from gans.data.batches import Images
from gans.data.images import ImageData
from gans.data.pixels import to_pixels
from gans.data.source import Source
from gans.randomness import derive_seed

HELD_OUT = 1 / 12
"""The share of the source's training digits that validation triples are made of."""


class Stacked(Source[Images]):
    """Three random digits, one in each channel; the class is the number that they write, 0 to 999.

    The triples are fixed: each digit is drawn with replacement. Training and validation triples are of different digits
    of the source's training set, test triples of its test set. A source names its digits and their feature network.

    Args:
        train_size, val_size, test_size: how many triples.
        split_seed: which triples they are. Apart from ``seed``, so that runs of many seeds are judged on the same.
    """

    def __init__(
        self,
        of: ImageData,
        train_size: PositiveInt = 128_000,
        val_size: NonNegativeInt = 5_000,
        test_size: PositiveInt = 26_000,
        split_seed: NonNegativeInt = 0,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.of = of
        self.sizes = {"train": train_size, "val": val_size, "test": test_size}
        self.split_seed = split_seed

    @property
    def classes(self) -> list[int]:
        return list(range(1000))

    def prepare_data(self) -> None:
        self.of.prepare_data()

    def split(self) -> tuple[Images, Images, Images]:
        train, test = self.of.read()
        order = torch.randperm(len(train.labels), generator=self._random("held-out digits"))
        held_out = round(HELD_OUT * len(order))
        return (
            self._stack(train.at(order[held_out:]), "train"),
            self._stack(train.at(order[:held_out]), "val"),
            self._stack(test, "test"),
        )

    def to_metric_format(self, samples: Images) -> Images:
        return samples

    def to_dataset(self, images: Tensor, labels: Tensor) -> Images:
        return Images(to_pixels(images), labels.cpu())

    def _stack(self, digits: Images, name: str) -> Images:
        chosen = torch.randint(len(digits.labels), (self.sizes[name], 3), generator=self._random(name))
        return Images(digits.pixels[chosen, 0], digits.labels[chosen] @ torch.tensor([100, 10, 1]))

    def _random(self, name: str) -> torch.Generator:
        return torch.Generator().manual_seed(derive_seed(self.split_seed, f"stacked/{name}"))
