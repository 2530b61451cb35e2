"""From images to named figures: what is described, what is computed of it, and how far from perfect that is."""

import hashlib
import inspect
import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from gans.data.batches import Dataset
from gans.data.extractor import FeatureExtractor
from gans.data.source import Source
from gans.errors import TrainingError
from gans.files import cache_folder, write_json
from gans.metrics.base import EvaluationData, Metric, SampleFeatures
from gans.metrics.name import MetricName
from gans.randomness import derive_seed

Subset = Literal["val", "test"]


@dataclass(frozen=True)
class Generated:
    """What a generator made for held-out images."""

    images: Tensor
    """float, as the data's batches are, with their shape: of images [0, 1], in the data's colours."""
    labels: Tensor
    """Indices into the data's classes; ``NO_CLASS`` where none was asked for."""
    more: Callable[[int], tuple[Tensor, Tensor]]
    """Further images, with the class indices that were asked for."""
    conditional: bool
    transforms: bool
    """Whether each image was made from the held-out image's negative, so that this is the exact answer."""


@dataclass
class MetricResults:
    values: dict[str, float] = field(default_factory=dict)
    """Figures under their full names: what, of how many images, by which features."""
    left_out: dict[str, str] = field(default_factory=dict)
    """Metrics that could not be computed, and why."""
    artifacts: dict[str, dict[str, Tensor]] = field(default_factory=dict)


