"""Base class of stacked data sets: a random digit in each of three channels, 1,000 modes."""

from abc import abstractmethod
from functools import cached_property
from typing import Any, Literal

import torch
from pydantic import NonNegativeInt, PositiveInt
from torch import Tensor

from gans.data.batches import Dataset
from gans.data.images import ImageData
from gans.data.pixels import to_pixels
from gans.data.source import Source
from gans.randomness import derive_seed

HELD_OUT = 1 / 12
"""The share of the source's training digits reserved for validation triples."""


class Stacked(Source):
    """Triples of digits, one per channel. The class is the three-digit number, 0 to 999.

    Digits are drawn with replacement, once: from disjoint parts of the source's training set for training and
    validation, from its test set for test.

    Args:
        train_size, val_size, test_size: numbers of triples.
        size, channels: the shape of the images, for the networks.
    """

    stacks_channels = True

    def __init__(
        self,
        train_size: PositiveInt = 128_000,
        val_size: NonNegativeInt = 5_000,
        test_size: PositiveInt = 26_000,
        size: Literal[28] = 28,
        channels: Literal[3] = 3,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.sizes = {"train": train_size, "val": val_size, "test": test_size}

    @cached_property
    @abstractmethod
    def digits(self) -> ImageData:
        """The data module of the digits."""

    @property
    def classes(self) -> list[int]:
        return list(range(1000))

    @property
    def class_names(self) -> list[str]:
        return [f"{label:03d}" for label in self.classes]

    def prepare_data(self) -> None:
        self.digits.prepare_data()

    def labelled_images(self) -> tuple[Dataset, Dataset]:
        return self.digits.labelled_images()

    def split(self) -> tuple[Dataset, Dataset, Dataset]:
        train, test = self.digits.labelled_images()
        self.data_sha256, self.test_sha256 = self.digits.data_sha256, self.digits.test_sha256
        order = torch.randperm(len(train.labels), generator=self._random("held-out digits"))
        held_out = round(HELD_OUT * len(order))
        return (
            self._stack(train.select(order[held_out:]), "train"),
            self._stack(train.select(order[:held_out]), "val"),
            self._stack(test, "test"),
        )

    def to_metric_format(self, samples: Dataset) -> Dataset:
        return samples

    def to_dataset(self, images: Tensor, labels: Tensor) -> Dataset:
        return Dataset(to_pixels(images), labels.cpu())

    def _stack(self, digits: Dataset, name: str) -> Dataset:
        chosen = torch.randint(len(digits.labels), (self.sizes[name], 3), generator=self._random(name))
        return Dataset(digits.content[chosen, 0], digits.labels[chosen] @ torch.tensor([100, 10, 1]))

    def _random(self, name: str) -> torch.Generator:
        return torch.Generator().manual_seed(derive_seed(self.split_seed, f"stacked/{name}"))
