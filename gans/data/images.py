"""Base class of data modules of labelled images: resize, choose classes, invert, split, limit."""

import hashlib
from abc import abstractmethod
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Annotated, Any, Literal

import torch
from pydantic import Field, NonNegativeInt, PositiveInt
from sklearn.model_selection import train_test_split
from torch import Tensor
from typing_extensions import override

from gans.data.batches import Dataset
from gans.data.class_names import listed
from gans.data.pixels import resize, to_pixels, with_channels
from gans.data.source import Source
from gans.errors import InputError, warn_once
from gans.randomness import derive_seed

ClassChoice = NonNegativeInt | Annotated[str, Field(min_length=1)]
Share = Annotated[float, Field(gt=0, lt=1)]
SetSize = NonNegativeInt | Share
"""A number of images, or a share of them."""


class ImageData(Source):
    """Images in named classes, ten digits by default. A subclass implements ``read``.

    Args:
        classes: the classes to keep, each once: names, or numbers 0, 1, ... in the order of ``class_names``. A number
            that is a name means the class of that name. Labels are indices into this list.
        size: side of the images in pixels, to which they are resized; None: as ``read`` returns them.
        channels: 1 (grey) or 3 (RGB), to which they are converted; None: as ``read`` returns them.
        invert: replace x by 1 - x: black digits on white.
        limit: number of training images to keep, stratified by class; None keeps all.
        val_size: images of the source's training set to hold out for validation, a number or a share from 0 to 1,
            stratified by class, before ``classes`` chooses among them.
        label_noise: probability that a training image gets the label of another class, each equally likely (uniform
            flipping, Thekumparampil et al. 2018). Only training batches have label noise.

    Raises:
        InputError: in ``setup``, if the options don't fit the data.
    """

    def __init__(
        self,
        classes: Annotated[list[ClassChoice], Field(min_length=1)],
        size: PositiveInt | None = None,
        channels: Literal[1, 3] | None = None,
        invert: bool = False,
        limit: PositiveInt | None = None,
        val_size: SetSize = 0,
        label_noise: Annotated[float, Field(ge=0, le=1)] = 0.0,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        if label_noise and len(classes) == 1:
            raise InputError(
                f"data.label_noise={label_noise} takes other classes, but data.classes={classes} is the only one: "
                "add classes, or use data.label_noise=0"
            )
        self.chosen = classes
        self.size = size
        self.channels = channels
        self.invert = invert
        self.limit = limit
        self.val_size = val_size
        self.label_noise = label_noise

    @property
    def class_names(self) -> list[str]:
        """The name of each class 0, 1, ... that ``read`` returns; by default ten digits."""
        return list("0123456789")

    @cached_property
    def classes(self) -> list[int]:
        """The numbers of the chosen classes; an InputError for unknown ones, and for one that is chosen twice."""
        names = self.class_names
        found = [names.index(str(each)) if str(each) in names else each for each in self.chosen]
        numbers = [each for each in found if isinstance(each, int) and each < len(names)]
        if len(numbers) < len(found):
            unknown = [each for each in found if each not in numbers]
            known = f"{len(names)} classes 0 to {len(names) - 1}: {listed(names)}"
            raise InputError(f"data.classes names {unknown}, but data={self.source} has the {known}")
        if len(set(numbers)) < len(numbers):
            raise InputError(f"data.classes={self.chosen} names a class twice")
        return numbers

    @abstractmethod
    def read(self) -> tuple[Dataset, Dataset]:
        """The source's training and test images, white on black, with classes 0, 1, ... as labels."""

    def fingerprint(self, images: Dataset) -> str:
        """A digest of the training or test images of ``read``."""
        return images.sha256()

    @override
    def labelled_images(self) -> tuple[Dataset, Dataset]:
        """All training and test images, in the size and channels of the options."""
        train, test = self._read_sets()
        for name, images in {"training": train, "test": test}.items():
            self._check_read(name, images)
        shape = train.content.shape[1:]
        self.data_sha256 = self.fingerprint(train)
        self.test_sha256 = self.fingerprint(test)
        train, test = (fitted(images, self.size, self.channels) for images in (train, test))
        if train.content.shape[1:] != shape:
            key = f"{self.data_sha256} {tuple(train.content.shape[1:])}"
            self.data_sha256 = hashlib.sha256(key.encode()).hexdigest()
        return train, test

    def split(self) -> tuple[Dataset, Dataset, Dataset]:
        train, test = self.labelled_images()
        count = whole_number(self.val_size, train.labels)
        held_out, others = self._split(train, count, "val_size", self.class_names) if count else (slice(0), slice(None))
        val, train = train.select(held_out), train.select(others)
        train, val, test = (self._keep_classes(images) for images in (train, val, test))
        self._check_classes({"training": train, "validation": val, "test": test})
        return train, val, test

    def choose_training(self, pool: Dataset) -> Tensor:
        if self.limit is not None and self.limit > len(pool.labels):
            warn_once(f"data.limit={self.limit} keeps all: there are only {len(pool.labels):,} training images")
        if self.limit is None or self.limit >= len(pool.labels):
            return super().choose_training(pool)
        names = [self.class_names[number] for number in self.classes]
        kept, _ = self._split(pool, self.limit, "limit", names)
        counts = pool.labels[kept].bincount(minlength=len(names)).tolist()
        if missing := [name for name, count in zip(names, counts, strict=True) if not count]:
            raise InputError(
                f"data.limit={self.limit} leaves no training image of {listed(missing)}, which are rare: use a larger "
                "one, or choose other classes"
            )
        return kept

    def with_label_noise(self) -> Dataset:
        if not self.label_noise:
            return self.train_images
        # drawn for all images, so that ``limit`` changes no image's label
        random = torch.Generator().manual_seed(derive_seed(self.split_seed, "label_noise"))
        true = self.train_pool.labels
        is_noisy = torch.rand(len(true), generator=random) < self.label_noise
        shifts = torch.randint(1, len(self.classes), (len(true),), generator=random)
        labels = torch.where(is_noisy, (true + shifts) % len(self.classes), true)
        return Dataset(self.train_images.content, labels[self.train_indices])

    def to_metric_format(self, samples: Dataset) -> Dataset:
        """White on black, labelled with the source's classes."""
        pixels = 255 - samples.content if self.invert else samples.content
        return Dataset(pixels, self.to_source(samples.labels))

    def to_dataset(self, images: Tensor, labels: Tensor) -> Dataset:
        return Dataset(to_pixels(images), labels.cpu())

    def _read_sets(self) -> tuple[Dataset, Dataset]:
        """What ``read`` returns; an InputError if it is something else, such as one Dataset, a tuple of two tensors."""
        made: Any = self.read()
        sets = tuple(made) if isinstance(made, Iterable) else ()
        if [_is_dataset(each) for each in sets] != [True, True]:
            raise InputError(
                f"data={self.source}: {type(self).__name__}.read does not return two Datasets of tensors: return "
                "train, test, where each is gans.data.batches.Dataset(images, labels)"
            )
        return sets

    def _check_read(self, name: str, images: Dataset) -> None:
        """Refuse what a user's own ``read`` may get wrong."""
        content, labels = images
        count = len(self.class_names)
        if wrong := [name for name in self.class_names if not isinstance(name, str) or not name]:
            raise InputError(
                f"data={self.source}: class_names has {wrong[0]!r}: names are text, such as '{wrong[0] or 0}'"
            )
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
            missing = [self.class_names[number] for index, number in enumerate(self.classes) if index not in found]
            if missing and (len(images.labels) or name != "validation" or self.val_size):
                more = " or a larger data.val_size" if name == "validation" else ""
                raise InputError(
                    f"data.classes: none of the {len(images.labels)} {name} images shows {', '.join(missing)}: "
                    f"choose other classes{more}"
                )

    def _keep_classes(self, images: Dataset) -> Dataset:
        """The images of the chosen classes, inverted if requested, with indices into ``classes`` as labels."""
        index_of = torch.full((len(self.class_names),), -1)
        index_of[torch.tensor(self.classes)] = torch.arange(len(self.classes))
        pixels, labels = images.select(index_of[images.labels] >= 0)
        return Dataset(255 - pixels if self.invert else pixels, index_of[labels])

    def _split(self, images: Dataset, size: int, option: str, names: Sequence[str]) -> tuple[Tensor, Tensor]:
        """The sorted indices of ``size`` images, stratified by class, and of the remaining images.

        Args:
            names: of the labels.
        """
        counts = images.labels.bincount(minlength=len(names)).tolist()
        if rare := [name for name, count in zip(names, counts, strict=True) if count == 1]:
            undivided = {"val_size": "0", "limit": "null"}[option]
            raise InputError(
                f"data.{option}={getattr(self, option)}: {listed(rare)} has one training image, which can't be "
                f"divided, whichever classes are chosen: add images, remove the class, or use data.{option}={undivided}"
            )
        total, classes = len(images.labels), len(images.labels.unique())
        if not classes <= size <= total - classes:
            raise InputError(f"data.{option}={size} must lie between {classes}, one per class, and {total - classes}")
        chosen, others = train_test_split(
            torch.arange(total).numpy(), train_size=size, stratify=images.labels.numpy(), random_state=self.split_seed
        )
        return torch.as_tensor(chosen).sort().values, torch.as_tensor(others).sort().values


def _is_dataset(value: object) -> bool:
    return isinstance(value, Dataset) and all(isinstance(part, Tensor) for part in value)


def whole_number(size: int | float, labels: Tensor) -> int:
    """A number of images, given as such or as a share, which takes one of each class at least."""
    return max(round(size * len(labels)), len(labels.unique())) if isinstance(size, float) else size


def fitted(images: Dataset, size: int | None, channels: int | None) -> Dataset:
    """Images of this side and number of channels; None leaves them as they are.

    Raises:
        InputError: for images that are not square, which can't be resized, or are neither grey nor RGB.
    """
    content = images.content
    if channels not in (None, content.shape[1]) and content.shape[1] not in (1, 3):
        raise InputError(
            f"data.channels={channels}: images with {content.shape[1]} channels can't be made grey or RGB: give them 1 "
            "or 3 channels, or leave data.channels out"
        )
    content = content if channels is None else with_channels(content, channels)
    height, width = content.shape[2:]
    if size is None or (height, width) == (size, size):
        return images._replace(content=content)
    if height != width:
        raise InputError(
            f"data.size={size}: images of {height}x{width} are not square, and can't be resized: crop them first"
        )
    return images._replace(content=resize(content, size))
