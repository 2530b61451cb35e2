"""The data module that every source of labelled images shares: filter, invert, split, limit."""

from abc import abstractmethod
from typing import Annotated, Any

import torch
from pydantic import Field, NonNegativeInt, PositiveInt
from sklearn.model_selection import train_test_split
from torch import Tensor

from gans.data.batches import Images
from gans.data.pixels import to_pixels
from gans.data.source import Source
from gans.errors import InputError
from gans.randomness import derive_seed

Digit = Annotated[int, Field(ge=0, le=9)]


class ImageData(Source[Images]):
    """Images in ten classes. A source overrides ``read``.

    Args:
        digits: the classes to keep, distinct. Labels are indices into this list.
        invert: x -> 1 - x, black digits on white.
        limit: how many training images to keep, each digit in proportion; null keeps all.
        val_size: how many images of the source's training set to hold out for validation, each digit in
            proportion, before ``digits`` filters them.
        label_noise: the probability with which a training image's label is another of the classes, each equally likely:
            the uniform flipping of Thekumparampil et al. 2018. Only training batches carry it.
        split_seed: which images are held out, which ``limit`` keeps and which labels are replaced. Apart from ``seed``,
            so that runs of many seeds are judged on the same images.

    Raises:
        InputError: in ``setup``, where these don't fit the data.
    """

    def __init__(
        self,
        digits: Annotated[list[Digit], Field(min_length=1)],
        invert: bool = False,
        limit: PositiveInt | None = None,
        val_size: NonNegativeInt = 0,
        label_noise: Annotated[float, Field(ge=0, le=1)] = 0.0,
        split_seed: NonNegativeInt = 0,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        if len(set(digits)) < len(digits):
            raise InputError(f"data.digits={digits} names a digit twice")
        if label_noise and len(digits) == 1:
            raise InputError(
                f"data.label_noise={label_noise} takes other classes, but data.digits={digits} is the only one: "
                "add digits, or use data.label_noise=0"
            )
        self.digits = digits
        self.invert = invert
        self.limit = limit
        self.val_size = val_size
        self.label_noise = label_noise
        self.split_seed = split_seed

    @property
    def noisy_labels(self) -> bool:
        return self.label_noise > 0

    @property
    def inverted(self) -> bool:
        return self.invert

    @property
    def classes(self) -> list[int]:
        return self.digits

    @abstractmethod
    def read(self) -> tuple[Images, Images]:
        """The source's training and test images with digits 0 to 9 as labels, white on black."""

    def split(self) -> tuple[Images, Images, Images]:
        train, test = self.read()
        held_out, others = self._split(train, self.val_size, "val_size") if self.val_size else (slice(0), slice(None))
        val, train = train.at(held_out), train.at(others)
        train, val, test = (self._choose(images) for images in (train, val, test))
        self._check_classes({"training": train, "validation": val, "test": test})
        return train, val, test

    def limited(self, pool: Images) -> Tensor:
        if self.limit is None or self.limit >= len(pool.labels):
            return super().limited(pool)
        kept, _ = self._split(pool, self.limit, "limit")
        return kept

    def as_trained(self) -> Images:
        """With label noise: drawn for all of the pool, so that ``limit`` changes no image's label."""
        if not self.label_noise:
            return self.train_images
        random = torch.Generator().manual_seed(derive_seed(self.split_seed, "label_noise"))
        true = self.pool.labels
        replaced = torch.rand(len(true), generator=random) < self.label_noise
        others = torch.randint(1, len(self.digits), (len(true),), generator=random)
        labels = torch.where(replaced, (true + others) % len(self.digits), true)
        return Images(self.train_images.pixels, labels[self.kept])

    def to_metric_format(self, samples: Images) -> Images:
        """White on black."""
        pixels = 255 - samples.pixels if self.invert else samples.pixels
        return Images(pixels, self.to_source(samples.labels))

    def to_dataset(self, images: Tensor, labels: Tensor) -> Images:
        return Images(to_pixels(images), labels.cpu())

    def _check_classes(self, sets: dict[str, Images]) -> None:
        for name, images in sets.items():
            found = set(images.labels.unique().tolist())
            missing = [digit for index, digit in enumerate(self.digits) if index not in found]
            if missing and len(images.labels):
                raise InputError(
                    f"data.digits: none of the {len(images.labels)} {name} images shows {missing}: "
                    "choose other digits or a larger data.val_size"
                )

    def _choose(self, images: Images) -> Images:
        """The chosen digits, their labels as indices into ``digits``, perhaps inverted."""
        index_of = torch.full((10,), -1)
        index_of[torch.tensor(self.digits)] = torch.arange(len(self.digits))
        pixels, labels = images.at(index_of[images.labels] >= 0)
        return Images(255 - pixels if self.invert else pixels, index_of[labels])

    def _split(self, images: Images, size: int, option: str) -> tuple[Tensor, Tensor]:
        """The indices of ``size`` images, each class in proportion, and those of the others."""
        total, classes = len(images.labels), len(images.labels.unique())
        if not classes <= size <= total - classes:
            raise InputError(f"data.{option}={size} must lie between {classes}, one per digit, and {total - classes}")
        chosen, others = train_test_split(
            torch.arange(total).numpy(), train_size=size, stratify=images.labels.numpy(), random_state=self.split_seed
        )
        return _sorted(chosen), _sorted(others)


def _sorted(indices: object) -> Tensor:
    return torch.as_tensor(indices).sort().values
