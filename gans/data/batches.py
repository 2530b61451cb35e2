"""Batches by tensor indexing: a data set lies in memory once, images as uint8."""

import hashlib
from collections.abc import Iterator
from math import ceil
from typing import Any, NamedTuple

import torch
from torch import Tensor

from gans.randomness import derive_seed


class Batch(NamedTuple):
    images: Tensor
    """float32: images in [0, 1], shape (n, channels, height, width), or points, shape (n, dimensions)."""
    labels: Tensor
    """Indices into the data module's ``classes``, int64, shape (n,)."""

    def to(self, device: torch.device) -> "Batch":
        return Batch(self.images.to(device), self.labels.to(device))


class Dataset(NamedTuple):
    """Samples and their labels in memory."""

    content: Tensor
    """Images, uint8, shape (n, channels, height, width); or points, float32, shape (n, dimensions)."""
    labels: Tensor
    """Class indices, int64, shape (n,)."""

    def select(self, indices: Tensor | slice) -> "Dataset":
        """The samples at these indices, or where a boolean mask is true."""
        return Dataset(self.content[indices], self.labels[indices])

    def sha256(self) -> str:
        """A digest of all samples and labels in order, which is the same on every platform."""
        digest = hashlib.sha256()
        for part in (self.content, self.labels):
            values = part.contiguous().numpy()
            values = values.astype(values.dtype.newbyteorder("<"), copy=False)
            digest.update(f"{values.dtype.str} {values.shape}".encode())
            digest.update(values.data)
        return digest.hexdigest()

    def to(self, device: torch.device) -> "Dataset":
        return Dataset(self.content.to(device), self.labels.to(device))

    def to_batch(self) -> Batch:
        """The samples as networks take them: pixels in [0, 1], and points as they are."""
        is_image = self.content.dtype == torch.uint8
        return Batch(self.content.to(torch.float32).div_(255) if is_image else self.content, self.labels)


class SequentialLoader:
    """Batches of held-out samples: every sample once, in order. The last batch may be smaller."""

    def __init__(self, images: Dataset, batch_size: int) -> None:
        self.images = images
        self.batch_size = batch_size

    def __len__(self) -> int:
        return ceil(len(self.images.labels) / self.batch_size)

    def __iter__(self) -> Iterator[Batch]:
        for start in range(0, len(self.images.labels), self.batch_size):
            yield self.images.select(slice(start, start + self.batch_size)).to_batch()


class ShuffledLoader:
    """Full batches in random order, which is a function of (seed, epoch).

    ``replacement=True`` draws every index independently, for as many batches as one pass has. The state includes the
    position, so that a run can resume within an epoch.
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
        """Move the samples to a device, so that a training step copies nothing."""
        self.images = self.images.to(device)

    def __iter__(self) -> Iterator[Batch]:
        # Lightning never exhausts the iterator, so the next iteration starts the next epoch
        if self.position == len(self):
            self.epoch, self.position = self.epoch + 1, 0
        order = self._order().to(self.images.labels.device).split(self.batch_size)
        while self.position < len(self):
            indices = order[self.position]
            self.position += 1  # before the yield: a state saved while this batch trains must count it
            yield self.images.select(indices).to_batch()

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
