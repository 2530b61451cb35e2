"""What a metric is, and what it looks at."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from torch import Tensor

from gans.data.batches import Dataset


class SampleFeatures(NamedTuple):
    """Images and what the feature network says of them, row by row."""

    images: Tensor
    """Of images their pixels, white on black, uint8, shape (n, channels, 28, 28); of points their coordinates."""
    labels: Tensor
    """The class of each image, of the source's (0 to 9 for digits), int64, shape (n,): the true one of a real image,
    the one asked for of a generated image, ``NO_CLASS`` where none was."""
    features: Tensor
    """float32, shape (n, d)."""
    logits: Tensor
    """Of the source's classes, float32, shape (n, classes). Of training images none are kept: shape (n, 0)."""

    def at(self, indices: Tensor) -> "SampleFeatures":
        """The rows at these indices, or where a boolean mask is true."""
        return SampleFeatures(*(field[indices] for field in self))

    @property
    def named(self) -> Tensor:
        """The class that the feature network sees in each image, shape (n,)."""
        return self.logits.argmax(1)


@dataclass(frozen=True, eq=False)
class EvaluationData:
    """What there is to judge a generator by. All is on the host.

    To learn how far from perfect a figure is, the same metric is asked of real training images in the place of the
    generated ones.
    """

    real: SampleFeatures
    """Held-out images."""
    fake: SampleFeatures
    """As many generated ones."""
    classes: list[int]
    """The source's classes that the run is about."""
    training: Callable[[], SampleFeatures]
    """The training images; described when first asked for."""
    more: Callable[[int], Dataset]
    """Further images from where ``fake`` came from, white on black, with the classes that were asked for."""
    source_size: int
    """How many images the source has for training and validation."""
    conditional: bool = False
    """Whether the generator was asked for classes."""
    inverted: bool = False
    """Whether the run's own images are black on white. Here all are white on black."""
    answers: Tensor | None = None
    """The exact answer to each of ``fake``, pixels as in ``SampleFeatures``, where the generator transforms images."""


class Metric(ABC):
    """One figure of merit, or several that are computed together.

    Args:
        during_training: computed at every validation too, not in the test alone.
    """

    minimum: ClassVar[int] = 2
    """The fewest held-out images for which it means anything."""
    uses_features: ClassVar[bool] = True

    def __init__(self, during_training: bool = False) -> None:
        self.during_training = during_training

    def applies(self, data: EvaluationData) -> bool:
        """Whether the question makes sense for such a generator."""
        return True

    def image_count(self, data: EvaluationData) -> int:
        """How many images of each kind it looks at, for the figures' names."""
        return len(data.real.labels)

    @abstractmethod
    def compute(self, data: EvaluationData) -> dict[str, float]:
        """Named figures. The first name is the metric's own."""

    def artifacts(self, data: EvaluationData) -> dict[str, Tensor]:
        """What a figure of this metric shows, as arrays for the run folder; by default nothing."""
        return {}


class ImageMetric(Metric):
    """One that looks at pixels."""

    def applies(self, data: EvaluationData) -> bool:
        return data.real.images.ndim == 4
