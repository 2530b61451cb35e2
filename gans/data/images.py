"""The data module that every source of labelled images shares: filter, invert, split, limit, batch."""

from typing import Annotated, ClassVar

import lightning as L
import torch
from pydantic import Field, NonNegativeInt, PositiveInt
from sklearn.model_selection import train_test_split
from torch import Tensor

from gans.data.batches import Images, InOrder, Shuffled
from gans.errors import InputError

Digit = Annotated[int, Field(ge=0, le=9)]


class ImageData(L.LightningDataModule):
    """Disjoint training, validation and test images. A source overrides ``read``.

    Args:
        batch_size: training images per step; a remainder that fills no batch is left out of the epoch.
        digits: the classes to keep, distinct. Labels are indices into this list.
        invert: x -> 1 - x, black digits on white.
        limit: how many training images to keep, each digit in proportion; null keeps all.
        val_size: how many images of the source's training set to hold out for validation, each digit in
            proportion, before ``digits`` filters them.
        split_seed: which images are held out and which ``limit`` keeps. Apart from ``seed``, so that runs of many seeds
            are judged on the same images.
        replacement: draw each training index anew instead of each once per epoch.
        seed: the order of the training images.
        held_out_batch_size: images per batch in validation and test.

    Raises:
        InputError: in ``setup``, where these don't fit the data.
    """

    source: ClassVar[str]
    """Whose feature network describes these images."""

    def __init__(
        self,
        batch_size: PositiveInt,
        digits: Annotated[list[Digit], Field(min_length=1)],
        invert: bool = False,
        limit: PositiveInt | None = None,
        val_size: NonNegativeInt = 0,
        split_seed: NonNegativeInt = 0,
        replacement: bool = False,
        seed: NonNegativeInt = 0,
        held_out_batch_size: PositiveInt = 500,
    ) -> None:
        super().__init__()
        if len(set(digits)) < len(digits):
            raise InputError(f"data.digits={digits} names a digit twice")
        self.batch_size = batch_size
        self.digits = digits
        self.invert = invert
        self.limit = limit
        self.val_size = val_size
        self.split_seed = split_seed
        self.replacement = replacement
        self.seed = seed
        self.held_out_batch_size = held_out_batch_size
        self.is_set_up = False

    pool: Images
    """The training images before ``limit``, known after ``setup``."""
    kept: Tensor
    """Which of the pool are training images, their indices in order."""

    def read(self) -> tuple[Images, Images]:
        """The source's training and test images with digits 0 to 9 as labels, white on black."""
        raise NotImplementedError

    def setup(self, stage: str | None = None) -> None:  # noqa: ARG002
        if self.is_set_up:
            return
        train, test = self.read()
        held_out, others = self._split(train, self.val_size, "val_size") if self.val_size else (slice(0), slice(None))
        val, train = train.at(held_out), train.at(others)
        train, self.val_images, self.test_images = (self._choose(images) for images in (train, val, test))
        self._check_classes({"training": train, "validation": self.val_images, "test": self.test_images})
        self.pool = train
        self.kept = torch.arange(len(train.labels))
        if self.limit is not None and self.limit < len(train.labels):
            self.kept, _ = self._split(train, self.limit, "limit")
        if self.batch_size > len(self.kept):
            raise InputError(
                f"data.batch_size={self.batch_size} is more than the {len(self.kept)} training images: "
                "use a smaller batch or more images"
            )
        self.train_images = train.at(self.kept)
        self.is_set_up = True
        self.train_batches = Shuffled(self.train_images, self.batch_size, self.seed, replacement=self.replacement)

    def _check_classes(self, sets: dict[str, Images]) -> None:
        for name, images in sets.items():
            found = set(images.labels.unique().tolist())
            missing = [digit for index, digit in enumerate(self.digits) if index not in found]
            if missing and len(images.labels):
                raise InputError(
                    f"data.digits: none of the {len(images.labels)} {name} images shows {missing}: "
                    "choose other digits or a larger data.val_size"
                )

    @property
    def subsets(self) -> dict[str, Images]:
        """The images of each set, disjoint; known after ``setup``."""
        return {"train": self.train_images, "val": self.val_images, "test": self.test_images}

    def train_dataloader(self) -> Shuffled:
        return self.train_batches

    def val_dataloader(self) -> InOrder | list[InOrder]:
        return InOrder(self.val_images, self.held_out_batch_size) if len(self.val_images.labels) else []

    def test_dataloader(self) -> InOrder:
        return InOrder(self.test_images, self.held_out_batch_size)

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
