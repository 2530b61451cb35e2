"""Base class of data modules of points, and mixtures of Gaussians with known modes."""

import hashlib
from dataclasses import dataclass
from typing import Annotated, Any

import torch
from pydantic import Field, NonNegativeInt, PositiveInt
from torch import Tensor

from gans.data.batches import Dataset
from gans.data.extractor import ExtractedFeatures
from gans.data.source import Source
from gans.errors import InputError
from gans.randomness import derive_seed


@dataclass(frozen=True)
class Mixture:
    """Gaussians of equal weight and standard deviation, which also serve as a feature extractor for points.

    Features are the coordinates. Logits are the log-densities of the modes, up to a constant.
    """

    name: str
    modes: Tensor
    """Shape (k, dimensions)."""
    deviation: float

    def draw(self, count: int, random: torch.Generator) -> Dataset:
        labels = torch.randint(len(self.modes), (count,), generator=random)
        noise = torch.randn(count, self.modes.shape[1], generator=random)
        return Dataset(self.modes[labels] + self.deviation * noise, labels)

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.modes.numpy().tobytes() + str(self.deviation).encode()).hexdigest()

    def extract(self, samples: Tensor) -> ExtractedFeatures:
        squares = (samples[:, None] - self.modes).square().sum(2)
        return ExtractedFeatures(samples, -squares / max(2 * self.deviation**2, torch.finfo().tiny))

    def to(self, device: torch.device) -> None:
        """Does nothing: features are computed on the host."""


class PointData(Source):
    """Points drawn from a mixture, independently for training, validation and test.

    A subclass sets ``feature_extractor``, the mixture, and ``extent``.

    Args:
        train_size, val_size, test_size: numbers of points.
    """

    feature_extractor: Mixture

    def __init__(
        self,
        train_size: PositiveInt = 100_000,
        val_size: NonNegativeInt = 2_500,
        test_size: Annotated[int, Field(ge=1)] = 2_500,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.sizes = {"train": train_size, "val": val_size, "test": test_size}

    @property
    def classes(self) -> list[int]:
        """The indices of the modes."""
        return list(range(len(self.feature_extractor.modes)))

    def split(self) -> tuple[Dataset, Dataset, Dataset]:
        for name in ("feature_extractor", "extent"):
            if getattr(self, name, None) is None:
                raise InputError(
                    f"data={self.source}: {type(self).__name__} has no {name}: set self.{name} in its __init__"
                )
        streams = {name: torch.Generator().manual_seed(derive_seed(self.split_seed, name)) for name in self.sizes}
        train, val, test = (self.feature_extractor.draw(size, streams[name]) for name, size in self.sizes.items())
        return train, val, test

    def to_metric_format(self, samples: Dataset) -> Dataset:
        return Dataset(samples.content, self.to_source(samples.labels))

    def to_dataset(self, images: Tensor, labels: Tensor) -> Dataset:
        return Dataset(images.float().cpu(), labels.cpu())
