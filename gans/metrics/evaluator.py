"""From generated samples to named metric values, and the values that real samples reach."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from numbers import Real
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from gans.data.batches import Dataset
from gans.data.extractor import FeatureExtractor
from gans.data.progress import ProgressBar
from gans.data.source import Source
from gans.errors import InputError, TrainingError, one_line, warn_once
from gans.files import cache_folder, write_json
from gans.metrics.base import EvaluationData, Metric, SampleFeatures
from gans.metrics.name import MetricName
from gans.randomness import derive_seed

Subset = Literal["val", "test"]


@dataclass(frozen=True)
class GeneratedSamples:
    """Generated samples, one for each held-out sample."""

    images: Tensor
    """float, in the shape and range of the data's batches."""
    labels: Tensor
    """The requested class indices, shape (n,); ``NO_CLASS`` if none was requested."""
    more: Callable[[int], tuple[Tensor, Tensor]]
    """Returns a number of further samples and their requested class indices."""
    conditional: bool
    """Whether the generator takes classes."""
    transforms: bool
    """Whether the generator transforms images: then the held-out images are the exact answers."""
    sampling: str | None = None
    """How they were chosen, for the names of metrics; None if every sample is used."""


@dataclass
class MetricResults:
    values: dict[str, float] = field(default_factory=dict)
    """Values by ``MetricName``, as text."""
    left_out: dict[str, str] = field(default_factory=dict)
    """The reason for each metric that could not be computed."""
    artifacts: dict[str, dict[str, Tensor]] = field(default_factory=dict)


