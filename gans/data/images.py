"""Base class of data modules of labelled images: filter, invert, split, limit."""

from abc import abstractmethod
from typing import Annotated, Any

import torch
from pydantic import Field, NonNegativeInt, PositiveInt
from sklearn.model_selection import train_test_split
from torch import Tensor

from gans.data.batches import Dataset
from gans.data.pixels import to_pixels
from gans.data.source import Source
from gans.errors import InputError
from gans.randomness import derive_seed


class ImageData(Source):
    """Images in named classes, ten digits by default. A subclass implements ``read``.

    Args:
        digits: the classes to keep, distinct. Labels are indices into this list.
        invert: replace x by 1 - x: black digits on white.
        limit: number of training images to keep, stratified by digit; null keeps all.
        val_size: number of images of the source's training set to hold out for validation, stratified by digit, before
            ``digits`` filters them.
        label_noise: probability that a training image gets the label of another class, each equally likely (uniform
            flipping, Thekumparampil et al. 2018). Only training batches have label noise.

    Raises:
        InputError: in ``setup``, if the options don't fit the data.
    """

    def __init__(
        self,
        digits: Annotated[list[NonNegativeInt], Field(min_length=1)],
        invert: bool = False,
        limit: PositiveInt | None = None,
        val_size: NonNegativeInt = 0,
        label_noise: Annotated[float, Field(ge=0, le=1)] = 0.0,
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

    @property
    def classes(self) -> list[int]:
        return self.digits

    @property
    def class_names(self) -> list[str]:
        """The name of each class 0, 1, ... that ``read`` returns; by default ten digits."""
        return list("0123456789")

    @abstractmethod
    def read(self) -> tuple[Dataset, Dataset]:
        """The source's training and test images, white on black, with classes 0, 1, ... as labels."""

    def fingerprint(self, train: Dataset) -> str:
        """A digest of the training images of ``read``."""
        return train.sha256()

    def split(self) -> tuple[Dataset, Dataset, Dataset]:
        train, test = self.read()
        for name, images in {"training": train, "test": test}.items():
            self._check_read(name, images)
        if unknown := [digit for digit in self.digits if digit >= len(self.class_names)]:
            raise InputError(
                f"data.digits names {unknown}, but data={self.source} has the {len(self.class_names)} classes 0 to "
                f"{len(self.class_names) - 1}"
            )
        self.data_sha256 = self.fingerprint(train)
        held_out, others = self._split(train, self.val_size, "val_size") if self.val_size else (slice(0), slice(None))
        val, train = train.select(held_out), train.select(others)
        train, val, test = (self._keep_digits(images) for images in (train, val, test))
        self._check_classes({"training": train, "validation": val, "test": test})
        return train, val, test

    def choose_training(self, pool: Dataset) -> Tensor:
        if self.limit is None or self.limit >= len(pool.labels):
            return super().choose_training(pool)
        kept, _ = self._split(pool, self.limit, "limit")
        return kept

    def with_label_noise(self) -> Dataset:
        if not self.label_noise:
            return self.train_images
        # drawn for all images, so that ``limit`` changes no image's label
        random = torch.Generator().manual_seed(derive_seed(self.split_seed, "label_noise"))
        true = self.train_pool.labels
        is_noisy = torch.rand(len(true), generator=random) < self.label_noise
        shifts = torch.randint(1, len(self.digits), (len(true),), generator=random)
        labels = torch.where(is_noisy, (true + shifts) % len(self.digits), true)
        return Dataset(self.train_images.content, labels[self.train_indices])

    def to_metric_format(self, samples: Dataset) -> Dataset:
        """White on black, labelled with the digits."""
        pixels = 255 - samples.content if self.invert else samples.content
        return Dataset(pixels, self.to_source(samples.labels))

    def to_dataset(self, images: Tensor, labels: Tensor) -> Dataset:
        return Dataset(to_pixels(images), labels.cpu())

    def _check_read(self, name: str, images: Dataset) -> None:
        """Refuse what a user's own ``read`` may get wrong."""
        content, labels = images
        count = len(self.class_names)
        if not len(labels):
            raise InputError(f"data={self.source}: there are no {name} images")
        if content.dtype != torch.uint8 or content.ndim != 4 or labels.shape != content.shape[:1]:
            raise InputError(
                f"data={self.source}: the {name} images must be uint8, (n, channels, height, width), with n labels, "
                f"not {content.dtype}, {tuple(content.shape)}, with {tuple(labels.shape)}"
            )
        if labels.dtype != torch.int64 or not 0 <= labels.min() <= labels.max() < count:
            raise InputError(
                f"data={self.source}: the {name} labels must be int64, from 0 to {count - 1}, since class_names has "
                f"{count} names; they are {labels.dtype}, from {labels.min()} to {labels.max()}"
            )

    def _check_classes(self, sets: dict[str, Dataset]) -> None:
        for name, images in sets.items():
            found = set(images.labels.unique().tolist())
            missing = [digit for index, digit in enumerate(self.digits) if index not in found]
            if missing and len(images.labels):
                raise InputError(
                    f"data.digits: none of the {len(images.labels)} {name} images shows {missing}: "
                    "choose other digits or a larger data.val_size"
                )

    def _keep_digits(self, images: Dataset) -> Dataset:
        """The images of the chosen digits, inverted if requested, with indices into ``digits`` as labels."""
        index_of = torch.full((len(self.class_names),), -1)
        index_of[torch.tensor(self.digits)] = torch.arange(len(self.digits))
        pixels, labels = images.select(index_of[images.labels] >= 0)
        return Dataset(255 - pixels if self.invert else pixels, index_of[labels])

    def _split(self, images: Dataset, size: int, option: str) -> tuple[Tensor, Tensor]:
        """The sorted indices of ``size`` images, stratified by class, and of the remaining images."""
        total, classes = len(images.labels), len(images.labels.unique())
        if not classes <= size <= total - classes:
            raise InputError(f"data.{option}={size} must lie between {classes}, one per class, and {total - classes}")
        chosen, others = train_test_split(
            torch.arange(total).numpy(), train_size=size, stratify=images.labels.numpy(), random_state=self.split_seed
        )
        return torch.as_tensor(chosen).sort().values, torch.as_tensor(others).sort().values
