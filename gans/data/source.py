"""What every source of data is: disjoint sets that live in memory, and how they are batched, judged and shown."""

from abc import ABC, abstractmethod
from typing import ClassVar, Generic, TypeVar

import lightning as L
import torch
from pydantic import NonNegativeInt, PositiveInt
from torch import Tensor
from typing_extensions import override

from gans.data.batches import Dataset, SequentialLoader, ShuffledLoader
from gans.data.extractor import FeatureExtractor
from gans.errors import InputError

Kind = TypeVar("Kind", bound=Dataset)


class Source(L.LightningDataModule, ABC, Generic[Kind]):
    """Disjoint training, validation and test samples.

    Args:
        batch_size: training samples per step; a remainder that fills no batch is left out of the epoch.
        replacement: draw each training index anew instead of each once per epoch.
        seed: the order of the training samples.
        held_out_batch_size: samples per batch in validation and test.

    Raises:
        InputError: in ``setup``, where these don't fit the data.
    """

    source: ClassVar[str]
    """Whose feature network describes these samples, where ``describer`` does not."""
    holds_points: ClassVar[bool] = False
    """Whether its samples are points (n, dimensions) and no images."""
    feature_extractor: FeatureExtractor | None = None
    """What describes these samples, where no network has to be trained for it."""
    extent: float | None = None
    """Half the side of the square, around 0, in which points are drawn; images have none."""

    train_images: Kind
    val_images: Kind
    test_images: Kind
    pool: Kind
    """The training samples before any limit."""
    kept: Tensor
    """Which of the pool are training samples, their indices in order."""

    def __init__(
        self,
        batch_size: PositiveInt,
        replacement: bool = False,
        seed: NonNegativeInt = 0,
        held_out_batch_size: PositiveInt = 500,
    ) -> None:
        super().__init__()
        self.batch_size = batch_size
        self.replacement = replacement
        self.seed = seed
        self.held_out_batch_size = held_out_batch_size
        self.is_set_up = False

    @property
    def noisy_labels(self) -> bool:
        """Whether classes of training samples are altered."""
        return False

    @property
    def inverted(self) -> bool:
        """Whether ``canonical`` samples are the negatives of the data."""
        return False

    @property
    @abstractmethod
    def classes(self) -> list[int]:
        """What the labels 0, 1, ... stand for, of the source's classes."""

    @abstractmethod
    def split(self) -> tuple[Kind, Kind, Kind]:
        """The training, validation and test samples, training ones before any limit."""

    def limited(self, pool: Kind) -> Tensor:
        """Which of the training samples are trained with, their indices in order: all."""
        return torch.arange(len(pool.labels))

    def as_trained(self) -> Kind:
        """The training samples as a run sees them, perhaps with labels that are not true: as they are."""
        return self.train_images

    @abstractmethod
    def to_metric_format(self, samples: Kind) -> Kind:
        """Samples as metrics look at them, with the source's classes as labels."""

    def to_source(self, labels: Tensor) -> Tensor:
        """From labels to the source's classes; what is no label stays."""
        labels = labels.cpu()
        return torch.where(labels < 0, labels, torch.tensor(self.classes)[labels])

    @abstractmethod
    def to_dataset(self, images: Tensor, labels: Tensor) -> Kind:
        """Samples of a generator, [0, 1] if they are images, as they are kept: on the host."""

    @override
    def setup(self, stage: str | None = None) -> None:
        if self.is_set_up:
            return
        self.pool, self.val_images, self.test_images = self.split()
        self.kept = self.limited(self.pool)
        if self.batch_size > len(self.kept):
            raise InputError(
                f"data.batch_size={self.batch_size} is more than the {len(self.kept)} training images: "
                "use a smaller batch or more images"
            )
        self.train_images = self.pool.at(self.kept)
        self.is_set_up = True
        self.train_batches = ShuffledLoader(self.as_trained(), self.batch_size, self.seed, replacement=self.replacement)

    @property
    def subsets(self) -> dict[str, Kind]:
        """The samples of each set, disjoint; known after ``setup``."""
        return {"train": self.train_images, "val": self.val_images, "test": self.test_images}

    def train_dataloader(self) -> ShuffledLoader:
        if self.trainer is not None:
            self.train_batches.move_to(self.trainer.strategy.root_device)
        return self.train_batches

    def val_dataloader(self) -> SequentialLoader | list[SequentialLoader]:
        return SequentialLoader(self.val_images, self.held_out_batch_size) if len(self.val_images.labels) else []

    def test_dataloader(self) -> SequentialLoader:
        return SequentialLoader(self.test_images, self.held_out_batch_size)
