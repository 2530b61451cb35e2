"""Base class of data modules: disjoint training, validation and test sets in memory."""

from abc import ABC, abstractmethod
from typing import Annotated, ClassVar

import lightning as L
import torch
from pydantic import Field, NonNegativeInt, PositiveInt
from torch import Tensor
from typing_extensions import override

from gans.data.batches import Dataset, SequentialLoader, ShuffledLoader
from gans.data.extractor import FeatureExtractor
from gans.errors import InputError


class Source(L.LightningDataModule, ABC):
    """Disjoint training, validation and test samples.

    Args:
        batch_size: training samples per step; an incomplete last batch is dropped.
        replacement: draw every training index independently, with replacement.
        seed: decides the order of the training samples.
        split_seed: decides everything random about the sets themselves. It is not ``seed``, so that runs with different
            seeds are evaluated on the same samples.
        held_out_batch_size: samples per batch in validation and test.

    Raises:
        InputError: in ``setup``, if the options don't fit the data.
    """

    source: ClassVar[str]
    """The name of the source, which begins the feature network's name if ``feature_extractor`` is None."""
    verifies_files: ClassVar[bool] = False
    """Whether it has the same samples wherever its files are, since it verifies their checksums."""
    stacks_channels: ClassVar[bool] = False
    """Whether each channel is an image of its own, which the feature network describes alone."""
    feature_extractor: FeatureExtractor | None = None
    """A feature extractor that needs no training."""
    extent: float | None = None
    """Half the side of the square around 0 that figures of points show; None for images."""
    label_noise: float = 0.0
    """The probability that a training sample has a wrong label."""
    invert: bool = False
    """Whether the samples are negatives of the source's images."""

    data_sha256: str = ""
    """A digest of the source's training samples before any option changes them, which tells feature networks apart.
    ``split`` sets it where a feature network needs training."""
    test_sha256: str = ""
    """A digest of the source's test samples before any option changes them; "" for points."""
    train_images: Dataset
    val_images: Dataset
    test_images: Dataset
    train_pool: Dataset
    """The training samples before ``limit``."""
    train_indices: Tensor
    """The sorted indices of the training samples in ``train_pool``."""

    def __init__(
        self,
        batch_size: PositiveInt,
        replacement: bool = False,
        seed: NonNegativeInt = 0,
        split_seed: Annotated[int, Field(ge=0, lt=2**32)] = 0,
        held_out_batch_size: PositiveInt = 500,
    ) -> None:
        super().__init__()
        self.batch_size = batch_size
        self.replacement = replacement
        self.seed = seed
        self.split_seed = split_seed
        self.held_out_batch_size = held_out_batch_size
        self.is_set_up = False

    @property
    @abstractmethod
    def classes(self) -> list[int]:
        """The source's class for each label 0, 1, ..."""

    @property
    def class_names(self) -> list[str]:
        """The name of each of the source's classes 0, 1, ..., of all of them, whichever the run uses."""
        return [str(label) for label in self.classes]

    def labelled_images(self) -> tuple[Dataset, Dataset] | None:
        """The training and test images of all classes, from which a feature network learns; None if it learns none."""
        return None

    @abstractmethod
    def split(self) -> tuple[Dataset, Dataset, Dataset]:
        """The training samples before ``limit``, the validation samples and the test samples."""

    def choose_training(self, pool: Dataset) -> Tensor:
        """The sorted indices of the samples to train on; by default all."""
        return torch.arange(len(pool.labels))

    def with_label_noise(self) -> Dataset:
        """The training samples with label noise; by default there is none."""
        return self.train_images

    @abstractmethod
    def to_metric_format(self, samples: Dataset) -> Dataset:
        """Samples in the format of the metrics: white on black, labelled with the source's classes."""

    def to_source(self, labels: Tensor) -> Tensor:
        """The source's class of each label; negative values, such as ``NO_CLASS``, stay."""
        labels = labels.cpu()
        return torch.where(labels < 0, labels, torch.tensor(self.classes)[labels])

    @abstractmethod
    def to_dataset(self, images: Tensor, labels: Tensor) -> Dataset:
        """Generated samples, images in [0, 1], as a data set on the host."""

    @override
    def setup(self, stage: str | None = None) -> None:
        if self.is_set_up:
            return
        self.train_pool, self.val_images, self.test_images = self.split()
        self.train_indices = self.choose_training(self.train_pool)
        if self.batch_size > len(self.train_indices):
            raise InputError(
                f"data.batch_size={self.batch_size} is more than the {len(self.train_indices)} training images: "
                "use a smaller batch or more images"
            )
        self.train_images = self.train_pool.select(self.train_indices)
        self.is_set_up = True
        self.train_batches = ShuffledLoader(
            self.with_label_noise(), self.batch_size, self.seed, replacement=self.replacement
        )

    @property
    def subsets(self) -> dict[str, Dataset]:
        """The disjoint sets by name; available after ``setup``."""
        return {"train": self.train_images, "val": self.val_images, "test": self.test_images}

    def train_dataloader(self) -> ShuffledLoader:
        if self.trainer is not None:
            self.train_batches.move_to(self.trainer.strategy.root_device)
        return self.train_batches

    def val_dataloader(self) -> SequentialLoader | list[SequentialLoader]:
        return SequentialLoader(self.val_images, self.held_out_batch_size) if len(self.val_images.labels) else []

    def test_dataloader(self) -> SequentialLoader:
        return SequentialLoader(self.test_images, self.held_out_batch_size)
