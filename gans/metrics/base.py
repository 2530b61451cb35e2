"""Base classes of metrics, and the data that they evaluate."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from torch import Tensor

from gans.data.batches import Dataset


class SampleFeatures(NamedTuple):
    """Samples with their extracted features, row by row."""

    images: Tensor
    """White-on-black images, uint8, shape (n, channels, height, width), or points, float32, shape (n, dimensions)."""
    labels: Tensor
    """The source's classes (0 to 9 for digits), int64, shape (n,): true for real samples, requested for generated ones,
    ``NO_CLASS`` if none was requested."""
    features: Tensor
    """float32, shape (n, d)."""
    logits: Tensor
    """Logits of the features' classes, which are the source's but for Inception's, float32, shape (n, classes); (n, 0)
    for training samples, to save memory."""

    def select(self, indices: Tensor) -> "SampleFeatures":
        """The samples at these indices, or where a boolean mask is true."""
        return SampleFeatures(*(field[indices] for field in self))

    @property
    def predicted(self) -> Tensor:
        """The class with the largest logit, shape (n,)."""
        return self.logits.argmax(1)


@dataclass(frozen=True, eq=False)
class EvaluationData:
    """The input of a metric, on the host."""

    real: SampleFeatures
    """Held-out samples."""
    fake: SampleFeatures
    """As many generated samples, or real training samples to compute a metric's floor."""
    classes: list[int]
    """The source's classes that the run uses."""
    training: Callable[[], SampleFeatures]
    """Returns the training samples; their features are extracted at the first call."""
    more: Callable[[int], Dataset]
    """Returns a number of further samples like ``fake``, white on black, labelled with the requested classes."""
    source_size: int
    """How many real samples ``more`` can give: the source's training samples, in a test with those of validation."""
    conditional: bool = False
    """Whether the generator takes classes."""
    classes_are_known: bool = True
    """Whether the source has classes, so that labels and the features' logits mean them."""
    inverted: bool = False
    """Whether the run's images are black on white. Here all images are white on black."""
    answers: Tensor | None = None
    """For a generator that transforms images: the exact answer for each of ``fake``, in the format of its images."""


class Metric(ABC):
    """A metric, which computes one or more named values.

    Args:
        during_training: compute it at every validation, not only in the final test.
    """

    values: ClassVar[tuple[str, ...]] = ()
    """The names of its values, those of single classes left out; () if they are not known before."""
    minimum: ClassVar[int] = 2
    """The smallest number of held-out samples for which the metric is defined."""
    uses_features: ClassVar[bool] = True
    epochs: int | None = None
    """For how many epochs it trains a classifier, for the names of its values; None if it trains none."""

    def __init__(self, during_training: bool = False) -> None:
        self.during_training = during_training

    def applies(self, data: EvaluationData) -> bool:
        """Whether the metric is defined for these samples."""
        return True

    def image_count(self, data: EvaluationData) -> int:
        """The number of samples of each kind that it uses, for the names of its values."""
        return len(data.real.labels)

    @abstractmethod
    def compute(self, data: EvaluationData) -> dict[str, float]:
        """The values by name."""

    def artifacts(self, data: EvaluationData) -> dict[str, Tensor]:
        """Arrays for the run folder, from which figures are drawn; by default none."""
        return {}


class ImageMetric(Metric):
    """A metric that is defined for images only."""

    def applies(self, data: EvaluationData) -> bool:
        return data.real.images.ndim == 4