class Evaluator:
    """Computes metrics of generated and held-out samples.

    Args:
        metrics: the metrics by name.
        features: the feature extractor for the data's samples.
        data: the data module, set up.
        max_samples: the largest number of samples of each kind to evaluate.
    """

    def __init__(
        self, metrics: Mapping[str, Metric], features: FeatureExtractor, data: Source, max_samples: int
    ) -> None:
        self.metrics = metrics
        self.features = features
        self.data = data
        self.max_samples = max_samples
        self._evaluation_data = partial(
            EvaluationData,
            classes=data.classes,
            inverted=data.invert,
            classes_are_known=len(data.class_names) > 1,
        )
        self._real: dict[Subset, SampleFeatures] = {}

    @torch.no_grad()
    def require_match(self) -> None:
        """Refuse features that can't describe the data's samples and classes, before training, with an InputError."""
        samples = self.data.to_metric_format(self.data.test_images.select(slice(2)))
        shape = "x".join(map(str, samples.content.shape[1:]))
        try:
            known = self.features.extract(samples.content).logits.shape[1]
        except (RuntimeError, ValueError, IndexError) as error:
            raise InputError(
                f"the features {self.features.name} can't describe samples of {shape} ({one_line(error)}): use "
                "metric=none, or other data"
            ) from error
        if known <= max(self.data.classes):
            raise InputError(
                f"the features {self.features.name} know {known} classes, but data={self.data.source} has class "
                f"{max(self.data.classes)}: use metric=none, or other data"
            )

    def held_out(self, subset: Subset) -> Dataset:
        """The held-out samples to evaluate: all, or ``max_samples`` of them, evenly spaced."""
        images = self.data.subsets[subset]
        total = len(images.labels)
        count = min(total, self.max_samples)
        return images.select(torch.arange(count) * total // max(count, 1))

    def evaluate(self, subset: Subset, generated: GeneratedSamples) -> MetricResults:
        """In a test all metrics, else those with ``during_training``; a TrainingError for non-finite samples."""
        if not bool(torch.isfinite(generated.images).all()):
            raise TrainingError("the generator makes images that are not finite: its weights have diverged")
        real = self.real(subset)
        evaluation_data = self._evaluation_data(
            real=real,
            source_size=sum(len(part.labels) for part in self._sources(subset)),
            fake=self._sample(self.data.to_dataset(generated.images, generated.labels)),
            training=lambda: self.training,
            more=lambda count: self.data.to_metric_format(self.data.to_dataset(*generated.more(count))),
            conditional=generated.conditional,
            answers=real.images if generated.transforms else None,
        )
        return self._compute(subset, evaluation_data, generated.sampling)

    def floors(self, subset: Subset, *, conditional: bool, transforms: bool) -> dict[str, float]:
        """The metrics of real training samples in place of generated ones, cached per user; empty if there are too few.

        The samples in place of generated ones are removed from the training samples.
        """
        real = self.real(subset)
        count, pool = len(real.labels), self.data.train_pool
        if count == 0 or count >= len(pool.labels):
            return {}
        random = torch.Generator().manual_seed(derive_seed(self.data.split_seed, "floor"))
        chosen = torch.randperm(len(pool.labels), generator=random)[:count].sort().values
        taken = torch.zeros(len(pool.labels), dtype=torch.bool).index_fill(0, chosen, value=True)
        others = ~taken[self.data.train_indices]
        if not bool(others.any()):
            return {}
        fake = self._sample(pool.select(chosen))
        evaluation_data = self._evaluation_data(
            real=real,
            source_size=sum(len(part.labels) for part in self._sources(subset)),
            fake=fake,
            training=lambda: self.training.select(others),
            more=lambda count: self.data.to_metric_format(self._random_real_samples(subset, count)),
            conditional=conditional,
            answers=fake.images if transforms else None,
        )
        sets = (self.data.train_images.select(others), pool, self.data.val_images)
        others_read = (part for samples in sets for part in self.data.to_metric_format(samples))
        key = _digest(real.images, real.labels, fake.images, fake.labels, *others_read, self.features.sha256)
        return self._compute(subset, evaluation_data, cache_key=key).values

    def name(self, metric: str, subset: Subset) -> str | None:
        """The full name of a metric in the results of a subset; None if it is not computed."""
        chosen = self.metrics.get(metric)
        count = len(self.held_out(subset).labels)
        if chosen is None or count < chosen.minimum or (subset == "val" and not chosen.during_training):
            return None
        return str(MetricName(metric, count, self.features.name))

    def real(self, subset: Subset) -> SampleFeatures:
        """The held-out samples with features, which are extracted once."""
        if subset not in self._real:
            self._real[subset] = self._sample(self.held_out(subset))
        return self._real[subset]

    @cached_property
    def training(self) -> SampleFeatures:
        """The training samples with features, which are extracted once, when a metric first needs them."""
        sample = self._sample(self.data.train_images)
        return sample._replace(logits=sample.logits[:, :0].clone())  # logits of 1,000 classes would fill the memory

    def _sources(self, subset: Subset) -> list[Dataset]:
        """What a metric may train on: the training samples, and in a test those of validation too."""
        return [self.data.train_pool, *([] if subset == "val" else [self.data.val_images])]

    def _random_real_samples(self, subset: Subset, count: int) -> Dataset:
        parts = self._sources(subset)
        samples = type(parts[0])(*(torch.cat(each) for each in zip(*parts, strict=True)))
        random = torch.Generator().manual_seed(derive_seed(0, "floor/more"))
        return samples.select(torch.randperm(len(samples.labels), generator=random)[:count])

    def _compute(
        self, subset: Subset, data: EvaluationData, sampling: str | None = None, cache_key: str | None = None
    ) -> MetricResults:
        results = MetricResults()
        for name, metric in self.metrics.items():
            if subset == "val" and not metric.during_training:
                continue
            given = data if is_of_package(metric) else copied(data)  # numpy makes it easy to change what others use too
            if not metric.applies(given):
                results.left_out[name] = "not of this data or model"
                continue
            if (count := len(given.real.labels)) < metric.minimum:
                results.left_out[name] = f"{count} images of each kind are too few: it needs {metric.minimum}"
                continue
            images, features = metric.image_count(given), self.features.name if metric.uses_features else None
            with ProgressBar(f"{'real images' if cache_key else 'generated images'}, {subset}: {name}"):
                values = _cached(cache_key, name, metric, given) if cache_key else compute(name, metric, given)
                protocol = images, features, metric.epochs, sampling
                named = {str(MetricName(figure, *protocol)): value for figure, value in values.items()}
                if doubled := sorted(named.keys() & results.values.keys()):
                    raise InputError(f"metric.{name}: another metric has a value '{doubled[0]}' too: rename one")
                results.values |= named
                if subset == "test" and not cache_key and (artifacts := metric.artifacts(given)):
                    results.artifacts[name] = artifacts
        return results

    def _sample(self, samples: Dataset) -> SampleFeatures:
        images, labels = self.data.to_metric_format(samples)
        return SampleFeatures(images, labels, *self.features.extract(images))


def compute(name: str, metric: Metric, data: EvaluationData) -> dict[str, float]:
    """A metric's values as Python numbers; an InputError that names it for other values."""
    values, owner = metric.compute(data), f"metric.{name}: {type(metric).__name__}.compute"
    if not isinstance(values, Mapping) or not values or not all(isinstance(key, str) and key for key in values):
        what = "no value" if isinstance(values, Mapping) and not values else f"a {type(values).__name__}"
        raise InputError(f"{owner} returns {what}: return numbers by name, as {{'{name}': 0.5}}")
    if wrong := {figure: value for figure, value in values.items() if not isinstance(value, Real)}:
        figure, value = next(iter(wrong.items()))
        raise InputError(f"{owner} returns '{figure}' as {type(value).__name__}, no number: return float(...) of it")
    return {figure: float(value) for figure, value in values.items()}


def is_of_package(metric: Metric) -> bool:
    return type(metric).__module__.startswith(f"{__package__}.")


def copied(data: EvaluationData) -> EvaluationData:
    """The same data in tensors of its own."""

    def copies(samples: SampleFeatures) -> SampleFeatures:
        return SampleFeatures(*(part.clone() for part in samples))

    answers = None if data.answers is None else data.answers.clone()
    real, fake = copies(data.real), copies(data.fake)
    return replace(data, real=real, fake=fake, training=lambda: copies(data.training()), answers=answers)


def _digest(*parts: Tensor | str) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part.encode() if isinstance(part, str) else part.contiguous().reshape(-1).numpy().data)
    return digest.hexdigest()


def _cached(key: str, name: str, metric: Metric, data: EvaluationData) -> dict[str, float]:
    """The metric's values, from the user's cache if the same code has computed them of the same samples.

    Those of a user's own metric are computed each time: it may depend on anything.
    """
    if not is_of_package(metric):
        return compute(name, metric, data)
    code = [path.read_text(encoding="utf-8") for path in sorted(Path(__file__).parent.glob("*.py"))]
    made_of = repr((code, sorted(vars(metric).items()), data.conditional, data.inverted, data.answers is None))
    path = cache_folder() / "floors" / f"{name}-{_digest(key, made_of)[:24]}.json"
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        values = compute(name, metric, data)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, values)
    except OSError as error:
        warn_once(
            f"'{path.parent}' can't be written ({error.strerror or error}), so every run computes its floors again: "
            "name another folder with GANS_CACHE"
        )
    return values
