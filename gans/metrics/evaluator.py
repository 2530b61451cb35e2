"""From images to named figures: what is described, what is computed of it, and how far from perfect that is."""

import hashlib
import inspect
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import torch
import torch.distributed
from torch import Tensor

from gans.cache import cache_folder
from gans.data.batches import Stored
from gans.data.description import Describer
from gans.data.source import Source
from gans.errors import InputError, TrainingError
from gans.files import write_json
from gans.metrics.base import Evidence, Metric, Sample
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
class Findings:
    values: dict[str, float] = field(default_factory=dict)
    """Figures under their full names: what, of how many images, by which features."""
    left_out: dict[str, str] = field(default_factory=dict)
    """Metrics that could not be computed, and why."""
    exhibits: dict[str, dict[str, Tensor]] = field(default_factory=dict)


class Evaluator:
    """Judges generated images against held-out ones.

    Args:
        metrics: what to compute, by name.
        features: what describes the data's samples.
        data: set up. Inverted images are inverted back before anything looks at them.
        most: images of each kind that figures are computed of, at most.
    """

    def __init__(self, metrics: Mapping[str, Metric], features: Describer, data: Source[Any], most: int) -> None:
        self.metrics = metrics
        self.features = features
        self.data = data
        self.most = most
        self._real: dict[Subset, Sample] = {}

    def held_out(self, subset: Subset) -> Stored:
        """The held-out images of a subset that are generated for: all, or ``most`` of them, evenly spaced."""
        images = self.data.subsets[subset]
        total = len(images.labels)
        count = min(total, self.most)
        return images.at(torch.arange(count) * total // max(count, 1))

    def judge(self, subset: Subset, generated: Generated) -> Findings:
        """Validation computes the metrics that are meant for it, a test all of them.

        Raises:
            TrainingError: where an image is not finite.
        """
        if not bool(torch.isfinite(generated.images).all()):
            raise TrainingError("the generator makes images that are not finite: its weights have diverged")
        real = self.real(subset)
        evidence = Evidence(
            real=real,
            fake=self._sample(self.data.stored(generated.images, generated.labels)),
            classes=self.data.classes,
            training=lambda: self.training,
            more=lambda count: self.data.canonical(self.data.stored(*generated.more(count))),
            source_size=self._source_size,
            conditional=generated.conditional,
            inverted=self.data.inverted,
            answers=real.images if generated.transforms else None,
        )
        return self._findings(subset, evidence)

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
        evidence = Evidence(
            real=real,
            fake=fake,
            classes=self.data.classes,
            training=lambda: self.training.at(compared),
            more=lambda count: self.data.canonical(_some(self._source, count)),
            source_size=self._source_size,
            conditional=conditional,
            inverted=self.data.inverted,
            answers=fake.images if transforms else None,
        )
        sets = (self.data.train_images.at(compared), pool, self.data.val_images)
        contents = (self.data.canonical(samples).content for samples in sets)
        key = _digest(real.images, fake.images, *contents, self.features.sha256)
        return self._findings(subset, evidence, cache_key=key).values

    def name(self, metric: str, subset: Subset) -> str | None:
        """The full name of the first figure of a metric in a subset's findings; None where it is not computed."""
        chosen = self.metrics.get(metric)
        count = len(self.held_out(subset).labels)
        if chosen is None or count < chosen.minimum or (subset == "val" and not chosen.during_training):
            return None
        return f"{metric}_{count}_{self.features.name}"

    def real(self, subset: Subset) -> Sample:
        """The held-out images, described once."""
        if subset not in self._real:
            self._real[subset] = self._sample(self.held_out(subset))
        return self._real[subset]

    @cached_property
    def training(self) -> Sample:
        """The training images, described once, when a metric first asks."""
        sample = self._sample(self.data.train_images)
        return sample._replace(logits=sample.logits[:, :0].clone())  # a thousand classes would fill the memory

    @property
    def _source_size(self) -> int:
        return len(self.data.pool.labels) + len(self.data.val_images.labels)

    @property
    def _source(self) -> Stored:
        """All of the source's training images, those held out for validation too, in the chosen classes."""
        parts = (self.data.pool, self.data.val_images)
        return type(self.data.pool)(*(torch.cat(pair) for pair in zip(*parts, strict=True)))

    def _findings(self, subset: Subset, evidence: Evidence, cache_key: str | None = None) -> Findings:
        findings = Findings()
        for name, metric in self.metrics.items():
            if (subset == "val" and not metric.during_training) or not metric.applies(evidence):
                continue
            if len(evidence.real.labels) < metric.minimum:
                findings.left_out[name] = (
                    f"{len(evidence.real.labels)} held-out images are too few: it needs {metric.minimum}"
                )
                continue
            suffix = metric.protocol(evidence) + (f"_{self.features.name}" if metric.uses_features else "")
            values = _cached(cache_key, name, metric, evidence) if cache_key else metric.compute(evidence)
            findings.values |= {f"{figure}_{suffix}": value for figure, value in values.items()}
            if subset == "test" and not cache_key and (exhibit := metric.exhibit(evidence)):
                findings.exhibits[name] = exhibit
        return findings

    def _sample(self, samples: Stored) -> Sample:
        images, labels = self.data.canonical(samples)
        return Sample(images, labels, *self.features.describe(images))


def gather_rows(rows: Tensor) -> Tensor:
    """The rows of all processes, interleaved: row i of process p of n becomes row n * i + p. One process: the same.

    Processes may differ by one row, the first ones having more.
    """
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return rows
    parts: list[Any] = [None] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(parts, rows.cpu())
    total = sum(len(part) for part in parts)
    gathered = parts[0].new_empty((total, *rows.shape[1:]))
    for process, part in enumerate(parts):
        gathered[process :: len(parts)] = part
    return gathered


def _some(images: Stored, count: int) -> Stored:
    random = torch.Generator().manual_seed(derive_seed(0, "floor/more"))
    return images.at(torch.randperm(len(images.labels), generator=random)[:count])


def _digest(*parts: Tensor | str) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part.encode() if isinstance(part, str) else part.contiguous().reshape(-1).numpy().data)
    return digest.hexdigest()


def _cached(key: str, name: str, metric: Metric, evidence: Evidence) -> dict[str, float]:
    """What the metric computes, from the user's cache where it has been computed of the same images before."""
    code = Path(inspect.getfile(type(metric))).read_text(encoding="utf-8")
    asked = repr((code, sorted(vars(metric).items()), evidence.conditional, evidence.inverted))
    path = cache_folder() / "floors" / f"{name}-{_digest(key, asked)[:24]}.json"
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        values = metric.compute(evidence)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, values)
    except OSError as error:
        raise InputError(
            f"can't keep what was computed in '{path.parent}' ({error.strerror}): name another folder with GANS_CACHE"
        ) from error
    return values
