"""Batches by tensor indexing: all data live in memory once, images as uint8."""

from collections.abc import Iterator
from math import ceil
from typing import Any, NamedTuple, Protocol, Self

import torch
from torch import Tensor

from gans.randomness import derive_seed


class Batch(NamedTuple):
    images: Tensor
    """float32 in [0, 1], shape (n, channels, height, width); of points, their coordinates, shape (n, dimensions)."""
    labels: Tensor
    """Indices into the data module's ``classes``, int64, shape (n,)."""


class Dataset(Protocol):
    """Samples at rest, with their labels."""

    @property
    def content(self) -> Tensor:
        """The samples themselves, n rows."""

    @property
    def labels(self) -> Tensor:
        """Class indices, int64, shape (n,)."""

    def __iter__(self) -> Iterator[Any]:
        """Two fields: the samples themselves, and the labels."""

    def at(self, indices: Tensor | slice) -> Self:
        """The samples at these indices, or where a boolean mask is true."""

    def to(self, device: torch.device) -> Self:
        """The same samples in a device's memory."""

    def to_batch(self) -> Batch: ...


class Images(NamedTuple):
    """A set of images at rest."""

    pixels: Tensor
    """uint8, shape (n, channels, height, width)."""
    labels: Tensor
    """int64, shape (n,)."""

    @property
    def content(self) -> Tensor:
        return self.pixels

    def at(self, indices: Tensor | slice) -> "Images":
        return Images(self.pixels[indices], self.labels[indices])

    def to(self, device: torch.device) -> "Images":
        return Images(self.pixels.to(device), self.labels.to(device))

    def to_batch(self) -> Batch:
        return Batch(self.pixels.to(torch.float32).div_(255), self.labels)


class Points(NamedTuple):
    """A set of points at rest."""

    positions: Tensor
    """float32, shape (n, dimensions)."""
    labels: Tensor
    """int64, shape (n,)."""

    @property
    def content(self) -> Tensor:
        return self.positions

    def at(self, indices: Tensor | slice) -> "Points":
        return Points(self.positions[indices], self.labels[indices])

    def to(self, device: torch.device) -> "Points":
        return Points(self.positions.to(device), self.labels.to(device))

    def to_batch(self) -> Batch:
        return Batch(*self)


class SequentialLoader:
    """Every image once, in order, the last batch perhaps smaller: for held-out data."""

    def __init__(self, images: Dataset, batch_size: int) -> None:
        self.images = images
        self.batch_size = batch_size

    def __len__(self) -> int:
        return ceil(len(self.images.labels) / self.batch_size)

    def __iter__(self) -> Iterator[Batch]:
        for start in range(0, len(self.images.labels), self.batch_size):
            yield self.images.at(slice(start, start + self.batch_size)).to_batch()


class ShuffledLoader:
    """Full batches in random order; the order of an epoch is a function of (seed, epoch).

    An epoch is as many batches as fit in one pass. ``replacement=True`` draws each index anew instead of each once.
    The position is part of the state, so that a run that stopped within an epoch goes on where it was.
    """

    def __init__(self, images: Dataset, batch_size: int, seed: int, *, replacement: bool = False) -> None:
        self.images = images
        self.batch_size = batch_size
        self.seed = seed
        self.replacement = replacement
        self.epoch = 0
        self.position = 0

    def __len__(self) -> int:
        return len(self.images.labels) // self.batch_size

    def move_to(self, device: torch.device) -> None:
        """Keep the samples in a device's memory, where a batch is then picked: nothing is copied in a step."""
        self.images = self.images.to(device)

    def __iter__(self) -> Iterator[Batch]:
        # the trainer counts batches and leaves the last iterator suspended, so an epoch ends where the next one begins
        if self.position == len(self):
            self.epoch, self.position = self.epoch + 1, 0
        order = self._order().to(self.images.labels.device).split(self.batch_size)
        while self.position < len(self):
            indices = order[self.position]
            self.position += 1  # before the yield: state saved while this batch trains counts it as seen
            yield self.images.at(indices).to_batch()

    def _order(self) -> Tensor:
        random = torch.Generator().manual_seed(derive_seed(self.seed, "data", self.epoch))
        count, used = len(self.images.labels), len(self) * self.batch_size
        if self.replacement:
            return torch.randint(count, (used,), generator=random)
        return torch.randperm(count, generator=random)[:used]

    def state_dict(self) -> dict[str, Any]:
        return {"epoch": self.epoch, "position": self.position}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.epoch, self.position = state["epoch"], state["position"]
