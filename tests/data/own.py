"""Data sources that a user could write: letters, colours, and images without labels."""

from typing import Any

import torch

from gans.data.batches import Dataset
from gans.data.digits import Digits
from gans.data.images import ImageData


class Letters(Digits):
    """Twelve classes, 28x28: the digits, and two of them that lie on their sides.

    Args:
        path: where they are said to come from; "turned" turns them upside down.
        shuffled: whether labels are of other images.
    """

    source = "my_letters_28"

    def __init__(self, path: str = "here", shuffled: bool = False, **options: Any) -> None:
        super().__init__(**options)
        self.path = path
        self.shuffled = shuffled

    @property
    def class_names(self) -> list[str]:
        return list("ABCDEFGHIJKL")

    def read(self) -> tuple[Dataset, Dataset]:
        train, test = (self.with_letters(images) for images in super().read())
        return train, test

    def with_letters(self, digits: Dataset) -> Dataset:
        some = digits.labels >= 8
        content = torch.cat((digits.content, digits.content[some].rot90(1, (2, 3))))
        if self.path == "turned":
            content = content.rot90(2, (2, 3))
        labels = torch.cat((digits.labels, digits.labels[some] + 2))
        if self.shuffled:
            labels = labels[torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))]
        return Dataset(content.contiguous(), labels)


class Colours(ImageData):
    """Twelve classes, 32x32, three channels."""

    source = "colours"

    @property
    def class_names(self) -> list[str]:
        return [f"colour {label}" for label in range(12)]

    def read(self) -> tuple[Dataset, Dataset]:
        train, test = (noise(count, 3, 32) for count in (240, 120))
        return train, test


class Unlabelled(ImageData):
    """One class, 28x28."""

    source = "unlabelled"

    @property
    def class_names(self) -> list[str]:
        return ["image"]

    def read(self) -> tuple[Dataset, Dataset]:
        train, test = (noise(count, 1, 28)._replace(labels=torch.zeros(count).long()) for count in (240, 120))
        return train, test


def noise(count: int, channels: int, side: int) -> Dataset:
    random = torch.Generator().manual_seed(count)
    content = torch.randint(256, (count, channels, side, side), generator=random, dtype=torch.uint8)
    return Dataset(content, torch.arange(count) % 12)


def own(name: str, *, classes: int = 12) -> tuple[str, ...]:
    """Overrides that choose one of these sources, with all its classes and the size of its images."""
    size, channels = (32, 3) if name == "Colours" else (28, 1)
    return (
        "data=digits", f"data._target_={__name__}.{name}", f"data.classes={list(range(classes))}", f"data.size={size}",
        f"data.channels={channels}", "data.val_size=60",
    )  # fmt: skip