class Evaluator:
    """Judges generated images against held-out ones.

    Args:
        metrics: what to compute, by name.
        features: what describes the data's samples.
        data: set up. Inverted images are inverted back before anything looks at them.
        most: images of each kind that figures are computed of, at most.
    """

    def __init__(self, metrics: Mapping[str, Metric], features: FeatureExtractor, data: Source[Any], most: int) -> None:
        self.metrics = metrics
        self.features = features
        self.data = data
        self.most = most
        self._real: dict[Subset, SampleFeatures] = {}

    def held_out(self, subset: Subset) -> Dataset:
        """The held-out images of a subset that are generated for: all, or ``most`` of them, evenly spaced."""
        images = self.data.subsets[subset]
        total = len(images.labels)
        count = min(total, self.most)
        return images.at(torch.arange(count) * total // max(count, 1))

    def evaluate(self, subset: Subset, generated: Generated) -> MetricResults:
        """Validation computes the metrics that are meant for it, a test all of them.

        Raises:
            TrainingError: where an image is not finite.
        """
        if not bool(torch.isfinite(generated.images).all()):
            raise TrainingError("the generator makes images that are not finite: its weights have diverged")
        real = self.real(subset)
        evaluation_data = EvaluationData(
            real=real,
            fake=self._sample(self.data.to_dataset(generated.images, generated.labels)),
            classes=self.data.classes,
            training=lambda: self.training,
            more=lambda count: self.data.to_metric_format(self.data.to_dataset(*generated.more(count))),
            source_size=self._source_size,
            conditional=generated.conditional,
            inverted=self.data.inverted,
            answers=real.images if generated.transforms else None,
        )
        return self._compute(subset, evaluation_data)

    def floors(self, subset: Subset, *, conditional: bool, transforms: bool) -> dict[str, float]:
        """The same figures of as many real training images; kept in the user's cache. Empty where there are too few.

        The images that take the place of generated ones are not among the training images that they are compared with.
        """
        real = self.real(subset)
        count, pool = len(real.labels), self.data.pool
        if count == 0 or count >= len(pool.labels):
            return {}
        random = torch.Generator().manual_seed(derive_seed(self.data.split_seed, "floor"))
        chosen = torch.randperm(len(pool.labels), generator=random)[:count].sort().values
        taken = torch.zeros(len(pool.labels), dtype=torch.bool).index_fill(0, chosen, value=True)
        compared = ~taken[self.data.kept]
        fake = self._sample(pool.at(chosen))
        evaluation_data = EvaluationData(
            real=real,
            fake=fake,
            classes=self.data.classes,
            training=lambda: self.training.at(compared),
            more=lambda count: self.data.to_metric_format(_some(self._source, count)),
            source_size=self._source_size,
            conditional=conditional,
            inverted=self.data.inverted,
            answers=fake.images if transforms else None,
        )
        sets = (self.data.train_images.at(compared), pool, self.data.val_images)
        contents = (self.data.to_metric_format(samples).content for samples in sets)
        key = _digest(real.images, fake.images, *contents, self.features.sha256)
        return self._compute(subset, evaluation_data, cache_key=key).values

    def name(self, metric: str, subset: Subset) -> str | None:
        """The full name of the first figure of a metric in a subset's results; None where it is not computed."""
        chosen = self.metrics.get(metric)
        count = len(self.held_out(subset).labels)
        if chosen is None or count < chosen.minimum or (subset == "val" and not chosen.during_training):
            return None
        return str(MetricName(metric, count, self.features.name))

    def real(self, subset: Subset) -> SampleFeatures:
        """The held-out images, described once."""
        if subset not in self._real:
            self._real[subset] = self._sample(self.held_out(subset))
        return self._real[subset]

    @cached_property
    def training(self) -> SampleFeatures:
        """The training images, described once, when a metric first asks."""
        sample = self._sample(self.data.train_images)
        return sample._replace(logits=sample.logits[:, :0].clone())  # a thousand classes would fill the memory

    @property
    def _source_size(self) -> int:
        return len(self.data.pool.labels) + len(self.data.val_images.labels)

    @property
    def _source(self) -> Dataset:
        """All of the source's training images, those held out for validation too, in the chosen classes."""
        parts = (self.data.pool, self.data.val_images)
        return type(self.data.pool)(*(torch.cat(pair) for pair in zip(*parts, strict=True)))

    def _compute(self, subset: Subset, data: EvaluationData, cache_key: str | None = None) -> MetricResults:
        results = MetricResults()
        for name, metric in self.metrics.items():
            if (subset == "val" and not metric.during_training) or not metric.applies(data):
                continue
            if len(data.real.labels) < metric.minimum:
                results.left_out[name] = (
                    f"{len(data.real.labels)} held-out images are too few: it needs {metric.minimum}"
                )
                continue
            images, features = metric.image_count(data), self.features.name if metric.uses_features else None
            values = _cached(cache_key, name, metric, data) if cache_key else metric.compute(data)
            results.values |= {str(MetricName(figure, images, features)): value for figure, value in values.items()}
            if subset == "test" and not cache_key and (artifacts := metric.artifacts(data)):
                results.artifacts[name] = artifacts
        return results

    def _sample(self, samples: Dataset) -> SampleFeatures:
        images, labels = self.data.to_metric_format(samples)
        return SampleFeatures(images, labels, *self.features.extract(images))


def _some(images: Dataset, count: int) -> Dataset:
    random = torch.Generator().manual_seed(derive_seed(0, "floor/more"))
    return images.at(torch.randperm(len(images.labels), generator=random)[:count])


def _digest(*parts: Tensor | str) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part.encode() if isinstance(part, str) else part.contiguous().reshape(-1).numpy().data)
    return digest.hexdigest()


def _cached(key: str, name: str, metric: Metric, data: EvaluationData) -> dict[str, float]:
    """What the metric computes, from the user's cache where it has been computed of the same images before."""
    code = Path(inspect.getfile(type(metric))).read_text(encoding="utf-8")
    asked = repr((code, sorted(vars(metric).items()), data.conditional, data.inverted))
    path = cache_folder() / "floors" / f"{name}-{_digest(key, asked)[:24]}.json"
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        values = metric.compute(data)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, values)
    except OSError as error:
        print(
            f"warning: '{path.parent}' can't be written ({error.strerror}), so that floors are computed anew in each run: "
            "name another folder with GANS_CACHE",
            file=sys.stderr,
        )
    return values
